/* What the auditor and the checks of the airlock say of a round of secure aggregation whose rows were edited by whoever may
 * write the file. */
#include "datasite/auditor.h"
#include "datasite/release.h"
#include "datasite/store_internal.h"
#include "datasite/store_release.h"
#include "tests/unit/datasite/company.h"

/* One whole round with the datasite's own step, and a second attempt that came to nothing before it. */
static int summed_company(void **state)
{
    if (company_begun(state) != 0)
        return -1;
    struct company *company = *state;
    for (uint32_t attempt = 0; attempt < 2; attempt++) {
        Fds__Mask *mask = company_mask_message(company, attempt, attempt, COMPANY_SITES);
        company_take_vector(company, company_say(company, FDS__MESSAGE_TYPE__MESSAGE_MASK, &mask->base),
                            COMPANY_SITES);
        wire_mask_free(mask);
    }
    company_take_agreement(company, company_agree(company));
    company_take_unmasking(company, company_unmask(company));
    return 0;
}

static struct error *audit(struct company *company)
{
    struct error *err = NULL;
    struct auditor auditor = {.store = company->site->store, .identity = company->site->identity};
    struct auditor_findings findings;
    TRY(auditor_check_chain(&auditor, &findings));
    TRY(auditor_check_decisions(&auditor, &findings));
    TRY(auditor_check_answers(&auditor, &findings));
    assert_int_equal(findings.answers, 2);
done:
    return err;
}

static void says(struct company *company, const char *words)
{
    refused(audit(company), ERROR_UNTRUSTED, words);
}

static void test_auditor_masked_honest_round_is_found_whole(void **state)
{
    must(audit(*state));
}

static void test_auditor_masked_edited_vector_is_found(void **state)
{
    struct company *company = *state;
    site_sql(company->site, "UPDATE answer SET body = CAST(body || x'00' AS BLOB) WHERE attempt = 1");
    says(company, "not the one that was given");
}

/* Bytes are forgotten with the sum of their round, and not before. */
static void test_auditor_masked_removed_vector_is_found(void **state)
{
    struct company *company = *state;
    site_sql(company->site, "UPDATE answer SET body = x'' WHERE attempt = 1");
    says(company, "not the one that was given");
}

static void test_auditor_masked_exchanged_attempts_are_found(void **state)
{
    struct company *company = *state;
    site_sql(company->site, "UPDATE answer SET attempt = 2 WHERE attempt = 0");
    says(company, "another attempt");
}

static void test_auditor_masked_answer_called_an_update_is_found(void **state)
{
    struct company *company = *state;
    site_sql(company->site, "UPDATE answer SET kind = 'update' WHERE attempt = 0");
    says(company, "not the one that was given");
}

static void test_auditor_masked_answer_called_held_is_found(void **state)
{
    struct company *company = *state;
    site_sql(company->site, "UPDATE answer SET state = 'held' WHERE attempt = 0");
    says(company, "not the one that was given");
}

static void test_auditor_masked_other_receipt_is_found(void **state)
{
    struct company *company = *state;
    site_sql(company->site,
             "UPDATE answer SET receipt = (SELECT receipt FROM answer AS other WHERE other.attempt = 1) "
             "WHERE attempt = 0");
    says(company, "round 1");
}

static void test_auditor_masked_removed_answer_is_found(void **state)
{
    struct company *company = *state;
    site_sql(company->site, "DELETE FROM answer WHERE attempt = 0");
    says(company, "the answer that was stored with it is gone");
}

static void test_auditor_masked_removed_agreement_is_found(void **state)
{
    struct company *company = *state;
    site_sql(company->site, "DELETE FROM secagg_round");
    says(company, "the agreement that was stored with it is gone");
}

static void test_auditor_masked_hidden_shares_are_found(void **state)
{
    struct company *company = *state;
    site_sql(company->site, "DROP TRIGGER secagg_slot_forward");
    site_sql(company->site, "DROP TRIGGER secagg_slot_once");
    site_sql(company->site,
             "UPDATE secagg_slot SET state = 'bound', revealed = NULL WHERE state = 'revealed'");
    says(company, "the message with shares that was stored with it is gone");
}

/* ---- the airlock's look at rows and events ---- */

