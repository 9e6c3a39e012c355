/* The owner's output rules, as a researcher meets them: what a released answer holds, and what it does not. */
#include "datasite/approval.h"
#include "datasite/release.h"
#include "tests/unit/datasite/site.h"

#include <math.h>

#define UPDATE FDS__MESSAGE_TYPE__MESSAGE_UPDATE
#define CELLS (SITE_CLASSES * SITE_CLASSES)

static void gate_set(struct site *site, uint64_t min_cell, uint32_t metrics)
{
    site->policy.gate.output.min_cell = min_cell;
    site->policy.gate.output.metrics = metrics;
    executor_set_policy(site->executor, &site->policy);
}

static Fds__Update *gate_train(struct site *site, uint32_t round)
{
    Fds__Update *update = NULL;
    struct reply reply = site_opened(site, site_train(site, round, 0));
    if (reply.type != UPDATE)
        site_expect_type(reply, UPDATE);
    must(wire_update_decode(reply.body, reply.body_bytes, &update));
    requests_reply_clear(&reply);
    return update;
}

static Fds__Evaluation *gate_evaluate(struct site *site, uint32_t round, double value)
{
    Fds__Evaluation *evaluation = NULL;
    struct reply reply = site_opened(site, site_evaluate(site, round, value));
    must(wire_evaluation_decode(reply.body, reply.body_bytes, &evaluation));
    requests_reply_clear(&reply);
    return evaluation;
}

/* Returns how many are withheld. */
static size_t expect_no_small_count(const uint64_t *counts, size_t count, uint64_t min_cell)
{
    size_t withheld = 0;
    assert_int_equal(count, CELLS);
    for (size_t i = 0; i < count; i++) {
        withheld += counts[i] == WIRE_WITHHELD;
        assert_true(counts[i] >= min_cell);
    }
    return withheld;
}

/* A model with equal coefficients predicts one class for every row: all other counts are zero. */
static void test_gate_zero_counts_are_withheld_and_the_owner_is_told(void **state)
{
    struct site *site = *state;
    gate_set(site, 10, POLICY_METRICS_ALL);
    site_approved(site, &(struct job_words){0}, 0, 0);
    Fds__Update *update = gate_train(site, 1);
    (void)expect_no_small_count(update->metrics->confusion, update->metrics->n_confusion, 10);
    wire_update_free(update);
    Fds__Evaluation *evaluation = gate_evaluate(site, 1, 0);
    assert_true(expect_no_small_count(evaluation->confusion, evaluation->n_confusion, 10) >= 6);
    assert_true(evaluation->test_rows > 2000 && evaluation->test_rows < 4000);
    wire_evaluation_free(evaluation);
    assert_int_equal(site_count(site,
                                "SELECT count(*) FROM event WHERE kind = 'cells-suppressed' AND round = 1 "
                                "AND detail LIKE '% of 9 cells withheld%'"),
                     site_count(site, "SELECT count(*) FROM event WHERE kind = 'cells-suppressed'"));
    assert_true(site_count(site, "SELECT count(*) FROM event WHERE kind = 'cells-suppressed'") >= 1);
}

static void test_gate_without_a_minimum_every_count_leaves(void **state)
{
    struct site *site = *state;
    uint64_t total = 0;
    gate_set(site, 0, POLICY_METRICS_ALL);
    site_approved(site, &(struct job_words){0}, 0, 0);
    Fds__Update *update = gate_train(site, 1);
    for (size_t i = 0; i < CELLS; i++)
        total += update->metrics->confusion[i];
    assert_int_equal(total, update->metrics->test_rows);
    assert_int_equal(update->metrics->correct, update->metrics->confusion[0] + update->metrics->confusion[4] +
                                                   update->metrics->confusion[8]);
    wire_update_free(update);
    assert_int_equal(site_count(site, "SELECT count(*) FROM event WHERE kind = 'cells-suppressed'"), 0);
}

static void test_gate_metrics_that_the_policy_lacks_are_withheld(void **state)
{
    struct site *site = *state;
    gate_set(site, 0, 0);
    site_approved(site, &(struct job_words){.weighting = "equal"}, 0, 0);
    Fds__Update *update = gate_train(site, 1);
    assert_true(update->examples == WIRE_WITHHELD);
    assert_true(update->metrics->train_accuracy == WIRE_WITHHELD_REAL);
    assert_int_equal(update->metrics->n_confusion, 0);
    assert_true(update->metrics->test_rows == WIRE_WITHHELD);
    assert_true(update->metrics->correct == WIRE_WITHHELD);
    assert_int_equal(update->parameters.len, SITE_PARAMETERS * sizeof(double));
    wire_update_free(update);
    site_expect_refusal(site_evaluate(site, 1, 0), ERROR_REFUSED, "lets no counts");
}

