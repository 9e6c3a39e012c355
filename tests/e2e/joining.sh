#!/usr/bin/env bash
# Joining by invitation and by a consortium's CA; lost lines, changed keys, lines of the wrong kind.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 2)
"$orchestrator" --home "$work/orchestrator" init --name researcher --ca >"$work/init.log"
for i in 1 2; do
  "$datasite" --home "$work/site-$i" init --name "Part $i" --listen "tcp://127.0.0.1:$((port + i - 1))" >>"$work/init.log"
  "$datasite" --home "$work/site-$i" import idx "$data/subset-train-images.idx3" "$data/subset-train-labels.idx1" \
    --name mnist --partition iid --part "$i/2" >/dev/null
done
expect_text "$work/init.log" "sha256:"
[ "$(stat -c %a "$work/site-1/keys/identity.key")" = 600 ] || fail "the key is not 0600"
expect_status 1 "$datasite" --home "$work/site-1" init --name again --listen "tcp://127.0.0.1:$port"

line=$("$datasite" --home "$work/site-1" invite)
mine=$("$orchestrator" --home "$work/orchestrator" invite)
# Cut off, empty, of the wrong kind: sentences.
expect_status 1 "$orchestrator" --home "$work/orchestrator" sites add "${line:0:60}"
expect_text "$work/err.log" "datasite invite"
expect_status 1 "$orchestrator" --home "$work/orchestrator" sites add ""
expect_status 1 "$orchestrator" --home "$work/orchestrator" sites add "$mine"
expect_text "$work/err.log" "trust add"
expect_status 1 "$datasite" --home "$work/site-1" trust add "$line"
expect_text "$work/err.log" "sites add"
expect_status 0 "$orchestrator" --home "$work/orchestrator" sites add "$line"
expect_status 0 "$orchestrator" --home "$work/orchestrator" sites add "$line"
# The same name with another key.
other=${line/Part 1/Part 1}
other=$("$datasite" --home "$work/site-2" invite | sed 's/Part 2/Part 1/')
expect_status 1 "$orchestrator" --home "$work/orchestrator" sites add "$other"
expect_text "$work/err.log" "sites remove"

# Site 1 trusts by invitation; site 2 only through the CA.
expect_status 0 "$datasite" --home "$work/site-1" trust add "$mine"
"$datasite" --home "$work/site-2" invite | "$orchestrator" --home "$work/orchestrator" sites add - >/dev/null
"$datasite" --home "$work/site-2" trust request >"$work/request.pem"
expect_status 0 "$orchestrator" --home "$work/orchestrator" sites issue "$work/request.pem" --out "$work/chain.pem"
expect_status 0 "$datasite" --home "$work/site-2" trust install "$work/chain.pem" --ca "$(find "$work/orchestrator" -name ca.crt)"
serve 1
serve 2
# status: whole milliseconds and three decimals, and what each site runs.
expect_status 0 "$orchestrator" --home "$work/orchestrator" status --json
/usr/bin/python3 - "$work/out.log" <<'PY'
import json, re, sys
text = open(sys.argv[1]).read()
status = json.loads(text)
assert status["version"] == 1 and len(status["sites"]) == 2, text
for site in status["sites"]:
    assert site["up"] and re.fullmatch(r"datasite \d+\.\d+\.\d+", site["software"]), site
for figure in re.findall(r'"round_trip_ms": ([^,\n]+)', text):
    assert re.fullmatch(r"\d+\.\d{1,3}", figure), figure
PY
write_job "$work/job.yaml" 2 1
"$orchestrator" --home "$work/orchestrator" run "$work/job.yaml" --out "$work/run" >"$work/run.log" 2>&1 &
run=$!
started+=("$run")
for i in 1 2; do
  await 10 pending_job "$i"
  "$datasite" --home "$work/site-$i" approve "$(pending_job "$i")" >/dev/null
done
wait "$run" || fail "the run over invitation and CA failed: $(tail -n 3 "$work/run.log")"

# A stranger that nobody invited gets a sentence and no job is stored.
"$orchestrator" --home "$work/stranger" init --name stranger >/dev/null
line=$("$datasite" --home "$work/site-1" invite)
"$orchestrator" --home "$work/stranger" sites add "$line" >/dev/null
write_job "$work/stranger.yaml" 1 1 "seed: 9"
before=$("$datasite" --home "$work/site-1" requests --all --json)
expect_status 1 "$orchestrator" --home "$work/stranger" run "$work/stranger.yaml" --out "$work/stranger-run" --approval-timeout 3s
expect_text "$work/err.log" "trust add"
[ "$before" = "$("$datasite" --home "$work/site-1" requests --all --json)" ] || fail "the stranger's job was stored"
