/* Rounds of a run through the handlers and the executor: what is trained, repeated, refused. After each
 * refusal nothing more has been released than before. */
#include "schemas/clock.h"
#include "tests/unit/datasite/site.h"

#include <math.h>

#define UPDATE FDS__MESSAGE_TYPE__MESSAGE_UPDATE
#define RELEASED FDS__MESSAGE_TYPE__MESSAGE_RELEASED
#define EVALUATION FDS__MESSAGE_TYPE__MESSAGE_EVALUATION
/* Trains for a long time: three million steps of one row each. */
#define LONG_TRAINING "{optimizer: sgd, batch_size: 1, local_epochs: 1000, learning_rate: 0.001}"

#define REFUSED(site, reply, code, words)                                                                    \
    do {                                                                                                     \
        int64_t held = site_released(site);                                                                  \
        site_expect_refusal((reply), (code), (words));                                                       \
        assert_int_equal(site_released(site), held);                                                         \
    } while (0)

static void test_train_releases_an_update(void **state)
{
    struct site *site = *state;
    Fds__Update *update = NULL;
    site_approved(site, &(struct job_words){0}, 0, 0);
    struct reply reply = site_opened(site, site_train(site, 1, 0));
    assert_int_equal(reply.type, UPDATE);
    must(wire_update_decode(reply.body, reply.body_bytes, &update));
    assert_int_equal(update->round, 1);
    assert_int_equal(update->parameters.len, SITE_PARAMETERS * sizeof(double));
    assert_non_null(update->metrics);
    assert_int_equal(update->metrics->n_confusion, SITE_CLASSES * SITE_CLASSES);
    uint64_t tested = 0;
    for (size_t i = 0; i < update->metrics->n_confusion; i++)
        tested += update->metrics->confusion[i];
    assert_int_equal(update->examples + tested, SITE_ROWS);
    assert_true(update->metrics->train_accuracy > 0.6);
    assert_int_equal(site_released(site), 2);
    wire_update_free(update);
    requests_reply_clear(&reply);
}

static void test_train_without_metrics_releases_none(void **state)
{
    struct site *site = *state;
    Fds__Update *update = NULL;
    site_approved(site, &(struct job_words){.metrics = "none"}, 0, 0);
    struct reply reply = site_opened(site, site_train(site, 1, 0));
    assert_int_equal(reply.type, UPDATE);
    must(wire_update_decode(reply.body, reply.body_bytes, &update));
    assert_null(update->metrics);
    wire_update_free(update);
    requests_reply_clear(&reply);
}

static void test_train_sgd_releases_an_update(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){.training = "{optimizer: sgd, batch_size: 16, local_epochs: 2}"},
                  0, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
}

static void test_train_wrong_shape_refused(void **state)
{
    struct site *site = *state;
    double parameters[SITE_PARAMETERS + 1] = {0};
    site_approved(site, &(struct job_words){0}, 0, 0);
    REFUSED(site, site_train_start(site, 1, parameters, SITE_PARAMETERS + 1), ERROR_INVALID, "shape=(3, 4)");
    REFUSED(site, site_train_start(site, 1, parameters, SITE_PARAMETERS - 1), ERROR_INVALID, "shape=(3, 4)");
    REFUSED(site, site_train_start(site, 1, parameters, 0), ERROR_INVALID, "");
    assert_int_equal(site_count(site, "SELECT count(*) FROM run"), 0);
}

static void test_train_model_not_finite_refused(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    REFUSED(site, site_train(site, 1, NAN), ERROR_INVALID, "");
    REFUSED(site, site_train(site, 1, INFINITY), ERROR_INVALID, "");
    REFUSED(site, site_train(site, 1, -INFINITY), ERROR_INVALID, "");
    assert_int_equal(site_count(site, "SELECT count(*) FROM run"), 0);
}

static void test_train_too_few_training_rows_refused(void **state)
{
    struct site *site = *state;
    site->policy.gate.output.min_rows = SITE_ROWS;
    executor_set_policy(site->executor, &site->policy);
    site_approved(site, &(struct job_words){.metrics = "none"}, 0, 0);
    REFUSED(site, site_train(site, 1, 0), ERROR_REFUSED, "training rows");
    assert_int_equal(site_count(site, "SELECT count(*) FROM run"), 0);
}

