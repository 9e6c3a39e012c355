/* What run.db has of private runs: written, read back, damaged. */
#include "stored_run.h"

#include <math.h>

#define SGD "mechanism: dp-sgd, noise_multiplier: 2, sampling_rate: 0.05, steps: 10"

static struct run_record *write_run(const char *directory)
{
    struct run_record *record = made_private_run(2, SGD);
    struct run_store *store = NULL;
    size_t count = run_record_parameters(record);
    record->averaged = calloc(count, sizeof(double));
    record->averaged_confusion = confusion_new(record->classes);
    assert_non_null(record->averaged);
    assert_non_null(record->averaged_confusion);
    for (size_t i = 0; i < count; i++)
        record->averaged[i] = 0.5 + (double)i;
    record->averaged_confusion[0] = 7;
    confusion_sum(record->averaged_confusion, record->classes);
    (void)memset(record->averaged_sha256.bytes, 0x5a, DIGEST_BYTES);
    made_fine(run_store_create(directory, record, &store));
    made_fine(run_store_approved(store, record));
    for (size_t r = 0; r < 2; r++)
        made_fine(run_store_round(store, record, &record->rounds[r]));
    made_fine(run_store_end(store, record));
    run_store_close(store);
    return record;
}

static void test_store_run_private_reads_back_as_it_was(void **state)
{
    struct run_record *read = NULL;
    char *directory = made_path(*state, "run");
    struct run_record *record = write_run(directory);
    made_fine(run_store_load(directory, &read));
    assert_true(read->epsilon == record->epsilon && read->epsilon_rdp == record->epsilon_rdp &&
                read->epsilon_worst == record->epsilon_worst);
    assert_memory_equal(read->averaged, record->averaged, run_record_parameters(record) * sizeof(double));
    assert_true(digest_equal(&read->averaged_sha256, &record->averaged_sha256));
    assert_int_equal(confusion_rows(read->averaged_confusion, read->classes), 7);
    for (size_t r = 0; r < 2; r++) {
        const struct round_record *is = &read->rounds[r], *was = &record->rounds[r];
        assert_memory_equal(is->pooled_noised, was->pooled_noised, 4 * sizeof(double));
        assert_true(is->pooled_noise == was->pooled_noise && is->pooled_sites == was->pooled_sites);
        for (size_t s = 0; s < 2; s++)
            assert_true(is->sites[s].epsilon_spent == was->sites[s].epsilon_spent);
    }
    run_record_free(read);
    run_record_free(record);
    free(directory);
}

static void test_store_run_private_impossible_values_are_refused(void **state)
{
    static const char *const wrong[] = {
        "UPDATE run SET epsilon = -1",
        "UPDATE run SET epsilon_worst = 1e9",
        "UPDATE run SET averaged = x'00'",
        "UPDATE run SET averaged_sha256 = NULL",
        "UPDATE run SET image_rows = -1",
        "UPDATE round SET pooled_noise = 0",
        "UPDATE round SET pooled_noise = NULL",
        "UPDATE round SET pooled_sites = 3",
        "UPDATE round SET pooled_sites = NULL",
        "UPDATE round SET pooled_noised = x'0000000000000000'",
        ("UPDATE round SET pooled_noised = "
         "x'000000000000f87f000000000000000000000000000000000000000000000000'"),
        "UPDATE site_round SET epsilon_spent = -0.5 WHERE round = 1",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char name[16];
        struct run_record *read = NULL;
        struct database *database = NULL;
        (void)snprintf(name, sizeof name, "run-%zu", i);
        char *directory = made_path(*state, name);
        char *path = made_path(directory, "run.db");
        struct run_record *record = write_run(directory);
        made_fine(database_open(path, &run_database, DATABASE_OPEN, &database));
        made_fine(database_run(database, wrong[i]));
        database_close(database);
        struct error *err = run_store_load(directory, &read);
        if (err == NULL)
            fail_msg("read: %s", wrong[i]);
        made_refusal(err, ERROR_CORRUPT, "run.db");
        free(path);
        free(directory);
        run_record_free(record);
    }
}

/* An estimate is never in the place of an exact figure. The result is the mean: 7 rows, all right. */
static void
test_store_run_private_outline_has_the_estimate_beside_the_exact_figure_of_the_result(void **state)
{
    struct run_record *read = NULL;
    struct run_outline outline;
    char *directory = made_path(*state, "run");
    struct run_record *record = write_run(directory);
    made_fine(run_store_load_outline(directory, &read, &outline));
    assert_int_equal(outline.rounds, 2);
    assert_true(outline.accuracy == 1);
    assert_true(fabs(outline.noised - 192.5 / 193.25) < 1e-12);
    assert_true(outline.noised_deviation > 0.04);
    run_record_free(read);
    run_record_free(record);
    free(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MADE_TEST(test_store_run_private_reads_back_as_it_was),
        MADE_TEST(test_store_run_private_impossible_values_are_refused),
        MADE_TEST(test_store_run_private_outline_has_the_estimate_beside_the_exact_figure_of_the_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
