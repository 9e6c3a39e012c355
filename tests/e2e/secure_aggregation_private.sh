#!/usr/bin/env bash
# Private jobs under secure aggregation at four sites: a model of gradients with momentum and the mean of the last ones,
# changes of whole sites, and statistics of features. Sites and orchestrator compute the same models, or no round would follow.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 4)
make_sites 4 "$port"
secure_policies 4
for i in 1 2 3 4; do serve "$i"; done
researcher() { "$orchestrator" --home "$work/orchestrator" "$@"; }
global="global_test: {images: \"$data/subset-test-images.idx3\", labels: \"$data/subset-test-labels.idx1\"}"

# private_job FILE ROUNDS KEYS: a job whose sites all declare 1000 rows.
private_job() {
  min_sites=3 write_job "$1" 4 "$2" "$3"
  sed -i -E '/fingerprint/ s/\}$/, examples: 1000}/' "$1"
}

training='{optimizer: sgd, learning_rate: 0.5, momentum: 0.9, average_tail: 0.25}' private_job "$work/gradients.yaml" 12 "
evaluation: {metrics: pooled, $global}
secure_aggregation: {enabled: true}
privacy: {mechanism: distributed-dp, clip: 1, noise_multiplier: 1, delta: 1.0e-5, sampling_rate: 0.2, metrics_noise: 5}"
expect_status 0 researcher run "$work/gradients.yaml" --out "$work/gradients"
private_job "$work/changes.yaml" 2 "
evaluation: {metrics: none, $global}
secure_aggregation: {enabled: true}
privacy: {mechanism: site-level, clip: 2, noise_multiplier: 0.5, delta: 1.0e-5}"
expect_status 0 researcher run "$work/changes.yaml" --out "$work/changes"
private_job "$work/statistics.yaml" 1 "
secure_aggregation: {enabled: true}
privacy: {mechanism: distributed-dp, clip: 10, noise_multiplier: 1, delta: 1.0e-5, sampling_rate: 1}"
sed -i -E '/^training:/d; s/softmax-regression/feature-statistics/' "$work/statistics.yaml"
expect_status 0 researcher run "$work/statistics.yaml" --out "$work/statistics"

/usr/bin/python3 - "$work/gradients" "$work/changes" "$work/statistics" <<'PYTHON' || fail "the private runs"
import json, pathlib, sqlite3, struct, sys
gradients, changes, statistics = map(pathlib.Path, sys.argv[1:])

def floats(data):
    return struct.unpack(f"<{len(data) // 8}d", data)

def result(folder):
    model = (folder / "model.safetensors").read_bytes()
    return floats(model[8 + struct.unpack("<Q", model[:8])[0] :])

def models(folder):
    with sqlite3.connect(f"file:{folder / 'run.db'}?mode=ro", uri=True) as run:
        return [floats(data) for data, in run.execute("SELECT model FROM round WHERE model IS NOT NULL ORDER BY round")]

for folder, rounds in ((gradients, 12), (changes, 2), (statistics, 1)):
    report = json.loads((folder / "report.json").read_text())
    assert report["status"] == "finished" and len(report["rounds"]) == rounds, folder
    for one in report["rounds"]:
        for site in one["sites"]:
            assert site["status"] == "ok", site
            known = {key for key in ("train_accuracy", "test_accuracy", "test_rows", "confusion") if site[key] is not None}
            assert not known, known

# The result is the mean of the last three models.
last = models(gradients)[-3:]
mean = [sum(values) / 3 for values in zip(*last, strict=True)]
assert max(abs(a - b) for a, b in zip(mean, result(gradients), strict=True)) < 1e-12
assert max(abs(a - b) for a, b in zip(last[-1], result(gradients), strict=True)) > 1e-6
accuracy = json.loads((gradients / "report.json").read_text())["rounds"][-1]["global_test"]["accuracy"]
print(f"accuracy of the last model {accuracy:.3f}")
assert accuracy > 0.5, accuracy

# Pixels are from 0 to 1, and black at the edge.
values = models(statistics)[0]
assert len(values) == 2 * 784
inside = values[14 * 28 + 14]
print(f"mean of a pixel in the middle {inside:.3f}, at the edge {values[0]:.3f}")
assert 0.1 < inside < 1 and abs(values[0]) < 0.1
PYTHON
