/* The chain of events in site.db: how it grows, what is read of it, and every way to tamper with it. */
#include "datasite/store_internal.h"
#include "tests/unit/datasite/walk.h"
#include "tests/unit/datasite/workspace.h"

#include <sys/wait.h>
#include <unistd.h>

#define NOW 1790000000

static const struct digest job = {{0xab, 0xcd}}, body = {{0xb0}};
static const uint8_t run[STORE_RUN_ID_BYTES] = {7};

static void add(struct store *store, enum event_kind kind, int64_t at, const char *detail)
{
    must(store_event_add(store, kind, NULL, NULL, 0, at, detail, NULL));
}

/* Six events: 1 site-created, 2 job-received, 3 job-approved, 4 update-released of round 1, 5 peer-up, 6 job-revoked. */
static struct store *six(const struct workspace *workspace)
{
    struct store *store = workspace_store(workspace);
    add(store, EVENT_SITE_CREATED, NOW, "made");
    must(store_event_add(store, EVENT_JOB_RECEIVED, &job, NULL, 0, NOW + 1, "from researcher", NULL));
    must(store_event_add(store, EVENT_JOB_APPROVED, &job, NULL, 0, NOW + 2, "owner", NULL));
    must(store_event_add(store, EVENT_UPDATE_RELEASED, &job, run, 1, NOW + 3, "120 bytes", &body));
    add(store, EVENT_PEER_UP, NOW + 4, "researcher");
    must(store_event_add(store, EVENT_JOB_REVOKED, &job, NULL, 0, NOW + 5, "owner", NULL));
    return store;
}

static void sql(struct store *store, const char *text)
{
    must(database_run(store->database, text));
}

/* What somebody does who may write the file and knows how the events are kept. */
static void unguard(struct store *store)
{
    sql(store, "PRAGMA ignore_check_constraints = ON; DROP TRIGGER event_no_update; "
               "DROP TRIGGER event_no_delete; DROP TRIGGER event_chained");
}

/* ---- the chain ---- */

static void test_store_event_chain_recomputes(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = six(workspace);
    struct walk walk = walk_events(store, workspace->identity);
    assert_int_equal(walk.events, 6);
    assert_int_equal(walk.unsigned_events, 0);
    assert_int_equal(walk.first_bad, 0);
    store_close(store);
}

static void test_store_event_head_is_the_last_and_signed(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct chain_head head, other;
    uint8_t signature[SIGNATURE_BYTES], key[PUBLIC_KEY_BYTES];
    bool has = true;
    refused(store_head(store, &head, signature), ERROR_NOT_FOUND, "event");
    store_close(store);
    store = six(workspace);
    must(store_head(store, &head, signature));
    assert_int_equal(head.sequence, 6);
    identity_public_key(workspace->identity, key);
    must(chain_head_verify(key, &head, signature));
    must(store_has_head(store, &head, &has));
    assert_true(has);
    other = head;
    other.sequence = 5;
    must(store_has_head(store, &other, &has));
    assert_false(has);
    other.sequence = UINT64_MAX;
    must(store_has_head(store, &other, &has));
    assert_false(has);
    other = head;
    other.hash.bytes[31] ^= 1;
    must(store_has_head(store, &other, &has));
    assert_false(has);
    store_close(store);
}

