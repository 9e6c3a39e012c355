/* IDX files into site.db: all rows or none, whatever goes wrong. */
#include "datasite/dataset.h"
#include "datasite/store_internal.h"
#include "schemas/files.h"
#include "tests/unit/datasite/workspace.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define SUBSET_ROWS 2000
#define FEATURES 784

static struct dataset *loaded(struct store *store, const char *name)
{
    struct dataset *dataset = NULL;
    must(dataset_load(store, name, &dataset));
    return dataset;
}

/* The files as they are: images behind 16 bytes, labels behind 8. */
static uint8_t *file_bytes(const char *path)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    must(file_read(path, 1 << 24, &data, &bytes));
    return data;
}

static void test_import_idx_subset_gives_the_same_bytes_back(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("mnist");
    struct dataset_info info = workspace_import(store, workspace, &request);
    struct dataset *dataset = loaded(store, "mnist");
    uint8_t *images = file_bytes(workspace->images), *labels = file_bytes(workspace->labels);
    assert_int_equal(info.rows, SUBSET_ROWS);
    assert_int_equal(info.features, FEATURES);
    assert_int_equal(info.classes, 10);
    assert_int_equal(dataset->info.image_columns, 28);
    assert_null(dataset->numbers);
    assert_memory_equal(dataset->bytes, images + 16, SUBSET_ROWS * FEATURES);
    for (size_t row = 0; row < SUBSET_ROWS; row++)
        assert_int_equal(dataset->labels[row], labels[8 + row]);
    free(images);
    free(labels);
    dataset_free(dataset);
    store_close(store);
}

static void test_import_idx_subset_counts_its_classes(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("mnist");
    struct dataset_info info = workspace_import(store, workspace, &request);
    for (uint32_t number = 0; number < 10; number++) {
        char name[32];
        uint64_t rows = 0;
        must(store_dataset_class(store, info.id, number, name, sizeof(name), &rows));
        assert_int_equal(rows, 200);
        assert_int_equal(name[0], '0' + (int)number);
    }
    store_close(store);
}

static void test_import_idx_range_takes_those_rows_and_all_classes(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("some");
    request.first_row = 3;
    request.end_row = 5;
    struct dataset_info info = workspace_import(store, workspace, &request);
    struct dataset *dataset = loaded(store, "some");
    uint8_t *images = file_bytes(workspace->images);
    assert_int_equal(info.rows, 2);
    assert_int_equal(info.classes, 10);
    assert_memory_equal(dataset->bytes, images + 16 + 3 * FEATURES, 2 * FEATURES);
    free(images);
    dataset_free(dataset);
    store_close(store);
}

static void expect_nothing_imported(struct store *store, const struct workspace *workspace,
                                    const struct import_request *request, enum error_code code,
                                    const char *words)
{
    struct dataset_info info;
    refused(import_idx(store, request, workspace->images, workspace->labels, &info), code, words);
    assert_int_equal(workspace_datasets(store), 0);
    struct query query;
    query_start(&query, store->database, "SELECT count(*) FROM chunk");
    assert_true(query_step(&query));
    assert_int_equal(query_int(&query, 0), 0);
    must(query_end(&query));
}

static void test_import_idx_range_beyond_the_end_refuses(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("some");
    request.end_row = SUBSET_ROWS + 1;
    expect_nothing_imported(store, workspace, &request, ERROR_INVALID, "2000 rows");
    store_close(store);
}

static void test_import_idx_other_size_declared_refuses(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("mnist");
    request.declared_rows = SUBSET_ROWS - 1;
    expect_nothing_imported(store, workspace, &request, ERROR_INVALID, "1999 rows were declared");
    store_close(store);
}

static void test_import_idx_other_digest_declared_refuses(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("mnist");
    const struct digest other = {{1}};
    request.digest = &other;
    expect_nothing_imported(store, workspace, &request, ERROR_INVALID, "not the one declared");
    store_close(store);
}

static void test_import_idx_right_digest_declared_imports(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("one");
    struct dataset_info one = workspace_import(store, workspace, &request);
    request.name = "two";
    request.digest = &one.digest;
    struct dataset_info two = workspace_import(store, workspace, &request);
    assert_true(digest_equal(&one.digest, &two.digest));
    store_close(store);
}

static void test_import_idx_too_few_classes_declared_refuses(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("mnist");
    request.classes = 9;
    expect_nothing_imported(store, workspace, &request, ERROR_INVALID, "--classes");
    store_close(store);
}

