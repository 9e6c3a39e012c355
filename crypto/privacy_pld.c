#include "crypto/privacy_fft.h"
#include "crypto/privacy_parts.h"

#include <math.h>
#include <stdlib.h>

/* The sum of the losses of all steps, by one transform for each event.
 *
 * Every distribution is tilted first: p(x) e^(tilt x) / M. The sum of tilted losses is the tilted sum, and with the tilt of
 * the best Rényi order its middle is where epsilon is, so that what rounding adds to every point is small against delta,
 * however small delta is. log M of all steps is the cumulant K(tilt).
 *
 * What is charged to delta: infinite losses of every step; losses beyond the window, which the circular transform would put
 * at its lower end (Chernoff: P(loss > x) <= e^(K(t) - t x) for every t > 0; losses below the window come in at its upper
 * end, which only adds); the error of the transforms, as a bound on every point of the result; and LOSS_ALLOWANCE for each
 * step, for the rounding of its masses. */

#define PLD_MAX_SIZE ((size_t)1 << 19)
#define PLD_MIN_SIZE ((size_t)1 << 10)
#define PLD_MAX_LOSSES 3e5
/* Relative to 1 a step. */
#define LOSS_ALLOWANCE 4e-13
/* Of delta: what is outside of each side of the window, and what rounding may come to where there is a choice. */
#define PLD_CHARGED 1e-9
#define PLD_ROUNDED 1e-7
/* Frequencies with less than e^-90 are taken for 0. */
#define PLD_NEGLIGIBLE 90.0
/* The grid is finer where rounding losses to it would add more than this share to the variance, but not beyond this. */
#define PLD_ADDED_VARIANCE 0.003
#define PLD_FINEST (PRIVACY_PLD_INTERVAL / 4096)
#define PLD_COARSEST 1.0
/* A delta below this is not asked for, nor told precisely. */
#define PLD_LEAST_DELTA 1e-30
struct pld {
    const struct privacy_event *events;
    struct privacy_losses (*losses)[PRIVACY_DIRECTIONS]; /* of each event */
    size_t count;
    double interval;
    double steps;                      /* of all events */
    double beyond[PRIVACY_DIRECTIONS]; /* probability that any step's loss is infinite, at most */
};

/* The tilted sum: the loss at position i is (first + i) · interval. */
struct pld_sum {
    double tilt, cumulant;
    int64_t first;
    size_t size;
    struct privacy_complex *values; /* of a point: .re, raised by the error of the transforms; owned */
    double outside;                 /* to be added to delta */
};

static struct error *pld_no_memory(void)
{
    return error_new(ERROR_MEMORY, "There is not enough memory to account for privacy.");
}

/* ---- the grid ---- */

/* Of one step's loss, about: q² (e^(1/σ²) - 1). */
static double pld_variance(const struct privacy_event *event)
{
    double noise = event->noise_multiplier, rate = event->sampling_rate;
    return fmin(rate * rate * expm1(fmin(1 / (noise * noise), 100)), 1);
}

/* A loss between two points, at a share f of the interval, gets the variance f (1-f) interval². */
static double pld_interval(const struct privacy_event *events, size_t count)
{
    double interval = PRIVACY_PLD_INTERVAL;
    for (;; interval /= 2) {
        double variance = 0, added = 0;
        for (size_t i = 0; i < count; i++) {
            double step = pld_variance(&events[i]);
            variance += (double)events[i].steps * step;
            added += (double)events[i].steps * fmin(interval * interval / 6, interval * sqrt(step));
        }
        if (added <= PLD_ADDED_VARIANCE * variance || interval <= PLD_FINEST)
            return interval;
    }
}

static double pld_size(const struct privacy_event *events, size_t count, double interval, double tail)
{
    double size = 0;
    for (size_t i = 0; i < count; i++)
        size = fmax(size, privacy_losses_size(&events[i], interval, tail));
    return size;
}

static void pld_free(struct pld *pld)
{
    for (size_t i = 0; pld->losses != NULL && i < pld->count; i++)
        privacy_losses_free(pld->losses[i]);
    free(pld->losses);
    pld->losses = NULL;
}

