#!/usr/bin/env bash
# Receipts, from release to audit: they hold as written, what is changed is named, the sites accept them, and a site
# whose database went back refuses until its owner, and the researcher, have decided.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 2)
make_sites 2 "$port"
approve_all_policy 1
approve_all_policy 2
serve 1
site1=$served
serve 2
researcher() { "$orchestrator" --home "$work/orchestrator" "$@"; }

# Several runs of the same two sites; each is another job.
write_job "$work/job-1.yaml" 2 2 "seed: 1"
training="{optimizer: lbfgs, local_iterations: 1}" write_job "$work/job-2.yaml" 2 12 "seed: 2" # what is lost is longer than what follows
write_job "$work/job-3.yaml" 2 1 "seed: 3"
write_job "$work/job-4.yaml" 2 1 "seed: 4"
expect_status 0 researcher run "$work/job-1.yaml" --out "$work/run"
run=$(find "$work/orchestrator/runs" -mindepth 1 -maxdepth 1 -printf '%f\n')
record=$work/orchestrator/runs/$run
[ "$(find "$record/receipts" -name 'round-000[12]-site-[12]-update.json' | wc -l)" -eq 4 ] || fail "receipts are missing"
expect_text "$work/run/report.html" "8 receipts verified"

# They hold, in the home and where --out put copies; who contributed under which approval is said.
expect_status 0 researcher receipts verify "${run:0:8}"
for words in "Part 1" "Part 2" "verified" "All 8 receipts hold; 4 updates counted"; do expect_text "$work/out.log" "$words"; done
expect_status 0 researcher receipts verify "$work/run"
expect_status 0 env -i "$orchestrator" receipts verify "$work/run"
expect_status 0 researcher receipts verify --json
cp "$work/out.log" "$work/verdict.json"
expect_status 0 researcher receipts --json
cp "$work/out.log" "$work/list.json"
/usr/bin/python3 - "$work/verdict.json" "$work/list.json" "$work/run/report.json" <<'PY'
import json, sys
verdict, listed, report = (json.load(open(path)) for path in sys.argv[1:])
assert verdict["holds"] and verdict["receipts"] == verdict["held"] == 8 and not verdict["problems"], verdict
assert [r["model_sha256"] for r in verdict["rounds"]] == [r["model_sha256"] for r in report["rounds"]]
approvals = {s["update"]["approval"] for r in verdict["rounds"] for s in r["sites"]}
assert len(approvals) == 2, "each site has its own approval"
for r, reported in zip(verdict["rounds"], report["rounds"]):
    for s, site in zip(r["sites"], reported["sites"]):
        assert s["contributed"] and s["holds"] and s["update"]["protections"], s
        assert site["receipt"]["digest"] == s["update"]["digest"]
assert len(listed["receipts"]) == 8 and all(r["receipt"] == 1 and len(r["signature"]) == 128 for r in listed["receipts"])
PY

# Each site finds its own in its chain, and the signatures of the other's hold.
for i in 1 2; do
  expect_status 0 "$datasite" --home "$work/site-$i" audit verify --receipts "$record/receipts"
  expect_text "$work/out.log" "Receipts  4 of this site"
done

# A byte of a file, a receipt that is gone, a byte of run.db: named.
cp -r "$work/run" "$work/changed"
file=round-0002-site-1-update.json
sed -i -E 's/("approval": ")0/\11/; t; s/("approval": ")./\10/' "$work/changed/receipts/$file"
cmp -s "$work/run/receipts/$file" "$work/changed/receipts/$file" && fail "nothing was changed"
expect_status 1 researcher receipts verify "$work/changed"
expect_text "$work/out.log" "Round 2, Part 1: The file $file does not hold"
rm "$work/changed/receipts/$file"
expect_status 1 researcher receipts verify "$work/changed"
expect_text "$work/out.log" "$file"
cp "$work/run/receipts/$file" "$work/changed/receipts/$file"
expect_status 0 researcher receipts verify "$work/changed"
/usr/bin/python3 - "$work/changed/run.db" <<'PY'
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
blob = bytearray(database.execute("SELECT receipt FROM receipt WHERE round = 1 AND position = 1 AND kind = 1").fetchone()[0])
blob[60] ^= 1
database.execute("UPDATE receipt SET receipt = ? WHERE round = 1 AND position = 1 AND kind = 1", (bytes(blob),))
database.commit()
PY
expect_status 1 researcher receipts verify "$work/changed"
expect_text "$work/out.log" "Round 1, Part 2: The receipt of its update does not hold"

# A site's exported events, checked by the researcher with nothing but its certificate; an edited one is named.
expect_status 0 "$datasite" --home "$work/site-1" audit export --out "$work/events.jsonl"
expect_status 0 researcher receipts audit "$work/events.jsonl" --certificate "$work/site-1/keys/identity.crt"
expect_text "$work/out.log" "of Part 1"
expect_status 2 researcher receipts audit "$work/events.jsonl"
expect_status 1 researcher receipts audit "$work/events.jsonl" --certificate "$work/site-2/keys/identity.crt"
sed '4s/"at":"20/"at":"19/' "$work/events.jsonl" >"$work/edited.jsonl"
expect_status 1 researcher receipts audit "$work/edited.jsonl" --certificate "$work/site-1/keys/identity.crt"

# Site 1 is put back to what it was before the second run. The researcher's receipt shows it.
stop_site1() {
  kill -TERM "$site1"
  wait "$site1" || true
}
stop_site1
cp "$work/site-1/site.db" "$work/backup.db"
serve 1
site1=$served
expect_status 0 researcher run "$work/job-2.yaml"
stop_site1
rm -f "$work/site-1/site.db-wal" "$work/site-1/site.db-shm"
cp "$work/backup.db" "$work/site-1/site.db"
serve 1
site1=$served
expect_status 1 researcher run "$work/job-3.yaml"
expect_text "$work/err.log" "Part 1"
expect_status 1 "$datasite" --home "$work/site-1" audit verify --receipts "$record/../$(researcher runs --json |
  /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["runs"][1]["run_id"])')/receipts"
expect_status 0 "$datasite" --home "$work/site-1" audit accept --reason "restored from a backup"
# The owner has decided; the researcher still holds the later receipt, and says so until they have decided too.
expect_status 1 researcher run "$work/job-3.yaml"
expect_text "$work/err.log" "Its records went back"
expect_status 0 researcher receipts accept "Part 1"
expect_status 1 researcher receipts accept "Part 1"
expect_status 0 researcher run "$work/job-4.yaml"
expect_status 0 researcher receipts verify
