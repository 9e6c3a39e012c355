/* Mock datasets: what is drawn, and that no private row is among it, whatever the private rows are. */
#include "datasite/mock.h"

#include "tests/unit/datasite/workspace.h"

#include <math.h>

#define SEED 7
#define NOW 1790000000

static const uint8_t split_key[32] = {1};

static struct mock_ranges *default_ranges(void)
{
    struct mock_ranges *ranges = NULL;
    must(mock_ranges_load(NULL, &ranges));
    return ranges;
}

/* A dataset of these rows: u8 or float64 [rows][features]. */
static struct dataset_info import_rows(struct store *store, const char *name, enum dataset_kind kind,
                                       const void *rows, size_t count, size_t features)
{
    static const char *const classes[] = {"no", "yes"};
    static const char *const columns[] = {"age", "height", "c", "d", "e", "f", "g", "h"};
    uint32_t labels[4096] = {0};
    struct dataset_writer *writer = NULL;
    struct dataset_info info = {
        .kind = kind, .rows = count, .features = features, .classes = 2, .imported_at = NOW};
    assert_true(count <= 4096 && features <= 8);
    if (kind == DATASET_BYTES) {
        info.image_rows = 1;
        info.image_columns = (uint32_t)features;
    }
    (void)snprintf(info.name, sizeof(info.name), "%s", name);
    (void)snprintf(info.source, sizeof(info.source), "made for tests");
    must(dataset_writer_start(store, &info, classes, kind == DATASET_NUMBERS ? columns : NULL, split_key,
                              &writer));
    must(dataset_writer_add(writer, rows, labels, count));
    must(dataset_writer_finish(writer, NULL, &info));
    dataset_writer_free(writer);
    return info;
}

/* The whole mock dataset, page by page. */
static uint8_t *read_mock(struct store *store, const char *name, size_t row_bytes, struct mock_info *ret_info)
{
    must(store_mock_find(store, name, ret_info));
    uint8_t *data = malloc(ret_info->rows * row_bytes);
    assert_non_null(data);
    for (uint64_t row = 0; row < ret_info->rows;) {
        struct mock_page page = {0};
        must(store_mock_page(store, ret_info, row, &page));
        assert_true(page.first_row == row && page.rows > 0 && page.rows <= ret_info->rows - row);
        assert_true(page.data_bytes + page.label_bytes <= STORE_MOCK_PAGE_BYTES || page.rows == 1);
        memcpy(data + row * row_bytes, page.data, page.data_bytes);
        for (size_t i = 0; i < page.rows; i++)
            assert_true((uint32_t)(page.labels[2 * i] | page.labels[2 * i + 1] << 8) < ret_info->classes);
        row += page.rows;
        mock_page_clear(&page);
    }
    return data;
}

static size_t rows_in_common(const uint8_t *a, size_t a_rows, const uint8_t *b, size_t b_rows,
                             size_t row_bytes)
{
    size_t common = 0;
    for (size_t i = 0; i < a_rows; i++)
        for (size_t j = 0; j < b_rows; j++)
            common += memcmp(a + i * row_bytes, b + j * row_bytes, row_bytes) == 0;
    return common;
}

/* Rows that this very seed draws: the generator's own range cannot be closer to the private rows. */
static struct mock_plan plan_of_bytes(void)
{
    struct mock_plan plan = {.kind = DATASET_BYTES, .features = 8, .classes = 2, .seed = SEED};
    struct dataset_info info = {.name = "bytes", .kind = DATASET_BYTES, .features = 8, .classes = 2};
    must(mock_pattern(&info, &plan.pattern));
    return plan;
}

static void draw(const struct mock_plan *plan, uint32_t first, size_t rows, uint8_t *ret_rows)
{
    size_t row_bytes = plan->features * (plan->kind == DATASET_BYTES ? 1 : sizeof(double));
    uint16_t label;
    for (uint32_t i = 0; i < rows; i++)
        mock_row(plan, first + i, 0, ret_rows + i * row_bytes, &label);
}

