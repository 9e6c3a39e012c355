#!/usr/bin/env bash
# Statistics that were released with noise, the job that sees its rows by them, and what is spent when either program dies in
# the middle of a private run: never less than what left, and nothing comes back that was begun.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
private=(--some)
port=$(free_ports 3)
dial_in=$((port + 2)) make_sites 2 "$port"
for i in 1 2; do
  approve_all_policy "$i"
  printf 'output: {min_rows: 10, min_cell: 0}\n' >>"$work/site-$i/policy.yaml"
  expect_status 0 "$datasite" --home "$work/site-$i" budget set mnist --epsilon 100 --delta 1e-3
done
serve 1
serve 2
researcher() { "$orchestrator" --home "$work/orchestrator" "$@"; }
budget() { "$datasite" --home "$work/site-$1" budget mnist --json; }
global="global_test: {images: \"$data/subset-test-images.idx3\", labels: \"$data/subset-test-labels.idx1\"}"

# Statistics, and the block of the next job's file that says them.
private_job "$work/statistics.yaml" 2 1 "privacy: {mechanism: dp-sgd, clip: 20, noise_multiplier: 1, delta: 1.0e-5, sampling_rate: 1}"
sed -i -E '/^training:/d; s/softmax-regression/feature-statistics/' "$work/statistics.yaml"
expect_status 0 researcher run "$work/statistics.yaml" --out "$work/statistics"
expect_status 0 researcher statistics
cp "$work/out.log" "$work/features.yaml"
expect_text "$work/features.yaml" standardize
expect_text "$work/features.yaml" released_by
training='{optimizer: sgd, learning_rate: 0.02, momentum: 0.9}' private_job "$work/seen.yaml" 2 2 "seed: 3
$(cat "$work/features.yaml")
evaluation: {metrics: none, $global}
privacy: {mechanism: dp-sgd, clip: 2, noise_multiplier: 1.5, delta: 1.0e-5, sampling_rate: 0.1, steps: 20}"
expect_status 0 researcher run "$work/seen.yaml" --out "$work/seen"
/usr/bin/python3 - "$work/seen/report.json" <<'PYTHON' || fail "the run by released statistics"
import json, sys
report = json.load(open(sys.argv[1]))
assert report["status"] == "finished" and report["model"]["features"] == "standardize", report["model"]
accuracy = report["rounds"][-1]["global_test"]["accuracy"]
print(f"accuracy {accuracy:.3f}")
assert accuracy > 0.3, accuracy
PYTHON
# Numbers of another job, which these sites never released, are not taken for theirs.
sed -E 's/(released_by: *"?sha256:)[0-9a-f]{8}/\100000000/; s/seed: 3/seed: 4/' "$work/seen.yaml" >"$work/foreign.yaml"
expect_status 1 researcher run "$work/foreign.yaml" --out "$work/foreign" --approval-timeout 1s
for i in 1 2; do expect_text "$work/serve-$i.log" "features.released_by names a job that this site does not have"; done

# spent SITE: epsilon, and what is begun and settled of the newest reservation: "begun settled reserved".
spent() {
  budget "$1" | /usr/bin/python3 -c '
import json, sys
pool = json.load(sys.stdin)["pools"][0]
entries = pool["entries"]
last = max(i for i, entry in enumerate(entries) if entry["kind"] == "reserve")
kinds = [entry["kind"] for entry in entries[last:]]
print(kinds.count("begin"), kinds.count("settle"), kinds.count("close"), pool["spent_epsilon"], pool["reserved_epsilon"])'
}

# The orchestrator dies in the middle. What the sites began stays spent; the run goes on, or is over, and in the end nothing
# is reserved that cannot be used.
before=$(spent 1)
training='{optimizer: sgd, learning_rate: 0.5}' private_job "$work/killed.yaml" 2 50 "seed: 8
features: {kind: hog}
evaluation: {metrics: none, $global}
privacy: {mechanism: dp-sgd, clip: 0.5, noise_multiplier: 3, delta: 1.0e-5, sampling_rate: 0.1, steps: 30}"
"$orchestrator" --home "$work/orchestrator" run "$work/killed.yaml" --out "$work/killed" >"$work/killed.log" 2>&1 &
killed=$!
started+=("$killed")
await 60 grep -q "FL epoch 3/50" "$work/killed.log"
kill -KILL "$killed"
wait "$killed" || true
await 10 sh -c "! grep -q 'train-started .*round=50' '$work/serve-1.log'"
sleep 0.5
after=$(spent 1)
/usr/bin/python3 - "$before" "$after" <<'PYTHON' || fail "the ledger of a run that nobody waits for: $before, then $after"
import sys
before, after = (list(map(float, line.split())) for line in sys.argv[1:])
begun, settled, _, spent, reserved = after
assert 3 <= settled <= begun < 50, after
# The filter `sum` counts a run whole once a round of it was begun, and gives nothing back.
assert spent + reserved > before[3] + 0.5, (before, after)
PYTHON

# A site dies as it trains: the round that was begun stays begun, and when the site is back its ledger says so.
kill -TERM "$served"
wait "$served" || true
serve_until 2 "*train-started*round=2*"
lost=$served
training='{optimizer: sgd, learning_rate: 0.5}' private_job "$work/lost.yaml" 2 3 "seed: 9
features: {kind: unit-norm}
evaluation: {metrics: none, $global}
privacy: {mechanism: dp-sgd, clip: 0.5, noise_multiplier: 3, delta: 1.0e-5, sampling_rate: 0.1, steps: 5}"
sed -i 's/min_sites: 2, round_deadline: 20s/min_sites: 1, round_deadline: 3s/' "$work/lost.yaml"
expect_status 0 researcher run "$work/lost.yaml" --out "$work/lost"
! kill -0 "$lost" 2>/dev/null || fail "site 2 was not lost"
serve 2
read -r begun settled _ <<<"$(spent 2)"
if [ "$begun" -lt "$settled" ] || [ "$settled" -lt 1 ] || [ "$settled" -gt 2 ]; then
  fail "site 2 settled $settled of $begun"
fi
for i in 1 2; do
  expect_status 0 "$datasite" --home "$work/site-$i" audit verify
done
