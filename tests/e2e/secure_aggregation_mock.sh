#!/usr/bin/env bash
# A job with secure aggregation is tried on mock rows: averaged in clear, and yet the report shows of single sites as
# little as that of the real run will.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 3)
make_sites 3 "$port"
for i in 1 2 3; do
  serve "$i"
  expect_status 0 "$datasite" --home "$work/site-$i" mock make mnist --rows 200
done
researcher() { "$orchestrator" --home "$work/orchestrator" "$@"; }

write_job "$work/clear.yaml" 3 2 "seed: 5"
write_job "$work/secure.yaml" 3 2 "seed: 5
secure_aggregation: {enabled: true}"
expect_status 0 researcher run "$work/clear.yaml" --mock --out "$work/clear"
expect_no_text "$work/out.log" "needs no masks"
expect_status 0 researcher run "$work/secure.yaml" --mock --out "$work/secure"
expect_text "$work/out.log" "A trial needs no masks: the updates were averaged in clear, here."
expect_text "$work/secure/report.html" "A trial needs no masks"
/usr/bin/python3 - "$work/clear" "$work/secure" <<'PYTHON' || fail "a trial of a job with secure aggregation"
import json, pathlib, sys
clear, secure = (json.loads((pathlib.Path(path) / "report.json").read_text()) for path in sys.argv[1:])
for one, other in zip(clear["rounds"], secure["rounds"], strict=True):
    assert one["model_sha256"] == other["model_sha256"], "the same average, weights included"
    assert one["pooled"] == other["pooled"] and one["pooled"]["test_rows"] > 0
    for site in other["sites"]:
        known = {key for key in ("examples", "train_accuracy", "test_accuracy", "test_rows", "confusion", "train_seconds")
                 if site.get(key) is not None}
        assert site["status"] == "ok" and not known, (site["name"], known)
    assert all(site["examples"] and site["confusion"] for site in one["sites"])
PYTHON

# What two sites cannot hide from each other is refused where it is written.
write_job "$work/two.yaml" 2 2 "secure_aggregation: {enabled: true}"
expect_status 1 researcher run "$work/two.yaml" --mock
expect_text "$work/err.log" "cannot be true with two sites: each would learn the other's update by subtracting its own"
