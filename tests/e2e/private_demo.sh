#!/usr/bin/env bash
# The demo with privacy on the small subset: at each site by itself, and of four sites together, of which one is
# killed.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
private=(--some)
port=$(free_ports 4)
expect_status 2 "$scripts/demo" --privacy 0
expect_text "$work/err.log" "--privacy wants an epsilon above 0"
expect_status 2 "$scripts/demo" --privacy 3 --manual-approval
expect_status 2 "$scripts/demo" --privacy 3 --rounds 60
expect_text "$work/err.log" "at most 50"
private_demo() { "$scripts/demo" --privacy 3 --dataset subset --port "$port" "$@"; }

# judge FOLDER MECHANISM ROUNDS: the job asked for epsilon 3 and took no more.
judge() {
  /usr/bin/python3 - "$1/report.json" "$2" "$3" <<'PYTHON' || fail "the report of $1"
import json, sys
report = json.load(open(sys.argv[1]))
assert report["status"] == "finished" and len(report["rounds"]) == int(sys.argv[3])
privacy = report["privacy"]
assert privacy["mechanism"] == sys.argv[2] and privacy["target_epsilon"] == 3 and 2.9 < privacy["epsilon"] <= 3, privacy
result = report["averaged"] or report["rounds"][-1]
accuracy = 100 * result["global_test"]["accuracy"]
print(f"{accuracy:.2f}")
PYTHON
}

expect_status 0 private_demo --rounds 3 --dir "$work/each" --out "$work/each-run"
accuracy=$(judge "$work/each-run" dp-sgd 3)
grep -qE '^  without privacy +[0-9]{2}\.[0-9]{2} %$' "$work/out.log" || fail "no accuracy without privacy"
grep -qE "^  epsilon 3 +$accuracy %   at each site, delta 1e-5\$" "$work/out.log" ||
  fail "not $accuracy %: $(tail -n 30 "$work/out.log")"
grep -qE '^mnist +3 at delta 1e-05 \(sum\) +3 ' "$work/out.log" || fail "3 is not spent: $(tail -n 30 "$work/out.log")"

# Once more in the same homes: the owners allow as much again, beside what is spent.
"$scripts/launch_datasites" --sites 2 --dataset subset --port "$port" --dir "$work/each" --auto-approve --budget 3 \
  --ready-file "$work/ready" >"$work/launch.log" 2>&1 &
launcher=$!
started+=("$launcher")
await 30 test -s "$work/ready"
expect_status 0 "$datasite" --home "$work/each/site-2" budget
grep -qE '^mnist +6 at delta 2\.0[0-9]*e-05 \(sum\) +3 +0 +3 +0$' "$work/out.log" || fail "the budget: $(cat "$work/out.log")"
kill -TERM "$launcher"
wait "$launcher" || true

expect_status 0 private_demo --secure-aggregation --rounds 6 --dir "$work/all"
judge "$work/all/run" distributed-dp 6 >/dev/null
expect_text "$work/err.log" "--- Part 4 was killed as it trained in round 3"
expect_text "$work/out.log" "of all sites together, delta 1e-5"
expect_text "$work/out.log" "distributed-dp, noise"
expect_no_text "$work/out.log" "FL epoch 2/6"
gone() { ! ss -Htlnp "sport >= :$port and sport <= :$((port + 3))" | grep -q datasite; }
await 10 gone
