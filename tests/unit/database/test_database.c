/* SQLite files that are damaged, foreign, newer, read-only or full: each gets its own sentence and changes
 * nothing. */
#include "database/database.h"
#include "tests/unit/cmocka_all.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "test.db"

static const struct migration migrations[] = {
    {"CREATE TABLE item (id INTEGER PRIMARY KEY, bytes BLOB, name TEXT UNIQUE) STRICT;"},
    {"ALTER TABLE item ADD COLUMN added INTEGER;"},
};
static const struct database_kind kind_1 = {"the test's database", 0x46445374, migrations, 1, 0};
static const struct database_kind kind_2 = {"the test's database", 0x46445374, migrations, 2, 0};
static const struct database_kind kind_2_lenient = {"the test's database", 0x46445374, migrations, 2, 1};
static const struct database_kind kind_other = {"the other database", 0x11223344, migrations, 1, 0};

static int setup(void **state)
{
    (void)state;
    (void)unlink(FILE_NAME);
    (void)unlink(FILE_NAME "-wal");
    (void)unlink(FILE_NAME "-shm");
    return 0;
}

static struct database *opened(const struct database_kind *kind, enum database_mode mode)
{
    struct database *database = NULL;
    struct error *err = database_open(FILE_NAME, kind, mode, &database);
    if (err != NULL)
        fail_msg("%s", err->sentence);
    return database;
}

static void expect_refusal(const struct database_kind *kind, enum database_mode mode, enum error_code code,
                           const char *words)
{
    struct database *database = NULL;
    struct error *err = database_open(FILE_NAME, kind, mode, &database);
    assert_non_null(err);
    assert_null(database);
    assert_int_equal(err->code, code);
    if (strstr(err->sentence, words) == NULL)
        fail_msg("'%s' is not in: %s", words, err->sentence);
    error_free(err);
}

static void add(struct database *database, const char *name)
{
    struct query query;
    query_start(&query, database, "INSERT INTO item (bytes, name) VALUES (?, ?)");
    query_bind_blob(&query, "abc", 3);
    query_bind_text(&query, name);
    assert_null(query_finish(&query));
}

static int64_t count(struct database *database)
{
    struct query query;
    query_start(&query, database, "SELECT count(*) FROM item");
    assert_true(query_step(&query));
    int64_t rows = query_int(&query, 0);
    assert_null(query_end(&query));
    return rows;
}

static void test_database_created_private_and_found_again(void **state)
{
    (void)state;
    struct database *database = opened(&kind_1, DATABASE_CREATE);
    add(database, "one");
    database_close(database);
    struct stat status;
    assert_int_equal(stat(FILE_NAME, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    database = opened(&kind_1, DATABASE_READ_ONLY);
    assert_int_equal(count(database), 1);
    database_close(database);
}

static void test_database_missing_file_not_created(void **state)
{
    (void)state;
    expect_refusal(&kind_1, DATABASE_OPEN, ERROR_NOT_FOUND, "does not exist");
    assert_int_equal(access(FILE_NAME, F_OK), -1);
}

static void test_database_older_file_migrated_once(void **state)
{
    (void)state;
    struct database *database = opened(&kind_1, DATABASE_CREATE);
    add(database, "one");
    database_close(database);
    expect_refusal(&kind_2, DATABASE_READ_ONLY, ERROR_UNSUPPORTED, "older version");
    database = opened(&kind_2, DATABASE_OPEN);
    assert_null(database_run(database, "UPDATE item SET added = 5"));
    database_close(database);
    database_close(opened(&kind_2, DATABASE_OPEN));
}

static void test_database_older_file_of_a_kind_readable_before_read_as_it_is(void **state)
{
    (void)state;
    struct database *database = opened(&kind_1, DATABASE_CREATE);
    add(database, "one");
    database_close(database);
    database = opened(&kind_2_lenient, DATABASE_READ_ONLY);
    assert_int_equal(database_applied(database), 1);
    database_close(database);
    database = opened(&kind_2_lenient, DATABASE_OPEN);
    assert_int_equal(database_applied(database), 2);
    database_close(database);
}

static void test_database_newer_file_refused(void **state)
{
    (void)state;
    database_close(opened(&kind_2, DATABASE_CREATE));
    expect_refusal(&kind_1, DATABASE_OPEN, ERROR_UNSUPPORTED, "newer release");
}

static void test_database_foreign_file_refused(void **state)
{
    (void)state;
    database_close(opened(&kind_1, DATABASE_CREATE));
    expect_refusal(&kind_other, DATABASE_OPEN, ERROR_CORRUPT, "another program");
    expect_refusal(&kind_other, DATABASE_CREATE, ERROR_CORRUPT, "another program");
}

static void test_database_garbage_refused(void **state)
{
    (void)state;
    int file = open(FILE_NAME, O_CREAT | O_WRONLY, 0600);
    char garbage[8192];
    memset(garbage, 'x', sizeof(garbage));
    assert_int_equal(write(file, garbage, sizeof(garbage)), (ssize_t)sizeof(garbage));
    (void)close(file);
    expect_refusal(&kind_1, DATABASE_OPEN, ERROR_CORRUPT, "damaged");
}

static void test_database_damaged_page_found_by_check(void **state)
{
    (void)state;
    struct database *database = opened(&kind_1, DATABASE_CREATE);
    for (int i = 0; i < 500; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "name %d", i);
        add(database, name);
    }
    assert_null(database_check(database));
    database_close(database);
    int file = open(FILE_NAME, O_WRONLY);
    char garbage[4096];
    memset(garbage, 0x5a, sizeof(garbage));
    assert_int_equal(pwrite(file, garbage, sizeof(garbage), 8192), (ssize_t)sizeof(garbage));
    (void)close(file);
    database = opened(&kind_1, DATABASE_OPEN);
    struct error *err = database_check(database);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_CORRUPT);
    error_free(err);
    database_close(database);
}

