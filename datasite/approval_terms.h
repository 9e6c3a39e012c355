/* Whether what would be approved can be kept: terms that the airlock would refuse at the first release, or that would
 * protect nothing, are said when the owner (or a rule) decides. The airlock does not rest on it. */
#pragma once

#include "crypto/identity.h"
#include "datasite/approval.h"
#include "schemas/policy.h"

/* ERROR_REFUSED, with what would do.
 *
 * Of any job: it lacks privacy, or its bounds, that the output rules ask for (privacy_terms.h).
 *
 * Of a job in clear: the output rules of its dataset require secure aggregation.
 *
 * Of a job with secure aggregation: its roster is not admitted (secagg_roster.h); an answer would be held, which shows
 * the owner nothing, as it is masked, and keeps all sites waiting; it would run more than once, and the difference of
 * two sums over other sites may be one site; counts are pooled although they may not leave, or not below min_cell,
 * which nobody can withhold inside a sum; updates are weighted by rows whose number may not leave. `dataset`: the job's, NULL when
 * this site has none. `store`: as of privacy_terms_check. */
MUST_USE struct error *approval_terms_check(struct store *store, const struct policy_gate *gate,
                                            const struct job *job, const struct dataset_info *dataset,
                                            const struct site_id *own, const struct approval_limits *limits);

/* About how many rows of the dataset train, when that is more than the job's `max_examples`; else 0. Which rows train is
 * drawn by a keyed hash, so that near the bound only a step that counts them knows; no ground to refuse an approval. For the
 * owner's eyes. */
uint64_t approval_terms_excess(const struct job *job, const struct dataset_info *dataset);

/* What a rule allows of a job: as the rule says, but one run with secure aggregation. */
struct approval_limits approval_terms_of_rule(const struct policy_rule *rule, const struct job *job,
                                              int64_t now);
