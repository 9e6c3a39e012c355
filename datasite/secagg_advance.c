#include "datasite/secagg_advance.h"

#include "crypto/privacy_plan.h"
#include "datasite/model_shape.h"
#include "learning/private_step.h"

/* A word of the ring is a number in two's complement. */
static struct error *advance_gradient(const struct job *job, const struct dataset_info *dataset,
                                      const struct secagg_vector *vector, const uint64_t *words,
                                      double *state)
{
    struct error *err = NULL;
    size_t features = 0;
    struct private_step step = {
        .learning_rate = job->learning_rate,
        .momentum = job->momentum,
        .l2 = job->l2,
        .sampling_rate = job->privacy.sampling_rate,
        .scale = vector->noised.grid.scale,
        .examples = private_vector_examples(job),
    };
    TRY(model_shape_features(job, dataset, &features));
    TRY(private_step_check(&step));
    private_step_advance(&step, features, dataset->classes, (const int64_t *)words,
                         state + vector->parameters, state);
done:
    return err;
}

static struct error *advance_private(const struct job *job, const struct dataset_info *dataset,
                                     const struct secagg_vector *vector, const uint64_t *words, double *state)
{
    if (job->privacy.mechanism == JOB_SITE_LEVEL)
        private_vector_add(&vector->noised, private_vector_weights(job), words, state);
    else if (job->model == JOB_FEATURE_STATISTICS)
        private_vector_add(&vector->noised, privacy_plan_divisor(job, 0), words, state);
    else
        return advance_gradient(job, dataset, vector, words, state);
    return NULL;
}

struct error *secagg_advance(const struct job *job, const struct dataset_info *dataset,
                             const struct secagg_vector *vector, size_t contributors, const uint64_t *words,
                             double *state)
{
    struct error *err = NULL;
    if (job_private(job))
        err = advance_private(job, dataset, vector, words, state);
    else
        err = fixed_point_advance(&vector->plan, contributors, words, vector->parameters, state);
    if (err == NULL)
        err = softmax_check_parameters(state, vector->parameters);
    if (err != NULL && err->code == ERROR_NUMERIC) { /* of a sum that many know: nothing to hide */
        error_free(err);
        err = error_new(ERROR_INVALID, "It gives a model that is not finite.");
    }
    return err;
}
