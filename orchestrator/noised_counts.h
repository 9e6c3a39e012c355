/* Counts of a private job: a confusion matrix each cell of which has Gaussian noise of a known standard deviation, added where the
 * rows are. Cells are real numbers and may be negative; nothing made from them is ever exact, so that everything here comes with
 * how far off it may be.
 *
 *     counts [classes][classes]   rows true, columns predicted, as a confusion matrix
 */
#pragma once

#include "schemas/error.h"
#include "schemas/job.h"

#include <stdint.h>

/* The standard deviation of the sum over `sites` sites' counts: what each of them adds is public, a share of the whole under
 * secure aggregation. NAN for a job whose counts do not leave. */
double noised_counts_deviation(const struct job *job, uint32_t sites);

/* Whether counts of the model of `round` (from 1) leave sites in clear. */
bool noised_counts_paid(const struct job *job, uint32_t round);

/* counts [classes²] as a site answers them; ERROR_INVALID unless all are finite and of a size that counts may have. */
MUST_USE struct error *noised_counts_check(const double *counts, size_t count, uint32_t classes);

/* About how many rows they are of. */
double noised_counts_rows(const double *counts, uint32_t classes);
/* The share of right answers, and the standard deviation of that (first order: noise small beside the number of rows). Both
 * NAN when the noise leaves no rows to speak of: fewer than four standard deviations of their number. */
void noised_counts_accuracy(const double *counts, double deviation, uint32_t classes, double *ret_accuracy,
                            double *ret_deviation);
