/* What the airlock holds private jobs to, one function each with its own refusal. Used by the release*.c files, and by the
 * requests and the trainer before time is spent. Nothing here looks at a number of rows but the declared one. */
#pragma once

#include "datasite/approval.h"
#include "datasite/mechanism.h"
#include "schemas/policy.h"

/* `noised`: what is about to leave went through the job's mechanism. A private job lets nothing else out, and other jobs
 * nothing of that kind. */
MUST_USE struct error *release_check_noised(const struct job *job, bool noised);

/* An evaluation of this round is one of those that the job pays for: metrics_noise, and of metrics_rounds: last the approval's
 * last round alone. */
MUST_USE struct error *release_check_noised_round(const struct approval *approval, uint32_t round);

/* What was done is exactly what the job says: mechanism, grid (level, clip, bound), samples at its rate, a noise for each,
 * over all of `count` values. ERROR_INTERNAL names what is not. */
MUST_USE struct error *release_check_mechanism(const struct job *job, const struct mechanism_record *record,
                                               size_t count);
