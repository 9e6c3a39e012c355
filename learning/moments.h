/* Feature statistics: the mean and the mean square of every feature, which FEATURES_STANDARDIZE is made from.
 *
 *     parameters [2·d]: mean[d], then mean square[d]; a row's contribution is (x, x²)
 *
 * Privately, as everything in integers (private_sum.h): a row's vector is scaled to norm at most clip, truncated toward zero on
 * the grid, and counts iff its integer norm is at most the bound. */
#pragma once

#include "learning/matrix.h"
#include "schemas/error.h"

#include <stdint.h>

/* Exact means over the selected rows, [2·d]. ERROR_INVALID without rows, ERROR_NUMERIC when not finite. */
MUST_USE struct error *moments_mean(const struct matrix_view *view, double *ret_parameters);

/* ret_sum [2·d]: the sum of clipped integer contributions of the rows order[0 … count). */
MUST_USE struct error *moments_private_sum(const struct matrix_view *view, const uint32_t *order,
                                           size_t count, double clip, uint64_t bound, int64_t *ret_sum);

/* Deviation from the statistics: sqrt(max(mean square - mean², 0)), and 0 below `least`. [d] each. */
void moments_deviation(const double *parameters, size_t features, double least, double *ret_deviation);
