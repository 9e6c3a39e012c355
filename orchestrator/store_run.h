/* Shared by store_run.c, which writes run.db, and store_run_load.c and store_run_receipts.c, which read it back. */
#pragma once

#include "database/database.h"
#include "orchestrator/run_store.h"

extern const struct database_kind run_database;

/* ERROR_CORRUPT that says what is wrong, and what would do. */
MUST_USE struct error *run_store_damaged(struct database *database, const char *what);
/* NULL: there is no round of this number. */
struct round_record *run_store_find_round(struct run_record *record, int64_t number);
/* Ends the query in any case; the failure that was noticed first is the one that is told. */
MUST_USE struct error *query_close(struct query *query, struct error *err);
/* Into the rounds, which are there already. */
MUST_USE struct error *run_store_load_receipts(struct database *database, struct run_record *record);

/* Numbers in a model, and words in a confusion matrix. */
static inline size_t store_run_parameters(const struct run_record *record)
{
    return ((size_t)record->features + 1) * record->classes;
}

static inline size_t store_run_cells(const struct run_record *record)
{
    return confusion_words(record->classes);
}
