/* The airlock: the only entry through which numbers leave a datasite.
 *
 * A caller hands in what the executor computed and gets back the bytes that may be sent. In between, in one
 * transaction of site.db (synchronous=FULL): the approval is read and its signature verified, the job's
 * state, run and remaining rounds are checked, then shape, finiteness, norm, sizes, and the minimum number of rows; counts
 * that the owner's output rules withhold are taken out (release_counts.h);
 * the event is written, then the receipt that names the event and the exact bytes, signed with the site's key; body
 * and receipt are stored, the round counted. What leaves is a Released message: body and receipt. Any failure leaves
 * nothing written and nothing to send. Nobody else encodes an Update, an Evaluation, a MaskedInput or a Released;
 * tests/lint keeps it so.
 *
 *     release_masked_input
 *     release_update, release_evaluation --> released, with a receipt -----------------> handed out, and again
 *                |                                   ^                                   (release_repeat)
 *                +--> held (the approval says so) ---+ release_held_out: the owner's word
 *                                    \---> refused, release_held_refuse: for good
 *
 * A held answer spends its round as a released one does, and nothing is computed again for it.
 */
#pragma once

#include "crypto/identity.h"
#include "crypto/noise.h"
#include "crypto/secagg_input.h"
#include "datasite/secagg_vector.h"
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
    uint64_t early_rows; /* of the rows that were worked on, the first so many have the digest … */
    const struct digest *early_digest; /* … as dataset_load_grown found it; 0 and NULL: not known */
    const uint8_t *run_id;             /* STORE_RUN_ID_BYTES */
    uint32_t round;
    uint32_t attempt;                  /* of a masked input, else 0 */
    const struct digest *model_digest; /* SHA-256 of the parameters that came in */
    uint64_t arrived; /* sequence of the latest receipt of this site that the requester presented; 0: none */
    int64_t now;      /* Unix seconds */
};

#define RELEASE_WITHHELD_BYTES 128

/* What became of an answer. `held`: it waits for the owner, nothing leaves now, and body is NULL. */
struct release_outcome {
    uint8_t *body; /* of the Released message, or of the Refusal of release_failure; the caller frees it */
    size_t bytes;
    bool held;
    char withheld
        [RELEASE_WITHHELD_BYTES]; /* what the output rules kept here, for the owner's log; "" for nothing */
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
                                      const struct release_update *update,
                                      struct release_outcome *ret_outcome);

/* What a requester is told of a step that failed once rows were read, whatever failed: why, where and when it
 * failed depends on private rows. */
#define RELEASE_FAILED                                                                                       \
    "The step failed at this site, or did not end in time. The site tells no more, since why can depend on " \
    "private rows. A smaller learning_rate, fewer local iterations or a longer round_deadline may do."

/* While a receipt of this site exists whose event the chain lacks, nothing leaves. */
#define RELEASE_CONTRADICTED                                                                                 \
    "This site's records lack a release whose receipt exists: its owner has to look first (datasite audit)."

/* A step that failed spends its round as a release does, so that nobody can ask about the rows by making
 * steps fail: the refusal is the round's answer from now on. It is never held and has no receipt. `why` is for the
 * owner, in the event: one sentence without an index or a count. */
MUST_USE struct error *release_failure(const struct release_context *context, enum answer_kind kind,
                                       const char *why, struct release_outcome *ret_outcome);

/* What a site adds to a sum of a private job, before its share of the noise, and how it was made: both are compared with the
 * approved job before anything leaves. */
struct release_contribution {
    enum job_mechanism mechanism;
    double sampling_rate;   /* with which each row was taken; 1: all were */
    struct noise_grid grid; /* that the values are on */
    struct noise_grid counts_grid;
    const int64_t *values;     /* [vector->parameters] */
    const uint64_t *confusion; /* [vector->counts]: of the model that came in, on the test rows */
    struct noise *noise;       /* the site's randomness: the airlock draws the noise itself */
};

