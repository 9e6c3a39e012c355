/* What store_job.c and store_decision.c share, and the end of a query with store_secagg*.c. */
#pragma once

#include "datasite/store_internal.h"

/* Ends the query; of `err` and the query's own failure, the one that was noticed first is the one to tell. */
MUST_USE struct error *job_query_end(struct query *query, struct error *err);
/* ERROR_CORRUPT for a word that is no state. */
MUST_USE struct error *job_state_parse(const char *word, enum job_state *ret_state);
/* The present state of a job; ERROR_NOT_FOUND. */
MUST_USE struct error *job_state_read(struct store *store, const struct digest *id,
                                      enum job_state *ret_state);
