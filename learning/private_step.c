#include "learning/private_step.h"

#include <math.h>

#include "learning/private_kernel.h"

struct error *private_step_check(const struct private_step *step)
{
    struct error *err = NULL;
    if (!isfinite(step->learning_rate) || step->learning_rate <= 0.0)
        FAIL(ERROR_INVALID, "learning_rate has to be a finite number above 0.");
    if (!(step->momentum >= 0.0 && step->momentum < 1.0))
        FAIL(ERROR_INVALID, "momentum has to be at least 0 and below 1.");
    if (!isfinite(step->l2) || step->l2 < 0.0)
        FAIL(ERROR_INVALID, "l2 has to be a finite number that is not negative.");
    if (!(step->sampling_rate > 0.0 && step->sampling_rate <= 1.0))
        FAIL(ERROR_INVALID, "sampling_rate has to be above 0 and at most 1.");
    if (!isfinite(step->scale) || step->scale <= 0.0)
        FAIL(ERROR_INVALID, "The grid of a private sum has a finite scale above 0.");
    if (step->examples == 0)
        FAIL(ERROR_INVALID, "A private job declares at least one example.");
done:
    return err;
}

void private_step_advance(const struct private_step *step, size_t features, size_t classes,
                          const int64_t *sum, double *velocity, double *parameters)
{
    size_t coefficients = classes * features;
    const struct private_kernel *kernel = private_kernel_best();
    struct private_advance advance = {
        .unit = 1.0 / (step->scale * step->sampling_rate * (double)step->examples),
        .l2 = step->l2,
        .momentum = step->momentum,
        .rate = step->learning_rate,
    };
    kernel->advance(&advance, coefficients, sum, velocity, parameters);
    advance.l2 = 0.0;
    kernel->advance(&advance, classes, sum + coefficients, velocity + coefficients,
                    parameters + coefficients);
}

uint32_t private_step_tail(uint32_t steps, double average_tail)
{
    double tail = floor(average_tail * (double)steps + 0.5);
    if (!(tail >= 1.0))
        return 1;
    return tail >= (double)steps ? steps : (uint32_t)tail;
}

void private_step_average(const double *parameters, size_t count, uint32_t nth, double *average)
{
    double share = 1.0 / (double)nth;
    if (nth == 1) {
        memcpy(average, parameters, count * sizeof(*average));
        return;
    }
    for (size_t i = 0; i < count; i++)
        average[i] += (parameters[i] - average[i]) * share;
}

/* ---- a site's own training ---- */

/* What steps share: the rows, and memory for their sums. */
struct private_rows {
    const struct matrix_view *view;
    const struct private_source *source;
    struct private_sum *sum;
    uint32_t *chosen; /* [rows of the selection] */
    int64_t *values;  /* [parameters] */
    size_t count;     /* parameters */
};

