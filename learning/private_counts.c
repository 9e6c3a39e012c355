#include "learning/private_counts.h"

#include <math.h>

#define BLOCK_ROWS 256
#define NO_CLASS UINT16_MAX /* above SOFTMAX_MAX_CLASSES */

struct counting {
    const struct softmax_problem *problem;
    const double *weights; /* [d + 1][k]: the parameters with classes side by side */
    uint16_t *predicted;   /* [rows of the selection] */
    size_t rows;
};

static double counting_value(const struct matrix_view *view, size_t row, size_t feature)
{
    const void *values = matrix_row(view, row);
    return view->type == MATRIX_BYTES ? (double)((const uint8_t *)values)[feature] / 255.0
                                      : (double)((const float *)values)[feature];
}

static uint16_t counting_predict(const struct counting *counting, size_t row, double *logits)
{
    const struct matrix_view *view = &counting->problem->rows;
    size_t classes = counting->problem->classes;
    uint16_t best = 0;
    memcpy(logits, counting->weights + view->features * classes, classes * sizeof(*logits));
    for (size_t j = 0; j < view->features; j++) {
        const double *weight = counting->weights + j * classes;
        double value = counting_value(view, row, j);
        for (size_t c = 0; c < classes; c++)
            logits[c] += value * weight[c];
    }
    for (size_t c = 0; c < classes; c++) {
        if (!isfinite(logits[c]))
            return NO_CLASS;
        if (logits[c] > logits[best])
            best = (uint16_t)c;
    }
    return best;
}

static void counting_block(void *argument, size_t block)
{
    const struct counting *counting = argument;
    double logits[SOFTMAX_MAX_CLASSES];
    size_t first = block * BLOCK_ROWS;
    for (size_t i = first; i < first + BLOCK_ROWS && i < counting->rows; i++)
        counting->predicted[i] =
            counting_predict(counting, matrix_row_number(&counting->problem->rows, i), logits);
}

static struct error *counting_check(const struct softmax_problem *problem, const double *parameters)
{
    struct error *err = NULL;
    struct matrix_view all = problem->rows; /* the selection may be empty, and its rows exist: the caller's */
    all.index = NULL;
    TRY(matrix_check(&all));
    TRY(softmax_check_shape(all.features, problem->classes));
    TRY(softmax_check_parameters(parameters, softmax_parameters(all.features, problem->classes)));
done:
    return err;
}

static void counting_weights(const struct softmax_problem *problem, const double *parameters, double *weights)
{
    size_t features = problem->rows.features, classes = problem->classes;
    for (size_t c = 0; c < classes; c++) {
        for (size_t j = 0; j < features; j++)
            weights[j * classes + c] = parameters[c * features + j];
        weights[features * classes + c] = parameters[classes * features + c];
    }
}

struct error *private_counts(const struct softmax_problem *problem, const double *parameters,
                             uint64_t *ret_counts)
{
    struct error *err = NULL;
    size_t classes = problem->classes, rows = matrix_count(&problem->rows);
    double *weights = NULL;
    uint16_t *predicted = NULL;
    TRY(counting_check(problem, parameters));
    weights = calloc(softmax_parameters(problem->rows.features, classes), sizeof(*weights));
    predicted = calloc(rows + 1, sizeof(*predicted));
    if (weights == NULL || predicted == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to count predictions.");
    counting_weights(problem, parameters, weights);
    struct counting counting = {problem, weights, predicted, rows};
    parallel_run(problem->parallel, (rows + BLOCK_ROWS - 1) / BLOCK_ROWS, counting_block, &counting);
    memset(ret_counts, 0, classes * classes * sizeof(*ret_counts));
    for (size_t i = 0; i < rows; i++) {
        uint16_t label = problem->labels[matrix_row_number(&problem->rows, i)];
        if (label < classes && predicted[i] != NO_CLASS)
            ret_counts[label * classes + predicted[i]]++;
    }
done:
    free(weights);
    if (predicted != NULL)
        explicit_bzero(predicted, (rows + 1) * sizeof(*predicted));
    free(predicted);
    return err;
}
