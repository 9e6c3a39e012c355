/* Secure aggregation, what all its files speak of. Design: Bonawitz et al., "Practical Secure Aggregation for
 * Privacy-Preserving Machine Learning", CCS 2017 (double masking, the variant for active adversaries); above
 * SECAGG_COMPLETE sites the graph of Bell et al., "Secure Single-Server Aggregation with (Poly)Logarithmic Overhead",
 * CCS 2020.
 *
 *     step           a site gives                                file
 *     advertise      key slots, signed                           secagg_keyset.h
 *     share          to each neighbour, sealed, shares of both   secagg_share.h
 *                    secrets of a slot
 *     mask           its vector under masks, signed              secagg_input.h
 *     agree          its signature under who contributed         secagg_agree.h
 *     unmask         once enough agree and every contributor     secagg_agree.h
 *                    signed, of every neighbour one share: b
 *                    of who contributed, s_sk of who did not
 *     (the sum)      anybody: secrets from shares, the sum       secagg_sum.h
 *                    from the inputs, checked
 *
 * The functions are pure: they take what came in and give what goes out and what has to be kept; sockets, databases and
 * the order of the steps are the programs'. Whoever calls them must see to it that a slot serves one context, that one
 * agreement is signed a round, and that of a peer one kind of share is given.
 *
 * Everything hashed or signed is of fixed width, integers little-endian. A signature covers
 * "FDS-SA1/" || type || 0x00 || SHA-256(body). Sites are named by their position in the roster: 1 to n, in ascending
 * order of site_id; it is the x of Shamir's shares. Lists of positions are strictly ascending. */
#pragma once

#include "crypto/agreement.h"
#include "crypto/identity.h"
#include "crypto/mask.h"
#include "crypto/shamir.h"
#include "schemas/job.h"

#define SECAGG_MAX_SITES SHAMIR_MAX_SHARES
#define SECAGG_COMPLETE 128 /* up to so many sites every two are neighbours */
#define SECAGG_RUN_ID_BYTES 16
#define SECAGG_MAX_BATCH 64 /* slots of one advert */

/* What all messages of a run are about. Borrowed pointers. */
struct secagg_run {
    struct digest job_hash;
    uint8_t run_id[SECAGG_RUN_ID_BYTES];
    const struct site_id *roster; /* [sites], strictly ascending */
    size_t sites;
    size_t threshold; /* t: of signatures, and of Shamir's shares up to SECAGG_COMPLETE sites */
    size_t
        colluding; /* n_c; above SECAGG_COMPLETE sites, where it is more than a tenth, the graph is denser for it */
};
/* The one way to a run, for sites and orchestrator alike: the graph is made of all of it, so that whoever left out a part of it
 * would have other neighbours. `roster` is borrowed. */
MUST_USE struct secagg_run secagg_run_make(const struct job *job, const struct digest *job_hash,
                                           const uint8_t run_id[static SECAGG_RUN_ID_BYTES],
                                           const struct site_id *roster, size_t sites);
/* Position of a site, 0: not in the roster. */
uint32_t secagg_position(const struct secagg_run *run, const struct site_id *site);
/* floor((sites + colluding) / 2) + 1. */
size_t secagg_threshold(size_t sites, size_t colluding);

/* A list of positions, strictly ascending. */
struct secagg_set {
    const uint32_t *positions;
    size_t count;
};
/* ERROR_INVALID unless ascending, within the roster; `what` is for the sentence: "the list of sharers". */
MUST_USE struct error *secagg_set_check(const struct secagg_run *run, struct secagg_set set,
                                        const char *what);
MUST_USE bool secagg_set_has(struct secagg_set set, uint32_t position);
/* Every one of `part` is in `whole`. */
MUST_USE bool secagg_set_within(struct secagg_set part, struct secagg_set whole);

/* SHA-256("FDS-SA1 U2\0" or "FDS-SA1 U3\0" || u32 count || site_ids ascending). */
enum secagg_set_kind { SECAGG_SHARERS = 2, SECAGG_CONTRIBUTORS = 3 };
MUST_USE struct error *secagg_set_hash(const struct secagg_run *run, enum secagg_set_kind kind,
                                       struct secagg_set set, struct digest *ret_hash);

/* SHA-256("FDS-SA1 ctx\0" || job_hash || u32 round || u32 attempt || keyset_hash || model_hash). */
MUST_USE struct error *secagg_context(const struct secagg_run *run, uint32_t round, uint32_t attempt,
                                      const struct digest *keyset_hash, const struct digest *model_hash,
                                      struct digest *ret_context);

/* `type`: "advert", "input", "agreement", "sum". */
MUST_USE struct error *secagg_sign(const struct identity *identity, const char *type, const void *body,
                                   size_t bytes, uint8_t ret_signature[static SIGNATURE_BYTES]);
/* Signatures that held once need not be verified again: a bounded table of SHA-256(key || signature || hash), and one of
 * 256 keys that were read. Used by any thread. */
struct secagg_memo;
MUST_USE struct error *secagg_memo_new(size_t places, struct secagg_memo **ret_memo);
/* The same once more, to be freed as often. */
struct secagg_memo *secagg_memo_share(struct secagg_memo *memo);
void secagg_memo_free(struct secagg_memo *memo); /* accepts NULL */
/* Of a signature that `identity` has just made (secagg_sign): it holds. `memo` may be NULL. */
MUST_USE struct error *secagg_memo_own(struct secagg_memo *memo, const struct identity *identity,
                                       const char *type, const void *body, size_t bytes,
                                       const uint8_t signature[static SIGNATURE_BYTES]);
/* ERROR_UNTRUSTED unless `public_key` is the key of `site` and signed it; `memo` may be NULL. */
MUST_USE struct error *secagg_verify(struct secagg_memo *memo, const struct site_id *site,
                                     const uint8_t public_key[static PUBLIC_KEY_BYTES], const char *type,
                                     const void *body, size_t bytes,
                                     const uint8_t signature[static SIGNATURE_BYTES]);
