#include "datasite/secagg_vector.h"

#include "crypto/secret.h"
#include "datasite/model_shape.h"

static struct error *vector_plan_private(const struct job *job, uint32_t classes, uint32_t round,
                                         struct secagg_vector *vector)
{
    struct error *err = NULL;
    vector->plan.ring = MASK_RING_64;
    TRY(private_vector_plan(job, vector->model, classes, round, &vector->noised));
    vector->parameters = vector->noised.parameters;
    vector->counts = vector->noised.counts;
    vector->words = vector->noised.words;
    if (job->privacy.mechanism == JOB_DISTRIBUTED_DP && job->model == JOB_SOFTMAX_REGRESSION)
        vector->state = 2 * vector->model;
done:
    return err;
}

static struct error *vector_plan_scaled(const struct job *job, uint32_t classes, uint32_t round,
                                        struct secagg_vector *vector)
{
    vector->plan =
        (struct fixed_point){.ring = job->secure.ring == MASK_RING_32 ? MASK_RING_32 : MASK_RING_64,
                             .clip = job->secure.clip,
                             .max_examples = job->secure.max_examples,
                             .sites = job->site_count,
                             .weighted = job->weighting == JOB_WEIGHT_EXAMPLES};
    vector->parameters = round <= job->rounds ? vector->model : 0;
    vector->counts = job->metrics == JOB_METRICS_POOLED ? (size_t)classes * classes : 0;
    vector->words = 1 + vector->parameters + vector->counts;
    return fixed_point_plan(&vector->plan);
}

struct error *secagg_vector_plan(const struct job *job, const struct dataset_info *dataset, uint32_t round,
                                 struct secagg_vector *ret_vector)
{
    struct error *err = NULL;
    struct secagg_vector vector = {.model = 0};
    TRY(model_shape_count(job, dataset, &vector.model));
    vector.state = vector.model;
    if (job_private(job))
        TRY(vector_plan_private(job, dataset->classes, round, &vector));
    else
        TRY(vector_plan_scaled(job, dataset->classes, round, &vector));
    *ret_vector = vector;
done:
    return err;
}

struct error *secagg_vector_encode(const struct secagg_vector *vector, const double *from, const double *to,
                                   const uint64_t *confusion, uint64_t examples, uint64_t *ret_words)
{
    struct error *err = NULL;
    if (vector->parameters > 0)
        TRY(fixed_point_encode(&vector->plan, from, to, vector->parameters, examples, ret_words));
    else
        ret_words[0] = 1; /* a contributor: the evaluation weights nothing */
    if (vector->counts > 0)
        TRY(fixed_point_counts(&vector->plan, confusion, vector->counts, ret_words + 1 + vector->parameters));
done:
    if (err != NULL)
        secret_wipe(ret_words, vector->words * sizeof(*ret_words));
    return err;
}
