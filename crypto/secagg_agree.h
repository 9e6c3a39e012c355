/* Who contributed (U3), what all sites sign about it, and the shares that are given afterwards (steps 'agree' and
 * 'unmask').
 *
 * Signed: context || U2_hash || U3_hash || SHA-256(the signed bodies of the inputs, in the order of U3): the same bytes
 * at every site.
 *
 * Of every contributor a site wants a signature under the digest of its vector, and verifies each before it gives a share
 * (secagg_unmask_check), not before it signs the list: an agreement of a contributor is such a signature too. It is over the list
 * with all digests, and an honest site makes it only where its own entry is the vector that it gave (secagg_agree_check). So
 * those who agreed are known by the agreements, which have to be verified anyway, and only of the others the signature under
 * the input is. What is known when shares are given is the same either way: every honest site in the list did contribute
 * what the list says. A corrupt one can sign either, whatever it gave. A list with an entry that nobody signed can be
 * signed, and is then never opened: an orchestrator that puts one together ends the round, as it can at any step, and
 * learns nothing from signatures. */
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
 * (ERROR_UNTRUSTED); and secagg_isolation_check. `least` is the smallest number of contributors of the job. Then
 * the body. Signatures of the inputs are not looked at: secagg_unmask_check, for which the inputs are kept. */
MUST_USE struct error *secagg_agree_check(const struct secagg_attempt *attempt, uint32_t position,
                                          const struct digest *own_digest, const struct secagg_input *inputs,
                                          size_t count, size_t least,
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

/* All that a site checks of signatures before it gives a share: `inputs` are those of the `body` that it signed, in this
 * attempt (ERROR_UNTRUSTED); the agreements, as secagg_agreements_verify; and of each contributor that is not among them,
 * other than `position` itself, the signature under its input (ERROR_UNTRUSTED; names it). */
MUST_USE struct error *secagg_unmask_check(const struct secagg_attempt *attempt, uint32_t position,
                                           const uint8_t body[static SECAGG_AGREEMENT_BODY_BYTES],
                                           const struct secagg_input *inputs, size_t count,
                                           const struct secagg_agreement *agreements, size_t agreement_count,
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
