/* Answers that wait for the owner: what is held, by whose word it leaves, and what somebody may try to get it without
 * that word. */
#include "datasite/release.h"
#include "datasite/store_internal.h"
#include "tests/unit/datasite/site.h"

#include <math.h>

#define UPDATE FDS__MESSAGE_TYPE__MESSAGE_UPDATE
#define EVALUATION FDS__MESSAGE_TYPE__MESSAGE_EVALUATION
#define LOOKS "A person at this site looks"

static void approved_to_hold(struct site *site, enum hold hold, uint32_t rounds)
{
    struct job_record record = {.bytes = NULL};
    struct approval_limits limits = {.hold = hold, .runs = 2};
    char text[SITE_JOB_BYTES];
    site_job(site, &(struct job_words){.rounds = rounds}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
    must(store_job_find(site->store, &site->job_id, &record));
    must(approval_give(site->store, site->identity, &record, &limits, "owner", "", SITE_NOW));
    job_record_clear(&record);
}

static struct release_held held_answer(struct site *site, uint32_t round, enum answer_kind kind)
{
    return (struct release_held){.store = site->store,
                                 .identity = site->identity,
                                 .gate = &site->policy.gate,
                                 .job_id = &site->job_id,
                                 .run_id = site->run,
                                 .round = round,
                                 .kind = kind,
                                 .now = site_clock() / 1000};
}

static void let_out(struct site *site, uint32_t round, enum answer_kind kind)
{
    struct release_held held = held_answer(site, round, kind);
    must(release_held_out(&held));
}

static void not_let_out(struct site *site, uint32_t round, enum error_code code, const char *words)
{
    struct release_held held = held_answer(site, round, ANSWER_UPDATE);
    int64_t before = site_count(site, "SELECT count(*) FROM event");
    refused(release_held_out(&held), code, words);
    assert_int_equal(site_count(site, "SELECT count(*) FROM event"), before);
    assert_int_equal(site_count(site, "SELECT count(*) FROM answer WHERE receipt IS NOT NULL"), 0);
}

static void test_held_first_waits_and_leaves_by_the_owners_word(void **state)
{
    struct site *site = *state;
    approved_to_hold(site, HOLD_FIRST, 3);
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, LOOKS);
    int64_t events = site_count(site, "SELECT count(*) FROM event");
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, LOOKS);
    assert_int_equal(site_count(site, "SELECT count(*) FROM event"), events); /* nothing is computed again */
    assert_int_equal(site_count(site, "SELECT last_round FROM run"), 1);      /* and the round is spent */
    assert_int_equal(site_count(site, "SELECT count(*) FROM event WHERE kind = 'update-released'"), 0);
    let_out(site, 1, ANSWER_UPDATE);
    struct receipt receipt = site_receipt(site_train(site, 1, 0));
    assert_int_equal(receipt.sequence, site_count(site, "SELECT id FROM event WHERE kind = 'held-released'"));
    assert_non_null(strstr(receipt.protections, "; looked at by the owner"));
    site_expect_type(site_train(site, 2, 0), UPDATE);
    /* Of the other kind nothing left so far. */
    site_expect_refusal(site_evaluate(site, 2, 0), ERROR_HELD, LOOKS);
    let_out(site, 2, ANSWER_EVALUATION);
    site_expect_type(site_evaluate(site, 2, 0), EVALUATION);
    site_expect_type(site_evaluate(site, 3, 0), EVALUATION);
}

static void test_held_first_is_not_evaded_by_skipping_rounds(void **state)
{
    struct site *site = *state;
    approved_to_hold(site, HOLD_FIRST, 3);
    site_expect_refusal(site_train(site, 2, 0), ERROR_HELD, LOOKS);
    site_expect_refusal(site_train(site, 3, 0), ERROR_HELD, LOOKS);
    site_expect_refusal(site_train(site, 2, 0.5), ERROR_REFUSED, "another model");
}

static void test_held_first_begins_anew_with_each_run(void **state)
{
    struct site *site = *state;
    approved_to_hold(site, HOLD_FIRST, 3);
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, LOOKS);
    let_out(site, 1, ANSWER_UPDATE);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_expect_state(site_end_run(site, "stopped"), FDS__JOB_STATE__JOB_APPROVED);
    site->run[0] = 2;
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, LOOKS);
}

static void test_held_first_that_was_refused_holds_the_next(void **state)
{
    struct site *site = *state;
    approved_to_hold(site, HOLD_FIRST, 3);
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, LOOKS);
    struct release_held held = held_answer(site, 1, ANSWER_UPDATE);
    must(release_held_refuse(&held, "row 5 shines through."));
    site_expect_refusal(site_train(site, 1, 0), ERROR_REFUSED, "keeps them: row 5 shines through.");
    refused(release_held_out(&held), ERROR_CONFLICT, "refused already");
    site_expect_refusal(site_train(site, 2, 0), ERROR_HELD, LOOKS);
    assert_int_equal(site_count(site, "SELECT count(*) FROM answer WHERE receipt IS NOT NULL"), 0);
}

