# Sourced by the end-to-end tests: real programs, loopback, a folder of their own, nothing left behind.
# shellcheck shell=bash
# Environment: DATASITE_BIN, DATASITE_SOURCE_DIR (set by ctest).
set -euo pipefail

: "${DATASITE_BIN:?}" "${DATASITE_SOURCE_DIR:?}"
export DATASITE_BIN
export scripts=$DATASITE_SOURCE_DIR/scripts
datasite=$DATASITE_BIN/datasite
orchestrator=$DATASITE_BIN/orchestrator
data=$DATASITE_SOURCE_DIR/tests/data
export NO_COLOR=1

work=$(mktemp -d "${TMPDIR:-/tmp}/datasite-e2e.XXXXXX")
started=()
secure=()  # --some: sites of this test give shares away
private=() # --some: sites of this test answer private jobs

# Over all sites of the test: what they gave away under secure aggregation, and in private jobs.
judge_records() {
  if [ -n "$(find "$work" -name site.db -print -quit)" ]; then
    /usr/bin/python3 "$DATASITE_SOURCE_DIR/tests/e2e/secagg_record.py" "$work" "${secure[@]}" &&
      /usr/bin/python3 "$DATASITE_SOURCE_DIR/tests/e2e/private_record.py" "$work" "${private[@]}"
  fi
}

# Ends what the test started, by process id, judges what was given away, and removes the folder.
e2e_leave() {
  local status=$? pid
  trap - EXIT
  for pid in "${started[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
  if [ $status -eq 0 ]; then judge_records || status=$?; fi
  if [ $status -ne 0 ]; then
    printf 'FAILED with status %s; what the programs said:\n' $status
    find "$work" -name '*.log' -size +0 -exec sh -c 'echo "--- $1"; tail -n 25 "$1"' _ {} \;
  fi
  rm -rf "$work"
  exit $status
}
trap e2e_leave EXIT

fail() {
  printf 'FAIL: %s\n' "$*"
  exit 1
}

# expect_text FILE TEXT: the file has the text somewhere.
expect_text() { grep -qF -- "$2" "$1" || fail "'$2' is not in $(basename "$1"): $(cat "$1")"; }
expect_no_text() { ! grep -qF -- "$2" "$1" || fail "'$2' is in $(basename "$1")"; }

# expect_status STATUS COMMAND...: runs it, output in $work/out.log and $work/err.log.
expect_status() {
  local wanted=$1 status=0
  shift
  "$@" >"$work/out.log" 2>"$work/err.log" </dev/null || status=$?
  [ $status -eq "$wanted" ] || fail "'$*' ended with $status, expected $wanted: $(tail -n 5 "$work/err.log")"
}

# await SECONDS COMMAND...: until the command succeeds.
await() {
  local tries=$(($1 * 20))
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || fail "waited too long for: $*"
    sleep 0.05
  done
}

# cancel_after RUN SECONDS COMMAND...: when the command succeeds, which has to be before that run is over, a person ends it.
cancel_after() {
  local run=$1 status=0
  shift
  await "$@"
  kill -INT "$run" || fail "the run was over too soon"
  wait "$run" || status=$?
  [ $status -eq 130 ] || fail "the run that was cancelled ended with $status"
}

# A run of COUNT free ports below the ephemeral range; different tests start at different places.
free_ports() {
  local count=$1 base tries=0 taken
  while [ $tries -lt 50 ]; do
    base=$((20000 + (RANDOM * 7 + $$) % 12000))
    taken=$(ss -Htan | awk '{print $4}' | sed 's/.*://' | awk -v a="$base" -v b=$((base + count)) '$1 >= a && $1 < b' | wc -l)
    if [ "$taken" -eq 0 ]; then
      printf '%s\n' "$base"
      return
    fi
    tries=$((tries + 1))
  done
  fail "no $count free ports were found"
}

