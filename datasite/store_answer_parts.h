/* What store_answer.c, store_airlock.c, store_release.c and store_made.c share. */
#pragma once

#include "datasite/store_internal.h"

/* The words of the columns `kind` and `state`. */
const char *answer_kind_word(enum answer_kind kind);
const char *answer_state_word(enum answer_state state);
/* The event that is written with an answer that leaves, or with the refusal of a step that failed. */
enum event_kind answer_event(enum answer_kind kind, bool refused);
/* Of the event of one that is held. Of a masked input there is none: what it would be is no kind of event. */
const char *answer_held_word(enum answer_kind kind);

/* In the transaction that ends a run: its answers that nobody presented a receipt of, or that were held, become unmade,
 * with one event that names their rounds; none without such answers. */
MUST_USE struct error *answers_unmade(struct store *store, const struct digest *job_id,
                                      const uint8_t run_id[static STORE_RUN_ID_BYTES], int64_t now);
