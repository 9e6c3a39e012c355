/* The result of a feature-statistics job: mean and deviation of every feature, for `features: {kind: standardize}` of the next
 * job, whose file they go into.
 *
 * They come from the job's means and mean squares (learning/moments.h). Where those have noise, a deviation that the noise
 * may have made is given as 0, which standardize takes for a feature that says nothing: below three standard deviations of the noise
 * on the variance. Numbers have 9 digits, more than float32 rows can tell apart. */
#pragma once

#include "orchestrator/run_record.h"

#include <stdio.h>

struct statistics {
    double *mean, *deviation; /* [features] */
    size_t features;
    size_t constant; /* features whose deviation is 0 */
};

/* ERROR_INVALID: the run is of another job; ERROR_NOT_FOUND: it came to no result. */
MUST_USE struct error *statistics_of(const struct run_record *record, struct statistics *ret_statistics);
void statistics_clear(struct statistics *statistics); /* accepts a zeroed one */

/* The block `features:` of a job file, released_by and all. */
void statistics_print(FILE *stream, const struct run_record *record, const struct statistics *statistics);
/* Into a file, atomically. */
MUST_USE struct error *statistics_write(const struct run_record *record, const char *path);
