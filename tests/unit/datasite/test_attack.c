/* What a listed requester, or somebody who edits site.db, may try in order to get more than the owner
 * approved. Each of these was possible once. */
#include "datasite/release.h"
#include "schemas/clock.h"
#include "tests/unit/datasite/site.h"

#include <float.h>
#include <math.h>
#include <sched.h>

#define UPDATE FDS__MESSAGE_TYPE__MESSAGE_UPDATE
#define EVALUATION FDS__MESSAGE_TYPE__MESSAGE_EVALUATION
#define REFUSAL FDS__MESSAGE_TYPE__MESSAGE_REFUSAL
/* One row a step, so that where training fails says which row made it fail. */
#define ROW_BY_ROW "{optimizer: sgd, batch_size: 1, local_epochs: 1, learning_rate: 1e-6}"
#define LONG_TRAINING "{optimizer: sgd, batch_size: 1, local_epochs: 1000, learning_rate: 0.001}"

/* A model that overflows on the first row whose first value is above `bound`. */
static struct reply ask_bound(struct site *site, uint32_t round, double bound)
{
    double parameters[SITE_PARAMETERS] = {0};
    parameters[0] = 3e38;
    parameters[SITE_CLASSES * SITE_FEATURES] = (double)FLT_MAX - 3e38 * bound;
    struct reply reply = site_train_start(site, round, parameters, SITE_PARAMETERS);
    return reply.later ? site_wait(site) : reply;
}

static void test_attack_bisecting_a_value_by_failing_steps_gets_one_answer_a_round(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){.training = ROW_BY_ROW, .metrics = "none", .rounds = 2}, 0, 0);
    struct reply first = ask_bound(site, 1, 0.2);
    struct reply again = ask_bound(site, 1, 0.2);
    site_expect_refusal(ask_bound(site, 1, 0.6), ERROR_REFUSED, "another model");
    site_expect_refusal(site_train(site, 1, 0), ERROR_REFUSED, "another model");
    struct reply second = ask_bound(site, 2, 0.5);
    assert_int_equal(first.type, REFUSAL);
    assert_int_equal(second.body_bytes, first.body_bytes);
    assert_memory_equal(second.body, first.body, first.body_bytes); /* wherever it failed */
    site_expect_same(first, again);
    site_expect_refusal(second, ERROR_NUMERIC, RELEASE_FAILED);
    site_expect_refusal(ask_bound(site, 3, 0.2), ERROR_REFUSED, "outside the 2 rounds");
    assert_int_equal(site_count(site, "SELECT count(*) FROM event WHERE kind = 'train-failed'"), 2);
    assert_int_equal(site_count(site, "SELECT last_round FROM run"), 2);
}

static void test_attack_failed_step_leaves_no_index_or_count(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){.training = ROW_BY_ROW, .rounds = 2}, 0, 0);
    site_expect_type(ask_bound(site, 1, 0.2), REFUSAL);
    assert_null(strpbrk(RELEASE_FAILED, "0123456789"));
    assert_int_equal(site_count(site, "SELECT count(*) FROM event WHERE kind = 'train-failed' AND "
                                      "substr(detail, 1, length(detail) - 40) GLOB '*[0-9]*'"),
                     0);
}

/* Whether an update is over the bound depends on the rows: the answer is that of any failure, and spends the round. */
static void test_attack_bisecting_by_the_norm_bound_gets_one_answer_a_round(void **state)
{
    struct site *site = *state;
    site->policy.gate.output.max_update_norm = 1e-6;
    executor_set_policy(site->executor, &site->policy);
    site_approved(site, &(struct job_words){.rounds = 2}, 0, 0);
    struct reply first = site_train(site, 1, 0);
    site_expect_refusal(site_train(site, 1, 0.5), ERROR_REFUSED, "another model");
    site_expect_same(first, site_train(site, 1, 0));
    site_expect_refusal(site_train(site, 2, 0.5), ERROR_NUMERIC, RELEASE_FAILED);
    assert_int_equal(
        site_count(site,
                   "SELECT count(*) FROM event WHERE kind = 'train-failed' AND detail LIKE "
                   "'%norm bound% (salt %)' AND substr(detail, 1, length(detail) - 40) NOT GLOB '*[0-9]*'"),
        2);
    assert_int_equal(site_count(site, "SELECT last_round FROM run"), 2);
}

static void test_attack_failed_round_stays_spent_after_a_restart(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){.training = ROW_BY_ROW, .rounds = 2}, 0, 0);
    struct reply first = ask_bound(site, 1, 0.2);
    site_pause(site);
    site_resume(site);
    site_expect_same(first, ask_bound(site, 1, 0.2));
    site_expect_refusal(site_train(site, 1, 0), ERROR_REFUSED, "another model");
    site_expect_type(site_train(site, 2, 0), UPDATE);
}

