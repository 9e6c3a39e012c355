#include "learning/private_kernel.h"

#include <immintrin.h>

#define LANES KERNEL_LANES
#define TILE 10 /* classes: two vectors of 10 sums, two of words and one delta fit the 32 registers */

KERNEL_INLINE __mmask16 tail_mask(size_t size)
{
    return size >= LANES ? (__mmask16)0xffff : (__mmask16)((1U << size) - 1U);
}

static float byte_squares(const uint8_t *bytes, size_t features)
{
    __m512i sum = _mm512_setzero_si512(); /* below 2^32 in every lane: MATRIX_MAX_FEATURES / 32 · 2 · 255² */
    for (size_t j = 0; j < features; j += 32) {
        __mmask32 mask = features - j >= 32 ? 0xffffffffU : (1U << (features - j)) - 1U;
        __m512i wide = _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(mask, bytes + j));
        sum = _mm512_add_epi32(sum, _mm512_madd_epi16(wide, wide));
    }
    __m512i low = _mm512_cvtepu32_epi64(_mm512_castsi512_si256(sum));
    __m512i high = _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(sum, 1));
    return (float)(uint64_t)_mm512_reduce_add_epi64(_mm512_add_epi64(low, high));
}

static float avx512_squares(enum matrix_type type, const void *row, size_t features)
{
    if (type == MATRIX_BYTES)
        return byte_squares(row, features);
    const float *values = row;
    __m512 sum[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    size_t j = 0;
    for (; j + PRIVATE_KERNEL_SQUARES <= features; j += PRIVATE_KERNEL_SQUARES) {
        KERNEL_UNROLL
        for (size_t v = 0; v < 4; v++) {
            __m512 value = _mm512_loadu_ps(values + j + v * LANES);
            sum[v] = _mm512_add_ps(sum[v], _mm512_mul_ps(value, value));
        }
    }
    KERNEL_UNROLL
    for (size_t v = 0; v < 4; v++) {
        if (j + v * LANES >= features)
            break;
        __m512 value = _mm512_maskz_loadu_ps(tail_mask(features - j - v * LANES), values + j + v * LANES);
        sum[v] = _mm512_add_ps(sum[v], _mm512_mul_ps(value, value));
    }
    float lanes[PRIVATE_KERNEL_SQUARES];
    for (size_t v = 0; v < 4; v++)
        _mm512_storeu_ps(lanes + v * LANES, sum[v]);
    return private_kernel_total(lanes);
}

/* One row's way to integers. A byte is shifted (one of the two counts is 0), a float is multiplied. */
struct way {
    const void *row;
    __m512 power;
    __m128i left, right;
};

static struct way way_of(const void *row, int exponent)
{
    return (struct way){.row = row,
                        .power = _mm512_set1_ps(private_kernel_power(exponent)),
                        .left = _mm_cvtsi32_si128(exponent > 0 ? exponent : 0),
                        .right = _mm_cvtsi32_si128(exponent < 0 ? -exponent : 0)};
}

KERNEL_INLINE __m512i quantised(enum matrix_type type, const struct way *way, size_t feature, __mmask16 mask)
{
    if (way->row == NULL)
        return _mm512_setzero_si512();
    if (type == MATRIX_FLOAT32)
        return _mm512_cvttps_epi32(
            _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, (const float *)way->row + feature), way->power));
    __m128i bytes = _mm_maskz_loadu_epi8(mask, (const uint8_t *)way->row + feature);
    return _mm512_srl_epi32(_mm512_sll_epi32(_mm512_cvtepu8_epi32(bytes), way->left), way->right);
}

KERNEL_INLINE void fill_type(enum matrix_type type, const struct way ways[2], size_t features, uint32_t *tile,
                             uint32_t ret_squares[2])
{
    __m512i half = _mm512_set1_epi32(0xffff);
    __m512i first_sum = _mm512_setzero_si512();
    __m512i second_sum = _mm512_setzero_si512();
    for (size_t j = 0; j < features; j += LANES) {
        __mmask16 mask = tail_mask(features - j);
        __m512i first = _mm512_and_si512(quantised(type, &ways[0], j, mask), half);
        __m512i second = _mm512_and_si512(quantised(type, &ways[1], j, mask), half);
        _mm512_storeu_si512(tile + j * PRIVATE_KERNEL_PAIRS,
                            _mm512_or_si512(first, _mm512_slli_epi32(second, 16)));
        first_sum = _mm512_add_epi32(first_sum, _mm512_madd_epi16(first, first));
        second_sum = _mm512_add_epi32(second_sum, _mm512_madd_epi16(second, second));
    }
    ret_squares[0] = (uint32_t)_mm512_reduce_add_epi32(first_sum);
    ret_squares[1] = (uint32_t)_mm512_reduce_add_epi32(second_sum);
}