static void test_mock_row_is_the_same_for_the_same_seed_only(void **state)
{
    (void)state;
    struct mock_plan plan = plan_of_bytes();
    uint8_t a[8], b[8];
    uint16_t label_a, label_b;
    mock_row(&plan, 3, 0, a, &label_a);
    mock_row(&plan, 3, 0, b, &label_b);
    assert_memory_equal(a, b, sizeof(a));
    assert_int_equal(label_a, label_b);
    mock_row(&plan, 3, 1, b, &label_b);
    assert_memory_not_equal(a, b, sizeof(a));
    plan.seed++;
    mock_row(&plan, 3, 0, b, &label_b);
    assert_memory_not_equal(a, b, sizeof(a));
}

/* Two sites with the same dataset make other rows of the same classes, so that a job learns from both. */
static void test_mock_pattern_is_the_same_at_every_site(void **state)
{
    (void)state;
    struct dataset_info a = {
        .id = 1, .name = "zoo", .kind = DATASET_BYTES, .rows = 5, .features = 8, .classes = 3};
    struct dataset_info b = a;
    uint64_t of_a = 0, of_b = 0;
    b.id = 2;
    b.rows = 7;
    b.digest.bytes[0] = 1;
    must(mock_pattern(&a, &of_a));
    must(mock_pattern(&b, &of_b));
    assert_true(of_a == of_b);
    b.classes = 4;
    must(mock_pattern(&b, &of_b));
    assert_true(of_a != of_b);
}

static void test_mock_row_keeps_to_the_owners_ranges(void **state)
{
    (void)state;
    struct mock_range ranges[] = {{18, 90, MOCK_INTEGER}, {-0.5, 0.25, MOCK_REAL}, {5, 5, MOCK_REAL}};
    struct mock_plan plan = {
        .kind = DATASET_NUMBERS, .features = 3, .classes = 3, .ranges = ranges, .seed = SEED};
    size_t seen[3] = {0};
    double least = INFINITY, most = -INFINITY;
    for (uint32_t row = 0; row < 2000; row++) {
        double values[3];
        uint16_t label;
        mock_row(&plan, row, 0, (uint8_t *)values, &label);
        assert_true(label < 3);
        seen[label]++;
        assert_true(values[0] >= 18 && values[0] <= 90 && values[0] == floor(values[0]));
        assert_true(values[1] >= -0.5 && values[1] <= 0.25);
        assert_true(values[2] == 5);
        least = fmin(least, values[1]);
        most = fmax(most, values[1]);
    }
    assert_true(seen[0] > 500 && seen[1] > 500 && seen[2] > 500);
    assert_true(least < -0.3 && most > 0.05);
}

struct comparison {
    const uint8_t *data;
    size_t rows, row_bytes, seen, common;
};

static struct error *compare_chunk(void *context, const struct chunk_view *chunk)
{
    struct comparison *comparison = context;
    comparison->seen += chunk->rows;
    comparison->common +=
        rows_in_common(chunk->data, chunk->rows, comparison->data, comparison->rows, comparison->row_bytes);
    return NULL;
}

static void test_mock_make_of_real_images_has_none_of_them(void **state)
{
    struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct import_request request = workspace_request("digits");
    struct dataset_info info = workspace_import(store, workspace, &request);
    struct mock_ranges *ranges = default_ranges();
    struct mock_info mock;
    must(mock_make(store, "digits", ranges, 300, SEED, NOW));
    uint8_t *data = read_mock(store, "digits", 784, &mock);
    assert_true(mock.rows == 300 && mock.features == info.features && mock.classes == info.classes);
    assert_true(digest_equal(&mock.source, &info.digest));
    struct comparison comparison = {data, 300, 784, 0, 0};
    must(store_dataset_read(store, &info, compare_chunk, &comparison));
    assert_int_equal(comparison.seen, info.rows);
    assert_int_equal(comparison.common, 0);
    free(data);
    mock_ranges_free(ranges);
    store_close(store);
}

