/* What this site adds to a sum of a private job: integers, before noise. The airlock adds that. */
#include "datasite/trainer_parts.h"

#include "crypto/grid_clip.h"
#include "crypto/privacy_plan.h"
#include "crypto/secret.h"
#include "datasite/declared.h"
#include "learning/moments.h"
#include "learning/private_counts.h"
#include "learning/private_sum.h"

struct error *work_noise(struct work *work, struct noise **ret_noise)
{
    struct error *err = NULL;
    struct trainer *trainer = work->trainer;
    if (trainer->noise == NULL)
        TRY(noise_open(&trainer->noise));
    *ret_noise = trainer->noise;
done:
    return err;
}

/* ---- a sample of the rows ---- */

static struct error *sampled_sum(const struct work *work, const struct softmax_problem *problem,
                                 const struct noise_grid *grid, const double *model, const uint32_t *chosen,
                                 size_t count, int64_t *ret_values)
{
    struct error *err = NULL;
    struct private_sum *sum = NULL;
    struct private_sum_options options = {.clip = grid->clip, .bound = grid->bound};
    if (work->step->approval.job->model == JOB_FEATURE_STATISTICS) {
        err = moments_private_sum(&problem->rows, chosen, count, grid->clip, grid->bound, ret_values);
        goto done;
    }
    TRY(private_sum_new(problem, &options, &sum));
    TRY(private_sum_gradient(sum, model, chosen, count, ret_values));
done:
    private_sum_free(sum);
    return err;
}

/* Poisson's: each row by itself with the job's rate, whatever the seed says. */
static struct error *contribute_sample(struct work *work, const struct secagg_vector *vector,
                                       const double *model, struct contribution *contribution)
{
    struct error *err = NULL;
    struct softmax_problem problem = work_problem(work, false);
    size_t rows = matrix_count(&problem.rows), count = 0;
    struct noise *noise = NULL;
    uint32_t *chosen = calloc(rows + 1, sizeof(*chosen));
    if (chosen == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to sample from the rows.");
    TRY(work_noise(work, &noise));
    TRY(noise_sample(noise, contribution->about.sampling_rate, rows, chosen, &count));
    for (size_t i = 0; i < count; i++)
        chosen[i] = (uint32_t)matrix_row_number(&problem.rows, chosen[i]);
    TRY(sampled_sum(work, &problem, &vector->noised.grid, model, chosen, count, contribution->values));
done:
    if (chosen != NULL)
        secret_wipe(chosen, (rows + 1) * sizeof(*chosen));
    free(chosen);
    return err;
}

/* ---- all of the site ---- */

static struct error *contribute_change(struct work *work, const struct secagg_vector *vector,
                                       const double *model, struct contribution *contribution)
{
    struct error *err = NULL;
    const struct job *job = work->step->approval.job;
    struct softmax_problem problem = work_problem(work, false);
    struct training_result result;
    double *trained = calloc(vector->parameters, sizeof(*trained));
    size_t site = 0;
    if (trained == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to train.");
    TRY(declared_site(job, identity_id(work->trainer->identity), &site));
    err = work_optimise(work, &problem, model, trained, &result);
    if (err != NULL && err->code != ERROR_MEMORY) { /* refusing would tell of the rows: it adds zero */
        error_clear(&err);
        goto done;
    }
    TRY(err);
    for (size_t i = 0; i < vector->parameters; i++)
        trained[i] -= model[i];
    grid_clip_vector(&vector->noised.grid, privacy_plan_weight(job, site), trained, vector->parameters,
                     contribution->values);
done:
    if (trained != NULL)
        secret_wipe(trained, vector->parameters * sizeof(*trained));
    free(trained);
    return err;
}

/* ---- both ---- */

static struct error *contribution_room(const struct secagg_vector *vector, struct contribution *contribution)
{
    contribution->values = calloc(vector->parameters + 1, sizeof(*contribution->values));
    contribution->confusion = calloc(vector->counts + 1, sizeof(*contribution->confusion));
    contribution->parameters = vector->parameters;
    contribution->counts = vector->counts;
    if (contribution->values == NULL || contribution->confusion == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for what this site adds to a sum.");
    return NULL;
}

struct error *work_contribute(struct work *work, const struct secagg_vector *vector, const double *model,
                              struct contribution *contribution)
{
    struct error *err = NULL;
    const struct job *job = work->step->approval.job;
    struct softmax_problem test = work_problem(work, true);
    struct noise *noise = NULL;
    TRY(contribution_room(vector, contribution));
    TRY(work_noise(work, &noise));
    contribution->about = (struct release_contribution){
        .mechanism = job->privacy.mechanism,
        .sampling_rate = job->privacy.mechanism == JOB_SITE_LEVEL ? 1.0 : job->privacy.sampling_rate,
        .grid = vector->noised.grid,
        .counts_grid = vector->noised.counts_grid,
        .values = contribution->values,
        .confusion = contribution->confusion,
        .noise = noise,
    };
    work->rows_read = true;
    if (vector->parameters > 0 && job->privacy.mechanism == JOB_SITE_LEVEL)
        TRY(contribute_change(work, vector, model, contribution));
    else if (vector->parameters > 0)
        TRY(contribute_sample(work, vector, model, contribution));
    if (vector->counts > 0)
        TRY(private_counts(&test, model, contribution->confusion));
    TRY(work_watch(work, 1.0));
done:
    return err;
}

void contribution_clear(struct contribution *contribution)
{
    if (contribution->values != NULL)
        secret_wipe(contribution->values, contribution->parameters * sizeof(*contribution->values));
    if (contribution->confusion != NULL)
        secret_wipe(contribution->confusion, contribution->counts * sizeof(*contribution->confusion));
    free(contribution->values);
    free(contribution->confusion);
}
