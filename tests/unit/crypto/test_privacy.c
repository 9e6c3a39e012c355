/* The accountant against what must hold of every accountant, against integrals, and at its edges. */
#include "crypto/privacy_parts.h"
#include "scratch.h"

#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
/* Two figures that are the same in theory. */
#define SAME 1e-6

static double epsilon_of_all(enum privacy_accountant accountant, const struct privacy_event *events,
                             size_t count, double delta)
{
    double epsilon = NAN;
    succeeds(privacy_epsilon(accountant, events, count, delta, &epsilon));
    assert_true(epsilon >= 0 && epsilon <= PRIVACY_MAX_EPSILON);
    return epsilon;
}

static double epsilon_of(enum privacy_accountant accountant, double noise, double rate, uint64_t steps,
                         double delta)
{
    struct privacy_event event = {noise, rate, steps};
    return epsilon_of_all(accountant, &event, 1, delta);
}

static double delta_of(enum privacy_accountant accountant, const struct privacy_event *events, size_t count,
                       double epsilon)
{
    double delta = NAN;
    succeeds(privacy_delta(accountant, events, count, epsilon, &delta));
    assert_true(delta >= 0 && delta <= 1);
    return delta;
}

/* A fixed sequence over 0 to 1. */
static double next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ldexp((double)(*seed >> 11), -53);
}

static double between(uint64_t *seed, double low, double high)
{
    return low * pow(high / low, next(seed));
}

/* ---- one step, against integrals ---- */

/* E[(1 - q + q e^((2z-1)/2σ²))^order], z ~ N(0, σ²), by the trapezoidal rule, in logarithms. */
static long double integral_log(double noise, double rate, double order)
{
    long double variance = (long double)noise * noise, step = noise / 64, sum = 0,
                shift = order * (order - 1) / (2 * variance);
    for (long double z = -15 * noise; z < order + 15 * noise; z += step) {
        long double ratio = 1 + rate * expm1l((2 * z - 1) / (2 * variance));
        sum += expl(order * logl(ratio) - z * z / (2 * variance) - shift);
    }
    return shift + logl(sum * step / (noise * sqrtl(2 * acosl(-1))));
}

static void test_privacy_rdp_step_is_never_below_the_integral(void **state)
{
    static const double noises[] = {0.4, 0.9, 1.1, 4}, rates[] = {0.0005, 0.01, 0.3, 0.7};
    static const double orders[] = {1.1, 1.5, 2, 2.3, 3, 5, 7.7, 10.9, 16, 40};
    (void)state;
    for (size_t n = 0; n < COUNT(noises); n++) {
        for (size_t r = 0; r < COUNT(rates); r++) {
            for (size_t k = 0; k < COUNT(orders); k++) {
                double order = orders[k], rdp = privacy_rdp_step(noises[n], rates[r], order);
                double integral = (double)(integral_log(noises[n], rates[r], order) / (order - 1));
                assert_true(rdp >= integral * (1 - 1e-8));
                if (order == floor(order))
                    assert_true(rdp <= integral * (1 + 1e-6));
            }
        }
    }
}

/* Of one sampled step, removing or adding a record, in closed form. */
static double one_step_delta(double noise, double rate, double epsilon, bool removing)
{
    double threshold = removing ? expm1(epsilon) : expm1(-epsilon);
    if (threshold <= -rate)
        return 0;
    double x = noise * noise * log1p(threshold / rate) + 0.5;
    double side = removing ? 1 : -1;
    double without = privacy_gaussian_tail(side * x / noise),
           with = privacy_gaussian_tail(side * (x - 1) / noise);
    double mixed = (1 - rate) * without + rate * with;
    return removing ? mixed - exp(epsilon) * without : without - exp(epsilon) * mixed;
}

/* At points of the grid the discretised loss is exact; between them it is a little above. */
static void test_privacy_delta_of_one_step_agrees_with_the_closed_form(void **state)
{
    static const double noises[] = {0.6, 2}, rates[] = {0.01, 0.5, 1};
    static const double epsilons[] = {0, 0.1, 0.50005, 1};
    (void)state;
    for (size_t n = 0; n < COUNT(noises); n++) {
        for (size_t r = 0; r < COUNT(rates); r++) {
            for (size_t k = 0; k < COUNT(epsilons); k++) {
                struct privacy_event event = {noises[n], rates[r], 1};
                double right = fmax(one_step_delta(noises[n], rates[r], epsilons[k], true),
                                    one_step_delta(noises[n], rates[r], epsilons[k], false));
                if (right < 1e-12)
                    continue;
                double delta = delta_of(PRIVACY_PLD, &event, 1, epsilons[k]);
                assert_true(delta >= right * (1 - 1e-10));
                assert_true(delta <= right * (1 + 1e-4) + 1e-13);
            }
        }
    }
}

