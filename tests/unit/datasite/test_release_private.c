/* The airlock of private jobs by itself: everything is in order but one thing, and nothing is written or handed out. */
#include "crypto/privacy_plan.h"
#include "datasite/budget.h"
#include "datasite/release_check.h"
#include "datasite/release_noised.h"
#include "datasite/store_release.h"
#include "tests/unit/datasite/private_job.h"

#include <math.h>

/* A release in order: round 1 of a run that has begun, whose round and evaluation were begun in the ledger. */
struct attempt {
    struct site *site;
    struct approval approval;
    struct digest model;
    double parameters[SITE_PARAMETERS], from[SITE_PARAMETERS];
    uint64_t counts[SITE_CLASSES * SITE_CLASSES];
    struct mechanism_record record;
    struct release_context context;
    struct release_private update;
};

static void attempt_find(struct attempt *attempt)
{
    struct site *site = attempt->site;
    must(approval_find(site->store, site->identity, &site->policy.gate, &site->job_id, NULL, SITE_NOW,
                       &attempt->approval));
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
    attempt->update = (struct release_private){
        .parameters = attempt->parameters, .from = attempt->from, .count = SITE_PARAMETERS};
}

static void attempt_make(struct site *site, const struct private_words *words, struct attempt *attempt)
{
    struct run_record run;
    memset(attempt, 0, sizeof(*attempt));
    attempt->site = site;
    private_approved(site, words, 0);
    attempt_find(attempt);
    must(budget_run_begin(site->store, site->identity, &attempt->approval, site->run, SITE_NOW, &run));
    must(budget_begin(site->store, site->identity, &attempt->approval, site->run, 1, BUDGET_TRAINING,
                      SITE_NOW));
    if (attempt->approval.job->privacy.metrics_noise > 0)
        must(budget_begin(site->store, site->identity, &attempt->approval, site->run, 1, BUDGET_EVALUATION,
                          SITE_NOW));
    if (attempt->approval.job->privacy.mechanism != JOB_DP_SGD)
        return;
    attempt->record = (struct mechanism_record){
        .kind = JOB_DP_SGD, .sampling_rate = 0.1, .samples = 4, .noises = 4, .values = SITE_PARAMETERS};
    must(privacy_plan_grid(attempt->approval.job, &attempt->record.grid));
    attempt->update.record = &attempt->record;
}

static const struct private_words one_round = {.rounds = 1, .privacy = PRIVATE_DP_SGD_COUNTS "}"};

static int64_t rows(struct site *site)
{
    return site_count(site, "SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM answer) + "
                            "(SELECT sum(last_round) FROM run)");
}

static void update_refused(struct attempt *attempt, enum error_code code, const char *words)
{
    uint8_t untouched = 0;
    struct release_outcome outcome = {.body = &untouched, .bytes = 77};
    int64_t held = rows(attempt->site);
    refused(release_private_update(&attempt->context, &attempt->update, &outcome), code, words);
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
    refused(release_private_evaluation(&attempt->context, attempt->counts, &outcome), code, words);
    assert_ptr_equal(outcome.body, &untouched);
    assert_int_equal(outcome.bytes, 77);
    assert_int_equal(rows(attempt->site), held);
    approval_clear(&attempt->approval);
}

static void test_release_private_in_order_leaves(void **state)
{
    struct attempt attempt;
    struct release_outcome outcome = {.body = NULL};
    attempt_make(*state, &one_round, &attempt);
    must(release_private_update(&attempt.context, &attempt.update, &outcome));
    assert_non_null(outcome.body);
    free(outcome.body);
    must(release_private_evaluation(&attempt.context, attempt.counts, &outcome));
    assert_non_null(outcome.body);
    free(outcome.body);
    approval_clear(&attempt.approval);
}

/* ---- what was done is not what the job says ---- */

static void test_release_private_without_a_record_is_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &one_round, &attempt);
    attempt.update.record = NULL;
    update_refused(&attempt, ERROR_INTERNAL, "nothing says what was done");
}

