#include "learning/kernel.h"

#include <float.h>
#include <immintrin.h>
#include <math.h>

#define LANES 8
#define TILE                                                                                                 \
    10 /* classes: 1 row × 10 sums + 1 vector of values fit the 16 registers; coefficients come from memory \
        */

KERNEL_INLINE __m256 load_values(enum matrix_type type, const void *row, size_t feature)
{
    if (type == MATRIX_BYTES) {
        __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)((const uint8_t *)row + feature));
        return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
    }
    return _mm256_loadu_ps((const float *)row + feature);
}

/* The last, partial vector of a row, through a buffer so that nothing behind the row is read. */
KERNEL_INLINE __m256 load_tail(enum matrix_type type, const void *row, size_t feature, size_t count)
{
    if (type == MATRIX_BYTES) {
        uint8_t bytes[LANES] = {0};
        for (size_t j = 0; j < count; j++)
            bytes[j] = ((const uint8_t *)row)[feature + j];
        return load_values(type, bytes, 0);
    }
    float floats[LANES] = {0};
    for (size_t j = 0; j < count; j++)
        floats[j] = ((const float *)row)[feature + j];
    return _mm256_loadu_ps(floats);
}

KERNEL_INLINE void prefetch_values(enum matrix_type type, const void *row, size_t feature)
{
    size_t element = type == MATRIX_BYTES ? 1 : sizeof(float);
    _mm_prefetch((const char *)row + feature * element, _MM_HINT_T0);
}

KERNEL_INLINE float lane_total(__m256 sum)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    half = _mm_add_ss(half, _mm_shuffle_ps(half, half, 1));
    return _mm_cvtss_f32(half);
}

KERNEL_INLINE float lane_top(__m256 values)
{
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    half = _mm_max_ss(half, _mm_shuffle_ps(half, half, 1));
    return _mm_cvtss_f32(half);
}

/* sums of `tile` classes for one row; the constants decide which code the compiler makes of it. */
KERNEL_INLINE void forward_tile(const struct kernel_batch *batch, enum matrix_type type, size_t tile,
                                size_t row, size_t class, const float *coef, const float *intercept,
                                float *logits)
{
    const void *values = batch->rows[row];
    const void *next = row + 4 < batch->count + batch->ahead ? batch->rows[row + 4] : values;
    size_t whole = batch->features / LANES * LANES;
    size_t stride = batch->feature_stride;
    const float *base = coef + class * stride;
    __m256 sum[TILE];
    KERNEL_UNROLL
    for (size_t c = 0; c < tile; c++)
        sum[c] = _mm256_setzero_ps();
    for (size_t j = 0; j < whole; j += LANES) {
        __m256 value = load_values(type, values, j);
        prefetch_values(type, next, j);
        KERNEL_UNROLL
        for (size_t c = 0; c < tile; c++)
            sum[c] = _mm256_fmadd_ps(value, _mm256_load_ps(base + c * stride + j), sum[c]);
    }
    if (whole < batch->features) {
        __m256 value = load_tail(type, values, whole, batch->features - whole);
        KERNEL_UNROLL
        for (size_t c = 0; c < tile; c++)
            sum[c] = _mm256_fmadd_ps(value, _mm256_load_ps(base + c * stride + whole), sum[c]);
    }
    float scale = kernel_scale(type);
    float *out = logits + row * batch->class_stride + class;
    KERNEL_UNROLL
    for (size_t c = 0; c < tile; c++)
        out[c] = lane_total(sum[c]) * scale + intercept[class + c];
}

KERNEL_INLINE void forward_classes(const struct kernel_batch *batch, enum matrix_type type, size_t tile,
                                   size_t class, const float *coef, const float *intercept, float *logits)
{
    for (size_t row = 0; row < batch->count; row++)
        forward_tile(batch, type, tile, row, class, coef, intercept, logits);
}

KERNEL_INLINE void forward_type(const struct kernel_batch *batch, enum matrix_type type, const float *coef,
                                const float *intercept, float *logits)
{
    size_t class = 0;
    for (; class + TILE <= batch->classes; class += TILE)
        forward_classes(batch, type, TILE, class, coef, intercept, logits);
    for (; class + 4 <= batch->classes; class += 4)
        forward_classes(batch, type, 4, class, coef, intercept, logits);
    for (; class < batch->classes; class ++)
        forward_classes(batch, type, 1, class, coef, intercept, logits);
}

static void avx2_forward(const struct kernel_batch *batch, const float *coef, const float *intercept,
                         float *logits)
{
    if (batch->type == MATRIX_BYTES)
        forward_type(batch, MATRIX_BYTES, coef, intercept, logits);
    else
        forward_type(batch, MATRIX_FLOAT32, coef, intercept, logits);
}

/* What becomes of a finished sum. */
enum finish { FINISH_STORE, FINISH_DESCEND, FINISH_DESCEND_MOMENTUM };

