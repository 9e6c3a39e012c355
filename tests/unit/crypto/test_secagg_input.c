#include "crypto/secagg_input.h"

#include "federation.h"
#include "secagg_vectors.h"

/* ---- known answers ---- */

static void test_secagg_pair_seed_agrees_with_the_vectors_at_both_ends(void **state)
{
    const struct secagg_vectors *vectors = *state;
    for (size_t i = 0; i < SA1_PAIRS; i++) {
        const uint32_t one = sa1_pairs[i].one, other = sa1_pairs[i].other;
        uint8_t expected[MASK_SEED_BYTES], seed[MASK_SEED_BYTES];
        vector_bytes(sa1_pairs[i].seed, expected, sizeof(expected));
        succeeds(secagg_pair_seed(&vectors->attempt, one, other, vectors->secrets[one - 1].s, seed));
        assert_memory_equal(seed, expected, sizeof(seed));
        succeeds(secagg_pair_seed(&vectors->attempt, other, one, vectors->secrets[other - 1].s, seed));
        assert_memory_equal(seed, expected, sizeof(seed));
    }
}

static void test_secagg_self_seed_agrees_with_the_vectors(void **state)
{
    const struct secagg_vectors *vectors = *state;
    for (uint32_t i = 0; i < SA1_SITES; i++) {
        uint8_t expected[MASK_SEED_BYTES], seed[MASK_SEED_BYTES];
        vector_bytes(sa1_sites[i].self_seed, expected, sizeof(expected));
        succeeds(secagg_self_seed(&vectors->attempt, i + 1, vectors->secrets[i].b, seed));
        assert_memory_equal(seed, expected, sizeof(seed));
    }
}

static void test_secagg_input_mask_agrees_with_the_vectors(void **state)
{
    const struct secagg_vectors *vectors = *state;
    for (uint32_t i = 0; i < SA1_SITES; i++) {
        uint64_t words[SA1_WORDS];
        memcpy(words, sa1_sites[i].x, sizeof(words));
        succeeds(secagg_input_mask(&vectors->attempt, i + 1, &vectors->secrets[i], words));
        assert_memory_equal(words, sa1_sites[i].y, sizeof(words));
    }
}

static void apply(const uint8_t seed[static MASK_SEED_BYTES], enum mask_sign sign, uint64_t *words)
{
    succeeds(mask_apply(seed, sign, MASK_RING_64, words, SA1_WORDS));
}

/* The sum of the vectors' inputs of everybody but `without` (0: of everybody), with the masks that do not cancel taken off. */
static void sum_without(const struct secagg_vectors *vectors, uint32_t without,
                        uint64_t ret_words[static SA1_WORDS])
{
    uint8_t seed[MASK_SEED_BYTES];
    memset(ret_words, 0, SA1_WORDS * sizeof(*ret_words));
    for (uint32_t position = 1; position <= SA1_SITES; position++) {
        if (position == without)
            continue;
        mask_add_words(MASK_RING_64, ret_words, sa1_sites[position - 1].y, SA1_WORDS);
        succeeds(secagg_self_seed(&vectors->attempt, position, vectors->secrets[position - 1].b, seed));
        apply(seed, MASK_SUBTRACT, ret_words);
        if (without == 0)
            continue;
        succeeds(
            secagg_pair_seed(&vectors->attempt, without, position, vectors->secrets[without - 1].s, seed));
        apply(seed, without > position ? MASK_SUBTRACT : MASK_ADD, ret_words);
    }
}

static void test_secagg_input_masks_cancel_in_the_sum(void **state)
{
    uint64_t words[SA1_WORDS];
    sum_without(*state, 0, words);
    assert_memory_equal(words, sa1_sum, sizeof(words));
    sum_without(*state, 2, words);
    assert_memory_equal(words, sa1_sum_without_2, sizeof(words));
}

/* ---- masks ---- */

static void masked_zero(const struct federation *federation, const struct secagg_attempt *attempt,
                        uint32_t position, uint64_t ret_words[static FEDERATION_WORDS])
{
    memset(ret_words, 0, FEDERATION_WORDS * sizeof(*ret_words));
    succeeds(secagg_input_mask(attempt, position,
                               &federation->secrets[position - 1][attempt->slot - FEDERATION_FIRST_SLOT],
                               ret_words));
}

