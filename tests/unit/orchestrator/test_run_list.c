#include "made_run.h"

#include "orchestrator/run_list.h"
#include "orchestrator/run_store.h"
#include "schemas/files.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

/* A run below home/runs/ whose id starts with `first`, begun at `started` ms. */
static void put_run(const char *home, uint8_t first, int64_t started)
{
    struct run_record *record = made_run(2);
    struct run_store *store = NULL;
    char id[RUN_ID_HEX_BYTES];
    char *directory = NULL;
    record->run_id[0] = first;
    record->started_at = started;
    run_id_format(record->run_id, id);
    assert_true(asprintf(&directory, "%s/runs/%s", home, id) > 0);
    made_fine(run_store_create(directory, record, &store));
    made_fine(run_store_round(store, record, &record->rounds[0]));
    made_fine(run_store_end(store, record));
    run_store_close(store);
    free(directory);
    run_record_free(record);
}

static void test_run_list_home_without_runs_is_empty(void **state)
{
    struct run_list list;
    char *directory = NULL;
    made_fine(run_list_read(*state, &list));
    assert_int_equal(list.count, 0);
    run_list_clear(&list);
    made_refusal(run_list_find(*state, NULL, &directory), ERROR_NOT_FOUND, "no run yet");
}

static void test_run_list_runs_come_by_start_with_their_figures(void **state)
{
    struct run_list list;
    put_run(*state, 0x11, 3000);
    put_run(*state, 0x22, 1000);
    made_fine(run_list_read(*state, &list));
    assert_int_equal(list.count, 2);
    assert_int_equal(strncmp(list.runs[0].run_id, "22", 2), 0);
    assert_string_equal(list.runs[1].job_name, "made-up");
    assert_int_equal(list.runs[1].status, RUN_FINISHED);
    assert_int_equal(list.runs[1].rounds_done, 1);
    assert_int_equal(list.runs[1].rounds_planned, 2);
    assert_true(list.runs[1].accuracy == (101 + 41) / 200.0);
    assert_null(list.runs[1].damage);
    run_list_clear(&list);
}

static void test_run_list_damaged_run_is_listed_with_its_sentence(void **state)
{
    struct run_list list;
    char *path = NULL;
    put_run(*state, 0x11, 3000);
    assert_true(asprintf(&path, "%s/runs/%032d", (char *)*state, 7) > 0);
    made_fine(directory_make(path, 0700));
    free(path);
    made_fine(run_list_read(*state, &list));
    assert_int_equal(list.count, 2);
    assert_non_null(list.runs[0].damage);
    assert_non_null(strstr(list.runs[0].damage, "run.db"));
    assert_null(list.runs[1].damage);
    run_list_clear(&list);
}

static void test_run_list_other_names_are_left_alone(void **state)
{
    struct run_list list;
    char *path = made_path(*state, "runs/notes");
    made_fine(directory_make(path, 0700));
    free(path);
    made_fine(run_list_read(*state, &list));
    assert_int_equal(list.count, 0);
    run_list_clear(&list);
}

static void test_run_list_link_to_a_run_elsewhere_is_followed(void **state)
{
    struct run_list list;
    char *from = NULL;
    put_run(*state, 0x11, 3000);
    assert_true(asprintf(&from, "%s/elsewhere", (char *)*state) > 0);
    char *run = made_path(*state, "runs/11a1a2a3a4a5a6a7a8a9aaabacadaeaf");
    assert_int_equal(rename(run, from), 0);
    assert_int_equal(symlink("../elsewhere", run), 0);
    made_fine(run_list_read(*state, &list));
    assert_int_equal(list.count, 1);
    assert_null(list.runs[0].damage);
    run_list_clear(&list);
    free(from);
    free(run);
}

static void test_run_list_prefix_finds_one_run_only(void **state)
{
    char *directory = NULL;
    put_run(*state, 0x11, 3000);
    put_run(*state, 0x12, 1000);
    made_fine(run_list_find(*state, "12", &directory));
    assert_non_null(strstr(directory, "/runs/12a1"));
    free(directory);
    directory = NULL;
    made_fine(run_list_find(*state, NULL, &directory));
    assert_non_null(strstr(directory, "/runs/11a1"));
    free(directory);
    directory = NULL;
    made_refusal(run_list_find(*state, "1", &directory), ERROR_CONFLICT, "More than one");
    made_refusal(run_list_find(*state, "3", &directory), ERROR_NOT_FOUND, "orchestrator runs");
    made_refusal(run_list_find(*state, "../1", &directory), ERROR_USAGE, "first digits");
    made_refusal(run_list_find(*state, "", &directory), ERROR_USAGE, "first digits");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MADE_TEST(test_run_list_home_without_runs_is_empty),
        MADE_TEST(test_run_list_runs_come_by_start_with_their_figures),
        MADE_TEST(test_run_list_damaged_run_is_listed_with_its_sentence),
        MADE_TEST(test_run_list_other_names_are_left_alone),
        MADE_TEST(test_run_list_link_to_a_run_elsewhere_is_followed),
        MADE_TEST(test_run_list_prefix_finds_one_run_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
