#include "learning/local_training.h"

#include "learning/lbfgs_solver.h"
#include "learning/sgd.h"

static struct error *local_lbfgs(const struct softmax_problem *problem, const struct local_training *training,
                                 const struct training_progress *progress, const double *initial,
                                 double *ret_parameters, struct training_result *ret_result)
{
    struct lbfgs_solver_options options = {.local_iterations = training->local_iterations};
    return lbfgs_solver_train(problem, &options, progress, initial, ret_parameters, ret_result);
}

static struct error *local_sgd(const struct softmax_problem *problem, const struct local_training *training,
                               const struct training_progress *progress, const double *initial,
                               double *ret_parameters, struct training_result *ret_result)
{
    struct sgd_options options = {
        .learning_rate = training->learning_rate,
        .momentum = training->momentum,
        .batch_size = training->batch_size > SGD_MAX_BATCH ? SGD_MAX_BATCH : training->batch_size,
        .local_epochs = training->local_epochs,
        .seed = training->seed,
        .round = training->round,
    };
    return sgd_train(problem, &options, progress, initial, ret_parameters, ret_result);
}

struct error *local_training_run(const struct softmax_problem *problem, const struct local_training *training,
                                 const struct training_progress *progress, const double *initial,
                                 double *ret_parameters, struct training_result *ret_result)
{
    switch (training->optimizer) {
    case LOCAL_LBFGS:
        return local_lbfgs(problem, training, progress, initial, ret_parameters, ret_result);
    case LOCAL_SGD:
        return local_sgd(problem, training, progress, initial, ret_parameters, ret_result);
    case LOCAL_PRIVATE_SGD:
        return private_sgd_train(problem, &training->private_sgd, &training->source, progress, initial,
                                 ret_parameters, ret_result);
    }
    return error_new(ERROR_INTERNAL, "The job has an unknown optimizer.");
}
