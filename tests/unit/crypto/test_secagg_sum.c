#include "cohort.h"
#include "scratch.h"

#define WORDS 40

/* A round up to the point where everybody has given its shares. */
struct round {
    struct cohort cohort;
    struct secagg_unmasking *unmaskings;
    size_t count;
    bool *wrong; /* [count]: holder of a share that does not fit */
    struct secagg_misfits misfits;
};

/* `gone` sites, the last ones, leave after they have shared. */
static void round_open(struct round *round, size_t sites, size_t threshold, size_t gone)
{
    struct cohort *cohort = &round->cohort;
    struct secagg_agreement *agreements = NULL;
    size_t agreement_count = 0;
    uint64_t seed = 9;
    uint8_t *leaves = malloc(sites);
    assert_non_null(leaves);
    memset(leaves, COHORT_STAYS, sites - gone);
    memset(leaves + sites - gone, COHORT_MASK, gone);
    cohort_open(cohort, &(struct cohort_shape){.sites = sites,
                                               .threshold = threshold,
                                               .words = WORDS,
                                               .ring = MASK_RING_64,
                                               .slots = 1,
                                               .verifying = 1});
    for (size_t i = 0; i < sites; i++)
        for (size_t k = 0; k < WORDS; k++)
            cohort->sites[i].vector[k] = cohort_random(&seed);
    cohort_advertise(cohort, leaves);
    cohort_share(cohort, 1, leaves);
    succeeds(cohort_begin(cohort, 1, 0, leaves));
    succeeds(cohort_mask(cohort, leaves));
    succeeds(cohort_agree(cohort, leaves, &agreements, &agreement_count));
    succeeds(cohort_unmask(cohort, leaves, agreements, agreement_count, &round->unmaskings, &round->count));
    round->misfits = (struct secagg_misfits){.pairs = NULL};
    round->wrong = calloc(round->count, sizeof(*round->wrong));
    assert_non_null(round->wrong);
    free(agreements);
    free(leaves);
}

static void round_close(struct round *round)
{
    cohort_unmaskings_free(round->unmaskings, round->count);
    free(round->wrong);
    free(round->misfits.pairs);
    cohort_close(&round->cohort);
}

/* What one site gave, to be changed. */
static struct secagg_revealed *given(struct round *round, size_t index)
{
    return (struct secagg_revealed *)(uintptr_t)round->unmaskings[index].revealed;
}

static struct error *open_secrets(struct round *round, struct secagg_opened **ret_opened)
{
    struct error *err = secagg_open_secrets(&round->cohort.attempt, round->cohort.u3, round->unmaskings,
                                            round->count, ret_opened, &round->misfits);
    for (size_t i = 0; i < round->count; i++) {
        round->wrong[i] = false;
        for (size_t k = 0; err == NULL && k < round->misfits.count; k++)
            round->wrong[i] =
                round->wrong[i] || round->misfits.pairs[k].holder == round->unmaskings[i].position;
    }
    return err;
}

/* The secrets open, the sum is right, and exactly the sites of `liars` (index of the unmasking) are named. */
static void assert_opens(struct round *round, const size_t *liars, size_t liar_count)
{
    struct secagg_opened *opened = NULL;
    free(round->misfits.pairs);
    round->misfits = (struct secagg_misfits){.pairs = NULL};
    uint64_t *expected = cohort_expected(&round->cohort);
    succeeds(open_secrets(round, &opened));
    for (size_t i = 0; i < round->cohort.attempt.sharers.count; i++) {
        const struct secagg_secret *secret = &round->cohort.sites[i].secrets[0];
        assert_int_equal(opened[i].position, i + 1);
        assert_memory_equal(opened[i].secret, opened[i].kind == SECAGG_REVEAL_B ? secret->b : secret->s, 32);
    }
    succeeds(secagg_sum_unmask(&round->cohort.attempt, round->cohort.u3, opened, round->cohort.sum));
    assert_memory_equal(round->cohort.sum, expected, WORDS * sizeof(*expected));
    for (size_t i = 0; i < round->count; i++) {
        bool lies = false;
        for (size_t k = 0; k < liar_count; k++)
            lies = lies || liars[k] == i;
        assert_int_equal(round->wrong[i], lies);
    }
    free(expected);
    free(opened);
}

