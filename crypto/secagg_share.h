/* Shares of a slot's two secrets, sealed from site to site; the orchestrator carries them and cannot read them.
 *
 *     plain   u16 x || share of s_sk (40) || share of b (40)               x: the receiver's position
 *     key and nonce (44)   HKDF-SHA256(X25519(c_from, c_to), salt = keyset_hash,
 *                          info = "FDS-SA1 share v1" || u32 slot || site_id from || site_id to)
 *     polynomials   shamir_deal_new with the two halves, for s and for b, of HKDF-SHA256(b || s, salt = keyset_hash,
 *                   info = "FDS-SA1 deal v1" || u32 slot || site_id from), 64 bytes: made again, they are the same
 *     sealed  AES-256-GCM, AAD = job_hash || u32 slot || from || to || keyset_hash */
#pragma once

#include "crypto/agreement_memory.h"
#include "crypto/secagg_keyset.h"

#define SECAGG_SHARE_BYTES (2 + 2 * SHAMIR_SHARE_BYTES)
#define SECAGG_SEALED_BYTES (SECAGG_SHARE_BYTES + 16)

/* One peer's shares, opened. Wiped by whoever had it. */
struct secagg_share {
    uint8_t s[SHAMIR_SHARE_BYTES], b[SHAMIR_SHARE_BYTES];
};

/* What a site gives in step 'share' for one slot; the same bytes whenever it is made of the same keyset. *ret_sealed: [neighbours][SECAGG_SEALED_BYTES] in the order of
 * secagg_neighbours, malloc'ed. *ret_own: its share of its own secrets, to keep. */
MUST_USE struct error *secagg_share_make(const struct secagg_keyset *keyset, uint32_t slot, uint32_t position,
                                         const struct secagg_secret *secret, uint8_t **ret_sealed,
                                         size_t *ret_count, struct secagg_share *ret_own);
/* The same; what is agreed on with each neighbour is looked up in `memory`, and kept there (NULL: it is not). */
MUST_USE struct error *secagg_share_make_with(const struct secagg_keyset *keyset, uint32_t slot,
                                              uint32_t position, const struct secagg_secret *secret,
                                              struct agreement_memory *memory, uint8_t **ret_sealed,
                                              size_t *ret_count, struct secagg_share *ret_own);
/* Opens what `from` sealed for `position`. ERROR_UNTRUSTED when the seal does not hold, ERROR_INVALID when what is
 * inside is no share or is for another position; both blame `from` (error_blame). */
MUST_USE struct error *secagg_share_open(const struct secagg_keyset *keyset, uint32_t slot, uint32_t position,
                                         uint32_t from, const struct secagg_secret *secret,
                                         const uint8_t sealed[static SECAGG_SEALED_BYTES],
                                         struct secagg_share *ret_share);
/* The same with secret->c read, for those who open many, and with a memory as secagg_share_make_with has it. */
MUST_USE struct error *secagg_share_open_by(const struct secagg_keyset *keyset, uint32_t slot,
                                            uint32_t position, uint32_t from, struct agreement_key *key,
                                            struct agreement_memory *memory,
                                            const uint8_t sealed[static SECAGG_SEALED_BYTES],
                                            struct secagg_share *ret_share);
