#include "orchestrator/run_receipts.h"

#include "audit/receipt_folder.h"
#include "schemas/files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <unistd.h>

void run_receipt_name(uint32_t round, size_t site, enum receipt_kind kind, uint32_t attempt,
                      char ret_name[static RUN_RECEIPT_NAME_BYTES])
{
    char number[16] = "";
    if (kind == RECEIPT_MASKED_INPUT)
        (void)snprintf(number, sizeof number, "-%u", (unsigned)attempt + 1);
    (void)snprintf(ret_name, RUN_RECEIPT_NAME_BYTES, "round-%04u-site-%zu-%s%s" RECEIPT_FOLDER_SUFFIX,
                   (unsigned)round, site + 1, receipt_kind_word(kind), number);
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
    static const char before_attempt[] = "-masked-input-";
    if (strncmp(name, before_round, strlen(before_round)) != 0)
        return false;
    name = skip_digits(name + strlen(before_round));
    if (strncmp(name, before_site, strlen(before_site)) != 0)
        return false;
    name = skip_digits(name + strlen(before_site));
    if (strncmp(name, before_attempt, strlen(before_attempt)) == 0)
        return strcmp(skip_digits(name + strlen(before_attempt)), RECEIPT_FOLDER_SUFFIX) == 0;
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
    struct error *err = NULL;
    char name[RUN_RECEIPT_NAME_BYTES];
    for (size_t n = 0; n < SITE_ROUND_RECEIPTS; n++) {
        uint32_t attempt = 0;
        const struct site_receipt *kept = site_round_receipt(part, n, &attempt);
        if (kept == NULL)
            continue;
        run_receipt_name(round, site, kept->receipt.kind, attempt, name);
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

static bool site_has_receipts(const struct site_round *part)
{
    for (size_t n = 0; n < SITE_ROUND_RECEIPTS; n++)
        if (site_round_receipt(part, n, NULL) != NULL)
            return true;
    return false;
}

static bool has_receipts(const struct run_record *record)
{
    const struct round_record *round = NULL;
    for (size_t r = 0; (round = run_record_exchange(record, r)) != NULL; r++) {
        for (size_t s = 0; s < record->job->site_count; s++)
            if (site_has_receipts(&round->sites[s]))
                return true;
    }
    return false;
}

struct error *run_receipts_write(const struct run_record *record, const char *directory)
{
    struct error *err = NULL;
    char *folder = NULL;
    const struct round_record *round = NULL;
    TRY(path_join(directory, RUN_RECEIPTS_FOLDER, &folder));
    remove_old(folder);
    if (!has_receipts(record))
        goto done;
    TRY(directory_make(folder, 0700));
    for (size_t r = 0; (round = run_record_exchange(record, r)) != NULL; r++) {
        for (size_t s = 0; s < record->job->site_count; s++)
            TRY(write_site(folder, round->round, s, &round->sites[s]));
    }
done:
    free(folder);
    return err;
}
