#include "orchestrator/evaluate.h"

#include "learning/softmax.h"
#include "orchestrator/model_shape.h"
#include "schemas/csv.h"
#include "schemas/files.h"
#include "schemas/idx.h"

#include <math.h>

struct evaluate {
    char *where;    /* the file that is named in sentences */
    uint8_t *bytes; /* values of an IDX pair: the whole file of images */
    float *floats;  /* values of a CSV */
    uint16_t *labels;
    uint16_t label_most;                /* the largest label */
    uint32_t image_rows, image_columns; /* 0: numbers */
    struct matrix_view rows;
};

void evaluate_free(struct evaluate *evaluate)
{
    if (evaluate == NULL)
        return;
    free(evaluate->where);
    free(evaluate->bytes);
    free(evaluate->floats);
    free(evaluate->labels);
    free(evaluate);
}

static struct error *evaluate_no_memory(const struct evaluate *evaluate)
{
    return error_new(ERROR_MEMORY, "There is not enough memory for the test data in %s.", evaluate->where);
}

static void evaluate_put_label(struct evaluate *evaluate, uint64_t row, uint16_t label)
{
    evaluate->labels[row] = label;
    if (label > evaluate->label_most)
        evaluate->label_most = label;
}

static struct error *evaluate_read_idx(const struct job *job, struct evaluate *evaluate)
{
    struct error *err = NULL;
    uint8_t *label_bytes = NULL;
    size_t image_count = 0;
    size_t label_count = 0;
    struct idx images;
    struct idx labels;
    TRY(file_read(job->global_test_images, EVALUATE_MAX_BYTES, &evaluate->bytes, &image_count));
    TRY(idx_parse(evaluate->bytes, image_count, IDX_IMAGES, job->global_test_images, &images));
    TRY(file_read(job->global_test_labels, EVALUATE_MAX_BYTES, &label_bytes, &label_count));
    TRY(idx_parse(label_bytes, label_count, IDX_LABELS, job->global_test_labels, &labels));
    if (images.count != labels.count)
        FAIL(ERROR_INVALID,
             "The global test does not fit together: %s has %llu images and %s has %llu labels.",
             job->global_test_images, (unsigned long long)images.count, job->global_test_labels,
             (unsigned long long)labels.count);
    evaluate->labels = calloc(labels.count, sizeof *evaluate->labels);
    if (evaluate->labels == NULL)
        TRY(evaluate_no_memory(evaluate));
    for (uint64_t i = 0; i < labels.count; i++)
        evaluate_put_label(evaluate, i, labels.items[i]);
    evaluate->rows = matrix_of_bytes(images.items, images.count, images.item_bytes);
    evaluate->image_rows = images.rows;
    evaluate->image_columns = images.columns;
done:
    free(label_bytes);
    return err;
}

/* Makes room for row number `row`; doubles, so that a long file is copied few times. */
static struct error *evaluate_grow(struct evaluate *evaluate, uint64_t row, size_t features, uint64_t *room)
{
    if (row < *room)
        return NULL;
    uint64_t more = *room == 0 ? 256 : *room * 2;
    if (more * features * sizeof(float) > EVALUATE_MAX_BYTES)
        return error_new(ERROR_LIMIT,
                         "%s is too large for a global test: at most %zu bytes of values are held.",
                         evaluate->where, EVALUATE_MAX_BYTES);
    float *floats = realloc(evaluate->floats, more * features * sizeof *floats);
    if (floats != NULL)
        evaluate->floats = floats;
    uint16_t *labels = realloc(evaluate->labels, more * sizeof *labels);
    if (labels != NULL)
        evaluate->labels = labels;
    if (floats == NULL || labels == NULL)
        return evaluate_no_memory(evaluate);
    *room = more;
    return NULL;
}

/* Features are computed with as float32; one that is finite only as a double would turn infinite. */
static struct error *evaluate_put_row(struct evaluate *evaluate, const struct csv *csv, uint64_t row,
                                      const double *values)
{
    size_t features = csv_features(csv);
    for (size_t j = 0; j < features; j++) {
        float value = (float)values[j];
        if (!isfinite(value))
            return error_new(ERROR_INVALID,
                             "%s, data row %llu, column %s: the number is too large to compute with.",
                             evaluate->where, (unsigned long long)row + 1, csv_feature_name(csv, j));
        evaluate->floats[row * features + j] = value;
    }
    return NULL;
}

