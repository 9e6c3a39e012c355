#!/usr/bin/env python3
"""Writes audit_chain.h: hashes, heads and a receipt as audit/chain.h and audit/receipt.h describe them, computed with
hashlib, struct and the textbook Ed25519 of RFC 8032 (section 6), independently of the code under test.

    audit_chain.py export > ../fuzz/corpus/export/whole
    audit_chain.py receipt > ../fuzz/corpus/receipt/whole
    audit_chain.py | clang-format-14 --assume-filename=audit_chain.h > audit_chain.h
"""
import hashlib
import json
import struct
import sys
import time

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def recover(y, sign):
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * ROOT % P
    return P - x if x & 1 != sign else x


def add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(scalar, point):
    total = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = recover(BASE_Y, 0)
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def compress(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def expand(secret):
    digest = hashlib.sha512(secret).digest()
    scalar = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | 1 << 254
    return scalar, digest[32:]


def sign(secret, message):
    scalar, prefix = expand(secret)
    public = compress(multiply(scalar, BASE))
    nonce = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % L
    point = compress(multiply(nonce, BASE))
    challenge = int.from_bytes(hashlib.sha512(point + public + message).digest(), "little") % L
    return point + ((nonce + challenge * scalar) % L).to_bytes(32, "little")


def sha(data):
    return hashlib.sha256(data).digest()


def counted(text):
    return struct.pack("<I", len(text.encode())) + text.encode()


def optional(data):
    return b"\0" if data is None else b"\1" + data


SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")  # RFC 8032, test 1
PUBLIC = compress(multiply(expand(SECRET)[0], BASE))
assert PUBLIC.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
SITE = sha(bytes.fromhex("302a300506032b6570032100") + PUBLIC)  # RFC 8410: DER of an Ed25519 SubjectPublicKeyInfo
JOB, RUN, DIGEST, APPROVAL = bytes(range(32)), bytes(range(64, 80)), bytes(range(100, 132)), bytes(range(200, 232))
EVENTS = [  # at, kind, job, run, round, detail, digest
    (1790000000, "site-created", None, None, 0, "Hôpital d'essai", None),
    (1790000060, "job-received", JOB, None, 0, "from a researcher", None),
    (1790000120, "update-released", JOB, RUN, 3, "", DIGEST),
    (-1, "serve-stopped", None, None, 4294967295, "before the clock was set", None),
]
PROTECTIONS = "min-rows 100; looked at by the owner"


def event_hash(previous, number, event):
    at, kind, job, run, turn, detail, digest = event
    return sha(
        b"FDS-EVENT1\0" + previous + struct.pack("<Qq", number, at) + counted(kind) + optional(job) + optional(run)
        + struct.pack("<I", turn) + counted(detail) + optional(digest)
    )


def moment(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def line(**fields):
    print(json.dumps({k: v for k, v in fields.items() if v is not None}, separators=(",", ":"), ensure_ascii=False))


def maybe_hex(data):
    return None if data is None else data.hex()


def print_export(hashes, head):
    line(export=1, site="sha256:" + SITE.hex(), name="site", **{"from": 1}, to=3, previous=hashes[0].hex(), unsigned=0)
    for number, (at, kind, job, run, turn, detail, digest) in enumerate(EVENTS[:3], 1):
        line(sequence=number, at=moment(at), kind=kind, job_id=maybe_hex(job), run_id=maybe_hex(run), round=turn or None,
             detail=detail, digest=maybe_hex(digest), hash=hashes[number].hex())
    line(head=3, hash=hashes[3].hex(), signature=head.hex())


def print_receipt(hashes, head, signature):
    line(receipt=1, site="sha256:" + SITE.hex(), public_key=PUBLIC.hex(), approval=APPROVAL.hex(), job_id=JOB.hex(),
         run_id=RUN.hex(), round=3, kind="update", digest=DIGEST.hex(), body_bytes=1234, protections=PROTECTIONS,
         sequence=3, head=hashes[3].hex(), head_signature=head.hex(), at=moment(1790000121), signature=signature.hex())


def print_header(hashes, head, signature):
    print("/* Written by audit_chain.py, which says how. */")
    print("#pragma once\n")
    print(f'#define VECTOR_PUBLIC_KEY "{PUBLIC.hex()}"')
    print(f'#define VECTOR_SITE "{SITE.hex()}"')
    print(f'#define VECTOR_PROTECTIONS "{PROTECTIONS}"')
    print(f'#define VECTOR_HEAD_SIGNATURE "{head.hex()}"')
    print(f'#define VECTOR_RECEIPT_SIGNATURE "{signature.hex()}"')
    print("/* hash(0), hash(1), … */")
    print("static const char *const vector_hashes[] = {")
    for value in hashes:
        print(f'    "{value.hex()}",')
    print("};")


def main():
    hashes = [sha(b"FDS-CHAIN1\0" + SITE)]
    for number, event in enumerate(EVENTS, 1):
        hashes.append(event_hash(hashes[-1], number, event))
    head = sign(SECRET, b"FDS-HEAD1\0" + SITE + struct.pack("<Q", 3) + hashes[3])
    receipt = sign(SECRET, (
        b"FDS-RECEIPT1\0" + SITE + APPROVAL + JOB + RUN + struct.pack("<II", 3, 1) + DIGEST + struct.pack("<Q", 1234)
        + sha(PROTECTIONS.encode()) + struct.pack("<Q", 3) + hashes[3] + struct.pack("<q", 1790000121)
    ))
    if sys.argv[1:] == ["export"]:
        print_export(hashes, head)
    elif sys.argv[1:] == ["receipt"]:
        print_receipt(hashes, head, receipt)
    else:
        print_header(hashes, head, receipt)


if __name__ == "__main__":
    main()
