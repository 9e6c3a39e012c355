/* What the model of a job looks like over a dataset: the features that it sees, and how many parameters it has.
 *
 *     softmax-regression    coef [classes][features], intercept [classes]; features are what features.h makes of a row
 *     feature-statistics    mean [d], mean square [d], of the d raw features
 *
 * From shapes alone, which are public to whom the job is approved for. Pure. */
#pragma once

#include "datasite/store.h"
#include "learning/features.h"
#include "schemas/job.h"

/* The map of rows to features, whose statistics are the job's: borrowed. */
struct features_map model_shape_map(const struct job *job, const struct dataset_info *dataset);

/* ERROR_INVALID with the reason for a job whose features do not fit the dataset. */
MUST_USE struct error *model_shape_features(const struct job *job, const struct dataset_info *dataset,
                                            size_t *ret_features);
/* How many parameters. */
MUST_USE struct error *model_shape_count(const struct job *job, const struct dataset_info *dataset,
                                         size_t *ret_count);
/* That parameters of so many bytes are those of this model. */
MUST_USE struct error *model_shape_check(const struct job *job, const struct dataset_info *dataset,
                                         size_t bytes);