/* A vector under masks of another context shares no word with it: masks of different contexts never cancel. */
static void test_secagg_input_mask_of_another_context_is_another(void **state)
{
    const struct federation *federation = *state;
    const struct secagg_set everybody = federation_everybody(federation);
    const struct secagg_set fewer = {.positions = federation->everybody, .count = FEDERATION_THRESHOLD};
    const struct secagg_attempt attempts[] = {
        federation->attempt,
        federation_attempt(federation, FEDERATION_FIRST_SLOT + 1, 3, 1, everybody, "the model of round 3"),
        federation_attempt(federation, FEDERATION_FIRST_SLOT, 4, 1, everybody, "the model of round 3"),
        federation_attempt(federation, FEDERATION_FIRST_SLOT, 3, 2, everybody, "the model of round 3"),
        federation_attempt(federation, FEDERATION_FIRST_SLOT, 3, 1, fewer, "the model of round 3"),
        federation_attempt(federation, FEDERATION_FIRST_SLOT, 3, 1, everybody, "a crafted model"),
    };
    uint64_t words[6][FEDERATION_WORDS];
    for (size_t i = 0; i < 6; i++) {
        masked_zero(federation, &attempts[i], 2, words[i]);
        for (size_t j = 0; j < i; j++)
            for (size_t k = 0; k < FEDERATION_WORDS; k++)
                assert_true(words[i][k] != words[j][k]);
    }
    masked_zero(federation, &attempts[0], 2, words[1]);
    assert_memory_equal(words[0], words[1], sizeof(words[0]));
}

static void test_secagg_input_masks_cancel_in_the_small_ring(void **state)
{
    const struct federation *federation = *state;
    struct secagg_attempt attempt = federation->attempt;
    uint64_t sum[FEDERATION_WORDS] = {0}, words[FEDERATION_WORDS];
    uint8_t seed[MASK_SEED_BYTES];
    attempt.ring = MASK_RING_32;
    for (uint32_t position = 1; position <= FEDERATION_SITES; position++) {
        masked_zero(federation, &attempt, position, words);
        for (size_t i = 0; i < FEDERATION_WORDS; i++)
            assert_true(words[i] <= UINT32_MAX);
        mask_add_words(MASK_RING_32, sum, words, FEDERATION_WORDS);
        succeeds(secagg_self_seed(&attempt, position, federation->secrets[position - 1][0].b, seed));
        succeeds(mask_apply(seed, MASK_SUBTRACT, MASK_RING_32, sum, FEDERATION_WORDS));
    }
    for (size_t i = 0; i < FEDERATION_WORDS; i++)
        assert_int_equal(sum[i], 0);
}

static void test_secagg_input_mask_failing_leaves_no_word(void **state)
{
    struct federation *federation = *state;
    uint64_t words[FEDERATION_WORDS], zero[FEDERATION_WORDS] = {0};
    /* Half-way through its neighbours it meets a key of small order. */
    memset(words, 0x77, sizeof(words));
    memset(federation->keyset->members[3].entries[0].s, 0, AGREEMENT_KEY_BYTES);
    fails(secagg_input_mask(&federation->attempt, 2, &federation->secrets[1][0], words), ERROR_INVALID);
    assert_memory_equal(words, zero, sizeof(words));
    memset(words, 0x77, sizeof(words));
    struct secagg_attempt without = federation->attempt;
    without.sharers.count--;
    fails_saying(
        secagg_input_mask(&without, FEDERATION_SITES, &federation->secrets[FEDERATION_SITES - 1][0], words),
        ERROR_INVALID, "not in the list of sharers");
    assert_memory_equal(words, zero, sizeof(words));
}

static void test_secagg_seed_outside_the_keyset_is_refused(void **state)
{
    const struct federation *federation = *state;
    const struct secagg_attempt *attempt = &federation->attempt;
    const uint8_t *secret = federation->secrets[0][0].s;
    uint8_t seed[MASK_SEED_BYTES];
    fails(secagg_pair_seed(attempt, 1, 1, secret, seed), ERROR_INVALID);
    fails(secagg_pair_seed(attempt, 1, 0, secret, seed), ERROR_INVALID);
    fails(secagg_pair_seed(attempt, FEDERATION_SITES + 1, 1, secret, seed), ERROR_INVALID);
    fails(secagg_self_seed(attempt, FEDERATION_SITES + 1, secret, seed), ERROR_INVALID);
}

/* ---- attempts ---- */

static void test_secagg_attempt_with_impossible_sharers_is_refused(void **state)
{
    struct federation *federation = *state;
    static const struct {
        uint32_t positions[FEDERATION_SITES];
        size_t count;
        const char *text;
    } cases[] = {{{1, 2, 3}, 3, "3 sites have shared their keys, and the job's threshold is 4"},
                 {{0}, 0, "0 sites have shared"},
                 {{1, 2, 3, 3, 4}, 5, "position 3 comes after 3"},
                 {{2, 1, 3, 4, 5}, 5, "position 1 comes after 2"},
                 {{0, 1, 2, 3, 4}, 5, "is position 0"},
                 {{1, 2, 3, 4, 6}, 5, "is position 6"},
                 {{1, 2, 3, 4, 5}, 5, "whose keys are not in this batch"}};
    struct secagg_attempt attempt;
    struct digest model = {{0}};
    federation->keyset->count--; /* without site 5 */
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fails_saying(
            secagg_attempt_make(federation->keyset, FEDERATION_FIRST_SLOT, 1, 0,
                                (struct secagg_set){.positions = cases[i].positions, .count = cases[i].count},
                                &model, MASK_RING_64, FEDERATION_WORDS, &attempt),
            ERROR_INVALID, cases[i].text);
    federation->keyset->count++;
    fails(secagg_attempt_make(federation->keyset, FEDERATION_FIRST_SLOT + FEDERATION_SLOTS, 1, 0,
                              federation_everybody(federation), &model, MASK_RING_64, FEDERATION_WORDS,
                              &attempt),
          ERROR_INVALID);
}

