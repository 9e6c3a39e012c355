#include "crypto/privacy.h"

#include <math.h>

/* Both questions are answered by trying: epsilon falls with the noise and grows with the steps. One value that misses the
 * target and one that keeps it close in on each other; log(epsilon) is nearly a line over the logarithm of either, so that
 * a chord hits within a few tries. What is given has been tried. */

#define SOLVE_TRIES 80
/* Relative, of a noise multiplier; rounding up to NOISE_DIGITS digits comes on top. */
#define NOISE_TOLERANCE 2e-6
#define NOISE_DIGITS 7

enum unknown { UNKNOWN_NOISE, UNKNOWN_STEPS };

struct solve {
    enum unknown unknown;
    enum privacy_accountant accountant;
    struct privacy_event events[PRIVACY_MAX_EVENTS]; /* the first is asked about */
    size_t count;
    double epsilon, delta;
};

/* Excess: log(epsilon / target), at most 0 where it is kept; inf where it is more than can be accounted for. */
struct bracket {
    double missed, missed_excess, kept, kept_excess;
};

static struct error *solve_begin(struct solve *solve, struct privacy_event event,
                                 const struct privacy_event *others, size_t other_count)
{
    struct error *err = NULL;
    if (!(solve->epsilon > 0 && solve->epsilon <= PRIVACY_MAX_EPSILON))
        FAIL(ERROR_INVALID, "An epsilon of %g is no target: it is above 0 and at most %g.", solve->epsilon,
             PRIVACY_MAX_EPSILON);
    if (other_count >= PRIVACY_MAX_EVENTS)
        FAIL(ERROR_INVALID, "%zu events cannot be composed; it takes 1 to %d.", other_count + 1,
             PRIVACY_MAX_EVENTS);
    solve->count = other_count + 1;
    solve->events[0] = event;
    for (size_t i = 0; i < other_count; i++)
        solve->events[i + 1] = others[i];
done:
    return err;
}

static struct error *solve_try(struct solve *solve, double value, double *ret_excess)
{
    double epsilon = INFINITY;
    if (solve->unknown == UNKNOWN_NOISE)
        solve->events[0].noise_multiplier = value;
    else
        solve->events[0].steps = (uint64_t)value;
    struct error *err =
        privacy_epsilon(solve->accountant, solve->events, solve->count, solve->delta, &epsilon);
    if (err != NULL && err->code == ERROR_LIMIT)
        error_clear(&err);
    if (err == NULL)
        *ret_excess = log(fmax(epsilon, 1e-12) / solve->epsilon);
    return err;
}

static struct error *bracket_try(struct solve *solve, double value, struct bracket *bracket)
{
    double excess = 0;
    struct error *err = solve_try(solve, value, &excess);
    if (err != NULL)
        return err;
    if (excess <= 0) {
        bracket->kept = value;
        bracket->kept_excess = excess;
    } else {
        bracket->missed = value;
        bracket->missed_excess = excess;
    }
    return NULL;
}

static bool bracket_closed(const struct solve *solve, const struct bracket *bracket)
{
    if (solve->unknown == UNKNOWN_STEPS)
        return bracket->missed - bracket->kept <= 1;
    return bracket->kept <= bracket->missed * (1 + NOISE_TOLERANCE);
}

/* Strictly between both sides. Where the chord meets the target, and a little beyond it on the side that is farther away,
 * so that both sides move. */
static double bracket_chord(const struct solve *solve, const struct bracket *bracket)
{
    double from = log(bracket->missed), to = log(bracket->kept);
    double share = bracket->missed_excess / (bracket->missed_excess - bracket->kept_excess);
    double step = solve->unknown == UNKNOWN_STEPS ? 0.4 / bracket->kept : 0.4 * NOISE_TOLERANCE;
    double width = fabs(to - from), margin = fmin(step / width, 0.5);
    share += share < 0.5 ? margin : -margin;
    return exp(from + (to - from) * fmin(fmax(share, margin), 1 - margin));
}

static double bracket_next(const struct solve *solve, const struct bracket *bracket, bool halve)
{
    bool known = isfinite(bracket->missed_excess) && bracket->kept_excess > -20;
    double next = known && !halve ? bracket_chord(solve, bracket) : sqrt(bracket->missed * bracket->kept);
    if (solve->unknown == UNKNOWN_STEPS)
        next = fmin(fmax(round(next), bracket->kept + 1), bracket->missed - 1);
    return next;
}

static struct error *bracket_close(struct solve *solve, struct bracket *bracket)
{
    struct error *err = NULL;
    double before = INFINITY;
    for (int i = 0; i < SOLVE_TRIES && !bracket_closed(solve, bracket); i++) {
        double width = fabs(log(bracket->missed / bracket->kept));
        bool halve = i % 3 == 2 && width > before / 4;
        if (i % 3 == 2)
            before = width;
        TRY(bracket_try(solve, bracket_next(solve, bracket, halve), bracket));
    }
done:
    return err;
}

