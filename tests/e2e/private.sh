#!/usr/bin/env bash
# Private jobs at two sites: a budget, a run to its end, its reports, a job that no longer fits and one that does, and jobs
# without privacy, which a budget does not admit. At the end everything that left is judged (private_record.py).
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
private=(--some)
port=$(free_ports 2)
make_sites 2 "$port"
for i in 1 2; do
  approve_all_policy "$i"
  printf 'output: {min_rows: 10, min_cell: 0}\n' >>"$work/site-$i/policy.yaml"
  expect_status 0 "$datasite" --home "$work/site-$i" budget set mnist --epsilon 5 --delta 3e-5
  serve "$i"
done
researcher() { "$orchestrator" --home "$work/orchestrator" "$@"; }
budget() { "$datasite" --home "$work/site-$1" budget mnist --json >"$work/budget-$1.json"; }
global="global_test: {images: \"$data/subset-test-images.idx3\", labels: \"$data/subset-test-labels.idx1\"}"

# Three rounds with epsilon 3, on oriented gradients; the noise is in the bytes that the sites are asked to approve.
training='{optimizer: sgd, learning_rate: 1, momentum: 0.9, average_tail: 0.5}' private_job "$work/first.yaml" 2 3 "seed: 5
features: {kind: hog}
evaluation: {metrics: per-site, $global}
privacy: {mechanism: dp-sgd, clip: 0.5, target_epsilon: 3, delta: 1.0e-5, sampling_rate: 0.1, steps: 10, metrics_noise: 5}"
expect_status 0 researcher run "$work/first.yaml" --out "$work/first"
expect_text "$work/out.log" "Privacy: dp-sgd, noise multiplier"
expect_no_text "$work/first.yaml" noise_multiplier
grep -qE 'target_epsilon: 3, noise_multiplier: [0-9.]+, delta|noise_multiplier: [0-9.]+, target_epsilon: 3' "$work/first/job.yaml" ||
  fail "no noise_multiplier beside target_epsilon: $(grep privacy "$work/first/job.yaml")"
expect_status 0 researcher receipts verify "$work/first"
for i in 1 2; do budget "$i"; done
/usr/bin/python3 - "$work/first" "$work/budget-1.json" "$work/budget-2.json" <<'PYTHON' || fail "the private run"
import hashlib, json, pathlib, re, sys
folder = pathlib.Path(sys.argv[1])
report = json.loads((folder / "report.json").read_text())
budgets = [json.loads(pathlib.Path(path).read_text())["pools"][0] for path in sys.argv[2:]]
assert report["status"] == "finished" and len(report["rounds"]) == 3
job = (folder / "job.yaml").read_bytes()
assert report["job_id"].removeprefix("sha256:") == hashlib.sha256(job).hexdigest(), "the id is of other bytes"
noise = float(re.search(rb"noise_multiplier: ([0-9.]+)", job).group(1))
privacy = report["privacy"]
assert privacy["noise_multiplier"] == noise and privacy["accountant"] == "pld"
assert 2.9 < privacy["epsilon"] <= 3 < privacy["epsilon_rdp"] < 4, privacy

# Epsilon grows from round to round, and is that of the job in the end; nothing exact is anywhere.
spent = [[site["epsilon_spent"] for site in r["sites"]] for r in report["rounds"]]
assert all(0 < a < b for one, other in zip(spent, spent[1:]) for a, b in zip(one, other)), spent
assert spent[-1] == [privacy["epsilon"]] * 2, spent
for r in report["rounds"]:
    for site in r["sites"]:
        assert site["status"] == "ok" and site["examples"] == 700
        for key in ("train_accuracy", "test_accuracy", "test_rows", "confusion", "train_seconds"):
            assert site[key] is None, key
    assert r["pooled"]["confusion"] is None and r["pooled"]["test_rows"] is None
    assert (r["pooled"]["noised"] is not None) == (r["round"] == 3), "metrics of the last round alone"
