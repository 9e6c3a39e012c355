/* Every kernel this processor has, against double precision and against plain C, over shapes around the edges
 * of its vectors and tiles. */
#include "learning/kernel.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/learning/made_rows.h"
#include "tests/unit/learning/reference.h"

#include <math.h>

/* float32 sums of up to 784 products of numbers around 1. */
#define TOLERANCE 2e-5

static const size_t feature_counts[] = {1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 50, 784};
static const size_t class_counts[] = {2, 3, 4, 5, 9, 10, 11, 14, 16, 17, 26, 40};
static const size_t row_counts[] = {1, 2, 3, 8, 65};

/* One batch over made-up rows, with room for what kernels write. */
struct bench {
    struct made_rows made;
    struct softmax_problem problem;
    double *parameters;
    const void **rows;
    struct kernel_batch batch;
    float *coef, *intercept, *logits, *gradient, *tile;
};

static float *floats(size_t count)
{
    float *array = aligned_alloc(KERNEL_ALIGNMENT, kernel_pad(count) * sizeof(float));
    assert_non_null(array);
    memset(array, 0, kernel_pad(count) * sizeof(float));
    return array;
}

static struct bench bench_new(enum matrix_type type, size_t rows, size_t features, size_t classes)
{
    struct bench bench = {.made = made_rows_new(type, rows, features, classes)};
    bench.problem = made_rows_problem(&bench.made, 0.0);
    bench.parameters = made_parameters(&bench.made, 0.1);
    bench.rows = calloc(rows, sizeof(*bench.rows));
    assert_non_null(bench.rows);
    for (size_t i = 0; i < rows; i++)
        bench.rows[i] = matrix_row(&bench.problem.rows, i);
    size_t stride = kernel_pad(features);
    bench.batch = (struct kernel_batch){
        .type = type,
        .rows = bench.rows,
        .count = rows,
        .features = features,
        .classes = classes,
        .feature_stride = stride,
        .class_stride = kernel_pad(classes),
    };
    bench.coef = floats(classes * stride);
    bench.intercept = floats(classes);
    bench.logits = floats(rows * kernel_pad(classes));
    bench.gradient = floats(classes * stride + kernel_pad(classes));
    bench.tile = floats(rows * stride);
    bench.batch.tile = bench.tile;
    for (size_t c = 0; c < classes; c++) {
        for (size_t j = 0; j < features; j++)
            bench.coef[c * stride + j] = (float)bench.parameters[c * features + j];
        bench.intercept[c] = (float)bench.parameters[classes * features + c];
    }
    return bench;
}

static void bench_free(struct bench *bench)
{
    made_rows_free(&bench->made);
    free(bench->parameters);
    free(bench->rows);
    free(bench->coef);
    free(bench->intercept);
    free(bench->logits);
    free(bench->gradient);
    free(bench->tile);
}

static void near(double value, double expected, const struct bench *bench, const char *what)
{
    if (!(fabs(value - expected) <= TOLERANCE * (1.0 + fabs(expected))))
        fail_msg("%s is %.9g, not %.9g (rows %zu, features %zu, classes %zu, type %d)", what, value, expected,
                 bench->made.rows, bench->made.features, bench->made.classes, (int)bench->made.type);
}

/* Logits, then deltas and loss, then gradients of one batch against double precision. */
static void check_batch(const struct kernel *kernel, struct bench *bench)
{
    const struct kernel_batch *batch = &bench->batch;
    double expected[64];
    double loss = 0.0;
    double *deltas = calloc(batch->count * batch->classes, sizeof(*deltas));
    assert_non_null(deltas);
    kernel->forward(batch, bench->coef, bench->intercept, bench->logits);
    for (size_t i = 0; i < batch->count; i++) {
        reference_logits(&bench->problem, bench->parameters, i, expected);
        double sum = 0.0;
        for (size_t c = 0; c < batch->classes; c++) {
            near((double)bench->logits[i * batch->class_stride + c], expected[c], bench, "a logit");
            sum += exp(expected[c]);
        }
        loss += log(sum) - expected[bench->made.labels[i]];
        for (size_t c = 0; c < batch->classes; c++)
            deltas[i * batch->classes + c] = 0.5 * (exp(expected[c]) / sum - (c == bench->made.labels[i]));
    }
    near(kernel->softmax(batch, bench->made.labels, 0.5F, bench->logits), loss, bench, "the loss");
    for (size_t i = 0; i < batch->count; i++)
        for (size_t c = 0; c < batch->class_stride; c++)
            near((double)bench->logits[i * batch->class_stride + c],
                 c < batch->classes ? deltas[i * batch->classes + c] : 0.0, bench, "a delta");
    kernel->backward(batch, bench->logits, bench->gradient);
    for (size_t c = 0; c < batch->classes; c++) {
        double intercept = 0.0;
        for (size_t i = 0; i < batch->count; i++)
            intercept += deltas[i * batch->classes + c];
        near((double)bench->gradient[batch->classes * batch->feature_stride + c], intercept, bench,
             "a gradient of an intercept");
        for (size_t j = 0; j < batch->feature_stride; j++) {
            double slope = 0.0;
            for (size_t i = 0; i < batch->count && j < batch->features; i++)
                slope += deltas[i * batch->classes + c] * reference_value(&bench->problem.rows, i, j);
            near((double)bench->gradient[c * batch->feature_stride + j], slope, bench, "a gradient");
        }
    }
    free(deltas);
}

