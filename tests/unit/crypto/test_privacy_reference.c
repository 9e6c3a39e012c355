/* The figures of an independent accountant, with their tolerances. Below a lower bound is wrong, not better. */
#include "crypto/privacy_parts.h"
#include "scratch.h"
#include "tests/vectors/privacy_reference.h"

#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define SLACK 1e-9
#define EXACT 1e-6
#define PLD_ABOVE 1.005
#define NOISE_EXACT 1e-4

static void assert_near(double value, double reference, double relative)
{
    if (!(fabs(value - reference) <= relative * reference))
        fail_msg("%.12g is not within %g of %.12g", value, relative, reference);
}

static void assert_pld(double value, double least, double most)
{
    if (!(value >= least - SLACK && value <= most * PLD_ABOVE))
        fail_msg("%.12g is not from %.12g to 1.005 times %.12g", value, least, most);
}

static double epsilon_of(enum privacy_accountant accountant, double noise, double rate, uint64_t steps,
                         double delta)
{
    struct privacy_event event = {noise, rate, steps};
    double epsilon = -1;
    succeeds(privacy_epsilon(accountant, &event, 1, delta, &epsilon));
    return epsilon;
}

/* With other orders than those of the accountant. */
static double epsilon_of_orders(const int *orders, size_t count, double noise, double rate, uint64_t steps,
                                double delta)
{
    double least = INFINITY;
    for (size_t i = 0; i < count; i++) {
        double rdp = (double)steps * privacy_rdp_step(noise, rate, orders[i]);
        least = fmin(least, privacy_rdp_epsilon(rdp, orders[i], delta));
    }
    return least;
}

static double epsilon_of_integers(double noise, double rate, uint64_t steps, double delta)
{
    static const int more[] = {80, 96, 128, 192, 256, 512, 1024};
    int orders[63 + COUNT(more)];
    for (int i = 0; i < 63; i++)
        orders[i] = i + 2;
    for (size_t i = 0; i < COUNT(more); i++)
        orders[63 + i] = more[i];
    return epsilon_of_orders(orders, COUNT(orders), noise, rate, steps, delta);
}

static void test_privacy_epsilon_gaussian_agrees_with_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(reference_gaussian); i++) {
        double noise = reference_gaussian[i].noise, delta = reference_gaussian[i].delta;
        uint64_t steps = reference_gaussian[i].steps;
        assert_near(epsilon_of(PRIVACY_GAUSSIAN, noise, 1, steps, delta), reference_gaussian[i].exact, EXACT);
        assert_near(epsilon_of(PRIVACY_RDP, noise, 1, steps, delta), reference_gaussian[i].rdp, EXACT);
        assert_near(epsilon_of_integers(noise, 1, steps, delta), reference_gaussian[i].integers, EXACT);
        assert_pld(epsilon_of(PRIVACY_PLD, noise, 1, steps, delta), reference_gaussian[i].exact,
                   reference_gaussian[i].pld_most);
    }
}

static void test_privacy_epsilon_sampled_agrees_with_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(reference_sampled); i++) {
        double noise = reference_sampled[i].noise, rate = reference_sampled[i].rate;
        double delta = reference_sampled[i].delta;
        uint64_t steps = reference_sampled[i].steps;
        assert_near(epsilon_of(PRIVACY_RDP, noise, rate, steps, delta), reference_sampled[i].rdp, EXACT);
        assert_near(epsilon_of_integers(noise, rate, steps, delta), reference_sampled[i].integers, EXACT);
        assert_pld(epsilon_of(PRIVACY_PLD, noise, rate, steps, delta), reference_sampled[i].pld_least,
                   reference_sampled[i].pld_most);
    }
}

/* The same upper bound as the reference's, so that it is near; below 1e-9 the reference's has its own truncation in it. */
static void test_privacy_delta_sampled_agrees_with_the_reference(void **state)
{
    static const double epsilons[] = {0.5, 1, 2, 4};
    (void)state;
    for (size_t i = 0; i < COUNT(reference_sampled); i += 4) {
        struct privacy_event event = {reference_sampled[i].noise, reference_sampled[i].rate,
                                      reference_sampled[i].steps};
        for (size_t k = 0; k < COUNT(epsilons); k++) {
            double delta = 0, reference = reference_sampled[i].deltas[k];
            succeeds(privacy_delta(PRIVACY_PLD, &event, 1, epsilons[k], &delta));
            if (reference > 1e-9)
                assert_near(delta, reference, 1e-4);
            assert_true(delta <= reference * 1.001 + 1e-14);
        }
    }
}

