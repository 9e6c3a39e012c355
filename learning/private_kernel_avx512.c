#include "learning/private_kernel.h"
#include "learning/private_kernel_512.h"

KERNEL_INLINE __mmask16 tail_mask(size_t size)
{
    return (__mmask16)(size >= LANES ? 0xffffU : (1U << size) - 1U);
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

/* Sixteen elements in integers; a byte's are not negative. */
KERNEL_INLINE __m512i quantised(enum matrix_type type, bool shifts, const struct way *way, size_t feature,
                                __mmask16 mask)
{
    if (type == MATRIX_FLOAT32)
        return _mm512_cvttps_epi32(
            _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, (const float *)way->row + feature), way->power));
    const uint8_t *bytes = (const uint8_t *)way->row + feature;
    __m128i some = mask == 0xffff ? _mm_loadu_si128((const __m128i *)(const void *)bytes)
                                  : _mm_maskz_loadu_epi8(mask, bytes);
    __m512i wide = _mm512_cvtepu8_epi32(some);
    return shifts ? _mm512_srl_epi32(_mm512_sll_epi32(wide, way->left), way->right) : wide;
}

/* What the squares of a pair add up to, so far. */
struct squares {
    __m512i first, second;
};

KERNEL_INLINE void fill_group(enum matrix_type type, bool shifts, const struct way ways[2], size_t feature,
                              __mmask16 mask, uint32_t *tile, struct squares *squares)
{
    __m512i first = quantised(type, shifts, &ways[0], feature, mask);
    __m512i second = quantised(type, shifts, &ways[1], feature, mask);
    if (type == MATRIX_FLOAT32) {
        __m512i half = _mm512_set1_epi32(0xffff);
        first = _mm512_and_si512(first, half);
        second = _mm512_and_si512(second, half);
    }
    _mm512_store_si512(tile + feature * PRIVATE_KERNEL_SPACING,
                       _mm512_or_si512(first, _mm512_slli_epi32(second, 16)));
    squares->first = _mm512_add_epi32(squares->first, _mm512_madd_epi16(first, first));
    squares->second = _mm512_add_epi32(squares->second, _mm512_madd_epi16(second, second));
}

KERNEL_INLINE void fill_type(enum matrix_type type, bool shifts, const struct way ways[2], size_t features,
                             uint32_t *tile, uint32_t ret_squares[2])
{
    struct squares squares = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    size_t feature = 0;
    for (; feature + LANES <= features; feature += LANES)
        fill_group(type, shifts, ways, feature, 0xffff, tile, &squares);
    if (feature < features)
        fill_group(type, shifts, ways, feature, tail_mask(features - feature), tile, &squares);
    ret_squares[0] = (uint32_t)_mm512_reduce_add_epi32(squares.first);
    ret_squares[1] = (uint32_t)_mm512_reduce_add_epi32(squares.second);
}

/* 32 bytes as words, in an order from which interleaving two rows (four words of every 128 bits at a time) gives the pairs
 * of the first 16 features and of the last 16. */
KERNEL_INLINE __m512i wide_bytes(const uint8_t *bytes)
{
    __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i all = _mm256_loadu_si256((const __m256i *)(const void *)bytes);
    return _mm512_cvtepu8_epi16(_mm256_permutevar8x32_epi32(all, order));
}

/* Rows of bytes as they are; what fill_type does, 32 features at a time. */
static void fill_bytes(const struct way ways[2], size_t features, uint32_t *tile, uint32_t ret_squares[2])
{
    struct squares squares = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    size_t feature = 0;
    for (; feature + 2 * LANES <= features; feature += 2 * LANES) {
        __m512i first = wide_bytes((const uint8_t *)ways[0].row + feature);
        __m512i second = wide_bytes((const uint8_t *)ways[1].row + feature);
        uint32_t *group = tile + feature * PRIVATE_KERNEL_SPACING;
        _mm512_store_si512(group, _mm512_unpacklo_epi16(first, second));
        _mm512_store_si512(group + PRIVATE_KERNEL_SPACING * LANES, _mm512_unpackhi_epi16(first, second));
        squares.first = _mm512_add_epi32(squares.first, _mm512_madd_epi16(first, first));
        squares.second = _mm512_add_epi32(squares.second, _mm512_madd_epi16(second, second));
    }
    for (; feature < features; feature += LANES)
        fill_group(MATRIX_BYTES, false, ways, feature, tail_mask(features - feature), tile, &squares);
    ret_squares[0] = (uint32_t)_mm512_reduce_add_epi32(squares.first);
    ret_squares[1] = (uint32_t)_mm512_reduce_add_epi32(squares.second);
}