static void check_shapes(enum kernel_isa isa, enum matrix_type type)
{
    const struct kernel *kernel = kernel_select(isa);
    if (kernel == NULL) {
        print_message("This processor has no %s: its kernels are not tested here.\n", kernel_isa_name(isa));
        skip();
    }
    for (size_t f = 0; f < sizeof(feature_counts) / sizeof(*feature_counts); f++)
        for (size_t c = 0; c < sizeof(class_counts) / sizeof(*class_counts); c++)
            for (size_t r = 0; r < sizeof(row_counts) / sizeof(*row_counts); r++) {
                if (feature_counts[f] == 784 && (row_counts[r] == 8 || class_counts[c] > 17))
                    continue; /* large and without a new edge */
                struct bench bench = bench_new(type, row_counts[r], feature_counts[f], class_counts[c]);
                check_batch(kernel, &bench);
                bench_free(&bench);
            }
}

static void test_kernel_plain_bytes_match_double_precision(void **state)
{
    (void)state;
    check_shapes(KERNEL_PLAIN, MATRIX_BYTES);
}

static void test_kernel_plain_floats_match_double_precision(void **state)
{
    (void)state;
    check_shapes(KERNEL_PLAIN, MATRIX_FLOAT32);
}

static void test_kernel_avx2_bytes_match_double_precision(void **state)
{
    (void)state;
    check_shapes(KERNEL_AVX2, MATRIX_BYTES);
}

static void test_kernel_avx2_floats_match_double_precision(void **state)
{
    (void)state;
    check_shapes(KERNEL_AVX2, MATRIX_FLOAT32);
}

static void test_kernel_avx512_bytes_match_double_precision(void **state)
{
    (void)state;
    check_shapes(KERNEL_AVX512, MATRIX_BYTES);
}

static void test_kernel_avx512_floats_match_double_precision(void **state)
{
    (void)state;
    check_shapes(KERNEL_AVX512, MATRIX_FLOAT32);
}

static void test_kernel_blas_bytes_match_double_precision(void **state)
{
    (void)state;
    kernel_blas_prepare();
    check_shapes(KERNEL_BLAS, MATRIX_BYTES);
}

static void test_kernel_blas_floats_match_double_precision(void **state)
{
    (void)state;
    kernel_blas_prepare();
    check_shapes(KERNEL_BLAS, MATRIX_FLOAT32);
}

/* A full block of real size, each instruction set against plain C. */
static void test_kernel_instruction_sets_agree_with_each_other(void **state)
{
    (void)state;
    struct bench plain = bench_new(MATRIX_BYTES, KERNEL_BLOCK_ROWS, 784, 10);
    check_batch(&kernel_plain, &plain);
    for (int isa = KERNEL_AVX2; isa <= KERNEL_BLAS; isa++) {
        const struct kernel *kernel = kernel_select((enum kernel_isa)isa);
        if (kernel == NULL) {
            print_message("This processor has no %s: not compared.\n", kernel_isa_name((enum kernel_isa)isa));
            continue;
        }
        struct bench other = bench_new(MATRIX_BYTES, KERNEL_BLOCK_ROWS, 784, 10);
        kernel->forward(&other.batch, other.coef, other.intercept, other.logits);
        (void)kernel->softmax(&other.batch, other.made.labels, 0.5F, other.logits);
        kernel->backward(&other.batch, other.logits, other.gradient);
        for (size_t i = 0; i < 10 * plain.batch.feature_stride; i++)
            near((double)other.gradient[i], (double)plain.gradient[i], &other, "a gradient");
        bench_free(&other);
    }
    bench_free(&plain);
}

