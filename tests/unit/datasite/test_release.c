/* The airlock by itself: each check is attacked with everything else in order, and nothing is written or
 * handed out. */
#include "datasite/release_check.h"

#include "datasite/store_internal.h"
#include "datasite/store_release.h"
#include "tests/unit/datasite/site.h"

#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* A release in order: round 1 of a run that has begun. Tests break one thing of it. */
struct attempt {
    struct site *site;
    struct approval approval;
    struct digest model;
    double parameters[SITE_PARAMETERS], from[SITE_PARAMETERS];
    uint64_t confusion[SITE_CLASSES * SITE_CLASSES];
    struct release_context context;
    struct release_update update;
};

static void attempt_make(struct site *site, struct attempt *attempt)
{
    struct run_record run;
    memset(attempt, 0, sizeof(*attempt));
    attempt->site = site;
    site_approved(site, &(struct job_words){.rounds = 3}, 0, 1);
    must(store_run_begin(site->store, &site->job_id, site->run, SITE_NOW, &run));
    must(approval_find(site->store, site->identity, &site->policy.gate, &site->job_id, NULL, SITE_NOW,
                       &attempt->approval));
    attempt->confusion[0] = 200;
    attempt->confusion[5] = 100;
    attempt->context = (struct release_context){.store = site->store,
                                                .identity = site->identity,
                                                .gate = &site->policy.gate,
                                                .job_id = &site->job_id,
                                                .job = attempt->approval.job,
                                                .dataset = &attempt->approval.dataset,
                                                .run_id = site->run,
                                                .round = 1,
                                                .model_digest = &attempt->model,
                                                .now = SITE_NOW};
    attempt->update = (struct release_update){.parameters = attempt->parameters,
                                              .from = attempt->from,
                                              .count = SITE_PARAMETERS,
                                              .train_rows = 300,
                                              .test_rows = 300,
                                              .seconds = 0.5,
                                              .train_correct = 225,
                                              .confusion = attempt->confusion,
                                              .stopped = "converged"};
}

static int64_t rows(struct site *site)
{
    return site_count(site, "SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM answer) + "
                            "(SELECT sum(last_round) FROM run)");
}

static uint64_t stored_bytes(struct site *site)
{
    return (uint64_t)site_count(site, "SELECT length(body) FROM answer");
}

static void update_refused(struct attempt *attempt, enum error_code code, const char *words)
{
    uint8_t untouched = 0;
    struct release_outcome outcome = {.body = &untouched, .bytes = 77};
    int64_t held = rows(attempt->site);
    refused(release_update(&attempt->context, &attempt->update, &outcome), code, words);
    assert_ptr_equal(outcome.body, &untouched);
    assert_int_equal(outcome.bytes, 77);
    assert_int_equal(rows(attempt->site), held);
    approval_clear(&attempt->approval);
}

static void evaluation_refused(struct attempt *attempt, enum error_code code, const char *words)
{
    uint8_t untouched = 0;
    struct release_outcome outcome = {.body = &untouched, .bytes = 77};
    int64_t held = rows(attempt->site);
    refused(release_evaluation(&attempt->context, attempt->confusion, &outcome), code, words);
    assert_ptr_equal(outcome.body, &untouched);
    assert_int_equal(outcome.bytes, 77);
    assert_int_equal(rows(attempt->site), held);
    approval_clear(&attempt->approval);
}

static void test_release_in_order_is_written_before_it_is_handed_out(void **state)
{
    struct attempt attempt;
    struct release_outcome outcome = {.body = NULL};
    struct answer stored;
    Fds__Released *released = NULL;
    struct receipt receipt;
    attempt_make(*state, &attempt);
    must(release_update(&attempt.context, &attempt.update, &outcome));
    must(store_answer(attempt.site->store, &attempt.site->job_id, attempt.site->run, 1, 0, ANSWER_UPDATE,
                      &stored));
    must(wire_released_decode(outcome.body, outcome.bytes, &released));
    assert_int_equal(released->type, FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
    assert_int_equal(stored.bytes, released->body.len);
    assert_memory_equal(stored.body, released->body.data, stored.bytes);
    must(receipt_take(released->receipt, &receipt));
    must(receipt_verify_release(&receipt, identity_id(attempt.site->identity), &attempt.site->job_id,
                                attempt.site->run, 1, RECEIPT_UPDATE, stored.body, stored.bytes));
    assert_int_equal(receipt.at, SITE_NOW);
    assert_int_equal(receipt.sequence,
                     site_count(attempt.site, "SELECT id FROM event WHERE kind = 'update-released'"));
    assert_string_equal(receipt.protections, stored.protections);
    assert_non_null(strstr(receipt.protections, "min-rows 100"));
    assert_false(outcome.held);
    assert_false(stored.refused);
    assert_int_equal(site_count(attempt.site,
                                "SELECT count(*) FROM answer JOIN event ON event.id = event_id WHERE "
                                "event.kind = 'update-released' AND event.round = 1"),
                     1);
    assert_int_equal(site_count(attempt.site, "SELECT last_round FROM run"), 1);
    free(outcome.body);
    wire_released_free(released);
    answer_clear(&stored);
    approval_clear(&attempt.approval);
}

static void test_release_not_finite_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    attempt.parameters[SITE_PARAMETERS - 1] = NAN;
    update_refused(&attempt, ERROR_NUMERIC, "not finite");
}

