#!/usr/bin/env python3
"""Runs the same jobs in clear and with secure aggregation, and prints how the last models do on the test images.

    masked.py --seeds N -- DIR      called by masked.sh, which has made DIR and the daemons

    accuracy <optimizer> <seed> <masked %> <clear %> <touched %> <largest differences of a parameter, by round>
                                    the initial models are drawn from the seed. Touched: in clear, each number of the
                                    initial model moved to the next float64, up or down
"""
import argparse
import hashlib
import json
import os
import pathlib
import random
import sqlite3
import struct
import subprocess
import sys

BIN = pathlib.Path(os.environ.get("DATASITE_BIN")
                   or pathlib.Path(__file__).resolve().parents[2] / "build/release/bin")
PARAMETERS = 785 * 10


class Federation:
    def __init__(self, directory):
        self.directory, self.runs = directory, 0

    def run(self, job, start):
        """The folder of one run of a job from this model."""
        self.runs += 1
        data = struct.pack(f"<{PARAMETERS}d", *start)
        model = self.directory / "start.raw"
        model.write_bytes(data)
        path = self.directory / f"run-{self.runs}.yaml"
        text = (self.directory / job).read_text().replace("job: test", f"job: run-{self.runs}", 1)
        kind, init = "{kind: softmax-regression", f', init: "sha256:{hashlib.sha256(data).hexdigest()}"'
        assert kind in text
        path.write_text(text.replace(kind, kind + init, 1))
        out = self.directory / f"run-{self.runs}"
        command = [BIN / "orchestrator", "--home", self.directory / "orchestrator", "run", path, "--out", out,
                   "--init-model", model]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"orchestrator run ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        return out


def models(out):
    with sqlite3.connect(f"file:{out}/run.db?mode=ro", uri=True) as database:
        return [struct.unpack(f"<{len(model) // 8}d", model)
                for (model,) in database.execute("SELECT model FROM round WHERE model IS NOT NULL ORDER BY round")]


def accuracy(out):
    return 100 * json.loads((out / "report.json").read_text())["rounds"][-1]["global_test"]["accuracy"]


def measure(federation, seed):
    random.seed(seed)
    start = [random.gauss(0, 0.01) for _ in range(PARAMETERS)]
    touched = [value * (1 + random.choice((-1, 1)) * 2**-52) for value in start]
    for optimizer in ("lbfgs", "sgd"):
        masked = federation.run(f"{optimizer}-masked.yaml", start)
        clear = federation.run(f"{optimizer}-clear.yaml", start)
        moved = federation.run(f"{optimizer}-clear.yaml", touched)
        largest = [max(abs(a - b) for a, b in zip(one, other, strict=True))
                   for one, other in zip(models(masked), models(clear), strict=True)]
        print("accuracy", optimizer, seed, *(f"{accuracy(out):.2f}" for out in (masked, clear, moved)),
              *(f"{value:.1e}" for value in largest), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, required=True)
    parser.add_argument("directory", type=pathlib.Path)
    options = parser.parse_args()
    federation = Federation(options.directory)
    for seed in range(1, options.seeds + 1):
        measure(federation, seed)


if __name__ == "__main__":
    main()
