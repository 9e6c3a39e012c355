/* Which sites the runs of a home are busy with. A site keeps one connection of a key: a second one, of another process
 * of the same home, takes the first one's place. So two runs that share a site must not go on at the same time. */
#pragma once

#include "orchestrator/home.h"
#include "orchestrator/run_record.h"

/* Calls `visit` with the outline of each run of the home that goes on (its process is alive) and that trains at its
 * sites: runs on mock data ask for their rows alone and do not count. */
MUST_USE struct error *run_sites_visit(const char *home_path,
                                       void (*visit)(void *context, const struct run_record *record),
                                       void *context);

/* ERROR_CONFLICT when a run that goes on has a site of the job: names both, and what would do. */
MUST_USE struct error *run_sites_check(const struct home *home, const struct job *job);

/* One at a time, from the check until the new run is recorded; at most 10 seconds, then ERROR_BUSY. Close *ret_lock
 * afterwards; -1 where the file system has no locks. Makes runs/ if it is not there. */
MUST_USE struct error *run_sites_lock(const struct home *home, int *ret_lock);
