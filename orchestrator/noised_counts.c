#include "orchestrator/noised_counts.h"

#include "crypto/privacy_plan.h"

#include <math.h>

/* Beyond what rows there can be, and any noise that a job may ask for. */
#define NOISED_MOST 1e15

double noised_counts_deviation(const struct job *job, uint32_t sites)
{
    struct noise_grid grid;
    struct error *err = privacy_plan_counts_grid(job, &grid);
    if (err != NULL) {
        error_free(err);
        return NAN;
    }
    return noise_sigma(grid.level) / (double)grid.bound * sqrt(sites);
}

bool noised_counts_paid(const struct job *job, uint32_t round)
{
    if (!(job->privacy.metrics_noise > 0))
        return false;
    switch (job->privacy.metrics_rounds) {
    case JOB_METRICS_LAST:
        return round == job->rounds;
    case JOB_METRICS_ALL:
        break;
    }
    return true;
}

struct error *noised_counts_check(const double *counts, size_t count, uint32_t classes)
{
    struct error *err = NULL;
    if (count != (size_t)classes * classes)
        FAIL(ERROR_INVALID, "Its evaluation has %zu noised counts instead of %u by %u.", count, classes,
             classes);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(counts[i]) || fabs(counts[i]) > NOISED_MOST)
            FAIL(ERROR_INVALID, "A noised count of its evaluation is no number that a count may be.");
done:
    return err;
}

double noised_counts_rows(const double *counts, uint32_t classes)
{
    double rows = 0;
    for (size_t i = 0; i < (size_t)classes * classes; i++)
        rows += counts[i];
    return rows;
}

void noised_counts_accuracy(const double *counts, double deviation, uint32_t classes, double *ret_accuracy,
                            double *ret_deviation)
{
    double k = classes;
    double rows = noised_counts_rows(counts, classes), right = 0;
    for (size_t i = 0; i < classes; i++)
        right += counts[i * (classes + 1)];
    *ret_accuracy = *ret_deviation = NAN;
    if (!(rows > 4 * deviation * k))
        return;
    double accuracy = right / rows;
    /* right has the noise of k cells, rows of k², k of them the same. */
    *ret_accuracy = accuracy;
    *ret_deviation = deviation / rows * sqrt(fmax(0, k - 2 * accuracy * k + accuracy * accuracy * k * k));
}
