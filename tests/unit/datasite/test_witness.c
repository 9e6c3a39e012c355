/* Receipts that requesters present: what arrived, and a site whose records were put back to an earlier state. */
#include "datasite/release.h"
#include "schemas/files.h"
#include "tests/unit/datasite/site.h"

#define UPDATE FDS__MESSAGE_TYPE__MESSAGE_UPDATE
#define EVALUATION FDS__MESSAGE_TYPE__MESSAGE_EVALUATION
#define LACKS "lack a release whose receipt exists"

static void present(struct site *site, struct receipt receipt)
{
    site->receipt = receipt;
    site->presents = true;
}

static void test_witness_of_a_normal_run_marks_everything_made(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    for (uint32_t round = 1; round <= 3; round++) {
        present(site, site_receipt(site_train(site, round, 0)));
        present(site, site_receipt(site_evaluate(site, round, 0)));
        assert_int_equal(site_count(site, "SELECT count(*) FROM delivery WHERE made = 'open'"), 1);
    }
    site_expect_state(site_end_run(site, "finished"), FDS__JOB_STATE__JOB_FINISHED);
    assert_int_equal(site_count(site, "SELECT count(*) FROM delivery WHERE made = 'made'"), 6);
    assert_int_equal(site_count(site, "SELECT count(*) FROM event WHERE kind = 'release-unmade'"), 0);
}

static void test_witness_never_presented_leaves_the_rounds_unmade(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    present(site, site_receipt(site_train(site, 1, 0)));
    site_expect_type(site_train(site, 2, 0), UPDATE);
    site_expect_type(site_evaluate(site, 2, 0), EVALUATION);
    site->presents = false;
    site_expect_state(site_end_run(site, "finished"), FDS__JOB_STATE__JOB_FINISHED);
    assert_int_equal(site_count(site,
                                "SELECT count(*) FROM event WHERE kind = 'release-unmade' AND detail = "
                                "'no receipt came back before the run ended, so whether it arrived is not "
                                "known: update of round 2; evaluation of round 2'"),
                     1);
    assert_int_equal(site_count(site, "SELECT count(*) FROM delivery WHERE made = 'open'"), 0);
}

static void test_witness_unmade_when_another_run_takes_over_or_the_job_is_revoked(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 2);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    site->run[0] = 2;
    site_expect_type(site_train(site, 1, 0), UPDATE);
    assert_int_equal(site_count(site, "SELECT count(*) FROM event WHERE kind = 'release-unmade'"), 1);
    site_withhold(site, DECISION_REVOKE);
    assert_int_equal(site_count(site, "SELECT count(*) FROM event WHERE kind = 'release-unmade'"), 2);
    assert_int_equal(site_count(site, "SELECT count(*) FROM delivery WHERE made = 'unmade'"), 2);
}

/* Whose job it is decides whose answers arrived. */
static void test_witness_of_one_requester_says_nothing_of_anothers(void **state)
{
    struct site *site = *state;
    struct site_id other = {.digest.bytes = {0x43}};
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    must(store_answers_made(site->store, &other, 1000));
    assert_int_equal(site_count(site, "SELECT count(*) FROM delivery WHERE made = 'open'"), 1);
}

/* ---- forged ones ---- */

static void test_attack_witness_forged_is_refused_and_changes_nothing(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    struct receipt receipt = site_receipt(site_train(site, 1, 0));
    struct receipt forged = receipt;
    int64_t before = site_count(site, "SELECT count(*) FROM event");
    forged.sequence += 7;
    present(site, forged);
    site_expect_refusal(site_train(site, 2, 0), ERROR_UNTRUSTED, "not one of this site");
    forged = receipt;
    forged.head.bytes[3] ^= 1;
    present(site, forged);
    site_expect_refusal(site_query(site, &site->researcher), ERROR_UNTRUSTED, "not one of this site");
    site_expect_refusal(site_end_run(site, "finished"), ERROR_UNTRUSTED, "not one of this site");
    assert_int_equal(site_count(site, "SELECT count(*) FROM event"), before);
    assert_int_equal(site_count(site, "SELECT count(*) FROM contradiction"), 0);
    site->presents = false;
    site_expect_type(site_train(site, 2, 0), UPDATE);
}

