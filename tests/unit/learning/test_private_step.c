#include "learning/local_training.h"
#include "learning/private_step.h"
#include "learning/random.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/learning/made_rows.h"

#include <math.h>

#define ROWS 300
#define FEATURES 20
#define CLASSES 3
#define PARAMETERS (FEATURES * CLASSES + CLASSES)

static struct made_rows made;
static struct softmax_problem problem;
static uint32_t selection[ROWS / 2]; /* every second row */
static double zeros[PARAMETERS];

static const struct private_sgd_options good = {
    .step = {.learning_rate = 0.5,
             .momentum = 0.9,
             .l2 = 1e-3,
             .sampling_rate = 0.2,
             .scale = 1e6,
             .examples = 150},
    .sum = {.clip = 1.0, .bound = 1000000},
    .steps = 12,
};

static int load(void **state)
{
    (void)state;
    made = made_rows_new(MATRIX_FLOAT32, ROWS, FEATURES, CLASSES);
    problem = made_rows_problem(&made, 0.25); /* not read */
    for (uint32_t i = 0; i < ROWS / 2; i++)
        selection[i] = 2 * i + 1;
    problem.rows = matrix_select(&problem.rows, selection, ROWS / 2);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    made_rows_free(&made);
    return 0;
}

/* A source whose draws are known, and which remembers what it was asked. */
struct known {
    size_t samples, noises;
    size_t fail_sample, fail_noise; /* the how-manieth call fails; 0: none */
    bool empty;                     /* nobody is ever sampled */
    int64_t noise;                  /* is added everywhere, times the number of the call */
    double rate;
    size_t rows;
    uint32_t chosen[64][ROWS];
    size_t counts[64];
};

static struct error *known_sample(void *context, double rate, size_t rows, uint32_t *ret_chosen,
                                  size_t *ret_count)
{
    struct known *known = context;
    size_t count = 0;
    if (known->samples + 1 == known->fail_sample)
        return error_new(ERROR_CRYPTO, "The generator failed.");
    for (uint32_t i = 0; i < rows && !known->empty; i++)
        if ((i * 7 + known->samples * 3) % 5 == 0)
            ret_chosen[count++] = i;
    if (known->samples < 64) {
        memcpy(known->chosen[known->samples], ret_chosen, count * sizeof(*ret_chosen));
        known->counts[known->samples] = count;
    }
    known->samples++;
    known->rate = rate;
    known->rows = rows;
    *ret_count = count;
    return NULL;
}

static struct error *known_noise(void *context, int64_t *values, size_t count)
{
    struct known *known = context;
    if (known->noises + 1 == known->fail_noise)
        return error_new(ERROR_CRYPTO, "The generator failed.");
    known->noises++;
    for (size_t i = 0; i < count; i++)
        values[i] += known->noise * (int64_t)known->noises;
    return NULL;
}

static struct private_source source_of(struct known *known)
{
    return (struct private_source){known_sample, known_noise, known};
}

static void train(const struct private_sgd_options *options, struct known *known, double *ret_parameters)
{
    struct private_source source = source_of(known);
    struct training_result result;
    assert_null(private_sgd_train(&problem, options, &source, NULL, zeros, ret_parameters, &result));
    assert_int_equal(result.end, TRAINING_COMPLETE);
    assert_int_equal(result.steps, options->steps);
    assert_true(result.loss == 0.0);
}

/* ---- the step ---- */

