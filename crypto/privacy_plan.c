#include "crypto/privacy_plan.h"

#include <math.h>
#include <stdio.h>

#define PLAN_VALUES ((uint64_t)1 << 22) /* as learning/softmax.h's largest model */
#define PLAN_ROOM 0.9                   /* of delta, at least, is the accountant's */
#define PLAN_LEAST_EPSILON 8.0          /* what the sampler is charged does not depend on a smaller one */

/* Noise of a site that adds a share of it. */
static bool shared_noise(const struct job *job)
{
    return job->secure.enabled;
}

uint32_t privacy_plan_honest(const struct job *job)
{
    return shared_noise(job) ? job->secure.threshold - job->secure.tolerate_colluding : 1;
}

static enum noise_level plan_level(const struct job *job)
{
    return shared_noise(job) ? NOISE_SHARE : NOISE_LOCAL;
}

uint32_t privacy_plan_evaluations(const struct job *job, uint32_t rounds)
{
    if (!(job->privacy.metrics_noise > 0))
        return 0;
    switch (job->privacy.metrics_rounds) {
    case JOB_METRICS_LAST:
        return 1;
    case JOB_METRICS_ALL:
        break;
    }
    return shared_noise(job) ? rounds + 1 : rounds;
}

void privacy_plan_events(const struct job *job, uint32_t rounds, uint32_t evaluations,
                         struct privacy_event ret_events[static PRIVACY_PLAN_EVENTS], size_t *ret_count)
{
    size_t count = 0;
    const struct job_privacy *privacy = &job->privacy;
    if (rounds > 0)
        ret_events[count++] = (struct privacy_event){privacy->noise_multiplier, privacy->sampling_rate,
                                                     (uint64_t)rounds * privacy->steps};
    if (evaluations > 0)
        ret_events[count++] = (struct privacy_event){privacy->metrics_noise, 1.0, evaluations};
    *ret_count = count;
}

static uint64_t plan_steps(const struct job *job, uint32_t rounds, uint32_t evaluations)
{
    return (uint64_t)rounds * job->privacy.steps + evaluations;
}

static double plan_epsilon_slack(const struct job *job, uint64_t steps)
{
    return noise_grid_epsilon_slack(plan_level(job), PLAN_VALUES, steps);
}

static uint64_t plan_sites(const struct job *job)
{
    return shared_noise(job) ? JOB_MAX_SITES : 1;
}

/* What is left of delta for the accountant, at least. */
static double plan_room(const struct job *job)
{
    return fmax(PLAN_ROOM * job->privacy.delta, PRIVACY_MIN_DELTA);
}

/* What the sampler is charged for, given an accountant's epsilon at plan_room. */
static double plan_at_least(const struct job *job, uint64_t steps, double epsilon)
{
    return fmax(epsilon + plan_epsilon_slack(job, steps), PLAN_LEAST_EPSILON);
}

/* At least what the epsilon of these events is, cheaply, if PLAN_ROOM of the job's delta is left for the accountant. */
static struct error *plan_bound(const struct job *job, const struct privacy_event *events, size_t count,
                                uint64_t steps, double *ret_bound)
{
    struct error *err = NULL;
    double epsilon = 0;
    TRY(privacy_epsilon(PRIVACY_RDP, events, count, plan_room(job), &epsilon));
    *ret_bound = plan_at_least(job, steps, epsilon);
done:
    return err;
}

