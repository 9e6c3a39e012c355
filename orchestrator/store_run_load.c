#include "orchestrator/store_run.h"

#include "schemas/csv.h"
#include "schemas/files.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/file.h>
#include <unistd.h>

#define RUN_MAX_FEATURES ((uint64_t)1 << 20)
#define RUN_MAX_EXAMPLES ((uint64_t)1 << 40)

/* Whether the process that makes the run is alive. Where locks do not work, a run without an end counts as
 * gone. */
static bool run_store_in_progress(const char *directory)
{
    int lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0)
        return false;
    bool held = flock(lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    (void)close(lock);
    return held;
}

struct error *run_store_damaged(struct database *database, const char *what)
{
    return error_new(ERROR_CORRUPT,
                     "%s is damaged: %s. Restore it from a backup, or move its directory away.",
                     database_path(database), what);
}

struct error *query_words(struct query *query, int column, size_t count, size_t more, const char *what,
                          uint64_t **ret_words, bool *ret_whole)
{
    size_t bytes = 0;
    if (query_is_null(query, column)) {
        *ret_words = NULL;
        return NULL;
    }
    const uint8_t *blob = query_blob(query, column, &bytes);
    if (count == 0 || blob == NULL || (bytes != count * 8 && bytes != (count + more) * 8))
        return run_store_damaged(query->database, what);
    uint64_t *words = calloc(count + more, sizeof *words);
    if (words == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory to read %s.",
                         database_path(query->database));
    for (size_t i = 0; i < bytes; i++)
        words[i / 8] |= (uint64_t)blob[i] << (8 * (i % 8));
    *ret_words = words;
    *ret_whole = bytes == (count + more) * 8;
    return NULL;
}

/* Counts whose sum could overflow were never counted. Version 1 had no words behind the counts, and all counts. */
struct error *query_confusion(struct query *query, int column, const struct run_record *record,
                              uint64_t **ret_counts)
{
    struct error *err = NULL;
    uint64_t *counts = NULL;
    bool whole = true;
    size_t cells = (size_t)record->classes * record->classes;
    TRY(query_words(query, column, cells, 2, "a confusion matrix has the wrong size", &counts, &whole));
    for (size_t i = 0; counts != NULL && i < confusion_words(record->classes); i++) {
        if (counts[i] > CONFUSION_MAX_ROWS * JOB_MAX_SITES && counts[i] != WIRE_WITHHELD)
            TRY(run_store_damaged(query->database, "a confusion matrix holds an impossible count"));
    }
    if (counts != NULL && !whole)
        confusion_sum(counts, record->classes);
    *ret_counts = counts;
    counts = NULL;
done:
    free(counts);
    return err;
}

double query_known(struct query *query, int column)
{
    return query_is_null(query, column) ? NAN : query_real(query, column);
}

static struct error *run_status_parse(struct database *database, const char *word,
                                      enum run_status *ret_status)
{
    static const enum run_status all[] = {RUN_RUNNING, RUN_FINISHED, RUN_STOPPED, RUN_FAILED, RUN_CANCELLED};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(word, run_status_word(all[i])) == 0) {
            *ret_status = all[i];
            return NULL;
        }
    }
    return run_store_damaged(database, "the status of the run is unknown");
}

static struct error *site_status_parse(struct database *database, const char *word,
                                       enum site_status *ret_status)
{
    static const enum site_status all[] = {SITE_OK, SITE_LATE, SITE_FAILED, SITE_REFUSED, SITE_DROPPED};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(word, site_status_word(all[i])) == 0) {
            *ret_status = all[i];
            return NULL;
        }
    }
    return run_store_damaged(database, "the status of a site is unknown");
}

