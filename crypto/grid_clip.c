#include "crypto/grid_clip.h"

#include <math.h>
#include <string.h>

__extension__ typedef unsigned __int128 uint128;

static uint128 square_of(int64_t value)
{
    uint128 size = (uint128)(value < 0 ? -value : value);
    return size * size;
}

void grid_clip_vector(const struct noise_grid *grid, double weight, const double *values, size_t count,
                      int64_t *ret_steps)
{
    double squares = 0.0;
    uint128 sum = 0;
    for (size_t i = 0; i < count; i++)
        squares += (weight * values[i]) * (weight * values[i]);
    /* The margin is for rounding here, so that a vector that was shortened is not over the bound. */
    double shortened = (double)grid->bound * (1.0 - 0x1p-30) / sqrt(squares);
    double factor = shortened < grid->scale ? shortened : grid->scale;
    bool counts = isfinite(squares) && isfinite(factor);
    for (size_t i = 0; i < count && counts; i++) {
        double step = weight * values[i] * factor;
        /* Where squares underflow nothing was shortened, and a number may have no integer. */
        counts = fabs(step) <= (double)grid->bound;
        ret_steps[i] = counts ? (int64_t)step : 0;
        sum += square_of(ret_steps[i]);
    }
    if (!counts || sum > (uint128)grid->bound * grid->bound)
        memset(ret_steps, 0, count * sizeof(*ret_steps));
}
