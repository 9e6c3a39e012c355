#!/usr/bin/env bash
# Two sites for round.py, which runs rounds without training by the real programs beside bench_round_reference; all of it
# below TMPDIR. Called by tests/bench/run, which pins it to one core: everything started here inherits that.
#   round.sh REPEATS ROUNDS
# Environment: DATASITE_BIN, DATASITE_SOURCE_DIR.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"
here=$DATASITE_SOURCE_DIR/tests/bench
repeats=$1 rounds=$2

# 130 rows: more than the 100 training rows below which nothing is released.
port=$(free_ports 2)
daemons=()
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
  daemons+=("$served")
done

# The job with ROUNDS rounds, and one with a single round: one step of SGD over all rows is the least training there is.
# shellcheck disable=SC2034 # read by write_job
training='{optimizer: sgd, batch_size: 1000, learning_rate: 0.01, momentum: 0, local_epochs: 1}'
write_job "$work/job.yaml" 2 "$rounds" 'evaluation: {test_fraction: 0.01, metrics: none}'
write_job "$work/single.yaml" 2 1 'evaluation: {test_fraction: 0.01, metrics: none}'
/usr/bin/python3 "$here/round.py" --repeats "$repeats" --rounds "$rounds" --daemons "${daemons[@]}" -- "$work"
