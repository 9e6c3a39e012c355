/* Updates as integers: the scale, rounding, sums without overflow, and the distance from FedAvg in clear. */
#include "crypto/fixed_point.h"

#include "orchestrator/strategy_fedavg.h"
#include "scratch.h"

#include <float.h>
#include <math.h>

#define MOST_SITES 12
#define PARAMETERS 200

__extension__ typedef unsigned __int128 wide;

static uint64_t below(uint64_t end)
{
    uint64_t value;
    succeeds(secret_random(&value, sizeof(value)));
    return value % end;
}

/* Uniform over -1 to 1. */
static double uniform(void)
{
    return ldexp((double)below(UINT64_C(1) << 53), -52) - 1;
}

static struct fixed_point planned(enum mask_ring ring, double clip, uint64_t max_examples, size_t sites,
                                  bool weighted)
{
    struct fixed_point plan = {
        .ring = ring, .clip = clip, .max_examples = max_examples, .sites = sites, .weighted = weighted};
    succeeds(fixed_point_plan(&plan));
    return plan;
}

static uint64_t in_ring(enum mask_ring ring, int64_t value)
{
    return (uint64_t)value & (ring == MASK_RING_32 ? UINT32_MAX : UINT64_MAX);
}

static int64_t signed_of(enum mask_ring ring, uint64_t word)
{
    return ring == MASK_RING_32 ? (int64_t)(int32_t)(uint32_t)word : (int64_t)word;
}

/* ---- the scale ---- */

static void test_fixed_point_plan_known_scales_agree(void **state)
{
    (void)state;
    assert_true(planned(MASK_RING_64, 1, 1, 1, true).scale == ldexp(1, 62));
    assert_true(planned(MASK_RING_64, 1, 1, 4, true).scale == ldexp(1, 60));
    assert_true(planned(MASK_RING_64, 0.75, 1, 1, true).scale == ldexp(1, 63));
    assert_true(planned(MASK_RING_64, 32, 1000000, 10, true).scale == ldexp(1, 54));
    assert_true(planned(MASK_RING_32, 1, 1, 1, false).scale == ldexp(1, 30));
    assert_true(planned(MASK_RING_32, 1, 1000, 1000, false).scale == ldexp(1, 21));
    assert_true(planned(MASK_RING_64, ldexp(1, 62), 1, 1, true).scale == 1);
    /* 2 · 1073741823.5 is 2^31 - 1, but each, rounded up, is 2^30. */
    assert_true(planned(MASK_RING_32, 1073741823.5 / 1024, 1, 2, true).scale == 512);
    assert_true(planned(MASK_RING_32, 1073741823.0 / 1024, 1, 2, true).scale == 1024);
}

/* n · ceil(S · C) in 128 bits: has room, and with twice the scale it would have none. */
static void test_fixed_point_plan_scale_is_the_largest_with_room(void **state)
{
    (void)state;
    for (int trial = 0; trial < 20000; trial++) {
        enum mask_ring ring = trial % 2 == 0 ? MASK_RING_64 : MASK_RING_32;
        size_t sites = 1 + (size_t)below(1024);
        wide room = ((wide)1 << (ring - 1)) - 1;
        int exponent = (int)below(40) - 30;
        double clip = ldexp(1 + (double)below(UINT64_C(1) << 52) * DBL_EPSILON, exponent);
        if (trial % 3 == 0)
            clip = ldexp(1, exponent); /* powers of two, where equality is near */
        struct fixed_point plan = planned(ring, clip, 1, sites, true);
        int ignored;
        assert_true(frexp(plan.scale, &ignored) == 0.5);
        assert_true((wide)ceil(plan.scale * clip) * sites <= room);
        assert_true((wide)ceil(2 * plan.scale * clip) * sites > room);
    }
}

