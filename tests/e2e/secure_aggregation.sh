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

# Small steps: from a model that differs in its last bits L-BFGS goes another way.
training='{optimizer: sgd, batch_size: 10, learning_rate: 0.05, momentum: 0, local_epochs: 5}'
write_job "$work/clear.yaml" 4 3 "seed: 5
evaluation: {metrics: per-site, $global}"
min_sites=3 write_job "$work/secure.yaml" 4 3 "seed: 5
evaluation: {metrics: pooled, $global}
secure_aggregation: {enabled: true, key_batch: 2}"
expect_status 0 researcher run "$work/clear.yaml" --out "$work/clear"
expect_status 0 researcher run "$work/secure.yaml" --out "$work/secure"
cp "$work/out.log" "$work/secure.txt"
expect_text "$work/secure.txt" "=== FL epoch 3/3 ==="
expect_text "$work/secure.txt" "One site's numbers are not known to anybody: secure aggregation. The same sites were in every sum."
expect_text "$work/secure/report.html" "secure aggregation"

/usr/bin/python3 - "$work/clear" "$work/secure" <<'PYTHON' || fail "the job under masks"
import json, pathlib, sqlite3, struct, sys
folders = [pathlib.Path(path) for path in sys.argv[1:]]
clear, secure = (json.loads((folder / "report.json").read_text()) for folder in folders)
assert clear["status"] == secure["status"] == "finished" and len(secure["rounds"]) == 3

def parameters(folder):
    model = (folder / "model.safetensors").read_bytes()
    data = model[8 + struct.unpack("<Q", model[:8])[0] :]
    return struct.unpack(f"<{len(data) // 8}d", data)

def parameters_of_round(folder, number):
    with sqlite3.connect(f"file:{folder / 'run.db'}?mode=ro", uri=True) as run:
        data, = run.execute("SELECT model FROM round WHERE round = ?", (number,)).fetchone()
    return struct.unpack(f"<{len(data) // 8}d", data)

def difference(one, other):
    return max(abs(a - b) for a, b in zip(one, other, strict=True))

# Round 1 begins with the same model in both: its sums differ by no more than what is said of the integers. Later rounds
# are trained, in float32, from models that differ by that.
first = difference(*(parameters_of_round(folder, 1) for folder in folders))
last = difference(*map(parameters, folders))
bound = secure["secure_aggregation"]["quantisation_bound"]
print(f"largest difference of a parameter: {first:g} after round 1, of {bound:g} allowed; {last:g} in the end")
assert first <= bound < 1e-9, (first, bound)
assert last < 1e-5, last
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

# What is judged when a test ends notices what it is there for: copies of these databases, in each of which one thing is
# changed.
doctored=$work/doctored
doctored() { # SENTENCE DATABASE SQL, empty: unchanged
  doctor "$doctored" "$2" "$3"
  local status=0
  /usr/bin/python3 "$DATASITE_SOURCE_DIR/tests/e2e/secagg_record.py" "$doctored" --some >"$work/judged.txt" 2>&1 || status=$?
  if [ -z "$1" ]; then
    [ $status -eq 0 ] || fail "unchanged databases were not accepted: $(cat "$work/judged.txt")"
  else
    [ $status -eq 1 ] || fail "it was not noticed: $1"
    expect_text "$work/judged.txt" "$1"
  fi
}
doctored "" site-1/site.db ""
once="DROP TRIGGER secagg_slot_once;"
loose="CREATE TABLE loose AS SELECT * FROM secagg_given; DROP TABLE secagg_given; ALTER TABLE loose RENAME TO secagg_given;"
doctored "both kinds of share of site 2 were noted" site-1/site.db \
  "$loose INSERT INTO secagg_given SELECT run_id, slot, peer, 2 FROM secagg_given WHERE peer = 2"
doctored "other shares left than it noted" site-2/site.db \
  "$once UPDATE secagg_slot SET revealed = put(revealed, share(revealed, 2), 2) WHERE round = 1"
doctored "some sites gave b and others s" site-3/site.db \
  "$loose UPDATE secagg_given SET kind = 2 WHERE peer = 3;
   $once UPDATE secagg_slot SET revealed = put(revealed, share(revealed, 2), 2) WHERE revealed IS NOT NULL"
doctored "both kinds of share of site 1 left" site-4/site.db \
  "$once UPDATE secagg_slot SET sharers = put(sharers, 4, 1), revealed = put(revealed, share(revealed, 1), 2) WHERE round = 2"
doctored "not one share of each" site-1/site.db \
  "$once UPDATE secagg_slot SET sharers = substr(sharers, 1, 12) WHERE round = 2"
doctored "about another attempt" site-1/site.db "$once UPDATE secagg_slot SET attempt = 7 WHERE round = 2"
doctored "was agreed on 2 times" site-1/site.db \
  "DROP TRIGGER event_chained; INSERT INTO event (at, kind, job_id, run_id, round, detail)
   SELECT at, kind, job_id, run_id, round, detail FROM event WHERE kind = 'round-agreed' AND round = 1"
doctored "tell of other agreements" site-1/site.db \
  "DROP TRIGGER secagg_agreement_once; UPDATE secagg_round SET agreement = NULL WHERE round = 3"
doctored "two masked inputs left" site-2/site.db \
  "INSERT INTO answer SELECT run_id, round, kind, attempt + 1, model_digest, refused, body, event_id, released_at,
     state, receipt, update_norm, protections, reason FROM answer WHERE kind = 'masked-input' AND round = 1"
doctored "no site stored what the orchestrator received of site" secure/run.db \
  "UPDATE receipt SET received = randomblob(32) WHERE kind = 3 AND round = 2"
doctored "too few to judge" secure/run.db "DELETE FROM receipt; UPDATE run SET reason = ''"
rm -rf "$doctored"
