#include "crypto/fixed_point.h"

#include <float.h>
#include <math.h>

#define FIXED_POINT_DRAWS 512
/* So that S, S times a number of examples, and what is divided by them stay far from float64's limits. */
#define FIXED_POINT_MAX_EXPONENT 900
/* float64 holds all counts up to this. */
#define FIXED_POINT_MAX_EXAMPLES (UINT64_C(1) << 53)

/* 2^(ring - 1) - 1. */
static uint64_t fixed_point_room(enum mask_ring ring)
{
    return ring == MASK_RING_32 ? INT32_MAX : INT64_MAX;
}

static uint64_t fixed_point_in_ring(enum mask_ring ring, int64_t value)
{
    return (uint64_t)value & (ring == MASK_RING_32 ? UINT32_MAX : UINT64_MAX);
}

/* Of one site's word: ceil(S · C). Exact: S is a power of two. */
static uint64_t fixed_point_top(const struct fixed_point *plan)
{
    return (uint64_t)ceil(plan->scale * plan->clip);
}

/* S = 2^k with the largest k for which 2^k · C <= most, which is the same as ceil(2^k · C) <= most. */
static int fixed_point_exponent(double clip, uint64_t most)
{
    int clip_exponent = 0, bits = 0;
    (void)frexp(clip, &clip_exponent); /* clip is 2^(clip_exponent - 1) or more, and below 2^clip_exponent */
    while (bits < 63 && most >> bits != 0)
        bits++; /* most is 2^(bits - 1) or more, and below 2^bits */
    int exponent = bits - clip_exponent;
    return (uint64_t)ceil(ldexp(clip, exponent)) <= most ? exponent : exponent - 1;
}

struct error *fixed_point_plan(struct fixed_point *plan)
{
    struct error *err = NULL;
    uint64_t room = fixed_point_room(plan->ring);
    if (!isfinite(plan->clip) || plan->clip <= 0)
        FAIL(ERROR_INVALID, "clip is not a number above zero.");
    if (plan->sites == 0 || plan->sites > room || plan->max_examples == 0 ||
        plan->max_examples > FIXED_POINT_MAX_EXAMPLES)
        FAIL(ERROR_INVALID, "max_examples is 1 to 2^53, and there is at least one site.");
    if (plan->max_examples > room / plan->sites)
        FAIL(ERROR_INVALID,
             "The examples of %zu sites, up to %llu each, have no room in %d bits. A smaller max_examples%s "
             "would "
             "do.",
             plan->sites, (unsigned long long)plan->max_examples, (int)plan->ring,
             plan->ring == MASK_RING_32 ? ", or ring: 64," : "");
    int exponent = fixed_point_exponent(plan->clip, room / plan->sites);
    if (exponent < 0)
        FAIL(ERROR_INVALID,
             "The changes of %zu sites, up to clip %g each, have no room in %d bits. A smaller clip%s would "
             "do.",
             plan->sites, plan->clip, (int)plan->ring, plan->ring == MASK_RING_32 ? ", or ring: 64," : "");
    if (exponent > FIXED_POINT_MAX_EXPONENT)
        FAIL(ERROR_INVALID, "clip is %g, which is too small to count with. A larger one would do.",
             plan->clip);
    plan->scale = ldexp(1, exponent);
done:
    return err;
}

static double fixed_point_clipped(double change, double clip)
{
    return change > clip ? clip : change < -clip ? -clip : change;
}

/* Up or down at random, up with the probability that is cut off. By size, so that what is cut off is exact; it is compared
 * with 64 random bits, so that the probability is exact to 2^-64. */
static int64_t fixed_point_drawn(double value, uint64_t draw)
{
    double size = fabs(value), whole = floor(size);
    double share = ldexp(size - whole, 64); /* below 2^64 */
    int64_t rounded = (int64_t)whole + (draw < (uint64_t)share);
    return value < 0 ? -rounded : rounded;
}

/* In the 32-bit ring, [count] changes at most FIXED_POINT_DRAWS. */
static struct error *fixed_point_round_32(const double *values, size_t count, uint64_t *ret_words)
{
    struct error *err = NULL;
    uint64_t draws[FIXED_POINT_DRAWS];
    TRY(secret_random(draws, count * sizeof(*draws)));
    for (size_t i = 0; i < count; i++)
        ret_words[i] = fixed_point_in_ring(MASK_RING_32, fixed_point_drawn(values[i], draws[i]));
done:
    secret_wipe(draws, sizeof(draws));
    return err;
}

static struct error *fixed_point_values(const struct fixed_point *plan, const double *from, const double *to,
                                        size_t count, double factor, uint64_t *ret_words)
{
    struct error *err = NULL;
    double values[FIXED_POINT_DRAWS];
    for (size_t at = 0, step = 0; at < count; at += step) {
        step = count - at < FIXED_POINT_DRAWS ? count - at : FIXED_POINT_DRAWS;
        for (size_t i = 0; i < step; i++)
            values[i] = factor * fixed_point_clipped(to[at + i] - from[at + i], plan->clip);
        if (plan->ring == MASK_RING_32)
            TRY(fixed_point_round_32(values, step, ret_words + at));
        else
            for (size_t i = 0; i < step; i++)
                ret_words[at + i] = (uint64_t)llrint(values[i]);
    }
done:
    secret_wipe(values, sizeof(values));
    return err;
}