/* What is left of the job's delta for the accountant once the sampler has its own, of a promise of at most this epsilon. */
static struct error *plan_delta(const struct job *job, uint64_t steps, double epsilon, double *ret_delta)
{
    struct error *err = NULL;
    double slack = noise_grid_delta_slack(plan_level(job), PLAN_VALUES, steps, plan_sites(job), epsilon,
                                          job->privacy.delta);
    double left = job->privacy.delta - slack;
    if (!(left >= PLAN_ROOM * job->privacy.delta) && epsilon > PLAN_LEAST_EPSILON)
        FAIL(ERROR_LIMIT,
             "Epsilon may be %.4g, and beside e^epsilon times the distance of the sampler from what is "
             "accounted "
             "nothing is left of privacy.delta %g: no promise holds. More noise or fewer steps would do.",
             epsilon, job->privacy.delta);
    if (!(left >= PLAN_ROOM * job->privacy.delta))
        FAIL(ERROR_INVALID,
             "privacy.delta is %g, and the sampler of the noise alone may cost %g in %llu steps; a larger "
             "delta or fewer steps would do.",
             job->privacy.delta, slack, (unsigned long long)steps);
    *ret_delta = left;
done:
    return err;
}

static struct error *plan_epsilon_of(const struct job *job, enum privacy_accountant accountant,
                                     const struct privacy_event *events, size_t count, double *ret_epsilon)
{
    struct error *err = NULL;
    double delta = 0, bound = 0, epsilon = 0;
    uint64_t steps = 0;
    for (size_t i = 0; i < count; i++)
        steps += events[i].steps;
    if (count > 0) {
        TRY(plan_bound(job, events, count, steps, &bound));
        TRY(plan_delta(job, steps, bound, &delta));
        TRY(privacy_epsilon(accountant, events, count, delta, &epsilon));
        epsilon += plan_epsilon_slack(job, steps);
    }
    *ret_epsilon = epsilon;
done:
    return err;
}

struct error *privacy_plan_epsilon(const struct job *job, enum privacy_accountant accountant, uint32_t rounds,
                                   uint32_t evaluations, double *ret_epsilon)
{
    struct privacy_event events[PRIVACY_PLAN_EVENTS] = {0};
    size_t count = 0;
    privacy_plan_events(job, rounds, evaluations, events, &count);
    return plan_epsilon_of(job, accountant, events, count, ret_epsilon);
}

struct error *privacy_plan_price(const struct job *job, struct privacy_price *ret_price)
{
    struct error *err = NULL;
    const struct job_privacy *privacy = &job->privacy;
    struct privacy_price price = {0};
    TRY(privacy_step_of((struct privacy_event){privacy->noise_multiplier, privacy->sampling_rate, 1},
                        &price.training));
    if (privacy->metrics_noise > 0)
        TRY(privacy_step_of((struct privacy_event){privacy->metrics_noise, 1.0, 1}, &price.evaluation));
    *ret_price = price;
done:
    return err;
}

struct error *privacy_plan_priced(const struct job *job, const struct privacy_price *price, uint32_t rounds,
                                  uint32_t evaluations, double *ret_epsilon)
{
    struct error *err = NULL;
    double delta = 0, epsilon = 0, room = plan_room(job);
    uint64_t steps = plan_steps(job, rounds, evaluations);
    const struct privacy_step each[] = {price->training, price->evaluation};
    const uint64_t counts[] = {steps - evaluations, evaluations};
    if (steps > 0) {
        TRY(privacy_steps_epsilon(each, counts, 2, room, &epsilon));
        TRY(plan_delta(job, steps, plan_at_least(job, steps, epsilon), &delta));
        TRY(privacy_steps_epsilon(each, counts, 2, delta, &epsilon));
        epsilon += plan_epsilon_slack(job, steps);
    }
    *ret_epsilon = epsilon;
done:
    return err;
}

struct error *privacy_plan_worst(const struct job *job, uint32_t rounds, uint32_t evaluations,
                                 double *ret_epsilon)
{
    struct privacy_event events[PRIVACY_PLAN_EVENTS];
    size_t count = 0;
    privacy_plan_events(job, rounds, evaluations, events, &count);
    for (size_t i = 0; i < count; i++)
        events[i].noise_multiplier /= sqrt((double)privacy_plan_honest(job));
    return plan_epsilon_of(job, PRIVACY_PLD, events, count, ret_epsilon);
}

