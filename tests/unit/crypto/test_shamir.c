/* Shamir's sharing: known answers, every threshold, wrong shares up to what can be corrected and beyond it. */
#include "crypto/shamir_parts.h"

#include "scratch.h"
#include "tests/vectors/sa1_components.h"

#define MOST 20

__extension__ typedef unsigned __int128 wide;

static uint64_t limb_of(const uint8_t *share, size_t limb)
{
    uint64_t value = 0;
    for (size_t i = 0; i < 8; i++)
        value |= (uint64_t)share[8 * limb + i] << (8 * i);
    return value;
}

static void set_limb(uint8_t *share, size_t limb, uint64_t value)
{
    for (size_t i = 0; i < 8; i++)
        share[8 * limb + i] = (uint8_t)(value >> (8 * i));
}

static uint64_t below(uint64_t end)
{
    uint64_t value;
    succeeds(secret_random(&value, sizeof(value)));
    return value % end;
}

static void deal_anew(const uint8_t secret[static SHAMIR_SECRET_BYTES], size_t threshold,
                      struct shamir_deal **ret_deal)
{
    uint8_t seed[SHAMIR_SEED_BYTES];
    succeeds(secret_random(seed, sizeof(seed)));
    succeeds(shamir_deal_new(secret, threshold, seed, ret_deal));
}

/* A fresh secret and its shares of 1 to count, in an order that is drawn. */
static void dealt(size_t count, size_t threshold, uint8_t ret_secret[static SHAMIR_SECRET_BYTES],
                  struct shamir_point *ret_points)
{
    struct shamir_deal *deal = NULL;
    succeeds(secret_random(ret_secret, SHAMIR_SECRET_BYTES));
    deal_anew(ret_secret, threshold, &deal);
    for (size_t i = 0; i < count; i++)
        ret_points[i].x = (uint32_t)i + 1;
    for (size_t i = count - 1; i > 0; i--) {
        size_t other = (size_t)below(i + 1);
        uint32_t x = ret_points[i].x;
        ret_points[i].x = ret_points[other].x;
        ret_points[other].x = x;
    }
    for (size_t i = 0; i < count; i++)
        shamir_deal_share(deal, ret_points[i].x, ret_points[i].share);
    shamir_deal_free(deal);
}

/* Changes one limb of a share, or all, to other values of the field. */
static void corrupt(uint8_t *share, bool all)
{
    size_t only = (size_t)below(SHAMIR_LIMBS);
    for (size_t limb = 0; limb < SHAMIR_LIMBS; limb++)
        if (all || limb == only)
            set_limb(share, limb, (limb_of(share, limb) + 1 + below(SHAMIR_PRIME - 1)) % SHAMIR_PRIME);
}

/* ---- the field ---- */

static void test_shamir_field_edge_values_agree_with_division(void **state)
{
    (void)state;
    const uint64_t p = SHAMIR_PRIME;
    uint64_t values[64] = {0, 1, 2, 3, p - 1, p - 2, p - 3, p / 2, p / 2 + 1, UINT64_C(1) << 60, 0xffffffff};
    for (size_t i = 11; i < 64; i++)
        values[i] = below(p);
    for (size_t i = 0; i < 64; i++)
        for (size_t j = 0; j < 64; j++) {
            uint64_t a = values[i], b = values[j];
            assert_true(shamir_add(a, b) == (uint64_t)(((wide)a + b) % p));
            assert_true(shamir_subtract(a, b) == (uint64_t)(((wide)a + p - b) % p));
            assert_true(shamir_multiply(a, b) == (uint64_t)((wide)a * b % p));
        }
}

static void test_shamir_invert_gives_inverses_and_zero_of_zero(void **state)
{
    (void)state;
    assert_true(shamir_invert(0) == 0);
    assert_true(shamir_invert(1) == 1);
    assert_true(shamir_invert(2) == UINT64_C(1) << 60);
    assert_true(shamir_invert(SHAMIR_PRIME - 1) == SHAMIR_PRIME - 1);
    for (int i = 0; i < 1000; i++) {
        uint64_t a = 1 + below(SHAMIR_PRIME - 1);
        assert_true(shamir_multiply(a, shamir_invert(a)) == 1);
    }
}

/* ---- known answers ---- */

