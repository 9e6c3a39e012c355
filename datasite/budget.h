/* The privacy budget of the owner's records: what jobs may learn about one of them in all, and what they did.
 *
 * A pool is a set of datasets that share records, found by keyed hashes of the rows' features when rows are stored, so that
 * importing the same rows again, under whatever name, does not refill it. Each pool has one ledger and at most one cap in
 * force, which the owner signs (budget_set). Rows of the ledger are only ever added, and each is bound by its digest to an event of
 * the site's chain (audit/chain.h), whose heads leave with every receipt and advert: a file that was put back shows.
 *
 *     reserve   with the beginning of a run, in the same transaction: the worst case of all its rounds
 *     begin     before rows are read for a round or an evaluation: from here on it counts as spent, whatever becomes of it
 *     settle    with the release, in the airlock's transaction
 *     close     with the end of the run: what was reserved and not begun is given back where the filter allows
 *     clear     an answer without privacy left: a loss without bound, for the record
 *
 * The cap is a filter that was fixed before the jobs were seen, since jobs are chosen after seeing earlier answers:
 *
 *     sum   Σ of the runs' epsilon (PLD) and Σ of their delta within the caps; a run counts whole once one of its rounds was
 *           begun, and not at all if none was
 *     rdp   at one of privacy_filter_orders the sum of all divergences, spent and reserved, converts to at most epsilon; rounds
 *           that were not begun are given back
 *
 * A cap that is set, or comes with other records, while a run is in progress holds for its next round: reserved is not spent.
 *
 * A pool with a cap lets no job without privacy compute. A pool without one lets the owner's approval decide, and records.
 *
 * What is counted is about one record, in the pool or not. site-level protects a site's update, in the sum or not, and one
 * record may turn the update into any other of the same norm, twice as far: it is counted with half of its noise multiplier.
 *
 * Where rows make one pool of two, the lower epsilon, the lower delta, and, where the filters differ, sum are in force from
 * then on, over what both have spent: that keeps what either cap promised, and sum promises (epsilon, delta) for whatever
 * order jobs came in, also of those that were admitted by rdp. */
#pragma once

#include "crypto/identity.h"
#include "datasite/approval.h"
#include "datasite/pool_hash.h"
#include "datasite/store.h"

enum budget_filter { BUDGET_SUM, BUDGET_RDP };

/* The sampler's distance from what is accounted is charged to a cap's delta 1 + e^epsilon times (crypto/noise_grid.h). */
#define BUDGET_RDP_MOST_EPSILON 30.0

struct budget_cap {
    double epsilon; /* above 0, at most PRIVACY_MAX_EPSILON; with filter rdp BUDGET_RDP_MOST_EPSILON */
    double delta;   /* PRIVACY_MIN_DELTA to PRIVACY_MAX_DELTA */
    enum budget_filter filter;
};

/* Of an epsilon that owners are shown: what is taken, spent or reserved is rounded up (privacy_bound), what is left down
 * (privacy_left). */
#define BUDGET_EPSILON_DIGITS 4

#define BUDGET_POOL_DATASETS 16

/* Whether the dataset's pool has a cap, so that exact numbers of it do not leave. A dataset that is in no pool yet has none. */
MUST_USE struct error *budget_capped(struct store *store, const struct identity *identity, int64_t dataset_id,
                                     bool *ret_capped);

/* A pool as the owner sees it. */
struct budget_state {
    int64_t pool;
    size_t datasets; /* that share it; the names of the first BUDGET_POOL_DATASETS */
    char names[BUDGET_POOL_DATASETS][65];
    bool capped;
    struct budget_cap cap;
    int64_t set_at;
    /* By the filter of the cap, sum without a cap; infinite: more than can be accounted. With rdp all three epsilons are at the
     * cap's delta, which is spent_delta and left_delta too. */
    double spent_epsilon, spent_delta;
    double reserved_epsilon, reserved_delta; /* what runs in progress may add to it */
    double left_epsilon, left_delta;         /* with a cap */
    uint64_t clear_answers;                  /* that left without privacy */
    uint64_t entries;                        /* of the ledger */
};

/* One line of the ledger. */
struct budget_entry {
    int64_t at;
    char kind[8]; /* join, merge, set, reserve, begin, settle, close, clear */
    struct digest job_id;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    uint32_t round;
    char use[12]; /* "training", "evaluation", "" */
    /* Of a reservation, for the whole run. */
    char mechanism[20];
    double noise_multiplier, sampling_rate, metrics_noise;
    uint64_t steps;
    uint32_t evaluations;
    double epsilon, delta; /* of a reservation or cap; NaN: none */
    uint64_t event;        /* of the chain */
};

/* Signs and stores the cap of the dataset's pool, with its event. A lower cap than what is spent is taken: nothing more then
 * fits. ERROR_NOT_FOUND, ERROR_INVALID. */
MUST_USE struct error *budget_set(struct store *store, const struct identity *identity, const char *dataset,
                                  const struct budget_cap *cap, int64_t now);

