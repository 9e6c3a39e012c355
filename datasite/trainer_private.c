/* Steps of jobs with a mechanism of privacy, in clear. The round is begun in the ledger before anything is computed of a row,
 * and stays spent whatever becomes of it. How many steps there are, and what they are divided by, is what the job declares;
 * nothing that depends on rows decides whether there is an answer. */
#include "datasite/trainer_parts.h"

#include "crypto/privacy_plan.h"
#include "crypto/secret.h"
#include "datasite/budget.h"
#include "datasite/declared.h"
#include "datasite/mechanism.h"
#include "learning/moments.h"
#include "learning/private_counts.h"
#include "learning/private_step.h"

/* One step in hand. */
struct privately {
    struct work *work;
    const struct job *job;
    size_t site; /* this site's entry in the job */
    struct softmax_problem problem;
    struct mechanism *mechanism; /* NULL with site-level */
    double *parameters;          /* [work->step->count] */
};

static struct error *private_begin(struct work *work, enum budget_use use)
{
    const struct step *step = work->step;
    return budget_begin(work->trainer->store, work->trainer->identity, &step->approval, step->run_id,
                        step->round, use, work->trainer->clock() / 1000);
}

/* ---- dp-sgd ---- */

static struct error *private_sgd(struct privately *privately)
{
    const struct job *job = privately->job;
    const struct noise_grid *grid = mechanism_grid(privately->mechanism);
    struct training_progress progress = {work_keep_going, privately->work};
    struct private_source source = mechanism_source(privately->mechanism);
    struct training_result result;
    struct private_sgd_options options = {
        .step = {.learning_rate = job->learning_rate,
                 .momentum = job->momentum,
                 .l2 = job->l2,
                 .sampling_rate = job->privacy.sampling_rate,
                 .scale = grid->scale,
                 .examples = declared_training_rows(job, privately->site)},
        .sum = {.clip = grid->clip, .bound = grid->bound},
        .steps = job->privacy.steps,
        .average_tail = job->average_tail,
    };
    return private_sgd_train(&privately->problem, &options, &source, &progress,
                             privately->work->step->parameters, privately->parameters, &result);
}

