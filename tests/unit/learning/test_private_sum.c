#include "learning/private_kernel.h"
#include "learning/private_sum.h"
#include "learning/random.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/datasite/freed.h"
#include "tests/unit/learning/made_rows.h"
#include "tests/unit/learning/pool.h"
#include "tests/unit/learning/reference.h"

#include <float.h>
#include <math.h>

#define ROWS 700
#define FEATURES 50
#define CLASSES 7
#define PARAMETERS (FEATURES * CLASSES + CLASSES)

__extension__ typedef unsigned __int128 uint128;

static const struct private_sum_options good = {.clip = 0.4, .bound = (uint64_t)1 << 28};

static void sum_of(const struct softmax_problem *problem, const struct private_sum_options *options,
                   const double *parameters, const uint32_t *order, size_t count, int64_t *ret_sum)
{
    struct private_sum *sum = NULL;
    assert_null(private_sum_new(problem, options, &sum));
    assert_null(private_sum_gradient(sum, parameters, order, count, ret_sum));
    private_sum_free(sum);
}

static void all_rows(uint32_t *ret_order, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ret_order[i] = (uint32_t)i;
}

/* The gradient of one row in double precision, clipped, in units. */
static void reference_clipped(const struct softmax_problem *problem, const double *parameters, size_t row,
                              double clip, double *add_to)
{
    double logits[64], delta[64];
    double top = -INFINITY, total = 0.0, squares = 0.0, length = 1.0;
    size_t features = problem->rows.features;
    reference_logits(problem, parameters, row, logits);
    for (size_t c = 0; c < problem->classes; c++)
        top = fmax(top, logits[c]);
    for (size_t c = 0; c < problem->classes; c++)
        total += exp(logits[c] - top);
    for (size_t c = 0; c < problem->classes; c++) {
        delta[c] = exp(logits[c] - top) / total - (problem->labels[row] == c ? 1.0 : 0.0);
        squares += delta[c] * delta[c];
    }
    for (size_t j = 0; j < features; j++)
        length += pow(reference_value(&problem->rows, row, j), 2.0);
    double factor = fmin(1.0, clip / sqrt(squares * length));
    for (size_t c = 0; c < problem->classes; c++) {
        for (size_t j = 0; j < features; j++)
            add_to[c * features + j] += factor * delta[c] * reference_value(&problem->rows, row, j);
        add_to[problem->classes * features + c] += factor * delta[c];
    }
}

static void check_against_reference(enum matrix_type type, double clip, uint64_t bound, double tolerance)
{
    struct made_rows made = made_rows_new(type, ROWS, FEATURES, CLASSES);
    struct softmax_problem problem = made_rows_problem(&made, 0.0);
    double *parameters = made_parameters(&made, 0.5);
    const struct private_sum_options options = {.clip = clip, .bound = bound};
    uint32_t order[ROWS];
    int64_t sum[PARAMETERS];
    double expected[PARAMETERS] = {0.0}, largest = 0.0;
    all_rows(order, ROWS);
    sum_of(&problem, &options, parameters, order, ROWS, sum);
    for (size_t i = 0; i < ROWS; i++)
        reference_clipped(&problem, parameters, i, clip, expected);
    for (size_t i = 0; i < PARAMETERS; i++)
        largest = fmax(largest, fabs(expected[i]));
    double worst = 0.0;
    for (size_t i = 0; i < PARAMETERS; i++)
        worst = fmax(worst, fabs((double)sum[i] * clip / (double)bound - expected[i]));
    assert_true(worst < tolerance * largest);
    free(parameters);
    made_rows_free(&made);
}

static void test_private_sum_is_the_sum_of_clipped_gradients(void **state)
{
    (void)state;
    static const double clips[] = {0.01, 0.4, 3.0};
    for (int type = MATRIX_BYTES; type <= MATRIX_FLOAT32; type++)
        for (size_t c = 0; c < 3; c++) {
            check_against_reference((enum matrix_type)type, clips[c], (uint64_t)1 << 40, 0.01);
            check_against_reference((enum matrix_type)type, clips[c], (uint64_t)1 << 28, 0.01);
            check_against_reference((enum matrix_type)type, clips[c], 12345678, 0.01);
            check_against_reference((enum matrix_type)type, clips[c], (uint64_t)1 << 16, 0.2);
        }
}

