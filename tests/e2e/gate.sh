#!/usr/bin/env bash
# The output gate with its defaults, on little data: no small count leaves, a zero reads as any other small count, the
# reports have nulls, and the owners are told what stayed at home.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 2)
make_sites 2 "$port"
for i in 1 2; do
  approve_all_policy "$i"
  serve "$i"
done
write_job "$work/job.yaml" 2 2 "evaluation: {test_fraction: 0.5}"
expect_status 0 "$orchestrator" --home "$work/orchestrator" run "$work/job.yaml" --out "$work/run"
cp "$work/out.log" "$work/run.log"
expect_text "$work/run.log" "withheld, as it or a count beside it is below a site's minimum"
/usr/bin/python3 - "$work/run/report.json" "$work/run/confusion.csv" <<'PY'
import csv, json, sys
report = json.load(open(sys.argv[1]))
withheld = 0
def look(part, minimum):
    global withheld
    rows = part["confusion"]
    assert len(rows) == 10 and all(len(row) == 10 for row in rows)
    for true, row in enumerate(rows):
        assert all(count is None or count >= minimum for count in row), row
        if None in row:
            withheld += 1
            assert row[true] is None, "the diagonal would give a single small count away"
for one in report["rounds"]:
    for site in one["sites"]:
        assert site["examples"] > 100 and site["test_rows"] > 100
        look(site, 10)
        # Right and wrong answers are counts too.
        for accuracy, rows in ((site["test_accuracy"], site["test_rows"]), (site["train_accuracy"], site["examples"])):
            assert accuracy is None or 10 <= round(accuracy * rows) <= rows - 10, (accuracy, rows)
    look(one["pooled"], 20)
    assert one["pooled"]["test_rows"] == sum(site["test_rows"] for site in one["sites"])
assert withheld > 0
assert report["rounds"][-1]["pooled"]["test_accuracy"] > 0.7, "many answers are right and many wrong: it may leave"
lines = list(csv.reader(open(sys.argv[2])))
assert any("" in line[4:] for line in lines[1:]) and not any("0" in line[4:] for line in lines[1:])
PY
expect_text "$work/run/report.html" "withheld: below the site’s minimum"
grep -qE 'cells-suppressed.* of 100 cells withheld' "$work/serve-1.log" || fail "the log does not say what was withheld"
expect_status 0 "$datasite" --home "$work/site-1" audit
grep -qE 'cells-suppressed.* of 100 cells withheld' "$work/out.log" || fail "the audit does not say what was withheld"
expect_status 0 "$datasite" --home "$work/site-1" audit verify

# An owner who lets less out: no number of rows, no counts. An update that cannot be weighted is not made at all.
printf 'output: {metrics: [train-accuracy]}\n' >>"$work/site-2/policy.yaml"
kill -HUP "$served"
await 10 grep -q config-reloaded "$work/serve-2.log"
min_sites=1 write_job "$work/weighted.yaml" 2 1 "seed: 2"
expect_status 0 "$orchestrator" --home "$work/orchestrator" run "$work/weighted.yaml" --out "$work/weighted"
/usr/bin/python3 - "$work/weighted/report.json" <<'PY'
import json, sys
first, second = json.load(open(sys.argv[1]))["rounds"][0]["sites"]
assert first["status"] == "ok" and second["status"] == "refused" and "weighting: equal" in second["reason"], second
PY
sed -i 's/^federation: {/federation: {weighting: equal, /' "$work/weighted.yaml"
expect_status 0 "$orchestrator" --home "$work/orchestrator" run "$work/weighted.yaml" --out "$work/equal"
/usr/bin/python3 - "$work/equal/report.json" <<'PY'
import json, sys
first, second = json.load(open(sys.argv[1]))["rounds"][0]["sites"]
assert first["status"] == second["status"] == "ok", second
assert second["examples"] is None and second["confusion"] is None and second["test_rows"] is None
PY