/* Where a record is hardly ever in a step, far below the interval of the grid: exact too. */
static void test_privacy_delta_of_one_rare_step_is_the_closed_form(void **state)
{
    static const double noises[] = {0.6, 1, 4}, rates[] = {1e-9, 1e-6, 1e-3, 0.0099};
    static const double epsilons[] = {1e-8, 1e-5, 1e-2, 1};
    (void)state;
    for (size_t n = 0; n < COUNT(noises); n++) {
        for (size_t r = 0; r < COUNT(rates); r++) {
            for (size_t k = 0; k < COUNT(epsilons); k++) {
                struct privacy_event event = {noises[n], rates[r], 1};
                double right = fmax(one_step_delta(noises[n], rates[r], epsilons[k], true),
                                    one_step_delta(noises[n], rates[r], epsilons[k], false));
                double delta = privacy_rare_delta(&event, 1, epsilons[k]);
                /* What the closed form itself is off by, where it subtracts. */
                double off = 1e-15 * exp(epsilons[k]);
                assert_true(delta >= right - off && delta <= right * (1 + 1e-6) + off);
                if (right < 1e-12)
                    continue;
                double epsilon = privacy_rare_epsilon(&event, 1, delta);
                assert_true(fabs(epsilon - epsilons[k]) <= 1e-6 * epsilons[k] + 1e-11);
                assert_true(delta_of(PRIVACY_PLD, &event, 1, epsilons[k]) <= delta);
            }
        }
    }
}

/* Of two steps, by integrating max(0, P - e^epsilon Q) over the plane: what is below it would be a promise that is not kept. */
static double two_steps_delta(double noise, double rate, double epsilon, bool removing)
{
    double step = noise / 40, sum = 0, factor = exp(epsilon);
    double scale = step * step / (2 * acos(-1) * noise * noise);
    for (double x = -7 * noise; x < 1 + 7 * noise; x += step) {
        double first = 1 + rate * expm1((2 * x - 1) / (2 * noise * noise));
        for (double y = -7 * noise; y < 1 + 7 * noise; y += step) {
            double with = first * (1 + rate * expm1((2 * y - 1) / (2 * noise * noise)));
            double without = exp(-(x * x + y * y) / (2 * noise * noise));
            sum += without * fmax(removing ? with - factor : 1 - factor * with, 0);
        }
    }
    return sum * scale;
}

static void test_privacy_rare_delta_of_two_steps_is_not_below_the_integral(void **state)
{
    static const double noises[] = {0.7, 2}, rates[] = {1e-4, 4e-3}, epsilons[] = {1e-6, 1e-3, 0.1};
    (void)state;
    for (size_t n = 0; n < COUNT(noises); n++) {
        for (size_t r = 0; r < COUNT(rates); r++) {
            for (size_t k = 0; k < COUNT(epsilons); k++) {
                struct privacy_event event = {noises[n], rates[r], 2};
                double right = fmax(two_steps_delta(noises[n], rates[r], epsilons[k], true),
                                    two_steps_delta(noises[n], rates[r], epsilons[k], false));
                double delta = privacy_rare_delta(&event, 1, epsilons[k]);
                assert_true(delta >= right * (1 - 1e-3));
                /* It takes all steps at once; at hardly any epsilon that is at most twice as much. */
                assert_true(k > 0 || delta <= 2 * right);
            }
        }
    }
}

/* Where e^epsilon over the probability is beyond float64. With noise 0.05 a record that is in k of 100 steps shows by losses around
 * 191 k, so that 5 of them are beyond 800; they come with a probability of C(100, 5) 1e-20 = 7.5e-13, and 4 with 4e-10, of which a sixth
 * is beyond. */
static void test_privacy_delta_of_rare_events_at_a_large_epsilon_is_not_zero(void **state)
{
    static const double epsilons[] = {700, 705, 706, 710, 800};
    struct privacy_event event = {0.05, 1e-4, 100};
    (void)state;
    for (size_t k = 0; k < COUNT(epsilons); k++) {
        assert_true(delta_of(PRIVACY_PLD, &event, 1, epsilons[k]) > 5e-11);
        assert_true(privacy_rare_delta(&event, 1, epsilons[k]) > 9e-3);
    }
    /* 20 standard deviations: a delta, far below what matters, but no 0. */
    event.steps = 1;
    double before = privacy_rare_delta(&event, 1, 600), after = privacy_rare_delta(&event, 1, 800);
    assert_true(after > 0 && after < before);
}

/* P(Z > a) - e^epsilon P(Z > a + shift) = φ(a) ∫ e^(-a t - t²/2) (1 - e^(-shift t)) dt over t > 0, a = epsilon / shift - shift / 2:
 * nothing cancels there. By Simpson's rule. */
static long double gaussian_delta_integral(long double shift, long double epsilon)
{
    long double a = epsilon / shift - shift / 2, step = 1.0L / 256, sum = 0;
    for (int k = 1; k < 256 * 40; k++) {
        long double t = k * step;
        sum += (k % 2 == 1 ? 4 : 2) * expl(-a * t - t * t / 2) * -expm1l(-shift * t);
    }
    return sum * step / 3 * expl(-a * a / 2) / sqrtl(2 * acosl(-1.0L));
}

