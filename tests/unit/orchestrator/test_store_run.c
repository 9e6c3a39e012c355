/* A run in its directory: written, read back, damaged. Of earlier versions: test_store_run_versions.c. */
#include "stored_run.h"

#include "schemas/files.h"

#include <math.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_store_run_whole_run_reads_back_the_same(void **state)
{
    struct run_record *record = made_run(3);
    struct run_record *read = NULL;
    stored_run_whole(*state, record);
    made_fine(run_store_load(*state, &read));
    stored_run_same(record, read);
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
    stored_run_whole(*state, record);
    made_fine(run_store_load(*state, &read));
    stored_run_same(record, read);
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
    stored_run_whole(*state, record);
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
    stored_run_whole(*state, record);
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
    struct run_store *store = stored_run_write(*state, record, 2);
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
        struct run_store *store = stored_run_write(*state, record, 2);
        (void)store;
        (void)raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    made_fine(run_store_load(*state, &read));
    assert_int_equal(read->status, RUN_STOPPED);
    assert_string_equal(read->reason, "The run was interrupted after round 2 of 3.");
    assert_int_equal(read->round_count, 2);
    stored_run_same_round(&read->rounds[1], &record->rounds[1]);
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
    struct run_store *store = stored_run_write(*state, record, 1);
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
    stored_run_whole(*state, record);
    made_refusal(run_store_create(*state, record, &store), ERROR_CONFLICT, "exists already");
    run_record_free(record);
}

static void test_store_run_directory_in_use_is_refused(void **state)
{
    struct run_record *record = made_run(1);
    struct run_store *second = NULL;
    struct run_store *store = stored_run_write(*state, record, 0);
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
    stored_run_whole(*state, record);
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
    stored_run_whole(*state, record);
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
    stored_run_whole(*state, record);
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
    stored_run_whole(*state, record);
    made_refusal(run_store_load(*state, &read), ERROR_CORRUPT, "job id");
    run_record_free(record);
}

static void test_store_run_matrix_or_model_of_another_shape_is_refused(void **state)
{
    struct run_record *record = made_run(1);
    struct run_record *read = NULL;
    struct run_store *store = stored_run_write(*state, record, 1);
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
    stored_run_whole(*state, record);
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
    struct run_outline outline;
    stored_run_whole(*state, record);
    made_fine(run_store_load_outline(*state, &read, &outline));
    assert_int_equal(outline.rounds, 3);
    assert_true(outline.accuracy == (double)(103 + 43) / (103 + 17 + 37 + 43));
    assert_true(isnan(outline.noised) != 0 && isnan(outline.noised_deviation) != 0);
    assert_int_equal(read->round_count, 0);
    run_record_free(read);
    run_record_free(record);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
