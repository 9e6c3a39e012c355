#!/usr/bin/env python3
"""Rounds of distributed differential privacy by the real programs, all on this machine; prints what they cost.

    private_rounds.py --sites N --rounds N --dir DIR       DIR does not exist; homes and runs are made in it

    rounds <a second>                       by the clock, from the job's approval to the end of the run
    cpu <ms>                                on the processor, a round, daemons and orchestrator together: while others keep the
                                            machine busy, this is the steadier of the two
    files <run.db> <site.db> <bytes>        after the run, of the orchestrator and of one site
    memory <orchestrator KiB> <site KiB>    most that was resident

Sites are those of scripts/launch_datasites on the tests' rows: 7850 parameters, a quarter of the rows in a step. The programs
are those of the environment's DATASITE_BIN, or of build/release/bin; the homes are on the disk that DIR is on.
"""
import argparse
import datetime
import os
import pathlib
import resource
import re
import sys
import time

from round import BIN
from secure_round import Launched, launch

JOB = """job: test
dataset: mnist
model: {{kind: softmax-regression, l2: 0, init: zeros}}
training: {{optimizer: sgd, learning_rate: 0.5, momentum: 0.9, average_tail: 0.2}}
evaluation: {{test_fraction: 0.2, metrics: none}}
federation: {{rounds: {rounds}, strategy: fedavg, weighting: examples, round_deadline: 60s}}
secure_aggregation: {{enabled: true, verify_sum: {verify}}}
privacy: {{mechanism: distributed-dp, clip: 0.3, noise_multiplier: 2.5, delta: 1.0e-5, sampling_rate: 0.25}}
seed: 7
expires: {expires}
sites:
{sites}
"""


def allow(directory, rounds):
    """The policies of a launch approve short runs alone; the daemons see the change by themselves."""
    for path in directory.glob("site-*/policy.yaml"):
        changed = path.with_suffix(".new")
        changed.write_text(path.read_text().replace("max_rounds: 50", f"max_rounds: {rounds}"))
        changed.rename(path)
    time.sleep(3)


class Private(Launched):
    def measure(self, verify):
        expires = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
        sites = re.sub(r"}$", ", examples: 400}", self.sites, flags=re.M)
        (self.directory / "job.yaml").write_text(JOB.format(
            rounds=self.rounds, expires=expires.strftime("%Y-%m-%dT%H:%M:%SZ"), sites=sites, verify=str(verify).lower()))
        return self.run("job.yaml")


def resident(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("sites", "rounds"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--dir", type=pathlib.Path, required=True)
    parser.add_argument("--verify", action="store_true", help="sites compute every sum anew (verify_sum)")
    options = parser.parse_args()
    missing = [name for name in ("datasite", "orchestrator") if not (BIN / name).exists()]
    if missing:
        parser.error(f"{BIN} has no {' and no '.join(missing)}; build it, or set DATASITE_BIN")
    try:
        options.dir.mkdir()
    except OSError as error:
        parser.error(f"--dir: {error.strerror}: {options.dir}")
    os.environ["DATASITE_BIN"] = str(BIN.resolve())
    launcher, daemons = launch(options.dir, options.sites)
    try:
        allow(options.dir, options.rounds)
        federation = Private(options.dir, daemons, options.sites, options.rounds)
        clock, cpu = federation.measure(options.verify)
        site = max(resident(pid) for pid in daemons)
    finally:
        launcher.terminate()
        launcher.wait(timeout=30)
    run, home = options.dir / f"round-{federation.runs}", options.dir / "site-1"
    files = [sum(path.stat().st_size for path in folder.glob(f"{name}*")) for folder, name in ((run, "run.db"), (home, "site.db"))]
    print(f"rounds {1000 / clock:.2f}")
    print(f"cpu {cpu / options.rounds:.1f}")
    print(f"files {files[0]} {files[1]}")
    print(f"memory {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss} {site}")


if __name__ == "__main__":
    sys.exit(main())
