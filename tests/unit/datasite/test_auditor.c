/* What somebody can do to site.db with the file in hand and without the key, and what the auditor says of it. */
#include "datasite/auditor.h"

#include "datasite/release.h"
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

static struct error *check_chain(const struct site *site)
{
    struct auditor auditor = auditor_of(site);
    struct auditor_findings findings;
    return auditor_check_chain(&auditor, &findings);
}

static struct error *check_answers(const struct site *site)
{
    struct auditor auditor = auditor_of(site);
    struct auditor_findings findings;
    return auditor_check_answers(&auditor, &findings);
}

/* Takes away what keeps a person with the sqlite3 program from changing events. */
static void unlock(struct site *site)
{
    must(database_run(site->store->database, "DROP TRIGGER event_no_update"));
    must(database_run(site->store->database, "DROP TRIGGER event_no_delete"));
    must(database_run(site->store->database, "DROP TRIGGER event_chained"));
    must(database_run(site->store->database, "PRAGMA foreign_keys = OFF"));
}

static void says(struct error *err, const char *words)
{
    refused(err, ERROR_UNTRUSTED, words);
}

static uint64_t last_event(struct site *site)
{
    return (uint64_t)site_count(site, "SELECT max(id) FROM event");
}

static uint64_t first_release(struct site *site)
{
    return (uint64_t)site_count(site, "SELECT min(id) FROM event WHERE kind = 'update-released'");
}

/* ---- the chain ---- */

static void test_auditor_finds_nothing_in_an_honest_site(void **state)
{
    struct site *site = *state;
    struct auditor auditor = auditor_of(site);
    struct auditor_findings findings;
    must(auditor_check_chain(&auditor, &findings));
    must(auditor_check_answers(&auditor, &findings));
    assert_int_equal(findings.events, last_event(site));
    assert_int_equal(findings.answers, 3);
    assert_int_equal(findings.unsigned_events, 0);
}

static void test_auditor_names_an_edited_event(void **state)
{
    struct site *site = *state;
    char words[64];
    unlock(site);
    (void)snprintf(words, sizeof(words), "Event %u was edited", (unsigned)first_release(site));
    site_sql(site,
             "UPDATE event SET detail = detail || '.' WHERE id = (SELECT min(id) FROM event WHERE kind = "
             "'update-released')");
    says(check_chain(site), words);
}

/* Each column of an event that somebody could want to be otherwise. */
static void test_auditor_finds_every_edited_column(void **state)
{
    static const char *const edits[][2] = {
        {"UPDATE event SET at = at - 1 WHERE id = 3", "UPDATE event SET at = at + 1 WHERE id = 3"},
        {"UPDATE event SET kind = kind || 'x' WHERE id = 3",
         "UPDATE event SET kind = substr(kind, 1, length(kind) - 1) WHERE id = 3"},
        {"UPDATE event SET round = coalesce(round, 0) + 1 WHERE id = 3",
         "UPDATE event SET round = nullif(round - 1, 0) WHERE id = 3"},
        {"UPDATE event SET run_id = CASE WHEN run_id IS NULL THEN zeroblob(16) END WHERE id = 1",
         "UPDATE event SET run_id = NULL WHERE id = 1"},
        {"UPDATE event SET digest = zeroblob(32) WHERE id = 3 AND digest IS NULL",
         "UPDATE event SET digest = NULL WHERE id = 3"},
    };
    struct site *site = *state;
    unlock(site);
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        must(database_run(site->store->database, edits[i][0]));
        assert_true(database_changes(site->store->database) == 1);
        says(check_chain(site), "was edited");
        must(database_run(site->store->database, edits[i][1]));
        must(check_chain(site));
    }
}

static void test_auditor_names_a_removed_event(void **state)
{
    struct site *site = *state;
    unlock(site);
    site_sql(site, "DELETE FROM event WHERE id = 3");
    says(check_chain(site), "Event 3 was removed");
}

static void test_auditor_names_a_removed_event_whose_place_was_filled(void **state)
{
    struct site *site = *state;
    unlock(site);
    site_sql(site, "DELETE FROM event WHERE id = 3");
    site_sql(site, "UPDATE event SET id = -(id - 1) WHERE id > 3");
    site_sql(site, "UPDATE event SET id = -id WHERE id < 0");
    site_sql(site, "UPDATE sqlite_sequence SET seq = (SELECT max(id) FROM event) WHERE name = 'event'");
    says(check_chain(site), "Event 3 was removed: what stands in its place was signed as event 4");
}

static void test_auditor_names_reordered_events(void **state)
{
    struct site *site = *state;
    unlock(site);
    site_sql(site, "UPDATE event SET id = -2 WHERE id = 2");
    site_sql(site, "UPDATE event SET id = 2 WHERE id = 4");
    site_sql(site, "UPDATE event SET id = 4 WHERE id = -2");
    says(check_chain(site), "what this site signed as event 2 stands now as event 4");
}

