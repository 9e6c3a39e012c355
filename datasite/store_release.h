/* The transaction of one release: what release*.c need of site.db beyond store.h, and nobody else uses.
 *
 *     store_release_begin      BEGIN IMMEDIATE: from here on no owner's command can change anything
 *       … reads of store.h and store_run_find: the checks …
 *     store_release_event      the event, chained and signed: its number and head are what a receipt is about
 *     store_release_answer     exact body and receipt, round counted
 *     store_release_commit     synchronous=FULL: when it returns, the release is on the disk
 *
 * An answer that was held is let out, or kept back, in the same way: store_release_event, then store_held_decide.
 *
 * store_release_rollback at any point leaves nothing; it accepts that nothing is open. */
#pragma once

#include "datasite/store.h"

struct release_record {
    const uint8_t *run_id; /* STORE_RUN_ID_BYTES */
    const struct digest *job_id;
    uint32_t round;
    uint32_t attempt; /* of a masked input, else 0 */
    enum answer_kind kind;
    enum answer_state state;            /* released: with a receipt; held: without */
    bool refused;                       /* the body is the refusal of a step that failed: without a receipt */
    const struct digest *model_digest;  /* of the parameters that came in */
    const struct dataset_info *dataset; /* as it was worked on */
    double update_norm;                 /* of what is released less what came in; NaN: none */
    const char *protections;            /* that were applied */
    const uint8_t *body;                /* the exact bytes that will leave */
    size_t body_bytes;
    int64_t now;
    const char *detail; /* of the event: one sentence without private values */
};

/* An event as it was just added, with the signed head of the chain after it. */
struct release_event {
    struct digest digest; /* of the exact bytes that it is about */
    struct chain_head head;
    uint8_t signature[SIGNATURE_BYTES];
};

/* Answers, released, held or refused, that the events know of: of all runs of the job, and of this very round. */
struct release_events {
    uint64_t of_job, of_round;
    uint64_t rows; /* answers of this round and kind that are stored, whatever the attempt */
};
MUST_USE struct error *store_release_events(struct store *store, const struct digest *job_id,
                                            const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                            enum answer_kind kind, struct release_events *ret_events);
/* How many of them left in this run: at once, or let out by the owner. */
MUST_USE struct error *store_release_left(struct store *store, const struct digest *job_id,
                                          const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                          enum answer_kind kind, uint64_t *ret_left);
/* Of how many different rounds of_job is, of all runs, this one not counted: never more than of_job less of_round, which costs
 * less to ask for. */
MUST_USE struct error *store_release_rounds(struct store *store, const struct digest *job_id,
                                            const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                            enum answer_kind kind, uint64_t *ret_rounds);

/* Bytes of all answers of the job that left or may leave: all runs together, without refusals. */
MUST_USE struct error *store_release_bytes(struct store *store, const struct digest *job_id,
                                           uint64_t *ret_bytes);

/* The versions of a dataset that answers of the job, which left or may leave, came from. */
struct release_versions {
    uint64_t most_rows; /* of the longest; 0: no answer yet */
    bool known;         /* `digest` is one of them */
};
MUST_USE struct error *store_release_versions(struct store *store, const struct digest *job_id,
                                              const struct digest *digest,
                                              struct release_versions *ret_versions);

MUST_USE struct error *store_release_begin(struct store *store);
MUST_USE struct error *store_release_event(struct store *store, const struct release_record *record,
                                           struct release_event *ret_event);
/* `receipt` (encoded) NULL: none. */
MUST_USE struct error *store_release_answer(struct store *store, const struct release_record *record,
                                            const struct release_event *event, const uint8_t *receipt,
                                            size_t receipt_bytes);
/* The bytes of masked inputs of earlier rounds of the run, whose sums this site has taken, by its events: nobody asks for them
 * again, and no further attempt is made of them. What is left of them are their rows, receipts and events. In the transaction of
 * the next release, so that its bytes take their place in the file. */
MUST_USE struct error *store_release_forget(struct store *store, const struct digest *job_id,
                                            const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round);
MUST_USE struct error *store_release_commit(struct store *store);
void store_release_rollback(struct store *store);

/* What the owner says about an answer that is held; `state` is released, with a receipt, or refused, with the
 * owner's reason. ERROR_CONFLICT when it is not held. */
struct held_decision {
    const struct answer *answer;
    enum answer_state state;
    const uint8_t *receipt; /* encoded; NULL: none */
    size_t receipt_bytes;
    const char *protections;
    const char *reason;
    int64_t now;
    const char *detail; /* of the event */
};
/* Adds the event of the decision: held-released or held-refused. */
MUST_USE struct error *store_held_event(struct store *store, const struct held_decision *decision,
                                        struct release_event *ret_event);
MUST_USE struct error *store_held_decide(struct store *store, const struct held_decision *decision,
                                         const struct release_event *event);

/* ERROR_NOT_FOUND if the run never began here. */
MUST_USE struct error *store_run_find(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                      struct run_record *ret_run);