/* The attack: a few private rows are exactly what the seed draws. */
static void test_mock_make_private_rows_in_the_generators_range_are_drawn_again(void **state)
{
    struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct mock_ranges *ranges = default_ranges();
    struct mock_plan plan = plan_of_bytes();
    uint8_t rows[MOCK_MAX_REDRAWS * 8];
    struct mock_info mock;
    draw(&plan, 5, MOCK_MAX_REDRAWS, rows);
    (void)import_rows(store, "bytes", DATASET_BYTES, rows, MOCK_MAX_REDRAWS, 8);
    must(mock_make(store, "bytes", ranges, 200, SEED, NOW));
    uint8_t *data = read_mock(store, "bytes", 8, &mock);
    assert_int_equal(rows_in_common(rows, MOCK_MAX_REDRAWS, data, 200, 8), 0);
    free(data);
    mock_ranges_free(ranges);
    store_close(store);
}

/* Many of them: their absence would tell. Nothing is written. */
static void test_mock_make_too_many_existing_rows_is_refused(void **state)
{
    struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct mock_ranges *ranges = default_ranges();
    struct mock_plan plan = plan_of_bytes();
    uint8_t rows[(MOCK_MAX_REDRAWS + 1) * 8];
    struct mock_info *mocks = NULL;
    size_t count = 0;
    draw(&plan, 0, MOCK_MAX_REDRAWS + 1, rows);
    (void)import_rows(store, "bytes", DATASET_BYTES, rows, MOCK_MAX_REDRAWS + 1, 8);
    refused(mock_make(store, "bytes", ranges, 200, SEED, NOW), ERROR_REFUSED, "would tell which rows");
    must(store_mock_list(store, &mocks, &count));
    assert_int_equal(count, 0);
    free(mocks);
    mock_ranges_free(ranges);
    store_close(store);
}

/* -0 and 0 are one number: a row that differs in the sign of a zero alone is the private row. */
static void test_mock_make_zero_of_another_sign_is_the_same_row(void **state)
{
    struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct mock_ranges *ranges = NULL;
    static const char text[] = "columns: {age: {low: 0, high: 0}}\n";
    must(mock_ranges_parse(text, strlen(text), "ranges.yaml", &ranges));
    struct mock_range columns[] = {{0, 0, MOCK_REAL}, mock_range_default()};
    struct mock_plan plan = {
        .kind = DATASET_NUMBERS, .features = 2, .classes = 2, .ranges = columns, .seed = SEED};
    struct dataset_info shape = {.name = "zero", .kind = DATASET_NUMBERS, .features = 2, .classes = 2};
    double private_row[2];
    struct mock_info mock;
    must(mock_pattern(&shape, &plan.pattern));
    draw(&plan, 4, 1, (uint8_t *)private_row);
    assert_true(private_row[0] == 0);
    private_row[0] = -0.0;
    (void)import_rows(store, "zero", DATASET_NUMBERS, private_row, 1, 2);
    must(mock_make(store, "zero", ranges, 50, SEED, NOW));
    double *made = (double *)(void *)read_mock(store, "zero", sizeof(private_row), &mock);
    for (size_t i = 0; i < 50; i++)
        assert_true(made[2 * i + 1] != private_row[1]);
    free(made);
    mock_ranges_free(ranges);
    store_close(store);
}

static void test_mock_make_small_domain_is_refused(void **state)
{
    struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct mock_ranges *ranges = default_ranges(), *few = NULL;
    static const char text[] = "default: {low: 0, high: 99, kind: integer}\n";
    static const uint8_t bytes[5] = {1, 2, 3, 4, 5};
    static const double numbers[4] = {1, 2, 3, 4};
    must(mock_ranges_parse(text, strlen(text), "ranges.yaml", &few));
    (void)import_rows(store, "bytes", DATASET_BYTES, bytes, 1, 5);
    (void)import_rows(store, "numbers", DATASET_NUMBERS, numbers, 1, 4);
    refused(mock_make(store, "bytes", ranges, 10, SEED, NOW), ERROR_REFUSED,
            "fewer than 2^48 different rows");
    refused(mock_make(store, "numbers", few, 10, SEED, NOW), ERROR_REFUSED, "fewer than 2^48 different rows");
    must(mock_make(store, "numbers", ranges, 10, SEED, NOW));
    mock_ranges_free(ranges);
    mock_ranges_free(few);
    store_close(store);
}

