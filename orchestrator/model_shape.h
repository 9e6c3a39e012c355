/* How large a model is, from the job and from what rows look like at the sites: the same as a site finds for itself.
 *
 *     softmax-regression   (model features + 1) * classes; model features: what learning/features.h makes of a row
 *     feature-statistics   2 * features of the row: the means, then the mean squares (learning/moments.h)
 */
#pragma once

#include "learning/features.h"
#include "schemas/job.h"

/* The job's features as learning/ knows them; borrows from the job. Images of 0 by 0: rows of numbers. */
struct features_map model_shape_map(const struct job *job, uint32_t image_rows, uint32_t image_columns);

/* What the model sees of a row of `features` features. ERROR_INVALID when the job's features, or a model of that shape,
 * do not fit. */
MUST_USE struct error *model_shape_features(const struct job *job, uint64_t features, uint32_t classes,
                                            uint32_t image_rows, uint32_t image_columns, size_t *ret_count);

/* Numbers in the model. */
size_t model_shape_parameters(const struct job *job, size_t features, size_t model_features,
                              uint32_t classes);
