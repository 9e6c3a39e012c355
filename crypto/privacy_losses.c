#include "crypto/privacy_parts.h"

#include <math.h>
#include <stdlib.h>

/* Losses of one step: t(x) = e^loss = 1 - q + q e^u(x), u(x) = (2x - 1) / 2σ², where N(0, σ²) is without the record and the
 * mixture with it. Between two neighbours e0, e1 of the grid, connect-the-dots gives e1 the share f(x) = (t(x) - t0) /
 * (t1 - t0) of the mass at x of N(0, σ²), and e0 the rest; with `rest` the mass at a point of the grid,
 *
 *     remove   loss  e    probability t(e) · rest      (the mixture against N(0, σ²))
 *     add      loss -e    probability rest             (N(0, σ²) against the mixture)
 *
 * are both the chords of the two curves delta(e^epsilon): the same integrals serve both directions. They are taken over x,
 * panel by panel, of 1 - f = q e^u1 (1 - e^(u - u1)) / (t1 - t0), which needs no difference of nearly equal numbers. */

/* Gauss-Legendre on 0 to 1. */
#define NARROW_NODES 3
#define WIDE_NODES 8
static const double narrow_nodes[NARROW_NODES] = {0.1127016653792583115, 0.5, 0.8872983346207416885};
static const double narrow_weights[NARROW_NODES] = {0.2777777777777777778, 0.4444444444444444444,
                                                    0.2777777777777777778};
static const double wide_nodes[WIDE_NODES] = {
    0.0198550717512318842, 0.1016667612931866302, 0.2372337950418355071, 0.4082826787521750975,
    0.5917173212478249025, 0.7627662049581644929, 0.8983332387068133698, 0.9801449282487681158};
static const double wide_weights[WIDE_NODES] = {
    0.0506142681451881296, 0.1111905172266872353, 0.1568533229389436437, 0.1813418916891809915,
    0.1813418916891809915, 0.1568533229389436437, 0.1111905172266872353, 0.0506142681451881296};
/* Widths of a panel, in units of the length over which the integrand changes. */
#define NARROW_WIDTH 0.05
#define WIDE_WIDTH 0.4

struct loss_grid {
    double noise, variance, rate, interval;
    double from, to;     /* of x */
    int64_t first, last; /* points of the grid */
};

static double loss_at(const struct loss_grid *grid, double x)
{
    double u = (2 * x - 1) / (2 * grid->variance);
    return grid->rate < 1 ? log1p(grid->rate * expm1(u)) : u;
}

static struct loss_grid loss_grid_of(const struct privacy_event *event, double interval, double tail)
{
    struct loss_grid grid = {.noise = event->noise_multiplier,
                             .variance = event->noise_multiplier * event->noise_multiplier,
                             .rate = event->sampling_rate,
                             .interval = interval,
                             .from = -tail * event->noise_multiplier,
                             .to = 1 + tail * event->noise_multiplier};
    grid.first = (int64_t)floor(loss_at(&grid, grid.from) / interval);
    grid.last = (int64_t)ceil(loss_at(&grid, grid.to) / interval);
    if (grid.last == grid.first)
        grid.last++;
    return grid;
}

/* Where the loss is `loss`; -inf for one that no x has. ret_factor: q e^u there, exact also where it is small. */
static double loss_place(const struct loss_grid *grid, double loss, double *ret_factor)
{
    double factor = expm1(loss) + grid->rate;
    *ret_factor = factor;
    return factor <= 0 ? -INFINITY : grid->variance * log(factor / grid->rate) + 0.5;
}

/* Adds the mass between x0 and x1 to its two points. */
static void loss_panel(const struct loss_grid *grid, double x0, double x1, double top, double scale,
                       bool wide, double *rest0, double *rest1)
{
    size_t nodes = wide ? WIDE_NODES : NARROW_NODES;
    for (size_t k = 0; k < nodes; k++) {
        double x = x0 + (x1 - x0) * (wide ? wide_nodes[k] : narrow_nodes[k]);
        double mass = exp(-x * x / (2 * grid->variance)) * (wide ? wide_weights[k] : narrow_weights[k]) *
                      (x1 - x0) / (grid->noise * sqrt(2 * M_PI));
        double low = fmin(fmax(-expm1((x - top) / grid->variance) * scale, 0), 1);
        *rest0 += mass * low;
        *rest1 += mass * (1 - low);
    }
}

/* The masses of N(0, σ²) on the points of the grid, without what is outside `from` and `to`. */
static void loss_masses(const struct loss_grid *grid, double *rest)
{
    double from = grid->from, step = expm1(grid->interval);
    for (int64_t i = grid->first; i < grid->last; i++) {
        double factor;
        double top = loss_place(grid, (double)(i + 1) * grid->interval, &factor);
        double to = fmin(top, grid->to);
        if (to <= from)
            continue;
        double scale = factor / (exp((double)i * grid->interval) * step);
        double *pair = rest + (i - grid->first);
        while (from < to) {
            double unit = grid->variance / fmax(fmax(grid->noise, 1), fabs(from));
            bool wide = to - from > NARROW_WIDTH * unit;
            double end = to - from > WIDE_WIDTH * unit ? from + WIDE_WIDTH * unit : to;
            loss_panel(grid, from, end, top, scale, wide, &pair[0], &pair[1]);
            from = end;
        }
    }
}

