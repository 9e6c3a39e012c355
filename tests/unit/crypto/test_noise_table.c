/* The table against one that is computed with 320 bits, and the inequalities of the proof in crypto/noise.c. */
#include "crypto/noise_parts.h"

#include "noise_given.h"
#include "scratch.h"

#include <math.h>
#include <openssl/bn.h>
#include <stdlib.h>

#define PRECISION 320

static struct noise_table table; /* of the product, made once */

static int make_table(void **state)
{
    (void)state;
    noise_table_make(NOISE_TABLE_LOG, &table);
    return 0;
}

static void must(int done)
{
    assert_int_equal(done, 1);
}

static void number_of(noise_wide number, BIGNUM *ret_number)
{
    uint8_t bytes[16];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
    assert_non_null(BN_lebin2bn(bytes, sizeof(bytes), ret_number));
}

/* exp(-2^-shift), times 2^PRECISION. */
static void exp_minus(int shift, BIGNUM *ret_value)
{
    BIGNUM *term = BN_new();
    must(BN_one(term) && BN_lshift(term, term, PRECISION) && BN_set_word(ret_value, 0));
    for (BN_ULONG i = 1; !BN_is_zero(term); i++) {
        must(i % 2 == 1 ? BN_add(ret_value, ret_value, term) : BN_sub(ret_value, ret_value, term));
        must(BN_rshift(term, term, shift));
        assert_true(BN_div_word(term, i) != (BN_ULONG)-1);
    }
    BN_free(term);
}

/* exp(-m²/2σ²) for m below `count`, σ = 2^log, times 2^PRECISION: products of exp(-1/2σ²) to odd powers. */
static BIGNUM **exact_weights(unsigned log, uint32_t count)
{
    BN_CTX *context = BN_CTX_new();
    BIGNUM **weights = calloc(count, sizeof(BIGNUM *)), *ratio = BN_new(), *square = BN_new();
    exp_minus((int)(2 * log + 1), ratio);
    must(BN_sqr(square, ratio, context) && BN_rshift(square, square, PRECISION));
    for (uint32_t m = 0; m < count; m++) {
        weights[m] = BN_new();
        if (m == 0) {
            must(BN_one(weights[0]) && BN_lshift(weights[0], weights[0], PRECISION));
            continue;
        }
        must(BN_mul(weights[m], weights[m - 1], ratio, context) &&
             BN_rshift(weights[m], weights[m], PRECISION));
        must(BN_mul(ratio, ratio, square, context) && BN_rshift(ratio, ratio, PRECISION));
    }
    BN_free(ratio);
    BN_free(square);
    BN_CTX_free(context);
    return weights;
}

/* The binary logarithm, rounded up, of the total variation between the table's signed values and the discrete Gaussian. */
static int log_distance(const struct noise_table *made, unsigned log)
{
    uint32_t count = 18u << log; /* beyond it is less than exp(-18²/2) < 2^-233 */
    BIGNUM **weights = exact_weights(log, count), *total = BN_new(), *sum = BN_new(), *one = BN_new(),
           *other = BN_new();
    BN_CTX *context = BN_CTX_new();
    must(BN_set_word(total, 0) && BN_set_word(sum, 0));
    for (uint32_t m = 0; m < count; m++) {
        must(BN_lshift(weights[m], weights[m], m > 0));
        must(BN_add(total, total, weights[m]));
    }
    for (uint32_t m = 0; m < count; m++) {
        noise_wide part = m > made->last ? 0 : made->cumulative[m] - (m > 0 ? made->cumulative[m - 1] : 0);
        number_of(part, one);
        must(BN_mul(one, one, total, context) && BN_lshift(other, weights[m], 127));
        must(BN_sub(one, one, other));
        BN_set_negative(one, 0);
        must(BN_add(sum, sum, one));
        BN_free(weights[m]);
    }
    must(BN_rshift1(sum, sum) && BN_lshift(total, total, 127)); /* half of the sum of differences */
    int distance = BN_num_bits(sum) - (BN_num_bits(total) - 1);
    free(weights);
    BN_free(total);
    BN_free(sum);
    BN_free(one);
    BN_free(other);
    BN_CTX_free(context);
    return distance;
}

static void test_noise_table_make_is_within_2_to_minus_112_of_320_bits(void **state)
{
    (void)state;
    struct noise_table *other = malloc(sizeof(*other));
    assert_true(log_distance(&table, NOISE_TABLE_LOG) <= -112);
    for (unsigned log = 1; log < NOISE_TABLE_LOG; log++) {
        noise_table_make(log, other);
        assert_int_equal(other->last, 13u << log);
        assert_true(log_distance(other, log) <= -112);
    }
    /* That the test sees something: another deviation, one boundary that is wrong in its 100th bit, zero counted twice. */
    assert_true(log_distance(other, NOISE_TABLE_LOG) > -5);
    *other = table;
    other->cumulative[1000] += (noise_wide)1 << 27;
    assert_true(log_distance(other, NOISE_TABLE_LOG) > -112);
    *other = table;
    for (uint32_t m = 0; m < other->last; m++)
        other->cumulative[m] += table.cumulative[0];
    assert_true(log_distance(other, NOISE_TABLE_LOG) > -20);
    free(other);
}

/* log2 of E/(1 - E), E = 2·Σ exp(-2π²w²j²), rounded up; 1/w² = 1/b² + z²/a². */
static double log_smoothing(double a2, double b2, double z2)
{
    double w2 = 1 / (1 / b2 + z2 / a2);
    double first = 2 * exp(-2 * M_PI * M_PI * w2);
    return log2(first * (1 + 2 * exp(-6 * M_PI * M_PI * w2)) / (1 - 2 * first)) + 0x1p-20;
}

