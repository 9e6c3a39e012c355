/* What is reserved, begun, settled and closed. Every function reads what it decides by from the ledger, in the transaction
 * that it writes in. */
#include "datasite/budget_parts.h"

#include "datasite/store_release.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

_Static_assert(BUDGET_TRAINING + 1 == LEDGER_TRAINING && BUDGET_EVALUATION + 1 == LEDGER_EVALUATION,
               "a use is one more in the ledger, where 0 is none");

static enum ledger_use use_stored(enum budget_use use)
{
    return use == BUDGET_TRAINING ? LEDGER_TRAINING : LEDGER_EVALUATION;
}

static const char *use_word(enum budget_use use)
{
    return use == BUDGET_TRAINING ? "training" : "evaluation";
}

/* ---- jobs without privacy ---- */

/* A dataset in no pool: of a site of before there were pools, unless there are caps, which it might be under, or its rows were
 * pooled before, and somebody took it away from its pool. */
static struct error *clear_admit_unpooled(struct store *store, const struct identity *identity,
                                          const struct dataset_info *dataset)
{
    struct error *err = NULL;
    bool joined = false, capped = false;
    TRY(ledger_verify(store, identity));
    TRY(pool_traces(store, dataset, &joined, &capped));
    if (joined)
        FAIL(ERROR_UNTRUSTED,
             "The rows of dataset %s were of a pool of records, and are of none now: somebody changed "
             "site.db. "
             "Nothing more of them is used: restore the file from a backup.",
             dataset->name);
    if (capped)
        FAIL(ERROR_REFUSED, BUDGET_WANTS_POOL);
done:
    return err;
}

/* No cap is in the way of it. *ret_pool 0: the rows were stored before there were pools, and there are no caps. */
static struct error *clear_admit(struct store *store, const struct identity *identity,
                                 const struct approval *approval, int64_t *ret_pool)
{
    struct error *err = NULL;
    struct budget_cap cap;
    int64_t pool = 0;
    bool capped = false;
    TRY(pool_of_dataset(store, approval->dataset.id, &pool));
    if (pool == 0)
        TRY(clear_admit_unpooled(store, identity, &approval->dataset));
    else
        TRY(budget_cap_find(store, identity, pool, &cap, NULL, &capped));
    if (capped)
        FAIL(ERROR_REFUSED, BUDGET_WANTS_PRIVACY);
    *ret_pool = pool;
done:
    return err;
}

struct error *budget_clear(struct store *store, const struct identity *identity,
                           const struct approval *approval, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                           uint32_t round, enum budget_use use, int64_t now)
{
    struct error *err = NULL;
    char detail[64];
    struct ledger_row row = {.at = now,
                             .kind = LEDGER_CLEAR,
                             .job_id = approval->record.id,
                             .round = round,
                             .use = use_stored(use)};
    if (job_private(approval->job))
        FAIL(ERROR_INTERNAL, "An answer with privacy was to leave without being counted.");
    TRY(clear_admit(store, identity, approval, &row.pool));
    if (row.pool == 0)
        goto done;
    memcpy(row.run_id, run_id, STORE_RUN_ID_BYTES);
    (void)snprintf(detail, sizeof(detail), "pool %" PRId64 ", %s without privacy", row.pool, use_word(use));
    TRY(ledger_add(store, &row, detail));
done:
    return err;
}

/* ---- the beginning of a run ---- */

static struct error *run_known(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                               bool *ret_known)
{
    struct run_record run;
    struct error *err = store_run_find(store, run_id, &run);
    *ret_known = err == NULL;
    if (err != NULL && err->code == ERROR_NOT_FOUND)
        error_clear(&err);
    return err;
}

/* The job as far as it is approved. */
static struct job approved_job(const struct approval *approval)
{
    struct job job = job_copy(approval->job);
    job.rounds = approval->decision.rounds;
    return job;
}

