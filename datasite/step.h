/* One thing that a peer asks this site to compute: local training of a round, or counts of a global model. It
 * is made by a request's handler, waits in the executor's queue, and is worked on by the trainer. */
#pragma once

#include "datasite/approval.h"
#include "datasite/store.h"

enum step_kind { STEP_TRAIN, STEP_EVALUATE };

struct step {
    enum step_kind kind;
    struct site_id peer; /* who asked, and gets the answer */
    uint64_t number;     /* of its request */
    struct digest job_id;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    uint32_t round;
    double *parameters; /* [count], finite; owned */
    size_t count;
    struct digest model_digest; /* SHA-256 of the parameters as they came in */
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

/* What answered this step before. The same round with another model is ERROR_REFUSED, so that a round releases
 * once. The run must be of the step's job and go on, and the stored body must be the one that was given,
 * about this very step, with the receipt that left with it: ERROR_UNTRUSTED. ERROR_HELD while the owner looks at it,
 * ERROR_REFUSED when the owner kept it. The caller has found the approval to hold just before, or does so now. */
MUST_USE struct error *step_repeat(struct store *store, const struct identity *identity,
                                   const struct step *step, struct step_answer *ret_answer);

enum answer_kind step_answer_kind(enum step_kind kind);

/* "train", "evaluate". */
const char *step_word(enum step_kind kind);