/* The bound of crypto/noise.c for the strides of both levels, which noise_sigma gives away. */
static void test_noise_sigma_levels_are_within_2_to_minus_108(void **state)
{
    (void)state;
    static const enum noise_level levels[] = {NOISE_LOCAL, NOISE_SHARE};
    for (size_t i = 0; i < 2; i++) {
        double z2 = i == 0 ? 0x1p18 : 0x1p16, base2 = 0x1p20;
        assert_true(noise_sigma(levels[i]) * noise_sigma(levels[i]) / (base2 * (1 + z2 + z2 * z2)) - 1 <
                    0x1p-50);
        assert_true(1 - noise_sigma(levels[i]) * noise_sigma(levels[i]) / (base2 * (1 + z2 + z2 * z2)) <
                    0x1p-50);
        double inner = log_smoothing(base2, base2, z2);
        double outer = log_smoothing(base2, base2 * (1 + z2), z2);
        double all = log2(3 * 0x1p-112 + exp2(inner) + exp2(outer));
        assert_true(all < -108 && all < -80);
    }
    assert_true(fabs(noise_sigma(NOISE_LOCAL) / 0x1p28 - 1) < 1e-5);
    assert_true(fabs(noise_sigma(NOISE_SHARE) / 0x1p26 - 1) < 1e-5);
    assert_true(log_smoothing(0x1p20, 0x1p20, 0x1p20) > -80); /* with z = 2^10 it would not be */
}

static void test_noise_table_magnitude_boundaries_belong_to_the_next(void **state)
{
    (void)state;
    assert_int_equal(noise_table_magnitude(&table, 0), 0);
    for (uint32_t m = 0; m < 6 << NOISE_TABLE_LOG; m++) {
        assert_int_equal(noise_table_magnitude(&table, table.cumulative[m] - 1), m);
        assert_int_equal(noise_table_magnitude(&table, table.cumulative[m]), m + 1);
    }
    assert_int_equal(noise_table_magnitude(&table, ((noise_wide)1 << 127) - 1), table.last);
}

/* 31 bits that no boundary begins with are enough: all numbers that begin so have one magnitude. */
static void test_noise_table_guess_settled_agrees_with_all_127_bits(void **state)
{
    (void)state;
    size_t settled_ones = 0, looked = 0;
    for (uint64_t first = 0; first < (uint64_t)1 << 31; first += 8209, looked++) {
        bool settled = false;
        uint32_t magnitude = noise_table_guess(&table, (uint32_t)first, &settled);
        if (!settled)
            continue;
        settled_ones++;
        assert_int_equal(magnitude, noise_table_magnitude(&table, (noise_wide)first << 96));
        assert_int_equal(magnitude, noise_table_magnitude(&table, ((noise_wide)(first + 1) << 96) - 1));
    }
    assert_true(settled_ones > looked / 10 * 9);
    for (uint32_t m = 0; m < table.last; m++) { /* at a boundary they are not enough */
        bool settled = true;
        (void)noise_table_guess(&table, table.first[m], &settled);
        assert_false(settled);
    }
}

/* At a boundary the other 96 bits are drawn, from the same stream, and decide; elsewhere nothing is drawn. */
static void test_noise_table_settle_ties_are_decided_by_more_bits(void **state)
{
    (void)state;
    struct noise *source = NULL, *twin = NULL;
    size_t below = 0, above = 0; /* the boundary */
    noise_given_seed(1);
    succeeds(noise_open(&source));
    noise_given_seed(1);
    succeeds(noise_open(&twin));
    for (uint32_t m = 0; m < 7 << NOISE_TABLE_LOG; m++) { /* the last of them have their 31 bits in common */
        uint64_t more[2];
        uint32_t magnitude = 0, first = table.first[m];
        succeeds(noise_table_settle(&table, source, first, &magnitude));
        succeeds(noise_word(twin, &more[0]));
        succeeds(noise_word(twin, &more[1]));
        noise_wide number = (noise_wide)first << 96 | (noise_wide)more[0] << 32 | more[1] >> 32;
        assert_int_equal(magnitude, noise_table_magnitude(&table, number));
        below += magnitude <= m;
        above += magnitude > m;
    }
    assert_true(below > 2000 && above > 2000);
    for (uint32_t m = 1; m < 5 << NOISE_TABLE_LOG; m += 7) {
        size_t before = source->pool_at;
        uint32_t magnitude = 0, first = table.first[m] - 1;
        if (first == table.first[m - 1])
            continue;
        succeeds(noise_table_settle(&table, source, first, &magnitude));
        assert_int_equal(magnitude, noise_table_magnitude(&table, (noise_wide)first << 96));
        assert_int_equal(source->pool_at, before);
    }
    noise_given_none();
    noise_close(source);
    noise_close(twin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_noise_table_make_is_within_2_to_minus_112_of_320_bits),
        SCRATCH_TEST(test_noise_sigma_levels_are_within_2_to_minus_108),
        SCRATCH_TEST(test_noise_table_magnitude_boundaries_belong_to_the_next),
        SCRATCH_TEST(test_noise_table_guess_settled_agrees_with_all_127_bits),
        SCRATCH_TEST(test_noise_table_settle_ties_are_decided_by_more_bits),
    };
    return cmocka_run_group_tests_name("noise_table", tests, make_table, NULL);
}
