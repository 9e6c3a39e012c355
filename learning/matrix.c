#include "learning/matrix.h"

struct matrix_view matrix_of_bytes(const uint8_t *values, size_t rows, size_t features)
{
    return (struct matrix_view){
        .type = MATRIX_BYTES, .values = values, .rows = rows, .features = features, .stride = features};
}

struct matrix_view matrix_of_floats(const float *values, size_t rows, size_t features)
{
    return (struct matrix_view){
        .type = MATRIX_FLOAT32, .values = values, .rows = rows, .features = features, .stride = features};
}

struct matrix_view matrix_select(const struct matrix_view *view, const uint32_t *index, size_t index_count)
{
    struct matrix_view selected = *view;
    selected.index = index;
    selected.index_count = index_count;
    return selected;
}

size_t matrix_count(const struct matrix_view *view)
{
    return view->index == NULL ? view->rows : view->index_count;
}

struct error *matrix_check(const struct matrix_view *view)
{
    struct error *err = NULL;
    if (matrix_count(view) == 0 || view->rows == 0)
        FAIL(ERROR_INVALID, "There are no rows to compute with; at least one row is needed.");
    if (view->features == 0 || view->values == NULL)
        FAIL(ERROR_INVALID, "The rows have no features; at least one feature is needed.");
    if (view->rows > MATRIX_MAX_ROWS || view->features > MATRIX_MAX_FEATURES ||
        (view->index != NULL && view->index_count > MATRIX_MAX_ROWS))
        FAIL(ERROR_LIMIT,
             "A matrix of %zu rows and %zu features is over the limit of %zu rows and %zu features.",
             view->rows, view->features, MATRIX_MAX_ROWS, MATRIX_MAX_FEATURES);
    if (view->stride < view->features || view->stride > MATRIX_MAX_FEATURES * 2)
        FAIL(ERROR_INVALID, "Rows of %zu features cannot lie %zu elements apart.", view->features,
             view->stride);
    if (view->index == NULL)
        goto done;
    for (size_t i = 0; i < view->index_count; i++)
        if (view->index[i] >= view->rows)
            FAIL(ERROR_INVALID, "Position %zu of the selection names a row that is not among the %zu rows.",
                 i, view->rows);
done:
    return err;
}