/* `tail`: where one step's losses are cut off. */
static struct error *pld_open(const struct privacy_event *events, size_t count, double interval, double tail,
                              struct pld *ret_pld)
{
    struct error *err = NULL;
    struct pld pld = {.events = events, .count = count, .interval = interval};
    pld.losses = calloc(count, sizeof *pld.losses);
    if (pld.losses == NULL)
        return pld_no_memory();
    for (size_t i = 0; i < count; i++) {
        TRY(privacy_losses_new(&events[i], interval, tail, pld.losses[i]));
        pld.steps += (double)events[i].steps;
        for (size_t d = 0; d < PRIVACY_DIRECTIONS; d++)
            pld.beyond[d] += (double)events[i].steps * pld.losses[i][d].beyond;
    }
    *ret_pld = pld;
    pld.losses = NULL;
done:
    pld_free(&pld);
    return err;
}

/* ---- cumulants ---- */

/* Of all steps. */
static double pld_cumulant(const struct pld *pld, enum privacy_direction direction, double tilt)
{
    double sum = 0;
    for (size_t i = 0; i < pld->count; i++)
        sum += (double)pld->events[i].steps *
               privacy_losses_cumulant(&pld->losses[i][direction], pld->interval, tilt);
    return sum;
}

/* ---- the window ---- */

/* What is asked: epsilon at a delta, or (is_delta) delta at an epsilon; the other one is RDP's figure. The window reaches
 * down to the epsilon `least`. */
struct question {
    bool is_delta;
    double epsilon, delta, order, least;
};

struct window {
    double tilt;
    int64_t first;
    size_t size; /* 0: more than PLD_MAX_SIZE */
    double outside;
};

/* Cumulants at these tilts, times that of the order. Those from PLD_FIRST to PLD_LAST are tried as the tilt itself, from the
 * highest: where few steps tell much, a lower one keeps them from filling the window. */
static const double pld_tilts[] = {-4, -2,   -1,  -0.5, -0.2, 0.1, 0.2, 0.35, 0.5, 0.75,
                                   1,  1.15, 1.3, 1.5,  1.7,  2,   2.5, 3.5,  6};
#define PLD_TILTS (sizeof pld_tilts / sizeof pld_tilts[0])
#define PLD_FIRST 5
#define PLD_LAST 10

struct cumulants {
    double tilt[PLD_TILTS], log_mass[PLD_TILTS];
};

/* The window for the tilt of place `at`, by Chernoff's bound at all the others: what is outside, and comes in at the other end, is
 * at most PLD_CHARGED of delta on each side. */
static struct window pld_window_at(const struct cumulants *all, size_t at, double interval,
                                   const struct question *question)
{
    double tilt = all->tilt[at], charged = log(PLD_CHARGED * question->delta);
    double low = -INFINITY, high = INFINITY, outside = INFINITY;
    for (size_t i = 0; i < PLD_TILTS; i++) {
        double apart = all->tilt[i] - tilt, reach = all->log_mass[i] - charged - tilt * question->epsilon;
        if (i > at)
            high = fmin(high, reach / apart);
        else if (i < at)
            low = fmax(low, reach / apart);
    }
    high = fmax(high, question->epsilon + 2 * interval);
    low = fmin(low, question->least - 2 * interval);
    for (size_t i = at; i < PLD_TILTS; i++)
        outside = fmin(outside, exp(all->log_mass[i] - all->tilt[i] * high));
    struct window window = {.tilt = tilt, .outside = outside};
    double size = (high - low) / interval + 4;
    if (!(size <= (double)PLD_MAX_SIZE) || fabs(high) > 1e12 * interval)
        return window;
    window.size = PLD_MIN_SIZE;
    while ((double)window.size < size)
        window.size *= 2;
    /* All of what it has beyond what is needed is room below. */
    window.first = (int64_t)ceil(high / interval) + 1 - (int64_t)window.size;
    return window;
}

/* Whether rounding is small against delta with this tilt. About: each point of the sum, some 1/3 standard deviation, is off by
 * 2e-14 a step. */
