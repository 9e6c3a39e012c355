#!/usr/bin/env bash
# Ctrl-C in the middle of a run: status 130, everything that was started is stopped, the reports so far are there.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 2)
# A process group of its own, as a terminal would give it.
# shellcheck disable=SC2016
setsid bash -c 'trap - INT; exec "$0" "$@"' "$scripts/demo" --dataset subset --rounds 50 --port "$port" \
  --dir "$work/launch" --out "$work/run" >"$work/demo.log" 2>"$work/demo-err.log" &
demo=$!
started+=("$demo")
await 60 grep -q "FL epoch 1/50" "$work/demo.log"
group=$(ps -o pgid= -p "$demo" | tr -d ' ')
kill -INT -- "-$group"
status=0
wait "$demo" || status=$?
[ $status -eq 130 ] || fail "the demo ended with $status, expected 130"
sites_gone() { ! ss -Htlnp "sport = :$port or sport = :$((port + 1))" | grep -q .; }
await 10 sites_gone
expect_text "$work/run/report.json" '"cancelled"'
for file in report.html rounds.csv confusion.csv model.safetensors job.yaml run.db; do
  [ -s "$work/run/$file" ] || fail "$file is missing"
done
