#include "crypto/privacy_parts.h"

#include <math.h>

/* Cover rounding: relative, and absolute of log A of a fractional order. */
#define RDP_ALLOWANCE 1e-10
#define RDP_ROUNDING 1e-14
/* A series ends where its terms are below e^-30 of its sum and falling. */
#define RDP_NEGLIGIBLE 30.0
#define RDP_MAX_TERMS 1000

const double privacy_filter_orders[PRIVACY_FILTER_ORDERS] = {2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64};

void privacy_orders(double ret_orders[static PRIVACY_ORDERS])
{
    size_t count = 0;
    for (int tenth = 11; tenth <= 109; tenth++)
        ret_orders[count++] = tenth / 10.0;
    for (int order = 11; order <= 63; order++)
        ret_orders[count++] = order;
    for (int order = 128; order <= 1024; order *= 2)
        ret_orders[count++] = order;
}

/* log(e^a + e^b), where a may be -inf. */
static double rdp_log_add(double a, double b)
{
    double high = fmax(a, b);
    return isinf(high) ? high : high + log1p(exp(-fabs(a - b)));
}

/* log(e^x - 1), x > 0. */
static double rdp_log_expm1(double x)
{
    return x > 30 ? x + log1p(-exp(-x)) : log(expm1(x));
}

/* log(A - 1) of an integer order, where A = E[(1 - q + q e^u)^order], u = (2z - 1) / 2σ², z ~ N(0, σ²): the binomial
 * expansion (Mironov, Talwar, Zhang, section 3.3) less 1 = Σ_k C(order, k) (1-q)^(order-k) q^k. No term is negative. */
static double rdp_log_integer(double noise, double rate, int order)
{
    double sum = -INFINITY, binomial = log(order), log_rate = log(rate), log_rest = log1p(-rate);
    for (int k = 2; k <= order; k++) {
        binomial += log((order - k + 1) / (double)k);
        double exponent = k * (k - 1.0) / (2 * noise * noise);
        double rest = k == order ? 0 : (order - k) * log_rest;
        sum = rdp_log_add(sum, binomial + k * log_rate + rest + rdp_log_expm1(exponent));
    }
    return sum;
}

/* log A of a fractional order: the series of the two halves of the integral, below and above z0 where both parts of the
 * mixture weigh the same (Mironov, Talwar, Zhang, section 3.3), with the absolute values of its terms. So it is an upper bound,
 * and what other accountants give: at most 3 % above the integral at the low orders of a small sampling rate, where the best
 * epsilon is hardly ever found. Infinite where the series converges too slowly, as it does around a sampling rate of 1/2. */
static double rdp_log_fractional(double noise, double rate, double order)
{
    double log_rate = log(rate), log_rest = log1p(-rate);
    double z0 = noise * noise * (log_rest - log_rate) + 0.5, twice = 2 * noise * noise;
    double sum = -INFINITY, binomial = 0, low_before = -INFINITY, high_before = -INFINITY;
    for (int i = 0; i < RDP_MAX_TERMS; i++) {
        double j = order - i;
        double low = binomial + i * log_rate + j * log_rest + i * (i - 1.0) / twice +
                     privacy_gaussian_log_tail((i - z0) / noise);
        double high = binomial + j * log_rate + i * log_rest + j * (j - 1) / twice +
                      privacy_gaussian_log_tail((z0 - j) / noise);
        sum = rdp_log_add(sum, rdp_log_add(low, high));
        if (low < low_before && high < high_before && fmax(low, high) < sum - RDP_NEGLIGIBLE)
            return sum;
        low_before = low;
        high_before = high;
        binomial += log(fabs(j) / (i + 1));
    }
    return INFINITY;
}

double privacy_rdp_step(double noise_multiplier, double sampling_rate, double order)
{
    if (sampling_rate >= 1)
        return order / (2 * noise_multiplier * noise_multiplier) * (1 + RDP_ALLOWANCE);
    if (order != floor(order))
        return (fmax(rdp_log_fractional(noise_multiplier, sampling_rate, order), 0) + RDP_ROUNDING) /
               (order - 1) * (1 + RDP_ALLOWANCE);
    double excess = rdp_log_integer(noise_multiplier, sampling_rate, (int)order);
    double log_moment = excess > 0 ? excess + log1p(exp(-excess)) : log1p(exp(excess));
    return log_moment / (order - 1) * (1 + RDP_ALLOWANCE);
}

double privacy_rdp_epsilon(double rdp, double order, double delta)
{
    return fmax(rdp + log1p(-1 / order) - log(delta * order) / (order - 1), 0);
}

double privacy_rdp_delta(double rdp, double order, double epsilon)
{
    return fmin(exp((order - 1) * (rdp - epsilon + log1p(-1 / order))) / order, 1);
}

/* The divergence of all events together at every order. */
static void rdp_total(const struct privacy_event *events, size_t count,
                      const double orders[static PRIVACY_ORDERS], double ret_rdp[static PRIVACY_ORDERS])
{
    for (size_t k = 0; k < PRIVACY_ORDERS; k++) {
        ret_rdp[k] = 0;
        for (size_t i = 0; i < count; i++)
            ret_rdp[k] += (double)events[i].steps *
                          privacy_rdp_step(events[i].noise_multiplier, events[i].sampling_rate, orders[k]);
    }
}

struct privacy_best privacy_rdp_best_of(const double rdp[static PRIVACY_ORDERS], double delta)
{
    double orders[PRIVACY_ORDERS];
    struct privacy_best best = {INFINITY, 2};
    privacy_orders(orders);
    for (size_t k = 0; k < PRIVACY_ORDERS; k++) {
        double epsilon = privacy_rdp_epsilon(rdp[k], orders[k], delta);
        if (epsilon < best.value)
            best = (struct privacy_best){epsilon, orders[k]};
    }
    return best;
}

struct privacy_best privacy_rdp_best_epsilon(const struct privacy_event *events, size_t count, double delta)
{
    double orders[PRIVACY_ORDERS], rdp[PRIVACY_ORDERS];
    privacy_orders(orders);
    rdp_total(events, count, orders, rdp);
    return privacy_rdp_best_of(rdp, delta);
}

struct privacy_best privacy_rdp_best_delta(const struct privacy_event *events, size_t count, double epsilon)
{
    double orders[PRIVACY_ORDERS], rdp[PRIVACY_ORDERS];
    struct privacy_best best = {INFINITY, 2};
    privacy_orders(orders);
    rdp_total(events, count, orders, rdp);
    for (size_t k = 0; k < PRIVACY_ORDERS; k++) {
        double delta = privacy_rdp_delta(rdp[k], orders[k], epsilon);
        if (delta < best.value)
            best = (struct privacy_best){delta, orders[k]};
    }
    return best;
}
