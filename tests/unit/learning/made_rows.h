/* Made-up rows of any shape, the same for the same arguments, in arrays of exactly their size, so that a
 * sanitizer sees a read beyond the last row. */
#pragma once

#include "learning/softmax.h"

struct made_rows {
    enum matrix_type type;
    void *values; /* [rows × features] bytes or floats */
    uint16_t *labels;
    size_t rows, features, classes;
};

struct made_rows made_rows_new(enum matrix_type type, size_t rows, size_t features, size_t classes);
void made_rows_free(struct made_rows *made);
struct softmax_problem made_rows_problem(const struct made_rows *made, double l2);

/* Parameters of a model of this shape, normal with the given deviation. malloc'ed. */
double *made_parameters(const struct made_rows *made, double deviation);