static void test_held_every_holds_all(void **state)
{
    struct site *site = *state;
    approved_to_hold(site, HOLD_EVERY, 2);
    for (uint32_t round = 1; round <= 2; round++) {
        site_expect_refusal(site_train(site, round, 0), ERROR_HELD, LOOKS);
        site_expect_refusal(site_evaluate(site, round, 0), ERROR_HELD, LOOKS);
        let_out(site, round, ANSWER_UPDATE);
        site_expect_type(site_train(site, round, 0), UPDATE);
        site_expect_refusal(site_evaluate(site, round, 0), ERROR_HELD, LOOKS);
    }
}

static void test_held_final_holds_the_last_approved_round(void **state)
{
    struct site *site = *state;
    approved_to_hold(site, HOLD_FINAL, 2);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_expect_type(site_evaluate(site, 1, 0), EVALUATION);
    site_expect_refusal(site_train(site, 2, 0), ERROR_HELD, LOOKS);
    site_expect_refusal(site_evaluate(site, 2, 0), ERROR_HELD, LOOKS);
}

static void test_held_survives_a_restart_and_is_listed(void **state)
{
    struct site *site = *state;
    struct answer *answers = NULL, stored;
    size_t count = 0;
    approved_to_hold(site, HOLD_EVERY, 2);
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, LOOKS);
    site_pause(site);
    site_resume(site);
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, LOOKS);
    must(store_held(site->store, NULL, &answers, &count));
    assert_int_equal(count, 1);
    assert_int_equal(answers[0].state, ANSWER_HELD);
    assert_int_equal(answers[0].round, 1);
    assert_int_equal(answers[0].receipt_bytes, 0);
    assert_true(answers[0].update_norm > 0 && isfinite(answers[0].update_norm));
    must(store_answer(site->store, &site->job_id, answers[0].run_id, 1, 0, ANSWER_UPDATE, &stored));
    assert_true(stored.bytes > SITE_PARAMETERS * sizeof(double));
    answer_clear(&stored);
    answers_free(answers, count);
}

/* ---- when it may not leave any more ---- */

static void test_held_revoked_never_leaves(void **state)
{
    struct site *site = *state;
    approved_to_hold(site, HOLD_EVERY, 2);
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, LOOKS);
    site_withhold(site, DECISION_REVOKE);
    not_let_out(site, 1, ERROR_REFUSED, "revoked");
    site_expect_refusal(site_train(site, 1, 0), ERROR_REFUSED, "revoked");
    assert_int_equal(site_count(site,
                                "SELECT count(*) FROM event WHERE kind = 'release-unmade' AND detail LIKE "
                                "'%not known: update of round 1 (held, never left)'"),
                     1);
}

static void test_held_of_a_run_that_ended_never_leaves(void **state)
{
    struct site *site = *state;
    approved_to_hold(site, HOLD_EVERY, 2);
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, LOOKS);
    site_expect_state(site_end_run(site, "cancelled"), FDS__JOB_STATE__JOB_APPROVED);
    not_let_out(site, 1, ERROR_REFUSED, "run has ended");
    assert_int_equal(site_count(site, "SELECT count(*) FROM delivery WHERE made = 'unmade'"), 1);
}

static void test_held_past_the_approvals_time_never_leaves(void **state)
{
    struct site *site = *state;
    uint32_t expired = 0;
    approved_to_hold(site, HOLD_EVERY, 2);
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, LOOKS);
    site_move_clock(1900000000);
    not_let_out(site, 1, ERROR_EXPIRED, "expired");
    must(store_job_expire(site->store, 1900000000, &expired));
    assert_int_equal(expired, 1);
    assert_int_equal(site_count(site, "SELECT count(*) FROM event WHERE kind = 'release-unmade'"), 1);
}

static void test_held_nothing_of_that_round_is_told(void **state)
{
    struct site *site = *state;
    approved_to_hold(site, HOLD_EVERY, 2);
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, LOOKS);
    not_let_out(site, 2, ERROR_NOT_FOUND, "Nothing of round 2");
    let_out(site, 1, ANSWER_UPDATE);
    struct release_held held = held_answer(site, 1, ANSWER_UPDATE);
    refused(release_held_out(&held), ERROR_CONFLICT, "released already");
    refused(release_held_refuse(&held, ""), ERROR_CONFLICT, "released already");
}