/* Factors of a step, in every lane. `scale` is that of the stored elements, 1 for the intercept. */
struct factors {
    __m256 scale, l2, momentum, rate;
    __m256 decay, scaled_rate; /* 1 - rate · l2 and rate · scale */
};

KERNEL_INLINE struct factors factors_of(const struct kernel_descent *descent, float scale, float l2)
{
    return (struct factors){
        .scale = _mm256_set1_ps(scale),
        .l2 = _mm256_set1_ps(l2),
        .momentum = _mm256_set1_ps(descent->momentum),
        .rate = _mm256_set1_ps(descent->rate),
        .decay = _mm256_set1_ps(1.0F - descent->rate * l2),
        .scaled_rate = _mm256_set1_ps(descent->rate * scale),
    };
}

/* One vector of sums, at offset `at` of the model: stored as gradient, or used for a step at once. */
KERNEL_INLINE void finish_vector(enum finish finish, const struct kernel_descent *descent,
                                 const struct factors *factors, size_t at, __m256 sum)
{
    if (finish == FINISH_STORE) {
        _mm256_store_ps(descent->gradient + at, _mm256_mul_ps(sum, factors->scale));
        return;
    }
    __m256 value = _mm256_load_ps(descent->model + at);
    if (finish == FINISH_DESCEND) {
        value = _mm256_mul_ps(value, factors->decay);
        _mm256_store_ps(descent->model + at, _mm256_fnmadd_ps(sum, factors->scaled_rate, value));
        return;
    }
    __m256 slope = _mm256_fmadd_ps(factors->l2, value, _mm256_mul_ps(sum, factors->scale));
    slope = _mm256_fmadd_ps(factors->momentum, _mm256_load_ps(descent->velocity + at), slope);
    _mm256_store_ps(descent->velocity + at, slope);
    _mm256_store_ps(descent->model + at, _mm256_fnmadd_ps(factors->rate, slope, value));
}

/* Gradient of `tile` classes for one vector of features (`count` of them: all, or the tail of a row), summed
 * over the rows in registers. */
KERNEL_INLINE void backward_tile(const struct kernel_batch *batch, enum matrix_type type, size_t tile,
                                 size_t feature, size_t count, size_t class, const float *delta,
                                 enum finish finish, const struct kernel_descent *descent)
{
    size_t feature_stride = batch->feature_stride; /* read before any store, which might change it */
    __m256 sum[TILE];
    KERNEL_UNROLL
    for (size_t c = 0; c < tile; c++)
        sum[c] = _mm256_setzero_ps();
    for (size_t i = 0; i < batch->count; i++) {
        __m256 value = count == LANES ? load_values(type, batch->rows[i], feature)
                                      : load_tail(type, batch->rows[i], feature, count);
        const float *row_delta = delta + i * batch->class_stride + class;
        KERNEL_UNROLL
        for (size_t c = 0; c < tile; c++)
            sum[c] = _mm256_fmadd_ps(value, _mm256_broadcast_ss(row_delta + c), sum[c]);
    }
    struct factors factors = factors_of(descent, kernel_scale(type), descent->l2);
    size_t at = class * feature_stride + feature;
    KERNEL_UNROLL
    for (size_t c = 0; c < tile; c++)
        finish_vector(finish, descent, &factors, at + c * feature_stride, sum[c]);
}

KERNEL_INLINE void backward_classes(const struct kernel_batch *batch, enum matrix_type type, size_t tile,
                                    size_t class, const float *delta, enum finish finish,
                                    const struct kernel_descent *descent)
{
    size_t feature = 0;
    for (; feature + LANES <= batch->features; feature += LANES)
        backward_tile(batch, type, tile, feature, LANES, class, delta, finish, descent);
    if (feature < batch->features)
        backward_tile(batch, type, tile, feature, batch->features - feature, class, delta, finish, descent);
}

KERNEL_INLINE void backward_type(const struct kernel_batch *batch, enum matrix_type type, const float *delta,
                                 enum finish finish, const struct kernel_descent *descent)
{
    size_t class = 0;
    for (; class + TILE <= batch->classes; class += TILE)
        backward_classes(batch, type, TILE, class, delta, finish, descent);
    for (; class + 4 <= batch->classes; class += 4)
        backward_classes(batch, type, 4, class, delta, finish, descent);
    for (; class < batch->classes; class ++)
        backward_classes(batch, type, 1, class, delta, finish, descent);
}

KERNEL_INLINE void backward_finish(const struct kernel_batch *batch, const float *delta, enum finish finish,
                                   const struct kernel_descent *descent)
{
    struct factors factors = factors_of(descent, 1.0F, 0.0F);
    if (batch->type == MATRIX_BYTES)
        backward_type(batch, MATRIX_BYTES, delta, finish, descent);
    else
        backward_type(batch, MATRIX_FLOAT32, delta, finish, descent);
    for (size_t class = 0; class < batch->class_stride; class += LANES) {
        __m256 sum = _mm256_setzero_ps();
        for (size_t i = 0; i < batch->count; i++)
            sum = _mm256_add_ps(sum, _mm256_load_ps(delta + i * batch->class_stride + class));
        finish_vector(finish, descent, &factors, batch->classes * batch->feature_stride + class, sum);
    }
}