static void test_import_idx_name_of_a_path_refuses(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("../mnist");
    expect_nothing_imported(store, workspace, &request, ERROR_INVALID, "1 to 64");
    store_close(store);
}

static void test_import_idx_same_name_twice_keeps_the_first(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("mnist");
    struct dataset_info first = workspace_import(store, workspace, &request), info;
    request.end_row = 100;
    refused(import_idx(store, &request, workspace->images, workspace->labels, &info), ERROR_CONFLICT,
            "data remove mnist");
    must(store_dataset_find(store, "mnist", &info));
    assert_true(digest_equal(&first.digest, &info.digest));
    store_close(store);
}

static void test_import_idx_removed_name_is_free_again(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("mnist");
    (void)workspace_import(store, workspace, &request);
    must(store_dataset_remove(store, "mnist"));
    assert_int_equal(workspace_datasets(store), 0);
    (void)workspace_import(store, workspace, &request);
    store_close(store);
}

static void test_import_idx_truncated_images_refuse(void **state)
{
    struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("mnist");
    uint8_t *images = file_bytes(workspace->images);
    char path[160];
    workspace_write(workspace_file(workspace, "cut", path), images, 16 + SUBSET_ROWS * FEATURES - 1);
    (void)snprintf(workspace->images, sizeof(workspace->images), "%s", path);
    expect_nothing_imported(store, workspace, &request, ERROR_INVALID, "cut");
    free(images);
    store_close(store);
}

static void test_import_idx_files_swapped_refuse(void **state)
{
    struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("mnist");
    struct dataset_info info;
    refused(import_idx(store, &request, workspace->labels, workspace->images, &info), ERROR_INVALID,
            "labels");
    assert_int_equal(workspace_datasets(store), 0);
    store_close(store);
}

static void test_import_idx_labels_of_other_images_refuse(void **state)
{
    struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("mnist");
    char *place = strstr(workspace->labels, "subset-train");
    (void)snprintf(place, sizeof(workspace->labels) - (size_t)(place - workspace->labels),
                   "subset-test-labels.idx1");
    expect_nothing_imported(store, workspace, &request, ERROR_INVALID, "do not belong together");
    store_close(store);
}

static void expect_partition_covers(const struct workspace *workspace, enum partition_kind kind, double alpha)
{
    struct store *store = workspace_store(workspace);
    const struct partition partition = {.kind = kind, .parts = 3, .alpha = alpha, .seed = 5};
    uint8_t *seen = calloc(SUBSET_ROWS, 1), *images = file_bytes(workspace->images);
    uint64_t rows = 0;
    assert_non_null(seen);
    for (uint32_t part = 0; part < 3; part++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "part-%u", part);
        struct import_request request = workspace_request(name);
        request.partition = &partition;
        request.part = part;
        struct dataset_info info = workspace_import(store, workspace, &request);
        struct dataset *dataset = loaded(store, name);
        size_t place = 0;
        assert_int_equal(info.classes, 10);
        for (size_t row = 0; row < info.rows; row++) {
            while (place < SUBSET_ROWS &&
                   (seen[place] != 0 ||
                    memcmp(dataset->bytes + row * FEATURES, images + 16 + place * FEATURES, FEATURES) != 0))
                place++;
            assert_true(place < SUBSET_ROWS);
            if (place <
                SUBSET_ROWS) /* a compiler that optimises does not know that the assertion ends the test */
                seen[place] = 1;
        }
        rows += info.rows;
        dataset_free(dataset);
    }
    assert_int_equal(rows, SUBSET_ROWS);
    free(seen);
    free(images);
    store_close(store);
}

static void test_import_idx_iid_parts_cover_every_row_once(void **state)
{
    expect_partition_covers(*state, PARTITION_IID, 1);
}

static void test_import_idx_label_skew_parts_cover_every_row_once(void **state)
{
    expect_partition_covers(*state, PARTITION_LABEL_SKEW, 1);
}

static void test_import_idx_dirichlet_parts_cover_every_row_once(void **state)
{
    expect_partition_covers(*state, PARTITION_DIRICHLET, 0.5);
}

