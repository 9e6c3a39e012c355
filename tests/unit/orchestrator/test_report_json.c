#include "made_run.h"

#include "orchestrator/report.h"

#include <jansson.h>
#include <math.h>

/* report.json of a run, read with another parser than ours. */
static json_t *written(const char *directory, const struct run_record *record)
{
    json_error_t failure;
    char *path = made_path(directory, "report.json");
    made_fine(report_json_write(record, path));
    json_t *report = json_load_file(path, JSON_REJECT_DUPLICATES, &failure);
    if (report == NULL)
        fail_msg("line %d: %s", failure.line, failure.text);
    free(path);
    return report;
}

static void has_exactly(const json_t *object, const char *const *keys)
{
    size_t count = 0;
    for (; keys[count] != NULL; count++) {
        if (json_object_get(object, keys[count]) == NULL)
            fail_msg("%s is missing", keys[count]);
    }
    assert_int_equal(json_object_size(object), count);
}

static const json_t *round_of(const json_t *report, size_t i)
{
    return json_array_get(json_object_get(report, "rounds"), i);
}

static const json_t *site_of(const json_t *report, size_t round, size_t site)
{
    return json_array_get(json_object_get(round_of(report, round), "sites"), site);
}

static double real_of(const json_t *object, const char *key)
{
    assert_true(json_is_number(json_object_get(object, key)));
    return json_number_value(json_object_get(object, key));
}

static void is_text(const json_t *object, const char *key, const char *wanted)
{
    assert_string_equal(json_string_value(json_object_get(object, key)), wanted);
}

static void is_null(const json_t *object, const char *key)
{
    assert_true(json_is_null(json_object_get(object, key)));
}

static void is_matrix(const json_t *object, const char *key, const uint64_t wanted[4])
{
    const json_t *rows = json_object_get(object, key);
    assert_int_equal(json_array_size(rows), 2);
    for (size_t i = 0; i < 4; i++) {
        const json_t *row = json_array_get(rows, i / 2);
        assert_int_equal(json_array_size(row), 2);
        assert_int_equal(json_integer_value(json_array_get(row, i % 2)), wanted[i]);
    }
}

static void test_report_json_members_are_exactly_those_of_version_1(void **state)
{
    static const char *const top[] = {"version",
                                      "mock",
                                      "run_id",
                                      "job_id",
                                      "status",
                                      "reason",
                                      "job_name",
                                      "dataset",
                                      "rounds_planned",
                                      "min_sites",
                                      "features",
                                      "classes",
                                      "sites",
                                      "rounds",
                                      "model",
                                      "timing",
                                      "secure_aggregation",
                                      "privacy",
                                      "averaged",
                                      NULL};
    static const char *const round[] = {
        "round", "seconds", "sites", "pooled", "global_test", "model_sha256", "secure_aggregation", NULL};
    static const char *const site[] = {
        "name",        "status",    "reason",        "examples",      "train_accuracy", "test_accuracy",
        "test_rows",   "confusion", "epsilon_spent", "train_seconds", "seconds",        "receipt",
        "contributed", NULL};
    static const char *const pooled[] = {"test_accuracy", "test_rows", "confusion", "noised", NULL};
    static const char *const model[] = {"kind", "features", "shape", "coef_shape", "intercept_shape", NULL};
    struct run_record *record = made_run(2);
    json_t *report = written(*state, record);
    has_exactly(report, top);
    has_exactly(round_of(report, 1), round);
    has_exactly(site_of(report, 1, 1), site);
    has_exactly(json_object_get(round_of(report, 1), "pooled"), pooled);
    has_exactly(json_object_get(report, "model"), model);
    json_decref(report);
    run_record_free(record);
}

