/* An orchestrator of secure aggregation that keeps to the protocol in every round, and subtracts sums over nearly the same
 * sites; and what an owner can refuse it with. */
#include "tests/unit/datasite/driver.h"

#define REFUSED MASKED_REFUSED
#define POOLED_WORDS (1 + SITE_PARAMETERS + MASKED_CELLS)

static const uint32_t everybody[] = {1, 2, 3, 4};
static const uint32_t first_three[] = {1, 2, 3};
static const uint32_t first_and_last[] = {1, 2, 4};

static void refuse_differences(struct masked_sites *masked, size_t sites)
{
    for (size_t i = 0; i < sites; i++)
        masked->sites[i]->policy.gate.secure.differences = POLICY_DIFFERENCES_REFUSE;
}

/* Round 1 with these contributors, whose sum all sites take; `plain` [words]: the vector of site 4, to compare with. */
static void first_round(struct masked_sites *masked, const struct masked_words *words,
                        const uint32_t *contributors, size_t count, uint64_t *plain,
                        struct masked_attempt *attempt)
{
    struct digest zeros = masked_zeros();
    driver_begin(masked, words);
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, attempt);
    driver_collect(masked, attempt, contributors, count, NULL);
    if (plain != NULL)
        assert_true(masked_vector(masked, 4, 1, plain, attempt->about.words));
    driver_agree_all(masked, attempt);
    driver_unmask_all(masked, attempt);
}

static void take_sum(struct masked_sites *masked, const struct masked_attempt *attempt, bool unmoved)
{
    Fds__Sum *sum = masked_sum(masked, attempt, false);
    if (unmoved) {
        memset(sum->words.data + sizeof(uint64_t), 0, SITE_PARAMETERS * sizeof(uint64_t));
        masked_sign(masked, attempt, sum);
    }
    for (uint32_t position = 1; position <= 4; position++)
        site_expect_state(driver_sum(masked, position, sum), FDS__JOB_STATE__JOB_RUNNING);
    wire_sum_free(sum);
}

/* Round 2, whose key slots all four sites share in. */
static void second_begin(struct masked_sites *masked, uint32_t number, uint32_t slot,
                         const uint32_t *contributors, size_t count, struct masked_attempt *attempt)
{
    struct secagg_model model = masked_model(masked, 1);
    assert_int_equal(model.round, 2);
    masked_attempt_begin(masked, 2, number, slot, &model.digest, everybody, 4, attempt);
    driver_collect(masked, attempt, contributors, count, NULL);
    secagg_model_clear(&model);
}

/* Counts of one class's test rows, which no model changes. */
static uint64_t label_count(const uint64_t *words, size_t label)
{
    uint64_t count = 0;
    for (size_t k = 0; k < SITE_CLASSES; k++)
        count += words[1 + SITE_PARAMETERS + label * SITE_CLASSES + k];
    return count;
}

/* ---- two sums of rounds ---- */

/* What `differences: allow` accepts, and `show` and SECURITY.md say. */
static void test_attack_difference_of_two_rounds_tells_rows_and_labels_of_who_dropped_out(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt first, second;
    uint64_t plain[POOLED_WORDS];
    first_round(masked, &(struct masked_words){.metrics = "pooled"}, everybody, 4, plain, &first);
    take_sum(masked, &first, false);
    second_begin(masked, 0, 1, first_three, 3, &second);
    driver_agree_all(masked, &second);
    driver_unmask_all(masked, &second);
    assert_true(plain[0] > 0);
    assert_int_equal(first.sum[0] - second.sum[0], plain[0]);
    for (size_t label = 0; label < SITE_CLASSES; label++) {
        assert_true(label_count(plain, label) > 0);
        assert_int_equal(label_count(first.sum, label) - label_count(second.sum, label),
                         label_count(plain, label));
    }
    masked_attempt_clear(&first);
    masked_attempt_clear(&second);
}

