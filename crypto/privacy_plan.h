/* What a private job releases, on which grid, and what that costs: derived from the job's bytes alone, the same at the site
 * that enforces it and at the orchestrator that reports it.
 *
 *     mechanism        unit of protection   one event a step                       who adds the noise
 *     dp-sgd           one record           {noise_multiplier, sampling_rate}      each site all of its own (NOISE_LOCAL)
 *     distributed-dp   one record           the same, one step a round             each site σ²C²/(t - n_c) (NOISE_SHARE)
 *     site-level       one site's update    {noise_multiplier, 1}, one a round     in clear each site all; else as above
 *     metrics          one test row         {metrics_noise, 1} an evaluation       as the mechanism
 *
 * The grid's slack (noise_grid.h), for the largest model that there may be, is in every epsilon and delta here: figures
 * do not depend on a dataset. Sites' true rows are nowhere in it. Pure. */
#pragma once

#include "crypto/noise_grid.h"
#include "crypto/privacy.h"
#include "schemas/job.h"

#define PRIVACY_PLAN_EVENTS 2

/* Evaluations that leave in a run of `rounds` rounds: none without metrics_noise; 1, or with metrics_rounds: all one a round
 * (and one more under secure aggregation, where the counts of the first model ride in round 1). */
uint32_t privacy_plan_evaluations(const struct job *job, uint32_t rounds);

/* The events of `rounds` rounds of training and `evaluations` evaluations; either may be 0. ret_count is 0 to 2. */
void privacy_plan_events(const struct job *job, uint32_t rounds, uint32_t evaluations,
                         struct privacy_event ret_events[static PRIVACY_PLAN_EVENTS], size_t *ret_count);

/* Epsilon at the job's delta after so much. 0 events: 0. PRIVACY_PLD is the figure of a job; PRIVACY_RDP is cheap. ERROR_LIMIT,
 * or ERROR_INVALID, where nothing can be vouched for: also where by Rényi divergences epsilon is so large, 40 or so, that e^epsilon
 * times the sampler's distance (noise_grid.h) would take more than a tenth of delta. */
MUST_USE struct error *privacy_plan_epsilon(const struct job *job, enum privacy_accountant accountant,
                                            uint32_t rounds, uint32_t evaluations, double *ret_epsilon);
/* PRIVACY_RDP's figure after any number of rounds, for who asks in each of them: what one step costs is computed once a job
 * (privacy_step_of), the rest is 10 µs. As privacy_plan_epsilon says, but for rounding. */
struct privacy_price {
    struct privacy_step training, evaluation;
};
MUST_USE struct error *privacy_plan_price(const struct job *job, struct privacy_price *ret_price);
MUST_USE struct error *privacy_plan_priced(const struct job *job, const struct privacy_price *price,
                                           uint32_t rounds, uint32_t evaluations, double *ret_epsilon);
/* The same if all other sites colluded, or none but this one added noise: what is left is this site's own. As above where a
 * site adds all of the noise. */
MUST_USE struct error *privacy_plan_worst(const struct job *job, uint32_t rounds, uint32_t evaluations,
                                          double *ret_epsilon);

/* Adds what so much costs to `rdp`, the sums of a budget's filter (privacy.h): the divergence of the events, and that of the
 * grid. A factor e^s between densities, s its slack, adds at most s(2α - 1)/(α - 1) at order α, which is 3s or less for α of
 * 2 and more. How far the sampler is from what is accounted (noise_grid_distance) is added to ret_distance: 1 + e^ε times as much is
 * charged to a delta that goes with ε. */
MUST_USE struct error *privacy_plan_filter(const struct job *job, uint32_t rounds, uint32_t evaluations,
                                           double rdp[static PRIVACY_FILTER_ORDERS], double *ret_distance);

/* The noise multiplier with which all of the job stays within its target_epsilon (PLD), and then the same for one that
 * has both: ERROR_INVALID, with the figures, when the job costs more than its target. A job without a
 * target passes. */
MUST_USE struct error *privacy_plan_calibrate(const struct job *job, double *ret_noise_multiplier);
MUST_USE struct error *privacy_plan_check(const struct job *job);
/* Its two halves, for who has the job's epsilon already (infinite: more than can be accounted): whether the job has a target and a
 * noise multiplier, and ERROR_INVALID where the epsilon is above the target. */
bool privacy_plan_has_both(const struct job *job);
MUST_USE struct error *privacy_plan_meets(const struct job *job, double epsilon);

/* The grids of contributions and of counts (clip 1). ERROR_INVALID without metrics for the latter. */
MUST_USE struct error *privacy_plan_grid(const struct job *job, struct noise_grid *ret_grid);
MUST_USE struct error *privacy_plan_counts_grid(const struct job *job, struct noise_grid *ret_grid);

/* On how many sites' noise the sum rests: 1, or threshold - tolerate_colluding. */
uint32_t privacy_plan_honest(const struct job *job);

/* What a noisy sum of gradients is divided by: sampling_rate times the declared examples, of the site `site` alone (dp-sgd),
 * or of all sites (distributed-dp; `site` is not looked at). */
double privacy_plan_divisor(const struct job *job, size_t site);

/* The public weight of a site's update: declared examples (weighting: examples) over the largest, or 1 (equal); 0 to 1. */
double privacy_plan_weight(const struct job *job, size_t site);

/* "dp-sgd, noise multiplier 2.458, clip 0.3, sampling rate 0.0683, 585 steps, delta 1e-05" */
#define PRIVACY_PLAN_WORDS 192
void privacy_plan_describe(const struct job *job, char ret_text[static PRIVACY_PLAN_WORDS]);
