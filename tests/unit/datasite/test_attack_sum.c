/* An orchestrator of secure aggregation that lies, against four sites with all that is theirs: handlers, executor, database. It
 * wants the vector of one site, or both kinds of share of one; here are its ways with rounds, attempts and lists of sites
 * (with keys: test_attack_keys.c; with models and sums: test_attack_model.c). Whatever the sites send in any of these tests is judged once more when the program ends
 * (wire_record.h). */
#include "tests/unit/datasite/driver.h"

#define MASKED_INPUT FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT
#define AGREEMENT FDS__MESSAGE_TYPE__MESSAGE_AGREEMENT

static const uint32_t everybody[] = {1, 2, 3, 4};
static const uint32_t first_three[] = {1, 2, 3};

#define REFUSED MASKED_REFUSED

/* ---- the well-behaved one ---- */

/* So that refusals below are those of the lie, and the record sees what it is to see. */
static void test_attack_sum_without_a_lie_gives_the_exact_sums(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    uint64_t one[1 + SITE_PARAMETERS], total[1 + SITE_PARAMETERS] = {0};
    struct digest model = masked_zeros();
    driver_begin(masked, &(struct masked_words){0});
    masked_attempt_begin(masked, 1, 0, 0, &model, everybody, 4, &attempt);
    driver_collect(masked, &attempt, first_three, 3, NULL);
    for (uint32_t position = 1; position <= 3; position++) {
        assert_true(masked_vector(masked, position, 1, one, 1 + SITE_PARAMETERS));
        mask_add_words(MASK_RING_64, total, one, 1 + SITE_PARAMETERS);
    }
    driver_agree_all(masked, &attempt);
    driver_unmask_all(masked, &attempt);
    assert_memory_equal(attempt.sum, total, sizeof(total));
    assert_int_equal(driver_given(masked, 0), 3 * 4);
    Fds__Sum *sum = masked_sum(masked, &attempt, false);
    for (uint32_t position = 1; position <= 4; position++)
        site_expect_state(driver_sum(masked, position, sum), FDS__JOB_STATE__JOB_RUNNING);
    masked_attempt_clear(&attempt);
    struct secagg_model second = masked_model(masked, 1);
    masked_attempt_begin(masked, 2, 0, 1, &second.digest, everybody, 4, &attempt);
    driver_round(masked, &attempt, everybody, 4, NULL);
    secagg_model_clear(&second);
    wire_sum_free(sum);
    masked_attempt_clear(&attempt);
}

/* ---- two lists of contributors in one attempt ---- */

static void test_attack_sum_second_list_of_an_attempt_is_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    driver_collect_first(masked, &attempt);
    driver_agree_all(masked, &attempt);
    driver_unmask_all(masked, &attempt);
    for (uint32_t position = 1; position <= 3; position++)
        REFUSED(masked, position, driver_agree(masked, &attempt.about, position, attempt.statements, 3),
                ERROR_REFUSED, "signs that once");
    masked_attempt_clear(&attempt);
}

/* Sites 1 and 2 are told that all contributed, sites 3 and 4 that one of them had not: with t = 3 neither half can be
 * completed with what the other half signed. */
static void test_attack_sum_two_lists_told_to_two_halves_unmask_nobody(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct secagg_agreement agreements[4];
    struct secagg_input without_2[3];
    driver_collect_first(masked, &attempt);
    without_2[0] = attempt.statements[0];
    without_2[1] = attempt.statements[2];
    without_2[2] = attempt.statements[3];
    for (uint32_t position = 1; position <= 4; position++)
        agreements[position - 1] = driver_agreement(
            masked, position,
            driver_agree(masked, &attempt.about, position, position <= 2 ? attempt.statements : without_2,
                         position <= 2 ? 4 : 3));
    REFUSED(masked, 1, driver_unmask(masked, &attempt.about, 1, agreements, 2), ERROR_INVALID,
            "agreements must be from 3");
    REFUSED(masked, 1, driver_unmask(masked, &attempt.about, 1, agreements, 4), ERROR_UNTRUSTED, "site 3");
    REFUSED(masked, 3, driver_unmask(masked, &attempt.about, 3, agreements + 2, 2), ERROR_INVALID,
            "agreements must be from 3");
    REFUSED(masked, 3, driver_unmask(masked, &attempt.about, 3, agreements, 4), ERROR_UNTRUSTED, "site 1");
    REFUSED(masked, 3, driver_agree(masked, &attempt.about, 3, attempt.statements, 4), ERROR_REFUSED,
            "signs that once");
    driver_expect_silence(masked, 0);
    masked_attempt_clear(&attempt);
}