static void test_privacy_gaussian_delta_of_hardly_any_shift_is_not_below_the_integral(void **state)
{
    (void)state;
    for (double shift = 1e-6; shift < 2; shift *= 1.3) {
        for (double place = 0; place < 8; place += 0.171) {
            long double right = gaussian_delta_integral(shift, place * shift);
            double delta = privacy_gaussian_delta(shift, place * shift);
            assert_true(delta >= right * (1 - 1e-13L) && delta <= right * (1 + 2e-6L));
        }
    }
}

static void test_privacy_rare_is_for_rare_records_alone(void **state)
{
    (void)state;
    struct privacy_event often[] = {{1, 1e-3, 11}, {1, 1, 1}, {1, 1e-9, 10000000}};
    assert_true(isinf(privacy_rare_epsilon(&often[0], 1, 1e-5)) != 0);
    assert_true(isinf(privacy_rare_epsilon(&often[1], 1, 1e-5)) != 0);
    assert_true(privacy_rare_delta(&often[0], 1, 1) == 1 && privacy_rare_delta(&often[1], 1, 1) == 1);
    /* Together they are as rare as each of their steps comes to. */
    often[0].steps = 9;
    assert_true(isfinite(privacy_rare_epsilon(&often[0], 1, 1e-5)) != 0);
    assert_true(isinf(privacy_rare_epsilon(often, 2, 1e-5)) != 0);
    /* What is below the probability of being sampled at all needs no epsilon. */
    assert_true(privacy_rare_epsilon(&often[2], 1, 0.0101) == 0);
    assert_true(epsilon_of(PRIVACY_PLD, 1, 1e-9, 1, 1e-15) < 2e-7);
}

/* ---- what holds of all ---- */

static void test_privacy_epsilon_pld_is_at_least_exact_without_sampling(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (int i = 0; i < 6; i++) {
        struct privacy_event events[3];
        size_t count = 1 + (size_t)(3 * next(&seed));
        for (size_t k = 0; k < count; k++)
            events[k] =
                (struct privacy_event){between(&seed, 0.8, 200), 1, (uint64_t)between(&seed, 1, 1000)};
        double delta = between(&seed, 1e-14, 1e-2);
        double exact = privacy_gaussian_epsilon(privacy_gaussian_shift(events, count), delta);
        if (exact > 200)
            continue;
        double pld = epsilon_of_all(PRIVACY_PLD, events, count, delta);
        assert_true(pld >= exact);
        assert_true(pld <= exact * 1.01 + 1e-4);
        assert_true(pld <= epsilon_of_all(PRIVACY_RDP, events, count, delta));
    }
}

static void test_privacy_epsilon_random_settings_are_in_order(void **state)
{
    (void)state;
    uint64_t seed = 12;
    for (int i = 0; i < 6; i++) {
        struct privacy_event event = {between(&seed, 0.3, 30), between(&seed, 1e-6, 1),
                                      (uint64_t)between(&seed, 1, 1e5)};
        double delta = between(&seed, 1e-12, 1e-3), rdp = 0, pld = 0;
        struct error *err = privacy_epsilon(PRIVACY_RDP, &event, 1, delta, &rdp);
        if (err != NULL) {
            fails(err, ERROR_LIMIT);
            continue;
        }
        pld = epsilon_of_all(PRIVACY_PLD, &event, 1, delta);
        assert_true(pld <= rdp);
        /* Sampling never makes it worse, and the first step is part of all. */
        struct privacy_event whole = {event.noise_multiplier, 1, event.steps};
        assert_true(pld <=
                    privacy_gaussian_epsilon(privacy_gaussian_shift(&whole, 1), delta) * (1 + 1e-3) + 1e-4);
        if (pld > 0)
            assert_true(one_step_delta(event.noise_multiplier, event.sampling_rate, pld, true) <=
                        delta * (1 + SAME));
    }
}

/* Of all that may differ between the two, the order of additions alone. */
static void test_privacy_steps_epsilon_any_steps_is_that_of_the_accountant(void **state)
{
    static const uint64_t counts[][2] = {{1, 0}, {7, 0}, {0, 3}, {1, 1}, {585, 12}, {10000, 100}};
    static const struct privacy_event settings[][2] = {{{1.1, 0.25, 1}, {10, 1, 1}},
                                                       {{2.5, 0.01, 1}, {40, 1, 1}},
                                                       {{8, 1, 1}, {8, 1, 1}},
                                                       {{0.7, 0.5, 1}, {30, 1, 1}}};
    (void)state;
    for (size_t s = 0; s < COUNT(settings); s++) {
        struct privacy_step steps[2];
        succeeds(privacy_step_of(settings[s][0], &steps[0]));
        succeeds(privacy_step_of(settings[s][1], &steps[1]));
        for (size_t c = 0; c < COUNT(counts); c++) {
            struct privacy_event events[2];
            size_t used = 0;
            double expected = 0, epsilon = 0;
            for (size_t i = 0; i < 2; i++) {
                events[used] = settings[s][i];
                events[used].steps = counts[c][i];
                used += counts[c][i] > 0;
            }
            struct error *err = privacy_epsilon(PRIVACY_RDP, events, used, 1e-5, &expected);
            if (err != NULL) {
                fails(err, ERROR_LIMIT);
                fails(privacy_steps_epsilon(steps, counts[c], 2, 1e-5, &epsilon), ERROR_LIMIT);
                continue;
            }
            succeeds(privacy_steps_epsilon(steps, counts[c], 2, 1e-5, &epsilon));
            assert_true(fabs(epsilon - expected) <= 1e-12 * expected);
        }
    }
}

