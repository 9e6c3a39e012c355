#!/usr/bin/env bash
# An owner lists and verifies the events; an auditor verifies an export with the certificate alone; a site.db that was
# put back from a backup is contradicted by the receipts of the researcher, and does nothing until the owner has decided.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 1)
make_sites 1 "$port"
approve_all_policy 1
site=(--home "$work/site-1")
serve 1

# run SEED: a run of two rounds, its files in run-SEED.
run() {
  write_job "$work/job-$1.yaml" 1 2 "seed: $1"
  expect_status 0 "$orchestrator" --home "$work/orchestrator" run "$work/job-$1.yaml" --out "$work/run-$1"
}
run 1

# ---- list ----
expect_status 0 "$datasite" "${site[@]}" audit
for word in site-created dataset-imported job-approved update-released evaluation-released; do
  expect_text "$work/out.log" "$word"
done
expect_status 0 "$datasite" "${site[@]}" audit --kind dataset-imported
expect_text "$work/out.log" " rows of "
if grep -q "salt" "$work/out.log"; then fail "the list for people shows salts: $(cat "$work/out.log")"; fi
"$datasite" "${site[@]}" audit --json --kind dataset-imported | grep -Eq '"detail": "[^"]* \(salt [0-9a-f]{32}\)"' ||
  fail "a private detail has no salt"
expect_status 0 "$datasite" "${site[@]}" audit --since 1h --kind update-released
[ "$(wc -l <"$work/out.log")" -eq 2 ] || fail "two updates left: $(cat "$work/out.log")"
expect_text "$work/out.log" "round 1"
expect_no_text "$work/out.log" "job-approved"
expect_status 0 "$datasite" "${site[@]}" audit --until 2020-01-01T00:00:00Z
expect_text "$work/out.log" "No event fits."
expect_status 0 "$datasite" "${site[@]}" audit --limit 2
[ "$(grep -c '^ *[0-9]' "$work/out.log")" -eq 2 ] || fail "--limit 2 gives: $(cat "$work/out.log")"
"$datasite" "${site[@]}" audit --json --limit 0 | /usr/bin/python3 -c 'import json,sys
events = json.load(sys.stdin)["events"]
assert [e["sequence"] for e in events] == list(range(1, len(events) + 1)), events
released = [e for e in events if e["kind"] == "update-released"]
assert [e["round"] for e in released] == [1, 2] and all(len(e["digest"]) == 64 for e in released), released
print(released[0]["job_id"], released[0]["requester"])' >"$work/names"
read -r job requester <"$work/names"
expect_status 0 "$datasite" "${site[@]}" audit --job "${job:0:12}" --requester "$requester" --kind run-ended
[ "$(wc -l <"$work/out.log")" -eq 1 ] || fail "one run ended: $(cat "$work/out.log")"
expect_status 0 "$datasite" "${site[@]}" audit --requester "sha256:$(printf '0%.0s' {1..64})"
expect_text "$work/out.log" "No event fits."
expect_status 2 "$datasite" "${site[@]}" audit --kind nonsense
expect_status 2 "$datasite" "${site[@]}" audit --since yesterday
expect_status 1 "$datasite" "${site[@]}" audit --job ffffffff

# ---- verify, while the site is at work ----
expect_status 0 "$datasite" "${site[@]}" audit verify --receipts "$work/run-1/receipts"
expect_text "$work/out.log" "none was edited, removed, reordered or cut off"
expect_text "$work/out.log" "Receipts  4 of this site"