/* The hashes and signatures stay, and what they are of changes places. */
static void test_auditor_names_events_whose_contents_changed_places(void **state)
{
    struct site *site = *state;
    unlock(site);
    site_sql(site, "CREATE TABLE kept AS SELECT * FROM event WHERE id IN (2, 4)");
    site_sql(site,
             "UPDATE event SET (at, kind, job_id, run_id, round, detail, digest) = (SELECT at, kind, job_id, "
             "run_id, round, detail, digest FROM kept WHERE kept.id = 6 - event.id) WHERE id IN (2, 4)");
    says(check_chain(site), "what this site signed as event 2 stands now as event 4");
}

static void test_auditor_names_a_truncation(void **state)
{
    struct site *site = *state;
    char words[64];
    uint64_t last = last_event(site);
    unlock(site);
    (void)snprintf(words, sizeof(words), "what followed event %u was cut off", (unsigned)last - 2);
    site_sql(site, "DELETE FROM event WHERE id > (SELECT max(id) - 2 FROM event)");
    says(check_chain(site), words);
}

static void test_auditor_finds_an_edited_count(void **state)
{
    struct site *site = *state;
    unlock(site);
    site_sql(site, "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'event'");
    says(check_chain(site), "count of events was edited");
}

static void test_auditor_finds_that_all_events_are_gone(void **state)
{
    struct site *site = *state;
    unlock(site);
    site_sql(site, "DELETE FROM event");
    site_sql(site, "DELETE FROM sqlite_sequence WHERE name = 'event'");
    says(check_chain(site), "no events at all");
}

static void test_auditor_finds_a_hash_that_was_wiped(void **state)
{
    struct site *site = *state;
    unlock(site);
    site_sql(site, "UPDATE event SET hash = NULL WHERE id = 3");
    says(check_chain(site), "Event 3 was edited: its hash or its signature is gone");
}

/* As version 1 wrote them: without hashes, which the first one covers, and the site stated that. */
static void test_auditor_takes_events_from_before_the_chain(void **state)
{
    struct site *site = *state;
    struct auditor auditor = auditor_of(site);
    struct auditor_findings findings;
    unlock(site);
    site_sql(site, "DELETE FROM event WHERE id > 3");
    site_sql(site, "UPDATE event SET hash = NULL, signature = NULL");
    site_sql(site, "UPDATE sqlite_sequence SET seq = 3 WHERE name = 'event'");
    must(store_chain_adopt(site->store, SITE_NOW));
    must(store_event_add(site->store, EVENT_SERVE_STARTED, NULL, NULL, 0, SITE_NOW, "", NULL));
    must(auditor_check_chain(&auditor, &findings));
    assert_int_equal(findings.unsigned_events, 3);
    assert_int_equal(findings.events, 5);
    site_sql(site, "UPDATE event SET detail = detail || '.' WHERE id = 2");
    says(check_chain(site), "Events 1 to 3 were edited");
}

/* Events that nobody stated, as if they were older than the chain. */
static void test_auditor_finds_hashes_wiped_at_the_beginning(void **state)
{
    struct site *site = *state;
    unlock(site);
    site_sql(site, "UPDATE event SET hash = NULL, signature = NULL WHERE id <= 3");
    says(check_chain(site), "Events 1 to 3 were edited");
}

static void test_auditor_finds_all_hashes_wiped(void **state)
{
    struct site *site = *state;
    unlock(site);
    site_sql(site, "UPDATE event SET hash = NULL, signature = NULL");
    says(check_chain(site), "is signed");
}

/* Everything is computed anew, and signed with a key that the attacker has. */
static void test_auditor_finds_a_chain_that_another_key_signed(void **state)
{
    struct site *site = *state;
    char keys[160];
    struct identity *other = NULL;
    must(identity_create(workspace_file(site->workspace, "other", keys), "site", &other));
    store_sign_with(site->store, other);
    unlock(site);
    site_sql(site, "DELETE FROM event");
    site_sql(site, "DELETE FROM sqlite_sequence WHERE name = 'event'");
    must(store_event_add(site->store, EVENT_SITE_CREATED, NULL, NULL, 0, SITE_NOW, "site", NULL));
    must(store_event_add(site->store, EVENT_SERVE_STARTED, NULL, NULL, 0, SITE_NOW, "", NULL));
    says(check_chain(site), "Event 1 was edited");
    store_sign_with(site->store, site->identity);
    identity_free(other);
}

/* The attacker computes the hash of the edited last event, and cannot sign it. */
static void test_auditor_finds_a_hash_without_its_signature(void **state)
{
    struct site *site = *state;
    char words[64];
    uint64_t last = last_event(site);
    struct digest previous, hash;
    uint8_t signature[SIGNATURE_BYTES];
    struct chain_head head;
    const struct chain_event event = {
        .sequence = last, .at = SITE_NOW, .kind = "serve-stopped", .detail = "nothing happened"};
    unlock(site);
    site_sql(
        site,
        "UPDATE event SET at = 1790000000, kind = 'serve-stopped', job_id = NULL, run_id = NULL, round = "
        "NULL, detail = 'nothing happened', digest = NULL WHERE id = (SELECT max(id) FROM event)");
    site_sql(site, "UPDATE event SET id = -id WHERE id = (SELECT max(id) FROM event)");
    must(store_head(site->store, &head, signature));
    previous = head.hash;
    site_sql(site, "UPDATE event SET id = -id WHERE id < 0");
    must(chain_next(&previous, &event, &hash));
    struct query query;
    query_start(&query, site->store->database, "UPDATE event SET hash = ? WHERE id = ?");
    query_bind_blob(&query, hash.bytes, DIGEST_BYTES);
    query_bind_int(&query, (int64_t)last);
    must(query_finish(&query));
    (void)snprintf(words, sizeof(words), "Event %u was not written by this site", (unsigned)last);
    says(check_chain(site), words);
}