static void test_privacy_steps_epsilon_what_cannot_be_accounted_is_refused(void **state)
{
    struct privacy_step steps[2];
    uint64_t counts[] = {PRIVACY_MAX_STEPS, 1};
    double epsilon = -1;
    (void)state;
    fails(privacy_step_of((struct privacy_event){0.01, 0.1, 1}, steps), ERROR_INVALID);
    fails(privacy_step_of((struct privacy_event){1, 1.5, 1}, steps), ERROR_INVALID);
    succeeds(privacy_step_of((struct privacy_event){100, 0.001, 1}, &steps[0]));
    succeeds(privacy_step_of((struct privacy_event){100, 1, 1}, &steps[1]));
    fails_saying(privacy_steps_epsilon(steps, counts, 2, 1e-5, &epsilon), ERROR_LIMIT, "10000000 steps");
    counts[0] = UINT64_MAX;
    fails(privacy_steps_epsilon(steps, counts, 2, 1e-5, &epsilon), ERROR_LIMIT);
    counts[0] = 0;
    fails(privacy_steps_epsilon(steps, counts, 2, 0.5, &epsilon), ERROR_INVALID);
    assert_true(epsilon == -1);
    counts[1] = 0;
    succeeds(privacy_steps_epsilon(steps, counts, 2, 1e-5, &epsilon));
    assert_true(epsilon == 0);
}

static void test_privacy_epsilon_grows_with_steps_and_rate_and_falls_with_noise_and_delta(void **state)
{
    static const double factors[] = {1, 1.001, 1.1, 2, 4};
    enum privacy_accountant accountants[] = {PRIVACY_PLD, PRIVACY_RDP};
    (void)state;
    for (size_t a = 0; a < COUNT(accountants); a++) {
        double before[4] = {0, 0, INFINITY, INFINITY};
        for (size_t k = 0; k < COUNT(factors); k++) {
            double by_steps =
                epsilon_of(accountants[a], 1.3, 0.01, (uint64_t)lround(1000 * factors[k]), 1e-6);
            double by_rate = epsilon_of(accountants[a], 1.3, 0.01 * factors[k], 1000, 1e-6);
            double by_noise = epsilon_of(accountants[a], 0.9 * factors[k], 0.01, 1000, 1e-6);
            double by_delta = epsilon_of(accountants[a], 1.3, 0.01, 1000, 1e-6 * factors[k]);
            assert_true(by_steps > before[0] && by_rate > before[1]);
            assert_true(by_noise < before[2] && by_delta < before[3]);
            before[0] = by_steps;
            before[1] = by_rate;
            before[2] = by_noise;
            before[3] = by_delta;
        }
    }
}

static void test_privacy_epsilon_splitting_an_event_changes_nothing(void **state)
{
    static const struct privacy_event whole[] = {{1.2, 0.02, 700}, {5, 1, 4}};
    static const struct privacy_event split[] = {
        {5, 1, 1}, {1.2, 0.02, 300}, {5, 1, 3}, {1.2, 0.02, 399}, {1.2, 0.02, 1}};
    (void)state;
    for (enum privacy_accountant a = PRIVACY_PLD; a <= PRIVACY_RDP; a++)
        assert_true(fabs(epsilon_of_all(a, whole, COUNT(whole), 1e-5) -
                         epsilon_of_all(a, split, COUNT(split), 1e-5)) < 1e-10);
}

/* The same by another way: neighbouring noises are not taken together, and differ by what they differ. */
static void test_privacy_epsilon_different_events_compose(void **state)
{
    (void)state;
    struct privacy_event whole = {1.2, 0.02, 1000};
    struct privacy_event parts[] = {
        {1.2, 0.02, 500}, {1.2 * (1 + 1e-9), 0.02, 300}, {1.2, 0.02 * (1 - 1e-9), 200}};
    double together = epsilon_of_all(PRIVACY_PLD, &whole, 1, 1e-5);
    double apart = epsilon_of_all(PRIVACY_PLD, parts, COUNT(parts), 1e-5);
    assert_true(fabs(together - apart) < SAME * together);
    struct privacy_event mixed[] = {{1.2, 0.02, 1000}, {8, 1, 5}, {0.9, 0.001, 300}};
    double all = epsilon_of_all(PRIVACY_PLD, mixed, COUNT(mixed), 1e-5);
    assert_true(all > together);
    assert_true(all <= epsilon_of_all(PRIVACY_RDP, mixed, COUNT(mixed), 1e-5));
}

