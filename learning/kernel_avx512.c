#include "learning/kernel.h"

#include <float.h>
#include <immintrin.h>
#include <math.h>

#define LANES 16
#define TILE 10 /* classes: 2 rows × 10 sums + 2 rows of values + 1 coefficient fit the 32 registers */

KERNEL_INLINE __m512 load_values(enum matrix_type type, const void *row, size_t feature)
{
    if (type == MATRIX_BYTES) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)((const uint8_t *)row + feature));
        return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
    }
    return _mm512_loadu_ps((const float *)row + feature);
}

/* The last, partial vector of a row: lanes outside `mask` are 0 and their memory is not touched. */
KERNEL_INLINE __m512 load_tail(enum matrix_type type, const void *row, size_t feature, __mmask16 mask)
{
    if (type == MATRIX_BYTES) {
        __m128i bytes = _mm_maskz_loadu_epi8(mask, (const uint8_t *)row + feature);
        return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
    }
    return _mm512_maskz_loadu_ps(mask, (const float *)row + feature);
}

KERNEL_INLINE void prefetch_values(enum matrix_type type, const void *row, size_t feature)
{
    size_t element = type == MATRIX_BYTES ? 1 : sizeof(float);
    _mm_prefetch((const char *)row + feature * element, _MM_HINT_T0);
}

KERNEL_INLINE __mmask16 tail_mask(size_t size)
{
    return (__mmask16)((1U << (size % LANES)) - 1U);
}

/* Adds up the lanes of each of `tile` (10, 4 or 1) vectors: total of sum[c] comes out in lane c. Neighbouring
 * vectors are interleaved and added, halving their number each time, which takes a third of the shuffles of
 * one at a time. */
KERNEL_INLINE __m512 lane_totals(const __m512 *sum, size_t tile)
{
    if (tile == 1)
        return _mm512_set1_ps(_mm512_reduce_add_ps(sum[0]));
    __m512 quad[3];
    KERNEL_UNROLL
    for (size_t q = 0; q < (tile + 3) / 4; q++) {
        const __m512 *s = sum + 4 * q;
        __m512 left = _mm512_add_ps(_mm512_unpacklo_ps(s[0], s[1]), _mm512_unpackhi_ps(s[0], s[1]));
        __m512 right = left;
        if (4 * q + 2 < tile)
            right = _mm512_add_ps(_mm512_unpacklo_ps(s[2], s[3]), _mm512_unpackhi_ps(s[2], s[3]));
        __m512d low = _mm512_unpacklo_pd(_mm512_castps_pd(left), _mm512_castps_pd(right));
        __m512d high = _mm512_unpackhi_pd(_mm512_castps_pd(left), _mm512_castps_pd(right));
        quad[q] = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
    }
    __m512 first = quad[0];
    __m512 second = tile == TILE ? quad[1] : quad[0];
    __m512 third = tile == TILE ? quad[2] : quad[0];
    __m512 front =
        _mm512_add_ps(_mm512_shuffle_f32x4(first, second, 0x88), _mm512_shuffle_f32x4(first, second, 0xdd));
    __m512 back =
        _mm512_add_ps(_mm512_shuffle_f32x4(third, third, 0x88), _mm512_shuffle_f32x4(third, third, 0xdd));
    return _mm512_add_ps(_mm512_shuffle_f32x4(front, back, 0x88), _mm512_shuffle_f32x4(front, back, 0xdd));
}

/* sums of `tile` classes for `height` rows; the constants decide which code the compiler makes of it. */
KERNEL_INLINE void forward_tile(const struct kernel_batch *batch, enum matrix_type type, size_t height,
                                size_t tile, size_t row, size_t class, const float *coef,
                                const float *intercept, float *logits)
{
    const void *const *rows = batch->rows + row;
    size_t whole = batch->features / LANES * LANES;
    size_t stride = batch->feature_stride;
    const float *base = coef + class * stride;
    bool prefetch = row + 2 * height + 2 <= batch->count + batch->ahead;
    const void *const *next = prefetch ? rows + height + 2 : rows;
    __m512 sum[2][TILE];
    KERNEL_UNROLL
    for (size_t i = 0; i < height; i++) {
        KERNEL_UNROLL
        for (size_t c = 0; c < tile; c++)
            sum[i][c] = _mm512_setzero_ps();
    }
    for (size_t j = 0; j < whole; j += LANES) {
        __m512 value[2];
        KERNEL_UNROLL
        for (size_t i = 0; i < height; i++) {
            value[i] = load_values(type, rows[i], j);
            prefetch_values(type, next[i], j);
        }
        KERNEL_UNROLL
        for (size_t c = 0; c < tile; c++) {
            __m512 weight = _mm512_load_ps(base + c * stride + j);
            KERNEL_UNROLL
            for (size_t i = 0; i < height; i++)
                sum[i][c] = _mm512_fmadd_ps(value[i], weight, sum[i][c]);
        }
    }
    if (whole < batch->features) {
        __mmask16 mask = tail_mask(batch->features);
        KERNEL_UNROLL
        for (size_t i = 0; i < height; i++) {
            __m512 value = load_tail(type, rows[i], whole, mask);
            KERNEL_UNROLL
            for (size_t c = 0; c < tile; c++)
                sum[i][c] = _mm512_fmadd_ps(value, _mm512_load_ps(base + c * stride + whole), sum[i][c]);
        }
    }
    __m512 scale = _mm512_set1_ps(kernel_scale(type));
    __mmask16 mask = (__mmask16)((1U << tile) - 1U);
    __m512 offset = _mm512_maskz_loadu_ps(mask, intercept + class);
    KERNEL_UNROLL
    for (size_t i = 0; i < height; i++)
        _mm512_mask_storeu_ps(logits + (row + i) * batch->class_stride + class, mask,
                              _mm512_fmadd_ps(lane_totals(sum[i], tile), scale, offset));
}

