/* Sums of clipped gradients of softmax regression, in integers: what one step of private training knows of the rows.
 *
 * For row i with features a = (x_i, 1) and delta = softmax - onehot, the gradient of the cross-entropy is the outer product
 * delta · aᵀ, of norm ‖delta‖·‖a‖ (Goodfellow 2015): clipping needs no gradient per example. On the grid (crypto/noise_grid.h
 * explains why), with bound B and scale = B / clip:
 *
 *     a_q = trunc(a · A)     delta_q = trunc(delta · min(1, clip / (‖delta‖·‖a‖)) · scale / A)
 *     the row counts iff (Σ delta_q²)(Σ a_q²) <= B²      in 128 bits; else, and if anything is not finite, it adds zero
 *     sum = Σ_i delta_q · a_qᵀ                            int64, exact in any order
 *
 * toward zero, A a power of two (255 for rows of bytes as they are). So the bound on what one row adds is a theorem about
 * integers. The products go through double matrices whose partial sums stay below 2^53, by cutting the batch where needed.
 *
 *     sum  [k·d + k], the layout of softmax.h
 */
#pragma once

#include "learning/softmax.h"

#include <stdint.h>

struct private_sum; /* room for batches; made once, used for many steps by one thread */

struct private_sum_options {
    double clip;    /* C > 0, finite: the norm that one row's gradient is cut to */
    uint64_t bound; /* B, 2^10 to 2^40 */
};

/* The problem is borrowed and outlives it; its `index` and l2 are not read. */
MUST_USE struct error *private_sum_new(const struct softmax_problem *problem,
                                       const struct private_sum_options *options,
                                       struct private_sum **ret_sum);
void private_sum_free(struct private_sum *sum); /* accepts NULL; wipes */

/* ret_sum [k·d + k] = the sum over the rows order[0 … count) of the array (count may be 0) of their clipped gradients at
 * `parameters`. A row that gives nothing finite adds zero: refusing would itself tell. */
MUST_USE struct error *private_sum_gradient(struct private_sum *sum, const double *parameters,
                                            const uint32_t *order, size_t count, int64_t *ret_sum);