/* What a batch of a fixed size has: no amplification. */
static void test_privacy_epsilon_whole_batches_agree_with_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(reference_sampled); i++) {
        double noise = reference_sampled[i].noise, delta = reference_sampled[i].delta;
        assert_near(epsilon_of(PRIVACY_GAUSSIAN, noise, 1, reference_sampled[i].steps, delta),
                    reference_sampled[i].whole, EXACT);
        assert_near(epsilon_of(PRIVACY_GAUSSIAN, noise, 1, reference_sampled[i].epochs, delta),
                    reference_sampled[i].batches, EXACT);
    }
    for (size_t i = 0; i < COUNT(reference_central); i++)
        assert_near(epsilon_of(PRIVACY_GAUSSIAN, 1 / reference_central[i].shift, 1,
                               reference_central[i].steps, reference_central[i].delta),
                    reference_central[i].epsilon, EXACT);
}

static void test_privacy_rdp_step_agrees_with_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(reference_step); i++) {
        double rdp =
            privacy_rdp_step(reference_step[i].noise, reference_step[i].rate, reference_step[i].order);
        if (isinf(reference_step[i].rdp))
            assert_true(isinf(rdp));
        else
            assert_near(rdp, reference_step[i].rdp, EXACT);
    }
}

static void test_privacy_rdp_epsilon_other_orders_agree_with_the_reference(void **state)
{
    int orders[128];
    (void)state;
    for (int i = 0; i < 127; i++)
        orders[i] = i + 2;
    orders[127] = 256;
    for (size_t i = 0; i < COUNT(reference_integers); i++)
        assert_near(epsilon_of_orders(orders, COUNT(orders), reference_integers[i].noise,
                                      reference_integers[i].rate, reference_integers[i].steps,
                                      reference_integers[i].delta),
                    reference_integers[i].epsilon, EXACT);
}

/* Concentrated privacy converts by the same formula with the best of all orders: ours are some of them. */
static void test_privacy_epsilon_concentrated_is_between_exact_and_rdp(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(reference_concentrated); i++) {
        double noise = sqrt(0.5 / reference_concentrated[i].rho), delta = reference_concentrated[i].delta;
        double reference = reference_concentrated[i].epsilon;
        double rdp = epsilon_of(PRIVACY_RDP, noise, 1, 1, delta);
        assert_true(rdp >= reference * (1 - EXACT) && rdp <= reference * 1.02);
        assert_true(epsilon_of(PRIVACY_GAUSSIAN, noise, 1, 1, delta) <= reference);
    }
}

/* Given back rounded up: never below what is right. */
static void assert_noise(double noise, double reference)
{
    assert_near(noise, reference, NOISE_EXACT);
    assert_true(noise >= reference * (1 - 1e-9));
}

static void test_privacy_calibrate_agrees_with_the_reference(void **state)
{
    double noise = 0;
    (void)state;
    for (size_t i = 0; i < COUNT(reference_calibrated); i++) {
        struct privacy_event event = {0, 1, reference_calibrated[i].steps};
        succeeds(privacy_calibrate(PRIVACY_GAUSSIAN, event, NULL, 0, reference_calibrated[i].epsilon,
                                   reference_calibrated[i].delta, &noise));
        assert_noise(noise, reference_calibrated[i].noise);
    }
    for (size_t i = 0; i < COUNT(reference_calibrated_sampled); i++) {
        struct privacy_event event = {0, reference_calibrated_sampled[i].rate,
                                      reference_calibrated_sampled[i].steps};
        double epsilon = reference_calibrated_sampled[i].epsilon;
        double delta = reference_calibrated_sampled[i].delta;
        succeeds(privacy_calibrate(PRIVACY_RDP, event, NULL, 0, epsilon, delta, &noise));
        assert_noise(noise, reference_calibrated_sampled[i].rdp);
        succeeds(privacy_calibrate(PRIVACY_PLD, event, NULL, 0, epsilon, delta, &noise));
        assert_near(noise, reference_calibrated_sampled[i].pld, NOISE_EXACT);
        event.noise_multiplier = noise;
        double reached = 0;
        succeeds(privacy_epsilon(PRIVACY_PLD, &event, 1, delta, &reached));
        assert_true(reached <= epsilon && reached >= epsilon * 0.9999);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_privacy_epsilon_gaussian_agrees_with_the_reference),
        cmocka_unit_test(test_privacy_epsilon_sampled_agrees_with_the_reference),
        cmocka_unit_test(test_privacy_delta_sampled_agrees_with_the_reference),
        cmocka_unit_test(test_privacy_epsilon_whole_batches_agree_with_the_reference),
        cmocka_unit_test(test_privacy_rdp_step_agrees_with_the_reference),
        cmocka_unit_test(test_privacy_rdp_epsilon_other_orders_agree_with_the_reference),
        cmocka_unit_test(test_privacy_epsilon_concentrated_is_between_exact_and_rdp),
        cmocka_unit_test(test_privacy_calibrate_agrees_with_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
