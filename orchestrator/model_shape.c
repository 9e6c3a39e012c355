#include "orchestrator/model_shape.h"

#include "learning/softmax.h"

static enum features_kind kind_of(enum job_features features)
{
    switch (features) {
    case JOB_FEATURES_RAW:
        return FEATURES_RAW;
    case JOB_FEATURES_UNIT_NORM:
        return FEATURES_UNIT_NORM;
    case JOB_FEATURES_HOG:
        return FEATURES_HOG;
    case JOB_FEATURES_STANDARDIZE:
        break;
    }
    return FEATURES_STANDARDIZE;
}

struct features_map model_shape_map(const struct job *job, uint32_t image_rows, uint32_t image_columns)
{
    return (struct features_map){.kind = kind_of(job->features),
                                 .image_rows = image_rows,
                                 .image_columns = image_columns,
                                 .mean = job->feature_mean,
                                 .deviation = job->feature_deviation};
}

struct error *model_shape_features(const struct job *job, uint64_t features, uint32_t classes,
                                   uint32_t image_rows, uint32_t image_columns, size_t *ret_count)
{
    struct error *err = NULL;
    struct features_map map = model_shape_map(job, image_rows, image_columns);
    size_t count = 0;
    if (job->features == JOB_FEATURES_STANDARDIZE && job->feature_count != features)
        FAIL(ERROR_INVALID,
             "features.mean of the job has %zu numbers, and the rows have %llu features; statistics of the "
             "same "
             "features are needed.",
             job->feature_count, (unsigned long long)features);
    TRY(features_count(&map, image_rows > 0 ? MATRIX_BYTES : MATRIX_FLOAT32, (size_t)features, &count));
    if (job->model == JOB_SOFTMAX_REGRESSION)
        TRY(softmax_check_shape(count, classes));
    *ret_count = count;
done:
    return err;
}

size_t model_shape_parameters(const struct job *job, size_t features, size_t model_features, uint32_t classes)
{
    switch (job->model) {
    case JOB_SOFTMAX_REGRESSION:
        return classes == 0 ? 0 : (model_features + 1) * classes;
    case JOB_FEATURE_STATISTICS:
        break;
    }
    return 2 * features;
}
