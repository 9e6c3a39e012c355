/* The formulas of learning/softmax.h in double precision and in the most obvious way, to test against. */
#pragma once

#include "learning/softmax.h"

/* Value of feature j in row `row` of the array. */
double reference_value(const struct matrix_view *view, size_t row, size_t feature);

/* Logits [classes] of one row of the array. */
void reference_logits(const struct softmax_problem *problem, const double *parameters, size_t row,
                      double *ret_logits);

/* The objective. */
double reference_loss(const struct softmax_problem *problem, const double *parameters);