static void avx2_backward(const struct kernel_batch *batch, const float *delta, float *gradient)
{
    const struct kernel_descent descent = {.gradient = gradient};
    backward_finish(batch, delta, FINISH_STORE, &descent);
}

static void avx2_descend(const struct kernel_batch *batch, const float *delta,
                         const struct kernel_descent *descent)
{
    const struct kernel_descent mine = *descent; /* a copy that no store can change */
    if (mine.momentum > 0.0F)
        backward_finish(batch, delta, FINISH_DESCEND_MOMENTUM, &mine);
    else
        backward_finish(batch, delta, FINISH_DESCEND, &mine);
}

/* e^x for x <= 0, to about one unit in the last place: x = n·ln 2 + r and a polynomial in r (Cephes, expf).
 */
KERNEL_INLINE __m256 exponential(__m256 x)
{
    x = _mm256_max_ps(_mm256_set1_ps(-87.0F), x); /* in this order a NaN stays */
    __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504F)),
                               _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375F), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4F), r);
    __m256 p = _mm256_set1_ps(1.9875691500e-4F);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.3981999507e-3F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(8.3334519073e-3F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(4.1665795894e-2F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.6666665459e-1F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(5.0000001201e-1F));
    p = _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), _mm256_add_ps(r, _mm256_set1_ps(1.0F)));
    __m256i exponent = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(p, _mm256_castsi256_ps(exponent));
}

/* All ones in the lanes that hold a class. */
KERNEL_INLINE __m256 class_mask(const struct kernel_batch *batch, size_t class)
{
    __m256i lane = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32((int)class));
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32((int)batch->classes), lane));
}

/* Turns one row of logits into exponentials; returns their sum and sets *ret_top to the largest logit. */
KERNEL_INLINE float softmax_row(const struct kernel_batch *batch, float *row, float *ret_top)
{
    __m256 lowest = _mm256_set1_ps(-FLT_MAX);
    __m256 top_lanes = lowest;
    for (size_t class = 0; class < batch->class_stride; class += LANES)
        top_lanes = _mm256_max_ps(
            _mm256_blendv_ps(lowest, _mm256_load_ps(row + class), class_mask(batch, class)), top_lanes);
    float top = lane_top(top_lanes);
    __m256 sums = _mm256_setzero_ps();
    for (size_t class = 0; class < batch->class_stride; class += LANES) {
        __m256 mask = class_mask(batch, class);
        __m256 logit = _mm256_and_ps(_mm256_load_ps(row + class), mask);
        __m256 power = _mm256_and_ps(exponential(_mm256_sub_ps(logit, _mm256_set1_ps(top))), mask);
        sums = _mm256_add_ps(sums, power);
        _mm256_store_ps(row + class, power);
    }
    *ret_top = top;
    return lane_total(sums);
}

static double avx2_softmax(const struct kernel_batch *batch, const uint16_t *labels, float weight,
                           float *logits)
{
    double loss = 0.0;
    double product = 1.0; /* of the sums: one logarithm for many rows */
    for (size_t i = 0; i < batch->count; i++) {
        float *row = logits + i * batch->class_stride;
        float label_logit = row[labels[i]];
        float top = 0.0F;
        float sum = softmax_row(batch, row, &top);
        loss += (double)top - (double)label_logit;
        product *= (double)sum;
        if (product > 1e200 || i + 1 == batch->count) {
            loss += log(product);
            product = 1.0;
        }
        __m256 factor = _mm256_set1_ps(weight / sum);
        for (size_t class = 0; class < batch->class_stride; class += LANES)
            _mm256_store_ps(row + class, _mm256_mul_ps(_mm256_load_ps(row + class), factor));
        row[labels[i]] -= weight;
    }
    return loss;
}

static void avx2_step(float *value, float *velocity, const float *gradient, size_t n, float rate,
                      float momentum, float l2)
{
    __m256 rates = _mm256_set1_ps(rate);
    __m256 momenta = _mm256_set1_ps(momentum);
    __m256 penalty = _mm256_set1_ps(l2);
    for (size_t i = 0; i < n; i += LANES) {
        __m256 x = _mm256_load_ps(value + i);
        __m256 slope = _mm256_fmadd_ps(penalty, x, _mm256_load_ps(gradient + i));
        __m256 v = _mm256_fmadd_ps(momenta, _mm256_load_ps(velocity + i), slope);
        _mm256_store_ps(velocity + i, v);
        _mm256_store_ps(value + i, _mm256_fnmadd_ps(rates, v, x));
    }
}

const struct kernel kernel_avx2 = {
    .isa = KERNEL_AVX2,
    .name = "avx2",
    .forward = avx2_forward,
    .softmax = avx2_softmax,
    .backward = avx2_backward,
    .descend = avx2_descend,
    .step = avx2_step,
};
