/* Every integer kernel this processor has, bit by bit against sums in int64 that are written out here. */
#include "learning/private_kernel.h"
#include "learning/random.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/learning/made_rows.h"

#include <math.h>

static const size_t feature_counts[] = {1, 7, 8, 15, 16, 17, 31, 33, 64, 65, 130, 785};
static const size_t class_counts[] = {2, 4, 5, 9, 10, 11, 15, 16, 17, 26};
static const size_t pair_counts[] = {1, 2, 31, PRIVATE_KERNEL_PAIRS};

static const struct private_kernel *kernels[4];
static size_t kernel_count;

static int find_kernels(void **state)
{
    (void)state;
    kernels[kernel_count++] = &private_kernel_plain;
#if defined(__x86_64__)
    if (kernel_select(KERNEL_AVX2) != NULL)
        kernels[kernel_count++] = &private_kernel_avx2;
    if (kernel_select(KERNEL_AVX512) != NULL)
        kernels[kernel_count++] = &private_kernel_avx512;
    if (private_kernel_select(KERNEL_AVX512) == &private_kernel_vnni)
        kernels[kernel_count++] = &private_kernel_vnni;
#endif
    return 0;
}

static void *array(size_t count, size_t element)
{
    size_t bytes = (count * element + KERNEL_ALIGNMENT - 1) / KERNEL_ALIGNMENT * KERNEL_ALIGNMENT;
    void *memory = aligned_alloc(KERNEL_ALIGNMENT, bytes);
    assert_non_null(memory);
    memset(memory, 0, bytes);
    return memory;
}

static size_t word_at(size_t pair, size_t feature)
{
    return (feature / KERNEL_LANES * PRIVATE_KERNEL_SPACING + pair) * KERNEL_LANES + feature % KERNEL_LANES;
}

static int64_t half_of(uint32_t word, size_t half)
{
    return (int16_t)(uint16_t)(word >> (16 * half));
}

/* ---- rows to integers ---- */

static int64_t quantised(const struct made_rows *made, size_t row, size_t feature, int exponent)
{
    size_t at = row * made->features + feature;
    double value = made->type == MATRIX_BYTES ? (double)((const uint8_t *)made->values)[at]
                                              : (double)((const float *)made->values)[at];
    return (int64_t)trunc(ldexp(value, exponent));
}

static void check_fill(const struct private_kernel *kernel, const struct made_rows *made,
                       const int exponents[2], bool second)
{
    struct softmax_problem problem = made_rows_problem(made, 0.0);
    const void *const rows[2] = {matrix_row(&problem.rows, 0), second ? matrix_row(&problem.rows, 1) : NULL};
    uint32_t *tile = array(kernel_pad(made->features) * PRIVATE_KERNEL_SPACING, sizeof(*tile));
    uint32_t squares[2] = {1, 1};
    size_t pair = 3;
    kernel->fill(made->type, rows, exponents, made->features, tile + pair * KERNEL_LANES, squares);
    for (size_t half = 0; half < 2; half++) {
        uint64_t expected = 0;
        for (size_t j = 0; j < made->features; j++) {
            int64_t value = rows[half] == NULL ? 0 : quantised(made, half, j, exponents[half]);
            assert_int_equal(half_of(tile[word_at(pair, j)], half), value);
            expected += (uint64_t)(value * value);
        }
        assert_int_equal(squares[half], expected);
    }
    free(tile);
}

static void test_private_kernel_fill_truncates_and_counts_squares(void **state)
{
    static const int exponents[][2] = {{0, 0}, {2, -3}, {-9, 1}, {-1, -40}};
    (void)state;
    for (size_t k = 0; k < kernel_count; k++)
        for (size_t f = 0; f < sizeof(feature_counts) / sizeof(*feature_counts); f++)
            for (size_t e = 0; e < 4; e++)
                for (int type = MATRIX_BYTES; type <= MATRIX_FLOAT32; type++) {
                    struct made_rows made = made_rows_new((enum matrix_type)type, 2, feature_counts[f], 3);
                    int by[2] = {exponents[e][0], exponents[e][1]};
                    if (type == MATRIX_FLOAT32) { /* values within 1 */
                        by[0] += 8;
                        by[1] += 8;
                    }
                    check_fill(kernels[k], &made, by, true);
                    check_fill(kernels[k], &made, by, false);
                    made_rows_free(&made);
                }
}

static void test_private_kernel_squares_are_the_same_bits_in_all(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof(feature_counts) / sizeof(*feature_counts); f++)
        for (int type = MATRIX_BYTES; type <= MATRIX_FLOAT32; type++) {
            struct made_rows made = made_rows_new((enum matrix_type)type, 1, feature_counts[f], 3);
            float expected = private_kernel_plain.squares(made.type, made.values, made.features);
            double exact = 0.0;
            for (size_t j = 0; j < made.features; j++) {
                double value = type == MATRIX_BYTES ? (double)((const uint8_t *)made.values)[j]
                                                    : (double)((const float *)made.values)[j];
                exact += value * value;
            }
            assert_true(fabs((double)expected - exact) <= 1e-5 * exact);
            for (size_t k = 1; k < kernel_count; k++) {
                float other = kernels[k]->squares(made.type, made.values, made.features);
                assert_memory_equal(&other, &expected, sizeof(other));
            }
            made_rows_free(&made);
        }
}