/* From a value that keeps the target: away from it, farther each time, until one misses it or `end` keeps it too. */
static struct error *bracket_open(struct solve *solve, double kept, double end, struct bracket *ret_bracket)
{
    struct error *err = NULL;
    struct bracket bracket = {0};
    bool grow = end > kept;
    TRY(bracket_try(solve, kept, &bracket));
    for (double factor = 1.06; bracket.missed == 0 && bracket.kept != end; factor *= factor) {
        double next = grow ? fmin(ceil(bracket.kept * factor), end) : fmax(bracket.kept / factor, end);
        TRY(bracket_try(solve, next, &bracket));
    }
    *ret_bracket = bracket;
done:
    return err;
}

/* ---- noise ---- */

/* Up, to NOISE_DIGITS significant digits: a short number for a job file. */
static double noise_rounded(double noise)
{
    double unit = pow(10, floor(log10(noise)) - (NOISE_DIGITS - 1));
    return ceil(noise / unit) * unit;
}

/* A noise multiplier that keeps the target, by RDP where that is quicker. */
static struct error *noise_start(struct solve *solve, struct bracket *ret_bracket)
{
    struct error *err = NULL;
    struct solve quick = *solve;
    struct bracket bracket = {0};
    if (solve->accountant == PRIVACY_PLD)
        quick.accountant = PRIVACY_RDP;
    TRY(bracket_try(&quick, PRIVACY_MAX_NOISE, &bracket));
    if (bracket.kept == 0 && solve->accountant == PRIVACY_PLD)
        TRY(bracket_try(solve, PRIVACY_MAX_NOISE, &bracket));
    else if (bracket.kept != 0)
        TRY(bracket_try(&quick, PRIVACY_MIN_NOISE, &bracket));
    if (bracket.kept != 0 && bracket.missed != 0)
        TRY(bracket_close(&quick, &bracket));
    *ret_bracket = bracket;
done:
    return err;
}

struct error *privacy_calibrate(enum privacy_accountant accountant, struct privacy_event event,
                                const struct privacy_event *others, size_t other_count, double epsilon,
                                double delta, double *ret_noise_multiplier)
{
    struct error *err = NULL;
    struct solve solve = {
        .unknown = UNKNOWN_NOISE, .accountant = accountant, .epsilon = epsilon, .delta = delta};
    struct bracket bracket = {0};
    double alone = 0;
    TRY(solve_begin(&solve, event, others, other_count));
    if (other_count > 0)
        TRY(privacy_epsilon(accountant, others, other_count, delta, &alone));
    TRY(noise_start(&solve, &bracket));
    if (bracket.kept == 0 && other_count > 0)
        FAIL(ERROR_INVALID,
             "No noise would do: an epsilon of %g is asked for, and the other events alone come to %.4f.",
             epsilon, alone);
    if (bracket.kept == 0)
        FAIL(ERROR_INVALID, "No noise multiplier up to %g would do for an epsilon of %g.", PRIVACY_MAX_NOISE,
             epsilon);
    if (accountant == PRIVACY_PLD && bracket.kept > PRIVACY_MIN_NOISE) {
        TRY(bracket_open(&solve, bracket.kept, PRIVACY_MIN_NOISE, &bracket));
        if (bracket.missed != 0)
            TRY(bracket_close(&solve, &bracket));
    }
    *ret_noise_multiplier = fmin(noise_rounded(bracket.kept), PRIVACY_MAX_NOISE);
done:
    return err;
}

/* ---- steps ---- */

struct error *privacy_steps(enum privacy_accountant accountant, struct privacy_event event,
                            const struct privacy_event *others, size_t other_count, double epsilon,
                            double delta, uint64_t *ret_steps)
{
    struct error *err = NULL;
    struct solve solve = {
        .unknown = UNKNOWN_STEPS, .accountant = accountant, .epsilon = epsilon, .delta = delta};
    struct bracket bracket = {0};
    double most = (double)PRIVACY_MAX_STEPS;
    TRY(solve_begin(&solve, event, others, other_count));
    for (size_t i = 0; i < other_count; i++)
        most -= fmin((double)others[i].steps, most);
    if (most >= 1)
        TRY(bracket_try(&solve, 1, &bracket));
    if (bracket.kept == 0) {
        *ret_steps = 0;
        goto done;
    }
    /* By RDP first, which is quick, and where the bracket of the other accountants begins. */
    struct solve quick = solve;
    if (accountant == PRIVACY_PLD)
        quick.accountant = PRIVACY_RDP;
    double one = bracket.kept_excess;
    bracket = (struct bracket){0};
    TRY(bracket_try(&quick, 1, &bracket));
    if (bracket.kept != 0) {
        TRY(bracket_try(&quick, most, &bracket));
        if (bracket.kept != most)
            TRY(bracket_close(&quick, &bracket));
    } else {
        bracket.kept = 1;
        bracket.kept_excess = one;
    }
    if (accountant == PRIVACY_PLD && bracket.kept < most) {
        TRY(bracket_open(&solve, bracket.kept, most, &bracket));
        if (bracket.missed != 0)
            TRY(bracket_close(&solve, &bracket));
    }
    *ret_steps = (uint64_t)bracket.kept;
done:
    return err;
}
