/* Private jobs under secure aggregation, as the orchestrator computes them; for engine*.c only. What sites compute of the
 * same sums (datasite/secagg_advance.h), bit for bit.
 *
 * distributed-dp: the model that the rounds go on from has a velocity behind it, and both are in the digest that a round is
 * about. average_tail: the result of the run is the mean of the models after the last share of its rounds
 * (private_step_tail); counts that sites release are of the model that their round began with, never of that mean. */
#pragma once

#include "orchestrator/engine_secagg.h"

#include "crypto/private_vector.h"

/* What the words of the round in hand are. */
struct engine_words {
    size_t parameters; /* from words[first] on; 0 in the evaluation */
    size_t first;
    size_t counts; /* behind them */
    size_t words;
};
MUST_USE struct error *engine_words(const struct engine *engine, struct engine_words *ret_words);

/* For a private job: room for velocity and mean. ERROR_INVALID: a job that has no plan. */
MUST_USE struct error *engine_noised_open(struct engine *engine);
void engine_noised_close(struct engine_secagg *secagg);

/* SHA-256 of what the round in hand begins with. */
MUST_USE struct error *engine_noised_digest(struct engine *engine);
/* engine->model, and its velocity, after the sum of the round in hand. ERROR_NUMERIC. */
MUST_USE struct error *engine_noised_advance(struct engine *engine);
/* Takes the new model into the mean, if the round is of the tail; after the last round the record has the mean. */
MUST_USE struct error *engine_noised_average(struct engine *engine);
/* The counts in the sum of the round in hand, which are of the model of the round before. */
MUST_USE struct error *engine_noised_pool(struct engine *engine);
