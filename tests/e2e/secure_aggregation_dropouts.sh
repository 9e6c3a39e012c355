#!/usr/bin/env bash
# One of four sites is lost at each point of a round: every time the round completes with the other three, and a site
# that comes back takes part again. Nobody ever gets both kinds of share of one site.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 5)
dial_in=$((port + 4)) make_sites 4 "$port"
secure_policies 4
for i in 1 2 3; do serve "$i"; done
researcher() { "$orchestrator" --home "$work/orchestrator" "$@"; }

# check FOLDER EXPRESSION [STATUS]: of `rounds`, a list of the places of the sites that contributed to each.
check() {
  /usr/bin/python3 - "$1/report.json" "$2" "${3:-finished}" <<'PYTHON' || fail "$2 does not hold"
import json, sys
report = json.load(open(sys.argv[1]))
rounds = [[i + 1 for i, site in enumerate(r["sites"]) if site["status"] == "ok"] for r in report["rounds"]]
print(rounds)
assert report["status"] == sys.argv[3], report["reason"]
assert eval(sys.argv[2]), rounds
for r in report["rounds"]:
    for site in r["sites"]:
        assert site["status"] == "ok" or site["reason"], site
        assert site["examples"] is None and site["confusion"] is None
    # The model of the last round is judged by the next one, which a run that was cancelled does not have.
    assert r["pooled"]["confusion"] or (r is report["rounds"][-1] and report["status"] == "cancelled"), r["round"]
PYTHON
}

# lose WHERE PATTERN: a run of three rounds whose fourth site dies as it writes that line.
number=0
lose() {
  number=$((number + 1))
  serve_until 4 "$2"
  local lost=$served
  min_sites=3 round_deadline=6s write_job "$work/job-$number.yaml" 4 3 "seed: $number
secure_aggregation: {enabled: true, key_batch: 2}"
  expect_status 0 researcher run "$work/job-$number.yaml" --out "$work/run-$number"
  ! kill -0 "$lost" 2>/dev/null || fail "site 4 was not lost $1"
  cp "$work/serve-4.log" "$work/lost-$number.log"
}

lose "before sharing" "*keys-advertised*"
check "$work/run-1" "rounds == [[1, 2, 3]] * 3"
lose "after sharing" "*train-started*round=2*"
check "$work/run-2" "rounds == [[1, 2, 3, 4], [1, 2, 3], [1, 2, 3]]"
lose "after sending its masked input" "*round-agreed*round=2*"
check "$work/run-3" "rounds == [[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3]]"
lose "before unmasking" "*shares-revealed*round=2*"
check "$work/run-4" "rounds == [[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3]]"

# A site that comes back in the middle of a run: it computes the model that it missed from the sums, and takes part. The
# run has more rounds than a daemon needs to start and to be reached, and is cancelled when it has seen what it waits for.
serve_until 4 "*train-started*round=2*"
training='{optimizer: sgd, batch_size: 1, learning_rate: 0.01, local_epochs: 20}'
min_sites=3 round_deadline=6s write_job "$work/back.yaml" 4 50 "seed: 9
secure_aggregation: {enabled: true, key_batch: 2}"
"$orchestrator" --home "$work/orchestrator" run "$work/back.yaml" --out "$work/back" >"$work/back.log" 2>&1 &
run=$!
started+=("$run")
lost() { ! kill -0 "$served" 2>/dev/null; }
await 30 lost
await 30 grep -q "FL epoch 2/50" "$work/back.log"
serve 4
revealed_twice() { [ "$(grep -c shares-revealed "$work/serve-4.log")" -ge 2 ]; }
cancel_after "$run" 60 revealed_twice
check "$work/back" "rounds[1] == [1, 2, 3] and [1, 2, 3, 4] in rounds[2:]" cancelled

# An owner who takes the partners out of policy.yaml in the middle of a run has no more numbers in its sums; no signal is
# needed.
kill "$served"
wait "$served" || true
serve 4
min_sites=3 round_deadline=6s write_job "$work/alone.yaml" 4 12 "seed: 10
secure_aggregation: {enabled: true, key_batch: 2}"
"$orchestrator" --home "$work/orchestrator" run "$work/alone.yaml" --out "$work/alone" >"$work/alone.log" 2>&1 &
run=$!
started+=("$run")
await 30 grep -q "train-started.*round=2" "$work/serve-4.log"
sed -i '/^partners:/,$d' "$work/site-4/policy.yaml"
wait "$run" || fail "the run whose site lost its partners ended with $?: $(tail -n 3 "$work/alone.log")"
check "$work/alone" "rounds[0] == [1, 2, 3, 4] and rounds[-1] == [1, 2, 3]"
expect_text "$work/serve-4.log" "are not among \`partners\`"
expect_no_text "$work/serve-4.log" "config-reloaded"

# In all of this, shares of both kinds were needed: of sites that contributed and of the lost ones. That nobody got both of
# one site is judged when the test ends.
/usr/bin/python3 - "$work" <<'PYTHON' || fail "one kind of share was never needed"
import pathlib, sqlite3, sys
kinds = set()
for home in sorted(pathlib.Path(sys.argv[1]).glob("site-?")):
    with sqlite3.connect(f"file:{home}/site.db?mode=ro", uri=True) as site:
        kinds |= {kind for (kind,) in site.execute("SELECT DISTINCT kind FROM secagg_given")}
assert kinds == {1, 2}, kinds
PYTHON
