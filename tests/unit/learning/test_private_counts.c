#include "learning/private_counts.h"

#include <math.h>

#include "learning/metrics.h"
#include "tests/unit/cmocka_all.h"

#define ROWS 700
#define FEATURES 9
#define CLASSES 4
#define PARAMETERS ((FEATURES + 1) * CLASSES)

struct scene {
    float rows[ROWS * FEATURES];
    uint16_t labels[ROWS];
    uint32_t order[ROWS];
    double parameters[PARAMETERS];
};

static struct softmax_problem scene_make(struct scene *scene)
{
    for (size_t i = 0; i < ROWS * FEATURES; i++)
        scene->rows[i] = (float)sin((double)i * 1.7);
    for (size_t i = 0; i < ROWS; i++) {
        scene->labels[i] = (uint16_t)(i * 7 % CLASSES);
        scene->order[i] = (uint32_t)i;
    }
    for (size_t i = 0; i < PARAMETERS; i++)
        scene->parameters[i] = cos((double)i * 2.3);
    struct matrix_view all = matrix_of_floats(scene->rows, ROWS, FEATURES);
    return (struct softmax_problem){
        .rows = matrix_select(&all, scene->order, ROWS), .labels = scene->labels, .classes = CLASSES};
}

static void done(struct error *err)
{
    if (err != NULL)
        fail_msg("%s", err->sentence);
}

static void test_private_counts_are_those_of_the_model(void **state)
{
    static struct scene scene;
    uint64_t counts[CLASSES * CLASSES], confusion[CLASSES * CLASSES];
    struct softmax_problem problem = scene_make(&scene);
    (void)state;
    done(private_counts(&problem, scene.parameters, counts));
    done(softmax_confusion(&problem, scene.parameters, confusion));
    assert_memory_equal(counts, confusion, sizeof(counts));
    assert_int_equal(metrics_total(counts, CLASSES), ROWS);
}

/* Each row taken away changes one count by one and no other, whatever it does to the places of the rows behind it. */
static void test_private_counts_change_by_one_for_a_row_less(void **state)
{
    static struct scene scene;
    uint64_t all[CLASSES * CLASSES], fewer[CLASSES * CLASSES];
    struct softmax_problem problem = scene_make(&scene);
    (void)state;
    done(private_counts(&problem, scene.parameters, all));
    problem.rows.index_count = ROWS - 1;
    for (size_t without = 0; without < ROWS; without++) {
        uint64_t changed = 0;
        for (size_t i = 0; i < ROWS; i++)
            scene.order[i < without ? i : i == without ? ROWS - 1 : i - 1] = (uint32_t)i;
        done(private_counts(&problem, scene.parameters, fewer));
        for (size_t i = 0; i < CLASSES * CLASSES; i++)
            changed += all[i] - fewer[i];
        assert_int_equal(changed, 1);
    }
}

static void test_private_counts_of_no_rows_are_zero(void **state)
{
    static struct scene scene;
    uint64_t counts[CLASSES * CLASSES] = {1};
    struct softmax_problem problem = scene_make(&scene);
    (void)state;
    problem.rows.index_count = 0;
    done(private_counts(&problem, scene.parameters, counts));
    assert_int_equal(metrics_total(counts, CLASSES), 0);
}

static void test_private_counts_leave_out_rows_that_are_not_finite(void **state)
{
    static struct scene scene;
    uint64_t counts[CLASSES * CLASSES];
    struct softmax_problem problem = scene_make(&scene);
    (void)state;
    scene.rows[3 * FEATURES + 2] = NAN;
    scene.rows[4 * FEATURES] = INFINITY;
    scene.labels[5] = CLASSES;
    done(private_counts(&problem, scene.parameters, counts));
    assert_int_equal(metrics_total(counts, CLASSES), ROWS - 3);
}

static void test_private_counts_refuse_parameters_that_are_not_finite(void **state)
{
    static struct scene scene;
    uint64_t counts[CLASSES * CLASSES];
    struct softmax_problem problem = scene_make(&scene);
    (void)state;
    scene.parameters[1] = NAN;
    struct error *err = private_counts(&problem, scene.parameters, counts);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_NUMERIC);
    error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private_counts_are_those_of_the_model),
        cmocka_unit_test(test_private_counts_change_by_one_for_a_row_less),
        cmocka_unit_test(test_private_counts_of_no_rows_are_zero),
        cmocka_unit_test(test_private_counts_leave_out_rows_that_are_not_finite),
        cmocka_unit_test(test_private_counts_refuse_parameters_that_are_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
