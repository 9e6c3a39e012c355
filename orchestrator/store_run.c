#include "orchestrator/store_run.h"

#include "embedded/run_001_sql.h"
#include "embedded/run_002_sql.h"
#include "embedded/run_003_sql.h"
#include "embedded/run_004_sql.h"
#include "schemas/files.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/file.h>
#include <unistd.h>

#define RUN_APPLICATION_ID 0x4644534fu /* "FDSO" */

/* The lock on the directory lasts as long as the process that makes the run: by it a reader tells a run that
 * goes on from one whose process is gone. */
struct run_store {
    struct database *database;
    int lock;
};

static const struct migration run_migrations[] = {{.sql = (const char *)run_001_sql},
                                                  {.sql = (const char *)run_002_sql},
                                                  {.sql = (const char *)run_003_sql},
                                                  {.sql = (const char *)run_004_sql}};

const struct database_kind run_database = {
    .what = "the record of a run",
    .application_id = RUN_APPLICATION_ID,
    .migrations = run_migrations,
    .migration_count = 4,
    .readable_from = 1,
};

static struct error *run_store_lock(const char *directory, int *ret_lock)
{
    int lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0)
        return error_errno(ERROR_IO, errno, "The directory %s cannot be opened", directory);
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        int saved = errno;
        (void)close(lock);
        return error_errno(ERROR_CONFLICT, saved, "The directory %s is in use by another run", directory);
    }
    *ret_lock = lock;
    return NULL;
}

static void query_bind_time(struct query *query, int64_t unix_ms)
{
    if (unix_ms == 0)
        query_bind_null(query);
    else
        query_bind_int(query, unix_ms);
}

static void query_bind_known(struct query *query, double value)
{
    if (isnan(value))
        query_bind_null(query);
    else
        query_bind_real(query, value);
}

static struct error *run_store_begin(struct database *database, const struct run_record *record)
{
    struct query query;
    query_start(
        &query, database,
        "INSERT INTO run (one, run_id, job_id, job, status, reason, features, classes, started_at, "
        "mock, epsilon, epsilon_rdp, epsilon_worst) VALUES (1, ?, ?, ?, 'running', '', ?, ?, ?, ?, ?, ?, ?)");
    query_bind_blob(&query, record->run_id, RUN_ID_BYTES);
    query_bind_blob(&query, record->job_id.bytes, DIGEST_BYTES);
    query_bind_blob(&query, record->job_bytes, record->job_byte_count);
    query_bind_int(&query, (int64_t)record->features);
    query_bind_int(&query, record->classes);
    query_bind_int(&query, record->started_at);
    query_bind_int(&query, record->mock);
    query_bind_known(&query, record->epsilon);
    query_bind_known(&query, record->epsilon_rdp);
    query_bind_known(&query, record->epsilon_worst);
    return query_finish(&query);
}

struct error *run_store_create(const char *directory, const struct run_record *record,
                               struct run_store **ret_store)
{
    struct error *err = NULL;
    char *job_path = NULL;
    char *database_file = NULL;
    struct run_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory to record the run.");
    store->lock = -1;
    TRY(path_join(directory, "job.yaml", &job_path));
    TRY(path_join(directory, "run.db", &database_file));
    TRY(directory_make(directory, 0700));
    TRY(run_store_lock(directory, &store->lock));
    if (access(database_file, F_OK) == 0)
        FAIL(ERROR_CONFLICT, "%s exists already; every run needs a directory of its own.", database_file);
    TRY(file_write(job_path, record->job_bytes, record->job_byte_count, 0600));
    TRY(database_open(database_file, &run_database, DATABASE_CREATE, &store->database));
    TRY(run_store_begin(store->database, record));
    *ret_store = store;
    store = NULL;
done:
    free(job_path);
    free(database_file);
    run_store_close(store);
    return err;
}