/* ---- two attempts of one round ---- */

/* Attempt 0 is finished with everybody; then site 4 is said to have dropped, and attempt 1 would give the sum without it: the
 * difference is its vector. */
static void test_attack_sum_finished_round_is_not_run_again_without_one_site(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt, again;
    struct digest zeros = masked_zeros();
    driver_collect_first(masked, &attempt);
    driver_agree_all(masked, &attempt);
    driver_unmask_all(masked, &attempt);
    masked_attempt_begin(masked, 1, 1, 1, &zeros, everybody, 4, &again);
    for (uint32_t position = 1; position <= 4; position++) {
        struct masked_mask mask = driver_first(position, 1, 1, 1);
        REFUSED(masked, position, driver_mask(masked, &mask), ERROR_REFUSED, "one such statement a round");
        mask.sharers = first_three;
        mask.sharer_count = 3;
        if (position <= 3)
            REFUSED(masked, position, driver_mask(masked, &mask), ERROR_REFUSED,
                    "one such statement a round");
        REFUSED(masked, position, driver_agree(masked, &again.about, position, attempt.statements, 3),
                ERROR_REFUSED, "does not serve attempt 2");
    }
    driver_expect_silence(masked, 1);
    masked_attempt_clear(&attempt);
    masked_attempt_clear(&again);
}

/* The same, with the order the other way round: attempt 1 without site 4 is signed, and the vectors of attempt 0 are all
 * there. */
static void test_attack_sum_attempt_before_the_signed_one_is_not_signed_any_more(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt first, second;
    struct digest zeros = masked_zeros();
    driver_collect_first(masked, &first);
    masked_attempt_begin(masked, 1, 1, 1, &zeros, everybody, 4, &second);
    driver_collect(masked, &second, first_three, 3, NULL);
    driver_agree_all(masked, &second);
    driver_unmask_all(masked, &second);
    for (uint32_t position = 1; position <= 3; position++) {
        REFUSED(masked, position, driver_agree(masked, &first.about, position, first.statements, 4),
                ERROR_REFUSED, "signs that once");
        REFUSED(masked, position,
                driver_unmask(masked, &first.about, position, second.agreements, second.agreement_count),
                ERROR_REFUSED, "has not signed who contributed to attempt 1");
    }
    driver_expect_silence(masked, 0);
    masked_attempt_clear(&first);
    masked_attempt_clear(&second);
}

/* Half of the sites sign attempt 0; the others are led into attempt 1, where they are too few. */
static void test_attack_sum_sites_split_over_two_attempts_unmask_nobody(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt first, second;
    struct digest zeros = masked_zeros();
    static const uint32_t last_two[] = {3, 4};
    driver_collect_first(masked, &first);
    for (uint32_t position = 1; position <= 2; position++)
        first.agreements[position - 1] = driver_agreement(
            masked, position, driver_agree(masked, &first.about, position, first.statements, 4));
    masked_attempt_begin(masked, 1, 1, 1, &zeros, everybody, 4, &second);
    driver_collect(masked, &second, last_two, 2, NULL);
    for (uint32_t position = 1; position <= 2; position++) {
        struct masked_mask mask = driver_first(position, 1, 1, 1);
        REFUSED(masked, position, driver_mask(masked, &mask), ERROR_REFUSED, "one such statement a round");
        REFUSED(masked, position, driver_unmask(masked, &first.about, position, first.agreements, 2),
                ERROR_INVALID, "agreements must be from 3");
    }
    for (uint32_t position = 3; position <= 4; position++)
        REFUSED(masked, position, driver_agree(masked, &second.about, position, second.statements, 2),
                ERROR_INVALID, "inputs must be from 3");
    driver_expect_silence(masked, 0);
    driver_expect_silence(masked, 1);
    masked_attempt_clear(&first);
    masked_attempt_clear(&second);
}

