#!/usr/bin/env bash
# The accountant at the command line: figures of the reference, composition, what a budget buys, and bad input. No home is
# there, and none is made.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
privacy() { (cd "$work" && env -u HOME -u XDG_DATA_HOME -u ORCHESTRATOR_HOME "$orchestrator" privacy "$@"); }

# figure KEY LEAST MOST: of the JSON that was printed last.
figure() {
  /usr/bin/python3 - "$work/out.log" "$@" <<'PY' || fail "$1 is not from $2 to $3: $(cat "$work/out.log")"
import json, sys
value = json.load(open(sys.argv[1]))[sys.argv[2]]
sys.exit(not float(sys.argv[3]) <= value <= float(sys.argv[4]))
PY
}

step=(--noise-multiplier 1.3 --sampling-rate 0.004266666666666667 --steps 14063 --delta 1e-5)
expect_status 0 privacy epsilon "${step[@]}" --accountant pld --json
figure epsilon 1.75330152443 1.83284
expect_status 0 privacy epsilon "${step[@]}" --accountant rdp --json
figure epsilon 1.989068 1.989072
expect_status 0 privacy epsilon "${step[@]}" --accountant gaussian --json
figure epsilon 4548.717 4548.726
expect_text "$work/err.log" "every record in every step"
expect_status 0 privacy epsilon --noise-multiplier 4 --delta 1e-6 --accountant gaussian --json
figure epsilon 1.0607008 1.060703
[ ! -s "$work/err.log" ] || fail "something was said: $(cat "$work/err.log")"
expect_status 0 privacy epsilon "${step[@]}"
expect_text "$work/out.log" "epsilon 1.82"
expect_text "$work/out.log" "at delta 1e-05 (pld)"

# The same steps as two events, and another event on top.
expect_status 0 privacy epsilon --event 1.3:0.004266666666666667:14000 --event 1.3:0.004266666666666667:63 --delta 1e-5 --json
figure epsilon 1.75330152443 1.83284
expect_status 0 privacy epsilon "${step[@]}" --event 10:1:20 --json
figure epsilon 2 4

expect_status 0 privacy sigma --epsilon 1 --sampling-rate 0.02 --steps 1500 --delta 1e-5 --json
figure noise_multiplier 3.015263 3.015866
figure epsilon 0.9999 1
expect_status 0 privacy sigma --epsilon 3 --delta 1e-5 --accountant gaussian
expect_text "$work/out.log" "noise multiplier 1.3905"

# A delta that protects nobody is said to be one.
expect_status 0 privacy epsilon "${step[@]}" --accountant rdp --examples 100000
expect_text "$work/err.log" "not below 1 in 100000 records"
expect_status 0 privacy epsilon "${step[@]}" --accountant rdp --examples 60000
expect_no_text "$work/err.log" "Warning"

expect_status 0 privacy plan --epsilon 3 --delta 1e-5 --examples 60000 --accountant rdp
expect_text "$work/out.log" "Noise multiplier"
[ "$(grep -c '^ *[0-9]' "$work/out.log")" -eq 12 ] || fail "not twelve rows: $(cat "$work/out.log")"
expect_status 0 privacy plan --epsilon 3 --delta 1e-5 --examples 300 --accountant rdp --event 5:1:2 --json
/usr/bin/python3 - "$work/out.log" <<'PY' || fail "the plan is wrong: $(cat "$work/out.log")"
import json, sys
plan = json.load(open(sys.argv[1]))
rows = plan["rows"]
assert [row["batch"] for row in rows] == [64] * 3 + [300] * 3
assert all(abs(row["noise_in_mean"] * row["batch"] / row["noise_multiplier"] - 1) < 1e-9 for row in rows)
assert all(row["steps"] * row["sampling_rate"] >= row["epochs"] for row in rows)
PY

# A job file: its own figures.
private_job() { # MECHANISM LINE...
  local lines=$1 i
  shift
  {
    printf 'job: test\ndataset: mnist\nmodel: {kind: softmax-regression}\nexpires: 2099-01-01T00:00:00Z\n'
    printf 'training: {optimizer: sgd}\n'
    printf '%s\n' "$@"
    printf 'privacy: {%s}\nsites:\n' "$lines"
    for i in 1 2 3 4 5; do
      printf '  - {name: Part %s, fingerprint: "sha256:%s", examples: 12000}\n' "$i" "$(printf "$i%.0s" {1..64})"
    done
  } >"$work/job.yaml"
}
private_job "mechanism: dp-sgd, clip: 1, noise_multiplier: 1.3, delta: 1e-5, sampling_rate: 0.004266666666666667, steps: 100" \
  "federation: {rounds: 140}"
expect_status 0 privacy plan job.yaml --json
figure epsilon 1.74 1.83284
figure epsilon_rdp 1.97 1.9991
figure noise_multiplier 1.3 1.3
expect_no_text "$work/err.log" "Warning"
expect_status 0 privacy plan job.yaml --event 1.3:0.004266666666666667:14000
expect_text "$work/out.log" "dp-sgd, noise multiplier 1.3"
expect_text "$work/out.log" "Together with"
grep -qE '^ *35 ' "$work/out.log" || fail "a quarter of the rounds is not there: $(cat "$work/out.log")"
# The noise is computed, and what several sites add is less if the others collude.
private_job "mechanism: distributed-dp, clip: 1, target_epsilon: 2, delta: 1e-4, sampling_rate: 0.05" \
  "federation: {rounds: 50}" "secure_aggregation: {enabled: true}"
