/* The memory of what keys agreed on: what it finds, what it never finds, and that nothing stays in it. */
#include "crypto/agreement_memory.h"

#include "tests/unit/cmocka_all.h"

#include <pthread.h>
#include <string.h>

#define PLACES 64
#define WIPED_BYTES (1U << 16)

/* What secret_wipe was called for, as it was just before. */
static struct {
    uint8_t bytes[WIPED_BYTES];
    size_t count;
} wiped;

void __real_secret_wipe(void *memory, size_t bytes);
void __wrap_secret_wipe(void *memory, size_t bytes);

void __wrap_secret_wipe(void *memory, size_t bytes)
{
    assert_true(bytes <= WIPED_BYTES - wiped.count);
    memcpy(wiped.bytes + wiped.count, memory, bytes);
    wiped.count += bytes;
    __real_secret_wipe(memory, bytes);
}

static bool was_wiped(const uint8_t secret[static AGREEMENT_KEY_BYTES])
{
    return memmem(wiped.bytes, wiped.count, secret, AGREEMENT_KEY_BYTES) != NULL;
}

static void fill(uint8_t *bytes, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        bytes[i] = (uint8_t)(seed >> 56);
    }
}

static struct agreement_pair pair_of(uint8_t run, uint32_t slot, uint64_t peer)
{
    struct agreement_pair pair = {.slot = slot};
    memset(pair.run_id, run, sizeof(pair.run_id));
    fill(pair.one, sizeof(pair.one), slot + 1000000);
    fill(pair.other, sizeof(pair.other), peer);
    return pair;
}

static void keep(struct agreement_memory *memory, const struct agreement_pair *pair, uint64_t secret)
{
    uint8_t shared[AGREEMENT_KEY_BYTES];
    fill(shared, sizeof(shared), secret);
    agreement_memory_keep(memory, pair, shared);
}

/* It is there, and it is this one. */
static bool finds(struct agreement_memory *memory, const struct agreement_pair *pair, uint64_t secret)
{
    uint8_t shared[AGREEMENT_KEY_BYTES], wanted[AGREEMENT_KEY_BYTES];
    fill(wanted, sizeof(wanted), secret);
    if (!agreement_memory_find(memory, pair, shared))
        return false;
    assert_memory_equal(shared, wanted, sizeof(wanted));
    return true;
}

static int memory_make(void **state)
{
    struct agreement_memory *memory = NULL;
    struct error *err = agreement_memory_new(PLACES, &memory);
    error_free(err);
    *state = memory;
    wiped.count = 0;
    return err == NULL ? 0 : -1;
}

static int memory_free(void **state)
{
    wiped.count = 0;
    agreement_memory_free(*state);
    return 0;
}

static void test_agreement_memory_gives_what_was_kept_in_either_order(void **state)
{
    struct agreement_pair pair = pair_of(1, 7, 1), crossed = pair;
    memcpy(crossed.one, pair.other, AGREEMENT_KEY_BYTES);
    memcpy(crossed.other, pair.one, AGREEMENT_KEY_BYTES);
    assert_false(finds(*state, &pair, 5));
    keep(*state, &pair, 5);
    assert_true(finds(*state, &pair, 5));
    assert_true(finds(*state, &crossed, 5));
}

static void test_agreement_memory_finds_nothing_for_a_pair_that_differs_anywhere(void **state)
{
    const struct agreement_pair pair = pair_of(1, 7, 1);
    keep(*state, &pair, 5);
    for (size_t i = 0; i < sizeof(pair); i++) { /* it has no padding */
        struct agreement_pair other = pair;
        ((uint8_t *)&other)[i] ^= 0x10;
        assert_false(finds(*state, &other, 5));
    }
}

static void test_agreement_memory_forgets_a_slot_and_those_below_it_in_one_run(void **state)
{
    struct agreement_pair below = pair_of(1, 6, 1), at = pair_of(1, 7, 1), above = pair_of(1, 8, 1);
    struct agreement_pair elsewhere = pair_of(2, 7, 1);
    uint8_t secret[AGREEMENT_KEY_BYTES];
    keep(*state, &below, 1);
    keep(*state, &at, 2);
    keep(*state, &above, 3);
    keep(*state, &elsewhere, 4);
    agreement_memory_forget(*state, at.run_id, 7);
    assert_false(finds(*state, &below, 1));
    assert_false(finds(*state, &at, 2));
    assert_true(finds(*state, &above, 3));
    assert_true(finds(*state, &elsewhere, 4));
    for (uint64_t i = 1; i <= 4; i++) {
        fill(secret, sizeof(secret), i);
        assert_true(was_wiped(secret) == (i <= 2));
    }
}

