#!/usr/bin/env bash
# A job is tried before anybody approves it: mock rows are made, listed, fetched, and a whole run is done on them, marked
# MOCK everywhere, while the sites are asked for nothing.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 2)
make_sites 2 "$port"
serve 1
serve 2
researcher() { "$orchestrator" --home "$work/orchestrator" "$@"; }
write_job "$work/job.yaml" 2 2 "seed: 5"

# Before the owners have made any: nothing is told, and the run says who would have to type what.
expect_status 0 researcher sites data
expect_text "$work/out.log" "No site tells us of any dataset"
expect_status 1 researcher sites data --fetch "$work/nothing"
expect_text "$work/err.log" "No mock rows were fetched."
expect_status 1 researcher run "$work/job.yaml" --mock
expect_text "$work/err.log" "Part 2: It tells us of no dataset \"mnist\""
expect_text "$work/err.log" "datasite mock make mnist"

for i in 1 2; do
  expect_status 0 "$datasite" --home "$work/site-$i" mock make mnist --rows 300
  expect_text "$work/out.log" "Made 300 synthetic rows"
  expect_text "$work/out.log" "None of its 1000 private rows is among them."
  expect_text "$work/out.log" "may now learn that"
done
expect_status 0 "$datasite" --home "$work/site-1" mock list
expect_text "$work/out.log" "peers"
expect_status 0 "$datasite" --home "$work/site-1" mock show mnist
expect_text "$work/out.log" "MOCK of   mnist"
expect_status 2 "$datasite" --home "$work/site-1" mock make mnist --ranges "$work/job.yaml"
expect_status 1 "$datasite" --home "$work/site-1" mock show none

expect_status 0 researcher sites data
expect_text "$work/out.log" "Part 2"
expect_text "$work/out.log" "300"
researcher sites data --site "Part 1" --fetch "$work/fetched" --json >"$work/data.json"
/usr/bin/python3 - "$work/data.json" "$data/subset-train-images.idx3" <<'PYTHON' || fail "sites data --fetch"
import json, pathlib, sys
answer = json.load(open(sys.argv[1]))
assert answer["silent"] == [] and len(answer["datasets"]) == 1, answer
dataset = answer["datasets"][0]
assert (dataset["site"], dataset["dataset"], dataset["kind"]) == ("Part 1", "mnist", "bytes"), dataset
assert (dataset["features"], dataset["classes"], dataset["rows"], dataset["mock_rows"]) == (784, 10, 1000, 300), dataset
images = (pathlib.Path(dataset["saved"]) / "MOCK-images.idx3").read_bytes()
labels = (pathlib.Path(dataset["saved"]) / "MOCK-labels.idx1").read_bytes()
assert len(images) == 16 + 300 * 784 and len(labels) == 8 + 300
private = pathlib.Path(sys.argv[2]).read_bytes()[16:]
rows = {private[i : i + 784] for i in range(0, len(private), 784)}
assert all(images[16 + i : 16 + i + 784] not in rows for i in range(0, 300 * 784, 784))
PYTHON

# The whole job, twice: the same seed makes the same model.
expect_status 0 researcher run "$work/job.yaml" --mock --out "$work/run"
for words in "=== FL epoch 2/2 on MOCK data ===" "MOCK: every row was synthetic"; do expect_text "$work/out.log" "$words"; done
expect_status 0 researcher run "$work/job.yaml" --mock --out "$work/again"
/usr/bin/python3 - "$work/run" "$work/again" <<'PYTHON' || fail "what a run on mock data leaves behind"
import csv, json, pathlib, struct, sys
run, again = (pathlib.Path(path) for path in sys.argv[1:])
report, other = (json.load(open(path / "report.json")) for path in (run, again))
assert report["mock"] is True and report["status"] == "finished" and len(report["rounds"]) == 2
assert report["timing"]["approved_at"] is None
assert [r["model_sha256"] for r in report["rounds"]] == [r["model_sha256"] for r in other["rounds"]]
last = report["rounds"][-1]
assert last["pooled"]["test_accuracy"] > 0.5, last["pooled"]["test_accuracy"]
assert sum(map(sum, last["pooled"]["confusion"])) + sum(site["examples"] for site in last["sites"]) == 600
page = (run / "report.html").read_text()
assert "<title>MOCK: " in page and "every row of this run is synthetic" in page and "rows stayed where" not in page
for name in "rounds.csv", "confusion.csv":
    assert all(row["mock"] == "MOCK" for row in csv.DictReader(open(run / name)))
model = (run / "model.safetensors").read_bytes()
header = json.loads(model[8 : 8 + struct.unpack("<Q", model[:8])[0]])
assert header["__metadata__"]["mock"] == "true"
PYTHON
expect_status 0 researcher runs
expect_text "$work/out.log" "MOCK: test"
expect_status 0 researcher report --confusion 1
expect_text "$work/out.log" "MOCK: every row was synthetic"
expect_status 0 researcher receipts list
expect_text "$work/out.log" "no site released anything"
expect_status 1 researcher receipts verify
expect_text "$work/err.log" "no site released anything"
expect_no_text "$work/err.log" "do not hold"
rm "$work/run/report.html"
expect_status 0 researcher report --out "$work/redone"
expect_text "$work/redone/report.html" "MOCK: every row of this run is synthetic"

# No site has heard of the job, and nothing was released.
for i in 1 2; do
  "$datasite" --home "$work/site-$i" requests --json | /usr/bin/python3 -c 'import json,sys
assert json.load(sys.stdin)["requests"] == []' || fail "site $i has a job"
done
for log in "$work"/serve-*.log; do expect_no_text "$log" "job-received"; done

# Taken back, and not told by policy: gone for the researcher.
expect_status 0 "$datasite" --home "$work/site-1" mock remove mnist
printf 'output: {list: nobody}\n' >"$work/site-2/policy.yaml"
kill -HUP "$served"
hidden() { researcher sites data --json | grep -q '"datasets": \[\]'; }
await 10 hidden
expect_status 1 researcher run "$work/job.yaml" --mock
