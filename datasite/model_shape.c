#include "datasite/model_shape.h"

#include "learning/softmax.h"
#include "schemas/wire.h"

static enum features_kind shape_kind(enum job_features features)
{
    switch (features) {
    case JOB_FEATURES_RAW:
        return FEATURES_RAW;
    case JOB_FEATURES_UNIT_NORM:
        return FEATURES_UNIT_NORM;
    case JOB_FEATURES_HOG:
        return FEATURES_HOG;
    case JOB_FEATURES_STANDARDIZE:
        return FEATURES_STANDARDIZE;
    }
    return FEATURES_RAW;
}

struct features_map model_shape_map(const struct job *job, const struct dataset_info *dataset)
{
    return (struct features_map){.kind = shape_kind(job->features),
                                 .image_rows = dataset->image_rows,
                                 .image_columns = dataset->image_columns,
                                 .mean = job->feature_mean,
                                 .deviation = job->feature_deviation};
}

struct error *model_shape_features(const struct job *job, const struct dataset_info *dataset,
                                   size_t *ret_features)
{
    struct error *err = NULL;
    struct features_map map = model_shape_map(job, dataset);
    if (job->features == JOB_FEATURES_STANDARDIZE && job->feature_count != dataset->features)
        FAIL(ERROR_INVALID, "features.mean has %zu numbers, and rows of this dataset have %llu features.",
             job->feature_count, (unsigned long long)dataset->features);
    TRY(features_count(&map, dataset->kind == DATASET_BYTES ? MATRIX_BYTES : MATRIX_FLOAT32,
                       (size_t)dataset->features, ret_features));
done:
    return err;
}

struct error *model_shape_count(const struct job *job, const struct dataset_info *dataset, size_t *ret_count)
{
    struct error *err = NULL;
    size_t features = 0;
    TRY(model_shape_features(job, dataset, &features));
    switch (job->model) {
    case JOB_SOFTMAX_REGRESSION:
        TRY(softmax_check_shape(features, dataset->classes));
        *ret_count = softmax_parameters(features, dataset->classes);
        break;
    case JOB_FEATURE_STATISTICS:
        *ret_count = 2 * features;
        break;
    }
done:
    return err;
}

struct error *model_shape_check(const struct job *job, const struct dataset_info *dataset, size_t bytes)
{
    struct error *err = NULL;
    size_t features = 0;
    TRY(model_shape_features(job, dataset, &features));
    switch (job->model) {
    case JOB_SOFTMAX_REGRESSION:
        TRY(wire_parameters_check(bytes, features, dataset->classes));
        break;
    case JOB_FEATURE_STATISTICS:
        if (bytes != 2 * features * sizeof(double))
            FAIL(
                ERROR_INVALID,
                "The statistics have %zu bytes; mean and mean square of %zu features are %zu float64 values.",
                bytes, features, 2 * features);
        break;
    }
done:
    return err;
}