static void test_private_step_advance_is_the_formula(void **state)
{
    (void)state;
    const struct private_step step = {.learning_rate = 0.5,
                                      .momentum = 0.75,
                                      .l2 = 0.125,
                                      .sampling_rate = 0.25,
                                      .scale = 1024.0,
                                      .examples = 8};
    const int64_t sum[6] = {2048, -4096, 0, 1 << 20, 2048, -2048}; /* 2 classes × 2 features, 2 intercepts */
    double velocity[6] = {1.0, 0.0, -4.0, 0.0, 8.0, 0.0};
    double parameters[6] = {8.0, 16.0, -8.0, 0.0, 8.0, 0.0};
    static const double expected_velocity[6] = {2.75, 0.0, -4.0, 512.0, 7.0, -1.0};
    static const double expected[6] = {6.625, 16.0, -6.0, -256.0, 4.5, 0.5};
    private_step_advance(&step, 2, 2, sum, velocity, parameters);
    for (size_t i = 0; i < 6; i++) {
        assert_true(velocity[i] == expected_velocity[i]);
        assert_true(parameters[i] == expected[i]);
    }
}

static void test_private_step_tail_is_a_share_of_at_least_one(void **state)
{
    (void)state;
    assert_int_equal(private_step_tail(10, 0.0), 1);
    assert_int_equal(private_step_tail(10, 0.04), 1);
    assert_int_equal(private_step_tail(10, 0.5), 5);
    assert_int_equal(private_step_tail(585, 0.5), 293);
    assert_int_equal(private_step_tail(10, 1.0), 10);
    assert_int_equal(private_step_tail(10, 7.0), 10);
    assert_int_equal(private_step_tail(10, NAN), 1);
    assert_int_equal(private_step_tail(1, 1.0), 1);
}

static void test_private_step_average_is_the_mean(void **state)
{
    (void)state;
    double average[2] = {NAN, NAN};
    for (uint32_t n = 1; n <= 5; n++) {
        const double model[2] = {(double)n, -2.0 * n};
        private_step_average(model, 2, n, average);
        assert_true(fabs(average[0] - (n + 1) / 2.0) < 1e-12);
        assert_true(fabs(average[1] + (n + 1)) < 1e-12);
    }
}

static void step_refused(struct private_step step, const char *words)
{
    struct error *err = private_step_check(&step);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_INVALID);
    assert_non_null(strstr(err->sentence, words));
    error_free(err);
}

static void test_private_step_values_outside_their_range_are_refused(void **state)
{
    (void)state;
    struct private_step step = good.step;
    assert_null(private_step_check(&step));
#define REFUSED(field, value, words)                                                                         \
    step = good.step;                                                                                        \
    step.field = value;                                                                                      \
    step_refused(step, words)
    REFUSED(learning_rate, 0.0, "learning_rate");
    REFUSED(learning_rate, NAN, "learning_rate");
    REFUSED(momentum, 1.0, "momentum");
    REFUSED(momentum, -0.1, "momentum");
    REFUSED(l2, INFINITY, "l2");
    REFUSED(sampling_rate, 0.0, "sampling_rate");
    REFUSED(sampling_rate, 1.01, "sampling_rate");
    REFUSED(sampling_rate, NAN, "sampling_rate");
    REFUSED(scale, 0.0, "scale");
    REFUSED(examples, 0, "example");
#undef REFUSED
}

/* ---- training ---- */

static void test_private_sgd_is_sample_sum_noise_and_step(void **state)
{
    (void)state;
    struct known known = {.noise = 1000};
    double trained[PARAMETERS], model[PARAMETERS] = {0.0}, velocity[PARAMETERS] = {0.0}, average[PARAMETERS];
    struct private_sgd_options options = good;
    options.average_tail = 0.5;
    train(&options, &known, trained);
    struct private_sum *sum = NULL;
    assert_null(private_sum_new(&problem, &options.sum, &sum));
    for (uint32_t s = 0; s < options.steps; s++) {
        int64_t values[PARAMETERS];
        uint32_t rows[ROWS];
        for (size_t i = 0; i < known.counts[s]; i++)
            rows[i] = selection[known.chosen[s][i]];
        assert_null(private_sum_gradient(sum, model, rows, known.counts[s], values));
        for (size_t i = 0; i < PARAMETERS; i++)
            values[i] += 1000 * (int64_t)(s + 1);
        private_step_advance(&options.step, FEATURES, CLASSES, values, velocity, model);
        if (s >= 6)
            private_step_average(model, PARAMETERS, s - 5, average);
    }
    private_sum_free(sum);
    assert_memory_equal(trained, average, sizeof(trained));
    assert_int_equal(known.samples, 12);
    assert_int_equal(known.noises, 12);
    assert_int_equal(known.rows, ROWS / 2);
    assert_true(known.rate == 0.2);
}

