#!/usr/bin/env bash
# Sites for masked.py, which runs the same jobs in clear and with secure aggregation; all of it below TMPDIR. Called by
# tests/bench/run.
#   masked.sh SITES IMAGES LABELS TEST-IMAGES TEST-LABELS SEEDS ROUNDS
# Environment: DATASITE_BIN, DATASITE_SOURCE_DIR.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"
here=$DATASITE_SOURCE_DIR/tests/bench
sites=$1 images=$2 labels=$3 test_images=$4 test_labels=$5 seeds=$6 rounds=$7
port=$(free_ports "$sites")
"$orchestrator" --home "$work/orchestrator" init --name researcher >/dev/null
line=$("$orchestrator" --home "$work/orchestrator" invite)
for ((i = 1; i <= sites; i++)); do
  "$datasite" --home "$work/site-$i" init --name "Part $i" --listen "tcp://127.0.0.1:$((port + i - 1))" >/dev/null
  "$datasite" --home "$work/site-$i" import idx "$images" "$labels" --name mnist --partition iid --part "$i/$sites" >/dev/null
  "$datasite" --home "$work/site-$i" trust add "$line" >/dev/null
  "$datasite" --home "$work/site-$i" invite | "$orchestrator" --home "$work/orchestrator" sites add - >/dev/null
done
secure_policies "$sites"
for ((i = 1; i <= sites; i++)); do serve "$i"; done

# both NAME: NAME-clear.yaml and NAME-masked.yaml, whose model masked.py completes.
both() {
  local evaluation="evaluation: {metrics: none, global_test: {images: \"$test_images\", labels: \"$test_labels\"}}"
  write_job "$work/$1-clear.yaml" "$sites" "$rounds" "$evaluation"
  write_job "$work/$1-masked.yaml" "$sites" "$rounds" "$evaluation
secure_aggregation: {enabled: true}"
}
export round_deadline=120s
training='{optimizer: lbfgs, local_iterations: 60}' both lbfgs
training='{optimizer: sgd, batch_size: 64, learning_rate: 0.1, momentum: 0.9, local_epochs: 1}' both sgd
/usr/bin/python3 "$here/masked.py" --seeds "$seeds" -- "$work"
