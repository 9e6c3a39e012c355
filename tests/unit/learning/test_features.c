#include "learning/features.h"
#include "learning/random.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/learning/made_rows.h"
#include "tests/unit/learning/reference.h"

#include <math.h>

#define SIDE 28
#define PIXELS (SIDE * SIDE)
#define HOG_FEATURES 1296

static const struct features_map hog = {.kind = FEATURES_HOG, .image_rows = SIDE, .image_columns = SIDE};

static void map_image(const struct features_map *map, const uint8_t *pixels, float *ret_values)
{
    struct matrix_view view = matrix_of_bytes(pixels, 1, (size_t)map->image_rows * map->image_columns);
    assert_null(features_apply(map, &view, ret_values));
}

static void made_image(uint64_t seed, size_t count, uint8_t *ret_pixels)
{
    struct random random = random_stream(seed, RANDOM_MOCK, 0, 0);
    for (size_t i = 0; i < count; i++) /* smooth parts and edges */
        ret_pixels[i] = random_below(&random, 3) == 0 ? (uint8_t)random_below(&random, 256)
                                                      : (uint8_t)(i == 0 ? 0 : ret_pixels[i - 1]);
}

/* ---- HOG, again, from its description, in double precision and as slowly as one likes ---- */

/* How much of a vote at `place` goes to the centre at `centre` when centres are `apart`. */
static double nearness(double place, double centre, double apart)
{
    return fmax(0.0, 1.0 - fabs(place - centre) / apart);
}

/* Around 180 degrees. */
static double angle_nearness(double angle, double centre)
{
    double nearest = fabs(angle - centre);
    nearest = fmin(nearest, fabs(angle - centre - 180.0));
    nearest = fmin(nearest, fabs(angle - centre + 180.0));
    return fmax(0.0, 1.0 - nearest / 20.0);
}

static double pixel_at(const uint8_t *pixels, long rows, long columns, long row, long column)
{
    row = row < 0 ? 0 : row >= rows ? rows - 1 : row;
    column = column < 0 ? 0 : column >= columns ? columns - 1 : column;
    return (double)pixels[row * columns + column];
}

static double reference_cell(const uint8_t *pixels, long rows, long columns, long cell_row, long cell_column,
                             int orientation)
{
    double sum = 0.0;
    for (long r = 0; r < rows; r++)
        for (long c = 0; c < columns; c++) {
            double dx = pixel_at(pixels, rows, columns, r, c + 1) - pixel_at(pixels, rows, columns, r, c - 1);
            double dy = pixel_at(pixels, rows, columns, r + 1, c) - pixel_at(pixels, rows, columns, r - 1, c);
            double angle = fmod(atan2(dy, dx) * 180.0 / acos(-1.0) + 360.0, 180.0);
            sum += hypot(dx, dy) * angle_nearness(angle, 20.0 * orientation + 10.0) *
                   nearness((double)r + 0.5, 4.0 * (double)cell_row + 2.0, 4.0) *
                   nearness((double)c + 0.5, 4.0 * (double)cell_column + 2.0, 4.0);
        }
    return sum;
}

/* The feature at (block row, block column, cell of the block, orientation), of an image of rows × columns. */
static void reference_hog(const uint8_t *pixels, long rows, long columns, double *ret_values)
{
    long block_rows = rows / 4 - 1;
    long block_columns = columns / 4 - 1;
    for (long br = 0; br < block_rows; br++)
        for (long bc = 0; bc < block_columns; bc++) {
            double *block = ret_values + (br * block_columns + bc) * 36;
            double squares = 4.0;
            for (int i = 0; i < 36; i++) {
                block[i] = reference_cell(pixels, rows, columns, br + i / 18, bc + i / 9 % 2, i % 9);
                squares += block[i] * block[i];
            }
            for (int i = 0; i < 36; i++)
                block[i] /= sqrt(squares);
        }
}

static void check_hog(uint32_t rows, uint32_t columns, uint64_t seed)
{
    const struct features_map map = {.kind = FEATURES_HOG, .image_rows = rows, .image_columns = columns};
    size_t pixels = (size_t)rows * columns;
    size_t count = 0;
    assert_null(features_count(&map, MATRIX_BYTES, pixels, &count));
    uint8_t *image = malloc(pixels);
    float *values = calloc(count, sizeof(*values));
    double *expected = calloc(count, sizeof(*expected));
    assert_true(image != NULL && values != NULL && expected != NULL);
    made_image(seed, pixels, image);
    map_image(&map, image, values);
    reference_hog(image, rows, columns, expected);
    for (size_t i = 0; i < count; i++)
        assert_true(fabs((double)values[i] - expected[i]) < 1e-6);
    free(image);
    free(values);
    free(expected);
}

