/* The orchestrator's own test data, by evaluation.global_test of the job: an IDX pair (pixels, value = byte /
 * 255) or a CSV with a label column of integers 0 to K-1. Read once, before the run starts, so that a missing
 * or broken file is told before any site trains; then every round's global model is counted on it.
 *
 * Relative paths are relative to the working directory. At most EVALUATE_MAX_BYTES of values are held. */
#pragma once

#include "schemas/error.h"
#include "schemas/job.h"

#include <stdint.h>

#define EVALUATE_MAX_BYTES ((size_t)1 << 31)

struct evaluate;

/* *ret_evaluate is NULL when the job has no global test. */
MUST_USE struct error *evaluate_open(const struct job *job, struct evaluate **ret_evaluate);
void evaluate_free(struct evaluate *evaluate); /* accepts NULL */

uint64_t evaluate_rows(const struct evaluate *evaluate);
uint64_t evaluate_features(const struct evaluate *evaluate);

/* ERROR_INVALID, with both figures, unless the data has `features` features and labels below `classes`. */
MUST_USE struct error *evaluate_check(const struct evaluate *evaluate, uint64_t features, uint32_t classes);

/* Once the sites have said what their rows look like: checks as evaluate_check, and makes of the rows what the job's model
 * sees (model_shape.h), which takes their place. ERROR_INVALID too when the images are of other sides than the sites', where
 * that matters; ERROR_LIMIT when the mapped rows would be too large. */
MUST_USE struct error *evaluate_map(struct evaluate *evaluate, const struct job *job, uint64_t features,
                                    uint32_t classes, uint32_t image_rows, uint32_t image_columns);

/* Counts predictions of the model (coef [classes][features] row by row, then intercept [classes]) into
 * ret_confusion[classes * classes], rows true, columns predicted. Checks as evaluate_check; `features` are the model's. */
MUST_USE struct error *evaluate_model(const struct evaluate *evaluate, const double *parameters,
                                      uint64_t features, uint32_t classes, uint64_t *ret_confusion);
