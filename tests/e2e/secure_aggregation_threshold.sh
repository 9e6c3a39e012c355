#!/usr/bin/env bash
# Below the threshold a run stops with a sentence and nothing is revealed, also when all have contributed and too few are
# left to agree; a round that was agreed is completed as it was, once enough of them are back. Without its orchestrator a
# run stays where it is, and the sites go on with the next.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 5)
dial_in=$((port + 4)) make_sites 4 "$port"
secure_policies 4
researcher() { "$orchestrator" --home "$work/orchestrator" "$@"; }
for i in 1 2; do serve "$i"; done
for i in 3 4; do serve_until "$i" "*train-started*round=2*"; done

# given N: the rounds in which site N gave a share away, in the latest run.
given() {
  /usr/bin/python3 - "$work/site-$1/site.db" <<'PYTHON'
import sqlite3, sys
with sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True) as site:
    rounds = site.execute("SELECT DISTINCT round FROM secagg_given JOIN secagg_slot USING (run_id, slot)"
                          " WHERE run_id = (SELECT run_id FROM run ORDER BY rowid DESC LIMIT 1) ORDER BY round")
    print(" ".join(str(number) for (number,) in rounds))
PYTHON
}

# agreed N: the rounds that site N signed, in the latest run.
agreed() {
  /usr/bin/python3 - "$work/site-$1/site.db" <<'PYTHON'
import sqlite3, sys
with sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True) as site:
    rounds = site.execute("SELECT round FROM secagg_round WHERE agreement IS NOT NULL"
                          " AND run_id = (SELECT run_id FROM run ORDER BY rowid DESC LIMIT 1) ORDER BY round")
    print(" ".join(str(number) for (number,) in rounds))
PYTHON
}

min_sites=3 round_deadline=5s write_job "$work/few.yaml" 4 3 "seed: 1
secure_aggregation: {enabled: true}"
expect_status 1 researcher run "$work/few.yaml" --out "$work/few"
cp "$work/err.log" "$work/few.err"
expect_text "$work/few.err" "Round 2"
expect_text "$work/few.err" "threshold"
/usr/bin/python3 - "$work/few/report.json" <<'PYTHON' || fail "the report of the run that stopped"
import json, sys
report = json.load(open(sys.argv[1]))
assert report["status"] == "stopped", report["status"]
assert report["rounds"][0]["model_sha256"] and report["rounds"][-1]["model_sha256"] is None
PYTHON
for i in 1 2 3 4; do
  [ "$(given "$i")" = 1 ] || fail "site $i gave shares in rounds $(given "$i"), expected in round 1 alone"
done

# All have sent their inputs, and two are lost as they sign who contributed: two signatures open nothing.
for i in 3 4; do serve_until "$i" "*round-agreed*round=2*"; done
min_sites=3 round_deadline=5s write_job "$work/unsigned.yaml" 4 3 "seed: 4
secure_aggregation: {enabled: true}"
expect_status 1 researcher run "$work/unsigned.yaml" --out "$work/unsigned"
expect_text "$work/err.log" "Round 2"
expect_status 0 researcher receipts verify "$work/unsigned"
expect_text "$work/out.log" "All 8 receipts hold; 4 masked inputs counted, and each is covered."
expect_text "$work/out.log" "4 masked inputs were sent and not used: in no sum, and nothing of them was revealed."
expect_text "$work/out.log" "verified, not used"
for i in 1 2 3 4; do
  [ "$(given "$i")" = 1 ] || fail "site $i gave shares in rounds $(given "$i"), expected in round 1 alone"
  [ "$(agreed "$i")" = "1 2" ] || fail "site $i agreed in rounds $(agreed "$i"), expected 1 2"
done

# The same, and one of them comes back in time: the round that they signed is completed, with the inputs of all four.
for i in 3 4; do serve_until "$i" "*round-agreed*round=2*"; done
min_sites=3 round_deadline=20s write_job "$work/signed.yaml" 4 3 "seed: 5
secure_aggregation: {enabled: true}"
"$orchestrator" --home "$work/orchestrator" run "$work/signed.yaml" --out "$work/signed" >"$work/signed.log" 2>&1 &
run=$!
started+=("$run")
for i in 3 4; do await 30 grep -q "round-agreed.*round=2" "$work/serve-$i.log"; done
serve 3
wait "$run" || fail "the run whose sites came back ended with $?: $(tail -n 3 "$work/signed.log")"
/usr/bin/python3 - "$work/signed/report.json" <<'PYTHON' || fail "the round that was signed"
import json, sys
report = json.load(open(sys.argv[1]))
statuses = [[site["status"] for site in r["sites"]] for r in report["rounds"]]
assert statuses == [["ok"] * 4] * 2 + [["ok"] * 3 + ["dropped"]], statuses
PYTHON
for i in 1 2 3; do
  [ "$(given "$i")" = "1 2 3 4" ] || fail "site $i gave shares in rounds $(given "$i"), expected in all"
done
[ "$(given 4)" = 1 ] || fail "site 4 gave shares in rounds $(given 4), expected in round 1 alone"
serve 4

# The orchestrator is killed while the sites train: they stay up, the run cannot be begun again, and another one can.
training='{optimizer: sgd, batch_size: 1, learning_rate: 0.01, local_epochs: 30}'
min_sites=3 write_job "$work/cut.yaml" 4 3 "seed: 2
secure_aggregation: {enabled: true}"
"$orchestrator" --home "$work/orchestrator" run "$work/cut.yaml" --out "$work/cut" >"$work/cut.log" 2>&1 &
run=$!
started+=("$run")
await 30 grep -q "train-started.*round=2" "$work/serve-4.log" # of this daemon
kill -KILL "$run"
wait "$run" 2>/dev/null || true
for i in 1 2 3 4; do
  expect_status 0 "$datasite" --home "$work/site-$i" status
  [ "$(given "$i")" = 1 ] || fail "site $i gave shares in rounds $(given "$i"), expected in round 1 alone"
done
expect_status 1 researcher run "$work/cut.yaml" --approval-timeout 3s
expect_status 1 researcher receipts verify "$work/cut"
training='{optimizer: lbfgs, local_iterations: 10}'
min_sites=3 write_job "$work/next.yaml" 4 2 "seed: 3
secure_aggregation: {enabled: true}"
expect_status 0 researcher run "$work/next.yaml" --out "$work/next"