static void test_store_event_tampered_is_noticed(void **state)
{
    static const struct {
        const char *sql;
        uint64_t bad; /* the event that is named */
    } edits[] = {
        {"UPDATE event SET at = at + 1 WHERE id = 3", 3},
        {"UPDATE event SET kind = 'job-denied' WHERE id = 3", 3},
        {"UPDATE event SET detail = 'policy:any' WHERE id = 3", 3},
        {"UPDATE event SET job_id = zeroblob(32) WHERE id = 3", 3},
        {"UPDATE event SET job_id = NULL WHERE id = 4", 4},
        {"UPDATE event SET run_id = zeroblob(16) WHERE id = 4", 4},
        {"UPDATE event SET round = 2 WHERE id = 4", 4},
        {"UPDATE event SET digest = zeroblob(32) WHERE id = 4", 4},
        {"UPDATE event SET hash = zeroblob(32) WHERE id = 4", 4},
        {"UPDATE event SET signature = zeroblob(64) WHERE id = 4", 4},
        {"UPDATE event SET hash = NULL, signature = NULL WHERE id = 4", 4},
        {"DELETE FROM event WHERE id = 1", 2},
        {"DELETE FROM event WHERE id = 4", 5},
        {"DELETE FROM event WHERE id = 4; UPDATE event SET id = 4 WHERE id = 5; "
         "UPDATE event SET id = 5 WHERE id = 6; UPDATE sqlite_sequence SET seq = 5 WHERE name = 'event'",
         4},
        {"UPDATE event SET id = 99 WHERE id = 4; UPDATE event SET id = 4 WHERE id = 5; "
         "UPDATE event SET id = 5 WHERE id = 99",
         4},
        {"INSERT INTO event SELECT 7, at, kind, job_id, run_id, round, detail, digest, hash, signature "
         "FROM event WHERE id = 6",
         7},
        {"DELETE FROM event WHERE id = 6", 6},
        {"DELETE FROM event WHERE id > 3", 4},
        {"DELETE FROM event", 1},
    };
    const struct workspace *workspace = NULL;
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        assert_int_equal(workspace_make(state), 0);
        workspace = *state;
        struct store *store = six(workspace);
        unguard(store);
        sql(store, edits[i].sql);
        assert_int_equal(walk_events(store, workspace->identity).first_bad, edits[i].bad);
        store_close(store);
        assert_int_equal(workspace_remove(state), 0);
    }
}

/* Events at the end are removed and the site goes on: the gap stays. */
static void test_store_event_behind_a_truncation_leaves_a_gap(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = six(workspace);
    unguard(store);
    sql(store, "DELETE FROM event WHERE id > 4");
    add(store, EVENT_PEER_DOWN, NOW + 9, "researcher");
    struct walk walk = walk_events(store, workspace->identity);
    assert_int_equal(walk.events, 5);
    assert_int_equal(walk.first_bad, 7);
    store_close(store);
}

/* Whoever edits events can compute their hashes too, but not sign them; the site does not sign on top of that. */
static void test_store_event_after_an_unsigned_head_is_refused(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = six(workspace);
    unguard(store);
    sql(store, "UPDATE event SET detail = 'nobody', hash = x'"
               "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff' WHERE id = 6");
    refused(store_event_add(store, EVENT_PEER_UP, NULL, NULL, 0, NOW, "x", NULL), ERROR_UNTRUSTED, "Event 6");
    store_close(store);
    store = workspace_store(workspace);
    refused(store_event_add(store, EVENT_PEER_UP, NULL, NULL, 0, NOW, "x", NULL), ERROR_UNTRUSTED, "Event 6");
    assert_int_equal(walk_events(store, workspace->identity).first_bad, 6);
    store_close(store);
}

/* Two stores of one process: what the one signed the other goes on from, and a head that neither signed both refuse. */
static void test_store_event_heads_are_shared_and_forged_ones_refused(void **state)
{
    const struct workspace *workspace = *state;
    struct store *one = six(workspace), *other = workspace_store(workspace);
    store_share_heads(other, one);
    add(other, EVENT_PEER_UP, NOW, "a");
    add(one, EVENT_PEER_UP, NOW, "b");
    add(other, EVENT_PEER_UP, NOW, "c");
    assert_int_equal(walk_events(one, workspace->identity).first_bad, 0);
    unguard(one);
    sql(one, "UPDATE event SET hash = x'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff' "
             "WHERE id = (SELECT max(id) FROM event)");
    refused(store_event_add(one, EVENT_PEER_UP, NULL, NULL, 0, NOW, "x", NULL), ERROR_UNTRUSTED, "Event 9");
    refused(store_event_add(other, EVENT_PEER_UP, NULL, NULL, 0, NOW, "x", NULL), ERROR_UNTRUSTED, "Event 9");
    store_close(one);
    refused(store_event_add(other, EVENT_PEER_UP, NULL, NULL, 0, NOW, "x", NULL), ERROR_UNTRUSTED, "Event 9");
    store_close(other);
}