static void test_kernel_large_logits_give_exact_probabilities(void **state)
{
    (void)state;
    for (int isa = KERNEL_PLAIN; isa <= KERNEL_AVX512; isa++) {
        const struct kernel *kernel = kernel_select((enum kernel_isa)isa);
        if (kernel == NULL)
            continue;
        struct bench bench = bench_new(MATRIX_BYTES, 2, 4, 3);
        memcpy(bench.logits, (const float[]){1000.0F, 0.0F, -1000.0F}, 3 * sizeof(float));
        memcpy(bench.logits + 16, (const float[]){-50.0F, -50.0F, -50.0F}, 3 * sizeof(float));
        double loss = kernel->softmax(&bench.batch, (const uint16_t[]){1, 0}, 1.0F, bench.logits);
        near(loss, 1000.0 + log(3.0), &bench, "the loss");
        near((double)bench.logits[0], 1.0, &bench, "a delta");
        near((double)bench.logits[1], -1.0, &bench, "a delta");
        near((double)bench.logits[16], 1.0 / 3.0 - 1.0, &bench, "a delta");
        bench_free(&bench);
    }
}

/* One logarithm stands for many rows: their product of sums must not overflow. */
static void test_kernel_most_classes_and_rows_keep_the_loss_finite(void **state)
{
    (void)state;
    for (int isa = KERNEL_PLAIN; isa <= KERNEL_AVX512; isa++) {
        const struct kernel *kernel = kernel_select((enum kernel_isa)isa);
        if (kernel == NULL)
            continue;
        struct bench bench = bench_new(MATRIX_BYTES, KERNEL_BLOCK_ROWS, 1, SOFTMAX_MAX_CLASSES);
        double loss = kernel->softmax(&bench.batch, bench.made.labels, 1.0F, bench.logits);
        near(loss, KERNEL_BLOCK_ROWS * log(SOFTMAX_MAX_CLASSES), &bench, "the loss");
        bench_free(&bench);
    }
}

static void test_kernel_not_finite_logit_gives_not_finite_loss(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int isa = KERNEL_PLAIN; isa <= KERNEL_AVX512; isa++)
        for (size_t b = 0; b < 3; b++)
            for (size_t place = 0; place < 3; place++) {
                const struct kernel *kernel = kernel_select((enum kernel_isa)isa);
                if (kernel == NULL)
                    continue;
                if (isinf(bad[b]) && bad[b] < 0 && place != 1)
                    continue; /* minus infinity for another class is a probability of 0 */
                struct bench bench = bench_new(MATRIX_BYTES, 1, 4, 3);
                bench.logits[place] = bad[b];
                double loss = kernel->softmax(&bench.batch, (const uint16_t[]){1}, 1.0F, bench.logits);
                assert_true(!isfinite(loss));
                bench_free(&bench);
            }
}

static void test_kernel_step_follows_its_formula(void **state)
{
    (void)state;
    for (int isa = KERNEL_PLAIN; isa <= KERNEL_AVX512; isa++) {
        const struct kernel *kernel = kernel_select((enum kernel_isa)isa);
        if (kernel == NULL)
            continue;
        float *value = floats(32), *velocity = floats(32), *gradient = floats(32);
        for (size_t i = 0; i < 32; i++) {
            value[i] = (float)i;
            velocity[i] = 2.0F;
            gradient[i] = 3.0F - (float)i;
        }
        kernel->step(value, velocity, gradient, 32, 0.5F, 0.25F, 0.125F);
        for (size_t i = 0; i < 32; i++) {
            double v = 0.25 * 2.0 + (3.0 - (double)i) + 0.125 * (double)i;
            assert_true(fabs((double)velocity[i] - v) < 1e-5);
            assert_true(fabs((double)value[i] - ((double)i - 0.5 * v)) < 1e-5);
        }
        free(value);
        free(velocity);
        free(gradient);
    }
}

/* descend and backward with step differ in rounding at most. */
static void descend_matches(enum kernel_isa isa, enum matrix_type type, size_t rows, size_t features,
                            size_t classes, float momentum)
{
    const struct kernel *kernel = kernel_select(isa);
    struct bench bench = bench_new(type, rows, features, classes);
    size_t coefficients = classes * bench.batch.feature_stride;
    size_t values = coefficients + bench.batch.class_stride;
    float *model[2] = {floats(values), floats(values)};
    float *velocity[2] = {floats(values), floats(values)};
    for (size_t way = 0; way < 2; way++) {
        memcpy(model[way], bench.coef, coefficients * sizeof(float));
        memcpy(model[way] + coefficients, bench.intercept, classes * sizeof(float));
        for (size_t i = 0; i < coefficients; i++)
            velocity[way][i] = i % bench.batch.feature_stride < features ? 0.25F : 0.0F;
        struct kernel_descent descent = {model[way], velocity[way], bench.gradient, 0.5F, momentum, 0.125F};
        kernel->forward(&bench.batch, bench.coef, bench.intercept, bench.logits);
        (void)kernel->softmax(&bench.batch, bench.made.labels, 0.5F, bench.logits);
        if (way == 0)
            kernel->descend(&bench.batch, bench.logits, &descent);
        else
            kernel_descend_in_two(kernel, &bench.batch, bench.logits, &descent);
    }
    for (size_t i = 0; i < values; i++) {
        near((double)model[0][i], (double)model[1][i], &bench, "a parameter after a step");
        if (momentum > 0.0F)
            near((double)velocity[0][i], (double)velocity[1][i], &bench, "a velocity after a step");
    }
    for (size_t way = 0; way < 2; way++) {
        free(model[way]);
        free(velocity[way]);
    }
    bench_free(&bench);
}