double privacy_losses_size(const struct privacy_event *event, double interval, double tail)
{
    struct loss_grid grid = loss_grid_of(event, interval, tail);
    return (double)(grid.last - grid.first) + 1;
}

/* Of PRIVACY_BLOCK losses each. */
static size_t loss_blocks(size_t count)
{
    return (count + PRIVACY_BLOCK - 1) / PRIVACY_BLOCK;
}

static size_t loss_block_end(const struct privacy_losses *losses, size_t block)
{
    size_t end = (block + 1) * PRIVACY_BLOCK;
    return end < losses->count ? end : losses->count;
}

static struct error *losses_new(int64_t first, size_t count, double beyond, struct privacy_losses *ret_losses)
{
    struct privacy_losses losses = {.first = first, .count = count, .beyond = beyond};
    losses.mass = calloc(count, sizeof *losses.mass);
    losses.peak = calloc(loss_blocks(count), sizeof *losses.peak);
    *ret_losses = losses;
    if (losses.mass == NULL || losses.peak == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory to account for privacy.");
    return NULL;
}

static void losses_finish(struct privacy_losses *losses)
{
    for (size_t block = 0; block < loss_blocks(losses->count); block++) {
        double most = 0;
        for (size_t i = block * PRIVACY_BLOCK; i < loss_block_end(losses, block); i++)
            most = fmax(most, losses->mass[i]);
        losses->peak[block] = log(most);
    }
}

struct error *privacy_losses_new(const struct privacy_event *event, double interval, double tail,
                                 struct privacy_losses ret_losses[static PRIVACY_DIRECTIONS])
{
    struct error *err = NULL;
    struct loss_grid grid = loss_grid_of(event, interval, tail);
    size_t count = (size_t)(grid.last - grid.first) + 1;
    double outside = privacy_gaussian_tail(tail), far = privacy_gaussian_tail(tail + 1 / grid.noise);
    struct privacy_losses losses[PRIVACY_DIRECTIONS] = {0};
    struct privacy_losses *removed = &losses[PRIVACY_REMOVE], *added = &losses[PRIVACY_ADD];
    TRY(losses_new(grid.first, count, (1 - grid.rate) * far + grid.rate * outside, removed));
    TRY(losses_new(-grid.last, count, outside, added));
    loss_masses(&grid, removed->mass);
    for (size_t i = 0; i < count; i++) {
        added->mass[count - 1 - i] = removed->mass[i];
        removed->mass[i] *= exp((double)(grid.first + (int64_t)i) * interval);
    }
    /* What is outside: losses below the second point of the grid are rounded up to it, large ones are infinite. */
    removed->mass[1] += (1 - grid.rate) * outside + grid.rate * far;
    added->mass[1] += far;
    losses_finish(removed);
    losses_finish(added);
    for (size_t d = 0; d < PRIVACY_DIRECTIONS; d++) {
        ret_losses[d] = losses[d];
        losses[d] = (struct privacy_losses){0};
    }
done:
    privacy_losses_free(losses);
    return err;
}

void privacy_losses_free(struct privacy_losses losses[static PRIVACY_DIRECTIONS])
{
    for (size_t d = 0; d < PRIVACY_DIRECTIONS; d++) {
        free(losses[d].mass);
        free(losses[d].peak);
    }
}

/* One exponential a block; within it powers of e^slope, of which 64 stay far from float64's limits. */
double privacy_losses_cumulant(const struct privacy_losses *losses, double interval, double tilt)
{
    double slope = tilt * interval, factor = exp(slope), high = -INFINITY, sum = 0;
    size_t blocks = loss_blocks(losses->count);
    for (size_t b = 0; b < blocks; b++)
        high = fmax(high, losses->peak[b] + slope * (double)(b * PRIVACY_BLOCK));
    for (size_t b = 0; b < blocks; b++) {
        double scale = slope * (double)(b * PRIVACY_BLOCK) - high, inner = 0;
        if (losses->peak[b] + scale < -700)
            continue;
        for (size_t i = loss_block_end(losses, b); i-- > b * PRIVACY_BLOCK;)
            inner = inner * factor + losses->mass[i];
        sum += inner * exp(scale);
    }
    return high + log(sum) + slope * (double)losses->first;
}

void privacy_losses_tilt(const struct privacy_losses *losses, double interval, double tilt, double cumulant,
                         size_t size, struct privacy_complex *values)
{
    double slope = tilt * interval, factor = exp(slope);
    for (size_t b = 0; b < loss_blocks(losses->count); b++) {
        int64_t first = losses->first + (int64_t)(b * PRIVACY_BLOCK);
        double exponent = slope * (double)first - cumulant;
        if (losses->peak[b] + exponent < -700)
            continue;
        double scale = exp(exponent);
        for (size_t i = b * PRIVACY_BLOCK; i < loss_block_end(losses, b); i++) {
            values[(size_t)(losses->first + (int64_t)i) & (size - 1)].re += losses->mass[i] * scale;
            scale *= factor;
        }
    }
}
