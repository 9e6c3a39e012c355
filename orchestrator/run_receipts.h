/* The receipts of a run as files: `receipts/` beside run.db, one JSON object each (audit/receipt_folder.h), named
 * round-0003-site-1-update.json, or round-0003-site-1-masked-input-1.json of the first attempt under secure aggregation. They are copies, for people and for the sites' owners (`datasite audit verify
 * --receipts`); run.db is the record. */
#pragma once

#include "orchestrator/run_record.h"

#define RUN_RECEIPTS_FOLDER "receipts"
#define RUN_RECEIPT_NAME_BYTES 64

/* `site` and `attempt` count from 0, in the job's order; names count from 1. */
void run_receipt_name(uint32_t round, size_t site, enum receipt_kind kind, uint32_t attempt,
                      char ret_name[static RUN_RECEIPT_NAME_BYTES]);
/* Whether it is a name of that form. */
MUST_USE bool run_receipt_named(const char *name);

/* Writes those of `record` into `directory`/receipts, each whole or not at all, and takes away what an earlier run left
 * there under such names. A run without receipts leaves no folder. */
MUST_USE struct error *run_receipts_write(const struct run_record *record, const char *directory);
