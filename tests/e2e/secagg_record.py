#!/usr/bin/env python3
"""What sites gave away under secure aggregation, over all databases below a folder.

usage: secagg_record.py FOLDER [--some]

TLS hides the line from a test, but a site commits every answer before it sends it and repeats it byte for byte: the bytes
that left are in its site.db, or their digest once it has the sum of their round, and what arrived is in the run.db of the
orchestrator. Ends with status 1 and a sentence where

  - a site gave both kinds of share of one peer in one slot, in any bytes that left or by what it noted of them,
  - two sites gave different kinds of one peer in one slot: with few of each, both secrets are opened,
  - a site revealed shares of a round more than once, or without the one agreement that it signed about it,
  - two masked inputs left in one slot,
  - the orchestrator received a masked input that no site stored.

With --some also where nothing was given at all, so that a test cannot pass because its databases were not found.
"""
import argparse
import collections
import hashlib
import pathlib
import sqlite3
import struct

SHARE_BYTES = 41  # kind, share (crypto/secagg_agree.h)
KINDS = {1: "b", 2: "s"}


class Broken(Exception):
    pass


def require(holds, sentence):
    if not holds:
        raise Broken(sentence)


def varint(data, at):
    value = shift = 0
    while True:
        require(at < len(data), "a message that left ends in the middle")
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def fields(data):
    """Of a message (schemas/datasite.proto): number -> value, all of the kinds that these messages have."""
    found, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        value, at = varint(data, at)
        require(key & 7 in (0, 2), "a message that left has a field of another kind")
        if key & 7 == 2:
            require(at + value <= len(data), "a message that left ends in the middle")
            value, at = data[at : at + value], at + value
        found[key >> 3] = value
    return found


def positions(packed):
    return struct.unpack(f"<{len(packed) // 4}I", packed)


class Site:
    def __init__(self, path):
        self.name = path.parent.name
        self.database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    def rows(self, sql):
        return self.database.execute(sql)

    def has_secagg(self):
        return self.rows("SELECT 1 FROM sqlite_master WHERE name = 'secagg_given'").fetchone() is not None

    def about(self, run, slot):
        return f"{self.name}, run {run.hex()[:8]}, slot {slot}"


def kinds_that_left(site, run, slot, round_number, attempt, sharers, revealed):
    """(peer, kind) of each share in an Unmasking."""
    about = site.about(run, slot)
    said = fields(revealed)
    require(said.get(2) == run and said.get(3) == round_number and said.get(4, 0) == attempt,
            f"{about}: the shares that left are about another attempt")
    shares, peers = said.get(5, b""), positions(sharers)
    require(len(shares) == SHARE_BYTES * len(peers), f"{about}: not one share of each of {len(peers)} sharers left")
    kinds = shares[::SHARE_BYTES]
    require(set(kinds) <= set(KINDS), f"{about}: a share of no kind left")
    return list(zip(peers, kinds))


def check_slots(site, given):
    """Every slot that was revealed; adds to `given`: (run, slot, peer) -> kinds."""
    left = collections.defaultdict(set)
    rounds = collections.Counter()
    for run, slot, number, attempt, sharers, revealed in site.rows(
        "SELECT run_id, slot, round, attempt, sharers, revealed FROM secagg_slot WHERE revealed IS NOT NULL"
    ):
        rounds[run, number] += 1
        for peer, kind in kinds_that_left(site, run, slot, number, attempt, sharers, revealed):
            left[run, slot, peer].add(kind)
            require(len(left[run, slot, peer]) == 1, f"{site.about(run, slot)}: both kinds of share of site {peer} left")
    noted = collections.defaultdict(set)
    for run, slot, peer, kind in site.rows("SELECT run_id, slot, peer, kind FROM secagg_given"):
        noted[run, slot, peer].add(kind)
        require(len(noted[run, slot, peer]) == 1, f"{site.about(run, slot)}: both kinds of share of site {peer} were noted")
    require(left == noted, f"{site.name}: other shares left than it noted")
    for (run, number), count in rounds.items():
        require(count == 1, f"{site.name}: in {count} slots of round {number} of run {run.hex()[:8]} shares left")
    for place, kinds in left.items():
        given[place] |= kinds
    return len(left)


