#include "schemas/files.h"
#include "schemas/idx.h"
#include "tests/unit/schemas/refusal.h"

/* Images: 2 of 2 x 3 bytes. */
static const uint8_t idx_images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2,  0,  0,
                                     0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const uint8_t idx_labels[] = {0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9};

static void test_idx_images_are_read(void **state)
{
    (void)state;
    struct idx idx;
    assert_done(idx_parse(idx_images, sizeof(idx_images), IDX_IMAGES, "a.idx", &idx));
    assert_int_equal(idx.count, 2);
    assert_int_equal(idx.rows, 2);
    assert_int_equal(idx.columns, 3);
    assert_int_equal(idx.item_bytes, 6);
    assert_ptr_equal(idx.items, idx_images + 16);
}

static void test_idx_labels_are_read(void **state)
{
    (void)state;
    struct idx idx;
    assert_done(idx_parse(idx_labels, sizeof(idx_labels), IDX_LABELS, "a.idx", &idx));
    assert_int_equal(idx.count, 3);
    assert_int_equal(idx.item_bytes, 1);
    assert_int_equal(idx.items[2], 9);
}

static void test_idx_truncated_at_every_byte_is_refused(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof(idx_images); cut++) {
        struct idx idx;
        uint8_t *part = malloc(cut + 1);
        assert_non_null(part);
        memcpy(part, idx_images, cut);
        uint8_t *exact = cut == 0 ? part : realloc(part, cut);
        assert_refused(idx_parse(exact, cut, IDX_IMAGES, "a.idx", &idx), ERROR_INVALID, "a.idx is truncated");
        free(exact);
    }
}

static void test_idx_truncated_names_both_sizes(void **state)
{
    (void)state;
    struct idx idx;
    assert_refused(idx_parse(idx_images, 20, IDX_IMAGES, "a.idx", &idx), ERROR_INVALID,
                   "a.idx is truncated: its header announces 28 bytes, the file has 20.");
}

static void test_idx_oversized_is_refused(void **state)
{
    (void)state;
    struct idx idx;
    uint8_t data[sizeof(idx_labels) + 1] = {0};
    memcpy(data, idx_labels, sizeof(idx_labels));
    assert_refused(idx_parse(data, sizeof(data), IDX_LABELS, "a.idx", &idx), ERROR_INVALID,
                   "a.idx is oversized: its header announces 11 bytes, the file has 12.");
}

static void test_idx_of_the_other_kind_is_named(void **state)
{
    (void)state;
    struct idx idx;
    assert_refused(idx_parse(idx_labels, sizeof(idx_labels), IDX_IMAGES, "a.idx", &idx), ERROR_INVALID,
                   "a.idx is an IDX file of labels; a file of images is needed here.");
    assert_refused(idx_parse(idx_images, sizeof(idx_images), IDX_LABELS, "a.idx", &idx), ERROR_INVALID,
                   "a.idx is an IDX file of images; a file of labels is needed here.");
}

static void test_idx_of_wrong_magic_is_refused(void **state)
{
    (void)state;
    static const uint8_t magics[][4] = {
        {0x89, 'P', 'N', 'G'}, {3, 8, 0, 0}, {0, 0, 0x0d, 3}, {0, 0, 8, 2}, {'s', 'q', 'l', 'i'}};
    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
        struct idx idx;
        uint8_t data[sizeof(idx_images)];
        memcpy(data, idx_images, sizeof(data));
        memcpy(data, magics[i], 4);
        assert_refused(idx_parse(data, sizeof(data), IDX_IMAGES, "a.idx", &idx), ERROR_INVALID,
                       "a.idx is not an IDX file of images: it begins with");
    }
}

static void test_idx_compressed_is_named(void **state)
{
    (void)state;
    struct idx idx;
    const uint8_t data[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    assert_refused(idx_parse(data, sizeof(data), IDX_IMAGES, "a.gz", &idx), ERROR_INVALID,
                   "compressed with gzip");
}

/* Dimensions whose product overflows 32 or 64 bits must not pass for small ones. */
static void test_idx_of_impossible_dimensions_is_refused(void **state)
{
    (void)state;
    static const uint8_t dimensions[][12] = {
        {0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3},
        {0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3},
        {0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0},
        {0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1},
        {0, 0, 0, 2, 0, 1, 0, 0, 0, 1, 0, 0},
        {0, 0, 0, 2, 0x80, 0, 0, 0, 0, 0, 0, 2},
        {0, 0, 0, 6, 0x80, 0, 0, 1, 0, 0, 0, 2}, /* 2 bytes an item in 32 bits, and then of the right size */
        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
        {0, 0, 0, 1, 0, 0x10, 0, 1, 0, 0, 0, 1},
    };
    for (size_t i = 0; i < sizeof(dimensions) / sizeof(dimensions[0]); i++) {
        struct idx idx;
        uint8_t data[sizeof(idx_images)];
        memcpy(data, idx_images, sizeof(data));
        memcpy(data + 4, dimensions[i], 12);
        assert_refused(idx_parse(data, sizeof(data), IDX_IMAGES, "a.idx", &idx), ERROR_INVALID,
                       "1 to 2147483648 items of 1 to 1048576 bytes are possible.");
    }
}

static void test_idx_largest_dimensions_count_as_truncated(void **state)
{
    (void)state;
    struct idx idx;
    uint8_t data[sizeof(idx_images)];
    static const uint8_t largest[12] = {0x80, 0, 0, 0, 0, 0, 4, 0, 0, 0, 4, 0};
    memcpy(data, idx_images, sizeof(data));
    memcpy(data + 4, largest, 12);
    assert_refused(idx_parse(data, sizeof(data), IDX_IMAGES, "a.idx", &idx), ERROR_INVALID,
                   "its header announces 2251799813685264 bytes, the file has 28.");
}

static void test_idx_subset_of_mnist_is_read(void **state)
{
    (void)state;
    const char *directory = getenv("DATASITE_TEST_DATA");
    char *path = NULL;
    uint8_t *data = NULL;
    size_t bytes = 0;
    struct idx idx;
    if (directory == NULL)
        skip();
    assert_done(path_join(directory, "subset-test-images.idx3", &path));
    assert_done(file_read(path, 1u << 20, &data, &bytes));
    assert_done(idx_parse(data, bytes, IDX_IMAGES, path, &idx));
    assert_int_equal(idx.item_bytes, 784);
    free(data);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idx_images_are_read),
        cmocka_unit_test(test_idx_labels_are_read),
        cmocka_unit_test(test_idx_truncated_at_every_byte_is_refused),
        cmocka_unit_test(test_idx_truncated_names_both_sizes),
        cmocka_unit_test(test_idx_oversized_is_refused),
        cmocka_unit_test(test_idx_of_the_other_kind_is_named),
        cmocka_unit_test(test_idx_of_wrong_magic_is_refused),
        cmocka_unit_test(test_idx_compressed_is_named),
        cmocka_unit_test(test_idx_of_impossible_dimensions_is_refused),
        cmocka_unit_test(test_idx_largest_dimensions_count_as_truncated),
        cmocka_unit_test(test_idx_subset_of_mnist_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