static void test_attack_witness_of_another_site_is_refused(void **state)
{
    struct site *site = *state;
    struct identity *stranger = NULL;
    char keys[160];
    site_approved(site, &(struct job_words){0}, 0, 0);
    struct receipt receipt = site_receipt(site_train(site, 1, 0));
    must(identity_create(workspace_file(site->workspace, "stranger", keys), "stranger", &stranger));
    struct chain_head head = {*identity_id(stranger), receipt.sequence + 100, receipt.head};
    must(chain_head_sign(stranger, &head, receipt.head_signature));
    receipt.sequence += 100;
    present(site, receipt);
    site_expect_refusal(site_train(site, 2, 0), ERROR_UNTRUSTED, "not one of this site");
    assert_int_equal(site_count(site, "SELECT count(*) FROM contradiction"), 0);
    identity_free(stranger);
}

/* ---- records that were put back ---- */

/* Two rounds are released, and then site.db is as it was before them. */
static struct receipt put_back(struct site *site)
{
    uint8_t *bytes = NULL;
    size_t count = 0;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_pause(site);
    must(file_read(site->workspace->database, 1 << 26, &bytes, &count));
    site_resume(site);
    site_expect_type(site_train(site, 1, 0), UPDATE);
    struct receipt receipt = site_receipt(site_train(site, 2, 0));
    site_pause(site);
    must(file_write(site->workspace->database, bytes, count, 0600));
    free(bytes);
    site_resume(site);
    return receipt;
}

static void test_attack_records_put_back_refuse_everybody_until_the_owner_accepts(void **state)
{
    struct site *site = *state;
    struct site_id other = {.digest.bytes = {0x43}};
    uint32_t accepted = 0;
    struct receipt receipt = put_back(site);
    present(site, receipt);
    site_expect_refusal(site_train(site, 1, 5), ERROR_REFUSED, LACKS);
    assert_int_equal(site_count(site, "SELECT count(*) FROM event WHERE kind = 'chain-contradicted'"), 1);
    site->presents = false;
    site_expect_refusal(site_train(site, 1, 5), ERROR_REFUSED, LACKS);
    site_expect_refusal(site_evaluate(site, 1, 5), ERROR_REFUSED, LACKS);
    site_expect_refusal(site_query(site, &other), ERROR_REFUSED, LACKS);
    site_pause(site);
    site_resume(site);
    site_expect_refusal(site_train(site, 1, 5), ERROR_REFUSED, LACKS);
    assert_int_equal(site_released(site), 0);
    must(store_contradictions_accept(site->store, "the disk was replaced", SITE_NOW, &accepted));
    assert_int_equal(accepted, 1);
    present(site, receipt); /* still the latest that the requester has */
    struct receipt next = site_receipt(site_train(site, 1, 0));
    present(site, next);
    site_expect_type(site_train(site, 2, 0), UPDATE);
}

/* A step that was in hand, and a held answer, meet the same door. */
static void test_attack_records_put_back_close_the_airlock_itself(void **state)
{
    struct site *site = *state;
    struct approval approval = {.job = NULL};
    struct run_record run;
    struct digest model = {{0}};
    uint64_t confusion[SITE_CLASSES * SITE_CLASSES] = {300};
    struct release_outcome outcome = {.body = NULL};
    site_approved(site, &(struct job_words){0}, 0, 0);
    must(store_run_begin(site->store, &site->job_id, site->run, SITE_NOW, &run));
    must(approval_find(site->store, site->identity, &site->policy.gate, &site->job_id, NULL, SITE_NOW,
                       &approval));
    struct chain_head head = {.site = *identity_id(site->identity), .sequence = 900};
    bool is_open = false;
    must(store_contradict(site->store, &site->researcher, &head, SITE_NOW, &is_open));
    assert_true(is_open);
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
    refused(release_evaluation(&context, confusion, &outcome), ERROR_REFUSED, LACKS);
    struct release_held held = {.store = site->store,
                                .identity = site->identity,
                                .gate = &site->policy.gate,
                                .job_id = &site->job_id,
                                .run_id = site->run,
                                .round = 1,
                                .now = SITE_NOW};
    refused(release_held_out(&held), ERROR_REFUSED, LACKS);
    approval_clear(&approval);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_witness_of_a_normal_run_marks_everything_made),
        TEST(test_witness_never_presented_leaves_the_rounds_unmade),
        TEST(test_witness_unmade_when_another_run_takes_over_or_the_job_is_revoked),
        TEST(test_witness_of_one_requester_says_nothing_of_anothers),
        TEST(test_attack_witness_forged_is_refused_and_changes_nothing),
        TEST(test_attack_witness_of_another_site_is_refused),
        TEST(test_attack_records_put_back_refuse_everybody_until_the_owner_accepts),
        TEST(test_attack_records_put_back_close_the_airlock_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
