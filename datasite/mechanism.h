/* The randomness that protects the records of one private step, and a record of what was drawn from it.
 *
 * Sampling and noise come from crypto/noise.h: never from a job's seed. What is drawn is noted where it is drawn, so that the
 * airlock compares what was done with what the job says, and not two copies of the latter (release_private.c). Used by one
 * thread. */
#pragma once

#include "crypto/noise_grid.h"
#include "learning/private_step.h"
#include "schemas/job.h"

struct mechanism;

struct mechanism_record {
    enum job_mechanism kind;
    struct noise_grid grid; /* that contributions were bounded on */
    double sampling_rate;   /* of every sample */
    uint64_t samples;       /* Poisson samples drawn */
    uint64_t noises;        /* how often noise was added to a sum */
    size_t values;          /* of every sum */
    bool uneven;            /* a sample had another rate than the first, or a sum another length */
};

/* ERROR_INVALID for a job without a mechanism or noise multiplier, ERROR_CRYPTO when there is no randomness. */
MUST_USE struct error *mechanism_open(const struct job *job, struct mechanism **ret_mechanism);
void mechanism_close(struct mechanism *mechanism); /* accepts NULL; wipes */

/* As learning wants it; borrowed from the mechanism. */
struct private_source mechanism_source(struct mechanism *mechanism);
const struct noise_grid *mechanism_grid(const struct mechanism *mechanism);
const struct mechanism_record *mechanism_record(const struct mechanism *mechanism);
