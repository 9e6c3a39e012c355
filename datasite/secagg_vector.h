/* The vector that a site contributes to a round of secure aggregation: how long it is, and what its words stand for
 * (crypto/fixed_point.h; of a job with a mechanism of privacy crypto/private_vector.h). Pure. */
#pragma once

#include "crypto/fixed_point.h"
#include "crypto/private_vector.h"
#include "datasite/store.h"
#include "schemas/job.h"

struct secagg_vector {
    struct fixed_point plan;      /* of a private job the ring alone */
    struct private_vector noised; /* of a private job; else all zeros */
    size_t model;                 /* parameters of the job's model, in every round */
    size_t state;      /* float64 between rounds: the model, and of distributed-dp its velocity behind it */
    size_t parameters; /* words of the change of the model; 0 in the evaluation after the last round */
    size_t counts;     /* words of the confusion matrix; 0 unless the job pools metrics, in this round */
    size_t words;      /* all of them: parameters + counts, and 1 more unless the job is private */
};

/* Of round 1 to job->rounds + 1, for a dataset of that shape. ERROR_INVALID when the job's numbers leave no room
 * (fixed_point_plan, private_vector_plan), or as of model_shape_count. */
MUST_USE struct error *secagg_vector_plan(const struct job *job, const struct dataset_info *dataset,
                                          uint32_t round, struct secagg_vector *ret_vector);

/* Of a job without privacy. `from` and `to` [parameters], `confusion` [counts]; not looked at where there are none. The words
 * are the caller's to wipe. Errors as of fixed_point_encode and fixed_point_counts. */
MUST_USE struct error *secagg_vector_encode(const struct secagg_vector *vector, const double *from,
                                            const double *to, const uint64_t *confusion, uint64_t examples,
                                            uint64_t *ret_words);
