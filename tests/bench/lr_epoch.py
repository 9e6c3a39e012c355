#!/usr/bin/env python3
"""One epoch of softmax regression: ours beside PyTorch and beside the floor of multiply-adds, on one core, in one run.

    tests/bench/lr_epoch.py [--bench PATH/bench_learning] [--rounds N] [--json FILE]

60000 rows of 784 bytes, shuffled, batch 64, gather included. The two take turns, N times; figures are medians of the
turns. PyTorch (Debian: python3-torch) runs on one thread, from bytes and from ready-made float32 rows, and the faster
is what we compare with; without PyTorch its rows are left out. Never fails on a time.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

ROWS, FEATURES, CLASSES, BATCH = 60000, 784, 10, 64
BUILDS = pathlib.Path(__file__).resolve().parents[2] / "build"


def find_bench():
    for preset in ("release", "dev"):
        path = BUILDS / preset / "bin" / "bench_learning"
        if path.exists():
            return path
    raise SystemExit("bench_learning is not built: cmake --preset dev -DCMAKE_BUILD_TYPE=Release && cmake --build "
                     "--preset dev --target bench_learning, or name it with --bench")


class Torch:
    """The epoch as somebody fluent in PyTorch would write it."""

    def __init__(self):
        import torch
        torch.set_num_threads(1)
        self.torch = torch
        torch.manual_seed(1)
        self.bytes = torch.randint(0, 256, (ROWS, FEATURES), dtype=torch.uint8)
        self.floats = self.bytes.float().mul_(1.0 / 255.0)
        self.labels = torch.randint(0, CLASSES, (ROWS,))

    def epoch(self, from_bytes):
        torch = self.torch
        model = torch.nn.Linear(FEATURES, CLASSES)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
        start = time.perf_counter()
        order = torch.randperm(ROWS)
        for first in range(0, ROWS, BATCH):
            batch = order[first:first + BATCH]
            rows = self.bytes[batch].float().mul_(1.0 / 255.0) if from_bytes else self.floats[batch]
            optimiser.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(model(rows), self.labels[batch]).backward()
            optimiser.step()
        return (time.perf_counter() - start) * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    bench = options.bench or find_bench()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    try:
        torch = Torch()
    except ImportError:
        torch = None
        print("PyTorch is not installed (apt-get install python3-torch): only the floor is compared with.")
    times = {}
    for _ in range(options.rounds):
        ours = json.loads(subprocess.run([bench, "--json"], check=True, capture_output=True, text=True).stdout)
        for name, figures in ours.items():
            if "ms" in figures:
                times.setdefault(name, []).append(figures["ms"])
        if torch is not None:
            for name, from_bytes in (("pytorch epoch from bytes", True), ("pytorch epoch from floats", False)):
                times.setdefault(name, []).append(min(torch.epoch(from_bytes) for _ in range(2)))
    medians = {name: statistics.median(values) for name, values in times.items()}
    floor = medians["floor: multiply-adds of one epoch"]
    reference = min((value for name, value in medians.items() if name.startswith("pytorch")), default=None)
    report = {}
    print(f"{'':44} {'ms':>9} {'x floor':>9} {'faster than PyTorch':>20}")
    for name, value in medians.items():
        row = {"ms": round(value, 3)}
        if "epoch" in name:
            row["floor_ratio"] = round(value / floor, 3)
        if reference and "batch 64" in name:
            row["pytorch_ratio"] = round(reference / value, 3)
        report[name] = row
        ratios = f"{row['floor_ratio']:9.2f}" if "floor_ratio" in row else ""
        ratios += f"{row['pytorch_ratio']:19.2f}x" if "pytorch_ratio" in row else ""
        print(f"{name:44} {value:9.2f} {ratios}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