void run_store_close(struct run_store *store)
{
    if (store == NULL)
        return;
    database_close(store->database);
    if (store->lock >= 0)
        (void)close(store->lock);
    free(store);
}

struct error *run_store_approved(struct run_store *store, const struct run_record *record)
{
    struct query query;
    query_start(&query, store->database,
                "UPDATE run SET features = ?, classes = ?, image_rows = ?, image_columns = ?, approved_at = ?"
                " WHERE one = 1");
    query_bind_int(&query, (int64_t)record->features);
    query_bind_int(&query, record->classes);
    query_bind_int(&query, record->image_rows);
    query_bind_int(&query, record->image_columns);
    query_bind_time(&query, record->approved_at);
    return query_finish(&query);
}

/* SQLite fills the empty file at `path` with what is committed, wherever that is at the moment. */
static struct error *run_store_copy_into(struct database *database, const char *path, int file)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, database, "VACUUM INTO ?");
    query_bind_text(&query, path);
    TRY(query_finish(&query));
    if (fsync(file) != 0)
        err = error_errno(ERROR_IO, errno, "%s cannot be written", path);
done:
    return err;
}

struct error *run_store_copy(struct run_store *store, const char *path)
{
    struct error *err = NULL;
    char *temporary = NULL;
    int file = -1;
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
        temporary = NULL;
        FAIL(ERROR_MEMORY, "There is not enough memory to write %s.", path);
    }
    file = mkostemp(temporary, O_CLOEXEC);
    if (file < 0) {
        err = error_errno(ERROR_IO, errno, "%s cannot be written", path);
        goto done;
    }
    err = run_store_copy_into(store->database, temporary, file);
    if (err == NULL && rename(temporary, path) != 0)
        err = error_errno(ERROR_IO, errno, "%s cannot be written", path);
    if (err != NULL)
        (void)unlink(temporary);
done:
    if (file >= 0)
        (void)close(file);
    free(temporary);
    return err;
}

/* Words in the file are little-endian on every machine; NULL stays NULL. */
static struct error *words_pack(const uint64_t *words, size_t count, uint8_t **ret_bytes)
{
    uint8_t *bytes = NULL;
    if (words != NULL) {
        bytes = malloc(count * 8 + 1);
        if (bytes == NULL)
            return error_new(ERROR_MEMORY, "There is not enough memory to record the round.");
        for (size_t i = 0; i < count; i++) {
            for (size_t b = 0; b < 8; b++)
                bytes[8 * i + b] = (uint8_t)(words[i] >> (8 * b));
        }
    }
    *ret_bytes = bytes;
    return NULL;
}

static struct error *doubles_pack(const double *values, size_t count, uint8_t **ret_bytes)
{
    _Static_assert(sizeof(double) == sizeof(uint64_t), "float64");
    return words_pack((const uint64_t *)(const void *)values, count, ret_bytes);
}

static void query_bind_words(struct query *query, const uint8_t *bytes, size_t count)
{
    if (bytes == NULL)
        query_bind_null(query);
    else
        query_bind_blob(query, bytes, count * 8);
}

/* Nothing more is written: without a write-ahead log the record is one file, which can be read from a
 * read-only place. While somebody reads it, that is not possible; it is a record all the same. */
static void run_store_make_archive(struct database *database)
{
    struct error *err = database_run(database, "PRAGMA journal_mode = DELETE");
    error_clear(&err);
}

/* The mean of the last models, which is the result of the run where there is one. */
static struct error *run_store_averaged(struct database *database, const struct run_record *record)
{
    struct error *err = NULL;
    struct query query;
    uint8_t *model = NULL;
    uint8_t *counts = NULL;
    if (record->averaged == NULL)
        return NULL;
    TRY(doubles_pack(record->averaged, run_record_parameters(record), &model));
    TRY(words_pack(record->averaged_confusion, store_run_cells(record), &counts));
    query_start(&query, database,
                "UPDATE run SET averaged = ?, averaged_sha256 = ?, averaged_confusion = ? WHERE one = 1");
    query_bind_words(&query, model, run_record_parameters(record));
    query_bind_blob(&query, record->averaged_sha256.bytes, DIGEST_BYTES);
    query_bind_words(&query, counts, store_run_cells(record));
    err = query_finish(&query);
done:
    free(model);
    free(counts);
    return err;
}

