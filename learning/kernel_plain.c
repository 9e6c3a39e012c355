#include "learning/kernel.h"

#include <math.h>

#define LANES 8 /* independent sums, which a compiler may put into vectors without changing a bit */

KERNEL_INLINE float element(enum matrix_type type, const void *row, size_t feature)
{
    return type == MATRIX_BYTES ? (float)((const uint8_t *)row)[feature] : ((const float *)row)[feature];
}

KERNEL_INLINE float row_product(enum matrix_type type, const void *row, const float *coef, size_t features)
{
    float sum[LANES] = {0};
    size_t whole = features / LANES * LANES;
    for (size_t j = 0; j < whole; j += LANES) {
        KERNEL_UNROLL
        for (size_t lane = 0; lane < LANES; lane++)
            sum[lane] += element(type, row, j + lane) * coef[j + lane];
    }
    for (size_t j = whole; j < features; j++)
        sum[j - whole] += element(type, row, j) * coef[j];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

KERNEL_INLINE void forward_type(const struct kernel_batch *batch, enum matrix_type type, const float *coef,
                                const float *intercept, float *logits)
{
    for (size_t i = 0; i < batch->count; i++)
        for (size_t c = 0; c < batch->classes; c++)
            logits[i * batch->class_stride + c] =
                row_product(type, batch->rows[i], coef + c * batch->feature_stride, batch->features) *
                    kernel_scale(type) +
                intercept[c];
}

static void plain_forward(const struct kernel_batch *batch, const float *coef, const float *intercept,
                          float *logits)
{
    if (batch->type == MATRIX_BYTES)
        forward_type(batch, MATRIX_BYTES, coef, intercept, logits);
    else
        forward_type(batch, MATRIX_FLOAT32, coef, intercept, logits);
}

KERNEL_INLINE void backward_type(const struct kernel_batch *batch, enum matrix_type type, const float *delta,
                                 float *restrict gradient)
{
    for (size_t i = 0; i < batch->count; i++) {
        const void *row = batch->rows[i];
        for (size_t c = 0; c < batch->classes; c++) {
            float weight = delta[i * batch->class_stride + c];
            float *restrict out = gradient + c * batch->feature_stride;
            for (size_t j = 0; j < batch->features; j++)
                out[j] += weight * element(type, row, j);
        }
    }
    for (size_t j = 0; j < batch->classes * batch->feature_stride; j++)
        gradient[j] *= kernel_scale(type);
}

static void plain_backward(const struct kernel_batch *batch, const float *delta, float *gradient)
{
    float *gradient_intercept = gradient + batch->classes * batch->feature_stride;
    memset(gradient, 0, batch->classes * batch->feature_stride * sizeof(*gradient));
    memset(gradient_intercept, 0, batch->class_stride * sizeof(*gradient_intercept));
    if (batch->type == MATRIX_BYTES)
        backward_type(batch, MATRIX_BYTES, delta, gradient);
    else
        backward_type(batch, MATRIX_FLOAT32, delta, gradient);
    for (size_t i = 0; i < batch->count; i++)
        for (size_t c = 0; c < batch->classes; c++)
            gradient_intercept[c] += delta[i * batch->class_stride + c];
}

/* Turns one row of logits into exponentials; returns their sum and sets *ret_top to the largest logit. */
static float softmax_row(const struct kernel_batch *batch, float *row, float *ret_top)
{
    float top = row[0];
    for (size_t c = 1; c < batch->classes; c++)
        top = row[c] > top ? row[c] : top;
    float sum = 0.0F;
    for (size_t c = 0; c < batch->classes; c++) {
        row[c] = expf(row[c] - top);
        sum += row[c];
    }
    for (size_t c = batch->classes; c < batch->class_stride; c++)
        row[c] = 0.0F;
    *ret_top = top;
    return sum;
}

static double plain_softmax(const struct kernel_batch *batch, const uint16_t *labels, float weight,
                            float *logits)
{
    double loss = 0.0;
    for (size_t i = 0; i < batch->count; i++) {
        float *row = logits + i * batch->class_stride;
        float label_logit = row[labels[i]];
        float top = 0.0F;
        float sum = softmax_row(batch, row, &top);
        loss += (double)top - (double)label_logit + log((double)sum);
        for (size_t c = 0; c < batch->classes; c++)
            row[c] *= weight / sum;
        row[labels[i]] -= weight;
    }
    return loss;
}

static void plain_step(float *restrict value, float *restrict velocity, const float *restrict gradient,
                       size_t n, float rate, float momentum, float l2)
{
    for (size_t i = 0; i < n; i++) {
        velocity[i] = momentum * velocity[i] + (gradient[i] + l2 * value[i]);
        value[i] -= rate * velocity[i];
    }
}

static void plain_descend(const struct kernel_batch *batch, const float *delta,
                          const struct kernel_descent *descent)
{
    kernel_descend_in_two(&kernel_plain, batch, delta, descent);
}

const struct kernel kernel_plain = {
    .isa = KERNEL_PLAIN,
    .name = "plain",
    .forward = plain_forward,
    .softmax = plain_softmax,
    .backward = plain_backward,
    .descend = plain_descend,
    .step = plain_step,
};