static void test_agreement_memory_wipes_what_is_older_than_two_calls(void **state)
{
    struct agreement_pair old = pair_of(1, 1, 1), young = pair_of(1, 2, 1);
    uint8_t secret[AGREEMENT_KEY_BYTES];
    keep(*state, &old, 1);
    agreement_memory_age(*state);
    keep(*state, &young, 2);
    assert_true(finds(*state, &old, 1));
    agreement_memory_age(*state);
    assert_false(finds(*state, &old, 1));
    assert_true(finds(*state, &young, 2));
    fill(secret, sizeof(secret), 1);
    assert_true(was_wiped(secret));
    agreement_memory_age(*state);
    assert_false(finds(*state, &young, 2));
}

static void test_agreement_memory_holds_no_more_than_its_places_and_what_is_new_stays(void **state)
{
    size_t found = 0;
    for (uint64_t i = 0; i < (uint64_t)PLACES * 20; i++) {
        struct agreement_pair pair = pair_of(1, 1, i);
        keep(*state, &pair, i);
        assert_true(finds(*state, &pair, i));
    }
    for (uint64_t i = 0; i < (uint64_t)PLACES * 20; i++) {
        struct agreement_pair pair = pair_of(1, 1, i);
        found += finds(*state, &pair, i) ? 1 : 0;
    }
    assert_true(found <= PLACES && found > PLACES / 2);
}

static void test_agreement_memory_is_wiped_by_the_last_who_frees_it(void **state)
{
    (void)state;
    struct agreement_memory *memory = NULL;
    struct agreement_pair pair = pair_of(1, 1, 1);
    uint8_t secret[AGREEMENT_KEY_BYTES];
    fill(secret, sizeof(secret), 9);
    assert_null(agreement_memory_new(PLACES, &memory));
    assert_ptr_equal(agreement_memory_share(memory), memory);
    keep(memory, &pair, 9);
    wiped.count = 0;
    agreement_memory_free(memory);
    assert_false(was_wiped(secret));
    assert_true(finds(memory, &pair, 9));
    agreement_memory_free(memory);
    assert_true(was_wiped(secret));
    agreement_memory_free(NULL);
}

static void test_agreement_memory_of_an_odd_number_of_places_is_refused(void **state)
{
    (void)state;
    static const size_t places[] = {0, 7, 12};
    for (size_t i = 0; i < 3; i++) {
        struct agreement_memory *memory = NULL;
        struct error *err = agreement_memory_new(places[i], &memory);
        assert_non_null(err);
        assert_int_equal(err->code, ERROR_INVALID);
        assert_null(memory);
        error_free(err);
    }
}

static void *keeps_and_finds(void *argument)
{
    struct agreement_memory *memory = argument;
    for (uint64_t i = 0; i < 400; i++) {
        struct agreement_pair pair = pair_of((uint8_t)(i % 3), (uint32_t)(i % 5), i % 40);
        keep(memory, &pair, i % 40);
        (void)finds(memory, &pair, i % 40);
        if (i % 50 == 0)
            agreement_memory_age(memory);
    }
    return NULL;
}

/* Whatever is found is whole, whoever else writes. */
static void test_agreement_memory_serves_threads_beside_each_other(void **state)
{
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, keeps_and_finds, agreement_memory_share(*state)),
                         0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        agreement_memory_free(*state);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, memory_make, memory_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_agreement_memory_gives_what_was_kept_in_either_order),
        TEST(test_agreement_memory_finds_nothing_for_a_pair_that_differs_anywhere),
        TEST(test_agreement_memory_forgets_a_slot_and_those_below_it_in_one_run),
        TEST(test_agreement_memory_wipes_what_is_older_than_two_calls),
        TEST(test_agreement_memory_holds_no_more_than_its_places_and_what_is_new_stays),
        cmocka_unit_test(test_agreement_memory_is_wiped_by_the_last_who_frees_it),
        cmocka_unit_test(test_agreement_memory_of_an_odd_number_of_places_is_refused),
        TEST(test_agreement_memory_serves_threads_beside_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
