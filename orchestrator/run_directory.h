/* Where the files of a run go: runs/<run-id>/ of the home, or a directory that the researcher names.
 *
 * A directory that is named has to be empty or new, or hold a run of this program that is over: its files are
 * then replaced, and nothing else in the directory is touched. So a script can write to one place again and
 * again, and a mistyped path loses nothing. A run kept elsewhere is linked from runs/<run-id>, so that
 * `orchestrator runs` sees it. */
#pragma once

#include "orchestrator/home.h"
#include "orchestrator/run_record.h"

/* *ret_directory (malloc'ed, absolute) exists when this returns. `out` NULL: below runs/. ERROR_CONFLICT says
 * what is in the way. */
MUST_USE struct error *run_directory_prepare(const struct home *home, const struct run_record *record,
                                             const char *out, char **ret_directory);
