#include "crypto/noise_grid.h"

#include "crypto/privacy.h"

#include <math.h>

#define GRID_LEAST_BOUND 0x1p10
#define GRID_MOST_BOUND 0x1p40
#define GRID_WIDTHS 12.0
/* Factors that are larger and smaller than all roundings of a computation of a few steps together. */
#define GRID_ABOVE (1.0 + 0x1p-40)
#define GRID_BELOW (1.0 - 0x1p-50)

struct error *noise_grid_plan(enum noise_level level, double clip, double noise_multiplier, uint32_t honest,
                              struct noise_grid *ret_grid)
{
    struct error *err = NULL;
    if (!isfinite(clip) || !(clip > 0.0))
        FAIL(ERROR_INVALID, "The clip norm is %g; it has to be a number above 0.", clip);
    if (!(noise_multiplier >= PRIVACY_MIN_NOISE && noise_multiplier <= PRIVACY_MAX_NOISE))
        FAIL(ERROR_INVALID, "The noise multiplier is %g; it has to be from %g to %g.", noise_multiplier,
             PRIVACY_MIN_NOISE, PRIVACY_MAX_NOISE);
    if (honest == 0)
        FAIL(ERROR_INVALID, "No site's noise would be left for the guarantee to rest on; a threshold above "
                            "the number of colluding sites would do.");
    double noise = noise_sigma(level) * sqrt((double)honest);
    double bound = floor(noise / noise_multiplier * GRID_BELOW);
    if (bound < GRID_LEAST_BOUND)
        FAIL(ERROR_INVALID,
             "With noise multiplier %g the grid would be too coarse for contributions; at most %g would do.",
             noise_multiplier, floor(noise / GRID_LEAST_BOUND * GRID_BELOW));
    if (bound > GRID_MOST_BOUND)
        FAIL(ERROR_INVALID,
             "With noise multiplier %g on the noise of %u sites the grid would be too fine; at least %g "
             "would do.",
             noise_multiplier, honest, noise / GRID_MOST_BOUND * GRID_ABOVE);
    double scale = bound / clip;
    if (!isnormal(scale))
        FAIL(ERROR_INVALID, "The clip norm %g is too far from 1 for the grid; one from 1e-6 to 1e6 would do.",
             clip);
    *ret_grid = (struct noise_grid){.level = level, .clip = clip, .bound = (uint64_t)bound, .scale = scale};
done:
    return err;
}

double noise_grid_epsilon_slack(enum noise_level level, uint64_t values, uint64_t steps)
{
    double sigma = noise_sigma(level);
    return 2.0 * (double)values * (double)steps * (GRID_WIDTHS * GRID_WIDTHS - 1.0) / (24.0 * sigma * sigma) *
           GRID_ABOVE;
}

double noise_grid_distance(uint64_t values, uint64_t steps, uint64_t sites)
{
    return (double)values * (double)steps * (double)sites * 0x1p-106 * GRID_ABOVE;
}

double noise_grid_delta_slack(enum noise_level level, uint64_t values, uint64_t steps, uint64_t sites,
                              double epsilon, double delta)
{
    double sigma = noise_sigma(level), distance = noise_grid_distance(values, steps, sites);
    double growth = -expm1(-(double)values * (double)steps / (24.0 * sigma * sigma)) * delta;
    if (distance == 0.0) /* e^epsilon may be infinite */
        return 0.0;
    return (distance * (1.0 + exp(epsilon)) + growth) * GRID_ABOVE;
}
