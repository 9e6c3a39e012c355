#include "crypto/privacy.h"
#include "crypto/privacy_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char *privacy_accountant_word(enum privacy_accountant accountant)
{
    switch (accountant) {
    case PRIVACY_PLD:
        return "pld";
    case PRIVACY_RDP:
        return "rdp";
    case PRIVACY_GAUSSIAN:
        return "gaussian";
    }
    return "";
}

/* To the nearest first; where that is below, half a unit of the last digit and a little more leads to the next one. */
void privacy_bound(double value, int digits, char ret_text[static PRIVACY_BOUND_BYTES])
{
    (void)snprintf(ret_text, PRIVACY_BOUND_BYTES, "%.*g", digits, value);
    if (!(value > 0) || isinf(value) || strtod(ret_text, NULL) >= value)
        return;
    double unit = pow(10, floor(log10(value)) - (digits - 1));
    (void)snprintf(ret_text, PRIVACY_BOUND_BYTES, "%.*g", digits, value + 0.6 * unit);
}

void privacy_left(double value, int digits, char ret_text[static PRIVACY_BOUND_BYTES])
{
    (void)snprintf(ret_text, PRIVACY_BOUND_BYTES, "%.*g", digits, value);
    if (!(value > 0) || isinf(value) || strtod(ret_text, NULL) <= value)
        return;
    double unit = pow(10, floor(log10(value)) - (digits - 1));
    (void)snprintf(ret_text, PRIVACY_BOUND_BYTES, "%.*g", digits, value - 0.6 * unit);
}

/* ---- what is given ---- */

static struct error *privacy_check_event(const struct privacy_event *event)
{
    struct error *err = NULL;
    if (!(event->noise_multiplier >= PRIVACY_MIN_NOISE && event->noise_multiplier <= PRIVACY_MAX_NOISE))
        FAIL(ERROR_INVALID, "A noise multiplier of %g cannot be accounted for; it is %g to %g.",
             event->noise_multiplier, PRIVACY_MIN_NOISE, PRIVACY_MAX_NOISE);
    if (!(event->sampling_rate > 0 && event->sampling_rate <= 1))
        FAIL(ERROR_INVALID,
             "A sampling rate of %g is not one: it is above 0 and at most 1, which is every record in "
             "every step.",
             event->sampling_rate);
    if (event->steps == 0)
        FAIL(ERROR_INVALID, "An event has at least 1 step.");
done:
    return err;
}

static struct error *privacy_check_delta(double delta)
{
    if (delta >= PRIVACY_MIN_DELTA && delta <= PRIVACY_MAX_DELTA)
        return NULL;
    return error_new(ERROR_INVALID,
                     "A delta of %g is outside the range of %g to %g; below 1 divided by the number of "
                     "records is what protects each of them.",
                     delta, PRIVACY_MIN_DELTA, PRIVACY_MAX_DELTA);
}

/* Beside the steps that there are already. */
static struct error *privacy_check_steps(uint64_t steps, uint64_t more)
{
    if (more <= PRIVACY_MAX_STEPS - steps)
        return NULL;
    return error_new(ERROR_LIMIT, "At most %llu steps can be accounted for together.",
                     (unsigned long long)PRIVACY_MAX_STEPS);
}

static struct error *privacy_check_epsilon(double epsilon)
{
    if (epsilon <= PRIVACY_MAX_EPSILON)
        return NULL;
    return error_new(
        ERROR_LIMIT,
        "With these settings epsilon is above %g, which protects nobody. More noise, fewer steps or a "
        "smaller sampling rate would do.",
        PRIVACY_MAX_EPSILON);
}

static bool privacy_same(const struct privacy_event *a, const struct privacy_event *b)
{
    return a->noise_multiplier == b->noise_multiplier && a->sampling_rate == b->sampling_rate;
}

