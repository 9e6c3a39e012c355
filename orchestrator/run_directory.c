#include "orchestrator/run_directory.h"

#include "orchestrator/run_store.h"
#include "schemas/files.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

/* Everything that a run leaves behind. */
static const char *const run_files[] = {"run.db",     "run.db-wal",    "run.db-shm",
                                        "job.yaml",   "report.json",   "report.html",
                                        "rounds.csv", "confusion.csv", "model.safetensors"};

static struct error *is_empty(const char *directory, bool *ret_empty)
{
    struct error *err = NULL;
    bool empty = true;
    DIR *listing = opendir(directory);
    if (listing == NULL)
        return error_errno(ERROR_IO, errno, "The directory %s cannot be read", directory);
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            empty = false;
    (void)closedir(listing);
    *ret_empty = empty;
    return err;
}

static struct error *remove_old_link(const struct home *home, const struct run_record *old)
{
    struct error *err = NULL;
    char *link = NULL;
    char id[RUN_ID_HEX_BYTES];
    char target[2];
    run_id_format(old->run_id, id);
    TRY(path_join(home->runs_path, id, &link));
    if (readlink(link, target, sizeof target) > 0)
        (void)unlink(link);
done:
    free(link);
    return err;
}

/* Removes the files of a run that is over. */
static struct error *clear(const struct home *home, const char *directory)
{
    struct error *err = NULL;
    struct run_record *old = NULL;
    err = run_store_load(directory, &old);
    if (err != NULL) {
        error_free(err);
        err = error_new(ERROR_CONFLICT, "%s is not empty and holds no run; name an empty or a new directory.",
                        directory);
        goto done;
    }
    if (old->status == RUN_RUNNING)
        FAIL(ERROR_CONFLICT, "A run is writing to %s; wait for its end, or name another directory.",
             directory);
    TRY(remove_old_link(home, old));
    for (size_t i = 0; i < sizeof run_files / sizeof run_files[0]; i++) {
        char *path = NULL;
        TRY(path_join(directory, run_files[i], &path));
        int failed = unlink(path) != 0 && errno != ENOENT ? errno : 0;
        if (failed != 0)
            err = error_errno(ERROR_IO, failed, "%s cannot be replaced", path);
        free(path);
        if (err != NULL)
            goto done;
    }
done:
    run_record_free(old);
    return err;
}

static struct error *absolute(const char *directory, char **ret_directory)
{
    char *path = realpath(directory, NULL);
    if (path == NULL)
        return error_errno(ERROR_IO, errno, "The directory %s cannot be found", directory);
    *ret_directory = path;
    return NULL;
}

struct error *run_directory_prepare(const struct home *home, const struct run_record *record, const char *out,
                                    char **ret_directory)
{
    struct error *err = NULL;
    char *inside = NULL;
    char *directory = NULL;
    char id[RUN_ID_HEX_BYTES];
    bool empty = false;
    run_id_format(record->run_id, id);
    TRY(path_join(home->runs_path, id, &inside));
    TRY(directory_make(out == NULL ? inside : out, 0700));
    TRY(absolute(out == NULL ? inside : out, &directory));
    TRY(is_empty(directory, &empty));
    if (!empty)
        TRY(clear(home, directory));
    if (out != NULL) {
        TRY(directory_make(home->runs_path, 0700));
        if (symlink(directory, inside) != 0) {
            err = error_errno(ERROR_IO, errno, "%s cannot be made", inside);
            goto done;
        }
    }
    *ret_directory = directory;
    directory = NULL;
done:
    free(directory);
    free(inside);
    return err;
}
