/* The owner's word: narrowing, signatures, and rows of site.db that somebody edited. */
#include "tests/unit/datasite/site.h"
#include "tests/unit/datasite/version_1.h"

#include "datasite/store_internal.h"

#include <sys/wait.h>
#include <unistd.h>

#define TRAIN_REFUSED(site, code, words)                                                                     \
    do {                                                                                                     \
        int64_t held = site_released(site);                                                                  \
        site_expect_refusal(site_train((site), 1, 0), (code), (words));                                      \
        assert_int_equal(site_released(site), held);                                                         \
        assert_int_equal(site_count((site), "SELECT count(*) FROM run"), 0);                                 \
    } while (0)

static struct error *give(struct site *site, struct approval_limits limits)
{
    struct job_record record = {.bytes = NULL};
    must(store_job_find(site->store, &site->job_id, &record));
    struct error *err =
        approval_give(site->store, site->identity, &record, &limits, "owner", "", site_clock() / 1000);
    job_record_clear(&record);
    return err;
}

static void submit(struct site *site, const struct job_words *words)
{
    char text[SITE_JOB_BYTES];
    site_job(site, words, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
}

static void test_approval_more_rounds_than_job_refused(void **state)
{
    struct site *site = *state;
    submit(site, &(struct job_words){.rounds = 3});
    refused(give(site, (struct approval_limits){.rounds = 4}), ERROR_INVALID, "narrow");
    assert_int_equal(site_count(site, "SELECT count(*) FROM decision"), 0);
}

static void test_approval_later_end_than_job_refused(void **state)
{
    struct site *site = *state;
    submit(site, &(struct job_words){.expires = "2027-01-31T00:00:00Z"});
    refused(give(site, (struct approval_limits){.expires = 1801353600 + 86400 * 400}), ERROR_INVALID,
            "narrow");
}

static void test_approval_fewer_rounds_than_job_hold(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){.rounds = 3}, 1, 1);
    site_expect_type(site_train(site, 1, 0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
    site_expect_refusal(site_train(site, 2, 0), ERROR_REFUSED, "outside the 1 rounds");
}

static void test_approval_pending_job_cannot_train(void **state)
{
    struct site *site = *state;
    submit(site, &(struct job_words){0});
    TRAIN_REFUSED(site, ERROR_REFUSED, "waits");
}

static void test_approval_denied_job_cannot_train(void **state)
{
    struct site *site = *state;
    submit(site, &(struct job_words){0});
    site_withhold(site, DECISION_DENY);
    TRAIN_REFUSED(site, ERROR_REFUSED, "denied");
}

static void test_approval_denied_job_cannot_be_approved(void **state)
{
    struct site *site = *state;
    submit(site, &(struct job_words){0});
    site_withhold(site, DECISION_DENY);
    refused(give(site, (struct approval_limits){0}), ERROR_CONFLICT, "denied");
}

static void test_approval_revoked_job_cannot_train(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_withhold(site, DECISION_REVOKE);
    TRAIN_REFUSED(site, ERROR_REFUSED, "revoked");
}

static void test_approval_expired_cannot_train(void **state)
{
    struct site *site = *state;
    submit(site, &(struct job_words){0});
    site_approve(site, 0, 0, SITE_NOW + 60);
    site_move_clock(SITE_NOW + 60);
    TRAIN_REFUSED(site, ERROR_EXPIRED, "expired");
}

static void test_approval_of_an_expired_job_refused(void **state)
{
    struct site *site = *state;
    submit(site, &(struct job_words){0});
    site_move_clock(1900000000);
    refused(give(site, (struct approval_limits){0}), ERROR_EXPIRED, "time is over");
}

static void test_approval_state_without_decision_untrusted(void **state)
{
    struct site *site = *state;
    submit(site, &(struct job_words){0});
    site_sql(site, "UPDATE job SET state = 'approved'");
    TRAIN_REFUSED(site, ERROR_UNTRUSTED, "nobody approved");
}

/* Each of these edits one stored value of an approval that holds. */
static void test_approval_edited_rows_untrusted(void **state)
{
    static const struct {
        const char *sql, *words;
    } edits[] = {
        {"UPDATE decision SET rounds = 2", "not the one that was signed"},
        {"UPDATE decision SET runs = 9", "not the one that was signed"},
        {"UPDATE decision SET expires = expires + 1", "not the one that was signed"},
        {"UPDATE decision SET decided_at = decided_at + 1", "not the one that was signed"},
        {"UPDATE decision SET decided_by = 'policy:any'", "not the one that was signed"},
        {"UPDATE decision SET reason = 'because'", "not the one that was signed"},
        {"UPDATE decision SET dataset_digest = zeroblob(32)", "not the one that was signed"},
        {"UPDATE decision SET statement = zeroblob(250)", "not the one that was signed"},
        {"UPDATE decision SET statement = substr(statement, 1, 234)", "not the one that was signed"},
        {"UPDATE decision SET statement = zeroblob(10)", "not the one that was signed"},
        {"UPDATE decision SET signature = zeroblob(64)", "signature"},
        {"UPDATE decision SET hold = 'every'", "not the one that was signed"},
        {"UPDATE decision SET allow_growth = 1", "not the one that was signed"},
        {"UPDATE decision SET dataset_rows = dataset_rows + 1", "not the one that was signed"},
        {"UPDATE decision SET version = 1, dataset_rows = 0", "not the one that was signed"},
        {"UPDATE decision SET version = 1, statement = substr(statement, 1, 234)", "says more"},
        {"UPDATE job SET bytes = CAST(replace(CAST(bytes AS TEXT), 'rounds: 3', 'rounds: 9') AS BLOB)",
         "not those that were submitted"},
    };
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        assert_int_equal(site_make(state), 0);
        struct site *site = *state;
        site_approved(site, &(struct job_words){0}, 0, 0);
        site_sql(site, edits[i].sql);
        TRAIN_REFUSED(site, ERROR_UNTRUSTED, edits[i].words);
        assert_int_equal(site_remove(state), 0);
    }
}

