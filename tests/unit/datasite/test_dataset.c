/* What is loaded for training: the split, and stored rows that do not agree with themselves. */
#include "datasite/dataset.h"
#include "datasite/store_internal.h"
#include "tests/unit/datasite/workspace.h"

static struct store *store_with_mnist(const struct workspace *workspace)
{
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("mnist");
    (void)workspace_import(store, workspace, &request);
    return store;
}

static size_t test_rows_of(struct store *store, const char *name, double fraction, uint32_t **ret_test)
{
    struct dataset *dataset = NULL;
    uint32_t *train = NULL;
    size_t train_rows = 0, test_rows = 0;
    must(dataset_load(store, name, &dataset));
    must(dataset_split(dataset, fraction, &train, &train_rows, ret_test, &test_rows));
    assert_int_equal(train_rows + test_rows, dataset->info.rows);
    for (size_t i = 1; i < train_rows; i++)
        assert_true(train[i - 1] < train[i]);
    free(train);
    dataset_free(dataset);
    return test_rows;
}

static void test_dataset_split_fraction_is_about_met(void **state)
{
    struct store *store = store_with_mnist(*state);
    uint32_t *test = NULL;
    /* 2000 rows at 0.2: mean 400, standard deviation 18; five of them either side. */
    assert_in_range(test_rows_of(store, "mnist", 0.2, &test), 310, 490);
    free(test);
    store_close(store);
}

static void test_dataset_split_larger_fraction_keeps_the_test_rows(void **state)
{
    struct store *store = store_with_mnist(*state);
    uint32_t *small = NULL, *large = NULL;
    size_t small_rows = test_rows_of(store, "mnist", 0.1, &small);
    size_t large_rows = test_rows_of(store, "mnist", 0.5, &large), place = 0;
    for (size_t i = 0; i < small_rows; i++) {
        while (place < large_rows && large[place] != small[i])
            place++;
        assert_in_range(place, 0, large_rows - 1);
    }
    free(small);
    free(large);
    store_close(store);
}

static void test_dataset_split_same_key_is_the_same_after_reimport(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = store_with_mnist(workspace);
    struct dataset *one = NULL, *two = NULL;
    must(dataset_load(store, "mnist", &one));
    must(store_dataset_remove(store, "mnist"));
    struct import_request request = workspace_request("mnist");
    (void)workspace_import(store, workspace, &request);
    must(dataset_load(store, "mnist", &two));
    assert_memory_equal(one->split, two->split, one->info.rows * sizeof(uint64_t));
    dataset_free(one);
    dataset_free(two);
    store_close(store);
}

static void test_dataset_split_other_key_differs(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = store_with_mnist(workspace);
    struct import_request request = workspace_request("other");
    const uint8_t key[32] = {9};
    struct dataset *one = NULL, *two = NULL;
    request.split_key = key;
    (void)workspace_import(store, workspace, &request);
    must(dataset_load(store, "mnist", &one));
    must(dataset_load(store, "other", &two));
    size_t same = 0;
    for (size_t row = 0; row < one->info.rows; row++)
        same += one->split[row] == two->split[row];
    assert_int_equal(same, 0);
    assert_true(digest_equal(&one->info.digest, &two->info.digest));
    dataset_free(one);
    dataset_free(two);
    store_close(store);
}

static void test_dataset_split_does_not_depend_on_the_range(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = store_with_mnist(workspace);
    struct import_request request = workspace_request("tail");
    struct dataset *whole = NULL, *tail = NULL;
    request.first_row = 1000;
    request.end_row = 2000;
    (void)workspace_import(store, workspace, &request);
    must(dataset_load(store, "mnist", &whole));
    must(dataset_load(store, "tail", &tail));
    assert_memory_equal(whole->split + 1000, tail->split, 1000 * sizeof(uint64_t));
    dataset_free(whole);
    dataset_free(tail);
    store_close(store);
}

static void expect_corrupt(const struct workspace *workspace, const char *sql, const char *words)
{
    struct store *store = store_with_mnist(workspace);
    struct dataset *dataset = NULL;
    must(database_run(store->database, sql));
    refused(dataset_load(store, "mnist", &dataset), ERROR_CORRUPT, words);
    assert_null(dataset);
    store_close(store);
}

static void test_dataset_load_short_data_is_corrupt(void **state)
{
    expect_corrupt(*state, "UPDATE chunk SET data = substr(data, 2) WHERE position = 3", "Chunk 3");
}

static void test_dataset_load_long_data_is_corrupt(void **state)
{
    expect_corrupt(*state, "UPDATE chunk SET data = zeroblob(10000000) WHERE position = 0", "Chunk 0");
}

static void test_dataset_load_short_labels_is_corrupt(void **state)
{
    expect_corrupt(*state, "UPDATE chunk SET labels = zeroblob(2) WHERE position = 1", "Chunk 1");
}