/* A run goes on with the same sites. */
static void test_attack_difference_of_two_rounds_is_refused_where_owners_refuse_it(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt first, second, again;
    refuse_differences(masked, 4);
    first_round(masked, &(struct masked_words){.metrics = "pooled"}, everybody, 4, NULL, &first);
    take_sum(masked, &first, false);
    second_begin(masked, 0, 1, first_three, 3, &second);
    for (uint32_t position = 1; position <= 3; position++)
        REFUSED(masked, position, driver_agree(masked, &second.about, position, second.statements, 3),
                ERROR_REFUSED, "differ by 1 of its sites");
    assert_int_equal(driver_given(masked, 1), 0);
    second_begin(masked, 1, 2, everybody, 4, &again);
    driver_agree_all(masked, &again);
    driver_unmask_all(masked, &again);
    masked_attempt_clear(&first);
    masked_attempt_clear(&second);
    masked_attempt_clear(&again);
}

/* One dropped out and another came back: two of the four, of whom the orchestrator may know one. And one who came back alone. */
static void test_attack_difference_of_a_site_that_came_back_is_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt first, second, again;
    refuse_differences(masked, 4);
    first_round(masked, &(struct masked_words){0}, first_three, 3, NULL, &first);
    take_sum(masked, &first, false);
    second_begin(masked, 0, 1, first_and_last, 3, &second);
    for (uint32_t position = 1; position <= 2; position++)
        REFUSED(masked, position, driver_agree(masked, &second.about, position, second.statements, 3),
                ERROR_REFUSED, "differ by 2 of its sites");
    second_begin(masked, 1, 2, everybody, 4, &again);
    for (uint32_t position = 1; position <= 3; position++)
        REFUSED(masked, position, driver_agree(masked, &again.about, position, again.statements, 4),
                ERROR_REFUSED, "differ by 1 of its sites");
    /* It has signed nothing before; alone it does not make a sum. */
    site_expect_type(driver_agree(masked, &again.about, 4, again.statements, 4),
                     FDS__MESSAGE_TYPE__MESSAGE_AGREEMENT);
    assert_int_equal(driver_given(masked, 2), 0);
    masked_attempt_clear(&first);
    masked_attempt_clear(&second);
    masked_attempt_clear(&again);
}

/* What SECURITY.md says: a site that refuses protects others, and is protected by them. */
static void test_attack_difference_that_one_owner_alone_refuses_is_made_without_it(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt first, second;
    struct secagg_agreement *agreements = NULL;
    refuse_differences(masked, 1);
    first_round(masked, &(struct masked_words){0}, first_three, 3, NULL, &first);
    take_sum(masked, &first, false);
    second_begin(masked, 0, 1, everybody, 4, &second);
    REFUSED(masked, 1, driver_agree(masked, &second.about, 1, second.statements, 4), ERROR_REFUSED,
            "differ by 1 of its sites");
    agreements = second.agreements;
    for (uint32_t position = 2; position <= 4; position++)
        agreements[position - 2] = driver_agreement(
            masked, position, driver_agree(masked, &second.about, position, second.statements, 4));
    for (uint32_t position = 2; position <= 4; position++)
        site_expect_type(driver_unmask(masked, &second.about, position, agreements, 3),
                         FDS__MESSAGE_TYPE__MESSAGE_UNMASKING);
    masked_attempt_clear(&first);
    masked_attempt_clear(&second);
}

/* An owner who refuses from now on: what was signed by then is not opened with this site's shares any more. */
static void test_attack_difference_that_was_signed_before_is_not_unmasked(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt first, second;
    first_round(masked, &(struct masked_words){0}, everybody, 4, NULL, &first);
    take_sum(masked, &first, false);
    second_begin(masked, 0, 1, first_three, 3, &second);
    driver_agree_all(masked, &second);
    refuse_differences(masked, 4);
    for (uint32_t position = 1; position <= 3; position++) {
        REFUSED(masked, position, driver_unmask(masked, &second.about, position, second.agreements, 3),
                ERROR_REFUSED, "differ by 1 of its sites");
        /* What was given before is repeated. */
        site_expect_type(driver_unmask(masked, &first.about, position, first.agreements, 4),
                         FDS__MESSAGE_TYPE__MESSAGE_UNMASKING);
    }
    assert_int_equal(driver_given(masked, 1), 0);
    masked_attempt_clear(&first);
    masked_attempt_clear(&second);
}

/* ---- a model that stands still ---- */

