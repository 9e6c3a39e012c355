/* What a job takes of a budget, and what would fit where it does not. Whatever is offered was put to the filter itself, so that
 * what would fit does fit. */
#include "datasite/budget_parts.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define OFFER_WIDENINGS                                                                                      \
    8 /* of a noise multiplier that the accountant found and the filter did not take yet */
#define OFFER_WIDENING 1.001 /* each time by so much */
#define OFFER_HALVINGS 40

struct offer {
    const struct job *job; /* as it was asked for */
    struct budget_cap cap;
    struct budget_sum sum;
};

static struct job offer_charged(const struct offer *offer, double noise)
{
    struct job job = *offer->job;
    job.privacy.noise_multiplier = noise;
    return budget_charged(&job);
}

/* Whether so many rounds with so much noise fit beside `beside`, by the cap's filter. */
static struct error *offer_try(const struct offer *offer, const struct budget_cost *beside, uint32_t rounds,
                               double noise, bool *ret_fits)
{
    struct error *err = NULL;
    struct budget_cost cost = {.delta = offer->job->privacy.delta}, all = *beside;
    double epsilon = 0, delta = 0;
    struct job charged = offer_charged(offer, noise);
    uint32_t evaluations = privacy_plan_evaluations(&charged, rounds);
    switch (offer->cap.filter) {
    case BUDGET_SUM:
        TRY(budget_cost_sum(&charged, rounds, evaluations, &cost));
        break;
    case BUDGET_RDP:
        TRY(budget_cost_rdp(&charged, rounds, evaluations, &cost));
        break;
    }
    budget_cost_add(&all, &cost);
    *ret_fits = budget_admits(&offer->cap, &all, &epsilon, &delta);
done:
    return err;
}

/* The most rounds, fewer than the job's, that fit: the cost grows with them. */
static struct error *offer_rounds(const struct offer *offer, uint32_t *ret_rounds)
{
    struct error *err = NULL;
    uint32_t fits = 0, fails = offer->job->rounds;
    while (fails - fits > 1) {
        uint32_t middle = fits + (fails - fits) / 2;
        bool good = false;
        TRY(offer_try(offer, &offer->sum.together, middle, offer->job->privacy.noise_multiplier, &good));
        if (good)
            fits = middle;
        else
            fails = middle;
    }
    *ret_rounds = fits;
done:
    return err;
}

static struct error *offer_noise_fits(const struct offer *offer, double noise, bool *ret_fits)
{
    struct job job = *offer->job;
    struct noise_grid grid;
    job.privacy.noise_multiplier = noise;
    struct error *err = privacy_plan_grid(&job, &grid);
    if (err != NULL) { /* the sampler has no such noise */
        error_free(err);
        *ret_fits = false;
        return NULL;
    }
    return offer_try(offer, &offer->sum.together, job.rounds, noise, ret_fits);
}

/* Up, to what four digits behind the point say: the number is typed into a job file. */
static double offer_rounded(double noise)
{
    return ceil(noise * 1e4) / 1e4;
}

/* Between noise that fails and noise that fits, by halves, until the next step would not be seen in the number. */
static struct error *offer_narrow(const struct offer *offer, double fails, double fits, double *ret_noise)
{
    struct error *err = NULL;
    for (int i = 0; i < OFFER_HALVINGS && fits / fails > OFFER_WIDENING; i++) {
        double middle = offer_rounded(sqrt(fails * fits));
        bool good = false;
        if (!(middle > fails && middle < fits))
            break;
        TRY(offer_noise_fits(offer, middle, &good));
        if (good)
            fits = middle;
        else
            fails = middle;
    }
    *ret_noise = fits;
done:
    return err;
}

/* By growing steps; 0: none that the sampler has. */
static struct error *offer_noise(const struct offer *offer, double *ret_noise)
{
    struct error *err = NULL;
    double noise = offer->job->privacy.noise_multiplier, found = 0;
    for (double factor = 1.25; found == 0 && noise < PRIVACY_MAX_NOISE; factor *= factor) {
        double next = offer_rounded(noise * factor);
        bool good = false;
        TRY(offer_noise_fits(offer, fmin(next, PRIVACY_MAX_NOISE), &good));
        if (good)
            TRY(offer_narrow(offer, noise, next, &found));
        noise = next;
    }
    *ret_noise = found;
done:
    return err;
}

/* ---- in words ---- */

/* Of a job that does not fit. */
static void offer_suggest(const struct offer *offer, const struct budget_offer *result, size_t room,
                          char *ret_text)
{
    uint32_t rounds = result->rounds_that_fit;
    double noise = result->noise_that_fits;
    if (offer->cap.filter == BUDGET_SUM && result->delta > result->left_delta)
        (void)snprintf(ret_text, room, " Its delta alone is more than is left.");
    else if (rounds > 0 && noise > 0)
        (void)snprintf(ret_text, room,
                       " What would fit: %" PRIu32 " round%s, or a noise_multiplier of %.10g or more.",
                       rounds, rounds == 1 ? "" : "s", noise);
    else if (rounds > 0)
        (void)snprintf(ret_text, room, " What would fit: %" PRIu32 " round%s.", rounds,
                       rounds == 1 ? "" : "s");
    else if (noise > 0)
        (void)snprintf(ret_text, room, " What would fit: a noise_multiplier of %.10g or more.", noise);
    else
        (void)snprintf(ret_text, room, " Neither fewer rounds nor more noise would fit.");
}