static struct error *run_reserve(struct store *store, const struct identity *identity,
                                 const struct approval *approval, double epsilon,
                                 const uint8_t run_id[static STORE_RUN_ID_BYTES], int64_t now)
{
    struct error *err = NULL;
    struct job job = approved_job(approval);
    const struct job_privacy *privacy = &job.privacy;
    struct budget_offer offer;
    char detail[128];
    struct ledger_row row = {.at = now,
                             .kind = LEDGER_RESERVE,
                             .job_id = approval->record.id,
                             .mechanism = (uint32_t)privacy->mechanism,
                             .shared = job.secure.enabled,
                             .noise_multiplier = privacy->noise_multiplier,
                             .sampling_rate = privacy->sampling_rate,
                             .steps = privacy->steps,
                             .rounds = job.rounds,
                             .metrics_noise = privacy->metrics_noise,
                             .evaluations = privacy_plan_evaluations(&job, job.rounds),
                             .delta = privacy->delta};
    TRY(pool_of_dataset(store, approval->dataset.id, &row.pool));
    if (row.pool == 0)
        FAIL(ERROR_REFUSED, BUDGET_WANTS_POOL);
    TRY(budget_offer_of(store, identity, &job, epsilon, &approval->dataset, BUDGET_SEARCH_NONE, &offer));
    if (!offer.fits)
        FAIL(ERROR_REFUSED, "%s", offer.sentence);
    memcpy(row.run_id, run_id, STORE_RUN_ID_BYTES);
    row.epsilon = offer.epsilon;
    (void)snprintf(detail, sizeof(detail), "pool %" PRId64 ", epsilon %g, delta %g, for %" PRIu32 " rounds",
                   row.pool, row.epsilon, row.delta, row.rounds);
    TRY(ledger_add(store, &row, detail));
done:
    return err;
}

/* A run that begins has all of the ledger looked at. */
static struct error *run_admit(struct store *store, const struct identity *identity,
                               const struct approval *approval, double epsilon,
                               const uint8_t run_id[static STORE_RUN_ID_BYTES], bool known, int64_t now)
{
    struct error *err = NULL;
    int64_t pool = 0;
    if (!known)
        TRY(ledger_verify(store, identity));
    if (!job_private(approval->job))
        TRY(clear_admit(store, identity, approval, &pool));
    else if (!known)
        TRY(run_reserve(store, identity, approval, epsilon, run_id, now));
done:
    return err;
}

struct error *budget_run_begin(struct store *store, const struct identity *identity,
                               const struct approval *approval,
                               const uint8_t run_id[static STORE_RUN_ID_BYTES], int64_t now,
                               struct run_record *ret_run)
{
    struct error *err = NULL;
    struct ledger_change change = {.own = false};
    struct run_record run;
    struct job job = approved_job(approval);
    bool known = false;
    double epsilon = INFINITY;
    TRY(run_known(store, run_id, &known));
    if (!known) /* before others who write have to wait */
        TRY(budget_epsilon(store, &job, &epsilon));
    TRY(ledger_begin(store, &change));
    TRY(run_known(store, run_id, &known));
    /* First, since it ends a run that was left open, whose reservation is closed with that. */
    TRY(store_run_begin(store, &approval->record.id, run_id, now, &run));
    TRY(run_admit(store, identity, approval, epsilon, run_id, known, now));
    TRY(ledger_commit(store, &change));
    *ret_run = run;
done:
    if (err != NULL)
        ledger_undo(store, &change);
    return err;
}

/* ---- rounds ---- */

/* The reservation of the approval's run, which goes on. */
static struct error *round_run(struct store *store, const struct approval *approval,
                               const uint8_t run_id[static STORE_RUN_ID_BYTES], struct ledger_run *ret_run)
{
    struct error *err = NULL;
    struct ledger_run run;
    bool found = false;
    TRY(ledger_run_find(store, run_id, &run, &found));
    if (!found || !digest_equal(&run.reserved.job_id, &approval->record.id))
        FAIL(ERROR_REFUSED, "Nothing is reserved of this site's privacy budget for this run.");
    TRY(ledger_check(store, &run.reserved));
    if (run.closed)
        FAIL(ERROR_REFUSED, "What was reserved of this site's privacy budget for this run is closed.");
    *ret_run = run;
done:
    return err;
}

static struct ledger_row round_row(const struct ledger_run *run, enum ledger_kind kind, uint32_t round,
                                   enum budget_use use, int64_t now)
{
    struct ledger_row row = {.pool = run->reserved.pool,
                             .at = now,
                             .kind = kind,
                             .job_id = run->reserved.job_id,
                             .round = round,
                             .use = use_stored(use)};
    memcpy(row.run_id, run->reserved.run_id, STORE_RUN_ID_BYTES);
    return row;
}

/* What was begun is within a cap that was set, or came with other records, after the run had reserved. A run that reserved
 * under the cap in force has been asked already. */
static struct error *round_fits(struct store *store, const struct identity *identity,
                                const struct approval *approval, const struct ledger_run *run)
{
    struct error *err = NULL;
    struct ledger_row set;
    struct budget_cap cap;
    struct budget_sum sum;
    int64_t pool = 0;
    bool capped = false;
    double epsilon = 0, delta = 0;
    TRY(pool_of_dataset(store, approval->dataset.id, &pool));
    TRY(ledger_cap(store, pool, &set, &capped));
    if (!capped || set.id < run->reserved.id)
        goto done;
    TRY(budget_cap_find(store, identity, pool, &cap, NULL, &capped));
    TRY(budget_sum_of(store, pool, &sum));
    if (!budget_admits(&cap, &sum.spent, &epsilon, &delta))
        FAIL(ERROR_REFUSED,
             "The budget of these records, which is in force since this run began, has no room for another "
             "step of it: a higher cap (datasite budget set) would do.");
done:
    return err;
}

