#include "crypto/secret.h"

#include "scratch.h"

static void test_secret_wipe_leaves_zeros(void **state)
{
    (void)state;
    uint8_t area[66];
    uint8_t zeros[64] = {0};
    memset(area, 0xa5, sizeof(area));
    secret_wipe(area + 1, 64);
    assert_memory_equal(area + 1, zeros, 64);
    assert_int_equal(area[0], 0xa5);
    assert_int_equal(area[65], 0xa5);
}

static void test_secret_wipe_nothing_accepts_null(void **state)
{
    (void)state;
    secret_wipe(NULL, 0);
}

static void test_secret_equal_same_bytes_is_true(void **state)
{
    (void)state;
    uint8_t a[32];
    uint8_t b[32];
    memset(a, 7, sizeof(a));
    memset(b, 7, sizeof(b));
    assert_true(secret_equal(a, b, sizeof(a)));
    assert_true(secret_equal(a, b, 0));
}

static void test_secret_equal_any_bit_flipped_is_false(void **state)
{
    (void)state;
    uint8_t a[32];
    memset(a, 7, sizeof(a));
    for (size_t bit = 0; bit < 8 * sizeof(a); bit++) {
        uint8_t b[32];
        memcpy(b, a, sizeof(a));
        b[bit / 8] = (uint8_t)(b[bit / 8] ^ (1u << (bit % 8)));
        assert_false(secret_equal(a, b, sizeof(a)));
    }
}

static void test_secret_equal_difference_beyond_length_is_true(void **state)
{
    (void)state;
    assert_true(secret_equal("abcX", "abcY", 3));
}

static void test_secret_random_twice_differs(void **state)
{
    (void)state;
    uint8_t a[32] = {0};
    uint8_t b[32] = {0};
    succeeds(secret_random(a, sizeof(a)));
    succeeds(secret_random(b, sizeof(b)));
    assert_memory_not_equal(a, b, sizeof(a));
}

static void test_secret_random_fills_exactly_the_area(void **state)
{
    (void)state;
    uint8_t area[34] = {0};
    bool touched[32] = {false};
    for (int round = 0; round < 64; round++) {
        succeeds(secret_random(area + 1, 32));
        for (size_t i = 0; i < 32; i++)
            touched[i] = touched[i] || area[i + 1] != 0;
    }
    for (size_t i = 0; i < 32; i++)
        assert_true(touched[i]);
    assert_int_equal(area[0], 0);
    assert_int_equal(area[33], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_secret_wipe_leaves_zeros),
        SCRATCH_TEST(test_secret_wipe_nothing_accepts_null),
        SCRATCH_TEST(test_secret_equal_same_bytes_is_true),
        SCRATCH_TEST(test_secret_equal_any_bit_flipped_is_false),
        SCRATCH_TEST(test_secret_equal_difference_beyond_length_is_true),
        SCRATCH_TEST(test_secret_random_twice_differs),
        SCRATCH_TEST(test_secret_random_fills_exactly_the_area),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
