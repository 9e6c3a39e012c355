#include "datasite/held.h"

#include "datasite/model_shape.h"
#include "datasite/store_mock.h"
#include "schemas/wire.h"

#include <inttypes.h>
#include <math.h>

const char *held_kind_word(enum answer_kind kind)
{
    switch (kind) {
    case ANSWER_UPDATE:
        return "update";
    case ANSWER_EVALUATION:
        return "evaluation";
    case ANSWER_MASKED_INPUT:
        return "masked-input";
    }
    return "";
}

void held_run_hex(const uint8_t run_id[static STORE_RUN_ID_BYTES], char ret_hex[static HELD_RUN_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < STORE_RUN_ID_BYTES; i++) {
        ret_hex[2 * i] = digits[run_id[i] >> 4];
        ret_hex[2 * i + 1] = digits[run_id[i] & 15];
    }
    ret_hex[HELD_RUN_BYTES - 1] = '\0';
}

/* ---- names ---- */

/* Names are those of the dataset's columns, or pixels, where a feature is one of them. */
static struct error *held_name_feature(struct store *store, const struct job *job,
                                       const struct dataset_info *dataset,
                                       struct held_coefficient *coefficient)
{
    struct error *err = NULL;
    char name[STORE_COLUMN_BYTES] = "";
    bool own = job->features != JOB_FEATURES_HOG;
    if (dataset->kind == DATASET_NUMBERS && own)
        TRY(store_dataset_column(store, dataset->id, coefficient->feature, name));
    if (name[0] != '\0')
        (void)snprintf(coefficient->feature_name, HELD_FEATURE_BYTES, "%.*s", HELD_FEATURE_BYTES - 1, name);
    else if (dataset->image_columns > 0 && own)
        (void)snprintf(coefficient->feature_name, HELD_FEATURE_BYTES, "pixel %" PRIu64 ",%" PRIu64,
                       coefficient->feature / dataset->image_columns,
                       coefficient->feature % dataset->image_columns);
    else
        (void)snprintf(coefficient->feature_name, HELD_FEATURE_BYTES, "feature %" PRIu64,
                       coefficient->feature);
done:
    return err;
}

static struct error *held_name_class(struct store *store, const struct job *job,
                                     const struct dataset_info *dataset, struct held_coefficient *coefficient)
{
    struct error *err = NULL;
    uint64_t rows = 0;
    switch (job->model) {
    case JOB_SOFTMAX_REGRESSION:
        TRY(store_dataset_class(store, dataset->id, coefficient->class_number, coefficient->class_name,
                                sizeof(coefficient->class_name), &rows));
        break;
    case JOB_FEATURE_STATISTICS:
        (void)snprintf(coefficient->class_name, sizeof(coefficient->class_name), "%s",
                       coefficient->class_number == 0 ? "mean" : "mean square");
        break;
    }
done:
    return err;
}

static struct error *held_name(struct store *store, const struct job *job, const struct dataset_info *dataset,
                               struct held_coefficient *coefficient)
{
    struct error *err = NULL;
    TRY(held_name_class(store, job, dataset, coefficient));
    if (coefficient->intercept)
        (void)snprintf(coefficient->feature_name, HELD_FEATURE_BYTES, "intercept");
    else
        TRY(held_name_feature(store, job, dataset, coefficient));
done:
    return err;
}

/* ---- an update ---- */

static struct held_coefficient held_coefficient_at(const struct held_look *look, size_t position,
                                                   double value)
{
    size_t coefficients = (size_t)look->features * look->classes;
    bool intercept = position >= coefficients;
    return (struct held_coefficient){
        .value = value,
        .intercept = intercept,
        .class_number = (uint32_t)(intercept ? position - coefficients : position / look->features),
        .feature = intercept ? 0 : position % look->features,
    };
}

/* Keeps the largest by magnitude, largest first. */
static void held_rank(struct held_look *look, size_t position, double value)
{
    size_t at = look->top_count;
    while (at > 0 && fabs(value) > fabs(look->top[at - 1].value))
        at--;
    if (at == HELD_TOP)
        return;
    if (look->top_count < HELD_TOP)
        look->top_count++;
    for (size_t i = look->top_count - 1; i > at; i--)
        look->top[i] = look->top[i - 1];
    look->top[at] = held_coefficient_at(look, position, value);
}

static void held_measure(struct held_look *look, const double *parameters)
{
    double sum = 0;
    look->lowest = look->highest = parameters[0];
    for (size_t i = 0; i < look->count; i++) {
        double value = parameters[i];
        sum += value * value;
        look->lowest = fmin(look->lowest, value);
        look->highest = fmax(look->highest, value);
        held_rank(look, i, value);
    }
    look->norm = sqrt(sum);
}

