/* An orchestrator of secure aggregation that lies about models and sums, or wants more than sums, against four sites with all that
 * is theirs. (Rounds and lists: test_attack_sum.c.) */
#include "tests/unit/datasite/driver.h"

#define REFUSED MASKED_REFUSED

static const uint32_t everybody[] = {1, 2, 3, 4};

/* ---- models ---- */

/* Told other models, sites would make masks that do not cancel, with which an orchestrator of plain secure aggregation gets one
 * site's vector alone (Pasquini et al. 2022). Here they do not get that far. */
static void test_attack_model_of_another_value_for_each_site_is_refused(void **state)
{
    struct masked_sites *masked = *state;
    driver_begin(masked, &(struct masked_words){0});
    for (uint32_t position = 1; position <= 4; position++) {
        struct masked_mask mask = driver_first(position, 1, 0, 0);
        mask.model.bytes[position] ^= 1;
        REFUSED(masked, position, driver_mask(masked, &mask), ERROR_REFUSED, "another model");
    }
}

/* The sum of which one word was raised, signed by the orchestrator. */
static Fds__Sum *false_sum(struct masked_sites *masked, struct masked_attempt *attempt, const char *secure)
{
    struct digest zeros = masked_zeros();
    driver_begin(masked, &(struct masked_words){.secure = secure});
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, attempt);
    driver_round(masked, attempt, everybody, 4, NULL);
    Fds__Sum *sum = masked_sum(masked, attempt, false);
    sum->words.data[11] ^= 1;
    masked_sign(masked, attempt, sum);
    return sum;
}

static void test_attack_model_of_a_false_sum_is_refused_where_sums_are_verified(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    Fds__Sum *sum = false_sum(masked, &attempt, ", verify_sum: true");
    struct masked_mask mask = driver_first(1, 2, 0, 1);
    mask.previous = sum;
    REFUSED(masked, 1, driver_mask(masked, &mask), ERROR_UNTRUSTED, "give another one");
    REFUSED(masked, 2, driver_sum(masked, 2, sum), ERROR_UNTRUSTED, "give another one");
    for (size_t i = 0; i < 2; i++) {
        struct secagg_model model = masked_model(masked, (uint32_t)i + 1);
        assert_int_equal(model.round, 1);
        assert_int_equal(
            site_count(masked->sites[i], "SELECT count(*) FROM event WHERE kind = 'sum-refused'"), 1);
        secagg_model_clear(&model);
    }
    /* Also when it comes with no evidence, or with false evidence. */
    sum->inputs[1].data[11] ^= 1;
    REFUSED(masked, 1, driver_sum(masked, 1, sum), ERROR_UNTRUSTED, "not those that the sites agreed on");
    while (sum->n_inputs > 0)
        free(sum->inputs[--sum->n_inputs].data);
    sum->opened.len = 0;
    REFUSED(masked, 1, driver_sum(masked, 1, sum), ERROR_REFUSED, "verify_sum");
    wire_sum_free(sum);
    masked_attempt_clear(&attempt);
}

/* What `verify_sum: false` gives up, and `show` says. Who signed what stays: of fewer sites, or another round, it is not
 * taken. */
static void test_attack_model_of_a_false_sum_is_taken_where_sums_are_not_verified(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    Fds__Sum *sum = false_sum(masked, &attempt, ", verify_sum: false");
    struct reply reply;
    sum->n_contributors--;
    sum->n_inputs--;
    masked_sign(masked, &attempt, sum);
    reply = driver_sum(masked, 1, sum);
    sum->n_contributors++;
    sum->n_inputs++;
    REFUSED(masked, 1, reply, ERROR_UNTRUSTED, "not of the sites and inputs that this site agreed to");
    masked_sign(masked, &attempt, sum);
    site_expect_state(driver_sum(masked, 1, sum), FDS__JOB_STATE__JOB_RUNNING);
    struct secagg_model model = masked_model(masked, 1);
    assert_int_equal(model.round, 2);
    secagg_model_clear(&model);
    wire_sum_free(sum);
    masked_attempt_clear(&attempt);
}

/* Signed by somebody else than who submitted the job. */
static void test_attack_model_of_a_sum_of_another_signer_is_refused(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct digest zeros = masked_zeros();
    driver_begin(masked, &(struct masked_words){.secure = ", verify_sum: false"});
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, &attempt);
    driver_round(masked, &attempt, everybody, 4, NULL);
    struct identity *orchestrator = masked->orchestrator;
    masked->orchestrator = masked->sites[3]->identity;
    Fds__Sum *sum = masked_sum(masked, &attempt, false);
    masked->orchestrator = orchestrator;
    REFUSED(masked, 1, driver_sum(masked, 1, sum), ERROR_UNTRUSTED, "The sum of round 1");
    wire_sum_free(sum);
    masked_attempt_clear(&attempt);
}

/* ---- round the whole of it ---- */