static void test_train_over_the_byte_cap_refused(void **state)
{
    struct site *site = *state;
    site->policy.gate.output.max_update_bytes = 100;
    executor_set_policy(site->executor, &site->policy);
    site_approved(site, &(struct job_words){0}, 0, 0);
    REFUSED(site, site_train(site, 1, 0), ERROR_LIMIT, "100 bytes");
}

static void test_train_over_the_byte_cap_of_the_job_refused_before_the_rows_are_read(void **state)
{
    struct site *site = *state;
    site->policy.gate.output.max_job_bytes = SITE_PARAMETERS * sizeof(double) + 200;
    executor_set_policy(site->executor, &site->policy);
    site_approved(site, &(struct job_words){.metrics = "none"}, 0, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    REFUSED(site, site_train(site, 2, 0), ERROR_LIMIT, "bytes together");
    assert_int_equal(site_count(site, "SELECT last_round FROM run"), 1);
}

static void test_evaluate_without_counts_in_the_policy_refused(void **state)
{
    struct site *site = *state;
    site->policy.gate.output.metrics = POLICY_METRIC_EXAMPLES;
    executor_set_policy(site->executor, &site->policy);
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    REFUSED(site, site_evaluate(site, 1, 0), ERROR_REFUSED, "lets no counts");
}

static void test_train_again_same_model_repeats_the_answer(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    struct reply first = site_train(site, 1, 0);
    assert_int_equal(first.type, RELEASED);
    int64_t before = site_released(site);
    site_expect_same(first, site_train(site, 1, 0));
    assert_int_equal(site_released(site), before);
}

static void test_train_twice_at_once_same_model_releases_once(void **state)
{
    struct site *site = *state;
    double parameters[SITE_PARAMETERS] = {0};
    site_approved(site, &(struct job_words){0}, 0, 0);
    assert_true(site_train_start(site, 1, parameters, SITE_PARAMETERS).later);
    struct reply second = site_train_start(site, 1, parameters, SITE_PARAMETERS);
    struct reply first = site_wait(site);
    if (second.later)
        second = site_wait(site);
    site_expect_same(first, second);
    assert_int_equal(site_released(site), 2);
}

static void test_train_again_other_model_refused(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    REFUSED(site, site_train(site, 1, 0.5), ERROR_REFUSED, "another model");
}

static void test_train_earlier_round_refused(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_expect_type(site_train(site, 2, 0), UPDATE);
    REFUSED(site, site_train(site, 1, 0), ERROR_REFUSED, "is over");
}

static void test_train_round_after_the_last_refused(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){.rounds = 3}, 0, 0);
    site_expect_type(site_train(site, 3, 0), UPDATE);
    REFUSED(site, site_train(site, 4, 0), ERROR_REFUSED, "outside the 3 rounds");
}

static void test_train_second_run_of_one_refused(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 1);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_expect_state(site_end_run(site, "stopped"), FDS__JOB_STATE__JOB_FINISHED);
    site->run[0] = 2;
    REFUSED(site, site_train(site, 1, 0), ERROR_REFUSED, "finished");
}

/* Its orchestrator was killed and its EndRun never came. */
static void test_train_run_that_was_cut_off_makes_way_and_stays_counted(void **state)
{
    struct site *site = *state;
    uint8_t first = site->run[0];
    site_approved(site, &(struct job_words){0}, 0, 2);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site->run[0] = (uint8_t)(first + 1);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site->run[0] = first;
    REFUSED(site, site_train(site, 2, 0), ERROR_REFUSED, "ended");
    site->run[0] = (uint8_t)(first + 2);
    REFUSED(site, site_train(site, 1, 0), ERROR_REFUSED, "2 began already");
    assert_int_equal(site_count(site, "SELECT count(*) FROM run"), 2);
}

static void test_train_second_run_of_two_goes(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 2);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_expect_state(site_end_run(site, "finished"), FDS__JOB_STATE__JOB_APPROVED);
    site->run[0] = 2;
    site_expect_type(site_train(site, 1, 0), UPDATE);
}

static void test_train_after_end_run_refused(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 2);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_expect_state(site_end_run(site, "cancelled"), FDS__JOB_STATE__JOB_APPROVED);
    REFUSED(site, site_train(site, 2, 0), ERROR_REFUSED, "ended");
}

