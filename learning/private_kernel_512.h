/* multiply of private_kernel.h in vectors of 512 bits: the text of two kernels, which differ in PAIR_SUM(total, words, factor),
 * total + the sums of the products of pairs. A file that has one instruction for it defines it before it includes this. Empty
 * where the compiler may not use AVX-512. Internal to this room. */
#pragma once

#include "learning/private_kernel.h"

#if defined(__AVX512BW__)
#include <immintrin.h>

#ifndef PAIR_SUM
#define PAIR_SUM(total, words, factor) _mm512_add_epi32(total, _mm512_madd_epi16(words, factor))
#endif

#define LANES KERNEL_LANES
#define TILE 10 /* classes: two vectors of 10 sums, two of words and one delta fit the 32 registers */

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
            words[w] = _mm512_load_si512(tile + (w * PRIVATE_KERNEL_SPACING + p) * LANES);
        KERNEL_UNROLL
        for (size_t c = 0; c < tile_classes; c++) {
            __m512i factor = _mm512_set1_epi32((int)delta[p * class_stride + c]);
            KERNEL_UNROLL
            for (size_t w = 0; w < width; w++)
                total[w][c] = PAIR_SUM(total[w][c], words[w], factor);
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
        multiply_tile(tile + feature * PRIVATE_KERNEL_SPACING, delta, pairs, 2, tile_classes, class_stride,
                      feature_stride, sum + feature);
    if (feature < feature_stride)
        multiply_tile(tile + feature * PRIVATE_KERNEL_SPACING, delta, pairs, 1, tile_classes, class_stride,
                      feature_stride, sum + feature);
}

KERNEL_INLINE void multiply(const uint32_t *tile, const uint32_t *delta, size_t pairs, size_t feature_stride,
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
#endif
