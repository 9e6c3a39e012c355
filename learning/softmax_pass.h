/* One pass over rows with a float32 model: the engine under softmax.h and the optimisers. Internal to this
 * room.
 *
 * Rows are cut into blocks of KERNEL_BLOCK_ROWS, blocks into a number of lanes of work ("slots") that depends
 * on the shape alone; each slot adds the gradients of its blocks in order, in double, and the slots are added
 * in order at the end. Threads only decide who computes a slot. A run of a single block stays in float32,
 * which is what SGD uses.
 *
 * The model and gradients have the padded layout of kernel.h: coef [k × D], then intercept [K]. */
#pragma once

#include "learning/softmax.h"

struct softmax_slot;

struct softmax_pass {
    const struct softmax_problem *problem; /* borrowed */
    const struct kernel *kernel;
    size_t features, classes, feature_stride, class_stride;
    size_t values;   /* length of model: k·D + K */
    size_t max_rows; /* of one run */
    float *model;
    size_t slots;
    struct softmax_slot *slot;

    /* The run in hand. */
    const uint32_t *order; /* rows of the array; NULL: 0, 1, … */
    size_t count;
    size_t ahead; /* rows known to follow order[count - 1] */
    size_t used;  /* slots */
    float weight;
    const struct kernel_descent *descent; /* a step instead of a gradient; NULL: the gradient */
    uint16_t *classes_out;                /* prediction */
    double loss;                          /* sum of cross-entropies over the rows */
};

/* Room for runs of at most max_rows rows. The problem has been checked and outlives the pass. */
MUST_USE struct error *softmax_pass_new(const struct softmax_problem *problem, size_t max_rows,
                                        struct softmax_pass **ret_pass);
void softmax_pass_free(struct softmax_pass *pass);

/* Between the caller's float64 layout and the padded float32 model. */
void softmax_pass_load(struct softmax_pass *pass, const double *parameters);
void softmax_pass_store(const struct softmax_pass *pass, double *ret_parameters);

/* Sets pass->loss and the gradient, Σ over rows of weight · ∂(cross-entropy). `ahead` more entries of order
 * may be prefetched. */
void softmax_pass_gradient(struct softmax_pass *pass, const uint32_t *order, size_t count, size_t ahead,
                           float weight);

/* A step of gradient descent with momentum, with the mean gradient of these rows and the l2 of the problem,
 * on pass->model; sets pass->loss to the sum of cross-entropies before it. When that is not finite the model
 * is spoiled. */
struct softmax_descent {
    float *velocity; /* [pass->values], aligned to KERNEL_ALIGNMENT, padding 0 */
    float rate, momentum;
};
void softmax_pass_descend(struct softmax_pass *pass, const uint32_t *order, size_t count, size_t ahead,
                          const struct softmax_descent *descent);

/* The gradient of the last run, in the layout of the caller. */
void softmax_pass_export_gradient(const struct softmax_pass *pass, double *ret_gradient);

/* Objective of the problem over its own selection, and its gradient unless NULL; may be not finite. */
double softmax_pass_objective(struct softmax_pass *pass, const double *parameters, double *ret_gradient);

/* Classes of the rows, by position; returns false when a logit is not finite. */
bool softmax_pass_predict(struct softmax_pass *pass, const uint32_t *order, size_t count,
                          uint16_t *ret_classes);
