/* The seeded generator for initialisation, batch order, partitions and mock data; never for noise or keys.
 *
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the
 * i-th block of four words is a keyed permutation of a 128-bit counter, so a stream is named by what it is
 * for and needs no state from one round to the next. Integers are the same on every machine; normal and gamma
 * draws go through the C library's log, cos and sqrt and may differ in the last bit between C libraries.
 *
 *     key     = seed (low word, high word)
 *     counter = (block number, round, epoch, purpose) */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What a stream is for; keeps streams of one seed apart. Values are part of the reproducibility of runs. */
enum random_purpose {
    RANDOM_INITIALISATION = 1,
    RANDOM_BATCH_ORDER = 2,
    RANDOM_PARTITION = 3,
    RANDOM_MOCK = 4,
    RANDOM_SPLIT = 5
};

struct random {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t block[4];
    unsigned used; /* words of block handed out, 4 = none left */
};

/* One application of the permutation: 4 words out of counter and key. */
void random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t ret_block[4]);

/* The start of the stream (seed, purpose, round, epoch). */
struct random random_stream(uint64_t seed, enum random_purpose purpose, uint32_t round, uint32_t epoch);

/* The next 32 uniform bits. A stream repeats after 2^34 words. */
uint32_t random_word(struct random *random);

/* Uniform in [0, bound), without bias; bound >= 1. (Lemire 2019, "Fast random integer generation in an
 * interval".) */
uint32_t random_below(struct random *random, uint32_t bound);

/* Uniform in (0, 1), 53 bits. */
double random_uniform(struct random *random);

/* Standard normal. (Box and Muller 1958; one of the pair is used.) */
double random_normal(struct random *random);

/* Logarithm of a Gamma(shape, 1) draw, shape > 0; the logarithm so that small shapes do not underflow.
 * (Marsaglia and Tsang 2000, "A simple method for generating gamma variables", with their boost for shape
 * < 1.) */
double random_log_gamma(struct random *random, double shape);

/* Shuffles in place, every order equally likely. (Fisher and Yates, as Durstenfeld 1964.) */
void random_shuffle(struct random *random, uint32_t *values, size_t count);