static void test_fixed_point_plan_without_room_is_refused(void **state)
{
    (void)state;
    static const struct {
        enum mask_ring ring;
        double clip;
        uint64_t max_examples;
        size_t sites;
        const char *says;
    } cases[] = {
        {MASK_RING_64, 0, 1, 1, "clip"},
        {MASK_RING_64, -1, 1, 1, "clip"},
        {MASK_RING_64, NAN, 1, 1, "clip"},
        {MASK_RING_64, INFINITY, 1, 1, "clip"},
        {MASK_RING_64, 1, 0, 1, "max_examples"},
        {MASK_RING_64, 1, (UINT64_C(1) << 53) + 1, 1, "max_examples"},
        {MASK_RING_64, 1, 1, 0, "site"},
        {MASK_RING_32, 1, 2147484, 1000, "ring: 64"},
        {MASK_RING_64, 1, UINT64_C(1) << 53, 1024, "smaller max_examples"},
        {MASK_RING_64, 9.3e18, 1, 1, "smaller clip"},
        {MASK_RING_64, 0x1p62, 1, 2, "smaller clip"},
        {MASK_RING_32, 3e6, 1, 1000, "ring: 64"},
        {MASK_RING_64, 1e300, 1, 1, "smaller clip"},
        {MASK_RING_64, DBL_TRUE_MIN, 1, 1, "too small"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixed_point plan = {.ring = cases[i].ring,
                                   .clip = cases[i].clip,
                                   .max_examples = cases[i].max_examples,
                                   .sites = cases[i].sites};
        fails_saying(fixed_point_plan(&plan), ERROR_INVALID, cases[i].says);
        assert_true(plan.scale == 0);
    }
}

/* ---- one site's words ---- */

static void test_fixed_point_encode_rounds_to_the_nearest_even_and_clips(void **state)
{
    (void)state;
    struct fixed_point plan = planned(MASK_RING_64, 8, 10, 2, false);
    double unit = 1 / plan.scale;
    const double from[] = {0, 0, 0, 0, 0, 0, 0, 1, 0};
    const double to[] = {0.5 * unit, 1.5 * unit, 2.5 * unit, -0.5 * unit, -1.5 * unit, 9, -1e300, 0.5, -0.0};
    const int64_t wanted[] = {
        0, 2, 2, 0, -2, (int64_t)(8 * plan.scale), (int64_t)(-8 * plan.scale), (int64_t)(-0.5 * plan.scale),
        0};
    uint64_t words[10];
    succeeds(fixed_point_encode(&plan, from, to, 9, 10, words));
    assert_true(words[0] == 1);
    for (size_t p = 0; p < 9; p++)
        assert_true((int64_t)words[p + 1] == wanted[p]);
}

static void test_fixed_point_encode_weighs_by_examples(void **state)
{
    (void)state;
    struct fixed_point plan = planned(MASK_RING_64, 1, 1000, 2, true);
    const double from = 0.25, to = 0.75;
    uint64_t words[2];
    succeeds(fixed_point_encode(&plan, &from, &to, 1, 250, words));
    assert_true(words[0] == 250);
    assert_true((int64_t)words[1] == (int64_t)(0.125 * plan.scale));
}

static void test_fixed_point_encode_bad_input_is_refused_and_wiped(void **state)
{
    (void)state;
    struct fixed_point plan = planned(MASK_RING_64, 1, 1000, 2, true);
    const double from[] = {0, -DBL_MAX};
    const double bad[][2] = {{NAN, 0}, {0, INFINITY}, {0, -INFINITY}, {0, DBL_MAX}};
    uint64_t words[3];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memset(words, 0x77, sizeof(words));
        fails(fixed_point_encode(&plan, from, bad[i], 2, 5, words), ERROR_NUMERIC);
        assert_true(words[0] == 0 && words[1] == 0 && words[2] == 0);
    }
    fails(fixed_point_encode(&plan, from, from, 1, 0, words), ERROR_INVALID);
    fails_saying(fixed_point_encode(&plan, from, from, 1, 1001, words), ERROR_INVALID, "max_examples");
    succeeds(fixed_point_encode(&plan, from, from, 1, 1000, words));
}

