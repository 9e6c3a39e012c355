/* The verbs around homes and sites, as a shell calls them. */
#include "console/verbs.h"
#include "schemas/files.h"
#include "tests/unit/cmocka_all.h"

#include <ftw.h>
#include <jansson.h>
#include <sys/wait.h>
#include <unistd.h>

extern const struct verb verb_init, verb_sites, verb_status, verb_sites_add, verb_sites_remove,
    verb_sites_issue, verb_sites_revoke;

#define HOME "cmd-home"
#define KEY_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define MOST_WORDS 12

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static int run_program(const char *const *words)
{
    static const char *const fixed[] = {"orchestrator", "--home", HOME};
    const struct verb verbs[] = {verb_init,         verb_sites_add, verb_sites_remove, verb_sites_issue,
                                 verb_sites_revoke, verb_sites,     verb_status,       {0}};
    char *arguments[3 + MOST_WORDS + 1] = {0};
    int count = 0;
    for (size_t i = 0; i < 3; i++)
        arguments[count++] = strdup(fixed[i]);
    for (size_t i = 0; words[i] != NULL && i < MOST_WORDS; i++)
        arguments[count++] = strdup(words[i]);
    return verbs_main(count, arguments, "ORCHESTRATOR_HOME", "", verbs);
}

/* Exit status of: orchestrator --home cmd-home WORDS…  In a process of its own, because the targets of
 * options live as long as their process. */
