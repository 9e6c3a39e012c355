/* Means and deviations for the next job's file: what noise may have made is not passed on as a deviation. */
#include "made_run.h"

#include "orchestrator/report_parts.h"
#include "orchestrator/statistics.h"

#include <math.h>

/* A job of feature-statistics of two sites, and a run of it with this result. */
static struct run_record *run_of(const char *privacy, const double *parameters, size_t features)
{
    char *text = NULL;
    struct run_record *record = calloc(1, sizeof *record);
    assert_non_null(record);
    bool private = privacy[0] != '\0';
    const char *declared = private ? ", examples: 1000" : "";
    int wrote = asprintf(
        &text,
        "job: means\ndataset: toy\nmodel: {kind: feature-statistics}\n%s"
        "federation: {rounds: 1}\nexpires: 2127-12-31T00:00:00Z\nsites:\n"
        "  - {name: A, fingerprint: \"sha256:%064x\"%s}\n  - {name: B, fingerprint: \"sha256:%064x\"%s}\n",
        privacy, 1u, declared, 2u, declared);
    assert_true(wrote > 0);
    record->job_bytes = (uint8_t *)text;
    record->job_byte_count = (size_t)wrote;
    made_fine(job_parse(text, (size_t)wrote, "job.yaml", &record->job));
    made_fine(digest_of(text, (size_t)wrote, &record->job_id));
    made_fine(run_record_set_shape(record, features, 2, 0, 0));
    record->rounds = calloc(1, sizeof *record->rounds);
    assert_non_null(record->rounds);
    record->round_count = 1;
    record->rounds[0].round = 1;
    record->rounds[0].sites = calloc(2, sizeof(struct site_round));
    record->rounds[0].model = calloc(2 * features, sizeof(double));
    assert_non_null(record->rounds[0].sites);
    assert_non_null(record->rounds[0].model);
    memcpy(record->rounds[0].model, parameters, 2 * features * sizeof(double));
    return record;
}

static void test_statistics_are_mean_and_deviation(void **state)
{
    (void)state;
    static const double parameters[] = {0.5, -2, 3, 0.5, 5, 9};
    struct run_record *record = run_of("", parameters, 3);
    struct statistics statistics;
    made_fine(statistics_of(record, &statistics));
    assert_int_equal(statistics.features, 3);
    assert_true(statistics.mean[1] == -2);
    assert_true(statistics.deviation[0] == 0.5 && statistics.deviation[1] == 1);
    assert_true(statistics.deviation[2] == 0);
    assert_int_equal(statistics.constant, 1);
    statistics_clear(&statistics);
    run_record_free(record);
}

/* Noise on a site's mean: clip 2 · multiplier 5 / (0.5 · 1000) = 0.02; of two sites' average 0.014; three of that are 0.042. */
static void test_statistics_deviation_within_the_noise_is_none(void **state)
{
    (void)state;
    static const double parameters[] = {0, 0, 0, 0.04, 0.045, -0.01};
    struct run_record *record =
        run_of("privacy: {mechanism: dp-sgd, clip: 2, noise_multiplier: 5, delta: 1e-5, "
               "sampling_rate: 0.5}\n",
               parameters, 3);
    struct statistics statistics;
    made_fine(statistics_of(record, &statistics));
    assert_true(statistics.deviation[0] == 0);
    assert_true(fabs(statistics.deviation[1] - sqrt(0.045)) < 1e-12);
    assert_true(statistics.deviation[2] == 0);
    statistics_clear(&statistics);
    run_record_free(record);
}

/* What is printed, put into a job, reads as these numbers and this job. */
static void test_statistics_printed_read_in_a_job_as_they_are(void **state)
{
    (void)state;
    enum { FEATURES = 100 };
    double parameters[2 * FEATURES];
    char hex[DIGEST_HEX_BYTES];
    struct report_text text = {0};
    struct statistics statistics;
    struct job *job = NULL;
    for (size_t i = 0; i < FEATURES; i++) {
        parameters[i] = (double)i / 7 - 3 * (i % 3 == 0 ? 1e-9 : 1);
        parameters[FEATURES + i] = parameters[i] * parameters[i] + (i % 5 == 0 ? 0 : (double)(i + 1) / 11);
    }
    struct run_record *record = run_of("", parameters, FEATURES);
    made_fine(statistics_of(record, &statistics));
    made_fine(report_text_open(&text));
    (void)fputs("job: next\ndataset: toy\nmodel: {kind: softmax-regression}\nfederation: {rounds: 1}\n"
                "expires: 2127-12-31T00:00:00Z\n",
                text.stream);
    statistics_print(text.stream, record, &statistics);
    (void)fprintf(text.stream, "sites:\n  - {name: A, fingerprint: \"sha256:%064x\"}\n", 1u);
    made_fine(report_text_finish(&text));
    made_fine(job_parse(text.bytes, text.count, "job.yaml", &job));
    assert_int_equal(job->features, JOB_FEATURES_STANDARDIZE);
    assert_int_equal(job->feature_count, FEATURES);
    for (size_t i = 0; i < FEATURES; i++) {
        assert_true(fabs(job->feature_mean[i] - statistics.mean[i]) <= 1e-8 * fabs(statistics.mean[i]));
        assert_true(fabs(job->feature_deviation[i] - statistics.deviation[i]) <=
                    1e-8 * statistics.deviation[i]);
        assert_true((job->feature_deviation[i] > 0) == (i % 5 != 0));
    }
    digest_hex(&record->job_id, hex);
    assert_string_equal(job->features_released_by + strlen("sha256:"), hex);
    job_free(job);
    report_text_clear(&text);
    statistics_clear(&statistics);
    run_record_free(record);
}

static void test_statistics_of_another_job_are_refused(void **state)
{
    (void)state;
    struct statistics statistics;
    struct run_record *record = made_run(1);
    made_refusal(statistics_of(record, &statistics), ERROR_INVALID, "model.kind: feature-statistics");
    run_record_free(record);
}

static void test_statistics_of_a_round_that_failed_are_refused(void **state)
{
    (void)state;
    static const double parameters[] = {1, 1};
    struct statistics statistics;
    struct run_record *record = run_of("", parameters, 1);
    free(record->rounds[0].model);
    record->rounds[0].model = NULL;
    made_refusal(statistics_of(record, &statistics), ERROR_NOT_FOUND, "no statistics");
    run_record_free(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics_are_mean_and_deviation),
        cmocka_unit_test(test_statistics_deviation_within_the_noise_is_none),
        cmocka_unit_test(test_statistics_printed_read_in_a_job_as_they_are),
        cmocka_unit_test(test_statistics_of_another_job_are_refused),
        cmocka_unit_test(test_statistics_of_a_round_that_failed_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