/* ---- the same integers however the batch is cut ---- */

static void check_cuts(enum matrix_type type, size_t classes, const struct kernel *kernel)
{
    struct made_rows made = made_rows_new(type, ROWS, FEATURES, classes);
    struct softmax_problem problem = made_rows_problem(&made, 0.0);
    problem.kernel = kernel;
    double *parameters = made_parameters(&made, 0.5);
    size_t count = softmax_parameters(FEATURES, classes);
    int64_t *whole = calloc(count, sizeof(*whole));
    int64_t *part = calloc(count, sizeof(*part));
    int64_t *total = calloc(count, sizeof(*total));
    assert_true(whole != NULL && part != NULL && total != NULL);
    struct random random = random_stream(3, RANDOM_MOCK, 0, 0);
    uint32_t order[ROWS];
    all_rows(order, ROWS);
    sum_of(&problem, &good, parameters, order, ROWS, whole);
    for (size_t cut = 1; cut <= 400; cut = cut * 3 + 4) {
        random_shuffle(&random, order, ROWS);
        memset(total, 0, count * sizeof(*total));
        for (size_t first = 0; first < ROWS; first += cut) {
            sum_of(&problem, &good, parameters, order + first, ROWS - first < cut ? ROWS - first : cut, part);
            for (size_t i = 0; i < count; i++)
                total[i] += part[i];
        }
        assert_memory_equal(total, whole, count * sizeof(*total));
    }
    for (size_t threads = 1; threads <= 4; threads++) {
        struct pool pool = {.threads = threads};
        struct parallel parallel = pool_parallel(&pool);
        problem.parallel = &parallel;
        random_shuffle(&random, order, ROWS);
        sum_of(&problem, &good, parameters, order, ROWS, part);
        assert_memory_equal(part, whole, count * sizeof(*part));
    }
    free(whole);
    free(part);
    free(total);
    free(parameters);
    made_rows_free(&made);
}

static void test_private_sum_any_order_batches_and_threads_give_the_same_bits(void **state)
{
    (void)state;
    for (int isa = KERNEL_PLAIN; isa <= KERNEL_AVX512; isa++)
        for (int type = MATRIX_BYTES; type <= MATRIX_FLOAT32; type++)
            if (kernel_select((enum kernel_isa)isa) != NULL)
                check_cuts((enum matrix_type)type, CLASSES, kernel_select((enum kernel_isa)isa));
}

/* So many classes that plain training would use OpenBLAS, whose sums may depend on the batch. */
static void test_private_sum_with_many_classes_does_not_use_blas(void **state)
{
    (void)state;
    check_cuts(MATRIX_FLOAT32, KERNEL_BLAS_CLASSES, NULL);
    check_cuts(MATRIX_FLOAT32, 40, &kernel_blas);
}

static void check_many_steps(const struct parallel *parallel)
{
    struct made_rows made = made_rows_new(MATRIX_FLOAT32, ROWS, FEATURES, CLASSES);
    struct softmax_problem problem = made_rows_problem(&made, 0.0);
    double *parameters = made_parameters(&made, 0.5);
    struct private_sum *sum = NULL;
    uint32_t order[ROWS];
    int64_t first[PARAMETERS], again[PARAMETERS], other[PARAMETERS], alone[PARAMETERS];
    all_rows(order, ROWS);
    sum_of(&problem, &good, parameters, order, ROWS, alone);
    problem.parallel = parallel;
    assert_null(private_sum_new(&problem, &good, &sum));
    assert_null(private_sum_gradient(sum, parameters, order, 5, first));
    assert_null(private_sum_gradient(sum, parameters, order, ROWS, other));
    assert_null(private_sum_gradient(sum, parameters, order, 5, again));
    assert_memory_equal(first, again, sizeof(first));
    assert_memory_equal(other, alone, sizeof(other));
    assert_memory_not_equal(first, other, sizeof(first));
    private_sum_free(sum);
    free(parameters);
    made_rows_free(&made);
}

