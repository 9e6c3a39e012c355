/* Steps that are answered in clear: an update of the model that came in, and counts of one. */
#include "datasite/trainer_parts.h"

#include "datasite/budget.h"
#include "learning/metrics.h"
#include "learning/moments.h"
#include "schemas/clock.h"

#include <inttypes.h>

/* Right answers on the training rows and counts on the test rows, of the site's own model. */
static struct error *work_measure(struct work *work, const struct softmax_problem *training,
                                  const double *parameters, uint64_t *ret_counts, uint64_t *ret_train_correct)
{
    struct error *err = NULL;
    struct softmax_problem test = work_problem(work, true);
    TRY(softmax_confusion(training, parameters, ret_counts));
    *ret_train_correct = metrics_correct(ret_counts, training->classes);
    TRY(softmax_confusion(&test, parameters, ret_counts));
done:
    return err;
}

struct error *work_begin(struct work *work)
{
    struct error *err = NULL;
    struct run_record run;
    TRY(budget_run_begin(work->trainer->store, work->trainer->identity, &work->step->approval,
                         work->step->run_id, work->trainer->clock() / 1000, &run));
    if (work->step->round <= run.last_round)
        FAIL(ERROR_REFUSED, "Round %" PRIu32 " of this run is over: its last round here was %" PRIu32 ".",
             work->step->round, run.last_round);
done:
    return err;
}

/* The model of the job, from these rows. */
static struct error *work_fit(struct work *work, const struct softmax_problem *problem,
                              double *ret_parameters, struct training_result *ret_result)
{
    switch (work->step->approval.job->model) {
    case JOB_SOFTMAX_REGRESSION:
        return work_optimise(work, problem, work->step->parameters, ret_parameters, ret_result);
    case JOB_FEATURE_STATISTICS:
        *ret_result = (struct training_result){.end = TRAINING_COMPLETE};
        return moments_mean(&problem->rows, ret_parameters);
    }
    return error_new(ERROR_INTERNAL, "The job has an unknown model.");
}

struct error *work_train(struct work *work, struct trainer_answer *ret_answer)
{
    struct error *err = NULL;
    struct softmax_problem problem = work_problem(work, false);
    bool metrics = work->step->approval.job->metrics == JOB_METRICS_PER_SITE;
    double *parameters = calloc(work->step->count, sizeof(*parameters));
    uint64_t *counts = calloc(problem.classes * problem.classes, sizeof(*counts));
    struct release_update update = {
        .parameters = parameters, .from = work->step->parameters, .count = work->step->count};
    struct release_outcome outcome = {.body = NULL};
    if (parameters == NULL || counts == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to train.");
    TRY(work_begin(work));
    int64_t start = clock_monotonic_ms();
    struct training_result result;
    work->rows_read = true;
    TRY(work_fit(work, &problem, parameters, &result));
    TRY(work_watch(work, 1.0));
    update.seconds = (double)(clock_monotonic_ms() - start) / 1000.0;
    update.train_rows = work->trainer->train_rows;
    update.test_rows = work->trainer->test_rows;
    update.stopped = training_end_word(result.end);
    if (metrics) {
        TRY(work_measure(work, &problem, parameters, counts, &update.train_correct));
        update.confusion = counts;
        TRY(work_watch(work, 1.0));
    }
    struct release_context context = work_release_context(work);
    TRY(release_update(&context, &update, &outcome));
    TRY(work_hand_out(work, &outcome, ret_answer));
done:
    free(parameters);
    free(counts);
    return err;
}

struct error *work_join(struct work *work)
{
    struct error *err = NULL;
    struct release_context context = work_release_context(work);
    TRY(release_foresee(&context, ANSWER_EVALUATION));
    TRY(budget_begin(work->trainer->store, work->trainer->identity, &work->step->approval, work->step->run_id,
                     work->step->round, BUDGET_EVALUATION, context.now));
done:
    return err;
}

struct error *work_evaluate(struct work *work, struct trainer_answer *ret_answer)
{
    struct error *err = NULL;
    struct softmax_problem problem = work_problem(work, true);
    uint64_t *counts = calloc(problem.classes * problem.classes, sizeof(*counts));
    if (counts == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to evaluate.");
    TRY(work_join(work));
    work->rows_read = true;
    TRY(softmax_confusion(&problem, work->step->parameters, counts));
    TRY(work_watch(work, 1.0));
    struct release_context context = work_release_context(work);
    struct release_outcome outcome;
    TRY(release_evaluation(&context, counts, &outcome));
    TRY(work_hand_out(work, &outcome, ret_answer));
done:
    free(counts);
    return err;
}
