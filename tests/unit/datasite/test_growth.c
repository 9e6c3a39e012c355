/* A dataset that changes after the approval: what the owner allows is rows behind the approved ones, nothing else. */
#include "datasite/dataset.h"
#include "datasite/release.h"
#include "tests/unit/datasite/site.h"

#define UPDATE FDS__MESSAGE_TYPE__MESSAGE_UPDATE
#define MORE (SITE_ROWS + 1000)

static void approved_to_grow(struct site *site, bool growth)
{
    struct job_record record = {.bytes = NULL};
    struct approval_limits limits = {.allow_growth = growth};
    char text[SITE_JOB_BYTES];
    site_job(site, &(struct job_words){0}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
    must(store_job_find(site->store, &site->job_id, &record));
    must(approval_give(site->store, site->identity, &record, &limits, "owner", "", SITE_NOW));
    job_record_clear(&record);
}

static void test_growth_allowed_trains_on_the_new_rows_too(void **state)
{
    struct site *site = *state;
    Fds__Update *update = NULL;
    approved_to_grow(site, true);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_reimport(site, MORE, MORE);
    struct reply reply = site_opened(site, site_train(site, 2, 0));
    must(wire_update_decode(reply.body, reply.body_bytes, &update));
    assert_true(update->examples > SITE_ROWS / 2 + 300);
    wire_update_free(update);
    requests_reply_clear(&reply);
    site_reimport(site, MORE + 1000, MORE + 1000); /* and again */
    site_expect_type(site_train(site, 3, 0), UPDATE);
}

static void test_growth_by_too_few_rows_is_refused(void **state)
{
    struct site *site = *state;
    uint64_t least = site->policy.gate.output.min_rows;
    approved_to_grow(site, true);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site_reimport(site, SITE_ROWS + 1, SITE_ROWS + 1);
    site_expect_refusal(site_train(site, 2, 0), ERROR_REFUSED, "single rows");
    site_expect_refusal(site_evaluate(site, 1, 0), ERROR_REFUSED, "single rows");
    site_reimport(site, SITE_ROWS + least - 1, SITE_ROWS + least);
    site_expect_refusal(site_train(site, 2, 0), ERROR_REFUSED, "single rows");
    site_reimport(site, SITE_ROWS + least, SITE_ROWS + least);
    site_expect_type(site_train(site, 2, 0), UPDATE);
    site_expect_type(site_evaluate(site, 2, 0), FDS__MESSAGE_TYPE__MESSAGE_EVALUATION); /* known by now */
    site_reimport(site, SITE_ROWS + least + 1, SITE_ROWS + least + 1);
    site_expect_refusal(site_train(site, 3, 0), ERROR_REFUSED, "single rows");
    site_reimport(site, SITE_ROWS + least, SITE_ROWS + 3); /* as many, but an added one differs */
    site_expect_refusal(site_train(site, 3, 0), ERROR_REFUSED, "single rows");
    site_reimport(site, SITE_ROWS, SITE_ROWS); /* the approved ones again */
    site_expect_type(site_train(site, 3, 0), UPDATE);
    assert_int_equal(site_count(site, "SELECT count(DISTINCT dataset_digest) FROM delivery"), 2);
}

/* The airlock asks by itself, whatever the trainer found. */
static void test_growth_by_one_row_does_not_leave(void **state)
{
    struct site *site = *state;
    struct approval approval = {.job = NULL};
    struct run_record run;
    struct digest model = {{0}};
    uint64_t confusion[SITE_CLASSES * SITE_CLASSES] = {300};
    struct release_outcome outcome = {.body = NULL};
    approved_to_grow(site, true);
    site_reimport(site, SITE_ROWS + 1, SITE_ROWS + 1);
    must(store_run_begin(site->store, &site->job_id, site->run, SITE_NOW, &run));
    must(approval_find(site->store, site->identity, &site->policy.gate, &site->job_id, NULL, SITE_NOW,
                       &approval));
    struct release_context context = {.store = site->store,
                                      .identity = site->identity,
                                      .gate = &site->policy.gate,
                                      .job_id = &site->job_id,
                                      .job = approval.job,
                                      .dataset = &approval.dataset,
                                      .early_rows = SITE_ROWS,
                                      .early_digest = &approval.decision.dataset_digest,
                                      .run_id = site->run,
                                      .round = 1,
                                      .model_digest = &model,
                                      .now = SITE_NOW};
    refused(release_evaluation(&context, confusion, &outcome), ERROR_REFUSED, "single rows");
    assert_int_equal(site_released(site), 0);
    approval_clear(&approval);
}

static void test_growth_not_allowed_is_refused(void **state)
{
    struct site *site = *state;
    approved_to_grow(site, false);
    site_reimport(site, MORE, MORE);
    site_expect_refusal(site_train(site, 1, 0), ERROR_REFUSED, "has changed");
}

static void test_growth_taken_into_the_decision_is_refused(void **state)
{
    struct site *site = *state;
    approved_to_grow(site, false);
    site_sql(site, "UPDATE decision SET allow_growth = 1");
    site_reimport(site, MORE, MORE);
    site_expect_refusal(site_train(site, 1, 0), ERROR_UNTRUSTED, "signed");
}

static void test_growth_with_an_early_row_changed_is_refused(void **state)
{
    struct site *site = *state;
    approved_to_grow(site, true);
    site_reimport(site, MORE, 17);
    site_expect_refusal(site_train(site, 1, 0), ERROR_REFUSED, "not only grown");
    site_reimport(site, MORE, SITE_ROWS - 1); /* the last of the approved rows, in the middle of a chunk */
    site_expect_refusal(site_train(site, 1, 0), ERROR_REFUSED, "not only grown");
    assert_int_equal(site_released(site), 0);
}

static void test_growth_backwards_is_refused(void **state)
{
    struct site *site = *state;
    approved_to_grow(site, true);
    site_reimport(site, SITE_ROWS - 1, SITE_ROWS);
    site_expect_refusal(site_train(site, 1, 0), ERROR_REFUSED, "has changed");
    site_reimport(site, SITE_ROWS, 17); /* as many, but others */
    site_expect_refusal(site_train(site, 1, 0), ERROR_REFUSED, "has changed");
}

/* Two approvals of other sizes in turn: each is checked by its own first rows. */
static void test_growth_is_checked_for_each_approval(void **state)
{
    struct site *site = *state;
    approved_to_grow(site, true);
    site_reimport(site, MORE, 17);
    site_expect_refusal(site_train(site, 1, 0), ERROR_REFUSED, "not only grown");
    site_approved(site, &(struct job_words){.name = "other"}, 0, 0); /* of the rows as they are now */
    site->run[0] = 2;
    site_expect_type(site_train(site, 1, 0), UPDATE);
}

/* The airlock does not take the trainer's word for it. */
static void test_growth_unproven_does_not_leave(void **state)
{
    struct site *site = *state;
    struct approval approval = {.job = NULL};
    struct run_record run;
    struct digest model = {{0}}, other = {{9}};
    uint64_t confusion[SITE_CLASSES * SITE_CLASSES] = {300};
    struct release_outcome outcome = {.body = NULL};
    approved_to_grow(site, true);
    site_reimport(site, MORE, MORE);
    must(store_run_begin(site->store, &site->job_id, site->run, SITE_NOW, &run));
    must(approval_find(site->store, site->identity, &site->policy.gate, &site->job_id, NULL, SITE_NOW,
                       &approval));
    assert_true(approval.grown);
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
    refused(release_evaluation(&context, confusion, &outcome), ERROR_REFUSED, "not those of the approved");
    context.early_rows = SITE_ROWS;
    context.early_digest = &other;
    refused(release_evaluation(&context, confusion, &outcome), ERROR_REFUSED, "not those of the approved");
    context.early_rows = SITE_ROWS - 1;
    context.early_digest = &approval.decision.dataset_digest;
    refused(release_evaluation(&context, confusion, &outcome), ERROR_REFUSED, "not those of the approved");
    approval_clear(&approval);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_growth_allowed_trains_on_the_new_rows_too),
        TEST(test_growth_by_too_few_rows_is_refused),
        TEST(test_growth_by_one_row_does_not_leave),
        TEST(test_growth_not_allowed_is_refused),
        TEST(test_growth_taken_into_the_decision_is_refused),
        TEST(test_growth_with_an_early_row_changed_is_refused),
        TEST(test_growth_backwards_is_refused),
        TEST(test_growth_is_checked_for_each_approval),
        TEST(test_growth_unproven_does_not_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
