/* Computes one step: from the model that came in to the bytes that the airlock lets out.
 *
 *     step_repeat -> dataset (kept between rounds) -> split -> rows -> store_run_begin
 *       -> learning/ -> release_update | release_evaluation | release_failure
 *
 * From learning/ on, rows have been read with a model that the requester chose, so that how a step fails can
 * tell about them: such a step ends in release_failure, which spends the round.
 *
 * Owns its store, the threads of training and the dataset in memory; used by one thread, the executor's.
 * Nothing that it computes leaves except through release.h. */
#pragma once

#include "crypto/identity.h"
#include "datasite/release.h"
#include "datasite/secagg_cache.h"
#include "datasite/step.h"
#include "schemas/policy.h"

struct trainer;

struct trainer_options {
    const char *database_path;
    const char *keys_path;           /* as executor_options have it */
    const struct identity *identity; /* borrowed: verifies the owner's statements */
    const struct vault *vault;       /* borrowed: opens the rows; NULL when they are in clear */
    struct secagg_cache *secagg;     /* as executor_options have it */
    struct store *store;             /* likewise */
    uint32_t threads;
    int64_t (*clock)(void); /* Unix milliseconds */
};

/* A round that was abandoned this often after rows were read is spent, as if its step had failed. A round
 * of a private job is, at the first time that it was its deadline. */
#define TRAINER_ATTEMPTS 3

/* Watches a step. `check` is called between the steps of training with the share that is done, 0 to 1; an
 * error that it returns abandons the step and is what trainer_run returns. `gate` gives the output rules of the
 * policy as they are at that moment. */
struct trainer_watch {
    struct error *(*check)(void *context, double fraction);
    struct policy_gate (*gate)(void *context);
    void *context;
};

struct trainer_answer {
    uint8_t *body; /* of a Released, or of the Refusal of a step that failed; owned */
    size_t bytes;
    bool refused;                          /* it is a Refusal */
    bool repeated;                         /* was given before */
    char withheld[RELEASE_WITHHELD_BYTES]; /* what the output rules kept here; "" for nothing */
};

MUST_USE struct error *trainer_open(const struct trainer_options *options, struct trainer **ret_trainer);
/* ERROR_HELD when the answer waits for the owner. */
MUST_USE struct error *trainer_run(struct trainer *trainer, const struct step *step,
                                   const struct trainer_watch *watch, struct trainer_answer *ret_answer);
/* Gives the dataset's memory back. */
void trainer_forget(struct trainer *trainer);
void trainer_close(struct trainer *trainer); /* accepts NULL */
