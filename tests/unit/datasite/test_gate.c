/* The owner's output rules, as a researcher meets them: what a released answer holds, and what it does not. */
#include "tests/unit/datasite/site.h"

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
    site_approved(site, &(struct job_words){0}, 0, 0);
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
                                "SELECT count(*) FROM event WHERE kind = 'cells-suppressed' AND detail = "
                                "'all counts of the test rows withheld'"),
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_gate_zero_counts_are_withheld_and_the_owner_is_told),
        TEST(test_gate_without_a_minimum_every_count_leaves),
        TEST(test_gate_metrics_that_the_policy_lacks_are_withheld),
        TEST(test_gate_training_accuracy_of_few_right_or_wrong_rows_withheld),
        TEST(test_gate_too_few_test_rows_release_no_counts),
        TEST(test_gate_rules_of_the_dataset_go_before_those_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
