/* A site.db that version 2 made and used, with a run in progress: nothing is lost, what left is repeated byte for byte, and
 * the run goes on. */
#include "datasite/auditor.h"
#include "datasite/store_internal.h"
#include "embedded/datasite_001_sql.h"
#include "embedded/datasite_002_sql.h"
#include "tests/unit/datasite/site.h"
#include "tests/unit/datasite/walk.h"

#include <stdio.h>
#include <unistd.h>

static const struct migration two_migrations[] = {{(const char *)datasite_001_sql},
                                                  {(const char *)datasite_002_sql}};
static const struct database_kind version_2 = {.what = "an old site's database",
                                               .application_id = 0x44535431u,
                                               .migrations = two_migrations,
                                               .migration_count = 2};

static const char *const tables[] = {
    "dataset",  "dataset_class", "dataset_column", "chunk",  "peer",     "removed_peer", "job",
    "decision", "run",           "event",          "answer", "delivery", "endorsement",  "contradiction",
    "vault",    "mock",          "mock_page"};
#define TABLES (sizeof(tables) / sizeof(tables[0]))
#define COLUMNS_BYTES 512

/* Of the table as version 2 has it. */
static void columns_of(struct database *old, const char *table, char ret_columns[static COLUMNS_BYTES])
{
    struct query query;
    query_start(&query, old, "SELECT group_concat(name) FROM pragma_table_info(?1)");
    query_bind_text(&query, table);
    assert_true(query_step(&query));
    (void)snprintf(ret_columns, COLUMNS_BYTES, "%s", query_text(&query, 0));
    must(query_end(&query));
    assert_true(strlen(ret_columns) > 0 && strlen(ret_columns) + 1 < COLUMNS_BYTES);
}

/* Puts a file of version 2 with the same rows in the place of the site's; a copy of it stays as "old.db". */
static void make_old(struct site *site)
{
    char path[160], columns[COLUMNS_BYTES], sql[2 * COLUMNS_BYTES + 160];
    struct database *old = NULL;
    site_pause(site);
    must(database_open(workspace_file(site->workspace, "old.db", path), &version_2, DATABASE_CREATE, &old));
    (void)snprintf(sql, sizeof(sql), "ATTACH '%s' AS other", site->workspace->database);
    must(database_run(old, sql));
    for (size_t i = 0; i < TABLES; i++) {
        columns_of(old, tables[i], columns);
        (void)snprintf(sql, sizeof(sql), "INSERT INTO main.%s (%s) SELECT %s FROM other.%s", tables[i],
                       columns, columns, tables[i]);
        must(database_run(old, sql));
    }
    must(database_run(old, "DETACH other"));
    assert_int_equal(unlink(site->workspace->database), 0);
    (void)unlink(workspace_file(site->workspace, "site.db-wal", path));
    (void)unlink(workspace_file(site->workspace, "site.db-shm", path));
    (void)snprintf(sql, sizeof(sql), "VACUUM INTO '%s'", site->workspace->database);
    must(database_run(old, sql));
    database_close(old);
}

/* The same rows, stored by a version that knows of no pools: in another file, with an event alone. */
static void forget_pools(struct site *site)
{
    static const char *const copied[] = {"dataset", "dataset_class", "dataset_column", "chunk"};
    char path[160], sql[200];
    site_pause(site);
    assert_int_equal(rename(site->workspace->database, workspace_file(site->workspace, "pooled.db", path)),
                     0);
    struct store *store = workspace_store(site->workspace);
    (void)snprintf(sql, sizeof(sql), "ATTACH '%s' AS other", path);
    must(database_run(store->database, sql));
    for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++) {
        (void)snprintf(sql, sizeof(sql), "INSERT INTO main.%s SELECT * FROM other.%s", copied[i], copied[i]);
        must(database_run(store->database, sql));
    }
    must(database_run(store->database, "DETACH other"));
    must(store_event_add(store, EVENT_DATASET_IMPORTED, NULL, NULL, 0, SITE_NOW, "dataset made", NULL));
    store_close(store);
    assert_int_equal(unlink(path), 0);
    site_resume(site);
}

