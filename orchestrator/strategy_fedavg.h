/* Federated averaging: the new global model is the weighted mean of the sites' models.
 *
 *     w = sum over sites i of (n_i / n) · w_i      n = sum of n_i     (weighting: examples)
 *     w = sum over sites i of (1 / S)   · w_i      S sites            (weighting: equal)
 *
 * (McMahan, Moore, Ramage, Hampson, Agüera y Arcas, "Communication-Efficient Learning of Deep Networks from
 * Decentralized Data", AISTATS 2017, algorithm 1: https://arxiv.org/abs/1602.05629.)
 *
 * Everything is float64, and the sum of every parameter is taken in the order of `updates`, which the engine
 * fills in the order of the job's sites. So the order in which answers arrive cannot change a bit of the
 * result.
 *
 * Pure: no I/O, no clock, nothing allocated. */
#pragma once

#include "schemas/error.h"
#include "schemas/job.h"

#include <stdint.h>

/* More examples than this at one site are refused: the largest count that a float64 holds exactly. */
#define FEDAVG_MAX_EXAMPLES ((uint64_t)1 << 53)

/* One site's part. */
struct fedavg_update {
    const double *parameters; /* [count], all finite */
    uint64_t examples;        /* n_i, 1 to FEDAVG_MAX_EXAMPLES */
};

/* Writes the mean of `updates` (at least one) to ret_parameters [count], which overlaps none of them.
 * ERROR_INVALID for no update, or a number of examples out of range; ERROR_NUMERIC when a value or a sum is
 * not finite, naming neither. On failure ret_parameters holds nothing of use. */
MUST_USE struct error *fedavg_aggregate(const struct fedavg_update *updates, size_t update_count,
                                        size_t count, enum job_weighting weighting, double *ret_parameters);
