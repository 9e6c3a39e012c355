/* Feature statistics: the mean and the mean square of every feature, which FEATURES_STANDARDIZE is made from.
 *
 *     parameters [2·d]: mean[d], then mean square[d]; a row's contribution is (x, x²)
 *
 * Privately, as everything in integers (private_sum.h): a row's vector is scaled to norm at most clip, truncated toward zero on
 * the grid of bound / clip steps a unit, and counts iff its integer norm, in 128 bits, is at most the bound; a row that is not
 * finite adds zero. All pure. */
#pragma once

#include "learning/matrix.h"
#include "schemas/error.h"

#include <stdint.h>

/* Exact means over the selected rows, [2·d]. ERROR_INVALID without rows, ERROR_NUMERIC when not finite in single precision. */
MUST_USE struct error *moments_mean(const struct matrix_view *view, double *ret_parameters);

/* ret_sum [2·d]: the sum, modulo 2^64, of clipped integer contributions of the rows order[0 … count) of the array (count may
 * be 0). ERROR_INVALID: clip is not a finite number above 0, the bound is outside that of private_sum.h, or a row does not
 * exist. */
MUST_USE struct error *moments_private_sum(const struct matrix_view *view, const uint32_t *order,
                                           size_t count, double clip, uint64_t bound, int64_t *ret_sum);

/* Deviation from the statistics: sqrt(max(mean square - mean², 0)), and 0 below `least` or when not a number. [d] each. */
void moments_deviation(const double *parameters, size_t features, double least, double *ret_deviation);
