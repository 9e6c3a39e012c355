#!/usr/bin/env bash
# The owner decides: a job waits, is shown, approved, denied; a denial stays one, also under a policy that approves.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 2)
make_sites 2 "$port"
serve 1
serve 2
write_job "$work/job.yaml" 2 2

"$orchestrator" --home "$work/orchestrator" run "$work/job.yaml" --out "$work/run" >"$work/run.log" 2>&1 &
run=$!
started+=("$run")
await 10 pending_job 1
await 10 pending_job 2
id=$(pending_job 1)
await 10 grep -q "datasite approve ${id:0:12}" "$work/run.log"
expect_text "$work/run.log" "Part 1"
expect_status 0 "$datasite" --home "$work/site-1" show "$id"
lines=$(wc -l <"$work/out.log")
[ "$lines" -le 24 ] || fail "show takes $lines lines; one screen has 24"
[ "$(awk '{ if (length($0) > m) m = length($0) } END { print m }' "$work/out.log")" -le 100 ] || fail "show is wider than 100 columns"
for words in researcher softmax mnist coefficients "$id"; do expect_text "$work/out.log" "$words"; done
expect_status 0 "$datasite" --home "$work/site-1" show --raw "$id"
cmp -s "$work/out.log" "$work/job.yaml" || fail "show --raw is not the exact job file"
# A prefix of the id does; limits may not widen.
expect_status 1 "$datasite" --home "$work/site-1" approve "${id:0:12}" --rounds 3
expect_status 0 "$datasite" --home "$work/site-1" approve "${id:0:12}"
expect_status 1 "$datasite" --home "$work/site-1" deny "$id"
expect_status 0 "$datasite" --home "$work/site-2" approve "$id"
wait "$run" || fail "the approved run failed: $(tail -n 3 "$work/run.log")"
expect_text "$work/run.log" "=== FL epoch 2/2 ==="

# The approval was for one run.
expect_status 1 "$orchestrator" --home "$work/orchestrator" run "$work/job.yaml" --out "$work/again"

# Denied: the researcher reads the reason, and sending the same bytes again does not help, whatever the policy says now.
write_job "$work/denied.yaml" 2 2 "seed: 1"
"$orchestrator" --home "$work/orchestrator" run "$work/denied.yaml" --out "$work/denied" >"$work/denied.log" 2>&1 &
run=$!
started+=("$run")
await 10 pending_job 2
id=$(pending_job 2)
expect_status 0 "$datasite" --home "$work/site-2" deny "$id" --reason "not this year"
status=0
wait "$run" || status=$?
[ $status -eq 1 ] || fail "a denied run ended with $status"
expect_text "$work/denied.log" "not this year"
approve_all_policy 1
approve_all_policy 2
for pid in "${started[@]}"; do kill -HUP "$pid" 2>/dev/null || true; done
sleep 0.5
expect_status 1 "$orchestrator" --home "$work/orchestrator" run "$work/denied.yaml" --out "$work/denied-again"
expect_text "$work/err.log" "not this year"
# Another job goes through under the policy, which can be read in words and by programs.
expect_status 0 "$datasite" --home "$work/site-1" policy
expect_text "$work/out.log" "is approved without asking when"
"$datasite" --home "$work/site-1" policy --json | /usr/bin/python3 -c 'import json,sys
policy = json.load(sys.stdin)
assert policy["default"] == "ask" and policy["output"]["min_rows"] == 100, policy
assert [(rule["action"], rule["max_runs"]) for rule in policy["rules"]] == [("approve", 1)], policy' || fail "policy --json"
# A site whose owner denied a job of this requester lately asks the owner all the same.
write_job "$work/third.yaml" 2 1 "seed: 2"
fingerprint=$("$orchestrator" --home "$work/orchestrator" invite | grep -oE 'sha256:[0-9a-f]{64}')
expect_status 0 "$datasite" --home "$work/site-1" policy test "$work/third.yaml" --requester "$fingerprint"
expect_text "$work/out.log" "The job is approved without asking."
expect_status 0 "$datasite" --home "$work/site-2" policy test "$work/third.yaml" --requester "$fingerprint"
expect_text "$work/out.log" "The owner denied or revoked job ${id:0:12}"
"$orchestrator" --home "$work/orchestrator" run "$work/third.yaml" --out "$work/third" >"$work/third.log" 2>&1 &
run=$!
started+=("$run")
await 10 pending_job 2
id=$(pending_job 2)
await 5 grep -q "job-approved job=${id:0:12} by=\"policy:test\"" "$work/serve-1.log"
await 5 grep -q "policy-overruled" "$work/serve-2.log"
expect_status 0 "$datasite" --home "$work/site-2" approve "$id"
wait "$run" || fail "the run approved by a policy and an owner failed: $(tail -n 3 "$work/third.log")"