static void test_attack_model_asked_for_in_clear_is_refused_before_and_after_a_round(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    driver_begin(masked, &(struct masked_words){0});
    REFUSED(masked, 1, site_train(masked->sites[0], 1, 0), ERROR_REFUSED, "never in clear");
    REFUSED(masked, 1, site_evaluate(masked->sites[0], 1, 0), ERROR_REFUSED, "never in clear");
    struct digest zeros = masked_zeros();
    masked_attempt_begin(masked, 1, 0, 0, &zeros, everybody, 4, &attempt);
    driver_round(masked, &attempt, everybody, 4, NULL);
    REFUSED(masked, 1, site_train(masked->sites[0], 1, 0), ERROR_REFUSED, "never in clear");
    REFUSED(masked, 1, site_train(masked->sites[0], 2, 0), ERROR_REFUSED, "never in clear");
    REFUSED(masked, 1, site_evaluate(masked->sites[0], 1, 0), ERROR_REFUSED, "never in clear");
    masked_attempt_clear(&attempt);
}

static void test_attack_model_of_somebody_elses_run_is_not_continued(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    struct masked_mask mask = driver_first(1, 2, 0, 1);
    driver_collect_first(masked, &attempt);
    struct site *site = masked->sites[0];
    struct site_id researcher = site->researcher;
    site->researcher = *identity_id(masked->sites[1]->identity);
    REFUSED(masked, 1, driver_agree(masked, &attempt.about, 1, attempt.statements, 4), ERROR_NOT_FOUND,
            "There is no job");
    REFUSED(masked, 1, driver_mask(masked, &mask), ERROR_NOT_FOUND, "There is no job");
    REFUSED(masked, 1, driver_advertise(masked, 1, MASKED_BATCH), ERROR_NOT_FOUND, "There is no job");
    site->researcher = researcher;
    site_expect_type(driver_agree(masked, &attempt.about, 1, attempt.statements, 4),
                     FDS__MESSAGE_TYPE__MESSAGE_AGREEMENT);
    masked_attempt_clear(&attempt);
}

static void test_attack_model_of_a_run_that_is_over_is_not_continued(void **state)
{
    struct masked_sites *masked = *state;
    struct masked_attempt attempt;
    driver_collect_first(masked, &attempt);
    driver_agree_all(masked, &attempt);
    site_expect_state(site_end_run(masked->sites[0], "stopped"), FDS__JOB_STATE__JOB_FINISHED);
    REFUSED(masked, 1, driver_unmask(masked, &attempt.about, 1, attempt.agreements, 4), ERROR_REFUSED,
            "is finished");
    REFUSED(masked, 1, driver_advertise(masked, 1, MASKED_BATCH), ERROR_REFUSED, "is finished");
    driver_expect_silence(masked, 0);
    masked_attempt_clear(&attempt);
}

/* Training that changes nothing: all that is left of the vectors is n_i, and the bytes on the line are no different from
 * any others. Chi-square of 255 degrees of freedom: mean 255, deviation 22.6. */
static void test_attack_model_that_changes_nothing_gives_vectors_that_look_random(void **state)
{
    struct masked_sites *masked = *state;
    struct digest zeros = masked_zeros();
    uint64_t words[1 + SITE_PARAMETERS];
    size_t seen[256] = {0}, bytes = 0;
    double chi = 0.0;
    driver_begin(
        masked,
        &(struct masked_words){
            .training = "{optimizer: sgd, batch_size: 1000, local_epochs: 1, learning_rate: 1.0e-300}"});
    for (uint32_t attempt = 0; attempt < MASKED_BATCH; attempt++) {
        struct masked_attempt one;
        masked_attempt_begin(masked, 1, attempt, attempt, &zeros, everybody, 4, &one);
        driver_collect(masked, &one, everybody, 4, NULL);
        for (size_t i = 0; i < 4; i++)
            for (size_t k = 0; k < one.bytes; k++, bytes++)
                seen[one.inputs[i][k]]++;
        masked_attempt_clear(&one);
    }
    for (uint32_t position = 1; position <= 4; position++) {
        assert_true(masked_vector(masked, position, 1, words, 1 + SITE_PARAMETERS));
        for (size_t k = 1; k <= SITE_PARAMETERS; k++)
            assert_int_equal(words[k], 0);
    }
    for (size_t value = 0; value < 256; value++) {
        double expected = (double)bytes / 256.0, apart = (double)seen[value] - expected;
        chi += apart * apart / expected;
    }
    assert_int_equal(bytes, MASKED_BATCH * 4 * (1 + SITE_PARAMETERS) * 8);
    assert_true(chi > 255 - 6 * 22.6 && chi < 255 + 8 * 22.6);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, driver_make, masked_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_attack_model_of_another_value_for_each_site_is_refused),
        TEST(test_attack_model_of_a_false_sum_is_refused_where_sums_are_verified),
        TEST(test_attack_model_of_a_false_sum_is_taken_where_sums_are_not_verified),
        TEST(test_attack_model_of_a_sum_of_another_signer_is_refused),
        TEST(test_attack_model_asked_for_in_clear_is_refused_before_and_after_a_round),
        TEST(test_attack_model_of_somebody_elses_run_is_not_continued),
        TEST(test_attack_model_of_a_run_that_is_over_is_not_continued),
        TEST(test_attack_model_that_changes_nothing_gives_vectors_that_look_random),
    };
    return cmocka_run_group_tests(tests, NULL, wire_record_tear_down);
}