static void offer_words(const struct offer *offer, struct budget_offer *result)
{
    char takes[160], suggestion[160] = "";
    if (isinf(result->epsilon))
        (void)snprintf(takes, sizeof(takes), "A run of this job takes more epsilon than can be accounted");
    else
        (void)snprintf(takes, sizeof(takes), "A run of this job takes epsilon %.4g at delta %g",
                       result->epsilon, result->delta);
    if (!result->capped) {
        (void)snprintf(result->sentence, sizeof(result->sentence),
                       "%s; the records of this dataset have no cap.", takes);
        return;
    }
    if (!result->fits)
        offer_suggest(offer, result, sizeof(suggestion), suggestion);
    (void)snprintf(result->sentence, sizeof(result->sentence),
                   "%s, and of the budget of its records (filter %s) epsilon %.4g and delta %g are left%s.%s",
                   takes, budget_filter_word(offer->cap.filter), result->left_epsilon, result->left_delta,
                   result->fits || !result->may_fit ? "" : ", less what runs in progress have reserved",
                   suggestion);
}

/* ---- the offer ---- */

static void offer_left(const struct offer *offer, struct budget_offer *result)
{
    double epsilon = 0, delta = 0;
    (void)budget_admits(&offer->cap, &offer->sum.together, &epsilon, &delta);
    result->left_epsilon = fmax(offer->cap.epsilon - epsilon, 0);
    result->left_delta =
        offer->cap.filter == BUDGET_RDP ? offer->cap.delta : fmax(offer->cap.delta - delta, 0);
}

/* The job as it is; the epsilon of `cost` is known. */
static struct error *offer_admit(const struct offer *offer, struct budget_cost *cost,
                                 struct budget_offer *result)
{
    struct error *err = NULL;
    struct budget_cost together = offer->sum.together, spent = offer->sum.spent;
    double epsilon = 0, delta = 0;
    struct job charged = offer_charged(offer, offer->job->privacy.noise_multiplier);
    TRY(budget_cost_rdp(&charged, charged.rounds, privacy_plan_evaluations(&charged, charged.rounds), cost));
    budget_cost_add(&together, cost);
    budget_cost_add(&spent, cost);
    result->fits = budget_admits(&offer->cap, &together, &epsilon, &delta);
    result->may_fit = budget_admits(&offer->cap, &spent, &epsilon, &delta);
done:
    return err;
}

static struct error *offer_private(struct offer *offer, struct budget_offer *result)
{
    struct error *err = NULL;
    struct budget_cost cost = {.delta = offer->job->privacy.delta};
    const struct job *job = offer->job;
    double noise = job->privacy.noise_multiplier;
    struct job charged = offer_charged(offer, noise);
    TRY(budget_cost_sum(&charged, job->rounds, privacy_plan_evaluations(&charged, job->rounds), &cost));
    result->epsilon = cost.epsilon;
    result->delta = cost.delta;
    if (!result->capped) {
        result->fits = result->may_fit = true;
        goto done;
    }
    offer_left(offer, result);
    TRY(offer_admit(offer, &cost, result));
    if (result->fits || (offer->cap.filter == BUDGET_SUM && result->delta > result->left_delta))
        goto done;
    TRY(offer_rounds(offer, &result->rounds_that_fit));
    TRY(offer_noise(offer, &result->noise_that_fits));
done:
    return err;
}

static void offer_clear(struct budget_offer *result)
{
    result->epsilon = INFINITY;
    result->delta = 1;
    result->fits = result->may_fit = !result->capped;
    (void)snprintf(result->sentence, sizeof(result->sentence), "%s",
                   result->capped
                       ? BUDGET_WANTS_PRIVACY
                       : "The job has no privacy, and the records of this dataset have no budget.");
}

struct error *budget_offer(struct store *store, const struct identity *identity, const struct job *job,
                           const struct dataset_info *dataset, struct budget_offer *ret_offer)
{
    struct error *err = NULL;
    struct offer offer = {.job = job};
    struct budget_offer result = {.private_job = job_private(job)};
    int64_t pool = 0;
    TRY(pool_of_dataset(store, dataset->id, &pool));
    if (pool > 0) {
        TRY(budget_cap_find(store, identity, pool, &offer.cap, NULL, &result.capped));
        TRY(budget_sum_of(store, pool, &offer.sum));
    }
    if (!result.private_job) {
        offer_clear(&result);
    } else {
        TRY(offer_private(&offer, &result));
        offer_words(&offer, &result);
    }
    *ret_offer = result;
done:
    return err;
}