static void avx512_fill(enum matrix_type type, const void *const rows[2], const int exponents[2],
                        size_t features, uint32_t *tile, uint32_t ret_squares[2])
{
    if (rows[0] == NULL || rows[1] == NULL) { /* rare */
        private_kernel_plain.fill(type, rows, exponents, features, tile, ret_squares);
        return;
    }
    const struct way ways[2] = {way_of(rows[0], exponents[0]), way_of(rows[1], exponents[1])};
    if (type == MATRIX_FLOAT32)
        fill_type(MATRIX_FLOAT32, false, ways, features, tile, ret_squares);
    else if (exponents[0] == 0 && exponents[1] == 0)
        fill_bytes(ways, features, tile, ret_squares);
    else
        fill_type(MATRIX_BYTES, true, ways, features, tile, ret_squares);
}

static void avx512_multiply(const uint32_t *tile, const uint32_t *delta, size_t pairs, size_t feature_stride,
                            size_t classes, size_t class_stride, int64_t *sum)
{
    multiply(tile, delta, pairs, feature_stride, classes, class_stride, sum);
}

static double avx512_norm(const float *delta, size_t class_stride)
{
    __m512d sum = _mm512_setzero_pd();
    for (size_t c = 0; c < class_stride; c += 8) {
        __m512d value = _mm512_cvtps_pd(_mm256_loadu_ps(delta + c));
        sum = _mm512_add_pd(sum, _mm512_mul_pd(value, value));
    }
    __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(sum), _mm512_extractf64x4_pd(sum, 1));
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

/* Eight deltas in integers. */
KERNEL_INLINE __m256i quantised_deltas(__m256 delta, __m512d factor)
{
    __m512d value = _mm512_mul_pd(_mm512_cvtps_pd(delta), factor);
    value = _mm512_min_pd(value, _mm512_set1_pd(INT16_MAX));
    value = _mm512_max_pd(value, _mm512_set1_pd(-INT16_MAX));
    return _mm512_cvttpd_epi32(value);
}

static uint64_t avx512_quantise(const float *delta, double factor, size_t class_stride, int32_t *ret_delta)
{
    __m512d factors = _mm512_set1_pd(factor);
    __m512i squares = _mm512_setzero_si512();
    for (size_t c = 0; c < class_stride; c += LANES) {
        __m256i low = quantised_deltas(_mm256_loadu_ps(delta + c), factors);
        __m256i high = quantised_deltas(_mm256_loadu_ps(delta + c + 8), factors);
        __m512i all = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
        __m512i odd = _mm512_srli_epi64(all, 32);
        _mm512_storeu_si512(ret_delta + c, all);
        squares = _mm512_add_epi64(squares, _mm512_mul_epi32(all, all));
        squares = _mm512_add_epi64(squares, _mm512_mul_epi32(odd, odd));
    }
    return (uint64_t)_mm512_reduce_add_epi64(squares);
}

static bool avx512_narrow(const double *values, size_t n, float *ret_values)
{
    return private_kernel_narrow(values, n, ret_values);
}

static void avx512_advance(const struct private_advance *advance, size_t n, const int64_t *sum,
                           double *velocity, double *parameters)
{
    private_kernel_advance(advance, n, sum, velocity, parameters);
}

const struct private_kernel private_kernel_avx512 = {
    .isa = KERNEL_AVX512,
    .squares = avx512_squares,
    .fill = avx512_fill,
    .norm = avx512_norm,
    .quantise = avx512_quantise,
    .multiply = avx512_multiply,
    .narrow = avx512_narrow,
    .advance = avx512_advance,
};

const struct private_kernel private_kernel_vnni = {
    .isa = KERNEL_AVX512,
    .squares = avx512_squares,
    .fill = avx512_fill,
    .norm = avx512_norm,
    .quantise = avx512_quantise,
    .multiply = private_kernel_multiply_vnni,
    .narrow = avx512_narrow,
    .advance = avx512_advance,
};
