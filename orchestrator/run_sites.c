#include "orchestrator/run_sites.h"

#include "orchestrator/run_list.h"
#include "orchestrator/run_store.h"
#include "schemas/clock.h"
#include "schemas/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define LOCK_SECONDS 10
#define LOCK_STEP_NS 20000000L

/* A run of this home that has a site of a job. */
struct holder {
    const struct job *job;
    char run_id[RUN_ID_HEX_BYTES]; /* "": none */
    char site[JOB_SITE_NAME_BYTES];
};

struct error *run_sites_visit(const char *home_path,
                              void (*visit)(void *context, const struct run_record *record), void *context)
{
    struct error *err = NULL;
    struct run_list list = {0};
    TRY(run_list_read(home_path, &list));
    for (size_t i = 0; i < list.count; i++) {
        struct run_record *record = NULL;
        struct run_outline outline;
        if (list.runs[i].damage != NULL || list.runs[i].status != RUN_RUNNING)
            continue;
        TRY(run_store_load_outline(list.runs[i].directory, &record, &outline));
        if (record->status == RUN_RUNNING && !record->mock)
            visit(context, record);
        run_record_free(record);
    }
done:
    run_list_clear(&list);
    return err;
}

static void look_for_shared(void *context, const struct run_record *record)
{
    struct holder *holder = context;
    for (size_t i = 0; i < holder->job->site_count; i++) {
        const struct job_site *site = &holder->job->sites[i];
        for (size_t s = 0; s < record->job->site_count && holder->run_id[0] == '\0'; s++) {
            if (strcmp(record->job->sites[s].fingerprint, site->fingerprint) != 0)
                continue;
            run_id_format(record->run_id, holder->run_id);
            (void)snprintf(holder->site, sizeof holder->site, "%s", site->name);
        }
    }
}

struct error *run_sites_check(const struct home *home, const struct job *job)
{
    struct error *err = NULL;
    struct holder holder = {.job = job};
    TRY(run_sites_visit(home->path, look_for_shared, &holder));
    if (holder.run_id[0] != '\0')
        FAIL(ERROR_CONFLICT,
             "Run %.12s of this home goes on with '%s', and a second one would throw its connections out. "
             "Wait "
             "for its end, cancel it with Ctrl-C where it runs, or run this job from another home, which the "
             "owners have to trust first.",
             holder.run_id, holder.site);
done:
    return err;
}

struct error *run_sites_lock(const struct home *home, int *ret_lock)
{
    struct error *err = NULL;
    int lock = -1;
    int64_t until = clock_now_ms() + LOCK_SECONDS * 1000;
    TRY(directory_make(home->runs_path, 0700));
    lock = open(home->runs_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0) {
        err = error_errno(ERROR_IO, errno, "The directory %s cannot be opened", home->runs_path);
        goto done;
    }
    while (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            (void)close(lock);
            lock = -1;
            break;
        }
        if (clock_now_ms() > until)
            FAIL(ERROR_BUSY, "Another run of this home has been beginning for %d seconds; try again.",
                 LOCK_SECONDS);
        (void)nanosleep(&(struct timespec){.tv_nsec = LOCK_STEP_NS}, NULL);
    }
    *ret_lock = lock;
    lock = -1;
done:
    if (lock >= 0)
        (void)close(lock);
    return err;
}