/* ---- lists that are none ---- */

static void test_attack_sum_site_twice_in_the_list_is_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct secagg_input inputs[5];
    driver_collect_first(masked, &attempt);
    memcpy(inputs, attempt.statements, 4 * sizeof(*inputs));
    inputs[4] = inputs[3];
    REFUSED(masked, 1, driver_agree(masked, &attempt.about, 1, inputs, 5), ERROR_INVALID, "inputs");
    inputs[2] = inputs[1];
    REFUSED(masked, 1, driver_agree(masked, &attempt.about, 1, inputs, 4), ERROR_INVALID, "inputs");
    inputs[1] = attempt.statements[2];
    inputs[2] = attempt.statements[1];
    REFUSED(masked, 1, driver_agree(masked, &attempt.about, 1, inputs, 4), ERROR_INVALID, "inputs");
    site_expect_type(driver_agree(masked, &attempt.about, 1, attempt.statements, 4), AGREEMENT);
    driver_expect_silence(masked, 0);
    masked_attempt_clear(&attempt);
}

/* Of one who is not among the sharers nobody has a share: it can be neither a contributor nor dropped. */
static void test_attack_sum_contributor_that_never_shared_is_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest zeros = masked_zeros();
    struct secagg_input inputs[4];
    driver_begin(masked, &(struct masked_words){0});
    masked_attempt_begin(masked, 1, 0, 0, &zeros, first_three, 3, &attempt);
    driver_collect(masked, &attempt, first_three, 3, NULL);
    memcpy(inputs, attempt.statements, sizeof(inputs));
    inputs[3] = inputs[2];
    inputs[3].position = 4;
    REFUSED(masked, 1, driver_agree(masked, &attempt.about, 1, inputs, 4), ERROR_INVALID, "list of sharers");
    masked_attempt_clear(&attempt);
}

static void test_attack_sum_list_without_the_site_itself_is_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    driver_collect_first(masked, &attempt);
    REFUSED(masked, 4, driver_agree(masked, &attempt.about, 4, attempt.statements, 3), ERROR_REFUSED,
            "This site is not in the list");
    REFUSED(masked, 1, driver_agree(masked, &attempt.about, 1, attempt.statements, 2), ERROR_INVALID,
            "inputs must be from 3");
    masked_attempt_clear(&attempt);
}

/* A vector of the orchestrator's in the place of site 3's: that one does not sign the list, and what the others sign opens
 * nothing, whether the list has site 3's signature under its own vector or one of the orchestrator's. */
static void test_attack_sum_forged_input_of_another_site_is_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    driver_collect_first(masked, &attempt);
    static const uint32_t deceived[] = {1, 2, 4};
    struct secagg_agreement agreements[3];
    attempt.statements[2].digest.bytes[7] ^= 1;
    REFUSED(masked, 3, driver_agree(masked, &attempt.about, 3, attempt.statements, 4), ERROR_UNTRUSTED,
            "is not the vector that it gave");
    for (size_t i = 0; i < 3; i++) {
        if (i == 1)
            must(secagg_input_sign(masked->orchestrator, &attempt.about, &attempt.statements[2].digest,
                                   attempt.statements[2].signature));
        agreements[i] = driver_agreement(
            masked, deceived[i], driver_agree(masked, &attempt.about, deceived[i], attempt.statements, 4));
    }
    for (size_t i = 0; i < 3; i++)
        REFUSED(masked, deceived[i], driver_unmask(masked, &attempt.about, deceived[i], agreements, 3),
                ERROR_UNTRUSTED, "The input of site 3");
    masked_attempt_clear(&attempt);
}

/* ---- too few ---- */