static void test_features_hog_agrees_with_a_slow_one(void **state)
{
    (void)state;
    check_hog(8, 8, 1);
    check_hog(8, 16, 2);
    check_hog(20, 12, 3);
    check_hog(28, 28, 4);
}

static void test_features_hog_of_28_by_28_has_1296_features_of_norm_at_most_6(void **state)
{
    (void)state;
    size_t count = 0;
    assert_null(features_count(&hog, MATRIX_BYTES, PIXELS, &count));
    assert_int_equal(count, HOG_FEATURES);
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint8_t image[PIXELS];
        float values[HOG_FEATURES];
        double squares = 0.0;
        made_image(seed, PIXELS, image);
        map_image(&hog, image, values);
        for (size_t i = 0; i < HOG_FEATURES; i++) {
            assert_true(values[i] >= 0.0F && isfinite(values[i]));
            squares += (double)values[i] * (double)values[i];
        }
        assert_true(squares <= 36.0 + 1e-4);
        assert_true(squares > 33.0);
    }
}

static void test_features_hog_of_a_constant_image_is_zero(void **state)
{
    (void)state;
    static const uint8_t levels[] = {0, 1, 128, 255};
    for (size_t l = 0; l < 4; l++) {
        uint8_t image[PIXELS];
        float values[HOG_FEATURES];
        memset(image, levels[l], sizeof(image));
        map_image(&hog, image, values);
        for (size_t i = 0; i < HOG_FEATURES; i++)
            assert_true(values[i] == 0.0F);
    }
}

/* Lighter or darker by a constant: the same gradients. Inverted: opposite gradients, the same orientations. */
static void test_features_hog_does_not_see_brightness_nor_sign(void **state)
{
    (void)state;
    uint8_t image[PIXELS], other[PIXELS];
    float values[HOG_FEATURES], shifted[HOG_FEATURES];
    made_image(5, PIXELS, image);
    for (size_t i = 0; i < PIXELS; i++)
        image[i] = (uint8_t)(image[i] / 2);
    map_image(&hog, image, values);
    for (size_t i = 0; i < PIXELS; i++)
        other[i] = (uint8_t)(image[i] + 100);
    map_image(&hog, other, shifted);
    assert_memory_equal(values, shifted, sizeof(values));
    for (size_t i = 0; i < PIXELS; i++)
        other[i] = (uint8_t)(255 - image[i]);
    map_image(&hog, other, shifted);
    for (size_t i = 0; i < HOG_FEATURES; i++)
        assert_true(fabsf(values[i] - shifted[i]) < 1e-5F);
}

static float hog_at(const float *values, size_t block_row, size_t block_column, size_t cell_row,
                    size_t cell_column, size_t orientation)
{
    return values[(block_row * 6 + block_column) * 36 + (cell_row * 2 + cell_column) * 9 + orientation];
}

/* Half a turn moves every cell to the other end and keeps orientations; a mirror moves columns and turns an angle a into
 * 180 - a, which is orientation 8 - b. */
static void test_features_hog_half_turn_and_mirror_permute_the_features(void **state)
{
    (void)state;
    uint8_t image[PIXELS], turned[PIXELS], mirrored[PIXELS];
    float values[HOG_FEATURES], of_turned[HOG_FEATURES], of_mirrored[HOG_FEATURES];
    made_image(6, PIXELS, image);
    for (size_t r = 0; r < SIDE; r++)
        for (size_t c = 0; c < SIDE; c++) {
            turned[(SIDE - 1 - r) * SIDE + SIDE - 1 - c] = image[r * SIDE + c];
            mirrored[r * SIDE + SIDE - 1 - c] = image[r * SIDE + c];
        }
    map_image(&hog, image, values);
    map_image(&hog, turned, of_turned);
    map_image(&hog, mirrored, of_mirrored);
    for (size_t br = 0; br < 6; br++)
        for (size_t bc = 0; bc < 6; bc++)
            for (size_t i = 0; i < 36; i++) {
                size_t cr = i / 18, cc = i / 9 % 2, o = i % 9;
                float value = hog_at(values, br, bc, cr, cc, o);
                assert_true(fabsf(value - hog_at(of_turned, 5 - br, 5 - bc, 1 - cr, 1 - cc, o)) < 1e-5F);
                assert_true(fabsf(value - hog_at(of_mirrored, br, 5 - bc, cr, 1 - cc, 8 - o)) < 1e-5F);
            }
}

