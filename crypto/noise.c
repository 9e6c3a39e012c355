/* The fast sampler, and why each of its values is within 2^-108 total variation of a discrete Gaussian.
 *
 * D_s is the distribution on the integers with probabilities proportional to exp(-k²/2s²). A value is x0 + z·x1 + z²·x2, of three
 * independent draws from the table's distribution T, which is near D_σ0; σ0 = 2^10, z = 2^9 (local) or 2^8 (share).
 *
 * Table. T(m) is exactly (cumulative[m] - cumulative[m-1]) / 2^127: a magnitude is where a uniform number of 127 bits falls,
 * and 31 bits of it are enough unless they are equal to those of a boundary; then the others are drawn as well. What is cut
 * off beyond 13σ0 weighs less than 2·exp(-13²/2) < 2^-120; what fixed point rounds away weighs more. The table is made by
 * integers, the same on every machine, so its distance can be measured once: the test computes every probability again with
 * 320 bits and finds TV(T, D_σ0) < 2^-112 (2^-113.3).
 *
 * Convolution. For x of D_a and y of D_b,
 *
 *     P(x + zy = k) is proportional to exp(-k²/2s²) · Σ_y exp(-(y - c)²/2w²),   s² = a² + z²b²,  1/w² = 1/b² + z²/a²,
 *
 * with some c for each k. By Poisson's formula the sum is w√(2π)(1 + e), |e| <= E = 2·Σ_{j>=1} exp(-2π²w²j²), whatever c is, so
 * TV(x + zy, D_s) <= E/(1 - E). For x1 + z·x2, a = b = σ0 and w² = σ0²/(1 + z²) = 4·(1 - 2^-18) or more: E < 2^-112.8. For x0 + z·y,
 * y of D with b² = σ0²(1 + z²), w² = σ0²/(z² + 1/(1 + z²)) is larger and E smaller.
 *
 * Together. TV <= 3·2^-112 + 2·2^-112.7 < 2^-109, of the parameter σ² = σ0²·(1 + z² + z⁴), which is what noise_sigma says. The
 * accountant charges it, times 1 + e^epsilon (noise_grid.h). That the key stream of AES-256 is not random is not in this. */
#include "crypto/noise_parts.h"

#include "crypto/secret.h"

#include <math.h>

#define STRIDE_LOCAL 9
#define STRIDE_SHARE 8

static unsigned stride_of(enum noise_level level)
{
    switch (level) {
    case NOISE_LOCAL:
        return STRIDE_LOCAL;
    case NOISE_SHARE:
        break;
    }
    return STRIDE_SHARE;
}

/* σ0² (1 + z² + z⁴): 2^56 + 2^38 + 2^20 and 2^52 + 2^36 + 2^20 are float64 numbers. */
double noise_sigma(enum noise_level level)
{
    unsigned stride = stride_of(level);
    return sqrt(ldexp(1.0, 2 * NOISE_TABLE_LOG) *
                (1.0 + ldexp(1.0, (int)(2 * stride)) + ldexp(1.0, (int)(4 * stride))));
}

/* One value of the table's distribution, with its sign, modulo 2^64, from 32 random bits and, once in 300000, more. */
static inline struct error *signed_value(struct noise *noise, const struct noise_table *table, uint32_t word,
                                         uint64_t *ret_value)
{
    struct error *err = NULL;
    bool settled = false;
    uint64_t sign = -(uint64_t)(word & 1);
    uint32_t magnitude = noise_table_guess(table, word >> 1, &settled);
    if (__builtin_expect(!settled, 0))
        TRY(noise_table_settle(table, noise, word >> 1, &magnitude));
    *ret_value = (magnitude ^ sign) - sign;
done:
    return err;
}

struct error *noise_convolve(struct noise *noise, const struct noise_table *table, unsigned stride,
                             int64_t *values, size_t count)
{
    enum { TERMS = 3, AT_ONCE = NOISE_BLOCK_BYTES / 4 / TERMS };
    struct error *err = NULL;
    TRY(noise_begin(noise));
    for (size_t at = 0, step = 0; at < count; at += step) {
        step = count - at < AT_ONCE ? count - at : AT_ONCE;
        TRY(noise_fill(noise, noise->block.words, step * TERMS * sizeof(uint32_t)));
        for (size_t i = 0; i < step; i++) {
            const uint32_t *words = noise->block.words + TERMS * i;
            uint64_t x0 = 0, x1 = 0, x2 = 0;
            TRY(signed_value(noise, table, words[0], &x0));
            TRY(signed_value(noise, table, words[1], &x1));
            TRY(signed_value(noise, table, words[2], &x2));
            values[at + i] = (int64_t)((uint64_t)values[at + i] + x0 + (x1 << stride) + (x2 << (2 * stride)));
        }
    }
done:
    secret_wipe(&noise->block, count * 12 < sizeof(noise->block) ? count * 12 : sizeof(noise->block));
    if (err != NULL)
        secret_wipe(values, count * sizeof(*values));
    return err;
}

struct error *noise_gaussian(struct noise *noise, enum noise_level level, int64_t *values, size_t count)
{
    return noise_convolve(noise, noise->table, stride_of(level), values, count);
}

/* Bytes decide first: who is certainly out is passed over without a branch, then the few that may be in are looked at. */
static struct error *sample_block(struct noise *noise, uint64_t limit, size_t first, size_t rows,
                                  uint32_t *chosen, size_t *count)
{
    struct error *err = NULL;
    const uint8_t top = (uint8_t)(limit >> 56), *bytes = noise->block.bytes;
    const uint64_t rest = limit & (UINT64_MAX >> 8);
    size_t maybe = *count, kept = *count;
    TRY(noise_fill(noise, noise->block.bytes, rows));
    for (size_t i = 0; i < rows; i++) {
        chosen[maybe] = (uint32_t)(first + i);
        maybe += bytes[i] <= top;
    }
    for (size_t i = *count; i < maybe; i++) {
        uint64_t more = 0;
        bool in = bytes[chosen[i] - first] < top;
        if (!in) {
            TRY(noise_word(noise, &more));
            in = more >> 8 < rest;
        }
        chosen[kept] = chosen[i];
        kept += in;
    }
    *count = kept;
done:
    return err;
}

struct error *noise_sample(struct noise *noise, double rate, size_t rows, uint32_t *ret_chosen,
                           size_t *ret_count)
{
    struct error *err = NULL;
    size_t count = 0;
    if (!(rate > 0.0 && rate <= 1.0) || rows > UINT32_MAX)
        FAIL(ERROR_INVALID,
             "A step samples at a rate above 0 and at most 1, not %g, of fewer than 2^32 rows.", rate);
    TRY(noise_begin(noise));
    for (size_t at = 0, step = 0; at < rows; at += step) {
        step = rows - at < NOISE_BLOCK_BYTES ? rows - at : NOISE_BLOCK_BYTES;
        if (rate < 1.0)
            TRY(sample_block(noise, (uint64_t)ldexp(rate, 64), at, step, ret_chosen, &count));
        for (; rate == 1.0 && count < at + step; count++)
            ret_chosen[count] = (uint32_t)count;
    }
    *ret_count = count;
done:
    secret_wipe(&noise->block, rows < sizeof(noise->block) ? rows : sizeof(noise->block));
    if (err != NULL && rows <= UINT32_MAX)
        secret_wipe(ret_chosen, rows * sizeof(*ret_chosen));
    return err;
}
