#include "learning/features.h"

#include <math.h>

#include "learning/features_hog.h"

#define HOG_LEAST 8
#define HOG_MOST 1024
#define HOG_CELL 4

static struct error *check_hog(const struct features_map *map, enum matrix_type type, size_t features)
{
    struct error *err = NULL;
    const uint32_t sides[2] = {map->image_rows, map->image_columns};
    if (type != MATRIX_BYTES)
        FAIL(ERROR_INVALID,
             "Features of kind hog are computed from images of bytes; these rows are not bytes.");
    for (size_t i = 0; i < 2; i++)
        if (sides[i] < HOG_LEAST || sides[i] > HOG_MOST || sides[i] % HOG_CELL != 0)
            FAIL(ERROR_INVALID,
                 "Features of kind hog need images whose sides are multiples of %d from %d to %d pixels.",
                 HOG_CELL, HOG_LEAST, HOG_MOST);
    if ((size_t)map->image_rows * map->image_columns != features)
        FAIL(ERROR_INVALID, "Rows of %zu features are no images of %u × %u pixels.", features,
             map->image_rows, map->image_columns);
done:
    return err;
}

static struct error *check_statistics(const struct features_map *map, size_t features)
{
    struct error *err = NULL;
    if (map->mean == NULL || map->deviation == NULL)
        FAIL(ERROR_INVALID, "Features of kind standardize need statistics that were released before.");
    for (size_t j = 0; j < features; j++)
        if (!isfinite(map->mean[j]) || !isfinite(map->deviation[j]) || map->deviation[j] < 0.0)
            FAIL(ERROR_INVALID, "The statistics of feature %zu are no mean and deviation.", j);
done:
    return err;
}

struct error *features_count(const struct features_map *map, enum matrix_type type, size_t features,
                             size_t *ret_count)
{
    struct error *err = NULL;
    size_t count = features;
    if (features == 0 || features > MATRIX_MAX_FEATURES)
        FAIL(ERROR_INVALID, "Rows have 1 to %zu features; %zu is not in that range.", MATRIX_MAX_FEATURES,
             features);
    switch (map->kind) {
    case FEATURES_RAW:
    case FEATURES_UNIT_NORM:
        break;
    case FEATURES_HOG:
        TRY(check_hog(map, type, features));
        count = features_hog_count(map->image_rows, map->image_columns);
        break;
    case FEATURES_STANDARDIZE:
        TRY(check_statistics(map, features));
        break;
    }
    if (count > MATRIX_MAX_FEATURES)
        FAIL(ERROR_INVALID, "Images of %u × %u pixels have %zu features of kind hog, over the limit of %zu.",
             map->image_rows, map->image_columns, count, MATRIX_MAX_FEATURES);
    *ret_count = count;
done:
    return err;
}

struct error *features_check_size(size_t rows, size_t count)
{
    struct error *err = NULL;
    uint64_t bytes = (uint64_t)rows * count * sizeof(float); /* below 2^31 · 2^20 · 4 */
    if (rows > MATRIX_MAX_ROWS || count > MATRIX_MAX_FEATURES || bytes > FEATURES_MAX_BYTES)
        FAIL(ERROR_LIMIT,
             "%zu rows of %zu features would take more than the %llu MiB that features may take; fewer rows, "
             "or "
             "raw features, would do.",
             rows, count, (unsigned long long)(FEATURES_MAX_BYTES >> 20));
done:
    return err;
}

static void unit_norm_row(const struct matrix_view *view, size_t row, float *restrict ret_values)
{
    const void *values = matrix_row(view, row);
    double squares = 0.0;
    for (size_t j = 0; j < view->features; j++) {
        ret_values[j] =
            view->type == MATRIX_BYTES ? (float)((const uint8_t *)values)[j] : ((const float *)values)[j];
        squares += (double)ret_values[j] * (double)ret_values[j];
    }
    double factor = squares == 0.0 ? 0.0 : 1.0 / sqrt(squares);
    for (size_t j = 0; j < view->features; j++)
        ret_values[j] = (float)((double)ret_values[j] * factor);
}

static void standardize_row(const struct features_map *map, const struct matrix_view *view, size_t row,
                            float *restrict ret_values)
{
    const void *values = matrix_row(view, row);
    for (size_t j = 0; j < view->features; j++) {
        double value = view->type == MATRIX_BYTES ? (double)((const uint8_t *)values)[j] / 255.0
                                                  : (double)((const float *)values)[j];
        ret_values[j] = map->deviation[j] > 0.0 ? (float)((value - map->mean[j]) / map->deviation[j]) : 0.0F;
    }
}

struct error *features_apply(const struct features_map *map, const struct matrix_view *view,
                             float *ret_values)
{
    struct error *err = NULL;
    struct features_hog *hog = NULL;
    struct matrix_view all = *view;
    size_t count = 0;
    all.index = NULL;
    TRY(matrix_check(&all));
    TRY(features_count(map, view->type, view->features, &count));
    TRY(features_check_size(view->rows, count));
    if (map->kind == FEATURES_RAW)
        FAIL(ERROR_INVALID, "Raw features are the rows themselves: there is nothing to compute.");
    if (map->kind == FEATURES_HOG)
        TRY(features_hog_new(map->image_rows, map->image_columns, &hog));
    for (size_t i = 0; i < view->rows; i++) {
        float *row = ret_values + i * count;
        if (map->kind == FEATURES_HOG)
            features_hog_image(hog, matrix_row(view, i), row);
        else if (map->kind == FEATURES_UNIT_NORM)
            unit_norm_row(view, i, row);
        else
            standardize_row(map, view, i, row);
    }
done:
    features_hog_free(hog);
    return err;
}
