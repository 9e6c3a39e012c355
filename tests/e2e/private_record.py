#!/usr/bin/env python3
"""What left sites in jobs that ask for privacy, over all databases below a folder.

usage: private_record.py FOLDER [--some]

A site commits every answer before it sends it and repeats it byte for byte, so the bytes that left are in its site.db, and
what its ledger says of them beside it. Ends with status 1 and a sentence where, of a job with a mechanism of privacy,

  - an update has another number of examples than those that the job declares, seconds, or metrics,
  - an evaluation has exact counts, a number of rows, or none that are noised, or noised ones look like counts,
  - something left that no row of the ledger settles, or a row settles what did not leave,
  - a row settles what was not begun, or begins what was not reserved; more was begun than was reserved,
  - what was reserved is not what the job's bytes say,
  - a row of the ledger is not the one that its event in the chain vouches for,
  - an answer without privacy left after the records had a budget,
  - the orchestrator received something that no site stored.

With --some also where nothing private left at all, so that a test cannot pass because its databases were not found.
"""
import argparse
import collections
import hashlib
import pathlib
import re
import sqlite3
import struct

from secagg_record import Broken, require, varint

WITHHELD = 2**64 - 1
TRAINING, EVALUATION = 1, 2
MECHANISMS = {"dp-sgd": 1, "distributed-dp": 2, "site-level": 3}
USE_OF = {"update": TRAINING, "evaluation": EVALUATION}


def fields(data):
    """Of a message (schemas/datasite.proto): number -> value, of the last of each number."""
    found, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            require(at + 8 <= len(data), "a message that left ends in the middle")
            (value,), at = struct.unpack_from("<d", data, at), at + 8
        else:
            require(kind == 2, "a message that left has a field of another kind")
            length, at = varint(data, at)
            require(at + length <= len(data), "a message that left ends in the middle")
            value, at = data[at : at + length], at + length
        found[key >> 3] = value
    return found


class Job:
    """What the bytes of a job say of privacy; None of a key that is not there."""

    def __init__(self, text):
        text = re.sub(r"#.*", "", text)
        found = re.search(r"\bmechanism: *([a-z-]+)", text)
        self.mechanism = MECHANISMS.get(found.group(1)) if found else None
        self.secure = re.search(r"secure_aggregation:\s*\{?\s*enabled: true", text) is not None
        self.declared = {int(number) for number in re.findall(r"\bexamples: *(\d+)", text)}
        self.text = text

    def number(self, key, usual):
        found = re.search(rf"\b{key}: *([0-9.eE+-]+)", self.text)
        return float(found.group(1)) if found else usual

    def reserved(self):
        """mechanism, shared, noise, rate, steps a round, rounds, metrics' noise"""
        return (self.mechanism, int(self.secure), self.number("noise_multiplier", None), self.number("sampling_rate", 1.0),
                int(self.number("steps", 1)), int(self.number("rounds", None)), self.number("metrics_noise", 0.0))


class Site:
    def __init__(self, path):
        self.name = path.parent.name
        self.database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    def rows(self, sql, *values):
        return self.database.execute(sql, values)

    def has_ledger(self):
        return self.rows("SELECT 1 FROM sqlite_master WHERE name = 'budget'").fetchone() is not None


def check_update(about, job, body):
    said = fields(body)
    require(said.get(5) in job.declared, f"{about}: {said.get(5)} examples left, and the job declares others")
    require(said.get(6, 0.0) == 0.0, f"{about}: the seconds of training left")
    require(7 not in said, f"{about}: metrics left")


def check_evaluation(about, body):
    said = fields(body)
    require(not said.get(4), f"{about}: exact counts left")
    require(said.get(5) == WITHHELD and said.get(6) == WITHHELD, f"{about}: a number of test rows left")
    noised = said.get(7, b"")
    counts = struct.unpack(f"<{len(noised) // 8}d", noised)
    require(round(len(counts) ** 0.5) ** 2 == len(counts) > 0, f"{about}: no noised counts left")
    require(sum(count.is_integer() for count in counts) < len(counts) / 2, f"{about}: counts left that have no noise")


