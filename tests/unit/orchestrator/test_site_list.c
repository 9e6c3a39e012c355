#include "orchestrator/site_list.h"
#include "schemas/files.h"
#include "tests/unit/cmocka_all.h"

#include <unistd.h>

#define PATH "sites"
#define KEY_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define LINE_A "datasite \"Part 1\" tcp://localhost:54879 " KEY_A
#define LINE_B "datasite \"Part 2\" - " KEY_B

static int no_file(void **state)
{
    (void)state;
    (void)unlink(PATH);
    return 0;
}

static void write_sites(const char *text)
{
    assert_null(file_write(PATH, text, strlen(text), 0600));
}

static struct site_list *load(void)
{
    struct site_list *list = NULL;
    struct error *err = site_list_load(PATH, &list);
    if (err != NULL)
        fail_msg("%s", err->sentence);
    return list;
}

static enum site_list_change add(struct site_list *list, const char *line)
{
    struct job_site site;
    enum site_list_change change = SITE_LIST_KNOWN;
    struct error *err = site_list_add(list, line, &site, &change);
    if (err != NULL)
        fail_msg("%s", err->sentence);
    return change;
}

static void expect_error(struct error *err, enum error_code code, const char *words)
{
    assert_non_null(err);
    if (strstr(err->sentence, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err->sentence, words);
    assert_int_equal(err->code, code);
    error_free(err);
}

static void expect_text(const char *text)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    assert_null(file_read(PATH, 65536, &data, &bytes));
    assert_string_equal((const char *)data, text);
    free(data);
}

static void test_site_list_no_file_empty(void **state)
{
    (void)state;
    struct site_list *list = load();
    assert_int_equal(site_list_count(list), 0);
    assert_null(site_list_at(list, 0, NULL));
    site_list_free(list);
}

static void test_site_list_add_read_back(void **state)
{
    (void)state;
    struct site_list *list = load();
    assert_int_equal(add(list, LINE_A), SITE_LIST_ADDED);
    assert_int_equal(add(list, LINE_B "\n"), SITE_LIST_ADDED);
    site_list_free(list);
    list = load();
    assert_int_equal(site_list_count(list), 2);
    assert_string_equal(site_list_at(list, 0, NULL)->name, "Part 1");
    assert_string_equal(site_list_at(list, 0, NULL)->endpoint, "tcp://localhost:54879");
    assert_string_equal(site_list_at(list, 1, NULL)->fingerprint, KEY_B);
    assert_string_equal(site_list_at(list, 1, NULL)->endpoint, "");
    site_list_free(list);
}

static void test_site_list_comments_kept(void **state)
{
    (void)state;
    write_sites("# the first\n" LINE_A "\n\n  # the second comes later");
    struct site_list *list = load();
    (void)add(list, LINE_B);
    site_list_free(list);
    expect_text("# the first\n" LINE_A "\n\n  # the second comes later\n" LINE_B "\n");
}

static void test_site_list_same_line_again_nothing_changes(void **state)
{
    (void)state;
    write_sites("# x\n" LINE_A "\n");
    struct site_list *list = load();
    assert_int_equal(add(list, LINE_A), SITE_LIST_KNOWN);
    site_list_free(list);
    expect_text("# x\n" LINE_A "\n");
}

static void test_site_list_new_endpoint_replaces_line(void **state)
{
    (void)state;
    write_sites(LINE_A "\n# after\n");
    struct site_list *list = load();
    assert_int_equal(add(list, "datasite \"Part 1\" tcp://other:1 " KEY_A), SITE_LIST_MOVED);
    assert_string_equal(site_list_find(list, "Part 1", NULL)->endpoint, "tcp://other:1");
    site_list_free(list);
    expect_text("datasite \"Part 1\" tcp://other:1 " KEY_A "\n# after\n");
}

static void test_site_list_changed_key_refused_and_file_untouched(void **state)
{
    (void)state;
    struct job_site site;
    enum site_list_change change;
    write_sites("# x\n" LINE_A "\n");
    struct site_list *list = load();
    expect_error(site_list_add(list, "datasite \"Part 1\" tcp://localhost:54879 " KEY_B, &site, &change),
                 ERROR_CONFLICT, "orchestrator sites remove \"Part 1\"");
    assert_string_equal(site_list_find(list, "Part 1", NULL)->fingerprint, KEY_A);
    site_list_free(list);
    expect_text("# x\n" LINE_A "\n");
}

static void test_site_list_key_under_other_name_refused(void **state)
{
    (void)state;
    struct job_site site;
    enum site_list_change change;
    write_sites(LINE_A "\n");
    struct site_list *list = load();
    expect_error(site_list_add(list, "datasite \"Part 9\" - " KEY_A, &site, &change), ERROR_CONFLICT,
                 "known as \"Part 1\"");
    site_list_free(list);
}