static void test_shamir_deal_component_vectors_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < SA1_SITES; i++) {
        uint8_t b[SHAMIR_SECRET_BYTES], got[SHAMIR_SECRET_BYTES];
        struct shamir_deal *deal = NULL;
        struct shamir_point points[SA1_SITES];
        (void)scratch_hex(sa1_sites[i].b, b);
        succeeds(shamir_deal_given(b, SA1_THRESHOLD, sa1_sites[i].b_coefficients[0], &deal));
        for (size_t k = 0; k < SA1_SITES; k++) {
            points[k].x = (uint32_t)k + 1;
            shamir_deal_share(deal, points[k].x, points[k].share);
            for (size_t limb = 0; limb < SHAMIR_LIMBS; limb++)
                assert_true(limb_of(points[k].share, limb) == sa1_sites[i].b_shares[k][limb]);
        }
        succeeds(shamir_interpolate(points + 1, SA1_THRESHOLD, SA1_THRESHOLD, got));
        assert_memory_equal(got, b, sizeof(b));
        shamir_deal_free(deal);
    }
}

/* Computed from the header alone, with the openssl program for AES. */
static void test_shamir_deal_new_known_answer(void **state)
{
    (void)state;
    uint8_t secret[SHAMIR_SECRET_BYTES], seed[SHAMIR_SEED_BYTES];
    uint8_t got[SHAMIR_SHARE_BYTES], expected[SHAMIR_SHARE_BYTES];
    struct shamir_deal *deal = NULL;
    for (uint8_t i = 0; i < SHAMIR_SECRET_BYTES; i++) {
        secret[i] = (uint8_t)(100 + i);
        seed[i] = i;
    }
    succeeds(shamir_deal_new(secret, 3, seed, &deal));
    shamir_deal_share(deal, 3, got);
    shamir_deal_free(deal);
    (void)scratch_hex("0ea91557b76da216f21cd6fb5283d01eb6e7a7973c115817340ce290b417db15290515264e3b1100",
                      expected);
    assert_memory_equal(got, expected, sizeof(got));
}

static void test_shamir_take_passes_over_what_is_no_value(void **state)
{
    (void)state;
    const uint64_t words[] = {SHAMIR_PRIME, UINT64_MAX - 1, 0, UINT64_MAX, UINT64_MAX, 7, SHAMIR_PRIME, 8};
    const uint64_t expected[] = {7, SHAMIR_PRIME - 1, 0, 8};
    uint64_t got[4];
    assert_true(shamir_take(words, 4, 4, got));
    assert_memory_equal(got, expected, sizeof(got));
    assert_false(shamir_take(words, 4, 3, got));
}

/* ---- sharing ---- */

static void test_shamir_interpolate_every_threshold_gives_the_secret(void **state)
{
    (void)state;
    for (size_t n = 1; n <= MOST; n++)
        for (size_t t = 1; t <= n; t++) {
            uint8_t secret[SHAMIR_SECRET_BYTES], got[SHAMIR_SECRET_BYTES];
            struct shamir_point points[MOST];
            dealt(n, t, secret, points);
            succeeds(shamir_interpolate(points, n, t, got)); /* the first t of an order that is drawn */
            assert_memory_equal(got, secret, sizeof(secret));
            succeeds(shamir_interpolate(points + n - t, t, t, got));
            assert_memory_equal(got, secret, sizeof(secret));
        }
}

static void test_shamir_interpolate_extreme_secrets_come_back(void **state)
{
    (void)state;
    for (int filled = 0; filled <= 0xff; filled += 0xff) {
        uint8_t secret[SHAMIR_SECRET_BYTES], got[SHAMIR_SECRET_BYTES];
        struct shamir_deal *deal = NULL;
        struct shamir_point points[3] = {{1, {0}}, {SHAMIR_MAX_SHARES, {0}}, {500, {0}}};
        memset(secret, filled, sizeof(secret));
        deal_anew(secret, 3, &deal);
        for (size_t i = 0; i < 3; i++)
            shamir_deal_share(deal, points[i].x, points[i].share);
        succeeds(shamir_interpolate(points, 3, 3, got));
        assert_memory_equal(got, secret, sizeof(secret));
        shamir_deal_free(deal);
    }
}

static void test_shamir_interpolate_largest_threshold_gives_the_secret(void **state)
{
    (void)state;
    uint8_t secret[SHAMIR_SECRET_BYTES], got[SHAMIR_SECRET_BYTES];
    struct shamir_point *points = calloc(SHAMIR_MAX_SHARES, sizeof(*points));
    dealt(SHAMIR_MAX_SHARES, SHAMIR_MAX_SHARES, secret, points);
    succeeds(shamir_interpolate(points, SHAMIR_MAX_SHARES, SHAMIR_MAX_SHARES, got));
    assert_memory_equal(got, secret, sizeof(secret));
    free(points);
}

