#!/usr/bin/env bash
# The first set-up is cut off, or fails: no process stays, and the next demo in the same folder works or says why.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 2)
demo() { "$scripts/demo" --dataset subset --rounds 1 --port "$port" --dir "$work/launch" "$@"; }

# Cut off after some of the set-up, at several moments.
for wait in 0.05 0.2 0.4; do
  "$scripts/demo" --dataset subset --rounds 1 --port "$port" --dir "$work/launch" >"$work/cut.log" 2>&1 &
  cut=$!
  started+=("$cut")
  sleep "$wait"
  kill -TERM "$cut" 2>/dev/null || true
  wait "$cut" 2>/dev/null || true
  nobody() { ! pgrep -f "$work/launch/" >/dev/null; }
  await 10 nobody
done
demo >"$work/demo.log" 2>&1 || fail "the demo does not recover from a set-up that was cut off: $(tail -n 3 "$work/demo.log")"

# An import that fails must not look like a launch: its sentence, status 1, no banner; and the next launch works.
mkdir "$work/broken"
ln -s "$orchestrator" "$work/broken/orchestrator"
cat >"$work/broken/datasite" <<SH
#!/bin/sh
case "\$*" in *site-2*"import idx"*) echo "datasite import idx: no room" >&2; exit 1 ;; esac
exec "$datasite" "\$@"
SH
chmod +x "$work/broken/datasite"
DATASITE_BIN=$work/broken expect_status 1 "$scripts/launch_datasites" --dataset subset --port "$port" --dir "$work/second"
expect_text "$work/err.log" "no room"
expect_no_text "$work/out.log" "Up and Running"
demo --dir "$work/second" >"$work/demo.log" 2>&1 || fail "the demo does not recover from a failed import"

# --keep in a pipe returns.
# shellcheck disable=SC2016
timeout 60 bash -c '"$0" "$@" | cat' "$scripts/demo" --dataset subset --rounds 1 --port "$port" --dir "$work/launch" --keep \
  >"$work/keep.log" 2>&1 || fail "demo --keep in a pipe did not return"
expect_text "$work/keep.log" "Up and Running"
expect_status 0 "$scripts/launch_datasites" --stop --dir "$work/launch"

expect_status 2 demo --partition dirichlet:0
expect_text "$work/err.log" "above 0"
expect_status 2 demo --partition sideways
