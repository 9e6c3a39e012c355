/* What the owner's output rules ask of a job's privacy (schemas/policy.h, struct policy_privacy): said at approval, asked
 * before rows are read, and in the airlock. The budget of a pool (budget.h) is another matter: it adds up jobs. */
#pragma once

#include "datasite/approval.h"
#include "schemas/policy.h"

/* What a run of `rounds` rounds of the job tells about one record, as the budget counts it (PLD; with site-level at half of
 * the noise multiplier). Infinite without a mechanism, without a noise multiplier, and for more than can be accounted. Pure. */
MUST_USE struct error *privacy_terms_epsilon(const struct job *job, uint32_t rounds, double *ret_epsilon);

/* ERROR_REFUSED, with what would do, unless `runs` runs of `rounds` rounds of the job are what the rules ask for. Pure. */
MUST_USE struct error *privacy_terms_check(const struct policy_output *output, const struct job *job,
                                           uint32_t rounds, uint32_t runs);

/* The same of an approved job, by the rounds and runs of its approval. The store remembers the epsilons that it computed
 * last, which depend on the job's bytes and the rounds alone. */
MUST_USE struct error *privacy_terms_admit(struct store *store, const struct approval *approval,
                                           const struct policy_output *output);