/* Steps, and noise in each of them, also when nobody is sampled. */
static void test_private_sgd_empty_samples_are_steps_of_noise(void **state)
{
    (void)state;
    struct known known = {.empty = true, .noise = 1000000};
    double trained[PARAMETERS];
    struct private_sgd_options options = good;
    options.step.momentum = 0.0;
    options.step.l2 = 0.0;
    train(&options, &known, trained);
    assert_int_equal(known.noises, 12);
    for (size_t i = 0; i < PARAMETERS; i++) /* 1 + … + 12, over rate · examples */
        assert_true(fabs(trained[i] + 0.5 * 78.0 / (0.2 * 150.0)) < 1e-9);
}

/* The divisor is the declared constant: twice the declared examples, half the step. */
static void test_private_sgd_divides_by_what_was_declared(void **state)
{
    (void)state;
    struct known first = {.noise = 77}, second = {.noise = 77};
    double a[PARAMETERS], b[PARAMETERS];
    struct private_sgd_options options = good;
    options.steps = 1;
    options.step.l2 = 0.0;
    train(&options, &first, a);
    options.step.examples *= 2;
    train(&options, &second, b);
    for (size_t i = 0; i < PARAMETERS; i++)
        assert_true(a[i] == 2.0 * b[i]);
}

static void gives_nothing(const struct private_sgd_options *options, const struct private_source *source,
                          const struct training_progress *progress, const double *initial,
                          enum error_code code)
{
    double trained[PARAMETERS];
    struct training_result result = {.steps = 42};
    trained[0] = 42.0;
    struct error *err = private_sgd_train(&problem, options, source, progress, initial, trained, &result);
    assert_non_null(err);
    assert_int_equal(err->code, code);
    error_free(err);
    assert_true(trained[0] == 42.0);
    assert_int_equal(result.steps, 42);
}

struct watch {
    uint32_t asked, stop_at;
};

static bool watch_progress(void *context, uint32_t done, uint32_t total, double loss)
{
    struct watch *watch = context;
    assert_int_equal(done, watch->asked++);
    assert_int_equal(total, good.steps);
    assert_true(loss == 0.0);
    return done < watch->stop_at;
}

static void test_private_sgd_stopped_training_gives_nothing(void **state)
{
    (void)state;
    for (uint32_t stop = 0; stop < good.steps; stop += 11) {
        struct watch watch = {.stop_at = stop};
        struct training_progress progress = {watch_progress, &watch};
        struct known known = {.noise = 1};
        struct private_source source = source_of(&known);
        gives_nothing(&good, &source, &progress, zeros, ERROR_INTERRUPTED);
        assert_int_equal(known.noises, stop);
    }
}

static void test_private_sgd_failing_randomness_gives_nothing(void **state)
{
    (void)state;
    for (size_t at = 1; at <= good.steps; at += 11) {
        struct known no_sample = {.fail_sample = at};
        struct known no_noise = {.fail_noise = at};
        struct private_source source = source_of(&no_sample);
        gives_nothing(&good, &source, NULL, zeros, ERROR_CRYPTO);
        source = source_of(&no_noise);
        gives_nothing(&good, &source, NULL, zeros, ERROR_CRYPTO);
    }
}