static void test_dataset_load_short_split_is_corrupt(void **state)
{
    expect_corrupt(*state, "UPDATE chunk SET split = x'' WHERE position = 1", "Chunk 1");
}

static void test_dataset_load_missing_chunk_is_corrupt(void **state)
{
    expect_corrupt(*state, "DELETE FROM chunk WHERE position = 2", "Chunk 2");
}

static void test_dataset_load_missing_last_chunk_is_corrupt(void **state)
{
    expect_corrupt(*state, "DELETE FROM chunk WHERE position = 7", "Chunk 7");
}

static void test_dataset_load_chunk_too_many_is_corrupt(void **state)
{
    expect_corrupt(
        *state,
        "INSERT INTO chunk SELECT dataset_id, 8, rows, data, labels, split FROM chunk WHERE position = 0",
        "Chunk 8");
}

static void test_dataset_load_label_outside_the_classes_is_corrupt(void **state)
{
    expect_corrupt(*state,
                   "UPDATE chunk SET labels = CAST(x'ffff' || substr(labels, 3) AS BLOB) WHERE position = 0",
                   "label that is none of its");
}

static void test_dataset_load_other_number_of_rows_is_corrupt(void **state)
{
    expect_corrupt(*state, "UPDATE dataset SET rows = 3000", "Chunk 7");
}

static void test_dataset_load_absurd_number_of_rows_is_corrupt(void **state)
{
    expect_corrupt(*state, "UPDATE dataset SET rows = 9223372036854775807, features = 9223372036854775807",
                   "cannot be");
}

static void test_dataset_load_short_digest_is_corrupt(void **state)
{
    expect_corrupt(*state, "PRAGMA ignore_check_constraints = ON; UPDATE dataset SET digest = x'00'",
                   "damaged");
}

static void test_dataset_digest_changed_byte_differs(void **state)
{
    struct store *store = store_with_mnist(*state);
    struct dataset_info info;
    struct digest digest;
    must(store_dataset_find(store, "mnist", &info));
    must(store_dataset_digest(store, &info, &digest));
    assert_true(digest_equal(&digest, &info.digest));
    must(database_run(store->database,
                      "UPDATE chunk SET data = CAST(x'ff' || substr(data, 2) AS BLOB) WHERE position = 4"));
    must(store_dataset_digest(store, &info, &digest));
    assert_false(digest_equal(&digest, &info.digest));
    store_close(store);
}

static void test_dataset_snapshot_keeps_rows_that_are_exchanged(void **state)
{
    struct store *store = store_with_mnist(*state), *other = workspace_store(*state);
    struct import_request request = workspace_request("mnist");
    struct dataset_info info, now;
    struct digest digest;
    must(store_snapshot(store));
    must(store_dataset_find(store, "mnist", &info));
    must(store_dataset_remove(other, "mnist"));
    request.end_row = 1000;
    (void)workspace_import(other, *state, &request);
    must(store_dataset_digest(store, &info, &digest));
    assert_true(digest_equal(&digest, &info.digest));
    store_snapshot_end(store);
    must(store_dataset_find(store, "mnist", &now));
    assert_int_equal(now.rows, 1000);
    store_close(store);
    store_close(other);
}

static void test_dataset_load_unknown_name_lists_the_others(void **state)
{
    struct store *store = store_with_mnist(*state);
    struct dataset *dataset = NULL;
    refused(dataset_load(store, "nothing", &dataset), ERROR_NOT_FOUND, "mnist");
    store_close(store);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, workspace_make, workspace_remove)
    const struct CMUnitTest tests[] = {
        CASE(test_dataset_split_fraction_is_about_met),
        CASE(test_dataset_split_larger_fraction_keeps_the_test_rows),
        CASE(test_dataset_split_same_key_is_the_same_after_reimport),
        CASE(test_dataset_split_other_key_differs),
        CASE(test_dataset_split_does_not_depend_on_the_range),
        CASE(test_dataset_load_short_data_is_corrupt),
        CASE(test_dataset_load_long_data_is_corrupt),
        CASE(test_dataset_load_short_labels_is_corrupt),
        CASE(test_dataset_load_short_split_is_corrupt),
        CASE(test_dataset_load_missing_chunk_is_corrupt),
        CASE(test_dataset_load_missing_last_chunk_is_corrupt),
        CASE(test_dataset_load_chunk_too_many_is_corrupt),
        CASE(test_dataset_load_label_outside_the_classes_is_corrupt),
        CASE(test_dataset_load_other_number_of_rows_is_corrupt),
        CASE(test_dataset_load_absurd_number_of_rows_is_corrupt),
        CASE(test_dataset_load_short_digest_is_corrupt),
        CASE(test_dataset_digest_changed_byte_differs),
        CASE(test_dataset_snapshot_keeps_rows_that_are_exchanged),
        CASE(test_dataset_load_unknown_name_lists_the_others),
    };
    return cmocka_run_group_tests_name("dataset", tests, NULL, NULL);
}