/* Also where the second step needs room that the first did not. */
static void test_private_sum_is_the_same_when_made_once_for_many_steps(void **state)
{
    (void)state;
    struct pool pool = {.threads = 3};
    struct parallel parallel = pool_parallel(&pool);
    check_many_steps(NULL);
    check_many_steps(&parallel);
}

/* What was summed of private rows, on the coarse grid that it is summed on. */
static void test_private_sum_room_that_is_given_back_is_wiped(void **state)
{
    (void)state;
    struct made_rows made = made_rows_new(MATRIX_FLOAT32, ROWS, FEATURES, CLASSES);
    struct softmax_problem problem = made_rows_problem(&made, 0.0);
    double *parameters = made_parameters(&made, 0.5);
    struct pool pool = {.threads = 3};
    struct parallel parallel = pool_parallel(&pool);
    struct private_sum *sum = NULL;
    uint32_t order[PRIVATE_KERNEL_ROWS];
    int64_t one[PARAMETERS], steps[FREED_PIECES / 2];
    all_rows(order, PRIVATE_KERNEL_ROWS);
    problem.parallel = &parallel;
    assert_null(private_sum_new(&problem, &good, &sum));
    assert_null(private_sum_gradient(sum, parameters, order, PRIVATE_KERNEL_ROWS, one));
    for (size_t i = 0; i < FREED_PIECES / 2; i++)
        steps[i] = one[i] / 32; /* 2^28 by 2^23 */
    freed_reset();
    freed_look_for(steps, sizeof(steps));
    void *volatile kept = malloc(sizeof(steps)); /* it is found where it is not wiped */
    assert_non_null(kept);
    memcpy(kept, steps, sizeof(steps));
    free(kept);
    assert_true(freed_found() == 1);
    private_sum_free(sum);
    assert_true(freed_found() == 1);
    freed_reset();
    free(parameters);
    made_rows_free(&made);
}

static void test_private_sum_empty_batch_is_zero(void **state)
{
    (void)state;
    struct made_rows made = made_rows_new(MATRIX_BYTES, ROWS, FEATURES, CLASSES);
    struct softmax_problem problem = made_rows_problem(&made, 0.0);
    double *parameters = made_parameters(&made, 0.5);
    int64_t sum[PARAMETERS];
    static const int64_t zero[PARAMETERS];
    memset(sum, 0x55, sizeof(sum));
    sum_of(&problem, &good, parameters, NULL, 0, sum);
    assert_memory_equal(sum, zero, sizeof(sum));
    free(parameters);
    made_rows_free(&made);
}

/* ---- the bound ---- */

/* Σ of squares in integers; fails when one alone is beyond what 128 bits hold. */
static bool within(const int64_t *sum, size_t count, uint64_t bound)
{
    uint128 squares = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t size = sum[i] < 0 ? 0 - (uint64_t)sum[i] : (uint64_t)sum[i];
        if (size > bound)
            return false;
        squares += (uint128)size * size;
    }
    return squares <= (uint128)bound * bound;
}

static bool is_zero(const int64_t *sum, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (sum[i] != 0)
            return false;
    return true;
}

#define HOSTILE_ROWS 24

/* Rows that somebody chose to break the bound. */
static void make_hostile(float *values, size_t features)
{
    static const float special[] = {NAN,    INFINITY, -INFINITY, FLT_MAX,    -FLT_MAX, 0.0F, FLT_MIN,
                                    1e-45F, 1e19F,    -1e18F,    3.9999998F, 1e10F,    1.0F, -1e-20F};
    struct random random = random_stream(11, RANDOM_MOCK, 0, 0);
    for (size_t i = 0; i < HOSTILE_ROWS; i++)
        for (size_t j = 0; j < features; j++) {
            float one = special[(i + (i < 14 ? 0 : random_below(&random, 14))) % 14];
            values[i * features + j] = i % 3 == 1 && j > 0 ? 0.25F : one;
        }
}

