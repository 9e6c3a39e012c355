/* What store_ledger*.c and store_pool.c share. Nobody else includes it. */
#pragma once

#include "database/database.h"
#include "datasite/budget.h"
#include "datasite/store_ledger.h"

#define LEDGER_COLUMNS                                                                                       \
    "id, pool, at, kind, job_id, run_id, round, use, mechanism, shared, noise_multiplier, sampling_rate, "   \
    "steps, rounds, metrics_noise, evaluations, epsilon, delta, filter, other, subject, content, "           \
    "signature, hash, event"
#define LEDGER_COLUMN_COUNT 25

/* In front of a SELECT: the pool ?1 and those that were merged into it. */
#define LEDGER_MEMBERS                                                                                       \
    "WITH RECURSIVE members (pool) AS (VALUES (?1) UNION SELECT budget.other FROM budget JOIN members "      \
    "ON budget.kind = 'merge' AND budget.pool = members.pool) "

/* The event that is written with a row of that kind. */
enum event_kind ledger_event(enum ledger_kind kind);

/* The row of LEDGER_COLUMNS that the query stands on. */
MUST_USE struct error *ledger_read(struct query *query, struct ledger_row *ret_row);
MUST_USE struct error *ledger_last(struct store *store, struct ledger_row *ret_row, bool *ret_found);
MUST_USE struct error *ledger_find(struct store *store, int64_t id, struct ledger_row *ret_row,
                                   bool *ret_found);
MUST_USE struct error *ledger_hash(const struct digest *previous, const struct ledger_row *row,
                                   struct digest *ret_hash);
/* The number of the last event of all. */
MUST_USE struct error *ledger_event_last(struct store *store, uint64_t *ret_sequence);
/* `last` (NULL: there is no row) is what the last event of a row is about. */
MUST_USE struct error *ledger_check_end(struct store *store, const struct ledger_row *last);
