#include "learning/moments.h"
#include "learning/random.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/learning/made_rows.h"
#include "tests/unit/learning/reference.h"

#include <float.h>
#include <math.h>

#define ROWS 200
#define FEATURES 11
#define BOUND ((uint64_t)1 << 28)

__extension__ typedef unsigned __int128 uint128;

static void test_moments_mean_is_that_of_plain_sums(void **state)
{
    (void)state;
    static const uint32_t index[] = {3, 77, 4, 199, 100};
    for (int type = MATRIX_BYTES; type <= MATRIX_FLOAT32; type++) {
        struct made_rows made = made_rows_new((enum matrix_type)type, ROWS, FEATURES, 2);
        struct softmax_problem problem = made_rows_problem(&made, 0.0);
        struct matrix_view view = matrix_select(&problem.rows, index, 5);
        double moments[2 * FEATURES];
        assert_null(moments_mean(&view, moments));
        for (size_t j = 0; j < FEATURES; j++) {
            double sum = 0.0, squares = 0.0;
            for (size_t i = 0; i < 5; i++) {
                sum += reference_value(&view, index[i], j);
                squares += pow(reference_value(&view, index[i], j), 2.0);
            }
            assert_true(fabs(moments[j] - sum / 5.0) < 1e-6);
            assert_true(fabs(moments[FEATURES + j] - squares / 5.0) < 1e-6);
        }
        made_rows_free(&made);
    }
}

static void test_moments_mean_refuses_no_rows_and_what_is_not_finite(void **state)
{
    (void)state;
    float values[4] = {1.0F, 2.0F, 3.0F, NAN};
    double moments[4] = {42.0};
    struct matrix_view view = matrix_of_floats(values, 2, 2);
    struct error *err = moments_mean(&view, moments);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_NUMERIC);
    error_free(err);
    view = matrix_select(&view, (const uint32_t[]){0}, 0);
    err = moments_mean(&view, moments);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_INVALID);
    error_free(err);
    assert_true(moments[0] == 42.0);
}

/* The same in double precision, in units. */
static void reference_sum(const struct matrix_view *view, const uint32_t *order, size_t count, double clip,
                          double *ret_sum)
{
    memset(ret_sum, 0, 2 * view->features * sizeof(*ret_sum));
    for (size_t i = 0; i < count; i++) {
        double squares = 0.0;
        for (size_t j = 0; j < view->features; j++) {
            double value = reference_value(view, order[i], j);
            squares += value * value + pow(value, 4.0);
        }
        double factor = fmin(1.0, clip / sqrt(squares));
        for (size_t j = 0; j < view->features; j++) {
            double value = reference_value(view, order[i], j);
            ret_sum[j] += factor * value;
            ret_sum[view->features + j] += factor * value * value;
        }
    }
}

static void test_moments_private_sum_is_the_clipped_sum_in_any_order(void **state)
{
    (void)state;
    static const double clips[] = {0.1, 1.5, 100.0};
    for (int type = MATRIX_BYTES; type <= MATRIX_FLOAT32; type++)
        for (size_t c = 0; c < 3; c++) {
            struct made_rows made = made_rows_new((enum matrix_type)type, ROWS, FEATURES, 2);
            struct softmax_problem problem = made_rows_problem(&made, 0.0);
            struct random random = random_stream(9, RANDOM_MOCK, 0, 0);
            uint32_t order[ROWS];
            double expected[2 * FEATURES];
            int64_t whole[2 * FEATURES], first[2 * FEATURES], second[2 * FEATURES];
            for (uint32_t i = 0; i < ROWS; i++)
                order[i] = i;
            reference_sum(&problem.rows, order, ROWS, clips[c], expected);
            assert_null(moments_private_sum(&problem.rows, order, ROWS, clips[c], BOUND, whole));
            for (size_t j = 0; j < 2 * FEATURES; j++)
                assert_true(fabs((double)whole[j] * clips[c] / (double)BOUND - expected[j]) < 1e-3);
            random_shuffle(&random, order, ROWS);
            assert_null(moments_private_sum(&problem.rows, order, 77, clips[c], BOUND, first));
            assert_null(moments_private_sum(&problem.rows, order + 77, ROWS - 77, clips[c], BOUND, second));
            for (size_t j = 0; j < 2 * FEATURES; j++)
                assert_int_equal(first[j] + second[j], whole[j]);
            made_rows_free(&made);
        }
}

