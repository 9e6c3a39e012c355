/* The sum: what the orchestrator makes from masked inputs and revealed shares, and what every site can make again from
 * the inputs and the revealed secrets (verify_sum). */
#pragma once

#include "crypto/secagg_agree.h"

/* A site's secret, revealed: b of a contributor, s_sk of a sharer that did not contribute. */
struct secagg_opened {
    uint32_t position;
    enum secagg_kind kind;
    uint8_t secret[32];
};

/* What one site revealed. */
struct secagg_unmasking {
    uint32_t position;                      /* who gave it */
    const struct secagg_revealed *revealed; /* [count], as its plan says */
    size_t count;
};

/* A share that does not fit the others of its secret: either its dealer sealed a wrong one, or its holder passed on
 * another than it was given. Which of the two cannot be told, unless they are the same site. */
struct secagg_misfit {
    uint32_t dealer, holder;
};
struct secagg_misfits {
    struct secagg_misfit *pairs; /* [count], malloc'ed */
    size_t count;
};

/* The secrets of all of U2, in that order, from the unmaskings of at least the threshold of sites. Every secret is checked
 * against its commitment, or its public key; if the first shares do not give it, wrong ones are corrected
 * (shamir_correct), and *ret_misfits (NULL: not asked) says which those were, as far as they were looked at. A share that
 * its giver has no business to give, or that is none, which no honest holder would have kept, is its own misfit. ERROR_UNAVAILABLE when too few shares are there,
 * ERROR_UNTRUSTED when they cannot be corrected; both name the position. *ret_opened [sharers.count], malloc'ed. */
MUST_USE struct error *secagg_open_secrets(const struct secagg_attempt *attempt,
                                           struct secagg_set contributors,
                                           const struct secagg_unmasking *unmaskings, size_t unmasking_count,
                                           struct secagg_opened **ret_opened,
                                           struct secagg_misfits *ret_misfits);
/* Of each secret that its commitment or public key agrees: ERROR_UNTRUSTED names the position. Of all of U2, in
 * that order, of the right kind: ERROR_INVALID. */
MUST_USE struct error *secagg_opened_check(const struct secagg_attempt *attempt,
                                           struct secagg_set contributors, const struct secagg_opened *opened,
                                           size_t count);

/* Takes off, from the sum of the inputs of U3 (words [attempt->words], in place), every mask that does not cancel:
 * contributors' self masks, and those of contributors with sharers that did not contribute. Secrets are
 * those of secagg_open_secrets. */
MUST_USE struct error *secagg_sum_unmask(const struct secagg_attempt *attempt, struct secagg_set contributors,
                                         const struct secagg_opened *opened, uint64_t *words);

/* The orchestrator's signature over the sum: context || U3_hash || SHA-256(words as mask_write gives them). */
#define SECAGG_SUM_BODY_BYTES 96
MUST_USE struct error *secagg_sum_body(const struct digest *context, const struct digest *contributors_hash,
                                       enum mask_ring ring, const uint64_t *words, size_t count,
                                       uint8_t ret_body[static SECAGG_SUM_BODY_BYTES]);
