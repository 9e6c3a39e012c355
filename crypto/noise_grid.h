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
 * accounted. Both are above what is true:
 *
 *     epsilon   2·values·steps·(K² - 1)/(24·σ²), K = 12, is added to it
 *     delta     values·steps·sites·2^-106·(1 + e^ε) + (1 - exp(-values·steps/(24·σ²)))·delta is taken off it before it is accounted,
 *               where ε is the epsilon that is promised, or more
 *
 * Let R be the continuous Gaussian rounded to integers: after an integer sum, rounding is post-processing, so R is as private
 * as the Gaussian itself, sampled or not. For the discrete Gaussian D and |k| <= Kσ,
 *
 *     -1/(24σ²) <= ln R(k)/D(k) <= (K² - 1)/(24σ²)
 *
 * (R(k) is D(k) times the mean of exp(-u²/2σ²)·cosh(ku/σ²) over |u| <= 1/2; Jensen; cosh y <= exp(y²/2)). With d = values·steps,
 * P_D(S) <= e^(d/24σ²)·P_R(S) <= e^(d/24σ²)·(e^ε·P'_R(S) + δ) <= e^(ε + dK²/24σ²)·P'_D(S) + e^(d/24σ²)·δ: half of the slack in
 * epsilon would do, and delta grows by a factor. Values beyond Kσ (less than 2^-107 each) and the distance of the sampler
 * (2^-108, noise.c) make less than 2^-106 a value of each site that adds noise. They come on both sides, and on the right behind e^ε:
 * (1 + e^ε) times as much is charged to delta. So nothing is promised where e^ε has grown beyond what delta has room for.
 *
 * Where sites add shares, the sum of m discrete Gaussians of parameter σ has, but for a ratio of exp(-π²σ²), the distribution
 * of one of parameter √m·σ; the slack is taken at one share's σ, m times too much. Assumed is that at least `honest` shares
 * that the observer does not know are in the sum, as the protocol's threshold enforces; more of them only hide more. */
double noise_grid_epsilon_slack(enum noise_level level, uint64_t values, uint64_t steps);
/* values·steps·sites·2^-106: how far noise of so many sites is from what is accounted, in total variation. */
double noise_grid_distance(uint64_t values, uint64_t steps, uint64_t sites);
/* Infinite, or not below delta: nothing is promised. */
double noise_grid_delta_slack(enum noise_level level, uint64_t values, uint64_t steps, uint64_t sites,
                              double epsilon, double delta);