static void test_attack_model_beyond_single_precision_refused_without_a_run(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_expect_refusal(site_train(site, 1, 1e308), ERROR_INVALID, "single precision");
    assert_int_equal(site_count(site, "SELECT count(*) FROM run"), 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
}

static void test_attack_train_past_its_deadline_three_times_spends_the_round(void **state)
{
    struct site *site = *state;
    static const uint8_t zeros[SITE_PARAMETERS * sizeof(double)];
    site_approved(site, &(struct job_words){.training = LONG_TRAINING}, 0, 0);
    for (int attempt = 1; attempt <= 4; attempt++) {
        struct step *step = calloc(1, sizeof(*step));
        assert_non_null(step);
        must(step_take_parameters(step, zeros, sizeof(zeros)));
        step->peer = site->researcher;
        step->job_id = site->job_id;
        step->run_id[0] = 1;
        step->round = 1;
        step->deadline = clock_monotonic_ms() + 300;
        must(approval_find(site->store, site->identity, &site->policy.gate, &site->job_id, NULL, SITE_NOW,
                           &step->approval));
        must(executor_submit(site->executor, step));
        site_expect_refusal(site_wait(site), attempt < 3 ? ERROR_DEADLINE : ERROR_NUMERIC, RELEASE_FAILED);
    }
    assert_int_equal(site_count(site, "SELECT count(*) FROM event WHERE kind = 'train-abandoned'"), 3);
    site_expect_refusal(site_train(site, 1, 0.5), ERROR_REFUSED, "another model");
}

static void test_attack_evaluate_of_no_run_reads_no_rows(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_expect_refusal(site_evaluate(site, 1, 3e38), ERROR_REFUSED, "never began");
}

/* ---- somebody who edits site.db ---- */

static void test_attack_state_set_back_after_a_revocation_refused(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_withhold(site, DECISION_REVOKE);
    site_sql(site, "UPDATE job SET state = 'running'");
    site_sql(site, "UPDATE run SET status = 'running'");
    site_expect_refusal(site_train(site, 2, 0), ERROR_REFUSED, "revoked");
    site_sql(site, "DELETE FROM decision WHERE kind = 'revoke'");
    site_expect_refusal(site_train(site, 2, 0), ERROR_REFUSED, "revoked");
}

static void test_attack_forgotten_answer_is_not_released_again(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){.rounds = 1}, 0, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_expect_type(site_evaluate(site, 1, 0), EVALUATION);
    site_sql(site, "DELETE FROM answer");
    site_sql(site, "UPDATE run SET last_round = 0");
    site_expect_refusal(site_train(site, 1, 1), ERROR_REFUSED, "answered before");
    site_expect_refusal(site_evaluate(site, 1, 1), ERROR_REFUSED, "answered before");
    site_sql(site, "DELETE FROM run");
    site->run[0] = 9;
    site_expect_refusal(site_train(site, 1, 1), ERROR_REFUSED, "As many rounds");
    assert_int_equal(site_released(site), 2);
}

static void test_attack_edited_answer_is_not_repeated(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_expect_type(site_evaluate(site, 1, 0), EVALUATION);
    site_sql(site, "UPDATE answer SET body = zeroblob(length(body))");
    site_expect_refusal(site_train(site, 1, 0), ERROR_UNTRUSTED, "not the one");
    site_expect_refusal(site_evaluate(site, 1, 0), ERROR_UNTRUSTED, "not the one");
}

static void test_attack_answer_called_a_refusal_is_not_repeated(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_sql(site, "UPDATE answer SET refused = 1");
    site_expect_refusal(site_train(site, 1, 0), ERROR_UNTRUSTED, "not the one");
}

static void test_attack_answer_of_another_round_is_not_repeated(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_sql(site, "UPDATE answer SET round = 2");
    site_expect_refusal(site_train(site, 2, 0), ERROR_UNTRUSTED, "not the one");
}

static void test_attack_answer_of_an_ended_run_is_not_repeated(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 2);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    struct reply ended = site_end_run(site, "stopped");
    requests_reply_clear(&ended);
    site_expect_refusal(site_train(site, 1, 0), ERROR_REFUSED, "ended");
}

/* Rows that are the requester's own but for one: what training makes of them tells that one. */
static void test_attack_edited_rows_are_not_trained_on(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_sql(site, "UPDATE chunk SET data = zeroblob(length(data)) WHERE position = 1");
    site_expect_refusal(site_train(site, 1, 0), ERROR_CORRUPT, "problem of its own");
    assert_int_equal(site_released(site), 0);
}

/* The owner tightens the policy while a step is in hand. */
static void test_attack_step_in_hand_is_held_to_the_new_policy(void **state)
{
    struct site *site = *state;
    double parameters[SITE_PARAMETERS] = {0};
    site_approved(site, &(struct job_words){.training = "{optimizer: sgd, batch_size: 1, local_epochs: 100}"},
                  0, 0);
    assert_true(site_train_start(site, 1, parameters, SITE_PARAMETERS).later);
    struct executor_item items[EXECUTOR_WAITING + 1];
    while (executor_items(site->executor, items) > 0 && items[0].progress <= 0)
        (void)sched_yield();
    site->policy.gate.output.min_rows = SITE_ROWS;
    executor_set_policy(site->executor, &site->policy);
    site_expect_refusal(site_wait(site), ERROR_REFUSED, "training rows");
    assert_int_equal(site_released(site), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_attack_bisecting_a_value_by_failing_steps_gets_one_answer_a_round),
        TEST(test_attack_bisecting_by_the_norm_bound_gets_one_answer_a_round),
        TEST(test_attack_failed_step_leaves_no_index_or_count),
        TEST(test_attack_failed_round_stays_spent_after_a_restart),
        TEST(test_attack_model_beyond_single_precision_refused_without_a_run),
        TEST(test_attack_train_past_its_deadline_three_times_spends_the_round),
        TEST(test_attack_evaluate_of_no_run_reads_no_rows),
        TEST(test_attack_edited_rows_are_not_trained_on),
        TEST(test_attack_step_in_hand_is_held_to_the_new_policy),
        TEST(test_attack_state_set_back_after_a_revocation_refused),
        TEST(test_attack_forgotten_answer_is_not_released_again),
        TEST(test_attack_edited_answer_is_not_repeated),
        TEST(test_attack_answer_called_a_refusal_is_not_repeated),
        TEST(test_attack_answer_of_another_round_is_not_repeated),
        TEST(test_attack_answer_of_an_ended_run_is_not_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