static void test_private_kernel_squares_of_what_is_not_finite_is_not_finite(void **state)
{
    (void)state;
    float bad[] = {NAN, INFINITY, -INFINITY, 3e38F};
    for (size_t k = 0; k < kernel_count; k++)
        for (size_t b = 0; b < 4; b++)
            for (size_t at = 0; at < 70; at += 23) {
                float row[70] = {0};
                row[at] = bad[b];
                assert_true(isfinite(kernels[k]->squares(MATRIX_FLOAT32, row, 70)) == 0);
            }
}

/* ---- products ---- */

/* Words that reach the largest sums that private_sum.c lets through, and fill every sign. */
static void fill_words(struct random *random, size_t pairs, size_t features, size_t classes, uint32_t *tile,
                       uint32_t *delta)
{
    for (size_t p = 0; p < pairs; p++) {
        for (size_t j = 0; j < features; j++)
            tile[word_at(p, j)] =
                (random_word(random) & 0x1fff1fffU) ^ (random_word(random) & 1U) * 0xe000e000U;
        for (size_t c = 0; c < classes; c++)
            delta[p * kernel_pad(classes) + c] = (random_word(random) & 0x03ff03ffU) | 0xfc000000U;
    }
}

static void check_multiply(size_t features, size_t classes, size_t pairs)
{
    struct random random = random_stream(features * 1000 + classes, RANDOM_MOCK, (uint32_t)pairs, 0);
    size_t stride = kernel_pad(features);
    uint32_t *tile = array(stride * PRIVATE_KERNEL_SPACING, sizeof(*tile));
    uint32_t *delta = array(PRIVATE_KERNEL_PAIRS * kernel_pad(classes), sizeof(*delta));
    int64_t *expected = array(classes * stride, sizeof(*expected));
    int64_t *sum = array(classes * stride, sizeof(*sum));
    fill_words(&random, pairs, features, classes, tile, delta);
    for (size_t c = 0; c < classes; c++)
        for (size_t j = 0; j < stride; j++) {
            expected[c * stride + j] = ((int64_t)1 << 40) + (int64_t)j; /* what was there stays */
            for (size_t p = 0; p < pairs; p++)
                for (size_t half = 0; half < 2; half++)
                    expected[c * stride + j] += half_of(tile[word_at(p, j)], half) *
                                                half_of(delta[p * kernel_pad(classes) + c], half);
        }
    for (size_t k = 0; k < kernel_count; k++) {
        for (size_t c = 0; c < classes; c++)
            for (size_t j = 0; j < stride; j++)
                sum[c * stride + j] = ((int64_t)1 << 40) + (int64_t)j;
        kernels[k]->multiply(tile, delta, pairs, stride, classes, kernel_pad(classes), sum);
        assert_memory_equal(sum, expected, classes * stride * sizeof(*sum));
    }
    free(tile);
    free(delta);
    free(expected);
    free(sum);
}

static void test_private_kernel_multiply_is_exact(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof(feature_counts) / sizeof(*feature_counts); f += 2)
        for (size_t c = 0; c < sizeof(class_counts) / sizeof(*class_counts); c++)
            for (size_t p = 0; p < sizeof(pair_counts) / sizeof(*pair_counts); p++)
                check_multiply(feature_counts[f], class_counts[c], pair_counts[p]);
}

/* All products of all rows at their limit, of one sign: the sums of a block stay within int32. */
static void test_private_kernel_multiply_at_the_limit_does_not_overflow(void **state)
{
    (void)state;
    uint32_t *tile = array(16 * PRIVATE_KERNEL_SPACING, sizeof(*tile));
    uint32_t *delta = array(PRIVATE_KERNEL_PAIRS * 16, sizeof(*delta));
    for (size_t i = 0; i < 16 * PRIVATE_KERNEL_PAIRS; i++) {
        tile[i] = 0x20002000U;  /* 2^13 */
        delta[i] = 0xfc00fc00U; /* -2^10 */
    }
    for (size_t k = 0; k < kernel_count; k++) {
        int64_t sum[16 * 16] = {0};
        kernels[k]->multiply(tile, delta, PRIVATE_KERNEL_PAIRS, 16, 16, 16, sum);
        for (size_t i = 0; i < 256; i++)
            assert_int_equal(sum[i], -((int64_t)PRIVATE_KERNEL_ROWS << PRIVATE_KERNEL_BITS));
    }
    free(tile);
    free(delta);
}

/* ---- deltas and steps ---- */

