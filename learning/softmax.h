/* Softmax regression (multinomial logistic regression): model, objective, gradient, prediction.
 *
 * Legend, for this room:
 *
 *     n  rows that take part      d  features      k  classes, SOFTMAX_MIN_CLASSES to SOFTMAX_MAX_CLASSES
 *     x_i  features of row i, as matrix.h reads them      y_i  its class, 0 to k - 1
 *
 *     parameters [k·d + k], float64, flat:   coef[c * d + j]  row-major, then  intercept[c] at k·d + c
 *     gradient   [k·d + k], the same layout
 *     labels     one uint16 per row of the array (not per position of the selection)
 *     confusion  [k × k], uint64, row = true class, column = predicted class
 *
 * Objective, as scikit-learn's LogisticRegression with multi_class="multinomial" and C = 1 / (l2 · n),
 * divided by C·n:
 *
 *     p_i(c) = exp(coef_c · x_i + intercept_c) / Σ_c' exp(coef_c' · x_i + intercept_c')
 *     loss   = -(1/n) Σ_i ln p_i(y_i)  +  (l2/2) Σ coef²            (the intercept is not penalised)
 *
 * Precision: products of rows in float32, summed to double over blocks of 256 rows; the relative error of
 * loss and gradient is about 1e-6, which optimisers can rely on. Determinism: blocks and the order of their
 * sums depend on n and the shape alone, so one machine gives the same bits on any number of threads.
 * Different instruction sets round differently.
 *
 * All functions are pure: they borrow what they are given, allocate what they need and free it, and keep
 * nothing. Failures: ERROR_INVALID (shape, label, l2, selection), ERROR_LIMIT (too large), ERROR_NUMERIC (a
 * parameter, feature or result that is not finite), ERROR_MEMORY. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "learning/kernel.h"
#include "learning/matrix.h"
#include "learning/parallel.h"
#include "schemas/error.h"

#define SOFTMAX_MIN_CLASSES 2
#define SOFTMAX_MAX_CLASSES 1024
#define SOFTMAX_MAX_PARAMETERS ((size_t)1 << 22)

struct softmax_problem {
    struct matrix_view rows;
    const uint16_t *labels;          /* labels[row of the array]; not read by softmax_predict */
    size_t classes;                  /* k */
    double l2;                       /* >= 0, finite */
    const struct kernel *kernel;     /* NULL: kernel_for_classes(classes) */
    const struct parallel *parallel; /* NULL: this thread alone */
};

/* How many parameters a model has: k·d + k. */
size_t softmax_parameters(size_t features, size_t classes);

/* Refuses shapes outside the limits. */
MUST_USE struct error *softmax_check_shape(size_t features, size_t classes);

/* Refuses parameters that are not finite or beyond float32. Says neither
 * which nor its value: after training both depend on the rows. */
MUST_USE struct error *softmax_check_parameters(const double *parameters, size_t count);

/* Refuses a problem that cannot be trained or evaluated: shape, selection, labels, l2. Reads labels of the
 * selected rows, not their features. Called by every function below. */
MUST_USE struct error *softmax_check(const struct softmax_problem *problem);

/* All parameters 0: a model that finds every class equally likely. */
void softmax_init_zeros(size_t features, size_t classes, double *ret_parameters);

/* coef ~ Normal(0, 0.01²) from the seed, intercept 0. */
void softmax_init_seeded(uint64_t seed, size_t features, size_t classes, double *ret_parameters);

/* Objective and, unless ret_gradient is NULL, its gradient. */
MUST_USE struct error *softmax_loss_gradient(const struct softmax_problem *problem, const double *parameters,
                                             double *ret_loss, double *ret_gradient);

/* The most likely class of each selected row, by position in the selection; the lowest of equally likely
 * ones. */
MUST_USE struct error *softmax_predict(const struct softmax_problem *problem, const double *parameters,
                                       uint16_t *ret_classes);

/* Predicts and counts against the labels: overwrites ret_confusion. */
MUST_USE struct error *softmax_confusion(const struct softmax_problem *problem, const double *parameters,
                                         uint64_t *ret_confusion);
