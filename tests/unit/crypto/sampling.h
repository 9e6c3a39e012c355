/* Whether samples look like a distribution: chi-square tests and intervals that samples of it fail with a probability of 1e-6,
 * and the exact masses of discrete Gaussians. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Pearson's statistic against the upper quantile at 1e-6 (Wilson and Hilferty's approximation). Neighbouring cells are
 * taken together until at least 20 are expected. probabilities sum to 1. */
bool sampling_chi_square(const uint64_t *seen, const double *probabilities, size_t cells);

/* Whether `probability` is in Wilson's interval of `hits` of `count`, at 1e-6. */
bool sampling_wilson(uint64_t hits, uint64_t count, double probability);

/* Probability of `value` under the discrete Gaussian with parameter sigma2, its variance, and P(|x| >= from). */
double sampling_mass(double sigma2, int64_t value);
double sampling_moment(double sigma2, unsigned power);
double sampling_tail(double sigma2, double from);

/* What is wrong with `count` values that are said to be independent draws of a discrete Gaussian; NULL: nothing.
 * "masses" (of each value up to 8 deviations), "mean", "variance", "sign", "zeros", "neighbours" (values and squares, up to
 * three apart). */
const char *sampling_fault(const int64_t *values, size_t count, double sigma2);
/* The same for deviations of millions: "masses" of bins an eighth of a deviation wide, and "bits": the lowest, and each
 * eight in a row up to `bits` of them, are uniform. */
const char *sampling_fault_large(const int64_t *values, size_t count, double sigma2, unsigned bits);
