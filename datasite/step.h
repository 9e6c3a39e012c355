/* One thing that a peer asks this site to compute: local training of a round, counts of a global model, a vector under
 * masks, or the model that a sum gives. It is made by a request's handler, waits in the executor's queue, and is worked on
 * by the trainer. */
#pragma once

#include "datasite/approval.h"
#include "datasite/store.h"
#include "schemas/wire.h"

enum step_kind { STEP_TRAIN, STEP_EVALUATE, STEP_MASK, STEP_SUM };

struct step {
    enum step_kind kind;
    struct site_id peer; /* who asked, and gets the answer */
    uint64_t number;     /* of its request */
    struct digest job_id;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    uint32_t round;
    uint32_t attempt;   /* within the round; 0 without secure aggregation */
    double *parameters; /* [count], finite; owned; of a Mask: none unless an initial model came with it */
    size_t count;
    struct digest
        model_digest; /* SHA-256 of the parameters as they came in; of a Mask: as the message says */
    Fds__Mask *mask;  /* STEP_MASK: the message, decoded; owned */
    Fds__Sum *sum;    /* STEP_SUM: the same */
    uint64_t arrived; /* sequence of the receipt that came with the request, which this site knows; 0: none */
    int64_t deadline; /* clock_monotonic_ms by which it is abandoned */
    /* As verified when the step was asked for; owned. Says what to compute; what leaves is decided by the
     * airlock, which reads and verifies it anew. */
    struct approval approval;
};

/* Takes the parameters (little-endian float64, a multiple of 8 bytes) of a message; digest included. */
MUST_USE struct error *step_take_parameters(struct step *step, const uint8_t *bytes, size_t byte_count);
void step_free(struct step *step); /* accepts NULL */

/* What answers this step again. Cleared by whom it is given to. */
struct step_answer {
    uint8_t *body; /* of a Released, or of the Refusal of a step that failed; NULL: it was not answered */
    size_t bytes;
    bool refused;
};

/* What answered this step before. The same round, or attempt of a round, with another model is ERROR_REFUSED, so that it
 * releases once; a Mask with another slot or other sharers too. The run must be of the step's job and go on, and the stored body must be the one that was given,
 * about this very step, with the receipt that left with it: ERROR_UNTRUSTED. ERROR_HELD while the owner looks at it,
 * ERROR_REFUSED when the owner kept it. The caller has found the approval to hold just before, or does so now. */
MUST_USE struct error *step_repeat(struct store *store, const struct identity *identity,
                                   const struct step *step, struct step_answer *ret_answer);

/* Whether the step's run began here: ERROR_REFUSED if it is of another job, or has ended. */
MUST_USE struct error *step_began(struct store *store, const struct step *step, bool *ret_began);

/* Of a kind that has answers: a sum has none. */
enum answer_kind step_answer_kind(enum step_kind kind);

/* "train", "evaluate", "mask", "sum". */
const char *step_word(enum step_kind kind);
