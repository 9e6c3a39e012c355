/* liborchestrator as another program sees it: linked to the shared library alone, with nothing but its
 * header. */
#include "orchestrator/orchestrator.h"
#include "tests/unit/cmocka_all.h"

#include <ftw.h>

#define KEY "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct orchestrator_failure failure;

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static int fresh(void **state)
{
    struct orchestrator *orchestrator = NULL;
    (void)nftw("api-home", remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    if (orchestrator_create("api-home", "researcher", NULL, 0, &failure) != 0 ||
        orchestrator_open("api-home", &orchestrator, &failure) != 0)
        fail_msg("%s", failure.sentence);
    *state = orchestrator;
    return 0;
}

static int done(void **state)
{
    orchestrator_close(*state);
    return 0;
}

static void test_orchestrator_api_version_as_in_header(void **state)
{
    (void)state;
    assert_int_equal(orchestrator_api_version(), ORCHESTRATOR_API_VERSION);
    assert_true(orchestrator_version()[0] != '\0');
}

static void test_orchestrator_api_open_nothing_failure_filled_in(void **state)
{
    (void)state;
    struct orchestrator *orchestrator = NULL;
    assert_int_equal(orchestrator_open("nowhere", &orchestrator, &failure), -1);
    assert_null(orchestrator);
    assert_string_equal(failure.word, "not-found");
    assert_int_equal(failure.exit_status, 1);
    assert_non_null(strstr(failure.sentence, "nowhere"));
}

static void test_orchestrator_api_failure_may_be_null(void **state)
{
    (void)state;
    struct orchestrator *orchestrator = NULL;
    assert_int_equal(orchestrator_open("nowhere", &orchestrator, NULL), -1);
}

static void test_orchestrator_api_sites_added_listed_removed(void **state)
{
    struct orchestrator *orchestrator = *state;
    struct orchestrator_site site;
    const char *change = NULL;
    const char *line = "datasite \"Part 1\" tcp://localhost:54879 " KEY;
    assert_int_equal(orchestrator_site_add(orchestrator, line, &change, &failure), 0);
    assert_string_equal(change, "added");
    assert_int_equal(orchestrator_site_add(orchestrator, line, &change, &failure), 0);
    assert_string_equal(change, "known");
    assert_int_equal(orchestrator_site_count(orchestrator), 1);
    assert_int_equal(orchestrator_site_at(orchestrator, 0, &site), 0);
    assert_string_equal(site.name, "Part 1");
    assert_string_equal(site.fingerprint, KEY);
    assert_int_equal(orchestrator_site_at(orchestrator, 1, &site), -1);
    assert_int_equal(orchestrator_site_remove(orchestrator, "Part 1", &failure), 0);
    assert_int_equal(orchestrator_site_remove(orchestrator, "Part 1", &failure), -1);
    assert_string_equal(failure.word, "not-found");
}

static void test_orchestrator_api_invitation_names_fingerprint(void **state)
{
    struct orchestrator *orchestrator = *state;
    assert_non_null(strstr(orchestrator_invitation(orchestrator), orchestrator_fingerprint(orchestrator)));
    assert_string_equal(orchestrator_name(orchestrator), "researcher");
    assert_null(orchestrator_warning(orchestrator));
}

static void test_orchestrator_api_run_without_job_no_run(void **state)
{
    struct orchestrator_run_options options = {.size = sizeof options, .cancel_fd = -1};
    struct orchestrator_run *run = NULL;
    assert_int_equal(orchestrator_run(*state, &options, &run, &failure), -1);
    assert_null(run);
    assert_int_equal(failure.exit_status, 2);
}

static void test_orchestrator_api_load_no_run_failure(void **state)
{
    (void)state;
    struct orchestrator_run *run = NULL;
    assert_int_equal(orchestrator_run_load("nowhere", &run, &failure), -1);
    assert_null(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orchestrator_api_version_as_in_header),
        cmocka_unit_test(test_orchestrator_api_open_nothing_failure_filled_in),
        cmocka_unit_test(test_orchestrator_api_failure_may_be_null),
        cmocka_unit_test_setup_teardown(test_orchestrator_api_sites_added_listed_removed, fresh, done),
        cmocka_unit_test_setup_teardown(test_orchestrator_api_invitation_names_fingerprint, fresh, done),
        cmocka_unit_test_setup_teardown(test_orchestrator_api_run_without_job_no_run, fresh, done),
        cmocka_unit_test(test_orchestrator_api_load_no_run_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
