/* Decisions, endorsements and answers edited or removed in site.db, whose events stay. */
#include "datasite/auditor.h"
#include "datasite/endorsement.h"
#include "datasite/store_internal.h"
#include "tests/unit/datasite/site.h"

/* ---- a site with a story ---- */

/* A job of three rounds, approved; two rounds are done. */
static int story_make(void **state)
{
    if (site_make(state) != 0)
        return -1;
    struct site *site = *state;
    site_approved(site, &(struct job_words){.rounds = 3}, 0, 1);
    site_expect_type(site_train(site, 1, 0.0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
    site_expect_type(site_evaluate(site, 1, 0.0), FDS__MESSAGE_TYPE__MESSAGE_EVALUATION);
    site_expect_type(site_train(site, 2, 0.1), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
    return 0;
}

static struct auditor auditor_of(const struct site *site)
{
    return (struct auditor){.store = site->store, .identity = site->identity};
}

static void says(struct error *err, const char *words)
{
    refused(err, ERROR_UNTRUSTED, words);
}

static struct error *check(const struct site *site)
{
    struct auditor auditor = auditor_of(site);
    struct auditor_findings findings;
    return auditor_check_decisions(&auditor, &findings);
}

/* Each edit is found, by the sentence with these words. */
struct edit {
    const char *sql, *words;
};

static void finds(struct site *site, const struct edit *edit)
{
    site_sql(site, "PRAGMA foreign_keys = OFF");
    must(check(site));
    site_sql(site, edit->sql);
    says(check(site), edit->words);
}

static void test_auditor_compares_honest_decisions(void **state)
{
    struct site *site = *state;
    struct auditor auditor = auditor_of(site);
    struct auditor_findings findings;
    site_withhold(site, DECISION_REVOKE);
    must(auditor_check_decisions(&auditor, &findings));
    assert_int_equal(findings.decisions, 2);
    assert_int_equal(findings.endorsements, 0);
    assert_int_equal(site_count(site,
                                "SELECT count(*) FROM event WHERE kind IN ('job-approved', 'job-revoked') "
                                "AND length(digest) = 32"),
                     2);
}

#define EDIT_TEST(name, sql, words)                                                                          \
    static void test_auditor_finds_##name(void **state)                                                      \
    {                                                                                                        \
        finds(*state, &(const struct edit){sql, words});                                                     \
    }
EDIT_TEST(a_decision_whose_hold_was_edited, "UPDATE decision SET hold = 'every'",
          "not the one that was signed")
EDIT_TEST(a_decision_whose_rounds_were_edited, "UPDATE decision SET rounds = rounds + 1",
          "not the one that was signed")
EDIT_TEST(a_decision_whose_runs_were_edited, "UPDATE decision SET runs = 9", "not the one that was signed")
EDIT_TEST(a_decision_whose_end_was_edited, "UPDATE decision SET expires = expires + 1",
          "not the one that was signed")
EDIT_TEST(a_decision_whose_words_were_edited, "UPDATE decision SET reason = 'because'",
          "not the one that was signed")
EDIT_TEST(a_decision_with_another_signature, "UPDATE decision SET signature = zeroblob(64)", "does not hold")
EDIT_TEST(a_decision_that_was_removed, "DELETE FROM decision", "decision that was stored with it is gone")
EDIT_TEST(a_decision_without_its_job, "DELETE FROM job", "The job that it is about is not in site.db")
EDIT_TEST(an_answer_that_was_removed, "DELETE FROM answer WHERE round = 2",
          "answer that was stored with it is gone")
EDIT_TEST(all_answers_removed, "DELETE FROM answer", "(update-released")

/* The site's own key signed both, and the event names one. */
static void test_auditor_finds_a_decision_that_the_event_does_not_name(void **state)
{
    struct site *site = *state;
    struct decision decision;
    struct query query;
    must(store_approval(site->store, &site->job_id, &decision));
    decision.runs = 9;
    must(approval_make(site->identity, &site->researcher, &decision));
    query_start(&query, site->store->database,
                "UPDATE decision SET runs = 9, statement = ?1, signature = ?2");
    query_bind_blob(&query, decision.statement, decision.statement_bytes);
    query_bind_blob(&query, decision.signature, SIGNATURE_BYTES);
    must(query_finish(&query));
    says(check(site), "is not the one that event");
}

static void test_auditor_finds_a_decision_without_an_event(void **state)
{
    struct site *site = *state;
    site_sql(site, "DROP TRIGGER event_no_delete");
    site_sql(site, "DELETE FROM event WHERE kind = 'job-approved'");
    says(check(site), "No event says that it was given");
}

/* Decisions of earlier versions have events without a digest, all of them before the first that has one. */
static void test_auditor_takes_old_events_only_before_new_ones(void **state)
{
    struct site *site = *state;
    site_sql(site, "DROP TRIGGER event_no_update");
    site_sql(site, "UPDATE event SET digest = NULL WHERE kind = 'job-approved'");
    must(check(site));
    site_withhold(site, DECISION_REVOKE);
    must(check(site));
    site_sql(site, "UPDATE event SET digest = NULL WHERE kind = 'job-revoked'");
    must(check(site));
    site_sql(
        site,
        "UPDATE event SET digest = (SELECT digest FROM event AS other WHERE other.kind = 'update-released' "
        "LIMIT 1) WHERE kind = 'job-approved'");
    says(check(site), "is not the one that event");
}

static void test_auditor_finds_an_old_event_behind_a_new_one(void **state)
{
    struct site *site = *state;
    site_withhold(site, DECISION_REVOKE);
    site_sql(site, "DROP TRIGGER event_no_update");
    site_sql(site, "UPDATE event SET digest = NULL WHERE kind = 'job-revoked'");
    says(check(site), "does not say what was signed");
}

/* ---- endorsements ---- */

/* A pending job and the word of an owner about it. */
static void endorse(struct site *site, struct identity **ret_owner)
{
    char keys[160], text[SITE_JOB_BYTES];
    struct job_record record = {.bytes = NULL};
    struct decision decision;
    struct digest statement;
    const struct approval_limits limits = {.hold = HOLD_NEVER};
    must(identity_create(workspace_file(site->workspace, "owner", keys), "owner", ret_owner));
    site_job(site, &(struct job_words){.name = "endorsed"}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
    must(store_job_find(site->store, &site->job_id, &record));
    must(approval_prepare(site->store, &record, &limits, SITE_NOW, &decision));
    job_record_clear(&record);
    struct endorsement endorsement = {.job_id = decision.job_id,
                                      .dataset_digest = decision.dataset_digest,
                                      .rounds = decision.rounds,
                                      .runs = decision.runs,
                                      .expires = decision.expires,
                                      .dataset_rows = decision.dataset_rows,
                                      .endorsed_at = SITE_NOW};
    must(endorsement_make(*ret_owner, identity_id(site->identity), &site->researcher, &endorsement));
    must(endorsement_digest(identity_id(site->identity), &site->researcher, &endorsement, &statement));
    must(store_endorse(site->store, &endorsement, &statement));
    identity_free(*ret_owner);
}

static void finds_endorsement(struct site *site, const char *sql, const char *words)
{
    struct identity *owner = NULL;
    endorse(site, &owner);
    finds(site, &(const struct edit){sql, words});
}

static void test_auditor_finds_an_edited_endorsement(void **state)
{
    finds_endorsement(*state, "UPDATE endorsement SET runs = 9", "The endorsement of job");
}

static void test_auditor_finds_a_removed_endorsement(void **state)
{
    finds_endorsement(*state, "DELETE FROM endorsement", "endorsement that was stored with it is gone");
}

static void test_auditor_finds_an_endorsement_of_another_owner(void **state)
{
    finds_endorsement(*state, "UPDATE endorsement SET owner = zeroblob(32)", "another owner");
}

#define STORY_TEST(function) cmocka_unit_test_setup_teardown(function, story_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY_TEST(test_auditor_compares_honest_decisions),
        STORY_TEST(test_auditor_finds_a_decision_whose_hold_was_edited),
        STORY_TEST(test_auditor_finds_a_decision_whose_rounds_were_edited),
        STORY_TEST(test_auditor_finds_a_decision_whose_runs_were_edited),
        STORY_TEST(test_auditor_finds_a_decision_whose_end_was_edited),
        STORY_TEST(test_auditor_finds_a_decision_whose_words_were_edited),
        STORY_TEST(test_auditor_finds_a_decision_with_another_signature),
        STORY_TEST(test_auditor_finds_a_decision_that_was_removed),
        STORY_TEST(test_auditor_finds_a_decision_without_its_job),
        STORY_TEST(test_auditor_finds_an_answer_that_was_removed),
        STORY_TEST(test_auditor_finds_all_answers_removed),
        STORY_TEST(test_auditor_finds_a_decision_that_the_event_does_not_name),
        STORY_TEST(test_auditor_finds_a_decision_without_an_event),
        STORY_TEST(test_auditor_takes_old_events_only_before_new_ones),
        STORY_TEST(test_auditor_finds_an_old_event_behind_a_new_one),
        STORY_TEST(test_auditor_finds_an_edited_endorsement),
        STORY_TEST(test_auditor_finds_a_removed_endorsement),
        STORY_TEST(test_auditor_finds_an_endorsement_of_another_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
