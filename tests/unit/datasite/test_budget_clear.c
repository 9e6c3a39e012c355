/* Jobs without privacy: on record where there is no budget, and of no use where there is one, at every door. */
#include "datasite/budget.h"
#include "datasite/release.h"
#include "tests/unit/datasite/site.h"

#define UPDATE FDS__MESSAGE_TYPE__MESSAGE_UPDATE
#define EVALUATION FDS__MESSAGE_TYPE__MESSAGE_EVALUATION
#define PRIVACY "only jobs with privacy"

static void cap_set(struct site *site)
{
    struct budget_cap cap = {3, 1e-6, BUDGET_SUM};
    must(budget_set(site->store, site->identity, "made", &cap, SITE_NOW));
}

static struct budget_state state_of(struct site *site)
{
    struct dataset_info info;
    struct budget_state state;
    must(store_dataset_find(site->store, "made", &info));
    must(budget_state(site->store, site->identity, info.id, &state));
    return state;
}

static void test_budget_clear_answers_are_on_record(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_expect_type(site_evaluate(site, 1, 0), EVALUATION);
    site_expect_type(site_evaluate(site, 1, 0), EVALUATION); /* again: the same bytes */
    assert_int_equal(state_of(site).clear_answers, 2);
    assert_int_equal(site_count(site, "SELECT count(*) FROM event WHERE kind = 'budget-clear'"), 2);
    assert_int_equal(
        site_count(site, "SELECT count(*) FROM budget WHERE kind = 'clear' AND use = 1 AND round = 1"), 1);
    site_expect_state(site_end_run(site, "finished"), FDS__JOB_STATE__JOB_FINISHED);
}

static void test_budget_capped_data_refuses_a_clear_job_at_submit(void **state)
{
    struct site *site = *state;
    char text[SITE_JOB_BYTES];
    cap_set(site);
    site_job(site, &(struct job_words){0}, text);
    site_expect_refusal(site_submit(site, text), ERROR_REFUSED, PRIVACY);
    assert_int_equal(site_count(site, "SELECT count(*) FROM job"), 0);
}