/* Where no site checks the sum, the orchestrator announces that nothing changed. All sites answer the same model again, one is
 * left out, and the difference is its vector, word for word. */
static void test_attack_difference_with_a_model_that_stands_still_is_the_whole_vector(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt first, second;
    uint64_t plain[1 + SITE_PARAMETERS];
    first_round(masked, &(struct masked_words){.secure = ", verify_sum: false"}, everybody, 4, plain, &first);
    take_sum(masked, &first, true);
    second_begin(masked, 0, 1, first_three, 3, &second);
    driver_agree_all(masked, &second);
    driver_unmask_all(masked, &second);
    for (size_t i = 0; i < 1 + SITE_PARAMETERS; i++)
        assert_int_equal(first.sum[i] - second.sum[i], plain[i]);
    masked_attempt_clear(&first);
    masked_attempt_clear(&second);
}

/* At every step, under the policy of that moment. `words`: of the refusal. */
static void expect_no_step(struct masked_sites *masked, const struct masked_attempt *attempt,
                           const char *words)
{
    struct masked_mask mask = {.position = 1,
                               .round = 1,
                               .attempt = 1,
                               .slot = 1,
                               .model = masked_zeros(),
                               .sharers = everybody,
                               .sharer_count = 4};
    Fds__Sum *sum = masked_sum(masked, attempt, false);
    const struct secagg_attempt *about = &attempt->about;
    REFUSED(masked, 1, driver_advertise(masked, 1, MASKED_BATCH), ERROR_REFUSED, words);
    REFUSED(masked, 1, driver_share(masked, 1, masked->adverts, 4), ERROR_REFUSED, words);
    REFUSED(masked, 1, driver_mask(masked, &mask), ERROR_REFUSED, words);
    REFUSED(masked, 1, driver_agree(masked, about, 1, attempt->statements, 4), ERROR_REFUSED, words);
    REFUSED(masked, 1, driver_unmask(masked, about, 1, attempt->agreements, 4), ERROR_REFUSED, words);
    REFUSED(masked, 1, driver_sum(masked, 1, sum), ERROR_REFUSED, words);
    wire_sum_free(sum);
}

static void test_attack_difference_needs_unchecked_sums_which_an_owner_can_refuse(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt first;
    bool *require = &masked->sites[0]->policy.gate.secure.require_verify_sum;
    first_round(masked, &(struct masked_words){.secure = ", verify_sum: false"}, everybody, 4, NULL, &first);
    *require = true;
    expect_no_step(masked, &first, "require_verify_sum");
    *require = false;
    site_expect_type(driver_advertise(masked, 1, MASKED_BATCH), FDS__MESSAGE_TYPE__MESSAGE_ADVERT);
    masked_attempt_clear(&first);
}

/* A colluder of that many rows outweighs the others, so that the model hardly moves although the sum is right. */
static void test_attack_difference_needs_outsize_weights_which_an_owner_can_refuse(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt first;
    uint64_t *most = &masked->sites[0]->policy.gate.secure.max_examples;
    first_round(masked, &(struct masked_words){.secure = ", max_examples: 5000"}, everybody, 4, NULL, &first);
    *most = 4999;
    expect_no_step(masked, &first, "this site's policy wants at most 4999");
    *most = 5000;
    site_expect_type(driver_advertise(masked, 1, MASKED_BATCH), FDS__MESSAGE_TYPE__MESSAGE_ADVERT);
    masked_attempt_clear(&first);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, driver_make, masked_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_attack_difference_of_two_rounds_tells_rows_and_labels_of_who_dropped_out),
        TEST(test_attack_difference_of_two_rounds_is_refused_where_owners_refuse_it),
        TEST(test_attack_difference_of_a_site_that_came_back_is_refused),
        TEST(test_attack_difference_that_one_owner_alone_refuses_is_made_without_it),
        TEST(test_attack_difference_that_was_signed_before_is_not_unmasked),
        TEST(test_attack_difference_with_a_model_that_stands_still_is_the_whole_vector),
        TEST(test_attack_difference_needs_unchecked_sums_which_an_owner_can_refuse),
        TEST(test_attack_difference_needs_outsize_weights_which_an_owner_can_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, wire_record_tear_down);
}
