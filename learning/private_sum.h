/* Sums of clipped gradients of softmax regression, in integers: what one step of private training knows of the rows.
 *
 * For row i with features a = (x_i, 1) and delta = softmax - onehot, the gradient of the cross-entropy is the outer product
 * delta · aᵀ, of norm ‖delta‖·‖a‖ (Goodfellow 2015): clipping needs no gradient per example. On the grid (crypto/noise_grid.h
 * explains why), with bound B, scale = B / clip, and a coarser grid of 2^s steps where B has more than 23 bits:
 *
 *     a_q = trunc(a · A)      delta_q = trunc(delta · min(1, clip · A / (‖delta‖·‖a_q‖)) · scale / (A · 2^s))
 *     the row counts iff (Σ delta_q²)(Σ a_q²) <= floor(B / 2^s)²   in 128 bits; else, and if anything is not finite,
 *     it adds zero
 *     sum = 2^s · Σ_i delta_q · a_qᵀ                               exact in any order, modulo 2^64
 *
 * toward zero. A depends on the row alone: the power of two that makes ‖a_q‖ at most 2^12 or 2^13 for a bound of 23 bits; for
 * bytes, 255, or where rows are very long the same power of two for all, times 255. So the bound on what one row adds is a theorem about integers, whatever rounding happened before;
 * and a row adds the same whatever rows stand beside it: logits come from the kernels of our own, never from OpenBLAS.
 *
 *     sum  [k·d + k], the layout of softmax.h
 *
 * A delta has some eleven bits when the gradient is as long as clip, and loses one with every halving: a clip of a thousand times
 * the gradients' norms rounds them away, long after noise of that size has drowned them.
 *
 * On one machine the sum is the same for any order of the rows, any cutting into batches and any number of threads. Logits of
 * different instruction sets round differently, which may move a delta_q by one. */
#pragma once

#include "learning/softmax.h"

#include <stdint.h>

#define PRIVATE_SUM_MIN_BOUND ((uint64_t)1 << 10)
#define PRIVATE_SUM_MAX_BOUND ((uint64_t)1 << 40)

struct private_sum; /* room for batches, made as they need it; used for many steps by one thread */

struct private_sum_options {
    double clip;    /* C > 0, finite: the norm that one row's gradient is cut to */
    uint64_t bound; /* B, PRIVATE_SUM_MIN_BOUND to PRIVATE_SUM_MAX_BOUND */
};

/* The problem is borrowed and outlives it; its `index` and l2 are not read. A problem whose kernel is that of OpenBLAS is
 * computed with kernel_best. ERROR_INVALID, ERROR_LIMIT (shapes, options), ERROR_MEMORY. */
MUST_USE struct error *private_sum_new(const struct softmax_problem *problem,
                                       const struct private_sum_options *options,
                                       struct private_sum **ret_sum);
void private_sum_free(struct private_sum *sum); /* accepts NULL; wipes */

/* ret_sum [k·d + k] = the sum over the rows order[0 … count) of the array (count may be 0) of their clipped gradients at
 * `parameters`. A row that gives nothing finite, or whose label is none of the classes, adds zero: refusing would itself
 * tell. ERROR_NUMERIC: a parameter, which is no secret here, is not finite in single precision. ERROR_INVALID: an entry of
 * `order` is not a row. ERROR_MEMORY: the first batch that needs more room than those before may lack it. */
MUST_USE struct error *private_sum_gradient(struct private_sum *sum, const double *parameters,
                                            const uint32_t *order, size_t count, int64_t *ret_sum);
