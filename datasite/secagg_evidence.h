/* Whether a sum is the sum: computed anew from the masked inputs, which at least the threshold of sites signed for, and the
 * secrets that were revealed (verify_sum). Pure. */
#pragma once

#include "crypto/secagg_sum.h"
#include "schemas/wire.h"

/* `attempt` is the sum's, `contributors` too; `words` [attempt->words] are those that the orchestrator signed.
 * ERROR_REFUSED when inputs or secrets are not there; ERROR_UNTRUSTED when the inputs are not those of the agreement, a
 * secret is not that of its site (named by its position), or the sum of the inputs without masks is another one. */
MUST_USE struct error *secagg_evidence_check(const struct secagg_attempt *attempt,
                                             struct secagg_set contributors, const Fds__Sum *sum,
                                             const uint64_t *words);
