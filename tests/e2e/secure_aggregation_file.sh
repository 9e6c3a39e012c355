#!/usr/bin/env bash
# A run that begins with a model from a file: a site that is lost in round 1 and comes back gets it with the sum of that
# round, and computes all models since then itself.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 5)
dial_in=$((port + 4)) make_sites 4 "$port"
secure_policies 4
for i in 1 2 3; do serve "$i"; done
serve_until 4 "*train-started*round=1*"
lost() { ! kill -0 "$served" 2>/dev/null; }

/usr/bin/python3 - "$work/first.bin" <<'PYTHON'
import struct, sys
with open(sys.argv[1], "wb") as file:
    file.write(b"".join(struct.pack("<d", (i % 7 - 3) / 1000) for i in range(7850)))
PYTHON
training='{optimizer: sgd, batch_size: 1, learning_rate: 0.01, local_epochs: 20}'
min_sites=3 round_deadline=6s write_job "$work/file.yaml" 4 50 "secure_aggregation: {enabled: true, key_batch: 2}"
sed -i "s/^model: .*/model: {kind: softmax-regression, init: \"sha256:$(sha256sum "$work/first.bin" | cut -d' ' -f1)\"}/" \
  "$work/file.yaml"
"$orchestrator" --home "$work/orchestrator" run "$work/file.yaml" --init-model "$work/first.bin" --out "$work/run" \
  >"$work/run.log" 2>&1 &
run=$!
started+=("$run")
await 30 lost
await 30 grep -q "FL epoch 1/50" "$work/run.log"
serve 4
revealed_twice() { [ "$(grep -c shares-revealed "$work/serve-4.log")" -ge 2 ]; }
cancel_after "$run" 60 revealed_twice

/usr/bin/python3 - "$work/run/report.json" <<'PYTHON' || fail "the site that came back did not take part again"
import json, sys
report = json.load(open(sys.argv[1]))
rounds = [[i + 1 for i, site in enumerate(r["sites"]) if site["status"] == "ok"] for r in report["rounds"]]
assert report["status"] == "cancelled", report["reason"]
assert rounds[0] == [1, 2, 3] and [1, 2, 3, 4] in rounds, rounds
PYTHON
expect_text "$work/serve-4.log" "input-released"