struct error *fixed_point_encode(const struct fixed_point *plan, const double *from, const double *to,
                                 size_t count, uint64_t examples, uint64_t *ret_words)
{
    struct error *err = NULL;
    if (examples == 0 || examples > plan->max_examples)
        FAIL(ERROR_INVALID,
             "This site trained on no examples, or on more than max_examples, which is %llu. A job with a "
             "larger "
             "max_examples would do.",
             (unsigned long long)plan->max_examples);
    for (size_t p = 0; p < count; p++)
        if (!isfinite(to[p] - from[p]))
            FAIL(ERROR_NUMERIC, "The model that was trained has a value that is not finite.");
    double weight = plan->weighted ? (double)examples / (double)plan->max_examples : 1;
    TRY(fixed_point_values(plan, from, to, count, plan->scale * weight, ret_words + 1));
    ret_words[0] = plan->weighted ? examples : 1;
done:
    if (err != NULL)
        secret_wipe(ret_words, (count + 1) * sizeof(*ret_words));
    return err;
}

struct error *fixed_point_counts(const struct fixed_point *plan, const uint64_t *counts, size_t count,
                                 uint64_t *ret_words)
{
    for (size_t i = 0; i < count; i++)
        if (counts[i] > plan->max_examples)
            return error_new(ERROR_INVALID,
                             "A count of test rows is above max_examples, which is %llu. A job with a larger "
                             "max_examples would do.",
                             (unsigned long long)plan->max_examples);
    for (size_t i = 0; i < count; i++)
        ret_words[i] = counts[i];
    return NULL;
}

static struct error *fixed_point_total_check(const struct fixed_point *plan, size_t contributors,
                                             uint64_t total)
{
    uint64_t most = plan->weighted ? contributors * plan->max_examples : contributors;
    if (contributors == 0 || contributors > plan->sites)
        return error_new(ERROR_INVALID, "A sum is of %zu sites, and the job has %zu.", contributors,
                         plan->sites);
    if (total < contributors || total > most)
        return error_new(ERROR_INVALID,
                         "The first word of a sum of %zu sites is not what their sites can have given.",
                         contributors);
    return NULL;
}

/* Two's complement. */
static int64_t fixed_point_signed(enum mask_ring ring, uint64_t word)
{
    return ring == MASK_RING_32 && word > INT32_MAX ? (int64_t)word - ((int64_t)1 << 32) : (int64_t)word;
}

/* Sums of words that are each within ceil(S · C). */
static struct error *fixed_point_sums_check(const struct fixed_point *plan, size_t contributors,
                                            const uint64_t *words, size_t count)
{
    int64_t most = (int64_t)(contributors * fixed_point_top(plan));
    for (size_t p = 0; p < count; p++) {
        int64_t sum = fixed_point_signed(plan->ring, words[p]);
        if (sum > most || sum < -most)
            return error_new(ERROR_INVALID,
                             "A word of a sum of %zu sites is beyond what they can have given.",
                             contributors);
    }
    return NULL;
}

struct error *fixed_point_advance(const struct fixed_point *plan, size_t contributors, const uint64_t *words,
                                  size_t count, double *model)
{
    struct error *err = NULL;
    double factor = plan->weighted ? (double)plan->max_examples : 1;
    double divisor = plan->scale * (double)words[0];
    TRY(fixed_point_total_check(plan, contributors, words[0]));
    TRY(fixed_point_sums_check(plan, contributors, words + 1, count));
    for (int writes = 0; writes < 2; writes++)
        for (size_t p = 0; p < count; p++) {
            double sum = (double)fixed_point_signed(plan->ring, words[p + 1]);
            double next = model[p] + sum * factor / divisor;
            if (!isfinite(next))
                FAIL(ERROR_NUMERIC, "The model after a round would have a value that is not finite.");
            if (writes)
                model[p] = next;
        }
done:
    return err;
}

struct error *fixed_point_decode_counts(const struct fixed_point *plan, size_t contributors,
                                        const uint64_t *words, size_t count, uint64_t *ret_counts)
{
    if (contributors == 0 || contributors > plan->sites)
        return error_new(ERROR_INVALID, "A sum is of %zu sites, and the job has %zu.", contributors,
                         plan->sites);
    for (size_t i = 0; i < count; i++)
        if (words[i] > contributors * plan->max_examples)
            return error_new(ERROR_INVALID,
                             "A count of a sum of %zu sites is beyond what they can have given.",
                             contributors);
    for (size_t i = 0; i < count; i++)
        ret_counts[i] = words[i];
    return NULL;
}

/* With k contributors, u = 2^-53, values within L and changes within 2L:
 *
 *     quantisation    every word is off by at most 1/2 (64 bits) or 1 (32), and k of them by k times that, which is
 *                     Q = k · that · N_max / (S · examples) of the mean, or that / S
 *     FedAvg          weights 2u, products u, k - 1 sums: (k + 2) u L
 *     words           the change u, n_i / N_max u, the product u: 3 u · 2L
 *     mean            sum, product, divisor, quotient: 4 u (2L + Q)
 *     model           the last addition: u (L + Q)
 *
 * and, for the products of these errors, twice what is with u; and what is lost in values near zero. */
double fixed_point_bound(const struct fixed_point *plan, size_t contributors, uint64_t examples,
                         double largest)
{
    double sites = (double)contributors, off = plan->ring == MASK_RING_32 ? 1 : 0.5;
    double quantised = plan->weighted
                           ? sites * off * (double)plan->max_examples / (plan->scale * (double)examples)
                           : off / plan->scale;
    double rounded = (sites + 17) * largest + 5 * quantised;
    return quantised + DBL_EPSILON * rounded + (sites + 8) * DBL_MIN;
}
