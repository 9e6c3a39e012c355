#!/usr/bin/env bash
# The launch script: a port in use, a stale launch, other options, a foreign folder: one clear sentence each.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 3)
launch() { "$scripts/launch_datasites" --dataset subset --port "$port" --dir "$work/launch" "$@"; }

/usr/bin/python3 -c 'import socket,sys,time
s = socket.socket(); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(); time.sleep(60)' $((port + 1)) &
occupier=$!
started+=("$occupier")
listening() { ss -Htln "sport = :$((port + 1))" | grep -q .; }
await 10 listening
expect_status 1 launch
expect_text "$work/err.log" "port $((port + 1)) is in use by"
expect_text "$work/err.log" "process $occupier"
kill "$occupier"
wait "$occupier" 2>/dev/null || true

"$scripts/launch_datasites" --dataset subset --port "$port" --dir "$work/launch" --ready-file "$work/ready" \
  >"$work/launch.log" 2>&1 &
first=$!
started+=("$first")
await 30 test -s "$work/ready"
expect_status 1 launch
expect_text "$work/err.log" "still run"
expect_text "$work/err.log" "--stop --dir $work/launch"
# Killed without a chance to clean up: a launch left behind.
kill -KILL "$first"
wait "$first" 2>/dev/null || true
expect_status 1 launch
expect_text "$work/err.log" "still run"
expect_status 0 launch --stop
expect_text "$work/out.log" "Stopped 2 processes"
expect_status 0 launch --stop
expect_text "$work/out.log" "No datasite"

expect_status 1 launch --sites 3
expect_text "$work/err.log" "other options"
mkdir "$work/foreign"
echo mine >"$work/foreign/file"
expect_status 1 "$scripts/launch_datasites" --dataset subset --dir "$work/foreign"
expect_text "$work/err.log" "not made by a launch"
expect_status 2 launch --sites 0
expect_status 2 launch --partition sideways
expect_status 2 launch --bogus

# Encrypted: keys beside the homes, and the daemons open their rows with them.
"$scripts/launch_datasites" --dataset subset --sites 1 --port $((port + 2)) --dir "$work/sealed" --encrypt \
  --ready-file "$work/sealed-ready" >"$work/sealed.log" 2>&1 &
started+=("$!")
await 30 test -s "$work/sealed-ready"
expect_status 0 "$datasite" --home "$work/sealed/site-1" data --json
expect_text "$work/out.log" '"encrypted": true'
[ "$(stat -c %a "$work/sealed/keys/site-1.key")" = 600 ] || fail "others can read the key of an encrypted site"
