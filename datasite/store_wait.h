/* Why a job waits for the owner although a rule of the policy would have approved it. Written once, when the job comes in. */
#pragma once

#include "datasite/store.h"

/* Of a stored job; `told`: the requester may know. A job that has a reason keeps it. */
MUST_USE struct error *store_wait_add(struct store *store, const struct digest *job_id, bool told,
                                      const char *sentence);
/* "" where there is none. */
MUST_USE struct error *store_wait_find(struct store *store, const struct digest *job_id, bool *ret_told,
                                       char ret_sentence[static ERROR_SENTENCE_BYTES]);