/* Of each value 2^20 roundings: the mean is within 6.5 standard deviations, which fails once in 1e10 times. */
static void test_fixed_point_encode_32_bits_rounds_without_bias(void **state)
{
    (void)state;
    enum { COUNT = 1 << 20 };
    static const double shares[] = {0.25, -0.25, 0.5, 0.999, -0.001, 3.125, -17.75};
    struct fixed_point plan = planned(MASK_RING_32, 1, 10, 4, false);
    double *from = calloc(COUNT, sizeof(*from)), *to = calloc(COUNT, sizeof(*to));
    uint64_t *words = calloc(COUNT + 1, sizeof(*words));
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        double low = floor(shares[i]), sum = 0, share = shares[i] - low;
        for (size_t p = 0; p < COUNT; p++)
            to[p] = shares[i] / plan.scale;
        succeeds(fixed_point_encode(&plan, from, to, COUNT, 10, words));
        for (size_t p = 0; p < COUNT; p++) {
            double got = (double)signed_of(MASK_RING_32, words[p + 1]);
            assert_true(words[p + 1] <= UINT32_MAX);
            assert_true(got == low || got == low + 1);
            sum += got - low;
        }
        assert_true(fabs(sum / COUNT - share) < 6.5 * sqrt(share * (1 - share) / COUNT));
    }
    free(from);
    free(to);
    free(words);
}

static void test_fixed_point_encode_32_bits_leaves_whole_numbers(void **state)
{
    (void)state;
    struct fixed_point plan = planned(MASK_RING_32, 1, 10, 4, false);
    double from[PARAMETERS] = {0}, to[PARAMETERS];
    uint64_t words[PARAMETERS + 1];
    for (int p = 0; p < PARAMETERS; p++)
        to[p] = (p - 100) / plan.scale;
    to[0] = -5; /* clipped */
    succeeds(fixed_point_encode(&plan, from, to, PARAMETERS, 1, words));
    assert_true(signed_of(MASK_RING_32, words[1]) == -(int64_t)plan.scale);
    for (int p = 1; p < PARAMETERS; p++)
        assert_true(signed_of(MASK_RING_32, words[p + 1]) == p - 100);
}

/* ---- sums ---- */

struct round {
    struct fixed_point plan;
    size_t contributors;
    uint64_t examples[MOST_SITES], total;
    double from[PARAMETERS], to[MOST_SITES][PARAMETERS], largest;
    uint64_t words[MOST_SITES][PARAMETERS + 1], sum[PARAMETERS + 1];
};

/* Every site's words and their sum, which is compared with the sum of the quantised values in 128 bits. */
static void summed(struct round *round)
{
    enum mask_ring ring = round->plan.ring;
    memset(round->sum, 0, sizeof(round->sum));
    for (size_t i = 0; i < round->contributors; i++) {
        succeeds(fixed_point_encode(&round->plan, round->from, round->to[i], PARAMETERS, round->examples[i],
                                    round->words[i]));
        mask_add_words(ring, round->sum, round->words[i], PARAMETERS + 1);
    }
    for (size_t p = 0; p <= PARAMETERS; p++) {
        __extension__ __int128 exact = 0;
        for (size_t i = 0; i < round->contributors; i++)
            exact += p == 0 ? (int64_t)round->words[i][0] : signed_of(ring, round->words[i][p]);
        assert_true(exact == signed_of(ring, round->sum[p])); /* nothing wrapped */
    }
}

static void drawn(struct round *round, enum mask_ring ring, bool weighted, double reach)
{
    size_t sites = 1 + (size_t)below(MOST_SITES);
    uint64_t max_examples = 1 + below(ring == MASK_RING_32 ? 100000 : UINT64_C(1) << (10 + below(31)));
    double clip = ldexp(1 + fabs(uniform()), (int)below(10) - 5);
    round->plan = planned(ring, clip, max_examples, sites, weighted);
    round->contributors = 1 + (size_t)below(sites);
    round->total = 0;
    round->largest = 0;
    for (size_t i = 0; i < round->contributors; i++)
        round->total += round->examples[i] = 1 + below(max_examples);
    for (size_t p = 0; p < PARAMETERS; p++) {
        round->from[p] = 10 * clip * uniform();
        round->largest = fmax(round->largest, fabs(round->from[p]));
        for (size_t i = 0; i < round->contributors; i++) {
            round->to[i][p] = round->from[p] + reach * clip * uniform();
            round->largest = fmax(round->largest, fabs(round->to[i][p]));
        }
    }
}