static void test_report_json_values_are_those_of_the_run(void **state)
{
    struct run_record *record = made_run(2);
    json_t *report = written(*state, record);
    const json_t *site = site_of(report, 1, 1);
    const json_t *pooled = json_object_get(round_of(report, 1), "pooled");
    assert_int_equal(json_integer_value(json_object_get(report, "version")), 1);
    is_text(report, "run_id", "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf");
    is_text(report, "status", "finished");
    is_text(report, "job_name", "made-up");
    assert_true(real_of(round_of(report, 1), "seconds") == 0.5);
    is_text(round_of(report, 1), "model_sha256",
            "0202020202020202020202020202020202020202020202020202020202020202");
    is_text(site, "name", "South");
    is_text(site, "status", "ok");
    is_text(site, "reason", "");
    assert_int_equal(json_integer_value(json_object_get(site, "examples")), 200);
    assert_true(real_of(site, "train_accuracy") == 0.5 + 2 / 100.0 + 1.0 / 1000);
    assert_true(real_of(site, "test_accuracy") == 75.0 / 101);
    is_matrix(site, "confusion", (const uint64_t[]){52, 8, 18, 23});
    is_matrix(pooled, "confusion", (const uint64_t[]){102, 18, 38, 42});
    assert_true(real_of(pooled, "test_accuracy") == 144.0 / 200);
    json_decref(report);
    run_record_free(record);
}

static void test_report_json_shapes_are_of_coef_and_intercept(void **state)
{
    struct run_record *record = made_run(1);
    json_t *report = written(*state, record);
    const json_t *model = json_object_get(report, "model");
    json_t *wanted = json_pack("{s:s, s:s, s:[i, i], s:[i, i], s:[i]}", "kind", "softmax-regression",
                               "features", "raw", "shape", 3, 2, "coef_shape", 2, 3, "intercept_shape", 2);
    assert_true(json_equal(model, wanted));
    json_decref(wanted);
    json_decref(report);
    run_record_free(record);
}

static void test_report_json_what_was_not_released_is_null(void **state)
{
    struct run_record *record = made_run(1);
    struct round_record *round = &record->rounds[0];
    free(round->model);
    free(round->pooled_confusion);
    free(round->sites[0].confusion);
    round->model = NULL;
    round->pooled_confusion = NULL;
    round->sites[0] = (struct site_round){
        .status = SITE_REFUSED, .reason = "no", .train_accuracy = NAN, .train_seconds = NAN};
    json_t *report = written(*state, record);
    const json_t *site = site_of(report, 0, 0);
    is_text(site, "status", "refused");
    is_text(site, "reason", "no");
    is_null(site, "examples");
    is_null(site, "train_accuracy");
    is_null(site, "test_accuracy");
    is_null(site, "confusion");
    is_null(site, "epsilon_spent");
    is_null(site, "train_seconds");
    is_null(json_object_get(round_of(report, 0), "pooled"), "test_accuracy");
    is_null(json_object_get(round_of(report, 0), "pooled"), "confusion");
    is_null(round_of(report, 0), "global_test");
    is_null(round_of(report, 0), "model_sha256");
    json_decref(report);
    run_record_free(record);
}

static void test_report_json_matrix_without_rows_has_no_accuracy(void **state)
{
    struct run_record *record = made_run(1);
    memset(record->rounds[0].pooled_confusion, 0, 6 * sizeof(uint64_t));
    json_t *report = written(*state, record);
    is_null(json_object_get(round_of(report, 0), "pooled"), "test_accuracy");
    json_decref(report);
    run_record_free(record);
}

/* Neither 0 nor a huge number: what is withheld is null. */
static void test_report_json_withheld_counts_are_null(void **state)
{
    struct run_record *record = made_run(1);
    uint64_t *counts = record->rounds[0].sites[0].confusion;
    uint64_t rows = counts[4];
    counts[0] = counts[1] = counts[5] = WIRE_WITHHELD;
    record->rounds[0].sites[0].has_examples = false;
    json_t *report = written(*state, record);
    const json_t *site = site_of(report, 0, 0);
    const json_t *matrix = json_object_get(site, "confusion");
    assert_true(json_is_null(json_array_get(json_array_get(matrix, 0), 0)));
    assert_true(json_is_null(json_array_get(json_array_get(matrix, 0), 1)));
    assert_int_equal(json_integer_value(json_array_get(json_array_get(matrix, 1), 1)), counts[3]);
    assert_int_equal(json_integer_value(json_object_get(site, "test_rows")), rows);
    is_null(site, "test_accuracy");
    is_null(site, "examples");
    json_decref(report);
    run_record_free(record);
}

