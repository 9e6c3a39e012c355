/* What the store*.c files that read and add events share. Nobody else includes it. */
#pragma once

#include "database/database.h"
#include "datasite/store.h"

#define EVENT_COLUMNS                                                                                        \
    "event.id, event.at, event.kind, event.job_id, event.run_id, event.round, event.detail, event.digest"

/* The row that the query stands on, of EVENT_COLUMNS. Texts are valid until the next step; `ret_digests` has room for
 * the job id and the digest. ERROR_CORRUPT. */
MUST_USE struct error *event_read(struct query *query, struct digest ret_digests[static 2],
                                  uint8_t ret_run_id[static STORE_RUN_ID_BYTES],
                                  struct chain_event *ret_event);
/* A column behind them: *ret_bytes is `place` with the blob of `count` bytes, or NULL where there is none. ERROR_CORRUPT. */
MUST_USE struct error *event_blob(struct query *query, int column, size_t count, uint8_t *place,
                                  const uint8_t **ret_bytes);

/* Signs it behind `previous`, and adds it, in the transaction that is open. */
MUST_USE struct error *event_sign(struct store *store, const struct chain_event *event,
                                  const struct digest *previous);
