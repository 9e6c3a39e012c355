#include "orchestrator/strategy_fedavg.h"
#include "tests/unit/cmocka_all.h"

#include <float.h>
#include <math.h>

#define COUNT 4

static void expect_error(struct error *err, enum error_code code)
{
    assert_non_null(err);
    assert_int_equal(err->code, code);
    error_free(err);
}

static void test_fedavg_by_examples_weights_are_shares_of_examples(void **state)
{
    (void)state;
    const double a[COUNT] = {1, 2, 3, 4};
    const double b[COUNT] = {5, 6, -1, 0};
    const struct fedavg_update updates[] = {{a, 100}, {b, 300}};
    double mean[COUNT];
    assert_null(fedavg_aggregate(updates, 2, COUNT, JOB_WEIGHT_EXAMPLES, mean));
    const double expected[COUNT] = {4, 5, 0, 1};
    assert_memory_equal(mean, expected, sizeof mean);
}

static void test_fedavg_equal_examples_do_not_matter(void **state)
{
    (void)state;
    const double a[COUNT] = {1, 2, 3, 4};
    const double b[COUNT] = {5, 6, -1, 0};
    const struct fedavg_update updates[] = {{a, 1}, {b, 1000000}};
    double mean[COUNT];
    assert_null(fedavg_aggregate(updates, 2, COUNT, JOB_WEIGHT_EQUAL, mean));
    const double expected[COUNT] = {3, 4, 1, 2};
    assert_memory_equal(mean, expected, sizeof mean);
}

static void test_fedavg_one_site_its_model_bit_for_bit(void **state)
{
    (void)state;
    const double a[COUNT] = {0.1, -1.0 / 3.0, 1e-300, 1e300};
    const struct fedavg_update updates[] = {{a, 48000}};
    double mean[COUNT];
    assert_null(fedavg_aggregate(updates, 1, COUNT, JOB_WEIGHT_EXAMPLES, mean));
    assert_memory_equal(mean, a, sizeof mean);
}

/* The numbers are chosen so that another order of the sum rounds differently: the order is that of the array,
 * which is why the engine fills it in the order of the job's sites. */
static void test_fedavg_sum_in_order_of_updates(void **state)
{
    (void)state;
    const double a = 1.0, b = 1e-16, c = 1e-16;
    const struct fedavg_update forward[] = {{&a, 1}, {&b, 1}, {&c, 1}};
    const struct fedavg_update backward[] = {{&c, 1}, {&b, 1}, {&a, 1}};
    const double third = 1.0 / 3.0;
    double mean = 0;
    assert_null(fedavg_aggregate(forward, 3, 1, JOB_WEIGHT_EXAMPLES, &mean));
    assert_true(mean == (third * a + third * b) + third * c);
    assert_null(fedavg_aggregate(backward, 3, 1, JOB_WEIGHT_EXAMPLES, &mean));
    assert_true(mean == (third * c + third * b) + third * a);
    assert_true((third * a + third * b) + third * c != (third * c + third * b) + third * a);
}

static void test_fedavg_no_update_invalid(void **state)
{
    (void)state;
    double mean = 0;
    expect_error(fedavg_aggregate(NULL, 0, 1, JOB_WEIGHT_EQUAL, &mean), ERROR_INVALID);
}

static void test_fedavg_no_examples_invalid(void **state)
{
    (void)state;
    const double a = 1;
    const struct fedavg_update updates[] = {{&a, 10}, {&a, 0}};
    double mean = 0;
    expect_error(fedavg_aggregate(updates, 2, 1, JOB_WEIGHT_EXAMPLES, &mean), ERROR_INVALID);
}

static void test_fedavg_more_examples_than_a_double_holds_invalid(void **state)
{
    (void)state;
    const double a = 1;
    const struct fedavg_update updates[] = {{&a, UINT64_MAX}, {&a, 2}};
    double mean = 0;
    expect_error(fedavg_aggregate(updates, 2, 1, JOB_WEIGHT_EXAMPLES, &mean), ERROR_INVALID);
}

static void test_fedavg_not_finite_numeric(void **state)
{
    (void)state;
    const double bad[] = {NAN, INFINITY, -INFINITY};
    const double good = 1;
    for (size_t i = 0; i < 3; i++) {
        const struct fedavg_update updates[] = {{&good, 1}, {&bad[i], 1}};
        double mean = 0;
        expect_error(fedavg_aggregate(updates, 2, 1, JOB_WEIGHT_EQUAL, &mean), ERROR_NUMERIC);
    }
}

static void test_fedavg_largest_values_stay_finite(void **state)
{
    (void)state;
    const double a = DBL_MAX, b = -DBL_MAX;
    const struct fedavg_update updates[] = {{&a, 1}, {&b, 1}};
    double mean = 1;
    assert_null(fedavg_aggregate(updates, 2, 1, JOB_WEIGHT_EQUAL, &mean));
    assert_true(mean == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fedavg_by_examples_weights_are_shares_of_examples),
        cmocka_unit_test(test_fedavg_equal_examples_do_not_matter),
        cmocka_unit_test(test_fedavg_one_site_its_model_bit_for_bit),
        cmocka_unit_test(test_fedavg_sum_in_order_of_updates),
        cmocka_unit_test(test_fedavg_no_update_invalid),
        cmocka_unit_test(test_fedavg_no_examples_invalid),
        cmocka_unit_test(test_fedavg_more_examples_than_a_double_holds_invalid),
        cmocka_unit_test(test_fedavg_not_finite_numeric),
        cmocka_unit_test(test_fedavg_largest_values_stay_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
