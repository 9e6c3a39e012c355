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

/* What version 4 has more: of private jobs, and of features. The rounds and their sites are there already. */
MUST_USE struct error *run_store_load_private(struct database *database, struct run_record *record);
/* For lists: the estimate of the last model, and the accuracy of the mean of the last ones where there is one; else untouched. */
MUST_USE struct error *run_store_load_private_outline(struct database *database,
                                                      const struct run_record *record,
                                                      struct run_outline *outline);
/* A column of `count` words, or NULL; `more` words may follow, which are 0 when they do not. */
MUST_USE struct error *query_words(struct query *query, int column, size_t count, size_t more,
                                   const char *what, uint64_t **ret_words, bool *ret_whole);
MUST_USE struct error *query_confusion(struct query *query, int column, const struct run_record *record,
                                       uint64_t **ret_counts);
/* A column of `count` finite float64, or NULL. */
MUST_USE struct error *query_doubles(struct query *query, int column, size_t count, const char *what,
                                     double **ret_values);
/* NAN for NULL. */
double query_known(struct query *query, int column);

/* Words in a confusion matrix. */
static inline size_t store_run_cells(const struct run_record *record)
{
    return confusion_words(record->classes);
}

/* Counts alone. */
static inline size_t store_run_counts(const struct run_record *record)
{
    return (size_t)record->classes * record->classes;
}
