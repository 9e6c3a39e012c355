/* The samplers against the exact masses: the fast one small, where every mass can be counted, and at its two levels; the exact
 * one; and samplers that are wrong, which the same checks find. Streams are known, so the outcome is the same every time. */
#include "crypto/noise_parts.h"

#include "noise_given.h"
#include "sampling.h"
#include "scratch.h"

#include <math.h>
#include <stdlib.h>

#define COUNT ((size_t)300000)

static int64_t *values;

static int allocate(void **state)
{
    (void)state;
    values = calloc(COUNT, sizeof(*values));
    return values == NULL;
}

static int give_back(void **state)
{
    (void)state;
    free(values);
    return 0;
}

static struct noise *source_of(uint64_t seed)
{
    struct noise *source = NULL;
    noise_given_seed(seed);
    succeeds(noise_open(&source));
    noise_given_none();
    memset(values, 0, COUNT * sizeof(*values));
    return source;
}

/* The parameter of the convolution of a table of 2^log at 2^stride. */
static double parameter(unsigned log, unsigned stride)
{
    double z2 = ldexp(1, (int)(2 * stride));
    return ldexp(1, (int)(2 * log)) * (1 + z2 + z2 * z2);
}

static void fill_small(uint64_t seed, unsigned log, unsigned stride)
{
    struct noise *source = source_of(seed);
    struct noise_table *table = malloc(sizeof(*table));
    noise_table_make(log, table);
    succeeds(noise_convolve(source, table, stride, values, COUNT));
    free(table);
    noise_close(source);
}

static void fill_exact(uint64_t seed, uint64_t numerator, uint64_t denominator, size_t count)
{
    struct noise *source = source_of(seed);
    for (size_t i = 0; i < count; i++)
        succeeds(noise_gaussian_exact(source, numerator, denominator, &values[i]));
    noise_close(source);
}

static void no_fault(const char *fault)
{
    if (fault != NULL)
        fail_msg("the samples are wrong: %s", fault);
}

/* The ratio of deviation and stride is that of NOISE_LOCAL in the first and the last, of NOISE_SHARE in the second. */
static void test_noise_convolve_small_has_the_exact_masses(void **state)
{
    (void)state;
    static const struct {
        unsigned log, stride;
    } sizes[] = {{2, 1}, {3, 1}, {3, 2}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fill_small(100 + i, sizes[i].log, sizes[i].stride);
        no_fault(sampling_fault(values, COUNT, parameter(sizes[i].log, sizes[i].stride)));
    }
}

static void test_noise_gaussian_levels_look_gaussian_to_the_last_bit(void **state)
{
    (void)state;
    static const enum noise_level levels[] = {NOISE_LOCAL, NOISE_SHARE};
    for (size_t i = 0; i < 2; i++) {
        struct noise *source = source_of(200 + i);
        double sigma = noise_sigma(levels[i]);
        succeeds(noise_gaussian(source, levels[i], values, COUNT));
        no_fault(sampling_fault_large(values, COUNT, sigma * sigma, 24));
        noise_close(source);
    }
}

static int64_t value_of(const struct noise_table *table, uint32_t word)
{
    noise_wide least = (noise_wide)(word >> 1) << 96, most = least + (((noise_wide)1 << 96) - 1);
    int64_t magnitude = noise_table_magnitude(table, least);
    assert_int_equal(noise_table_magnitude(table, most),
                     magnitude); /* no word of this stream needs more bits */
    return (word & 1) != 0 ? -magnitude : magnitude;
}

/* Sign and magnitude of each term are of different bits, and each bit is used once. */
static void test_noise_gaussian_is_what_96_bits_of_the_stream_say(void **state)
{
    (void)state;
    enum { FEW = 500 };
    uint32_t words[3 * FEW];
    static const enum noise_level levels[] = {NOISE_LOCAL, NOISE_SHARE};
    for (size_t k = 0; k < 2; k++) {
        struct noise *source = source_of(210), *twin = source_of(210);
        int64_t z = k == 0 ? 512 : 256;
        succeeds(noise_gaussian(source, levels[k], values, FEW));
        succeeds(noise_fill(twin, words, sizeof(words)));
        for (size_t i = 0; i < FEW; i++)
            assert_true(values[i] == value_of(twin->table, words[3 * i]) +
                                         z * (value_of(twin->table, words[3 * i + 1]) +
                                              z * value_of(twin->table, words[3 * i + 2])));
        noise_close(source);
        noise_close(twin);
    }
}

