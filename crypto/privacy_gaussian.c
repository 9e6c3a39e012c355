#include "crypto/privacy_parts.h"

#include <float.h>
#include <math.h>

/* Covers the rounding of what is computed below: a difference that is about shift times what it is taken of, whose own rounding
 * stays, however small the shift, below GAUSSIAN_ALLOWANCE · GAUSSIAN_LEAST of it. */
#define GAUSSIAN_ALLOWANCE 1e-11
#define GAUSSIAN_LEAST 4e-3
#define GAUSSIAN_HALVINGS 200
#define RARE_ALLOWANCE 1e-12

double privacy_gaussian_tail(double z)
{
    return 0.5 * erfc(z * M_SQRT1_2);
}

/* e^(x²) erfc(x) for x >= 0. */
static double gaussian_scaled_erfc(double x)
{
    if (x < 10)
        return exp(x * x) * erfc(x);
    /* The continued fraction 1 / (x + (1/2) / (x + (2/2) / (x + …))). */
    double fraction = x;
    for (int k = 24; k >= 1; k--)
        fraction = x + 0.5 * k / fraction;
    return 1 / (fraction * sqrt(M_PI));
}

double privacy_gaussian_log_tail(double z)
{
    double x = z * M_SQRT1_2;
    return x < 10 ? log(0.5 * erfc(x)) : log(0.5 * gaussian_scaled_erfc(x)) - x * x;
}

double privacy_gaussian_shift(const struct privacy_event *events, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)events[i].steps / (events[i].noise_multiplier * events[i].noise_multiplier);
    return sqrt(sum);
}

/* Balle, Wang, theorem 8: P(Z > a) - e^epsilon P(Z > b) with b² - a² = 2 epsilon, so that both have e^(-a²/2) in common. */
double privacy_gaussian_delta(double shift, double epsilon)
{
    double a = epsilon / shift - shift / 2, b = epsilon / shift + shift / 2;
    double second = exp(-a * a / 2) * gaussian_scaled_erfc(b * M_SQRT1_2) / 2;
    double first =
        a < 0 ? privacy_gaussian_tail(a) : exp(-a * a / 2) * gaussian_scaled_erfc(a * M_SQRT1_2) / 2;
    /* What cancels is of the size of `first`. */
    double delta = first - second + first * GAUSSIAN_ALLOWANCE * fmin(1, fmax(shift, GAUSSIAN_LEAST));
    return fmin(fmax(delta, 0), 1);
}

double privacy_gaussian_epsilon(double shift, double delta)
{
    double low = 0, high = 1;
    if (privacy_gaussian_delta(shift, 0) <= delta)
        return 0;
    while (privacy_gaussian_delta(shift, high) > delta && high < 1e300)
        high *= 2;
    for (int i = 0; i < GAUSSIAN_HALVINGS && high - low > 1e-13 * high; i++) {
        double middle = low + (high - low) / 2;
        if (privacy_gaussian_delta(shift, middle) > delta)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* ---- events that hardly ever take a record ---- */

/* That a record is in any step at all, at most. */
static double rare_probability(const struct privacy_event *events, size_t count)
{
    double log_never = 0;
    for (size_t i = 0; i < count; i++)
        log_never += (double)events[i].steps * log1p(-events[i].sampling_rate);
    return fmin(-expm1(log_never) * (1 + RARE_ALLOWANCE), 1);
}

double privacy_rare_epsilon(const struct privacy_event *events, size_t count, double delta)
{
    double probability = rare_probability(events, count);
    if (probability > PRIVACY_RARE)
        return INFINITY;
    double whole = privacy_gaussian_epsilon(privacy_gaussian_shift(events, count), delta / probability);
    return log1p(probability * expm1(whole)) * (1 + RARE_ALLOWANCE);
}

/* log(1 + (e^epsilon - 1) / probability), also where e^epsilon, or that quotient, is beyond float64: what became infinite would
 * promise a delta of 0. */
static double rare_whole(double epsilon, double probability)
{
    if (epsilon > 1)
        return epsilon + log1p(-(1 - probability) * exp(-epsilon)) - log(probability);
    return log1p(fmin(expm1(epsilon) / probability, DBL_MAX));
}

double privacy_rare_delta(const struct privacy_event *events, size_t count, double epsilon)
{
    double probability = rare_probability(events, count);
    if (probability > PRIVACY_RARE)
        return 1;
    double whole = rare_whole(epsilon, probability) * (1 - RARE_ALLOWANCE);
    return probability * privacy_gaussian_delta(privacy_gaussian_shift(events, count), whole) *
           (1 + RARE_ALLOWANCE);
}