struct error *privacy_plan_filter(const struct job *job, uint32_t rounds, uint32_t evaluations,
                                  double rdp[static PRIVACY_FILTER_ORDERS], double *ret_distance)
{
    struct error *err = NULL;
    struct privacy_event events[PRIVACY_PLAN_EVENTS];
    size_t count = 0;
    uint64_t steps = plan_steps(job, rounds, evaluations);
    double slack = plan_epsilon_slack(job, steps);
    privacy_plan_events(job, rounds, evaluations, events, &count);
    if (count == 0)
        return NULL;
    TRY(privacy_filter_add(events, count, rdp));
    for (size_t i = 0; i < PRIVACY_FILTER_ORDERS; i++)
        rdp[i] += slack * (2 * privacy_filter_orders[i] - 1) / (privacy_filter_orders[i] - 1);
    *ret_distance += noise_grid_distance(PLAN_VALUES, steps, plan_sites(job));
done:
    return err;
}

/* In the words of the job, since what the accountant was asked is less than the target by the slack of the grid. */
static struct error *plan_no_noise(const struct job *job, uint32_t evaluations, double slack)
{
    double target = job->privacy.target_epsilon, alone = 0;
    char figure[PRIVACY_BOUND_BYTES];
    if (evaluations > 0) {
        struct error *unknown = privacy_plan_epsilon(job, PRIVACY_PLD, 0, evaluations, &alone);
        error_free(unknown);
    }
    if (target <= slack) {
        privacy_bound(slack, 2, figure);
        return error_new(
            ERROR_INVALID,
            "No noise keeps all of the job within %g: the grid of the noise alone comes to %s in "
            "its steps. A target well above that would do, or fewer steps.",
            target, figure);
    }
    if (alone >= target) {
        privacy_bound(alone, PRIVACY_BOUND_DIGITS, figure);
        return error_new(
            ERROR_INVALID,
            "No noise keeps all of the job within %g: what privacy.metrics_noise gives the counts "
            "of test rows alone comes to %s. More of it would do, or counts of fewer rounds.",
            target, figure);
    }
    return error_new(ERROR_INVALID,
                     "No noise_multiplier up to %g keeps all of the job within %g. A larger target, fewer "
                     "steps or a smaller sampling_rate would do.",
                     PRIVACY_MAX_NOISE, target);
}

/* Noise for which privacy_plan_epsilon stays within the target. What the sampler is charged goes by a bound on epsilon, which
 * is above the target, and for more noise is no higher. */
struct error *privacy_plan_calibrate(const struct job *job, double *ret_noise_multiplier)
{
    struct error *err = NULL;
    struct privacy_event events[PRIVACY_PLAN_EVENTS];
    size_t count = 0;
    double delta = 0, noise = 0, target = job->privacy.target_epsilon,
           bound = fmax(target, PLAN_LEAST_EPSILON);
    uint32_t evaluations = privacy_plan_evaluations(job, job->rounds);
    uint64_t steps = plan_steps(job, job->rounds, evaluations);
    double slack = plan_epsilon_slack(job, steps);
    if (!(target > 0))
        FAIL(ERROR_INVALID, "The job has no privacy.target_epsilon to compute its noise from.");
    privacy_plan_events(job, job->rounds, evaluations, events, &count);
    if (!(target > slack))
        return plan_no_noise(job, evaluations, slack);
    for (double charged = 0; err == NULL && charged < bound;) {
        charged = bound;
        TRY(plan_delta(job, steps, charged, &delta));
        err = privacy_calibrate(PRIVACY_PLD, events[0], events + 1, count - 1, target - slack, delta, &noise);
        events[0].noise_multiplier = noise;
        if (err == NULL)
            err = plan_bound(job, events, count, steps, &bound);
    }
    if (err != NULL && err->code == ERROR_INVALID) {
        error_free(err);
        err = plan_no_noise(job, evaluations, slack);
    }
    if (err == NULL)
        *ret_noise_multiplier = noise;
done:
    return err;
}

