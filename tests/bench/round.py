#!/usr/bin/env python3
"""Runs jobs of empty rounds by the orchestrator and the reference in turn, and prints medians over the repeats.

    round.py --repeats N --rounds N --daemons PID... -- DIR      called by round.sh, which has made DIR and the daemons

    round <ours ms> <reference ms> <ratio>      by the clock, from the job's approval to the end of the run: loading of
                                                the rows and the EndRun message are in it, divided by the rounds
    cpu <ours ms> <reference ms> <ratio>        on the processor, daemons and orchestrator together, as the difference
                                                between a run of N rounds and one of a single round
"""
import argparse
import os
import pathlib
import resource
import sqlite3
import statistics
import subprocess
import sys

BIN = pathlib.Path(os.environ.get("DATASITE_BIN")
                   or pathlib.Path(__file__).resolve().parents[2] / "build/release/bin")


def daemon_cpu(pids):
    """Milliseconds on the processor so far, by the scheduler's count of every thread."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e6


def run_and_count(command, **options):
    """Runs a command; returns its output and the milliseconds that it and its children had on the processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout, 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


class Federation:
    def __init__(self, directory, daemons):
        self.directory, self.daemons, self.runs = directory, daemons, 0

    def run(self, job):
        """One run of a job: milliseconds by the clock a round, and on the processor in all."""
        self.runs += 1
        name = f"round-{self.runs}"
        path = self.directory / f"{name}.yaml"
        path.write_text((self.directory / job).read_text().replace("job: test", f"job: {name}", 1))
        out = self.directory / name
        before = daemon_cpu(self.daemons)
        _, cpu = run_and_count([BIN / "orchestrator", "--home", self.directory / "orchestrator", "run", path,
                                "--out", out])
        cpu += daemon_cpu(self.daemons) - before
        with sqlite3.connect(f"file:{out}/run.db?mode=ro", uri=True) as database:
            approved, ended, rounds = database.execute(
                "SELECT approved_at, ended_at, (SELECT count(*) FROM round WHERE model IS NOT NULL) FROM run").fetchone()
        return (ended - approved) / rounds, cpu


def reference(directory, rounds):
    text, cpu = run_and_count([BIN / "bench_round_reference", "--rounds", str(rounds), directory])
    return float(text.split()[1]), cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--daemons", type=int, nargs="+", required=True)
    parser.add_argument("directory", type=pathlib.Path)
    options = parser.parse_args()
    federation = Federation(options.directory, options.daemons)
    beside = options.directory / "reference"
    beside.mkdir()
    clock, cpu = [], []
    for _ in range(options.repeats):
        ours, ours_cpu = federation.run("job.yaml")
        _, single_cpu = federation.run("single.yaml")
        theirs, theirs_cpu = reference(beside, options.rounds)
        _, theirs_single_cpu = reference(beside, 1)
        more = max(options.rounds - 1, 1)
        clock.append((ours, theirs))
        cpu.append(((ours_cpu - single_cpu) / more, (theirs_cpu - theirs_single_cpu) / more))
    for name, pairs in (("round", clock), ("cpu", cpu)):
        print(f"{name} {statistics.median(a for a, _ in pairs):.3f} {statistics.median(b for _, b in pairs):.3f} "
              f"{statistics.median(a / b for a, b in pairs):.3f}")


if __name__ == "__main__":
    main()
