/* How much a job tells about one record: the accountant of differential privacy.
 *
 * Neighbouring datasets differ by one record, added or removed. One event is a number of steps that each add Gaussian noise
 * of standard deviation noise_multiplier · (clip norm) to the sum of clipped contributions of a Poisson sample: every record
 * takes part in a step with probability sampling_rate, by itself. Batches of a fixed size, or shuffled ones, are no such
 * sample: their events have sampling_rate 1. Events compose, in any order, whatever their number.
 *
 *     PRIVACY_PLD       privacy loss distributions (Doroshenko, Ghazi, Kamath, Kumar, Manurangsi, "Connect the dots", PETS
 *                       2022): discretised so that every figure is an upper bound, both directions of adjacency, convolved by
 *                       FFT (privacy_fft.h). The interval is PRIVACY_PLD_INTERVAL; finer where a step's loss is small against
 *                       it, coarser where the losses would be too many. No more than PRIVACY_RDP gives, nor, where a
 *                       record is in any step at all with a probability of 0.01 or less, than one sample of all steps does
 *                       (Balle, Barthe, Gaboardi 2018). The figure that is reported and approved.
 *     PRIVACY_RDP       Rényi orders 1.1 … 10.9 by 0.1, 11 … 63, 128, 256, 512, 1024 (Mironov 2017; Mironov, Talwar, Zhang
 *                       2019 for the sampled Gaussian, fractional orders too); epsilon = rdp + log1p(-1/α) - ln(δα)/(α-1)
 *                       (Canonne, Kamath, Steinke 2020, proposition 12), the least of all orders and at least 0.
 *     PRIVACY_GAUSSIAN  exact for one Gaussian without sampling (Balle, Wang 2018): events with sampling_rate 1 alone.
 *
 * Nothing is amplified that was not Poisson-sampled: who has batches of a fixed size, or shuffled ones, gives events of
 * sampling_rate 1, one for each time that a record is used.
 *
 * Every function gives an upper bound of what is true; none is ever below it, rounding included. All pure: the same
 * arguments, the same figure. Errors: ERROR_INVALID (a value outside its range), ERROR_LIMIT (more than can be accounted:
 * more steps than PRIVACY_MAX_STEPS, epsilon above PRIVACY_MAX_EPSILON), ERROR_MEMORY.
 *
 * Figures grow with the steps and the rate, and fall with the noise and delta. PLD's are not all equally close to what is true
 * (within 1e-5 as a rule; looser where there are more than 10^6 steps, or where the rate is below 1e-4 and steps are many): between two settings that hardly differ they may seem to go the other way.
 *
 * What a call costs on one core (tests/bench/bench_privacy.c), whatever the number of steps, and the memory beside it:
 *
 *     privacy_epsilon, privacy_delta   PLD       usually 20 ms, with little noise (0.5 or less) 150 ms, at most some 800 ms; of
 *                                                k different events some 7 ms each more. Up to 40 MiB, and 5 MiB an event.
 *                                      RDP       0.2 ms an event; up to 15 ms where the rate is around 1/2 or the
 *                                                noise is little
 *     privacy_step_of                            as RDP's, once; privacy_steps_epsilon then 10 µs
 *                                      GAUSSIAN  microseconds
 *     privacy_calibrate, privacy_steps           5 to 12 times privacy_epsilon
 *     privacy_filter_add                         10 µs an event; privacy_filter_admits: nothing
 *
 * So a ledger asks for PLD once a job and for the filter whenever it likes; figures round by round are RDP's, or PLD's at the
 * rounds that are shown. On a thread that must answer at once, neither calibrate nor steps. */
#pragma once

#include "schemas/error.h"

#include <stddef.h>
#include <stdint.h>

#define PRIVACY_MIN_NOISE 0.05
#define PRIVACY_MAX_NOISE 1e6
#define PRIVACY_MIN_DELTA 1e-15
#define PRIVACY_MAX_DELTA 0.1
#define PRIVACY_MAX_STEPS ((uint64_t)10000000) /* of all events together */
#define PRIVACY_MAX_EVENTS 64
#define PRIVACY_MAX_EPSILON 10000.0 /* far beyond what protects, so that figures can still be compared */
#define PRIVACY_PLD_INTERVAL 1e-4

