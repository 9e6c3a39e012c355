#include "orchestrator/receipt_check.h"

#include "audit/receipt_folder.h"
#include "orchestrator/run_receipts.h"
#include "schemas/files.h"
#include "schemas/wire.h"

#include <dirent.h>
#include <stdarg.h>
#include <unistd.h>

void receipt_check_clear(struct receipt_check *check)
{
    free(check->problems);
    *check = (struct receipt_check){0};
}

static struct error *add_problem(struct receipt_check *check, uint32_t round, size_t site, const char *format,
                                 ...) PRINTF_LIKE(4, 5);

static struct error *add_problem(struct receipt_check *check, uint32_t round, size_t site, const char *format,
                                 ...)
{
    va_list arguments;
    if (check->problem_count++ >= RECEIPT_CHECK_PROBLEMS)
        return NULL;
    struct receipt_problem *grown = realloc(check->problems, check->problem_count * sizeof *grown);
    if (grown == NULL) {
        check->problem_count--;
        return error_new(ERROR_MEMORY, "There is not enough memory to check the receipts.");
    }
    check->problems = grown;
    struct receipt_problem *problem = &grown[check->problem_count - 1];
    *problem = (struct receipt_problem){.round = round, .site = site};
    va_start(arguments, format);
    (void)vsnprintf(problem->sentence, sizeof problem->sentence, format, arguments);
    va_end(arguments);
    return NULL;
}

/* ---- one receipt ---- */

static struct error *receipt_holds(const struct run_record *record, uint32_t round, size_t site,
                                   enum receipt_kind kind, const struct site_receipt *kept)
{
    struct error *err = NULL;
    struct site_id id;
    const struct receipt *receipt = &kept->receipt;
    TRY(site_id_parse(record->job->sites[site].fingerprint, &id));
    TRY(receipt_verify(receipt));
    if (!site_id_equal(&id, &receipt->site))
        FAIL(ERROR_UNTRUSTED, "It is signed by another site.");
    if (!digest_equal(&record->job_id, &receipt->job_id) ||
        memcmp(record->run_id, receipt->run_id, RUN_ID_BYTES) != 0)
        FAIL(ERROR_UNTRUSTED, "It is of another job or run.");
    if (receipt->round != round || receipt->kind != kind)
        FAIL(ERROR_UNTRUSTED, "It is of round %u and of an %s.", (unsigned)receipt->round,
             receipt_kind_word(receipt->kind));
    if (!digest_equal(&kept->received, &receipt->digest))
        FAIL(ERROR_UNTRUSTED, "It is of other bytes than those that arrived.");
done:
    return err;
}

/* ---- the receipts of one site, in the order in which it released ---- */

static struct error *check_order(struct receipt_check *check, uint32_t round, size_t site,
                                 const struct receipt *before, const struct receipt *receipt)
{
    if (before == NULL || before->sequence < receipt->sequence)
        return NULL;
    if (before->sequence > receipt->sequence)
        return add_problem(
            check, round, site,
            "The receipt of its %s is of event %llu, and an earlier release was event %llu: its "
            "records went back.",
            receipt_kind_word(receipt->kind), (unsigned long long)receipt->sequence,
            (unsigned long long)before->sequence);
    if (digest_equal(&before->head, &receipt->head))
        return add_problem(check, round, site, "Event %llu has two receipts, which say different things.",
                           (unsigned long long)receipt->sequence);
    return add_problem(check, round, site,
                       "Event %llu has two receipts with different heads: the site signed two histories.",
                       (unsigned long long)receipt->sequence);
}

static struct error *check_one(const struct run_record *record, uint32_t round, size_t site,
                               enum receipt_kind kind, const struct site_receipt *kept,
                               const struct receipt **before, struct receipt_check *check)
{
    struct error *err = NULL;
    check->receipts++;
    struct error *wrong = receipt_holds(record, round, site, kind, kept);
    if (wrong == NULL) {
        check->held++;
        TRY(check_order(check, round, site, *before, &kept->receipt));
        *before = &kept->receipt;
    } else {
        TRY(add_problem(check, round, site, "The receipt of its %s does not hold: %s",
                        receipt_kind_word(kind), wrong->sentence));
    }
done:
    error_free(wrong);
    return err;
}

static struct error *check_part(const struct run_record *record, const struct round_record *round,
                                size_t site, const struct receipt **before, struct receipt_check *check)
{
    /* What each of the receipts is of, in their order (run_record.h). */
    static const enum receipt_kind kinds[] = {RECEIPT_UPDATE, RECEIPT_EVALUATION, RECEIPT_MASKED_INPUT};
    struct error *err = NULL;
    for (size_t n = 0; n < SITE_ROUND_RECEIPTS; n++) {
        const struct site_receipt *kept = site_round_receipt(&round->sites[site], n, NULL);
        if (kept != NULL)
            TRY(check_one(record, round->round, site, kinds[n < 2 ? n : 2], kept, before, check));
    }
done:
    return err;
}

static size_t unused_inputs(const struct round_record *round, size_t site)
{
    size_t count = 0;
    for (size_t n = 2; n < SITE_ROUND_RECEIPTS; n++)
        count += site_round_receipt(&round->sites[site], n, NULL) != NULL;
    return count - (count > 0 && round_used(round, site) && round_receipt(round, site) != NULL);
}