/* A site's vector of a round of secure aggregation (datasite/secagg_vector.h), or what it is made of. */
struct release_masked {
    const struct secagg_attempt *attempt;
    const struct secagg_vector *vector; /* its shape */
    uint32_t position;                  /* of this site in the roster */
    const uint8_t *sealed;              /* the sharers' shares for this site, which are kept with the slot */
    size_t sealed_bytes;
    uint64_t train_rows, test_rows; /* that are behind it */
    /* A further attempt of a round: the vector that was stored with the first leaves again, under other masks. What follows
     * is then not looked at, and no noise is drawn: that of two attempts would average out. */
    bool again;
    const struct release_contribution
        *contribution; /* of a private job, instead of what follows; else NULL */
    const double *from,
        *parameters; /* [vector->parameters]: the model that the round began with, and the site's own */
    const uint64_t
        *confusion; /* [vector->counts]: of the former on the test rows; NULL unless the job pools */
};
/* Encodes the vector, with noise where the job is private, adds all masks of the attempt's slot, and lets that out: nothing else of a job with secure aggregation
 * leaves, and no vector leaves without masks. On top of what is checked for an update: the job has secure aggregation,
 * the policy of now admits its roster, no hold, one run, counts only where no small cell is to be withheld, no agreement
 * was signed in the round, the slot is open and shared. In the same transaction the slot is bound to the context, and the
 * vector of the first attempt stored. Of a private job, instead of what depends on rows (their number, the norm of the change):
 * that it was made as the job says, and that the declared examples are as many as the owner's rules want. */
MUST_USE struct error *release_masked_input(const struct release_context *context,
                                            const struct release_masked *masked,
                                            struct release_outcome *ret_outcome);

/* Counts of the global model on the site's test rows. */
MUST_USE struct error *release_evaluation(const struct release_context *context, const uint64_t *confusion,
                                          struct release_outcome *ret_outcome);

/* ---- jobs with a mechanism of privacy, in clear (release_private.c) ---- */

struct mechanism_record;

/* Of a private job nothing leaves but this: parameters, the declared number of examples; and noised counts. */
struct release_private {
    /* dp-sgd: what the mechanism gave, and what it noted of itself. site-level: the site's own model, which the airlock itself
     * clips and adds noise to, and NULL. */
    const double *parameters; /* [count] */
    const struct mechanism_record *record;
    const double *from; /* [count]: the model that came in */
    size_t count;
};
/* As release_update. On top of it: the record is that of the job's mechanism, the round was begun in the ledger, and is
 * settled in the transaction of the release. Only the declared number of rows is looked at. */
MUST_USE struct error *release_private_update(const struct release_context *context,
                                              const struct release_private *update,
                                              struct release_outcome *ret_outcome);
/* `counts` [classes][classes], exact, of learning/private_counts.h: they get their noise here. Small ones are not withheld
 * (min_cell): the noise is what hides them. */
MUST_USE struct error *release_private_evaluation(const struct release_context *context,
                                                  const uint64_t *counts,
                                                  struct release_outcome *ret_outcome);

/* ---- what was answered before (release_repeat.c) ---- */

/* The bytes that left, or may leave, for a stored answer of the approved job `approval`: ERROR_UNTRUSTED unless its
 * receipt is of this site's own key and about this approval, job, run, round, kind and these very bytes. ERROR_HELD,
 * while the owner looks at it; ERROR_REFUSED, with the owner's reason. Output rules that became stricter after
 * the release do not take it back, whether it was fetched or not; revoking the approval does. */
MUST_USE struct error *release_repeat(const struct identity *identity, const struct decision *approval,
                                      const struct answer *answer, struct release_outcome *ret_outcome);
/* What the requester of a held answer is told, always the same. */
struct error *release_held_error(uint32_t round);

/* ---- the owner's word on what is held (release_held.c) ---- */

struct release_held {
    struct store *store;
    const struct identity *identity;
    const struct policy_gate *gate;
    const struct digest *job_id;
    const uint8_t *run_id; /* STORE_RUN_ID_BYTES */
    uint32_t round;
    enum answer_kind kind;
    int64_t now; /* Unix seconds */
};
/* Lets a held answer out, in one transaction: the approval holds, the run goes on, the answer is held and is the one
 * that was held, and the output rules of now (`gate`) are no stricter than those that it was made under; event and receipt are those of this moment. The requester gets it when it asks again. ERROR_NOT_FOUND
 * when nothing of that round is held. */
MUST_USE struct error *release_held_out(const struct release_held *held);
/* Keeps it back for good; `reason` is told to the requester. */
MUST_USE struct error *release_held_refuse(const struct release_held *held, const char *reason);