static void test_privacy_delta_and_epsilon_are_inverse(void **state)
{
    static const struct privacy_event events[] = {
        {1.1, 0.0042667, 14063}, {0.6, 0.01, 300}, {20, 1, 300}, {3, 0.2, 40}};
    static const double deltas[] = {1e-4, 1e-13};
    (void)state;
    for (size_t i = 0; i < COUNT(events); i++) {
        for (size_t k = 0; k < COUNT(deltas); k++) {
            double epsilon = epsilon_of_all(PRIVACY_PLD, &events[i], 1, deltas[k]);
            double delta = delta_of(PRIVACY_PLD, &events[i], 1, epsilon);
            assert_true(fabs(delta - deltas[k]) < 1e-4 * deltas[k]);
        }
    }
    double epsilon = epsilon_of_all(PRIVACY_GAUSSIAN, &events[2], 1, 1e-9);
    assert_true(fabs(delta_of(PRIVACY_GAUSSIAN, &events[2], 1, epsilon) - 1e-9) < 1e-16);
}

/* ---- edges ---- */

static void test_privacy_epsilon_extreme_settings_are_figures(void **state)
{
    static const struct privacy_event events[] = {
        {PRIVACY_MIN_NOISE, 1, 1},
        {PRIVACY_MIN_NOISE, 1e-3, 1},
        {PRIVACY_MIN_NOISE, 1e-9, 1},
        {PRIVACY_MAX_NOISE, 1, 1},
        {PRIVACY_MAX_NOISE, 1, PRIVACY_MAX_STEPS},
        {PRIVACY_MAX_NOISE, 1e-300, PRIVACY_MAX_STEPS},
        {1, 1e-300, 1},
        {1, 1e-12, PRIVACY_MAX_STEPS},
        {4, 1e-3, PRIVACY_MAX_STEPS},
        {2, 1 - 0x1p-53, 1},
        {2, 0.5, 10},
    };
    static const double deltas[] = {PRIVACY_MIN_DELTA, 1e-5};
    (void)state;
    for (size_t i = 0; i < COUNT(events); i++) {
        double delta = deltas[i % 2];
        double pld = epsilon_of_all(PRIVACY_PLD, &events[i], 1, delta);
        assert_true(pld <= epsilon_of_all(PRIVACY_RDP, &events[i], 1, delta));
        if (events[i].sampling_rate == 1)
            assert_true(pld >= epsilon_of_all(PRIVACY_GAUSSIAN, &events[i], 1, delta));
    }
}

static void test_privacy_epsilon_beyond_the_limit_says_so(void **state)
{
    static const struct privacy_event much[] = {
        {PRIVACY_MIN_NOISE, 1, 100}, {1, 1, PRIVACY_MAX_STEPS}, {0.3, 0.9, 100000}};
    (void)state;
    for (size_t i = 0; i < COUNT(much); i++) {
        for (enum privacy_accountant a = PRIVACY_PLD; a <= PRIVACY_RDP; a++) {
            double epsilon = -1;
            fails_saying(privacy_epsilon(a, &much[i], 1, 1e-5, &epsilon), ERROR_LIMIT, "protects nobody");
            assert_true(epsilon == -1);
        }
    }
    struct privacy_event long_one[] = {{1, 1e-4, PRIVACY_MAX_STEPS}, {1, 1e-4, 1}};
    double epsilon = -1;
    fails_saying(privacy_epsilon(PRIVACY_RDP, long_one, 2, 1e-5, &epsilon), ERROR_LIMIT, "10000000 steps");
    assert_true(epsilon == -1);
}