static struct error *rows_open(const struct softmax_problem *problem,
                               const struct private_sum_options *options, const struct private_source *source,
                               struct private_rows *ret_rows)
{
    struct error *err = NULL;
    struct matrix_view all = problem->rows; /* no row may be selected: every sample is then empty */
    all.index = NULL;
    TRY(matrix_check(&all));
    ret_rows->view = &problem->rows;
    ret_rows->source = source;
    TRY(private_sum_new(problem, options, &ret_rows->sum));
    ret_rows->count = softmax_parameters(problem->rows.features, problem->classes);
    ret_rows->chosen = calloc(matrix_count(&problem->rows) + 1, sizeof(*ret_rows->chosen));
    ret_rows->values = calloc(ret_rows->count, sizeof(*ret_rows->values));
    if (ret_rows->chosen == NULL || ret_rows->values == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to sample from these rows.");
done:
    return err;
}

static void rows_close(struct private_rows *rows)
{
    private_sum_free(rows->sum);
    if (rows->chosen != NULL)
        explicit_bzero(rows->chosen, matrix_count(rows->view) * sizeof(*rows->chosen));
    free(rows->chosen);
    if (rows->values != NULL)
        explicit_bzero(rows->values, rows->count * sizeof(*rows->values));
    free(rows->values);
}

/* The noisy sum of one sample, in rows->values. */
static struct error *rows_noisy_sum(struct private_rows *rows, double sampling_rate, const double *parameters)
{
    struct error *err = NULL;
    size_t available = matrix_count(rows->view);
    size_t count = 0;
    TRY(rows->source->sample(rows->source->context, sampling_rate, available, rows->chosen, &count));
    if (count > available)
        FAIL(ERROR_INTERNAL, "A sample has more rows than there are.");
    for (size_t i = 0; i < count; i++) {
        if (rows->chosen[i] >= available)
            FAIL(ERROR_INTERNAL, "A sample names a row that does not exist.");
        rows->chosen[i] = (uint32_t)matrix_row_number(rows->view, rows->chosen[i]);
    }
    TRY(private_sum_gradient(rows->sum, parameters, rows->chosen, count, rows->values));
    TRY(rows->source->add_noise(rows->source->context, rows->values, rows->count));
done:
    return err;
}

static struct error *sgd_check(const struct private_sgd_options *options)
{
    struct error *err = NULL;
    TRY(private_step_check(&options->step));
    if (options->steps == 0 || options->steps > PRIVATE_STEP_MAX_STEPS)
        FAIL(ERROR_INVALID, "steps has to be between 1 and %d.", PRIVATE_STEP_MAX_STEPS);
    if (!(options->average_tail >= 0.0 && options->average_tail <= 1.0))
        FAIL(ERROR_INVALID, "average_tail has to be between 0 and 1.");
done:
    return err;
}

/* All steps; the mean of the last models in `average`. */
static struct error *sgd_steps(struct private_rows *rows, const struct softmax_problem *problem,
                               const struct private_sgd_options *options,
                               const struct training_progress *progress, double *velocity, double *model,
                               double *average)
{
    struct error *err = NULL;
    uint32_t before = options->steps - private_step_tail(options->steps, options->average_tail);
    for (uint32_t step = 0; step < options->steps; step++) {
        if (!training_keep_going(progress, step, options->steps, 0.0))
            FAIL(ERROR_INTERRUPTED,
                 "Private training was stopped before its last step; it gives no model then.");
        TRY(rows_noisy_sum(rows, options->step.sampling_rate, model));
        private_step_advance(&options->step, problem->rows.features, problem->classes, rows->values, velocity,
                             model);
        if (step >= before)
            private_step_average(model, rows->count, step - before + 1, average);
    }
    TRY(softmax_check_parameters(average, rows->count));
done:
    if (err != NULL && err->code == ERROR_NUMERIC)
        err = error_prefix(err, "Training diverged; a smaller learning_rate or momentum would do");
    return err;
}

struct error *private_sgd_train(const struct softmax_problem *problem,
                                const struct private_sgd_options *options,
                                const struct private_source *source, const struct training_progress *progress,
                                const double *initial, double *ret_parameters,
                                struct training_result *ret_result)
{
    struct error *err = NULL;
    struct private_rows rows = {.count = 0};
    double *work = NULL; /* velocity, model and mean of models, one after the other */
    TRY(sgd_check(options));
    TRY(rows_open(problem, &options->sum, source, &rows));
    TRY(softmax_check_parameters(initial, rows.count));
    work = calloc(3 * rows.count, sizeof(*work));
    if (work == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for %zu parameters.", rows.count);
    double *model = work + rows.count;
    double *average = model + rows.count;
    memcpy(model, initial, rows.count * sizeof(*model));
    TRY(sgd_steps(&rows, problem, options, progress, work, model, average));
    memcpy(ret_parameters, average, rows.count * sizeof(*average));
    *ret_result = (struct training_result){.end = TRAINING_COMPLETE, .steps = options->steps, .loss = 0.0};
done:
    free(work);
    rows_close(&rows);
    return err;
}

struct error *private_step_contribution(const struct softmax_problem *problem,
                                        const struct private_sum_options *options, double sampling_rate,
                                        const struct private_source *source, const double *parameters,
                                        int64_t *ret_sum)
{
    struct error *err = NULL;
    struct private_rows rows = {.count = 0};
    if (!(sampling_rate > 0.0 && sampling_rate <= 1.0))
        FAIL(ERROR_INVALID, "sampling_rate has to be above 0 and at most 1.");
    TRY(rows_open(problem, options, source, &rows));
    TRY(rows_noisy_sum(&rows, sampling_rate, parameters));
    memcpy(ret_sum, rows.values, rows.count * sizeof(*ret_sum));
done:
    rows_close(&rows);
    return err;
}
