/* Randomness that protects records: who is sampled, and Gaussian noise in integers.
 *
 * Keyed from OpenSSL's private generator (RAND_priv_bytes) at noise_open, expanded by AES-256-CTR. Never from a job's seed.
 * A key makes 16 MiB; the process that a fork begins takes another. If the generator fails, nothing is given and
 * ERROR_CRYPTO says so; a source never falls back. Nothing here takes a seed: tests that need a known stream replace
 * secret_random when they are linked (tests/unit/crypto/noise_given.h), which no program of the product can.
 *
 *     noise_gaussian        the fast sampler: a table of a small discrete Gaussian and convolutions of it (Micciancio, Walter
 *                           2017), within 2^-108 total variation of the discrete Gaussian of parameter noise_sigma, each
 *                           value; the argument is in noise.c
 *     noise_gaussian_exact  Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy", 2020, in 128-bit
 *                           integers, within 2^-160; the reference of the tests, and for any variance that is a ratio
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

/* Uniform words. On failure they are wiped. */
MUST_USE struct error *noise_words(struct noise *noise, uint64_t *ret_words, size_t count);

/* Which of `rows` rows take part in a step: each by itself with probability floor(rate · 2^64) / 2^64 (rate 1: all).
 * Ascending positions; ret_chosen has room for `rows`, and what is behind the first *ret_count of it means nothing.
 * rate above 0, at most 1, fewer than 2^32 rows: else ERROR_INVALID. On failure ret_chosen is wiped. */
MUST_USE struct error *noise_sample(struct noise *noise, double rate, size_t rows, uint32_t *ret_chosen,
                                    size_t *ret_count);

/* Adds independent noise to each of `count` values, modulo 2^64. On failure the values are wiped: none is left without
 * noise. */
MUST_USE struct error *noise_gaussian(struct noise *noise, enum noise_level level, int64_t *values,
                                      size_t count);

/* One value of the discrete Gaussian with parameter σ² = numerator / denominator, both at least 1 and below 2^57: else
 * ERROR_INVALID. */
MUST_USE struct error *noise_gaussian_exact(struct noise *noise, uint64_t numerator, uint64_t denominator,
                                            int64_t *ret_value);
