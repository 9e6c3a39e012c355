/* The directory that a researcher names for the files of a run (`--out`). The run is recorded in the home all
 * the same; here go copies of its files when it is over: run.db, job.yaml and the reports, each of them
 * atomically.
 *
 * It has to be new or empty, or hold the files of an earlier run. Those are replaced, file by file, only by a
 * run that made a model, so that a run that comes to nothing destroys nothing; other files beside them are
 * left alone. The record of a run in a home is never replaced. So a script can write to one place again and
 * again, and a mistyped path loses nothing. */
#pragma once

#include "orchestrator/home.h"
#include "orchestrator/run_record.h"
#include "orchestrator/run_store.h"

struct run_out {
    char *directory; /* absolute; NULL: none was named */
    bool made;       /* by run_out_claim */
};

/* Before any site is asked: makes the directory if it is new. ERROR_CONFLICT says what is in the way. */
MUST_USE struct error *run_out_claim(const struct home *home, const char *path, struct run_out *ret_out);

/* After the run: everything is looked at again, because the run took a while. *ret_delivered is false when
 * the directory holds another run, and this one has made no model. */
MUST_USE struct error *run_out_deliver(const struct run_out *out, const struct home *home,
                                       struct run_store *store, const struct run_record *record,
                                       bool *ret_delivered);

/* Whether the reports of `record` alone, without its run.db, may be written into `path`, which need not exist.
 * ERROR_CONFLICT when the record of another run is there, or the reports of another one and this run made no model.
 * Files that are none of ours are left alone. */
MUST_USE struct error *run_out_admit(const char *path, const struct run_record *record);

/* The run never began: a directory that was made for it goes. */
void run_out_abandon(const struct run_out *out);
void run_out_clear(struct run_out *out); /* accepts a zeroed one */
