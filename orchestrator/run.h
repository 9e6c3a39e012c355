/* A run from the job file to its reports: reads and checks the job, finds a place for the files, lets the
 * engine do the rounds, and writes the reports of whatever there is, also when the run stopped early. */
#pragma once

#include "orchestrator/engine.h"
#include "orchestrator/home.h"
#include "orchestrator/site_list.h"

struct run {
    struct run_record *record;
    char *directory; /* absolute */
    struct run_store *store;
    struct initial_model *initial;
    struct evaluate *global_test;
};

struct run_options {
    const char *job_path;
    const char *out;           /* NULL: below the home's runs/ */
    const char *initial_model; /* file, or NULL */
};

/* Everything that can be refused before a site is asked: the job file (syntax, expiry, fingerprints against
 * the list), the initial model, the global test's data, the place for the files. The run is recorded on disk
 * when this returns. */
MUST_USE struct error *run_prepare(const struct home *home, const struct site_list *list,
                                   const struct run_options *options, struct run *ret_run);

/* Runs the engine by `plan`, in which record, store, initial and global_test are filled in here, and writes
 * the reports. The first failure is returned; the record has the status. */
MUST_USE struct error *run_execute(struct run *run, const struct engine_plan *plan);

void run_clear(struct run *run); /* accepts a zeroed one */
