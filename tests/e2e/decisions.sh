#!/usr/bin/env bash
# Several terminals decide about one job at the same moment, and about different jobs, with the daemon down and with it
# running: exactly one wins, every other one is told what the job is, and the events are one chain afterwards.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 1)
make_sites 1 "$port"
site=(--home "$work/site-1")
gate=$work/gate

# submit SEED: the id of a new job, which waits at the site, in $id. Its requester gives up and goes away.
submit() {
  local before after run
  before=$(job_ids)
  write_job "$work/job-$1.yaml" 1 2 "seed: $1"
  "$orchestrator" --home "$work/orchestrator" run "$work/job-$1.yaml" --out "$work/run-$1" >"$work/run-$1.log" 2>&1 &
  run=$!
  started+=("$run")
  appeared() { after=$(job_ids); [ "$after" != "$before" ]; }
  await 20 appeared
  id=$(comm -13 <(printf '%s\n' "$before") <(job_ids))
  kill -TERM "$run"
  wait "$run" || true
}
job_ids() {
  "$datasite" "${site[@]}" requests --all --json |
    /usr/bin/python3 -c 'import json,sys; print("\n".join(sorted(j["job_id"] for j in json.load(sys.stdin)["requests"])))'
}
state_of() {
  "$datasite" "${site[@]}" requests --all --json |
    /usr/bin/python3 -c 'import json,sys; print(next(j["state"] for j in json.load(sys.stdin)["requests"] if j["job_id"] == sys.argv[1]))' "$1"
}

# race NAME "VERB ID"...: all at once; status of each in $work/NAME.N.status, words in NAME.N.log.
race() {
  local name=$1 number=0 command pids=()
  shift
  rm -f "$work/$name".*.status
  exec 9>"$gate"
  flock 9
  for command in "$@"; do
    number=$((number + 1))
    (
      exec 9>&-
      flock -s "$gate" true
      status=0
      # shellcheck disable=SC2086 # verb and id
      "$datasite" "${site[@]}" $command >"$work/$name.$number.log" 2>&1 || status=$?
      printf '%s\n' $status >"$work/$name.$number.status"
    ) &
    pids+=($!)
  done
  exec 9>&-
  wait "${pids[@]}"
}

# one_won NAME COUNT STATE WORDS: of COUNT exactly one succeeded; each other failed, and said one of the WORDS.
one_won() {
  local name=$1 count=$2 words=$3 number won=0
  for ((number = 1; number <= count; number++)); do
    case $(cat "$work/$name.$number.status") in
    0) won=$((won + 1)) ;;
    1) grep -qE "$words" "$work/$name.$number.log" || fail "$name $number is not told the state: $(cat "$work/$name.$number.log")" ;;
    *) fail "$name $number ended with $(cat "$work/$name.$number.status")" ;;
    esac
  done
  [ $won -eq 1 ] || fail "$name: $won of $count succeeded"
}

all_won() {
  local name=$1 count=$2 number
  for ((number = 1; number <= count; number++)); do
    [ "$(cat "$work/$name.$number.status")" = 0 ] || fail "$name $number: $(cat "$work/$name.$number.log")"
  done
}

# decide NAME A B C D E: five pending jobs.
decide() {
  local name=$1 a=$2 b=$3 c=$4 d=$5 e=$6
  race "$name-mixed" "approve $a" "deny $a" "approve $a" "deny $a" "approve $a" "deny $a" "approve $a" "deny $a"
  one_won "$name-mixed" 8 'The job is (approved|denied); only a pending job'
  case $(state_of "$a") in approved | denied) ;; *) fail "$name: job A is $(state_of "$a")" ;; esac
  race "$name-approve" "approve $b" "approve $b" "approve $b" "approve $b" "approve $b" "approve $b" "approve $b" "approve $b"
  one_won "$name-approve" 8 'The job is approved; only a pending job'
  [ "$(state_of "$b")" = approved ] || fail "$name: job B is $(state_of "$b")"
  race "$name-revoke" "revoke $b" "revoke $b" "revoke $b" "revoke $b" "deny $b" "approve $b" "revoke $b" "revoke $b"
  one_won "$name-revoke" 8 'The job is (approved|revoked); only'
  [ "$(state_of "$b")" = revoked ] || fail "$name: job B is $(state_of "$b") after its revocation"
  race "$name-different" "approve $c" "deny $d" "approve $e"
  all_won "$name-different" 3
  race "$name-mixed-different" "revoke $c" "revoke $e" "revoke $c" "revoke $e"
  for id in "$c" "$e"; do [ "$(state_of "$id")" = revoked ] || fail "$name: $id is $(state_of "$id")"; done
  [ "$(state_of "$d")" = denied ] || fail "$name: job D is $(state_of "$d")"
  "$DATASITE_BIN/chain_walk" "$work/site-1" >"$work/walk.log" 2>&1 || fail "the chain after $name: $(cat "$work/walk.log")"
  expect_status 0 "$datasite" "${site[@]}" audit verify
}

serve 1
daemon=$served
jobs=()
for seed in 1 2 3 4 5 6 7 8 9 10; do
  submit $seed
  jobs+=("$id")
done
decide up "${jobs[@]:0:5}"
kill -TERM "$daemon"
wait "$daemon" || fail "the daemon ended with $?"
decide down "${jobs[@]:5:5}"

# One decision a job, and one event a decision.
"$DATASITE_BIN/chain_walk" "$work/site-1" >/dev/null
/usr/bin/python3 - "$work/site-1/site.db" <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
count = lambda sql: db.execute(sql).fetchone()[0]
assert count("SELECT count(*) FROM decision WHERE kind IN ('approve', 'deny')") == 10
assert count("SELECT count(DISTINCT job_id) FROM decision WHERE kind IN ('approve', 'deny')") == 10
assert count("SELECT count(*) FROM decision WHERE kind = 'revoke'") == 6
for kind in "approve", "deny", "revoke":
    event = {"approve": "job-approved", "deny": "job-denied", "revoke": "job-revoked"}[kind]
    assert count(f"SELECT count(*) FROM decision WHERE kind = '{kind}'") == count(
        f"SELECT count(*) FROM event WHERE kind = '{event}'"), kind
PY

# A restarted daemon sees them all.
serve 1
[ "$(state_of "${jobs[1]}")" = revoked ] || fail "the restarted site lost a revocation"
