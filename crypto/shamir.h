/* Shamir's sharing of 32-byte secrets (Shamir, "How to share a secret", CACM 1979) over the prime p = 2^61 - 1, with
 * Berlekamp-Welch decoding, so that wrong shares are corrected and named.
 *
 * A secret is five limbs, 56 bits each but the last (32 bits), little-endian; each limb is shared by a polynomial of
 * its own of degree threshold - 1. The share of x (1 to SHAMIR_MAX_SHARES) is the five values at x, as five u64
 * little-endian: 40 bytes.
 *
 * Arithmetic on secrets and shares has no branch and no index that depends on them; which shares are wrong is public
 * once they are. Pure: the coefficients are given, or follow from a seed, so that a dealing can be repeated. */
#pragma once

#include "crypto/secret.h"
#include "schemas/error.h"

#define SHAMIR_PRIME ((UINT64_C(1) << 61) - 1)
#define SHAMIR_SECRET_BYTES 32
#define SHAMIR_LIMBS 5
#define SHAMIR_SHARE_BYTES 40
#define SHAMIR_SEED_BYTES 32
#define SHAMIR_MAX_SHARES 1024

/* Field arithmetic: arguments and results are 0 to p - 1. */
uint64_t shamir_add(uint64_t a, uint64_t b);
uint64_t shamir_subtract(uint64_t a, uint64_t b);
uint64_t shamir_multiply(uint64_t a, uint64_t b);
uint64_t shamir_invert(uint64_t a); /* of 0: 0 */

/* A dealing: the polynomials of one secret. Wiped by shamir_deal_free, which accepts NULL. */
struct shamir_deal;
/* threshold: 1 to SHAMIR_MAX_SHARES. Coefficients are the words of the mask of 64 bits (mask.h) that the seed stands for, in
 * order, from degree 1 up and limb by limb, each cut to 61 bits; where that is p, the next of the words behind them is
 * taken, so that they are uniform over the field. A seed is secret, and serves one secret. */
MUST_USE struct error *shamir_deal_new(const uint8_t secret[static SHAMIR_SECRET_BYTES], size_t threshold,
                                       const uint8_t seed[static SHAMIR_SEED_BYTES],
                                       struct shamir_deal **ret_deal);
/* The same with given coefficients, [threshold - 1][SHAMIR_LIMBS], from degree 1 up: for known answers. */
MUST_USE struct error *shamir_deal_given(const uint8_t secret[static SHAMIR_SECRET_BYTES], size_t threshold,
                                         const uint64_t *coefficients, struct shamir_deal **ret_deal);
void shamir_deal_share(const struct shamir_deal *deal, uint32_t x,
                       uint8_t ret_share[static SHAMIR_SHARE_BYTES]);
void shamir_deal_free(struct shamir_deal *deal);

/* All five values are below p: ERROR_INVALID. */
MUST_USE struct error *shamir_share_check(const uint8_t share[static SHAMIR_SHARE_BYTES]);

struct shamir_point {
    uint32_t x; /* all different */
    uint8_t share[SHAMIR_SHARE_BYTES];
};

/* The secret from `count` >= threshold points: interpolation of the first `threshold` of them. Whether shares are wrong is
 * not seen, except where the result is no secret (limbs out of range): ERROR_INVALID. */
MUST_USE struct error *shamir_interpolate(const struct shamir_point *points, size_t count, size_t threshold,
                                          uint8_t ret_secret[static SHAMIR_SECRET_BYTES]);
/* The secret from `count` points of which at most floor((count - threshold) / 2) are wrong (Welch and Berlekamp, US
 * patent 4,633,470, 1986, expired; Gemmell and Sudan 1992). ret_wrong [count] says which (NULL: not asked).
 * ERROR_INVALID when more are wrong, as far as that can be seen, or the result is no secret. */
MUST_USE struct error *shamir_correct(const struct shamir_point *points, size_t count, size_t threshold,
                                      uint8_t ret_secret[static SHAMIR_SECRET_BYTES], bool *ret_wrong);