static void test_release_infinite_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    attempt.parameters[0] = -INFINITY;
    update_refused(&attempt, ERROR_NUMERIC, "not finite");
}

static void test_release_wrong_shape_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    attempt.update.count--;
    update_refused(&attempt, ERROR_INVALID, "shape=(3, 4)");
}

static void test_release_too_few_training_rows_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    attempt.update.train_rows = 99;
    update_refused(&attempt, ERROR_REFUSED, "100 training rows");
}

static void test_release_counts_that_do_not_add_up_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    attempt.confusion[5]--;
    update_refused(&attempt, ERROR_INTERNAL, "fewer rows");
}

static void test_release_counts_beyond_the_rows_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    attempt.confusion[8] = UINT64_MAX;
    update_refused(&attempt, ERROR_INTERNAL, "more rows");
}

static void test_release_accuracy_outside_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    attempt.update.train_correct = 301;
    update_refused(&attempt, ERROR_INTERNAL, "accuracy");
}

static void test_release_free_text_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    attempt.update.stopped = "row 17 is 0.25";
    update_refused(&attempt, ERROR_INTERNAL, "one word");
}

static void test_release_over_the_byte_cap_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    attempt.site->policy.gate.output.max_update_bytes = 64;
    update_refused(&attempt, ERROR_LIMIT, "64 bytes");
}

static void test_release_over_the_norm_bound_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    attempt.site->policy.gate.output.max_update_norm = 5;
    attempt.from[0] = 1;
    attempt.parameters[0] = -2;   /* 3 away */
    attempt.parameters[14] = 4.1; /* and 4.1: together 5.08 */
    update_refused(&attempt, ERROR_NUMERIC, "norm bound");
}

static void test_release_norm_that_overflows_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    attempt.site->policy.gate.output.max_update_norm = 1e300;
    attempt.from[3] = -1.7e308;
    attempt.parameters[3] = 1.7e308;
    update_refused(&attempt, ERROR_NUMERIC, "norm bound");
}

static void test_release_at_the_norm_bound_leaves(void **state)
{
    struct attempt attempt;
    struct release_outcome outcome = {.body = NULL};
    attempt_make(*state, &attempt);
    attempt.site->policy.gate.output.max_update_norm = 5;
    attempt.from[0] = 1;
    attempt.parameters[0] = -2;
    attempt.parameters[14] = 4;
    must(release_update(&attempt.context, &attempt.update, &outcome));
    free(outcome.body);
    approval_clear(&attempt.approval);
}

static void test_release_over_the_byte_cap_of_the_job_refused(void **state)
{
    struct attempt attempt;
    struct release_outcome outcome = {.body = NULL};
    attempt_make(*state, &attempt);
    must(release_update(&attempt.context, &attempt.update, &outcome));
    free(outcome.body);
    attempt.site->policy.gate.output.max_job_bytes = 2 * stored_bytes(attempt.site) - 1;
    attempt.context.round = 2;
    update_refused(&attempt, ERROR_LIMIT, "bytes together");
}

static void test_release_byte_cap_is_of_each_job(void **state)
{
    struct attempt attempt;
    struct run_record run;
    struct release_outcome outcome = {.body = NULL};
    uint8_t other[STORE_RUN_ID_BYTES] = {2};
    attempt_make(*state, &attempt);
    must(release_update(&attempt.context, &attempt.update, &outcome));
    free(outcome.body);
    attempt.site->policy.gate.output.max_job_bytes = stored_bytes(attempt.site);
    approval_clear(&attempt.approval);
    /* Another job of the same rows has bytes of its own. */
    site_approved(attempt.site, &(struct job_words){.name = "other"}, 0, 1);
    must(store_run_begin(attempt.site->store, &attempt.site->job_id, other, SITE_NOW, &run));
    must(approval_find(attempt.site->store, attempt.site->identity, NULL, &attempt.site->job_id, NULL,
                       SITE_NOW, &attempt.approval));
    attempt.context.job = attempt.approval.job;
    attempt.context.dataset = &attempt.approval.dataset;
    attempt.context.run_id = other;
    must(release_update(&attempt.context, &attempt.update, &outcome));
    free(outcome.body);
    attempt.context.round = 2;
    update_refused(&attempt, ERROR_LIMIT, "bytes together");
}

