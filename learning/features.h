/* What a model sees of a row: fixed maps that learn nothing from the data.
 *
 *     FEATURES_RAW        the row itself (bytes as value / 255)
 *     FEATURES_UNIT_NORM  the row divided by its Euclidean norm; a row of zeros stays
 *     FEATURES_HOG        a histogram of oriented gradients (Dalal, Triggs, CVPR 2005) of an image of bytes: cells of 4×4
 *                         pixels, 9 unsigned orientations, blocks of 2×2 cells at every cell, each block divided by its norm;
 *                         28×28 pixels give 1296 features
 *     FEATURES_STANDARDIZE  (x - mean) / deviation with the statistics that are given, never computed here; a deviation of 0 gives 0
 *
 * HOG in detail: the gradient of a pixel is (right - left, below - above), the nearest pixel standing in beyond the border. Its
 * length goes to the two orientations whose centres (20·b + 10 degrees, b = 0 … 8, around 180) are nearest, and to the four
 * cells whose centres are nearest, in proportion to how near; what would go to cells beyond the border is lost. A block is its
 * four cells, row by row, divided by sqrt(sum of squares + 4), which is about its norm: the 4 keeps noise of a single grey
 * level from becoming features. So a row's norm is at most the square root of the number of blocks, 6 for 28×28 pixels. Order
 * of features: block row, block column, cell of the block, orientation.
 *
 * A row that is not finite stays not finite, and private_sum.h lets it count for nothing. Statistics are public constants to
 * this room: a site never makes them from its rows except through a job of the model feature-statistics (moments.h), under
 * whatever protects that job. All pure. */
#pragma once

#include "learning/matrix.h"
#include "schemas/error.h"

/* Memory that mapped rows may take: 60000 rows of 1296 float32 features are 311 MB. */
#define FEATURES_MAX_BYTES ((uint64_t)4 << 30)

enum features_kind { FEATURES_RAW, FEATURES_UNIT_NORM, FEATURES_HOG, FEATURES_STANDARDIZE };

struct features_map {
    enum features_kind kind;
    uint32_t image_rows, image_columns; /* HOG: 8 to 1024 each, multiples of 4 */
    const double *mean, *deviation;     /* STANDARDIZE: [features of the row] */
};

/* How many features rows of `features` features become. ERROR_INVALID, with the reason, for rows that the map does not fit. */
MUST_USE struct error *features_count(const struct features_map *map, enum matrix_type type, size_t features,
                                      size_t *ret_count);

/* Refuses, with ERROR_LIMIT, a matrix whose mapped rows would take more than FEATURES_MAX_BYTES. */
MUST_USE struct error *features_check_size(size_t rows, size_t count);

/* Row-major float32 [rows of the view's array × features_count], of every row of the array (not of the selection alone).
 * RAW is refused: use the view. */
MUST_USE struct error *features_apply(const struct features_map *map, const struct matrix_view *view,
                                      float *ret_values);