static void test_gate_training_accuracy_of_few_right_or_wrong_rows_withheld(void **state)
{
    struct site *site = *state;
    gate_set(site, SITE_ROWS / 2, POLICY_METRICS_ALL);
    site_approved(site, &(struct job_words){0}, 0, 0);
    Fds__Update *update = gate_train(site, 1);
    assert_true(update->metrics->train_accuracy == WIRE_WITHHELD_REAL);
    assert_true(update->metrics->correct == WIRE_WITHHELD);
    assert_int_equal(expect_no_small_count(update->metrics->confusion, CELLS, UINT64_MAX), CELLS);
    wire_update_free(update);
}

static double thousandths(double value)
{
    return nearbyint(value * 1000) / 1000;
}

/* The same model twice: with the number of rows, and without. */
static void test_gate_training_accuracy_does_not_tell_the_number_of_rows(void **state)
{
    struct site *site = *state;
    gate_set(site, 10, POLICY_METRICS_ALL);
    site_approved(site, &(struct job_words){.weighting = "equal"}, 0, 0);
    Fds__Update *update = gate_train(site, 1);
    double exact = update->metrics->train_accuracy;
    assert_true(exact != thousandths(exact));
    wire_update_free(update);
    gate_set(site, 10, POLICY_METRIC_TRAIN_ACCURACY | POLICY_METRIC_CONFUSION);
    update = gate_train(site, 2);
    assert_true(update->examples == WIRE_WITHHELD);
    assert_true(update->metrics->train_accuracy == thousandths(exact));
    wire_update_free(update);
}

static void test_gate_too_few_test_rows_release_no_counts(void **state)
{
    struct site *site = *state;
    gate_set(site, 0, POLICY_METRICS_ALL);
    site_approved(site, &(struct job_words){.test_fraction = "0.01"}, 0, 0);
    Fds__Update *update = gate_train(site, 1);
    assert_int_equal(update->metrics->n_confusion, 0);
    assert_true(update->metrics->test_rows == WIRE_WITHHELD);
    assert_true(update->metrics->correct == WIRE_WITHHELD);
    assert_true(update->metrics->train_accuracy > 0.5);
    wire_update_free(update);
    site_expect_refusal(site_evaluate(site, 1, 0), ERROR_REFUSED, "test rows");
    assert_int_equal(site_count(site,
                                "SELECT count(*) FROM event WHERE kind = 'cells-suppressed' AND detail LIKE "
                                "'all counts of the test rows withheld (salt %)'"),
                     1);
}

/* A dataset with rules of its own is held to them, and only it. */
static void test_gate_rules_of_the_dataset_go_before_those_of_all(void **state)
{
    struct site *site = *state;
    gate_set(site, 10, POLICY_METRICS_ALL);
    site->policy.gate.dataset_count = 1;
    (void)snprintf(site->policy.gate.datasets[0].name, sizeof(site->policy.gate.datasets[0].name), "made");
    site->policy.gate.datasets[0].output = site->policy.gate.output;
    site->policy.gate.datasets[0].output.metrics = POLICY_METRIC_EXAMPLES;
    executor_set_policy(site->executor, &site->policy);
    site_approved(site, &(struct job_words){0}, 0, 0);
    Fds__Update *update = gate_train(site, 1);
    assert_true(update->examples != WIRE_WITHHELD);
    assert_int_equal(update->metrics->n_confusion, 0);
    wire_update_free(update);
}

/* An update that cannot be weighted would be disclosed for nothing: no row is read for it, and no run begins. */
static void test_gate_update_that_cannot_be_weighted_is_refused_before_a_run(void **state)
{
    struct site *site = *state;
    gate_set(site, 0, POLICY_METRIC_TRAIN_ACCURACY | POLICY_METRIC_CONFUSION);
    site_approved(site, &(struct job_words){0}, 0, 0);
    for (int i = 0; i < 2; i++)
        site_expect_refusal(site_train(site, 1, 0), ERROR_REFUSED, "`weighting: equal`");
    assert_int_equal(site_count(site, "SELECT count(*) FROM run"), 0);
    assert_int_equal(site_released(site), 0);
    gate_set(site, 0, POLICY_METRIC_EXAMPLES);
    Fds__Update *update = gate_train(site, 1);
    assert_true(update->examples != WIRE_WITHHELD);
    wire_update_free(update);
}

