#include "datasite/mapped_rows.h"

#include "datasite/model_shape.h"

#define MAPPED_BLOCK_ROWS 512

struct mapped_rows {
    enum job_features kind;
    double *statistics; /* [2 * statistics_count]: mean, deviation; NULL unless standardized */
    size_t statistics_count;
    size_t rows, features;
    float *values; /* [rows][features] */
};

static struct matrix_view mapped_raw(const struct dataset *dataset)
{
    size_t rows = (size_t)dataset->info.rows, features = (size_t)dataset->info.features;
    return dataset->bytes != NULL ? matrix_of_bytes(dataset->bytes, rows, features)
                                  : matrix_of_floats(dataset->numbers, rows, features);
}

/* Blocks of rows at once, each with its own outcome. */
struct mapping {
    struct features_map map;
    struct matrix_view raw;
    struct mapped_rows *mapped;
    struct error **failed; /* [blocks] */
};

static void mapping_block(void *argument, size_t block)
{
    struct mapping *mapping = argument;
    size_t first = block * MAPPED_BLOCK_ROWS, left = mapping->raw.rows - first;
    struct matrix_view part = mapping->raw;
    part.values = matrix_row(&mapping->raw, first);
    part.rows = left < MAPPED_BLOCK_ROWS ? left : MAPPED_BLOCK_ROWS;
    mapping->failed[block] =
        features_apply(&mapping->map, &part, mapping->mapped->values + first * mapping->mapped->features);
}

static struct error *mapping_run(struct mapping *mapping, const struct parallel *parallel)
{
    struct error *err = NULL;
    size_t blocks = (mapping->raw.rows + MAPPED_BLOCK_ROWS - 1) / MAPPED_BLOCK_ROWS;
    mapping->failed = calloc(blocks, sizeof(struct error *));
    if (mapping->failed == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory to compute features.");
    parallel_run(parallel, blocks, mapping_block, mapping);
    for (size_t i = 0; i < blocks; i++) {
        if (err == NULL)
            err = mapping->failed[i];
        else
            error_free(mapping->failed[i]);
    }
    free(mapping->failed);
    return err;
}

static struct error *mapped_keep_statistics(const struct job *job, struct mapped_rows *mapped)
{
    size_t count = job->feature_count;
    if (job->features != JOB_FEATURES_STANDARDIZE)
        return NULL;
    mapped->statistics = calloc(2 * count, sizeof(*mapped->statistics));
    if (mapped->statistics == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory to compute features.");
    memcpy(mapped->statistics, job->feature_mean, count * sizeof(*mapped->statistics));
    memcpy(mapped->statistics + count, job->feature_deviation, count * sizeof(*mapped->statistics));
    mapped->statistics_count = count;
    return NULL;
}

struct error *mapped_rows_make(const struct job *job, const struct dataset *dataset,
                               const struct parallel *parallel, struct mapped_rows **ret_mapped)
{
    struct error *err = NULL;
    struct mapped_rows *mapped = NULL;
    size_t features = 0, rows = (size_t)dataset->info.rows;
    TRY(model_shape_features(job, &dataset->info, &features));
    if (job->features == JOB_FEATURES_RAW) {
        *ret_mapped = NULL;
        goto done;
    }
    TRY(features_check_size(rows, features));
    mapped = calloc(1, sizeof(*mapped));
    if (mapped == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to compute features.");
    *mapped = (struct mapped_rows){.kind = job->features, .rows = rows, .features = features};
    TRY(mapped_keep_statistics(job, mapped));
    mapped->values = reallocarray(NULL, rows * features, sizeof(*mapped->values));
    if (mapped->values == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to compute features.");
    struct mapping mapping = {model_shape_map(job, &dataset->info), mapped_raw(dataset), mapped, NULL};
    TRY(mapping_run(&mapping, parallel));
    *ret_mapped = mapped;
    mapped = NULL;
done:
    mapped_rows_free(mapped);
    return err;
}

void mapped_rows_free(struct mapped_rows *mapped)
{
    if (mapped == NULL)
        return;
    free(mapped->statistics);
    free(mapped->values);
    free(mapped);
}

bool mapped_rows_serve(const struct mapped_rows *mapped, const struct job *job)
{
    if (mapped == NULL)
        return job->features == JOB_FEATURES_RAW;
    if (mapped->kind != job->features)
        return false;
    size_t count = mapped->statistics_count, bytes = count * sizeof(double);
    return mapped->statistics == NULL ||
           (count == job->feature_count && memcmp(mapped->statistics, job->feature_mean, bytes) == 0 &&
            memcmp(mapped->statistics + count, job->feature_deviation, bytes) == 0);
}

struct matrix_view mapped_rows_view(const struct mapped_rows *mapped, const struct dataset *dataset)
{
    return mapped == NULL ? mapped_raw(dataset)
                          : matrix_of_floats(mapped->values, mapped->rows, mapped->features);
}
