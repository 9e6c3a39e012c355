/* The grid, and the inequalities that its slack rests on. */
#include "crypto/noise_grid.h"
#include "crypto/privacy.h"

#include "scratch.h"

#include <math.h>

static void test_noise_grid_plan_bound_is_never_above_what_the_noise_covers(void **state)
{
    (void)state;
    static const double multipliers[] = {0.05, 0.3, 1, 1.09, 2.458, 6.268, 1000, 60000};
    static const uint32_t honest[] = {1, 2, 3, 9, 999};
    for (size_t level = 0; level < 2; level++)
        for (size_t i = 0; i < sizeof(multipliers) / sizeof(multipliers[0]); i++)
            for (size_t k = 0; k < sizeof(honest) / sizeof(honest[0]); k++) {
                struct noise_grid grid;
                long double noise = (long double)noise_sigma((enum noise_level)level) * sqrtl(honest[k]);
                succeeds(noise_grid_plan((enum noise_level)level, 0.3, multipliers[i], honest[k], &grid));
                assert_true((long double)grid.bound * (long double)multipliers[i] <= noise);
                assert_true((long double)(grid.bound + 2) * (long double)multipliers[i] > noise);
                assert_true(grid.bound >= 1 << 10 && grid.bound <= (uint64_t)1 << 40);
                assert_true(grid.level == (enum noise_level)level && grid.clip == 0.3);
                assert_true(fabs(grid.scale * 0.3 / (double)grid.bound - 1) < 1e-15);
            }
}

/* A multiplier that divides the noise exactly: floating point may not round the bound up. */
static void test_noise_grid_plan_exact_quotient_is_not_rounded_up(void **state)
{
    (void)state;
    for (uint64_t bound = 1 << 12; bound < 1 << 20; bound += 997) {
        struct noise_grid grid;
        double multiplier = noise_sigma(NOISE_LOCAL) / (double)bound;
        succeeds(noise_grid_plan(NOISE_LOCAL, 1, multiplier, 1, &grid));
        assert_true((long double)grid.bound * (long double)multiplier <=
                    (long double)noise_sigma(NOISE_LOCAL));
        assert_true(grid.bound == bound || grid.bound == bound - 1);
    }
}

static void test_noise_grid_plan_outside_is_an_error(void **state)
{
    (void)state;
    struct noise_grid grid = {.bound = 7};
    static const double clips[] = {0, -1, NAN, INFINITY, 1e-308, -INFINITY};
    static const double multipliers[] = {0, -1, NAN, INFINITY, 0.049, 1.1e6};
    for (size_t i = 0; i < 6; i++) {
        fails(noise_grid_plan(NOISE_LOCAL, clips[i], 1, 1, &grid), ERROR_INVALID);
        fails(noise_grid_plan(NOISE_LOCAL, 1, multipliers[i], 1, &grid), ERROR_INVALID);
    }
    fails_saying(noise_grid_plan(NOISE_SHARE, 1, 1, 0, &grid), ERROR_INVALID, "No site's noise");
    fails_saying(noise_grid_plan(NOISE_LOCAL, 1, 300000, 1, &grid), ERROR_INVALID, "at most 262144 would do");
    fails_saying(noise_grid_plan(NOISE_SHARE, 1, 300000, 1, &grid), ERROR_INVALID, "at most 65536 would do");
    fails_saying(noise_grid_plan(NOISE_SHARE, 1, 0.05, UINT32_MAX, &grid), ERROR_INVALID, "at least");
    assert_int_equal(grid.bound, 7);
}

static void test_noise_grid_slack_is_the_formula(void **state)
{
    (void)state;
    for (size_t level = 0; level < 2; level++) {
        double sigma = noise_sigma((enum noise_level)level), all = 1e5 * 1e4;
        double epsilon = noise_grid_epsilon_slack((enum noise_level)level, 100000, 10000);
        double delta = noise_grid_delta_slack((enum noise_level)level, 100000, 10000, 1, 20, 1e-5);
        double distance = noise_grid_distance(100000, 10000, 1);
        assert_true(epsilon >= 2 * all * 143 / (24 * sigma * sigma) && epsilon < 1e-4);
        assert_true(epsilon <= 2 * all * 143 / (24 * sigma * sigma) * (1 + 1e-9));
        assert_true(distance >= all * 0x1p-106 && distance <= all * 0x1p-106 * (1 + 1e-9));
        assert_true(delta >= distance * (1 + exp(20)) && delta < 1e-12);
        /* What is left of delta, times the factor by which the discrete Gaussian multiplies it, is no more than delta. */
        assert_true((1e-5 - delta) * expl((long double)all / (24 * sigma * sigma)) <=
                    1e-5 - distance * (1 + exp(20)));
    }
    assert_true(noise_grid_epsilon_slack(NOISE_LOCAL, 0, 10) == 0);
    assert_true(noise_grid_delta_slack(NOISE_LOCAL, 10, 0, 1, 1000, 1e-5) == 0);
}

