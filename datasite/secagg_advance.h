/* The model after a round, from its sum: the job's update rule, in float64 and in one order, so that every site and the
 * orchestrator get the same bits. Pure.
 *
 *     without privacy   fixed_point_advance
 *     distributed-dp    private_step_advance with the examples that all sites of the job declare; of feature-statistics
 *                       the sum over (scale · sampling_rate · those examples)
 *     site-level        private_vector_add with the weights of all sites of the job */
#pragma once

#include "datasite/secagg_vector.h"

/* `state` [vector->state] in place: the model, and what stands behind it. ERROR_INVALID: the sum gives no model that is
 * finite, or cannot be of so many contributors. */
MUST_USE struct error *secagg_advance(const struct job *job, const struct dataset_info *dataset,
                                      const struct secagg_vector *vector, size_t contributors,
                                      const uint64_t *words, double *state);
