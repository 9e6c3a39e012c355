/* What sharing, agreeing, masking and making noise leave behind in memory that they gave back: blocks of the heap, looked at as they
 * are freed, and the stack below the caller. Looked for are secrets in pieces of eight bytes, so that spilled registers
 * are found as well. Built without sanitizers and optimised, as the product is. */
#include "crypto/agreement.h"
#include "crypto/mask.h"
#include "crypto/noise.h"
#include "crypto/secret.h"
#include "crypto/shamir.h"

#include "noise_given.h"
#include "tests/unit/cmocka_all.h"

#include <malloc.h>

#define STACK_BYTES 65536
#define MOST_PIECES 256
#define NEVER_INLINED __attribute__((noinline))

static struct {
    uint64_t pieces[MOST_PIECES];
    size_t count;
    size_t freed, found; /* blocks that were freed, and those with a piece in them */
} looked_for;

/* Linked with --wrap=free. */
void __real_free(void *block);
void __wrap_free(void *block);

static bool has_piece(const uint8_t *memory, size_t bytes)
{
    for (size_t i = 0; i < looked_for.count; i++)
        if (memmem(memory, bytes, &looked_for.pieces[i], 8) != NULL)
            return true;
    return false;
}

void __wrap_free(void *block)
{
    if (block != NULL) {
        looked_for.freed++;
        looked_for.found += has_piece(block, malloc_usable_size(block));
    }
    __real_free(block);
}

static void nothing_looked_for(void)
{
    memset(&looked_for, 0, sizeof(looked_for));
}

static void look_for(const void *secret, size_t bytes)
{
    for (size_t at = 0; at + 8 <= bytes; at += 8) {
        assert_true(looked_for.count < MOST_PIECES);
        memcpy(&looked_for.pieces[looked_for.count++], (const uint8_t *)secret + at, 8);
    }
}

NEVER_INLINED static void paint_stack(void)
{
    volatile uint8_t area[STACK_BYTES];
    for (size_t i = 0; i < sizeof(area); i++)
        area[i] = 0x5a;
}

/* Where the stack of a function called now would be. */
NEVER_INLINED static const uint8_t *stack_below(void)
{
    return __builtin_frame_address(0);
}

NEVER_INLINED static bool stack_has_piece(void)
{
    return has_piece(stack_below() - STACK_BYTES + 4096, STACK_BYTES - 4096 - 512);
}

static void must(struct error *err)
{
    if (err != NULL)
        fail_msg("%s", err->sentence);
}

/* Everything that is called here has its secrets in static memory, where nothing is looked for. */
static uint8_t secret[32], public_key[32], shared[32], seed[MASK_SEED_BYTES], share[SHAMIR_SHARE_BYTES];
static uint64_t words[3000], coefficients[4 * SHAMIR_LIMBS];
static struct shamir_point points[9];

/* So that what is called works below what looks, and is not overwritten by it. */
NEVER_INLINED static void call_deeper(void (*call)(void))
{
    volatile uint8_t area[1024];
    area[0] = 0;
    call();
    area[1] = area[0];
}

static void leaves_nothing(void (*call)(void))
{
    paint_stack();
    call_deeper(call);
    assert_false(stack_has_piece());
    assert_int_equal(looked_for.found, 0);
}

/* ---- that it is seen ---- */

NEVER_INLINED static void careless(void)
{
    uint8_t copy[4096]; /* deep enough that what looks does not overwrite it */
    uint8_t *block = malloc(sizeof(secret));
    memcpy(copy, secret, sizeof(secret));
    memcpy(block, secret, sizeof(secret));
    __asm__("" : : "r"(block), "r"(copy) : "memory"); /* nothing may be left out */
    free(block);
}

static void test_wiped_careless_function_is_found(void **state)
{
    (void)state;
    nothing_looked_for();
    must(secret_random(secret, sizeof(secret)));
    look_for(secret, sizeof(secret));
    paint_stack();
    careless();
    assert_true(stack_has_piece());
    assert_int_equal(looked_for.found, 1);
}