static void fails_to_open(struct round *round, enum error_code code, const char *text)
{
    struct secagg_opened *opened = NULL;
    fails_saying(open_secrets(round, &opened), code, text);
    assert_null(opened);
}

static void test_secagg_open_secrets_of_honest_shares_names_nobody(void **state)
{
    struct round round;
    (void)state;
    round_open(&round, 7, 4, 2);
    assert_opens(&round, NULL, 0);
    round_close(&round);
}

/* Of 10 shares with threshold 6, two may be wrong; the first lies about one secret, the other about all. */
static void test_secagg_open_secrets_corrects_and_names_wrong_shares(void **state)
{
    static const size_t liars[] = {0, 3};
    struct round round;
    (void)state;
    round_open(&round, 11, 6, 1);
    given(&round, 0)[5].share[0] ^= 1;
    for (size_t k = 0; k < round.unmaskings[3].count; k++)
        given(&round, 3)[k].share[k % 40] ^= 4;
    assert_opens(&round, liars, 2);
    round_close(&round);
}

/* What site 6 dealt to site 2, and site 2 gives, does not fit; what site 4 gives of its own secret is its own fault. */
static void test_secagg_open_secrets_names_both_of_a_share_that_does_not_fit(void **state)
{
    struct round round;
    (void)state;
    round_open(&round, 11, 6, 1);
    given(&round, 1)[5].share[0] ^= 1;
    given(&round, 3)[3].share[0] ^= 1;
    assert_opens(&round, (const size_t[]){1, 3}, 2);
    assert_int_equal(round.misfits.count, 2);
    assert_int_equal(round.misfits.pairs[0].dealer, 4);
    assert_int_equal(round.misfits.pairs[0].holder, 4);
    assert_int_equal(round.misfits.pairs[1].dealer, 6);
    assert_int_equal(round.misfits.pairs[1].holder, 2);
    round_close(&round);
}

static void test_secagg_open_secrets_of_a_dropped_site_corrects_its_key(void **state)
{
    static const size_t liars[] = {1};
    struct round round;
    (void)state;
    round_open(&round, 11, 6, 1);
    assert_int_equal(given(&round, 1)[10].kind, SECAGG_REVEAL_S);
    given(&round, 1)[10].share[9] ^= 1;
    assert_opens(&round, liars, 1);
    round_close(&round);
}

static void test_secagg_open_secrets_with_too_many_wrong_shares_fails(void **state)
{
    struct round round;
    (void)state;
    round_open(&round, 11, 6, 1);
    for (size_t i = 0; i < 3; i++)
        given(&round, i)[4].share[0] ^= (uint8_t)(i + 1);
    fails_to_open(&round, ERROR_UNTRUSTED, "site 5 of the roster");
    round_close(&round);
}

/* Wrong shares that the interpolation does not use are never looked at. */
static void test_secagg_open_secrets_takes_the_first_shares_that_hold(void **state)
{
    struct round round;
    (void)state;
    round_open(&round, 11, 6, 1);
    given(&round, 9)[4].share[0] ^= 1;
    assert_opens(&round, NULL, 0);
    round_close(&round);
}

/* Ten shares of the secret of site 4, six needed: with four left out it opens, with five it does not. */
static void test_secagg_open_secrets_leaves_out_what_is_not_in_the_plan(void **state)
{
    static const size_t liars[] = {0, 1, 2, 3};
    struct round round;
    (void)state;
    round_open(&round, 11, 6, 1);
    given(&round, 0)[3].kind = SECAGG_REVEAL_S;                  /* the other kind */
    given(&round, 1)[3] = given(&round, 1)[2];                   /* one twice */
    given(&round, 2)[3].position = 12;                           /* of nobody */
    memset(given(&round, 3)[3].share, 0xff, SHAMIR_SHARE_BYTES); /* no share at all */
    assert_opens(&round, liars, 4);
    given(&round, 4)[3].position = 0;
    fails_to_open(&round, ERROR_UNAVAILABLE, "5 shares of the secret of site 4");
    round_close(&round);
}

static void test_secagg_open_secrets_with_one_share_too_few_fails(void **state)
{
    struct round round;
    (void)state;
    round_open(&round, 7, 4, 2);
    round.count = 3;
    fails_to_open(&round, ERROR_UNAVAILABLE, "3 shares of the secret of site 1 of the roster, and 4");
    round.count = 4;
    assert_opens(&round, NULL, 0);
    round.count = 5;
    round_close(&round);
}