/* One thing of the record is changed. */
struct change {
    size_t offset, bytes;
    const void *value;
    const char *words;
};
#define CHANGE(field, type, to, words)                                                                       \
    {                                                                                                        \
        offsetof(struct mechanism_record, field), sizeof(type), &(const type){to}, words                     \
    }

static const struct change changes[] = {
    CHANGE(samples, uint64_t, 3, "another number of steps"),
    CHANGE(samples, uint64_t, 5, "another number of steps"),
    CHANGE(noises, uint64_t, 3, "a step without noise"),
    CHANGE(noises, uint64_t, 5, "noise without a step"),
    CHANGE(values, size_t, SITE_PARAMETERS - 1, "values without noise"),
    CHANGE(sampling_rate, double, 0.2, "another sampling rate"),
    CHANGE(grid.bound, uint64_t, (uint64_t)1 << 29, "another noise multiplier"),
    CHANGE(grid.level, enum noise_level, NOISE_SHARE, "a share of the noise"),
    CHANGE(grid.clip, double, 2.0, "another clip"),
    CHANGE(grid.scale, double, 1.0, "another clip"),
    CHANGE(kind, enum job_mechanism, JOB_SITE_LEVEL, "another mechanism"),
    CHANGE(uneven, bool, true, "steps differ"),
};

static void test_release_private_of_other_steps_noise_or_bounds_is_refused(void **state)
{
    struct attempt attempt;
    struct release_outcome outcome = {.body = NULL};
    attempt_make(*state, &one_round, &attempt);
    const struct mechanism_record right = attempt.record;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        attempt.record = right;
        memcpy((char *)&attempt.record + changes[i].offset, changes[i].value, changes[i].bytes);
        update_refused(&attempt, ERROR_INTERNAL, changes[i].words);
        attempt_find(&attempt);
        attempt.update.record = &attempt.record;
    }
    attempt.record = right;
    must(release_private_update(&attempt.context, &attempt.update, &outcome));
    free(outcome.body);
    approval_clear(&attempt.approval);
}

/* A caller that holds another job against what it computed: with less noise, or another weight. */
static void test_release_private_under_another_job_is_refused(void **state)
{
    struct attempt attempt;
    struct job other;
    attempt_make(*state, &one_round, &attempt);
    other = *attempt.approval.job;
    other.privacy.metrics_noise /= 2;
    attempt.context.job = &other;
    evaluation_refused(&attempt, ERROR_INTERNAL, "another job");
}

static void test_release_private_site_level_under_another_job_is_refused(void **state)
{
    struct attempt attempt;
    struct job other;
    attempt_make(*state, &(struct private_words){.privacy = PRIVATE_SITE_LEVEL}, &attempt);
    other = *attempt.approval.job;
    other.privacy.noise_multiplier /= 2;
    attempt.context.job = &other;
    update_refused(&attempt, ERROR_INTERNAL, "another job");
}

/* ---- the other entrances ---- */

static void test_release_private_job_does_not_leave_in_clear(void **state)
{
    struct attempt attempt;
    struct release_outcome outcome = {.body = NULL};
    attempt_make(*state, &one_round, &attempt);
    struct release_update update = {.parameters = attempt.parameters,
                                    .from = attempt.from,
                                    .count = SITE_PARAMETERS,
                                    .train_rows = 3000,
                                    .test_rows = 3000};
    refused(release_update(&attempt.context, &update, &outcome), ERROR_REFUSED,
            "went through that mechanism");
    refused(release_evaluation(&attempt.context, attempt.counts, &outcome), ERROR_REFUSED,
            "went through that mechanism");
    assert_null(outcome.body);
    approval_clear(&attempt.approval);
}

static void test_release_private_of_a_job_in_clear_is_refused(void **state)
{
    struct site *site = *state;
    struct attempt attempt = {.site = site};
    struct run_record run;
    site_approved(site, &(struct job_words){0}, 0, 0);
    must(store_run_begin(site->store, &site->job_id, site->run, SITE_NOW, &run));
    attempt_find(&attempt);
    update_refused(&attempt, ERROR_REFUSED, "no mechanism of privacy");
    attempt_find(&attempt);
    evaluation_refused(&attempt, ERROR_REFUSED, "no mechanism of privacy");
}

