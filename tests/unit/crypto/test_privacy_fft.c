/* The transform against its definition, and the bound on its error. */
#include "crypto/privacy_fft.h"

#include "scratch.h"

#include <math.h>
#include <stdlib.h>

/* A fixed sequence over -1 to 1. */
static double next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ldexp((double)(*seed >> 11), -52) - 1;
}

static size_t reversed(size_t k, size_t size)
{
    size_t turned = 0;
    for (size_t bit = 1; bit < size; bit *= 2) {
        turned = turned * 2 + (k & 1);
        k /= 2;
    }
    return turned;
}

/* By the definition, in long double. */
static void defined(const struct privacy_complex *values, size_t size, size_t k, long double *ret_re,
                    long double *ret_im)
{
    long double re = 0, im = 0;
    for (size_t n = 0; n < size; n++) {
        long double angle =
            -2 * 3.14159265358979323846264338327950288L * (long double)(n * k % size) / (long double)size;
        re += values[n].re * cosl(angle) - values[n].im * sinl(angle);
        im += values[n].re * sinl(angle) + values[n].im * cosl(angle);
    }
    *ret_re = re;
    *ret_im = im;
}

static void test_privacy_fft_forward_agrees_with_the_definition(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (size_t size = 2; size <= 512; size *= 2) {
        struct privacy_fft *fft = NULL;
        struct privacy_complex values[512], given[512];
        double sum = 0;
        succeeds(privacy_fft_new(size, &fft));
        for (size_t n = 0; n < size; n++) {
            given[n] = values[n] = (struct privacy_complex){next(&seed), next(&seed)};
            sum += hypot(values[n].re, values[n].im);
        }
        privacy_fft_forward(fft, values);
        for (size_t k = 0; k < size; k++) {
            long double re, im;
            defined(given, size, k, &re, &im);
            struct privacy_complex got = values[reversed(k, size)];
            assert_true(hypotl(got.re - re, got.im - im) <= sum * privacy_fft_error(fft));
        }
        privacy_fft_free(fft);
    }
}

/* 2^16 points there and back; the bound of both ways together. */
static void test_privacy_fft_inverse_gives_back_what_was_given(void **state)
{
    (void)state;
    const size_t size = 1 << 16;
    uint64_t seed = 2;
    struct privacy_fft *fft = NULL;
    struct privacy_complex *values = calloc(size, sizeof *values);
    struct privacy_complex *given = calloc(size, sizeof *given);
    double sum = 0, forward = 0;
    assert_non_null(values);
    assert_non_null(given);
    succeeds(privacy_fft_new(size, &fft));
    for (size_t n = 0; n < size; n++) {
        given[n] = values[n] = (struct privacy_complex){next(&seed), next(&seed)};
        sum += hypot(values[n].re, values[n].im);
    }
    privacy_fft_forward(fft, values);
    for (size_t n = 0; n < size; n++)
        forward += hypot(values[n].re, values[n].im);
    privacy_fft_inverse(fft, values);
    double bound = privacy_fft_error(fft) * (sum + forward / (double)size);
    for (size_t n = 0; n < size; n++)
        assert_true(hypot(values[n].re - given[n].re, values[n].im - given[n].im) <= bound);
    privacy_fft_free(fft);
    free(values);
    free(given);
}

static void test_privacy_fft_other_sizes_are_refused(void **state)
{
    static const size_t sizes[] = {0, 1, 3, 6, 1000, ((size_t)1 << 24) + 1, (size_t)1 << 25};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct privacy_fft *fft = NULL;
        fails_saying(privacy_fft_new(sizes[i], &fft), ERROR_INVALID, "a power of two");
        assert_null(fft);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_privacy_fft_forward_agrees_with_the_definition),
        cmocka_unit_test(test_privacy_fft_inverse_gives_back_what_was_given),
        cmocka_unit_test(test_privacy_fft_other_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
