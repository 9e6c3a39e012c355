#!/usr/bin/env bash
# The demo with privacy of four sites together, on the small subset: one of them is killed in the middle.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
secure=(--some)
private=(--some)
port=$(free_ports 4)
expect_status 0 "$scripts/demo" --privacy 3 --secure-aggregation --dataset subset --port "$port" --rounds 4 \
  --dir "$work/all"
judge_demo "$work/all/run" distributed-dp 4 >/dev/null
expect_text "$work/err.log" "--- Part 4 was killed as it trained in round 2"
expect_text "$work/out.log" "of all sites together, delta 1e-5"
expect_text "$work/out.log" "distributed-dp, noise"
expect_no_text "$work/out.log" "FL epoch 2/4"
gone() { ! ss -Htlnp "sport >= :$port and sport <= :$((port + 3))" | grep -q datasite; }
await 10 gone
