/* Updates as integers: what goes under the masks, and back.
 *
 * A site with n_i examples and the change d = (its model) - (the model that the round began with) contributes
 *
 *     v = round(S · w_i · clip(d, -C, C))     w_i = n_i / N_max (weighting: examples) or 1 (equal)
 *
 * modulo 2^ring, two's complement, where S is the largest power of two with n · ceil(S · C) <= 2^(ring-1) - 1, n the number
 * of sites in the roster: whatever the rounding, the sum has room. The product S · w_i · clip(d) is float64's, S · w_i first.
 * 64 bits: to the nearest, ties to even. 32 bits: up or down at random, so that the expectation is exact (the probability, to
 * 2^-64). The vector of a round is
 *
 *     words[0]                 n_i (weighting: examples), or 1 (equal)
 *     words[1 … parameters]    v
 *     then                     counts [classes * classes] of the model that the round began with, on the site's test
 *                              rows: true class by row, predicted by column; none unless the job pools metrics
 *
 * and of the evaluation after the last round: words[0] = 1, then the counts. A count slot has room for n · N_max, or is
 * refused (fixed_point_plan). The mean change is
 *
 *     (sum of v) · N_max / (S · sum of n_i)     or (sum of v) / (S · number of contributors)
 *
 * by + - * / alone, in float64 without contraction, so that every site and the orchestrator get the same bits.
 *
 * Against FedAvg in clear (strategy_fedavg.h) on changes within C, a parameter differs by at most fixed_point_bound. */
#pragma once

#include "crypto/mask.h"
#include "schemas/error.h"

struct fixed_point {
    enum mask_ring ring;
    double clip;           /* C > 0, finite */
    uint64_t max_examples; /* N_max, at least 1 */
    size_t sites;          /* n of the roster */
    bool weighted;         /* weighting: examples */
    double scale;          /* S; set by fixed_point_plan */
};

/* Sets `scale`. ERROR_INVALID, with what would do, when there is no room: n · C or n · N_max beyond 2^(ring-1) - 1, or S < 1,
 * or N_max above 2^53, or C so small that S is above 2^900. */
MUST_USE struct error *fixed_point_plan(struct fixed_point *plan);

/* Fills words[0 … count] from the change (to - from), [count] each. ERROR_INVALID for examples 0 or above N_max,
 * ERROR_NUMERIC for a change that is not finite. On failure the words are wiped. */
MUST_USE struct error *fixed_point_encode(const struct fixed_point *plan, const double *from,
                                          const double *to, size_t count, uint64_t examples,
                                          uint64_t *ret_words);
/* Fills words[0 … count - 1] from counts; each at most N_max: ERROR_INVALID. */
MUST_USE struct error *fixed_point_counts(const struct fixed_point *plan, const uint64_t *counts,
                                          size_t count, uint64_t *ret_words);

/* The model after a round: model[p] += mean change, from the words[0 … count] of the sum over `contributors` sites.
 * ERROR_INVALID when words[0] cannot be (less than contributors, or over contributors · N_max, or not `contributors` where it
 * counts them), or another word (beyond contributors · ceil(S · C) either way);
 * ERROR_NUMERIC when the model would not be finite. On failure the model is unchanged. */
MUST_USE struct error *fixed_point_advance(const struct fixed_point *plan, size_t contributors,
                                           const uint64_t *words, size_t count, double *model);
/* Counts of a sum: each at most contributors · N_max, else ERROR_INVALID. */
MUST_USE struct error *fixed_point_decode_counts(const struct fixed_point *plan, size_t contributors,
                                                 const uint64_t *words, size_t count, uint64_t *ret_counts);

/* A bound on the difference of any parameter from FedAvg in clear: quantisation of `contributors` sites with `examples` examples
 * in all, and float64's rounding where no value of the model that the round began with, or of the sites' models, is above
 * `largest` in size. Changes beyond C are clipped here and not there: for them it does not hold. */
double fixed_point_bound(const struct fixed_point *plan, size_t contributors, uint64_t examples,
                         double largest);