expect_status 0 privacy plan job.yaml --json
figure epsilon 1.99 2
figure epsilon_if_all_others_colluded 2.1 100
expect_text "$work/out.log" '"noise_computed": true'
expect_text "$work/err.log" "privacy.delta is 0.0001"
# Of few rounds, each once.
private_job "mechanism: dp-sgd, clip: 1, noise_multiplier: 1.3, delta: 1e-5, sampling_rate: 0.01, steps: 10" "federation: {rounds: 2}"
expect_status 0 privacy plan job.yaml
[ "$(grep -cE '^ *[12] +[0-9.]+ *$' "$work/out.log")" -eq 2 ] || fail "not a line for each round: $(cat "$work/out.log")"
expect_status 0 privacy plan --epsilon 1 --delta 1e-5 --examples 1 --accountant rdp
expect_text "$work/out.log" "with 1 record ("
rm "$work/job.yaml"

# Bad input: one sentence, and what would do.
refused() { # STATUS TEXT WORDS...
  local status=$1 text=$2
  shift 2
  expect_status "$status" privacy "$@"
  expect_text "$work/err.log" "$text"
  [ "$(wc -l <"$work/err.log")" -eq 1 ] || fail "more than a sentence: $(cat "$work/err.log")"
  [ ! -s "$work/out.log" ] || fail "something was printed: $(cat "$work/out.log")"
}
refused 2 "epsilon, sigma, plan" nothing
refused 2 "--noise-multiplier is missing" epsilon --delta 1e-5
refused 2 "--noise-multiplier is missing" epsilon --event 1:1:1 --steps 5 --delta 1e-5
refused 2 "--delta is missing" epsilon --noise-multiplier 1
refused 2 "--epsilon is missing" sigma --delta 1e-5
refused 2 "--examples is missing" plan --epsilon 1 --delta 1e-5
refused 2 "takes a number" epsilon --noise-multiplier 1,1 --delta 1e-5
refused 2 "SIGMA:RATE:STEPS" epsilon --event 1:2 --delta 1e-5
refused 2 "pld, rdp or gaussian" epsilon --noise-multiplier 1 --delta 1e-5 --accountant moments
refused 2 "1 to 10000000" epsilon --noise-multiplier 1 --steps 0 --delta 1e-5
refused 2 "pld or rdp here" plan --epsilon 1 --delta 1e-5 --examples 100 --accountant gaussian
refused 2 "only --event and --json" plan job.yaml --epsilon 3
refused 1 "no-such.yaml" plan no-such.yaml
refused 2 "above 0 and at most 1" epsilon --noise-multiplier 1 --sampling-rate 1.5 --delta 1e-5
refused 2 "0.05 to" epsilon --noise-multiplier 0 --delta 1e-5
refused 2 "delta of 0.5" epsilon --noise-multiplier 1 --delta 0.5
refused 2 "protects nobody" epsilon --noise-multiplier 0.05 --steps 1000 --delta 1e-5
refused 2 "No noise would do" sigma --epsilon 1 --delta 1e-5 --event 1:1:4
refused 2 "no target" sigma --epsilon 0 --delta 1e-5

# At the ends of every range: a sentence, or a figure that is not below what is true, and soon.
for bad in nan inf "" -1 0 1e-9x 1e999; do
  refused 2 "epsilon" sigma --epsilon "$bad" --delta 1e-5
  refused 2 "noise" epsilon --noise-multiplier "$bad" --delta 1e-5
  refused 2 "rate" epsilon --noise-multiplier 1 --sampling-rate "$bad" --delta 1e-5
  refused 2 "delta" epsilon --noise-multiplier 1 --delta "$bad"
  refused 2 "epsilon" plan --epsilon "$bad" --delta 1e-5 --examples 100
done
for bad in 1e-300 0.5 1; do
  refused 2 "outside the range of 1e-15 to 0.1" epsilon --noise-multiplier 1 --delta "$bad"
  refused 2 "outside the range of 1e-15 to 0.1" sigma --epsilon 1 --delta "$bad"
  refused 2 "outside the range of 1e-15 to 0.1" plan --epsilon 1 --delta "$bad" --examples 2
done
refused 2 "0.05 to 1e+06" epsilon --noise-multiplier 1e-3 --delta 1e-5
refused 2 "1 to 10000000" epsilon --noise-multiplier 1 --steps 10000001 --delta 1e-5
refused 2 "no target" sigma --epsilon 10001 --delta 1e-5
# extreme KEY LEAST MOST WORDS...
extreme() {
  local key=$1 least=$2 most=$3
  shift 3
  expect_status 0 timeout 20 "$orchestrator" privacy "$@" --json
  figure "$key" "$least" "$most"
}
extreme epsilon 0 1e-3 epsilon --noise-multiplier 1e6 --steps 1 --delta 1e-5
extreme epsilon 0.007434359 0.00745 epsilon --noise-multiplier 1e6 --steps 10000000 --delta 1e-5
extreme epsilon 0 1e-3 epsilon --noise-multiplier 1 --sampling-rate 1e-9 --steps 1 --delta 1e-5
extreme noise_multiplier 1 1e6 sigma --epsilon 1e-9 --delta 1e-5
extreme epsilon 0 1e-9 sigma --epsilon 1e-9 --delta 1e-5
extreme noise_multiplier 0.05 0.051 sigma --epsilon 1e3 --delta 1e-5
extreme noise_multiplier 77 79 sigma --epsilon 1e3 --steps 10000000 --delta 1e-5
expect_status 0 privacy sigma --epsilon 1e-9 --delta 1e-5
expect_no_text "$work/out.log" "epsilon 0.0001"

for word in epsilon sigma plan; do
  expect_status 0 privacy "$word" --help
  expect_text "$work/out.log" "orchestrator privacy $word --"
done
[ -z "$(find "$work" -mindepth 1 -not -name '*.log')" ] || fail "something was written: $(ls -R "$work")"
