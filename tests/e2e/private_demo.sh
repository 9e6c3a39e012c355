#!/usr/bin/env bash
# The demo with privacy at each site by itself, on the small subset, and the budgets of its homes.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
private=(--some)
port=$(free_ports 2)
expect_status 2 "$scripts/demo" --privacy 0
expect_text "$work/err.log" "--privacy wants an epsilon above 0"
expect_status 2 "$scripts/demo" --privacy 3 --manual-approval
expect_status 2 "$scripts/demo" --privacy 3 --rounds 60
expect_text "$work/err.log" "at most 50"
expect_status 0 "$scripts/demo" --privacy 3 --dataset subset --port "$port" --rounds 3 --dir "$work/each" --out "$work/each-run"
expect_text "$work/err.log" "Now with privacy: for it each owner gives"
accuracy=$(judge_demo "$work/each-run" dp-sgd 3)
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
