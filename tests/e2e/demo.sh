#!/usr/bin/env bash
# The demo on the small subset: output form, reports, everything stopped, and once more at no cost.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 2)

run_demo() {
  "$scripts/demo" --dataset subset --rounds 2 --port "$port" --dir "$work/launch" --out "$work/run" "$@" \
    >"$work/demo.log" 2>"$work/demo-err.log"
}

run_demo
rule=$(printf '=%.0s' {1..65})
banner=$(printf '%s\n2 DataSites Up and Running.\n\n1. MNIST subset Part 1: tcp://localhost:%s\n2. MNIST subset Part 2: tcp://localhost:%s\n%s' \
  "$rule" "$port" "$((port + 1))" "$rule")
[ "$(head -n 6 "$work/demo.log")" = "$banner" ] || fail "the banner differs: $(head -n 6 "$work/demo.log")"
expect_text "$work/demo.log" "=== FL epoch 1/2 ==="
expect_text "$work/demo.log" "=== FL epoch 2/2 ==="
grep -qE '^  MNIST subset Part 1 -> train=[01]\.[0-9]{4}, test=[01]\.[0-9]{4}$' "$work/demo.log" || fail "no line of site 1"
grep -qE '^  MNIST subset Part 2 -> train=[01]\.[0-9]{4}, test=[01]\.[0-9]{4}$' "$work/demo.log" || fail "no line of site 2"
expect_text "$work/demo.log" "  FedAvg epoch 2: intercept shape=(10,), coef shape=(10, 784)"
expect_text "$work/demo.log" "$work/run/report.html"
for file in report.json report.html rounds.csv confusion.csv model.safetensors job.yaml run.db; do
  [ -s "$work/run/$file" ] || fail "$file is missing"
done
expect_status 0 "$orchestrator" receipts verify "$work/run"
expect_text "$work/out.log" "All 8 receipts hold"
/usr/bin/python3 - "$work/run/report.json" "$work/run/model.safetensors" <<'PY'
import hashlib, json, sys
report = json.load(open(sys.argv[1]))
assert report["version"] == 1 and report["status"] == "finished", report["status"]
assert len(report["rounds"]) == 2
total = 0
for site in report["rounds"][-1]["sites"]:
    assert site["status"] == "ok" and site["epsilon_spent"] is None
    assert site["examples"] > 600
    total += sum(map(sum, site["confusion"]))
pooled = report["rounds"][-1]["pooled"]
assert sum(map(sum, pooled["confusion"])) == total, "the pooled matrix is over the test rows of both sites"
assert pooled["test_accuracy"] > 0.80, pooled["test_accuracy"]
assert sum(map(sum, report["rounds"][-1]["global_test"]["confusion"])) == 500
assert report["model"]["coef_shape"] == [10, 784] and report["model"]["intercept_shape"] == [10]
model = open(sys.argv[2], "rb").read()
data = 8 + int.from_bytes(model[:8], "little")
digest = hashlib.sha256(model[data:]).hexdigest()
assert digest == report["rounds"][-1]["model_sha256"], digest
assert digest == json.loads(model[8:data])["__metadata__"]["model_sha256"]
PY
if ss -Htlnp "sport = :$port or sport = :$((port + 1))" | grep -q .; then fail "a datasite still runs"; fi

# Once more in the same folders: the homes are kept, the run is a new one.
first=$(grep -o '"run_id": *"[0-9a-f]*"' "$work/run/report.json")
run_demo
[ "$first" != "$(grep -o '"run_id": *"[0-9a-f]*"' "$work/run/report.json")" ] || fail "the second run has the first one's id"

# A job that is refused in the same folder destroys nothing there.
report=$(cat "$work/run/report.json")
sed 's/localhost:[0-9]*/localhost:1/' "$work/launch/job.yaml" >"$work/launch/unreachable.yaml"
expect_status 1 "$orchestrator" --home "$work/launch/orchestrator" run "$work/launch/unreachable.yaml" \
  --out "$work/run" --connect-timeout 1s
expect_text "$work/err.log" "was left as it is"
[ "$report" = "$(cat "$work/run/report.json")" ] || fail "a run without rounds replaced the finished one"
[ "$(find "$work/launch/orchestrator/runs" -mindepth 1 -maxdepth 1 -type d | wc -l)" -eq 3 ] || fail "a record is missing"

# --keep leaves the sites up; --stop ends them.
run_demo --keep
ss -Htlnp "sport = :$port" | grep -q datasite || fail "--keep did not leave the datasites up"
expect_status 0 "$scripts/launch_datasites" --stop --dir "$work/launch"
if ss -Htlnp "sport = :$port" | grep -q datasite; then fail "--stop left a datasite"; fi