# ---- export: read by an auditor who has the file and the certificate ----
expect_status 0 "$datasite" "${site[@]}" audit export --out "$work/events.jsonl"
expect_status 1 "$datasite" "${site[@]}" audit export --out "$work/events.jsonl"
expect_text "$work/err.log" "exists already"
certificate=$work/site-1/keys/identity.crt
offline() { expect_status "$1" "$datasite" --home "$work/nowhere" audit verify --export "$2" --certificate "$3"; }
offline 0 "$work/events.jsonl" "$certificate"
expect_text "$work/out.log" "Part 1, sha256:"
expect_status 0 "$datasite" "${site[@]}" audit --kind audit-exported
[ "$(wc -l <"$work/out.log")" -eq 1 ] || fail "a refused export is no event: $(cat "$work/out.log")"
sed '3s/"at":"2/"at":"3/' "$work/events.jsonl" >"$work/edited.jsonl"
offline 1 "$work/edited.jsonl" "$certificate"
expect_text "$work/err.log" "Event 2 was edited"
sed '3d' "$work/events.jsonl" >"$work/removed.jsonl"
offline 1 "$work/removed.jsonl" "$certificate"
expect_text "$work/err.log" "Event 2 was removed"
sed '$d' "$work/events.jsonl" >"$work/truncated.jsonl"
offline 1 "$work/truncated.jsonl" "$certificate"
expect_text "$work/err.log" "truncated"
offline 1 "$work/events.jsonl" "$work/orchestrator/keys/identity.crt"
expect_text "$work/err.log" "take the certificate of the site"
expect_status 2 "$datasite" audit verify --export "$work/events.jsonl"
# At an auditor's, where nothing names a home.
expect_status 0 env -i "$datasite" audit verify --export "$work/events.jsonl" --certificate "$work/site-1/keys/identity.crt"
expect_status 0 env -i "$orchestrator" receipts audit "$work/events.jsonl" --certificate "$work/site-1/keys/identity.crt"
expect_status 2 env -i "$datasite" audit verify
"$datasite" "${site[@]}" audit export --from 3 >"$work/newer.jsonl"
offline 0 "$work/newer.jsonl" "$certificate"
expect_text "$work/out.log" "events 1 to 2 are not in this file"

# ---- the file is put back to an earlier state ----
stop() {
  kill -TERM "$served"
  wait "$served" || fail "the daemon did not stop well"
}
stop
cp "$work/site-1/site.db" "$work/backup.db"
serve 1
run 2
stop
cp "$work/site-1/site.db" "$work/after.db"
put_back() {
  rm -f "$work/site-1/site.db-wal" "$work/site-1/site.db-shm"
  cp "$1" "$work/site-1/site.db"
}
# A decision or an answer is edited or removed, and its event stays.
edited() {
  put_back "$work/backup.db"
  /usr/bin/python3 -c 'import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute(sys.argv[2])
database.commit()' "$work/site-1/site.db" "$1"
  expect_status 1 "$datasite" "${site[@]}" audit verify
  expect_text "$work/err.log" "$2"
}
edited "UPDATE decision SET hold = 'every'" "The decision about job"
edited "DELETE FROM decision" "the decision that was stored with it is gone"
edited "DELETE FROM answer WHERE round = 1" "the answer that was stored with it is gone"
put_back "$work/backup.db"
expect_status 0 "$datasite" "${site[@]}" audit verify
expect_status 1 "$datasite" "${site[@]}" audit verify --receipts "$work/run-2/receipts"
expect_text "$work/err.log" "run-2/receipts/"
expect_text "$work/err.log" "rolled back to an earlier state"
expect_no_text "$work/err.log" "The owner accepted"
# The researcher's next request presents its last receipt: the site says so, and computes nothing.
serve 1
write_job "$work/job-3.yaml" 1 2 "seed: 3"
expect_status 1 timeout 60 "$orchestrator" --home "$work/orchestrator" run "$work/job-3.yaml" --out "$work/run-3"
expect_status 0 "$datasite" "${site[@]}" status
expect_text "$work/out.log" "A RECEIPT THAT THIS SITE SIGNED IS NOT IN ITS CHAIN"
expect_text "$work/out.log" "audit accept"
expect_status 0 "$datasite" "${site[@]}" requests
expect_text "$work/out.log" "A RECEIPT THAT THIS SITE SIGNED IS NOT IN ITS CHAIN"
"$datasite" "${site[@]}" status --json | grep -q '"contradicted": true' || fail "status --json does not say it"
"$datasite" "${site[@]}" requests --json | grep -q '"contradicted": true' || fail "requests --json does not say it"
expect_status 1 "$datasite" "${site[@]}" audit verify
expect_text "$work/out.log" "presented"
[ "$("$datasite" "${site[@]}" audit --kind update-released | grep -c update-released)" -eq 2 ] || fail "something left the site"
# The owner knows why.
expect_status 2 "$datasite" "${site[@]}" audit accept
expect_status 0 "$datasite" "${site[@]}" audit accept --reason "restored from a backup"
expect_text "$work/out.log" "$requester"
expect_status 1 "$datasite" "${site[@]}" audit accept --reason "again"
expect_status 0 "$datasite" "${site[@]}" audit --kind chain-accepted
expect_text "$work/out.log" "restored from a backup"
expect_status 0 "$datasite" "${site[@]}" status
expect_no_text "$work/out.log" "A RECEIPT"
# Past what the researcher has seen, it takes the site's receipts again.
for _ in {1..12}; do "$datasite" "${site[@]}" audit export >/dev/null; done
run 4
expect_status 0 "$datasite" "${site[@]}" audit verify --receipts "$work/run-4/receipts"
expect_status 1 "$datasite" "${site[@]}" audit verify --receipts "$work/run-2/receipts"
expect_text "$work/err.log" "is another one"
expect_text "$work/err.log" "The owner accepted on $(date -u +%Y-)"
expect_text "$work/err.log" "with the reason: restored from a backup"
stop

