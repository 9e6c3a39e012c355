#include "made_run.h"

#include "console/verbs.h"
#include "orchestrator/run_store.h"
#include "schemas/files.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern const struct verb verb_report, verb_run, verb_runs, verb_receipts_list, verb_receipts_verify;

/* home/runs/a0…: a run of two rounds. */
static void put_run_on(const char *home, bool mock)
{
    struct run_record *record = made_run(2);
    record->mock = mock;
    struct run_store *store = NULL;
    char *config = made_path(home, "orchestrator.yaml");
    made_fine(file_write(config, "", 0, 0600));
    free(config);
    char *directory = made_path(home, "runs/a0a1a2a3a4a5a6a7a8a9aaabacadaeaf");
    made_fine(run_store_create(directory, record, &store));
    for (size_t i = 0; i < 2; i++)
        made_fine(run_store_round(store, record, &record->rounds[i]));
    made_fine(run_store_end(store, record));
    run_store_close(store);
    free(directory);
    run_record_free(record);
}

static void put_run(const char *home)
{
    put_run_on(home, false);
}

/* Runs `orchestrator --home HOME <words>` in a process of its own; its exit status, and what it printed. */
static int orchestrator(const char *home, const char *const *words, char **ret_printed)
{
    const struct verb verbs[] = {verb_report,          verb_run, verb_runs, verb_receipts_list,
                                 verb_receipts_verify, {0}};
    char *arguments[12] = {(char *)"orchestrator", (char *)"--home", (char *)home};
    char *out = made_path(home, "printed");
    int count = 3;
    int status = 0;
    for (; words[count - 3] != NULL; count++)
        arguments[count] = (char *)words[count - 3];
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int file = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (dup2(file, STDOUT_FILENO) < 0 || dup2(file, STDERR_FILENO) < 0)
            _exit(99);
        status = verbs_main(count, arguments, "ORCHESTRATOR_HOME", "", verbs);
        (void)fflush(stdout);
        _exit(status);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    *ret_printed = made_text(out);
    free(out);
    return WEXITSTATUS(status);
}

#define RUN(home, ret_printed, ...) orchestrator(home, (const char *const[]){__VA_ARGS__, NULL}, ret_printed)