KERNEL_INLINE void forward_classes(const struct kernel_batch *batch, enum matrix_type type, size_t tile,
                                   size_t class, const float *coef, const float *intercept, float *logits)
{
    size_t row = 0;
    for (; row + 2 <= batch->count; row += 2)
        forward_tile(batch, type, 2, tile, row, class, coef, intercept, logits);
    if (row < batch->count)
        forward_tile(batch, type, 1, tile, row, class, coef, intercept, logits);
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

static void avx512_forward(const struct kernel_batch *batch, const float *coef, const float *intercept,
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
    __m512 scale, l2, momentum, rate;
    __m512 decay, scaled_rate; /* 1 - rate · l2 and rate · scale */
};

KERNEL_INLINE struct factors factors_of(const struct kernel_descent *descent, float scale, float l2)
{
    return (struct factors){
        .scale = _mm512_set1_ps(scale),
        .l2 = _mm512_set1_ps(l2),
        .momentum = _mm512_set1_ps(descent->momentum),
        .rate = _mm512_set1_ps(descent->rate),
        .decay = _mm512_set1_ps(1.0F - descent->rate * l2),
        .scaled_rate = _mm512_set1_ps(descent->rate * scale),
    };
}

/* One vector of sums, at offset `at` of the model: stored as gradient, or used for a step at once. */
KERNEL_INLINE void finish_vector(enum finish finish, const struct kernel_descent *descent,
                                 const struct factors *factors, size_t at, __m512 sum)
{
    if (finish == FINISH_STORE) {
        _mm512_store_ps(descent->gradient + at, _mm512_mul_ps(sum, factors->scale));
        return;
    }
    __m512 value = _mm512_load_ps(descent->model + at);
    if (finish == FINISH_DESCEND) {
        value = _mm512_mul_ps(value, factors->decay);
        _mm512_store_ps(descent->model + at, _mm512_fnmadd_ps(sum, factors->scaled_rate, value));
        return;
    }
    __m512 slope = _mm512_fmadd_ps(factors->l2, value, _mm512_mul_ps(sum, factors->scale));
    slope = _mm512_fmadd_ps(factors->momentum, _mm512_load_ps(descent->velocity + at), slope);
    _mm512_store_ps(descent->velocity + at, slope);
    _mm512_store_ps(descent->model + at, _mm512_fnmadd_ps(factors->rate, slope, value));
}

/* Gradient of `tile` classes for `width` vectors of features, summed over the rows in registers. */
KERNEL_INLINE void backward_tile(const struct kernel_batch *batch, enum matrix_type type, size_t width,
                                 size_t tile, size_t feature, __mmask16 mask, size_t class,
                                 const float *delta, enum finish finish, const struct kernel_descent *descent)
{
    size_t feature_stride = batch->feature_stride; /* read before any store, which might change it */
    size_t stride = batch->class_stride;
    __m512 sum[2][TILE];
    KERNEL_UNROLL
    for (size_t w = 0; w < width; w++) {
        KERNEL_UNROLL
        for (size_t c = 0; c < tile; c++)
            sum[w][c] = _mm512_setzero_ps();
    }
    for (size_t i = 0; i < batch->count; i++) {
        __m512 value[2];
        KERNEL_UNROLL
        for (size_t w = 0; w < width; w++)
            value[w] = mask == 0 ? load_values(type, batch->rows[i], feature + w * LANES)
                                 : load_tail(type, batch->rows[i], feature, mask);
        const float *row_delta = delta + i * stride + class;
        KERNEL_UNROLL
        for (size_t c = 0; c < tile; c++) {
            __m512 weight = _mm512_set1_ps(row_delta[c]);
            KERNEL_UNROLL
            for (size_t w = 0; w < width; w++)
                sum[w][c] = _mm512_fmadd_ps(value[w], weight, sum[w][c]);
        }
    }
    struct factors factors = factors_of(descent, kernel_scale(type), descent->l2);
    size_t at = class * feature_stride + feature;
    KERNEL_UNROLL
    for (size_t c = 0; c < tile; c++) {
        KERNEL_UNROLL
        for (size_t w = 0; w < width; w++)
            finish_vector(finish, descent, &factors, at + c * feature_stride + w * LANES, sum[w][c]);
    }
}

KERNEL_INLINE void backward_classes(const struct kernel_batch *batch, enum matrix_type type, size_t tile,
                                    size_t class, const float *delta, enum finish finish,
                                    const struct kernel_descent *descent)
{
    size_t feature = 0;
    for (; feature + 2 * LANES <= batch->features; feature += 2 * LANES)
        backward_tile(batch, type, 2, tile, feature, 0, class, delta, finish, descent);
    if (feature + LANES <= batch->features) {
        backward_tile(batch, type, 1, tile, feature, 0, class, delta, finish, descent);
        feature += LANES;
    }
    if (feature < batch->features)
        backward_tile(batch, type, 1, tile, feature, tail_mask(batch->features), class, delta, finish,
                      descent);
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
        __m512 sum = _mm512_setzero_ps();
        for (size_t i = 0; i < batch->count; i++)
            sum = _mm512_add_ps(sum, _mm512_load_ps(delta + i * batch->class_stride + class));
        finish_vector(finish, descent, &factors, batch->classes * batch->feature_stride + class, sum);
    }
}

