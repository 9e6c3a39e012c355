/* What a model sees of a row: fixed maps that learn nothing from the data.
 *
 *     FEATURES_RAW        the row itself (bytes as value / 255)
 *     FEATURES_UNIT_NORM  the row divided by its Euclidean norm; a row of zeros stays
 *     FEATURES_HOG        a histogram of oriented gradients (Dalal, Triggs, CVPR 2005) of an image of bytes: cells of 4×4
 *                         pixels, 9 unsigned orientations, blocks of 2×2 cells at every cell, each block divided by its norm;
 *                         28×28 pixels give 1296 features
 *     FEATURES_STANDARDIZE  (x - mean) / deviation with the statistics that are given, never computed here; a deviation of 0 gives 0
 *
 * Statistics are public constants to this room: a site never makes them from its rows except through a job of the model
 * feature-statistics (moments.h), under whatever protects that job. All pure. */
#pragma once

#include "learning/matrix.h"
#include "schemas/error.h"

enum features_kind { FEATURES_RAW, FEATURES_UNIT_NORM, FEATURES_HOG, FEATURES_STANDARDIZE };

struct features_map {
    enum features_kind kind;
    uint32_t image_rows, image_columns; /* HOG: 8 to 1024 each, multiples of 4 */
    const double *mean, *deviation;     /* STANDARDIZE: [features of the row] */
};

/* How many features rows of `features` features become. ERROR_INVALID, with the reason, for rows that the map does not fit. */
MUST_USE struct error *features_count(const struct features_map *map, enum matrix_type type, size_t features,
                                      size_t *ret_count);

/* Row-major float32 [rows of the view's array × features_count], of every row of the array (not of the selection alone).
 * RAW is refused: use the view. */
MUST_USE struct error *features_apply(const struct features_map *map, const struct matrix_view *view,
                                      float *ret_values);