def check_agreements(site):
    """One agreement of a round, by what is stored and by the events; shares left only of the attempt that it is about."""
    agreed = {}
    for job, run, number, attempt in site.rows(
        "SELECT job_id, run_id, round, attempt FROM secagg_round WHERE agreement IS NOT NULL"
    ):
        require((job, run, number) not in agreed, f"{site.name}: two agreements of round {number} of run {run.hex()[:8]}")
        agreed[job, run, number] = attempt
    events = collections.Counter(site.rows("SELECT job_id, run_id, round FROM event WHERE kind = 'round-agreed'"))
    for (_, run, number), count in events.items():
        require(count == 1, f"{site.name}: round {number} of run {run.hex()[:8]} was agreed on {count} times")
    require(set(events) == set(agreed), f"{site.name}: its events tell of other agreements than are stored")
    attempts = {(run, number): attempt for (_, run, number), attempt in agreed.items()}
    for run, slot, number, attempt in site.rows(
        "SELECT run_id, slot, round, attempt FROM secagg_slot WHERE revealed IS NOT NULL"
    ):
        require(attempts.get((run, number)) == attempt, f"{site.about(run, slot)}: shares left without an agreement")
    return len(agreed)


def check_inputs(site, stored):
    """One masked input a slot; adds to `stored`: receipt -> digests of the bodies that left with it."""
    slots = {}
    for run, number, attempt, body, receipt, digest, slot, context, taken in site.rows(
        "SELECT answer.run_id, answer.round, answer.attempt, body, receipt, event.digest, secagg_slot.slot,"
        " secagg_slot.context, EXISTS (SELECT 1 FROM event AS sum WHERE sum.kind = 'sum-taken' AND"
        " sum.run_id = answer.run_id AND sum.round = answer.round) FROM answer"
        " JOIN event ON event.id = event_id AND event.kind = 'input-released'"
        " LEFT JOIN secagg_slot ON secagg_slot.run_id = answer.run_id AND secagg_slot.round = answer.round"
        " AND secagg_slot.attempt = answer.attempt WHERE answer.kind = 'masked-input' AND refused = 0"
    ):
        if not body:  # kept until its sum was taken
            require(taken, f"{site.name}: a masked input of round {number} is gone, and its sum was not taken")
            require(slot is not None and (run, slot) not in slots, f"{site.about(run, slot)}: two masked inputs left")
            slots[run, slot] = (number, attempt, context)
            stored[receipt].add(digest)
            continue
        said = fields(body)
        slot = said.get(5, 0)
        require((run, slot) not in slots, f"{site.about(run, slot)}: two masked inputs left")
        require(said.get(2) == run and said.get(3) == number and said.get(4, 0) == attempt,
                f"{site.about(run, slot)}: the masked input is of another attempt")
        slots[run, slot] = (number, attempt, said.get(6))
        stored[receipt].add(hashlib.sha256(body).digest())
    for run, slot, number, attempt, context in site.rows(
        "SELECT run_id, slot, round, attempt, context FROM secagg_slot WHERE context IS NOT NULL"
    ):
        require(slots.get((run, slot), (number, attempt, context)) == (number, attempt, context),
                f"{site.about(run, slot)}: the masked input is of another context than the slot's")
        slots.pop((run, slot), None)
    require(not slots, f"{site.name}: a masked input left in a slot that serves nothing")


def check_received(path, stored):
    """Every masked input that arrived is one that a site stored, under the same receipt."""
    count = 0
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as run:
        for number, position, receipt, received in run.execute(
            "SELECT round, position, receipt, received FROM receipt WHERE kind = 3"
        ):
            require(received in stored.get(receipt, ()),
                    f"{path.parent.name}: no site stored what the orchestrator received of site {position} in round {number}")
            count += 1
    return count


def check(folder, some):
    given, stored = collections.defaultdict(set), collections.defaultdict(set)
    shares = agreements = received = 0
    for path in sorted(folder.rglob("site.db")):
        site = Site(path)
        try:
            if not site.has_secagg():
                continue
        except sqlite3.DatabaseError:  # a test damaged it on purpose
            require(not some, f"{path.parent.name}: its site.db cannot be read")
            continue
        shares += check_slots(site, given)
        agreements += check_agreements(site)
        check_inputs(site, stored)
    for (run, slot, peer), kinds in given.items():
        require(len(kinds) == 1, f"run {run.hex()[:8]}, slot {slot}: of site {peer} some sites gave b and others s")
    for path in sorted(folder.rglob("run.db")):
        received += check_received(path, stored)
    require(not some or (shares and agreements and received),
            f"{shares} shares, {agreements} agreements and {received} masked inputs are too few to judge")
    if shares:
        print(f"{shares} shares, {agreements} agreements, {received} masked inputs: never both kinds of one peer")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--some", action="store_true")
    arguments = parser.parse_args()
    try:
        check(arguments.folder, arguments.some)
    except Broken as broken:
        raise SystemExit(f"secure aggregation: {broken}") from None


if __name__ == "__main__":
    main()
