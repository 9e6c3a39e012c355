#!/usr/bin/env bash
# A person looks at the numbers before they leave: the researcher sees it at once, waits beyond the round's deadline, and
# gets the numbers, the refusal or the revocation that the owner decides on; Ctrl-C works meanwhile.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 2)
make_sites 2 "$port"
approve_all_policy 2
serve 1
serve 2
# Longer than a round takes on a busy machine, shorter than the owner takes below.
export round_deadline=5s training="{optimizer: lbfgs, local_iterations: 1}"

# begin NAME SEED ROUNDS HOLD: starts a run of which site 1 holds numbers; its process is in $run, its job in $id.
begin() {
  write_job "$work/$1.yaml" 2 "$3" "seed: $2"
  "$orchestrator" --home "$work/orchestrator" run "$work/$1.yaml" --out "$work/$1" >"$work/$1.log" 2>&1 &
  run=$!
  started+=("$run")
  await 20 pending_job 1
  id=$(pending_job 1)
  expect_status 0 "$datasite" --home "$work/site-1" approve "$id" --hold "$4"
  await 20 grep -q "Part 1: A person there looks at the numbers of round 1 before they leave" "$work/$1.log"
}
# ended STATUS: how the run ended.
ended() {
  local status=0
  wait "$run" || status=$?
  [ $status -eq "$1" ] || fail "the run ended with $status, expected $1"
}

# Released after the deadline: everything is as if nobody had looked, and the receipt says that somebody did.
begin released 1 2 first
sleep 6
expect_status 0 "$datasite" --home "$work/site-1" held --json
expect_status 0 "$datasite" --home "$work/site-1" release "$id" 1 --kind update
await 20 grep -q "Part 1: A person there looks at the evaluation of round 1" "$work/released.log"
expect_status 0 "$datasite" --home "$work/site-1" release "$id" 1 --kind evaluation
ended 0
expect_text "$work/released.log" "=== FL epoch 2/2 ==="
/usr/bin/python3 - "$work/released/report.json" <<'PY'
import json, sys
report = json.load(open(sys.argv[1]))
assert [site["status"] for r in report["rounds"] for site in r["sites"]] == ["ok"] * 4, report["rounds"]
first, second = (r["sites"][0]["receipt"]["protections"] for r in report["rounds"])
assert "owner" in first and "owner" not in second, (first, second)
PY
expect_status 0 "$orchestrator" receipts verify "$work/released"

# Refused: that site is left out, with the owner's reason; the others' numbers were kept meanwhile.
min_sites=1 begin refused 2 1 every
expect_status 0 "$datasite" --home "$work/site-1" release "$id" 1 --refuse --reason "too telling"
ended 0
expect_text "$work/refused.log" "Part 1 -> refused"
expect_text "$work/refused.log" "too telling"
expect_status 0 "$orchestrator" receipts verify "$work/refused"

# Revoked while the numbers are held: they never leave.
begin revoked 3 1 every
expect_status 0 "$datasite" --home "$work/site-1" revoke "$id"
ended 1
expect_text "$work/revoked.log" "Part 1 (refused)"
expect_status 1 "$datasite" --home "$work/site-1" release "$id" 1

# Interrupted while a person looks.
begin interrupted 4 1 every
kill -INT "$run"
ended 130
