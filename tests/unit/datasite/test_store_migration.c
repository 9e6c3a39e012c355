/* A site.db that version 1 of the program made and used: nothing of it is lost, its approval holds on, and what happens
 * from now on is chained over what happened before. */
#include "datasite/approval.h"
#include "datasite/store_internal.h"
#include "embedded/datasite_001_sql.h"
#include "tests/unit/datasite/site.h"
#include "tests/unit/datasite/version_1.h"
#include "tests/unit/datasite/walk.h"

#include <stdio.h>
#include <unistd.h>

static const struct migration first_migration[] = {{(const char *)datasite_001_sql}};
static const struct database_kind version_1 = {.what = "an old site's database",
                                               .application_id = 0x44535431u,
                                               .migrations = first_migration,
                                               .migration_count = 1};

static const uint8_t old_body[] = "what left in round 1, in the words of version 1";

/* Every column that version 1 had. */
static const struct {
    const char *table, *columns;
} tables[] = {
    {"dataset",
     "id, name, kind, rows, features, image_rows, image_columns, classes, digest, source, imported_at"},
    {"dataset_class", "dataset_id, class, name, rows"},
    {"dataset_column", "dataset_id, position, name"},
    {"chunk", "dataset_id, position, rows, data, labels, split"},
    {"peer", "site_id, name, added_at, added_by"},
    {"removed_peer", "site_id, removed_at"},
    {"job", "job_id, bytes, requester, requester_name, received_at, state, expires"},
    {"decision", "id, job_id, kind, rounds, runs, expires, dataset_digest, decided_at, decided_by, reason, "
                 "statement, signature"},
    {"run", "run_id, job_id, started_at, ended_at, last_round, status"},
    {"answer", "run_id, round, kind, model_digest, refused, body, event_id, released_at"},
    {"event", "id, at, kind, job_id, run_id, round, detail, digest"},
    {"daemon", "one, pid, started_at, listen, peers_up, job_id, round, progress, updated_at"},
};
#define TABLES (sizeof(tables) / sizeof(tables[0]))

static void run_sql(struct database *database, const char *sql)
{
    must(database_run(database, sql));
}

static void attach(struct database *database, const char *path)
{
    char sql[256];
    (void)snprintf(sql, sizeof(sql), "ATTACH '%s' AS other", path);
    run_sql(database, sql);
}

/* Rows, requesters, jobs and the story so far, as they are in today's file. */
static void copy_over(struct database *old)
{
    static const char *const copied[] = {"dataset", "dataset_class", "dataset_column",
                                         "chunk",   "peer",          "job"};
    for (size_t i = 0; i < TABLES; i++) {
        for (size_t j = 0; j < sizeof(copied) / sizeof(copied[0]); j++) {
            char sql[512];
            if (strcmp(tables[i].table, copied[j]) != 0)
                continue;
            (void)snprintf(sql, sizeof(sql), "INSERT INTO main.%s (%s) SELECT %s FROM other.%s",
                           tables[i].table, tables[i].columns, tables[i].columns, tables[i].table);
            run_sql(old, sql);
        }
    }
    /* Version 1 knew nothing of pools. */
    run_sql(
        old,
        "INSERT INTO main.event (at, kind, job_id, run_id, round, detail, digest) SELECT at, kind, job_id, "
        "run_id, round, detail, digest FROM other.event WHERE kind NOT GLOB 'budget-*' ORDER BY id");
}

static void insert_approval(struct database *old, const struct decision *decision)
{
    struct query query;
    query_start(&query, old,
                "INSERT INTO decision (job_id, kind, rounds, runs, expires, dataset_digest, decided_at, "
                "decided_by, reason, statement, signature) VALUES (?, 'approve', ?, ?, ?, ?, ?, ?, ?, ?, ?)");
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
    must(query_finish(&query));
}

/* A run in progress whose first round was answered. */
static void insert_run(struct database *old, const struct site *site)
{
    struct query query;
    struct digest digest;
    must(digest_of(old_body, sizeof(old_body), &digest));
    query_start(&query, old, "INSERT INTO run VALUES (?, ?, ?, NULL, 1, 'running')");
    query_bind_blob(&query, site->run, STORE_RUN_ID_BYTES);
    query_bind_blob(&query, site->job_id.bytes, DIGEST_BYTES);
    query_bind_int(&query, SITE_NOW);
    must(query_finish(&query));
    query_start(&query, old,
                "INSERT INTO event (at, kind, job_id, run_id, round, detail, digest) "
                "VALUES (?, 'update-released', ?, ?, 1, '15 coefficients', ?)");
    query_bind_int(&query, SITE_NOW);
    query_bind_blob(&query, site->job_id.bytes, DIGEST_BYTES);
    query_bind_blob(&query, site->run, STORE_RUN_ID_BYTES);
    query_bind_blob(&query, digest.bytes, DIGEST_BYTES);
    must(query_finish(&query));
    query_start(&query, old,
                "INSERT INTO answer SELECT run_id, 1, 'update', zeroblob(32), 0, ?, "
                "(SELECT max(id) FROM event), started_at FROM run");
    query_bind_blob(&query, old_body, sizeof(old_body));
    must(query_finish(&query));
    run_sql(old, "UPDATE job SET state = 'running'");
}

