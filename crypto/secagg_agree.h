/* Who contributed (U3), what all sites sign about it, and the shares that are given afterwards (steps 'agree' and
 * 'unmask').
 *
 * Signed: context || U2_hash || U3_hash || SHA-256(the signed bodies of the inputs, in the order of U3): the same bytes
 * at every site. */
#pragma once

#include "crypto/secagg_input.h"
#include "crypto/secagg_share.h"

#define SECAGG_AGREEMENT "agreement" /* the type of what is signed */
#define SECAGG_AGREEMENT_BODY_BYTES 128

/* The body from inputs in ascending order. Checks nothing. */
MUST_USE struct error *secagg_agreement_body(const struct secagg_attempt *attempt,
                                             const struct secagg_input *inputs, size_t count,
                                             uint8_t ret_body[static SECAGG_AGREEMENT_BODY_BYTES]);
/* Above SECAGG_COMPLETE members: ERROR_REFUSED unless of every contributor's neighbours at least the graph's threshold
 * contributed; fewer can give no secret back, and may have it shut in among corrupt ones. */
MUST_USE struct error *secagg_isolation_check(const struct secagg_attempt *attempt,
                                              struct secagg_set contributors);
/* All that a site checks before it signs: inputs ascending and all in U2 (ERROR_INVALID), at least `least` of them and never
 * fewer than the threshold, or 3 (ERROR_REFUSED), `position`'s own among them (ERROR_REFUSED) with `own_digest`
 * (ERROR_UNTRUSTED), every signature (ERROR_UNTRUSTED); and secagg_isolation_check. `least` is the smallest number of contributors of the job. Then
 * the body. */
MUST_USE struct error *secagg_agree_check(const struct secagg_attempt *attempt, uint32_t position,
                                          const struct digest *own_digest, const struct secagg_input *inputs,
                                          size_t count, size_t least, struct secagg_memo *memo,
                                          uint8_t ret_body[static SECAGG_AGREEMENT_BODY_BYTES]);

struct secagg_agreement {
    uint32_t position;
    uint8_t public_key[PUBLIC_KEY_BYTES];
    uint8_t signature[SIGNATURE_BYTES];
};
/* At least run.threshold (ERROR_REFUSED) valid signatures of different sites of the roster, ascending (ERROR_INVALID),
 * over this body; one that does not hold is ERROR_UNTRUSTED and names its position. They are made with
 * secagg_sign of SECAGG_AGREEMENT. */
MUST_USE struct error *secagg_agreements_verify(const struct secagg_run *run,
                                                const uint8_t body[static SECAGG_AGREEMENT_BODY_BYTES],
                                                const struct secagg_agreement *agreements, size_t count,
                                                struct secagg_memo *memo);

/* One revealed share. */
enum secagg_kind { SECAGG_REVEAL_B = 1, SECAGG_REVEAL_S = 2 };
#define SECAGG_REVEALED_BYTES 41 /* kind, share */
struct secagg_revealed {
    uint32_t position; /* whose secret */
    enum secagg_kind kind;
    uint8_t share[SHAMIR_SHARE_BYTES];
};
/* Of which secrets `position` gives its share: every site of U2 that is a neighbour, and itself, ascending: b if it is
 * in U3, s otherwise. *ret_revealed [count], shares not filled; malloc'ed. ERROR_INVALID unless `position` and all of U3 are
 * in U2; ERROR_REFUSED for a U3 below the threshold. */
MUST_USE struct error *secagg_reveal_plan(const struct secagg_attempt *attempt,
                                          struct secagg_set contributors, uint32_t position,
                                          struct secagg_revealed **ret_revealed, size_t *ret_count);