static void test_privacy_epsilon_out_of_range_is_refused(void **state)
{
    static const struct {
        struct privacy_event event;
        double delta;
        const char *says;
    } wrong[] = {
        {{0.049, 0.1, 1}, 1e-5, "noise multiplier"},
        {{0, 0.1, 1}, 1e-5, "noise multiplier"},
        {{-1, 0.1, 1}, 1e-5, "noise multiplier"},
        {{NAN, 0.1, 1}, 1e-5, "noise multiplier"},
        {{INFINITY, 0.1, 1}, 1e-5, "noise multiplier"},
        {{1, 0, 1}, 1e-5, "sampling rate"},
        {{1, -0.1, 1}, 1e-5, "sampling rate"},
        {{1, 1.0001, 1}, 1e-5, "sampling rate"},
        {{1, NAN, 1}, 1e-5, "sampling rate"},
        {{1, 0.1, 0}, 1e-5, "at least 1 step"},
        {{1, 0.1, 1}, 0, "delta"},
        {{1, 0.1, 1}, 1e-16, "delta"},
        {{1, 0.1, 1}, 0.2, "delta"},
        {{1, 0.1, 1}, NAN, "delta"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        double epsilon = -1;
        fails_saying(privacy_epsilon(PRIVACY_PLD, &wrong[i].event, 1, wrong[i].delta, &epsilon),
                     ERROR_INVALID, wrong[i].says);
        assert_true(epsilon == -1);
    }
    struct privacy_event many[PRIVACY_MAX_EVENTS + 1] = {0};
    double figure = -1;
    fails_saying(privacy_epsilon(PRIVACY_PLD, many, 0, 1e-5, &figure), ERROR_INVALID, "1 to 64");
    fails_saying(privacy_epsilon(PRIVACY_PLD, many, COUNT(many), 1e-5, &figure), ERROR_INVALID, "1 to 64");
    struct privacy_event event = {1, 0.1, 1};
    fails_saying(privacy_delta(PRIVACY_PLD, &event, 1, -0.1, &figure), ERROR_INVALID, "epsilon");
    fails_saying(privacy_delta(PRIVACY_PLD, &event, 1, NAN, &figure), ERROR_INVALID, "epsilon");
    fails_saying(privacy_delta(PRIVACY_RDP, &event, 1, 1, &figure), ERROR_INVALID, "rdp");
    assert_true(figure == -1);
}

/* Batches of a fixed size are events of rate 1: no accountant gives them less than the Gaussian has. */
static void test_privacy_gaussian_sampled_events_are_refused(void **state)
{
    (void)state;
    struct privacy_event event = {1.1, 0.999, 10};
    double figure = -1;
    fails_saying(privacy_epsilon(PRIVACY_GAUSSIAN, &event, 1, 1e-5, &figure), ERROR_INVALID,
                 "without sampling");
    fails_saying(privacy_delta(PRIVACY_GAUSSIAN, &event, 1, 1, &figure), ERROR_INVALID, "without sampling");
    assert_true(figure == -1);
}

/* ---- calibration and steps ---- */

static void test_privacy_calibrate_leaves_room_for_the_others(void **state)
{
    static const struct privacy_event others[] = {{10, 1, 20}};
    (void)state;
    struct privacy_event events[] = {{0, 0.01, 1000}, others[0]};
    double alone = 0, noise = 0;
    succeeds(privacy_calibrate(PRIVACY_PLD, events[0], NULL, 0, 3, 1e-6, &alone));
    succeeds(privacy_calibrate(PRIVACY_PLD, events[0], others, 1, 3, 1e-6, &noise));
    assert_true(noise > alone);
    events[0].noise_multiplier = noise;
    assert_true(epsilon_of_all(PRIVACY_PLD, events, 2, 1e-6) <= 3);
    events[0].noise_multiplier = noise * (1 - 1e-4);
    assert_true(epsilon_of_all(PRIVACY_PLD, events, 2, 1e-6) > 3);
}

static void test_privacy_calibrate_what_no_noise_does_is_refused(void **state)
{
    static const struct privacy_event others[] = {{1, 1, 4}};
    struct privacy_event event = {0, 0.01, 1000};
    double noise = -1;
    (void)state;
    for (enum privacy_accountant a = PRIVACY_PLD; a <= PRIVACY_RDP; a++)
        fails_saying(privacy_calibrate(a, event, others, 1, 3, 1e-6, &noise), ERROR_INVALID,
                     "the other events alone come to");
    event.sampling_rate = 1;
    fails_saying(privacy_calibrate(PRIVACY_GAUSSIAN, event, others, 1, 3, 1e-6, &noise), ERROR_INVALID,
                 "alone");
    fails_saying(privacy_calibrate(PRIVACY_PLD, event, NULL, 0, 0, 1e-6, &noise), ERROR_INVALID, "no target");
    fails_saying(privacy_calibrate(PRIVACY_PLD, event, NULL, 0, NAN, 1e-6, &noise), ERROR_INVALID,
                 "no target");
    fails_saying(privacy_calibrate(PRIVACY_PLD, event, NULL, 0, 1, 0.5, &noise), ERROR_INVALID, "delta");
    fails_saying(privacy_calibrate(PRIVACY_RDP, event, NULL, 0, 1e-9, 1e-6, &noise), ERROR_INVALID,
                 "No noise multiplier");
    assert_true(noise == -1);
}

static void test_privacy_calibrate_what_the_least_noise_does_is_that(void **state)
{
    (void)state;
    struct privacy_event event = {0, 1e-6, 1};
    double noise = 0;
    succeeds(privacy_calibrate(PRIVACY_PLD, event, NULL, 0, 10, 1e-3, &noise));
    assert_true(noise == PRIVACY_MIN_NOISE);
}

static void test_privacy_steps_are_the_most_that_fit(void **state)
{
    static const struct privacy_event others[] = {{10, 1, 20}};
    static const enum privacy_accountant accountants[] = {PRIVACY_PLD, PRIVACY_RDP};
    (void)state;
    uint64_t by_accountant[2];
    for (size_t a = 0; a < 2; a++) {
        struct privacy_event events[] = {{1.1, 0.01, 0}, others[0]};
        succeeds(privacy_steps(accountants[a], events[0], others, 1, 3, 1e-6, &by_accountant[a]));
        events[0].steps = by_accountant[a];
        assert_true(epsilon_of_all(accountants[a], events, 2, 1e-6) <= 3);
        events[0].steps++;
        assert_true(epsilon_of_all(accountants[a], events, 2, 1e-6) > 3);
    }
    assert_true(by_accountant[0] > by_accountant[1]);
}

static void test_privacy_steps_none_and_all(void **state)
{
    static const struct privacy_event full[] = {{1, 1, 4}},
                                      longest[] = {{PRIVACY_MAX_NOISE, 1, PRIVACY_MAX_STEPS - 5}};
    (void)state;
    struct privacy_event event = {1, 0.01, 0};
    uint64_t steps = 99;
    succeeds(privacy_steps(PRIVACY_PLD, event, full, 1, 3, 1e-6, &steps));
    assert_int_equal(steps, 0);
    event.noise_multiplier = PRIVACY_MAX_NOISE;
    succeeds(privacy_steps(PRIVACY_PLD, event, NULL, 0, 3, 1e-6, &steps));
    assert_int_equal(steps, PRIVACY_MAX_STEPS);
    succeeds(privacy_steps(PRIVACY_PLD, event, longest, 1, 3, 1e-6, &steps));
    assert_int_equal(steps, 5);
    event = (struct privacy_event){10, 1, 0};
    succeeds(privacy_steps(PRIVACY_GAUSSIAN, event, NULL, 0, 2, 1e-5, &steps));
    assert_true(epsilon_of(PRIVACY_GAUSSIAN, 10, 1, steps, 1e-5) <= 2);
    assert_true(epsilon_of(PRIVACY_GAUSSIAN, 10, 1, steps + 1, 1e-5) > 2);
}

/* ---- the filter ---- */

static void test_privacy_filter_adds_and_converts_at_its_orders(void **state)
{
    static const struct privacy_event events[] = {{5, 1, 3}, {2, 1, 1}};
    double rdp[PRIVACY_FILTER_ORDERS] = {0}, epsilon = 0, least = INFINITY;
    (void)state;
    succeeds(privacy_filter_add(events, 1, rdp));
    succeeds(privacy_filter_add(events + 1, 1, rdp));
    for (size_t k = 0; k < PRIVACY_FILTER_ORDERS; k++) {
        double right = privacy_filter_orders[k] * (3.0 / 50 + 1.0 / 8);
        assert_true(rdp[k] >= right && rdp[k] <= right * (1 + 1e-9));
        least = fmin(least, privacy_rdp_epsilon(rdp[k], privacy_filter_orders[k], 1e-6 / 12));
    }
    assert_true(privacy_filter_admits(rdp, least, 1e-6, &epsilon));
    assert_true(epsilon == least);
    assert_false(privacy_filter_admits(rdp, least * (1 - 1e-12), 1e-6, NULL));
    /* An adaptive guarantee costs more than one of events that were fixed before. */
    assert_true(least > epsilon_of_all(PRIVACY_RDP, events, 2, 1e-6));
}

static void test_privacy_filter_wrong_events_leave_the_sum_alone(void **state)
{
    static const struct privacy_event wrong[] = {{5, 1, 3}, {2, 0, 1}};
    double rdp[PRIVACY_FILTER_ORDERS] = {0};
    (void)state;
    fails(privacy_filter_add(wrong, 2, rdp), ERROR_INVALID);
    for (size_t k = 0; k < PRIVACY_FILTER_ORDERS; k++)
        assert_true(rdp[k] == 0);
    assert_true(privacy_filter_admits(rdp, 1, 1e-5, NULL));
}

/* A sum that nobody can convert is admitted nowhere. */
static void test_privacy_filter_infinite_or_no_sum_is_not_admitted(void **state)
{
    double rdp[PRIVACY_FILTER_ORDERS], epsilon = 0;
    (void)state;
    for (size_t k = 0; k < PRIVACY_FILTER_ORDERS; k++)
        rdp[k] = INFINITY;
    assert_false(privacy_filter_admits(rdp, 1e4, 1e-5, &epsilon));
    assert_true(isinf(epsilon));
    for (size_t k = 0; k < PRIVACY_FILTER_ORDERS; k++)
        rdp[k] = NAN;
    assert_false(privacy_filter_admits(rdp, 1e4, 1e-5, &epsilon));
    for (size_t k = 0; k < PRIVACY_FILTER_ORDERS; k++)
        rdp[k] = -1;
    assert_false(privacy_filter_admits(rdp, 1e4, 1e-5, &epsilon));
}

static void test_privacy_accountant_words_are_all_there(void **state)
{
    (void)state;
    assert_string_equal(privacy_accountant_word(PRIVACY_PLD), "pld");
    assert_string_equal(privacy_accountant_word(PRIVACY_RDP), "rdp");
    assert_string_equal(privacy_accountant_word(PRIVACY_GAUSSIAN), "gaussian");
}

/* ---- figures for people ---- */

static void expect_figure(double value, int digits, const char *figure)
{
    char text[PRIVACY_BOUND_BYTES];
    privacy_bound(value, digits, text);
    assert_string_equal(text, figure);
}

static void test_privacy_bound_is_rounded_up(void **state)
{
    (void)state;
    expect_figure(2.38184, 5, "2.3819");
    expect_figure(2.38186, 5, "2.3819");
    expect_figure(3, 5, "3");
    expect_figure(3.0000001, 5, "3.0001");
    expect_figure(2.9999999, 5, "3");
    expect_figure(1.00001e-9, 5, "1.0001e-09");
    expect_figure(9.99991, 5, "10");
    expect_figure(99999.2, 5, "1e+05");
    expect_figure(0.10001, 2, "0.11");
    expect_figure(0, 5, "0");
}

static void test_privacy_left_of_any_value_is_not_above_it(void **state)
{
    (void)state;
    uint64_t seed = 12;
    char text[PRIVACY_BOUND_BYTES];
    privacy_left(2.99999, 4, text);
    assert_string_equal(text, "2.999");
    privacy_left(3, 4, text);
    assert_string_equal(text, "3");
    for (int i = 0; i < 20000; i++) {
        double value = between(&seed, 1e-12, 1e7);
        int digits = 1 + i % 9;
        privacy_left(value, digits, text);
        double said = strtod(text, NULL);
        assert_true(said <= value);
        assert_true(value - said <= 1.0001 * pow(10, floor(log10(value)) - (digits - 1)));
    }
}

/* And by less than a unit of its last digit. */
static void test_privacy_bound_of_any_value_is_not_below_it(void **state)
{
    (void)state;
    uint64_t seed = 11;
    char text[PRIVACY_BOUND_BYTES];
    for (int i = 0; i < 20000; i++) {
        double value = between(&seed, 1e-12, 1e7);
        int digits = 1 + i % 9;
        privacy_bound(value, digits, text);
        double said = strtod(text, NULL);
        assert_true(said >= value);
        assert_true(said - value <= 1.0001 * pow(10, floor(log10(value)) - (digits - 1)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_privacy_rdp_step_is_never_below_the_integral),
        cmocka_unit_test(test_privacy_bound_is_rounded_up),
        cmocka_unit_test(test_privacy_bound_of_any_value_is_not_below_it),
        cmocka_unit_test(test_privacy_left_of_any_value_is_not_above_it),
        cmocka_unit_test(test_privacy_delta_of_one_step_agrees_with_the_closed_form),
        cmocka_unit_test(test_privacy_delta_of_one_rare_step_is_the_closed_form),
        cmocka_unit_test(test_privacy_rare_delta_of_two_steps_is_not_below_the_integral),
        cmocka_unit_test(test_privacy_delta_of_rare_events_at_a_large_epsilon_is_not_zero),
        cmocka_unit_test(test_privacy_gaussian_delta_of_hardly_any_shift_is_not_below_the_integral),
        cmocka_unit_test(test_privacy_rare_is_for_rare_records_alone),
        cmocka_unit_test(test_privacy_epsilon_pld_is_at_least_exact_without_sampling),
        cmocka_unit_test(test_privacy_epsilon_random_settings_are_in_order),
        cmocka_unit_test(test_privacy_steps_epsilon_any_steps_is_that_of_the_accountant),
        cmocka_unit_test(test_privacy_steps_epsilon_what_cannot_be_accounted_is_refused),
        cmocka_unit_test(test_privacy_epsilon_grows_with_steps_and_rate_and_falls_with_noise_and_delta),
        cmocka_unit_test(test_privacy_epsilon_splitting_an_event_changes_nothing),
        cmocka_unit_test(test_privacy_epsilon_different_events_compose),
        cmocka_unit_test(test_privacy_delta_and_epsilon_are_inverse),
        cmocka_unit_test(test_privacy_epsilon_extreme_settings_are_figures),
        cmocka_unit_test(test_privacy_epsilon_beyond_the_limit_says_so),
        cmocka_unit_test(test_privacy_epsilon_out_of_range_is_refused),
        cmocka_unit_test(test_privacy_gaussian_sampled_events_are_refused),
        cmocka_unit_test(test_privacy_calibrate_leaves_room_for_the_others),
        cmocka_unit_test(test_privacy_calibrate_what_no_noise_does_is_refused),
        cmocka_unit_test(test_privacy_calibrate_what_the_least_noise_does_is_that),
        cmocka_unit_test(test_privacy_steps_are_the_most_that_fit),
        cmocka_unit_test(test_privacy_steps_none_and_all),
        cmocka_unit_test(test_privacy_filter_adds_and_converts_at_its_orders),
        cmocka_unit_test(test_privacy_filter_wrong_events_leave_the_sum_alone),
        cmocka_unit_test(test_privacy_filter_infinite_or_no_sum_is_not_admitted),
        cmocka_unit_test(test_privacy_accountant_words_are_all_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
