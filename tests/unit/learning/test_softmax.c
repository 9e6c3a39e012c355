#include "learning/metrics.h"
#include "learning/softmax.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/learning/made_rows.h"
#include "tests/unit/learning/pool.h"
#include "tests/unit/learning/reference.h"
#include "tests/unit/learning/subset.h"

#include <math.h>

/* Central differences of the double-precision objective, h = 1e-5: their own error is about 1e-9; what is
 * left is the float32 arithmetic of the gradient. */
#define DIFFERENCE 1e-5
#define GRADIENT_TOLERANCE 1e-6
#define LOSS_TOLERANCE 1e-6

static void gradient_matches_differences(enum matrix_type type, size_t rows, size_t features, size_t classes)
{
    struct made_rows made = made_rows_new(type, rows, features, classes);
    struct softmax_problem problem = made_rows_problem(&made, 0.03);
    size_t count = softmax_parameters(features, classes);
    double *parameters = made_parameters(&made, 0.3);
    double *gradient = calloc(count, sizeof(*gradient));
    double loss = 0.0;
    assert_non_null(gradient);
    assert_null(softmax_loss_gradient(&problem, parameters, &loss, gradient));
    assert_true(fabs(loss / reference_loss(&problem, parameters) - 1.0) < LOSS_TOLERANCE);
    for (size_t i = 0; i < count; i++) {
        double at = parameters[i];
        parameters[i] = at + DIFFERENCE;
        double above = reference_loss(&problem, parameters);
        parameters[i] = at - DIFFERENCE;
        double below = reference_loss(&problem, parameters);
        parameters[i] = at;
        double slope = (above - below) / (2.0 * DIFFERENCE);
        if (fabs(gradient[i] - slope) > GRADIENT_TOLERANCE)
            fail_msg("gradient %zu is %.9g, the difference quotient %.9g", i, gradient[i], slope);
    }
    free(gradient);
    free(parameters);
    made_rows_free(&made);
}

static void test_softmax_gradient_of_bytes_matches_finite_differences(void **state)
{
    (void)state;
    gradient_matches_differences(MATRIX_BYTES, 300, 19, 3);
    gradient_matches_differences(MATRIX_BYTES, 40, 33, 11);
}

static void test_softmax_gradient_of_floats_matches_finite_differences(void **state)
{
    (void)state;
    gradient_matches_differences(MATRIX_FLOAT32, 600, 5, 2);
    gradient_matches_differences(MATRIX_FLOAT32, 30, 20, 17);
}

static void test_softmax_zero_model_has_loss_of_chance(void **state)
{
    (void)state;
    struct subset subset = subset_load("test");
    struct softmax_problem problem = subset_problem(&subset, 1e-4);
    size_t count = softmax_parameters(subset.features, 10);
    double *parameters = malloc(count * sizeof(*parameters));
    assert_non_null(parameters);
    softmax_init_zeros(subset.features, 10, parameters);
    double loss = 0.0;
    assert_null(softmax_loss_gradient(&problem, parameters, &loss, NULL));
    assert_true(fabs(loss - log(10.0)) < 1e-6);
    free(parameters);
    subset_free(&subset);
}

/* One gradient and one prediction, on `threads` threads (0: no pool). */
struct answer {
    double loss;
    double gradient[784 * 10 + 10];
    uint16_t classes[2000];
};

static void answer_on(const struct subset *subset, size_t threads, struct answer *ret_answer)
{
    struct pool pool = {.threads = threads};
    struct parallel parallel = pool_parallel(&pool);
    struct softmax_problem problem = subset_problem(subset, 1e-3);
    double *parameters = malloc(softmax_parameters(subset->features, 10) * sizeof(*parameters));
    assert_non_null(parameters);
    problem.parallel = threads == 0 ? NULL : &parallel;
    softmax_init_seeded(4, subset->features, 10, parameters);
    memset(ret_answer, 0, sizeof(*ret_answer));
    assert_null(softmax_loss_gradient(&problem, parameters, &ret_answer->loss, ret_answer->gradient));
    assert_null(softmax_predict(&problem, parameters, ret_answer->classes));
    free(parameters);
}

static void test_softmax_any_number_of_threads_gives_the_same_bits(void **state)
{
    (void)state;
    static struct answer expected, other;
    struct subset subset = subset_load("train");
    assert_int_equal(subset.rows, 2000);
    answer_on(&subset, 0, &expected);
    for (size_t threads = 1; threads <= 3; threads++) {
        answer_on(&subset, threads, &other);
        assert_memory_equal(&expected, &other, sizeof(expected));
    }
    subset_free(&subset);
}

