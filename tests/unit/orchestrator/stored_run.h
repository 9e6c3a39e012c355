/* Runs that a test writes to a directory, and comparisons of what is read back. */
#pragma once

#include "made_run.h"

#include "orchestrator/store_run.h"

/* Everything up to and including round `rounds`; the store stays open. */
struct run_store *stored_run_write(const char *directory, const struct run_record *record, size_t rounds);
void stored_run_whole(const char *directory, const struct run_record *record);

void stored_run_same_round(const struct round_record *a, const struct round_record *b);
void stored_run_same(const struct run_record *a, const struct run_record *b);

/* One that nobody signed; malloc'ed. */
struct site_receipt *stored_run_receipt(enum receipt_kind kind, uint64_t sequence);
