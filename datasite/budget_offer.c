/* What a job takes of a budget, and what would fit where it does not. Whatever is offered was put to the filter itself, so that
 * what would fit does fit. */
#include "datasite/budget_parts.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define OFFER_STEP 1.06  /* of a noise multiplier, and from step to step its square */
#define OFFER_NEAR 1.005 /* so near the least noise that fits is near enough */

struct offer {
    const struct job *job; /* as it was asked for */
    enum budget_search search;
    struct budget_cap cap;
    struct budget_sum sum;
};

static struct job offer_charged(const struct offer *offer, double noise)
{
    struct job job = job_copy(offer->job);
    job.privacy.noise_multiplier = noise;
    return account_charged(&job);
}

/* Whether so many rounds with so much noise fit beside what is spent and reserved, by the cap's filter; `accountant` of filter
 * sum: PRIVACY_RDP is a quick guess at what PRIVACY_PLD says. */
static struct error *offer_try(const struct offer *offer, enum privacy_accountant accountant, uint32_t rounds,
                               double noise, bool *ret_fits)
{
    struct error *err = NULL;
    struct budget_cost cost = {.delta = offer->job->privacy.delta}, all = offer->sum.together;
    double epsilon = 0, delta = 0;
    struct job charged = offer_charged(offer, noise);
    uint32_t evaluations = privacy_plan_evaluations(&charged, rounds);
    switch (offer->cap.filter) {
    case BUDGET_SUM:
        TRY(budget_cost_sum(&charged, accountant, rounds, evaluations, &cost));
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

/* ---- rounds: the cost grows with them ---- */

/* The most, fewer than the job's, that fit, from a guess on: up or down in growing steps until the answer is between two
 * numbers, then by halves. 0: none. */
static struct error *rounds_search(const struct offer *offer, enum privacy_accountant accountant,
                                   uint32_t guess, uint32_t *ret_rounds)
{
    struct error *err = NULL;
    double noise = offer->job->privacy.noise_multiplier;
    uint32_t fits = 0, fails = offer->job->rounds, next = guess > 0 ? guess : 1, step = guess / 16 + 1;
    while (fails - fits > 1) {
        bool good = false;
        next = next <= fits || next >= fails ? fits + (fails - fits) / 2 : next;
        TRY(offer_try(offer, accountant, next, noise, &good));
        if (good)
            fits = next;
        else
            fails = next;
        next = good ? next + step : next > step ? next - step : 1;
        step *= 2;
    }
    *ret_rounds = fits;
done:
    return err;
}

static struct error *offer_rounds(const struct offer *offer, uint32_t *ret_rounds)
{
    struct error *err = NULL;
    uint32_t guess = 0;
    if (offer->cap.filter == BUDGET_SUM)
        TRY(rounds_search(offer, PRIVACY_RDP, offer->job->rounds / 2, &guess));
    if (offer->cap.filter == BUDGET_SUM && offer->search == BUDGET_SEARCH_QUICK)
        *ret_rounds = guess;
    else
        TRY(rounds_search(offer, PRIVACY_PLD, guess, ret_rounds));
done:
    return err;
}

/* ---- noise: the cost falls with it ---- */

static struct error *noise_fits(const struct offer *offer, enum privacy_accountant accountant, double noise,
                                bool *ret_fits)
{
    struct job job = job_copy(offer->job);
    struct noise_grid grid;
    job.privacy.noise_multiplier = noise;
    struct error *err = privacy_plan_grid(&job, &grid);
    if (err != NULL) { /* the sampler has no such noise */
        error_free(err);
        *ret_fits = false;
        return NULL;
    }
    return offer_try(offer, accountant, job.rounds, noise, ret_fits);
}

/* Up, to what four digits behind the point say: the number is typed into a job file. */
static double noise_rounded(double noise)
{
    return ceil(noise * 1e4) / 1e4;
}

/* Between noise that fails and noise that fits, by halves, until more of it would be little more. */
static struct error *noise_narrow(const struct offer *offer, enum privacy_accountant accountant, double fails,
                                  double fits, double *ret_noise)
{
    struct error *err = NULL;
    while (fits / fails > OFFER_NEAR) {
        double middle = noise_rounded(sqrt(fails * fits));
        bool good = false;
        if (!(middle > fails && middle < fits))
            break;
        TRY(noise_fits(offer, accountant, middle, &good));
        if (good)
            fits = middle;
        else
            fails = middle;
    }
    *ret_noise = fits;
done:
    return err;
}

/* Little more than the least that fits, from a guess on: up or down in growing steps, then by halves. 0: none. */
static struct error *noise_search(const struct offer *offer, enum privacy_accountant accountant, double guess,
                                  double *ret_noise)
{
    struct error *err = NULL;
    double fails = offer->job->privacy.noise_multiplier, fits = 0, next = noise_rounded(guess);
    bool between = false;
    for (double factor = OFFER_STEP; !between && next > fails && next <= PRIVACY_MAX_NOISE;
         factor *= factor) {
        bool good = false;
        TRY(noise_fits(offer, accountant, next, &good));
        between = good ? false : fits > 0;
        if (good)
            fits = next;
        else
            fails = next;
        next = noise_rounded(good ? next / factor : next * factor);
    }
    if (fits > 0)
        TRY(noise_narrow(offer, accountant, fails, fits, &fits));
    *ret_noise = fits;
done:
    return err;
}

static struct error *offer_noise(const struct offer *offer, double *ret_noise)
{
    struct error *err = NULL;
    double guess = offer->job->privacy.noise_multiplier * OFFER_STEP;
    if (offer->cap.filter == BUDGET_SUM)
        TRY(noise_search(offer, PRIVACY_RDP, guess, &guess));
    if (offer->cap.filter == BUDGET_SUM && offer->search == BUDGET_SEARCH_QUICK) {
        *ret_noise = guess;
        goto done;
    }
    if (guess == 0)
        guess = offer->job->privacy.noise_multiplier * OFFER_STEP;
    TRY(noise_search(offer, PRIVACY_PLD, guess, ret_noise));
done:
    return err;
}

/* ---- in words ---- */

/* What is left is rounded down: the number is typed into a job file. */
static void offer_suggest_delta(const struct budget_offer *result, size_t room, char *ret_text)
{
    double left = result->left_delta, step = left > 0 ? pow(10, floor(log10(left)) - 3) : 1;
    double told = floor(left / step) * step;
    told = told > left ? told - step : told;
    if (told >= PRIVACY_MIN_DELTA)
        (void)snprintf(ret_text, room,
                       " Its delta alone is more than that: a delta of at most %.4g would do%s.", told,
                       result->epsilon <= result->left_epsilon ? "" : ", and less epsilon with it");
    else
        (void)snprintf(ret_text, room, " Its delta alone is more than that, and no smaller one would do.");
}

/* Of a job that does not fit. */
static void offer_suggest(const struct offer *offer, const struct budget_offer *result, size_t room,
                          char *ret_text)
{
    uint32_t rounds = result->rounds_that_fit;
    double noise = result->noise_that_fits;
    if (offer->cap.filter == BUDGET_SUM && result->delta > result->left_delta)
        offer_suggest_delta(result, room, ret_text);
    else if (offer->search == BUDGET_SEARCH_NONE && result->left_epsilon > 0)
        (void)snprintf(ret_text, room, " Fewer rounds or more noise may fit.");
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
        (void)snprintf(ret_text, room, "%s",
                       offer->search == BUDGET_SEARCH_QUICK
                           ? " Neither fewer rounds nor more noise would fit, as far as a quick look tells."
                           : " Neither fewer rounds nor more noise would fit.");
}

static void offer_words(const struct offer *offer, struct budget_offer *result)
{
    char takes[160], suggestion[160] = "", bound[PRIVACY_BOUND_BYTES], left[PRIVACY_BOUND_BYTES];
    privacy_bound(result->epsilon, BUDGET_EPSILON_DIGITS, bound);
    if (isinf(result->epsilon))
        (void)snprintf(takes, sizeof(takes), "A run of this job takes more epsilon than can be accounted");
    else
        (void)snprintf(takes, sizeof(takes), "A run of this job takes epsilon %s at delta %g", bound,
                       result->delta);
    if (!result->capped) {
        (void)snprintf(result->sentence, sizeof(result->sentence),
                       "%s; the records of this dataset have no cap.", takes);
        return;
    }
    if (!result->fits)
        offer_suggest(offer, result, sizeof(suggestion), suggestion);
    privacy_left(result->left_epsilon, BUDGET_EPSILON_DIGITS, left);
    (void)snprintf(result->sentence, sizeof(result->sentence),
                   "%s, and of the budget of its records (filter %s) epsilon %s and delta %g are left%s.%s",
                   takes, budget_filter_word(offer->cap.filter), left, result->left_delta,
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

static struct error *offer_private(struct offer *offer, double epsilon, struct budget_offer *result)
{
    struct error *err = NULL;
    struct budget_cost cost = {.epsilon = epsilon, .delta = offer->job->privacy.delta};
    result->epsilon = cost.epsilon;
    result->delta = cost.delta;
    if (!result->capped) {
        result->fits = result->may_fit = true;
        goto done;
    }
    offer_left(offer, result);
    TRY(offer_admit(offer, &cost, result));
    if (result->fits || result->left_epsilon <= 0 || offer->search == BUDGET_SEARCH_NONE ||
        (offer->cap.filter == BUDGET_SUM && result->delta > result->left_delta))
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

struct error *budget_epsilon(struct store *store, const struct job *job, double *ret_epsilon)
{
    struct error *err = NULL;
    struct account account;
    TRY(account_of_budget(job, job->rounds, &account));
    TRY(account_epsilon(store_epsilons(store), &account, ret_epsilon));
done:
    return err;
}

struct error *budget_offer(struct store *store, const struct identity *identity, const struct job *job,
                           const struct dataset_info *dataset, enum budget_search search,
                           struct budget_offer *ret_offer)
{
    struct error *err = NULL;
    double epsilon = INFINITY;
    TRY(budget_epsilon(store, job, &epsilon));
    TRY(budget_offer_of(store, identity, job, epsilon, dataset, search, ret_offer));
done:
    return err;
}

struct error *budget_offer_of(struct store *store, const struct identity *identity, const struct job *job,
                              double epsilon, const struct dataset_info *dataset, enum budget_search search,
                              struct budget_offer *ret_offer)
{
    struct error *err = NULL;
    struct offer offer = {.job = job, .search = search};
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
        TRY(offer_private(&offer, epsilon, &result));
        offer_words(&offer, &result);
    }
    *ret_offer = result;
done:
    return err;
}