/* ---- when the output rules have changed meanwhile ---- */

static void test_held_under_looser_rules_does_not_leave(void **state)
{
    struct site *site = *state;
    struct policy_output *output = &site->policy.gate.output;
    approved_to_hold(site, HOLD_EVERY, 2);
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, LOOKS);
    const struct policy_output then = *output;
    output->min_rows = then.min_rows + 1;
    not_let_out(site, 1, ERROR_REFUSED, "stricter");
    *output = then;
    output->min_cell = then.min_cell + 1;
    not_let_out(site, 1, ERROR_REFUSED, "stricter");
    for (uint32_t metric = 1; metric < POLICY_METRICS_ALL; metric <<= 1) {
        *output = then;
        output->metrics &= ~metric;
        not_let_out(site, 1, ERROR_REFUSED, "stricter");
    }
    *output = then;
    output->max_update_norm = 1e-6;
    not_let_out(site, 1, ERROR_REFUSED, "norm bound");
    *output = then;
    output->max_update_bytes = 10;
    not_let_out(site, 1, ERROR_LIMIT, "policy lets out");
    *output = then;
    output->max_job_bytes = 10;
    not_let_out(site, 1, ERROR_LIMIT, "bytes together");
    *output = then;
    let_out(site, 1, ANSWER_UPDATE);
    output->min_cell = 500; /* what was released is released */
    site_expect_type(site_train(site, 1, 0), UPDATE);
}

static void test_held_under_rules_of_its_dataset_is_asked_for_those(void **state)
{
    struct site *site = *state;
    struct policy_gate *gate = &site->policy.gate;
    approved_to_hold(site, HOLD_EVERY, 2);
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, LOOKS);
    gate->dataset_count = 1;
    (void)snprintf(gate->datasets[0].name, sizeof(gate->datasets[0].name), "made");
    gate->datasets[0].output = gate->output;
    gate->datasets[0].output.min_cell = 500;
    not_let_out(site, 1, ERROR_REFUSED, "min-cell 500");
}

static void test_held_under_stricter_rules_leaves(void **state)
{
    struct site *site = *state;
    struct policy_output *output = &site->policy.gate.output;
    output->min_cell = 10;
    output->max_update_norm = 1e9;
    output->metrics = POLICY_METRIC_CONFUSION | POLICY_METRIC_EXAMPLES;
    executor_set_policy(site->executor, &site->policy);
    approved_to_hold(site, HOLD_EVERY, 2);
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, LOOKS);
    site_expect_refusal(site_evaluate(site, 1, 0), ERROR_HELD, LOOKS);
    output->min_cell = 5;
    output->min_rows -= 1;
    output->max_update_norm = 0;
    output->metrics = POLICY_METRICS_ALL;
    let_out(site, 1, ANSWER_UPDATE);
    output->max_update_norm = 1e-6; /* says nothing about an evaluation */
    let_out(site, 1, ANSWER_EVALUATION);
}

static void test_held_without_its_rules_does_not_leave(void **state)
{
    struct site *site = *state;
    approved_to_hold(site, HOLD_EVERY, 2);
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, LOOKS);
    site_sql(site, "UPDATE answer SET protections = 'min-rows 100; min-cell 10x'");
    not_let_out(site, 1, ERROR_UNTRUSTED, "does not say");
    site_sql(site, "UPDATE answer SET protections = ''");
    not_let_out(site, 1, ERROR_UNTRUSTED, "does not say");
}

/* A refusal of a step that failed tells nothing, so nobody needs to look at it. */
static void test_held_failed_step_is_answered_at_once(void **state)
{
    struct site *site = *state;
    double parameters[SITE_PARAMETERS] = {3e38};
    approved_to_hold(site, HOLD_EVERY, 2);
    parameters[SITE_CLASSES * SITE_FEATURES] = 3.4e38;
    struct reply reply = site_train_start(site, 1, parameters, SITE_PARAMETERS);
    site_expect_refusal(reply.later ? site_wait(site) : reply, ERROR_NUMERIC, RELEASE_FAILED);
}

/* ---- somebody who edits site.db ---- */

static void test_attack_held_called_released_does_not_leave(void **state)
{
    struct site *site = *state;
    approved_to_hold(site, HOLD_EVERY, 2);
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, LOOKS);
    site_sql(site, "UPDATE answer SET state = 'released'");
    site_expect_refusal(site_train(site, 1, 0), ERROR_UNTRUSTED, "not the one");
}