static void held_compare(struct held_look *look, const double *parameters, const double *before)
{
    double difference = 0, product = 0, squares = 0;
    for (size_t i = 0; i < look->count; i++) {
        double moved = parameters[i] - before[i];
        difference += moved * moved;
        product += parameters[i] * before[i];
        squares += before[i] * before[i];
    }
    look->difference_norm = sqrt(difference);
    look->cosine = product / (look->norm * sqrt(squares)); /* 0 / 0 is NaN, as said */
}

static struct error *held_take_parameters(const Fds__Update *update, double **ret_parameters)
{
    size_t count = update->parameters.len / sizeof(double);
    double *parameters = calloc(count + 1, sizeof(*parameters));
    if (parameters == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory to look at an update.");
    wire_parameters_read(update->parameters.data, count, parameters);
    *ret_parameters = parameters;
    return NULL;
}

/* Against the update of this job that left last, of whatever run. */
static struct error *held_look_back(struct store *store, const double *parameters, struct held_look *look)
{
    struct error *err = NULL;
    struct answer previous = {.body = NULL};
    Fds__Update *update = NULL;
    double *before = NULL;
    err = store_last_released(store, &look->answer.job_id, ANSWER_UPDATE, &previous);
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_clear(&err);
        goto done;
    }
    if (err != NULL)
        goto done;
    TRY(wire_update_decode(previous.body, previous.bytes, &update));
    if (update->parameters.len != look->count * sizeof(double))
        goto done;
    TRY(held_take_parameters(update, &before));
    held_compare(look, parameters, before);
    look->has_previous = true;
    look->previous_round = previous.round;
done:
    free(before);
    wire_update_free(update);
    answer_clear(&previous);
    return err;
}

static void held_count_cells(struct held_look *look, const uint64_t *confusion, size_t cells)
{
    look->cells = cells;
    for (size_t i = 0; i < cells; i++)
        look->withheld += confusion[i] == WIRE_WITHHELD ? 1 : 0;
}

static void held_look_metrics(struct held_look *look, const Fds__Metrics *metrics)
{
    if (metrics == NULL)
        return;
    look->has_accuracy = metrics->train_accuracy >= 0;
    look->train_accuracy = metrics->train_accuracy;
    look->test_rows = metrics->test_rows;
    look->correct = metrics->correct;
    held_count_cells(look, metrics->confusion, metrics->n_confusion);
}

static struct error *held_look_update(struct store *store, const struct job *job,
                                      const struct dataset_info *dataset, const struct answer *stored,
                                      struct held_look *look)
{
    struct error *err = NULL;
    Fds__Update *update = NULL;
    double *parameters = NULL;
    size_t features = 0;
    TRY(model_shape_features(job, dataset, &features));
    TRY(wire_update_decode(stored->body, stored->bytes, &update));
    TRY(model_shape_check(job, dataset, update->parameters.len));
    TRY(held_take_parameters(update, &parameters));
    look->features = features;
    look->classes = job->model == JOB_FEATURE_STATISTICS ? 2 : dataset->classes;
    look->count = update->parameters.len / sizeof(double);
    look->has_examples = update->examples != WIRE_WITHHELD;
    look->examples = update->examples;
    held_measure(look, parameters);
    for (size_t i = 0; i < look->top_count; i++)
        TRY(held_name(store, job, dataset, &look->top[i]));
    TRY(held_look_back(store, parameters, look));
    held_look_metrics(look, update->metrics);
done:
    free(parameters);
    wire_update_free(update);
    return err;
}

static struct error *held_look_evaluation(const struct answer *stored, struct held_look *look)
{
    struct error *err = NULL;
    Fds__Evaluation *evaluation = NULL;
    TRY(wire_evaluation_decode(stored->body, stored->bytes, &evaluation));
    look->test_rows = evaluation->test_rows;
    look->correct = evaluation->correct;
    held_count_cells(look, evaluation->confusion, evaluation->n_confusion);
    look->noised = evaluation->n_noised;
done:
    wire_evaluation_free(evaluation);
    return err;
}

struct error *held_look(struct store *store, const struct answer *listed, const struct job *job,
                        const struct dataset_info *dataset, struct held_look *ret_look)
{
    struct error *err = NULL;
    struct answer stored = {.body = NULL};
    struct held_look look = {.answer = *listed};
    TRY(store_answer(store, &listed->job_id, listed->run_id, listed->round, listed->attempt, listed->kind,
                     &stored));
    if (stored.body == NULL || stored.state != ANSWER_HELD)
        FAIL(ERROR_NOT_FOUND, "The answer of round %" PRIu32 " is not held any more.", listed->round);
    look.body_bytes = stored.bytes;
    switch (listed->kind) {
    case ANSWER_UPDATE:
        TRY(held_look_update(store, job, dataset, &stored, &look));
        break;
    case ANSWER_EVALUATION:
        TRY(held_look_evaluation(&stored, &look));
        break;
    case ANSWER_MASKED_INPUT:
        FAIL(ERROR_INTERNAL, "A masked input is never held.");
    }
    *ret_look = look;
done:
    answer_clear(&stored);
    return err;
}