/* Checks all events, and takes those together that differ in their steps alone. */
static struct error *privacy_gather(enum privacy_accountant accountant, const struct privacy_event *events,
                                    size_t count, struct privacy_event ret_events[static PRIVACY_MAX_EVENTS],
                                    size_t *ret_count)
{
    struct error *err = NULL;
    size_t kept = 0;
    uint64_t steps = 0;
    if (count == 0 || count > PRIVACY_MAX_EVENTS)
        FAIL(ERROR_INVALID, "%zu events cannot be composed; it takes 1 to %d.", count, PRIVACY_MAX_EVENTS);
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        TRY(privacy_check_event(&events[i]));
        if (accountant == PRIVACY_GAUSSIAN && events[i].sampling_rate < 1)
            FAIL(ERROR_INVALID,
                 "The accountant \"gaussian\" is for noise without sampling: its sampling rate is 1, not %g. "
                 "\"pld\" or \"rdp\" would do.",
                 events[i].sampling_rate);
        TRY(privacy_check_steps(steps, events[i].steps));
        steps += events[i].steps;
        while (k < kept && !privacy_same(&ret_events[k], &events[i]))
            k++;
        if (k < kept) {
            ret_events[k].steps += events[i].steps;
        } else {
            ret_events[kept++] = events[i];
        }
    }
    *ret_count = kept;
done:
    return err;
}

/* ---- epsilon and delta ---- */

/* No more than RDP's figure, nor than that of events that hardly ever take a record: they are upper bounds too. */
static struct error *privacy_pld_or_rdp(const struct privacy_event *events, size_t count, double delta,
                                        double *ret_epsilon)
{
    struct error *err = NULL;
    struct privacy_best best = privacy_rdp_best_epsilon(events, count, delta);
    double epsilon = best.value, rare = privacy_rare_epsilon(events, count, delta);
    bool one_step = count == 1 && events[0].steps == 1;
    if (rare == 0 || (isfinite(rare) && one_step)) { /* nothing is below 0, nor below what is exact */
        *ret_epsilon = rare;
        return NULL;
    }
    /* Far beyond what is reported anyway. */
    if (best.value <= 2 * PRIVACY_MAX_EPSILON) {
        TRY(privacy_pld_epsilon(events, count, delta, &best, &epsilon));
        epsilon = fmin(epsilon, best.value);
    }
    *ret_epsilon = fmin(epsilon, rare);
done:
    return err;
}

static struct error *privacy_any_epsilon(enum privacy_accountant accountant,
                                         const struct privacy_event *events, size_t count, double delta,
                                         double *ret_epsilon)
{
    switch (accountant) {
    case PRIVACY_PLD:
        return privacy_pld_or_rdp(events, count, delta, ret_epsilon);
    case PRIVACY_RDP:
        *ret_epsilon = privacy_rdp_best_epsilon(events, count, delta).value;
        return NULL;
    case PRIVACY_GAUSSIAN:
        *ret_epsilon = privacy_gaussian_epsilon(privacy_gaussian_shift(events, count), delta);
        return NULL;
    }
    return error_new(ERROR_INVALID, "There is no such accountant.");
}

struct error *privacy_epsilon(enum privacy_accountant accountant, const struct privacy_event *events,
                              size_t count, double delta, double *ret_epsilon)
{
    struct error *err = NULL;
    struct privacy_event gathered[PRIVACY_MAX_EVENTS];
    double epsilon = 0;
    TRY(privacy_check_delta(delta));
    TRY(privacy_gather(accountant, events, count, gathered, &count));
    TRY(privacy_any_epsilon(accountant, gathered, count, delta, &epsilon));
    TRY(privacy_check_epsilon(epsilon));
    *ret_epsilon = epsilon;
done:
    return err;
}

