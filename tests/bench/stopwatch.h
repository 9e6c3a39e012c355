/* What the measurements share: a clock, medians, and the end of a program that cannot measure.
 *
 * Header only, because every program here is one file and links other rooms. */
#pragma once

#include "schemas/error.h"

#include <math.h>

#define STOPWATCH_MAX_REPEATS 64

/* Milliseconds of a clock that only goes forward. */
static inline double stopwatch_ms(void)
{
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) != 0)
        abort();
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

static inline int stopwatch_compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of `count` (at least 1) numbers, which are left sorted; the mean of the middle two when they are even. */
static inline double stopwatch_median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), stopwatch_compare);
    return (values[(count - 1) / 2] + values[count / 2]) / 2.0;
}

/* A measurement has nothing to clean up: the first failure is said and ends the program. */
static inline void stopwatch_must(struct error *err)
{
    if (err == NULL)
        return;
    (void)fprintf(stderr, "%s\n", err->sentence);
    exit(error_exit_status(err));
}

/* The memory itself, or the end of the program. */
static inline void *stopwatch_must_have(void *memory)
{
    if (memory == NULL)
        stopwatch_must(error_new(ERROR_MEMORY, "There is not enough memory for the measurement."));
    return memory;
}
