/* A run from the job file to its reports: reads and checks the job, makes its record in the home, lets the
 * engine do the rounds, writes the reports of whatever there is, also when the run stopped early, and puts
 * copies of all files where the researcher wants them. */
#pragma once

#include "orchestrator/engine.h"
#include "orchestrator/home.h"
#include "orchestrator/run_out.h"
#include "orchestrator/site_list.h"

struct run {
    struct run_record *record;
    char *directory; /* of the record; absolute */
    char *reports;   /* where the reports are, absolute; NULL: nowhere */
    struct run_out out;
    struct run_store *store;
    struct initial_model *initial;
    struct evaluate *global_test;
    struct receipt *witnesses; /* [job->site_count], see engine.h */
    double computed_noise;     /* what the job's bytes were given, see job_file.h; 0: nothing */
};

struct run_options {
    const char *job_path;
    const char *out;           /* directory for copies of the files, or NULL */
    const char *initial_model; /* file, or NULL */
    bool mock;                 /* on the sites' mock data */
};

/* Everything that can be refused before a site is asked: the job file (syntax, expiry, fingerprints against
 * the list), the initial model, the global test's data, the place for the files, another run of this home that
 * goes on with one of the sites. The run is recorded on disk
 * when this returns; when it fails, nothing is left behind. */
MUST_USE struct error *run_prepare(const struct home *home, const struct site_list *list,
                                   const struct run_options *options, struct run *ret_run);

/* Runs the engine by `plan`, in which record, store, initial and global_test are filled in here, and writes
 * the reports and the copies. The first failure is returned, later ones are told as warnings; the record has
 * the status. */
MUST_USE struct error *run_execute(struct run *run, const struct home *home, const struct engine_plan *plan);

void run_clear(struct run *run); /* accepts a zeroed one */