def check_answers(site, run, job, settled):
    """Every answer of the run against the ledger. Returns how many left."""
    left = collections.defaultdict(int)
    for number, kind, body in site.rows(
        "SELECT round, kind, body FROM answer WHERE run_id = ? AND refused = 0 AND state = 'released'", run
    ):
        about = f"{site.name}, run {run.hex()[:8]}, round {number}"
        if kind == "update":
            check_update(about, job, body)
        elif kind == "evaluation":
            check_evaluation(about, body)
        if kind in USE_OF:
            require((USE_OF[kind], number) in settled, f"{about}: an {kind} left that the ledger does not settle")
            left[USE_OF[kind], number] += 1
        else:
            # Training of its round, and the counts of the model before, or after the last round those alone.
            of_round = settled & {(TRAINING, number), (EVALUATION, number), (EVALUATION, number - 1)}
            require(of_round, f"{about}: a {kind} left that the ledger does not settle")
            left.update((use, 1) for use in of_round)
    for use, number in settled - set(left):
        raise Broken(f"{site.name}, run {run.hex()[:8]}, round {number}: the ledger settles what did not leave")
    return len(left)


def check_ledger(site, run, job):
    """Reserved, begun, settled, in this order. Returns {(use, round)} that were settled."""
    about = f"{site.name}, run {run.hex()[:8]}"
    reserved, evaluations, seen = None, 0, {"begin": set(), "settle": set()}
    for kind, use, number, *said in site.rows(
        "SELECT kind, use, round, mechanism, shared, noise_multiplier, sampling_rate, steps, rounds, metrics_noise, evaluations"
        " FROM budget WHERE run_id = ? ORDER BY id", run
    ):
        if kind == "reserve":
            require(reserved is None, f"{about}: it was reserved for twice")
            reserved, evaluations = tuple(said[:7]), said[7]
            require(reserved == job.reserved(), f"{about}: {reserved} was reserved, and the job says {job.reserved()}")
        elif kind in seen:
            require(reserved is not None, f"{about}: a row {kind}s before anything was reserved")
            require(kind == "begin" or (use, number) in seen["begin"], f"{about}, round {number}: settled, and never begun")
            seen[kind].add((use, number))
        else:
            require(kind == "close", f"{about}: the ledger says {kind} of a private run")
    begun = seen["begin"]
    require(not begun or sum(use == TRAINING for use, _ in begun) <= reserved[5], f"{about}: more rounds than reserved")
    require(sum(use == EVALUATION for use, _ in begun) <= evaluations, f"{about}: more evaluations than reserved")
    return seen["settle"]


def check_chain(site):
    for number, hashed, digest in site.rows(
        "SELECT budget.id, budget.hash, event.digest FROM budget LEFT JOIN event ON event.id = budget.event"
    ):
        require(hashed == digest, f"{site.name}: no event vouches for row {number} of the ledger")


def check_clear(site):
    """Answers without privacy, of a pool that had a cap by then."""
    for pool, number in site.rows(
        "SELECT clear.pool, clear.id FROM budget AS clear WHERE clear.kind = 'clear' AND EXISTS"
        " (SELECT 1 FROM budget AS cap WHERE cap.kind = 'set' AND cap.pool = clear.pool AND cap.id < clear.id)"
    ):
        raise Broken(f"{site.name}: pool {pool} had a budget, and row {number} is an answer without privacy")


def check_site(site, stored):
    left = 0
    check_chain(site)
    check_clear(site)
    for body, digest in site.rows(
        "SELECT body, event.digest FROM answer JOIN event ON event.id = event_id WHERE refused = 0 AND state = 'released'"
    ):
        stored.add(hashlib.sha256(body).digest() if body else digest)  # a masked input is kept until its sum was taken
    for run, text in site.rows("SELECT run.run_id, job.bytes FROM run JOIN job USING (job_id)").fetchall():
        job = Job(text.decode())
        if job.mechanism is not None:
            left += check_answers(site, run, job, check_ledger(site, run, job))
    return left


def check(folder, some):
    stored, left = set(), 0
    for path in sorted(folder.rglob("site.db")):
        site = Site(path)
        try:
            if site.has_ledger():
                left += check_site(site, stored)
        except sqlite3.DatabaseError:  # a test damaged it on purpose
            require(not some, f"{path.parent.name}: its site.db cannot be read")
    if left:
        for path in sorted(folder.rglob("run.db")):
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as run:
                for number, received in run.execute("SELECT round, received FROM receipt"):
                    require(received in stored, f"{path.parent.name}: no site stored what arrived of round {number}")
        print(f"{left} private answers: noised, and in the ledger")
    require(left or not some, "nothing private left: too little to judge")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--some", action="store_true")
    arguments = parser.parse_args()
    try:
        check(arguments.folder, arguments.some)
    except Broken as broken:
        raise SystemExit(f"privacy: {broken}") from None


if __name__ == "__main__":
    main()
