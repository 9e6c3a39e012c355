#include "orchestrator/run_spent.h"

#include <math.h>

static bool accounted(const struct run_record *record)
{
    return job_private(record->job) && !record->mock;
}

/* Under secure aggregation counts ride in the vectors of rounds; those of the last model in one of their own. */
static bool exchange_counts(const struct job *job, const struct round_record *exchange)
{
    if (!(job->privacy.metrics_noise > 0))
        return false;
    return job->privacy.metrics_rounds == JOB_METRICS_ALL || exchange->round > job->rounds;
}

static void add_masked(const struct run_record *record, const struct round_record *exchange, size_t site,
                       struct run_spent *spent)
{
    if (exchange->masking.contributors == 0 || exchange->sites[site].status != SITE_OK)
        return;
    spent->rounds += exchange->round <= record->job->rounds;
    spent->evaluations += exchange_counts(record->job, exchange);
}

void run_spent_add(const struct run_record *record, const struct round_record *exchange, size_t site,
                   struct run_spent *spent)
{
    const struct site_round *part = &exchange->sites[site];
    if (record->job->secure.enabled) {
        add_masked(record, exchange, site, spent);
        return;
    }
    spent->rounds += part->update_receipt != NULL;
    spent->evaluations += part->evaluation_receipt != NULL;
}

struct run_spent run_spent_of(const struct run_record *record, size_t site)
{
    struct run_spent spent = {0};
    const struct round_record *exchange = NULL;
    for (size_t n = 0; (exchange = run_record_exchange(record, n)) != NULL; n++)
        run_spent_add(record, exchange, site, &spent);
    return spent;
}

bool run_spent_whole(const struct job *job, struct run_spent spent)
{
    return spent.rounds == job->rounds && spent.evaluations == privacy_plan_evaluations(job, job->rounds);
}

/* Beyond what the accountant tells is a figure too large to be of use; another one may still be. */
static struct error *unless_too_large(struct error *err)
{
    if (err == NULL || err->code != ERROR_LIMIT)
        return err;
    error_free(err);
    return NULL;
}

static struct error *spent_epsilon(const struct run_record *record, struct run_spent spent,
                                   double *ret_epsilon)
{
    struct error *err = NULL;
    double epsilon = record->epsilon;
    if (!run_spent_whole(record->job, spent)) {
        TRY(unless_too_large(
            privacy_plan_priced(record->job, record->price, spent.rounds, spent.evaluations, &epsilon)));
        epsilon = fmin(epsilon, record->epsilon);
    }
    *ret_epsilon = epsilon;
done:
    return err;
}

struct error *run_spent_plan(struct run_record *record)
{
    struct error *err = NULL;
    const struct job *job = record->job;
    uint32_t evaluations = 0;
    record->epsilon = record->epsilon_rdp = record->epsilon_worst = NAN;
    if (!job_private(job))
        return NULL;
    if (record->price == NULL)
        record->price = calloc(1, sizeof *record->price);
    if (record->price == NULL)
        FAIL(ERROR_MEMORY, "No memory for what the rounds of the run cost.");
    TRY(privacy_plan_price(job, record->price));
    evaluations = privacy_plan_evaluations(job, job->rounds);
    TRY(privacy_plan_epsilon(job, PRIVACY_PLD, job->rounds, evaluations, &record->epsilon));
    TRY(unless_too_large(
        privacy_plan_epsilon(job, PRIVACY_RDP, job->rounds, evaluations, &record->epsilon_rdp)));
    if (privacy_plan_honest(job) > 1)
        TRY(unless_too_large(privacy_plan_worst(job, job->rounds, evaluations, &record->epsilon_worst)));
    else
        record->epsilon_worst = record->epsilon;
done:
    return err;
}

struct error *run_spent_settle(const struct run_record *record, struct round_record *exchange,
                               struct run_spent *spent)
{
    struct error *err = NULL;
    struct run_spent priced = {0};
    double epsilon = 0;
    for (size_t i = 0; i < record->job->site_count; i++) {
        exchange->sites[i].epsilon_spent = NAN;
        if (!accounted(record))
            continue;
        run_spent_add(record, exchange, i, &spent[i]);
        /* Sites mostly are at the same point: what one comes to, the next does. */
        if (spent[i].rounds != priced.rounds || spent[i].evaluations != priced.evaluations) {
            TRY(spent_epsilon(record, spent[i], &epsilon));
            priced = spent[i];
        }
        exchange->sites[i].epsilon_spent = epsilon;
    }
done:
    return err;
}