static void test_noise_gaussian_adds_modulo_2_to_64(void **state)
{
    (void)state;
    int64_t offset[300];
    struct noise *source = source_of(5);
    succeeds(noise_gaussian(source, NOISE_LOCAL, values, 300));
    noise_close(source);
    for (size_t i = 0; i < 300; i++)
        offset[i] = i % 3 == 0 ? INT64_MAX : i % 3 == 1 ? INT64_MIN : 42;
    noise_given_seed(5);
    succeeds(noise_open(&source));
    noise_given_none();
    succeeds(noise_gaussian(source, NOISE_LOCAL, offset, 300));
    for (size_t i = 0; i < 300; i++) {
        uint64_t before = (uint64_t)(i % 3 == 0 ? INT64_MAX : i % 3 == 1 ? INT64_MIN : 42);
        assert_true((uint64_t)offset[i] - before == (uint64_t)values[i]);
    }
    noise_close(source);
}

static void test_noise_gaussian_exact_has_the_exact_masses(void **state)
{
    (void)state;
    static const struct {
        uint64_t numerator, denominator;
    } ratios[] = {{336, 1}, {5, 2}, {1000, 7}};
    for (size_t i = 0; i < sizeof(ratios) / sizeof(ratios[0]); i++) {
        fill_exact(300 + i, ratios[i].numerator, ratios[i].denominator, COUNT / 3);
        no_fault(
            sampling_fault(values, COUNT / 3, (double)ratios[i].numerator / (double)ratios[i].denominator));
    }
}

/* The two samplers have one distribution: at the parameter of NOISE_LOCAL both pass the same checks. */
static void test_noise_gaussian_exact_large_looks_gaussian_to_the_last_bit(void **state)
{
    (void)state;
    uint64_t variance = ((uint64_t)1 << 56) + ((uint64_t)1 << 38) + ((uint64_t)1 << 20);
    assert_true((double)variance == parameter(10, 9));
    fill_exact(310, variance, 1, COUNT / 3);
    no_fault(sampling_fault_large(values, COUNT / 3, (double)variance, 24));
}

/* Probabilities, moments and tails by IBM's discrete-gaussian-differential-privacy: first the masses of the checks
 * themselves, then the sampler. */
static void test_noise_gaussian_exact_agrees_with_the_reference(void **state)
{
    (void)state;
    static const struct {
        uint64_t numerator, denominator;
        double p0, p1, variance, fourth, tail;
    } rows[] = {
        {1, 4, 0.786570707042, 0.106450769423, 0.215012675088, 0.221347161969, 0.213429292958},
        {10, 1, 0.126156626101, 0.120003894843, 10.0, 300.0, 0.03900922321},
        {5, 2, 0.252313252202, 0.206576618987, 2.5, 18.75, 0.0243760051891},
    };
    for (size_t i = 0; i < 3; i++) {
        double sigma2 = (double)rows[i].numerator / (double)rows[i].denominator;
        uint64_t zeros = 0, ones = 0, far = 0, count = COUNT / 3;
        assert_true(fabs(sampling_mass(sigma2, 0) / rows[i].p0 - 1) < 1e-8);
        assert_true(fabs(sampling_mass(sigma2, 1) / rows[i].p1 - 1) < 1e-8);
        assert_true(fabs(sampling_moment(sigma2, 2) / rows[i].variance - 1) < 1e-8);
        assert_true(fabs(sampling_moment(sigma2, 4) / rows[i].fourth - 1) < 1e-8);
        assert_true(fabs(sampling_tail(sigma2, 2 * sqrt(sigma2)) / rows[i].tail - 1) < 1e-8);
        fill_exact(320 + i, rows[i].numerator, rows[i].denominator, count);
        for (size_t k = 0; k < count; k++) {
            zeros += values[k] == 0;
            ones += values[k] == 1;
            far += (double)llabs(values[k]) >= 2 * sqrt(sigma2);
        }
        assert_true(sampling_wilson(zeros, count, rows[i].p0));
        assert_true(sampling_wilson(ones, count, rows[i].p1));
        assert_true(sampling_wilson(far, count, rows[i].tail));
    }
}

static void test_sampling_mass_gives_the_reference_deltas(void **state)
{
    (void)state;
    static const struct {
        double sigma2, epsilon;
        int64_t sensitivity;
        double delta;
    } rows[] = {{1, 1, 1, 0.141351339406}, {100, 0.5, 5, 0.0525030590607}, {9, 0.25, 1, 0.0493275118595}};
    for (size_t i = 0; i < 3; i++) {
        double delta = 0;
        for (int64_t x = -400; x <= 400; x++)
            delta +=
                fmax(0, sampling_mass(rows[i].sigma2, x) -
                            exp(rows[i].epsilon) * sampling_mass(rows[i].sigma2, x + rows[i].sensitivity));
        assert_true(fabs(delta / rows[i].delta - 1) < 1e-8);
    }
}