static void test_budget_capped_since_submit_is_not_approved(void **state)
{
    struct site *site = *state;
    struct job_record record = {0};
    char text[SITE_JOB_BYTES];
    site_job(site, &(struct job_words){0}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
    cap_set(site);
    must(store_job_find(site->store, &site->job_id, &record));
    refused(approval_give(site->store, site->identity, &record, &(struct approval_limits){0}, "owner", "",
                          SITE_NOW),
            ERROR_REFUSED, PRIVACY);
    job_record_clear(&record);
}

static void test_budget_capped_since_approval_begins_no_run(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    cap_set(site);
    site_expect_refusal(site_train(site, 1, 0), ERROR_REFUSED, PRIVACY);
    assert_int_equal(site_count(site, "SELECT count(*) FROM run"), 0);
    assert_int_equal(site_released(site), 0);
}

static void test_budget_capped_in_a_run_ends_it(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    cap_set(site);
    site_expect_refusal(site_train(site, 2, 0), ERROR_REFUSED, PRIVACY);
    site_expect_refusal(site_evaluate(site, 1, 0.5), ERROR_REFUSED, PRIVACY);
    assert_int_equal(state_of(site).clear_answers, 1);
}

/* What the executor had in hand when the owner set the cap does not leave. */
static void test_budget_cap_is_asked_in_the_airlock(void **state)
{
    struct site *site = *state;
    struct approval approval;
    struct run_record run;
    struct digest model = {{0}};
    double parameters[SITE_PARAMETERS] = {0.25}, from[SITE_PARAMETERS] = {0};
    struct release_outcome outcome = {.body = NULL};
    site_approved(site, &(struct job_words){.metrics = "none"}, 0, 0);
    must(approval_find(site->store, site->identity, NULL, &site->job_id, &site->researcher, SITE_NOW,
                       &approval));
    must(budget_run_begin(site->store, site->identity, &approval, site->run, SITE_NOW, &run));
    cap_set(site);
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
    struct release_update update = {.parameters = parameters,
                                    .from = from,
                                    .count = SITE_PARAMETERS,
                                    .train_rows = 3000,
                                    .test_rows = 3000,
                                    .stopped = "converged"};
    refused(release_update(&context, &update, &outcome), ERROR_REFUSED, PRIVACY);
    assert_null(outcome.body);
    assert_int_equal(site_released(site), 0);
    approval_clear(&approval);
}

/* A held answer counts when the owner lets it out, and not once there is a budget. */
static void test_budget_clear_answer_that_is_held_counts_when_it_leaves(void **state)
{
    struct site *site = *state;
    char text[SITE_JOB_BYTES];
    struct job_record record = {0};
    struct release_held held = {.store = site->store,
                                .identity = site->identity,
                                .gate = &site->policy.gate,
                                .job_id = &site->job_id,
                                .run_id = site->run,
                                .round = 1,
                                .kind = ANSWER_UPDATE,
                                .now = SITE_NOW};
    site_job(site, &(struct job_words){0}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
    must(store_job_find(site->store, &site->job_id, &record));
    must(approval_give(site->store, site->identity, &record, &(struct approval_limits){.hold = HOLD_EVERY},
                       "owner", "", SITE_NOW));
    job_record_clear(&record);
    for (uint32_t round = 1; round <= 2; round++)
        site_expect_refusal(site_train(site, round, 0), ERROR_HELD, "looks at the numbers");
    assert_int_equal(state_of(site).clear_answers, 0);
    must(release_held_out(&held));
    assert_int_equal(state_of(site).clear_answers, 1);
    cap_set(site);
    held.round = 2;
    refused(release_held_out(&held), ERROR_REFUSED, PRIVACY);
    assert_int_equal(state_of(site).clear_answers, 1);
}

/* Edits the file while the site has it open, so that no pool has the dataset, then asks for a run. */
static void expect_unpooled(struct site *site, const char *edit, enum error_code code, const char *words)
{
    static const uint8_t other[STORE_RUN_ID_BYTES] = {9};
    struct approval approval;
    struct run_record run;
    must(approval_find(site->store, site->identity, NULL, &site->job_id, &site->researcher, SITE_NOW,
                       &approval));
    site_sql(site, "PRAGMA foreign_keys = OFF");
    site_sql(site, edit);
    must(store_dataset_find(site->store, "made", &approval.dataset));
    refused(budget_run_begin(site->store, site->identity, &approval, other, SITE_NOW, &run), code, words);
    refused(budget_begin(site->store, site->identity, &approval, site->run, 2, BUDGET_TRAINING, SITE_NOW),
            code, words);
    refused(budget_clear(site->store, site->identity, &approval, site->run, 2, BUDGET_TRAINING, SITE_NOW),
            code, words);
    assert_int_equal(site_count(site, "SELECT count(*) FROM run"), 1);
    approval_clear(&approval);
}

static void test_attack_budget_clear_dataset_of_another_id_is_found(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 2);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    cap_set(site);
    expect_unpooled(site, "UPDATE dataset SET id = id + 100", ERROR_UNTRUSTED, "somebody changed site.db");
}

static void test_attack_budget_clear_dataset_of_another_digest_is_found(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 2);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    expect_unpooled(site, "UPDATE dataset SET digest = zeroblob(32)", ERROR_UNTRUSTED,
                    "somebody changed site.db");
}

/* As of before there were pools: where there is a cap, it might be of these rows. */
static void test_attack_budget_clear_dataset_without_a_trace_waits_where_there_are_caps(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 2);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    cap_set(site);
    expect_unpooled(site, "UPDATE dataset SET id = id + 100, digest = zeroblob(32)", ERROR_REFUSED,
                    "has not looked yet");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_budget_clear_answers_are_on_record),
        TEST(test_budget_capped_data_refuses_a_clear_job_at_submit),
        TEST(test_budget_capped_since_submit_is_not_approved),
        TEST(test_budget_capped_since_approval_begins_no_run),
        TEST(test_budget_capped_in_a_run_ends_it),
        TEST(test_budget_cap_is_asked_in_the_airlock),
        TEST(test_budget_clear_answer_that_is_held_counts_when_it_leaves),
        TEST(test_attack_budget_clear_dataset_of_another_id_is_found),
        TEST(test_attack_budget_clear_dataset_of_another_digest_is_found),
        TEST(test_attack_budget_clear_dataset_without_a_trace_waits_where_there_are_caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