static void test_database_full_disk_changes_nothing(void **state)
{
    (void)state;
    struct database *database = opened(&kind_1, DATABASE_CREATE);
    add(database, "kept");
    assert_null(database_run(database, "PRAGMA max_page_count = 10"));
    assert_null(database_begin(database));
    struct query query;
    query_start(&query, database, "INSERT INTO item (bytes, name) VALUES (zeroblob(100000), 'large')");
    struct error *err = query_finish(&query);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_IO);
    assert_non_null(strstr(err->sentence, "no room left"));
    error_free(err);
    database_rollback(database);
    assert_int_equal(count(database), 1);
    database_close(database);
}

static void test_database_constraint_is_a_conflict(void **state)
{
    (void)state;
    struct database *database = opened(&kind_1, DATABASE_CREATE);
    add(database, "one");
    struct query query;
    query_start(&query, database, "INSERT INTO item (name) VALUES ('one')");
    struct error *err = query_finish(&query);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_CONFLICT);
    error_free(err);
    database_close(database);
}

static void test_query_blob_of_wrong_length_is_corrupt(void **state)
{
    (void)state;
    struct database *database = opened(&kind_1, DATABASE_CREATE);
    add(database, "one");
    struct query query;
    uint8_t bytes[4] = {0};
    query_start(&query, database, "SELECT bytes FROM item");
    assert_true(query_step(&query));
    query_blob_exact(&query, 0, bytes, 4);
    struct error *err = query_end(&query);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_CORRUPT);
    assert_int_equal(bytes[0], 0);
    error_free(err);
    database_close(database);
}

static void test_query_same_text_nested_keeps_both_cursors(void **state)
{
    (void)state;
    struct database *database = opened(&kind_1, DATABASE_CREATE);
    add(database, "one");
    add(database, "two");
    const char *sql = "SELECT name FROM item ORDER BY id";
    struct query outer, inner;
    query_start(&outer, database, sql);
    assert_true(query_step(&outer));
    query_start(&inner, database, sql);
    assert_true(query_step(&inner));
    assert_true(query_step(&inner));
    assert_null(query_end(&inner));
    assert_true(query_step(&outer));
    assert_string_equal(query_text(&outer, 0), "two");
    assert_null(query_end(&outer));
    database_close(database);
}

static void test_query_value_of_a_partial_index_is_not_planned_for(void **state)
{
    (void)state;
    struct database *database = opened(&kind_1, DATABASE_CREATE);
    assert_null(database_run(database, "CREATE TABLE part (number INTEGER, kind TEXT) STRICT;"
                                       "CREATE INDEX part_one ON part (number) WHERE kind = 'one';"
                                       "INSERT INTO part VALUES (1, 'one'), (2, 'two');"));
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < 2; i++) {
            struct query query;
            query_start(&query, database, "SELECT number FROM part WHERE number = ? AND kind = ?");
            query_bind_int(&query, i + 1);
            query_bind_text(&query, i == 0 ? "one" : "two");
            assert_true(query_step(&query));
            assert_int_equal(query_int(&query, 0), i + 1);
            assert_int_equal(sqlite3_stmt_status(query.statement, SQLITE_STMTSTATUS_REPREPARE, 0), 0);
            assert_null(query_end(&query));
        }
    }
    database_close(database);
}

static void test_database_version_tells_of_other_writers(void **state)
{
    (void)state;
    struct database *reader = opened(&kind_1, DATABASE_CREATE);
    struct database *writer = opened(&kind_1, DATABASE_OPEN);
    uint64_t before = 0, after = 0;
    assert_null(database_version(reader, &before));
    add(writer, "one");
    assert_null(database_version(reader, &after));
    assert_true(before != after);
    database_close(writer);
    database_close(reader);
}

static void test_database_nested_transaction_is_a_bug(void **state)
{
    (void)state;
    struct database *database = opened(&kind_1, DATABASE_CREATE);
    assert_null(database_begin(database));
    struct error *err = database_begin(database);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_INTERNAL);
    error_free(err);
    database_rollback(database);
    database_rollback(database);
    database_close(database);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_database_created_private_and_found_again, setup),
        cmocka_unit_test_setup(test_database_missing_file_not_created, setup),
        cmocka_unit_test_setup(test_database_older_file_migrated_once, setup),
        cmocka_unit_test_setup(test_database_older_file_of_a_kind_readable_before_read_as_it_is, setup),
        cmocka_unit_test_setup(test_database_newer_file_refused, setup),
        cmocka_unit_test_setup(test_database_foreign_file_refused, setup),
        cmocka_unit_test_setup(test_database_garbage_refused, setup),
        cmocka_unit_test_setup(test_database_damaged_page_found_by_check, setup),
        cmocka_unit_test_setup(test_database_full_disk_changes_nothing, setup),
        cmocka_unit_test_setup(test_database_constraint_is_a_conflict, setup),
        cmocka_unit_test_setup(test_query_blob_of_wrong_length_is_corrupt, setup),
        cmocka_unit_test_setup(test_query_same_text_nested_keeps_both_cursors, setup),
        cmocka_unit_test_setup(test_query_value_of_a_partial_index_is_not_planned_for, setup),
        cmocka_unit_test_setup(test_database_version_tells_of_other_writers, setup),
        cmocka_unit_test_setup(test_database_nested_transaction_is_a_bug, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
