#include "learning/sgd.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/learning/pool.h"
#include "tests/unit/learning/subset.h"

#include <math.h>

#define PARAMETERS (784 * 10 + 10)

static const struct sgd_options good = {
    .learning_rate = 0.1, .momentum = 0.9, .batch_size = 64, .local_epochs = 2, .seed = 7, .round = 1};

static struct subset train;
static struct softmax_problem problem;
static double zeros[PARAMETERS];

static int load(void **state)
{
    (void)state;
    train = subset_load("train");
    problem = subset_problem(&train, 1e-4);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    subset_free(&train);
    return 0;
}

static void train_on(size_t threads, const struct sgd_options *options, double *ret_parameters)
{
    struct pool pool = {.threads = threads};
    struct parallel parallel = pool_parallel(&pool);
    struct softmax_problem mine = problem;
    struct training_result result;
    mine.parallel = threads == 0 ? NULL : &parallel;
    assert_null(sgd_train(&mine, options, NULL, zeros, ret_parameters, &result));
    assert_int_equal(result.end, TRAINING_COMPLETE);
}

static void test_sgd_two_epochs_learn(void **state)
{
    (void)state;
    double trained[PARAMETERS], before = 0.0, after = 0.0;
    struct training_result result;
    assert_null(sgd_train(&problem, &good, NULL, zeros, trained, &result));
    assert_null(softmax_loss_gradient(&problem, zeros, &before, NULL));
    assert_null(softmax_loss_gradient(&problem, trained, &after, NULL));
    assert_true(after < 0.3 * before);
    assert_int_equal(result.steps, 2 * 32);
    assert_true(result.loss > 0.0 && result.loss < before);
}

static void test_sgd_any_number_of_threads_gives_the_same_bits(void **state)
{
    (void)state;
    struct sgd_options large = good; /* several blocks a batch */
    large.batch_size = 900;
    double expected[PARAMETERS], other[PARAMETERS];
    train_on(0, &large, expected);
    for (size_t threads = 1; threads <= 3; threads++) {
        train_on(threads, &large, other);
        assert_memory_equal(expected, other, sizeof(expected));
    }
}

static void test_sgd_seed_and_round_change_the_order(void **state)
{
    (void)state;
    double a[PARAMETERS], b[PARAMETERS];
    struct sgd_options other = good;
    train_on(0, &good, a);
    train_on(0, &good, b);
    assert_memory_equal(a, b, sizeof(a));
    other.seed = 8;
    train_on(0, &other, b);
    assert_memory_not_equal(a, b, sizeof(a));
    other = good;
    other.round = 2;
    train_on(0, &other, b);
    assert_memory_not_equal(a, b, sizeof(a));
}

static void test_sgd_order_visits_each_selected_row_once(void **state)
{
    (void)state;
    uint32_t index[500], order[500];
    unsigned seen[2000] = {0};
    for (uint32_t i = 0; i < 500; i++)
        index[i] = 3 * i + 1;
    struct matrix_view view = matrix_select(&problem.rows, index, 500);
    sgd_order(&view, 7, 0, 0, order);
    for (size_t i = 0; i < 500; i++)
        seen[order[i]]++;
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(seen[index[i]], 1);
}

/* One step over all rows is a step of plain gradient descent. */
static void test_sgd_full_batch_is_gradient_descent(void **state)
{
    (void)state;
    struct sgd_options options = {
        .learning_rate = 0.5, .momentum = 0.9, .batch_size = 60000, .local_epochs = 1, .seed = 1};
    double start[PARAMETERS], trained[PARAMETERS], gradient[PARAMETERS], loss = 0.0;
    struct training_result result;
    softmax_init_seeded(2, 784, 10, start);
    assert_null(softmax_loss_gradient(&problem, start, &loss, gradient));
    assert_null(sgd_train(&problem, &options, NULL, start, trained, &result));
    assert_int_equal(result.steps, 1);
    for (size_t i = 0; i < PARAMETERS; i++)
        assert_true(fabs(trained[i] - (start[i] - 0.5 * gradient[i])) < 1e-6);
}

struct watch {
    unsigned calls;
    uint32_t stop_at; /* batches; 0: never */
    uint32_t last_done, total;
};

static bool watch_progress(void *context, uint32_t done, uint32_t total, double loss)
{
    struct watch *watch = context;
    assert_true(done > watch->last_done && done <= total);
    assert_true(isfinite(loss) != 0);
    watch->calls++;
    watch->last_done = done;
    watch->total = total;
    return watch->stop_at == 0 || done < watch->stop_at;
}