/* ---- sharing ---- */

static void deal_given(void)
{
    struct shamir_deal *deal = NULL;
    must(shamir_deal_given(secret, 5, coefficients, &deal));
    shamir_deal_share(deal, 3, share);
    shamir_deal_free(deal);
}

/* One of the coefficients is none. */
static void deal_refused(void)
{
    struct shamir_deal *deal = NULL;
    struct error *err = shamir_deal_given(secret, 5, coefficients, &deal);
    assert_non_null(err);
    error_free(err);
}

static void look_for_limbs(void)
{
    for (size_t limb = 0; limb < SHAMIR_LIMBS - 1; limb++) { /* the last has four zero bytes */
        uint64_t value = 0;
        memcpy(&value, secret + 7 * limb, 7);
        look_for(&value, sizeof(value));
    }
}

static void dealt(void)
{
    struct shamir_deal *deal = NULL;
    nothing_looked_for();
    must(secret_random(secret, sizeof(secret)));
    must(secret_random(coefficients, sizeof(coefficients)));
    for (size_t i = 0; i < sizeof(coefficients) / sizeof(coefficients[0]); i++)
        coefficients[i] %= SHAMIR_PRIME;
    must(shamir_deal_given(secret, 5, coefficients, &deal));
    for (uint32_t i = 0; i < 9; i++) {
        points[i].x = i + 1;
        shamir_deal_share(deal, i + 1, points[i].share);
    }
    shamir_deal_free(deal);
    nothing_looked_for();
    look_for_limbs();
    look_for(secret, sizeof(secret));
    look_for(coefficients, sizeof(coefficients));
}

static void test_wiped_deal_leaves_no_polynomial(void **state)
{
    (void)state;
    dealt();
    leaves_nothing(deal_given);
    assert_int_equal(looked_for.freed, 1);
}

static void test_wiped_deal_refused_leaves_no_polynomial(void **state)
{
    (void)state;
    dealt();
    coefficients[19] = SHAMIR_PRIME;
    leaves_nothing(deal_refused);
    assert_true(looked_for.freed >= 1);
}

static void interpolate(void)
{
    must(shamir_interpolate(points, 9, 5, shared));
}

static void correct(void)
{
    must(shamir_correct(points, 9, 5, shared, NULL));
}

static void test_wiped_interpolate_leaves_no_secret(void **state)
{
    (void)state;
    dealt();
    leaves_nothing(interpolate);
    assert_memory_equal(shared, secret, sizeof(secret));
}

static void test_wiped_correct_leaves_no_secret_and_no_shares(void **state)
{
    (void)state;
    dealt();
    points[2].share[9] ^= 1; /* so that equations are solved */
    for (size_t i = 0; i < 9; i++)
        look_for(points[i].share, SHAMIR_SHARE_BYTES);
    leaves_nothing(correct);
    assert_memory_equal(shared, secret, sizeof(secret));
    assert_true(looked_for.freed >= 4);
}

/* ---- agreeing and masking ---- */

static void make(void)
{
    must(agreement_make(secret, public_key));
}

static void derive(void)
{
    must(agreement_derive(secret, public_key, shared));
}

static void expand(void)
{
    must(agreement_expand(secret, sizeof(secret), "salt", 4, "info", 4, shared, sizeof(shared)));
}

static void mask(void)
{
    must(mask_apply(seed, MASK_ADD, MASK_RING_64, words, sizeof(words) / sizeof(words[0])));
}

static void test_wiped_agreement_leaves_no_secret(void **state)
{
    (void)state;
    uint8_t other[32];
    nothing_looked_for();
    must(agreement_make(other, public_key));
    must(agreement_make(secret, shared));
    must(agreement_derive(secret, public_key, shared));
    look_for(secret, sizeof(secret));
    look_for(shared, sizeof(shared));
    leaves_nothing(derive);
    nothing_looked_for();
    must(agreement_expand(secret, sizeof(secret), "salt", 4, "info", 4, shared, sizeof(shared)));
    look_for(secret, sizeof(secret));
    look_for(shared, sizeof(shared));
    leaves_nothing(expand);
}

