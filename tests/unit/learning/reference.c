#include "tests/unit/learning/reference.h"

#include <math.h>

double reference_value(const struct matrix_view *view, size_t row, size_t feature)
{
    const void *values = matrix_row(view, row);
    return view->type == MATRIX_BYTES ? (double)((const uint8_t *)values)[feature] / 255.0
                                      : (double)((const float *)values)[feature];
}

void reference_logits(const struct softmax_problem *problem, const double *parameters, size_t row,
                      double *ret_logits)
{
    size_t features = problem->rows.features;
    for (size_t c = 0; c < problem->classes; c++) {
        ret_logits[c] = parameters[problem->classes * features + c];
        for (size_t j = 0; j < features; j++)
            ret_logits[c] += parameters[c * features + j] * reference_value(&problem->rows, row, j);
    }
}

double reference_loss(const struct softmax_problem *problem, const double *parameters)
{
    double logits[SOFTMAX_MAX_CLASSES];
    double loss = 0.0;
    double squares = 0.0;
    size_t count = matrix_count(&problem->rows);
    for (size_t i = 0; i < count; i++) {
        size_t row = matrix_row_number(&problem->rows, i);
        reference_logits(problem, parameters, row, logits);
        double sum = 0.0;
        for (size_t c = 0; c < problem->classes; c++)
            sum += exp(logits[c]);
        loss += log(sum) - logits[problem->labels[row]];
    }
    for (size_t i = 0; i < problem->classes * problem->rows.features; i++)
        squares += parameters[i] * parameters[i];
    return loss / (double)count + 0.5 * problem->l2 * squares;
}