enum privacy_accountant { PRIVACY_PLD, PRIVACY_RDP, PRIVACY_GAUSSIAN };

struct privacy_event {
    double noise_multiplier; /* PRIVACY_MIN_NOISE to PRIVACY_MAX_NOISE */
    double sampling_rate;    /* above 0, at most 1 */
    uint64_t steps;          /* at least 1 */
};

/* The least epsilon that this accountant can vouch for at `delta`. Events that are the same are taken together. */
MUST_USE struct error *privacy_epsilon(enum privacy_accountant accountant, const struct privacy_event *events,
                                       size_t count, double delta, double *ret_epsilon);

/* PRIVACY_RDP for who asks again and again while steps go on: divergences add up, so those of one step are computed once. The
 * event's own number of steps is not read. */
#define PRIVACY_ORDERS 156
struct privacy_step {
    double rdp[PRIVACY_ORDERS];
};
MUST_USE struct error *privacy_step_of(struct privacy_event event, struct privacy_step *ret_step);
/* What privacy_epsilon says of `counts[i]` steps (0 too) of each: the same checks, the same figure but for rounding. */
MUST_USE struct error *privacy_steps_epsilon(const struct privacy_step *steps, const uint64_t *counts,
                                             size_t count, double delta, double *ret_epsilon);

/* The least delta at `epsilon`, PLD or exact Gaussian; ERROR_INVALID for RDP. */
MUST_USE struct error *privacy_delta(enum privacy_accountant accountant, const struct privacy_event *events,
                                     size_t count, double epsilon, double *ret_delta);

/* The least noise multiplier, to 1e-5 relative and rounded up to seven digits, with which `event` (its own
 * noise_multiplier is not read) together with `others` (their noise is given; may be none) stays within epsilon at delta. ERROR_INVALID, with what the
 * others alone come to, when no noise would do. */
MUST_USE struct error *privacy_calibrate(enum privacy_accountant accountant, struct privacy_event event,
                                         const struct privacy_event *others, size_t other_count,
                                         double epsilon, double delta, double *ret_noise_multiplier);

/* The most steps of `event` (its own number is not read) that stay within epsilon at delta together with `others`; 0: none. */
MUST_USE struct error *privacy_steps(enum privacy_accountant accountant, struct privacy_event event,
                                     const struct privacy_event *others, size_t other_count, double epsilon,
                                     double delta, uint64_t *ret_steps);

/* ---- the filter of a budget over orders (Lécuyer 2021; Feldman, Zrnic 2021) ---- */

#define PRIVACY_FILTER_ORDERS 12
extern const double privacy_filter_orders[PRIVACY_FILTER_ORDERS]; /* 2,3,4,5,6,8,12,16,24,32,48,64 */

/* Adds the Rényi divergence of the events at each of these orders to `rdp`. */
MUST_USE struct error *privacy_filter_add(const struct privacy_event *events, size_t count,
                                          double rdp[static PRIVACY_FILTER_ORDERS]);
/* Whether at some order the sum converts, at delta / PRIVACY_FILTER_ORDERS, to at most epsilon; the least epsilon of all
 * orders in ret_epsilon unless NULL. Valid for events that were chosen after seeing earlier answers. */
bool privacy_filter_admits(const double rdp[static PRIVACY_FILTER_ORDERS], double epsilon, double delta,
                           double *ret_epsilon);

/* A figure for people: the least number of so many significant digits (1 to 17) that is not below `value`, so that a bound stays
 * one when it is printed. Below 0, and what is not finite: as %g has it. */
#define PRIVACY_BOUND_BYTES 32
#define PRIVACY_BOUND_DIGITS 5 /* of an epsilon */
void privacy_bound(double value, int digits, char ret_text[static PRIVACY_BOUND_BYTES]);
/* The same of what is left of a budget, rounded down: somebody types it into a job file. */
void privacy_left(double value, int digits, char ret_text[static PRIVACY_BOUND_BYTES]);

/* "pld", "rdp", "gaussian". */
const char *privacy_accountant_word(enum privacy_accountant accountant);
