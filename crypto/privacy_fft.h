/* The discrete Fourier transform of complex numbers in float64, of sizes that are powers of two.
 *
 * Forward takes natural order to bit-reversed order, inverse takes bit-reversed to natural: what is computed between them
 * number by number needs no order. Own, since packaged ones are in single precision or under the GPL. */
#pragma once

#include "schemas/error.h"

#include <stddef.h>

struct privacy_complex {
    double re, im;
};

struct privacy_fft;

/* size: 2 to 2^24, a power of two, else ERROR_INVALID. Takes 8 bytes for each. */
MUST_USE struct error *privacy_fft_new(size_t size, struct privacy_fft **ret_fft);
void privacy_fft_free(struct privacy_fft *fft); /* accepts NULL */

/* In place, on `size` values. Inverse divides by the size. */
void privacy_fft_forward(const struct privacy_fft *fft, struct privacy_complex *values);
void privacy_fft_inverse(const struct privacy_fft *fft, struct privacy_complex *values);

/* How far rounding takes any one result at most from what is exact, relative to the sum of the absolute values that went
 * in (inverse: of that divided by the size). Every result is a sum over log2(size) levels; at each of them a summand is
 * multiplied by a factor (2.3 u, and 1 u for the factor itself) and added to (1 u), u = 2^-53. */
double privacy_fft_error(const struct privacy_fft *fft);