static void test_noise_gaussian_exact_extreme_ratios_are_drawn(void **state)
{
    (void)state;
    struct noise *source = source_of(7);
    uint64_t most = ((uint64_t)1 << 57) - 1;
    double squares = 0;
    int64_t value = 0;
    for (size_t i = 0; i < 2000; i++) {
        succeeds(noise_gaussian_exact(source, 1, most, &value));
        assert_true(value == 0);
        succeeds(noise_gaussian_exact(source, most, most, &value));
        assert_true(llabs(value) < 10);
        succeeds(noise_gaussian_exact(source, most, 1, &value));
        squares += (double)value * (double)value / (double)most;
    }
    assert_true(squares > 1600 && squares < 2400); /* 2000 give or take 63 */
    fails(noise_gaussian_exact(source, 0, 1, &value), ERROR_INVALID);
    fails(noise_gaussian_exact(source, 1, 0, &value), ERROR_INVALID);
    fails(noise_gaussian_exact(source, most + 1, 1, &value), ERROR_INVALID);
    fails(noise_gaussian_exact(source, 1, most + 1, &value), ERROR_INVALID);
    noise_close(source);
}

/* ---- samplers that are wrong ---- */

static void found(const char *fault, const char *expected)
{
    assert_non_null(fault);
    assert_string_equal(fault, expected);
}

static void test_sampling_fault_wrong_samplers_are_found(void **state)
{
    (void)state;
    uint64_t *words = calloc(COUNT, sizeof(*words));
    struct noise *source = NULL;
    double sigma2 = parameter(2, 1), double_zero = sampling_mass(sigma2, 0) / (1 + sampling_mass(sigma2, 0));
    fill_small(400, 2, 1); /* the deviation is a hundredth too large */
    found(sampling_fault(values, COUNT, sigma2 * 0.98), "variance");
    for (size_t i = 0; i < COUNT; i++)
        values[i] = llabs(values[i]);
    found(sampling_fault(values, COUNT, sigma2), "sign");
    source = source_of(401);
    succeeds(noise_words(source, words, COUNT));
    noise_close(source);
    fill_small(401, 2, 1);
    for (size_t i = 0; i < COUNT; i++)
        if (ldexp((double)words[i], -64) < double_zero)
            values[i] = 0;
    values[0] = 0;
    const char *fault = sampling_fault(values, COUNT, sigma2);
    assert_true(fault != NULL && (strcmp(fault, "zeros") == 0 || strcmp(fault, "variance") == 0));
    fill_small(402, 2, 1);
    for (size_t i = 0; i < COUNT; i++)
        values[i] = values[i] / 2 * 2; /* the lowest bit is not drawn */
    assert_non_null(sampling_fault(values, COUNT, sigma2));
    fill_small(403, 2, 1);
    for (size_t i = 0; i + 2 < COUNT; i += 50)
        values[i + 2] = values[i]; /* one in fifty is used twice */
    found(sampling_fault(values, COUNT, sigma2), "neighbours");
    fill_small(404, 2, 1);
    for (size_t i = 0; i < COUNT; i++)
        values[i] += i % 4 == 0;
    assert_non_null(sampling_fault(values, COUNT, sigma2));
    free(words);
}

static void test_sampling_fault_large_wrong_samplers_are_found(void **state)
{
    (void)state;
    struct noise *source = source_of(410);
    double sigma2 = noise_sigma(NOISE_LOCAL) * noise_sigma(NOISE_LOCAL);
    succeeds(noise_gaussian(source, NOISE_SHARE, values, COUNT));
    found(sampling_fault_large(values, COUNT, sigma2, 24), "variance");
    for (size_t i = 0; i < COUNT; i++)
        values[i] *= 4;
    found(sampling_fault_large(values, COUNT, sigma2, 24), "bits");
    memset(values, 0, COUNT * sizeof(*values));
    succeeds(noise_gaussian(source, NOISE_LOCAL, values, COUNT));
    for (size_t i = 0; i < COUNT; i += 40)
        values[i] = values[i] < 0 ? -(int64_t)sqrt(sigma2) : (int64_t)sqrt(sigma2);
    found(sampling_fault_large(values, COUNT, sigma2, 24), "masses");
    noise_close(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_noise_convolve_small_has_the_exact_masses),
        SCRATCH_TEST(test_noise_gaussian_levels_look_gaussian_to_the_last_bit),
        SCRATCH_TEST(test_noise_gaussian_is_what_96_bits_of_the_stream_say),
        SCRATCH_TEST(test_noise_gaussian_adds_modulo_2_to_64),
        SCRATCH_TEST(test_noise_gaussian_exact_has_the_exact_masses),
        SCRATCH_TEST(test_noise_gaussian_exact_large_looks_gaussian_to_the_last_bit),
        SCRATCH_TEST(test_noise_gaussian_exact_agrees_with_the_reference),
        SCRATCH_TEST(test_sampling_mass_gives_the_reference_deltas),
        SCRATCH_TEST(test_noise_gaussian_exact_extreme_ratios_are_drawn),
        SCRATCH_TEST(test_sampling_fault_wrong_samplers_are_found),
        SCRATCH_TEST(test_sampling_fault_large_wrong_samplers_are_found),
    };
    return cmocka_run_group_tests_name("noise_gaussian", tests, allocate, give_back);
}