/* ---- the numbers ---- */

static void test_release_private_site_level_clips_whatever_comes(void **state)
{
    struct attempt attempt;
    struct release_outcome outcome = {.body = NULL};
    double norm = 0;
    attempt_make(*state,
                 &(struct private_words){.privacy =
                                             "{mechanism: site-level, clip: 1, noise_multiplier: 0.05, "
                                             "delta: 1e-5}"},
                 &attempt);
    for (size_t i = 0; i < SITE_PARAMETERS; i++)
        attempt.parameters[i] = 1e6;
    must(release_private_update(&attempt.context, &attempt.update, &outcome));
    Fds__Update *update =
        private_update(attempt.site, (struct reply){.type = FDS__MESSAGE_TYPE__MESSAGE_RELEASED,
                                                    .body = outcome.body,
                                                    .body_bytes = outcome.bytes});
    for (size_t i = 0; i < SITE_PARAMETERS; i++) {
        double value;
        wire_parameters_read(update->parameters.data + i * sizeof(double), 1, &value);
        norm += value * value;
    }
    assert_true(sqrt(norm) < 2); /* 1, and noise of 0.05 on fifteen numbers */
    assert_true(sqrt(norm) > 0.3);
    assert_int_equal(update->examples, 3000);
    wire_update_free(update);
    approval_clear(&attempt.approval);
}

static void test_release_private_site_level_of_a_model_that_is_not_finite_changes_nothing(void **state)
{
    struct attempt attempt;
    struct release_outcome outcome = {.body = NULL};
    attempt_make(*state, &(struct private_words){.privacy = PRIVATE_SITE_LEVEL}, &attempt);
    attempt.parameters[3] = NAN;
    must(release_private_update(&attempt.context, &attempt.update, &outcome));
    free(outcome.body);
    approval_clear(&attempt.approval);
}

static void test_release_private_not_finite_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &one_round, &attempt);
    attempt.parameters[0] = INFINITY;
    update_refused(&attempt, ERROR_NUMERIC, "not finite");
}

static void test_release_private_wrong_shape_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &one_round, &attempt);
    attempt.record.values = attempt.update.count = SITE_PARAMETERS - 1;
    update_refused(&attempt, ERROR_INVALID, "shape=(3, 4)");
}

static void test_release_private_counts_of_a_round_not_paid_for_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &(struct private_words){.privacy = PRIVATE_DP_SGD_COUNTS ", metrics_rounds: all}"},
                 &attempt);
    must(budget_begin(attempt.site->store, attempt.site->identity, &attempt.approval, attempt.site->run, 1,
                      BUDGET_EVALUATION, SITE_NOW));
    attempt.context.round = 4;
    evaluation_refused(&attempt, ERROR_REFUSED, "outside the 3 rounds");
}

/* The owner tightened the policy when everything was computed and begun. */
static void test_release_private_with_less_privacy_than_the_owner_wants_refused(void **state)
{
    static const struct {
        struct policy_privacy privacy;
        const char *words;
    } rows_of[] = {
        {{.max_epsilon = 1e-6}, "allows epsilon of at most 1e-06"},
        {{.min_noise = 8.01}, "requires a noise_multiplier of at least 8.01"},
        {{.max_delta = 9e-6}, "allows a delta of at most 9e-06"},
        {{.mechanisms = 1u << (JOB_SITE_LEVEL - 1)}, "requires the mechanism site-level"},
    };
    struct site *site = *state;
    struct attempt attempt;
    struct release_outcome outcome = {.body = NULL};
    attempt_make(site, &one_round, &attempt);
    approval_clear(&attempt.approval);
    site->policy.gate.output.require = POLICY_REQUIRE_PRIVACY;
    for (size_t i = 0; i < sizeof(rows_of) / sizeof(rows_of[0]); i++) {
        site->policy.gate.output.privacy = rows_of[i].privacy;
        attempt_find(&attempt);
        attempt.update.record = &attempt.record;
        update_refused(&attempt, ERROR_REFUSED, rows_of[i].words);
        attempt_find(&attempt);
        evaluation_refused(&attempt, ERROR_REFUSED, rows_of[i].words);
    }
    site->policy.gate.output.privacy = (struct policy_privacy){.min_noise = 8, .max_delta = 1e-5};
    attempt_find(&attempt);
    attempt.update.record = &attempt.record;
    must(release_private_update(&attempt.context, &attempt.update, &outcome));
    free(outcome.body);
    approval_clear(&attempt.approval);
}

