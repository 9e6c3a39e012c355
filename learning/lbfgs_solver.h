/* Softmax regression to (near) its optimum by L-BFGS, through liblbfgs in double precision.
 *
 * Limited-memory BFGS with a Moré-Thuente line search (Nocedal 1980; Liu and Nocedal 1989), started at the
 * parameters that arrive. Deterministic: same bits for the same rows and start, whatever the number of
 * threads. */
#pragma once

#include "learning/softmax.h"
#include "learning/training.h"

#define LBFGS_SOLVER_MAX_ITERATIONS 100000
#define LBFGS_SOLVER_MAX_MEMORY 100

struct lbfgs_solver_options {
    uint32_t local_iterations; /* 1 to LBFGS_SOLVER_MAX_ITERATIONS */
    uint32_t memory; /* pairs of steps remembered, 1 to LBFGS_SOLVER_MAX_MEMORY; 0: 10, as scikit-learn */
    double tolerance; /* converged when ‖gradient‖ <= tolerance · max(1, ‖parameters‖); 0 <= tolerance < 1 */
};

/* Trains from `initial` and writes the best parameters found to ret_parameters (may be the same array).
 * `loss`, to the callback and in the result, is the objective of softmax.h; the callback is asked after every
 * iteration. A line search that finds nothing better is no failure: the best point so far is returned with
 * TRAINING_STALLED, and its objective is never above that of `initial`. ERROR_NUMERIC when the objective at
 * `initial` is not finite. */
MUST_USE struct error *lbfgs_solver_train(const struct softmax_problem *problem,
                                          const struct lbfgs_solver_options *options,
                                          const struct training_progress *progress, const double *initial,
                                          double *ret_parameters, struct training_result *ret_result);
