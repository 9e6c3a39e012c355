/* Runs that earlier versions wrote are read as they are. */
#include "stored_run.h"

#include "schemas/files.h"

#include <math.h>

/* What version 4 added. */
#define WITHOUT_4                                                                                            \
    "ALTER TABLE run DROP COLUMN image_rows; ALTER TABLE run DROP COLUMN image_columns;"                     \
    "ALTER TABLE run DROP COLUMN averaged; ALTER TABLE run DROP COLUMN averaged_sha256;"                     \
    "ALTER TABLE run DROP COLUMN averaged_confusion; ALTER TABLE run DROP COLUMN epsilon;"                   \
    "ALTER TABLE run DROP COLUMN epsilon_rdp; ALTER TABLE run DROP COLUMN epsilon_worst;"                    \
    "ALTER TABLE round DROP COLUMN pooled_noised; ALTER TABLE round DROP COLUMN pooled_noise;"               \
    "ALTER TABLE round DROP COLUMN pooled_sites; ALTER TABLE site_round DROP COLUMN epsilon_spent;"

/* What version 1 had: neither receipts nor mock runs. */
static void make_version_1(const char *directory)
{
    struct database *database = NULL;
    char *path = made_path(directory, "run.db");
    made_fine(database_open(path, &run_database, DATABASE_OPEN, &database));
    made_fine(database_run(database, WITHOUT_4
                           "DROP TABLE receipt; ALTER TABLE run DROP COLUMN mock; DROP TABLE secagg_round;"
                           "PRAGMA user_version = 1; PRAGMA journal_mode = DELETE"));
    database_close(database);
    free(path);
}

static struct error *no_receipt(void *context, const struct receipt *receipt)
{
    (void)receipt;
    *(int *)context += 1;
    return NULL;
}

static void test_store_run_of_version_1_reads_back_without_receipts_and_unchanged(void **state)
{
    struct run_record *record = made_run(2);
    struct run_record *read = NULL;
    struct run_record *outline = NULL;
    struct run_outline progress;
    int visited = 0;
    stored_run_whole(*state, record);
    make_version_1(*state);
    char *path = made_path(*state, "run.db");
    char *before = made_text(path);
    made_fine(run_store_load(*state, &read));
    stored_run_same(record, read);
    assert_false(read->has_receipts);
    assert_false(read->mock);
    made_fine(run_store_load_outline(*state, &outline, &progress));
    assert_int_equal(progress.rounds, 2);
    made_fine(run_store_latest_receipts(*state, no_receipt, &visited));
    assert_int_equal(visited, 0);
    char *after = made_text(path);
    assert_memory_equal(before, after, 4096);
    free(after);
    free(before);
    free(path);
    run_record_free(outline);
    run_record_free(read);
    run_record_free(record);
}

/* What version 2 had: receipts without attempts, and no secure aggregation. */
static void make_version_2(const char *directory)
{
    struct database *database = NULL;
    char *path = made_path(directory, "run.db");
    made_fine(database_open(path, &run_database, DATABASE_OPEN, &database));
    made_fine(database_run(
        database, WITHOUT_4
        "CREATE TABLE receipt_2 (round INTEGER NOT NULL REFERENCES round (round), position INTEGER NOT "
        "NULL, kind INTEGER NOT NULL CHECK (kind IN (1, 2)), sequence INTEGER NOT NULL CHECK (sequence > "
        "0), receipt BLOB NOT NULL, received BLOB NOT NULL CHECK (length(received) = 32), PRIMARY KEY "
        "(round, position, kind)) STRICT;"
        "INSERT INTO receipt_2 SELECT round, position, kind, sequence, receipt, received FROM receipt;"
        "DROP TABLE receipt; ALTER TABLE receipt_2 RENAME TO receipt; DROP TABLE secagg_round;"
        "PRAGMA user_version = 2; PRAGMA journal_mode = DELETE"));
    database_close(database);
    free(path);
}

static void test_store_run_of_version_2_reads_back_with_its_receipts_and_unchanged(void **state)
{
    struct run_record *record = made_run(2);
    struct run_record *read = NULL;
    record->has_receipts = true;
    record->rounds[0].sites[1].update_receipt = stored_run_receipt(RECEIPT_UPDATE, 3);
    record->rounds[0].sites[1].evaluation_receipt = stored_run_receipt(RECEIPT_EVALUATION, 4);
    stored_run_whole(*state, record);
    make_version_2(*state);
    char *path = made_path(*state, "run.db");
    char *before = made_text(path);
    made_fine(run_store_load(*state, &read));
    stored_run_same(record, read);
    assert_true(read->has_receipts);
    assert_int_equal(read->rounds[0].sites[1].update_receipt->receipt.sequence, 3);
    assert_int_equal(read->rounds[0].sites[1].evaluation_receipt->receipt.sequence, 4);
    assert_null(read->rounds[0].sites[0].update_receipt);
    assert_int_equal(read->rounds[0].masking.attempts, 0);
    assert_int_equal(read->evaluation.round, 0);
    char *after = made_text(path);
    assert_memory_equal(before, after, 4096);
    free(after);
    free(before);
    free(path);
    run_record_free(read);
    run_record_free(record);
}

/* What version 3 had: secure aggregation, and no private jobs. */
static void test_store_run_of_version_3_reads_back_without_privacy(void **state)
{
    struct run_record *record = made_masked_run(2);
    struct run_record *read = NULL;
    struct run_store *store = NULL;
    struct database *database = NULL;
    char *directory = made_path(*state, "run");
    char *path = made_path(directory, "run.db");
    made_fine(run_store_create(directory, record, &store));
    for (size_t r = 0; r < 2; r++)
        made_fine(run_store_round(store, record, &record->rounds[r]));
    made_fine(run_store_approved(store, record));
    run_store_close(store);
    made_fine(database_open(path, &run_database, DATABASE_OPEN, &database));
    made_fine(database_run(database, WITHOUT_4 "PRAGMA user_version = 3; PRAGMA journal_mode = DELETE"));
    database_close(database);
    made_fine(run_store_load(directory, &read));
    assert_true(isnan(read->epsilon) != 0 && isnan(read->rounds[1].sites[0].epsilon_spent) != 0);
    assert_null(read->averaged);
    assert_null(read->rounds[0].pooled_noised);
    assert_int_equal(read->model_features, MADE_FEATURES);
    assert_int_equal(read->rounds[1].masking.contributors, 3);
    run_record_free(read);
    run_record_free(record);
    free(path);
    free(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MADE_TEST(test_store_run_of_version_3_reads_back_without_privacy),
        MADE_TEST(test_store_run_of_version_1_reads_back_without_receipts_and_unchanged),
        MADE_TEST(test_store_run_of_version_2_reads_back_with_its_receipts_and_unchanged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
