#include "learning/metrics.h"
#include "tests/unit/cmocka_all.h"

#include <math.h>

static void test_metrics_confusion_has_truth_in_rows(void **state)
{
    (void)state;
    const uint16_t labels[4] = {0, 0, 1, 2};
    const uint16_t predicted[4] = {0, 2, 1, 2};
    const uint64_t expected[9] = {1, 0, 1, 0, 1, 0, 0, 0, 1};
    uint64_t confusion[9] = {77, 77, 77, 77, 77, 77, 77, 77, 77};
    assert_null(metrics_confusion(labels, predicted, 4, 3, confusion));
    assert_memory_equal(confusion, expected, sizeof(expected));
    assert_int_equal(metrics_total(confusion, 3), 4);
    assert_int_equal(metrics_correct(confusion, 3), 3);
    assert_true(fabs(metrics_accuracy(confusion, 3) - 0.75) < 1e-15);
}

static void test_metrics_class_out_of_range_is_refused(void **state)
{
    (void)state;
    const uint16_t good[2] = {0, 1};
    const uint16_t bad[2] = {0, 3};
    uint64_t confusion[9] = {5};
    struct error *err = metrics_confusion(bad, good, 2, 3, confusion);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_INVALID);
    error_free(err);
    err = metrics_confusion(good, bad, 2, 3, confusion);
    assert_non_null(err);
    error_free(err);
    assert_int_equal(confusion[0], 5);
}

static void test_metrics_add_sums_elements(void **state)
{
    (void)state;
    uint64_t total[4] = {1, 2, 3, 4};
    const uint64_t part[4] = {10, 20, 30, 40};
    const uint64_t expected[4] = {11, 22, 33, 44};
    assert_null(metrics_add(total, part, 2));
    assert_memory_equal(total, expected, sizeof(expected));
}

static void test_metrics_add_overflow_is_refused_untouched(void **state)
{
    (void)state;
    uint64_t total[4] = {1, 2, 3, UINT64_MAX};
    const uint64_t part[4] = {1, 1, 1, 1};
    struct error *err = metrics_add(total, part, 2);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_LIMIT);
    error_free(err);
    assert_int_equal(total[0], 1);
}

static void test_metrics_accuracy_of_nothing_is_not_a_number(void **state)
{
    (void)state;
    const uint64_t confusion[4] = {0};
    assert_true(isnan(metrics_accuracy(confusion, 2)) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics_confusion_has_truth_in_rows),
        cmocka_unit_test(test_metrics_class_out_of_range_is_refused),
        cmocka_unit_test(test_metrics_add_sums_elements),
        cmocka_unit_test(test_metrics_add_overflow_is_refused_untouched),
        cmocka_unit_test(test_metrics_accuracy_of_nothing_is_not_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
