#include "made_run.h"

#include "orchestrator/report.h"
#include "orchestrator/run_out.h"
#include "orchestrator/safetensors.h"

#include <unistd.h>

static bool exists(const char *directory, const char *name)
{
    char *path = made_path(directory, name);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

static void test_report_write_makes_all_files_in_a_new_directory(void **state)
{
    static const char *const files[] = {"report.json", "report.html", "rounds.csv", "confusion.csv",
                                        "model.safetensors"};
    struct run_record *record = made_run(2);
    char *out = made_path(*state, "a/b");
    made_fine(report_write(record, out));
    made_fine(report_write(record, out)); /* and again over them */
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        assert_true(exists(out, files[i]));
    free(out);
    run_record_free(record);
}

static void test_report_write_without_a_model_leaves_it_out(void **state)
{
    struct run_record *record = made_run(1);
    free(record->rounds[0].model);
    record->rounds[0].model = NULL;
    made_fine(report_write(record, *state));
    assert_true(exists(*state, "report.html"));
    assert_false(exists(*state, "model.safetensors"));
    made_refusal(report_model_write(record, "model"), ERROR_NOT_FOUND, "no model");
    run_record_free(record);
}

static void test_report_model_is_that_of_the_last_round_that_made_one(void **state)
{
    struct run_record *record = made_run(3);
    struct safetensors model = {0};
    char *path = made_path(*state, "model.safetensors");
    free(record->rounds[2].model);
    record->rounds[2].model = NULL;
    made_fine(report_model_write(record, path));
    made_fine(safetensors_read(path, &model));
    assert_int_equal(model.features, MADE_FEATURES);
    assert_int_equal(model.classes, MADE_CLASSES);
    assert_true(model.parameters[0] == 2);
    assert_true(model.parameters[7] == 2 + 7.0 / 8);
    char *text = made_text(path);
    assert_non_null(strstr(
        text + 8, "\"model_sha256\":\"0202020202020202020202020202020202020202020202020202020202020202\""));
    free(text);
    safetensors_clear(&model);
    free(path);
    run_record_free(record);
}

static void test_report_accuracy_of_nothing_is_not_a_number(void **state)
{
    const uint64_t none[6] = {0};
    const uint64_t some[6] = {3, 1, 0, 4, 8, 7};
    double nothing = confusion_accuracy(none, 2);
    double absent = confusion_accuracy(NULL, 2);
    (void)state;
    assert_true(nothing != nothing);
    assert_true(absent != absent);
    assert_true(confusion_accuracy(some, 2) == 7.0 / 8);
    assert_int_equal(confusion_rows(some, 2), 8);
}

/* Another run than the one of made_run, without any model. */
static struct run_record *other_run(void)
{
    struct run_record *record = made_run(1);
    record->run_id[0] = 0xb0;
    free(record->rounds[0].model);
    record->rounds[0].model = NULL;
    return record;
}

static void test_report_of_another_run_replaced_only_by_a_run_with_a_model(void **state)
{
    struct run_record *first = made_run(1);
    struct run_record *without = other_run();
    char *place = made_path(*state, "reports");
    made_fine(run_out_admit(place, without));
    made_fine(report_write(first, place));
    made_refusal(run_out_admit(place, without), ERROR_CONFLICT, "holds the reports of run a0a1a2a3");
    made_fine(run_out_admit(place, first));
    first->run_id[0] = 0xc0;
    made_fine(run_out_admit(place, first));
    free(place);
    run_record_free(without);
    run_record_free(first);
}

static void test_report_into_the_record_of_another_run_refused(void **state)
{
    struct run_record *first = made_run(1);
    struct run_record *second = made_run(1);
    struct run_store *store = NULL;
    char *place = made_path(*state, "record");
    made_fine(run_store_create(place, first, &store));
    run_store_close(store);
    second->run_id[0] = 0xb0;
    made_fine(run_out_admit(place, first));
    made_refusal(run_out_admit(place, second), ERROR_CONFLICT, "holds run a0a1a2a3, which stays");
    free(place);
    run_record_free(second);
    run_record_free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MADE_TEST(test_report_write_makes_all_files_in_a_new_directory),
        MADE_TEST(test_report_write_without_a_model_leaves_it_out),
        MADE_TEST(test_report_model_is_that_of_the_last_round_that_made_one),
        cmocka_unit_test(test_report_accuracy_of_nothing_is_not_a_number),
        MADE_TEST(test_report_of_another_run_replaced_only_by_a_run_with_a_model),
        MADE_TEST(test_report_into_the_record_of_another_run_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