static void test_approval_moved_to_another_requester_untrusted(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_sql(site, "UPDATE job SET requester = zeroblob(32)");
    memset(&site->researcher, 0, sizeof(site->researcher));
    TRAIN_REFUSED(site, ERROR_UNTRUSTED, "not the one that was signed");
}

static void test_approval_copied_to_another_job_untrusted(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){.name = "first"}, 0, 0);
    submit(site, &(struct job_words){.name = "second"});
    site_sql(site, "UPDATE job SET state = 'approved'");
    site_sql(site, "INSERT INTO decision SELECT NULL, (SELECT job_id FROM job WHERE CAST(bytes AS TEXT) LIKE "
                   "'%second%'), "
                   "kind, rounds, runs, expires, dataset_digest, decided_at, decided_by, reason, statement, "
                   "signature, version, hold, allow_growth, dataset_rows FROM decision");
    TRAIN_REFUSED(site, ERROR_UNTRUSTED, "not the one that was signed");
}

static void test_approval_changed_dataset_refused(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_sql(site, "UPDATE dataset SET digest = zeroblob(32)");
    TRAIN_REFUSED(site, ERROR_REFUSED, "changed");
}

static void test_approval_missing_dataset_refused_without_names(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site_sql(site, "UPDATE dataset SET name = 'other'");
    TRAIN_REFUSED(site, ERROR_REFUSED, "no longer at this site");
}

static void test_approval_signed_by_another_key_untrusted(void **state)
{
    struct site *site = *state;
    struct identity *other = NULL;
    struct decision decision;
    char keys[160];
    site_approved(site, &(struct job_words){0}, 0, 0);
    must(identity_create(workspace_file(site->workspace, "other", keys), "other", &other));
    must(store_approval(site->store, &site->job_id, &decision));
    must(approval_verify(site->identity, &site->researcher, &decision));
    must(approval_make(other, &site->researcher, &decision));
    refused(approval_verify(site->identity, &site->researcher, &decision), ERROR_UNTRUSTED, "not the one");
    identity_free(other);
}

/* Puts a version-1 approval in the place of the one that was given. */
static void replace_with_version_1(struct site *site)
{
    struct decision decision;
    struct query query;
    must(store_approval(site->store, &site->job_id, &decision));
    assert_int_equal(decision.version, 2);
    assert_int_equal(decision.statement_bytes, APPROVAL_STATEMENT_BYTES);
    version_1_sign(site->identity, &site->researcher, &decision);
    query_start(&query, site->store->database,
                "UPDATE decision SET version = 1, dataset_rows = 0, statement = ?, signature = ?");
    query_bind_blob(&query, decision.statement, decision.statement_bytes);
    query_bind_blob(&query, decision.signature, SIGNATURE_BYTES);
    must(query_finish(&query));
}