static void test_secagg_open_secrets_of_unmaskings_out_of_order_fails(void **state)
{
    struct round round;
    (void)state;
    round_open(&round, 7, 4, 2);
    struct secagg_unmasking first = round.unmaskings[0];
    round.unmaskings[0] = round.unmaskings[1];
    fails_to_open(&round, ERROR_INVALID, "site 2"); /* twice */
    round.unmaskings[1] = first;
    fails_to_open(&round, ERROR_INVALID, "site 1");
    round.unmaskings[1] = round.unmaskings[0];
    round.unmaskings[0] = first;
    round.unmaskings[4].position = 8;
    fails_to_open(&round, ERROR_INVALID, "Site 8");
    round.unmaskings[4].position = 5;
    assert_opens(&round, NULL, 0);
    round_close(&round);
}

/* A site that committed to something else than it shared is the one that is named. */
static void test_secagg_open_secrets_that_were_dealt_wrong_names_the_dealer(void **state)
{
    struct round round;
    (void)state;
    round_open(&round, 7, 4, 2);
    round.cohort.keyset->members[2].entries[0].b.bytes[0] ^= 1;
    fails_to_open(&round, ERROR_UNTRUSTED, "site 3 of the roster agree");
    round_close(&round);
}

static void test_secagg_opened_check_refuses_every_other_secret(void **state)
{
    struct round round;
    struct secagg_opened *opened = NULL;
    (void)state;
    round_open(&round, 7, 4, 2);
    const struct secagg_attempt *attempt = &round.cohort.attempt;
    const struct secagg_set u3 = round.cohort.u3;
    succeeds(open_secrets(&round, &opened));
    succeeds(secagg_opened_check(attempt, u3, opened, 7));
    fails(secagg_opened_check(attempt, u3, opened, 6), ERROR_INVALID);
    for (size_t i = 0; i < 7; i++)
        for (size_t k = 1; k < 31; k++) { /* X25519 clamps bits of the first and of the last byte */
            opened[i].secret[k] ^= 0x10;
            fails(secagg_opened_check(attempt, u3, opened, 7), ERROR_UNTRUSTED);
            opened[i].secret[k] ^= 0x10;
        }
    opened[1].position = 3;
    fails_saying(secagg_opened_check(attempt, u3, opened, 7), ERROR_INVALID, "site 2");
    opened[1].position = 2;
    opened[1].kind = SECAGG_REVEAL_S;
    fails_saying(secagg_opened_check(attempt, u3, opened, 7), ERROR_INVALID, "site 2");
    opened[1].kind = SECAGG_REVEAL_B;
    succeeds(secagg_opened_check(attempt, u3, opened, 7));
    free(opened);
    round_close(&round);
}

static void test_secagg_sum_unmask_refuses_secrets_of_another_sum(void **state)
{
    struct round round;
    struct secagg_opened *opened = NULL;
    (void)state;
    round_open(&round, 7, 4, 2);
    struct secagg_set fewer = round.cohort.u3;
    succeeds(open_secrets(&round, &opened));
    fewer.count--;
    fails(secagg_sum_unmask(&round.cohort.attempt, fewer, opened, round.cohort.sum), ERROR_INVALID);
    free(opened);
    round_close(&round);
}

static void test_secagg_sum_of_contributors_that_did_not_share_is_refused(void **state)
{
    struct round round;
    struct secagg_opened *opened = NULL, *none = NULL;
    struct secagg_misfits misfits = {.pairs = NULL};
    uint32_t swapped[] = {2, 1, 3, 4, 5};
    (void)state;
    round_open(&round, 7, 4, 2);
    struct secagg_attempt attempt = round.cohort.attempt;
    struct secagg_set u3 = round.cohort.u3;
    succeeds(open_secrets(&round, &opened));
    for (int order = 0; order < 2; order++) {
        const char *text =
            order == 0 ? "has a site that is not in the list of sharers" : "position 1 comes after 2";
        attempt.sharers.count = order == 0 ? 4 : 7;
        u3.positions = order == 0 ? u3.positions : swapped;
        fails_saying(secagg_open_secrets(&attempt, u3, round.unmaskings, round.count, &none, &misfits),
                     ERROR_INVALID, text);
        fails_saying(secagg_opened_check(&attempt, u3, opened, attempt.sharers.count), ERROR_INVALID, text);
        fails_saying(secagg_sum_unmask(&attempt, u3, opened, round.cohort.sum), ERROR_INVALID, text);
    }
    assert_null(none);
    free(opened);
    round_close(&round);
}