static void test_release_private_twice_refused(void **state)
{
    struct attempt attempt;
    struct release_outcome outcome = {.body = NULL};
    attempt_make(*state, &one_round, &attempt);
    must(release_private_update(&attempt.context, &attempt.update, &outcome));
    free(outcome.body);
    update_refused(&attempt, ERROR_REFUSED, "is over");
}

static void test_release_private_revoked_after_training_refused(void **state)
{
    struct attempt attempt;
    attempt_make(*state, &one_round, &attempt);
    site_withhold(attempt.site, DECISION_REVOKE);
    update_refused(&attempt, ERROR_REFUSED, "revoked");
}

/* ---- receipts and held answers ---- */

/* With all rows but one in hand, an outsider could make the statement of every candidate for that one and compare. */
static void test_release_private_receipt_names_no_digest_that_could_be_guessed(void **state)
{
    struct site *site = *state;
    struct decision decision;
    struct digest statement, named;
    bool is_named = false;
    private_approved(site, &one_round, 0);
    struct receipt receipt = site_receipt(site_train(site, 1, 0));
    must(store_approval(site->store, &site->job_id, &decision));
    must(digest_of(decision.statement, decision.statement_bytes, &statement));
    must(approval_digest(&decision, &named));
    assert_false(digest_equal(&receipt.approval, &statement));
    assert_true(digest_equal(&receipt.approval, &named));
    must(approval_is_named(&decision, &statement, &is_named)); /* as older receipts do */
    assert_true(is_named);
    statement.bytes[0] ^= 1;
    must(approval_is_named(&decision, &statement, &is_named));
    assert_false(is_named);
}

static void test_release_private_held_shows_the_requester_nothing(void **state)
{
    struct site *site = *state;
    struct job_record record = {.bytes = NULL};
    char text[SITE_JOB_BYTES];
    private_job(site, &one_round, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
    must(store_job_find(site->store, &site->job_id, &record));
    must(approval_give(site->store, site->identity, &record, &(struct approval_limits){.hold = HOLD_EVERY},
                       "owner", "", SITE_NOW));
    job_record_clear(&record);
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, "before they leave");
    struct release_held held = {.store = site->store,
                                .identity = site->identity,
                                .gate = &site->policy.gate,
                                .job_id = &site->job_id,
                                .run_id = site->run,
                                .round = 1,
                                .kind = ANSWER_UPDATE,
                                .now = SITE_NOW};
    must(release_held_out(&held));
    Fds__Update *update = private_update(site, site_train(site, 1, 0));
    assert_int_equal(update->examples, 3000);
    wire_update_free(update);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_release_private_in_order_leaves),
        TEST(test_release_private_without_a_record_is_refused),
        TEST(test_release_private_of_other_steps_noise_or_bounds_is_refused),
        TEST(test_release_private_under_another_job_is_refused),
        TEST(test_release_private_site_level_under_another_job_is_refused),
        TEST(test_release_private_job_does_not_leave_in_clear),
        TEST(test_release_private_of_a_job_in_clear_is_refused),
        TEST(test_release_private_site_level_clips_whatever_comes),
        TEST(test_release_private_site_level_of_a_model_that_is_not_finite_changes_nothing),
        TEST(test_release_private_not_finite_refused),
        TEST(test_release_private_wrong_shape_refused),
        TEST(test_release_private_counts_of_a_round_not_paid_for_refused),
        TEST(test_release_private_with_less_privacy_than_the_owner_wants_refused),
        TEST(test_release_private_twice_refused),
        TEST(test_release_private_revoked_after_training_refused),
        TEST(test_release_private_receipt_names_no_digest_that_could_be_guessed),
        TEST(test_release_private_held_shows_the_requester_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
