/* Real numbers as one contribution on the integer grid (noise_grid.h).
 *
 *     v = weight · values, shortened to the clip of the grid where its Euclidean norm is above it
 *     steps = trunc(v · scale)        toward zero
 *
 * The bound holds by integers, whatever rounding happened before: steps whose squares add up to more than bound², in 128 bits,
 * become zero, and so does a vector with a number that is not finite. Pure. */
#pragma once

#include "crypto/noise_grid.h"

#include <stddef.h>
#include <stdint.h>

/* ret_steps [count]; the caller wipes it. `weight` is public, 0 to 1. */
void grid_clip_vector(const struct noise_grid *grid, double weight, const double *values, size_t count,
                      int64_t *ret_steps);
