#include "made_run.h"

#include "orchestrator/store_run.h"
#include "schemas/files.h"

#include <math.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Everything up to and including round `rounds`; the store stays open. */
static struct run_store *write_run(const char *directory, const struct run_record *record, size_t rounds)
{
    struct run_store *store = NULL;
    made_fine(run_store_create(directory, record, &store));
    made_fine(run_store_approved(store, record));
    for (size_t i = 0; i < rounds; i++)
        made_fine(run_store_round(store, record, &record->rounds[i]));
    return store;
}

static void write_whole(const char *directory, const struct run_record *record)
{
    struct run_store *store = write_run(directory, record, record->round_count);
    made_fine(run_store_end(store, record));
    run_store_close(store);
}

static void same_matrix(const uint64_t *a, const uint64_t *b)
{
    assert_int_equal(a == NULL, b == NULL);
    if (a != NULL)
        assert_memory_equal(a, b, MADE_CLASSES * MADE_CLASSES * sizeof *a);
}

static void same_value(double a, double b)
{
    assert_true((isnan(a) && isnan(b)) || a == b);
}

static void same_round(const struct round_record *a, const struct round_record *b)
{
    assert_int_equal(a->round, b->round);
    assert_true(a->seconds == b->seconds);
    assert_memory_equal(&a->model_sha256, &b->model_sha256, sizeof a->model_sha256);
    assert_int_equal(a->model == NULL, b->model == NULL);
    if (a->model != NULL)
        assert_memory_equal(a->model, b->model, (MADE_FEATURES + 1) * MADE_CLASSES * sizeof(double));
    same_matrix(a->pooled_confusion, b->pooled_confusion);
    same_matrix(a->global_confusion, b->global_confusion);
    for (size_t s = 0; s < 2; s++) {
        assert_int_equal(a->sites[s].status, b->sites[s].status);
        assert_string_equal(a->sites[s].reason, b->sites[s].reason);
        assert_int_equal(a->sites[s].has_examples, b->sites[s].has_examples);
        assert_int_equal(a->sites[s].examples, b->sites[s].examples);
        same_value(a->sites[s].train_accuracy, b->sites[s].train_accuracy);
        same_value(a->sites[s].train_seconds, b->sites[s].train_seconds);
        same_value(a->sites[s].seconds, b->sites[s].seconds);
        same_matrix(a->sites[s].confusion, b->sites[s].confusion);
    }
}

static void same_run(const struct run_record *a, const struct run_record *b)
{
    assert_memory_equal(a->run_id, b->run_id, RUN_ID_BYTES);
    assert_memory_equal(&a->job_id, &b->job_id, sizeof a->job_id);
    assert_int_equal(a->job_byte_count, b->job_byte_count);
    assert_memory_equal(a->job_bytes, b->job_bytes, a->job_byte_count);
    assert_int_equal(a->status, b->status);
    assert_string_equal(a->reason, b->reason);
    assert_int_equal(a->features, b->features);
    assert_int_equal(a->classes, b->classes);
    assert_int_equal(a->started_at, b->started_at);
    assert_int_equal(a->approved_at, b->approved_at);
    assert_int_equal(a->ended_at, b->ended_at);
    assert_int_equal(a->round_count, b->round_count);
    for (size_t i = 0; i < a->round_count; i++)
        same_round(&a->rounds[i], &b->rounds[i]);
}

static void test_store_run_whole_run_reads_back_the_same(void **state)
{
    struct run_record *record = made_run(3);
    struct run_record *read = NULL;
    write_whole(*state, record);
    made_fine(run_store_load(*state, &read));
    same_run(record, read);
    run_record_free(read);
    run_record_free(record);
}

static void test_store_run_absent_values_stay_absent(void **state)
{
    struct run_record *record = made_run(2);
    struct run_record *read = NULL;
    struct round_record *round = &record->rounds[1];
    free(round->model);
    free(round->pooled_confusion);
    free(round->sites[1].confusion);
    round->model = NULL;
    round->pooled_confusion = NULL;
    memset(&round->model_sha256, 0, sizeof round->model_sha256);
    round->sites[1] = (struct site_round){
        .status = SITE_LATE, .reason = "slow", .train_accuracy = NAN, .train_seconds = NAN, .seconds = 60};
    record->status = RUN_STOPPED;
    (void)snprintf(record->reason, sizeof record->reason, "too few");
    write_whole(*state, record);
    made_fine(run_store_load(*state, &read));
    same_run(record, read);
    assert_null(read->rounds[1].model);
    assert_true(isnan(read->rounds[1].sites[1].train_accuracy));
    assert_false(read->rounds[1].sites[1].has_examples);
    run_record_free(read);
    run_record_free(record);
}