static void check_hostile(const float *values, const uint16_t *labels, const double *parameters,
                          const struct private_sum_options *options, const struct kernel *kernel)
{
    struct softmax_problem problem = {
        .rows = matrix_of_floats(values, HOSTILE_ROWS, FEATURES), .labels = labels, .classes = CLASSES};
    int64_t sum[PARAMETERS];
    problem.kernel = kernel;
    for (uint32_t i = 0; i < HOSTILE_ROWS; i++) {
        bool finite = true;
        sum_of(&problem, options, parameters, &i, 1, sum);
        assert_true(within(sum, PARAMETERS, options->bound));
        for (size_t j = 0; j < FEATURES; j++)
            finite = finite && isfinite(values[i * FEATURES + j]);
        if (!finite || labels[i] >= CLASSES)
            assert_true(is_zero(sum, PARAMETERS));
    }
}

static void test_private_sum_of_any_row_keeps_the_bound(void **state)
{
    (void)state;
    static const double deviations[] = {0.0, 1.0, 1e10, 1e30, 1e37};
    static const double clips[] = {1e-280, 1e-30, 0.3, 1e30, 1e300};
    static const uint64_t bounds[] = {1 << 10, (1 << 20) + 7, 1 << 23, (1 << 23) + 1, ((uint64_t)1 << 40)};
    float values[HOSTILE_ROWS * FEATURES];
    uint16_t labels[HOSTILE_ROWS];
    make_hostile(values, FEATURES);
    for (size_t i = 0; i < HOSTILE_ROWS; i++)
        labels[i] = i == 5 ? UINT16_MAX : (uint16_t)(i % (CLASSES + 1));
    for (size_t d = 0; d < 5; d++) {
        struct made_rows shape = {.features = FEATURES, .classes = CLASSES};
        double *parameters = made_parameters(&shape, deviations[d]);
        for (size_t c = 0; c < 5; c++)
            for (size_t b = 0; b < 5; b++)
                for (int isa = KERNEL_PLAIN; isa <= KERNEL_AVX512; isa++) {
                    const struct private_sum_options options = {.clip = clips[c], .bound = bounds[b]};
                    if (kernel_select((enum kernel_isa)isa) != NULL)
                        check_hostile(values, labels, parameters, &options,
                                      kernel_select((enum kernel_isa)isa));
                }
        free(parameters);
    }
}

static void test_private_sum_of_any_bytes_keeps_the_bound(void **state)
{
    (void)state;
    static const uint64_t bounds[] = {1 << 10, (1 << 20) + 7, 1 << 23, ((uint64_t)1 << 28),
                                      ((uint64_t)1 << 40)};
    static const size_t sides[] = {1, 17, 5000};
    for (size_t s = 0; s < 3; s++) {
        size_t features = sides[s];
        uint8_t *bytes = calloc(3, features);
        int64_t *sum = calloc(2 * features + 2, sizeof(*sum));
        double *parameters = calloc(2 * features + 2, sizeof(*parameters));
        assert_true(bytes != NULL && sum != NULL && parameters != NULL);
        memset(bytes + features, 255, features);
        for (size_t j = 0; j < features; j++)
            bytes[2 * features + j] = (uint8_t)(j * 37);
        static const uint16_t labels[3] = {0, 1, 1};
        struct softmax_problem problem = {
            .rows = matrix_of_bytes(bytes, 3, features), .labels = labels, .classes = 2};
        for (size_t b = 0; b < 5; b++)
            for (uint32_t i = 0; i < 3; i++) {
                const struct private_sum_options options = {.clip = 1e-3, .bound = bounds[b]};
                sum_of(&problem, &options, parameters, &i, 1, sum);
                assert_true(within(sum, 2 * features + 2, bounds[b]));
                if (bounds[b] >= 1 << 20 && i > 0) /* clipped rows use the bound */
                    assert_false(within(sum, 2 * features + 2, bounds[b] - bounds[b] / 8));
            }
        free(bytes);
        free(sum);
        free(parameters);
    }
}

