#!/usr/bin/env bash
# Rows at rest: sites that are encrypted from the start or later train as others do; a new key leaves approvals as they
# were; without the key nothing starts.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 3)
echo "seven grey cats at noon" >"$work/words"
key=$work/keys/site-1.key
mkdir -m 700 "$work/keys"

# with_words COMMAND...: the passphrase on standard input.
with_words() { "$@" <"$work/words"; }

# Site 1 has its key in a file, site 2 a passphrase.
"$orchestrator" --home "$work/orchestrator" init --name researcher >/dev/null
"$datasite" --home "$work/site-1" init --name "Part 1" --listen "tcp://127.0.0.1:$port" --encrypt --key-file "$key" \
  >/dev/null
with_words "$datasite" --home "$work/site-2" init --name "Part 2" --listen "tcp://127.0.0.1:$((port + 1))" --encrypt \
  >/dev/null
[ "$(stat -c %a "$key")" = 600 ] || fail "the key file has mode $(stat -c %a "$key")"
line=$("$orchestrator" --home "$work/orchestrator" invite)
for i in 1 2; do
  with_words "$datasite" --home "$work/site-$i" import idx "$data/subset-train-images.idx3" \
    "$data/subset-train-labels.idx1" --name mnist --partition iid --part "$i/2" >/dev/null
  "$datasite" --home "$work/site-$i" trust add "$line" >/dev/null
  "$datasite" --home "$work/site-$i" invite | "$orchestrator" --home "$work/orchestrator" sites add - >/dev/null
done

# Nothing starts without the key: none, a wrong one, one that others can read.
expect_status 1 "$datasite" --home "$work/site-2" serve
expect_text "$work/err.log" "before the passphrase came"
expect_status 1 "$datasite" --home "$work/site-2" data --check
printf 'seven grey cats at moon\n' >"$work/wrong"
status=0
"$datasite" --home "$work/site-2" serve <"$work/wrong" 2>"$work/err.log" || status=$?
[ $status -eq 1 ] || fail "a wrong passphrase ended with $status"
expect_text "$work/err.log" "This passphrase does not open"
chmod 644 "$key"
expect_status 1 "$datasite" --home "$work/site-1" serve
expect_text "$work/err.log" "chmod 600"
expect_status 1 "$datasite" --home "$work/site-1" import idx "$data/subset-test-images.idx3" \
  "$data/subset-test-labels.idx1" --name more
chmod 600 "$key"
mv "$key" "$key.away"
expect_status 1 "$datasite" --home "$work/site-1" serve
expect_text "$work/err.log" "$key"
mv "$key.away" "$key"
# What needs no row asks for no key.
expect_status 0 "$datasite" --home "$work/site-2" data mnist
expect_text "$work/out.log" "encrypted, AES-256-GCM"
expect_status 0 "$datasite" --home "$work/site-2" status
expect_text "$work/out.log" "Rows are encrypted"
expect_status 0 "$datasite" --home "$work/site-2" audit verify

start_sites() {
  serve 1
  first=$served
  "$datasite" --home "$work/site-2" serve <"$work/words" >"$work/serve-2.log" 2>&1 &
  second=$!
  started+=("$second")
  await 10 listens "$second"
}
stop_sites() {
  kill -TERM "$first" "$second"
  wait "$first" "$second" || fail "a daemon did not end well"
}
# The fingerprint of a run's model.
model_of() { grep -o '"model_sha256": *"[^"]*"' "$1/report.json" | tail -n 1; }

# What has rows and keys in memory leaves no core.
expect_no_cores() {
  grep -Eq '^Max core file size +0 +0 ' "/proc/$1/limits" || fail "the daemon may leave a core: $(cat "/proc/$1/limits")"
}

# One approval for two runs: the second comes after the new keys.
start_sites
expect_no_cores "$first"
expect_no_cores "$second"
write_job "$work/job.yaml" 2 1
"$orchestrator" --home "$work/orchestrator" run "$work/job.yaml" --out "$work/run" >"$work/run.log" 2>&1 &
run=$!
started+=("$run")
for i in 1 2; do
  await 10 pending_job "$i"
  expect_status 0 "$datasite" --home "$work/site-$i" approve "$(pending_job "$i")" --runs 2
