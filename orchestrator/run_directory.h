/* Where a run is recorded: runs/<run-id>/ of the home, a real directory that belongs to this run alone. */
#pragma once

#include "orchestrator/home.h"
#include "orchestrator/run_record.h"

/* *ret_directory (malloc'ed, absolute) exists and is empty when this returns. */
MUST_USE struct error *run_directory_make(const struct home *home, const struct run_record *record,
                                          char **ret_directory);

/* Takes a directory away in which a run could not be begun, with what was made in it until then. */
void run_directory_discard(const char *directory);
