#include "learning/moments.h"

#include <float.h>
#include <math.h>

#include "learning/private_sum.h"

__extension__ typedef unsigned __int128 uint128;

static double moments_value(const struct matrix_view *view, size_t row, size_t feature)
{
    const void *values = matrix_row(view, row);
    return view->type == MATRIX_BYTES ? (double)((const uint8_t *)values)[feature] / 255.0
                                      : (double)((const float *)values)[feature];
}

struct error *moments_mean(const struct matrix_view *view, double *ret_parameters)
{
    struct error *err = NULL;
    double *sums = NULL;
    TRY(matrix_check(view));
    size_t features = view->features;
    size_t count = matrix_count(view);
    sums = calloc(2 * features, sizeof(*sums));
    if (sums == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the statistics of %zu features.", features);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < features; j++) {
            double value = moments_value(view, matrix_row_number(view, i), j);
            sums[j] += value;
            sums[features + j] += value * value;
        }
    for (size_t j = 0; j < 2 * features; j++) {
        sums[j] /= (double)count;
        if (!(fabs(sums[j]) <= (double)FLT_MAX))
            FAIL(ERROR_NUMERIC,
                 "A feature has no finite mean: it has a value that is not finite, or too large.");
    }
    memcpy(ret_parameters, sums, 2 * features * sizeof(*sums));
done:
    free(sums);
    return err;
}

static uint128 square_of(int64_t value)
{
    uint128 size = (uint128)(value < 0 ? -value : value); /* far from INT64_MIN: at most the bound */
    return size * size;
}

/* The contribution of one row in steps of the grid; all zero unless it keeps the bound. */
static void moments_row(const struct matrix_view *view, size_t row, double clip, uint64_t bound,
                        int64_t *ret_steps)
{
    size_t features = view->features;
    double norm = 0.0;
    uint128 squares = 0;
    for (size_t j = 0; j < features; j++) {
        double square = moments_value(view, row, j) * moments_value(view, row, j);
        norm += square + square * square;
    }
    double scale = (double)bound / clip;
    double clipped =
        (double)bound * (1.0 - 0x1p-30) / sqrt(norm); /* the margin is for rounding in this function */
    double factor = clipped < scale ? clipped : scale;
    bool counts = isfinite(norm) && isfinite(factor);
    for (size_t j = 0; j < features && counts; j++) {
        double value = moments_value(view, row, j);
        ret_steps[j] = (int64_t)(value * factor);
        ret_steps[features + j] = (int64_t)(value * value * factor);
        squares += square_of(ret_steps[j]);
        squares += square_of(ret_steps[features + j]);
    }
    if (!counts || squares > (uint128)bound * bound)
        memset(ret_steps, 0, 2 * features * sizeof(*ret_steps));
}

struct error *moments_private_sum(const struct matrix_view *view, const uint32_t *order, size_t count,
                                  double clip, uint64_t bound, int64_t *ret_sum)
{
    struct error *err = NULL;
    uint64_t *sums = NULL;
    int64_t *steps = NULL;
    struct matrix_view all = *view;
    all.index = NULL;
    TRY(matrix_check(&all));
    if (!(clip > 0.0) || !isfinite(clip) || !isfinite((double)bound / clip))
        FAIL(ERROR_INVALID, "clip has to be a finite number above 1e-290.");
    if (bound < PRIVATE_SUM_MIN_BOUND || bound > PRIVATE_SUM_MAX_BOUND)
        FAIL(ERROR_INVALID, "The bound of a private sum is 2^10 to 2^40 steps of its grid.");
    for (size_t i = 0; i < count; i++)
        if (order[i] >= view->rows)
            FAIL(ERROR_INVALID, "A batch names a row that does not exist.");
    size_t values = 2 * view->features;
    sums = calloc(values, sizeof(*sums));
    steps = calloc(values, sizeof(*steps));
    if (sums == NULL || steps == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the statistics of %zu features.", view->features);
    for (size_t i = 0; i < count; i++) {
        moments_row(view, order[i], clip, bound, steps);
        for (size_t j = 0; j < values; j++)
            sums[j] += (uint64_t)steps[j];
    }
    memcpy(ret_sum, sums, values * sizeof(*sums));
    explicit_bzero(sums, values * sizeof(*sums));
    explicit_bzero(steps, values * sizeof(*steps));
done:
    free(sums);
    free(steps);
    return err;
}

void moments_deviation(const double *parameters, size_t features, double least, double *ret_deviation)
{
    for (size_t j = 0; j < features; j++) {
        double variance = parameters[features + j] - parameters[j] * parameters[j];
        double deviation = variance > 0.0 ? sqrt(variance) : 0.0;
        ret_deviation[j] = deviation >= least ? deviation : 0.0;
    }
}
