#!/usr/bin/env bash
# The same job in clear and under masks, at four sites: the same model and accuracy, and nothing of a single site.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 4)
make_sites 4 "$port"
secure_policies 4
for i in 1 2 3 4; do serve "$i"; done
researcher() { "$orchestrator" --home "$work/orchestrator" "$@"; }
global="global_test: {images: \"$data/subset-test-images.idx3\", labels: \"$data/subset-test-labels.idx1\"}"

write_job "$work/clear.yaml" 4 3 "seed: 5
evaluation: {metrics: per-site, $global}"
min_sites=3 write_job "$work/secure.yaml" 4 3 "seed: 5
evaluation: {metrics: pooled, $global}
secure_aggregation: {enabled: true, key_batch: 2}"
expect_status 0 researcher run "$work/clear.yaml" --out "$work/clear"
expect_status 0 researcher run "$work/secure.yaml" --out "$work/secure"
cp "$work/out.log" "$work/secure.txt"
expect_text "$work/secure.txt" "=== FL epoch 3/3 ==="
expect_text "$work/secure.txt" "secure aggregation"
expect_text "$work/secure/report.html" "secure aggregation"

/usr/bin/python3 - "$work/clear" "$work/secure" <<'PYTHON' || fail "the job under masks"
import json, pathlib, struct, sys
folders = [pathlib.Path(path) for path in sys.argv[1:]]
clear, secure = (json.loads((folder / "report.json").read_text()) for folder in folders)
assert clear["status"] == secure["status"] == "finished" and len(secure["rounds"]) == 3

def parameters(folder):
    model = (folder / "model.safetensors").read_bytes()
    data = model[8 + struct.unpack("<Q", model[:8])[0] :]
    return struct.unpack(f"<{len(data) // 8}d", data)

largest = max(abs(a - b) for a, b in zip(*map(parameters, folders), strict=True))
print(f"largest difference of a parameter: {largest:g}")
assert largest < 1e-9, largest
for one, other in zip(clear["rounds"], secure["rounds"], strict=True):
    assert [site["status"] for site in other["sites"]] == ["ok"] * 4, other["sites"]
    for site in other["sites"]:
        known = {key for key in ("examples", "train_accuracy", "test_accuracy", "test_rows", "confusion")
                 if site[key] is not None}
        assert not known, (site["name"], known)
    # 0.05 points, on the rows that the orchestrator has and on those of all sites together.
    for where in ("global_test", "pooled"):
        name = "accuracy" if where == "global_test" else "test_accuracy"
        difference = abs(one[where][name] - other[where][name])
        assert difference <= 0.0005, (one["round"], where, one[where][name], other[where][name])
        assert one[where]["test_rows"] == other[where]["test_rows"]
    assert sum(map(sum, other["pooled"]["confusion"])) == other["pooled"]["test_rows"] > 100
assert secure["rounds"][-1]["global_test"]["accuracy"] > 0.7
PYTHON
expect_status 0 researcher receipts verify "$work/secure"

# No number of a site left it but under masks, and the site says so of itself.
for i in 1 2 3 4; do
  "$datasite" --home "$work/site-$i" audit --json >"$work/audit-$i.json"
  /usr/bin/python3 - "$work/audit-$i.json" "$work/secure/report.json" <<'PYTHON' || fail "what left site $i"
import json, sys
events = json.load(open(sys.argv[1]))["events"]
job = json.load(open(sys.argv[2]))["job_id"]
kinds = [event["kind"] for event in events if event.get("job_id") == job]
assert kinds.count("input-released") == 4, kinds  # three rounds, and the counts of the last model
assert kinds.count("round-agreed") == kinds.count("shares-revealed") == 4, kinds
assert "update-released" not in kinds and "evaluation-released" not in kinds, kinds
PYTHON
  expect_status 0 "$datasite" --home "$work/site-$i" audit verify
done
