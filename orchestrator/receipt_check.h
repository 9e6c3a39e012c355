/* Whether the receipts of a run hold, each for itself and all together.
 *
 * Each one: both signatures (audit/receipt.h), that it is of the site at its place in the job, of this job, run, round
 * and kind, and of the bytes that arrived. Together: every site that counted in a round has one for its update, or for its masked input in
 * the attempt that was summed; those of one site follow each other in its chain, so that no event is there twice and none comes before an earlier one.
 * And the model of a round is the one that its hash names.
 *
 * What arrived is known by its digest only, so that a model cannot be computed again from the receipts. */
#pragma once

#include "orchestrator/run_record.h"

#define RECEIPT_CHECK_PROBLEMS 1000 /* more are counted and not described */
#define RECEIPT_CHECK_NO_SITE SIZE_MAX

struct receipt_problem {
    uint32_t round; /* 0: of the run as a whole */
    size_t site;    /* in the job's order, or RECEIPT_CHECK_NO_SITE */
    char sentence[320];
};

struct receipt_check {
    size_t held;     /* receipts that hold */
    size_t receipts; /* that there are */
    size_t wanted;   /* updates and masked inputs that counted, and so need one */
    size_t
        unused; /* masked inputs with a receipt that are in no sum, of a round or of an attempt before its last */
    struct receipt_problem *problems;
    size_t problem_count; /* at most RECEIPT_CHECK_PROBLEMS are described */
};

/* A record without receipts, because an older version wrote it, or because it is of mock data, has no problem other than
 * that. Fails only for lack of memory. */
MUST_USE struct error *receipt_check_run(const struct run_record *record, struct receipt_check *ret_check);

/* The same, and the folder of the run's receipts (run_receipts.h): every receipt has its file, with the same content,
 * and there is no file more. A run that was killed has no reports and no such folder: then run.db is all there is. */
MUST_USE struct error *receipt_check_files(const struct run_record *record, const char *directory,
                                           struct receipt_check *check);
void receipt_check_clear(struct receipt_check *check); /* accepts a zeroed one */
