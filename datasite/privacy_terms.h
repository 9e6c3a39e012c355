/* What the owner's output rules ask of a job's privacy (schemas/policy.h, struct policy_privacy): said at approval, asked
 * before rows are read, and in the airlock. The budget of a pool (budget.h) is another matter: it adds up jobs. */
#pragma once

#include "datasite/approval.h"
#include "schemas/policy.h"

/* What a run of `rounds` rounds of the job tells about one record, as the budget counts it (PLD; with site-level at half of
 * the noise multiplier). Infinite without a mechanism, without a noise multiplier, and for more than can be accounted. The store
 * remembers it (account.h); NULL: nobody does. */
MUST_USE struct error *privacy_terms_epsilon(struct store *store, const struct job *job, uint32_t rounds,
                                             double *ret_epsilon);

/* As privacy_plan_check: ERROR_INVALID unless a job that has a target_epsilon and a noise multiplier keeps its target. */
MUST_USE struct error *privacy_terms_target(struct store *store, const struct job *job);

/* ERROR_REFUSED, with what would do, unless `runs` runs of `rounds` rounds of the job are what the output rules ask for.
 *
 * `require: [privacy]` for a dataset binds every dataset that shares records with it (budget.h), since exact numbers about the same
 * records under another name are no less exact; for that a store and the dataset are needed (NULL: its own rules alone). The bounds of
 * `privacy` are of the dataset that they name. */
MUST_USE struct error *privacy_terms_check(struct store *store, const struct policy_gate *gate,
                                           const struct job *job, const struct dataset_info *dataset,
                                           uint32_t rounds, uint32_t runs);

/* The same of an approved job, by the rounds and runs of its approval. */
MUST_USE struct error *privacy_terms_admit(struct store *store, const struct policy_gate *gate,
                                           const struct approval *approval);