/* The largest difference of the model after the round from FedAvg in clear. */
static double distance(const struct round *round)
{
    struct fedavg_update updates[MOST_SITES];
    double clear[PARAMETERS], model[PARAMETERS], apart = 0;
    for (size_t i = 0; i < round->contributors; i++)
        updates[i] = (struct fedavg_update){round->to[i], round->examples[i]};
    succeeds(fedavg_aggregate(updates, round->contributors, PARAMETERS,
                              round->plan.weighted ? JOB_WEIGHT_EXAMPLES : JOB_WEIGHT_EQUAL, clear));
    memcpy(model, round->from, sizeof(model));
    succeeds(fixed_point_advance(&round->plan, round->contributors, round->sum, PARAMETERS, model));
    for (size_t p = 0; p < PARAMETERS; p++)
        apart = fmax(apart, fabs(model[p] - clear[p]));
    return apart;
}

static void test_fixed_point_advance_is_within_the_bound_of_fedavg(void **state)
{
    (void)state;
    struct round *round = calloc(1, sizeof(*round));
    for (int trial = 0; trial < 400; trial++) {
        drawn(round, trial % 2 == 0 ? MASK_RING_64 : MASK_RING_32, trial % 4 < 2, 0.999);
        summed(round);
        assert_true(distance(round) <=
                    fixed_point_bound(&round->plan, round->contributors, round->total, round->largest));
    }
    free(round);
}

/* Where quantisation is coarse, the bound is nearly reached: it is no bound that nothing could miss. */
static void test_fixed_point_bound_is_nearly_reached(void **state)
{
    (void)state;
    struct round *round = calloc(1, sizeof(*round));
    for (int weighted = 0; weighted < 2; weighted++) {
        /* Half a step above a whole number of steps, at every site: all are rounded down. */
        round->plan = planned(MASK_RING_64, 1e6, UINT64_C(1) << 40, 8, weighted == 1);
        round->contributors = 8;
        round->total = 8;
        round->largest = 1e6;
        double step = weighted ? ldexp(1, 40) / round->plan.scale : 1 / round->plan.scale;
        for (size_t i = 0; i < 8; i++) {
            round->examples[i] = 1;
            for (size_t p = 0; p < PARAMETERS; p++)
                round->to[i][p] = step * ((double)(2 * (p % 8)) + 0.5);
        }
        round->largest = 16 * step;
        summed(round);
        double bound = fixed_point_bound(&round->plan, 8, 8, round->largest), apart = distance(round);
        assert_true(apart <= bound);
        assert_true(apart > 0.999 * bound);
    }
    free(round);
}

/* Beyond the clip, the bound does not hold; the model moves by the clip. */
static void test_fixed_point_advance_moves_no_further_than_the_clip(void **state)
{
    (void)state;
    struct round *round = calloc(1, sizeof(*round));
    for (int trial = 0; trial < 100; trial++) {
        double model[PARAMETERS];
        drawn(round, trial % 2 == 0 ? MASK_RING_64 : MASK_RING_32, trial % 4 < 2, 1e3);
        summed(round);
        memcpy(model, round->from, sizeof(model));
        succeeds(fixed_point_advance(&round->plan, round->contributors, round->sum, PARAMETERS, model));
        double slack =
            fixed_point_bound(&round->plan, round->contributors, round->total, 11 * round->plan.clip);
        for (size_t p = 0; p < PARAMETERS; p++)
            assert_true(fabs(model[p] - round->from[p]) <= round->plan.clip + slack);
    }
    free(round);
}

