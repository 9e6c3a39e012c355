/* Randomness that protects records: who is sampled, and Gaussian noise in integers.
 *
 * Keyed from OpenSSL's private generator (RAND_priv_bytes) at noise_open, expanded by AES-256-CTR. Never from a job's seed.
 * If the generator fails, nothing is given and ERROR_CRYPTO says so; a source never falls back. Injected randomness exists
 * in test builds alone (noise_open_injected, compiled under DATASITE_TESTS).
 *
 *     noise_gaussian    the fast sampler: a table of a small discrete Gaussian and convolutions of it (Micciancio, Walter
 *                       2017), within 2^-80 total variation of noise_gaussian_exact for each value; the argument is in noise.c
 *     noise_gaussian_exact  Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy", 2020, in 128-bit integers;
 *                       the reference of the tests, and for any standard deviation that is a ratio of integers
 *
 * How long a call takes may depend on what it draws (SECURITY.md). A source is used by one thread; wiped at the end. */
#pragma once

#include "schemas/error.h"

#include <stddef.h>
#include <stdint.h>

/* A site that adds all of the noise, about 2^28; one that adds a share of it, about 2^26. */
enum noise_level { NOISE_LOCAL, NOISE_SHARE };

struct noise;

MUST_USE struct error *noise_open(struct noise **ret_noise);
void noise_close(struct noise *noise); /* accepts NULL */

/* The standard deviation of noise_gaussian, in steps of the grid: exactly the parameter of the sampler. */
double noise_sigma(enum noise_level level);

/* Uniform words. */
MUST_USE struct error *noise_words(struct noise *noise, uint64_t *ret_words, size_t count);

/* Which of `rows` rows take part in a step: each by itself with probability floor(rate · 2^64) / 2^64 (rate 1: all).
 * Ascending positions; ret_chosen has room for `rows`. rate above 0, at most 1: else ERROR_INVALID. */
MUST_USE struct error *noise_sample(struct noise *noise, double rate, size_t rows, uint32_t *ret_chosen,
                                    size_t *ret_count);

/* Adds independent noise to each of `count` values, modulo 2^64. */
MUST_USE struct error *noise_gaussian(struct noise *noise, enum noise_level level, int64_t *values,
                                      size_t count);

/* One value with variance numerator / denominator (both at least 1, below 2^62). */
MUST_USE struct error *noise_gaussian_exact(struct noise *noise, uint64_t numerator, uint64_t denominator,
                                            int64_t *ret_value);
