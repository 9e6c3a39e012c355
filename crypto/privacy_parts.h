/* What the files of the accountant share; for crypto/privacy*.c and their tests only. */
#pragma once

#include "crypto/privacy.h"
#include "crypto/privacy_fft.h"

/* ---- one step, Rényi (privacy_rdp.c) ---- */

/* 1.1 … 10.9 by 0.1, 11 … 63, 128, 256, 512, 1024. */
void privacy_orders(double ret_orders[static PRIVACY_ORDERS]);

/* The Rényi divergence of `order` above 1 of one step: an upper bound. Exact, but for 1e-10 relative, at integer orders and
 * without sampling; of other orders privacy_rdp.c says what is summed. May be infinite. */
double privacy_rdp_step(double noise_multiplier, double sampling_rate, double order);

/* The epsilon, at least 0, that the divergence `rdp` of `order` allows at `delta`; and the delta, at most 1, at `epsilon`. */
double privacy_rdp_epsilon(double rdp, double order, double delta);
double privacy_rdp_delta(double rdp, double order, double epsilon);

/* The least epsilon, or delta, of all orders, and the order that gives it. */
struct privacy_best {
    double value, order;
};
struct privacy_best privacy_rdp_best_epsilon(const struct privacy_event *events, size_t count, double delta);
struct privacy_best privacy_rdp_best_of(const double rdp[static PRIVACY_ORDERS],
                                        double delta); /* of sums at the orders */
struct privacy_best privacy_rdp_best_delta(const struct privacy_event *events, size_t count, double epsilon);

/* ---- one Gaussian without sampling (privacy_gaussian.c) ---- */

/* shift: sensitivity / standard deviation of all steps together, √(Σ steps / noise_multiplier²). */
double privacy_gaussian_shift(const struct privacy_event *events, size_t count);
double privacy_gaussian_delta(double shift, double epsilon);
double privacy_gaussian_epsilon(double shift, double delta);

/* Events that hardly ever take a record: with probability p at most it is in any step at all, and then no more is known than
 * without sampling. So the output is (1 - p) Q + p P', Q without the record, and P' and Q have delta' at epsilon' as one
 * Gaussian of the shift of all steps; then both directions have p·delta' at log(1 + p (e^epsilon' - 1)) (advanced joint
 * convexity: Balle, Barthe, Gaboardi 2018, theorem 2). Steps may be chosen after seeing earlier answers: who is sampled is not. An
 * upper bound at any rate; exact for one step, and for more as loose as it is to take all of them at once. epsilon: infinite, and delta: 1, where p is above
 * PRIVACY_RARE, since privacy loss distributions are better there. */
#define PRIVACY_RARE 0.01
double privacy_rare_epsilon(const struct privacy_event *events, size_t count, double delta);
double privacy_rare_delta(const struct privacy_event *events, size_t count, double epsilon);

/* The probability that a standard Gaussian is above z, and its logarithm. */
double privacy_gaussian_tail(double z);
double privacy_gaussian_log_tail(double z);

/* ---- one step, as a distribution of losses (privacy_losses.c) ---- */

enum privacy_direction { PRIVACY_REMOVE, PRIVACY_ADD, PRIVACY_DIRECTIONS };

#define PRIVACY_BLOCK 64

/* mass[i] is the probability of a loss of (first + i) · interval, peak[b] the logarithm of the largest mass of
 * PRIVACY_BLOCK losses from b · PRIVACY_BLOCK on (-inf where all are 0), beyond the probability of an infinite loss. */
struct privacy_losses {
    int64_t first;
    size_t count;
    double *mass; /* owned, as is peak */
    double *peak;
    double beyond;
};

/* How many losses privacy_losses_new would make at this interval. */
double privacy_losses_size(const struct privacy_event *event, double interval, double tail);

/* One step in both directions, ret_losses[PRIVACY_REMOVE] and ret_losses[PRIVACY_ADD], to be freed by privacy_losses_free.
 * What is `tail` standard deviations out is taken for an infinite loss. */
MUST_USE struct error *privacy_losses_new(const struct privacy_event *event, double interval, double tail,
                                          struct privacy_losses ret_losses[static PRIVACY_DIRECTIONS]);
void privacy_losses_free(struct privacy_losses losses[static PRIVACY_DIRECTIONS]);

/* log Σ mass(loss) e^(tilt · loss). */
double privacy_losses_cumulant(const struct privacy_losses *losses, double interval, double tilt);

/* Adds mass(loss) e^(tilt · loss - cumulant) to the place (first + i) modulo `size`, a power of two. */
void privacy_losses_tilt(const struct privacy_losses *losses, double interval, double tilt, double cumulant,
                         size_t size, struct privacy_complex *values);

/* ---- many steps (privacy_pld.c) ---- */

/* Events are valid and all different. `rdp` decides how exact the figure is, not whether it holds. An infinite ret_epsilon, or
 * a ret_delta of 1 or above: nothing better is known than RDP. */
MUST_USE struct error *privacy_pld_epsilon(const struct privacy_event *events, size_t count, double delta,
                                           const struct privacy_best *rdp, double *ret_epsilon);
MUST_USE struct error *privacy_pld_delta(const struct privacy_event *events, size_t count, double epsilon,
                                         const struct privacy_best *rdp, double *ret_delta);
