#include "learning/kernel.h"

#include <cblas.h>

/* The rows of the batch as one dense matrix of floats; bytes stay unscaled. */
static void fill_tile(const struct kernel_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        float *restrict out = batch->tile + i * batch->feature_stride;
        if (batch->type == MATRIX_FLOAT32) {
            memcpy(out, batch->rows[i], batch->features * sizeof(*out));
            continue;
        }
        const uint8_t *restrict bytes = batch->rows[i];
        for (size_t j = 0; j < batch->features; j++)
            out[j] = (float)bytes[j];
    }
}

static void blas_forward(const struct kernel_batch *batch, const float *coef, const float *intercept,
                         float *logits)
{
    fill_tile(batch);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)batch->count, (blasint)batch->classes,
                (blasint)batch->features, kernel_scale(batch->type), batch->tile,
                (blasint)batch->feature_stride, coef, (blasint)batch->feature_stride, 0.0F, logits,
                (blasint)batch->class_stride);
    for (size_t i = 0; i < batch->count; i++)
        for (size_t c = 0; c < batch->classes; c++)
            logits[i * batch->class_stride + c] += intercept[c];
}

/* Uses the tile that forward filled for the same batch. */
static void blas_backward(const struct kernel_batch *batch, const float *delta, float *gradient)
{
    float *gradient_intercept = gradient + batch->classes * batch->feature_stride;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)batch->classes, (blasint)batch->features,
                (blasint)batch->count, kernel_scale(batch->type), delta, (blasint)batch->class_stride,
                batch->tile, (blasint)batch->feature_stride, 0.0F, gradient, (blasint)batch->feature_stride);
    memset(gradient_intercept, 0, batch->class_stride * sizeof(*gradient_intercept));
    for (size_t i = 0; i < batch->count; i++)
        for (size_t c = 0; c < batch->classes; c++)
            gradient_intercept[c] += delta[i * batch->class_stride + c];
}

static double blas_softmax(const struct kernel_batch *batch, const uint16_t *labels, float weight,
                           float *logits)
{
    return kernel_best()->softmax(batch, labels, weight, logits);
}

static void blas_step(float *value, float *velocity, const float *gradient, size_t n, float rate,
                      float momentum, float l2)
{
    kernel_best()->step(value, velocity, gradient, n, rate, momentum, l2);
}

void kernel_blas_prepare(void)
{
    if (openblas_get_num_threads() != 1)
        openblas_set_num_threads(1);
}

static void blas_descend(const struct kernel_batch *batch, const float *delta,
                         const struct kernel_descent *descent)
{
    kernel_descend_in_two(&kernel_blas, batch, delta, descent);
}

const struct kernel kernel_blas = {
    .isa = KERNEL_BLAS,
    .name = "blas",
    .forward = blas_forward,
    .softmax = blas_softmax,
    .backward = blas_backward,
    .descend = blas_descend,
    .step = blas_step,
};