/* Enough classes for the OpenBLAS kernels, enough rows for several blocks. */
static void test_softmax_many_classes_on_threads_give_the_same_bits(void **state)
{
    (void)state;
    struct made_rows made = made_rows_new(MATRIX_FLOAT32, 1500, 30, 200);
    struct softmax_problem problem = made_rows_problem(&made, 0.01);
    size_t count = softmax_parameters(30, 200);
    double *parameters = made_parameters(&made, 0.3);
    double *gradient[2] = {malloc(count * sizeof(double)), malloc(count * sizeof(double))};
    double loss[2];
    struct pool pool = {.threads = 3};
    struct parallel parallel = pool_parallel(&pool);
    assert_true(gradient[0] != NULL && gradient[1] != NULL);
    assert_null(softmax_loss_gradient(&problem, parameters, &loss[0], gradient[0]));
    problem.parallel = &parallel;
    assert_null(softmax_loss_gradient(&problem, parameters, &loss[1], gradient[1]));
    assert_memory_equal(&loss[0], &loss[1], sizeof(double));
    assert_memory_equal(gradient[0], gradient[1], count * sizeof(double));
    assert_true(fabs(loss[0] / reference_loss(&problem, parameters) - 1.0) < LOSS_TOLERANCE);
    free(gradient[0]);
    free(gradient[1]);
    free(parameters);
    made_rows_free(&made);
}

static void test_softmax_selection_equals_a_copy_of_its_rows(void **state)
{
    (void)state;
    const uint32_t index[3] = {4, 1, 4};
    struct made_rows made = made_rows_new(MATRIX_BYTES, 5, 20, 3);
    struct softmax_problem selected = made_rows_problem(&made, 0.1);
    selected.rows = matrix_select(&selected.rows, index, 3);
    uint8_t copy[3 * 20];
    uint16_t labels[3];
    for (size_t i = 0; i < 3; i++) {
        memcpy(copy + i * 20, (const uint8_t *)made.values + index[i] * 20, 20);
        labels[i] = made.labels[index[i]];
    }
    struct softmax_problem copied = selected;
    copied.rows = matrix_of_bytes(copy, 3, 20);
    copied.labels = labels;
    double *parameters = made_parameters(&made, 0.5);
    double loss[2], gradient[2][63];
    assert_null(softmax_loss_gradient(&selected, parameters, &loss[0], gradient[0]));
    assert_null(softmax_loss_gradient(&copied, parameters, &loss[1], gradient[1]));
    assert_memory_equal(&loss[0], &loss[1], sizeof(loss[0]));
    assert_memory_equal(gradient[0], gradient[1], sizeof(gradient[0]));
    free(parameters);
    made_rows_free(&made);
}

static void test_softmax_predict_takes_the_lowest_of_equal_classes(void **state)
{
    (void)state;
    struct made_rows made = made_rows_new(MATRIX_FLOAT32, 3, 4, 5);
    struct softmax_problem problem = made_rows_problem(&made, 0.0);
    double parameters[25] = {0};
    uint16_t classes[3] = {9, 9, 9};
    assert_null(softmax_predict(&problem, parameters, classes));
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(classes[i], 0);
    parameters[20 + 3] = parameters[20 + 4] = 1.0;
    assert_null(softmax_predict(&problem, parameters, classes));
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(classes[i], 3);
    made_rows_free(&made);
}

static void test_softmax_confusion_counts_each_row_once(void **state)
{
    (void)state;
    struct subset subset = subset_load("test");
    struct softmax_problem problem = subset_problem(&subset, 0.0);
    double *parameters = malloc(softmax_parameters(subset.features, 10) * sizeof(*parameters));
    uint64_t confusion[100];
    uint16_t classes[500];
    assert_non_null(parameters);
    softmax_init_seeded(3, subset.features, 10, parameters);
    assert_null(softmax_confusion(&problem, parameters, confusion));
    assert_null(softmax_predict(&problem, parameters, classes));
    assert_int_equal(metrics_total(confusion, 10), subset.rows);
    for (size_t i = 0; i < subset.rows; i++)
        confusion[subset.labels[i] * 10 + classes[i]]--;
    assert_int_equal(metrics_total(confusion, 10), 0);
    free(parameters);
    subset_free(&subset);
}

static void test_softmax_seeded_start_repeats_and_varies_with_seed(void **state)
{
    (void)state;
    double a[33], b[33], c[33];
    softmax_init_seeded(1, 10, 3, a);
    softmax_init_seeded(1, 10, 3, b);
    softmax_init_seeded(2, 10, 3, c);
    assert_memory_equal(a, b, sizeof(a));
    assert_memory_not_equal(a, c, 30 * sizeof(double));
    for (size_t i = 0; i < 30; i++)
        assert_true(fabs(a[i]) < 0.06);
    for (size_t i = 30; i < 33; i++)
        assert_true(fabs(a[i]) < 1e-300);
}

/* A good problem of 4 rows, 3 features, 2 classes, for tests that break one thing each. */
struct small {
    float values[12];
    uint16_t labels[4];
    double parameters[8];
    struct softmax_problem problem;
};

static void small_fill(struct small *small)
{
    *small = (struct small){.values = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, .labels = {0, 1, 0, 1}};
    small->problem = (struct softmax_problem){
        .rows = matrix_of_floats(small->values, 4, 3), .labels = small->labels, .classes = 2, .l2 = 0.1};
}

