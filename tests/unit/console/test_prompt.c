/* A secret that is typed is not shown, and the terminal is as it was afterwards, whatever happens. */
#include "console/prompt.h"
#include "tests/unit/cmocka_all.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define LINE_BYTES 32
#define PATIENCE_MS 20000

/* ---- lines of a pipe ---- */

/* Puts `text` on standard input; the old one comes back with restore(). */
static int feed(const void *text, size_t bytes)
{
    int ends[2];
    int before = dup(STDIN_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], text, bytes), (ssize_t)bytes);
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    assert_int_equal(close(ends[0]), 0);
    return before;
}

static void restore(int before)
{
    if (before < 0)
        return;
    assert_int_equal(dup2(before, STDIN_FILENO), STDIN_FILENO);
    assert_int_equal(close(before), 0);
}

static void expect_line(const char *expected)
{
    char line[LINE_BYTES];
    struct error *err = prompt_secret("Secret?", "the secret", line, sizeof(line));
    if (err != NULL)
        fail_msg("%s", err->sentence);
    assert_string_equal(line, expected);
}

static void expect_refusal(enum error_code code)
{
    char line[LINE_BYTES];
    struct error *err = prompt_secret("Secret?", "the secret", line, sizeof(line));
    assert_non_null(err);
    assert_int_equal(err->code, code);
    error_free(err);
}

static void test_prompt_lines_of_a_pipe_come_one_by_one(void **state)
{
    (void)state;
    int before = feed("one\n two \n\nlast", 15);
    assert_false(prompt_is_person());
    expect_line("one");
    expect_line(" two ");
    expect_line("");
    expect_line("last");
    expect_refusal(ERROR_INVALID);
    restore(before);
}

static void test_prompt_line_that_is_no_secret_is_refused(void **state)
{
    (void)state;
    int before = feed("a\0b\n", 4);
    expect_refusal(ERROR_INVALID);
    restore(before);
    before = feed("0123456789012345678901234567890\n", LINE_BYTES);
    expect_line("0123456789012345678901234567890");
    restore(before);
    before = feed("01234567890123456789012345678901\n", LINE_BYTES + 1);
    expect_refusal(ERROR_LIMIT);
    restore(before);
}

/* ---- a terminal ---- */

struct person {
    int terminal; /* the master's end */
    pid_t child;
    char seen[256]; /* everything that the terminal showed */
    size_t used;
};

/* A child on a terminal of its own that asks, and ends with 0 if the line was "secret" and echo is back. */
static struct person person_asked(void)
{
    struct person person = {.terminal = -1};
    struct termios shown;
    person.child = forkpty(&person.terminal, NULL, NULL, NULL);
    assert_true(person.child >= 0);
    if (person.child == 0) {
        char line[LINE_BYTES] = "";
        struct error *err = prompt_secret("Secret?", "the secret", line, sizeof(line));
        bool back = tcgetattr(STDIN_FILENO, &shown) == 0 && (shown.c_lflag & ECHO) != 0;
        (void)dprintf(STDOUT_FILENO, "<done>");
        _exit(err == NULL && back && strcmp(line, "secret") == 0 ? 0 : 1);
    }
    return person;
}

static void person_sees(struct person *person, const char *words)
{
    struct pollfd ready = {.fd = person->terminal, .events = POLLIN};
    while (strstr(person->seen, words) == NULL) {
        assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
        ssize_t got =
            read(person->terminal, person->seen + person->used, sizeof(person->seen) - person->used - 1);
        assert_true(got > 0);
        person->used += (size_t)got;
    }
}

static void person_types(const struct person *person, const char *keys)
{
    assert_int_equal(write(person->terminal, keys, strlen(keys)), (ssize_t)strlen(keys));
}

static bool echo_of(const struct person *person)
{
    struct termios settings;
    assert_int_equal(tcgetattr(person->terminal, &settings), 0);
    return (settings.c_lflag & ECHO) != 0;
}

static int person_leaves(struct person *person)
{
    int status = 0;
    assert_int_equal(waitpid(person->child, &status, 0), person->child);
    return status;
}

static void test_prompt_what_is_typed_is_not_shown(void **state)
{
    (void)state;
    struct person person = person_asked();
    person_sees(&person, "Secret? ");
    assert_false(echo_of(&person));
    person_types(&person, "secres\177t\n");
    person_sees(&person, "<done>");
    assert_null(strstr(person.seen, "secre"));
    assert_int_equal(person_leaves(&person), 0);
    assert_int_equal(close(person.terminal), 0);
}

/* Ctrl-C and its like end the program as always, with the terminal as it was. */
static void test_prompt_signals_find_the_terminal_as_it_was(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int signal;
    } signals[] = {{"\003", SIGINT}, {"\034", SIGQUIT}, {NULL, SIGTERM}, {NULL, SIGHUP}};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct person person = person_asked();
        struct termios settings;
        int slave =
            open(ptsname(person.terminal), O_RDWR | O_NOCTTY | O_CLOEXEC); /* keeps its settings alive */
        assert_true(slave >= 0);
        person_sees(&person, "Secret? ");
        person_types(&person, "sec");
        if (signals[i].key != NULL)
            person_types(&person, signals[i].key);
        else
            assert_int_equal(kill(person.child, signals[i].signal), 0);
        int status = person_leaves(&person);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), signals[i].signal);
        assert_int_equal(tcgetattr(slave, &settings), 0);
        assert_true((settings.c_lflag & ECHO) != 0);
        assert_int_equal(close(slave), 0);
        assert_int_equal(close(person.terminal), 0);
    }
}

static void test_prompt_end_of_file_on_a_terminal_is_no_secret(void **state)
{
    (void)state;
    struct person person = person_asked();
    person_sees(&person, "Secret? ");
    person_types(&person, "\004");
    person_sees(&person, "<done>");
    int status = person_leaves(&person);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_int_equal(close(person.terminal), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prompt_lines_of_a_pipe_come_one_by_one),
        cmocka_unit_test(test_prompt_line_that_is_no_secret_is_refused),
        cmocka_unit_test(test_prompt_what_is_typed_is_not_shown),
        cmocka_unit_test(test_prompt_signals_find_the_terminal_as_it_was),
        cmocka_unit_test(test_prompt_end_of_file_on_a_terminal_is_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
