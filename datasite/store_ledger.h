/* The ledger of privacy budgets (schemas/sql/datasite_004.sql) as functions: what budget*.c need of site.db, and nobody else
 * uses. Each row is
 *
 *     hash = SHA-256("FDS-LEDGER1" 0x00 || hash of the row before (zeros: none) || id, pool, at i64 || kind u32 || job_id ||
 *            run_id || round, use, mechanism, shared u32 || noise_multiplier, sampling_rate f64 || steps, rounds u32 ||
 *            metrics_noise f64 || evaluations u32 || epsilon, delta f64 || filter u32 || other i64 || subject || content)
 *
 * (little-endian), and hash is the digest of the row's event. A changed row, one that is missing and one that somebody put in
 * are ERROR_UNTRUSTED, and named. */
#pragma once

#include "datasite/store.h"

enum ledger_kind {
    LEDGER_JOIN,
    LEDGER_MERGE,
    LEDGER_SET,
    LEDGER_RESERVE,
    LEDGER_BEGIN,
    LEDGER_SETTLE,
    LEDGER_CLOSE,
    LEDGER_CLEAR
};

enum ledger_use { LEDGER_NO_USE, LEDGER_TRAINING, LEDGER_EVALUATION };

struct ledger_row {
    int64_t id, pool, at;
    enum ledger_kind kind;
    struct digest job_id;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    uint32_t round;
    uint32_t use;       /* enum ledger_use */
    uint32_t mechanism; /* enum job_mechanism */
    bool shared;
    double noise_multiplier, sampling_rate;
    uint32_t steps, rounds;
    double metrics_noise;
    uint32_t evaluations;
    double epsilon, delta; /* epsilon infinite: more than can be accounted */
    uint32_t filter;       /* enum budget_filter */
    int64_t other;
    struct digest subject, content;
    uint8_t signature[SIGNATURE_BYTES];
    struct digest hash;
    uint64_t event;
};

/* "join", "merge", "set", … */
const char *ledger_kind_word(enum ledger_kind kind);

/* Adds the row, whose id, hash and event are set, behind the last one, with its event, in the transaction that is open.
 * ERROR_UNTRUSTED when the last row, or the last event of a row, is not what it was. */
MUST_USE struct error *ledger_add(struct store *store, struct ledger_row *row, const char *detail);

/* Every row, its hash and its event; and the events behind the last of them up to the signed head. */
MUST_USE struct error *ledger_verify(struct store *store, const struct identity *identity);
/* Of one row that was read: its own hash, and its event's digest. */
MUST_USE struct error *ledger_check(struct store *store, const struct ledger_row *row);

/* The rows of a pool and of those that were merged into it, in order. */
MUST_USE struct error *ledger_rows(struct store *store, int64_t pool,
                                   struct error *(*visit)(void *context, const struct ledger_row *row),
                                   void *context);

/* A run that reserved, and how far it came. */
struct ledger_run {
    struct ledger_row reserved;
    uint32_t rounds, evaluations; /* begun */
    bool closed;
};
/* Of a pool and of those that were merged into it, in order. */
MUST_USE struct error *ledger_runs(struct store *store, int64_t pool,
                                   struct error *(*visit)(void *context, const struct ledger_run *run),
                                   void *context);
/* *ret_found false: it reserved nothing. */
MUST_USE struct error *ledger_run_find(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                       struct ledger_run *ret_run, bool *ret_found);
/* Whether there is such a row of the run: begin or settle. */
MUST_USE struct error *ledger_has(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                  enum ledger_kind kind, enum ledger_use use, uint32_t round, bool *ret_has);
/* The cap set last, of this very pool. */
MUST_USE struct error *ledger_cap(struct store *store, int64_t pool, struct ledger_row *ret_row,
                                  bool *ret_found);
/* Rows of the pool, and of those merged into it, that are answers without privacy; and all. */
MUST_USE struct error *ledger_count(struct store *store, int64_t pool, uint64_t *ret_clear,
                                    uint64_t *ret_all);

/* Of all pools. */
MUST_USE struct error *ledger_count_all(struct store *store, uint64_t *ret_count);

/* Several rows are of one moment: in the transaction that is open, or in one of its own. */
struct ledger_change {
    bool own;
};
MUST_USE struct error *ledger_begin(struct store *store, struct ledger_change *ret_change);
MUST_USE struct error *ledger_commit(struct store *store, const struct ledger_change *change);
void ledger_undo(struct store *store, const struct ledger_change *change);

/* ---- pools (store_pool.c) ---- */

/* The pool that dataset's rows belong to; 0: they were stored before there were pools, and are not in one yet. */
MUST_USE struct error *pool_of_dataset(struct store *store, int64_t dataset_id, int64_t *ret_pool);
/* Of a dataset in no pool: whether its id or its rows joined one once; whether any pool has a cap. */
MUST_USE struct error *pool_traces(struct store *store, const struct dataset_info *dataset, bool *ret_joined,
                                   bool *ret_capped);
/* Datasets whose rows belong to the pool: how many, and the names of the first `room`. */
MUST_USE struct error *pool_datasets(struct store *store, int64_t pool, char (*ret_names)[65], size_t room,
                                     size_t *ret_count);
/* Pools that were not merged into another, ascending; malloc'ed. */
MUST_USE struct error *pool_list(struct store *store, int64_t **ret_pools, size_t *ret_count);
/* The hashes that are stored are those that the joins brought: ERROR_UNTRUSTED. Reads them all. */
MUST_USE struct error *pool_verify(struct store *store);
