/* A dataset as the features of a job see it: every row mapped once (learning/features.h), float32, kept beside the dataset for
 * as long as that is kept. */
#pragma once

#include "datasite/dataset.h"
#include "learning/matrix.h"
#include "learning/parallel.h"
#include "schemas/job.h"

struct mapped_rows;

/* A job whose features are the raw rows needs none: NULL then. Memory is bounded (FEATURES_MAX_BYTES) before it is taken:
 * ERROR_LIMIT, ERROR_MEMORY; ERROR_INVALID for features that do not fit the dataset. */
MUST_USE struct error *mapped_rows_make(const struct job *job, const struct dataset *dataset,
                                        const struct parallel *parallel, struct mapped_rows **ret_mapped);
void mapped_rows_free(struct mapped_rows *mapped); /* accepts NULL */

/* Whether these are the features of the job, over the dataset that they were made of. NULL: of raw rows. */
bool mapped_rows_serve(const struct mapped_rows *mapped, const struct job *job);

/* The rows that learning sees. */
struct matrix_view mapped_rows_view(const struct mapped_rows *mapped, const struct dataset *dataset);
