#include "orchestrator/run_out.h"

#include "orchestrator/report.h"
#include "schemas/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum holding { HOLDS_NOTHING, HOLDS_RUN };

static struct error *is_empty(const char *directory, bool *ret_empty)
{
    bool empty = true;
    DIR *listing = opendir(directory);
    if (listing == NULL)
        return error_errno(ERROR_IO, errno, "The directory %s cannot be read", directory);
    for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            empty = false;
    (void)closedir(listing);
    *ret_empty = empty;
    return NULL;
}

/* Two runs of one directory would mix their files; a run that is going on holds the same lock on its own. */
static struct error *lock(const char *directory, int *ret_lock)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(ERROR_IO, errno, "The directory %s cannot be opened", directory);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        (void)close(fd);
        return error_new(ERROR_CONFLICT,
                         "A run is writing to %s; wait for its end, or name another directory.", directory);
    }
    *ret_lock = fd;
    return NULL;
}

/* Whether the run in `directory` is recorded there, by this home or, as the name tells, by another one. */
static struct error *is_record(const struct home *home, const char *directory, const char *run_id,
                               bool *ret_record)
{
    struct error *err = NULL;
    char *inside = NULL;
    struct stat ours;
    struct stat theirs;
    const char *slash = strrchr(directory, '/');
    TRY(path_join(home->runs_path, run_id, &inside));
    bool same = stat(inside, &ours) == 0 && stat(directory, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
                ours.st_ino == theirs.st_ino;
    *ret_record = same || (slash != NULL && strcmp(slash + 1, run_id) == 0);
done:
    free(inside);
    return err;
}

static struct error *look(const struct home *home, const char *directory, enum holding *ret_holding)
{
    struct error *err = NULL;
    struct run_record *old = NULL;
    struct run_outline outline;
    bool empty = false;
    bool record = false;
    char id[RUN_ID_HEX_BYTES];
    TRY(is_empty(directory, &empty));
    if (empty) {
        *ret_holding = HOLDS_NOTHING;
        goto done;
    }
    err = run_store_load_outline(directory, &old, &outline);
    if (err != NULL) {
        error_free(err);
        err = error_new(ERROR_CONFLICT, "%s is not empty and holds no run; name an empty or a new directory.",
                        directory);
        goto done;
    }
    run_id_format(old->run_id, id);
    TRY(is_record(home, directory, id, &record));
    if (record)
        FAIL(ERROR_CONFLICT, "%s is the record of run %.8s, which stays; name another directory.", directory,
             id);
    *ret_holding = HOLDS_RUN;
done:
    run_record_free(old);
    return err;
}

struct error *run_out_claim(const struct home *home, const char *path, struct run_out *ret_out)
{
    struct error *err = NULL;
    struct run_out out = {0};
    enum holding holding = HOLDS_NOTHING;
    int held = -1;
    bool made = access(path, F_OK) != 0 && errno == ENOENT;
    TRY(directory_make(path, 0700));
    out.directory = realpath(path, NULL);
    if (out.directory == NULL) {
        err = error_errno(ERROR_IO, errno, "The directory %s cannot be found", path);
        goto done;
    }
    out.made = made;
    TRY(lock(out.directory, &held));
    TRY(look(home, out.directory, &holding));
    if (access(out.directory, W_OK | X_OK) != 0) {
        err = error_errno(ERROR_IO, errno, "The directory %s cannot be written", out.directory);
        goto done;
    }
    *ret_out = out;
    out = (struct run_out){0};
done:
    if (held >= 0)
        (void)close(held);
    run_out_abandon(&out);
    run_out_clear(&out);
    return err;
}

/* A log of the database that was here would be read as one of the database that comes. */
static struct error *remove_log(const char *directory, const char *name)
{
    struct error *err = NULL;
    char *path = NULL;
    TRY(path_join(directory, name, &path));
    if (unlink(path) != 0 && errno != ENOENT)
        err = error_errno(ERROR_IO, errno, "%s cannot be replaced", path);
done:
    free(path);
    return err;
}

/* run.db comes first: by it the directory is known again as that of a run, should this be broken off. */
static struct error *put_files(const char *directory, struct run_store *store,
                               const struct run_record *record)
{
    struct error *err = NULL;
    char *database = NULL;
    char *job = NULL;
    TRY(path_join(directory, "run.db", &database));
    TRY(path_join(directory, "job.yaml", &job));
    TRY(remove_log(directory, "run.db-wal"));
    TRY(remove_log(directory, "run.db-shm"));
    TRY(run_store_copy(store, database));
    TRY(file_write(job, record->job_bytes, record->job_byte_count, 0600));
    TRY(report_write(record, directory));
done:
    free(job);
    free(database);
    return err;
}

struct error *run_out_deliver(const struct run_out *out, const struct home *home, struct run_store *store,
                              const struct run_record *record, bool *ret_delivered)
{
    struct error *err = NULL;
    enum holding holding = HOLDS_NOTHING;
    int held = -1;
    TRY(directory_make(out->directory, 0700));
    TRY(lock(out->directory, &held));
    TRY(look(home, out->directory, &holding));
    bool deliver = holding == HOLDS_NOTHING || run_record_last_model(record) != NULL;
    if (deliver)
        TRY(put_files(out->directory, store, record));
    *ret_delivered = deliver;
done:
    if (held >= 0)
        (void)close(held);
    return err;
}

/* *ret_id: of the run whose report.json is there, "" when there is none or it cannot be read. */
static void reported_run(const char *directory, char ret_id[static RUN_ID_HEX_BYTES])
{
    char *path = NULL;
    json_t *report = NULL;
    struct error *err = path_join(directory, "report.json", &path);
    ret_id[0] = '\0';
    if (err == NULL && (report = json_load_file(path, 0, NULL)) != NULL) {
        const char *id = json_string_value(json_object_get(report, "run_id"));
        (void)snprintf(ret_id, RUN_ID_HEX_BYTES, "%s", id == NULL ? "" : id);
    }
    error_free(err);
    json_decref(report);
    free(path);
}

/* *ret_id: of the run whose run.db is there; one that cannot be read is nobody's to replace either. */
static struct error *recorded_run(const char *directory, char ret_id[static RUN_ID_HEX_BYTES])
{
    struct error *err = NULL;
    struct run_record *record = NULL;
    struct run_outline outline;
    err = run_store_load_outline(directory, &record, &outline);
    ret_id[0] = '\0';
    if (err != NULL && err->code == ERROR_NOT_FOUND)
        error_clear(&err);
    if (record != NULL)
        run_id_format(record->run_id, ret_id);
    run_record_free(record);
    return err;
}

struct error *run_out_admit(const char *path, const struct run_record *record)
{
    struct error *err = NULL;
    char ours[RUN_ID_HEX_BYTES];
    char theirs[RUN_ID_HEX_BYTES];
    run_id_format(record->run_id, ours);
    TRY(recorded_run(path, theirs));
    if (theirs[0] != '\0' && strcmp(ours, theirs) != 0)
        FAIL(ERROR_CONFLICT, "%s holds run %.8s, which stays; name another directory.", path, theirs);
    reported_run(path, theirs);
    if (theirs[0] != '\0' && strcmp(ours, theirs) != 0 && run_record_last_model(record) == NULL)
        FAIL(ERROR_CONFLICT,
             "%s was left as it is: it holds the reports of run %.8s, and this run made no model.", path,
             theirs);
done:
    return err;
}

void run_out_abandon(const struct run_out *out)
{
    if (out->made)
        (void)rmdir(out->directory);
}

void run_out_clear(struct run_out *out)
{
    free(out->directory);
    *out = (struct run_out){0};
}
