#include "orchestrator/local_private.h"

#include "crypto/grid_clip.h"
#include "crypto/noise.h"
#include "crypto/privacy_plan.h"
#include "learning/moments.h"
#include "learning/private_step.h"

struct local_private {
    const struct job *job;
    size_t count;
    struct noise *noise;
    struct noise_grid grid; /* bound 0: the job has no mechanism */
    int64_t *values;        /* [count] of one site */
    int64_t *sum;           /* [count] of the round, modulo 2^64 */
    double *velocity;       /* [count] */
    double *average;        /* [count] */
    uint32_t averaged;      /* models in it */
};

void local_private_close(struct local_private *private)
{
    if (private == NULL)
        return;
    noise_close(private->noise);
    free(private->values);
    free(private->sum);
    free(private->velocity);
    free(private->average);
    free(private);
}

struct error *local_private_open(const struct job *job, size_t count, struct local_private **ret_private)
{
    struct error *err = NULL;
    struct local_private *private = calloc(1, sizeof *private);
    if (private == NULL)
        FAIL(ERROR_MEMORY, "No memory for a trial of a private job.");
    private->job = job;
    private->count = count;
    private->values = calloc(count, sizeof *private->values);
    private->sum = calloc(count, sizeof *private->sum);
    private->velocity = calloc(count, sizeof *private->velocity);
    private->average = calloc(count, sizeof *private->average);
    if (private->values == NULL || private->sum == NULL || private->velocity == NULL ||
        private->average == NULL)
        FAIL(ERROR_MEMORY, "No memory for a trial of a private job.");
    if (job_private(job)) {
        TRY(privacy_plan_grid(job, &private->grid));
        TRY(noise_open(&private->noise));
    }
    *ret_private = private;
    private = NULL;
done:
    local_private_close(private);
    return err;
}

bool local_private_sums(const struct job *job)
{
    return job->privacy.mechanism == JOB_DISTRIBUTED_DP;
}

/* ---- randomness ---- */

static struct error *draw_sample(void *context, double rate, size_t rows, uint32_t *ret_chosen,
                                 size_t *ret_count)
{
    const struct local_private *private = context;
    return noise_sample(private->noise, rate, rows, ret_chosen, ret_count);
}

static struct error *draw_noise(void *context, int64_t *values, size_t count)
{
    const struct local_private *private = context;
    return noise_gaussian(private->noise, private->grid.level, values, count);
}

static struct private_source source_of(struct local_private *private)
{
    return (struct private_source){.sample = draw_sample, .add_noise = draw_noise, .context = private};
}

/* ---- a site's part ---- */

static struct private_step step_of(const struct local_private *private, uint64_t examples)
{
    const struct job *job = private->job;
    return (struct private_step){.learning_rate = job->learning_rate,
                                 .momentum = job->momentum,
                                 .l2 = job->l2,
                                 .sampling_rate = job->privacy.sampling_rate,
                                 .scale = private->grid.scale,
                                 .examples = examples};
}

static struct private_sum_options sum_of(const struct local_private *private)
{
    return (struct private_sum_options){.clip = private->grid.clip, .bound = private->grid.bound};
}

static struct error *train_sgd(struct local_private *private, const struct local_site *site, size_t position,
                               const double *model, const struct training_progress *progress,
                               double *ret_parameters)
{
    const struct job *job = private->job;
    struct softmax_problem problem = local_site_problem(site, false);
    struct private_source source = source_of(private);
    struct training_result result;
    struct private_sgd_options options = {.step = step_of(private, job->sites[position].examples),
                                          .sum = sum_of(private),
                                          .steps = job->privacy.steps,
                                          .average_tail = job->average_tail};
    return private_sgd_train(&problem, &options, &source, progress, model, ret_parameters, &result);
}

static struct error *train_change(struct local_private *private, const struct local_site *site,
                                  size_t position, uint32_t round, const double *model,
                                  const struct training_progress *progress, double *ret_parameters)
{
    struct error *err = NULL;
    struct training_result result;
    double weight = privacy_plan_weight(private->job, position);
    TRY(local_site_train(site, round, model, progress, ret_parameters, &result));
    for (size_t i = 0; i < private->count; i++)
        ret_parameters[i] -= model[i];
    grid_clip_vector(&private->grid, weight, ret_parameters, private->count, private->values);
    TRY(noise_gaussian(private->noise, private->grid.level, private->values, private->count));
    for (size_t i = 0; i < private->count; i++)
        ret_parameters[i] = model[i] + (double)private->values[i] / (private->grid.scale * weight);
done:
    return err;
}