static void test_attack_sum_one_agreement_too_few_unmasks_nobody(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest zeros = masked_zeros();
    struct secagg_agreement agreements[4];
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES];
    driver_begin(masked, &(struct masked_words){.secure = ", threshold: 4"});
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, &attempt);
    driver_collect(masked, &attempt, everybody, 4, NULL);
    REFUSED(masked, 1, driver_agree(masked, &attempt.about, 1, attempt.statements, 3), ERROR_REFUSED,
            "needs at least 4");
    for (uint32_t position = 2; position <= 4; position++)
        agreements[position - 2] = driver_agreement(
            masked, position, driver_agree(masked, &attempt.about, position, attempt.statements, 4));
    REFUSED(masked, 1, driver_unmask(masked, &attempt.about, 1, agreements, 3), ERROR_REFUSED,
            "has not signed who contributed");
    driver_agree_all(masked, &attempt);
    memcpy(agreements, attempt.agreements, sizeof(agreements));
    REFUSED(masked, 1, driver_unmask(masked, &attempt.about, 1, agreements, 3), ERROR_REFUSED,
            "threshold is 4");
    agreements[3] = agreements[2];
    REFUSED(masked, 1, driver_unmask(masked, &attempt.about, 1, agreements, 4), ERROR_INVALID, "agreements");
    agreements[3] = attempt.agreements[3];
    agreements[3].signature[3] ^= 1;
    REFUSED(masked, 1, driver_unmask(masked, &attempt.about, 1, agreements, 4), ERROR_UNTRUSTED, "site 4");
    /* The orchestrator signs in the place of site 4. */
    must(secagg_agreement_body(&attempt.about, attempt.statements, 4, body));
    identity_public_key(masked->orchestrator, agreements[3].public_key);
    must(secagg_sign(masked->orchestrator, "agreement", body, sizeof(body), agreements[3].signature));
    REFUSED(masked, 1, driver_unmask(masked, &attempt.about, 1, agreements, 4), ERROR_UNTRUSTED, "site 4");
    driver_expect_silence(masked, 0);
    masked_attempt_clear(&attempt);
}

/* The third share that makes a secret of two others, at 1 and 2: at 0, Lagrange's polynomials of 1, 2 and 3 are 3, -3, 1. */
static void third_share(const struct secagg_revealed *one, const struct secagg_revealed *two,
                        const uint8_t secret[static 32], uint8_t ret_share[static SHAMIR_SHARE_BYTES])
{
    for (size_t limb = 0; limb < SHAMIR_LIMBS; limb++) {
        uint64_t a = 0, b = 0, wanted = 0;
        memcpy(&a, one->share + 8 * limb, sizeof(a));
        memcpy(&b, two->share + 8 * limb, sizeof(b));
        memcpy(&wanted, secret + 7 * limb, limb < SHAMIR_LIMBS - 1 ? 7 : 4);
        uint64_t share = shamir_add(wanted, shamir_multiply(3, shamir_subtract(b, a)));
        memcpy(ret_share + 8 * limb, &share, sizeof(share));
    }
}

/* Of every secret t - 1 shares: they open nothing, and fit to any secret that one may think of. */
static void test_attack_sum_one_share_too_few_opens_nothing(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct secagg_unmasking unmaskings[2];
    struct secagg_opened *opened = NULL;
    driver_collect_first(masked, &attempt);
    driver_agree_all(masked, &attempt);
    for (uint32_t position = 1; position <= 2; position++)
        unmaskings[position - 1] = driver_unmasking(
            &attempt, position,
            driver_unmask(masked, &attempt.about, position, attempt.agreements, attempt.agreement_count));
    refused(secagg_open_secrets(&attempt.about, attempt.u3, unmaskings, 2, &opened, NULL), ERROR_UNAVAILABLE,
            "2 shares of the secret of site 1");
    for (uint8_t guess = 0; guess < 3; guess++) {
        struct shamir_point points[3] = {{.x = 1}, {.x = 2}, {.x = 3}};
        uint8_t secret[32], found[32];
        memset(secret, guess * 77, sizeof(secret));
        memcpy(points[0].share, unmaskings[0].revealed[3].share, SHAMIR_SHARE_BYTES);
        memcpy(points[1].share, unmaskings[1].revealed[3].share, SHAMIR_SHARE_BYTES);
        third_share(&unmaskings[0].revealed[3], &unmaskings[1].revealed[3], secret, points[2].share);
        must(shamir_interpolate(points, 3, 3, found));
        assert_memory_equal(found, secret, sizeof(found));
    }
    for (size_t i = 0; i < 2; i++)
        free((void *)(uintptr_t)unmaskings[i].revealed);
    masked_attempt_clear(&attempt);
}