/* ---- adding ---- */

static void test_store_event_changed_or_without_hash_is_refused_by_the_file(void **state)
{
    struct store *store = six(*state);
    refused(database_run(store->database, "INSERT INTO event (at, kind, detail) VALUES (1, 'peer-up', '')"),
            ERROR_CONFLICT, "chained and signed");
    refused(database_run(store->database, "UPDATE event SET at = 0 WHERE id = 1"), ERROR_CONFLICT,
            "never changed");
    refused(database_run(store->database, "DELETE FROM event WHERE id = 6"), ERROR_CONFLICT, "never removed");
    store_close(store);
}

static void test_store_event_without_the_sites_key_is_a_bug(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = six(workspace);
    struct chain_head head;
    uint8_t signature[SIGNATURE_BYTES];
    store_sign_with(store, NULL);
    refused(store_event_add(store, EVENT_PEER_UP, NULL, NULL, 0, NOW, "x", NULL), ERROR_INTERNAL, "key");
    refused(store_head(store, &head, signature), ERROR_INTERNAL, "key");
    store_sign_with(store, workspace->identity);
    assert_int_equal(walk_events(store, workspace->identity).events, 6);
    store_close(store);
}

static void test_store_event_rolled_back_leaves_no_gap(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = six(workspace);
    must(database_begin(store->database));
    add(store, EVENT_PEER_UP, NOW + 7, "first");
    add(store, EVENT_PEER_UP, NOW + 7, "second");
    database_rollback(store->database);
    add(store, EVENT_PEER_DOWN, NOW + 8, "third");
    struct walk walk = walk_events(store, workspace->identity);
    assert_int_equal(walk.events, 7);
    assert_int_equal(walk.first_bad, 0);
    store_close(store);
}

/* Adds twenty events outside any transaction of its own making, and dies. */
static pid_t writer(const struct workspace *workspace)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    struct store *store = workspace_store(workspace);
    for (int i = 0; i < 20; i++)
        add(store, EVENT_PEER_UP, NOW + i, "at once");
    _exit(0);
}

static void test_store_event_from_several_processes_is_one_chain(void **state)
{
    const struct workspace *workspace = *state;
    pid_t children[4];
    store_close(six(workspace));
    for (size_t i = 0; i < 4; i++)
        children[i] = writer(workspace);
    for (size_t i = 0; i < 4; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    struct store *store = workspace_store(workspace);
    struct walk walk = walk_events(store, workspace->identity);
    assert_int_equal(walk.events, 86);
    assert_int_equal(walk.first_bad, 0);
    store_close(store);
}

/* As an older release left them: without hash and signature. */
static struct store *old_events(const struct workspace *workspace)
{
    struct store *store = workspace_store(workspace);
    sql(store, "DROP TRIGGER event_chained");
    sql(store, "INSERT INTO event (at, kind, job_id, run_id, round, detail, digest) VALUES "
               "(5, 'peer-added', NULL, NULL, NULL, 'researcher', NULL), "
               "(6, 'update-released', zeroblob(32), zeroblob(16), 3, '120 bytes', zeroblob(32)), "
               "(7, 'serve-stopped', NULL, NULL, NULL, '', NULL)");
    return store;
}

static void test_store_event_of_version_1_is_covered_by_the_first_hash(void **state)
{
    static const char *const edits[] = {
        "UPDATE event SET detail = 'other' WHERE id = 1",
        "UPDATE event SET round = 2 WHERE id = 2",
        "UPDATE event SET digest = NULL WHERE id = 2",
    };
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        assert_int_equal(workspace_make(state), 0);
        const struct workspace *workspace = *state;
        struct store *store = old_events(workspace);
        refused(store_event_add(store, EVENT_SERVE_STARTED, NULL, NULL, 0, NOW, "again", NULL),
                ERROR_UNTRUSTED, "has no hash");
        must(store_chain_adopt(store, NOW));
        must(store_chain_adopt(store, NOW));
        add(store, EVENT_PEER_UP, NOW, "researcher");
        struct walk walk = walk_events(store, workspace->identity);
        assert_int_equal(walk.events, 5);
        assert_int_equal(walk.unsigned_events, 3);
        assert_int_equal(walk.first_bad, 0);
        sql(store, "DROP TRIGGER event_no_update");
        sql(store, edits[i]);
        assert_int_equal(walk_events(store, workspace->identity).first_bad, 4);
        store_close(store);
        assert_int_equal(workspace_remove(state), 0);
    }
}

