#!/usr/bin/env python3
"""Makes the small MNIST subset of this folder from the full data set.

    tests/data/make_subset.py DIR

DIR holds the four uncompressed IDX files of MNIST under their usual names. Training rows are the first 200 of
each class, test rows the first 50 of each class, both in the order of the original file. The script needs nothing
but Python 3 and writes the same bytes every time; it is run by hand, never by the tests.
"""
import hashlib
import pathlib
import struct
import sys

SPLITS = (
    ("train", 200, "train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
     "train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    ("test", 50, "t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
     "t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
)
CLASSES = 10
PIXELS = 28 * 28


def read_verified(path, digest):
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        sys.exit(f"{path} is not the MNIST file: its SHA-256 is not {digest}")
    return content


def rows_per_class(labels, wanted):
    """Indices of the first `wanted` rows of each class, ascending."""
    seen = [0] * CLASSES
    rows = []
    for row, label in enumerate(labels):
        if seen[label] < wanted:
            seen[label] += 1
            rows.append(row)
    return rows


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    source = pathlib.Path(sys.argv[1])
    target = pathlib.Path(__file__).resolve().parent
    for split, wanted, images_name, images_digest, labels_name, labels_digest in SPLITS:
        images = read_verified(source / images_name, images_digest)[16:]
        labels = read_verified(source / labels_name, labels_digest)[8:]
        rows = rows_per_class(labels, wanted)
        (target / f"subset-{split}-images.idx3").write_bytes(
            struct.pack(">IIII", 0x00000803, len(rows), 28, 28)
            + b"".join(images[row * PIXELS:(row + 1) * PIXELS] for row in rows))
        (target / f"subset-{split}-labels.idx1").write_bytes(
            struct.pack(">II", 0x00000801, len(rows)) + bytes(labels[row] for row in rows))


if __name__ == "__main__":
    main()
