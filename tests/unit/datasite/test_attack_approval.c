/* An approval is used for something else than what it was given for. What the owner's control must withstand, and
 * where it is attacked:
 *
 *     messages replayed              test_session_delivery, test_message, test_rounds (the same round again)
 *     messages reordered             test_session_peer (stale numbers), test_rounds (an earlier round)
 *     expired                        test_approval, test_release (in mid-training), test_notice, test_held
 *     foreign, re-signed             test_message, test_requests (another's job), test_witness
 *     a job one byte away            here: every byte, in the file and on the wire
 *     approval of another site       here; of another job, requester or key: test_approval, test_endorsement
 *     edited rows                    decisions: test_approval; answers, runs: test_attack; held and receipts: test_held;
 *                                    events: test_store_event, test_auditor; a denial taken back: here
 *     denied and sent again          the same: test_requests; changed a little: test_admission */
#include "datasite/approval.h"
#include "datasite/store_internal.h"
#include "datasite/store_release.h"
#include "datasite/store_secagg.h"
#include "schemas/wire.h"
#include "tests/unit/datasite/site.h"
#include "tests/unit/datasite/walk.h"

#include <stdio.h>

#define PENDING FDS__JOB_STATE__JOB_PENDING

/* ---- a job that differs in one byte ---- */

static void put_bytes(struct site *site, const char *text, size_t bytes)
{
    struct query query;
    query_start(&query, site->store->database, "UPDATE job SET bytes = ?");
    query_bind_blob(&query, text, bytes);
    must(query_finish(&query));
}

