#include "learning/private_kernel.h"

#include <immintrin.h>

#define LANES 8 /* a group of features is two vectors */
#define TILE                                                                                                 \
    5 /* classes: two vectors of 5 sums, two of words, one delta and a product fit the 16 registers */

static float avx2_squares(enum matrix_type type, const void *row, size_t features)
{
    if (type == MATRIX_BYTES || features < PRIVATE_KERNEL_SQUARES)
        return private_kernel_plain.squares(type, row, features);
    const float *values = row;
    __m256 sum[8];
    KERNEL_UNROLL
    for (size_t v = 0; v < 8; v++)
        sum[v] = _mm256_setzero_ps();
    size_t j = 0;
    for (; j + PRIVATE_KERNEL_SQUARES <= features; j += PRIVATE_KERNEL_SQUARES) {
        KERNEL_UNROLL
        for (size_t v = 0; v < 8; v++) {
            __m256 value = _mm256_loadu_ps(values + j + v * LANES);
            sum[v] = _mm256_add_ps(sum[v], _mm256_mul_ps(value, value));
        }
    }
    float lanes[PRIVATE_KERNEL_SQUARES];
    KERNEL_UNROLL
    for (size_t v = 0; v < 8; v++)
        _mm256_storeu_ps(lanes + v * LANES, sum[v]);
    for (size_t i = 0; j + i < features; i++)
        lanes[i] += values[j + i] * values[j + i];
    return private_kernel_total(lanes);
}

/* One row's way to integers. A byte is shifted (one of the two counts is 0), a float is multiplied. */
struct way {
    const void *row;
    __m256 power;
    __m128i left, right;
};

static struct way way_of(const void *row, int exponent)
{
    return (struct way){.row = row,
                        .power = _mm256_set1_ps(private_kernel_power(exponent)),
                        .left = _mm_cvtsi32_si128(exponent > 0 ? exponent : 0),
                        .right = _mm_cvtsi32_si128(exponent < 0 ? -exponent : 0)};
}

KERNEL_INLINE __m256i quantised(enum matrix_type type, const struct way *way, size_t feature)
{
    if (type == MATRIX_FLOAT32)
        return _mm256_cvttps_epi32(
            _mm256_mul_ps(_mm256_loadu_ps((const float *)way->row + feature), way->power));
    __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)((const uint8_t *)way->row + feature));
    return _mm256_srl_epi32(_mm256_sll_epi32(_mm256_cvtepu8_epi32(bytes), way->left), way->right);
}

static uint32_t lanes_total(__m256i sums)
{
    uint32_t lanes[LANES];
    uint32_t total = 0;
    _mm256_storeu_si256((__m256i *)(void *)lanes, sums);
    for (size_t i = 0; i < LANES; i++)
        total += lanes[i];
    return total;
}

KERNEL_INLINE size_t fill_type(enum matrix_type type, const struct way ways[2], size_t features,
                               uint32_t *tile, uint32_t ret_squares[2])
{
    __m256i half = _mm256_set1_epi32(0xffff);
    __m256i first_sum = _mm256_setzero_si256();
    __m256i second_sum = _mm256_setzero_si256();
    size_t j = 0;
    for (; j + LANES <= features; j += LANES) {
        __m256i first = _mm256_and_si256(quantised(type, &ways[0], j), half);
        __m256i second = _mm256_and_si256(quantised(type, &ways[1], j), half);
        uint32_t *out = tile + j / KERNEL_LANES * KERNEL_LANES * PRIVATE_KERNEL_SPACING + j % KERNEL_LANES;
        _mm256_storeu_si256((__m256i *)(void *)out, _mm256_or_si256(first, _mm256_slli_epi32(second, 16)));
        first_sum = _mm256_add_epi32(first_sum, _mm256_madd_epi16(first, first));
        second_sum = _mm256_add_epi32(second_sum, _mm256_madd_epi16(second, second));
    }
    ret_squares[0] = lanes_total(first_sum);
    ret_squares[1] = lanes_total(second_sum);
    return j;
}

static void avx2_fill(enum matrix_type type, const void *const rows[2], const int exponents[2],
                      size_t features, uint32_t *tile, uint32_t ret_squares[2])
{
    if (rows[0] == NULL || rows[1] == NULL) { /* rare */
        private_kernel_plain.fill(type, rows, exponents, features, tile, ret_squares);
        return;
    }
    const struct way ways[2] = {way_of(rows[0], exponents[0]), way_of(rows[1], exponents[1])};
    size_t whole = type == MATRIX_BYTES ? fill_type(MATRIX_BYTES, ways, features, tile, ret_squares)
                                        : fill_type(MATRIX_FLOAT32, ways, features, tile, ret_squares);
    if (whole == features)
        return;
    size_t element = type == MATRIX_BYTES ? sizeof(uint8_t) : sizeof(float);
    uint32_t rest[KERNEL_LANES]; /* the first group of a tile */
    uint32_t squares[2];
    const void *tails[2];
    for (size_t i = 0; i < 2; i++)
        tails[i] = (const uint8_t *)rows[i] + whole * element;
    private_kernel_plain.fill(type, tails, exponents, features - whole, rest, squares);
    for (size_t j = whole; j < features; j++)
        tile[j / KERNEL_LANES * KERNEL_LANES * PRIVATE_KERNEL_SPACING + j % KERNEL_LANES] = rest[j - whole];
    ret_squares[0] += squares[0];
    ret_squares[1] += squares[1];
}

