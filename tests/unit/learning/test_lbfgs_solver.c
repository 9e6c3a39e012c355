#include "learning/lbfgs_solver.h"
#include "learning/metrics.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/learning/pool.h"
#include "tests/unit/learning/subset.h"

#include <math.h>

#define PARAMETERS (784 * 10 + 10)

static const struct lbfgs_solver_options good = {.local_iterations = 30, .tolerance = 1e-5};

static struct subset train;
static struct softmax_problem problem;
static double zeros[PARAMETERS];

static int load(void **state)
{
    (void)state;
    train = subset_load("train");
    problem = subset_problem(&train, 1e-3);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    subset_free(&train);
    return 0;
}

static double objective(const double *parameters)
{
    double loss = 0.0;
    assert_null(softmax_loss_gradient(&problem, parameters, &loss, NULL));
    return loss;
}

static void test_lbfgs_solver_thirty_iterations_learn(void **state)
{
    (void)state;
    double trained[PARAMETERS];
    struct training_result result;
    uint64_t confusion[100];
    assert_null(lbfgs_solver_train(&problem, &good, NULL, zeros, trained, &result));
    assert_int_equal(result.end, TRAINING_COMPLETE);
    assert_int_equal(result.steps, 30);
    assert_true(fabs(result.loss - objective(trained)) < 1e-12);
    assert_true(result.loss < 0.25 * objective(zeros));
    struct subset test = subset_load("test");
    struct softmax_problem held_out = subset_problem(&test, 0.0);
    assert_null(softmax_confusion(&held_out, trained, confusion));
    assert_true(metrics_accuracy(confusion, 10) > 0.85);
    subset_free(&test);
}

static void test_lbfgs_solver_any_number_of_threads_gives_the_same_bits(void **state)
{
    (void)state;
    double expected[PARAMETERS], other[PARAMETERS];
    struct training_result result;
    assert_null(lbfgs_solver_train(&problem, &good, NULL, zeros, expected, &result));
    for (size_t threads = 1; threads <= 3; threads++) {
        struct pool pool = {.threads = threads};
        struct parallel parallel = pool_parallel(&pool);
        struct softmax_problem mine = problem;
        mine.parallel = &parallel;
        assert_null(lbfgs_solver_train(&mine, &good, NULL, zeros, other, &result));
        assert_memory_equal(expected, other, sizeof(expected));
    }
}

static void test_lbfgs_solver_loose_tolerance_converges(void **state)
{
    (void)state;
    struct lbfgs_solver_options loose = {.local_iterations = 1000, .tolerance = 1e-2};
    double trained[PARAMETERS];
    struct training_result result;
    assert_null(lbfgs_solver_train(&problem, &loose, NULL, zeros, trained, &result));
    assert_int_equal(result.end, TRAINING_CONVERGED);
    assert_true(result.steps < 100);
}

/* With tolerance 0 the solver goes on until float32 sums cannot tell points apart; started there again it can
 * do nothing, and that is no failure either. */
static void test_lbfgs_solver_at_the_optimum_keeps_the_best_point(void **state)
{
    (void)state;
    struct lbfgs_solver_options endless = {.local_iterations = 5000, .tolerance = 0.0};
    double optimum[PARAMETERS], again[PARAMETERS];
    struct training_result first, second;
    problem.l2 = 0.1; /* well conditioned: soon there */
    assert_null(lbfgs_solver_train(&problem, &endless, NULL, zeros, optimum, &first));
    assert_int_equal(first.end, TRAINING_STALLED);
    assert_null(lbfgs_solver_train(&problem, &endless, NULL, optimum, again, &second));
    assert_true(second.loss <= first.loss);
    assert_true(objective(again) <= objective(optimum));
    problem.l2 = 1e-3;
}

struct watch {
    uint32_t calls, stop_at;
    uint32_t asked, asked_at_most; /* in all; 0: any number */
    double last;
};

static bool watch_progress(void *context, uint32_t done, uint32_t total, double loss)
{
    struct watch *watch = context;
    watch->asked++;
    if (watch->asked_at_most > 0)
        return watch->asked < watch->asked_at_most;
    if (watch->calls > 0 && done == watch->calls)
        return true; /* in a line search of several evaluations */
    watch->calls++;
    assert_int_equal(done, watch->calls);
    assert_int_equal(total, 30);
    assert_true(watch->calls == 1 || loss < watch->last);
    watch->last = loss;
    return done != watch->stop_at;
}

static void test_lbfgs_solver_callback_sees_the_loss_fall(void **state)
{
    (void)state;
    struct watch watch = {0};
    struct training_progress progress = {watch_progress, &watch};
    double trained[PARAMETERS];
    struct training_result result;
    assert_null(lbfgs_solver_train(&problem, &good, &progress, zeros, trained, &result));
    assert_int_equal(watch.calls, 30);
}

