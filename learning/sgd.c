#include "learning/sgd.h"

#include <math.h>

#include "learning/random.h"
#include "learning/softmax_pass.h"

/* One call of sgd_train. */
struct sgd {
    const struct softmax_problem *problem;
    const struct sgd_options *options;
    const struct training_progress *progress;
    struct softmax_pass *pass;
    float *velocity;
    uint32_t *order;
    size_t rows;
    size_t batch;
    uint32_t done, total; /* batches */
    double epoch_loss;    /* sum over rows since the epoch began */
    size_t epoch_rows;
    size_t unreported_rows;
    bool stopped;
};

void sgd_order(const struct matrix_view *view, uint64_t seed, uint32_t round, uint32_t epoch,
               uint32_t *ret_order)
{
    size_t count = matrix_count(view);
    for (size_t i = 0; i < count; i++)
        ret_order[i] = (uint32_t)matrix_row_number(view, i);
    struct random random = random_stream(seed, RANDOM_BATCH_ORDER, round, epoch);
    random_shuffle(&random, ret_order, count);
}

static struct error *sgd_check(const struct sgd_options *options, size_t rows)
{
    struct error *err = NULL;
    if (!isfinite(options->learning_rate) || options->learning_rate <= 0.0)
        FAIL(ERROR_INVALID, "learning_rate has to be a finite number above 0.");
    if (!(options->momentum >= 0.0 && options->momentum < 1.0))
        FAIL(ERROR_INVALID, "momentum has to be at least 0 and below 1.");
    if (options->batch_size == 0 || options->batch_size > SGD_MAX_BATCH)
        FAIL(ERROR_INVALID, "batch_size has to be between 1 and %d.", SGD_MAX_BATCH);
    if (options->local_epochs == 0 || options->local_epochs > SGD_MAX_EPOCHS)
        FAIL(ERROR_INVALID, "local_epochs has to be between 1 and %d.", SGD_MAX_EPOCHS);
    if ((rows + options->batch_size - 1) / options->batch_size > UINT32_MAX / options->local_epochs)
        FAIL(ERROR_LIMIT,
             "%u epochs over %zu rows are more batches than can be counted; take larger batches.",
             options->local_epochs, rows);
done:
    return err;
}

static struct error *sgd_start(struct sgd *sgd)
{
    struct error *err = NULL;
    sgd->rows = matrix_count(&sgd->problem->rows);
    sgd->batch = sgd->options->batch_size < sgd->rows ? sgd->options->batch_size : sgd->rows;
    sgd->total = (uint32_t)((sgd->rows + sgd->batch - 1) / sgd->batch) * sgd->options->local_epochs;
    TRY(softmax_pass_new(sgd->problem, sgd->batch, &sgd->pass));
    sgd->order = calloc(sgd->rows, sizeof(*sgd->order));
    sgd->velocity = aligned_alloc(KERNEL_ALIGNMENT, sgd->pass->values * sizeof(*sgd->velocity));
    if (sgd->order == NULL || sgd->velocity == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to shuffle %zu rows.", sgd->rows);
    memset(sgd->velocity, 0, sgd->pass->values * sizeof(*sgd->velocity));
done:
    return err;
}

static struct error *sgd_batch(struct sgd *sgd, size_t first)
{
    struct error *err = NULL;
    size_t left = sgd->rows - first;
    size_t count = left < sgd->batch ? left : sgd->batch;
    const struct softmax_descent descent = {sgd->velocity, (float)sgd->options->learning_rate,
                                            (float)sgd->options->momentum};
    softmax_pass_descend(sgd->pass, sgd->order + first, count, left - count, &descent);
    if (!isfinite(sgd->pass->loss))
        FAIL(ERROR_NUMERIC, "Training diverged; a smaller learning_rate or momentum would do.");
    sgd->done++;
    sgd->epoch_loss += sgd->pass->loss;
    sgd->epoch_rows += count;
    sgd->unreported_rows += count;
done:
    return err;
}

static double sgd_loss(const struct sgd *sgd)
{
    return sgd->epoch_loss / (double)sgd->epoch_rows;
}

static struct error *sgd_epoch(struct sgd *sgd, uint32_t epoch)
{
    struct error *err = NULL;
    sgd_order(&sgd->problem->rows, sgd->options->seed, sgd->options->round, epoch, sgd->order);
    sgd->epoch_loss = 0.0;
    sgd->epoch_rows = 0;
    for (size_t first = 0; first < sgd->rows && !sgd->stopped; first += sgd->batch) {
        TRY(sgd_batch(sgd, first));
        if (sgd->unreported_rows < SGD_PROGRESS_ROWS && sgd->epoch_rows < sgd->rows)
            continue;
        sgd->unreported_rows = 0;
        sgd->stopped = !training_keep_going(sgd->progress, sgd->done, sgd->total, sgd_loss(sgd));
    }
done:
    return err;
}

struct error *sgd_train(const struct softmax_problem *problem, const struct sgd_options *options,
                        const struct training_progress *progress, const double *initial,
                        double *ret_parameters, struct training_result *ret_result)
{
    struct error *err = NULL;
    struct sgd sgd = {.problem = problem, .options = options, .progress = progress};
    double *trained = NULL;
    TRY(softmax_check(problem));
    TRY(sgd_check(options, matrix_count(&problem->rows)));
    size_t count = softmax_parameters(problem->rows.features, problem->classes);
    TRY(softmax_check_parameters(initial, count));
    TRY(sgd_start(&sgd));
    trained = calloc(count, sizeof(*trained));
    if (trained == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for %zu parameters.", count);
    softmax_pass_load(sgd.pass, initial);
    for (uint32_t epoch = 0; epoch < options->local_epochs && !sgd.stopped; epoch++)
        TRY(sgd_epoch(&sgd, epoch));
    softmax_pass_store(sgd.pass, trained);
    err = softmax_check_parameters(trained, count);
    if (err != NULL) {
        err = error_prefix(err, "Training diverged; a smaller learning_rate or momentum would do");
        goto done;
    }
    memcpy(ret_parameters, trained, count * sizeof(*trained));
    *ret_result = (struct training_result){
        .end = sgd.stopped ? TRAINING_STOPPED : TRAINING_COMPLETE, .steps = sgd.done, .loss = sgd_loss(&sgd)};
done:
    free(trained);
    free(sgd.velocity);
    free(sgd.order);
    softmax_pass_free(sgd.pass);
    return err;
}