/* ERROR_UNTRUSTED where the cap or a row of the ledger is not what its signature and events say. */
MUST_USE struct error *budget_state(struct store *store, const struct identity *identity, int64_t dataset_id,
                                    struct budget_state *ret_state);
/* All pools that have a dataset, a cap or an entry. */
MUST_USE struct error *budget_list(struct store *store, const struct identity *identity,
                                   struct budget_state **ret_states, size_t *ret_count);
MUST_USE struct error *budget_entries(struct store *store, const struct identity *identity, int64_t pool,
                                      struct error *(*visit)(void *context, const struct budget_entry *entry),
                                      void *context);

/* Of all pools: the ledger, its events, and the hashes of records, which it reads all. How many rows the ledger has. */
MUST_USE struct error *budget_verify(struct store *store, const struct identity *identity,
                                     uint64_t *ret_entries);

/* What one run of the job, of all its rounds, would cost, and whether that fits beside what is spent and reserved. `sentence` says it, for the owner and the requester: what it takes, what is left, and, where it does not fit,
 * what would. A dataset that is in no pool yet has no cap. */
struct budget_offer {
    bool private_job, capped;
    bool fits;
    bool may_fit;                    /* if the runs in progress gave back what they can */
    double epsilon, delta;           /* of the job, for one record; infinite without privacy */
    double left_epsilon, left_delta; /* with a cap */
    uint32_t rounds_that_fit;        /* with its noise; 0: none */
    double noise_that_fits;          /* with its rounds; 0: none */
    char sentence[512];
};
/* How long to look for what would fit. The cost of the job itself takes the accountant's time in any case, once. */
enum budget_search {
    BUDGET_SEARCH_NONE, /* not at all: in a transaction that writes */
    BUDGET_SEARCH_QUICK, /* by Rényi divergences alone, so that a little more might fit: where others wait for the answer */
    BUDGET_SEARCH_WHOLE, /* by the accountant, many times */
};
MUST_USE struct error *budget_offer(struct store *store, const struct identity *identity,
                                    const struct job *job, const struct dataset_info *dataset,
                                    enum budget_search search, struct budget_offer *ret_offer);

/* Begins the run, or finds it, as store_run_begin, and reserves for it in the same transaction. ERROR_REFUSED when it does not
 * fit, with what is left. What the job costs is accounted before the transaction begins, unless one is open already, or it is
 * remembered (account.h): whoever calls inside one has it accounted before (request_accounted). */
MUST_USE struct error *budget_run_begin(struct store *store, const struct identity *identity,
                                        const struct approval *approval,
                                        const uint8_t run_id[static STORE_RUN_ID_BYTES], int64_t now,
                                        struct run_record *ret_run);

enum budget_use { BUDGET_TRAINING, BUDGET_EVALUATION };

/* Before rows are read: the round, or evaluation, counts as spent from now on, committed. The same again changes nothing.
 * ERROR_REFUSED without a reservation that covers it, and where a cap that was set since it was made has no room for the step.
 * Jobs without privacy pass, unless their pool has a cap. */
MUST_USE struct error *budget_begin(struct store *store, const struct identity *identity,
                                    const struct approval *approval,
                                    const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                    enum budget_use use, int64_t now);

/* In the airlock's transaction: the event of what leaves. ERROR_REFUSED unless it was begun, and not yet settled; under secure
 * aggregation the same vector may leave again under other masks. */
MUST_USE struct error *budget_settle(struct store *store, const struct identity *identity,
                                     const struct approval *approval,
                                     const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                     enum budget_use use, int64_t now);

/* ERROR_INTERNAL unless something of that round is settled: asked where answers of private jobs are written. */
MUST_USE struct error *budget_check_settled(struct store *store,
                                            const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round);

/* In the airlock's transaction, of a job without privacy: ERROR_REFUSED where the pool has a cap, else recorded. */
MUST_USE struct error *budget_clear(struct store *store, const struct identity *identity,
                                    const struct approval *approval,
                                    const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                    enum budget_use use, int64_t now);

/* In the transaction that ends a run. */
MUST_USE struct error *budget_run_over(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                       int64_t now);

/* ---- pools, by who stores rows ---- */

/* In the transaction that stores rows, or finds them stored: `hashes` [count], ascending (pool_hasher_take; their order is
 * lost), are remembered for good, and pools that share one become one. ERROR_UNTRUSTED where the ledger, or the hashes
 * that are there, are not what this site wrote. */
MUST_USE struct error *budget_pool_rows(struct store *store, const struct dataset_info *info,
                                        uint8_t (*hashes)[POOL_HASH_BYTES], size_t count, int64_t now);
/* The rows of every dataset that is in no pool, from before there were pools; by the daemon when it starts, and before a cap is
 * set. An encrypted site's store is unlocked. */
MUST_USE struct error *budget_pool_all(struct store *store, const uint8_t split_key[static 32], int64_t now);

/* Whether every dataset is in a pool. */
MUST_USE struct error *budget_pooled(struct store *store, bool *ret_pooled);

/* "sum", "rdp". */
const char *budget_filter_word(enum budget_filter filter);
MUST_USE bool budget_filter_parse(const char *word, enum budget_filter *ret_filter);
