/* Read-only rows of numbers, as the caller holds them.
 *
 * A view borrows one row-major array of n rows × d features and, when only some rows take part (a test split,
 * one site's part, a shuffled batch), a list of their row numbers, so that selecting rows never copies the
 * data set.
 *
 *     value of row r, feature j  =  bytes[r * stride + j] / 255      (MATRIX_BYTES, pixels)
 *                                   floats[r * stride + j]           (MATRIX_FLOAT32)
 *
 * Everything is borrowed: the arrays outlive every call that is given the view, and nobody writes to them
 * meanwhile. Whatever stands beside rows (labels, predictions read back into place) is numbered by row of the
 * array, not by position in the selection, unless its function says otherwise. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "schemas/error.h"

/* Largest shapes that the room accepts. */
#define MATRIX_MAX_ROWS ((size_t)1 << 31)
#define MATRIX_MAX_FEATURES ((size_t)1 << 20)

enum matrix_type {
    MATRIX_BYTES,  /* uint8_t, value = byte / 255 */
    MATRIX_FLOAT32 /* float */
};

struct matrix_view {
    enum matrix_type type;
    const void *values;    /* first element of row 0 */
    size_t rows;           /* rows in the array, at most MATRIX_MAX_ROWS */
    size_t features;       /* d, 1 to MATRIX_MAX_FEATURES */
    size_t stride;         /* elements from the start of a row to the next, >= features */
    const uint32_t *index; /* row numbers taking part, in this order; NULL: all rows, ascending */
    size_t index_count;    /* length of index; not read when index is NULL */
};

/* A view of a whole dense array of bytes or of floats: stride = features, no index. */
struct matrix_view matrix_of_bytes(const uint8_t *values, size_t rows, size_t features);
struct matrix_view matrix_of_floats(const float *values, size_t rows, size_t features);

/* The same array with the rows `index[0 .. index_count)` selected. */
struct matrix_view matrix_select(const struct matrix_view *view, const uint32_t *index, size_t index_count);

/* How many rows take part. */
size_t matrix_count(const struct matrix_view *view);

/* Checks shape, pointers and that every selected row exists. ERROR_INVALID, or ERROR_LIMIT for a shape that
 * is too large. Reads index, not the values. */
MUST_USE struct error *matrix_check(const struct matrix_view *view);

/* Row of the array that stands at `position` (< matrix_count) of the selection. */
static inline size_t matrix_row_number(const struct matrix_view *view, size_t position)
{
    return view->index == NULL ? position : view->index[position];
}

/* First element of row `row` (< rows) of the array. */
static inline const void *matrix_row(const struct matrix_view *view, size_t row)
{
    size_t element = view->type == MATRIX_BYTES ? sizeof(uint8_t) : sizeof(float);
    return (const uint8_t *)view->values + row * view->stride * element;
}
