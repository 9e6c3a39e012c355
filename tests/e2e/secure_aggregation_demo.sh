#!/usr/bin/env bash
# The demo of secure aggregation on the small subset: one of four sites is killed in the middle of round 3, and the run goes
# on without it to its end.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
secure=(--some)
port=$(free_ports 4)
expect_status 2 "$scripts/demo" --secure-aggregation --sites 3
expect_text "$work/err.log" "at least four"
expect_status 0 "$scripts/demo" --secure-aggregation --dataset subset --rounds 4 --port "$port" --dir "$work/launch" \
  --out "$work/run"
expect_text "$work/out.log" "4 DataSites Up and Running."
expect_text "$work/out.log" "The contributors of two sums differ by 1 site: the difference of these sums gives away"
expect_no_text "$work/out.log" "not known to anybody"
expect_text "$work/err.log" "--- Part 4 was killed as it trained in round 3"
expect_text "$work/err.log" "MNIST subset Part 4 has ended (status 137); the others stay up."
expect_text "$work/launch/site-4/serve.log" "train-started"
/usr/bin/python3 - "$work/run/report.json" <<'PYTHON' || fail "the demo's run"
import json, sys
report = json.load(open(sys.argv[1]))
assert report["status"] == "finished" and report["min_sites"] == 3
statuses = [[site["status"] for site in r["sites"]] for r in report["rounds"]]
assert statuses == [["ok"] * 4] * 2 + [["ok"] * 3 + ["dropped"]] * 2, statuses
for r in report["rounds"]:
    assert r["pooled"]["confusion"] and all(site["confusion"] is None for site in r["sites"])
PYTHON
expect_status 0 "$orchestrator" receipts verify "$work/run"
gone() { ! ss -Htlnp "sport >= :$port and sport <= :$((port + 3))" | grep -q datasite; }
await 10 gone
