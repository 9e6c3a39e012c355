/* A site's part of a round: trains the model that came in with the optimiser that the job names. What a site does on
 * private rows, and what a trial on mock data does, is this one function. */
#pragma once

#include "learning/private_step.h"
#include "learning/softmax.h"
#include "learning/training.h"

enum local_optimizer { LOCAL_LBFGS, LOCAL_SGD, LOCAL_PRIVATE_SGD };

/* As the job says; keys of the other optimiser are not read. */
struct local_training {
    enum local_optimizer optimizer;
    uint32_t local_iterations;      /* lbfgs */
    double learning_rate, momentum; /* sgd, as the rest */
    uint32_t batch_size;            /* more than SGD_MAX_BATCH counts as that */
    uint32_t local_epochs;
    uint64_t seed;
    uint32_t round;

    struct private_sgd_options
        private_sgd; /* private sgd, and nothing above: its randomness is no job's seed */
    struct private_source source;
};

/* As sgd_train, lbfgs_solver_train and private_sgd_train. */
MUST_USE struct error *local_training_run(const struct softmax_problem *problem,
                                          const struct local_training *training,
                                          const struct training_progress *progress, const double *initial,
                                          double *ret_parameters, struct training_result *ret_result);
