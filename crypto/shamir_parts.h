/* What shamir.c and shamir_correct.c share. */
#pragma once

#include "crypto/shamir.h"

/* Limb `limb` of a share. */
uint64_t shamir_share_limb(const uint8_t share[static SHAMIR_SHARE_BYTES], size_t limb);
/* The first `count` words, cut to 61 bits; of [count + spare], where the ones behind stand in for those that give p. False when
 * they are too few. */
MUST_USE bool shamir_take(const uint64_t *words, size_t count, size_t spare, uint64_t *ret_values);
/* Number of points, threshold, x and shares are such as the header says: ERROR_INVALID. */
MUST_USE struct error *shamir_points_check(const struct shamir_point *points, size_t count, size_t threshold);
/* The secret whose limbs these are; ERROR_INVALID when one is out of range. */
MUST_USE struct error *shamir_join(const uint64_t limbs[static SHAMIR_LIMBS],
                                   uint8_t ret_secret[static SHAMIR_SECRET_BYTES]);
