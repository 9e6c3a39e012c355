#include "datasite/secagg_vector.h"

#include "crypto/secret.h"
#include "learning/softmax.h"

struct error *secagg_vector_plan(const struct job *job, uint64_t features, uint32_t classes, uint32_t round,
                                 struct secagg_vector *ret_vector)
{
    struct error *err = NULL;
    struct secagg_vector vector = {
        .plan = {.ring = job->secure.ring == MASK_RING_32 ? MASK_RING_32 : MASK_RING_64,
                 .clip = job->secure.clip,
                 .max_examples = job->secure.max_examples,
                 .sites = job->site_count,
                 .weighted = job->weighting == JOB_WEIGHT_EXAMPLES},
        .counts = job->metrics == JOB_METRICS_POOLED ? (size_t)classes * classes : 0,
    };
    TRY(softmax_check_shape((size_t)features, classes));
    if (round <= job->rounds)
        vector.parameters = softmax_parameters((size_t)features, classes);
    vector.words = 1 + vector.parameters + vector.counts;
    TRY(fixed_point_plan(&vector.plan));
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