# make_sites N PORT: homes with their part of the small subset, known to one orchestrator; no daemons. With `dial_in`, a port,
# the orchestrator listens there and the sites dial it: one that is started again does so at once, while the orchestrator's next
# try at it may be half a minute off.
make_sites() {
  local i line
  "$orchestrator" --home "$work/orchestrator" init --name researcher ${dial_in:+--listen "tcp://127.0.0.1:$dial_in"} >/dev/null
  line=$("$orchestrator" --home "$work/orchestrator" invite)
  for ((i = 1; i <= $1; i++)); do
    "$datasite" --home "$work/site-$i" init --name "Part $i" --listen "tcp://127.0.0.1:$(($2 + i - 1))" >/dev/null
    "$datasite" --home "$work/site-$i" import idx "$data/subset-train-images.idx3" "$data/subset-train-labels.idx1" \
      --name mnist --partition iid --part "$i/$1" >/dev/null
    "$datasite" --home "$work/site-$i" trust add "$line" >/dev/null
    if [ -n "${dial_in:-}" ]; then
      sed -i "s|^dial: \[\]$|dial: [{name: researcher, endpoint: \"tcp://127.0.0.1:$dial_in\", fingerprint: \"$(
        grep -oE 'sha256:[0-9a-f]{64}' <<<"$line"
      )\"}]|" "$work/site-$i/site.yaml"
      grep -q "^dial: .*:$dial_in" "$work/site-$i/site.yaml" || fail "site.yaml has no line to dial out by"
    fi
    "$datasite" --home "$work/site-$i" invite | "$orchestrator" --home "$work/orchestrator" sites add - >/dev/null
  done
}

# serve N: starts the daemon of site N; its process id is in $served.
serve() {
  "$datasite" --home "$work/site-$1" serve >"$work/serve-$1.log" 2>&1 &
  served=$!
  started+=("$served")
  await 10 "$datasite" --home "$work/site-$1" status
  await 10 listens "$served"
}
listens() { ss -Htlnp | grep -q "pid=$1,"; }

# approve_all_policy N [ROUNDS]: a policy that approves the orchestrator's jobs.
approve_all_policy() {
  local fingerprint
  fingerprint=$("$orchestrator" --home "$work/orchestrator" invite | grep -oE 'sha256:[0-9a-f]{64}')
  cat >"$work/site-$1/policy.yaml" <<YAML
default: ask
rules:
  - {name: test, action: approve, requesters: ["$fingerprint"], max_rounds: ${2:-50}, max_runs: 1, max_jobs: 100}
YAML
}

# secure_policies SITES: each approves the orchestrator's jobs, knows the others as partners of organisations of their own,
# and lets counts of this small public dataset out.
secure_policies() {
  secure=(--some)
  local i j fingerprints=()
  for ((i = 1; i <= $1; i++)); do
    fingerprints+=("$("$datasite" --home "$work/site-$i" invite | grep -oE 'sha256:[0-9a-f]{64}')")
  done
  for ((i = 1; i <= $1; i++)); do
    approve_all_policy "$i"
    {
      printf 'output: {min_rows: 10, min_cell: 0}\npartners:\n'
      for ((j = 1; j <= $1; j++)); do
        if [ "$j" -ne "$i" ]; then printf -- '- {fingerprint: "%s", organisation: part-%s}\n' "${fingerprints[j - 1]}" "$j"; fi
      done
    } >>"$work/site-$i/policy.yaml"
  done
}

# serve_until N PATTERN: like serve, for a daemon that is killed as it writes a line of its log that matches.
serve_until() {
  LD_PRELOAD=$DATASITE_BIN/kill_at_line.so DATASITE_KILL_LINE=$2 ASAN_OPTIONS=verify_asan_link_order=0 \
    "$datasite" --home "$work/site-$1" serve >"$work/serve-$1.log" 2>&1 &
  served=$!
  started+=("$served")
  await 10 "$datasite" --home "$work/site-$1" status
  await 10 listens "$served"
}

# write_job FILE SITES ROUNDS [EXTRA LINES]: a job for sites 1 to SITES.
write_job() {
  local i
  {
    cat <<YAML
job: test
dataset: mnist
model: {kind: softmax-regression}
training: ${training:-{optimizer: lbfgs, local_iterations: 10\}}
federation: {rounds: $3, min_sites: ${min_sites:-$2}, round_deadline: ${round_deadline:-20s}}
expires: ${expires:-$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)}
${4:-}
sites:
YAML
    for ((i = 1; i <= $2; i++)); do
      "$datasite" --home "$work/site-$i" invite |
        sed -E 's/^datasite (".*") (\S+) (sha256:[0-9a-f]{64})$/  - {name: \1, endpoint: "\2", fingerprint: "\3"}/'
    done
  } >"$1"
}

