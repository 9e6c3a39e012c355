/* What budget*.c share, and store_pool.c of them. Nobody else includes it. */
#pragma once

#include "crypto/privacy_plan.h"
#include "datasite/account.h"
#include "datasite/budget.h"
#include "datasite/store_ledger.h"

#define BUDGET_WANTS_PRIVACY                                                                                 \
    "The records of this dataset have a privacy budget, so that only jobs with privacy use them: a job "     \
    "with "                                                                                                  \
    "privacy.mechanism would do."
#define BUDGET_WANTS_POOL                                                                                    \
    "This site has not looked yet which of its datasets share records with this one: its owner starts it "   \
    "again (datasite serve)."
#define POOL_MOST_MERGED 256 /* by the rows of one dataset */

/* ---- caps (budget_cap.c) ---- */

/* Signs the cap and adds its row, in the transaction that is open. */
MUST_USE struct error *budget_cap_put(struct store *store, const struct identity *identity, int64_t pool,
                                      const struct budget_cap *cap, int64_t now);
/* The cap in force; ret_at (NULL: not asked) when it was set. ERROR_UNTRUSTED unless row and signature hold. */
MUST_USE struct error *budget_cap_find(struct store *store, const struct identity *identity, int64_t pool,
                                       struct budget_cap *ret_cap, int64_t *ret_at, bool *ret_found);
/* The stricter of the caps of these pools. */
MUST_USE struct error *budget_caps_join(struct store *store, const struct identity *identity,
                                        const int64_t *pools, size_t count, struct budget_cap *ret_cap,
                                        bool *ret_found);

/* ---- what a job takes (budget_offer.c) ---- */

/* Of all of its rounds, as budgets count; takes the accountant's time unless it is remembered. */
MUST_USE struct error *budget_epsilon(struct store *store, const struct job *job, double *ret_epsilon);
/* budget_offer of a job whose epsilon is known, which takes no time without a search. */
MUST_USE struct error *budget_offer_of(struct store *store, const struct identity *identity,
                                       const struct job *job, double epsilon,
                                       const struct dataset_info *dataset, enum budget_search search,
                                       struct budget_offer *ret_offer);

/* ---- what was spent (budget_sum.c) ---- */

/* Of one kind: what rounds that were begun cost, and what runs in progress may add. */
struct budget_cost {
    double epsilon, delta;             /* filter sum */
    double rdp[PRIVACY_FILTER_ORDERS]; /* filter rdp */
    double distance;                   /* of the sampler, filter rdp (privacy_plan_filter) */
};
struct budget_sum {
    struct budget_cost spent;    /* what nothing gives back */
    struct budget_cost together; /* with all that is reserved */
};
/* Of the runs of a pool. */
MUST_USE struct error *budget_sum_of(struct store *store, int64_t pool, struct budget_sum *ret_sum);
/* What a run of a job as account_charged gave it costs, for each filter; what cannot be accounted is infinite. The former takes the
 * accountant's time, the latter is cheap and is added to what is there. */
MUST_USE struct error *budget_cost_sum(const struct job *charged, enum privacy_accountant accountant,
                                       uint32_t rounds, uint32_t evaluations, struct budget_cost *cost);
MUST_USE struct error *budget_cost_rdp(const struct job *charged, uint32_t rounds, uint32_t evaluations,
                                       struct budget_cost *cost);
void budget_cost_add(struct budget_cost *cost, const struct budget_cost *more);
/* Of one filter: whether it is within the cap; the epsilon and delta that it comes to. */
bool budget_admits(const struct budget_cap *cap, const struct budget_cost *cost, double *ret_epsilon,
                   double *ret_delta);