static void test_private_kernel_quantise_truncates_and_is_cut_to_int16(void **state)
{
    (void)state;
    float delta[16] = {0.5F, -0.5F, 0.999F, -0.999F, 1e-30F, 40.0F, -40.0F, 1.0F, -1.0F, 0.0F, 1e-40F};
    static const double factors[] = {0.0, 1.0, 1000.0, 1e300};
    for (size_t f = 0; f < 4; f++) {
        int32_t expected[16];
        uint64_t squares = 0;
        for (size_t c = 0; c < 16; c++) {
            double value = trunc((double)delta[c] * factors[f]);
            expected[c] = (int32_t)fmax(fmin(value, 32767.0), -32767.0);
            squares += (uint64_t)((int64_t)expected[c] * expected[c]);
        }
        for (size_t k = 0; k < kernel_count; k++) {
            int32_t words[16];
            assert_int_equal(kernels[k]->quantise(delta, factors[f], 16, words), squares);
            assert_memory_equal(words, expected, sizeof(words));
        }
    }
}

static void test_private_kernel_advance_is_the_same_bits_in_all(void **state)
{
    (void)state;
    const struct private_advance advance = {.unit = 1.0 / 3e7, .l2 = 1e-3, .momentum = 0.9, .rate = 0.37};
    struct random random = random_stream(5, RANDOM_MOCK, 0, 0);
    int64_t sum[101];
    double velocity[2][101], parameters[2][101];
    for (size_t k = 0; k < kernel_count; k++) {
        for (size_t i = 0; i < 101; i++) {
            velocity[0][i] = velocity[1][i] = random_normal(&random);
            parameters[0][i] = parameters[1][i] = random_normal(&random);
            sum[i] = (int64_t)((uint64_t)random_word(&random) << 32 | random_word(&random)) >> (i % 60);
        }
        kernels[k]->advance(&advance, 101, sum, velocity[0], parameters[0]);
        for (size_t i = 0; i < 101; i++) {
            volatile double part = (double)sum[i] * advance.unit;
            volatile double penalty = advance.l2 * parameters[1][i];
            volatile double gradient = part + penalty;
            volatile double kept = advance.momentum * velocity[1][i];
            velocity[1][i] = kept + gradient;
            volatile double move = advance.rate * velocity[1][i];
            parameters[1][i] -= move;
        }
        assert_memory_equal(velocity[0], velocity[1], sizeof(velocity[0]));
        assert_memory_equal(parameters[0], parameters[1], sizeof(parameters[0]));
    }
}

static void test_private_kernel_norm_is_the_same_bits_in_all(void **state)
{
    (void)state;
    struct random random = random_stream(6, RANDOM_MOCK, 0, 0);
    for (size_t stride = 16; stride <= 64; stride += 16) {
        float delta[64];
        double exact = 0.0;
        for (size_t c = 0; c < stride; c++) {
            delta[c] = (float)random_normal(&random);
            exact += (double)delta[c] * (double)delta[c];
        }
        double expected = private_kernel_plain.norm(delta, stride);
        assert_true(fabs(expected - exact) <= 1e-14 * exact);
        for (size_t k = 1; k < kernel_count; k++) {
            double other = kernels[k]->norm(delta, stride);
            assert_memory_equal(&other, &expected, sizeof(other));
        }
        delta[stride - 3] = NAN;
        for (size_t k = 0; k < kernel_count; k++)
            assert_true(isfinite(kernels[k]->norm(delta, stride)) == 0);
    }
}

static void test_private_kernel_narrow_finds_what_is_not_finite(void **state)
{
    (void)state;
    static const double bad[] = {NAN, INFINITY, -INFINITY, 1e39, -3.5e38};
    double values[37];
    float narrow[37];
    for (size_t k = 0; k < kernel_count; k++)
        for (size_t n = 1; n <= 37; n += 4) {
            for (size_t i = 0; i < n; i++)
                values[i] = 0.1 * (double)i - 1e38;
            assert_true(kernels[k]->narrow(values, n, narrow));
            for (size_t i = 0; i < n; i++)
                assert_true(narrow[i] == (float)values[i]);
            for (size_t b = 0; b < 5; b++) {
                values[(b * 7) % n] = bad[b];
                assert_false(kernels[k]->narrow(values, n, narrow));
                values[(b * 7) % n] = 0.0;
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private_kernel_fill_truncates_and_counts_squares),
        cmocka_unit_test(test_private_kernel_squares_are_the_same_bits_in_all),
        cmocka_unit_test(test_private_kernel_squares_of_what_is_not_finite_is_not_finite),
        cmocka_unit_test(test_private_kernel_multiply_is_exact),
        cmocka_unit_test(test_private_kernel_multiply_at_the_limit_does_not_overflow),
        cmocka_unit_test(test_private_kernel_quantise_truncates_and_is_cut_to_int16),
        cmocka_unit_test(test_private_kernel_norm_is_the_same_bits_in_all),
        cmocka_unit_test(test_private_kernel_narrow_finds_what_is_not_finite),
        cmocka_unit_test(test_private_kernel_advance_is_the_same_bits_in_all),
    };
    return cmocka_run_group_tests(tests, find_kernels, NULL);
}