/* An edge from left to right is orientation 0 and its neighbour around 180; turned by 90 degrees it is all of orientation 4,
 * whose centre is 90. */
static void test_features_hog_quarter_turn_moves_orientations_by_half_of_them(void **state)
{
    (void)state;
    uint8_t image[PIXELS], turned[PIXELS];
    float values[HOG_FEATURES], of_turned[HOG_FEATURES];
    for (size_t r = 0; r < SIDE; r++)
        for (size_t c = 0; c < SIDE; c++) {
            image[r * SIDE + c] = (uint8_t)(c * 9);
            turned[r * SIDE + c] = (uint8_t)(r * 9);
        }
    map_image(&hog, image, values);
    map_image(&hog, turned, of_turned);
    for (size_t i = 0; i < HOG_FEATURES; i++) {
        bool around = i % 9 == 0 || i % 9 == 8;
        assert_true(around ? values[i] > 0.0F : values[i] == 0.0F);
        assert_true(i % 9 == 4 ? of_turned[i] > 0.0F : of_turned[i] < 1e-7F);
    }
}

/* ---- the others ---- */

static void test_features_unit_norm_rows_have_norm_1_or_0(void **state)
{
    (void)state;
    static const struct features_map map = {.kind = FEATURES_UNIT_NORM};
    for (int type = MATRIX_BYTES; type <= MATRIX_FLOAT32; type++) {
        struct made_rows made = made_rows_new((enum matrix_type)type, 9, 33, 2);
        struct softmax_problem problem = made_rows_problem(&made, 0.0);
        float values[9 * 33];
        memset(made.values, 0, 33 * (type == MATRIX_BYTES ? 1 : sizeof(float)));
        assert_null(features_apply(&map, &problem.rows, values));
        for (size_t i = 0; i < 9; i++) {
            double squares = 0.0, norm = 0.0;
            for (size_t j = 0; j < 33; j++) {
                squares += (double)values[i * 33 + j] * (double)values[i * 33 + j];
                norm += pow(reference_value(&problem.rows, i, j), 2.0);
            }
            assert_true(fabs(squares - (i == 0 ? 0.0 : 1.0)) < 1e-6);
            for (size_t j = 0; j < 33 && i > 0; j++)
                assert_true(fabs((double)values[i * 33 + j] -
                                 reference_value(&problem.rows, i, j) / sqrt(norm)) < 1e-6);
        }
        made_rows_free(&made);
    }
}

static void test_features_unit_norm_of_huge_and_tiny_rows_is_finite(void **state)
{
    (void)state;
    static const struct features_map map = {.kind = FEATURES_UNIT_NORM};
    float rows[4] = {3e38F, -3e38F, 1e-45F, 0.0F};
    float values[4];
    struct matrix_view view = matrix_of_floats(rows, 2, 2);
    assert_null(features_apply(&map, &view, values));
    assert_true(fabsf(values[0] - 0.70710678F) < 1e-6F && fabsf(values[1] + 0.70710678F) < 1e-6F);
    assert_true(values[2] == 1.0F && values[3] == 0.0F);
}

static void test_features_standardize_uses_the_given_statistics(void **state)
{
    (void)state;
    static const double mean[] = {0.5, 0.1, 7.0};
    static const double deviation[] = {0.25, 0.0, 2.0};
    static const struct features_map map = {
        .kind = FEATURES_STANDARDIZE, .mean = mean, .deviation = deviation};
    static const uint8_t bytes[] = {255, 255, 0, 0, 10, 255};
    static const float floats[] = {1.0F, 5.0F, 9.0F};
    float values[6];
    struct matrix_view view = matrix_of_bytes(bytes, 2, 3);
    assert_null(features_apply(&map, &view, values));
    static const float expected[] = {2.0F, 0.0F, -3.5F, -2.0F, 0.0F, -3.0F};
    for (size_t i = 0; i < 6; i++)
        assert_true(fabsf(values[i] - expected[i]) < 1e-6F);
    view = matrix_of_floats(floats, 1, 3);
    assert_null(features_apply(&map, &view, values));
    assert_true(values[0] == 2.0F && values[1] == 0.0F && values[2] == 1.0F);
}