/* A daemon at work, and somebody empties the table and SQLite's count of it. */
static void test_store_event_is_not_added_to_an_emptied_chain(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = six(workspace);
    store_chain_begun(store);
    add(store, EVENT_PEER_UP, NOW, "researcher");
    sql(store, "DROP TRIGGER event_no_delete");
    sql(store, "DELETE FROM event");
    sql(store, "DELETE FROM sqlite_sequence WHERE name = 'event'");
    refused(store_event_add(store, EVENT_PEER_UP, NULL, NULL, 0, NOW, "researcher", NULL), ERROR_UNTRUSTED,
            "no events any more");
    store_close(store);
}

static void test_store_event_head_of_version_1_alone_is_not_found(void **state)
{
    struct store *store = old_events(*state);
    struct chain_head head;
    uint8_t signature[SIGNATURE_BYTES];
    refused(store_head(store, &head, signature), ERROR_NOT_FOUND, "signed");
    store_close(store);
}

/* ---- filters ---- */

struct seen {
    uint64_t sequences[16];
    size_t count;
    size_t with_requester;
};

static struct error *see(void *context, const struct event_record *record)
{
    struct seen *seen = context;
    seen->sequences[seen->count++] = record->event.sequence;
    seen->with_requester += record->has_requester ? 1 : 0;
    return NULL;
}

static void expect(struct store *store, struct event_filter filter, size_t count, const uint64_t *sequences)
{
    struct seen seen = {.count = 0};
    must(store_events(store, &filter, see, &seen));
    assert_int_equal(seen.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(seen.sequences[i], sequences[i]);
}
#define EXPECT(store, filter, ...)                                                                           \
    expect((store), (struct event_filter)filter, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t),       \
           (uint64_t[]){__VA_ARGS__})
#define ONLY(...)                                                                                            \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }

static void test_store_event_filters_choose(void **state)
{
    struct store *store = six(*state);
    const struct digest other = {{1}};
    EXPECT(store, ONLY(.since = NOW + 4), 5, 6);
    EXPECT(store, ONLY(.until = NOW + 1), 1, 2);
    EXPECT(store, ONLY(.since = NOW + 2, .until = NOW + 3), 3, 4);
    EXPECT(store, ONLY(.job_id = &job), 2, 3, 4, 6);
    EXPECT(store, ONLY(.kind = "job-revoked"), 6);
    EXPECT(store, ONLY(.first_sequence = 5), 5, 6);
    EXPECT(store, ONLY(.limit = 2), 5, 6);
    EXPECT(store, ONLY(.limit = 2, .job_id = &job), 4, 6);
    EXPECT(store, ONLY(.limit = 99), 1, 2, 3, 4, 5, 6);
    EXPECT(store, ONLY(.limit = 3, .first_sequence = 5), 5, 6);
    expect(store, (struct event_filter){.job_id = &other}, 0, NULL);
    expect(store, (struct event_filter){.job_id = &other, .limit = 1}, 0, NULL);
    expect(store, (struct event_filter){.first_sequence = UINT64_MAX}, 0, NULL);
    store_close(store);
}