static struct error *foresee(struct company *company, uint32_t round, uint32_t attempt)
{
    struct site *site = company->site;
    struct approval approval;
    struct digest model = {{0}};
    must(approval_find(site->store, site->identity, &site->policy.gate, &site->job_id, NULL, SITE_NOW,
                       &approval));
    struct release_context context = {.store = site->store,
                                      .identity = site->identity,
                                      .gate = &site->policy.gate,
                                      .job_id = &site->job_id,
                                      .job = approval.job,
                                      .dataset = &approval.dataset,
                                      .run_id = site->run,
                                      .round = round,
                                      .attempt = attempt,
                                      .model_digest = &model,
                                      .now = SITE_NOW};
    struct error *err = release_foresee(&context, ANSWER_MASKED_INPUT);
    approval_clear(&approval);
    return err;
}

static void test_release_masked_rounds_are_those_of_the_job_and_one(void **state)
{
    struct company *company = *state;
    must(foresee(company, 2, 0));
    must(foresee(company, COMPANY_ROUNDS + 1, 0));
    refused(foresee(company, 0, 0), ERROR_REFUSED, "outside the 3 rounds");
    refused(foresee(company, COMPANY_ROUNDS + 2, 0), ERROR_REFUSED, "outside the 3 rounds");
    refused(foresee(company, 1, 2), ERROR_REFUSED, "not tried again");
    refused(foresee(company, 2, STORE_SECAGG_ATTEMPTS), ERROR_REFUSED, "which is all");
}

static void test_release_masked_round_before_the_last_is_over(void **state)
{
    struct company *company = *state;
    company_mask(company, 2, 0, 2, COMPANY_SITES, COMPANY_SITES);
    must(foresee(company, 2, 1));
    refused(foresee(company, 2, 0), ERROR_REFUSED, "answered already");
    refused(foresee(company, 1, 2), ERROR_REFUSED, "is over");
}

static void test_release_masked_attempt_whose_row_was_removed_stays_spent(void **state)
{
    struct company *company = *state;
    company_mask(company, 2, 0, 2, COMPANY_SITES, COMPANY_SITES);
    site_sql(company->site, "DELETE FROM answer WHERE round = 2");
    refused(foresee(company, 2, 0), ERROR_REFUSED, "by this site's own events");
    refused(foresee(company, 2, 1), ERROR_REFUSED, "by this site's own events");
}

static void test_release_masked_bytes_and_arrivals_are_counted_by_attempt(void **state)
{
    struct company *company = *state;
    uint64_t bytes = 0;
    must(store_release_bytes(company->site->store, &company->site->job_id, &bytes));
    assert_int_equal(bytes, site_count(company->site, "SELECT sum(length(body)) FROM answer"));
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM delivery WHERE made = 'open'"), 2);
    uint64_t first = (uint64_t)site_count(company->site, "SELECT event_id FROM answer WHERE attempt = 0");
    must(store_answers_made(company->site->store, &company->site->researcher, first));
    assert_int_equal(
        site_count(company->site, "SELECT count(*) FROM delivery WHERE made = 'made' AND attempt = 0"), 1);
    assert_int_equal(
        site_count(company->site, "SELECT count(*) FROM delivery WHERE made = 'open' AND attempt = 1"), 1);
    site_expect_state(site_end_run(company->site, "stopped"), FDS__JOB_STATE__JOB_FINISHED);
    assert_int_equal(site_count(company->site,
                                "SELECT count(*) FROM event WHERE kind = 'release-unmade' AND detail "
                                "LIKE '%masked input of round 1%'"),
                     1);
    /* What is long and of no use is gone; what the events are about is not. */
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM secagg_batch WHERE keyset IS NOT NULL"),
                     0);
    assert_int_equal(site_count(company->site, "SELECT count(*) FROM secagg_slot WHERE sealed IS NOT NULL"),
                     0);
    must(audit(company));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, summed_company, company_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_auditor_masked_honest_round_is_found_whole),
        TEST(test_auditor_masked_edited_vector_is_found),
        TEST(test_auditor_masked_removed_vector_is_found),
        TEST(test_auditor_masked_exchanged_attempts_are_found),
        TEST(test_auditor_masked_answer_called_an_update_is_found),
        TEST(test_auditor_masked_answer_called_held_is_found),
        TEST(test_auditor_masked_other_receipt_is_found),
        TEST(test_auditor_masked_removed_answer_is_found),
        TEST(test_auditor_masked_removed_agreement_is_found),
        TEST(test_auditor_masked_hidden_shares_are_found),
        TEST(test_release_masked_rounds_are_those_of_the_job_and_one),
        TEST(test_release_masked_round_before_the_last_is_over),
        TEST(test_release_masked_attempt_whose_row_was_removed_stays_spent),
        TEST(test_release_masked_bytes_and_arrivals_are_counted_by_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