/* Of t - 1 shares and any guess of the secret there is a polynomial: one share less says nothing. */
static void test_shamir_deal_one_share_less_fits_any_secret(void **state)
{
    (void)state;
    struct shamir_deal *deal = NULL;
    uint8_t secret[SHAMIR_SECRET_BYTES], share[SHAMIR_SHARE_BYTES], same[SHAMIR_SHARE_BYTES];
    succeeds(secret_random(secret, sizeof(secret)));
    deal_anew(secret, 2, &deal);
    shamir_deal_share(deal, 7, share);
    shamir_deal_free(deal);
    for (int guess = 0; guess < 10; guess++) {
        uint64_t slope[SHAMIR_LIMBS];
        struct shamir_deal *flat = NULL, *other = NULL;
        uint8_t constant[SHAMIR_SHARE_BYTES];
        succeeds(secret_random(secret, sizeof(secret)));
        succeeds(shamir_deal_given(secret, 1, NULL, &flat));
        shamir_deal_share(flat, 7, constant); /* the limbs of the guess */
        for (size_t limb = 0; limb < SHAMIR_LIMBS; limb++)
            slope[limb] = shamir_multiply(shamir_subtract(limb_of(share, limb), limb_of(constant, limb)),
                                          shamir_invert(7));
        succeeds(shamir_deal_given(secret, 2, slope, &other));
        shamir_deal_share(other, 7, same);
        assert_memory_equal(same, share, sizeof(share));
        shamir_deal_free(flat);
        shamir_deal_free(other);
    }
}

/* Shares of one secret dealt with two seeds have nothing in common. */
static void test_shamir_deal_new_of_another_seed_gives_other_shares(void **state)
{
    (void)state;
    uint8_t secret[SHAMIR_SECRET_BYTES] = {1}, one[SHAMIR_SHARE_BYTES], other[SHAMIR_SHARE_BYTES];
    struct shamir_deal *first = NULL, *second = NULL;
    deal_anew(secret, 2, &first);
    deal_anew(secret, 2, &second);
    shamir_deal_share(first, 1, one);
    shamir_deal_share(second, 1, other);
    for (size_t limb = 0; limb < SHAMIR_LIMBS; limb++)
        assert_true(limb_of(one, limb) != limb_of(other, limb));
    shamir_deal_free(first);
    shamir_deal_free(second);
}

/* ---- wrong shares ---- */

static void test_shamir_correct_as_many_wrong_as_can_be_are_named(void **state)
{
    (void)state;
    for (size_t n = 1; n <= MOST; n++)
        for (size_t t = 1; t <= n; t++)
            for (size_t bad = 0; bad <= (n - t) / 2; bad++) {
                uint8_t secret[SHAMIR_SECRET_BYTES], got[SHAMIR_SECRET_BYTES];
                struct shamir_point points[MOST];
                bool wrong[MOST], wanted[MOST] = {false};
                dealt(n, t, secret, points);
                for (size_t i = 0; i < bad; i++) {
                    size_t at = (size_t)below(n);
                    while (wanted[at])
                        at = (at + 1) % n;
                    wanted[at] = true;
                    corrupt(points[at].share, i % 2 == 0);
                }
                succeeds(shamir_correct(points, n, t, got, bad % 2 == 0 ? wrong : NULL));
                assert_memory_equal(got, secret, sizeof(secret));
                if (bad % 2 == 0)
                    assert_memory_equal(wrong, wanted, n * sizeof(bool));
            }
}

/* Wrong shares that lie on another polynomial: the hardest for a decoder. */
static void test_shamir_correct_conspiring_shares_are_corrected(void **state)
{
    (void)state;
    for (size_t t = 1; t <= 10; t++) {
        size_t n = 20, bad = (n - t) / 2;
        uint8_t secret[SHAMIR_SECRET_BYTES], other[SHAMIR_SECRET_BYTES], got[SHAMIR_SECRET_BYTES];
        struct shamir_deal *true_deal = NULL, *false_deal = NULL;
        struct shamir_point points[20];
        bool wrong[20];
        succeeds(secret_random(secret, sizeof(secret)));
        succeeds(secret_random(other, sizeof(other)));
        deal_anew(secret, t, &true_deal);
        deal_anew(other, t, &false_deal);
        for (size_t i = 0; i < n; i++) {
            points[i].x = (uint32_t)i + 1;
            shamir_deal_share(i < bad ? false_deal : true_deal, points[i].x, points[i].share);
        }
        succeeds(shamir_correct(points, n, t, got, wrong));
        assert_memory_equal(got, secret, sizeof(secret));
        for (size_t i = 0; i < n; i++)
            assert_int_equal(wrong[i], i < bad);
        shamir_deal_free(true_deal);
        shamir_deal_free(false_deal);
    }
}