static void test_mock_make_bad_requests_are_refused(void **state)
{
    struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct mock_ranges *ranges = default_ranges(), *other = NULL;
    static const char text[] = "columns: {agee: {low: 0, high: 99}}\n";
    static const double numbers[4] = {1, 2, 3, 4};
    must(mock_ranges_parse(text, strlen(text), "ranges.yaml", &other));
    (void)import_rows(store, "numbers", DATASET_NUMBERS, numbers, 1, 4);
    refused(mock_make(store, "none", ranges, 10, SEED, NOW), ERROR_NOT_FOUND, "none");
    refused(mock_make(store, "numbers", ranges, 0, SEED, NOW), ERROR_LIMIT, "1 to 10000 rows");
    refused(mock_make(store, "numbers", ranges, MOCK_MAX_ROWS + 1, SEED, NOW), ERROR_LIMIT,
            "1 to 10000 rows");
    refused(mock_make(store, "numbers", other, 10, SEED, NOW), ERROR_INVALID, "agee");
    mock_ranges_free(ranges);
    mock_ranges_free(other);
    store_close(store);
}

static void test_mock_replaced_and_removed(void **state)
{
    struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct mock_ranges *ranges = default_ranges();
    static const double numbers[4] = {1, 2, 3, 4};
    struct mock_info first, second;
    (void)import_rows(store, "numbers", DATASET_NUMBERS, numbers, 1, 4);
    must(mock_make(store, "numbers", ranges, 10, SEED, NOW));
    must(store_mock_find(store, "numbers", &first));
    must(mock_make(store, "numbers", ranges, 20, SEED + 1, NOW));
    must(store_mock_find(store, "numbers", &second));
    assert_int_equal(second.rows, 20);
    assert_false(digest_equal(&first.digest, &second.digest));
    must(store_mock_remove(store, "numbers", NOW));
    refused(store_mock_find(store, "numbers", &second), ERROR_NOT_FOUND, "numbers");
    refused(store_mock_remove(store, "numbers", NOW), ERROR_NOT_FOUND, "numbers");
    mock_ranges_free(ranges);
    store_close(store);
}

/* Rows that came later were not compared: the mock dataset stands for the old ones alone. */
static void test_mock_of_a_changed_dataset_is_not_given(void **state)
{
    struct workspace *workspace = *state;
    struct store *store = workspace_store(workspace);
    struct mock_ranges *ranges = default_ranges();
    static const double numbers[4] = {1, 2, 3, 4}, others[4] = {1, 2, 3, 5};
    struct mock_info mock;
    bool has = false;
    struct dataset_info info = import_rows(store, "numbers", DATASET_NUMBERS, numbers, 1, 4);
    must(mock_make(store, "numbers", ranges, 10, SEED, NOW));
    must(store_mock_of(store, &info, &mock, &has));
    assert_true(has);
    must(store_dataset_remove(store, "numbers"));
    info = import_rows(store, "numbers", DATASET_NUMBERS, others, 1, 4);
    must(store_mock_of(store, &info, &mock, &has));
    assert_false(has);
    uint8_t data[32] = {0}, labels[2] = {0};
    refused(store_mock_put(store,
                           &(struct mock_info){.dataset = "numbers", .rows = 1, .features = 4, .classes = 2},
                           data, labels),
            ERROR_CONFLICT, "changed meanwhile");
    mock_ranges_free(ranges);
    store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, workspace_make, workspace_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_mock_row_is_the_same_for_the_same_seed_only),
        TEST(test_mock_pattern_is_the_same_at_every_site),
        TEST(test_mock_row_keeps_to_the_owners_ranges),
        TEST(test_mock_make_of_real_images_has_none_of_them),
        TEST(test_mock_make_private_rows_in_the_generators_range_are_drawn_again),
        TEST(test_mock_make_too_many_existing_rows_is_refused),
        TEST(test_mock_make_zero_of_another_sign_is_the_same_row),
        TEST(test_mock_make_small_domain_is_refused),
        TEST(test_mock_make_bad_requests_are_refused),
        TEST(test_mock_replaced_and_removed),
        TEST(test_mock_of_a_changed_dataset_is_not_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
