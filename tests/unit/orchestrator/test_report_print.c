#include "made_run.h"

#include "orchestrator/report.h"

#include <math.h>

static char *printed_round(const struct run_record *record, size_t i)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    assert_non_null(stream);
    report_print_round(stream, record, &record->rounds[i]);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void starts_with(const char *text, const char *wanted)
{
    if (strncmp(text, wanted, strlen(wanted)) != 0)
        fail_msg("wanted:\n%s\ngot:\n%s", wanted, text);
}

static void test_report_print_round_has_exactly_this_form(void **state)
{
    struct run_record *record = made_run(5);
    char *text = printed_round(record, 0);
    (void)state;
    starts_with(text, "=== FL epoch 1/5 ===\n"
                      "  North -> train=0.5100, test=0.7200\n"
                      "  South -> train=0.5110, test=0.7228\n"
                      "  FedAvg epoch 1: intercept shape=(2,), coef shape=(2, 3)\n"
                      "  Pooled confusion matrix after epoch 1");
    assert_non_null(strstr(text, "101  19\n"));
    assert_non_null(strstr(text, "142 of 200 right: 0.7100"));
    free(text);
    run_record_free(record);
}

static void test_report_print_site_that_failed_is_shown_with_its_reason(void **state)
{
    struct run_record *record = made_run(5);
    struct site_round *site = &record->rounds[1].sites[1];
    site->status = SITE_LATE;
    (void)snprintf(site->reason, sizeof site->reason, "no answer within 60 s\x1b[31m");
    char *text = printed_round(record, 1);
    (void)state;
    starts_with(text, "=== FL epoch 2/5 ===\n"
                      "  North -> train=0.5200, test=0.7400\n"
                      "  South -> late: no answer within 60 s?[31m\n"
                      "  FedAvg epoch 2: intercept shape=(2,), coef shape=(2, 3)\n");
    free(text);
    run_record_free(record);
}

static void test_report_print_what_was_not_released_says_so(void **state)
{
    struct run_record *record = made_run(1);
    struct round_record *round = &record->rounds[0];
    free(round->sites[0].confusion);
    free(round->pooled_confusion);
    round->sites[0].confusion = NULL;
    round->pooled_confusion = NULL;
    round->sites[0].train_accuracy = NAN;
    round->sites[1].train_accuracy = NAN;
    char *text = printed_round(record, 0);
    (void)state;
    starts_with(text, "=== FL epoch 1/1 ===\n"
                      "  North -> not released\n"
                      "  South -> train=not released, test=0.7228\n"
                      "  FedAvg epoch 1: intercept shape=(2,), coef shape=(2, 3)\n"
                      "  Pooled confusion matrix after epoch 1: not released\n");
    free(text);
    run_record_free(record);
}

static void test_report_print_round_without_model_says_so(void **state)
{
    struct run_record *record = made_run(1);
    free(record->rounds[0].model);
    record->rounds[0].model = NULL;
    record->rounds[0].sites[0].status = SITE_FAILED;
    char *text = printed_round(record, 0);
    (void)state;
    assert_non_null(strstr(text, "  FedAvg epoch 1: no new model (1 of 2 sites answered)\n"));
    assert_non_null(strstr(text, "  North -> failed: no reason was given\n"));
    free(text);
    run_record_free(record);
}

static void test_report_print_summary_lists_all_epochs_and_the_reports(void **state)
{
    struct run_record *record = made_run(2);
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    (void)state;
    assert_non_null(stream);
    report_print_summary(stream, record, "out");
    assert_int_equal(fclose(stream), 0);
    assert_non_null(strstr(text, "epoch  seconds  North train/test  South train/test  pooled"));
    assert_non_null(strstr(text, "    1     0.25     0.5100/0.7200     0.5110/0.7228  0.7100"));
    assert_non_null(strstr(text, "    2     0.50     0.5200/0.7400     0.5210/0.7426  0.7200"));
    assert_non_null(strstr(text, "Run a0a1a2a3a4a5a6a7a8a9aaabacadaeaf: finished, 2 of 2 rounds\n"));
    assert_non_null(strstr(text, "Reports: out/report.html\n"));
    free(text);
    run_record_free(record);
}

static char *printed_summary(const struct run_record *record, const char *directory)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    assert_non_null(stream);
    report_print_summary(stream, record, directory);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void test_report_print_summary_names_of_sites_whole_while_they_fit(void **state)
{
    static const char *const names[] = {"MNIST subset Part 1", "MNIST subset Part 2"};
    struct run_record *record = made_run_of(1, names, 2, "metrics: per-site", MADE_FEATURES, MADE_CLASSES);
    char *text = printed_summary(record, "out");
    (void)state;
    assert_non_null(strstr(text, "epoch  seconds  MNIST subset Part 1  MNIST subset Part 2  pooled\n"));
    assert_non_null(strstr(text, "\nOf each site: train/test.\n"));
    free(text);
    run_record_free(record);
}

static void test_report_print_summary_wide_names_become_numbers_with_a_legend(void **state)
{
    static const char *const names[] = {"The hospital of the northern valley",
                                        "The hospital of the northern sea"};
    struct run_record *record = made_run_of(1, names, 2, "metrics: per-site", MADE_FEATURES, MADE_CLASSES);
    char *text = printed_summary(record, "out");
    (void)state;
    assert_non_null(strstr(text, "epoch  seconds         site 1         site 2  pooled\n"));
    assert_non_null(strstr(text, "site 1: The hospital of the northern valley\n"
                                 "site 2: The hospital of the northern sea\nOf each site: train/test.\n"));
    free(text);
    run_record_free(record);
}

static void test_report_print_summary_without_rounds_no_table(void **state)
{
    struct run_record *record = made_run(1);
    (void)state;
    round_record_clear(&record->rounds[0], 2);
    record->round_count = 0;
    record->status = RUN_STOPPED;
    (void)snprintf(record->reason, sizeof record->reason, "Nobody came.");
    char *text = printed_summary(record, NULL);
    assert_string_equal(text,
                        "\nRun a0a1a2a3a4a5a6a7a8a9aaabacadaeaf: stopped, 0 of 1 rounds: Nobody came.\n");
    free(text);
    run_record_free(record);
}

static void test_report_print_summary_round_without_model_not_counted(void **state)
{
    struct run_record *record = made_run(2);
    (void)state;
    free(record->rounds[1].model);
    record->rounds[1].model = NULL;
    record->status = RUN_STOPPED;
    char *text = printed_summary(record, NULL);
    assert_non_null(strstr(text, ": stopped, 1 of 2 rounds\n"));
    free(text);
    run_record_free(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report_print_round_has_exactly_this_form),
        cmocka_unit_test(test_report_print_site_that_failed_is_shown_with_its_reason),
        cmocka_unit_test(test_report_print_what_was_not_released_says_so),
        cmocka_unit_test(test_report_print_round_without_model_says_so),
        cmocka_unit_test(test_report_print_summary_lists_all_epochs_and_the_reports),
        cmocka_unit_test(test_report_print_summary_names_of_sites_whole_while_they_fit),
        cmocka_unit_test(test_report_print_summary_wide_names_become_numbers_with_a_legend),
        cmocka_unit_test(test_report_print_summary_without_rounds_no_table),
        cmocka_unit_test(test_report_print_summary_round_without_model_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
