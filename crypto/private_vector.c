#include "crypto/private_vector.h"

#include "crypto/privacy_plan.h"

#include <math.h>

uint64_t private_vector_examples(const struct job *job)
{
    uint64_t examples = 0; /* 1000 sites of 2^40 */
    for (size_t i = 0; i < job->site_count; i++)
        examples += job->sites[i].examples;
    return examples;
}

double private_vector_weights(const struct job *job)
{
    double weights = 0;
    for (size_t i = 0; i < job->site_count; i++)
        weights += privacy_plan_weight(job, i);
    return weights;
}

static struct error *vector_room(double contributions, const struct noise_grid *grid, const char *remedy)
{
    if (contributions * (double)grid->bound > PRIVATE_VECTOR_ROOM)
        return error_new(ERROR_INVALID,
                         "%.0f contributions, up to %llu steps of the grid each, could leave "
                         "the 64 bits of a word; a larger %s, or fewer declared examples, would do.",
                         contributions, (unsigned long long)grid->bound, remedy);
    return NULL;
}

static struct error *vector_plan_counts(const struct job *job, uint32_t classes, uint32_t round,
                                        struct private_vector *vector)
{
    struct error *err = NULL;
    bool due = round > job->rounds || job->privacy.metrics_rounds == JOB_METRICS_ALL;
    if (job->metrics == JOB_METRICS_NONE || !(job->privacy.metrics_noise > 0) || !due)
        goto done;
    TRY(privacy_plan_counts_grid(job, &vector->counts_grid));
    TRY(vector_room((double)private_vector_examples(job), &vector->counts_grid, "metrics_noise"));
    vector->counts = (size_t)classes * classes;
done:
    return err;
}

struct error *private_vector_plan(const struct job *job, size_t parameters, uint32_t classes, uint32_t round,
                                  struct private_vector *ret_vector)
{
    struct error *err = NULL;
    struct private_vector vector = {.parameters = round <= job->rounds ? parameters : 0};
    if (!job_private(job) || !job->secure.enabled || job->secure.ring != 64)
        FAIL(ERROR_INVALID, "The job adds no noise under secure aggregation with 64 bits.");
    if (!(job->privacy.noise_multiplier > 0))
        FAIL(ERROR_INVALID, "The job has no privacy.noise_multiplier.");
    if (round < 1)
        FAIL(ERROR_INVALID, "Rounds count from 1.");
    TRY(privacy_plan_grid(job, &vector.grid));
    bool site_level = job->privacy.mechanism == JOB_SITE_LEVEL;
    TRY(vector_room(site_level ? (double)job->site_count : (double)private_vector_examples(job), &vector.grid,
                    "noise_multiplier"));
    TRY(vector_plan_counts(job, classes, round, &vector));
    vector.words = vector.parameters + vector.counts;
    if (vector.words == 0)
        FAIL(ERROR_INVALID, "Nothing of this job leaves in round %u.", (unsigned)round);
    *ret_vector = vector;
done:
    return err;
}

void private_vector_counts(const struct private_vector *vector, const uint64_t *counts, int64_t *ret_values)
{
    for (size_t i = 0; i < vector->counts; i++)
        ret_values[i] = (int64_t)(counts[i] * vector->counts_grid.bound);
}

void private_vector_decode_counts(const struct private_vector *vector, const uint64_t *words,
                                  double *ret_counts)
{
    for (size_t i = 0; i < vector->counts; i++)
        ret_counts[i] = (double)(int64_t)words[i] / vector->counts_grid.scale;
}

double private_vector_counts_deviation(const struct private_vector *vector, size_t contributors)
{
    return noise_sigma(vector->counts_grid.level) * sqrt((double)contributors) / vector->counts_grid.scale;
}

void private_vector_add(const struct private_vector *vector, double divisor, const uint64_t *words,
                        double *model)
{
    double unit = vector->grid.scale * divisor;
    for (size_t p = 0; p < vector->parameters; p++)
        model[p] += (double)(int64_t)words[p] / unit;
}