static void test_report_json_global_test_has_accuracy_and_matrix(void **state)
{
    struct run_record *record = made_run(1);
    const uint64_t counts[6] = {3, 1, 0, 4, 8, 7};
    record->rounds[0].global_confusion = malloc(sizeof counts);
    assert_non_null(record->rounds[0].global_confusion);
    memcpy(record->rounds[0].global_confusion, counts, sizeof counts);
    json_t *report = written(*state, record);
    const json_t *global = json_object_get(round_of(report, 0), "global_test");
    assert_true(real_of(global, "accuracy") == 7.0 / 8);
    is_matrix(global, "confusion", counts);
    json_decref(report);
    run_record_free(record);
}

static void test_report_json_run_without_rounds_has_null_shapes_and_times(void **state)
{
    struct run_record *record = made_run(1);
    round_record_clear(&record->rounds[0], 2);
    record->round_count = 0;
    record->features = record->model_features = 0;
    record->classes = 0;
    record->approved_at = 0;
    record->ended_at = 0;
    record->status = RUN_CANCELLED;
    json_t *report = written(*state, record);
    is_text(report, "status", "cancelled");
    assert_int_equal(json_array_size(json_object_get(report, "rounds")), 0);
    is_null(json_object_get(report, "model"), "coef_shape");
    is_null(json_object_get(report, "timing"), "approved_at");
    is_null(json_object_get(report, "timing"), "total_seconds");
    is_text(json_object_get(report, "timing"), "started_at", "2027-01-02T03:04:05Z");
    json_decref(report);
    run_record_free(record);
}

static void test_report_json_reason_that_is_not_utf8_is_made_readable(void **state)
{
    struct run_record *record = made_run(1);
    record->rounds[0].sites[0].status = SITE_FAILED;
    (void)snprintf(record->rounds[0].sites[0].reason, 512, "bad \xff\x01 \"text\"");
    json_t *report = written(*state, record);
    is_text(site_of(report, 0, 0), "reason", "bad ?? \"text\"");
    json_decref(report);
    run_record_free(record);
}

/* Two reports stay in the working directory, for report_schema.py to hold against schemas/report.schema.json.
 */
static void test_report_json_samples_are_written_for_the_schema(void **state)
{
    struct run_record *record = made_run(2);
    struct round_record *round = &record->rounds[1];
    (void)state;
    made_fine(report_json_write(record, "whole.json"));
    free(round->model);
    free(round->pooled_confusion);
    free(round->sites[0].confusion);
    round->model = NULL;
    round->pooled_confusion = NULL;
    round->sites[0] = (struct site_round){
        .status = SITE_LATE, .reason = "slow", .train_accuracy = NAN, .train_seconds = NAN, .seconds = 60};
    record->status = RUN_STOPPED;
    record->ended_at = 0;
    made_fine(report_json_write(record, "partial.json"));
    run_record_free(record);
    record = made_masked_run(2);
    made_fine(report_json_write(record, "masked.json"));
    run_record_free(record);
    record = made_private_run(2, "mechanism: dp-sgd, noise_multiplier: 2, sampling_rate: 0.05, steps: 10");
    made_fine(report_json_write(record, "private.json"));
    run_record_free(record);
    record = made_private_masked_run(2);
    made_fine(report_json_write(record, "private-masked.json"));
    run_record_free(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MADE_TEST(test_report_json_members_are_exactly_those_of_version_1),
        MADE_TEST(test_report_json_values_are_those_of_the_run),
        MADE_TEST(test_report_json_shapes_are_of_coef_and_intercept),
        MADE_TEST(test_report_json_what_was_not_released_is_null),
        MADE_TEST(test_report_json_matrix_without_rows_has_no_accuracy),
        MADE_TEST(test_report_json_withheld_counts_are_null),
        MADE_TEST(test_report_json_global_test_has_accuracy_and_matrix),
        MADE_TEST(test_report_json_run_without_rounds_has_null_shapes_and_times),
        MADE_TEST(test_report_json_reason_that_is_not_utf8_is_made_readable),
        cmocka_unit_test(test_report_json_samples_are_written_for_the_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