struct error *privacy_step_of(struct privacy_event event, struct privacy_step *ret_step)
{
    struct error *err = NULL;
    double orders[PRIVACY_ORDERS];
    event.steps = 1;
    TRY(privacy_check_event(&event));
    privacy_orders(orders);
    for (size_t k = 0; k < PRIVACY_ORDERS; k++)
        ret_step->rdp[k] = privacy_rdp_step(event.noise_multiplier, event.sampling_rate, orders[k]);
done:
    return err;
}

struct error *privacy_steps_epsilon(const struct privacy_step *steps, const uint64_t *counts, size_t count,
                                    double delta, double *ret_epsilon)
{
    struct error *err = NULL;
    double rdp[PRIVACY_ORDERS] = {0};
    uint64_t all = 0;
    TRY(privacy_check_delta(delta));
    for (size_t i = 0; i < count; i++) {
        TRY(privacy_check_steps(all, counts[i]));
        all += counts[i];
        for (size_t k = 0; counts[i] > 0 && k < PRIVACY_ORDERS; k++) /* 0 times what is infinite is nothing */
            rdp[k] += (double)counts[i] * steps[i].rdp[k];
    }
    double epsilon = all == 0 ? 0 : privacy_rdp_best_of(rdp, delta).value;
    TRY(privacy_check_epsilon(epsilon));
    *ret_epsilon = epsilon;
done:
    return err;
}

struct error *privacy_delta(enum privacy_accountant accountant, const struct privacy_event *events,
                            size_t count, double epsilon, double *ret_delta)
{
    struct error *err = NULL;
    struct privacy_event gathered[PRIVACY_MAX_EVENTS];
    double delta = 1;
    if (!(epsilon >= 0 && epsilon <= PRIVACY_MAX_EPSILON))
        FAIL(ERROR_INVALID, "An epsilon of %g is outside the range of 0 to %g.", epsilon,
             PRIVACY_MAX_EPSILON);
    if (accountant == PRIVACY_RDP)
        FAIL(ERROR_INVALID, "Delta at an epsilon is told by \"pld\" and \"gaussian\", not by \"rdp\".");
    TRY(privacy_gather(accountant, events, count, gathered, &count));
    if (accountant == PRIVACY_GAUSSIAN) {
        delta = privacy_gaussian_delta(privacy_gaussian_shift(gathered, count), epsilon);
    } else {
        struct privacy_best best = privacy_rdp_best_delta(gathered, count, epsilon);
        TRY(privacy_pld_delta(gathered, count, epsilon, &best, &delta));
        delta = fmin(fmin(delta, best.value), privacy_rare_delta(gathered, count, epsilon));
    }
    *ret_delta = delta;
done:
    return err;
}

/* ---- the filter ---- */

struct error *privacy_filter_add(const struct privacy_event *events, size_t count,
                                 double rdp[static PRIVACY_FILTER_ORDERS])
{
    struct error *err = NULL;
    struct privacy_event gathered[PRIVACY_MAX_EVENTS];
    TRY(privacy_gather(PRIVACY_RDP, events, count, gathered, &count));
    for (size_t k = 0; k < PRIVACY_FILTER_ORDERS; k++) {
        for (size_t i = 0; i < count; i++)
            rdp[k] += (double)gathered[i].steps * privacy_rdp_step(gathered[i].noise_multiplier,
                                                                   gathered[i].sampling_rate,
                                                                   privacy_filter_orders[k]);
    }
done:
    return err;
}

bool privacy_filter_admits(const double rdp[static PRIVACY_FILTER_ORDERS], double epsilon, double delta,
                           double *ret_epsilon)
{
    double least = INFINITY;
    for (size_t k = 0; k < PRIVACY_FILTER_ORDERS; k++) {
        /* A divergence below 0, or none, is a broken sum. */
        if (rdp[k] >= 0)
            least = fmin(
                least, privacy_rdp_epsilon(rdp[k], privacy_filter_orders[k], delta / PRIVACY_FILTER_ORDERS));
    }
    if (ret_epsilon != NULL)
        *ret_epsilon = least;
    return isfinite(least) && least <= epsilon;
}