static void avx512_fill(enum matrix_type type, const void *const rows[2], const int exponents[2],
                        size_t features, uint32_t *tile, uint32_t ret_squares[2])
{
    const struct way ways[2] = {way_of(rows[0], exponents[0]), way_of(rows[1], exponents[1])};
    if (type == MATRIX_BYTES)
        fill_type(MATRIX_BYTES, ways, features, tile, ret_squares);
    else
        fill_type(MATRIX_FLOAT32, ways, features, tile, ret_squares);
}

KERNEL_INLINE void add_sums(__m512i sums, int64_t *sum)
{
    __m512i low = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(sums));
    __m512i high = _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(sums, 1));
    _mm512_storeu_si512(sum, _mm512_add_epi64(_mm512_loadu_si512(sum), low));
    _mm512_storeu_si512(sum + 8, _mm512_add_epi64(_mm512_loadu_si512(sum + 8), high));
}

/* `tile_classes` classes for `width` groups of features, summed over the pairs in registers. */
KERNEL_INLINE void multiply_tile(const uint32_t *tile, const uint32_t *delta, size_t pairs, size_t width,
                                 size_t tile_classes, size_t class_stride, size_t feature_stride,
                                 int64_t *sum)
{
    __m512i total[2][TILE];
    KERNEL_UNROLL
    for (size_t w = 0; w < width; w++) {
        KERNEL_UNROLL
        for (size_t c = 0; c < tile_classes; c++)
            total[w][c] = _mm512_setzero_si512();
    }
    for (size_t p = 0; p < pairs; p++) {
        __m512i words[2];
        KERNEL_UNROLL
        for (size_t w = 0; w < width; w++)
            words[w] = _mm512_load_si512(tile + (w * PRIVATE_KERNEL_PAIRS + p) * LANES);
        KERNEL_UNROLL
        for (size_t c = 0; c < tile_classes; c++) {
            __m512i factor = _mm512_set1_epi32((int)delta[p * class_stride + c]);
            KERNEL_UNROLL
            for (size_t w = 0; w < width; w++)
                total[w][c] = _mm512_add_epi32(total[w][c], _mm512_madd_epi16(words[w], factor));
        }
    }
    KERNEL_UNROLL
    for (size_t c = 0; c < tile_classes; c++) {
        KERNEL_UNROLL
        for (size_t w = 0; w < width; w++)
            add_sums(total[w][c], sum + c * feature_stride + w * LANES);
    }
}

KERNEL_INLINE void multiply_classes(const uint32_t *tile, const uint32_t *delta, size_t pairs,
                                    size_t tile_classes, size_t class_stride, size_t feature_stride,
                                    int64_t *sum)
{
    size_t feature = 0;
    for (; feature + 2 * LANES <= feature_stride; feature += 2 * LANES)
        multiply_tile(tile + feature * PRIVATE_KERNEL_PAIRS, delta, pairs, 2, tile_classes, class_stride,
                      feature_stride, sum + feature);
    if (feature < feature_stride)
        multiply_tile(tile + feature * PRIVATE_KERNEL_PAIRS, delta, pairs, 1, tile_classes, class_stride,
                      feature_stride, sum + feature);
}

static void avx512_multiply(const uint32_t *tile, const uint32_t *delta, size_t pairs, size_t feature_stride,
                            size_t classes, size_t class_stride, int64_t *sum)
{
    size_t class = 0;
    for (; class + TILE <= classes; class += TILE)
        multiply_classes(tile, delta + class, pairs, TILE, class_stride, feature_stride,
                         sum + class * feature_stride);
    for (; class + 4 <= classes; class += 4)
        multiply_classes(tile, delta + class, pairs, 4, class_stride, feature_stride,
                         sum + class * feature_stride);
    for (; class < classes; class ++)
        multiply_classes(tile, delta + class, pairs, 1, class_stride, feature_stride,
                         sum + class * feature_stride);
}

const struct private_kernel private_kernel_avx512 = {
    .isa = KERNEL_AVX512,
    .squares = avx512_squares,
    .fill = avx512_fill,
    .multiply = avx512_multiply,
};