static void test_store_run_job_file_has_the_exact_bytes_and_is_private(void **state)
{
    struct run_record *record = made_run(1);
    struct stat status;
    write_whole(*state, record);
    char *path = made_path(*state, "job.yaml");
    char *text = made_text(path);
    assert_string_equal(text, (const char *)record->job_bytes);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    free(text);
    free(path);
    path = made_path(*state, "run.db");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    free(path);
    run_record_free(record);
}

static void test_store_run_that_is_over_is_one_file_that_reading_leaves_alone(void **state)
{
    struct run_record *record = made_run(1);
    struct run_record *read = NULL;
    char *log = made_path(*state, "run.db-wal");
    write_whole(*state, record);
    assert_int_not_equal(access(log, F_OK), 0);
    made_fine(run_store_load(*state, &read));
    assert_int_not_equal(access(log, F_OK), 0);
    run_record_free(read);
    free(log);
    run_record_free(record);
}

static void test_store_run_going_on_reads_as_running(void **state)
{
    struct run_record *record = made_run(3);
    struct run_record *read = NULL;
    struct run_store *store = write_run(*state, record, 2);
    made_fine(run_store_load(*state, &read));
    assert_int_equal(read->status, RUN_RUNNING);
    assert_int_equal(read->round_count, 2);
    run_record_free(read);
    run_store_close(store);
    run_record_free(record);
}

static void test_store_run_killed_process_reads_as_interrupted(void **state)
{
    struct run_record *record = made_run(3);
    struct run_record *read = NULL;
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct run_store *store = write_run(*state, record, 2);
        (void)store;
        (void)raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    made_fine(run_store_load(*state, &read));
    assert_int_equal(read->status, RUN_STOPPED);
    assert_string_equal(read->reason, "The run was interrupted after round 2 of 3.");
    assert_int_equal(read->round_count, 2);
    same_round(&read->rounds[1], &record->rounds[1]);
    run_record_free(read);
    run_record_free(record);
}

static void test_store_run_before_approval_reads_back_without_a_shape(void **state)
{
    struct run_record *record = made_run(1);
    struct run_record *read = NULL;
    struct run_store *store = NULL;
    record->features = 0;
    record->classes = 0;
    made_fine(run_store_create(*state, record, &store));
    made_fine(run_store_load(*state, &read));
    assert_int_equal(read->features, 0);
    assert_int_equal(read->approved_at, 0);
    assert_int_equal(read->round_count, 0);
    run_record_free(read);
    run_store_close(store);
    run_record_free(record);
}

static void test_store_run_same_round_twice_is_refused_and_leaves_the_first(void **state)
{
    struct run_record *record = made_run(2);
    struct run_record *read = NULL;
    struct run_store *store = write_run(*state, record, 1);
    record->rounds[0].seconds = 99;
    struct error *err = run_store_round(store, record, &record->rounds[0]);
    assert_non_null(err);
    error_free(err);
    run_store_close(store);
    made_fine(run_store_load(*state, &read));
    assert_int_equal(read->round_count, 1);
    assert_true(read->rounds[0].seconds == 0.25);
    run_record_free(read);
    run_record_free(record);
}