/* Puts a file of version 1 in the place of the site's; a copy of it stays as "old.db". */
static void make_old(struct site *site)
{
    char old_path[160], wal[160], sql[200];
    struct decision decision;
    struct database *old = NULL;
    must(store_approval(site->store, &site->job_id, &decision));
    version_1_sign(site->identity, &site->researcher, &decision);
    site_pause(site);
    must(database_open(workspace_file(site->workspace, "old.db", old_path), &version_1, DATABASE_CREATE,
                       &old));
    attach(old, site->workspace->database);
    copy_over(old);
    insert_approval(old, &decision);
    insert_run(old, site);
    run_sql(old, "INSERT INTO removed_peer VALUES (zeroblob(32), 5)");
    run_sql(old, "INSERT INTO daemon VALUES (1, 77, 5, 'tcp://0.0.0.0:1', 0, NULL, NULL, NULL, 6)");
    run_sql(old, "DETACH other");
    assert_int_equal(unlink(site->workspace->database), 0);
    (void)unlink(workspace_file(site->workspace, "site.db-wal", wal));
    (void)unlink(workspace_file(site->workspace, "site.db-shm", wal));
    (void)snprintf(sql, sizeof(sql), "VACUUM INTO '%s'", site->workspace->database);
    run_sql(old, sql);
    database_close(old);
}

static int old_site(void **state)
{
    if (site_make(state) != 0)
        return -1;
    struct site *site = *state;
    site_approved(site, &(struct job_words){.rounds = 3}, 0, 2);
    make_old(site);
    site_resume(site);
    return 0;
}

/* Rows of `from` that `in` has not. The text must outlive the query: it is the key of the prepared ones. */
static int64_t missing(struct database *database, size_t table, const char *from, const char *in)
{
    static char texts[2 * TABLES][1024];
    static size_t used = 0;
    struct query query;
    char *sql = texts[used++];
    (void)snprintf(
        sql, sizeof(texts[0]), "SELECT count(*) FROM (SELECT %s FROM %s.%s EXCEPT SELECT %s FROM %s.%s)",
        tables[table].columns, from, tables[table].table, tables[table].columns, in, tables[table].table);
    query_start(&query, database, sql);
    assert_true(query_step(&query));
    int64_t count = query_int(&query, 0);
    must(query_end(&query));
    return count;
}

static void test_store_migration_keeps_every_row(void **state)
{
    struct site *site = *state;
    char path[160];
    assert_int_equal(site_count(site, "PRAGMA user_version"), 4);
    assert_true(site_count(site, "SELECT count(*) FROM chunk") > 1);
    attach(site->store->database, workspace_file(site->workspace, "old.db", path));
    for (size_t i = 0; i < TABLES; i++) {
        assert_int_equal(missing(site->store->database, i, "main", "other"), 0);
        assert_int_equal(missing(site->store->database, i, "other", "main"), 0);
    }
}

static void test_store_migration_leaves_a_sound_file(void **state)
{
    struct site *site = *state;
    must(database_check(site->store->database));
    assert_int_equal(site_count(site, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

static void test_store_migration_old_approval_holds(void **state)
{
    struct site *site = *state;
    struct approval approval;
    must(approval_find(site->store, site->identity, NULL, &site->job_id, &site->researcher, SITE_NOW,
                       &approval));
    assert_int_equal(approval.decision.version, 1);
    assert_int_equal(approval.decision.statement_bytes, APPROVAL_STATEMENT_BYTES_1);
    assert_int_equal(approval.decision.hold, HOLD_NEVER);
    assert_false(approval.decision.allow_growth);
    approval_clear(&approval);
    must(store_chain_adopt(site->store, SITE_NOW));
    site_expect_type(site_train(site, 2, 0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
    site_expect_type(site_train(site, 3, 0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
    site_expect_refusal(site_train(site, 4, 0), ERROR_REFUSED, "outside the 3 rounds");
}

/* What was released before is still counted, and without a receipt it is not handed out again. */
static void test_store_migration_old_answer_stays_spent(void **state)
{
    struct site *site = *state;
    struct answer answer;
    must(store_answer(site->store, &site->job_id, site->run, 1, 0, ANSWER_UPDATE, &answer));
    assert_int_equal(answer.bytes, sizeof(old_body));
    assert_memory_equal(answer.body, old_body, sizeof(old_body));
    assert_int_equal(answer.state, ANSWER_RELEASED);
    assert_int_equal(answer.receipt_bytes, 0);
    answer_clear(&answer);
    must(store_chain_adopt(site->store, SITE_NOW));
    site_expect_refusal(site_train(site, 1, 0.5), ERROR_REFUSED, "another model");
    assert_int_equal(site_count(site, "SELECT count(*) FROM answer"), 1);
}

static void test_store_migration_new_events_chain_over_the_old(void **state)
{
    struct site *site = *state;
    struct walk before = walk_events(site->store, site->identity);
    assert_true(before.events >= 4);
    assert_int_equal(before.unsigned_events, before.events);
    assert_int_equal(before.first_bad, 0);
    must(store_chain_adopt(site->store, SITE_NOW));
    site_expect_type(site_train(site, 2, 0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
    struct walk after = walk_events(site->store, site->identity);
    assert_true(after.events > before.events);
    assert_int_equal(after.unsigned_events, before.events);
    assert_int_equal(after.first_bad, 0);
    run_sql(site->store->database, "DROP TRIGGER event_no_update");
    site_sql(site, "UPDATE event SET detail = 'never happened' WHERE id = 1");
    assert_int_equal(walk_events(site->store, site->identity).first_bad, before.events + 1);
}

static void test_store_migration_is_not_done_by_who_only_reads(void **state)
{
    struct site *site = *state;
    char path[160];
    struct store *store = NULL;
    refused(store_open(workspace_file(site->workspace, "old.db", path), STORE_READ, &store),
            ERROR_UNSUPPORTED, "older version");
    assert_null(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, old_site, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_store_migration_keeps_every_row),
        TEST(test_store_migration_leaves_a_sound_file),
        TEST(test_store_migration_old_approval_holds),
        TEST(test_store_migration_old_answer_stays_spent),
        TEST(test_store_migration_new_events_chain_over_the_old),
        TEST(test_store_migration_is_not_done_by_who_only_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