static void test_release_evaluation_without_counts_in_the_policy_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    attempt.site->policy.gate.output.metrics = POLICY_METRIC_EXAMPLES | POLICY_METRIC_TRAIN_ACCURACY;
    evaluation_refused(&attempt, ERROR_REFUSED, "lets no counts");
}

static void test_release_protections_say_what_was_enforced(void **state)
{
    char text[RECEIPT_PROTECTIONS_BYTES];
    struct policy_output output = policy_output_default();
    (void)state;
    release_check_protections(&output, text);
    assert_string_equal(text, "min-rows 100; min-cell 10");
    output.max_update_norm = 2.5;
    output.metrics = POLICY_METRIC_EXAMPLES | POLICY_METRIC_CONFUSION;
    release_check_protections(&output, text);
    assert_string_equal(text, "min-rows 100; min-cell 10; norm <= 2.5; metrics examples confusion");
    output.metrics = 0;
    output.min_rows = output.min_cell = UINT64_MAX;
    release_check_protections(&output, text);
    assert_string_equal(text, "min-rows 18446744073709551615; min-cell 18446744073709551615; norm <= 2.5; "
                              "metrics none");
}

static void test_release_round_zero_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    attempt.context.round = 0;
    update_refused(&attempt, ERROR_REFUSED, "outside");
}

static void test_release_round_over_the_approval_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    attempt.context.round = 4;
    update_refused(&attempt, ERROR_REFUSED, "outside the 3 rounds");
}

static void test_release_same_round_twice_refused(void **state)
{
    struct attempt attempt;
    struct release_outcome outcome = {.body = NULL};
    attempt_make(*state, &attempt);
    must(release_update(&attempt.context, &attempt.update, &outcome));
    free(outcome.body);
    update_refused(&attempt, ERROR_REFUSED, "is over");
}

static void test_release_evaluation_twice_refused(void **state)
{
    struct attempt attempt;
    struct release_outcome outcome = {.body = NULL};
    attempt_make(*state, &attempt);
    must(release_evaluation(&attempt.context, attempt.confusion, &outcome));
    free(outcome.body);
    evaluation_refused(&attempt, ERROR_REFUSED, "answered already");
}

static void test_release_evaluation_of_few_rows_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    attempt.confusion[0] = 0;
    attempt.confusion[5] = 99;
    evaluation_refused(&attempt, ERROR_REFUSED, "test rows");
}

static void test_release_run_that_never_began_refused(void **state)
{
    static const uint8_t other[STORE_RUN_ID_BYTES] = {9};
    struct attempt attempt;
    attempt_make(*state, &attempt);
    attempt.context.run_id = other;
    update_refused(&attempt, ERROR_REFUSED, "never began");
}

static void test_release_run_that_ended_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    site_sql(attempt.site, "UPDATE run SET status = 'cancelled'");
    update_refused(&attempt, ERROR_REFUSED, "has ended");
}

static void test_release_more_runs_than_approved_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    site_sql(attempt.site,
             "INSERT INTO run SELECT randomblob(16), job_id, started_at, 5, 0, 'finished' FROM run");
    update_refused(&attempt, ERROR_REFUSED, "approval allows 1");
}

static void test_release_revoked_after_training_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    site_withhold(attempt.site, DECISION_REVOKE);
    update_refused(&attempt, ERROR_REFUSED, "revoked");
}

static void test_release_edited_approval_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    site_sql(attempt.site, "UPDATE decision SET runs = 2");
    update_refused(&attempt, ERROR_UNTRUSTED, "signed");
}

static void test_release_approval_over_in_mid_training_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    attempt.context.now = attempt.approval.decision.expires;
    update_refused(&attempt, ERROR_EXPIRED, "expired");
}

static void test_release_trained_on_another_dataset_refused(void **state)
{
    struct attempt attempt;
    struct dataset_info other;
    attempt_make(*state, &attempt);
    other = attempt.approval.dataset;
    other.digest.bytes[0] ^= 1;
    attempt.context.dataset = &other;
    update_refused(&attempt, ERROR_REFUSED, "not those of the approved dataset");
}

