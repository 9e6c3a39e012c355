#include "learning/random.h"
#include "tests/unit/cmocka_all.h"

#include <math.h>

/* Known answers of the authors' Random123 package (kat_vectors, philox4x32 10). */
static void test_random_philox_known_answers_match(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], block[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        uint32_t block[4];
        random_philox(known[i].counter, known[i].key, block);
        assert_memory_equal(block, known[i].block, sizeof(block));
    }
}

static void test_random_streams_of_different_names_differ(void **state)
{
    (void)state;
    struct random streams[] = {
        random_stream(1, RANDOM_BATCH_ORDER, 0, 0),          random_stream(2, RANDOM_BATCH_ORDER, 0, 0),
        random_stream(1ULL << 32, RANDOM_BATCH_ORDER, 0, 0), random_stream(1, RANDOM_PARTITION, 0, 0),
        random_stream(1, RANDOM_BATCH_ORDER, 1, 0),          random_stream(1, RANDOM_BATCH_ORDER, 0, 1),
    };
    size_t count = sizeof(streams) / sizeof(streams[0]);
    uint32_t first[6];
    for (size_t i = 0; i < count; i++)
        first[i] = random_word(&streams[i]);
    for (size_t i = 0; i < count; i++)
        for (size_t j = i + 1; j < count; j++)
            assert_int_not_equal(first[i], first[j]);
}

static void test_random_same_name_repeats(void **state)
{
    (void)state;
    struct random a = random_stream(9, RANDOM_BATCH_ORDER, 3, 4);
    struct random b = random_stream(9, RANDOM_BATCH_ORDER, 3, 4);
    for (int i = 0; i < 100; i++)
        assert_int_equal(random_word(&a), random_word(&b));
}

static void test_random_below_stays_below_and_is_even(void **state)
{
    (void)state;
    struct random random = random_stream(5, RANDOM_PARTITION, 0, 0);
    unsigned counts[7] = {0};
    for (int i = 0; i < 70000; i++) {
        uint32_t value = random_below(&random, 7);
        assert_true(value < 7);
        counts[value]++;
    }
    for (int i = 0; i < 7; i++) /* 10000 expected, deviation 93 */
        assert_in_range(counts[i], 9500, 10500);
    assert_int_equal(random_below(&random, 1), 0);
}

/* Without rejection, three quarters of 2^32 would give every third value twice as often. */
static void test_random_below_a_large_bound_is_even(void **state)
{
    (void)state;
    struct random random = random_stream(6, RANDOM_PARTITION, 0, 0);
    unsigned counts[3] = {0};
    for (int i = 0; i < 30000; i++)
        counts[random_below(&random, 0xC0000000) % 3]++;
    for (int i = 0; i < 3; i++) /* 10000 expected, deviation 82 */
        assert_in_range(counts[i], 9500, 10500);
}

static void test_random_shuffle_keeps_every_value(void **state)
{
    (void)state;
    struct random random = random_stream(5, RANDOM_BATCH_ORDER, 0, 0);
    uint32_t values[1000];
    unsigned seen[1000] = {0};
    size_t moved = 0;
    for (uint32_t i = 0; i < 1000; i++)
        values[i] = i;
    random_shuffle(&random, values, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        seen[values[i]]++;
        moved += values[i] != i;
    }
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(seen[i], 1);
    assert_true(moved > 900);
}

static void test_random_uniform_stays_inside_and_is_centred(void **state)
{
    (void)state;
    struct random random = random_stream(11, RANDOM_INITIALISATION, 0, 0);
    double sum = 0.0;
    for (int i = 0; i < 100000; i++) {
        double value = random_uniform(&random);
        assert_true(value > 0.0 && value < 1.0);
        sum += value;
    }
    assert_true(fabs(sum / 100000.0 - 0.5) < 0.005);
}

static void test_random_normal_has_mean_zero_and_variance_one(void **state)
{
    (void)state;
    struct random random = random_stream(12, RANDOM_INITIALISATION, 0, 0);
    double sum = 0.0, squares = 0.0;
    for (int i = 0; i < 100000; i++) {
        double value = random_normal(&random);
        sum += value;
        squares += value * value;
    }
    assert_true(fabs(sum / 100000.0) < 0.016);
    assert_true(fabs(squares / 100000.0 - 1.0) < 0.025);
}

static void gamma_moments(double shape)
{
    struct random random = random_stream(13, RANDOM_PARTITION, 0, 0);
    double sum = 0.0, squares = 0.0;
    for (int i = 0; i < 100000; i++) {
        double value = exp(random_log_gamma(&random, shape));
        sum += value;
        squares += value * value;
    }
    double mean = sum / 100000.0;
    assert_true(fabs(mean / shape - 1.0) < 0.05);
    assert_true(fabs((squares / 100000.0 - mean * mean) / shape - 1.0) < 0.15);
}

static void test_random_gamma_has_mean_and_variance_of_its_shape(void **state)
{
    (void)state;
    gamma_moments(0.1);
    gamma_moments(1.0);
    gamma_moments(20.0);
}

static void test_random_gamma_of_tiny_shape_is_finite(void **state)
{
    (void)state;
    struct random random = random_stream(14, RANDOM_PARTITION, 0, 0);
    for (int i = 0; i < 1000; i++)
        assert_true(isfinite(random_log_gamma(&random, 0.001)) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_philox_known_answers_match),
        cmocka_unit_test(test_random_streams_of_different_names_differ),
        cmocka_unit_test(test_random_same_name_repeats),
        cmocka_unit_test(test_random_below_stays_below_and_is_even),
        cmocka_unit_test(test_random_below_a_large_bound_is_even),
        cmocka_unit_test(test_random_shuffle_keeps_every_value),
        cmocka_unit_test(test_random_uniform_stays_inside_and_is_centred),
        cmocka_unit_test(test_random_normal_has_mean_zero_and_variance_one),
        cmocka_unit_test(test_random_gamma_has_mean_and_variance_of_its_shape),
        cmocka_unit_test(test_random_gamma_of_tiny_shape_is_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