/* What counted needs a receipt: of the update, or of the input that went into the sum. */
static struct error *check_site(const struct run_record *record, size_t site, struct receipt_check *check)
{
    struct error *err = NULL;
    const struct receipt *before = NULL;
    const struct round_record *round = NULL;
    for (size_t r = 0; (round = run_record_exchange(record, r)) != NULL; r++) {
        bool counted = round_used(round, site);
        check->unused += unused_inputs(round, site);
        check->wanted += counted;
        if (counted && round_receipt(round, site) == NULL)
            TRY(add_problem(check, round->round, site, "Its %s counted, and there is no receipt of it.",
                            round->masking.attempts == 0 ? "update" : "masked input"));
        TRY(check_part(record, round, site, &before, check));
    }
done:
    return err;
}

/* ---- the models ---- */

/* A record that was read back has every model; one that is being made has the newest. */
static struct error *check_model(const struct run_record *record, const struct round_record *round,
                                 struct receipt_check *check)
{
    struct error *err = NULL;
    struct digest digest;
    size_t count = run_record_parameters(record);
    uint8_t *bytes = NULL;
    if (round->model == NULL)
        return NULL;
    bytes = malloc(8 * count + 1);
    if (bytes == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to check a model.");
    wire_parameters_write(round->model, count, bytes);
    TRY(digest_of(bytes, 8 * count, &digest));
    if (!digest_equal(&digest, &round->model_sha256))
        TRY(add_problem(check, round->round, RECEIPT_CHECK_NO_SITE,
                        "The model of round %u is not the one that its SHA-256 names.",
                        (unsigned)round->round));
done:
    free(bytes);
    return err;
}

struct error *receipt_check_run(const struct run_record *record, struct receipt_check *ret_check)
{
    struct error *err = NULL;
    struct receipt_check check = {0};
    if (record->mock)
        TRY(add_problem(&check, 0, RECEIPT_CHECK_NO_SITE,
                        "The run was made with mock data, of which there are no receipts."));
    else if (!record->has_receipts)
        TRY(add_problem(&check, 0, RECEIPT_CHECK_NO_SITE,
                        "The run was recorded by a version that kept no receipts."));
    if (check.problem_count == 0) {
        for (size_t s = 0; s < record->job->site_count; s++)
            TRY(check_site(record, s, &check));
        for (size_t r = 0; r < record->round_count; r++)
            TRY(check_model(record, &record->rounds[r], &check));
    }
    *ret_check = check;
    check = (struct receipt_check){0};
done:
    receipt_check_clear(&check);
    return err;
}

/* ---- the files ---- */

static struct error *check_file(const char *folder, uint32_t round, size_t site, uint32_t attempt,
                                const struct site_receipt *kept, struct receipt_check *check)
{
    struct error *err = NULL;
    struct error *wrong = NULL;
    char *path = NULL;
    char name[RUN_RECEIPT_NAME_BYTES];
    struct receipt receipt;
    run_receipt_name(round, site, kept->receipt.kind, attempt, name);
    TRY(path_join(folder, name, &path));
    wrong = receipt_file_read(path, &receipt);
    if (wrong == NULL)
        wrong = receipt_verify(&receipt);
    if (wrong != NULL)
        TRY(add_problem(check, round, site, "The file %s does not hold: %s", name, wrong->sentence));
    else if (memcmp(receipt.signature, kept->receipt.signature, SIGNATURE_BYTES) != 0)
        TRY(add_problem(check, round, site, "The file %s is another receipt than the one in run.db.", name));
done:
    error_free(wrong);
    free(path);
    return err;
}

static size_t count_files(const char *folder)
{
    size_t count = 0;
    DIR *listing = opendir(folder);
    for (const struct dirent *entry = listing == NULL ? NULL : readdir(listing); entry != NULL;
         entry = readdir(listing)) {
        const char *dot = strrchr(entry->d_name, '.');
        count += entry->d_name[0] != '.' && dot != NULL && strcmp(dot, RECEIPT_FOLDER_SUFFIX) == 0;
    }
    if (listing != NULL)
        (void)closedir(listing);
    return count;
}

/* Reports and receipts are written together. */
static struct error *has_files(const char *directory, const char *folder, bool *ret_has)
{
    struct error *err = NULL;
    char *report = NULL;
    TRY(path_join(directory, "report.json", &report));
    *ret_has = access(report, F_OK) == 0 || access(folder, F_OK) == 0;
done:
    free(report);
    return err;
}

static struct error *check_site_files(const char *folder, const struct round_record *round, size_t site,
                                      size_t *receipts, struct receipt_check *check)
{
    struct error *err = NULL;
    for (size_t n = 0; n < SITE_ROUND_RECEIPTS; n++) {
        uint32_t attempt = 0;
        const struct site_receipt *kept = site_round_receipt(&round->sites[site], n, &attempt);
        if (kept == NULL)
            continue;
        ++*receipts;
        TRY(check_file(folder, round->round, site, attempt, kept, check));
    }
done:
    return err;
}

struct error *receipt_check_files(const struct run_record *record, const char *directory,
                                  struct receipt_check *check)
{
    struct error *err = NULL;
    char *folder = NULL;
    size_t files = 0;
    size_t receipts = 0;
    const struct round_record *round = NULL;
    bool has = false;
    TRY(path_join(directory, RUN_RECEIPTS_FOLDER, &folder));
    TRY(has_files(directory, folder, &has));
    if (!has)
        goto done;
    for (size_t r = 0; (round = run_record_exchange(record, r)) != NULL; r++) {
        for (size_t s = 0; s < record->job->site_count; s++)
            TRY(check_site_files(folder, round, s, &receipts, check));
    }
    files = count_files(folder);
    if (files > receipts)
        TRY(add_problem(check, 0, RECEIPT_CHECK_NO_SITE,
                        "%s holds %zu files, and run.db has %zu receipts: the others are of no release of "
                        "this run.",
                        folder, files, receipts));
done:
    free(folder);
    return err;
}