static void test_shamir_correct_one_wrong_too_many_is_refused(void **state)
{
    (void)state;
    for (size_t n = 3; n <= MOST; n++)
        for (size_t t = 1; t <= n; t++) {
            uint8_t secret[SHAMIR_SECRET_BYTES], got[SHAMIR_SECRET_BYTES], before[SHAMIR_SECRET_BYTES];
            struct shamir_point points[MOST];
            size_t bad = (n - t) / 2 + 1;
            if (t == n)
                continue; /* any n points make a polynomial: nothing to see */
            dealt(n, t, secret, points);
            for (size_t i = 0; i < bad; i++)
                corrupt(points[n - 1 - i].share, true);
            memset(got, 0x5a, sizeof(got));
            memcpy(before, got, sizeof(got));
            /* With random values another polynomial fits with a probability of about 2^-61 only. */
            fails(shamir_correct(points, n, t, got, NULL), ERROR_INVALID);
            assert_memory_equal(got, before, sizeof(got));
        }
}

/* Different shares wrong in different limbs: each limb could be corrected, all of them together are too many. */
static void test_shamir_correct_too_many_over_all_limbs_is_refused(void **state)
{
    (void)state;
    uint8_t secret[SHAMIR_SECRET_BYTES], got[SHAMIR_SECRET_BYTES];
    struct shamir_point points[7];
    dealt(7, 3, secret, points); /* two can be corrected */
    for (size_t limb = 0; limb < 3; limb++)
        set_limb(points[limb].share, limb, (limb_of(points[limb].share, limb) + 1) % SHAMIR_PRIME);
    fails_saying(shamir_correct(points, 7, 3, got, NULL), ERROR_INVALID, "3 of 7");
}

static void test_shamir_correct_neighbours_of_a_large_graph_are_corrected(void **state)
{
    (void)state;
    enum { NEIGHBOURS = 132, THRESHOLD = 97, BAD = (NEIGHBOURS - THRESHOLD) / 2 };
    uint8_t secret[SHAMIR_SECRET_BYTES], got[SHAMIR_SECRET_BYTES];
    struct shamir_point points[NEIGHBOURS];
    bool wrong[NEIGHBOURS];
    dealt(NEIGHBOURS, THRESHOLD, secret, points);
    for (size_t i = 0; i < BAD; i++)
        corrupt(points[7 * i].share, true);
    succeeds(shamir_correct(points, NEIGHBOURS, THRESHOLD, got, wrong));
    assert_memory_equal(got, secret, sizeof(secret));
    for (size_t i = 0; i < NEIGHBOURS; i++)
        assert_int_equal(wrong[i], i % 7 == 0 && i / 7 < BAD);
}

/* ---- refusals ---- */

static void test_shamir_share_values_of_p_or_more_are_refused(void **state)
{
    (void)state;
    static const uint64_t beyond[] = {SHAMIR_PRIME, SHAMIR_PRIME + 1, UINT64_C(1) << 63, UINT64_MAX - 1,
                                      UINT64_MAX};
    uint8_t secret[SHAMIR_SECRET_BYTES], got[SHAMIR_SECRET_BYTES];
    struct shamir_point points[5];
    for (size_t limb = 0; limb < SHAMIR_LIMBS; limb++)
        for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
            dealt(5, 3, secret, points);
            succeeds(shamir_share_check(points[1].share));
            set_limb(points[1].share, limb, SHAMIR_PRIME - 1);
            succeeds(shamir_share_check(points[1].share));
            set_limb(points[1].share, limb, beyond[i]);
            fails(shamir_share_check(points[1].share), ERROR_INVALID);
            fails_saying(shamir_interpolate(points, 5, 3, got), ERROR_INVALID, "2^61 - 1");
            fails_saying(shamir_correct(points, 5, 3, got, NULL), ERROR_INVALID, "2^61 - 1");
        }
}