struct error *privacy_plan_meets(const struct job *job, double epsilon)
{
    char gives[64] = "more epsilon than can be accounted";
    if (!(epsilon > job->privacy.target_epsilon))
        return NULL;
    if (isfinite(epsilon))
        (void)snprintf(gives, sizeof(gives), "epsilon %.4f", epsilon);
    return error_new(
        ERROR_INVALID,
        "privacy.noise_multiplier %g gives %s, more than privacy.target_epsilon %g: the two do not "
        "belong together. Remove noise_multiplier, and it is computed anew.",
        job->privacy.noise_multiplier, gives, job->privacy.target_epsilon);
}

struct error *privacy_plan_check(const struct job *job)
{
    struct error *err = NULL;
    double epsilon = INFINITY;
    if (!privacy_plan_has_both(job))
        return NULL;
    err = privacy_plan_epsilon(job, PRIVACY_PLD, job->rounds, privacy_plan_evaluations(job, job->rounds),
                               &epsilon);
    if (err != NULL && err->code == ERROR_LIMIT)
        error_clear(&err);
    if (err != NULL)
        goto done;
    TRY(privacy_plan_meets(job, epsilon));
done:
    return err;
}

bool privacy_plan_has_both(const struct job *job)
{
    return job->privacy.target_epsilon > 0 && job->privacy.noise_multiplier > 0;
}

struct error *privacy_plan_grid(const struct job *job, struct noise_grid *ret_grid)
{
    return noise_grid_plan(plan_level(job), job->privacy.clip, job->privacy.noise_multiplier,
                           privacy_plan_honest(job), ret_grid);
}

struct error *privacy_plan_counts_grid(const struct job *job, struct noise_grid *ret_grid)
{
    struct error *err = NULL;
    if (!(job->privacy.metrics_noise > 0))
        FAIL(ERROR_INVALID, "The job has no privacy.metrics_noise: no counts leave.");
    TRY(noise_grid_plan(plan_level(job), 1.0, job->privacy.metrics_noise, privacy_plan_honest(job),
                        ret_grid));
done:
    return err;
}

double privacy_plan_divisor(const struct job *job, size_t site)
{
    double examples = 0;
    if (job->privacy.mechanism == JOB_DP_SGD)
        return job->privacy.sampling_rate * (double)job->sites[site].examples;
    for (size_t i = 0; i < job->site_count; i++)
        examples += (double)job->sites[i].examples;
    return job->privacy.sampling_rate * examples;
}

double privacy_plan_weight(const struct job *job, size_t site)
{
    uint64_t most = 1;
    if (job->weighting == JOB_WEIGHT_EQUAL)
        return 1.0;
    for (size_t i = 0; i < job->site_count; i++)
        most = job->sites[i].examples > most ? job->sites[i].examples : most;
    return (double)job->sites[site].examples / (double)most;
}

void privacy_plan_describe(const struct job *job, char ret_text[static PRIVACY_PLAN_WORDS])
{
    const struct job_privacy *privacy = &job->privacy;
    if (privacy->mechanism == JOB_SITE_LEVEL)
        (void)snprintf(ret_text, PRIVACY_PLAN_WORDS, "%s, noise multiplier %g, clip %g, %u rounds, delta %g",
                       job_mechanism_word(privacy->mechanism), privacy->noise_multiplier, privacy->clip,
                       job->rounds, privacy->delta);
    else
        (void)snprintf(ret_text, PRIVACY_PLAN_WORDS,
                       "%s, noise multiplier %g, clip %g, sampling rate %g, %llu steps, delta %g",
                       job_mechanism_word(privacy->mechanism), privacy->noise_multiplier, privacy->clip,
                       privacy->sampling_rate, (unsigned long long)job->rounds * privacy->steps,
                       privacy->delta);
}