static void test_sgd_callback_is_told_of_each_epoch(void **state)
{
    (void)state;
    struct watch watch = {0};
    struct training_progress progress = {watch_progress, &watch};
    struct training_result result;
    double trained[PARAMETERS];
    assert_null(sgd_train(&problem, &good, &progress, zeros, trained, &result));
    assert_int_equal(watch.calls, 2);
    assert_int_equal(watch.last_done, watch.total);
    assert_int_equal(watch.total, 64);
}

static void test_sgd_callback_stops_the_training(void **state)
{
    (void)state;
    struct watch watch = {.stop_at = 1};
    struct training_progress progress = {watch_progress, &watch};
    struct sgd_options one = good;
    struct training_result result;
    double stopped[PARAMETERS], epoch[PARAMETERS];
    assert_null(sgd_train(&problem, &good, &progress, zeros, stopped, &result));
    assert_int_equal(result.end, TRAINING_STOPPED);
    assert_int_equal(result.steps, 32);
    assert_int_equal(watch.calls, 1);
    one.local_epochs = 1;
    train_on(0, &one, epoch);
    assert_memory_equal(stopped, epoch, sizeof(stopped));
}

static void refused(const struct softmax_problem *of, const struct sgd_options *options,
                    const double *initial, enum error_code code, const char *words)
{
    static double trained[PARAMETERS];
    trained[0] = 42.0;
    struct training_result result = {.steps = 42};
    struct error *err = sgd_train(of, options, NULL, initial, trained, &result);
    assert_non_null(err);
    assert_int_equal(err->code, code);
    assert_non_null(strstr(err->sentence, words));
    error_free(err);
    assert_int_equal(result.steps, 42);
    assert_true(trained[0] > 41.0);
}

static void test_sgd_bad_options_are_refused(void **state)
{
    (void)state;
    const double rates[] = {0.0, -1.0, (double)NAN, (double)INFINITY};
    const double momenta[] = {-0.1, 1.0, (double)NAN};
    for (size_t i = 0; i < 4; i++) {
        struct sgd_options options = good;
        options.learning_rate = rates[i];
        refused(&problem, &options, zeros, ERROR_INVALID, "learning_rate");
    }
    for (size_t i = 0; i < 3; i++) {
        struct sgd_options options = good;
        options.momentum = momenta[i];
        refused(&problem, &options, zeros, ERROR_INVALID, "momentum");
    }
    struct sgd_options options = good;
    options.batch_size = 0;
    refused(&problem, &options, zeros, ERROR_INVALID, "batch_size");
    options = good;
    options.local_epochs = 0;
    refused(&problem, &options, zeros, ERROR_INVALID, "local_epochs");
}

static void test_sgd_bad_problem_is_refused(void **state)
{
    (void)state;
    struct softmax_problem bad = problem;
    bad.classes = 9;
    refused(&bad, &good, zeros, ERROR_INVALID, "label of a row");
    bad = problem;
    bad.rows.rows = 0;
    refused(&bad, &good, zeros, ERROR_INVALID, "no rows");
}

static void test_sgd_start_not_finite_is_refused(void **state)
{
    (void)state;
    static double bad[PARAMETERS];
    bad[12] = (double)NAN;
    refused(&problem, &good, bad, ERROR_NUMERIC, "A parameter");
}

static void test_sgd_divergence_is_an_error(void **state)
{
    (void)state;
    struct sgd_options wild = good;
    wild.learning_rate = 1e38;
    refused(&problem, &wild, zeros, ERROR_NUMERIC, "diverged");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sgd_two_epochs_learn),
        cmocka_unit_test(test_sgd_any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(test_sgd_seed_and_round_change_the_order),
        cmocka_unit_test(test_sgd_order_visits_each_selected_row_once),
        cmocka_unit_test(test_sgd_full_batch_is_gradient_descent),
        cmocka_unit_test(test_sgd_callback_is_told_of_each_epoch),
        cmocka_unit_test(test_sgd_callback_stops_the_training),
        cmocka_unit_test(test_sgd_bad_options_are_refused),
        cmocka_unit_test(test_sgd_bad_problem_is_refused),
        cmocka_unit_test(test_sgd_start_not_finite_is_refused),
        cmocka_unit_test(test_sgd_divergence_is_an_error),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
