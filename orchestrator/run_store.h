/* runs/<run-id>/ on disk: run.db and the files that reports write. Only store_run.c speaks SQL. */
#pragma once

#include "orchestrator/run_record.h"

struct run_store;

/* Makes `directory` (0700) with job.yaml (exact bytes) and run.db; `record` gives ids, job, started_at. */
MUST_USE struct error *run_store_create(const char *directory, const struct run_record *record,
                                        struct run_store **ret_store);
/* features, classes, approved_at once all sites have approved. */
MUST_USE struct error *run_store_approved(struct run_store *store, const struct run_record *record);
/* One round, or the evaluation after the last one, in one transaction. */
MUST_USE struct error *run_store_round(struct run_store *store, const struct run_record *record,
                                       const struct round_record *round);
/* The pooled confusion matrix of a round that is stored: under secure aggregation it is known a round later. */
MUST_USE struct error *run_store_pooled(struct run_store *store, const struct run_record *record,
                                        const struct round_record *round);
MUST_USE struct error *run_store_end(struct run_store *store, const struct run_record *record);
/* The whole record as it is now, as one file at `path`, atomically, mode 0600. */
MUST_USE struct error *run_store_copy(struct run_store *store, const char *path);
void run_store_close(struct run_store *store); /* accepts NULL */

/* Reads a whole run back, receipts too (unverified); one of an older version has none. A run whose process is gone without an end reads as RUN_STOPPED ("was
 * interrupted"). */
MUST_USE struct error *run_store_load(const char *directory, struct run_record **ret_record);

/* The receipt with the highest sequence of each site, of a run that may be going on: calls `visit` for each. Receipts
 * are unverified. */
MUST_USE struct error *run_store_latest_receipts(const char *directory,
                                                 struct error *(*visit)(void *context,
                                                                        const struct receipt *receipt),
                                                 void *context);

/* What lists show of a run. NAN: not released. */
struct run_outline {
    uint32_t rounds; /* that made a model */
    /* Exact, of the last model: pooled, else of the global test; where the result is the mean of the last models, that of the
     * global test of it. */
    double accuracy;
    double noised,
        noised_deviation; /* estimated from the noised counts of a private job, of the last model */
};
/* A run without its rounds, and what they came to. */
MUST_USE struct error *run_store_load_outline(const char *directory, struct run_record **ret_record,
                                              struct run_outline *ret_outline);