/* The noisy sum of a Poisson sample's moments, into values. */
static struct error *sum_moments(struct local_private *private, const struct local_site *site)
{
    struct error *err = NULL;
    struct matrix_view rows = local_site_problem(site, false).rows;
    uint32_t *chosen = calloc(rows.rows, sizeof *chosen);
    size_t count = 0;
    if (chosen == NULL)
        FAIL(ERROR_MEMORY, "No memory for a sample of rows.");
    TRY(noise_sample(private->noise, private->job->privacy.sampling_rate, matrix_count(&rows), chosen,
                     &count));
    for (size_t i = 0; i < count; i++)
        chosen[i] = rows.index == NULL ? chosen[i] : rows.index[chosen[i]];
    TRY(moments_private_sum(&rows, chosen, count, private->grid.clip, private->grid.bound, private->values));
    TRY(noise_gaussian(private->noise, private->grid.level, private->values, private->count));
done:
    free(chosen);
    return err;
}

static struct error *train_moments(struct local_private *private, const struct local_site *site,
                                   size_t position, double *ret_parameters)
{
    struct error *err = NULL;
    struct matrix_view rows = local_site_problem(site, false).rows;
    if (!job_private(private->job))
        return moments_mean(&rows, ret_parameters);
    TRY(sum_moments(private, site));
    double divisor = private->grid.scale * privacy_plan_divisor(private->job, position);
    for (size_t i = 0; i < private->count; i++)
        ret_parameters[i] = (double)private->values[i] / divisor;
done:
    return err;
}

struct error *local_private_train(struct local_private *private, const struct local_site *site,
                                  size_t position, uint32_t round, const double *model,
                                  const struct training_progress *progress, double *ret_parameters)
{
    if (private->job->model == JOB_FEATURE_STATISTICS)
        return train_moments(private, site, position, ret_parameters);
    if (private->job->privacy.mechanism == JOB_SITE_LEVEL)
        return train_change(private, site, position, round, model, progress, ret_parameters);
    return train_sgd(private, site, position, model, progress, ret_parameters);
}

/* ---- one sum of all ---- */

struct error *local_private_contribute(struct local_private *private, const struct local_site *site,
                                       const double *model)
{
    struct error *err = NULL;
    struct softmax_problem problem = local_site_problem(site, false);
    struct private_sum_options options = sum_of(private);
    struct private_source source = source_of(private);
    if (private->job->model == JOB_FEATURE_STATISTICS)
        TRY(sum_moments(private, site));
    else
        TRY(private_step_contribution(&problem, &options, private->job->privacy.sampling_rate, &source, model,
                                      private->values));
    for (size_t i = 0; i < private->count; i++)
    private->sum[i] = (int64_t)((uint64_t) private->sum[i] + (uint64_t) private->values[i]);
done:
    return err;
}

static uint64_t declared_of_all(const struct job *job)
{
    uint64_t examples = 0;
    for (size_t i = 0; i < job->site_count; i++)
        examples += job->sites[i].examples;
    return examples;
}

static void take_average(struct local_private *private, uint32_t round, const double *model)
{
    uint32_t tail = private_step_tail(private->job->rounds, private->job->average_tail);
    if (round > private->job->rounds - tail)
        private_step_average(model, private->count, ++private->averaged, private->average);
}

struct error *local_private_advance(struct local_private *private, const struct local_site *any,
                                    uint32_t round, double *model)
{
    struct error *err = NULL;
    const struct job *job = private->job;
    struct private_step step = step_of(private, declared_of_all(job));
    if (job->model == JOB_FEATURE_STATISTICS) {
        double divisor = private->grid.scale * privacy_plan_divisor(job, 0);
        for (size_t i = 0; i < private->count; i++)
            model[i] = (double)private->sum[i] / divisor;
    } else {
        size_t classes = local_site_classes(any);
        TRY(private_step_check(&step));
        private_step_advance(&step, private->count / classes - 1, classes, private->sum, private->velocity,
                             model);
        take_average(private, round, model);
    }
    (void)memset(private->sum, 0, private->count * sizeof *private->sum);
done:
    return err;
}

const double *local_private_average(const struct local_private *private)
{
    return private->averaged > 1 ? private->average : NULL;
}

/* ---- counts ---- */

struct error *local_private_count(struct local_private *private, const struct local_site *site,
                                  const double *model, double *ret_counts)
{
    struct error *err = NULL;
    size_t classes = local_site_classes(site), cells = classes * classes;
    struct noise_grid grid;
    uint64_t *counts = calloc(cells, sizeof *counts);
    int64_t *steps = calloc(cells, sizeof *steps);
    if (counts == NULL || steps == NULL)
        FAIL(ERROR_MEMORY, "No memory for a confusion matrix.");
    TRY(privacy_plan_counts_grid(private->job, &grid));
    TRY(local_site_count(site, true, model, counts));
    for (size_t i = 0; i < cells; i++)
        steps[i] = (int64_t)(counts[i] * grid.bound);
    TRY(noise_gaussian(private->noise, grid.level, steps, cells));
    for (size_t i = 0; i < cells; i++)
        ret_counts[i] = (double)steps[i] / (double)grid.bound;
done:
    free(counts);
    free(steps);
    return err;
}
