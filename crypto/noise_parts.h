/* Inside of noise*.c, and for their tests: the source, the table, and the convolution at any size. */
#pragma once

#include "crypto/noise.h"

#include <openssl/evp.h>
#include <sys/types.h>

__extension__ typedef unsigned __int128 noise_wide;

/* ---- the key stream (noise_source.c) ---- */

/* One key makes so much and is then replaced: 2^20 blocks, after which the stream differs from a random one by at most
 * 2^40 / 2^129. */
#define NOISE_KEY_BYTES ((uint64_t)1 << 24)
#define NOISE_POOL_WORDS 64
#define NOISE_BLOCK_BYTES 12288

struct noise {
    EVP_CIPHER_CTX *cipher;
    struct noise_table *table; /* of the deviation 2^NOISE_TABLE_LOG */
    uint64_t key_left;         /* bytes that the key may still make */
    pid_t owner;               /* a child of a fork has the parent's key: it takes another */
    size_t pool_at;
    uint64_t pool[NOISE_POOL_WORDS]; /* words for single draws; each is wiped as it is given */
    union {
        uint8_t bytes[NOISE_BLOCK_BYTES];
        uint32_t words[NOISE_BLOCK_BYTES / 4];
    } block; /* what a call with many values works on; wiped when it ends */
};

/* At the beginning of every call from outside: after a fork, another key. */
MUST_USE struct error *noise_begin(struct noise *noise);
/* The next bytes of the stream. On failure the area is wiped, and the next call begins with another key. */
MUST_USE struct error *noise_fill(struct noise *noise, void *ret_area, size_t bytes);
/* One word. */
MUST_USE struct error *noise_word(struct noise *noise, uint64_t *ret_word);

/* ---- a table of the magnitudes of a discrete Gaussian of deviation 2^log (noise_table.c) ---- */

#define NOISE_TABLE_LOG 10    /* of the product; tests have smaller ones */
#define NOISE_TABLE_WIDTHS 13 /* the greatest magnitude, in deviations */
#define NOISE_TABLE_MOST ((uint32_t)NOISE_TABLE_WIDTHS << NOISE_TABLE_LOG)
#define NOISE_GUIDE_BITS 13

/* cumulative[m]: the probability that the magnitude is at most m, times 2^127; cumulative[last] is 2^127.
 * first[m]: its upper 31 of 127 bits. guide[c]: the least m that a magnitude whose first 31 bits begin with the bits c may
 * have. */
struct noise_table {
    uint32_t last;
    uint16_t guide[(size_t)1 << NOISE_GUIDE_BITS];
    uint32_t first[NOISE_TABLE_MOST + 1];
    noise_wide cumulative[NOISE_TABLE_MOST + 1];
};

/* log: 1 to NOISE_TABLE_LOG. */
void noise_table_make(unsigned log, struct noise_table *ret_table);

/* The magnitude of a number of 127 bits: the least m with number < cumulative[m]. */
uint32_t noise_table_magnitude(const struct noise_table *table, noise_wide number);

/* The same of a number whose upper 31 bits are `first` and whose others are still to be drawn, which they are only if they
 * decide. */
MUST_USE struct error *noise_table_settle(const struct noise_table *table, struct noise *noise,
                                          uint32_t first, uint32_t *ret_magnitude);

/* Where the search for a number with these upper 31 bits ends, if *ret_settled; otherwise noise_table_settle knows. */
static inline uint32_t noise_table_guess(const struct noise_table *table, uint32_t first, bool *ret_settled)
{
    uint32_t magnitude = table->guide[first >> (31 - NOISE_GUIDE_BITS)];
    magnitude += first > table->first[magnitude];
    *ret_settled = first < table->first[magnitude];
    return magnitude;
}

/* ---- the convolution (noise.c) ---- */

/* Adds x0 + z·x1 + z²·x2, z = 2^stride, of the table's distribution with signs, to each value. noise_gaussian is this with
 * the table of 2^10 and stride 9 or 8. On failure the values are wiped. */
MUST_USE struct error *noise_convolve(struct noise *noise, const struct noise_table *table, unsigned stride,
                                      int64_t *values, size_t count);