static void test_moments_private_sum_of_any_row_keeps_the_bound(void **state)
{
    (void)state;
    static const float special[] = {0.0F,  1.0F,   -1.0F, FLT_MAX, -FLT_MAX, 1e-45F,
                                    1e19F, -1e10F, 0.3F,  NAN,     INFINITY, -INFINITY};
    static const double clips[] = {1e-200, 1e-3, 1.0, 1e200};
    static const uint64_t bounds[] = {1 << 10, (1 << 23) + 1, (uint64_t)1 << 40};
    static const uint32_t order[] = {0};
    for (size_t s = 0; s < 12; s++)
        for (size_t c = 0; c < 4; c++)
            for (size_t b = 0; b < 3; b++) {
                float row[5] = {special[s], 0.3F, special[s], -2.0F, special[(s + 1) % 9]};
                struct matrix_view view = matrix_of_floats(row, 1, 5);
                int64_t sum[10];
                uint128 squares = 0;
                assert_null(moments_private_sum(&view, order, 1, clips[c], bounds[b], sum));
                for (size_t j = 0; j < 10; j++) {
                    uint64_t size = sum[j] < 0 ? 0 - (uint64_t)sum[j] : (uint64_t)sum[j];
                    assert_true(size <= bounds[b]);
                    squares += (uint128)size * size;
                    assert_true(s < 9 || sum[j] == 0);
                }
                assert_true(squares <= (uint128)bounds[b] * bounds[b]);
            }
}

static void test_moments_private_sum_without_rows_is_zero_and_bad_values_are_refused(void **state)
{
    (void)state;
    float row[2] = {1.0F, 2.0F};
    struct matrix_view view = matrix_of_floats(row, 1, 2);
    static const uint32_t order[] = {0, 1};
    int64_t sum[4] = {1, 2, 3, 4};
    static const struct {
        double clip;
        uint64_t bound;
        size_t count;
    } bad[] = {{0.0, BOUND, 1}, {NAN, BOUND, 1}, {1e-320, BOUND, 1}, {1.0, 1023, 1}, {1.0, BOUND, 2}};
    for (size_t i = 0; i < 5; i++) {
        struct error *err = moments_private_sum(&view, order, bad[i].count, bad[i].clip, bad[i].bound, sum);
        assert_non_null(err);
        assert_int_equal(err->code, ERROR_INVALID);
        error_free(err);
        assert_int_equal(sum[0], 1);
    }
    assert_null(moments_private_sum(&view, NULL, 0, 1.0, BOUND, sum));
    for (size_t j = 0; j < 4; j++)
        assert_int_equal(sum[j], 0);
}

static void test_moments_deviation_is_never_negative_nor_tiny(void **state)
{
    (void)state;
    const double moments[10] = {2.0, 1.0, 0.0, 3.0, NAN, 5.0, 0.9, 1e-8, 9.0, 1.0};
    static const double expected[5] = {1.0, 0.0, 0.0, 0.0, 0.0};
    double deviation[5];
    moments_deviation(moments, 5, 1e-3, deviation);
    for (size_t j = 0; j < 5; j++)
        assert_true(deviation[j] == expected[j]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments_mean_is_that_of_plain_sums),
        cmocka_unit_test(test_moments_mean_refuses_no_rows_and_what_is_not_finite),
        cmocka_unit_test(test_moments_private_sum_is_the_clipped_sum_in_any_order),
        cmocka_unit_test(test_moments_private_sum_of_any_row_keeps_the_bound),
        cmocka_unit_test(test_moments_private_sum_without_rows_is_zero_and_bad_values_are_refused),
        cmocka_unit_test(test_moments_deviation_is_never_negative_nor_tiny),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
