/* The command line: exit status, homes, two-word verbs, options of every kind. */
#include "console/verbs.h"
#include "tests/unit/cmocka_all.h"

#include <fcntl.h>
#include <unistd.h>

static bool given_flag;
static const char *given_text;
static uint64_t given_count;
static struct option_texts given_texts;
static char seen[256];

static const struct option *options(void)
{
    static const struct option table[] = {
        {"flag", 'f', OPTION_FLAG, &given_flag, NULL, "a flag", 0, 0},
        {"text", 0, OPTION_TEXT, &given_text, "TEXT", "a text", 0, 0},
        {"count", 0, OPTION_COUNT, &given_count, "N", "a count", 1, 10},
        {"each", 0, OPTION_TEXTS, &given_texts, "TEXT", "a text, several times", 0, 0},
        {0},
    };
    return table;
}

static struct error *run_note(const struct invocation *invocation)
{
    (void)snprintf(seen, sizeof(seen), "%s|%s|%d", invocation->verb, invocation->home,
                   invocation->argument_count);
    return NULL;
}

static struct error *run_refuse(const struct invocation *invocation)
{
    (void)invocation;
    return error_new(ERROR_REFUSED, "No.");
}

static struct error *run_interrupted(const struct invocation *invocation)
{
    (void)invocation;
    return error_new(ERROR_INTERRUPTED, "Stopped.");
}

/* Only with an argument. */
static bool needs_home(const struct invocation *invocation)
{
    return invocation->argument_count > 0;
}

static const struct verb verbs[] = {
    {"note", "notes", "[ARGUMENT]", NULL, 0, 1, options, run_note, NULL},
    {"trust add", "adds", "LINE", NULL, 1, -1, NULL, run_note, NULL},
    {"offline", "needs no home", "[ARGUMENT]", NULL, 0, 1, NULL, run_note, needs_home},
    {"refuse", "refuses", "", NULL, 0, 0, NULL, run_refuse, NULL},
    {"stop", "stops", "", NULL, 0, 0, NULL, run_interrupted, NULL},
    {0},
};

static int run(int argc, const char *const *argv)
{
    seen[0] = '\0';
    given_flag = false;
    given_text = NULL;
    given_count = 0;
    for (size_t i = 0; i < given_texts.count; i++)
        free((void *)(uintptr_t)given_texts.texts[i]);
    given_texts.count = 0;
    /* Usage and sentences are not what these tests look at. */
    (void)fflush(NULL);
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY);
    assert_true(dup2(nowhere, STDOUT_FILENO) >= 0 && dup2(nowhere, STDERR_FILENO) >= 0);
    int status = verbs_main(argc, (char **)(uintptr_t)argv, "TEST_HOME", "A program.", verbs);
    (void)fflush(NULL);
    assert_true(dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0);
    (void)close(nowhere);
    (void)close(out);
    (void)close(err);
    return status;
}

#define RUN(...)                                                                                             \
    run((int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)),                                  \
        (const char *const[]){__VA_ARGS__, NULL})

static void test_verbs_options_reach_their_targets(void **state)
{
    (void)state;
    assert_int_equal(
        RUN("/usr/bin/prog", "--home", "/h", "note", "-f", "--text", "a b", "--count", "10", "x"), 0);
    assert_string_equal(seen, "note|/h|1");
    assert_true(given_flag);
    assert_string_equal(given_text, "a b");
    assert_int_equal(given_count, 10);
    free((void *)(uintptr_t)given_text);
}

static void test_verbs_texts_are_kept_in_order_and_bounded(void **state)
{
    (void)state;
    const char *words[4 + 2 * OPTION_TEXTS_MAX + 2 + 1] = {"prog", "--home", "/h", "note"};
    assert_int_equal(RUN("prog", "--home", "/h", "note", "--each", "a", "x", "--each", "b"), 0);
    assert_string_equal(seen, "note|/h|1");
    assert_int_equal(given_texts.count, 2);
    assert_string_equal(given_texts.texts[0], "a");
    assert_string_equal(given_texts.texts[1], "b");
    for (size_t i = 0; i <= OPTION_TEXTS_MAX; i++) {
        words[4 + 2 * i] = "--each";
        words[5 + 2 * i] = "a";
    }
    assert_int_equal(run(4 + 2 * OPTION_TEXTS_MAX, words), 0);
    assert_int_equal(given_texts.count, OPTION_TEXTS_MAX);
    assert_int_equal(run(4 + 2 * OPTION_TEXTS_MAX + 2, words), 2);
    assert_string_equal(seen, "");
}