static void test_store_event_filter_by_requester_chooses_its_jobs(void **state)
{
    struct store *store = six(*state);
    struct site_id researcher = {{{0x42}}}, nobody = {{{0x43}}};
    struct seen seen = {.count = 0};
    const struct event_filter all = {0};
    bool is_new = false;
    uint8_t bytes[] = "job";
    struct job_record record = {
        .id = job, .bytes = bytes, .byte_count = 3, .requester = researcher, .received_at = 1, .expires = 2};
    const struct policy_limits limits = {5, 5, 5, 5};
    must(store_job_add(store, &record, &(struct job_quota){.limits = &limits}, &is_new));
    EXPECT(store, ONLY(.requester = &researcher), 2, 3, 4, 6, 7);
    expect(store, (struct event_filter){.requester = &nobody}, 0, NULL);
    must(store_events(store, &all, see, &seen));
    assert_int_equal(seen.with_requester, 5);
    store_close(store);
}

/* What is neither hashed nor shown must not be there. */
static void test_store_event_that_hides_something_is_corrupt(void **state)
{
    static const char *const edits[] = {
        "UPDATE event SET round = 4294967297 WHERE id = 4",
        "UPDATE event SET round = -1 WHERE id = 4",
        "UPDATE event SET detail = detail || char(0) || 'more' WHERE id = 4",
        "UPDATE event SET kind = kind || char(0) WHERE id = 4",
        "UPDATE event SET job_id = x'abcd' WHERE id = 4",
        "UPDATE event SET run_id = x'07' WHERE id = 4",
        "UPDATE event SET digest = x'' WHERE id = 4",
        "UPDATE event SET hash = x'' WHERE id = 4",
    };
    const struct event_filter all = {0};
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        assert_int_equal(workspace_make(state), 0);
        struct store *store = six(*state);
        struct seen seen = {.count = 0};
        unguard(store);
        sql(store, edits[i]);
        refused(store_events(store, &all, see, &seen), ERROR_CORRUPT, "event 4");
        assert_int_equal(seen.count, 3);
        store_close(store);
        assert_int_equal(workspace_remove(state), 0);
    }
}

static struct error *stop(void *context, const struct event_record *record)
{
    (void)context;
    return record->event.sequence == 2 ? error_new(ERROR_INTERRUPTED, "Seen enough.") : NULL;
}

static void test_store_event_visitor_that_fails_ends_the_visit(void **state)
{
    struct store *store = six(*state);
    const struct event_filter all = {0};
    refused(store_events(store, &all, stop, NULL), ERROR_INTERRUPTED, "enough");
    EXPECT(store, ONLY(.first_sequence = 6), 6);
    store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, workspace_make, workspace_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_store_event_chain_recomputes),
        TEST(test_store_event_head_is_the_last_and_signed),
        cmocka_unit_test(test_store_event_tampered_is_noticed),
        cmocka_unit_test(test_store_event_that_hides_something_is_corrupt),
        TEST(test_store_event_behind_a_truncation_leaves_a_gap),
        TEST(test_store_event_after_an_unsigned_head_is_refused),
        TEST(test_store_event_heads_are_shared_and_forged_ones_refused),
        TEST(test_store_event_changed_or_without_hash_is_refused_by_the_file),
        TEST(test_store_event_without_the_sites_key_is_a_bug),
        TEST(test_store_event_rolled_back_leaves_no_gap),
        TEST(test_store_event_from_several_processes_is_one_chain),
        cmocka_unit_test(test_store_event_of_version_1_is_covered_by_the_first_hash),
        TEST(test_store_event_is_not_added_to_an_emptied_chain),
        TEST(test_store_event_head_of_version_1_alone_is_not_found),
        TEST(test_store_event_filters_choose),
        TEST(test_store_event_filter_by_requester_chooses_its_jobs),
        TEST(test_store_event_visitor_that_fails_ends_the_visit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