static void test_train_run_of_another_job_refused(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){.name = "first"}, 0, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_approved(site, &(struct job_words){.name = "second"}, 0, 0);
    REFUSED(site, site_train(site, 2, 0), ERROR_REFUSED, "another job");
    REFUSED(site, site_train(site, 1, 0), ERROR_REFUSED, "another job");
    REFUSED(site, site_evaluate(site, 1, 0), ERROR_REFUSED, "another job");
}

static void test_train_revoked_in_mid_run_abandons(void **state)
{
    struct site *site = *state;
    double parameters[SITE_PARAMETERS] = {0};
    site_approved(site, &(struct job_words){.training = LONG_TRAINING}, 0, 0);
    assert_true(site_train_start(site, 1, parameters, SITE_PARAMETERS).later);
    site_withhold(site, DECISION_REVOKE);
    requests_recheck(&site->requests, NULL, NULL);
    REFUSED(site, site_wait(site), ERROR_REFUSED, "revoked");
    REFUSED(site, site_train(site, 1, 0), ERROR_REFUSED, "revoked");
}

static void test_train_revoked_unnoticed_is_caught_by_the_airlock(void **state)
{
    struct site *site = *state;
    double parameters[SITE_PARAMETERS] = {0};
    site_approved(site, &(struct job_words){.training = "{optimizer: sgd, batch_size: 1, local_epochs: 100}"},
                  0, 0);
    assert_true(site_train_start(site, 1, parameters, SITE_PARAMETERS).later);
    site_withhold(site, DECISION_REVOKE);
    REFUSED(site, site_wait(site), ERROR_REFUSED, "revoked");
}

static bool nobody(void *context, const struct site_id *peer)
{
    (void)context;
    (void)peer;
    return false;
}

static void test_train_of_a_peer_no_longer_trusted_abandons(void **state)
{
    struct site *site = *state;
    double parameters[SITE_PARAMETERS] = {0};
    site_approved(site, &(struct job_words){.training = LONG_TRAINING}, 0, 0);
    assert_true(site_train_start(site, 1, parameters, SITE_PARAMETERS).later);
    requests_recheck(&site->requests, nobody, NULL);
    REFUSED(site, site_wait(site), ERROR_REFUSED, "does not trust you");
}

static void test_train_past_its_deadline_abandons(void **state)
{
    struct site *site = *state;
    static const uint8_t zeros[SITE_PARAMETERS * sizeof(double)];
    site_approved(site, &(struct job_words){.training = LONG_TRAINING}, 0, 0);
    struct step *step = calloc(1, sizeof(*step));
    assert_non_null(step);
    must(step_take_parameters(step, zeros, sizeof(zeros)));
    step->peer = site->researcher;
    step->job_id = site->job_id;
    step->run_id[0] = 1;
    step->round = 1;
    step->deadline = clock_monotonic_ms() + 50;
    must(approval_find(site->store, site->identity, &site->policy.gate, &site->job_id, NULL, SITE_NOW,
                       &step->approval));
    must(executor_submit(site->executor, step));
    REFUSED(site, site_wait(site), ERROR_DEADLINE, "round_deadline");
}

static void test_train_ended_by_the_orchestrator_abandons(void **state)
{
    struct site *site = *state;
    double parameters[SITE_PARAMETERS] = {0};
    site_approved(site, &(struct job_words){.training = LONG_TRAINING}, 0, 0);
    assert_true(site_train_start(site, 1, parameters, SITE_PARAMETERS).later);
    struct reply ended = site_end_run(site, "cancelled");
    requests_reply_clear(&ended);
    REFUSED(site, site_wait(site), ERROR_REFUSED, "ended");
}

static void test_train_more_than_the_queue_holds_is_busy(void **state)
{
    struct site *site = *state;
    double parameters[SITE_PARAMETERS] = {0};
    site_approved(site, &(struct job_words){.training = LONG_TRAINING, .rounds = 100}, 0, 0);
    for (uint32_t round = 1; round <= EXECUTOR_WAITING; round++)
        assert_true(site_train_start(site, round, parameters, SITE_PARAMETERS).later);
    struct reply last = {.later = true};
    for (uint32_t round = EXECUTOR_WAITING + 1; last.later && round < 20; round++)
        last = site_train_start(site, round, parameters, SITE_PARAMETERS);
    REFUSED(site, last, ERROR_BUSY, "busy");
    assert_true(executor_stop(site->executor, 20000));
}