struct error *run_store_end(struct run_store *store, const struct run_record *record)
{
    struct error *err = NULL;
    struct query query;
    query_start(
        &query, store->database,
        "UPDATE run SET status = ?, reason = ?, features = ?, classes = ?, image_rows = ?, image_columns = ?,"
        " approved_at = ?, ended_at = ? WHERE one = 1");
    query_bind_text(&query, run_status_word(record->status));
    query_bind_text(&query, record->reason);
    query_bind_int(&query, (int64_t)record->features);
    query_bind_int(&query, record->classes);
    query_bind_int(&query, record->image_rows);
    query_bind_int(&query, record->image_columns);
    query_bind_time(&query, record->approved_at);
    query_bind_time(&query, record->ended_at);
    TRY(query_finish(&query));
    TRY(run_store_averaged(store->database, record));
    run_store_make_archive(store->database);
done:
    return err;
}

static void query_bind_noised(struct query *query, const struct run_record *record,
                              const struct round_record *round, const uint8_t *noised)
{
    query_bind_words(query, noised, store_run_counts(record));
    query_bind_known(query, noised == NULL ? NAN : round->pooled_noise);
    if (noised == NULL)
        query_bind_null(query);
    else
        query_bind_int(query, round->pooled_sites);
}

static struct error *run_store_round_row(struct database *database, const struct run_record *record,
                                         const struct round_record *round)
{
    struct error *err = NULL;
    uint8_t *model = NULL;
    uint8_t *pooled = NULL;
    uint8_t *global = NULL;
    uint8_t *noised = NULL;
    struct query query;
    TRY(doubles_pack(round->model, run_record_parameters(record), &model));
    TRY(words_pack(round->pooled_confusion, store_run_cells(record), &pooled));
    TRY(words_pack(round->global_confusion, store_run_cells(record), &global));
    TRY(doubles_pack(round->pooled_noised, store_run_counts(record), &noised));
    query_start(&query, database,
                "INSERT INTO round (round, seconds, model, model_sha256, pooled_confusion, global_confusion,"
                " pooled_noised, pooled_noise, pooled_sites) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query_bind_int(&query, round->round);
    query_bind_real(&query, round->seconds);
    query_bind_words(&query, model, run_record_parameters(record));
    if (model == NULL)
        query_bind_null(&query);
    else
        query_bind_blob(&query, round->model_sha256.bytes, DIGEST_BYTES);
    query_bind_words(&query, pooled, store_run_cells(record));
    query_bind_words(&query, global, store_run_cells(record));
    query_bind_noised(&query, record, round, noised);
    err = query_finish(&query);
done:
    free(model);
    free(pooled);
    free(global);
    free(noised);
    return err;
}

static struct error *run_store_site_row(struct database *database, const struct run_record *record,
                                        uint32_t round, size_t position, const struct site_round *site)
{
    struct error *err = NULL;
    uint8_t *confusion = NULL;
    struct query query;
    TRY(words_pack(site->confusion, store_run_cells(record), &confusion));
    query_start(
        &query, database,
        "INSERT INTO site_round (round, position, status, reason, examples, train_accuracy, confusion,"
        " train_seconds, seconds, epsilon_spent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query_bind_int(&query, round);
    query_bind_int(&query, (int64_t)position);
    query_bind_text(&query, site_status_word(site->status));
    query_bind_text(&query, site->reason);
    if (site->has_examples)
        query_bind_int(&query, (int64_t)site->examples);
    else
        query_bind_null(&query);
    query_bind_known(&query, site->train_accuracy);
    query_bind_words(&query, confusion, store_run_cells(record));
    query_bind_known(&query, site->train_seconds);
    query_bind_real(&query, site->seconds);
    query_bind_known(&query, job_private(record->job) ? site->epsilon_spent : NAN);
    err = query_finish(&query);
done:
    free(confusion);
    return err;
}

static struct error *run_store_receipt_row(struct database *database, uint32_t round, size_t position,
                                           const struct site_receipt *kept, uint32_t attempt)
{
    struct error *err = NULL;
    uint8_t *bytes = NULL;
    size_t count = 0;
    struct query query;
    if (kept == NULL)
        return NULL;
    TRY(receipt_encode(&kept->receipt, &bytes, &count));
    query_start(&query, database,
                "INSERT INTO receipt (round, position, kind, attempt, sequence, receipt, received)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)");
    query_bind_int(&query, round);
    query_bind_int(&query, (int64_t)position);
    query_bind_int(&query, kept->receipt.kind);
    query_bind_int(&query, attempt);
    query_bind_int(&query, (int64_t)kept->receipt.sequence);
    query_bind_blob(&query, bytes, count);
    query_bind_blob(&query, kept->received.bytes, DIGEST_BYTES);
    err = query_finish(&query);
done:
    free(bytes);
    return err;
}

static struct error *run_store_site_receipts(struct database *database, uint32_t round, size_t position,
                                             const struct site_round *site)
{
    struct error *err = NULL;
    for (size_t n = 0; n < SITE_ROUND_RECEIPTS; n++) {
        uint32_t attempt = 0;
        const struct site_receipt *kept = site_round_receipt(site, n, &attempt);
        TRY(run_store_receipt_row(database, round, position, kept, attempt));
    }
done:
    return err;
}

static struct error *run_store_masking_row(struct database *database, uint32_t round,
                                           const struct round_masking *masking)
{
    struct query query;
    if (masking->attempts == 0)
        return NULL;
    query_start(&query, database,
                "INSERT INTO secagg_round (round, attempts, sharers, contributors, examples)"
                " VALUES (?, ?, ?, ?, ?)");
    query_bind_int(&query, round);
    query_bind_int(&query, masking->attempts);
    query_bind_int(&query, masking->sharers);
    query_bind_int(&query, masking->contributors);
    if (masking->has_examples)
        query_bind_int(&query, (int64_t)masking->examples);
    else
        query_bind_null(&query);
    return query_finish(&query);
}

struct error *run_store_round(struct run_store *store, const struct run_record *record,
                              const struct round_record *round)
{
    struct error *err = NULL;
    TRY(database_begin(store->database));
    TRY(run_store_round_row(store->database, record, round));
    for (size_t i = 0; i < record->job->site_count; i++) {
        const struct site_round *site = &round->sites[i];
        TRY(run_store_site_row(store->database, record, round->round, i, site));
        TRY(run_store_site_receipts(store->database, round->round, i, site));
    }
    TRY(run_store_masking_row(store->database, round->round, &round->masking));
    TRY(database_commit(store->database));
done:
    if (err != NULL)
        database_rollback(store->database);
    return err;
}

struct error *run_store_pooled(struct run_store *store, const struct run_record *record,
                               const struct round_record *round)
{
    struct error *err = NULL;
    uint8_t *pooled = NULL;
    uint8_t *noised = NULL;
    struct query query;
    TRY(words_pack(round->pooled_confusion, store_run_cells(record), &pooled));
    TRY(doubles_pack(round->pooled_noised, store_run_counts(record), &noised));
    query_start(&query, store->database,
                "UPDATE round SET pooled_confusion = ?, pooled_noised = ?, pooled_noise = ?, pooled_sites = ?"
                " WHERE round = ?");
    query_bind_words(&query, pooled, store_run_cells(record));
    query_bind_noised(&query, record, round, noised);
    query_bind_int(&query, round->round);
    err = query_finish(&query);
done:
    free(pooled);
    free(noised);
    return err;
}
