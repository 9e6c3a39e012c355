#!/usr/bin/env bash
# Bad input at the command line: exit status 1 or 2, one sentence that names the place, nothing written.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
port=$(free_ports 1)
make_sites 1 "$port"
serve 1

job_refused() { # WORDS IN SENTENCE...
  expect_status 1 "$orchestrator" --home "$work/orchestrator" run "$work/bad.yaml" --out "$work/bad-run" --approval-timeout 3s
  [ "$(grep -c . "$work/err.log")" -le 3 ] || fail "more than a sentence: $(cat "$work/err.log")"
  local words
  for words in "$@"; do expect_text "$work/err.log" "$words"; done
}
write_job "$work/good.yaml" 1 1
sed 's/^job: test/job: test\ncolour: blue/' "$work/good.yaml" >"$work/bad.yaml"
job_refused "bad.yaml:2" colour
sed 's/local_iterations: 10/local_iterations: ten/' "$work/good.yaml" >"$work/bad.yaml"
job_refused "bad.yaml:4" local_iterations
sed 's/local_iterations: 10/local_iterations: 0/' "$work/good.yaml" >"$work/bad.yaml"
job_refused "bad.yaml:4" local_iterations 10000
sed 's/sha256:[0-9a-f]*/sha256:1234/' "$work/good.yaml" >"$work/bad.yaml"
job_refused "bad.yaml:" fingerprint
sed "s/sha256:[0-9a-f]*/sha256:$(printf 'a%.0s' {1..64})/" "$work/good.yaml" >"$work/bad.yaml"
job_refused fingerprint
sed 's/dataset: mnist/dataset: cancer/' "$work/good.yaml" >"$work/bad.yaml"
job_refused "Part 1" cancer
expires=2020-01-01T00:00:00Z write_job "$work/bad.yaml" 1 1
job_refused expire
: >"$work/bad.yaml"
job_refused bad.yaml
expect_status 1 "$orchestrator" --home "$work/orchestrator" run "$work/no-such.yaml"
expect_status 2 "$orchestrator" --home "$work/orchestrator" run
expect_status 2 "$orchestrator" --home "$work/orchestrator" fly
expect_status 2 "$datasite" --home "$work/site-1" import idx

# Files of rows.
refuse_import() { # WORDS...
  local words
  for words in "$@"; do expect_text "$work/err.log" "$words"; done
  expect_status 0 "$datasite" --home "$work/site-1" data --json
  expect_no_text "$work/out.log" '"bad"'
}
import() { expect_status 1 "$datasite" --home "$work/site-1" import "$@" --name bad; }
head -c 1000 "$data/subset-train-images.idx3" >"$work/cut.idx3"
import idx "$work/cut.idx3" "$data/subset-train-labels.idx1"
refuse_import cut.idx3 truncated
{ cat "$data/subset-train-images.idx3"; printf x; } >"$work/long.idx3"
import idx "$work/long.idx3" "$data/subset-train-labels.idx1"
refuse_import long.idx3
import idx "$data/subset-train-labels.idx1" "$data/subset-train-labels.idx1"
refuse_import subset-train-labels.idx1 "file of labels"
{ printf '\0\0\11\3'; tail -c +5 "$data/subset-train-images.idx3"; } >"$work/magic.idx3"
import idx "$work/magic.idx3" "$data/subset-train-labels.idx1"
refuse_import magic.idx3 magic
printf 'a,b,label\n1,2,0\n3,,1\n' >"$work/missing.csv"
import csv "$work/missing.csv" --label label
refuse_import missing.csv "row 3" "column b"
printf 'a,b,label\n1,2,0\n3,x,1\n' >"$work/word.csv"
import csv "$work/word.csv" --label label
refuse_import word.csv "row 3" "column b"
printf 'a,b,label\n1,inf,0\n3,4,1\n' >"$work/inf.csv"
import csv "$work/inf.csv" --label label
refuse_import inf.csv "row 2" "column b"

# A key that others can read; a damaged database.
kill -TERM "$served"
wait "$served" 2>/dev/null || true
chmod 644 "$work/site-1/keys/identity.key"
expect_status 1 "$datasite" --home "$work/site-1" serve
expect_text "$work/err.log" "chmod 600"
chmod 600 "$work/site-1/keys/identity.key"
head -c 8192 /dev/urandom >"$work/garbage"
cp "$work/site-1/site.db" "$work/site.db.good"
rm -f "$work/site-1/site.db-wal" "$work/site-1/site.db-shm"
cp "$work/garbage" "$work/site-1/site.db"
expect_status 1 "$datasite" --home "$work/site-1" serve
expect_text "$work/err.log" "damaged"
expect_status 1 "$datasite" --home "$work/nowhere" status
expect_text "$work/err.log" " init --name"
[ ! -e "$work/nowhere" ] || fail "a refused command made a home"