static void test_release_evaluation_with_metrics_none_refused(void **state)
{
    struct site *site = *state;
    struct attempt attempt;
    struct run_record run;
    attempt_make(site, &attempt);
    approval_clear(&attempt.approval);
    site_approved(site, &(struct job_words){.name = "quiet", .metrics = "none"}, 0, 0);
    site->run[0] = 2;
    must(store_run_begin(site->store, &site->job_id, site->run, SITE_NOW, &run));
    must(approval_find(site->store, site->identity, &site->policy.gate, &site->job_id, NULL, SITE_NOW,
                       &attempt.approval));
    attempt.context.job = attempt.approval.job;
    attempt.context.dataset = &attempt.approval.dataset;
    struct release_outcome outcome = {.body = NULL};
    refused(release_update(&attempt.context, &attempt.update, &outcome), ERROR_REFUSED, "metrics: none");
    evaluation_refused(&attempt, ERROR_REFUSED, "metrics: none");
}

/* The body cannot be stored: the event that was written before it in the same transaction goes with it. */
static void test_release_that_cannot_be_stored_leaves_no_event(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &attempt);
    must(database_run(attempt.site->store->database,
                      "CREATE TRIGGER full BEFORE INSERT ON answer BEGIN SELECT "
                      "RAISE(ABORT, 'no room'); END"));
    update_refused(&attempt, ERROR_CONFLICT, "no room");
}

/* The same in mid-round: the requester hears of a problem of the site, without its details. */
static void test_release_that_cannot_be_stored_is_told_in_general_words(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    must(database_run(site->store->database, "CREATE TRIGGER full BEFORE INSERT ON answer BEGIN SELECT "
                                             "RAISE(ABORT, 'no room'); END"));
    int64_t held = site_released(site);
    site_expect_refusal(site_train(site, 1, 0), ERROR_CONFLICT, "problem of its own");
    assert_int_equal(site_released(site), held);
}

/* The process dies after everything was written and before it was committed. */
static void test_release_killed_before_the_commit_leaves_nothing(void **state)
{
    struct attempt attempt;
    struct site *site = *state;
    int status = 0;
    attempt_make(site, &attempt);
    int64_t held = rows(site);
    approval_clear(&attempt.approval);
    site_pause(site);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store *store = workspace_store(site->workspace);
        struct release_event event;
        struct dataset_info dataset = {.rows = SITE_ROWS};
        struct release_record record = {.run_id = site->run,
                                        .job_id = &site->job_id,
                                        .round = 1,
                                        .kind = ANSWER_UPDATE,
                                        .model_digest = &attempt.model,
                                        .dataset = &dataset,
                                        .protections = "",
                                        .body = (const uint8_t *)"body",
                                        .body_bytes = 4,
                                        .now = SITE_NOW,
                                        .detail = ""};
        must(store_release_begin(store));
        must(store_release_event(store, &record, &event));
        must(store_release_answer(store, &record, &event, NULL, 0));
        (void)kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    site_resume(site);
    assert_int_equal(rows(site), held);
    site_expect_type(site_train(site, 1, 0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_release_in_order_is_written_before_it_is_handed_out),
        TEST(test_release_not_finite_refused),
        TEST(test_release_infinite_refused),
        TEST(test_release_wrong_shape_refused),
        TEST(test_release_too_few_training_rows_refused),
        TEST(test_release_counts_that_do_not_add_up_refused),
        TEST(test_release_counts_beyond_the_rows_refused),
        TEST(test_release_accuracy_outside_refused),
        TEST(test_release_free_text_refused),
        TEST(test_release_over_the_byte_cap_refused),
        TEST(test_release_over_the_norm_bound_refused),
        TEST(test_release_norm_that_overflows_refused),
        TEST(test_release_at_the_norm_bound_leaves),
        TEST(test_release_over_the_byte_cap_of_the_job_refused),
        TEST(test_release_byte_cap_is_of_each_job),
        TEST(test_release_evaluation_without_counts_in_the_policy_refused),
        cmocka_unit_test(test_release_protections_say_what_was_enforced),
        TEST(test_release_round_zero_refused),
        TEST(test_release_round_over_the_approval_refused),
        TEST(test_release_same_round_twice_refused),
        TEST(test_release_evaluation_twice_refused),
        TEST(test_release_evaluation_of_few_rows_refused),
        TEST(test_release_run_that_never_began_refused),
        TEST(test_release_run_that_ended_refused),
        TEST(test_release_more_runs_than_approved_refused),
        TEST(test_release_revoked_after_training_refused),
        TEST(test_release_edited_approval_refused),
        TEST(test_release_approval_over_in_mid_training_refused),
        TEST(test_release_trained_on_another_dataset_refused),
        TEST(test_release_evaluation_with_metrics_none_refused),
        TEST(test_release_that_cannot_be_stored_leaves_no_event),
        TEST(test_release_that_cannot_be_stored_is_told_in_general_words),
        TEST(test_release_killed_before_the_commit_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
