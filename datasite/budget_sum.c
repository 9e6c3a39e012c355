/* What runs cost, by both filters. Epsilons of runs are the figures that were reserved; divergences are computed from the
 * reserved parameters, for as many rounds as count. */
#include "datasite/budget_parts.h"

#include <math.h>

/* The reserved job, as account_charged. */
static struct job sum_job(const struct ledger_row *row)
{
    struct job job = {.privacy = {.mechanism = (enum job_mechanism)row->mechanism,
                                  .noise_multiplier = row->noise_multiplier,
                                  .sampling_rate = row->sampling_rate,
                                  .steps = row->steps,
                                  .metrics_noise = row->metrics_noise,
                                  .delta = row->delta},
                      .secure = {.enabled = row->shared}};
    return account_charged(&job);
}

/* More than the accountant takes is more than any budget has. */
static struct error *cost_infinite(struct error *err, bool *ret_infinite)
{
    if (err != NULL && (err->code == ERROR_LIMIT || err->code == ERROR_INVALID)) {
        error_free(err);
        *ret_infinite = true;
        return NULL;
    }
    return err;
}

struct error *budget_cost_rdp(const struct job *charged, uint32_t rounds, uint32_t evaluations,
                              struct budget_cost *cost)
{
    struct error *err = NULL;
    bool infinite = false;
    err = cost_infinite(privacy_plan_filter(charged, rounds, evaluations, cost->rdp, &cost->distance),
                        &infinite);
    if (err != NULL)
        goto done;
    for (size_t i = 0; infinite && i < PRIVACY_FILTER_ORDERS; i++)
        cost->rdp[i] = INFINITY;
done:
    return err;
}

struct error *budget_cost_sum(const struct job *charged, enum privacy_accountant accountant, uint32_t rounds,
                              uint32_t evaluations, struct budget_cost *cost)
{
    struct error *err = NULL;
    double epsilon = INFINITY;
    bool infinite = false;
    TRY(cost_infinite(privacy_plan_epsilon(charged, accountant, rounds, evaluations, &epsilon), &infinite));
    cost->epsilon = epsilon;
done:
    return err;
}

void budget_cost_add(struct budget_cost *cost, const struct budget_cost *more)
{
    cost->epsilon += more->epsilon;
    cost->delta += more->delta;
    cost->distance += more->distance;
    for (size_t i = 0; i < PRIVACY_FILTER_ORDERS; i++)
        cost->rdp[i] += more->rdp[i];
}

/* Nothing converts to a little more than nothing. */
static bool cost_none(const struct budget_cost *cost)
{
    bool none = true;
    for (size_t i = 0; i < PRIVACY_FILTER_ORDERS; i++)
        none = none && cost->rdp[i] == 0;
    return none;
}

bool budget_admits(const struct budget_cap *cap, const struct budget_cost *cost, double *ret_epsilon,
                   double *ret_delta)
{
    double epsilon = INFINITY;
    switch (cap->filter) {
    case BUDGET_SUM:
        *ret_epsilon = cost->epsilon;
        *ret_delta = cost->delta;
        return cost->epsilon <= cap->epsilon && cost->delta <= cap->delta;
    case BUDGET_RDP:
        break;
    }
    double slack = cost->distance > 0 ? cost->distance * (1 + exp(cap->epsilon)) : 0;
    double left = cap->delta - slack;
    bool admits = left > 0 && privacy_filter_admits(cost->rdp, cap->epsilon, left, &epsilon);
    *ret_epsilon = cost_none(cost) ? 0 : epsilon;
    *ret_delta = cap->delta;
    return admits || cost_none(cost);
}

/* ---- a pool ---- */

static struct error *sum_run(void *context, const struct ledger_run *run)
{
    struct error *err = NULL;
    struct budget_sum *sum = context;
    struct job charged = sum_job(&run->reserved);
    bool begun = run->rounds > 0 || run->evaluations > 0;
    struct budget_cost whole = {.epsilon = run->reserved.epsilon, .delta = run->reserved.delta};
    struct budget_cost spent = {.epsilon = begun ? whole.epsilon : 0, .delta = begun ? whole.delta : 0};
    TRY(budget_cost_rdp(&charged, run->rounds, run->evaluations, &spent));
    budget_cost_add(&sum->spent, &spent);
    if (!run->closed)
        TRY(budget_cost_rdp(&charged, run->reserved.rounds, run->reserved.evaluations, &whole));
    budget_cost_add(&sum->together, run->closed ? &spent : &whole);
done:
    return err;
}

struct error *budget_sum_of(struct store *store, int64_t pool, struct budget_sum *ret_sum)
{
    struct error *err = NULL;
    struct budget_sum sum = {.spent = {.epsilon = 0}};
    TRY(ledger_runs(store, pool, sum_run, &sum));
    *ret_sum = sum;
done:
    return err;
}