# ---- edited rows, with the triggers dropped ----
edit() {
  put_back "$work/after.db"
  /usr/bin/python3 - "$work/site-1/site.db" "$1" <<'PY'
import sqlite3
import sys

database = sqlite3.connect(sys.argv[1])
for trigger in ("event_no_update", "event_no_delete", "event_chained"):
    database.execute(f"DROP TRIGGER {trigger}")
database.executescript(sys.argv[2])
database.commit()
database.close()
PY
  expect_status 1 "$datasite" "${site[@]}" audit verify
  expect_text "$work/err.log" "$2"
}
edit "UPDATE event SET detail = 'nothing' WHERE id = 4" "Event 4 was edited"
edit "DELETE FROM event WHERE id = 4" "Event 4 was removed"
edit "UPDATE event SET id = -4 WHERE id = 4; UPDATE event SET id = 4 WHERE id = 5; UPDATE event SET id = 5 WHERE id = -4" \
  "Events were reordered: what this site signed as event 4 stands now as event 5"
edit "DELETE FROM event WHERE id > 4" "what followed event 4 was cut off"
edit "UPDATE event SET hash = NULL WHERE id = 1" "Event 1 was edited: its hash or its signature is gone"
edit "UPDATE event SET hash = NULL" "Event 1 was edited: its hash or its signature is gone"
edit "UPDATE event SET hash = NULL, signature = NULL; UPDATE event SET kind = 'serve-started', detail = '' WHERE id = 1;
  DELETE FROM event WHERE id > 4; UPDATE sqlite_sequence SET seq = 4 WHERE name = 'event'" \
  "by keys/chain.start this site signed every event from event 1 on"
expect_status 1 "$datasite" "${site[@]}" audit export --out "$work/wiped.jsonl"
expect_text "$work/err.log" "restore site.db from a backup"
expect_status 1 timeout 60 "$datasite" "${site[@]}" serve
expect_text "$work/err.log" "restore site.db from a backup"
edit "UPDATE event SET signature = zeroblob(64) WHERE id = 4" "Event 4 was not written by this site"
edit "UPDATE answer SET body = zeroblob(length(body)) WHERE round = 1" "round 1"