static void test_verbs_count_out_of_range_or_not_a_number_is_usage(void **state)
{
    (void)state;
    assert_int_equal(RUN("prog", "--home", "/h", "note", "--count", "11"), 2);
    assert_int_equal(RUN("prog", "--home", "/h", "note", "--count", "0"), 2);
    assert_int_equal(RUN("prog", "--home", "/h", "note", "--count", "3x"), 2);
    assert_int_equal(RUN("prog", "--home", "/h", "note", "--count", "-1"), 2);
    assert_int_equal(RUN("prog", "--home", "/h", "note", "--count", "99999999999999999999999"), 2);
    assert_string_equal(seen, "");
}

static void test_verbs_two_words_found_before_one(void **state)
{
    (void)state;
    assert_int_equal(RUN("prog", "--home", "/h", "trust", "add", "a", "b"), 0);
    assert_string_equal(seen, "trust add|/h|2");
    assert_int_equal(RUN("prog", "--home", "/h", "trust"), 2);
    assert_int_equal(RUN("prog", "--home", "/h", "trust", "fly"), 2);
    assert_int_equal(RUN("prog", "trust", "--help"), 0);
    assert_string_equal(seen, "");
}

static void test_verbs_home_from_environment_then_user(void **state)
{
    (void)state;
    assert_int_equal(setenv("TEST_HOME", "/from/environment", 1), 0);
    assert_int_equal(RUN("prog", "note"), 0);
    assert_string_equal(seen, "note|/from/environment|0");
    assert_int_equal(unsetenv("TEST_HOME"), 0);
    assert_int_equal(setenv("XDG_DATA_HOME", "/xdg", 1), 0);
    assert_int_equal(RUN("prog", "note"), 0);
    assert_string_equal(seen, "note|/xdg/prog|0");
    assert_int_equal(unsetenv("XDG_DATA_HOME"), 0);
    assert_int_equal(setenv("HOME", "/me", 1), 0);
    assert_int_equal(RUN("prog", "note"), 0);
    assert_string_equal(seen, "note|/me/.local/share/prog|0");
}

static void test_verbs_exit_status_follows_the_error(void **state)
{
    (void)state;
    assert_int_equal(RUN("prog", "--home", "/h", "refuse"), 1);
    assert_int_equal(RUN("prog", "--home", "/h", "stop"), 130);
    assert_int_equal(RUN("prog", "--home", "/h", "nothing"), 2);
    assert_int_equal(RUN("prog", "--home", "/h"), 2);
    assert_int_equal(RUN("prog", "--home", "/h", "refuse", "extra"), 2);
    assert_int_equal(RUN("prog", "--home", "/h", "note", "--unknown"), 2);
    assert_int_equal(RUN("prog", "--help"), 0);
    assert_int_equal(RUN("prog", "note", "--help"), 0);
    assert_int_equal(RUN("prog", "--version"), 0);
}

static void test_verbs_nothing_names_a_home_only_verbs_without_one_run(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("TEST_HOME"), 0);
    assert_int_equal(unsetenv("XDG_DATA_HOME"), 0);
    assert_int_equal(unsetenv("HOME"), 0);
    assert_int_equal(RUN("prog", "offline"), 0);
    assert_string_equal(seen, "offline||0");
    assert_int_equal(RUN("prog", "--home", "/h", "offline"), 0);
    assert_string_equal(seen, "offline|/h|0");
    assert_int_equal(RUN("prog", "offline", "x"), 2);
    assert_string_equal(seen, "");
    assert_int_equal(RUN("prog", "note"), 2);
    assert_int_equal(RUN("prog", "note", "--help"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verbs_options_reach_their_targets),
        cmocka_unit_test(test_verbs_texts_are_kept_in_order_and_bounded),
        cmocka_unit_test(test_verbs_count_out_of_range_or_not_a_number_is_usage),
        cmocka_unit_test(test_verbs_two_words_found_before_one),
        cmocka_unit_test(test_verbs_home_from_environment_then_user),
        cmocka_unit_test(test_verbs_nothing_names_a_home_only_verbs_without_one_run),
        cmocka_unit_test(test_verbs_exit_status_follows_the_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