static void test_evaluate_releases_counts_once(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    struct reply first = site_evaluate(site, 1, 0.25);
    assert_int_equal(first.type, RELEASED);
    int64_t before = site_released(site);
    site_expect_same(first, site_evaluate(site, 1, 0.25));
    REFUSED(site, site_evaluate(site, 1, 0.5), ERROR_REFUSED, "another model");
    assert_int_equal(site_released(site), before);
}

static void test_evaluate_with_metrics_none_refused(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){.metrics = "none"}, 0, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    REFUSED(site, site_evaluate(site, 1, 0), ERROR_REFUSED, "metrics: none");
}

static void test_evaluate_before_any_train_refused(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    REFUSED(site, site_evaluate(site, 1, 0), ERROR_REFUSED, "never began");
}

static void test_evaluate_round_outside_refused(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){.rounds = 3}, 0, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    REFUSED(site, site_evaluate(site, 4, 0), ERROR_REFUSED, "outside the 3 rounds");
}

static void test_evaluate_after_a_missed_round_goes(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){.rounds = 3}, 0, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_expect_type(site_evaluate(site, 2, 0), EVALUATION);
    site_expect_type(site_train(site, 3, 0), UPDATE);
}

static void test_rounds_survive_a_restart(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    struct reply first = site_train(site, 1, 0);
    site_pause(site);
    site_resume(site);
    site_expect_same(first, site_train(site, 1, 0));
    site_expect_type(site_train(site, 2, 0), UPDATE);
}

static void test_train_same_bits_on_any_number_of_threads(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){.name = "one"}, 0, 0);
    struct reply two = site_opened(site, site_train(site, 1, 0));
    site_approved(site, &(struct job_words){.name = "two"}, 0, 0);
    site->run[0] = 2;
    struct reply again = site_opened(site, site_train(site, 1, 0));
    Fds__Update *a = NULL, *b = NULL;
    must(wire_update_decode(two.body, two.body_bytes, &a));
    must(wire_update_decode(again.body, again.body_bytes, &b));
    assert_memory_equal(a->parameters.data, b->parameters.data, a->parameters.len);
    wire_update_free(a);
    wire_update_free(b);
    requests_reply_clear(&two);
    requests_reply_clear(&again);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_train_releases_an_update),
        TEST(test_train_without_metrics_releases_none),
        TEST(test_train_sgd_releases_an_update),
        TEST(test_train_wrong_shape_refused),
        TEST(test_train_model_not_finite_refused),
        TEST(test_train_too_few_training_rows_refused),
        TEST(test_train_over_the_byte_cap_refused),
        TEST(test_train_over_the_byte_cap_of_the_job_refused_before_the_rows_are_read),
        TEST(test_evaluate_without_counts_in_the_policy_refused),
        TEST(test_train_again_same_model_repeats_the_answer),
        TEST(test_train_twice_at_once_same_model_releases_once),
        TEST(test_train_again_other_model_refused),
        TEST(test_train_earlier_round_refused),
        TEST(test_train_round_after_the_last_refused),
        TEST(test_train_second_run_of_one_refused),
        TEST(test_train_run_that_was_cut_off_makes_way_and_stays_counted),
        TEST(test_train_second_run_of_two_goes),
        TEST(test_train_after_end_run_refused),
        TEST(test_train_run_of_another_job_refused),
        TEST(test_train_revoked_in_mid_run_abandons),
        TEST(test_train_revoked_unnoticed_is_caught_by_the_airlock),
        TEST(test_train_of_a_peer_no_longer_trusted_abandons),
        TEST(test_train_past_its_deadline_abandons),
        TEST(test_train_ended_by_the_orchestrator_abandons),
        TEST(test_train_more_than_the_queue_holds_is_busy),
        TEST(test_evaluate_releases_counts_once),
        TEST(test_evaluate_with_metrics_none_refused),
        TEST(test_evaluate_before_any_train_refused),
        TEST(test_evaluate_round_outside_refused),
        TEST(test_evaluate_after_a_missed_round_goes),
        TEST(test_rounds_survive_a_restart),
        TEST(test_train_same_bits_on_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