/* The owner may change the rules while a step is in hand: the airlock looks itself. */
static void test_gate_airlock_itself_refuses_an_update_that_cannot_be_weighted(void **state)
{
    struct site *site = *state;
    struct approval approval = {.job = NULL};
    struct run_record run;
    struct digest model = {{0}};
    struct release_outcome outcome = {.body = NULL};
    double parameters[SITE_PARAMETERS] = {0};
    struct release_update update = {.parameters = parameters,
                                    .from = parameters,
                                    .count = SITE_PARAMETERS,
                                    .train_rows = SITE_ROWS / 2,
                                    .stopped = "converged"};
    site_approved(site, &(struct job_words){0}, 0, 0);
    must(store_run_begin(site->store, &site->job_id, site->run, SITE_NOW, &run));
    must(approval_find(site->store, site->identity, &site->policy.gate, &site->job_id, NULL, SITE_NOW,
                       &approval));
    struct release_context context = {.store = site->store,
                                      .identity = site->identity,
                                      .gate = &site->policy.gate,
                                      .job_id = &site->job_id,
                                      .job = approval.job,
                                      .dataset = &approval.dataset,
                                      .run_id = site->run,
                                      .round = 1,
                                      .model_digest = &model,
                                      .now = SITE_NOW};
    gate_set(site, 0, 0);
    refused(release_update(&context, &update, &outcome), ERROR_REFUSED, "`weighting: equal`");
    assert_int_equal(site_released(site), 0);
    approval_clear(&approval);
}

/* ---- what the owner's records say left ---- */

static void expect_event(struct site *site, const char *kind, const char *like)
{
    char sql[512];
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM event WHERE kind = '%s' AND detail LIKE '%s'",
                   kind, like);
    if (site_count(site, sql) != 1)
        fail_msg("no event %s says \"%s\"", kind, like);
}

static void test_gate_events_say_what_left(void **state)
{
    struct site *site = *state;
    gate_set(site, 0, POLICY_METRICS_ALL);
    site_approved(site, &(struct job_words){0}, 0, 0);
    wire_update_free(gate_train(site, 1));
    wire_evaluation_free(gate_evaluate(site, 1, 0));
    expect_event(site, "update-released",
                 "15 coefficients, number of training rows, training accuracy, number of test rows, "
                 "9 of 9 counts of them, right answers, % bytes");
    expect_event(site, "evaluation-released",
                 "of the global model, number of test rows, 9 of 9 counts of them, right answers");
}

/* The number of cells in the event is that of the message. */
static void test_gate_events_count_the_cells_that_left(void **state)
{
    struct site *site = *state;
    char like[160];
    gate_set(site, 10, POLICY_METRIC_CONFUSION);
    site_approved(site, &(struct job_words){.weighting = "equal"}, 0, 0);
    wire_update_free(gate_train(site, 1));
    Fds__Evaluation *evaluation = gate_evaluate(site, 1, 0);
    size_t withheld = expect_no_small_count(evaluation->confusion, evaluation->n_confusion, 10);
    assert_true(withheld > 0);
    (void)snprintf(like, sizeof(like), "of the global model, number of test rows, %zu of 9 counts of them%s",
                   CELLS - withheld, evaluation->correct == WIRE_WITHHELD ? "" : ", right answers");
    wire_evaluation_free(evaluation);
    expect_event(site, "evaluation-released", like);
    expect_event(site, "update-released", "15 coefficients, number of test rows, % of 9 counts of them%");
}

static void gate_approve_held(struct site *site, enum hold hold, uint32_t rounds)
{
    char text[SITE_JOB_BYTES];
    struct job_record record;
    site_job(site, &(struct job_words){.rounds = rounds, .weighting = "equal"}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
    struct approval_limits limits = {.hold = hold};
    must(store_job_find(site->store, &site->job_id, &record));
    must(approval_give(site->store, site->identity, &record, &limits, "owner", "", SITE_NOW));
    job_record_clear(&record);
}

static void test_gate_events_of_withheld_metrics_name_none(void **state)
{
    struct site *site = *state;
    gate_set(site, 10, 0);
    gate_approve_held(site, HOLD_FINAL, 2);
    wire_update_free(gate_train(site, 1));
    site_expect_refusal(site_train(site, 2, 0), ERROR_HELD, "");
    expect_event(site, "update-released", "15 coefficients, ___ bytes");
    expect_event(site, "update-held", "15 coefficients, ___ bytes (salt %)");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_gate_zero_counts_are_withheld_and_the_owner_is_told),
        TEST(test_gate_without_a_minimum_every_count_leaves),
        TEST(test_gate_metrics_that_the_policy_lacks_are_withheld),
        TEST(test_gate_training_accuracy_of_few_right_or_wrong_rows_withheld),
        TEST(test_gate_training_accuracy_does_not_tell_the_number_of_rows),
        TEST(test_gate_too_few_test_rows_release_no_counts),
        TEST(test_gate_rules_of_the_dataset_go_before_those_of_all),
        TEST(test_gate_update_that_cannot_be_weighted_is_refused_before_a_run),
        TEST(test_gate_airlock_itself_refuses_an_update_that_cannot_be_weighted),
        TEST(test_gate_events_say_what_left),
        TEST(test_gate_events_count_the_cells_that_left),
        TEST(test_gate_events_of_withheld_metrics_name_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
