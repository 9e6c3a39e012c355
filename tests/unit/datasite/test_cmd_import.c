/* The command line of imports and of what is held: each run is a child with the program's own main loop. */
#include "console/interrupt.h"
#include "console/verbs.h"
#include "datasite/home.h"
#include "schemas/files.h"
#include "tests/unit/datasite/workspace.h"

#include <jansson.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

extern const struct verb verb_init, verb_import_idx, verb_import_csv, verb_data, verb_data_remove;

#define MAX_WORDS 24

static void run_child(const struct workspace *workspace, int signal_number, char **words)
{
    const struct verb verbs[] = {verb_init, verb_import_idx,  verb_import_csv,
                                 verb_data, verb_data_remove, {0}};
    char out[160], failure[160];
    int count = 0;
    while (words[count] != NULL)
        count++;
    if (freopen(workspace_file(workspace, "out", out), "w", stdout) == NULL ||
        freopen(workspace_file(workspace, "err", failure), "w", stderr) == NULL)
        _exit(99);
    if (signal_number != 0 && (interrupt_install() != NULL || raise(signal_number) != 0))
        _exit(99);
    int status = verbs_main(count, words, "DATASITE_HOME", "test", verbs);
    (void)fflush(stdout);
    (void)fflush(stderr);
    _exit(status);
}

/* `line` is split at blanks; IMAGES and LABELS stand for the subset's files, TABLE for table.csv. */
static int typed_with(const struct workspace *workspace, int signal_number, const char *line)
{
    char copy[1024], home[160], table[160], program[] = "datasite", option[] = "--home";
    char *words[MAX_WORDS] = {program, option, home}, *rest = copy;
    size_t count = 3;
    (void)workspace_file(workspace, "home", home);
    (void)workspace_file(workspace, "table.csv", table);
    (void)snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strsep(&rest, " "); word != NULL && count + 1 < MAX_WORDS; word = strsep(&rest, " ")) {
        words[count] = word;
        if (strcmp(word, "IMAGES") == 0)
            words[count] = (char *)(uintptr_t)workspace->images;
        if (strcmp(word, "LABELS") == 0)
            words[count] = (char *)(uintptr_t)workspace->labels;
        if (strcmp(word, "TABLE") == 0)
            words[count] = table;
        count++;
    }
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_child(workspace, signal_number, words);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int typed(const struct workspace *workspace, const char *line)
{
    return typed_with(workspace, 0, line);
}

static void expect_said(const struct workspace *workspace, const char *file, const char *words)
{
    char path[160];
    uint8_t *text = NULL;
    size_t bytes = 0;
    must(file_read(workspace_file(workspace, file, path), 1 << 20, &text, &bytes));
    if (strstr((const char *)text, words) == NULL)
        fail_msg("'%s' is not in: %s", words, (const char *)text);
    free(text);
}

static size_t held(const struct workspace *workspace)
{
    char path[160];
    struct store *store = NULL;
    must(store_open(workspace_file(workspace, "home/site.db", path), STORE_READ, &store));
    size_t count = workspace_datasets(store);
    store_close(store);
    return count;
}

static int make_site(void **state)
{
    if (workspace_make(state) != 0)
        return -1;
    return typed(*state, "init --name Site --listen tcp://127.0.0.1:54879");
}

static void test_init_prints_the_fingerprint(void **state)
{
    expect_said(*state, "out", "sha256:");
}

static void test_init_twice_fails(void **state)
{
    assert_int_equal(typed(*state, "init --name Site --listen tcp://127.0.0.1:54879"), 1);
    expect_said(*state, "err", "already");
}

static void test_init_without_name_is_wrong_usage(void **state)
{
    assert_int_equal(typed(*state, "init"), 2);
}

static void test_import_idx_prints_the_digest_that_digest_takes(void **state)
{
    char path[160], line[512];
    uint8_t *text = NULL;
    size_t bytes = 0;
    assert_int_equal(typed(*state, "import idx IMAGES LABELS --name one --rows 0:300 --size 300"), 0);
    must(file_read(workspace_file(*state, "out", path), 4096, &text, &bytes));
    const char *digest = strstr((const char *)text, "sha256:");
    assert_non_null(digest);
    (void)snprintf(line, sizeof(line), "import idx IMAGES LABELS --name two --rows 0:300 --digest %.71s",
                   digest);
    assert_int_equal(typed(*state, line), 0);
    (void)snprintf(line, sizeof(line), "import idx IMAGES LABELS --name three --rows 0:301 --digest %.71s",
                   digest);
    assert_int_equal(typed(*state, line), 1);
    assert_int_equal(held(*state), 2);
    free(text);
}