static bool pld_is_exact(const struct pld *pld, const struct cumulants *all, size_t at,
                         const struct question *question)
{
    double tilt = all->tilt[at],
           weight = all->log_mass[at] - tilt * question->epsilon - log(tilt * (tilt + 1));
    return weight + log(pld->steps * 2e-14 * all->tilt[PLD_LAST]) <= log(PLD_ROUNDED * question->delta);
}

/* The smallest of all tilts that are exact enough, else that of the order. */
static struct window pld_window(const struct pld *pld, enum privacy_direction direction,
                                const struct question *question)
{
    struct cumulants all;
    for (size_t i = 0; i < PLD_TILTS; i++) {
        all.tilt[i] = (question->order - 1) * pld_tilts[i];
        all.log_mass[i] = pld_cumulant(pld, direction, all.tilt[i]);
    }
    struct window best = pld_window_at(&all, PLD_LAST, pld->interval, question);
    for (size_t at = PLD_LAST; at-- > PLD_FIRST;) {
        struct window window = pld_window_at(&all, at, pld->interval, question);
        if (window.size != 0 && (best.size == 0 || window.size < best.size) &&
            pld_is_exact(pld, &all, at, question))
            best = window;
    }
    return best;
}

/* ---- composition ---- */

/* value^steps; the rounding of each of the fewer than 2 steps multiplications is 2.3 · 2^-53 of the result. */
static struct privacy_complex pld_power(struct privacy_complex value, uint64_t steps)
{
    struct privacy_complex power = {1, 0};
    for (; steps > 0; steps >>= 1) {
        if (steps & 1)
            power = (struct privacy_complex){power.re * value.re - power.im * value.im,
                                             power.re * value.im + power.im * value.re};
        value = (struct privacy_complex){value.re * value.re - value.im * value.im, 2 * value.re * value.im};
    }
    return power;
}

