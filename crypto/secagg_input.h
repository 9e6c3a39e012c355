/* A site's vector under its masks (step 'mask').
 *
 *     pair seed   HKDF-SHA256(X25519(s_i, s_j), salt = context, info = "FDS-SA1 pair v1" || smaller id || larger id || U2_hash, 32)
 *     self seed   HKDF-SHA256(b_i, salt = context, info = "FDS-SA1 self v1" || id || U2_hash, 32)
 *     y = x + PRG(self) + sum over neighbours j > i in U2 of PRG(pair) - sum over j < i of PRG(pair)
 *
 * (PRG and ring: mask.h). U2 are the sites whose shares everybody has. Signed: context || U2_hash || u64 words ||
 * SHA-256(y), y as mask_write gives it. */
#pragma once

#include "crypto/secagg_keyset.h"

#define SECAGG_INPUT_BODY_BYTES 104

/* What one attempt of one round is about; filled by secagg_attempt_make. `keyset` and `sharers` are borrowed. */
struct secagg_attempt {
    const struct secagg_keyset *keyset;
    uint32_t slot, round, attempt;
    struct secagg_set sharers; /* U2 */
    struct digest keyset_hash, model_hash, context, sharers_hash;
    enum mask_ring ring;
    size_t words; /* of the vector */
};
/* Checks U2: ascending members of the keyset, at least the threshold; and that the slot is in the keyset: ERROR_INVALID. */
MUST_USE struct error *secagg_attempt_make(const struct secagg_keyset *keyset, uint32_t slot, uint32_t round,
                                           uint32_t attempt, struct secagg_set sharers,
                                           const struct digest *model_hash, enum mask_ring ring, size_t words,
                                           struct secagg_attempt *ret_attempt);

MUST_USE struct error *secagg_pair_seed(const struct secagg_attempt *attempt, uint32_t one, uint32_t other,
                                        const uint8_t secret_of_one[static AGREEMENT_KEY_BYTES],
                                        uint8_t ret_seed[static MASK_SEED_BYTES]);
/* The same with the key read, for those who make many. */
MUST_USE struct error *secagg_pair_seed_of(const struct secagg_attempt *attempt, uint32_t one, uint32_t other,
                                           struct agreement_key *key_of_one,
                                           uint8_t ret_seed[static MASK_SEED_BYTES]);
MUST_USE struct error *secagg_self_seed(const struct secagg_attempt *attempt, uint32_t position,
                                        const uint8_t b[static 32], uint8_t ret_seed[static MASK_SEED_BYTES]);
/* Adds all masks of `position`, who is in U2 (ERROR_INVALID), to words [attempt->words], in place. On failure they are
 * wiped: a vector under only some of its masks must not get out. */
MUST_USE struct error *secagg_input_mask(const struct secagg_attempt *attempt, uint32_t position,
                                         const struct secagg_secret *secret, uint64_t *words);

/* `digest`: SHA-256 of y. */
void secagg_input_body(const struct secagg_attempt *attempt, const struct digest *digest,
                       uint8_t ret_body[static SECAGG_INPUT_BODY_BYTES]);
MUST_USE struct error *secagg_input_sign(const struct identity *identity,
                                         const struct secagg_attempt *attempt, const struct digest *digest,
                                         uint8_t ret_signature[static SIGNATURE_BYTES]);

/* What is known of a contributor's vector without the vector. */
struct secagg_input {
    uint32_t position;
    struct digest digest; /* SHA-256 of y */
    uint8_t signature[SIGNATURE_BYTES];
};
/* ERROR_UNTRUSTED unless the member at input->position signed it in this attempt; names the position. */
MUST_USE struct error *secagg_input_verify(const struct secagg_attempt *attempt,
                                           const struct secagg_input *input, struct secagg_memo *memo);
