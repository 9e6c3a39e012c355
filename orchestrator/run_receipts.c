#include "orchestrator/run_receipts.h"

#include "audit/receipt_folder.h"
#include "schemas/files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <unistd.h>

void run_receipt_name(uint32_t round, size_t site, enum receipt_kind kind,
                      char ret_name[static RUN_RECEIPT_NAME_BYTES])
{
    (void)snprintf(ret_name, RUN_RECEIPT_NAME_BYTES, "round-%04u-site-%zu-%s" RECEIPT_FOLDER_SUFFIX,
                   (unsigned)round, site + 1, receipt_kind_word(kind));
}

static const char *skip_digits(const char *text)
{
    while (isdigit((unsigned char)*text))
        text++;
    return text;
}

bool run_receipt_named(const char *name)
{
    static const char before_round[] = "round-";
    static const char before_site[] = "-site-";
    if (strncmp(name, before_round, strlen(before_round)) != 0)
        return false;
    name = skip_digits(name + strlen(before_round));
    if (strncmp(name, before_site, strlen(before_site)) != 0)
        return false;
    name = skip_digits(name + strlen(before_site));
    return strcmp(name, "-update" RECEIPT_FOLDER_SUFFIX) == 0 ||
           strcmp(name, "-evaluation" RECEIPT_FOLDER_SUFFIX) == 0;
}

/* Not synced one by one, which takes a long run minutes: should the power fail now, run.db has them still. */
static struct error *write_one(const char *folder, const char *name, const struct receipt *receipt)
{
    struct error *err = NULL;
    char *path = NULL;
    char *temporary = NULL;
    json_t *object = NULL;
    TRY(path_join(folder, name, &path));
    TRY(path_join(folder, ".receipt", &temporary));
    TRY(receipt_to_json(receipt, &object));
    if (json_dump_file(object, temporary, JSON_INDENT(2)) != 0 || rename(temporary, path) != 0) {
        err = error_errno(ERROR_IO, errno, "%s cannot be written", path);
        (void)unlink(temporary);
    }
done:
    json_decref(object);
    free(temporary);
    free(path);
    return err;
}

static struct error *write_site(const char *folder, uint32_t round, size_t site,
                                const struct site_round *part)
{
    static const enum receipt_kind kinds[] = {RECEIPT_UPDATE, RECEIPT_EVALUATION};
    struct error *err = NULL;
    char name[RUN_RECEIPT_NAME_BYTES];
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        const struct site_receipt *kept = site_round_receipt(part, kinds[k]);
        if (kept == NULL)
            continue;
        run_receipt_name(round, site, kinds[k], name);
        TRY(write_one(folder, name, &kept->receipt));
    }
done:
    return err;
}

static void remove_old(const char *folder)
{
    DIR *listing = opendir(folder);
    if (listing == NULL)
        return;
    for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        if (run_receipt_named(entry->d_name))
            (void)unlinkat(dirfd(listing), entry->d_name, 0);
    }
    (void)closedir(listing);
    (void)rmdir(folder);
}

static bool has_receipts(const struct run_record *record)
{
    for (size_t r = 0; r < record->round_count; r++) {
        for (size_t s = 0; s < record->job->site_count; s++) {
            const struct site_round *part = &record->rounds[r].sites[s];
            if (part->update_receipt != NULL || part->evaluation_receipt != NULL)
                return true;
        }
    }
    return false;
}

struct error *run_receipts_write(const struct run_record *record, const char *directory)
{
    struct error *err = NULL;
    char *folder = NULL;
    TRY(path_join(directory, RUN_RECEIPTS_FOLDER, &folder));
    remove_old(folder);
    if (!has_receipts(record))
        goto done;
    TRY(directory_make(folder, 0700));
    for (size_t r = 0; r < record->round_count; r++) {
        for (size_t s = 0; s < record->job->site_count; s++)
            TRY(write_site(folder, record->rounds[r].round, s, &record->rounds[r].sites[s]));
    }
done:
    free(folder);
    return err;
}
