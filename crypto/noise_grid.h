/* The integer grid that private sums live on.
 *
 * Floating-point sums and noise tell more than their theory says (Mironov 2012; Haney et al. 2022; Casacuberta et al.
 * 2022). So every contribution is a vector of integers whose Euclidean norm is at most `bound`, checked in integers; the
 * sum is an integer sum, exact in any order; the noise is a discrete Gaussian of the standard deviation noise_sigma(level),
 * a constant of the sampler (noise.h). Only then, as post-processing, do numbers become float64 again:
 *
 *     bound = floor(noise_sigma(level) · √honest / noise_multiplier)       scale = bound / clip
 *
 * honest: on how many sites' noise the guarantee rests: 1 where a site adds all of the noise, threshold - tolerate_colluding
 * where it adds a share of it. Rounding down `bound` only makes the noise larger. Counts lie on the same grid with clip 1.
 */
#pragma once

#include "crypto/noise.h"
#include "schemas/error.h"

#include <stdint.h>

struct noise_grid {
    enum noise_level level;
    double clip;    /* in the units of the contribution */
    uint64_t bound; /* on the norm of one contribution, in steps of the grid: 2^10 to 2^40 */
    double scale;   /* steps of the grid in one unit */
};

/* ERROR_INVALID: clip not above 0 or not finite, noise_multiplier outside PRIVACY_MIN_NOISE to PRIVACY_MAX_NOISE, honest 0,
 * or a bound outside its range, with what would do. */
MUST_USE struct error *noise_grid_plan(enum noise_level level, double clip, double noise_multiplier,
                                       uint32_t honest, struct noise_grid *ret_grid);

/* What the discrete noise on `values` values in each of `steps` steps may cost above the continuous Gaussian that is
 * accounted: 2·values·steps·(K² - 1)/(24·σ²), K = 12, added to epsilon; and 2^-80 for each value of each step, for the
 * sampler, added to delta. */
double noise_grid_epsilon_slack(enum noise_level level, uint64_t values, uint64_t steps);
double noise_grid_delta_slack(uint64_t values, uint64_t steps);