static void test_lbfgs_solver_callback_stops_the_training(void **state)
{
    (void)state;
    struct watch watch = {.stop_at = 3};
    struct training_progress progress = {watch_progress, &watch};
    double trained[PARAMETERS];
    struct training_result result;
    assert_null(lbfgs_solver_train(&problem, &good, &progress, zeros, trained, &result));
    assert_int_equal(result.end, TRAINING_STOPPED);
    assert_int_equal(result.steps, 3);
    assert_true(fabs(objective(trained) - watch.last) < 1e-12);
}

/* From far away a line search needs many evaluations before an iteration is accepted: it asks in between, and
 * a deadline ends it there. */
static void test_lbfgs_solver_stops_within_a_line_search(void **state)
{
    (void)state;
    struct watch watch = {.asked_at_most = 1};
    struct training_progress progress = {watch_progress, &watch};
    double trained[PARAMETERS], far[PARAMETERS];
    struct training_result result;
    for (size_t i = 0; i < PARAMETERS; i++)
        far[i] = (i % 2 == 0 ? 1e30 : -1e30);
    assert_null(lbfgs_solver_train(&problem, &good, &progress, far, trained, &result));
    assert_int_equal(result.end, TRAINING_STOPPED);
    assert_int_equal(result.steps, 0);
    assert_int_equal(watch.asked, 1);
    assert_memory_equal(trained, far, sizeof(far));
}

static void refused(const struct softmax_problem *of, const struct lbfgs_solver_options *options,
                    const double *initial, enum error_code code, const char *words)
{
    static double trained[PARAMETERS];
    trained[0] = 42.0;
    struct training_result result = {.steps = 42};
    struct error *err = lbfgs_solver_train(of, options, NULL, initial, trained, &result);
    assert_non_null(err);
    assert_int_equal(err->code, code);
    assert_non_null(strstr(err->sentence, words));
    error_free(err);
    assert_int_equal(result.steps, 42);
    assert_true(trained[0] > 41.0);
}

static void test_lbfgs_solver_bad_options_are_refused(void **state)
{
    (void)state;
    struct lbfgs_solver_options options = good;
    options.local_iterations = 0;
    refused(&problem, &options, zeros, ERROR_INVALID, "local_iterations");
    options = good;
    options.memory = LBFGS_SOLVER_MAX_MEMORY + 1;
    refused(&problem, &options, zeros, ERROR_INVALID, "remembers");
    options = good;
    options.tolerance = (double)NAN;
    refused(&problem, &options, zeros, ERROR_INVALID, "tolerance");
}

static void test_lbfgs_solver_bad_problem_is_refused(void **state)
{
    (void)state;
    struct softmax_problem bad = problem;
    bad.classes = 9;
    refused(&bad, &good, zeros, ERROR_INVALID, "label of a row");
    bad = problem;
    bad.rows.rows = 0;
    refused(&bad, &good, zeros, ERROR_INVALID, "no rows");
}

static void test_lbfgs_solver_start_not_finite_is_refused(void **state)
{
    (void)state;
    static double bad[PARAMETERS];
    bad[7] = (double)INFINITY;
    refused(&problem, &good, bad, ERROR_NUMERIC, "A parameter");
}

static void test_lbfgs_solver_loss_not_finite_at_start_is_an_error(void **state)
{
    (void)state;
    static double large[PARAMETERS];
    for (size_t i = 0; i < PARAMETERS; i++)
        large[i] = i % 2 == 0 ? 3e38 : -3e38;
    refused(&problem, &good, large, ERROR_NUMERIC, "not a finite number");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lbfgs_solver_thirty_iterations_learn),
        cmocka_unit_test(test_lbfgs_solver_any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(test_lbfgs_solver_loose_tolerance_converges),
        cmocka_unit_test(test_lbfgs_solver_at_the_optimum_keeps_the_best_point),
        cmocka_unit_test(test_lbfgs_solver_callback_sees_the_loss_fall),
        cmocka_unit_test(test_lbfgs_solver_callback_stops_the_training),
        cmocka_unit_test(test_lbfgs_solver_stops_within_a_line_search),
        cmocka_unit_test(test_lbfgs_solver_bad_options_are_refused),
        cmocka_unit_test(test_lbfgs_solver_bad_problem_is_refused),
        cmocka_unit_test(test_lbfgs_solver_start_not_finite_is_refused),
        cmocka_unit_test(test_lbfgs_solver_loss_not_finite_at_start_is_an_error),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
