#include "learning/private_kernel.h"

#include <immintrin.h>

#define PAIR_SUM(total, words, factor) _mm512_dpwssd_epi32(total, words, factor)
#include "learning/private_kernel_512.h"

void private_kernel_multiply_vnni(const uint32_t *tile, const uint32_t *delta, size_t pairs,
                                  size_t feature_stride, size_t classes, size_t class_stride, int64_t *sum)
{
    multiply(tile, delta, pairs, feature_stride, classes, class_stride, sum);
}