static void test_attack_stored_job_with_any_byte_changed_refused(void **state)
{
    struct site *site = *state;
    char text[SITE_JOB_BYTES];
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_job(site, &(struct job_words){0}, text);
    size_t bytes = strlen(text);
    for (size_t i = 0; i < bytes; i++) {
        text[i] = (char)(text[i] ^ 1);
        put_bytes(site, text, bytes);
        site_expect_refusal(site_train(site, 1, 0), ERROR_UNTRUSTED, "not those that were submitted");
        text[i] = (char)(text[i] ^ 1);
    }
    put_bytes(site, text, bytes - 1);
    site_expect_refusal(site_train(site, 1, 0), ERROR_UNTRUSTED, "not those that were submitted");
    assert_int_equal(site_count(site, "SELECT count(*) FROM run"), 0);
    assert_int_equal(site_released(site), 0);
    put_bytes(site, text, bytes);
    site_expect_type(site_train(site, 1, 0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
}

/* Whatever such a job is, no round of it is computed. */
static void test_attack_submitted_job_with_any_byte_changed_is_not_approved(void **state)
{
    struct site *site = *state;
    char text[SITE_JOB_BYTES];
    site->policy.limits = (struct policy_limits){10000, 10000, 10000, 1000000};
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_job(site, &(struct job_words){0}, text);
    for (size_t i = 0; text[i] != '\0'; i++) {
        text[i] = (char)(text[i] ^ 1);
        if (text[i] != '\0') {
            struct reply reply = site_submit(site, text);
            requests_reply_clear(&reply);
            site_expect_type(site_train(site, 1, 0), FDS__MESSAGE_TYPE__MESSAGE_REFUSAL);
        }
        text[i] = (char)(text[i] ^ 1);
    }
    assert_int_equal(site_count(site, "SELECT count(*) FROM job WHERE state <> 'pending'"), 1);
    assert_true(site_count(site, "SELECT count(*) FROM job WHERE state = 'pending'") > 20);
    assert_int_equal(site_count(site, "SELECT count(*) FROM run"), 0);
}

/* ---- an approval from elsewhere ---- */

/* Another site with the same rows, whose owner approves the very same job bytes; *ret_decision is that approval. */
static void approved_elsewhere(struct site *here, struct decision *ret_decision)
{
    void *state = NULL;
    char text[SITE_JOB_BYTES];
    assert_int_equal(site_make(&state), 0);
    struct site *other = state;
    struct job_record record = {.bytes = NULL};
    const struct approval_limits limits = {.rounds = 0};
    const struct policy_limits many = {16, 1000, 1000, 100000};
    const struct job_quota quota = {.limits = &many};
    bool is_new = false;
    site_job(here, &(struct job_words){0}, text);
    must(store_job_find(here->store, &here->job_id, &record));
    must(store_job_add(other->store, &record, &quota, &is_new));
    must(approval_give(other->store, other->identity, &record, &limits, "owner", "", SITE_NOW));
    must(store_approval(other->store, &here->job_id, ret_decision));
    job_record_clear(&record);
    assert_int_equal(site_remove(&state), 0);
}

static void insert(struct site *site, const struct decision *decision)
{
    struct query query;
    query_start(&query, site->store->database,
                "INSERT INTO decision (job_id, kind, rounds, runs, expires, dataset_digest, decided_at, "
                "decided_by, reason, statement, signature, version, hold, allow_growth, dataset_rows) "
                "VALUES (?, 'approve', ?, ?, ?, ?, ?, ?, ?, ?, ?, 2, 'never', 0, ?)");
    query_bind_blob(&query, decision->job_id.bytes, DIGEST_BYTES);
    query_bind_int(&query, decision->rounds);
    query_bind_int(&query, decision->runs);
    query_bind_int(&query, decision->expires);
    query_bind_blob(&query, decision->dataset_digest.bytes, DIGEST_BYTES);
    query_bind_int(&query, decision->decided_at);
    query_bind_text(&query, decision->decided_by);
    query_bind_text(&query, decision->reason);
    query_bind_blob(&query, decision->statement, decision->statement_bytes);
    query_bind_blob(&query, decision->signature, SIGNATURE_BYTES);
    query_bind_int(&query, (int64_t)decision->dataset_rows);
    must(query_finish(&query));
    site_sql(site, "UPDATE job SET state = 'approved'");
}

static void submit(struct site *site)
{
    char text[SITE_JOB_BYTES];
    site_job(site, &(struct job_words){0}, text);
    site_expect_state(site_submit(site, text), PENDING);
}

static void test_attack_approval_copied_from_another_site_untrusted(void **state)
{
    struct site *site = *state;
    struct decision decision;
    submit(site);
    approved_elsewhere(site, &decision);
    insert(site, &decision);
    site_expect_refusal(site_train(site, 1, 0), ERROR_UNTRUSTED, "not the one that was signed");
    assert_int_equal(site_released(site), 0);
}

/* The statement made this site's, byte by byte: then the signature is of something else. */
static void test_attack_approval_of_another_site_renamed_untrusted(void **state)
{
    struct site *site = *state;
    struct decision decision;
    submit(site);
    approved_elsewhere(site, &decision);
    memcpy(decision.statement + 14 + 4, identity_id(site->identity)->digest.bytes, DIGEST_BYTES);
    insert(site, &decision);
    site_expect_refusal(site_train(site, 1, 0), ERROR_UNTRUSTED, "signature");
    assert_int_equal(site_released(site), 0);
}

/* ---- a decision taken back in the file ---- */

static void test_attack_denial_taken_out_of_the_file_still_refuses(void **state)
{
    struct site *site = *state;
    submit(site);
    site_withhold(site, DECISION_DENY);
    site_sql(site, "UPDATE job SET state = 'pending'");
    site_sql(site, "DELETE FROM decision");
    site_approve(site, 0, 0, 0); /* whoever does that believes that the job is new */
    site_expect_refusal(site_train(site, 1, 0), ERROR_REFUSED, "denied");
    assert_int_equal(site_released(site), 0);
}

/* With the event taken out as well the daemon knows nothing of it any more (SECURITY.md); the chain does. */
static void test_attack_revocation_taken_out_with_its_event_breaks_the_chain(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_withhold(site, DECISION_REVOKE);
    site_sql(site, "DELETE FROM decision WHERE kind = 'revoke'");
    must(database_run(site->store->database, "DROP TRIGGER event_no_delete"));
    site_sql(site, "DELETE FROM event WHERE kind = 'job-revoked'");
    site_sql(site, "UPDATE job SET state = 'approved'");
    uint64_t gap = walk_events(site->store, site->identity).first_bad;
    assert_true(gap > 0);
    site_expect_type(site_train(site, 1, 0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
    assert_true(walk_events(site->store, site->identity).first_bad > 0); /* what follows does not hide it */
}

/* Runs and rounds counted back, and the approval's limits widened, one after the other. */
static void test_attack_limits_widened_in_the_file_release_nothing_more(void **state)
{
    static const char *const edits[] = {
        "UPDATE decision SET runs = 2",
        "UPDATE decision SET rounds = 3",
        "UPDATE decision SET expires = expires + 86400",
        "UPDATE decision SET hold = 'never'",
        "UPDATE decision SET allow_growth = 1",
        "UPDATE decision SET dataset_rows = 1",
    };
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        assert_int_equal(site_make(state), 0);
        struct site *site = *state;
        struct job_record record = {.bytes = NULL};
        const struct approval_limits limits = {
            .rounds = 1, .runs = 1, .expires = SITE_NOW + 60, .hold = HOLD_EVERY};
        submit(site);
        must(store_job_find(site->store, &site->job_id, &record));
        must(approval_give(site->store, site->identity, &record, &limits, "owner", "", SITE_NOW));
        job_record_clear(&record);
        site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, "looks at the numbers");
        site_sql(site, edits[i]);
        site_expect_refusal(site_train(site, 1, 0), ERROR_UNTRUSTED, "not the one that was signed");
        site_expect_refusal(site_train(site, 2, 0), ERROR_UNTRUSTED, "not the one that was signed");
        assert_int_equal(site_count(site, "SELECT count(*) FROM answer WHERE state = 'released'"), 0);
        assert_int_equal(site_remove(state), 0);
    }
}

/* Signatures that held are known for the looks before a release: never for other bytes, and never in the release. */
static void test_attack_approval_edited_between_rounds_untrusted(void **state)
{
    static const char *const edits[] = {
        "UPDATE decision SET signature = zeroblob(64)",
        "UPDATE decision SET signature = randomblob(64)",
        "UPDATE decision SET statement = zeroblob(250)",
        "UPDATE decision SET rounds = 2",
        "UPDATE decision SET version = 1",
    };
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        assert_int_equal(site_make(state), 0);
        struct site *site = *state;
        site_approved(site, &(struct job_words){0}, 0, 0);
        site_expect_type(site_train(site, 1, 0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
        site_sql(site, edits[i]);
        struct reply reply = site_train(site, 2, 0);
        assert_int_equal(reply.type, FDS__MESSAGE_TYPE__MESSAGE_REFUSAL);
        requests_reply_clear(&reply);
        assert_int_equal(site_count(site, "SELECT count(*) FROM answer"), 1);
        assert_int_equal(site_remove(state), 0);
    }
}

static struct error *find(struct site *site)
{
    struct approval approval;
    struct error *err = approval_find(site->store, site->identity, NULL, &site->job_id, &site->researcher,
                                      SITE_NOW, &approval);
    if (err == NULL)
        approval_clear(&approval);
    return err;
}

static void test_attack_signature_that_is_said_to_be_known_is_verified_in_the_release(void **state)
{
    struct site *site = *state;
    struct decision decision;
    struct digest digest;
    uint8_t all[PUBLIC_KEY_BYTES + SIGNATURE_BYTES + sizeof(decision.statement)] = {0};
    site_approved(site, &(struct job_words){0}, 0, 0);
    must(store_approval(site->store, &site->job_id, &decision));
    identity_public_key(site->identity, all);
    memcpy(all + PUBLIC_KEY_BYTES + SIGNATURE_BYTES, decision.statement, decision.statement_bytes);
    must(digest_of(all, PUBLIC_KEY_BYTES + SIGNATURE_BYTES + decision.statement_bytes, &digest));
    site_sql(site, "UPDATE decision SET signature = zeroblob(64)");
    refused(find(site), ERROR_UNTRUSTED, "signature");
    store_signature_note(site->store, &digest);
    must(find(site));
    must(store_release_begin(site->store));
    refused(find(site), ERROR_UNTRUSTED, "signature");
    store_release_rollback(site->store);
    must(store_secagg_begin(site->store)); /* after it, again */
    must(find(site));
    store_secagg_rollback(site->store);
}

/* What is known to hold is of these very bytes: an edit between two steps of a run is another statement. */
static void test_attack_approval_edited_after_it_was_found_untrusted_in_any_transaction(void **state)
{
    static const char *const edits[] = {
        "UPDATE decision SET signature = randomblob(64)",
        "UPDATE decision SET statement = zeroblob(250)",
        "UPDATE decision SET rounds = 2",
    };
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        assert_int_equal(site_make(state), 0);
        struct site *site = *state;
        site_approved(site, &(struct job_words){0}, 0, 0);
        must(find(site));
        must(find(site));
        site_sql(site, edits[i]);
        must(store_secagg_begin(site->store));
        refused(find(site), ERROR_UNTRUSTED, "decision");
        store_secagg_rollback(site->store);
        refused(find(site), ERROR_UNTRUSTED, "decision");
        assert_int_equal(site_remove(state), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_attack_stored_job_with_any_byte_changed_refused),
        TEST(test_attack_submitted_job_with_any_byte_changed_is_not_approved),
        TEST(test_attack_approval_copied_from_another_site_untrusted),
        TEST(test_attack_approval_of_another_site_renamed_untrusted),
        cmocka_unit_test(test_attack_approval_edited_between_rounds_untrusted),
        TEST(test_attack_signature_that_is_said_to_be_known_is_verified_in_the_release),
        cmocka_unit_test(test_attack_approval_edited_after_it_was_found_untrusted_in_any_transaction),
        TEST(test_attack_denial_taken_out_of_the_file_still_refuses),
        TEST(test_attack_revocation_taken_out_with_its_event_breaks_the_chain),
        cmocka_unit_test(test_attack_limits_widened_in_the_file_release_nothing_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
