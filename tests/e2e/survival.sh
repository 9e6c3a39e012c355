#!/usr/bin/env bash
# Sites that die or stop: the round goes on at quorum, stops with a sentence below it, and a daemon ends in time.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 3)
make_sites 3 "$port"
pids=()
for i in 1 2 3; do
  approve_all_policy "$i"
  serve "$i"
  pids+=("$served")
done

# Slow rounds, so that a site can be lost in the middle of one.
training='{optimizer: sgd, batch_size: 1, learning_rate: 0.01, local_epochs: 20}'
min_sites=2 round_deadline=30s write_job "$work/job.yaml" 3 3
"$orchestrator" --home "$work/orchestrator" run "$work/job.yaml" --out "$work/run" >"$work/run.log" 2>&1 &
run=$!
started+=("$run")
await 30 grep -q "FL epoch 1/3" "$work/run.log"
kill -KILL "${pids[2]}"
status=0
wait "$run" || status=$?
[ $status -eq 0 ] || fail "the run with two of three sites ended with $status: $(tail -n 3 "$work/run.log")"
/usr/bin/python3 - "$work/run/report.json" <<'PY'
import json, sys
report = json.load(open(sys.argv[1]))
assert report["status"] == "finished", report["status"]
last = report["rounds"][-1]["sites"]
assert [s["status"] for s in last[:2]] == ["ok", "ok"], last
assert last[2]["status"] in ("late", "failed", "dropped") and last[2]["reason"], last[2]
assert last[2]["test_accuracy"] is None and last[2]["confusion"] is None and last[2]["examples"] is None
PY

# Below the quorum: a clear message, status 1, reports of what there is.
round_deadline=2s min_sites=3 write_job "$work/quorum.yaml" 3 2 "seed: 3"
expect_status 1 "$orchestrator" --home "$work/orchestrator" run "$work/quorum.yaml" --out "$work/quorum" --approval-timeout 3s
expect_text "$work/err.log" "Part 3"

# SIGTERM in the middle of a step: gone within 5 s, status 0.
training='{optimizer: sgd, batch_size: 1, learning_rate: 0.01, local_epochs: 1000}'
min_sites=2 round_deadline=10s write_job "$work/long.yaml" 2 1 "seed: 4"
released=$(grep -c update-released "$work/serve-1.log")
"$orchestrator" --home "$work/orchestrator" run "$work/long.yaml" --out "$work/long" >"$work/long.log" 2>&1 &
run=$!
started+=("$run")
await 10 grep -q "train-started" "$work/serve-1.log"
await 10 bash -c "[ \$(grep -c train-started '$work/serve-1.log') -ge 4 ]"
kill -TERM "${pids[0]}"
ended() { ! kill -0 "${pids[0]}" 2>/dev/null; }
await 6 ended
status=0
wait "${pids[0]}" || status=$?
[ $status -eq 0 ] || fail "the daemon ended with $status after SIGTERM"
status=0
wait "$run" || status=$?
[ $status -eq 1 ] || fail "the run without its site ended with $status"
# Nothing of the abandoned step left the site.
[ "$(grep -c update-released "$work/serve-1.log")" -eq "$released" ] || fail "the stopped site released an update"

# A site that stops in mid-round and comes back: the run waits for it, and finishes.
cp "$work/serve-1.log" "$work/stopped-1.log"
serve 1
pids[0]=$served
training='{optimizer: sgd, batch_size: 1, learning_rate: 0.01, local_epochs: 20}'
min_sites=2 round_deadline=60s write_job "$work/back.yaml" 2 2 "seed: 5"
"$orchestrator" --home "$work/orchestrator" run "$work/back.yaml" --out "$work/back" >"$work/back.log" 2>&1 &
run=$!
started+=("$run")
await 20 grep -q train-started "$work/serve-1.log"
kill -TERM "${pids[0]}"
wait "${pids[0]}" || fail "the daemon ended with $? after SIGTERM"
mv "$work/serve-1.log" "$work/mid-1.log"
serve 1
pids[0]=$served
status=0
wait "$run" || status=$?
[ $status -eq 0 ] || fail "the run whose site came back ended with $status: $(tail -n 3 "$work/back.log")"
grep -q update-released "$work/serve-1.log" || fail "the site that came back released nothing"