/* One bad row changes nothing for the others. */
static void test_private_sum_nan_row_adds_zero(void **state)
{
    (void)state;
    struct made_rows made = made_rows_new(MATRIX_FLOAT32, ROWS, FEATURES, CLASSES);
    struct softmax_problem problem = made_rows_problem(&made, 0.0);
    double *parameters = made_parameters(&made, 0.5);
    uint32_t all[ROWS], others[ROWS];
    int64_t with[PARAMETERS], without[PARAMETERS];
    size_t count = 0;
    all_rows(all, ROWS);
    for (uint32_t i = 0; i < ROWS; i++)
        if (i != 77 && i != 78 && i != 300)
            others[count++] = i;
    ((float *)made.values)[77 * FEATURES + 3] = NAN;
    ((float *)made.values)[78 * FEATURES + 49] = INFINITY;
    made.labels[300] = CLASSES;
    sum_of(&problem, &good, parameters, all, ROWS, with);
    sum_of(&problem, &good, parameters, others, count, without);
    assert_memory_equal(with, without, sizeof(with));
    free(parameters);
    made_rows_free(&made);
}

/* ---- refusals ---- */

static void refused(const struct private_sum_options *options, const char *words)
{
    struct made_rows made = made_rows_new(MATRIX_BYTES, 3, 4, 2);
    struct softmax_problem problem = made_rows_problem(&made, 0.0);
    struct private_sum *sum = NULL;
    struct error *err = private_sum_new(&problem, options, &sum);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_INVALID);
    assert_non_null(strstr(err->sentence, words));
    assert_null(sum);
    error_free(err);
    made_rows_free(&made);
}

static void test_private_sum_options_outside_their_range_are_refused(void **state)
{
    (void)state;
    refused(&(struct private_sum_options){.clip = 0.0, .bound = good.bound}, "clip");
    refused(&(struct private_sum_options){.clip = -1.0, .bound = good.bound}, "clip");
    refused(&(struct private_sum_options){.clip = NAN, .bound = good.bound}, "clip");
    refused(&(struct private_sum_options){.clip = INFINITY, .bound = good.bound}, "clip");
    refused(&(struct private_sum_options){.clip = 1e-308, .bound = good.bound}, "clip");
    refused(&(struct private_sum_options){.clip = 1.0, .bound = 1023}, "bound");
    refused(&(struct private_sum_options){.clip = 1.0, .bound = ((uint64_t)1 << 40) + 1}, "bound");
}

static void test_private_sum_parameters_and_rows_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct made_rows made = made_rows_new(MATRIX_BYTES, 3, 4, 2);
    struct softmax_problem problem = made_rows_problem(&made, 0.0);
    struct private_sum *sum = NULL;
    double parameters[10] = {0.0};
    int64_t values[10] = {42};
    uint32_t order[] = {0, 3};
    assert_null(private_sum_new(&problem, &good, &sum));
    struct error *err = private_sum_gradient(sum, parameters, order, 2, values);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_INVALID);
    error_free(err);
    static const double bad[] = {NAN, INFINITY, 1e39};
    for (size_t i = 0; i < 3; i++) {
        parameters[9] = bad[i];
        err = private_sum_gradient(sum, parameters, order, 1, values);
        assert_non_null(err);
        assert_int_equal(err->code, ERROR_NUMERIC);
        error_free(err);
    }
    assert_int_equal(values[0], 42);
    private_sum_free(sum);
    private_sum_free(NULL);
    made_rows_free(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private_sum_is_the_sum_of_clipped_gradients),
        cmocka_unit_test(test_private_sum_any_order_batches_and_threads_give_the_same_bits),
        cmocka_unit_test(test_private_sum_with_many_classes_does_not_use_blas),
        cmocka_unit_test(test_private_sum_is_the_same_when_made_once_for_many_steps),
        cmocka_unit_test(test_private_sum_room_that_is_given_back_is_wiped),
        cmocka_unit_test(test_private_sum_empty_batch_is_zero),
        cmocka_unit_test(test_private_sum_of_any_row_keeps_the_bound),
        cmocka_unit_test(test_private_sum_of_any_bytes_keeps_the_bound),
        cmocka_unit_test(test_private_sum_nan_row_adds_zero),
        cmocka_unit_test(test_private_sum_options_outside_their_range_are_refused),
        cmocka_unit_test(test_private_sum_parameters_and_rows_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