static void test_import_idx_label_skew_part_keeps_all_classes(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    const struct partition partition = {.kind = PARTITION_LABEL_SKEW, .parts = 2, .alpha = 1};
    struct import_request request = workspace_request("half");
    request.partition = &partition;
    struct dataset_info info = workspace_import(store, workspace, &request);
    char name[32];
    uint64_t rows = 1;
    assert_int_equal(info.classes, 10);
    must(store_dataset_class(store, info.id, 9, name, sizeof(name), &rows));
    assert_int_equal(rows, 0);
    store_close(store);
}

static struct error *stop_at_half(void *context, double fraction)
{
    (void)context;
    return fraction > 0.5 ? error_new(ERROR_INTERRUPTED, "stopped") : NULL;
}

static void test_import_idx_interrupted_leaves_nothing(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("mnist");
    request.step = stop_at_half;
    expect_nothing_imported(store, workspace, &request, ERROR_INTERRUPTED, "stopped");
    store_close(store);
}

static struct error *tell_and_wait(void *context, double fraction)
{
    const int *pipe_end = context;
    if (fraction > 0.7 && write(*pipe_end, "!", 1) == 1) {
        for (;;)
            (void)pause();
    }
    return NULL;
}

/* A tiny cache makes SQLite write rows of the open transaction to the disk, as a large import does. */
static void import_until_killed(const struct workspace *workspace, int pipe_end)
{
    struct store *store = NULL;
    struct import_request request = workspace_request("mnist");
    struct dataset_info info;
    request.step = tell_and_wait;
    request.context = &pipe_end;
    must(store_open(workspace->database, STORE_WRITE, &store));
    store_sign_with(store, workspace->identity);
    if (database_run(store->database, "PRAGMA cache_size = 10") == NULL)
        error_free(import_idx(store, &request, workspace->images, workspace->labels, &info));
    _exit(1);
}

static void test_import_idx_killed_leaves_nothing(void **state)
{
    const struct workspace *workspace = *state;
    store_close(workspace_store(workspace));
    int ends[2], status = 0;
    char byte = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        import_until_killed(workspace, ends[1]);
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    (void)close(ends[0]);
    struct store *store = workspace_store(workspace);
    assert_int_equal(workspace_datasets(store), 0);
    struct import_request request = workspace_request("mnist");
    assert_int_equal(workspace_import(store, workspace, &request).rows, SUBSET_ROWS);
    store_close(store);
}

static void test_import_idx_full_store_leaves_nothing(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("mnist");
    must(database_run(store->database, "PRAGMA max_page_count = 100"));
    expect_nothing_imported(store, workspace, &request, ERROR_IO, "no room left");
    store_close(store);
}

static void test_import_idx_read_only_store_refuses(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = NULL;
    store_close(workspace_store(workspace));
    must(store_open(workspace->database, STORE_READ, &store));
    struct import_request request = workspace_request("mnist");
    expect_nothing_imported(store, workspace, &request, ERROR_IO, "read-only");
    store_close(store);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, workspace_make, workspace_remove)
    const struct CMUnitTest tests[] = {
        CASE(test_import_idx_subset_gives_the_same_bytes_back),
        CASE(test_import_idx_subset_counts_its_classes),
        CASE(test_import_idx_range_takes_those_rows_and_all_classes),
        CASE(test_import_idx_range_beyond_the_end_refuses),
        CASE(test_import_idx_other_size_declared_refuses),
        CASE(test_import_idx_other_digest_declared_refuses),
        CASE(test_import_idx_right_digest_declared_imports),
        CASE(test_import_idx_too_few_classes_declared_refuses),
        CASE(test_import_idx_name_of_a_path_refuses),
        CASE(test_import_idx_same_name_twice_keeps_the_first),
        CASE(test_import_idx_removed_name_is_free_again),
        CASE(test_import_idx_truncated_images_refuse),
        CASE(test_import_idx_files_swapped_refuse),
        CASE(test_import_idx_labels_of_other_images_refuse),
        CASE(test_import_idx_iid_parts_cover_every_row_once),
        CASE(test_import_idx_label_skew_parts_cover_every_row_once),
        CASE(test_import_idx_dirichlet_parts_cover_every_row_once),
        CASE(test_import_idx_label_skew_part_keeps_all_classes),
        CASE(test_import_idx_interrupted_leaves_nothing),
        CASE(test_import_idx_killed_leaves_nothing),
        CASE(test_import_idx_full_store_leaves_nothing),
        CASE(test_import_idx_read_only_store_refuses),
    };
    return cmocka_run_group_tests_name("import_idx", tests, NULL, NULL);
}
