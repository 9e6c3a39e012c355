#!/usr/bin/env bash
# A site with data and one trusted orchestrator, for bench_start, whose lines it prints. Called by tests/bench/run.
#   start.sh [--smoke]
# Environment: DATASITE_BIN, DATASITE_SOURCE_DIR.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"
port=$(free_ports 1)
make_sites 1 "$port"
fingerprint=$("$datasite" --home "$work/site-1" invite | grep -oE 'sha256:[0-9a-f]{64}')
mkdir -m 700 "$work/sockets"
"$DATASITE_BIN/bench_start" "$@" "$datasite" "$work/site-1" "$work/orchestrator/keys" "$fingerprint" "$port" \
  "$work/sockets"