/* Multiplies the product of all events so far, and the logarithm of a bound on its size, by one event's power. */
static void pld_multiply(const struct privacy_complex *values, uint64_t steps, double error, size_t size,
                         struct privacy_complex *product, double *log_bound)
{
    for (size_t k = 0; k < size; k++) {
        double bound = fmin(fmax(hypot(values[k].re, values[k].im) + error, 0.5), 1);
        log_bound[k] += (double)steps * log(bound);
        if (log_bound[k] < -PLD_NEGLIGIBLE) {
            product[k] = (struct privacy_complex){0, 0};
            continue;
        }
        struct privacy_complex a = product[k], b = pld_power(values[k], steps);
        product[k] = (struct privacy_complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
    }
}

/* How far a point of the inverse transform is from exact at most. A factor of `bound` and error e to the power n is off by at
 * most n e bound^n / bound, and no bound is below 1/2. */
static double pld_error(const struct privacy_complex *product, const double *log_bound, double steps,
                        double error, size_t size)
{
    double sum = 0;
    for (size_t k = 0; k < size; k++)
        sum += exp(log_bound[k]) * 2 * steps * (error + 3 * 0x1p-53) +
               error * hypot(product[k].re, product[k].im) +
               (log_bound[k] < -PLD_NEGLIGIBLE ? exp(log_bound[k]) : 0);
    return 1.001 * sum / (double)size;
}

static void pld_sum_free(struct pld_sum *sum)
{
    free(sum->values);
    sum->values = NULL;
}

/* The tilted sum of all losses in the window. */
static struct error *pld_compose(const struct pld *pld, enum privacy_direction direction,
                                 const struct window *window, struct pld_sum *ret_sum)
{
    struct error *err = NULL;
    size_t size = window->size;
    double tilt = window->tilt, cumulant = 0;
    struct privacy_fft *fft = NULL;
    struct privacy_complex *values = malloc(size * sizeof *values);
    struct privacy_complex *product = malloc(size * sizeof *product);
    double *log_bound = calloc(size, sizeof *log_bound);
    if (values == NULL || product == NULL || log_bound == NULL) {
        err = pld_no_memory();
        goto done;
    }
    TRY(privacy_fft_new(size, &fft));
    for (size_t k = 0; k < size; k++)
        product[k] = (struct privacy_complex){1, 0};
    for (size_t i = 0; i < pld->count; i++) {
        const struct privacy_losses *losses = &pld->losses[i][direction];
        double log_mass = privacy_losses_cumulant(losses, pld->interval, tilt);
        cumulant += (double)pld->events[i].steps * log_mass;
        for (size_t k = 0; k < size; k++)
            values[k] = (struct privacy_complex){0, 0};
        privacy_losses_tilt(losses, pld->interval, tilt, log_mass, size, values);
        privacy_fft_forward(fft, values);
        pld_multiply(values, pld->events[i].steps, privacy_fft_error(fft), size, product, log_bound);
    }
    double error = pld_error(product, log_bound, pld->steps, privacy_fft_error(fft), size);
    privacy_fft_inverse(fft, product);
    for (size_t k = 0; k < size; k++)
        values[k].re = fmax(product[(size_t)(window->first + (int64_t)k) & (size - 1)].re, 0) + error;
    *ret_sum = (struct pld_sum){.tilt = tilt,
                                .cumulant = cumulant,
                                .first = window->first,
                                .size = size,
                                .values = values,
                                .outside = window->outside + pld->beyond[direction]};
    values = NULL;
done:
    privacy_fft_free(fft);
    free(values);
    free(product);
    free(log_bound);
    return err;
}

/* ---- from the sum to epsilon and delta ---- */

/* With masses p(j) of the tilted sum and losses x(j): above = Σ p(j) e^(-(tilt + 1)(x(j) - x(i))), and beyond = Σ p(j)
 * e^(-tilt (x(j) - x(i))) (1 - e^-(x(j) - x(i))), over j >= i. Then delta(x(i)) = e^(K - tilt x(i)) · beyond. No term is negative. */
struct walk {
    double above, beyond;
};

static void walk_down(struct walk *walk, double tilt, double interval, double mass)
{
    walk->beyond = exp(-tilt * interval) * (walk->beyond - expm1(-interval) * walk->above);
    walk->above = exp(-(tilt + 1) * interval) * walk->above + mass;
}

static double pld_log_scale(const struct pld_sum *sum, double loss)
{
    return sum->cumulant - sum->tilt * loss;
}

/* At least the lower end of the window. */
static double pld_sum_epsilon(const struct pld *pld, const struct pld_sum *sum, double delta)
{
    struct walk walk = {0, 0};
    double rounding = exp(-pld->steps * LOSS_ALLOWANCE);
    double left = (delta - sum->outside) * rounding;
    if (!(left > 0))
        return INFINITY;
    for (size_t k = sum->size; k-- > 0;) {
        double loss = (double)(sum->first + (int64_t)k) * pld->interval;
        double above = walk.above, beyond = walk.beyond;
        walk_down(&walk, sum->tilt, pld->interval, sum->values[k].re);
        if (log(left) >= pld_log_scale(sum, loss) + log(walk.beyond)) {
            if (loss <= 0)
                return 0;
            continue;
        }
        if (k + 1 == sum->size)
            return INFINITY;
        /* Between this loss and the one above it, at a distance y from that: (beyond + (1 - e^-y) above) e^scale = left. */
        double higher = loss + pld->interval;
        double share = (left * exp(-pld_log_scale(sum, higher)) - beyond) / above;
        return fmax(higher + log1p(-fmin(fmax(share, 0), -expm1(-pld->interval))), 0);
    }
    return fmax((double)sum->first * pld->interval, 0);
}

/* Epsilon is rounded down to the grid; 1 where it is outside of the window. */
static double pld_sum_delta(const struct pld *pld, const struct pld_sum *sum, double epsilon)
{
    struct walk walk = {0, 0};
    double place = floor(epsilon / pld->interval) - (double)sum->first;
    if (place < 0 || place >= (double)sum->size)
        return 1;
    size_t wanted = (size_t)place;
    for (size_t k = sum->size - 1; k > wanted; k--)
        walk_down(&walk, sum->tilt, pld->interval, sum->values[k].re);
    double higher = (double)(sum->first + (int64_t)wanted + 1) * pld->interval;
    double beyond = walk.beyond - expm1(epsilon - higher) * walk.above;
    return exp(pld->steps * LOSS_ALLOWANCE + pld_log_scale(sum, higher)) * beyond + sum->outside;
}

/* ---- both directions ---- */

/* ret_coarser: the window has no room at this interval. */
static struct error *pld_direction(const struct pld *pld, enum privacy_direction direction,
                                   const struct question *question, double *ret_answer, bool *ret_coarser)
{
    struct error *err = NULL;
    struct pld_sum sum = {0};
    struct window window = pld_window(pld, direction, question);
    *ret_coarser = window.size == 0;
    if (*ret_coarser)
        goto done;
    TRY(pld_compose(pld, direction, &window, &sum));
    *ret_answer = question->is_delta ? pld_sum_delta(pld, &sum, question->epsilon)
                                     : pld_sum_epsilon(pld, &sum, question->delta);
done:
    pld_sum_free(&sum);
    return err;
}

static struct error *pld_both(const struct pld *pld, const struct question *question, double *ret_answer,
                              bool *ret_coarser)
{
    struct error *err = NULL;
    double removed = 0, added = 0;
    TRY(pld_direction(pld, PRIVACY_REMOVE, question, &removed, ret_coarser));
    if (*ret_coarser)
        goto done;
    TRY(pld_direction(pld, PRIVACY_ADD, question, &added, ret_coarser));
    *ret_answer = fmax(removed, added);
done:
    return err;
}

/* At the interval of pld_interval, or the smallest above it that has room. */
static struct error *pld_answer(const struct privacy_event *events, size_t count, double tail,
                                const struct question *question, double *ret_answer)
{
    struct error *err = NULL;
    struct pld pld = {0};
    bool coarser = true;
    double interval = pld_interval(events, count);
    *ret_answer = question->is_delta ? 1 : INFINITY;
    for (; coarser && interval < PLD_COARSEST; interval *= 2) {
        if (pld_size(events, count, interval, tail) > PLD_MAX_LOSSES)
            continue;
        TRY(pld_open(events, count, interval, tail, &pld));
        TRY(pld_both(&pld, question, ret_answer, &coarser));
        pld_free(&pld);
    }
done:
    pld_free(&pld);
    return err;
}

/* How many standard deviations out all steps together have less than `probability`. */
static double pld_tail(const struct privacy_event *events, size_t count, double probability)
{
    double steps = 0, tail = 5;
    for (size_t i = 0; i < count; i++)
        steps += (double)events[i].steps;
    while (steps * privacy_gaussian_tail(tail) > probability)
        tail += 0.125;
    return tail;
}

/* RDP's figure decides where the window is. Where it was far off, the first answer is a better one to decide by. */
#define PLD_ANSWERS 3

struct error *privacy_pld_epsilon(const struct privacy_event *events, size_t count, double delta,
                                  const struct privacy_best *rdp, double *ret_epsilon)
{
    struct error *err = NULL;
    double tail = pld_tail(events, count, 1e-7 * delta), least = INFINITY;
    struct question question = {.epsilon = rdp->value, .delta = delta, .order = rdp->order};
    question.least = question.epsilon * (question.epsilon > 20 ? 0.7 : 0.3);
    for (int i = 0; i < PLD_ANSWERS; i++) {
        double epsilon = INFINITY;
        TRY(pld_answer(events, count, tail, &question, &epsilon));
        least = fmin(least, epsilon);
        if (!(epsilon < 0.8 * question.epsilon || epsilon < question.least))
            break;
        question.epsilon = epsilon;
        question.order = privacy_rdp_best_delta(events, count, epsilon).order;
        question.least = 0;
    }
    *ret_epsilon = least;
done:
    return err;
}

struct error *privacy_pld_delta(const struct privacy_event *events, size_t count, double epsilon,
                                const struct privacy_best *rdp, double *ret_delta)
{
    struct error *err = NULL;
    struct question question = {.is_delta = true, .epsilon = epsilon, .order = rdp->order, .least = epsilon};
    double least = rdp->value;
    for (int i = 0; i < PLD_ANSWERS; i++) {
        double delta = 1;
        question.delta = fmax(least, PLD_LEAST_DELTA);
        TRY(pld_answer(events, count, pld_tail(events, count, 1e-7 * question.delta), &question, &delta));
        least = fmin(least, delta);
        if (!(delta < 1e-3 * question.delta) || delta < PLD_LEAST_DELTA)
            break;
    }
    *ret_delta = least;
done:
    return err;
}
