/* Tables of numbers into site.db. */
#include "datasite/dataset.h"
#include "tests/unit/datasite/workspace.h"

static const char *const two_classes[] = {"healthy", "ill"};

static struct error *import_text(const struct workspace *workspace, struct store *store, const char *text,
                                 const struct import_request *request, const char *const *classes,
                                 struct dataset_info *ret_info)
{
    char path[160];
    workspace_write(workspace_file(workspace, "table.csv", path), text, strlen(text));
    return import_csv(store, request, path, "y", classes, ret_info);
}

static void expect_refusal(const struct workspace *workspace, const char *text, struct import_request request,
                           enum error_code code, const char *words)
{
    struct store *store = workspace_store(workspace);
    struct dataset_info info;
    refused(import_text(workspace, store, text, &request, NULL, &info), code, words);
    assert_int_equal(workspace_datasets(store), 0);
    store_close(store);
}

static void test_import_csv_named_classes_give_float32_back(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("t");
    struct dataset_info info;
    struct dataset *dataset = NULL;
    request.classes = 2;
    must(import_text(workspace, store, "a,y,b\n1,ill,-2.5\n0.1,healthy,1e3\n", &request, two_classes, &info));
    must(dataset_load(store, "t", &dataset));
    const float wanted[] = {1.0f, -2.5f, 0.1f, 1000.0f};
    assert_null(dataset->bytes);
    assert_int_equal(info.features, 2);
    assert_memory_equal(dataset->numbers, wanted, sizeof(wanted));
    assert_int_equal(dataset->labels[0], 1);
    assert_int_equal(dataset->labels[1], 0);
    char name[32];
    uint64_t rows = 0;
    must(store_dataset_class(store, info.id, 1, name, sizeof(name), &rows));
    assert_string_equal(name, "ill");
    assert_int_equal(rows, 1);
    dataset_free(dataset);
    store_close(store);
}

static void test_import_csv_range_counts_classes_of_the_whole_file(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("t");
    struct dataset_info info;
    request.end_row = 2;
    must(import_text(workspace, store, "a,y\n1,0\n2,1\n3,2\n", &request, NULL, &info));
    assert_int_equal(info.rows, 2);
    assert_int_equal(info.classes, 3);
    store_close(store);
}

static void test_import_csv_many_rows_are_chunked(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("t");
    struct dataset_info info;
    struct dataset *dataset = NULL;
    char *text = malloc(600 * 16);
    assert_non_null(text);
    size_t used = (size_t)snprintf(text, 16, "a,y\n");
    for (int row = 0; row < 513; row++)
        used += (size_t)snprintf(text + used, 16, "%d,%d\n", row, row % 2);
    must(import_text(workspace, store, text, &request, NULL, &info));
    must(dataset_load(store, "t", &dataset));
    assert_int_equal(info.rows, 513);
    for (int row = 0; row < 513; row++)
        assert_true(dataset->numbers[row] == (float)row);
    free(text);
    dataset_free(dataset);
    store_close(store);
}

static void test_import_csv_missing_cell_names_row_and_column(void **state)
{
    expect_refusal(*state, "a,b,y\n1,2,0\n3,,1\n", workspace_request("t"), ERROR_INVALID, "row 3");
}

static void test_import_csv_word_in_a_number_column_refuses(void **state)
{
    expect_refusal(*state, "a,b,y\n1,2,0\n3,x7,1\n", workspace_request("t"), ERROR_INVALID, "b");
}

static void test_import_csv_infinite_cell_refuses(void **state)
{
    expect_refusal(*state, "a,b,y\n1,2,0\n3,inf,1\n", workspace_request("t"), ERROR_INVALID, "b");
}

static void test_import_csv_number_beyond_float32_refuses(void **state)
{
    expect_refusal(*state, "a,b,y\n1,2,0\n3,1e39,1\n", workspace_request("t"), ERROR_NUMERIC, "\"b\"");
}

static void test_import_csv_one_class_refuses(void **state)
{
    expect_refusal(*state, "a,y\n1,0\n2,0\n", workspace_request("t"), ERROR_INVALID, "at least 2");
}

static void test_import_csv_no_row_refuses(void **state)
{
    expect_refusal(*state, "a,y\n", workspace_request("t"), ERROR_INVALID, "row");
}

static void test_import_csv_label_column_alone_refuses(void **state)
{
    expect_refusal(*state, "y\n0\n1\n", workspace_request("t"), ERROR_INVALID, "column");
}

static void test_import_csv_other_size_declared_refuses(void **state)
{
    struct import_request request = workspace_request("t");
    request.declared_rows = 3;
    expect_refusal(*state, "a,y\n1,0\n2,1\n", request, ERROR_INVALID, "3 rows were declared");
}

static void test_import_csv_range_beyond_the_end_refuses(void **state)
{
    struct import_request request = workspace_request("t");
    request.end_row = 3;
    expect_refusal(*state, "a,y\n1,0\n2,1\n", request, ERROR_INVALID, "beyond");
}

static void test_import_csv_label_over_declared_classes_refuses(void **state)
{
    struct import_request request = workspace_request("t");
    request.classes = 2;
    expect_refusal(*state, "a,y\n1,0\n2,2\n", request, ERROR_INVALID, "classes");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, workspace_make, workspace_remove)
    const struct CMUnitTest tests[] = {
        CASE(test_import_csv_named_classes_give_float32_back),
        CASE(test_import_csv_range_counts_classes_of_the_whole_file),
        CASE(test_import_csv_many_rows_are_chunked),
        CASE(test_import_csv_missing_cell_names_row_and_column),
        CASE(test_import_csv_word_in_a_number_column_refuses),
        CASE(test_import_csv_infinite_cell_refuses),
        CASE(test_import_csv_number_beyond_float32_refuses),
        CASE(test_import_csv_one_class_refuses),
        CASE(test_import_csv_no_row_refuses),
        CASE(test_import_csv_label_column_alone_refuses),
        CASE(test_import_csv_other_size_declared_refuses),
        CASE(test_import_csv_range_beyond_the_end_refuses),
        CASE(test_import_csv_label_over_declared_classes_refuses),
    };
    return cmocka_run_group_tests_name("import_csv", tests, NULL, NULL);
}