static void avx512_backward(const struct kernel_batch *batch, const float *delta, float *gradient)
{
    const struct kernel_descent descent = {.gradient = gradient};
    backward_finish(batch, delta, FINISH_STORE, &descent);
}

static void avx512_descend(const struct kernel_batch *batch, const float *delta,
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
KERNEL_INLINE __m512 exponential(__m512 x)
{
    x = _mm512_max_ps(_mm512_set1_ps(-87.0F), x); /* in this order a NaN stays */
    __m512 n = _mm512_cvtepi32_ps(_mm512_cvtps_epi32(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504F))));
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375F), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4F), r);
    __m512 p = _mm512_set1_ps(1.9875691500e-4F);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1F));
    p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0F)));
    return _mm512_scalef_ps(p, n);
}

KERNEL_INLINE __mmask16 class_mask(const struct kernel_batch *batch, size_t class)
{
    return batch->classes - class >= LANES ? (__mmask16)0xffff : tail_mask(batch->classes);
}

/* Turns one row of logits into probabilities; returns the sum of exponentials and sets *ret_top to the
 * largest logit. */
KERNEL_INLINE float softmax_row(const struct kernel_batch *batch, float *row, float *ret_top)
{
    __m512 lowest = _mm512_set1_ps(-FLT_MAX);
    __m512 top_lanes = lowest;
    for (size_t class = 0; class < batch->class_stride; class += LANES)
        top_lanes =
            _mm512_max_ps(_mm512_mask_load_ps(lowest, class_mask(batch, class), row + class), top_lanes);
    float top = _mm512_reduce_max_ps(top_lanes);
    __m512 sums = _mm512_setzero_ps();
    for (size_t class = 0; class < batch->class_stride; class += LANES) {
        __mmask16 mask = class_mask(batch, class);
        __m512 shifted = _mm512_sub_ps(_mm512_maskz_load_ps(mask, row + class), _mm512_set1_ps(top));
        __m512 power = _mm512_maskz_mov_ps(mask, exponential(shifted));
        sums = _mm512_add_ps(sums, power);
        _mm512_store_ps(row + class, power);
    }
    float sum = _mm512_reduce_add_ps(sums);
    *ret_top = top;
    return sum;
}

static double avx512_softmax(const struct kernel_batch *batch, const uint16_t *labels, float weight,
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
        __m512 factor = _mm512_set1_ps(weight / sum);
        for (size_t class = 0; class < batch->class_stride; class += LANES)
            _mm512_store_ps(row + class, _mm512_mul_ps(_mm512_load_ps(row + class), factor));
        row[labels[i]] -= weight;
    }
    return loss;
}

static void avx512_step(float *value, float *velocity, const float *gradient, size_t n, float rate,
                        float momentum, float l2)
{
    __m512 rates = _mm512_set1_ps(rate);
    __m512 momenta = _mm512_set1_ps(momentum);
    __m512 penalty = _mm512_set1_ps(l2);
    for (size_t i = 0; i < n; i += LANES) {
        __m512 x = _mm512_load_ps(value + i);
        __m512 slope = _mm512_fmadd_ps(penalty, x, _mm512_load_ps(gradient + i));
        __m512 v = _mm512_fmadd_ps(momenta, _mm512_load_ps(velocity + i), slope);
        _mm512_store_ps(velocity + i, v);
        _mm512_store_ps(value + i, _mm512_fnmadd_ps(rates, v, x));
    }
}

const struct kernel kernel_avx512 = {
    .isa = KERNEL_AVX512,
    .name = "avx512",
    .forward = avx512_forward,
    .softmax = avx512_softmax,
    .backward = avx512_backward,
    .descend = avx512_descend,
    .step = avx512_step,
};