/* All sites at the clip, with as many examples as may be: the sum is at the edge of the ring, and does not wrap. */
static void test_fixed_point_sum_of_extremes_does_not_wrap(void **state)
{
    (void)state;
    static const double clips[] = {1, 0.7, 3, 1e-3, 1e6, 715827882.5 / 4096};
    struct round *round = calloc(1, sizeof(*round));
    for (int kind = 0; kind < 4; kind++)
        for (size_t c = 0; c < sizeof(clips) / sizeof(clips[0]); c++)
            for (size_t sites = 1; sites <= MOST_SITES; sites++) {
                enum mask_ring ring = kind % 2 == 0 ? MASK_RING_64 : MASK_RING_32;
                double model[PARAMETERS] = {0}, clip = clips[c];
                round->plan = planned(ring, clip, 100000, sites, kind < 2);
                round->contributors = sites;
                for (size_t i = 0; i < sites; i++) {
                    round->examples[i] = 100000;
                    for (size_t p = 0; p < PARAMETERS; p++)
                        round->to[i][p] = p % 2 == 0 ? 2 * clip : -2 * clip;
                }
                summed(round);
                succeeds(fixed_point_advance(&round->plan, sites, round->sum, PARAMETERS, model));
                double bound = fixed_point_bound(&round->plan, sites, sites * 100000, clip);
                for (size_t p = 0; p < PARAMETERS; p++)
                    assert_true(fabs(model[p] - (p % 2 == 0 ? clip : -clip)) <= bound);
            }
    free(round);
}

static void test_fixed_point_sum_in_any_order_gives_the_same_bits(void **state)
{
    (void)state;
    struct round *round = calloc(1, sizeof(*round));
    for (int trial = 0; trial < 20; trial++) {
        uint64_t backwards[PARAMETERS + 1] = {0};
        double model[PARAMETERS], same[PARAMETERS];
        drawn(round, MASK_RING_64, true, 1);
        summed(round);
        for (size_t i = round->contributors; i-- > 0;)
            mask_add_words(MASK_RING_64, backwards, round->words[i], PARAMETERS + 1);
        memcpy(model, round->from, sizeof(model));
        memcpy(same, round->from, sizeof(model));
        succeeds(fixed_point_advance(&round->plan, round->contributors, round->sum, PARAMETERS, model));
        succeeds(fixed_point_advance(&round->plan, round->contributors, backwards, PARAMETERS, same));
        assert_memory_equal(model, same, sizeof(model));
    }
    free(round);
}

static void advance_fails(const struct fixed_point *plan, size_t contributors, uint64_t first,
                          uint64_t second, enum error_code code)
{
    double model[2] = {1, 2};
    const double before[2] = {1, 2};
    const uint64_t words[] = {first, 5, second};
    fails(fixed_point_advance(plan, contributors, words, 2, model), code);
    assert_memory_equal(model, before, sizeof(model));
}

static void test_fixed_point_advance_impossible_sums_are_refused(void **state)
{
    (void)state;
    for (int narrow = 0; narrow < 2; narrow++) {
        enum mask_ring ring = narrow ? MASK_RING_32 : MASK_RING_64;
        struct fixed_point weighted = planned(ring, 1, 100, 4, true), equal = planned(ring, 1, 100, 4, false);
        double model[2] = {1, 2};
        int64_t most = 3 * (int64_t)weighted.scale;
        advance_fails(&weighted, 3, 0, 0, ERROR_INVALID);
        advance_fails(&weighted, 3, 2, 0, ERROR_INVALID);
        advance_fails(&weighted, 3, 301, 0, ERROR_INVALID);
        advance_fails(&weighted, 0, 5, 0, ERROR_INVALID);
        advance_fails(&weighted, 5, 5, 0, ERROR_INVALID);
        advance_fails(&weighted, 3, 300, in_ring(ring, most + 1), ERROR_INVALID);
        advance_fails(&weighted, 3, 300, in_ring(ring, -most - 1), ERROR_INVALID);
        advance_fails(&weighted, 3, 300, UINT64_C(1) << (ring - 1), ERROR_INVALID); /* the lowest number */
        advance_fails(&equal, 3, 2, 0, ERROR_INVALID);
        advance_fails(&equal, 3, 4, 0, ERROR_INVALID);
        const uint64_t good[] = {300, in_ring(ring, most), in_ring(ring, -most)};
        succeeds(fixed_point_advance(&weighted, 3, good, 2, model));
        assert_true(model[0] == 2 && model[1] == 1);
        model[1] = INFINITY;
        fails(fixed_point_advance(&weighted, 3, good, 2, model), ERROR_NUMERIC);
        assert_true(model[0] == 2);
    }
}

