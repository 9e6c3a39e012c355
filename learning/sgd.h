/* Mini-batch stochastic gradient descent with momentum for softmax regression.
 *
 * Each epoch visits every selected row once, in an order shuffled by the stream (seed, RANDOM_BATCH_ORDER,
 * round, epoch) of random.h; the last batch is smaller when the rows do not divide. For each batch B, with
 * velocity 0 at the start of the call (Polyak 1964, in the form that PyTorch uses):
 *
 *     velocity   = momentum · velocity + (1/|B|) Σ_{i∈B} ∂(cross-entropy_i) + l2 · coef     (no l2 on the
 * intercept) parameters = parameters - learning_rate · velocity
 *
 * The model is float32 while it trains. Same bits for the same seed, round, rows and instruction set,
 * whatever the number of threads. */
#pragma once

#include "learning/softmax.h"
#include "learning/training.h"

#define SGD_MAX_BATCH 65536
#define SGD_MAX_EPOCHS 10000

struct sgd_options {
    double learning_rate;  /* > 0, finite */
    double momentum;       /* 0 <= momentum < 1 */
    uint32_t batch_size;   /* 1 to SGD_MAX_BATCH; larger than the rows: one batch of all */
    uint32_t local_epochs; /* 1 to SGD_MAX_EPOCHS */
    uint64_t seed;
    uint32_t round; /* of the federation, so that rounds differ in order */
};

/* Trains from `initial` and writes the result to ret_parameters (may be the same array). `loss`, to the
 * callback and in the result, is the mean cross-entropy, without penalty, of the batches of the epoch so far,
 * each before its own step. The callback is asked about every SGD_PROGRESS_ROWS rows and after every epoch.
 * ERROR_NUMERIC when training diverges; outputs are untouched on failure. */
#define SGD_PROGRESS_ROWS 4096
MUST_USE struct error *sgd_train(const struct softmax_problem *problem, const struct sgd_options *options,
                                 const struct training_progress *progress, const double *initial,
                                 double *ret_parameters, struct training_result *ret_result);

/* The rows in the order in which epoch `epoch` (from 0) visits them; ret_order has room for
 * matrix_count(view). */
void sgd_order(const struct matrix_view *view, uint64_t seed, uint32_t round, uint32_t epoch,
               uint32_t *ret_order);
