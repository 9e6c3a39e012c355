#include "learning/matrix.h"
#include "tests/unit/cmocka_all.h"

static const uint8_t bytes[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

static void refused(const struct matrix_view *view, enum error_code code, const char *words)
{
    struct error *err = matrix_check(view);
    assert_non_null(err);
    assert_int_equal(err->code, code);
    assert_non_null(strstr(err->sentence, words));
    error_free(err);
}

static void test_matrix_whole_array_is_accepted(void **state)
{
    (void)state;
    struct matrix_view view = matrix_of_bytes(bytes, 3, 4);
    assert_null(matrix_check(&view));
    assert_int_equal(matrix_count(&view), 3);
    assert_int_equal(*(const uint8_t *)matrix_row(&view, 2), 8);
}

static void test_matrix_selection_gathers_in_its_order(void **state)
{
    (void)state;
    const uint32_t index[2] = {2, 0};
    struct matrix_view whole = matrix_of_bytes(bytes, 3, 4);
    struct matrix_view view = matrix_select(&whole, index, 2);
    assert_null(matrix_check(&view));
    assert_int_equal(matrix_count(&view), 2);
    assert_int_equal(matrix_row_number(&view, 0), 2);
}

static void test_matrix_float_rows_lie_four_bytes_an_element_apart(void **state)
{
    (void)state;
    const float floats[6] = {0, 1, 2, 3, 4, 5};
    struct matrix_view view = matrix_of_floats(floats, 2, 3);
    assert_true(*(const float *)matrix_row(&view, 1) >= 3.0F);
}

static void test_matrix_without_rows_is_refused(void **state)
{
    (void)state;
    struct matrix_view view = matrix_of_bytes(bytes, 0, 4);
    refused(&view, ERROR_INVALID, "no rows");
    struct matrix_view whole = matrix_of_bytes(bytes, 3, 4);
    view = matrix_select(&whole, (const uint32_t[]){0}, 0);
    refused(&view, ERROR_INVALID, "no rows");
}

static void test_matrix_without_features_is_refused(void **state)
{
    (void)state;
    struct matrix_view view = matrix_of_bytes(bytes, 3, 0);
    refused(&view, ERROR_INVALID, "no features");
}

static void test_matrix_selection_beyond_array_is_refused(void **state)
{
    (void)state;
    const uint32_t index[2] = {0, 3};
    struct matrix_view whole = matrix_of_bytes(bytes, 3, 4);
    struct matrix_view view = matrix_select(&whole, index, 2);
    refused(&view, ERROR_INVALID, "Position 1");
}

static void test_matrix_overlapping_rows_are_refused(void **state)
{
    (void)state;
    struct matrix_view view = matrix_of_bytes(bytes, 3, 4);
    view.stride = 3;
    refused(&view, ERROR_INVALID, "apart");
}

static void test_matrix_too_wide_is_over_the_limit(void **state)
{
    (void)state;
    struct matrix_view view = matrix_of_bytes(bytes, 3, MATRIX_MAX_FEATURES + 1);
    refused(&view, ERROR_LIMIT, "limit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix_whole_array_is_accepted),
        cmocka_unit_test(test_matrix_selection_gathers_in_its_order),
        cmocka_unit_test(test_matrix_float_rows_lie_four_bytes_an_element_apart),
        cmocka_unit_test(test_matrix_without_rows_is_refused),
        cmocka_unit_test(test_matrix_without_features_is_refused),
        cmocka_unit_test(test_matrix_selection_beyond_array_is_refused),
        cmocka_unit_test(test_matrix_overlapping_rows_are_refused),
        cmocka_unit_test(test_matrix_too_wide_is_over_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