static int call(const char *const *words)
{
    int status = 0;
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int exit_status = run_program(words);
        (void)fflush(NULL);
        _exit(exit_status);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#define CALL(...) call((const char *const[]){__VA_ARGS__, NULL})

static int fresh(void **state)
{
    (void)state;
    (void)nftw(HOME, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    assert_int_equal(CALL("init", "--name", "researcher"), 0);
    return 0;
}

static void expect_sites(const char *line)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    struct error *err = file_read(HOME "/sites", 65536, &data, &bytes);
    assert_null(err);
    if (strstr((const char *)data, line) == NULL)
        fail_msg("the list does not hold: %s", line);
    free(data);
}

static void test_cmd_sites_add_line_as_one_word_added(void **state)
{
    (void)state;
    assert_int_equal(CALL("sites", "add", "datasite \"Part 1\" tcp://localhost:1 " KEY_A), 0);
    expect_sites("datasite \"Part 1\" tcp://localhost:1 " KEY_A "\n");
}

static void test_cmd_sites_add_quotes_taken_by_shell_added(void **state)
{
    (void)state;
    assert_int_equal(CALL("sites", "add", "datasite", "Part 1", "tcp://localhost:1", KEY_A), 0);
    expect_sites("datasite \"Part 1\" tcp://localhost:1 " KEY_A "\n");
    assert_int_equal(CALL("sites", "add", "datasite", "Part 2", "-", KEY_B), 0);
    expect_sites("datasite \"Part 2\" - " KEY_B "\n");
}

static void test_cmd_sites_add_quotes_kept_and_split_added(void **state)
{
    (void)state;
    assert_int_equal(CALL("sites", "add", "datasite", "\"Part", "1\"", "tcp://localhost:1", KEY_A), 0);
    expect_sites("datasite \"Part 1\" tcp://localhost:1 " KEY_A "\n");
}

static void test_cmd_sites_add_garbled_exit_1(void **state)
{
    (void)state;
    assert_int_equal(CALL("sites", "add", "datasite \"Part 1\" tcp://localhost:1 sha256:aaaa"), 1);
    assert_int_equal(CALL("sites", "add", "a", "b", "c", "d"), 1);
    assert_int_equal(CALL("sites", "add"), 2);
}

static void test_cmd_sites_add_changed_key_exit_1_until_removed(void **state)
{
    (void)state;
    assert_int_equal(CALL("sites", "add", "datasite \"Part 1\" tcp://localhost:1 " KEY_A), 0);
    assert_int_equal(CALL("sites", "add", "datasite \"Part 1\" tcp://localhost:1 " KEY_B), 1);
    assert_int_equal(CALL("sites", "remove", "Part 1"), 0);
    assert_int_equal(CALL("sites", "add", "datasite \"Part 1\" tcp://localhost:1 " KEY_B), 0);
}

/* What the verb prints with --json has version 1 and as many sites. */
static json_t *printed_json(const char *first)
{
    FILE *file = tmpfile();
    int kept = dup(STDOUT_FILENO);
    assert_non_null(file);
    (void)fflush(stdout);
    assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
    int status = CALL(first, "--json");
    assert_true(dup2(kept, STDOUT_FILENO) >= 0);
    (void)close(kept);
    assert_int_equal(status, 0);
    rewind(file);
    json_t *all = json_loadf(file, JSON_REJECT_DUPLICATES, NULL);
    (void)fclose(file);
    assert_int_equal(json_integer_value(json_object_get(all, "version")), 1);
    return all;
}

static void test_cmd_sites_json_has_version_and_sites(void **state)
{
    (void)state;
    assert_int_equal(CALL("sites", "add", "datasite \"Part 1\" tcp://localhost:1 " KEY_A), 0);
    json_t *all = printed_json("sites");
    assert_int_equal(json_array_size(json_object_get(all, "sites")), 1);
    json_decref(all);
}

static void test_cmd_status_json_has_version_and_sites(void **state)
{
    (void)state;
    json_t *all = printed_json("status");
    assert_int_equal(json_array_size(json_object_get(all, "sites")), 0);
    assert_true(json_is_array(json_object_get(all, "sites")));
    assert_true(json_is_null(json_object_get(all, "latest_run")));
    json_decref(all);
}

static void test_cmd_init_again_exit_1(void **state)
{
    (void)state;
    assert_int_equal(CALL("init"), 1);
}

static void test_cmd_sites_issue_without_authority_exit_1(void **state)
{
    (void)state;
    assert_int_equal(CALL("sites", "issue", "none.pem"), 1);
    assert_int_equal(CALL("sites", "issue", "none.pem", "--days", "0"), 2);
}

static void test_cmd_sites_issue_garbled_request_exit_1(void **state)
{
    (void)state;
    assert_int_equal(CALL("init", "--ca"), 0);
    struct error *err = file_write("garbled.pem", "not a request", 13, 0600);
    assert_null(err);
    assert_int_equal(CALL("sites", "issue", "garbled.pem"), 1);
}

static void test_cmd_sites_revoke_unknown_exit_1(void **state)
{
    (void)state;
    assert_int_equal(CALL("init", "--ca"), 0);
    assert_int_equal(CALL("sites", "revoke", KEY_A), 1);
    assert_int_equal(CALL("sites", "revoke", "sha256:1"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_cmd_sites_add_line_as_one_word_added, fresh),
        cmocka_unit_test_setup(test_cmd_sites_add_quotes_taken_by_shell_added, fresh),
        cmocka_unit_test_setup(test_cmd_sites_add_quotes_kept_and_split_added, fresh),
        cmocka_unit_test_setup(test_cmd_sites_add_garbled_exit_1, fresh),
        cmocka_unit_test_setup(test_cmd_sites_add_changed_key_exit_1_until_removed, fresh),
        cmocka_unit_test_setup(test_cmd_sites_json_has_version_and_sites, fresh),
        cmocka_unit_test_setup(test_cmd_status_json_has_version_and_sites, fresh),
        cmocka_unit_test_setup(test_cmd_init_again_exit_1, fresh),
        cmocka_unit_test_setup(test_cmd_sites_issue_without_authority_exit_1, fresh),
        cmocka_unit_test_setup(test_cmd_sites_issue_garbled_request_exit_1, fresh),
        cmocka_unit_test_setup(test_cmd_sites_revoke_unknown_exit_1, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