/* ---- the statement ---- */

static void test_secagg_input_body_is_that_of_the_design(void **state)
{
    const struct federation *federation = *state;
    const struct secagg_attempt *attempt = &federation->attempt;
    uint8_t body[SECAGG_INPUT_BODY_BYTES], by_hand[SECAGG_INPUT_BODY_BYTES] = {0};
    memcpy(by_hand, attempt->context.bytes, 32);
    memcpy(by_hand + 32, attempt->sharers_hash.bytes, 32);
    by_hand[64] = FEDERATION_WORDS;
    memcpy(by_hand + 72, federation->digests[0].bytes, 32);
    secagg_input_body(attempt, &federation->digests[0], body);
    assert_memory_equal(body, by_hand, sizeof(body));
}

static void test_secagg_input_verify_changed_is_refused(void **state)
{
    const struct federation *federation = *state;
    const struct secagg_input good = federation->inputs[1];
    struct secagg_input input = good;
    succeeds(secagg_input_verify(&federation->attempt, &input, NULL));
    input.digest.bytes[0] ^= 1;
    fails_saying(secagg_input_verify(&federation->attempt, &input, NULL), ERROR_UNTRUSTED,
                 "The input of site 2 of the roster");
    input = good;
    input.signature[63] ^= 1;
    fails(secagg_input_verify(&federation->attempt, &input, NULL), ERROR_UNTRUSTED);
    for (uint32_t position = 0; position <= FEDERATION_SITES + 1; position++) {
        input = good;
        input.position = position;
        if (position != 2)
            fails(secagg_input_verify(&federation->attempt, &input, NULL), ERROR_UNTRUSTED);
    }
}

static void test_secagg_input_verify_of_another_attempt_is_refused(void **state)
{
    const struct federation *federation = *state;
    const struct secagg_set everybody = federation_everybody(federation);
    const struct secagg_set fewer = {.positions = federation->everybody, .count = FEDERATION_THRESHOLD};
    const char *model = "the model of round 3";
    struct secagg_attempt others[] = {
        federation_attempt(federation, FEDERATION_FIRST_SLOT + 1, 3, 1, everybody, model),
        federation_attempt(federation, FEDERATION_FIRST_SLOT, 2, 1, everybody, model),
        federation_attempt(federation, FEDERATION_FIRST_SLOT, 3, 0, everybody, model),
        federation_attempt(federation, FEDERATION_FIRST_SLOT, 3, 1, fewer, model),
        federation_attempt(federation, FEDERATION_FIRST_SLOT, 3, 1, everybody, "another model"),
        federation->attempt,
    };
    others[5].words++;
    for (size_t i = 0; i < 6; i++) {
        struct secagg_input input = federation_input(federation, &others[i], 2);
        succeeds(secagg_input_verify(&others[i], &input, NULL));
        fails(secagg_input_verify(&federation->attempt, &input, NULL), ERROR_UNTRUSTED);
    }
}

static void test_secagg_input_verify_of_no_sharer_is_refused(void **state)
{
    const struct federation *federation = *state;
    const struct secagg_set fewer = {.positions = federation->everybody, .count = FEDERATION_THRESHOLD};
    struct secagg_attempt attempt =
        federation_attempt(federation, FEDERATION_FIRST_SLOT, 3, 1, fewer, "the model of round 3");
    struct secagg_input input = federation_input(federation, &attempt, FEDERATION_SITES);
    fails_saying(secagg_input_verify(&attempt, &input, NULL), ERROR_UNTRUSTED, "not in the list of sharers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VECTOR_TEST(test_secagg_pair_seed_agrees_with_the_vectors_at_both_ends),
        VECTOR_TEST(test_secagg_self_seed_agrees_with_the_vectors),
        VECTOR_TEST(test_secagg_input_mask_agrees_with_the_vectors),
        VECTOR_TEST(test_secagg_input_masks_cancel_in_the_sum),
        FEDERATION_TEST(test_secagg_input_mask_of_another_context_is_another, mask),
        FEDERATION_TEST(test_secagg_input_masks_cancel_in_the_small_ring, mask),
        FEDERATION_TEST(test_secagg_input_mask_failing_leaves_no_word, mask),
        FEDERATION_TEST(test_secagg_seed_outside_the_keyset_is_refused, mask),
        FEDERATION_TEST(test_secagg_attempt_with_impossible_sharers_is_refused, share),
        FEDERATION_TEST(test_secagg_input_body_is_that_of_the_design, mask),
        FEDERATION_TEST(test_secagg_input_verify_changed_is_refused, mask),
        FEDERATION_TEST(test_secagg_input_verify_of_another_attempt_is_refused, mask),
        FEDERATION_TEST(test_secagg_input_verify_of_no_sharer_is_refused, mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
