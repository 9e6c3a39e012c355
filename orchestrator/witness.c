#include "orchestrator/witness.h"

#include "audit/receipt_folder.h"
#include "orchestrator/run_store.h"
#include "schemas/clock.h"
#include "schemas/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

static struct error *witness_path(const struct home *home, const struct site_id *site, char **ret_path)
{
    struct error *err = NULL;
    char name[DIGEST_HEX_BYTES + sizeof RECEIPT_FOLDER_SUFFIX];
    char hex[DIGEST_HEX_BYTES];
    digest_hex(&site->digest, hex);
    (void)snprintf(name, sizeof name, "%s" RECEIPT_FOLDER_SUFFIX, hex);
    TRY(path_join(home->witness_path, name, ret_path));
done:
    return err;
}

struct error *witness_read(const struct home *home, const struct site_id *site, struct receipt *ret_receipt)
{
    struct error *err = NULL;
    char *path = NULL;
    struct receipt receipt = {.sequence = 0};
    TRY(witness_path(home, site, &path));
    err = receipt_file_read(path, &receipt);
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_clear(&err);
        receipt.sequence = 0;
    } else if (err == NULL) {
        err = receipt_verify(&receipt);
        if (err == NULL && !site_id_equal(&receipt.site, site))
            err = error_new(ERROR_UNTRUSTED, "It is of another site.");
    }
    if (err != NULL) {
        struct error *said = error_new(ERROR_CORRUPT,
                                       "%s, the latest receipt of a site, cannot be used, so the site is not "
                                       "asked for it: %s Restore it "
                                       "from a backup; it is left as it is.",
                                       path, err->sentence);
        error_free(err);
        err = said;
        goto done;
    }
    *ret_receipt = receipt;
done:
    free(path);
    return err;
}

/* Two programs that keep a witness take turns. */
static struct error *witness_lock(const struct home *home, int *ret_lock)
{
    struct error *err = NULL;
    TRY(directory_make(home->witness_path, 0700));
    int lock = open(home->witness_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        int saved = errno;
        if (lock >= 0)
            (void)close(lock);
        return error_errno(ERROR_IO, saved, "The directory %s cannot be used", home->witness_path);
    }
    *ret_lock = lock;
done:
    return err;
}

struct error *witness_keep(const struct home *home, const struct receipt *receipt)
{
    struct error *err = NULL;
    char *path = NULL;
    int lock = -1;
    struct receipt held;
    TRY(witness_path(home, &receipt->site, &path));
    TRY(witness_lock(home, &lock));
    TRY(witness_read(home, &receipt->site, &held));
    if (held.sequence == receipt->sequence && !digest_equal(&held.head, &receipt->head))
        FAIL(ERROR_UNTRUSTED,
             "A site signed two histories: its event %llu has one head in %s and another in a receipt of "
             "this run.",
             (unsigned long long)receipt->sequence, path);
    if (held.sequence < receipt->sequence)
        TRY(receipt_file_write(path, receipt));
done:
    if (lock >= 0)
        (void)close(lock);
    free(path);
    return err;
}

struct error *witness_set_aside(const struct home *home, const struct site_id *site, char **ret_path)
{
    struct error *err = NULL;
    char *path = NULL;
    char *aside = NULL;
    int lock = -1;
    TRY(witness_path(home, site, &path));
    TRY(witness_lock(home, &lock));
    if (asprintf(&aside, "%s.%lld", path, (long long)clock_now_ms()) < 0) {
        aside = NULL;
        FAIL(ERROR_MEMORY, "No memory for the name of a file.");
    }
    if (rename(path, aside) != 0 && errno == ENOENT)
        FAIL(ERROR_NOT_FOUND, "No receipt of the site is held in %s.", home->witness_path);
    if (access(aside, F_OK) != 0)
        FAIL(ERROR_IO, "%s cannot be renamed.", path);
    *ret_path = aside;
    aside = NULL;
done:
    if (lock >= 0)
        (void)close(lock);
    free(aside);
    free(path);
    return err;
}

/* ---- runs that were cut off ---- */

struct recovery {
    const struct home *home;
    unsigned looked_at; /* runs that were cut off */
};

static struct error *recover_one(void *context, const struct receipt *receipt)
{
    struct error *err = NULL;
    const struct recovery *recovery = context;
    TRY(receipt_verify(receipt));
    TRY(witness_keep(recovery->home, receipt));
done:
    return err;
}

/* A run that ended in order has no log beside its database. */
static bool has_log(const char *directory)
{
    char *log = NULL;
    struct error *err = path_join(directory, "run.db-wal", &log);
    bool found = err == NULL && access(log, F_OK) == 0;
    error_free(err);
    free(log);
    return found;
}

static struct error *recover_run(struct recovery *recovery, const char *name)
{
    struct error *err = NULL;
    char *directory = NULL;
    TRY(path_join(recovery->home->runs_path, name, &directory));
    if (!has_log(directory))
        goto done;
    recovery->looked_at++;
    err = error_prefix(run_store_latest_receipts(directory, recover_one, recovery), "Run %.8s", name);
done:
    free(directory);
    return err;
}

void witness_recover(const struct home *home, void (*tell)(const void *context, const char *sentence),
                     const void *context)
{
    struct recovery recovery = {.home = home};
    DIR *folder = opendir(home->runs_path);
    if (folder == NULL)
        return;
    for (const struct dirent *entry = readdir(folder); entry != NULL && recovery.looked_at < WITNESS_RUNS;
         entry = readdir(folder)) {
        if (entry->d_name[0] == '.')
            continue;
        struct error *err = recover_run(&recovery, entry->d_name);
        if (err != NULL)
            tell(context, err->sentence);
        error_free(err);
    }
    (void)closedir(folder);
}