static struct error *round_begin(struct store *store, const struct identity *identity,
                                 const struct approval *approval,
                                 const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                 enum budget_use use, int64_t now)
{
    struct error *err = NULL;
    struct ledger_run run;
    char detail[64];
    bool begun = false;
    TRY(round_run(store, approval, run_id, &run));
    TRY(ledger_has(store, run_id, LEDGER_BEGIN, use_stored(use), round, &begun));
    if (begun)
        goto done;
    if (use == BUDGET_TRAINING ? run.rounds >= run.reserved.rounds
                               : run.evaluations >= run.reserved.evaluations)
        FAIL(ERROR_REFUSED,
             "This run has begun as many steps of this kind as were reserved of this site's privacy budget.");
    struct ledger_row row = round_row(&run, LEDGER_BEGIN, round, use, now);
    (void)snprintf(detail, sizeof(detail), "pool %" PRId64 ", %s", row.pool, use_word(use));
    TRY(ledger_add(store, &row, detail));
    TRY(round_fits(store, identity, approval, &run));
done:
    return err;
}

struct error *budget_begin(struct store *store, const struct identity *identity,
                           const struct approval *approval, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                           uint32_t round, enum budget_use use, int64_t now)
{
    struct error *err = NULL;
    struct ledger_change change = {.own = false};
    int64_t pool = 0;
    if (!job_private(approval->job))
        return clear_admit(store, identity, approval, &pool);
    TRY(ledger_begin(store, &change));
    TRY(round_begin(store, identity, approval, run_id, round, use, now));
    TRY(ledger_commit(store, &change));
done:
    if (err != NULL)
        ledger_undo(store, &change);
    return err;
}

struct error *budget_settle(struct store *store, const struct identity *identity,
                            const struct approval *approval, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                            uint32_t round, enum budget_use use, int64_t now)
{
    struct error *err = NULL;
    struct ledger_run run;
    char detail[64];
    bool begun = false, settled = false;
    (void)identity; /* the airlock has verified the approval, and the row is bound to the chain */
    if (!job_private(approval->job))
        FAIL(ERROR_INTERNAL, "An answer without privacy was to be settled.");
    if (!store_in_transaction(store))
        FAIL(ERROR_INTERNAL, "A release was to be settled outside its transaction.");
    TRY(round_run(store, approval, run_id, &run));
    TRY(ledger_has(store, run_id, LEDGER_BEGIN, use_stored(use), round, &begun));
    TRY(ledger_has(store, run_id, LEDGER_SETTLE, use_stored(use), round, &settled));
    if (!begun)
        FAIL(ERROR_REFUSED,
             "This round was not begun in this site's privacy budget, so nothing of it leaves.");
    if (settled && approval->job->secure.enabled)
        goto done;
    if (settled)
        FAIL(ERROR_REFUSED, "What leaves of this round is settled in this site's privacy budget already.");
    struct ledger_row row = round_row(&run, LEDGER_SETTLE, round, use, now);
    (void)snprintf(detail, sizeof(detail), "pool %" PRId64 ", %s", row.pool, use_word(use));
    TRY(ledger_add(store, &row, detail));
done:
    return err;
}

struct error *budget_check_settled(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                   uint32_t round)
{
    struct error *err = NULL;
    bool training = false, evaluation = false;
    TRY(ledger_has(store, run_id, LEDGER_SETTLE, LEDGER_TRAINING, round, &training));
    TRY(ledger_has(store, run_id, LEDGER_SETTLE, LEDGER_EVALUATION, round, &evaluation));
    if (!training && !evaluation)
        FAIL(ERROR_INTERNAL, "An answer of a private job was to leave without being settled.");
done:
    return err;
}

/* ---- the owner ---- */

struct error *budget_set(struct store *store, const struct identity *identity, const char *dataset,
                         const struct budget_cap *cap, int64_t now)
{
    struct error *err = NULL;
    struct ledger_change change = {.own = false};
    struct dataset_info info;
    int64_t pool = 0;
    TRY(ledger_begin(store, &change));
    TRY(ledger_verify(store, identity));
    TRY(store_dataset_find(store, dataset, &info));
    TRY(pool_of_dataset(store, info.id, &pool));
    if (pool == 0)
        FAIL(ERROR_INTERNAL, "The dataset's rows are in no pool yet.");
    TRY(budget_cap_put(store, identity, pool, cap, now));
    TRY(ledger_commit(store, &change));
done:
    if (err != NULL)
        ledger_undo(store, &change);
    return err;
}
