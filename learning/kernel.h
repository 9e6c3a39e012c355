/* The inner loops of softmax regression in float32, once per instruction set. Internal to this room.
 *
 * Legend: b rows of a batch (at most KERNEL_BLOCK_ROWS), d features, k classes; D = d and K = k rounded up to
 * KERNEL_LANES. Arrays written by the room are aligned to 64 bytes and their padding is zero.
 *
 *     rows       b pointers to d bytes or d floats   as they lie in the caller's array
 *     coef       [k × D]     coef[c * D + j]
 *     intercept  [K]
 *     logits     [b × K]     logits[i * K + c]; becomes delta in place
 *     gradient   [k × D + K]: of coef, then of intercept
 *
 * Lanes run along the features, so that a batch costs b·d·k multiply-adds each way and no lane is spent on
 * padding of the classes; two rows by ten classes (AVX-512) keep their sums in registers. Bytes become floats
 * in the register and their 1/255 is applied to the finished sums. Our own kernels add up a row in one order,
 * whatever the batch; OpenBLAS may not. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "learning/matrix.h"

#define KERNEL_LANES 16
#define KERNEL_ALIGNMENT 64
#define KERNEL_BLOCK_ROWS 256

/* Unrolls the short loops over a tile, whose bounds are constants after inlining, so that sums live in
 * registers. */
#if defined(__clang__)
#define KERNEL_UNROLL _Pragma("unroll")
#else
#define KERNEL_UNROLL _Pragma("GCC unroll 32")
#endif
#define KERNEL_INLINE static inline __attribute__((always_inline))

/* Instruction sets from slowest to fastest, then OpenBLAS, which brings its own. */
enum kernel_isa { KERNEL_PLAIN, KERNEL_AVX2, KERNEL_AVX512, KERNEL_BLAS };

/* From this many classes on, turning a batch into one matrix of floats and multiplying it with OpenBLAS
 * measures faster than the kernels here; below, three times slower at 10 classes and level at 100. */
#define KERNEL_BLAS_CLASSES 128

struct kernel_batch {
    enum matrix_type type;
    const void *const
        *rows;    /* count pointers, then `ahead` more that will be wanted next: prefetched, not read */
    size_t count; /* b */
    size_t ahead;
    size_t features;       /* d */
    size_t classes;        /* k */
    size_t feature_stride; /* D */
    size_t class_stride;   /* K */
    float *tile;           /* [count × D], scratch of KERNEL_BLAS, which alone reads it */
};

/* What descend works on. */
struct kernel_descent {
    float *model;    /* [k × D + K]: coef, then intercept */
    float *velocity; /* the same layout */
    float *gradient; /* the same layout, scratch */
    float rate, momentum, l2;
};

struct kernel {
    enum kernel_isa isa;
    const char *name;

    /* logits = rows · coefᵀ + intercept; padding of logits is left as it is. */
    void (*forward)(const struct kernel_batch *batch, const float *coef, const float *intercept,
                    float *logits);

    /* logits -> delta = (softmax(logits) - onehot(label)) · weight; padding becomes 0. Returns the sum over
     * the batch of the cross-entropies (natural logarithm, not weighted). Not finite when a logit is not.
     * labels[i] < k. */
    double (*softmax)(const struct kernel_batch *batch, const uint16_t *labels, float weight, float *logits);

    /* gradient = deltaᵀ · rows, then the column sums of delta; overwrites it, padding of features apart. */
    void (*backward)(const struct kernel_batch *batch, const float *delta, float *gradient);

    /* One step of gradient descent with the gradient that delta gives, in place, without writing the gradient
     * down where that is faster (small batches are bound by memory): velocity = momentum · velocity +
     * gradient + l2 · coef (no l2 on the intercept);  model -= rate · velocity With momentum 0 the velocity
     * is neither read nor written. Spoils descent->gradient. */
    void (*descend)(const struct kernel_batch *batch, const float *delta,
                    const struct kernel_descent *descent);

    /* The same step from a gradient that is written down, over n values (a multiple of KERNEL_LANES). */
    void (*step)(float *value, float *velocity, const float *gradient, size_t n, float rate, float momentum,
                 float l2);
};

/* The kernels of one instruction set; NULL when this processor or this build lacks it. */
const struct kernel *kernel_select(enum kernel_isa isa);

/* The fastest kernels of our own that this processor has. Never NULL. */
const struct kernel *kernel_best(void);

/* What to use for models of this many classes: kernel_best or KERNEL_BLAS. Never NULL. */
const struct kernel *kernel_for_classes(size_t classes);

/* Holds OpenBLAS, in the whole process, to one thread, without which its sums could depend on the number of
 * processors. Comes before the first use of KERNEL_BLAS; may be repeated. */
void kernel_blas_prepare(void);

/* kernel->step over a whole model, from descent->gradient. */
void kernel_step_model(const struct kernel *kernel, size_t classes, size_t feature_stride,
                       const struct kernel_descent *descent);

/* descend as backward and then step, for kernels that have nothing faster. */
void kernel_descend_in_two(const struct kernel *kernel, const struct kernel_batch *batch, const float *delta,
                           const struct kernel_descent *descent);

/* "plain", "avx2", "avx512", "blas". */
const char *kernel_isa_name(enum kernel_isa isa);

/* size rounded up to a multiple of KERNEL_LANES. */
static inline size_t kernel_pad(size_t size)
{
    return (size + KERNEL_LANES - 1) / KERNEL_LANES * KERNEL_LANES;
}

/* Factor between a stored element and its value. */
static inline float kernel_scale(enum matrix_type type)
{
    return type == MATRIX_BYTES ? 1.0F / 255.0F : 1.0F;
}

/* The tables behind kernel_select, each compiled with the flags of its own instruction set. */
extern const struct kernel kernel_plain;
extern const struct kernel kernel_blas;
#if defined(__x86_64__)
extern const struct kernel kernel_avx2;
extern const struct kernel kernel_avx512;
#endif