static void test_approval_of_version_1_still_holds(void **state)
{
    struct site *site = *state;
    struct decision decision;
    site_approved(site, &(struct job_words){0}, 0, 0);
    replace_with_version_1(site);
    must(store_approval(site->store, &site->job_id, &decision));
    assert_int_equal(decision.statement_bytes, APPROVAL_STATEMENT_BYTES_1);
    must(approval_verify(site->identity, &site->researcher, &decision));
    site_expect_type(site_train(site, 1, 0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
}

/* What its statement does not cover must say nothing. */
static void test_approval_of_version_1_that_says_more_untrusted(void **state)
{
    static const struct {
        const char *sql, *words;
    } edits[] = {
        {"UPDATE decision SET hold = 'every'", "says more"},
        {"UPDATE decision SET allow_growth = 1", "says more"},
        {"UPDATE decision SET dataset_rows = 6000", "says more"},
        {"UPDATE decision SET version = 2", "not the one that was signed"},
        {"UPDATE decision SET rounds = 2", "not the one that was signed"},
        {"UPDATE decision SET signature = zeroblob(64)", "signature"},
    };
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        assert_int_equal(site_make(state), 0);
        struct site *site = *state;
        site_approved(site, &(struct job_words){0}, 0, 0);
        replace_with_version_1(site);
        site_sql(site, edits[i].sql);
        TRAIN_REFUSED(site, ERROR_UNTRUSTED, edits[i].words);
        assert_int_equal(site_remove(state), 0);
    }
}

/* Decides in a process of its own, when the pipe closes; its exit status says who won. */
static pid_t race(struct site *site, const int gate[2], bool approve)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    char byte;
    struct job_record record = {.bytes = NULL};
    struct approval_limits limits = {0};
    (void)close(gate[1]);
    struct store *store = workspace_store(site->workspace);
    must(store_job_find(store, &site->job_id, &record));
    ssize_t got = read(gate[0], &byte, 1);
    (void)got;
    struct error *err =
        approve ? approval_give(store, site->identity, &record, &limits, "owner", "", SITE_NOW)
                : approval_withhold(store, site->identity, &record, DECISION_DENY, "owner", "", SITE_NOW);
    _exit(err == NULL ? 0 : err->code == ERROR_CONFLICT ? 1 : 2);
}

static void test_approval_two_deciders_one_wins(void **state)
{
    struct site *site = *state;
    int gate[2];
    int first = -1, second = -1;
    submit(site, &(struct job_words){0});
    site_pause(site);
    assert_int_equal(pipe(gate), 0);
    pid_t one = race(site, gate, true);
    pid_t two = race(site, gate, false);
    (void)close(gate[0]);
    (void)close(gate[1]);
    assert_int_equal(waitpid(one, &first, 0), one);
    assert_int_equal(waitpid(two, &second, 0), two);
    assert_true(WIFEXITED(first) && WIFEXITED(second));
    assert_int_equal(WEXITSTATUS(first) + WEXITSTATUS(second), 1);
    site_resume(site);
    assert_int_equal(site_count(site, "SELECT count(*) FROM decision"), 1);
}

static void test_approval_of_an_unlisted_requester_lists_it(void **state)
{
    struct site *site = *state;
    assert_int_equal(site_count(site, "SELECT count(*) FROM peer"), 0);
    site_approved(site, &(struct job_words){0}, 0, 0);
    assert_int_equal(site_count(site, "SELECT count(*) FROM peer WHERE added_by = 'approval'"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_approval_more_rounds_than_job_refused),
        TEST(test_approval_later_end_than_job_refused),
        TEST(test_approval_fewer_rounds_than_job_hold),
        TEST(test_approval_pending_job_cannot_train),
        TEST(test_approval_denied_job_cannot_train),
        TEST(test_approval_denied_job_cannot_be_approved),
        TEST(test_approval_revoked_job_cannot_train),
        TEST(test_approval_expired_cannot_train),
        TEST(test_approval_of_an_expired_job_refused),
        TEST(test_approval_state_without_decision_untrusted),
        cmocka_unit_test(test_approval_edited_rows_untrusted),
        TEST(test_approval_moved_to_another_requester_untrusted),
        TEST(test_approval_copied_to_another_job_untrusted),
        TEST(test_approval_changed_dataset_refused),
        TEST(test_approval_missing_dataset_refused_without_names),
        TEST(test_approval_signed_by_another_key_untrusted),
        TEST(test_approval_of_version_1_still_holds),
        cmocka_unit_test(test_approval_of_version_1_that_says_more_untrusted),
        TEST(test_approval_two_deciders_one_wins),
        TEST(test_approval_of_an_unlisted_requester_lists_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
