#include "learning/kernel.h"

const struct kernel *kernel_select(enum kernel_isa isa)
{
    switch (isa) {
    case KERNEL_PLAIN:
        return &kernel_plain;
#if defined(__x86_64__)
    case KERNEL_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &kernel_avx2 : NULL;
    case KERNEL_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
                   ? &kernel_avx512
                   : NULL;
#else
    case KERNEL_AVX2:
    case KERNEL_AVX512:
        return NULL;
#endif
    case KERNEL_BLAS:
        return &kernel_blas;
    }
    return NULL;
}

const struct kernel *kernel_best(void)
{
    const struct kernel *kernel = kernel_select(KERNEL_AVX512);
    if (kernel == NULL)
        kernel = kernel_select(KERNEL_AVX2);
    return kernel == NULL ? &kernel_plain : kernel;
}

void kernel_descend_in_two(const struct kernel *kernel, const struct kernel_batch *batch, const float *delta,
                           const struct kernel_descent *descent)
{
    kernel->backward(batch, delta, descent->gradient);
    kernel_step_model(kernel, batch->classes, batch->feature_stride, descent);
}

void kernel_step_model(const struct kernel *kernel, size_t classes, size_t feature_stride,
                       const struct kernel_descent *descent)
{
    size_t coefficients = classes * feature_stride;
    kernel->step(descent->model, descent->velocity, descent->gradient, coefficients, descent->rate,
                 descent->momentum, descent->l2);
    kernel->step(descent->model + coefficients, descent->velocity + coefficients,
                 descent->gradient + coefficients, kernel_pad(classes), descent->rate, descent->momentum,
                 0.0F);
}

const struct kernel *kernel_for_classes(size_t classes)
{
    return classes >= KERNEL_BLAS_CLASSES ? &kernel_blas : kernel_best();
}

const char *kernel_isa_name(enum kernel_isa isa)
{
    switch (isa) {
    case KERNEL_PLAIN:
        return "plain";
    case KERNEL_AVX2:
        return "avx2";
    case KERNEL_AVX512:
        return "avx512";
    case KERNEL_BLAS:
        return "blas";
    }
    return "unknown";
}