static void small_is_refused(const struct small *small, enum error_code code, const char *words)
{
    double loss = 42.0, gradient[8] = {42.0};
    struct error *err = softmax_loss_gradient(&small->problem, small->parameters, &loss, gradient);
    assert_non_null(err);
    assert_int_equal(err->code, code);
    assert_non_null(strstr(err->sentence, words));
    error_free(err);
    assert_true(loss > 41.0 && gradient[0] > 41.0);
}

static void test_softmax_good_small_problem_is_accepted(void **state)
{
    (void)state;
    struct small small;
    double loss = 0.0;
    small_fill(&small);
    assert_null(softmax_loss_gradient(&small.problem, small.parameters, &loss, NULL));
}

static void test_softmax_parameter_not_finite_is_refused(void **state)
{
    (void)state;
    const double bad[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, 1e300};
    struct small small;
    for (size_t i = 0; i < 4; i++) {
        small_fill(&small);
        small.parameters[5] = bad[i];
        small_is_refused(&small, ERROR_NUMERIC, "A parameter");
        uint16_t classes[4] = {0};
        struct error *err = softmax_predict(&small.problem, small.parameters, classes);
        assert_non_null(err);
        error_free(err);
    }
}

static void test_softmax_feature_not_finite_is_refused(void **state)
{
    (void)state;
    struct small small;
    small_fill(&small);
    small.parameters[0] = 0.5;
    small.values[7] = NAN;
    small_is_refused(&small, ERROR_NUMERIC, "not a finite number");
    uint16_t classes[4] = {0};
    struct error *err = softmax_predict(&small.problem, small.parameters, classes);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_NUMERIC);
    error_free(err);
}

static void test_softmax_label_out_of_range_is_refused(void **state)
{
    (void)state;
    struct small small;
    small_fill(&small);
    small.labels[2] = 2;
    small_is_refused(&small, ERROR_INVALID, "label of a row");
}

static void test_softmax_without_labels_is_refused(void **state)
{
    (void)state;
    struct small small;
    small_fill(&small);
    small.problem.labels = NULL;
    small_is_refused(&small, ERROR_INVALID, "no labels");
}

static void test_softmax_without_rows_is_refused(void **state)
{
    (void)state;
    struct small small;
    small_fill(&small);
    small.problem.rows.rows = 0;
    small_is_refused(&small, ERROR_INVALID, "no rows");
}

static void test_softmax_number_of_classes_out_of_range_is_refused(void **state)
{
    (void)state;
    const size_t bad[] = {0, 1, SOFTMAX_MAX_CLASSES + 1};
    struct small small;
    for (size_t i = 0; i < 3; i++) {
        small_fill(&small);
        small.problem.classes = bad[i];
        small_is_refused(&small, ERROR_INVALID, "classes");
    }
}

static void test_softmax_bad_penalty_is_refused(void **state)
{
    (void)state;
    const double bad[] = {-1e-9, (double)NAN, (double)INFINITY};
    struct small small;
    for (size_t i = 0; i < 3; i++) {
        small_fill(&small);
        small.problem.l2 = bad[i];
        small_is_refused(&small, ERROR_INVALID, "l2");
    }
}

static void test_softmax_too_many_parameters_are_over_the_limit(void **state)
{
    (void)state;
    struct error *err = softmax_check_shape(MATRIX_MAX_FEATURES, 1000);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_LIMIT);
    error_free(err);
    assert_null(softmax_check_shape(784, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_softmax_gradient_of_bytes_matches_finite_differences),
        cmocka_unit_test(test_softmax_gradient_of_floats_matches_finite_differences),
        cmocka_unit_test(test_softmax_zero_model_has_loss_of_chance),
        cmocka_unit_test(test_softmax_any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(test_softmax_many_classes_on_threads_give_the_same_bits),
        cmocka_unit_test(test_softmax_selection_equals_a_copy_of_its_rows),
        cmocka_unit_test(test_softmax_predict_takes_the_lowest_of_equal_classes),
        cmocka_unit_test(test_softmax_confusion_counts_each_row_once),
        cmocka_unit_test(test_softmax_seeded_start_repeats_and_varies_with_seed),
        cmocka_unit_test(test_softmax_good_small_problem_is_accepted),
        cmocka_unit_test(test_softmax_parameter_not_finite_is_refused),
        cmocka_unit_test(test_softmax_feature_not_finite_is_refused),
        cmocka_unit_test(test_softmax_label_out_of_range_is_refused),
        cmocka_unit_test(test_softmax_without_labels_is_refused),
        cmocka_unit_test(test_softmax_without_rows_is_refused),
        cmocka_unit_test(test_softmax_number_of_classes_out_of_range_is_refused),
        cmocka_unit_test(test_softmax_bad_penalty_is_refused),
        cmocka_unit_test(test_softmax_too_many_parameters_are_over_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
