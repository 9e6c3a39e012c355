/* The inner loops of private sums, in integers, once per instruction set. Internal to this room.
 *
 * Rows become int16 and meet int16 deltas: the processor multiplies pairs of them and adds the two products in int32, as
 * fast as float32 and exactly. Every product is at most 2^PRIVATE_KERNEL_BITS (private_sum.c checks it, row by row), so
 * the PRIVATE_KERNEL_ROWS rows of a block stay below 2^31 and are then added to int64. All kernels give the same bits.
 *
 *     block  at most PRIVATE_KERNEL_ROWS rows: 2·p of them, two beside each other in a pair
 *     words  one of a pair: the first row's int16 in the low half, the second row's in the high half
 *     tile   [groups of KERNEL_LANES features × PRIVATE_KERNEL_SPACING × KERNEL_LANES] words, so that one group of all pairs
 *            lies together, and one pair of all groups not 4096 bytes apart, where they would push each other out of the
 *            cache: word of pair p, feature j = tile[(j / LANES · SPACING + p) · LANES + j % LANES]
 *     delta  [PRIVATE_KERNEL_PAIRS × K] words, K as in kernel.h
 *     sum    [k × F], F a multiple of KERNEL_LANES */
#pragma once

#include "learning/kernel.h"

#define PRIVATE_KERNEL_BITS 23
#define PRIVATE_KERNEL_PAIRS 64
#define PRIVATE_KERNEL_SPACING (PRIVATE_KERNEL_PAIRS + 1)
#define PRIVATE_KERNEL_ROWS (2 * PRIVATE_KERNEL_PAIRS)

/* Factors of a step. */
struct private_advance {
    double unit; /* of one step of the grid, in the gradient */
    double l2, momentum, rate;
};

struct private_kernel {
    enum kernel_isa isa;

    /* The sum of the squares of the stored elements (bytes as 0 to 255), rounded to float32; in one order, the same in
     * all kernels. Not finite when an element is not, or when it is too large. */
    float (*squares)(enum matrix_type type, const void *row, size_t features);

    /* The words of one pair for its features: trunc(stored element · 2^exponent). The caller has seen to it that the
     * squares of a row then add up to less than 2^29 and none is above 2^28. A row that is NULL gives zeros. `tile` is that of pair 0, moved on
     * by pair · KERNEL_LANES. Sets the exact sums of the squares. */
    void (*fill)(enum matrix_type type, const void *const rows[2], const int exponents[2], size_t features,
                 uint32_t *tile, uint32_t ret_squares[2]);

    /* The sum of the squares of [K] deltas: 8 lanes, as squares has 64. */
    double (*norm)(const float *delta, size_t class_stride);

    /* delta · factor, toward zero and at most 2^15 - 1 in size, [K]; returns the sum of the squares. */
    uint64_t (*quantise)(const float *delta, double factor, size_t class_stride, int32_t *ret_delta);

    /* sum += deltaᵀ · rows over the first `pairs` pairs. */
    void (*multiply)(const uint32_t *tile, const uint32_t *delta, size_t pairs, size_t feature_stride,
                     size_t classes, size_t class_stride, int64_t *sum);

    /* Numbers in single precision; false when one is not finite there. */
    bool (*narrow)(const double *values, size_t n, float *ret_values);

    /* A step from sums, in float64 (private_step.h), over n values. */
    void (*advance)(const struct private_advance *advance, size_t n, const int64_t *sum, double *velocity,
                    double *parameters);
};

/* The fastest that this processor has. Never NULL. */
const struct private_kernel *private_kernel_best(void);

/* Those of one instruction set; NULL when this processor or this build lacks it. KERNEL_BLAS has none. */
const struct private_kernel *private_kernel_select(enum kernel_isa isa);

/* Lane l of 64 holds the squares of elements l, l + 64, …; halves are added to each other until one is left. */
#define PRIVATE_KERNEL_SQUARES 64
static inline float private_kernel_total(float lanes[static PRIVATE_KERNEL_SQUARES])
{
    for (size_t half = PRIVATE_KERNEL_SQUARES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            lanes[i] += lanes[i + half];
    return lanes[0];
}

/* 2^exponent; exponent -100 to 100. */
static inline float private_kernel_power(int exponent)
{
    uint32_t bits = (uint32_t)(127 + exponent) << 23;
    float power;
    __builtin_memcpy(&power, &bits, sizeof(power));
    return power;
}

/* What every norm is made of. */
KERNEL_INLINE double private_kernel_norm(const float *delta, size_t class_stride)
{
    double lanes[8] = {0.0};
    for (size_t c = 0; c < class_stride; c += 8)
        for (size_t lane = 0; lane < 8; lane++)
            lanes[lane] += (double)delta[c + lane] * (double)delta[c + lane];
    for (size_t half = 4; half > 0; half /= 2)
        for (size_t lane = 0; lane < half; lane++)
            lanes[lane] += lanes[lane + half];
    return lanes[0];
}

/* What every quantise is made of; delta and factor are finite. */
KERNEL_INLINE uint64_t private_kernel_quantise(const float *restrict delta, double factor,
                                               size_t class_stride, int32_t *restrict ret_delta)
{
    uint64_t squares = 0;
    for (size_t c = 0; c < class_stride; c += KERNEL_LANES) {
        uint32_t lanes[KERNEL_LANES];
        for (size_t lane = 0; lane < KERNEL_LANES; lane++) {
            double value = (double)delta[c + lane] * factor;
            value = value < INT16_MAX ? value : INT16_MAX;
            value = value > -INT16_MAX ? value : -INT16_MAX;
            int32_t whole = (int32_t)value;
            ret_delta[c + lane] = whole;
            lanes[lane] = (uint32_t)(whole * whole);
        }
        for (size_t lane = 0; lane < KERNEL_LANES; lane++)
            squares += lanes[lane];
    }
    return squares;
}

/* What every narrow is made of. */
KERNEL_INLINE bool private_kernel_narrow(const double *restrict values, size_t n, float *restrict ret_values)
{
    uint64_t wrong = 0;
    for (size_t i = 0; i < n; i++) {
        ret_values[i] = (float)values[i];
        wrong |= !(__builtin_fabs(values[i]) <= (double)__FLT_MAX__);
    }
    return wrong == 0;
}

/* What every advance is made of: each number by itself, nothing contracted, so that vectors of any width give the same bits. */
KERNEL_INLINE void private_kernel_advance(const struct private_advance *advance, size_t n, const int64_t *sum,
                                          double *restrict velocity, double *restrict parameters)
{
    const struct private_advance by = *advance;
    for (size_t i = 0; i < n; i++) {
        double gradient = (double)sum[i] * by.unit + by.l2 * parameters[i];
        double speed = by.momentum * velocity[i] + gradient;
        velocity[i] = speed;
        parameters[i] -= by.rate * speed;
    }
}

extern const struct private_kernel private_kernel_plain;
#if defined(__x86_64__)
extern const struct private_kernel private_kernel_avx2;
extern const struct private_kernel private_kernel_avx512;
void private_kernel_multiply_vnni(const uint32_t *tile, const uint32_t *delta, size_t pairs,
                                  size_t feature_stride, size_t classes, size_t class_stride, int64_t *sum);
extern const struct private_kernel
    private_kernel_vnni; /* AVX-512 with the instruction that multiplies and adds pairs at once */
#endif