static void test_import_idx_part_takes_its_share(void **state)
{
    assert_int_equal(typed(*state, "import idx IMAGES LABELS --name p --partition iid --part 2/4 --size 500"),
                     0);
    assert_int_equal(typed(*state, "data p"), 0);
    expect_said(*state, "out", "part 2/4");
}

static void test_import_idx_wrong_options_are_wrong_usage(void **state)
{
    static const char *const lines[] = {
        "import idx IMAGES LABELS",
        "import idx IMAGES --name a",
        "import idx IMAGES LABELS --name a --rows 5",
        "import idx IMAGES LABELS --name a --rows 5:5",
        "import idx IMAGES LABELS --name a --rows -1:5",
        "import idx IMAGES LABELS --name a --rows 5:99999999999999999999",
        "import idx IMAGES LABELS --name a --digest 12",
        "import idx IMAGES LABELS --name a --digest sha256:12",
        "import idx IMAGES LABELS --name a --partition iid",
        "import idx IMAGES LABELS --name a --part 1/2",
        "import idx IMAGES LABELS --name a --part 0/2 --partition iid",
        "import idx IMAGES LABELS --name a --part 3/2 --partition iid",
        "import idx IMAGES LABELS --name a --part 1/0 --partition iid",
        "import idx IMAGES LABELS --name a --part 1/2 --partition other",
        "import idx IMAGES LABELS --name a --part 1/2 --partition dirichlet:0",
        "import idx IMAGES LABELS --name a --part 1/2 --partition dirichlet:nan",
        "import idx IMAGES LABELS --name a --size 0",
        "import csv TABLE --name a",
        "import csv TABLE --name a --label y --classes one",
        "import csv TABLE --name a --label y --classes 1",
    };
    char path[160];
    workspace_write(workspace_file(*state, "table.csv", path), "a,y\n1,0\n2,1\n", 12);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        int status = typed(*state, lines[i]);
        if (status != 2)
            fail_msg("exit status %d of: %s", status, lines[i]);
    }
    assert_int_equal(held(*state), 0);
}

static void test_import_idx_interrupted_exits_130(void **state)
{
    assert_int_equal(typed_with(*state, SIGINT, "import idx IMAGES LABELS --name a"), 130);
    expect_said(*state, "err", "nothing was imported");
    assert_int_equal(held(*state), 0);
}

static void test_import_csv_names_classes(void **state)
{
    char path[160];
    workspace_write(workspace_file(*state, "table.csv", path), "a,y\n1,ill\n2,well\n3,ill\n", 23);
    assert_int_equal(typed(*state, "import csv TABLE --name t --label y --classes ill,well,unknown"), 0);
    assert_int_equal(typed(*state, "data t"), 0);
    expect_said(*state, "out", "unknown");
}

static void test_data_json_lists_what_is_held(void **state)
{
    char path[160];
    assert_int_equal(typed(*state, "import idx IMAGES LABELS --name mnist"), 0);
    assert_int_equal(typed(*state, "data --json --check"), 0);
    json_t *json = json_load_file(workspace_file(*state, "out", path), 0, NULL);
    assert_non_null(json);
    json_t *dataset = json_array_get(json_object_get(json, "datasets"), 0);
    assert_string_equal(json_string_value(json_object_get(dataset, "name")), "mnist");
    assert_int_equal(json_integer_value(json_object_get(dataset, "rows")), 2000);
    assert_int_equal(json_array_size(json_object_get(dataset, "classes")), 10);
    json_decref(json);
}

static void test_data_remove_without_yes_keeps_it(void **state)
{
    assert_int_equal(typed(*state, "import idx IMAGES LABELS --name mnist"), 0);
    assert_int_equal(typed(*state, "data remove mnist"), 1);
    assert_int_equal(held(*state), 1);
    assert_int_equal(typed(*state, "data remove mnist --yes"), 0);
    assert_int_equal(held(*state), 0);
}

static void test_data_unknown_name_fails(void **state)
{
    assert_int_equal(typed(*state, "data mnist"), 1);
    expect_said(*state, "err", "none yet");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, make_site, workspace_remove)
    const struct CMUnitTest tests[] = {
        CASE(test_init_prints_the_fingerprint),
        CASE(test_init_twice_fails),
        CASE(test_init_without_name_is_wrong_usage),
        CASE(test_import_idx_prints_the_digest_that_digest_takes),
        CASE(test_import_idx_part_takes_its_share),
        CASE(test_import_idx_wrong_options_are_wrong_usage),
        CASE(test_import_idx_interrupted_exits_130),
        CASE(test_import_csv_names_classes),
        CASE(test_data_json_lists_what_is_held),
        CASE(test_data_remove_without_yes_keeps_it),
        CASE(test_data_unknown_name_fails),
    };
    return cmocka_run_group_tests_name("cmd_import", tests, NULL, NULL);
}