# private_job FILE SITES ROUNDS [EXTRA LINES]: as write_job, for sites that declare 700 rows each.
private_job() {
  write_job "$@"
  sed -i -E '/fingerprint/ s/\}$/, examples: 700}/' "$1"
}

# judge_demo FOLDER MECHANISM ROUNDS: the private job of a demo asked for epsilon 3 and took no more. Prints the accuracy of its
# result in percent.
judge_demo() {
  /usr/bin/python3 - "$1/report.json" "$2" "$3" <<'PYTHON' || fail "the report of $1"
import json, sys
report = json.load(open(sys.argv[1]))
assert report["status"] == "finished" and len(report["rounds"]) == int(sys.argv[3])
privacy = report["privacy"]
assert privacy["mechanism"] == sys.argv[2] and privacy["target_epsilon"] == 3 and 2.9 < privacy["epsilon"] <= 3, privacy
result = report["averaged"] or report["rounds"][-1]
print(f"{100 * result['global_test']['accuracy']:.2f}")
PYTHON
}

# doctor FOLDER DATABASE SQL: copies of all databases of the test into FOLDER, and one of them changed; put(blob, at, byte),
# more(blob, end), and share(blob, i), where the share of the i-th of four sharers is in an Unmasking, help.
doctor() {
  mkdir -p "$1"
  /usr/bin/python3 - "$work" "$1" "$2" "$3" <<'PYTHON'
import pathlib, sqlite3, sys
work, copies = map(pathlib.Path, sys.argv[1:3])
for path in [*work.glob("site-?/site.db"), *work.glob("*/run.db")]:
    copy = copies / path.relative_to(work)
    copy.parent.mkdir(exist_ok=True)
    copy.unlink(missing_ok=True)
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as source, sqlite3.connect(copy) as target:
        source.backup(target)
with sqlite3.connect(copies / sys.argv[3]) as database:
    database.create_function("put", 3, lambda blob, at, byte: blob[:at] + bytes([byte]) + blob[at + 1 :])
    database.create_function("more", 2, lambda blob, end: blob + end)
    database.create_function("share", 2, lambda blob, i: len(blob) - 41 * (4 - i))
    before = database.total_changes
    database.executescript(sys.argv[4])
    changes = {"UPDATE", "INSERT", "DELETE"} & set(sys.argv[4].split())
    assert (database.total_changes > before) == bool(changes), "nothing was changed"
PYTHON
}

# execute_notebook NAME: top to bottom on the small subset, to $work/done.ipynb, with the first of two ports in $port.
execute_notebook() {
  local notebook=$DATASITE_SOURCE_DIR/notebooks/$1
  /usr/bin/python3 - "$notebook" <<'PY'
import json, sys
for cell in json.load(open(sys.argv[1]))["cells"]:
    assert not cell.get("outputs"), "the notebook has outputs: strip them before committing"
    assert cell.get("execution_count") is None
PY
  port=$(free_ports 2)
  export DATASITE_NOTEBOOK_DATASET=subset DATASITE_NOTEBOOK_PORT=$port TMPDIR=$work
  export JUPYTER_CONFIG_DIR=$work/jupyter JUPYTER_DATA_DIR=$work/jupyter IPYTHONDIR=$work/ipython JUPYTER_RUNTIME_DIR=$work/jupyter
  cd "$DATASITE_SOURCE_DIR/notebooks"
  /usr/bin/python3 -m nbconvert --to notebook --execute --ExecutePreprocessor.timeout=120 \
    --output-dir "$work" --output done.ipynb "$notebook" >"$work/nbconvert.log" 2>&1 || fail "the notebook failed"
}

# pending_job N: the id of the job that waits at site N.
pending_job() {
  "$datasite" --home "$work/site-$1" requests --json |
    /usr/bin/python3 -c 'import json,sys; print(next(j["job_id"] for j in json.load(sys.stdin)["requests"] if j["state"] == "pending"))'
}