static void test_secagg_sum_unmask_without_one_secret_is_noise(void **state)
{
    struct round round;
    struct secagg_opened *opened = NULL;
    (void)state;
    round_open(&round, 7, 4, 2);
    succeeds(open_secrets(&round, &opened));
    uint64_t *expected = cohort_expected(&round.cohort);
    for (size_t i = 0; i < 7; i++) {
        uint64_t words[WORDS];
        memcpy(words, round.cohort.sum, sizeof(words));
        opened[i].secret[1] ^= 1;
        succeeds(secagg_sum_unmask(&round.cohort.attempt, round.cohort.u3, opened, words));
        for (size_t k = 0; k < WORDS; k++)
            assert_true(words[k] != expected[k]);
        opened[i].secret[1] ^= 1;
    }
    free(expected);
    free(opened);
    round_close(&round);
}

/* More words than are hashed at a time, in both rings. */
static void test_secagg_sum_body_has_the_digest_of_the_words_as_written(void **state)
{
    enum { MANY = 3000 };
    static const enum mask_ring rings[] = {MASK_RING_32, MASK_RING_64};
    struct digest context, contributors, digest;
    uint64_t *words = calloc(MANY, sizeof(*words));
    uint8_t *written = malloc(MANY * sizeof(*words)), body[SECAGG_SUM_BODY_BYTES];
    uint64_t seed = 3;
    (void)state;
    assert_non_null(words);
    assert_non_null(written);
    succeeds(digest_of("context", 7, &context));
    succeeds(digest_of("contributors", 12, &contributors));
    for (size_t k = 0; k < MANY; k++)
        words[k] = cohort_random(&seed) >> 32;
    for (size_t i = 0; i < 2; i++) {
        mask_write(rings[i], words, MANY, written);
        succeeds(digest_of(written, mask_bytes(rings[i], MANY), &digest));
        succeeds(secagg_sum_body(&context, &contributors, rings[i], words, MANY, body));
        assert_memory_equal(body, &context, DIGEST_BYTES);
        assert_memory_equal(body + DIGEST_BYTES, &contributors, DIGEST_BYTES);
        assert_memory_equal(body + 2 * DIGEST_BYTES, &digest, DIGEST_BYTES);
    }
    free(words);
    free(written);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secagg_open_secrets_of_honest_shares_names_nobody),
        cmocka_unit_test(test_secagg_open_secrets_corrects_and_names_wrong_shares),
        cmocka_unit_test(test_secagg_open_secrets_names_both_of_a_share_that_does_not_fit),
        cmocka_unit_test(test_secagg_open_secrets_of_a_dropped_site_corrects_its_key),
        cmocka_unit_test(test_secagg_open_secrets_with_too_many_wrong_shares_fails),
        cmocka_unit_test(test_secagg_open_secrets_takes_the_first_shares_that_hold),
        cmocka_unit_test(test_secagg_open_secrets_leaves_out_what_is_not_in_the_plan),
        cmocka_unit_test(test_secagg_open_secrets_with_one_share_too_few_fails),
        cmocka_unit_test(test_secagg_open_secrets_of_unmaskings_out_of_order_fails),
        cmocka_unit_test(test_secagg_open_secrets_that_were_dealt_wrong_names_the_dealer),
        cmocka_unit_test(test_secagg_opened_check_refuses_every_other_secret),
        cmocka_unit_test(test_secagg_sum_unmask_refuses_secrets_of_another_sum),
        cmocka_unit_test(test_secagg_sum_of_contributors_that_did_not_share_is_refused),
        cmocka_unit_test(test_secagg_sum_unmask_without_one_secret_is_noise),
        cmocka_unit_test(test_secagg_sum_body_has_the_digest_of_the_words_as_written),
    };
    return cmocka_run_group_tests(tests, NULL, given_record_tear_down);
}
