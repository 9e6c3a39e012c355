/* The runs of a home: runs/<run-id>/, where <run-id> is 32 hex digits (a directory, or a link to one
 * elsewhere). */
#pragma once

#include "orchestrator/run_record.h"

/* What a list shows of a run. A run that cannot be read is in the list too, with the sentence that says why.
 */
struct run_summary {
    char run_id[RUN_ID_HEX_BYTES];
    char *directory;
    char *damage; /* NULL: it could be read */
    char job_name[JOB_NAME_BYTES];
    bool mock; /* on synthetic rows */
    enum run_status status;
    char reason[512];
    int64_t started_at;
    uint32_t rounds_done, rounds_planned;
    double accuracy; /* exact, of the result: pooled, else the global test (run_store.h); NAN: not released */
    double noised,
        noised_deviation; /* of a private job: estimated from noised counts; NAN: none were released */
};

struct run_list {
    struct run_summary *runs; /* by start, the latest last; those that cannot be read come first */
    size_t count;
};

/* More are ERROR_LIMIT; old ones can be moved away. */
#define RUN_LIST_MAX 10000

/* `home` need not have a runs/ yet: then the list is empty. */
MUST_USE struct error *run_list_read(const char *home, struct run_list *ret_list);
void run_list_clear(struct run_list *list); /* accepts a zeroed one */

/* The directory of the run whose id starts with `prefix`, or of the latest one for NULL; malloc'ed.
 * ERROR_NOT_FOUND when there is none, ERROR_CONFLICT when several ids start so. */
MUST_USE struct error *run_list_find(const char *home, const char *prefix, char **ret_directory);
