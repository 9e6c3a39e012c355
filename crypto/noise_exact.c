/* The discrete Gaussian by rejection from a discrete Laplace, exact in integers: algorithms 1 to 3 of Canonne, Kamath,
 * Steinke 2020.
 *
 * With variance n/d and t = floor(√(n/d)) + 1, a candidate y of the Laplace distribution exp(-|y|/t) is taken with
 * probability exp(-(|y| - n/(dt))² d / 2n) = exp(-a/b), a = (|y|dt - n)², b = 2ndt². Since d·t² is at most the larger of 4n
 * and d, all of it has less than 128 bits while n and d are below 2^57 and |y| below 16t. Candidates of 16t and more, which
 * would be taken with a probability below exp(-15²/2) < 2^-162, are not taken. Each loop ends with a fixed probability a
 * turn: less than 20 uniform numbers are drawn a value in expectation. */
#include "crypto/noise_parts.h"

#include "crypto/secret.h"

#include <math.h>

#define LIMIT ((uint64_t)1 << 57)
#define MOST_WIDTHS 16

static struct error *uniform_below(struct noise *noise, noise_wide limit, noise_wide *ret_number)
{
    struct error *err = NULL;
    noise_wide mask = limit - 1, number = 0;
    for (unsigned shift = 1; shift < 128; shift *= 2)
        mask |= mask >> shift;
    do {
        uint64_t upper = 0, lower = 0;
        TRY(noise_word(noise, &lower));
        if (mask >> 64 > 0)
            TRY(noise_word(noise, &upper));
        number = ((noise_wide)upper << 64 | lower) & mask;
    } while (number >= limit);
    *ret_number = number;
done:
    return err;
}

/* True with probability exp(-a/b), a at most b; b below 2^118. The k-th factor of the series is drawn with probability 1/k!,
 * so b·k stays below 2^127 for as long as anybody waits. */
static struct error *exp_minus_part(struct noise *noise, noise_wide a, noise_wide b, bool *ret_true)
{
    struct error *err = NULL;
    noise_wide number = 0;
    unsigned k = 0;
    do {
        k++;
        TRY(uniform_below(noise, b * k, &number));
    } while (number < a);
    *ret_true = k % 2 == 1;
done:
    return err;
}

/* True with probability exp(-a/b). */
static struct error *exp_minus(struct noise *noise, noise_wide a, noise_wide b, bool *ret_true)
{
    struct error *err = NULL;
    bool goes_on = true;
    for (; goes_on && a > b; a -= b)
        TRY(exp_minus_part(noise, 1, 1, &goes_on));
    if (goes_on)
        TRY(exp_minus_part(noise, a, b, &goes_on));
    *ret_true = goes_on;
done:
    return err;
}

/* A magnitude with probability proportional to exp(-y/t) for y below 16t, or none. */
static struct error *laplace_magnitude(struct noise *noise, uint64_t t, uint64_t *ret_magnitude,
                                       bool *ret_drawn)
{
    struct error *err = NULL;
    noise_wide rest = 0;
    uint64_t whole = 0;
    bool goes_on = false;
    TRY(uniform_below(noise, t, &rest));
    TRY(exp_minus_part(noise, rest, t, &goes_on));
    *ret_drawn = goes_on;
    while (goes_on && whole < MOST_WIDTHS) {
        TRY(exp_minus_part(noise, 1, 1, &goes_on));
        whole += goes_on;
    }
    *ret_drawn = *ret_drawn && whole < MOST_WIDTHS;
    *ret_magnitude = (uint64_t)rest + whole * t;
done:
    return err;
}

static uint64_t root_of(uint64_t number)
{
    uint64_t root = (uint64_t)sqrt((double)number);
    while (root * root > number)
        root--;
    while ((root + 1) * (root + 1) <= number)
        root++;
    return root;
}

/* Not inlined, so that what it leaves is below who wipes it. */
static __attribute__((noinline)) struct error *draw(struct noise *noise, uint64_t numerator,
                                                    uint64_t denominator, int64_t *ret_value)
{
    struct error *err = NULL;
    uint64_t t = root_of(numerator / denominator) + 1, sign = 0, magnitude = 0;
    noise_wide b = (noise_wide)2 * numerator * denominator * t * t;
    bool taken = false;
    while (!taken) {
        TRY(laplace_magnitude(noise, t, &magnitude, &taken));
        TRY(noise_word(noise, &sign));
        if (!taken || ((sign & 1) != 0 && magnitude == 0)) {
            taken = false; /* one zero, not two */
            continue;
        }
        noise_wide at = (noise_wide)magnitude * denominator * t;
        noise_wide away = at > numerator ? at - numerator : numerator - at;
        TRY(exp_minus(noise, away * away, b, &taken));
    }
    *ret_value = (sign & 1) != 0 ? -(int64_t)magnitude : (int64_t)magnitude;
done:
    return err;
}

struct error *noise_gaussian_exact(struct noise *noise, uint64_t numerator, uint64_t denominator,
                                   int64_t *ret_value)
{
    struct error *err = NULL;
    if (numerator < 1 || numerator >= LIMIT || denominator < 1 || denominator >= LIMIT)
        FAIL(ERROR_INVALID, "The variance of noise is a ratio of integers from 1 to below 2^57.");
    TRY(noise_begin(noise));
    TRY(draw(noise, numerator, denominator, ret_value));
done:
    secret_wipe_stack();
    return err;
}
