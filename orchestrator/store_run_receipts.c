#include "orchestrator/store_run.h"

#include "schemas/files.h"

/* The rows of a run are sorted; a site that released nothing has none. */
static struct error *run_store_read_receipt(struct query *query, struct run_record *record)
{
    struct error *err = NULL;
    struct site_receipt *kept = NULL;
    size_t count = 0;
    struct round_record *round = run_store_find_round(record, query_int(query, 0));
    int64_t position = query_int(query, 1);
    int64_t kind = query_int(query, 2);
    int64_t attempt = query_int(query, 5);
    if (round == NULL || position < 0 || (uint64_t)position >= record->job->site_count)
        TRY(run_store_damaged(query->database, "it holds a receipt of a round or a site that there is not"));
    if (attempt < 0 || attempt >= (kind == RECEIPT_MASKED_INPUT ? RUN_ATTEMPTS : 1))
        TRY(run_store_damaged(query->database, "it holds a receipt of an attempt that there is not"));
    struct site_receipt **place =
        site_round_receipt_place(&round->sites[position], (enum receipt_kind)kind, (uint32_t)attempt);
    if (*place != NULL)
        TRY(run_store_damaged(query->database, "it holds two receipts of the same thing"));
    kept = calloc(1, sizeof *kept);
    if (kept == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to read %s.", database_path(query->database));
    const uint8_t *bytes = query_blob(query, 3, &count);
    err = bytes == NULL ? error_new(ERROR_INVALID, "It is empty.")
                        : receipt_decode(bytes, count, &kept->receipt);
    if (err != NULL) {
        struct error *said = error_new(
            ERROR_CORRUPT, "%s is damaged: the receipt of %s for its %s in round %u cannot be read: %s",
            database_path(query->database), record->job->sites[position].name,
            receipt_kind_word((enum receipt_kind)kind), (unsigned)round->round, err->sentence);
        error_free(err);
        err = said;
        goto done;
    }
    query_blob_exact(query, 4, kept->received.bytes, DIGEST_BYTES);
    *place = kept;
    kept = NULL;
done:
    free(kept);
    return err;
}

struct error *run_store_load_receipts(struct database *database, struct run_record *record)
{
    struct error *err = NULL;
    struct query query;
    if (!record->has_receipts)
        return NULL;
    query_start(&query, database,
                database_applied(database) >= 3 ? "SELECT round, position, kind, receipt, received, attempt "
                                                  "FROM receipt ORDER BY round, position, kind"
                                                : "SELECT round, position, kind, receipt, received, 0 FROM "
                                                  "receipt ORDER BY round, position, kind");
    while (err == NULL && query_step(&query))
        err = run_store_read_receipt(&query, record);
    return query_close(&query, err);
}

/* SQLite takes the other columns of a group from the row with the maximum. */
static struct error *run_store_visit_latest(struct database *database,
                                            struct error *(*visit)(void *, const struct receipt *),
                                            void *context)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, database, "SELECT receipt, max(sequence) FROM receipt GROUP BY position");
    while (err == NULL && query_step(&query)) {
        struct receipt receipt;
        size_t count = 0;
        const uint8_t *bytes = query_blob(&query, 0, &count);
        err = bytes == NULL ? run_store_damaged(database, "a receipt is empty")
                            : receipt_decode(bytes, count, &receipt);
        if (err == NULL)
            err = visit(context, &receipt);
    }
    return query_close(&query, err);
}

struct error *run_store_latest_receipts(const char *directory,
                                        struct error *(*visit)(void *, const struct receipt *), void *context)
{
    struct error *err = NULL;
    char *path = NULL;
    struct database *database = NULL;
    TRY(path_join(directory, "run.db", &path));
    TRY(database_open(path, &run_database, DATABASE_READ_ONLY, &database));
    if (database_applied(database) >= 2)
        err = run_store_visit_latest(database, visit, context);
done:
    database_close(database);
    free(path);
    return err;
}
