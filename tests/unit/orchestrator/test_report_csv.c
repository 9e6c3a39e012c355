#include "made_run.h"

#include "orchestrator/report.h"

#include <math.h>

static void write_both(const char *directory, const struct run_record *record, char **ret_rounds,
                       char **ret_confusion)
{
    char *rounds = made_path(directory, "rounds.csv");
    char *confusion = made_path(directory, "confusion.csv");
    made_fine(report_csv_write(record, rounds, confusion));
    *ret_rounds = made_text(rounds);
    *ret_confusion = made_text(confusion);
    free(rounds);
    free(confusion);
}

static void test_report_csv_files_have_exactly_this_text(void **state)
{
    struct run_record *record = made_run(1);
    char *rounds = NULL;
    char *confusion = NULL;
    write_both(*state, record, &rounds, &confusion);
    assert_string_equal(
        rounds,
        "round,site,status,reason,examples,train_accuracy,test_accuracy,train_seconds,seconds,round_seconds,"
        "pooled_test_accuracy,global_accuracy,model_sha256,mock\n"
        "1,North,ok,,100,0.51,0.72,0.125,0.250,0.250,0.71,,"
        "0101010101010101010101010101010101010101010101010101010101010101,\n"
        "1,South,ok,,200,0.511,0.7227722772277227,0.125,0.250,0.250,0.71,,"
        "0101010101010101010101010101010101010101010101010101010101010101,\n");
    assert_string_equal(confusion, "round,scope,site,true_class,predicted_0,predicted_1,mock\n"
                                   "1,site,North,0,51,9,\n1,site,North,1,19,21,\n"
                                   "1,site,South,0,51,9,\n1,site,South,1,19,22,\n"
                                   "1,pooled,,0,101,19,\n1,pooled,,1,39,41,\n");
    free(rounds);
    free(confusion);
    run_record_free(record);
}

static void test_report_csv_absent_values_are_empty_cells(void **state)
{
    struct run_record *record = made_run(1);
    char *rounds = NULL;
    char *confusion = NULL;
    struct round_record *round = &record->rounds[0];
    free(round->model);
    free(round->sites[0].confusion);
    round->model = NULL;
    round->sites[0] = (struct site_round){
        .status = SITE_LATE, .reason = "slow", .train_accuracy = NAN, .train_seconds = NAN, .seconds = 60};
    write_both(*state, record, &rounds, &confusion);
    assert_non_null(strstr(rounds, "\n1,North,late,slow,,,,,60.000,0.250,0.71,,,\n"));
    assert_null(strstr(confusion, "North"));
    free(rounds);
    free(confusion);
    run_record_free(record);
}

static void test_report_csv_text_is_quoted_and_never_a_formula(void **state)
{
    static const char *const names[] = {"'=1+1'", "\"a, \\\"b\\\"\""};
    struct run_record *record = made_run_of(1, names, 2, "metrics: per-site", 3, 2);
    char *rounds = NULL;
    char *confusion = NULL;
    (void)snprintf(record->rounds[0].sites[1].reason, 512, "@SUM(1,2)\n\x1b[2J");
    write_both(*state, record, &rounds, &confusion);
    assert_non_null(strstr(rounds, "\n1,'=1+1,ok,"));
    assert_non_null(strstr(rounds, "\n1,\"a, \"\"b\"\"\",ok,\"'@SUM(1,2)??[2J\","));
    free(rounds);
    free(confusion);
    run_record_free(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MADE_TEST(test_report_csv_files_have_exactly_this_text),
        MADE_TEST(test_report_csv_absent_values_are_empty_cells),
        MADE_TEST(test_report_csv_text_is_quoted_and_never_a_formula),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