static struct error *run_store_read_job(struct query *query, int column, struct run_record *record)
{
    struct error *err = NULL;
    struct digest digest;
    const uint8_t *job = query_blob(query, column, &record->job_byte_count);
    if (job == NULL || record->job_byte_count == 0 || record->job_byte_count > JOB_MAX_BYTES)
        FAIL(ERROR_CORRUPT, "%s is damaged: it holds no job.", database_path(query->database));
    record->job_bytes = malloc(record->job_byte_count + 1);
    if (record->job_bytes == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to read %s.", database_path(query->database));
    memcpy(record->job_bytes, job, record->job_byte_count);
    record->job_bytes[record->job_byte_count] = '\0';
    TRY(digest_of(record->job_bytes, record->job_byte_count, &digest));
    if (!digest_equal(&digest, &record->job_id))
        TRY(run_store_damaged(query->database, "its job is not the one that its job id names"));
    TRY(job_parse((const char *)record->job_bytes, record->job_byte_count, database_path(query->database),
                  &record->job));
done:
    return err;
}

static struct error *run_store_read_run(struct query *query, struct run_record *record)
{
    struct error *err = NULL;
    query_blob_exact(query, 0, record->run_id, RUN_ID_BYTES);
    query_blob_exact(query, 1, record->job_id.bytes, DIGEST_BYTES);
    TRY(run_store_read_job(query, 2, record));
    TRY(run_status_parse(query->database, query_text(query, 3), &record->status));
    (void)snprintf(record->reason, sizeof record->reason, "%s", query_text(query, 4));
    int64_t features = query_int(query, 5);
    int64_t classes = query_int(query, 6);
    if (features < 0 || (uint64_t)features > RUN_MAX_FEATURES || classes < 0 || classes > CSV_MAX_CLASSES)
        TRY(run_store_damaged(query->database, "the shape of its model is impossible"));
    record->features = (uint64_t)features;
    record->classes = (uint32_t)classes;
    record->started_at = query_int(query, 7);
    record->approved_at = query_int(query, 8);
    record->ended_at = query_int(query, 9);
done:
    return err;
}

struct error *query_close(struct query *query, struct error *err)
{
    struct error *ended = query_end(query);
    if (err == NULL)
        return ended;
    error_free(ended);
    return err;
}

static struct error *run_store_load_mock(struct database *database, struct run_record *record)
{
    struct query query;
    query_start(&query, database, "SELECT mock FROM run");
    if (query_step(&query))
        record->mock = query_int(&query, 0) != 0;
    return query_end(&query);
}

/* Version 4 has the sides of images, without which rows are numbers; from them follows how large a model is. */
static struct error *run_store_load_shape(struct database *database, struct run_record *record)
{
    struct error *err = NULL;
    struct query query;
    int64_t rows = 0, columns = 0;
    if (record->features == 0)
        return NULL;
    if (database_applied(database) >= 4) {
        query_start(&query, database, "SELECT image_rows, image_columns FROM run");
        if (query_step(&query)) {
            rows = query_int(&query, 0);
            columns = query_int(&query, 1);
        }
        TRY(query_end(&query));
    }
    if (rows < 0 || columns < 0 || rows > (int64_t)RUN_MAX_FEATURES || columns > (int64_t)RUN_MAX_FEATURES)
        TRY(run_store_damaged(database, "the shape of its rows is impossible"));
    err = run_record_set_shape(record, record->features, record->classes, (uint32_t)rows, (uint32_t)columns);
    if (err != NULL) {
        error_free(err);
        err = run_store_damaged(database, "the shape of its model is not one that its job has");
    }
done:
    return err;
}

static struct error *run_store_load_run(struct database *database, struct run_record *record)
{
    struct error *err = NULL;
    struct query query;
    query_start(
        &query, database,
        "SELECT run_id, job_id, job, status, reason, features, classes, started_at, approved_at, ended_at"
        " FROM run");
    bool found = query_step(&query);
    if (found)
        err = run_store_read_run(&query, record);
    err = query_close(&query, err);
    if (err == NULL && !found)
        err = run_store_damaged(database, "it holds no run");
    record->has_receipts = database_applied(database) >= 2;
    if (err == NULL && record->has_receipts)
        err = run_store_load_mock(database, record);
    return err == NULL ? run_store_load_shape(database, record) : err;
}

static struct error *run_store_read_round(struct query *query, struct run_record *record,
                                          struct round_record *round)
{
    struct error *err = NULL;
    uint64_t *model = NULL;
    bool whole = true;
    int64_t number = query_int(query, 0);
    bool evaluation = round == &record->evaluation;
    if (number < 1 || number > (int64_t)record->job->rounds + evaluation)
        TRY(run_store_damaged(query->database, "it holds a round that the job does not have"));
    round->round = (uint32_t)number;
    round->seconds = query_real(query, 1);
    TRY(query_words(query, 2, run_record_parameters(record), 0, "a model has the wrong size", &model,
                    &whole));
    if (model != NULL)
        query_blob_exact(query, 3, round->model_sha256.bytes, DIGEST_BYTES);
    round->model = (double *)(void *)model;
    TRY(query_confusion(query, 4, record, &round->pooled_confusion));
    TRY(query_confusion(query, 5, record, &round->global_confusion));
    round->sites = calloc(record->job->site_count, sizeof *round->sites);
    if (round->sites == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to read %s.", database_path(query->database));
    for (size_t i = 0; i < record->job->site_count; i++)
        round->sites[i] = (struct site_round){
            .status = SITE_DROPPED, .train_accuracy = NAN, .train_seconds = NAN, .epsilon_spent = NAN};
done:
    return err;
}

static int round_compare(const void *number, const void *round)
{
    int64_t a = *(const int64_t *)number;
    int64_t b = ((const struct round_record *)round)->round;
    return (a > b) - (a < b);
}

struct round_record *run_store_find_round(struct run_record *record, int64_t number)
{
    if (record->evaluation.round != 0 && number == record->evaluation.round)
        return &record->evaluation;
    return bsearch(&number, record->rounds, record->round_count, sizeof *record->rounds, round_compare);
}

static struct error *run_store_read_masking(struct query *query, struct run_record *record)
{
    struct round_record *round = run_store_find_round(record, query_int(query, 0));
    int64_t attempts = query_int(query, 1);
    int64_t sharers = query_int(query, 2);
    int64_t contributors = query_int(query, 3);
    int64_t examples = query_int(query, 4);
    if (round == NULL || attempts < 1 || attempts > RUN_ATTEMPTS || sharers < 0 ||
        (uint64_t)sharers > record->job->site_count || contributors < 0 || contributors > sharers ||
        examples < 0)
        return run_store_damaged(query->database, "a round of secure aggregation has impossible numbers");
    round->masking = (struct round_masking){.attempts = (uint32_t)attempts,
                                            .sharers = (uint32_t)sharers,
                                            .contributors = (uint32_t)contributors,
                                            .has_examples = !query_is_null(query, 4),
                                            .examples = (uint64_t)examples};
    return NULL;
}

static struct error *run_store_load_masking(struct database *database, struct run_record *record)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, database,
                "SELECT round, attempts, sharers, contributors, examples FROM secagg_round ORDER BY round");
    while (err == NULL && query_step(&query))
        err = run_store_read_masking(&query, record);
    return query_close(&query, err);
}