static void test_shamir_interpolate_limbs_out_of_range_are_refused(void **state)
{
    (void)state;
    for (size_t limb = 0; limb < SHAMIR_LIMBS; limb++) {
        uint64_t end = UINT64_C(1) << (limb == SHAMIR_LIMBS - 1 ? 32 : 56);
        uint8_t got[SHAMIR_SECRET_BYTES];
        struct shamir_point points[3] = {{1, {0}}, {2, {0}}, {3, {0}}};
        for (size_t i = 0; i < 3; i++)
            set_limb(points[i].share, limb, end - 1); /* a constant */
        succeeds(shamir_interpolate(points, 3, 2, got));
        for (size_t i = 0; i < 3; i++)
            set_limb(points[i].share, limb, end);
        fails_saying(shamir_interpolate(points, 3, 2, got), ERROR_INVALID, "out of range");
        fails_saying(shamir_correct(points, 3, 1, got, NULL), ERROR_INVALID, "out of range");
    }
}

static void test_shamir_points_too_few_repeated_or_misnumbered_are_refused(void **state)
{
    (void)state;
    uint8_t secret[SHAMIR_SECRET_BYTES], got[SHAMIR_SECRET_BYTES];
    struct shamir_point points[4];
    static const uint32_t numbers[] = {0, SHAMIR_MAX_SHARES + 1, UINT32_MAX};
    dealt(4, 3, secret, points);
    fails_saying(shamir_interpolate(points, 2, 3, got), ERROR_INVALID, "3 are needed");
    fails_saying(shamir_correct(points, 2, 3, got, NULL), ERROR_INVALID, "3 are needed");
    fails(shamir_interpolate(points, 4, 0, got), ERROR_INVALID);
    for (size_t i = 0; i < 3; i++) {
        struct shamir_point wrong[4];
        memcpy(wrong, points, sizeof(points));
        wrong[2].x = numbers[i];
        fails_saying(shamir_interpolate(wrong, 4, 3, got), ERROR_INVALID, "numbered");
    }
    points[3].x = points[0].x;
    fails_saying(shamir_interpolate(points, 4, 3, got), ERROR_INVALID, "there twice");
    fails_saying(shamir_correct(points, 4, 3, got, NULL), ERROR_INVALID, "there twice");
}

static void test_shamir_deal_thresholds_and_coefficients_out_of_range_are_refused(void **state)
{
    (void)state;
    uint8_t secret[SHAMIR_SECRET_BYTES] = {0};
    uint64_t coefficients[SHAMIR_LIMBS] = {0, 0, SHAMIR_PRIME, 0, 0};
    struct shamir_deal *deal = NULL;
    fails(shamir_deal_new(secret, 0, secret, &deal), ERROR_INVALID);
    fails(shamir_deal_new(secret, SHAMIR_MAX_SHARES + 1, secret, &deal), ERROR_INVALID);
    fails(shamir_deal_given(secret, 2, coefficients, &deal), ERROR_INVALID);
    assert_null(deal);
    shamir_deal_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_shamir_field_edge_values_agree_with_division),
        SCRATCH_TEST(test_shamir_invert_gives_inverses_and_zero_of_zero),
        SCRATCH_TEST(test_shamir_deal_component_vectors_agree),
        SCRATCH_TEST(test_shamir_deal_new_known_answer),
        SCRATCH_TEST(test_shamir_take_passes_over_what_is_no_value),
        SCRATCH_TEST(test_shamir_interpolate_every_threshold_gives_the_secret),
        SCRATCH_TEST(test_shamir_interpolate_extreme_secrets_come_back),
        SCRATCH_TEST(test_shamir_interpolate_largest_threshold_gives_the_secret),
        SCRATCH_TEST(test_shamir_deal_one_share_less_fits_any_secret),
        SCRATCH_TEST(test_shamir_deal_new_of_another_seed_gives_other_shares),
        SCRATCH_TEST(test_shamir_correct_as_many_wrong_as_can_be_are_named),
        SCRATCH_TEST(test_shamir_correct_conspiring_shares_are_corrected),
        SCRATCH_TEST(test_shamir_correct_one_wrong_too_many_is_refused),
        SCRATCH_TEST(test_shamir_correct_too_many_over_all_limbs_is_refused),
        SCRATCH_TEST(test_shamir_correct_neighbours_of_a_large_graph_are_corrected),
        SCRATCH_TEST(test_shamir_share_values_of_p_or_more_are_refused),
        SCRATCH_TEST(test_shamir_interpolate_limbs_out_of_range_are_refused),
        SCRATCH_TEST(test_shamir_points_too_few_repeated_or_misnumbered_are_refused),
        SCRATCH_TEST(test_shamir_deal_thresholds_and_coefficients_out_of_range_are_refused),
    };
    return cmocka_run_group_tests_name("shamir", tests, NULL, NULL);
}