static void test_private_sgd_bad_options_are_refused(void **state)
{
    (void)state;
    struct known known = {.noise = 1};
    struct private_source source = source_of(&known);
    struct private_sgd_options options = good;
    double initial[PARAMETERS] = {NAN};
    options.steps = 0;
    gives_nothing(&options, &source, NULL, zeros, ERROR_INVALID);
    options = good;
    options.average_tail = -0.1;
    gives_nothing(&options, &source, NULL, zeros, ERROR_INVALID);
    options = good;
    options.sum.clip = 0.0;
    gives_nothing(&options, &source, NULL, zeros, ERROR_INVALID);
    options = good;
    options.step.momentum = 2.0;
    gives_nothing(&options, &source, NULL, zeros, ERROR_INVALID);
    gives_nothing(&good, &source, NULL, initial, ERROR_NUMERIC);
    assert_int_equal(known.noises, 0);
}

static void test_private_sgd_that_diverges_says_so(void **state)
{
    (void)state;
    struct known known = {.noise = INT64_MAX / 100};
    struct private_source source = source_of(&known);
    struct private_sgd_options options = good;
    options.step.learning_rate = 1e30;
    gives_nothing(&options, &source, NULL, zeros, ERROR_NUMERIC);
}

/* ---- contributions, and what sites and mock runs share ---- */

static void test_private_step_contribution_is_a_noisy_sum(void **state)
{
    (void)state;
    struct known known = {.noise = 5};
    struct private_source source = source_of(&known);
    int64_t values[PARAMETERS], expected[PARAMETERS];
    uint32_t rows[ROWS];
    struct private_sum *sum = NULL;
    assert_null(private_step_contribution(&problem, &good.sum, 0.2, &source, zeros, values));
    for (size_t i = 0; i < known.counts[0]; i++)
        rows[i] = selection[known.chosen[0][i]];
    assert_null(private_sum_new(&problem, &good.sum, &sum));
    assert_null(private_sum_gradient(sum, zeros, rows, known.counts[0], expected));
    private_sum_free(sum);
    for (size_t i = 0; i < PARAMETERS; i++)
        assert_int_equal(values[i], expected[i] + 5);
    struct error *err = private_step_contribution(&problem, &good.sum, 0.0, &source, zeros, values);
    assert_non_null(err);
    error_free(err);
    known.fail_noise = 2;
    err = private_step_contribution(&problem, &good.sum, 0.2, &source, zeros, expected);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_CRYPTO);
    error_free(err);
}

static void test_private_sgd_by_way_of_local_training_is_the_same(void **state)
{
    (void)state;
    struct known first = {.noise = 9}, second = {.noise = 9};
    double direct[PARAMETERS], local[PARAMETERS];
    struct training_result result;
    train(&good, &first, direct);
    struct local_training training = {
        .optimizer = LOCAL_PRIVATE_SGD, .private_sgd = good, .source = source_of(&second)};
    assert_null(local_training_run(&problem, &training, NULL, zeros, local, &result));
    assert_memory_equal(direct, local, sizeof(direct));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private_step_advance_is_the_formula),
        cmocka_unit_test(test_private_step_tail_is_a_share_of_at_least_one),
        cmocka_unit_test(test_private_step_average_is_the_mean),
        cmocka_unit_test(test_private_step_values_outside_their_range_are_refused),
        cmocka_unit_test(test_private_sgd_is_sample_sum_noise_and_step),
        cmocka_unit_test(test_private_sgd_empty_samples_are_steps_of_noise),
        cmocka_unit_test(test_private_sgd_divides_by_what_was_declared),
        cmocka_unit_test(test_private_sgd_stopped_training_gives_nothing),
        cmocka_unit_test(test_private_sgd_failing_randomness_gives_nothing),
        cmocka_unit_test(test_private_sgd_bad_options_are_refused),
        cmocka_unit_test(test_private_sgd_that_diverges_says_so),
        cmocka_unit_test(test_private_step_contribution_is_a_noisy_sum),
        cmocka_unit_test(test_private_sgd_by_way_of_local_training_is_the_same),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