noised = report["rounds"][-1]["pooled"]["noised"]
counts = sum(noised["confusion"], [])
assert len(counts) == 100 and not any(count.is_integer() for count in counts)
assert abs(noised["standard_deviation"] - 5 * 2**0.5) < 1e-3 and noised["sites"] == 2
# The test rows of both sites are about 400; the sum of 100 counts has a standard deviation of 71.
assert abs(sum(counts) - 400) < 8 * 71 + 100, sum(counts)
accuracy = report["rounds"][-1]["global_test"]["accuracy"]
print(f"noise {noise}, accuracy {accuracy:.3f}")
assert accuracy > 0.4, accuracy

# The sites' ledgers say the same, and nothing is reserved any more.
for budget in budgets:
    assert abs(budget["spent_epsilon"] - privacy["epsilon"]) < 1e-9 and budget["reserved_epsilon"] == 0, budget
    kinds = [entry["kind"] for entry in budget["entries"]]
    assert kinds.count("reserve") == 1 and kinds.count("begin") == kinds.count("settle") == 4 and kinds[-1] == "close", kinds
PYTHON

# What is left is 2: epsilon 3 no longer fits, and nothing is computed for it; the refusal says what would fit, on the safe side.
training='{optimizer: sgd, learning_rate: 1}' private_job "$work/second.yaml" 2 4 "seed: 6
evaluation: {metrics: none, $global}
privacy: {mechanism: dp-sgd, clip: 1, target_epsilon: 3, delta: 1.0e-5, sampling_rate: 0.1, steps: 10}"
expect_status 1 researcher run "$work/second.yaml" --out "$work/second"
cat "$work/out.log" "$work/err.log" >"$work/refused.txt"
expect_text "$work/refused.txt" "What would fit"
for i in 1 2; do
  cp "$work/budget-$i.json" "$work/before-$i.json"
  budget "$i"
  cmp -s "$work/budget-$i.json" "$work/before-$i.json" || fail "a job that was refused changed the ledger of site $i"
done
noise=$(grep -oE 'noise_multiplier of [0-9.]+' "$work/refused.txt" | grep -oE '[0-9.]+$' | sort -n | tail -n 1)
sed "s/target_epsilon: 3/noise_multiplier: $noise/; s/seed: 6/seed: 7/" "$work/second.yaml" >"$work/third.yaml"
expect_status 0 researcher run "$work/third.yaml" --out "$work/third"
expect_text "$work/out.log" "finished, 4 of 4 rounds"
expect_text "$work/out.log" "No counts of the sites' test rows were released"
for i in 1 2; do
  budget "$i"
  /usr/bin/python3 - "$work/budget-$i.json" <<'PYTHON' || fail "the budget of site $i"
import json, sys
budget = json.load(open(sys.argv[1]))["pools"][0]
assert 4.6 < budget["spent_epsilon"] <= 5 and budget["reserved_epsilon"] == 0, budget["spent_epsilon"]
PYTHON
done

# A trial on mock rows spends nothing; the result has the noise that was computed, and the list an estimate that says so.
for i in 1 2; do expect_status 0 "$datasite" --home "$work/site-$i" mock make mnist --rows 400; done
training='{optimizer: sgd, learning_rate: 1}' private_job "$work/trial.yaml" 2 1 "seed: 8
privacy: {mechanism: dp-sgd, clip: 1, target_epsilon: 20, delta: 1.0e-5, sampling_rate: 0.1, steps: 10, metrics_noise: 1}"
expect_status 0 researcher run "$work/trial.yaml" --mock --out "$work/trial"
expect_text "$work/out.log" "divided by the numbers of rows that the job declares"
expect_status 0 researcher run "$work/trial.yaml" --mock --json
cp "$work/out.log" "$work/trial.json"
expect_status 0 researcher runs --json
/usr/bin/python3 - "$work/trial.json" "$work/out.log" "$work/first/report.json" <<'PYTHON' || fail "the result of a trial, or the list"
import json, sys
trial, runs, first = (json.load(open(path)) for path in sys.argv[1:])
privacy = trial["privacy"]
assert privacy["target_epsilon"] == 20 and 19 < privacy["epsilon"] <= 20 and privacy["noise_multiplier"] > 0.05, privacy
runs = {run["run_id"]: run for run in runs["runs"]}
mock, real = runs[trial["run_id"]], runs[first["run_id"]]
assert mock["accuracy"] is None and mock["accuracy_noised"] is not None and mock["accuracy_noised_standard_deviation"] > 0, mock
assert real["accuracy"] == first["rounds"][-1]["global_test"]["accuracy"], real
PYTHON
expect_status 0 researcher runs
grep -qE "MOCK.* ± [0-9.]+, noised" "$work/out.log" || fail "the estimate of a trial is not marked: $(cat "$work/out.log")"