static void test_kernel_descend_is_backward_and_step(void **state)
{
    (void)state;
    kernel_blas_prepare();
    for (int isa = KERNEL_PLAIN; isa <= KERNEL_BLAS; isa++) {
        if (kernel_select((enum kernel_isa)isa) == NULL)
            continue;
        for (size_t f = 0; f < sizeof(feature_counts) / sizeof(*feature_counts); f++)
            for (size_t r = 0; r < sizeof(row_counts) / sizeof(*row_counts); r++) {
                descend_matches((enum kernel_isa)isa, MATRIX_BYTES, row_counts[r], feature_counts[f], 10,
                                0.5F);
                descend_matches((enum kernel_isa)isa, MATRIX_BYTES, row_counts[r], feature_counts[f], 17,
                                0.0F);
                descend_matches((enum kernel_isa)isa, MATRIX_FLOAT32, row_counts[r], feature_counts[f], 5,
                                0.5F);
            }
    }
}

/* A product with one row is the same bits alone and in any batch. */
static void test_kernel_row_result_is_independent_of_its_batch(void **state)
{
    (void)state;
    for (int isa = KERNEL_PLAIN; isa <= KERNEL_AVX512; isa++) {
        const struct kernel *kernel = kernel_select((enum kernel_isa)isa);
        if (kernel == NULL)
            continue;
        struct bench bench = bench_new(MATRIX_BYTES, 7, 100, 12);
        float together[7 * 16];
        kernel->forward(&bench.batch, bench.coef, bench.intercept, bench.logits);
        memcpy(together, bench.logits, sizeof(together));
        for (size_t i = 0; i < 7; i++) {
            struct kernel_batch alone = bench.batch;
            alone.rows = bench.rows + i;
            alone.count = 1;
            kernel->forward(&alone, bench.coef, bench.intercept, bench.logits);
            assert_memory_equal(bench.logits, together + i * 16, 12 * sizeof(float));
        }
        bench_free(&bench);
    }
}

static void test_kernel_for_many_classes_is_blas(void **state)
{
    (void)state;
    assert_ptr_equal(kernel_for_classes(10), kernel_best());
    assert_int_equal(kernel_for_classes(1000)->isa, KERNEL_BLAS);
}

static void test_kernel_best_is_available(void **state)
{
    (void)state;
    const struct kernel *best = kernel_best();
    assert_ptr_equal(kernel_select(best->isa), best);
    for (int isa = (int)best->isa + 1; isa <= KERNEL_AVX512; isa++)
        assert_null(kernel_select((enum kernel_isa)isa));
    print_message("Best kernels here: %s\n", best->name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernel_plain_bytes_match_double_precision),
        cmocka_unit_test(test_kernel_plain_floats_match_double_precision),
        cmocka_unit_test(test_kernel_avx2_bytes_match_double_precision),
        cmocka_unit_test(test_kernel_avx2_floats_match_double_precision),
        cmocka_unit_test(test_kernel_avx512_bytes_match_double_precision),
        cmocka_unit_test(test_kernel_avx512_floats_match_double_precision),
        cmocka_unit_test(test_kernel_blas_bytes_match_double_precision),
        cmocka_unit_test(test_kernel_blas_floats_match_double_precision),
        cmocka_unit_test(test_kernel_instruction_sets_agree_with_each_other),
        cmocka_unit_test(test_kernel_large_logits_give_exact_probabilities),
        cmocka_unit_test(test_kernel_most_classes_and_rows_keep_the_loss_finite),
        cmocka_unit_test(test_kernel_not_finite_logit_gives_not_finite_loss),
        cmocka_unit_test(test_kernel_step_follows_its_formula),
        cmocka_unit_test(test_kernel_descend_is_backward_and_step),
        cmocka_unit_test(test_kernel_row_result_is_independent_of_its_batch),
        cmocka_unit_test(test_kernel_for_many_classes_is_blas),
        cmocka_unit_test(test_kernel_best_is_available),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
