/* The mechanism of a private job in a trial on mock data: what the sites and the orchestrator will do, here, on synthetic rows,
 * noise and all. Nothing private is in the rows, and so nothing is spent; noise and divisors are those of the job, made for the
 * examples that it declares.
 *
 * dp-sgd, site-level and statistics give what a site's Update would have, for the ordinary average. With distributed-dp sites
 * give contributions to one sum, and the model follows from it, without masks; average_tail is over rounds then. */
#pragma once

#include "orchestrator/local_site.h"

struct local_private; /* of one run */

/* `count`: parameters of the model. Borrows the job. */
MUST_USE struct error *local_private_open(const struct job *job, size_t count,
                                          struct local_private **ret_private);
void local_private_close(struct local_private *private); /* accepts NULL */

/* Whether sites contribute to a sum instead of giving models. */
bool local_private_sums(const struct job *job);

/* What the site at `position` of the job would answer to the model of a round: ret_parameters [count]. Of a job of
 * feature-statistics too, with and without a mechanism. */
MUST_USE struct error *local_private_train(struct local_private *private, const struct local_site *site,
                                           size_t position, uint32_t round, const double *model,
                                           const struct training_progress *progress, double *ret_parameters);

/* Adds the site's noisy contribution to the sum of the round in hand. */
MUST_USE struct error *local_private_contribute(struct local_private *private, const struct local_site *site,
                                                const double *model);
/* The model after the round, in place, from the sum, which begins anew. */
MUST_USE struct error *local_private_advance(struct local_private *private, const struct local_site *any,
                                             uint32_t round, double *model);
/* After the last round: the mean of the models of the tail [count], or NULL: the last model is the result. */
const double *local_private_average(const struct local_private *private);

/* Counts [classes][classes] of a model on the site's test rows, with the noise that they would leave with. */
MUST_USE struct error *local_private_count(struct local_private *private, const struct local_site *site,
                                           const double *model, double *ret_counts);