# A job whose noise is less than its own target takes does not leave the researcher; one without privacy is not computed.
sed "s/target_epsilon: 3/target_epsilon: 3, noise_multiplier: 0.3/" "$work/first.yaml" >"$work/less.yaml"
expect_status 1 researcher run "$work/less.yaml"
expect_text "$work/err.log" target_epsilon
write_job "$work/clear.yaml" 2 1
expect_status 1 researcher run "$work/clear.yaml" --out "$work/clear"
cat "$work/out.log" "$work/err.log" >"$work/refused.txt"
expect_text "$work/refused.txt" budget

# What is judged when a test ends notices what it is there for: copies of these databases, one thing changed in each.
doctored() { # SENTENCE DATABASE SQL, empty: unchanged
  local status=0
  doctor "$work/doctored" "$2" "$3"
  /usr/bin/python3 "$DATASITE_SOURCE_DIR/tests/e2e/private_record.py" "$work/doctored" --some >"$work/judged.txt" 2>&1 ||
    status=$?
  if [ -z "$1" ]; then
    [ $status -eq 0 ] || fail "unchanged databases were not accepted: $(cat "$work/judged.txt")"
  else
    [ $status -eq 1 ] || fail "it was not noticed: $1"
    expect_text "$work/judged.txt" "$1"
  fi
}
doctored "" site-1/site.db ""
update="UPDATE answer SET body ="
doctored "examples left" site-1/site.db "$update more(body, x'28e907') WHERE kind = 'update' AND round = 1"       # 5: 1001
doctored "seconds of training" site-1/site.db "$update more(body, x'31000000000000f03f') WHERE kind = 'update' AND round = 2"
doctored "metrics left" site-2/site.db "$update more(body, x'3a00') WHERE kind = 'update' AND round = 1"
doctored "exact counts left" site-2/site.db "$update more(body, x'220101') WHERE kind = 'evaluation'"
doctored "number of test rows" site-2/site.db "$update more(body, x'2864') WHERE kind = 'evaluation'"
doctored "no noised counts" site-2/site.db "$update more(body, x'3a00') WHERE kind = 'evaluation'"
doctored "have no noise" site-2/site.db "$update more(body, x'3a08000000000000f03f') WHERE kind = 'evaluation'"
doctored "does not settle" site-1/site.db "DROP TRIGGER budget_no_delete;
  DELETE FROM budget WHERE kind = 'settle' AND round = 2"
doctored "settles what did not leave" site-1/site.db "DELETE FROM answer WHERE kind = 'update' AND round = 3"
doctored "never begun" site-1/site.db "DROP TRIGGER budget_no_delete; DELETE FROM budget WHERE kind = 'begin' AND round = 2"
doctored "was reserved, and the job says" site-1/site.db "DROP TRIGGER budget_no_update;
  UPDATE budget SET noise_multiplier = 9 WHERE kind = 'reserve'"
doctored "before anything was reserved" site-1/site.db "DROP TRIGGER budget_no_delete;
  DELETE FROM budget WHERE kind = 'reserve'"
doctored "no event vouches" site-1/site.db "DROP TRIGGER budget_no_update;
  UPDATE budget SET hash = randomblob(32) WHERE kind = 'close'"
doctored "no site stored what arrived" first/run.db "UPDATE receipt SET received = randomblob(32) WHERE round = 2"
rm -rf "$work/doctored"