/* Every cut of a good line is refused, and leaves the list as it was. */
static void test_site_list_line_cut_anywhere_refused(void **state)
{
    (void)state;
    struct job_site site;
    enum site_list_change change;
    struct site_list *list = load();
    for (size_t length = 0; length < strlen(LINE_A); length++) {
        char *cut = strndup(LINE_A, length);
        struct error *err = site_list_add(list, cut, &site, &change);
        if (err == NULL)
            fail_msg("%zu bytes of the line were taken", length);
        error_free(err);
        free(cut);
    }
    assert_int_equal(site_list_count(list), 0);
    site_list_free(list);
}

static void test_site_list_orchestrators_line_refused(void **state)
{
    (void)state;
    struct job_site site;
    enum site_list_change change;
    struct site_list *list = load();
    expect_error(site_list_add(list, "orchestrator \"researcher\" - " KEY_A, &site, &change), ERROR_INVALID,
                 "datasite trust add");
    site_list_free(list);
}

static void test_site_list_garbled_file_names_line(void **state)
{
    (void)state;
    struct site_list *list = NULL;
    write_sites("# x\n" LINE_A "\nnonsense\n");
    expect_error(site_list_load(PATH, &list), ERROR_INVALID, PATH ": line 3: ");
    assert_null(list);
}

static void test_site_list_site_twice_in_file_names_lines(void **state)
{
    (void)state;
    struct site_list *list = NULL;
    write_sites(LINE_A "\n" LINE_A "\n");
    expect_error(site_list_load(PATH, &list), ERROR_INVALID,
                 "line 2: The name or the fingerprint is on line 1");
}

static void test_site_list_remove_leaves_the_rest(void **state)
{
    (void)state;
    write_sites("# x\n" LINE_A "\n" LINE_B "\n");
    struct site_list *list = load();
    assert_null(site_list_remove(list, "Part 1"));
    assert_int_equal(site_list_count(list), 1);
    expect_error(site_list_remove(list, "Part 1"), ERROR_NOT_FOUND, "orchestrator sites list");
    site_list_free(list);
    expect_text("# x\n" LINE_B "\n");
}

static void test_site_list_job_with_other_key_names_both_files_and_lines(void **state)
{
    (void)state;
    struct job_site sites[] = {{.name = "Part 2", .fingerprint = KEY_B},
                               {.name = "Part 1", .fingerprint = KEY_B}};
    struct job job = {.sites = sites, .site_count = 2};
    write_sites("# x\n" LINE_A "\n");
    struct site_list *list = load();
    struct error *err = site_list_agree(list, &job, "a\nb\n{fingerprint: " KEY_B "}\n", "job.yaml");
    expect_error(err, ERROR_UNTRUSTED, "job.yaml: line 3: sites[1].fingerprint");
    err = site_list_agree(list, &job, "a\nb\n{fingerprint: " KEY_B "}\n", "job.yaml");
    expect_error(err, ERROR_UNTRUSTED, PATH " line 2 has " KEY_A);
    site_list_free(list);
}

static void test_site_list_job_with_unlisted_site_fine(void **state)
{
    (void)state;
    struct job_site sites[] = {{.name = "Elsewhere", .fingerprint = KEY_B}};
    struct job job = {.sites = sites, .site_count = 1};
    write_sites(LINE_A "\n");
    struct site_list *list = load();
    assert_null(site_list_agree(list, &job, "", "job.yaml"));
    site_list_free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_site_list_no_file_empty, no_file),
        cmocka_unit_test_setup(test_site_list_add_read_back, no_file),
        cmocka_unit_test_setup(test_site_list_comments_kept, no_file),
        cmocka_unit_test_setup(test_site_list_same_line_again_nothing_changes, no_file),
        cmocka_unit_test_setup(test_site_list_new_endpoint_replaces_line, no_file),
        cmocka_unit_test_setup(test_site_list_changed_key_refused_and_file_untouched, no_file),
        cmocka_unit_test_setup(test_site_list_key_under_other_name_refused, no_file),
        cmocka_unit_test_setup(test_site_list_line_cut_anywhere_refused, no_file),
        cmocka_unit_test_setup(test_site_list_orchestrators_line_refused, no_file),
        cmocka_unit_test_setup(test_site_list_garbled_file_names_line, no_file),
        cmocka_unit_test_setup(test_site_list_site_twice_in_file_names_lines, no_file),
        cmocka_unit_test_setup(test_site_list_remove_leaves_the_rest, no_file),
        cmocka_unit_test_setup(test_site_list_job_with_other_key_names_both_files_and_lines, no_file),
        cmocka_unit_test_setup(test_site_list_job_with_unlisted_site_fine, no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