/* One update and one evaluation that left. */
static int old_site(void **state)
{
    if (site_make(state) != 0)
        return -1;
    struct site *site = *state;
    forget_pools(site);
    site_approved(site, &(struct job_words){.rounds = 3}, 0, 2);
    site_expect_type(site_train(site, 1, 0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
    site_expect_type(site_evaluate(site, 1, 0.5), FDS__MESSAGE_TYPE__MESSAGE_EVALUATION);
    return 0;
}

/* Rows of the old file that the new one has not, or the other way round. The text must outlive the query. */
static int64_t differences(struct database *database, const char *table, const char *columns)
{
    static char texts[TABLES][4 * COLUMNS_BYTES];
    static size_t used = 0;
    struct query query;
    char *sql = texts[used++ % TABLES];
    int length = snprintf(
        sql, sizeof(texts[0]),
        "SELECT count(*) FROM (SELECT %s FROM main.%s EXCEPT SELECT %s FROM other.%s UNION ALL SELECT "
        "* FROM (SELECT %s FROM other.%s EXCEPT SELECT %s FROM main.%s))",
        columns, table, columns, table, columns, table, columns, table);
    assert_in_range(length, 1, sizeof(texts[0]) - 1);
    query_start(&query, database, sql);
    assert_true(query_step(&query));
    int64_t count = query_int(&query, 0);
    must(query_end(&query));
    return count;
}

static void test_store_migration_2_keeps_every_row(void **state)
{
    struct site *site = *state;
    char path[160], sql[200], columns[TABLES][COLUMNS_BYTES];
    struct database *old = NULL;
    make_old(site);
    site_resume(site);
    assert_int_equal(site_count(site, "PRAGMA user_version"), 4);
    assert_int_equal(site_count(site, "SELECT count(*) FROM answer"), 2);
    must(database_open(workspace_file(site->workspace, "old.db", path), &version_2, DATABASE_OPEN, &old));
    for (size_t i = 0; i < TABLES; i++)
        columns_of(old, tables[i], columns[i]);
    database_close(old);
    (void)snprintf(sql, sizeof(sql), "ATTACH '%s' AS other", path);
    must(database_run(site->store->database, sql));
    for (size_t i = 0; i < TABLES; i++)
        assert_int_equal(differences(site->store->database, tables[i], columns[i]), 0);
    assert_int_equal(site_count(site, "SELECT sum(attempt) FROM answer"), 0);
    must(database_check(site->store->database));
    assert_int_equal(site_count(site, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

static void test_store_migration_2_repeats_what_left_and_goes_on(void **state)
{
    struct site *site = *state;
    struct reply update = site_train(site, 1, 0), evaluation = site_evaluate(site, 1, 0.5);
    make_old(site);
    site_resume(site);
    site_expect_same(update, site_train(site, 1, 0));
    site_expect_same(evaluation, site_evaluate(site, 1, 0.5));
    site_expect_type(site_train(site, 2, 0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
    site_expect_refusal(site_train(site, 4, 0), ERROR_REFUSED, "outside the 3 rounds");
}

static void test_store_migration_2_chain_and_answers_are_verified(void **state)
{
    struct site *site = *state;
    struct auditor_findings findings = {0};
    make_old(site);
    site_resume(site);
    site_expect_type(site_train(site, 2, 0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
    assert_int_equal(walk_events(site->store, site->identity).first_bad, 0);
    struct auditor auditor = {.store = site->store, .identity = site->identity};
    must(auditor_check_answers(&auditor, &findings));
    assert_int_equal(findings.answers, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, old_site, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_store_migration_2_keeps_every_row),
        TEST(test_store_migration_2_repeats_what_left_and_goes_on),
        TEST(test_store_migration_2_chain_and_answers_are_verified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