/* ---- counts ---- */

static void test_fixed_point_counts_come_back_summed(void **state)
{
    (void)state;
    struct fixed_point plan = planned(MASK_RING_32, 1, 1000, 3, true);
    const uint64_t one[] = {0, 1000, 7}, other[] = {5, 1000, 0};
    uint64_t sum[3], words[3], counts[3];
    succeeds(fixed_point_counts(&plan, one, 3, sum));
    succeeds(fixed_point_counts(&plan, other, 3, words));
    mask_add_words(plan.ring, sum, words, 3);
    succeeds(fixed_point_decode_counts(&plan, 2, sum, 3, counts));
    assert_true(counts[0] == 5 && counts[1] == 2000 && counts[2] == 7);
}

static void test_fixed_point_counts_out_of_range_are_refused(void **state)
{
    (void)state;
    struct fixed_point plan = planned(MASK_RING_64, 1, 1000, 3, true);
    const uint64_t large[] = {0, 1001}, sum[] = {2000, 2001};
    uint64_t words[2] = {3, 4};
    fails_saying(fixed_point_counts(&plan, large, 2, words), ERROR_INVALID, "max_examples");
    fails(fixed_point_decode_counts(&plan, 2, sum, 2, words), ERROR_INVALID);
    fails(fixed_point_decode_counts(&plan, 0, sum, 2, words), ERROR_INVALID);
    fails(fixed_point_decode_counts(&plan, 4, sum, 2, words), ERROR_INVALID);
    assert_true(words[0] == 3 && words[1] == 4);
    succeeds(fixed_point_decode_counts(&plan, 3, sum, 2, words));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_fixed_point_plan_known_scales_agree),
        SCRATCH_TEST(test_fixed_point_plan_scale_is_the_largest_with_room),
        SCRATCH_TEST(test_fixed_point_plan_without_room_is_refused),
        SCRATCH_TEST(test_fixed_point_encode_rounds_to_the_nearest_even_and_clips),
        SCRATCH_TEST(test_fixed_point_encode_weighs_by_examples),
        SCRATCH_TEST(test_fixed_point_encode_bad_input_is_refused_and_wiped),
        SCRATCH_TEST(test_fixed_point_encode_32_bits_rounds_without_bias),
        SCRATCH_TEST(test_fixed_point_encode_32_bits_leaves_whole_numbers),
        SCRATCH_TEST(test_fixed_point_advance_is_within_the_bound_of_fedavg),
        SCRATCH_TEST(test_fixed_point_bound_is_nearly_reached),
        SCRATCH_TEST(test_fixed_point_advance_moves_no_further_than_the_clip),
        SCRATCH_TEST(test_fixed_point_sum_of_extremes_does_not_wrap),
        SCRATCH_TEST(test_fixed_point_sum_in_any_order_gives_the_same_bits),
        SCRATCH_TEST(test_fixed_point_advance_impossible_sums_are_refused),
        SCRATCH_TEST(test_fixed_point_counts_come_back_summed),
        SCRATCH_TEST(test_fixed_point_counts_out_of_range_are_refused),
    };
    return cmocka_run_group_tests_name("fixed_point", tests, NULL, NULL);
}