/* Row numbers of a Poisson sample; *ret_chosen is malloc'ed. */
static struct error *private_sample(const struct privately *privately, uint32_t **ret_chosen,
                                    size_t *ret_count)
{
    struct error *err = NULL;
    const struct matrix_view *view = &privately->problem.rows;
    struct private_source source = mechanism_source(privately->mechanism);
    size_t rows = matrix_count(view), count = 0;
    uint32_t *chosen = calloc(rows + 1, sizeof(*chosen));
    if (chosen == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to sample from these rows.");
    TRY(source.sample(source.context, privately->job->privacy.sampling_rate, rows, chosen, &count));
    for (size_t i = 0; i < count; i++)
        chosen[i] = (uint32_t)matrix_row_number(view, chosen[i]);
    *ret_chosen = chosen;
    *ret_count = count;
    chosen = NULL;
done:
    free(chosen);
    return err;
}

/* Mean and mean square, from one noisy sum. */
static struct error *private_statistics(struct privately *privately)
{
    struct error *err = NULL;
    const struct noise_grid *grid = mechanism_grid(privately->mechanism);
    struct private_source source = mechanism_source(privately->mechanism);
    size_t values = privately->work->step->count, count = 0;
    uint32_t *chosen = NULL;
    int64_t *steps = calloc(values + 1, sizeof(*steps));
    if (steps == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for statistics.");
    TRY(private_sample(privately, &chosen, &count));
    TRY(moments_private_sum(&privately->problem.rows, chosen, count, grid->clip, grid->bound, steps));
    TRY(source.add_noise(source.context, steps, values));
    double divisor = grid->scale * privacy_plan_divisor(privately->job, privately->site);
    for (size_t i = 0; i < values; i++)
        privately->parameters[i] = (double)steps[i] / divisor;
done:
    if (chosen != NULL)
        secret_wipe(chosen, matrix_count(&privately->problem.rows) * sizeof(*chosen));
    free(chosen);
    if (steps != NULL)
        secret_wipe(steps, values * sizeof(*steps));
    free(steps);
    return err;
}

static struct error *private_record_level(struct privately *privately)
{
    struct error *err = NULL;
    TRY(mechanism_open(privately->job, &privately->mechanism));
    switch (privately->job->model) {
    case JOB_SOFTMAX_REGRESSION:
        TRY(private_sgd(privately));
        break;
    case JOB_FEATURE_STATISTICS:
        TRY(private_statistics(privately));
        break;
    }
done:
    return err;
}

/* ---- site-level ---- */

/* The site's own model, which the airlock clips and adds noise to. Rows that no model can be trained on change nothing, which
 * is a contribution like any other: a refusal would tell. */
static struct error *private_site_level(struct privately *privately)
{
    const struct step *step = privately->work->step;
    struct training_result result;
    struct error *err =
        work_optimise(privately->work, &privately->problem, step->parameters, privately->parameters, &result);
    if (err == NULL || err->code == ERROR_MEMORY)
        return err;
    error_free(err);
    memcpy(privately->parameters, step->parameters, step->count * sizeof(*privately->parameters));
    return NULL;
}

/* ---- the steps ---- */

static struct error *private_compute(struct privately *privately)
{
    switch (privately->job->privacy.mechanism) {
    case JOB_DP_SGD:
        return private_record_level(privately);
    case JOB_SITE_LEVEL:
        return private_site_level(privately);
    case JOB_DISTRIBUTED_DP:
    case JOB_NO_PRIVACY:
        break;
    }
    return error_new(ERROR_INTERNAL, "This mechanism of privacy has no step in clear.");
}

static struct error *private_release(struct privately *privately, struct trainer_answer *ret_answer)
{
    struct error *err = NULL;
    struct work *work = privately->work;
    struct release_context context = work_release_context(work);
    struct release_outcome outcome = {.body = NULL};
    struct release_private update = {
        .parameters = privately->parameters,
        .record = privately->mechanism == NULL ? NULL : mechanism_record(privately->mechanism),
        .from = work->step->parameters,
        .count = work->step->count,
    };
    TRY(release_private_update(&context, &update, &outcome));
    TRY(work_hand_out(work, &outcome, ret_answer));
done:
    return err;
}

struct error *work_train_private(struct work *work, struct trainer_answer *ret_answer)
{
    struct error *err = NULL;
    struct privately privately = {
        .work = work, .job = work->step->approval.job, .problem = work_problem(work, false)};
    size_t bytes = (work->step->count + 1) * sizeof(double);
    privately.parameters = calloc(1, bytes);
    if (privately.parameters == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to train.");
    TRY(declared_site(privately.job, identity_id(work->trainer->identity), &privately.site));
    TRY(work_begin(work));
    TRY(private_begin(work, BUDGET_TRAINING));
    work->rows_read = true;
    TRY(private_compute(&privately));
    TRY(work_watch(work, 1.0));
    TRY(private_release(&privately, ret_answer));
done:
    mechanism_close(privately.mechanism);
    if (privately.parameters != NULL)
        secret_wipe(privately.parameters, bytes);
    free(privately.parameters);
    return err;
}

struct error *work_evaluate_private(struct work *work, struct trainer_answer *ret_answer)
{
    struct error *err = NULL;
    struct softmax_problem problem = work_problem(work, true);
    size_t bytes = problem.classes * problem.classes * sizeof(uint64_t);
    uint64_t *counts = calloc(1, bytes);
    if (counts == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to evaluate.");
    TRY(work_join(work));
    TRY(private_begin(work, BUDGET_EVALUATION));
    work->rows_read = true;
    TRY(private_counts(&problem, work->step->parameters, counts));
    TRY(work_watch(work, 1.0));
    struct release_context context = work_release_context(work);
    struct release_outcome outcome = {.body = NULL};
    TRY(release_private_evaluation(&context, counts, &outcome));
    TRY(work_hand_out(work, &outcome, ret_answer));
done:
    if (counts != NULL)
        secret_wipe(counts, bytes);
    free(counts);
    return err;
}