/* ---- slots ---- */

static void test_attack_sum_slot_serves_one_context(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    driver_collect_first(masked, &attempt);
    struct masked_mask mask = driver_first(1, 1, 1, 0); /* another attempt */
    REFUSED(masked, 1, driver_mask(masked, &mask), ERROR_REFUSED, "Slot 0 is not open");
    mask = driver_first(1, 1, 0, 0); /* other sharers */
    mask.sharers = first_three;
    mask.sharer_count = 3;
    REFUSED(masked, 1, driver_mask(masked, &mask), ERROR_REFUSED, "other sites");
    driver_agree_all(masked, &attempt);
    driver_unmask_all(masked, &attempt);
    Fds__Sum *sum = masked_sum(masked, &attempt, false);
    site_expect_state(driver_sum(masked, 1, sum), FDS__JOB_STATE__JOB_RUNNING);
    struct secagg_model model = masked_model(masked, 1);
    mask = driver_first(1, 2, 0, 0); /* another round */
    mask.model = model.digest;
    REFUSED(masked, 1, driver_mask(masked, &mask), ERROR_REFUSED, "Slot 0 is not open");
    mask.slot = 1;
    site_expect_type(driver_mask(masked, &mask), MASKED_INPUT);
    secagg_model_clear(&model);
    wire_sum_free(sum);
    masked_attempt_clear(&attempt);
}

/* A slot that was left out is not there any more once a later one was signed for. */
static void test_attack_sum_slot_that_was_left_out_is_dead(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest zeros = masked_zeros();
    driver_begin(masked, &(struct masked_words){0});
    masked_attempt_begin(masked, 1, 0, 3, &zeros, everybody, 4, &attempt);
    driver_round(masked, &attempt, everybody, 4, NULL);
    Fds__Sum *sum = masked_sum(masked, &attempt, false);
    site_expect_state(driver_sum(masked, 1, sum), FDS__JOB_STATE__JOB_RUNNING);
    struct secagg_model model = masked_model(masked, 1);
    struct masked_mask mask = driver_first(1, 2, 0, 2);
    mask.model = model.digest;
    REFUSED(masked, 1, driver_mask(masked, &mask), ERROR_REFUSED, "Slot 2 is not open");
    secagg_model_clear(&model);
    wire_sum_free(sum);
    masked_attempt_clear(&attempt);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, driver_make, masked_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_attack_sum_without_a_lie_gives_the_exact_sums),
        TEST(test_attack_sum_second_list_of_an_attempt_is_refused),
        TEST(test_attack_sum_two_lists_told_to_two_halves_unmask_nobody),
        TEST(test_attack_sum_finished_round_is_not_run_again_without_one_site),
        TEST(test_attack_sum_attempt_before_the_signed_one_is_not_signed_any_more),
        TEST(test_attack_sum_sites_split_over_two_attempts_unmask_nobody),
        TEST(test_attack_sum_site_twice_in_the_list_is_refused),
        TEST(test_attack_sum_contributor_that_never_shared_is_refused),
        TEST(test_attack_sum_list_without_the_site_itself_is_refused),
        TEST(test_attack_sum_forged_input_of_another_site_is_refused),
        TEST(test_attack_sum_one_agreement_too_few_unmasks_nobody),
        TEST(test_attack_sum_one_share_too_few_opens_nothing),
        TEST(test_attack_sum_slot_serves_one_context),
        TEST(test_attack_sum_slot_that_was_left_out_is_dead),
    };
    return cmocka_run_group_tests(tests, NULL, wire_record_tear_down);
}
