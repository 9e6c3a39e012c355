/* Private stochastic gradient descent (Abadi et al. 2016) for softmax regression: the step, and a site's own training.
 *
 * A step draws a Poisson sample of the rows, sums their clipped gradients on the grid (private_sum.h), adds noise to the
 * integers, and only then computes in float64, all of it post-processing of what is public by then:
 *
 *     gradient   = sum · (1 / (scale · sampling_rate · examples)) + l2 · coef         (no l2 on the intercept)
 *     velocity   = momentum · velocity + gradient
 *     parameters = parameters - learning_rate · velocity
 *
 * `examples` is the constant that the site declared, not its rows: neither the divisor nor the number of steps depends on the
 * data. An empty sample is a step like any other: its sum is all noise. Who is sampled and what is added come from the caller
 * (crypto/noise.h in the programs), since this room draws no randomness that protects anybody.
 *
 * private_step_advance is the update of distributed training too, at the orchestrator and at every site: float64 without
 * contraction, in one order, so that all who know the sum have the same model, bit for bit. */
#pragma once

#include "learning/private_sum.h"
#include "learning/training.h"

#define PRIVATE_STEP_MAX_STEPS 1000000

/* What a step computes with, beside the sum. */
struct private_step {
    double learning_rate; /* > 0, finite */
    double momentum;      /* 0 <= momentum < 1 */
    double l2;            /* >= 0, finite */
    double sampling_rate; /* above 0, at most 1 */
    double scale;         /* steps of the grid in one unit (struct noise_grid), > 0 */
    uint64_t examples;    /* declared, of all whose gradients are in the sum; at least 1 */
};

/* ERROR_INVALID names the value that is outside its range. */
MUST_USE struct error *private_step_check(const struct private_step *step);

/* One step from a noisy sum [k·d + k]; velocity and parameters [k·d + k] in place. */
void private_step_advance(const struct private_step *step, size_t features, size_t classes,
                          const int64_t *sum, double *velocity, double *parameters);

/* How many of the last of `steps` models are averaged into the result: the share average_tail of them, 0 to 1, rounded to
 * the nearest number, at least 1 (the last model alone). steps >= 1. */
uint32_t private_step_tail(uint32_t steps, double average_tail);

/* Takes the `nth` model (from 1) into the running mean: average + (model - average) · (1 / nth). The first one begins it. */
void private_step_average(const double *parameters, size_t count, uint32_t nth, double *average);

/* ---- a site's own training ---- */

/* Where protecting randomness comes from. */
struct private_source {
    /* Which of `rows` positions take part: each by itself with probability `rate`; ascending, room for `rows`. */
    struct error *(*sample)(void *context, double rate, size_t rows, uint32_t *ret_chosen, size_t *ret_count);
    /* Adds independent noise to every value, modulo 2^64. */
    struct error *(*add_noise)(void *context, int64_t *values, size_t count);
    void *context;
};

struct private_sgd_options {
    struct private_step step; /* step.scale is that of sum: bound / clip */
    struct private_sum_options sum;
    uint32_t steps;      /* 1 to PRIVATE_STEP_MAX_STEPS */
    double average_tail; /* share of the steps, 0 to 1 */
};

/* Trains from `initial`, from velocity 0, on samples of the problem's selection, which may be empty, and writes the result, all of it noisy, to
 * ret_parameters (may be the same array). The problem's l2 is not read; step.l2 is. The callback is asked before every step
 * and told no loss (0): a loss would be exact. When it stops the training, or when sampling or noise fails, nothing is
 * given: ERROR_INTERRUPTED, or their error. ret_result->end is TRAINING_COMPLETE, its loss 0.
 * ERROR_NUMERIC when training diverges. Outputs are untouched on failure. */
MUST_USE struct error *private_sgd_train(const struct softmax_problem *problem,
                                         const struct private_sgd_options *options,
                                         const struct private_source *source,
                                         const struct training_progress *progress, const double *initial,
                                         double *ret_parameters, struct training_result *ret_result);

/* One contribution to a step of distributed training: the sum over a Poisson sample of the problem's selection with the noise
 * that `source` adds, [k·d + k]. */
MUST_USE struct error *private_step_contribution(const struct softmax_problem *problem,
                                                 const struct private_sum_options *options,
                                                 double sampling_rate, const struct private_source *source,
                                                 const double *parameters, int64_t *ret_sum);