static void test_wiped_make_leaves_no_secret(void **state)
{
    (void)state;
    nothing_looked_for();
    paint_stack();
    make();
    look_for(secret, sizeof(secret));
    assert_false(stack_has_piece());
}

static void test_wiped_mask_leaves_no_seed_and_no_stream(void **state)
{
    (void)state;
    nothing_looked_for();
    must(secret_random(seed, sizeof(seed)));
    memset(words, 0, sizeof(words));
    mask();
    look_for(seed, sizeof(seed));
    for (size_t i = 0; i < 100; i++)
        look_for(&words[i * (sizeof(words) / sizeof(words[0])) / 100], 8);
    memset(words, 0x5a, sizeof(words));
    leaves_nothing(mask);
}

/* ---- noise ---- */

#define NOISE_SEED 5
static struct noise *noise;
static int64_t noised[300], noised_exactly[8];
static uint32_t sampled[3000];
static size_t sampled_count;

static void open_noise(void)
{
    must(noise_open(&noise));
}

static void make_noise(void)
{
    must(noise_gaussian(noise, NOISE_LOCAL, noised, 300));
}

static void choose(void)
{
    must(noise_sample(noise, 0.4, 3000, sampled, &sampled_count));
}

static void make_exact_noise(void)
{
    for (size_t i = 0; i < 8; i++)
        must(noise_gaussian_exact(noise, (uint64_t)1 << 56, 1, &noised_exactly[i]));
}

static void close_noise(void)
{
    noise_close(noise);
}

static void each_of_noise(void (*with)(void (*call)(void)))
{
    noise_given_seed(NOISE_SEED);
    memset(noised, 0, sizeof(noised));
    with(open_noise);
    with(make_noise);
    with(choose);
    with(make_exact_noise);
    with(close_noise);
    noise_given_none();
}

static void only(void (*call)(void))
{
    call();
}

/* The key, the stream (450 words of noise, 375 of who is chosen, and single ones), values of noise, and who was chosen. */
static void test_wiped_noise_leaves_no_key_no_stream_and_no_noise(void **state)
{
    (void)state;
    nothing_looked_for();
    noise_given_seed(NOISE_SEED);
    must(secret_random(secret, sizeof(secret)));
    look_for(secret, sizeof(secret));
    noise_given_seed(NOISE_SEED);
    open_noise();
    must(noise_words(noise, words, 1500));
    close_noise();
    for (size_t i = 0; i < 200; i++)
        look_for(&words[i < 55 ? 15 * i : 825 + 4 * (i - 55)], 8);
    each_of_noise(only);
    for (size_t i = 0; i < 10; i++)
        look_for(&noised[299 - i], 8);
    look_for(noised_exactly, sizeof(noised_exactly));
    for (size_t i = 0; i < 10; i++)
        look_for(&sampled[100 * i], 8);
    each_of_noise(leaves_nothing);
    assert_true(looked_for.freed >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wiped_careless_function_is_found),
        cmocka_unit_test(test_wiped_deal_leaves_no_polynomial),
        cmocka_unit_test(test_wiped_deal_refused_leaves_no_polynomial),
        cmocka_unit_test(test_wiped_interpolate_leaves_no_secret),
        cmocka_unit_test(test_wiped_correct_leaves_no_secret_and_no_shares),
        cmocka_unit_test(test_wiped_agreement_leaves_no_secret),
        cmocka_unit_test(test_wiped_make_leaves_no_secret),
        cmocka_unit_test(test_wiped_mask_leaves_no_seed_and_no_stream),
        cmocka_unit_test(test_wiped_noise_leaves_no_key_no_stream_and_no_noise),
    };
    return cmocka_run_group_tests_name("wiped", tests, NULL, NULL);
}