static struct error *run_store_load_rounds(struct database *database, struct run_record *record)
{
    struct error *err = NULL;
    struct query query;
    struct round_record *round = NULL;
    record->rounds = calloc(record->job->rounds, sizeof *record->rounds);
    if (record->rounds == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory to read %s.", database_path(database));
    query_start(&query, database,
                "SELECT round, seconds, model, model_sha256, pooled_confusion, global_confusion FROM round"
                " ORDER BY round LIMIT 10001");
    while (err == NULL && query_step(&query)) {
        bool evaluation = record->job->secure.enabled && query_int(&query, 0) > (int64_t)record->job->rounds;
        if (!evaluation && record->round_count == record->job->rounds) {
            err = run_store_damaged(database, "it holds more rounds than the job has");
        } else {
            round = evaluation ? &record->evaluation : &record->rounds[record->round_count++];
            err = run_store_read_round(&query, record, round);
        }
    }
    err = query_close(&query, err);
    return err == NULL && database_applied(database) >= 3 ? run_store_load_masking(database, record) : err;
}

static struct error *run_store_read_site(struct query *query, struct run_record *record)
{
    struct error *err = NULL;
    struct round_record *round = run_store_find_round(record, query_int(query, 0));
    int64_t position = query_int(query, 1);
    if (round == NULL || position < 0 || (uint64_t)position >= record->job->site_count)
        TRY(run_store_damaged(query->database, "it holds a site that the job does not have"));
    struct site_round *site = &round->sites[position];
    TRY(site_status_parse(query->database, query_text(query, 2), &site->status));
    (void)snprintf(site->reason, sizeof site->reason, "%s", query_text(query, 3));
    site->has_examples = !query_is_null(query, 4);
    site->examples = (uint64_t)query_int(query, 4);
    if (site->examples > RUN_MAX_EXAMPLES)
        TRY(run_store_damaged(query->database, "a site has an impossible number of rows"));
    site->train_accuracy = query_known(query, 5);
    TRY(query_confusion(query, 6, record, &site->confusion));
    site->train_seconds = query_known(query, 7);
    site->seconds = query_real(query, 8);
done:
    return err;
}

static struct error *run_store_load_sites(struct database *database, struct run_record *record)
{
    struct error *err = NULL;
    struct query query;
    query_start(
        &query, database,
        "SELECT round, position, status, reason, examples, train_accuracy, confusion, train_seconds, seconds"
        " FROM site_round ORDER BY round, position");
    while (err == NULL && query_step(&query))
        err = run_store_read_site(&query, record);
    return query_close(&query, err);
}

static struct error *run_store_last_accuracy(struct query *query, const struct run_record *record,
                                             struct run_outline *outline)
{
    struct error *err = NULL;
    uint64_t *pooled = NULL;
    uint64_t *global = NULL;
    TRY(query_confusion(query, 1, record, &pooled));
    TRY(query_confusion(query, 2, record, &global));
    outline->accuracy = confusion_accuracy(pooled != NULL ? pooled : global, record->classes);
done:
    free(pooled);
    free(global);
    return err;
}

static struct error *run_store_load_progress(struct database *database, const struct run_record *record,
                                             struct run_outline *outline)
{
    struct error *err = NULL;
    struct query query;
    query_start(
        &query, database,
        "SELECT (SELECT count(*) FROM round WHERE model IS NOT NULL), pooled_confusion, global_confusion"
        " FROM round WHERE model IS NOT NULL ORDER BY round DESC LIMIT 1");
    if (query_step(&query)) {
        outline->rounds = (uint32_t)query_int(&query, 0);
        err = run_store_last_accuracy(&query, record, outline);
    }
    return query_close(&query, err);
}

/* A run that has no end and no process was interrupted; what it had done by then is known. */
static void run_store_interrupted(const char *directory, struct run_record *record, size_t rounds)
{
    if (record->status != RUN_RUNNING || run_store_in_progress(directory))
        return;
    record->status = RUN_STOPPED;
    (void)snprintf(record->reason, sizeof record->reason, "The run was interrupted after round %zu of %u.",
                   rounds, (unsigned)record->job->rounds);
}

/* Opens run.db and reads all but the rounds. */
static struct error *run_store_open(const char *directory, struct database **ret_database,
                                    struct run_record **ret_record)
{
    struct error *err = NULL;
    char *path = NULL;
    struct database *database = NULL;
    struct run_record *record = calloc(1, sizeof *record);
    if (record == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to read the run in %s.", directory);
    TRY(path_join(directory, "run.db", &path));
    TRY(database_open(path, &run_database, DATABASE_READ_ONLY, &database));
    TRY(run_store_load_run(database, record));
    *ret_database = database;
    *ret_record = record;
    database = NULL;
    record = NULL;
done:
    database_close(database);
    run_record_free(record);
    free(path);
    return err;
}

struct error *run_store_load(const char *directory, struct run_record **ret_record)
{
    struct error *err = NULL;
    struct database *database = NULL;
    struct run_record *record = NULL;
    TRY(run_store_open(directory, &database, &record));
    TRY(run_store_load_rounds(database, record));
    TRY(run_store_load_sites(database, record));
    TRY(run_store_load_receipts(database, record));
    TRY(run_store_load_private(database, record));
    run_store_interrupted(directory, record, record->round_count);
    *ret_record = record;
    record = NULL;
done:
    database_close(database);
    run_record_free(record);
    return err;
}

struct error *run_store_load_outline(const char *directory, struct run_record **ret_record,
                                     struct run_outline *ret_outline)
{
    struct error *err = NULL;
    struct database *database = NULL;
    struct run_record *record = NULL;
    struct run_outline outline = {.accuracy = NAN, .noised = NAN, .noised_deviation = NAN};
    TRY(run_store_open(directory, &database, &record));
    TRY(run_store_load_progress(database, record, &outline));
    TRY(run_store_load_private_outline(database, record, &outline));
    run_store_interrupted(directory, record, outline.rounds);
    *ret_outline = outline;
    *ret_record = record;
    record = NULL;
done:
    database_close(database);
    run_record_free(record);
    return err;
}