/* What comes behind e^epsilon is charged so: a thousand sites cost a thousand times as much, and a large epsilon all of delta. */
static void test_attack_noise_grid_large_epsilon_costs_delta(void **state)
{
    (void)state;
    double one = noise_grid_delta_slack(NOISE_SHARE, 1 << 20, 1000, 1, 20, 0);
    double many = noise_grid_delta_slack(NOISE_SHARE, 1 << 20, 1000, 1000, 20, 0);
    assert_true(fabs(many / one - 1000) < 1e-6);
    assert_true(noise_grid_delta_slack(NOISE_SHARE, 1 << 20, 1000, 1, 30, 0) > one * exp(9.99));
    assert_true(noise_grid_delta_slack(NOISE_LOCAL, 1 << 20, 1000, 1, 60, 1e-5) > 1e-5);
    assert_true(noise_grid_delta_slack(NOISE_LOCAL, 1 << 20, 1000, 1, 10000, 1e-5) > 1e-5);
}

/* Mass of the rounded Gaussian, for k at least 0. */
static long double rounded_mass(long double sigma, long double k)
{
    long double root = sqrtl(2) * sigma;
    return k == 0 ? erfl(0.5L / root) : (erfcl((k - 0.5L) / root) - erfcl((k + 0.5L) / root)) / 2;
}

/* -1/(24σ²) <= ln R(k)/D(k) <= (K² - 1)/(24σ²) for |k| <= Kσ, K = 12. */
static void test_noise_grid_rounded_and_discrete_gaussian_are_as_near_as_said(void **state)
{
    (void)state;
    static const long double sigmas[] = {2, 3.7L, 10, 20, 100};
    for (size_t i = 0; i < sizeof(sigmas) / sizeof(sigmas[0]); i++) {
        long double sigma = sigmas[i], least = 0, most = 0, sum = sigma * sqrtl(2 * acosl(-1));
        for (long double k = 0; k <= 12 * sigma; k++) {
            long double ratio = logl(rounded_mass(sigma, k) * sum) + k * k / (2 * sigma * sigma);
            least = fminl(least, ratio);
            most = fmaxl(most, ratio);
        }
        assert_true(least >= -1 / (24 * sigma * sigma) - 1e-13L && least < -0.9L / (24 * sigma * sigma));
        assert_true(most <= 143 / (24 * sigma * sigma) + 1e-13L && most > 0);
    }
}

/* Epsilon of 50 steps of the discrete Gaussian by connecting the dots, beside the continuous one's: the slack covers it. */
static void test_noise_grid_slack_covers_the_reference(void **state)
{
    (void)state;
    static const struct {
        double sigma, steps, discrete, continuous;
    } rows[] = {{2, 1, 2.01133982135, 1.99309140442}, {20, 50, 6.57297818689, 6.57297006703}};
    for (size_t i = 0; i < 2; i++) {
        double at_sigma = noise_sigma(NOISE_LOCAL) / rows[i].sigma;
        double slack =
            noise_grid_epsilon_slack(NOISE_LOCAL, 1, (uint64_t)rows[i].steps) * at_sigma * at_sigma;
        assert_true(rows[i].discrete > rows[i].continuous);
        assert_true(rows[i].discrete - rows[i].continuous <= slack);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_noise_grid_plan_bound_is_never_above_what_the_noise_covers),
        SCRATCH_TEST(test_noise_grid_plan_exact_quotient_is_not_rounded_up),
        SCRATCH_TEST(test_noise_grid_plan_outside_is_an_error),
        SCRATCH_TEST(test_noise_grid_slack_is_the_formula),
        SCRATCH_TEST(test_attack_noise_grid_large_epsilon_costs_delta),
        cmocka_unit_test(test_attack_noise_grid_large_epsilon_costs_delta),
        SCRATCH_TEST(test_noise_grid_rounded_and_discrete_gaussian_are_as_near_as_said),
        SCRATCH_TEST(test_noise_grid_slack_covers_the_reference),
    };
    return cmocka_run_group_tests_name("noise_grid", tests, NULL, NULL);
}
