#!/usr/bin/env bash
# An owner looks before numbers leave: what is held is listed, released or refused, and a revocation keeps it for good.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 2)
make_sites 2 "$port"
serve 1
serve 2
owner1=("$datasite" --home "$work/site-1")

# start_run NAME: submits the job, approves it at site 2; the id is in $id, the process in $run.
start_run() {
  "$orchestrator" --home "$work/orchestrator" run "$work/$1.yaml" --out "$work/$1" >"$work/$1.log" 2>&1 &
  run=$!
  started+=("$run")
  await 10 pending_job 1
  await 10 pending_job 2
  id=$(pending_job 1)
  expect_status 0 "$datasite" --home "$work/site-2" approve "$id"
}
# holds KIND ROUND: whether site 1 holds such an answer.
holds() { "${owner1[@]}" held "$id" --json | /usr/bin/python3 -c '
import json, sys
held = json.load(sys.stdin)["held"]
sys.exit(0 if [h for h in held if h["kind"] == sys.argv[1] and h["round"] == int(sys.argv[2])] else 1)' "$1" "$2"; }

# The first answers of each kind wait; the rest of the run goes on by itself.
write_job "$work/first.yaml" 2 3
start_run first
expect_status 2 "${owner1[@]}" approve "$id" --hold sometimes
expect_status 0 "${owner1[@]}" approve "$id" --hold first
expect_text "$work/out.log" "held ${id:0:12}"
await 20 holds update 1
await 10 grep -qi "a person" "$work/first.log"
expect_status 0 "${owner1[@]}" show "$id"
expect_text "$work/out.log" "; round 1 is held"
expect_text "$work/out.log" "; hold: "
# Meanwhile the home begins nothing else at these sites, and does not disturb the run with questions.
expect_status 1 "$orchestrator" --home "$work/orchestrator" run "$work/first.yaml" --out "$work/second"
expect_text "$work/err.log" "of this home goes on with 'Part 1'"
[ ! -e "$work/second/run.db" ] || fail "a run that was refused left a record"
expect_status 0 "$orchestrator" --home "$work/orchestrator" sites data
expect_text "$work/out.log" "No site was asked or answered"
expect_text "$work/out.log" "It was not asked, because run"
expect_no_text "$work/out.log" "tells us of any dataset"
expect_status 1 "$orchestrator" --home "$work/orchestrator" sites data --fetch "$work/fetched"
expect_text "$work/err.log" "No mock rows were fetched."
expect_no_text "$work/first.log" "took this one's place"
expect_status 0 "${owner1[@]}" held
[ "$(wc -l <"$work/out.log")" -le 24 ] || fail "what is held takes more than one screen"
[ "$(awk '{ if (length($0) > m) m = length($0) } END { print m }' "$work/out.log")" -le 80 ] || fail "held is wider than 80 columns"
for words in "round 1 waits" "7850 numbers" "moved from the model" "Range" "Largest" "pixel" "first release" \
  "confusion matrix of 100 cells" "min-rows" "release ${id:0:12} 1 --kind update"; do
  expect_text "$work/out.log" "$words"
done
expect_status 1 "${owner1[@]}" release "$id" 2
expect_status 2 "${owner1[@]}" release "$id" first
expect_status 2 "${owner1[@]}" release "$id" 1 --reason "only with --refuse"
expect_status 0 "${owner1[@]}" release "$id" 1 --kind update
await 20 holds evaluation 1
expect_status 1 "${owner1[@]}" release "$id" 1 --kind update
expect_status 0 "${owner1[@]}" release "$id" 1
wait "$run" || fail "the run failed although its numbers were released: $(tail -n 5 "$work/first.log")"
expect_text "$work/first.log" "=== FL epoch 3/3 ==="
expect_status 0 "${owner1[@]}" held
expect_text "$work/out.log" "Nothing waits"
first=${id:0:12}

# Refused: the researcher reads why, and nothing of it left.
min_sites=1 round_deadline=6s write_job "$work/refused.yaml" 2 1 "seed: 1"
start_run refused
expect_status 0 "${owner1[@]}" show "$id"
expect_text "$work/out.log" "approved job $first, except in 5 places: --diff $first"
expect_status 0 "${owner1[@]}" show "$id" --diff "$first"
expect_text "$work/out.log" "federation.rounds: 3 -> 1"
expect_text "$work/out.log" "seed: 0 -> 1"
expect_status 0 "${owner1[@]}" show "$id" --diff "$id"
expect_text "$work/out.log" "ask for the same"
expect_status 0 "${owner1[@]}" approve "$id" --hold every
await 20 holds update 1
expect_status 0 "${owner1[@]}" held "${id:0:12}"
expect_status 0 "${owner1[@]}" release "$id" 1 --refuse --reason "the norm is too large for us"
wait "$run" || true
expect_text "$work/refused.log" "the norm is too large for us"

# Revoked while it waits: it never leaves.
min_sites=1 round_deadline=6s write_job "$work/revoked.yaml" 2 1 "seed: 2"
start_run revoked
expect_status 0 "${owner1[@]}" approve "$id" --hold final
await 20 holds update 1
expect_status 0 "${owner1[@]}" revoke "$id"
expect_status 1 "${owner1[@]}" release "$id" 1
wait "$run" || true
expect_text "$work/revoked.log" "revoked"
