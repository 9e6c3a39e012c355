/* What the accountant is asked about a job, and what it said: one figure takes it some 20 ms as a rule, and up to a second for
 * a job that was made to cost time, so that a process asks once for each. Figures by privacy loss distributions
 * (crypto/privacy_plan.h); of the parameters of privacy alone, whatever the job is called. */
#pragma once

#include "crypto/digest.h"
#include "datasite/store.h"
#include "datasite/store_epsilons.h"
#include "schemas/job.h"

/* Owns nothing, borrows nothing. */
struct account {
    struct job job; /* only `privacy`, `secure.enabled` and `rounds` are meaningful */
    struct digest what;
};

/* As a budget counts it, about one record: site-level, by which a record may turn an update into any other, with half of its noise
 * multiplier. Only `privacy`, `secure` and `rounds` of the result are meaningful. */
struct job account_charged(const struct job *job);

/* Of a run of `rounds` rounds with its evaluations: as a budget counts it, and as the job promises it. */
MUST_USE struct error *account_of_budget(const struct job *job, uint32_t rounds, struct account *ret_account);
MUST_USE struct error *account_of_promise(const struct job *job, uint32_t rounds,
                                          struct account *ret_account);

/* Infinite without a mechanism, without a noise multiplier, and for more than can be accounted. Remembered; with NULL not. */
MUST_USE struct error *account_epsilon(struct store_epsilons *epsilons, const struct account *account,
                                       double *ret_epsilon);

/* What the daemon has to know of a job before it decides about it: one account, or two. 0 of a job without privacy, or without
 * noise. */
#define ACCOUNT_MOST 2
MUST_USE struct error *account_wanted(const struct job *job, uint32_t rounds,
                                      struct account ret_accounts[static ACCOUNT_MOST], size_t *ret_count);