done
wait "$run" || fail "the run on encrypted rows failed: $(tail -n 3 "$work/run.log")"

# Not under a daemon; then all that was sealed is sealed anew.
expect_status 1 "$datasite" --home "$work/site-1" data rekey
expect_text "$work/err.log" "while no daemon runs"
stop_sites
before=$("$datasite" --home "$work/site-1" data --json)
expect_status 0 "$datasite" --home "$work/site-1" data rekey --key-file "$work/keys/new.key"
expect_text "$work/out.log" "$work/keys/new.key"
[ "$("$datasite" --home "$work/site-1" data --json)" = "$before" ] || fail "a new key changed what the data is"
rm "$key"
expect_status 0 "$datasite" --home "$work/site-1" data --check
with_words "$datasite" --home "$work/site-2" data rekey >/dev/null
start_sites
expect_status 0 "$orchestrator" --home "$work/orchestrator" run "$work/job.yaml" --out "$work/again"
[ -n "$(model_of "$work/run")" ] || fail "report.json names no model"
[ "$(model_of "$work/run")" = "$(model_of "$work/again")" ] || fail "the same job on the same rows gave another model"
stop_sites

# A site in clear becomes an encrypted one; from a key on standard input to a passphrase, both lines, the old one first.
"$datasite" --home "$work/site-3" init --name "Part 3" --listen "tcp://127.0.0.1:$((port + 2))" >/dev/null
"$datasite" --home "$work/site-3" import idx "$data/subset-test-images.idx3" "$data/subset-test-labels.idx1" \
  --name mnist >/dev/null
expect_status 0 "$datasite" --home "$work/site-3" status
expect_text "$work/out.log" "Rows are in clear"
expect_status 2 "$datasite" --home "$work/site-3" data rekey
openssl rand -hex 32 >"$work/keys/line"
"$datasite" --home "$work/site-3" data rekey --key-stdin <"$work/keys/line" >/dev/null
expect_status 1 "$datasite" --home "$work/site-3" data --check
"$datasite" --home "$work/site-3" data --check <"$work/keys/line" >/dev/null || fail "the key of standard input does not open"
cat "$work/keys/line" "$work/words" | "$datasite" --home "$work/site-3" data rekey --passphrase >/dev/null
with_words "$datasite" --home "$work/site-3" data --check >/dev/null || fail "the passphrase does not open"

# Who can write site.db takes the record of the key away, or puts their own there: nothing is stored in clear, or for them.
edit() {
  /usr/bin/python3 -c 'import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
for statement in sys.argv[2:]:
    database.execute(statement)
database.commit()' "$work/site-3/site.db" "$@"
}
changed() {
  expect_status 1 "$datasite" --home "$work/site-3" import idx "$data/subset-test-images.idx3" \
    "$data/subset-test-labels.idx1" --name more
  expect_text "$work/err.log" "$1"
  expect_status 1 "$datasite" --home "$work/site-3" data rekey --key-file "$work/keys/mine.key"
  expect_text "$work/err.log" "$1"
  [ ! -e "$work/keys/mine.key" ] || fail "a key was made for a file that somebody changed"
  expect_status 1 "$datasite" --home "$work/site-3" serve
  expect_status 1 "$datasite" --home "$work/site-3" audit verify
  expect_text "$work/err.log" "$1"
  expect_status 0 "$datasite" --home "$work/site-3" status --json
  expect_text "$work/out.log" '"rows": "changed"'
}
edit "CREATE TABLE kept AS SELECT * FROM vault" "DELETE FROM vault"
changed "the record of their key is gone"
edit "INSERT INTO vault SELECT one, wrapped, 'file', '$work/keys/new.key', made_at FROM kept"
changed "somebody put another key"

# A site that cannot be made leaves neither a home nor a key.
expect_status 1 "$datasite" --home "$work/site-1" init --name "Again" --encrypt --key-file "$work/keys/unused.key"
[ ! -e "$work/keys/unused.key" ] || fail "the key of a site that was not made is left"
expect_status 1 "$datasite" --home "$work/site-4" init --name "Part 4" --encrypt
[ ! -e "$work/site-4" ] || fail "a site without a passphrase was made"
expect_status 2 "$datasite" --home "$work/site-4" init --name "Part 4" --key-stdin
