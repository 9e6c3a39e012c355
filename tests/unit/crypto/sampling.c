#include "sampling.h"

#include "tests/unit/cmocka_all.h"

#include <math.h>
#include <stdlib.h>

#define ONE_SIDED 4.7534243088229 /* quantiles of the normal distribution at 1e-6, one side and two */
#define TWO_SIDED 4.8916384756986
#define LEAST_EXPECTED 20.0

bool sampling_chi_square(const uint64_t *seen, const double *probabilities, size_t cells)
{
    double total = 0, statistic = 0, expected = 0, observed = 0, left = 0;
    size_t used = 0;
    for (size_t i = 0; i < cells; i++)
        total += (double)seen[i];
    left = total;
    for (size_t i = 0; i < cells; i++) {
        expected += total * probabilities[i];
        left -= total * probabilities[i];
        observed += (double)seen[i];
        if (i + 1 < cells && (expected < LEAST_EXPECTED || left < LEAST_EXPECTED))
            continue;
        if (expected > 0)
            statistic += (observed - expected) * (observed - expected) / expected;
        else if (observed > 0)
            return false;
        used++;
        expected = observed = 0;
    }
    assert_true(used >= 2);
    double freedom = (double)(used - 1), part = 2.0 / (9.0 * freedom);
    return statistic <= freedom * pow(1.0 - part + ONE_SIDED * sqrt(part), 3.0);
}

bool sampling_wilson(uint64_t hits, uint64_t count, double probability)
{
    double n = (double)count, rate = (double)hits / n, z2 = TWO_SIDED * TWO_SIDED;
    double middle = (rate + z2 / (2 * n)) / (1 + z2 / n);
    double half = TWO_SIDED / (1 + z2 / n) * sqrt(rate * (1 - rate) / n + z2 / (4 * n * n));
    return fabs(probability - middle) <= half;
}

static double weight_sum(double sigma2, double from, unsigned power)
{
    double sum = 0, most = floor(40 * sqrt(sigma2)) + 40;
    for (double x = most; x >= 0; x--)
        if (x >= from)
            sum += (x > 0 ? 2 : 1) * pow(x, power) * exp(-x * x / (2 * sigma2));
    return sum;
}

double sampling_mass(double sigma2, int64_t value)
{
    return exp(-(double)value * (double)value / (2 * sigma2)) / weight_sum(sigma2, 0, 0);
}

double sampling_moment(double sigma2, unsigned power)
{
    return weight_sum(sigma2, 0, power) / weight_sum(sigma2, 0, 0);
}

double sampling_tail(double sigma2, double from)
{
    return weight_sum(sigma2, from, 0) / weight_sum(sigma2, 0, 0);
}

static bool masses_hold(const int64_t *values, size_t count, double sigma2)
{
    int64_t most = (int64_t)(8 * sqrt(sigma2)) + 2;
    size_t cells = (size_t)(2 * most + 1);
    uint64_t *seen = calloc(cells, sizeof(*seen));
    double *probabilities = calloc(cells, sizeof(*probabilities)), sum = weight_sum(sigma2, 0, 0);
    bool holds = true;
    for (int64_t x = -most; x <= most; x++)
        probabilities[x + most] = exp(-(double)x * (double)x / (2 * sigma2)) / sum;
    for (size_t i = 0; i < count && holds; i++) {
        holds = llabs(values[i]) <= most;
        if (holds)
            seen[values[i] + most]++;
    }
    holds = holds && sampling_chi_square(seen, probabilities, cells);
    free(probabilities);
    free(seen);
    return holds;
}

/* Correlation of neighbours `lag` apart, of values or of squares, given the moments that they have if all else holds. */
static bool lag_holds(const int64_t *values, size_t count, size_t lag, bool squares, double sigma2)
{
    double sum = 0, middle = squares ? sigma2 : 0, scale = squares ? 2 * sigma2 * sigma2 : sigma2;
    for (size_t i = 0; i + lag < count; i++) {
        double a = (double)values[i], b = (double)values[i + lag];
        sum += squares ? (a * a - middle) * (b * b - middle) : a * b;
    }
    return fabs(sum) <= TWO_SIDED * scale * sqrt((double)(count - lag));
}

static const char *moments_fault(const int64_t *values, size_t count, double sigma2)
{
    double sum = 0, squares = 0, n = (double)count;
    uint64_t negative = 0, zeros = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)values[i];
        squares += (double)values[i] * (double)values[i];
        negative += values[i] < 0;
        zeros += values[i] == 0;
    }
    if (!sampling_wilson(negative, count - zeros, 0.5))
        return "sign";
    if (fabs(sum) > TWO_SIDED * sqrt(sigma2 * n))
        return "mean";
    if (fabs(squares / n / sigma2 - 1) > TWO_SIDED * sqrt(2 / n))
        return "variance";
    for (size_t lag = 1; lag <= 3; lag++)
        if (!lag_holds(values, count, lag, false, sigma2) || !lag_holds(values, count, lag, true, sigma2))
            return "neighbours";
    return NULL;
}

const char *sampling_fault(const int64_t *values, size_t count, double sigma2)
{
    const char *fault = moments_fault(values, count, sigma2);
    uint64_t zeros = 0;
    for (size_t i = 0; i < count; i++)
        zeros += values[i] == 0;
    if (fault == NULL && !sampling_wilson(zeros, count, sampling_mass(sigma2, 0)))
        fault = "zeros";
    if (fault == NULL && !masses_hold(values, count, sigma2))
        fault = "masses";
    return fault;
}

static double normal_below(double x)
{
    return erfc(-x / sqrt(2)) / 2;
}

static bool bins_hold(const int64_t *values, size_t count, double sigma)
{
    enum { BINS = 80 }; /* from -5 to 5 deviations, the outer ones without end */
    uint64_t seen[BINS] = {0};
    double probabilities[BINS];
    for (int i = 0; i < BINS; i++)
        probabilities[i] =
            (i + 1 < BINS ? normal_below((i - 39) / 8.0) : 1) - (i > 0 ? normal_below((i - 40) / 8.0) : 0);
    for (size_t i = 0; i < count; i++) {
        double bin = floor((double)values[i] / sigma * 8) + 40;
        seen[bin < 0 ? 0 : bin >= BINS ? BINS - 1 : (int)bin]++;
    }
    return sampling_chi_square(seen, probabilities, BINS);
}

static bool bits_hold(const int64_t *values, size_t count, unsigned from)
{
    enum { CELLS = 256 };
    uint64_t seen[CELLS] = {0};
    double probabilities[CELLS];
    for (size_t i = 0; i < CELLS; i++)
        probabilities[i] = 1.0 / CELLS;
    for (size_t i = 0; i < count; i++)
        seen[((uint64_t)values[i] >> from) % CELLS]++;
    return sampling_chi_square(seen, probabilities, CELLS);
}

const char *sampling_fault_large(const int64_t *values, size_t count, double sigma2, unsigned bits)
{
    const char *fault = moments_fault(values, count, sigma2);
    if (fault == NULL && !bins_hold(values, count, sqrt(sigma2)))
        fault = "masses";
    for (unsigned from = 0; fault == NULL && from + 8 <= bits; from++)
        if (!bits_hold(values, count, from))
            fault = "bits";
    return fault;
}