/* ---- answers ---- */

static void test_auditor_finds_an_edited_answer(void **state)
{
    struct site *site = *state;
    site_sql(site, "UPDATE answer SET body = zeroblob(length(body)) WHERE round = 2");
    says(check_answers(site), "round 2");
}

static void test_auditor_finds_an_answer_of_another_round(void **state)
{
    struct site *site = *state;
    site_sql(site, "UPDATE answer SET round = 3 WHERE round = 2");
    says(check_answers(site), "round 3");
}

static void test_auditor_finds_an_answer_without_a_run(void **state)
{
    struct site *site = *state;
    unlock(site);
    site_sql(site, "UPDATE answer SET run_id = zeroblob(16) WHERE round = 2");
    says(check_answers(site), "no run");
}

static void test_auditor_finds_an_edited_receipt(void **state)
{
    struct site *site = *state;
    site_sql(site,
             "UPDATE answer SET receipt = (SELECT receipt FROM answer WHERE round = 2) WHERE round = 1 AND "
             "kind = 'update'");
    says(check_answers(site), "another round");
}

static void expect_held(struct site *site, uint32_t round)
{
    site_expect_refusal(site_train(site, round, 0.1), ERROR_HELD, "looks");
}

/* Three rounds that the owner looks at: one leaves, one is refused, one still waits. */
static void test_auditor_follows_held_answers(void **state)
{
    struct site *site = *state;
    struct job_record record = {.bytes = NULL};
    const struct approval_limits limits = {.hold = HOLD_EVERY, .runs = 1};
    char text[SITE_JOB_BYTES];
    site->run[0] = 9;
    site_job(site, &(struct job_words){.name = "looked-at", .rounds = 3}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
    must(store_job_find(site->store, &site->job_id, &record));
    must(approval_give(site->store, site->identity, &record, &limits, "owner", "", SITE_NOW));
    job_record_clear(&record);
    struct release_held held = {.store = site->store,
                                .identity = site->identity,
                                .gate = &site->policy.gate,
                                .job_id = &site->job_id,
                                .run_id = site->run,
                                .round = 1,
                                .kind = ANSWER_UPDATE,
                                .now = SITE_NOW};
    expect_held(site, 1);
    must(release_held_out(&held));
    expect_held(site, 2);
    held.round = 2;
    must(release_held_refuse(&held, "not these"));
    expect_held(site, 3);
    must(check_chain(site));
    must(check_answers(site));
    site_sql(site, "UPDATE answer SET state = 'released' WHERE state = 'held'");
    says(check_answers(site), "round 3");
    site_sql(site, "UPDATE answer SET state = 'held' WHERE round = 3 AND state = 'released'");
    must(check_answers(site));
    site_sql(site, "UPDATE answer SET state = 'released' WHERE state = 'refused'");
    says(check_answers(site), "round 2");
}

#define STORY_TEST(function) cmocka_unit_test_setup_teardown(function, story_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY_TEST(test_auditor_finds_nothing_in_an_honest_site),
        STORY_TEST(test_auditor_names_an_edited_event),
        STORY_TEST(test_auditor_finds_every_edited_column),
        STORY_TEST(test_auditor_names_a_removed_event),
        STORY_TEST(test_auditor_names_a_removed_event_whose_place_was_filled),
        STORY_TEST(test_auditor_names_reordered_events),
        STORY_TEST(test_auditor_names_events_whose_contents_changed_places),
        STORY_TEST(test_auditor_names_a_truncation),
        STORY_TEST(test_auditor_finds_an_edited_count),
        STORY_TEST(test_auditor_finds_that_all_events_are_gone),
        STORY_TEST(test_auditor_finds_a_hash_that_was_wiped),
        STORY_TEST(test_auditor_takes_events_from_before_the_chain),
        STORY_TEST(test_auditor_finds_hashes_wiped_at_the_beginning),
        STORY_TEST(test_auditor_finds_all_hashes_wiped),
        STORY_TEST(test_auditor_finds_a_chain_that_another_key_signed),
        STORY_TEST(test_auditor_finds_a_hash_without_its_signature),
        STORY_TEST(test_auditor_finds_an_edited_answer),
        STORY_TEST(test_auditor_finds_an_answer_of_another_round),
        STORY_TEST(test_auditor_finds_an_answer_without_a_run),
        STORY_TEST(test_auditor_finds_an_edited_receipt),
        STORY_TEST(test_auditor_follows_held_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
