#include "orchestrator/run_directory.h"

#include "schemas/files.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* What run_store_create makes, whole or in part. */
static const char *const record_files[] = {"run.db", "run.db-wal", "run.db-shm", "run.db-journal",
                                           "job.yaml"};

struct error *run_directory_make(const struct home *home, const struct run_record *record,
                                 char **ret_directory)
{
    struct error *err = NULL;
    char *named = NULL;
    char *directory = NULL;
    char id[RUN_ID_HEX_BYTES];
    run_id_format(record->run_id, id);
    TRY(path_join(home->runs_path, id, &named));
    TRY(directory_make(home->runs_path, 0700));
    if (mkdir(named, 0700) != 0) {
        err = error_errno(ERROR_IO, errno, "The directory %s cannot be made", named);
        goto done;
    }
    directory = realpath(named, NULL);
    if (directory == NULL) {
        err = error_errno(ERROR_IO, errno, "The directory %s cannot be found", named);
        (void)rmdir(named);
        goto done;
    }
    *ret_directory = directory;
done:
    free(named);
    return err;
}

void run_directory_discard(const char *directory)
{
    for (size_t i = 0; i < sizeof record_files / sizeof record_files[0]; i++) {
        char *path = NULL;
        struct error *err = path_join(directory, record_files[i], &path);
        if (err == NULL)
            (void)unlink(path);
        error_free(err);
        free(path);
    }
    (void)rmdir(directory);
}