/* Also of what the log alone holds, as after the first round. */
static void test_store_run_copy_is_the_whole_record_in_one_file(void **state)
{
    struct run_record *record = made_run(2);
    struct run_record *again = NULL;
    struct run_store *store = NULL;
    struct stat status;
    char *directory = made_path(*state, "run");
    char *copy = made_path(*state, "copy");
    char *file = made_path(copy, "run.db");
    char *log = made_path(copy, "run.db-wal");
    made_fine(directory_make(copy, 0700));
    made_fine(run_store_create(directory, record, &store));
    made_fine(run_store_round(store, record, &record->rounds[0]));
    made_fine(run_store_copy(store, file));
    made_fine(run_store_round(store, record, &record->rounds[1]));
    made_fine(run_store_end(store, record));
    made_fine(run_store_copy(store, file)); /* and again over it */
    run_store_close(store);
    assert_int_equal(stat(file, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_not_equal(access(log, F_OK), 0);
    made_fine(run_store_load(copy, &again));
    assert_int_equal(again->round_count, 2);
    assert_int_equal(again->status, RUN_FINISHED);
    run_record_free(again);
    run_record_free(record);
    free(directory);
    free(copy);
    free(file);
    free(log);
}

static void test_store_run_directory_of_another_run_is_refused(void **state)
{
    struct run_record *record = made_run(1);
    struct run_store *store = NULL;
    write_whole(*state, record);
    made_refusal(run_store_create(*state, record, &store), ERROR_CONFLICT, "exists already");
    run_record_free(record);
}

static void test_store_run_directory_in_use_is_refused(void **state)
{
    struct run_record *record = made_run(1);
    struct run_store *second = NULL;
    struct run_store *store = write_run(*state, record, 0);
    made_refusal(run_store_create(*state, record, &second), ERROR_CONFLICT, "in use");
    run_store_close(store);
    run_record_free(record);
}

static void test_store_run_missing_is_not_found(void **state)
{
    struct run_record *read = NULL;
    made_refusal(run_store_load(*state, &read), ERROR_NOT_FOUND, "run.db");
}

static void overwrite(const char *path, long at, const void *bytes, size_t count)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

static void test_store_run_from_a_newer_version_is_refused(void **state)
{
    static const uint8_t version[4] = {0, 0, 0, 99}; /* user_version, at byte 60 of a SQLite file */
    struct run_record *record = made_run(1);
    struct run_record *read = NULL;
    char *path = made_path(*state, "run.db");
    write_whole(*state, record);
    overwrite(path, 60, version, sizeof version);
    made_refusal(run_store_load(*state, &read), ERROR_UNSUPPORTED, "newer");
    free(path);
    run_record_free(record);
}

static void test_store_run_corrupt_file_is_refused(void **state)
{
    static const uint8_t noise[4096] = {0xff, 0x17, 0x2a};
    struct run_record *record = made_run(1);
    struct run_record *read = NULL;
    char *path = made_path(*state, "run.db");
    write_whole(*state, record);
    overwrite(path, 0, noise, sizeof noise);
    struct error *err = run_store_load(*state, &read);
    assert_non_null(err);
    assert_non_null(strstr(err->sentence, "run.db"));
    assert_null(read);
    error_free(err);
    free(path);
    run_record_free(record);
}

/* Reading must not crash, whatever a byte of the file became. */
static void test_store_run_any_byte_changed_loads_or_says_why(void **state)
{
    struct run_record *record = made_run(2);
    char *path = made_path(*state, "run.db");
    uint8_t *whole = NULL;
    size_t bytes = 0;
    write_whole(*state, record);
    made_fine(file_read(path, 1 << 20, &whole, &bytes));
    for (size_t at = 0; at < bytes; at += 37) {
        struct run_record *read = NULL;
        uint8_t changed = (uint8_t)(whole[at] ^ 0x5a);
        overwrite(path, (long)at, &changed, 1);
        struct error *err = run_store_load(*state, &read);
        assert_true((err == NULL) != (read == NULL));
        error_free(err);
        run_record_free(read);
        overwrite(path, (long)at, &whole[at], 1);
    }
    free(whole);
    free(path);
    run_record_free(record);
}

/* The job is what everybody approved: a run whose job was changed afterwards is not reported as that job's.
 */
static void test_store_run_changed_job_is_refused(void **state)
{
    struct run_record *record = made_run(1);
    struct run_record *read = NULL;
    record->job_bytes[5] = 'M';
    write_whole(*state, record);
    made_refusal(run_store_load(*state, &read), ERROR_CORRUPT, "job id");
    run_record_free(record);
}

static void test_store_run_matrix_or_model_of_another_shape_is_refused(void **state)
{
    struct run_record *record = made_run(1);
    struct run_record *read = NULL;
    struct run_store *store = write_run(*state, record, 1);
    record->features = MADE_FEATURES + 1;
    made_fine(run_store_end(store, record));
    made_refusal(run_store_load(*state, &read), ERROR_CORRUPT, "a model has the wrong size");
    record->features = 1; /* 2 * 4 parameters are also 4 * 2 of them */
    record->classes = 2 * MADE_CLASSES;
    made_fine(run_store_end(store, record));
    made_refusal(run_store_load(*state, &read), ERROR_CORRUPT, "a confusion matrix has the wrong size");
    run_store_close(store);
    record->classes = MADE_CLASSES;
    run_record_free(record);
}

static void test_store_run_read_only_directory_can_be_read(void **state)
{
    struct run_record *record = made_run(1);
    struct run_record *read = NULL;
    char *path = made_path(*state, "run.db");
    write_whole(*state, record);
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(chmod(*state, 0500), 0);
    struct error *err = run_store_load(*state, &read);
    assert_int_equal(chmod(*state, 0700), 0);
    made_fine(err);
    assert_int_equal(read->round_count, 1);
    run_record_free(read);
    free(path);
    run_record_free(record);
}

static void test_store_run_outline_tells_progress_and_accuracy(void **state)
{
    struct run_record *record = made_run(3);
    struct run_record *read = NULL;
    uint32_t rounds = 0;
    double accuracy = 0;
    write_whole(*state, record);
    made_fine(run_store_load_outline(*state, &read, &rounds, &accuracy));
    assert_int_equal(rounds, 3);
    assert_true(accuracy == (double)(103 + 43) / (103 + 17 + 37 + 43));
    assert_int_equal(read->round_count, 0);
    run_record_free(read);
    run_record_free(record);
}

/* What version 1 had: neither receipts nor mock runs. */
static void make_version_1(const char *directory)
{
    struct database *database = NULL;
    char *path = made_path(directory, "run.db");
    made_fine(database_open(path, &run_database, DATABASE_OPEN, &database));
    made_fine(database_run(database,
                           "DROP TABLE receipt; ALTER TABLE run DROP COLUMN mock; DROP TABLE secagg_round;"
                           "PRAGMA user_version = 1; PRAGMA journal_mode = DELETE"));
    database_close(database);
    free(path);
}

static struct error *no_receipt(void *context, const struct receipt *receipt)
{
    (void)receipt;
    *(int *)context += 1;
    return NULL;
}

static void test_store_run_of_version_1_reads_back_without_receipts_and_unchanged(void **state)
{
    struct run_record *record = made_run(2);
    struct run_record *read = NULL;
    struct run_record *outline = NULL;
    uint32_t rounds = 0;
    double accuracy = 0;
    int visited = 0;
    write_whole(*state, record);
    make_version_1(*state);
    char *path = made_path(*state, "run.db");
    char *before = made_text(path);
    made_fine(run_store_load(*state, &read));
    same_run(record, read);
    assert_false(read->has_receipts);
    assert_false(read->mock);
    made_fine(run_store_load_outline(*state, &outline, &rounds, &accuracy));
    assert_int_equal(rounds, 2);
    made_fine(run_store_latest_receipts(*state, no_receipt, &visited));
    assert_int_equal(visited, 0);
    char *after = made_text(path);
    assert_memory_equal(before, after, 4096);
    free(after);
    free(before);
    free(path);
    run_record_free(outline);
    run_record_free(read);
    run_record_free(record);
}

/* What version 2 had: receipts without attempts, and no secure aggregation. */
static void make_version_2(const char *directory)
{
    struct database *database = NULL;
    char *path = made_path(directory, "run.db");
    made_fine(database_open(path, &run_database, DATABASE_OPEN, &database));
    made_fine(database_run(
        database,
        "CREATE TABLE receipt_2 (round INTEGER NOT NULL REFERENCES round (round), position INTEGER NOT "
        "NULL, kind INTEGER NOT NULL CHECK (kind IN (1, 2)), sequence INTEGER NOT NULL CHECK (sequence > "
        "0), receipt BLOB NOT NULL, received BLOB NOT NULL CHECK (length(received) = 32), PRIMARY KEY "
        "(round, position, kind)) STRICT;"
        "INSERT INTO receipt_2 SELECT round, position, kind, sequence, receipt, received FROM receipt;"
        "DROP TABLE receipt; ALTER TABLE receipt_2 RENAME TO receipt; DROP TABLE secagg_round;"
        "PRAGMA user_version = 2; PRAGMA journal_mode = DELETE"));
    database_close(database);
    free(path);
}

static struct site_receipt *some_receipt(enum receipt_kind kind, uint64_t sequence)
{
    struct site_receipt *kept = calloc(1, sizeof *kept);
    assert_non_null(kept);
    kept->receipt = (struct receipt){.round = 1,
                                     .kind = kind,
                                     .body_bytes = 9,
                                     .protections = "min-rows 1",
                                     .sequence = sequence,
                                     .at = 1};
    assert_null(site_id_of_key(kept->receipt.public_key, &kept->receipt.site));
    return kept;
}

static void test_store_run_of_version_2_reads_back_with_its_receipts_and_unchanged(void **state)
{
    struct run_record *record = made_run(2);
    struct run_record *read = NULL;
    record->has_receipts = true;
    record->rounds[0].sites[1].update_receipt = some_receipt(RECEIPT_UPDATE, 3);
    record->rounds[0].sites[1].evaluation_receipt = some_receipt(RECEIPT_EVALUATION, 4);
    write_whole(*state, record);
    make_version_2(*state);
    char *path = made_path(*state, "run.db");
    char *before = made_text(path);
    made_fine(run_store_load(*state, &read));
    same_run(record, read);
    assert_true(read->has_receipts);
    assert_int_equal(read->rounds[0].sites[1].update_receipt->receipt.sequence, 3);
    assert_int_equal(read->rounds[0].sites[1].evaluation_receipt->receipt.sequence, 4);
    assert_null(read->rounds[0].sites[0].update_receipt);
    assert_int_equal(read->rounds[0].masking.attempts, 0);
    assert_int_equal(read->evaluation.round, 0);
    char *after = made_text(path);
    assert_memory_equal(before, after, 4096);
    free(after);
    free(before);
    free(path);
    run_record_free(read);
    run_record_free(record);
}

static void test_store_run_secure_aggregation_reads_back_attempt_by_attempt(void **state)
{
    struct run_record *record = made_masked_run(3);
    struct run_record *read = NULL;
    record->has_receipts = true;
    record->rounds[1].sites[0].masked_receipts[0] = some_receipt(RECEIPT_MASKED_INPUT, 5);
    record->rounds[1].sites[0].masked_receipts[1] = some_receipt(RECEIPT_MASKED_INPUT, 6);
    record->evaluation.sites[3].masked_receipts[0] = some_receipt(RECEIPT_MASKED_INPUT, 9);
    struct run_store *store = NULL;
    made_fine(run_store_create(*state, record, &store));
    for (size_t i = 0; i < 3; i++)
        made_fine(run_store_round(store, record, &record->rounds[i]));
    made_fine(run_store_round(store, record, &record->evaluation));
    made_fine(run_store_end(store, record));
    run_store_close(store);
    made_fine(run_store_load(*state, &read));
    same_run(record, read);
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(&read->rounds[i].masking, &record->rounds[i].masking,
                            sizeof(struct round_masking));
    assert_int_equal(read->rounds[1].sites[0].masked_receipts[0]->receipt.sequence, 5);
    assert_int_equal(read->rounds[1].sites[0].masked_receipts[1]->receipt.sequence, 6);
    assert_null(read->rounds[1].sites[0].masked_receipts[2]);
    assert_int_equal(read->evaluation.round, 4);
    assert_int_equal(read->evaluation.masking.contributors, 3);
    assert_int_equal(read->evaluation.sites[2].status, SITE_LATE);
    assert_int_equal(read->evaluation.sites[3].masked_receipts[0]->receipt.sequence, 9);
    run_record_free(read);
    run_record_free(record);
}

static void test_store_run_pooled_of_a_stored_round_comes_later(void **state)
{
    struct run_record *record = made_masked_run(2);
    struct run_record *read = NULL;
    struct run_store *store = NULL;
    uint64_t *pooled = record->rounds[0].pooled_confusion;
    record->rounds[0].pooled_confusion = NULL;
    made_fine(run_store_create(*state, record, &store));
    made_fine(run_store_round(store, record, &record->rounds[0]));
    record->rounds[0].pooled_confusion = pooled;
    made_fine(run_store_pooled(store, record, &record->rounds[0]));
    run_store_close(store);
    made_fine(run_store_load(*state, &read));
    assert_memory_equal(read->rounds[0].pooled_confusion, pooled, 6 * sizeof *pooled);
    run_record_free(read);
    run_record_free(record);
}

static void test_store_run_impossible_masking_is_refused(void **state)
{
    static const char *const wrong[] = {
        "UPDATE secagg_round SET attempts = 4 WHERE round = 1",
        "UPDATE secagg_round SET contributors = 5 WHERE round = 1",
        "UPDATE secagg_round SET sharers = 2 WHERE round = 1",
        "UPDATE secagg_round SET round = 9 WHERE round = 1",
        "UPDATE round SET round = 9 WHERE round = 3; DELETE FROM site_round WHERE round = 3",
        "UPDATE receipt SET attempt = 3",
        "UPDATE receipt SET kind = 1, attempt = 1",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char name[16];
        struct run_record *record = made_masked_run(2);
        struct run_record *read = NULL;
        struct run_store *store = NULL;
        struct database *database = NULL;
        (void)snprintf(name, sizeof name, "run-%zu", i);
        char *directory = made_path(*state, name);
        char *path = made_path(directory, "run.db");
        record->rounds[0].sites[0].masked_receipts[0] = some_receipt(RECEIPT_MASKED_INPUT, 5);
        made_fine(run_store_create(directory, record, &store));
        for (size_t r = 0; r < 2; r++)
            made_fine(run_store_round(store, record, &record->rounds[r]));
        made_fine(run_store_round(store, record, &record->evaluation));
        run_store_close(store);
        made_fine(database_open(path, &run_database, DATABASE_OPEN, &database));
        made_fine(database_run(database, "PRAGMA foreign_keys = OFF"));
        made_fine(database_run(database, wrong[i]));
        database_close(database);
        made_refusal(run_store_load(directory, &read), ERROR_CORRUPT, "is damaged");
        free(path);
        free(directory);
        run_record_free(record);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MADE_TEST(test_store_run_whole_run_reads_back_the_same),
        MADE_TEST(test_store_run_absent_values_stay_absent),
        MADE_TEST(test_store_run_job_file_has_the_exact_bytes_and_is_private),
        MADE_TEST(test_store_run_that_is_over_is_one_file_that_reading_leaves_alone),
        MADE_TEST(test_store_run_going_on_reads_as_running),
        MADE_TEST(test_store_run_killed_process_reads_as_interrupted),
        MADE_TEST(test_store_run_before_approval_reads_back_without_a_shape),
        MADE_TEST(test_store_run_same_round_twice_is_refused_and_leaves_the_first),
        MADE_TEST(test_store_run_copy_is_the_whole_record_in_one_file),
        MADE_TEST(test_store_run_directory_of_another_run_is_refused),
        MADE_TEST(test_store_run_directory_in_use_is_refused),
        MADE_TEST(test_store_run_missing_is_not_found),
        MADE_TEST(test_store_run_from_a_newer_version_is_refused),
        MADE_TEST(test_store_run_corrupt_file_is_refused),
        MADE_TEST(test_store_run_any_byte_changed_loads_or_says_why),
        MADE_TEST(test_store_run_changed_job_is_refused),
        MADE_TEST(test_store_run_matrix_or_model_of_another_shape_is_refused),
        MADE_TEST(test_store_run_read_only_directory_can_be_read),
        MADE_TEST(test_store_run_outline_tells_progress_and_accuracy),
        MADE_TEST(test_store_run_of_version_1_reads_back_without_receipts_and_unchanged),
        MADE_TEST(test_store_run_of_version_2_reads_back_with_its_receipts_and_unchanged),
        MADE_TEST(test_store_run_secure_aggregation_reads_back_attempt_by_attempt),
        MADE_TEST(test_store_run_pooled_of_a_stored_round_comes_later),
        MADE_TEST(test_store_run_impossible_masking_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
