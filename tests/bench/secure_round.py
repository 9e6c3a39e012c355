#!/usr/bin/env python3
"""The same rounds with secure aggregation and in clear, by the real programs, all on this machine; prints medians.

    secure_round.py --sites N --rounds N --repeats N --dir DIR       DIR does not exist; homes and runs are made in it

    round <secure ms> <clear ms> <ratio>     by the clock, from the job's approval to the end of the run, a round: keys,
                                             shares and what is opened after each round are in it
    cpu <secure ms> <clear ms> <ratio>       on the processor, daemons and orchestrator together

Sites are those of scripts/launch_datasites on the tests' rows; one step of SGD is all the training, and no metrics
leave in either.
"""
import argparse
import datetime
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import time

from round import BIN, Federation

SOURCE = pathlib.Path(__file__).resolve().parents[2]
JOB = """# One of its own: {serial}
job: test
dataset: mnist
model: {{kind: softmax-regression, l2: 1e-4, init: zeros}}
training: {{optimizer: sgd, batch_size: 1000, learning_rate: 0.01, momentum: 0, local_epochs: 1}}
evaluation: {{test_fraction: 0.2, metrics: none}}
federation: {{rounds: {rounds}, strategy: fedavg, weighting: examples, min_sites: {least}, round_deadline: 60s}}
secure_aggregation: {{enabled: {secure}}}
privacy: {{mechanism: none}}
seed: 7
expires: {expires}
sites:
{sites}
"""


def launch(directory, sites):
    """Starts the sites; returns the launcher and the daemons' process ids."""
    ready = directory / "ready"
    command = [SOURCE / "scripts/launch_datasites", "--sites", sites, "--dataset", "subset", "--port",
               random.randrange(20000, 31000), "--dir", directory, "--auto-approve", "--ready-file", ready]
    with open(directory.with_suffix(".log"), "w", encoding="utf-8") as log:
        launcher = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)
    for _ in range(1200):
        if ready.exists():
            pids = [int(line.split()[0]) for line in (directory / "launch.pids").read_text().splitlines()]
            return launcher, [pid for pid in pids if pathlib.Path(f"/proc/{pid}/task").exists()]
        if launcher.poll() is not None:
            break
        time.sleep(0.1)
    launcher.terminate()
    sys.exit(f"the sites did not start: {directory.with_suffix('.log').read_text()[-500:]}")


def site_lines(directory, sites):
    for number in range(1, sites + 1):
        line = subprocess.run([BIN / "datasite", "--home", directory / f"site-{number}", "invite"], check=True,
                              capture_output=True, text=True).stdout
        name, endpoint, fingerprint = re.fullmatch(r'datasite (".*") (\S+) (sha256:[0-9a-f]{64})\n', line).groups()
        yield f'  - {{name: {name}, endpoint: "{endpoint}", fingerprint: "{fingerprint}"}}'


class Launched(Federation):
    def __init__(self, directory, daemons, sites, rounds):
        super().__init__(directory, daemons)
        self.sites, self.count, self.rounds = "\n".join(site_lines(directory, sites)), sites, rounds

    def measure(self, secure):
        expires = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
        (self.directory / "job.yaml").write_text(JOB.format(
            serial=self.runs, rounds=self.rounds, least=(self.count + 1) // 2 + 1, secure=str(secure).lower(),
            expires=expires.strftime("%Y-%m-%dT%H:%M:%SZ"), sites=self.sites))
        clock, cpu = self.run("job.yaml")
        return clock, cpu / self.rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("sites", "rounds", "repeats"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--dir", type=pathlib.Path, required=True)
    options = parser.parse_args()
    options.dir.mkdir()
    os.environ.setdefault("DATASITE_BIN", str(BIN))
    launcher, daemons = launch(options.dir, options.sites)
    try:
        federation = Launched(options.dir, daemons, options.sites, options.rounds)
        pairs = [(federation.measure(True), federation.measure(False)) for _ in range(options.repeats)]
    finally:
        launcher.terminate()
        launcher.wait(timeout=30)
    for which, name in enumerate(("round", "cpu")):
        print(f"{name} {statistics.median(a[which] for a, _ in pairs):.3f} "
              f"{statistics.median(b[which] for _, b in pairs):.3f} "
              f"{statistics.median(a[which] / b[which] for a, b in pairs):.3f}")


if __name__ == "__main__":
    main()