static bool exists(const char *home, const char *name)
{
    char *path = made_path(home, name);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

static void test_cmd_report_writes_beside_the_latest_run_and_prints_all_epochs(void **state)
{
    char *printed = NULL;
    put_run(*state);
    assert_int_equal(RUN(*state, &printed, "report"), 0);
    assert_non_null(strstr(printed, "All epochs"));
    assert_non_null(strstr(printed, "report.html"));
    assert_true(exists(*state, "runs/a0a1a2a3a4a5a6a7a8a9aaabacadaeaf/report.html"));
    free(printed);
}

static void test_cmd_report_json_is_printed_alone_and_nothing_is_written(void **state)
{
    char *printed = NULL;
    put_run(*state);
    assert_int_equal(RUN(*state, &printed, "report", "a0", "--json"), 0);
    json_t *report = json_loads(printed, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_array_size(json_object_get(report, "rounds")), 2);
    assert_false(exists(*state, "runs/a0a1a2a3a4a5a6a7a8a9aaabacadaeaf/report.html"));
    json_decref(report);
    free(printed);
}

static void test_cmd_report_confusion_prints_each_site_and_pooled(void **state)
{
    char *printed = NULL;
    put_run(*state);
    assert_int_equal(RUN(*state, &printed, "report", "--confusion", "2"), 0);
    assert_non_null(strstr(printed, "North, round 2"));
    assert_non_null(strstr(printed, "South, round 2"));
    assert_non_null(strstr(printed, "Pooled, round 2"));
    assert_non_null(strstr(printed, "144 of 200 right"));
    free(printed);
}

static void test_cmd_report_of_mock_run_says_so_in_whatever_is_printed(void **state)
{
    char *printed = NULL;
    put_run_on(*state, true);
    assert_int_equal(RUN(*state, &printed, "report", "--confusion", "2"), 0);
    assert_memory_equal(printed, "MOCK: every row was synthetic", strlen("MOCK: every row was synthetic"));
    assert_non_null(strstr(printed, "MOCK: North, round 2"));
    free(printed);
    assert_int_equal(RUN(*state, &printed, "report"), 0);
    assert_non_null(strstr(printed, "All epochs on MOCK data"));
    free(printed);
}

static void test_cmd_receipts_of_mock_run_none_because_nothing_was_released(void **state)
{
    static const char why[] = "it has no receipts, because no site released anything";
    char *printed = NULL;
    put_run_on(*state, true);
    assert_int_equal(RUN(*state, &printed, "receipts", "list"), 0);
    assert_non_null(strstr(printed, why));
    free(printed);
    assert_int_equal(RUN(*state, &printed, "receipts", "verify"), 1);
    assert_non_null(strstr(printed, why));
    assert_null(strstr(printed, "do not hold"));
    free(printed);
}

static void test_cmd_report_round_or_run_that_is_not_there_fails_with_a_sentence(void **state)
{
    char *printed = NULL;
    put_run(*state);
    assert_int_equal(RUN(*state, &printed, "report", "--confusion", "3"), 1);
    assert_non_null(strstr(printed, "orchestrator report: The run has no round 3; it has 2."));
    free(printed);
    assert_int_equal(RUN(*state, &printed, "report", "77"), 1);
    assert_non_null(strstr(printed, "No run in"));
    free(printed);
    assert_int_equal(RUN(*state, &printed, "report", "xyz"), 2);
    free(printed);
    assert_int_equal(RUN(*state, &printed, "report", "--confusion", "0"), 2);
    free(printed);
}

static void test_cmd_runs_lists_a_damaged_run_beside_a_sound_one(void **state)
{
    char *printed = NULL;
    char *path = made_path(*state, "runs/00000000000000000000000000000007");
    put_run(*state);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(RUN(*state, &printed, "runs", "--json"), 0);
    json_t *all = json_loads(printed, JSON_REJECT_DUPLICATES, NULL);
    const json_t *runs = json_object_get(all, "runs");
    assert_int_equal(json_integer_value(json_object_get(all, "version")), 1);
    assert_int_equal(json_array_size(runs), 2);
    const json_t *damaged = json_array_get(runs, 0);
    const json_t *sound = json_array_get(runs, 1);
    assert_true(json_is_string(json_object_get(damaged, "damage")));
    assert_true(json_is_null(json_object_get(damaged, "status")));
    assert_true(json_is_null(json_object_get(sound, "damage")));
    assert_string_equal(json_string_value(json_object_get(sound, "status")), "finished");
    json_decref(all);
    free(printed);
    assert_int_equal(RUN(*state, &printed, "runs"), 0);
    assert_non_null(strstr(printed, "damaged"));
    assert_non_null(strstr(printed, "run.db does not exist"));
    free(printed);
    free(path);
}

static void test_cmd_report_and_runs_without_home_say_to_make_one(void **state)
{
    static const char *const verbs[] = {"runs", "report"};
    char *printed = NULL;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(RUN(*state, &printed, verbs[i]), 1);
        assert_non_null(strstr(printed, "There is no orchestrator at "));
        assert_non_null(strstr(printed, " init"));
        free(printed);
    }
}

static void test_cmd_run_malformed_time_is_wrong_usage(void **state)
{
    static const char *const times[] = {"5x", "", "0s", "31d"};
    char *printed = NULL;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        assert_int_equal(RUN(*state, &printed, "run", "job.yaml", "--approval-timeout", times[i]), 2);
        assert_non_null(strstr(printed, "--approval-timeout"));
        free(printed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MADE_TEST(test_cmd_report_writes_beside_the_latest_run_and_prints_all_epochs),
        MADE_TEST(test_cmd_report_json_is_printed_alone_and_nothing_is_written),
        MADE_TEST(test_cmd_report_confusion_prints_each_site_and_pooled),
        MADE_TEST(test_cmd_report_of_mock_run_says_so_in_whatever_is_printed),
        MADE_TEST(test_cmd_receipts_of_mock_run_none_because_nothing_was_released),
        MADE_TEST(test_cmd_report_round_or_run_that_is_not_there_fails_with_a_sentence),
        MADE_TEST(test_cmd_report_and_runs_without_home_say_to_make_one),
        MADE_TEST(test_cmd_run_malformed_time_is_wrong_usage),
        MADE_TEST(test_cmd_runs_lists_a_damaged_run_beside_a_sound_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
