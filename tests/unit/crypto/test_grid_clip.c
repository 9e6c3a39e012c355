#include "crypto/grid_clip.h"

#include <math.h>
#include <string.h>

#include "scratch.h"

__extension__ typedef unsigned __int128 uint128;

#define COUNT 37

static struct noise_grid grid_of(double clip, uint64_t bound)
{
    return (struct noise_grid){
        .level = NOISE_LOCAL, .clip = clip, .bound = bound, .scale = (double)bound / clip};
}

static uint128 squares(const int64_t *steps, size_t count)
{
    uint128 sum = 0;
    for (size_t i = 0; i < count; i++)
        sum +=
            (uint128)(steps[i] < 0 ? -steps[i] : steps[i]) * (uint128)(steps[i] < 0 ? -steps[i] : steps[i]);
    return sum;
}

static bool all_zero(const int64_t *steps, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (steps[i] != 0)
            return false;
    return true;
}

static void test_grid_clip_within_the_clip_keeps_the_numbers(void **state)
{
    struct noise_grid grid = grid_of(2, 1 << 20);
    double values[3] = {0.5, -0.25, 1.0 / 3};
    int64_t steps[3];
    (void)state;
    grid_clip_vector(&grid, 1.0, values, 3, steps);
    assert_int_equal(steps[0], 1 << 18);
    assert_int_equal(steps[1], -(1 << 17));
    assert_int_equal(steps[2], (int64_t)((1 << 19) / 3.0)); /* toward zero */
    grid_clip_vector(&grid, 0.5, values, 3, steps);
    assert_int_equal(steps[0], 1 << 17);
}

/* Whatever comes, and at every size of bound: never over it, and close to it where the vector was longer. */
static void test_grid_clip_never_exceeds_the_bound(void **state)
{
    static const uint64_t bounds[] = {1 << 10, 12345, 1 << 23, (uint64_t)1 << 33, (uint64_t)1 << 40};
    double values[COUNT];
    int64_t steps[COUNT];
    (void)state;
    for (size_t b = 0; b < sizeof(bounds) / sizeof(bounds[0]); b++) {
        for (int power = -20; power <= 100; power += 5) {
            struct noise_grid grid = grid_of(0.7, bounds[b]);
            for (size_t i = 0; i < COUNT; i++)
                values[i] = ldexp(sin((double)(i + 1) * 1.3 + power), power);
            grid_clip_vector(&grid, 0.9, values, COUNT, steps);
            uint128 limit = (uint128)bounds[b] * bounds[b];
            assert_true(squares(steps, COUNT) <= limit);
            if (power >= 5)
                assert_true(squares(steps, COUNT) >= limit / 100 * 97);
        }
    }
}

static void test_grid_clip_of_one_number_at_the_clip_stays_within(void **state)
{
    struct noise_grid grid = grid_of(1.0 / 3, ((uint64_t)1 << 40) - 1);
    double value = 1.0 / 3;
    int64_t step = 0;
    (void)state;
    grid_clip_vector(&grid, 1.0, &value, 1, &step);
    assert_true(step > 0);
    assert_true((uint64_t)step <= grid.bound);
}

/* Refusing would tell. */
/* Numbers whose squares are nothing in float64, under a clip that is as small: each is far beyond the clip, and of 64 bits. */
static void test_grid_clip_of_numbers_whose_squares_underflow_never_exceeds_the_bound(void **state)
{
    static const double powers[] = {1e-163, 1e-170, 1e-200, 1e-280};
    int64_t steps[4];
    (void)state;
    for (size_t p = 0; p < sizeof(powers) / sizeof(powers[0]); p++) {
        struct noise_grid grid = grid_of(1e-290, 1 << 28);
        double values[4] = {powers[p], -powers[p], powers[p], powers[p]};
        grid_clip_vector(&grid, 1.0, values, 4, steps);
        for (size_t i = 0; i < 4; i++)
            assert_true(steps[i] >= -(1 << 28) && steps[i] <= 1 << 28);
        assert_true(squares(steps, 4) <= (uint128)1 << 56);
    }
}

static void test_grid_clip_of_what_is_not_finite_is_zero(void **state)
{
    struct noise_grid grid = grid_of(1, 1 << 20);
    static const double wrong[] = {NAN, INFINITY, -INFINITY, 1e300};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        double values[3] = {0.1, wrong[i], 0.1};
        int64_t steps[3] = {7, 7, 7};
        grid_clip_vector(&grid, 1.0, values, 3, steps);
        assert_true(all_zero(steps, 3));
    }
}

static void test_grid_clip_of_zeros_is_zero(void **state)
{
    struct noise_grid grid = grid_of(1, 1 << 20);
    double values[3] = {0};
    int64_t steps[3] = {7, 7, 7};
    (void)state;
    grid_clip_vector(&grid, 1.0, values, 3, steps);
    assert_true(all_zero(steps, 3));
}

/* A bound that does not belong to the scale: the integers decide. */
static void test_grid_clip_over_the_bound_in_integers_is_zero(void **state)
{
    struct noise_grid grid = grid_of(1, 1 << 20);
    double values[1] = {0.5};
    int64_t steps[1] = {7};
    (void)state;
    grid.bound = 1 << 10;
    grid.scale = 1 << 20;
    grid_clip_vector(&grid, 1.0, values, 1, steps);
    assert_true(squares(steps, 1) <= (uint128)grid.bound * grid.bound);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid_clip_within_the_clip_keeps_the_numbers),
        cmocka_unit_test(test_grid_clip_never_exceeds_the_bound),
        cmocka_unit_test(test_grid_clip_of_one_number_at_the_clip_stays_within),
        cmocka_unit_test(test_grid_clip_of_numbers_whose_squares_underflow_never_exceeds_the_bound),
        cmocka_unit_test(test_grid_clip_of_what_is_not_finite_is_zero),
        cmocka_unit_test(test_grid_clip_of_zeros_is_zero),
        cmocka_unit_test(test_grid_clip_over_the_bound_in_integers_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
