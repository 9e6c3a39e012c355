/* The airlock: the only entry through which numbers leave a datasite.
 *
 * A caller hands in what the executor computed and gets back the bytes that may be sent. In between, in one
 * transaction of site.db (synchronous=FULL): the approval is read and its signature verified, the job's
 * state, run and remaining rounds are checked, then shape, finiteness, size, and the minimum number of rows;
 * the body is stored, the event written, the round counted. Any failure leaves nothing written and nothing to
 * send. Nobody else encodes an Update or an Evaluation; tests/lint keeps it so.
 */
#pragma once

#include "crypto/identity.h"
#include "datasite/store.h"
#include "schemas/job.h"
#include "schemas/policy.h"

/* What every release is checked against. All borrowed. */
struct release_context {
    struct store *store;
    const struct identity *identity; /* verifies the owner's statement */
    const struct policy_gate *gate;  /* output rules, and whose keys an approval needs */
    const struct digest *job_id;
    const struct job *job;
    const struct dataset_info *dataset;
    const uint8_t *run_id; /* STORE_RUN_ID_BYTES */
    uint32_t round;
    const struct digest *model_digest; /* SHA-256 of the parameters that came in */
    int64_t now;                       /* Unix seconds */
};

/* Computed, not yet released. */
struct release_update {
    const double *parameters; /* [count] */
    const double *from;       /* [count]: the model that came in */
    size_t count;
    uint64_t train_rows, test_rows;
    double seconds;
    uint64_t train_correct;    /* of the training rows; with a confusion matrix */
    const uint64_t *confusion; /* [classes][classes] on the test rows, or NULL */
    const char *stopped;       /* how the optimiser ended: one word */
};

/* What would stand in the way of any release of this round, before time is spent on it. Nothing is written,
 * and the release checks it again. */
MUST_USE struct error *release_foresee(const struct release_context *context, enum answer_kind kind);

MUST_USE struct error *release_update(const struct release_context *context,
                                      const struct release_update *update, uint8_t **ret_body,
                                      size_t *ret_bytes);

/* What a requester is told of a step that failed once rows were read, whatever failed: why, where and when it
 * failed depends on private rows. */
#define RELEASE_FAILED                                                                                       \
    "The step failed at this site, or did not end in time. The site tells no more, since why can depend on " \
    "private rows. A smaller learning_rate, fewer local iterations or a longer round_deadline may do."

/* A step that failed spends its round as a release does, so that nobody can ask about the rows by making
 * steps fail: the refusal is the round's answer from now on. `why` is for the owner, in the event: one
 * sentence without an index or a count. */
MUST_USE struct error *release_failure(const struct release_context *context, enum answer_kind kind,
                                       const char *why, uint8_t **ret_body, size_t *ret_bytes);

/* Counts of the global model on the site's test rows. */
MUST_USE struct error *release_evaluation(const struct release_context *context, const uint64_t *confusion,
                                          uint8_t **ret_body, size_t *ret_bytes);