KERNEL_INLINE void add_sums(__m256i sums, int64_t *sum)
{
    __m256i *at = (__m256i *)(void *)sum;
    __m256i low = _mm256_cvtepi32_epi64(_mm256_castsi256_si128(sums));
    __m256i high = _mm256_cvtepi32_epi64(_mm256_extracti128_si256(sums, 1));
    _mm256_storeu_si256(at, _mm256_add_epi64(_mm256_loadu_si256(at), low));
    _mm256_storeu_si256(at + 1, _mm256_add_epi64(_mm256_loadu_si256(at + 1), high));
}

/* `tile_classes` classes for one group of features, summed over the pairs in registers. */
KERNEL_INLINE void multiply_tile(const uint32_t *tile, const uint32_t *delta, size_t pairs,
                                 size_t tile_classes, size_t class_stride, size_t feature_stride,
                                 int64_t *sum)
{
    __m256i total[2][TILE];
    KERNEL_UNROLL
    for (size_t c = 0; c < tile_classes; c++)
        total[0][c] = total[1][c] = _mm256_setzero_si256();
    for (size_t p = 0; p < pairs; p++) {
        const __m256i *words = (const __m256i *)(const void *)(tile + p * KERNEL_LANES);
        __m256i left = _mm256_load_si256(words);
        __m256i right = _mm256_load_si256(words + 1);
        KERNEL_UNROLL
        for (size_t c = 0; c < tile_classes; c++) {
            __m256i factor = _mm256_set1_epi32((int)delta[p * class_stride + c]);
            total[0][c] = _mm256_add_epi32(total[0][c], _mm256_madd_epi16(left, factor));
            total[1][c] = _mm256_add_epi32(total[1][c], _mm256_madd_epi16(right, factor));
        }
    }
    KERNEL_UNROLL
    for (size_t c = 0; c < tile_classes; c++) {
        add_sums(total[0][c], sum + c * feature_stride);
        add_sums(total[1][c], sum + c * feature_stride + LANES);
    }
}

KERNEL_INLINE void multiply_classes(const uint32_t *tile, const uint32_t *delta, size_t pairs,
                                    size_t tile_classes, size_t class_stride, size_t feature_stride,
                                    int64_t *sum)
{
    for (size_t feature = 0; feature < feature_stride; feature += KERNEL_LANES)
        multiply_tile(tile + feature * PRIVATE_KERNEL_SPACING, delta, pairs, tile_classes, class_stride,
                      feature_stride, sum + feature);
}

static void avx2_multiply(const uint32_t *tile, const uint32_t *delta, size_t pairs, size_t feature_stride,
                          size_t classes, size_t class_stride, int64_t *sum)
{
    size_t class = 0;
    for (; class + TILE <= classes; class += TILE)
        multiply_classes(tile, delta + class, pairs, TILE, class_stride, feature_stride,
                         sum + class * feature_stride);
    for (; class < classes; class ++)
        multiply_classes(tile, delta + class, pairs, 1, class_stride, feature_stride,
                         sum + class * feature_stride);
}

static double avx2_norm(const float *delta, size_t class_stride)
{
    return private_kernel_norm(delta, class_stride);
}

static uint64_t avx2_quantise(const float *delta, double factor, size_t class_stride, int32_t *ret_delta)
{
    return private_kernel_quantise(delta, factor, class_stride, ret_delta);
}

static bool avx2_narrow(const double *values, size_t n, float *ret_values)
{
    return private_kernel_narrow(values, n, ret_values);
}

static void avx2_advance(const struct private_advance *advance, size_t n, const int64_t *sum,
                         double *velocity, double *parameters)
{
    private_kernel_advance(advance, n, sum, velocity, parameters);
}

const struct private_kernel private_kernel_avx2 = {
    .isa = KERNEL_AVX2,
    .squares = avx2_squares,
    .fill = avx2_fill,
    .norm = avx2_norm,
    .quantise = avx2_quantise,
    .multiply = avx2_multiply,
    .narrow = avx2_narrow,
    .advance = avx2_advance,
};