static void test_features_apply_maps_every_row_of_the_array(void **state)
{
    (void)state;
    static const struct features_map map = {.kind = FEATURES_UNIT_NORM};
    static const float rows[] = {3.0F, 4.0F, 99.0F, 0.0F, 2.0F, 99.0F};
    static const uint32_t index[] = {1};
    float values[4] = {0};
    struct matrix_view view = {.type = MATRIX_FLOAT32, .values = rows, .rows = 2, .features = 2, .stride = 3};
    view = matrix_select(&view, index, 1);
    assert_null(features_apply(&map, &view, values));
    assert_true(fabsf(values[0] - 0.6F) < 1e-6F && fabsf(values[1] - 0.8F) < 1e-6F);
    assert_true(values[2] == 0.0F && values[3] == 1.0F);
}

static void refused(const struct features_map *map, enum matrix_type type, size_t features, const char *words)
{
    size_t count = 42;
    struct error *err = features_count(map, type, features, &count);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_INVALID);
    assert_non_null(strstr(err->sentence, words));
    error_free(err);
    assert_int_equal(count, 42);
}

static void test_features_that_do_not_fit_the_rows_are_refused(void **state)
{
    (void)state;
    struct features_map map = hog;
    refused(&map, MATRIX_FLOAT32, PIXELS, "bytes");
    refused(&map, MATRIX_BYTES, PIXELS - 1, "28 × 28");
    map.image_rows = 4;
    refused(&map, MATRIX_BYTES, PIXELS, "8 to 1024");
    map.image_rows = 30;
    refused(&map, MATRIX_BYTES, PIXELS, "multiples of 4");
    map.image_rows = map.image_columns = 1024;
    refused(&map, MATRIX_BYTES, (size_t)1024 * 1024, "limit");
    map = (struct features_map){.kind = FEATURES_STANDARDIZE};
    refused(&map, MATRIX_BYTES, 3, "statistics");
    static const double good[] = {1.0, 1.0};
    static const double bad[][2] = {{NAN, 1.0}, {1.0, INFINITY}, {-1.0, 1.0}};
    for (size_t i = 0; i < 3; i++) {
        map.mean = good;
        map.deviation = bad[i];
        refused(&map, MATRIX_BYTES, 2, "statistics");
    }
    map = (struct features_map){.kind = FEATURES_RAW};
    refused(&map, MATRIX_BYTES, 0, "features");
    struct matrix_view view = matrix_of_bytes((const uint8_t *)"ab", 1, 2);
    float values[2];
    struct error *err = features_apply(&map, &view, values);
    assert_non_null(err);
    error_free(err);
}

static void test_features_that_take_too_much_memory_are_refused(void **state)
{
    (void)state;
    assert_null(features_check_size(60000, HOG_FEATURES));
    assert_null(features_check_size((size_t)1 << 20, 1024));
    struct error *err = features_check_size(((size_t)1 << 20) + 1, 1024);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_LIMIT);
    assert_non_null(strstr(err->sentence, "4096 MiB"));
    error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_features_hog_agrees_with_a_slow_one),
        cmocka_unit_test(test_features_hog_of_28_by_28_has_1296_features_of_norm_at_most_6),
        cmocka_unit_test(test_features_hog_of_a_constant_image_is_zero),
        cmocka_unit_test(test_features_hog_does_not_see_brightness_nor_sign),
        cmocka_unit_test(test_features_hog_half_turn_and_mirror_permute_the_features),
        cmocka_unit_test(test_features_hog_quarter_turn_moves_orientations_by_half_of_them),
        cmocka_unit_test(test_features_unit_norm_rows_have_norm_1_or_0),
        cmocka_unit_test(test_features_unit_norm_of_huge_and_tiny_rows_is_finite),
        cmocka_unit_test(test_features_standardize_uses_the_given_statistics),
        cmocka_unit_test(test_features_apply_maps_every_row_of_the_array),
        cmocka_unit_test(test_features_that_do_not_fit_the_rows_are_refused),
        cmocka_unit_test(test_features_that_take_too_much_memory_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
