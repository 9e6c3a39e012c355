/* What a site contributes to a round of secure aggregation in a job with a mechanism of privacy, in the ring of 64 bits:
 *
 *     words[0 … parameters]  an integer vector on the grid of the job (privacy_plan_grid), with this site's share of the noise:
 *                            distributed-dp  the sum of clipped gradients, or of (x, x²), of a Poisson sample of the rows
 *                            site-level      the clipped change of the model, times the site's public weight
 *     then [counts]          true class by row, predicted by column: test rows on the grid of counts (clip 1), with noise too;
 *                            of the model that the round began with. In the evaluation after the last round, which has nothing
 *                            else; with metrics_rounds: all in every round too
 *
 * There is no word for a weight and no scaling: the sum under masks is the noisy sum that is accounted, and what is computed
 * of it is post-processing.
 *
 *     distributed-dp   private_step.h with `examples`, or for statistics sum / (scale · sampling_rate · examples)
 *     site-level       model += sum / (scale · weights), weights of the whole roster, whoever contributed
 *
 * Room: a word is a sum modulo 2^64. One that wrapped would spoil the model and tell nothing more. A job whose declared
 * examples could come within a factor of 16 of that, all of one sign, is refused by private_vector_plan: so a site may have
 * that many times the rows that it declares. Noise takes 2^33 times its deviation to come as far.
 *
 * Pure, and the same at sites and orchestrator. */
#pragma once

#include "crypto/noise_grid.h"
#include "schemas/job.h"

#define PRIVATE_VECTOR_ROOM 0x1p59

struct private_vector {
    size_t parameters; /* 0 in the evaluation after the last round */
    size_t counts;     /* 0 where no counts leave */
    size_t words;
    struct noise_grid grid;        /* of the parameters */
    struct noise_grid counts_grid; /* where there are counts */
};

/* Of round 1 to job->rounds + 1, for a model of `parameters` parameters. ERROR_INVALID: the job is not private or without
 * secure aggregation, its numbers leave no room or no grid, or nothing leaves in the round. */
MUST_USE struct error *private_vector_plan(const struct job *job, size_t parameters, uint32_t classes,
                                           uint32_t round, struct private_vector *ret_vector);

/* All examples that the job's sites declare; the weights of all of its sites (privacy_plan_weight). */
uint64_t private_vector_examples(const struct job *job);
double private_vector_weights(const struct job *job);

/* Counts of test rows as steps of the grid, before noise: [counts] each. */
void private_vector_counts(const struct private_vector *vector, const uint64_t *counts, int64_t *ret_values);
/* Counts of a sum, noise and all: any number, below 0 too. */
void private_vector_decode_counts(const struct private_vector *vector, const uint64_t *words,
                                  double *ret_counts);
/* Their standard deviation where `contributors` sites have added noise. */
double private_vector_counts_deviation(const struct private_vector *vector, size_t contributors);

/* model[p] += words[p] / (scale · divisor), [parameters] each; + and / of float64 alone, in this order. */
void private_vector_add(const struct private_vector *vector, double divisor, const uint64_t *words,
                        double *model);
