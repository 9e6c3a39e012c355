/* The transaction of one release: what release.c needs of site.db beyond store.h, and nobody else uses.
 *
 *     store_release_begin      BEGIN IMMEDIATE: from here on no owner's command can change anything
 *       … reads of store.h and store_run_find: the checks …
 *     store_release_add        event, exact body, round counted
 *     store_release_commit     synchronous=FULL: when it returns, the release is on the disk
 *
 * store_release_rollback at any point leaves nothing; it accepts that nothing is open. */
#pragma once

#include "datasite/store.h"

struct release_record {
    const uint8_t *run_id; /* STORE_RUN_ID_BYTES */
    const struct digest *job_id;
    uint32_t round;
    enum answer_kind kind;
    bool refused;                      /* the body is the refusal of a step that failed */
    const struct digest *model_digest; /* of the parameters that came in */
    const uint8_t *body;               /* the exact bytes that will leave */
    size_t body_bytes;
    int64_t now;
    const char *detail; /* of the event: one sentence without private values */
};

/* Answers, released or refused, that the events know of: of all runs of the job, and of this very round. */
struct release_events {
    uint64_t of_job, of_round;
};
MUST_USE struct error *store_release_events(struct store *store, const struct digest *job_id,
                                            const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                            enum answer_kind kind, struct release_events *ret_events);

/* Bytes of all answers of the job that left or may leave: all runs together, without refusals. */
MUST_USE struct error *store_release_bytes(struct store *store, const struct digest *job_id,
                                           uint64_t *ret_bytes);

MUST_USE struct error *store_release_begin(struct store *store);
MUST_USE struct error *store_release_add(struct store *store, const struct release_record *record);
MUST_USE struct error *store_release_commit(struct store *store);
void store_release_rollback(struct store *store);

/* ERROR_NOT_FOUND if the run never began here. */
MUST_USE struct error *store_run_find(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                      struct run_record *ret_run);