static struct error *evaluate_read_csv(const struct job *job, struct evaluate *evaluate)
{
    struct error *err = NULL;
    struct csv *csv = NULL;
    double *values = NULL;
    uint64_t rows = 0;
    uint64_t room = 0;
    bool more = true;
    TRY(csv_open(job->global_test_images, job->global_test_labels, NULL, 0, &csv));
    size_t features = csv_features(csv);
    values = calloc(features, sizeof *values);
    if (values == NULL)
        TRY(evaluate_no_memory(evaluate));
    for (;;) {
        uint32_t label = 0;
        TRY(csv_next(csv, values, &label, &more));
        if (!more)
            break;
        TRY(evaluate_grow(evaluate, rows, features, &room));
        TRY(evaluate_put_row(evaluate, csv, rows, values));
        evaluate_put_label(evaluate, rows++, (uint16_t)label);
    }
    if (rows == 0)
        FAIL(ERROR_INVALID, "%s has a header but no rows; a global test needs at least one.",
             evaluate->where);
    evaluate->rows = matrix_of_floats(evaluate->floats, rows, features);
done:
    free(values);
    csv_close(csv);
    return err;
}

struct error *evaluate_open(const struct job *job, struct evaluate **ret_evaluate)
{
    struct error *err = NULL;
    struct evaluate *evaluate = NULL;
    if (job->global_test != JOB_GLOBAL_TEST_NONE) {
        evaluate = calloc(1, sizeof *evaluate);
        if (evaluate == NULL || (evaluate->where = strdup(job->global_test_images)) == NULL)
            FAIL(ERROR_MEMORY, "There is not enough memory for the test data.");
    }
    switch (job->global_test) {
    case JOB_GLOBAL_TEST_NONE:
        break;
    case JOB_GLOBAL_TEST_IDX:
        TRY(evaluate_read_idx(job, evaluate));
        break;
    case JOB_GLOBAL_TEST_CSV:
        TRY(evaluate_read_csv(job, evaluate));
        break;
    }
    *ret_evaluate = evaluate;
    evaluate = NULL;
done:
    evaluate_free(evaluate);
    return error_prefix(err, "evaluation.global_test");
}

uint64_t evaluate_rows(const struct evaluate *evaluate)
{
    return evaluate->rows.rows;
}

uint64_t evaluate_features(const struct evaluate *evaluate)
{
    return evaluate->rows.features;
}

struct error *evaluate_check(const struct evaluate *evaluate, uint64_t features, uint32_t classes)
{
    if (evaluate->rows.features != features)
        return error_new(
            ERROR_INVALID,
            "evaluation.global_test: %s has %zu features a row, but the sites' data has %llu; both must "
            "be prepared in the same way.",
            evaluate->where, evaluate->rows.features, (unsigned long long)features);
    if (evaluate->label_most >= classes)
        return error_new(
            ERROR_INVALID,
            "evaluation.global_test: %s has labels up to %u, but the sites' data has the classes 0 to %u.",
            evaluate->where, (unsigned)evaluate->label_most, (unsigned)classes - 1);
    return NULL;
}

static struct error *evaluate_check_images(const struct evaluate *evaluate, uint32_t rows, uint32_t columns)
{
    if (evaluate->image_rows == rows && evaluate->image_columns == columns)
        return NULL;
    return error_new(ERROR_INVALID,
                     "evaluation.global_test: %s has rows of %u by %u pixels, but the sites' have %u by %u; "
                     "features.kind of the job needs the same.",
                     evaluate->where, evaluate->image_rows, evaluate->image_columns, rows, columns);
}

struct error *evaluate_map(struct evaluate *evaluate, const struct job *job, uint64_t features,
                           uint32_t classes, uint32_t image_rows, uint32_t image_columns)
{
    struct error *err = NULL;
    float *mapped = NULL;
    size_t count = 0;
    struct features_map map = model_shape_map(job, image_rows, image_columns);
    TRY(evaluate_check(evaluate, features, classes));
    if (map.kind == FEATURES_RAW)
        goto done;
    if (map.kind == FEATURES_HOG)
        TRY(evaluate_check_images(evaluate, image_rows, image_columns));
    TRY(features_count(&map, evaluate->rows.type, evaluate->rows.features, &count));
    TRY(features_check_size(evaluate->rows.rows, count));
    mapped = calloc(evaluate->rows.rows * count, sizeof *mapped);
    if (mapped == NULL)
        TRY(evaluate_no_memory(evaluate));
    TRY(features_apply(&map, &evaluate->rows, mapped));
    free(evaluate->bytes);
    free(evaluate->floats);
    evaluate->bytes = NULL;
    evaluate->floats = mapped;
    evaluate->rows = matrix_of_floats(mapped, evaluate->rows.rows, count);
    mapped = NULL;
done:
    free(mapped);
    return err;
}

struct error *evaluate_model(const struct evaluate *evaluate, const double *parameters, uint64_t features,
                             uint32_t classes, uint64_t *ret_confusion)
{
    struct error *err = NULL;
    const struct softmax_problem problem = {
        .rows = evaluate->rows, .labels = evaluate->labels, .classes = classes};
    TRY(evaluate_check(evaluate, features, classes));
    err = softmax_confusion(&problem, parameters, ret_confusion);
done:
    return err;
}
