#!/usr/bin/env bash
# Rounds without training, by the real programs, beside bench_round_reference; both below TMPDIR. Called by tests/bench/run,
# which pins it to one core: everything started here inherits that.
#   round.sh REPEATS ROUNDS        prints: round <ours ms> <reference ms> <ratio>, medians over the repeats
# Environment: DATASITE_BIN, DATASITE_SOURCE_DIR.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"
repeats=$1 rounds=$2

# Two sites of 130 rows: more than the 100 training rows below which nothing is released, and next to no training.
port=$(free_ports 2)
"$orchestrator" --home "$work/orchestrator" init --name researcher >/dev/null
line=$("$orchestrator" --home "$work/orchestrator" invite)
for i in 1 2; do
  "$datasite" --home "$work/site-$i" init --name "Part $i" --listen "tcp://127.0.0.1:$((port + i - 1))" >/dev/null
  "$datasite" --home "$work/site-$i" import idx "$data/subset-train-images.idx3" "$data/subset-train-labels.idx1" \
    --name mnist --rows "$((i * 130)):$((i * 130 + 130))" >/dev/null
  "$datasite" --home "$work/site-$i" trust add "$line" >/dev/null
  "$datasite" --home "$work/site-$i" invite | "$orchestrator" --home "$work/orchestrator" sites add - >/dev/null
  approve_all_policy $i "$rounds"
  serve $i
done

# run_rounds: milliseconds a round, from the approval to the end of the run, loading of rows and EndRun included.
training='{optimizer: lbfgs, local_iterations: 1}'
run_rounds() {
  write_job "$work/job.yaml" 2 "$rounds" 'evaluation: {test_fraction: 0.01, metrics: none}'
  sed -i "s/^job: test/job: round-$1/" "$work/job.yaml"
  "$orchestrator" --home "$work/orchestrator" run "$work/job.yaml" --out "$work/run-$1" >"$work/run-$1.log" 2>&1 ||
    fail "the run did not end well: $(tail -n 3 "$work/run-$1.log")"
  /usr/bin/python3 - "$work/run-$1/run.db" <<'PY'
import sqlite3, sys
approved, ended, rounds = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True).execute(
    "SELECT approved_at, ended_at, (SELECT count(*) FROM round WHERE model IS NOT NULL) FROM run").fetchone()
print((ended - approved) / rounds)
PY
}

mkdir "$work/reference"
: >"$work/figures"
for ((repeat = 1; repeat <= repeats; repeat++)); do
  ours=$(run_rounds "$repeat")
  reference=$("$DATASITE_BIN/bench_round_reference" --rounds "$rounds" "$work/reference" | cut -d ' ' -f 2)
  printf '%s %s\n' "$ours" "$reference" >>"$work/figures"
done
/usr/bin/python3 - "$work/figures" <<'PY'
import statistics, sys
pairs = [tuple(map(float, line.split())) for line in open(sys.argv[1])]
print("round %.3f %.3f %.3f" % (statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs),
                                statistics.median(a / b for a, b in pairs)))
PY
