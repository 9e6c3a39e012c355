/* What a run under secure aggregation adds to the record. */
#include "stored_run.h"

static void test_store_run_secure_aggregation_reads_back_attempt_by_attempt(void **state)
{
    struct run_record *record = made_masked_run(3);
    struct run_record *read = NULL;
    record->has_receipts = true;
    record->rounds[1].sites[0].masked_receipts[0] = stored_run_receipt(RECEIPT_MASKED_INPUT, 5);
    record->rounds[1].sites[0].masked_receipts[1] = stored_run_receipt(RECEIPT_MASKED_INPUT, 6);
    record->evaluation.sites[3].masked_receipts[0] = stored_run_receipt(RECEIPT_MASKED_INPUT, 9);
    struct run_store *store = NULL;
    made_fine(run_store_create(*state, record, &store));
    for (size_t i = 0; i < 3; i++)
        made_fine(run_store_round(store, record, &record->rounds[i]));
    made_fine(run_store_round(store, record, &record->evaluation));
    made_fine(run_store_end(store, record));
    run_store_close(store);
    made_fine(run_store_load(*state, &read));
    stored_run_same(record, read);
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(&read->rounds[i].masking, &record->rounds[i].masking,
                            sizeof(struct round_masking));
    assert_int_equal(read->rounds[1].sites[0].masked_receipts[0]->receipt.sequence, 5);
    assert_int_equal(read->rounds[1].sites[0].masked_receipts[1]->receipt.sequence, 6);
    assert_null(read->rounds[1].sites[0].masked_receipts[2]);
    assert_int_equal(read->evaluation.round, 4);
    assert_int_equal(read->evaluation.masking.contributors, 3);
    assert_int_equal(read->evaluation.sites[2].status, SITE_LATE);
    assert_int_equal(read->evaluation.sites[3].masked_receipts[0]->receipt.sequence, 9);
    run_record_free(read);
    run_record_free(record);
}

static void test_store_run_pooled_of_a_stored_round_comes_later(void **state)
{
    struct run_record *record = made_masked_run(2);
    struct run_record *read = NULL;
    struct run_store *store = NULL;
    uint64_t *pooled = record->rounds[0].pooled_confusion;
    record->rounds[0].pooled_confusion = NULL;
    made_fine(run_store_create(*state, record, &store));
    made_fine(run_store_round(store, record, &record->rounds[0]));
    record->rounds[0].pooled_confusion = pooled;
    made_fine(run_store_pooled(store, record, &record->rounds[0]));
    run_store_close(store);
    made_fine(run_store_load(*state, &read));
    assert_memory_equal(read->rounds[0].pooled_confusion, pooled, 6 * sizeof *pooled);
    run_record_free(read);
    run_record_free(record);
}

static void test_store_run_impossible_masking_is_refused(void **state)
{
    static const char *const wrong[] = {
        "UPDATE secagg_round SET attempts = 4 WHERE round = 1",
        "UPDATE secagg_round SET contributors = 5 WHERE round = 1",
        "UPDATE secagg_round SET sharers = 2 WHERE round = 1",
        "UPDATE secagg_round SET round = 9 WHERE round = 1",
        "UPDATE round SET round = 9 WHERE round = 3; DELETE FROM site_round WHERE round = 3",
        "UPDATE receipt SET attempt = 3",
        "UPDATE receipt SET kind = 1, attempt = 1",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char name[16];
        struct run_record *record = made_masked_run(2);
        struct run_record *read = NULL;
        struct run_store *store = NULL;
        struct database *database = NULL;
        (void)snprintf(name, sizeof name, "run-%zu", i);
        char *directory = made_path(*state, name);
        char *path = made_path(directory, "run.db");
        record->rounds[0].sites[0].masked_receipts[0] = stored_run_receipt(RECEIPT_MASKED_INPUT, 5);
        made_fine(run_store_create(directory, record, &store));
        for (size_t r = 0; r < 2; r++)
            made_fine(run_store_round(store, record, &record->rounds[r]));
        made_fine(run_store_round(store, record, &record->evaluation));
        run_store_close(store);
        made_fine(database_open(path, &run_database, DATABASE_OPEN, &database));
        made_fine(database_run(database, "PRAGMA foreign_keys = OFF"));
        made_fine(database_run(database, wrong[i]));
        database_close(database);
        made_refusal(run_store_load(directory, &read), ERROR_CORRUPT, "is damaged");
        free(path);
        free(directory);
        run_record_free(record);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MADE_TEST(test_store_run_secure_aggregation_reads_back_attempt_by_attempt),
        MADE_TEST(test_store_run_pooled_of_a_stored_round_comes_later),
        MADE_TEST(test_store_run_impossible_masking_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
