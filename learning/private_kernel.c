#include "learning/private_kernel.h"

static float plain_squares(enum matrix_type type, const void *row, size_t features)
{
    if (type == MATRIX_BYTES) {
        const uint8_t *bytes = row;
        uint64_t sum = 0;
        for (size_t j = 0; j < features; j++)
            sum += (uint64_t)bytes[j] * bytes[j];
        return (float)sum;
    }
    const float *values = row;
    float lanes[PRIVATE_KERNEL_SQUARES] = {0};
    size_t whole = features / PRIVATE_KERNEL_SQUARES * PRIVATE_KERNEL_SQUARES;
    for (size_t j = 0; j < whole; j += PRIVATE_KERNEL_SQUARES)
        for (size_t lane = 0; lane < PRIVATE_KERNEL_SQUARES; lane++)
            lanes[lane] += values[j + lane] * values[j + lane];
    for (size_t j = whole; j < features; j++)
        lanes[j - whole] += values[j] * values[j];
    return private_kernel_total(lanes);
}

KERNEL_INLINE int32_t quantised(enum matrix_type type, const void *row, size_t feature, int exponent,
                                float power)
{
    if (type == MATRIX_FLOAT32)
        return (int32_t)(((const float *)row)[feature] * power);
    int32_t byte = ((const uint8_t *)row)[feature];
    return exponent >= 0 ? byte << exponent : exponent < -8 ? 0 : byte >> -exponent;
}

/* One half of the words: shift 0 for the first row, 16 for the second. */
static uint32_t plain_fill_row(enum matrix_type type, const void *row, int exponent, size_t features,
                               unsigned shift, uint32_t *tile)
{
    float power = private_kernel_power(exponent);
    uint32_t squares = 0;
    for (size_t j = 0; j < features; j++) {
        int32_t value = row == NULL ? 0 : quantised(type, row, j, exponent, power);
        uint32_t *word = &tile[j / KERNEL_LANES * PRIVATE_KERNEL_SPACING * KERNEL_LANES + j % KERNEL_LANES];
        *word = shift == 0 ? ((uint32_t)value & 0xffffU) : (*word | (uint32_t)value << shift);
        squares += (uint32_t)(value * value);
    }
    return squares;
}

static void plain_fill(enum matrix_type type, const void *const rows[2], const int exponents[2],
                       size_t features, uint32_t *tile, uint32_t ret_squares[2])
{
    for (unsigned half = 0; half < 2; half++)
        ret_squares[half] = plain_fill_row(type, rows[half], exponents[half], features, 16 * half, tile);
}

KERNEL_INLINE int32_t low(uint32_t word)
{
    return (int16_t)(uint16_t)(word & 0xffffU);
}

KERNEL_INLINE int32_t high(uint32_t word)
{
    return (int16_t)(uint16_t)(word >> 16);
}

static void plain_multiply(const uint32_t *tile, const uint32_t *delta, size_t pairs, size_t feature_stride,
                           size_t classes, size_t class_stride, int64_t *sum)
{
    for (size_t j = 0; j < feature_stride; j += KERNEL_LANES) {
        const uint32_t *group = tile + j * PRIVATE_KERNEL_SPACING;
        for (size_t c = 0; c < classes; c++) {
            int32_t total[KERNEL_LANES] = {0};
            for (size_t p = 0; p < pairs; p++) {
                int32_t first = low(delta[p * class_stride + c]);
                int32_t second = high(delta[p * class_stride + c]);
                for (size_t lane = 0; lane < KERNEL_LANES; lane++)
                    total[lane] += first * low(group[p * KERNEL_LANES + lane]) +
                                   second * high(group[p * KERNEL_LANES + lane]);
            }
            for (size_t lane = 0; lane < KERNEL_LANES; lane++)
                sum[c * feature_stride + j + lane] += total[lane];
        }
    }
}

static double plain_norm(const float *delta, size_t class_stride)
{
    return private_kernel_norm(delta, class_stride);
}

static uint64_t plain_quantise(const float *delta, double factor, size_t class_stride, int32_t *ret_delta)
{
    return private_kernel_quantise(delta, factor, class_stride, ret_delta);
}

static bool plain_narrow(const double *values, size_t n, float *ret_values)
{
    return private_kernel_narrow(values, n, ret_values);
}

static void plain_advance(const struct private_advance *advance, size_t n, const int64_t *sum,
                          double *velocity, double *parameters)
{
    private_kernel_advance(advance, n, sum, velocity, parameters);
}

const struct private_kernel private_kernel_plain = {
    .isa = KERNEL_PLAIN,
    .squares = plain_squares,
    .fill = plain_fill,
    .norm = plain_norm,
    .quantise = plain_quantise,
    .multiply = plain_multiply,
    .narrow = plain_narrow,
    .advance = plain_advance,
};

const struct private_kernel *private_kernel_select(enum kernel_isa isa)
{
    switch (isa) {
    case KERNEL_PLAIN:
        return &private_kernel_plain;
#if defined(__x86_64__)
    case KERNEL_AVX2:
        return kernel_select(isa) == NULL ? NULL : &private_kernel_avx2;
    case KERNEL_AVX512:
        if (kernel_select(isa) == NULL)
            return NULL;
        return __builtin_cpu_supports("avx512vnni") ? &private_kernel_vnni : &private_kernel_avx512;
#else
    case KERNEL_AVX2:
    case KERNEL_AVX512:
        return NULL;
#endif
    case KERNEL_BLAS:
        return NULL;
    }
    return NULL;
}

const struct private_kernel *private_kernel_best(void)
{
    return private_kernel_select(kernel_best()->isa);
}
