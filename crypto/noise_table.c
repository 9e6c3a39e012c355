/* exp(-m² / 2σ²) for all m, in fixed point with 127 bits behind the point, σ = 2^log.
 *
 * With x = 2^-(2 log + 1) it is exp(-m² x). exp_minus makes it from factors exp(-2^b x), one for each bit of m²; between
 * every RESTART magnitudes it goes on by exp(-(m+1)² x) = exp(-m² x) · exp(-(2m+1) x), and the last factor by exp(-2x).
 * Every rounding is of 2^-127 or a few times that: the errors are in noise.c, and the test compares all of the table with
 * one that is computed with 320 bits. */
#include "crypto/noise_parts.h"

#include <assert.h>

#define ONE ((noise_wide)1 << 127)
#define RESTART 32
#define FACTORS (2 * NOISE_TABLE_LOG + 8) /* bits of m², m below 13σ */

/* 1/√(2π) times 2^127, rounded down. The sum of exp(-m²/2σ²) over all integers is σ√(2π) (1 + 2 exp(-2π²σ²) + …). */
static const uint64_t inverse_root[2] = {UINT64_C(0x33108a67a86ca11a), UINT64_C(0x1f9678a017571c5f)};

/* The product of a and b, both at most ONE, rounded down. */
static noise_wide times(noise_wide a, noise_wide b)
{
    noise_wide a1 = a >> 64, a0 = (uint64_t)a, b1 = b >> 64, b0 = (uint64_t)b;
    noise_wide middle = ((a0 * b0) >> 64) + (uint64_t)(a1 * b0) + (uint64_t)(a0 * b1);
    noise_wide upper = a1 * b1 + ((a1 * b0) >> 64) + ((a0 * b1) >> 64) + (middle >> 64);
    return upper << 1 | (uint64_t)middle >> 63;
}

/* exp(-2^-shift), by its series. */
static noise_wide exp_minus_power(unsigned shift)
{
    noise_wide term = ONE, plus = 0, minus = 0;
    for (unsigned i = 0; term > 0; i++, term = (term >> shift) / i)
        *(i % 2 == 0 ? &plus : &minus) += term;
    return plus - minus;
}

/* exp(-2^b x) for b from 0. */
static void make_factors(unsigned log, noise_wide ret_factors[static FACTORS])
{
    unsigned scale = 2 * log + 1;
    for (unsigned b = 0; b < FACTORS; b++)
        ret_factors[b] =
            b <= scale ? exp_minus_power(scale - b) : times(ret_factors[b - 1], ret_factors[b - 1]);
}

/* exp(-n x) */
static noise_wide exp_minus(const noise_wide factors[static FACTORS], uint64_t n)
{
    noise_wide product = ONE;
    for (unsigned b = 0; n >> b > 0; b++)
        if ((n >> b & 1) != 0)
            product = times(product, factors[b]);
    return product;
}

static void make_cumulative(unsigned log, struct noise_table *table)
{
    noise_wide factors[FACTORS], weight = 0, ratio = 0, sum = 0;
    noise_wide unit = ((noise_wide)inverse_root[0] << 64 | inverse_root[1]) >> log; /* 1 / (σ√(2π)) */
    make_factors(log, factors);
    for (uint64_t m = 0; m < table->last; m++) {
        if (m % RESTART == 0) {
            weight = exp_minus(factors, m * m);
            ratio = exp_minus(factors, 2 * m + 1);
        }
        sum += times(weight, unit) << (m > 0); /* m and -m */
        table->cumulative[m] = sum < ONE ? sum : ONE;
        weight = times(weight, ratio);
        ratio = times(ratio, factors[1]);
    }
    table->cumulative[table->last] = ONE;
}

void noise_table_make(unsigned log, struct noise_table *ret_table)
{
    assert(log >= 1 && log <= NOISE_TABLE_LOG);
    uint32_t m = 0;
    ret_table->last = (uint32_t)NOISE_TABLE_WIDTHS << log;
    make_cumulative(log, ret_table);
    for (uint32_t i = 0; i <= ret_table->last; i++)
        ret_table->first[i] = (uint32_t)(ret_table->cumulative[i] >> 96);
    for (uint32_t cell = 0; cell >> NOISE_GUIDE_BITS == 0; cell++) {
        while (ret_table->first[m] < cell << (31 - NOISE_GUIDE_BITS))
            m++;
        ret_table->guide[cell] = (uint16_t)m;
    }
}

uint32_t noise_table_magnitude(const struct noise_table *table, noise_wide number)
{
    uint32_t least = 0, most = table->last; /* number is below cumulative[most] */
    while (least < most) {
        uint32_t middle = (least + most) / 2;
        if (number < table->cumulative[middle])
            most = middle;
        else
            least = middle + 1;
    }
    return least;
}

struct error *noise_table_settle(const struct noise_table *table, struct noise *noise, uint32_t first,
                                 uint32_t *ret_magnitude)
{
    struct error *err = NULL;
    uint64_t more[2] = {0};
    uint32_t magnitude = table->guide[first >> (31 - NOISE_GUIDE_BITS)];
    while (first > table->first[magnitude])
        magnitude++;
    if (first == table->first[magnitude]) {
        TRY(noise_word(noise, &more[0]));
        TRY(noise_word(noise, &more[1]));
        magnitude =
            noise_table_magnitude(table, (noise_wide)first << 96 | (noise_wide)more[0] << 32 | more[1] >> 32);
    }
    *ret_magnitude = magnitude;
done:
    more[0] = more[1] = 0;
    return err;
}