/* Even with an event that would vouch for it. */
static void test_attack_held_with_an_event_and_no_receipt_does_not_leave(void **state)
{
    struct site *site = *state;
    struct digest digest;
    struct query query;
    approved_to_hold(site, HOLD_EVERY, 2);
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, LOOKS);
    query_start(&query, site->store->database, "SELECT digest FROM event WHERE kind = 'update-held'");
    assert_true(query_step(&query));
    query_blob_exact(&query, 0, digest.bytes, DIGEST_BYTES);
    must(query_end(&query));
    must(store_event_add(site->store, EVENT_HELD_RELEASED, &site->job_id, site->run, 1, SITE_NOW, "",
                         &digest));
    site_sql(site, "UPDATE answer SET state = 'released', event_id = (SELECT max(id) FROM event)");
    site_expect_refusal(site_train(site, 1, 0), ERROR_UNTRUSTED, "no receipt");
}

static void test_attack_held_body_edited_does_not_leave(void **state)
{
    struct site *site = *state;
    approved_to_hold(site, HOLD_EVERY, 2);
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, LOOKS);
    site_sql(site, "UPDATE answer SET body = zeroblob(length(body))");
    not_let_out(site, 1, ERROR_UNTRUSTED, "not the one");
}

static void test_attack_hold_taken_out_of_the_decision_refused(void **state)
{
    struct site *site = *state;
    approved_to_hold(site, HOLD_EVERY, 2);
    site_sql(site, "UPDATE decision SET hold = 'never'");
    site_expect_refusal(site_train(site, 1, 0), ERROR_UNTRUSTED, "signed");
}

static void test_attack_receipt_of_another_round_does_not_leave(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_expect_type(site_train(site, 2, 0), UPDATE);
    site_sql(site,
             "UPDATE answer SET receipt = (SELECT receipt FROM answer WHERE round = 1) WHERE round = 2");
    site_expect_refusal(site_train(site, 2, 0), ERROR_UNTRUSTED, "another round");
    site_sql(site, "UPDATE answer SET receipt = NULL WHERE round = 2");
    site_expect_refusal(site_train(site, 2, 0), ERROR_UNTRUSTED, "no receipt");
    site_sql(site, "UPDATE answer SET receipt = zeroblob(3000) WHERE round = 2");
    site_expect_refusal(site_train(site, 2, 0), ERROR_CORRUPT, "problem of its own");
}

/* All in order, but signed with a key that is not the site's. */
static void test_attack_receipt_of_another_key_does_not_leave(void **state)
{
    struct site *site = *state;
    struct identity *stranger = NULL;
    uint8_t *encoded = NULL;
    size_t bytes = 0;
    char keys[160];
    struct query query;
    site_approved(site, &(struct job_words){0}, 0, 0);
    struct receipt receipt = site_receipt(site_train(site, 1, 0));
    must(identity_create(workspace_file(site->workspace, "stranger", keys), "stranger", &stranger));
    struct chain_head head = {*identity_id(stranger), receipt.sequence, receipt.head};
    must(chain_head_sign(stranger, &head, receipt.head_signature));
    must(receipt_sign(stranger, &receipt));
    must(receipt_encode(&receipt, &encoded, &bytes));
    query_start(&query, site->store->database, "UPDATE answer SET receipt = ?");
    query_bind_blob(&query, encoded, bytes);
    must(query_finish(&query));
    site_expect_refusal(site_train(site, 1, 0), ERROR_UNTRUSTED, "another site");
    free(encoded);
    identity_free(stranger);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_held_first_waits_and_leaves_by_the_owners_word),
        TEST(test_held_first_is_not_evaded_by_skipping_rounds),
        TEST(test_held_first_begins_anew_with_each_run),
        TEST(test_held_first_that_was_refused_holds_the_next),
        TEST(test_held_every_holds_all),
        TEST(test_held_final_holds_the_last_approved_round),
        TEST(test_held_survives_a_restart_and_is_listed),
        TEST(test_held_revoked_never_leaves),
        TEST(test_held_of_a_run_that_ended_never_leaves),
        TEST(test_held_past_the_approvals_time_never_leaves),
        TEST(test_held_nothing_of_that_round_is_told),
        TEST(test_held_under_looser_rules_does_not_leave),
        TEST(test_held_under_rules_of_its_dataset_is_asked_for_those),
        TEST(test_held_under_stricter_rules_leaves),
        TEST(test_held_without_its_rules_does_not_leave),
        TEST(test_held_failed_step_is_answered_at_once),
        TEST(test_attack_held_called_released_does_not_leave),
        TEST(test_attack_held_with_an_event_and_no_receipt_does_not_leave),
        TEST(test_attack_held_body_edited_does_not_leave),
        TEST(test_attack_hold_taken_out_of_the_decision_refused),
        TEST(test_attack_receipt_of_another_round_does_not_leave),
        TEST(test_attack_receipt_of_another_key_does_not_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
