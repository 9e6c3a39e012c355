/* What is refused before any site is asked, and where a run's files go. */
#include "schemas/files.h"
#include "tests/unit/orchestrator/run_scene.h"

#include <sys/stat.h>
#include <unistd.h>

#define OTHER_KEY "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void expect_untouched(struct run_scene *scene)
{
    assert_null(scene->run);
    const struct scripted_log *log = scripted_site_stop(scene->sites[0]);
    assert_int_equal(log->submits, 0);
}

static void out_path(const struct run_scene *scene, char ret_path[static SCENE_PATH_BYTES])
{
    (void)snprintf(ret_path, SCENE_PATH_BYTES, "%.480s/out", scene->folder);
}

static void run_out(struct run_scene *scene, const char *out)
{
    run_scene_run_with(scene, &(struct scene_job){.rounds = 1},
                       &(struct orchestrator_run_options){
                           .connect_seconds = 20, .approval_seconds = 20, .out_directory = out});
}

static void test_run_expired_job_refused_here(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_run(scene, &(struct scene_job){.expires = "2020-01-01T00:00:00Z"});
    run_scene_expect_failure(scene, "expired", "2020-01-01T00:00:00Z");
    expect_untouched(scene);
}

static void test_run_fingerprint_other_than_listed_refused_here(void **state)
{
    struct run_scene *scene = *state;
    char line[256];
    run_scene_site(scene, &(struct script){.step = 1});
    (void)snprintf(line, sizeof line, "datasite \"Site A\" tcp://localhost:1 %s",
                   scripted_site_fingerprint(scene->sites[0]));
    assert_int_equal(orchestrator_site_add(scene->orchestrator, line, NULL, &scene->failure), 0);
    run_scene_run(scene, &(struct scene_job){.fingerprint = OTHER_KEY});
    run_scene_expect_failure(scene, "untrusted", "job.yaml: line 9: sites[0].fingerprint");
    expect_untouched(scene);
}

static void test_run_fingerprint_other_than_the_sites_key_never_connected(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_run_with(scene, &(struct scene_job){.fingerprint = OTHER_KEY},
                       &(struct orchestrator_run_options){.connect_seconds = 2, .approval_seconds = 20});
    run_scene_expect_failure(scene, "unavailable", "Site A: ");
    assert_int_equal(scripted_site_stop(scene->sites[0])->submits, 0);
}

static void test_run_no_job_file_not_found(void **state)
{
    struct run_scene *scene = *state;
    struct orchestrator_run_options options = {
        .size = sizeof options, .job_path = "none.yaml", .cancel_fd = -1};
    scene->result = orchestrator_run(scene->orchestrator, &options, &scene->run, &scene->failure);
    run_scene_expect_failure(scene, "not-found", "none.yaml");
}

static void test_run_options_of_other_size_usage(void **state)
{
    struct run_scene *scene = *state;
    struct orchestrator_run_options options = {.size = 1, .job_path = "none.yaml", .cancel_fd = -1};
    scene->result = orchestrator_run(scene->orchestrator, &options, &scene->run, &scene->failure);
    run_scene_expect_failure(scene, "usage", "size");
}

static void test_run_init_file_missing_usage(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_run(scene,
                  &(struct scene_job){
                      .init = "sha256:00000000000000000000000000000000000000000000000000000000000000aa"});
    run_scene_expect_failure(scene, "usage", "--init-model");
    expect_untouched(scene);
}

static void test_run_default_place_below_runs(void **state)
{
    struct run_scene *scene = *state;
    char runs[SCENE_PATH_BYTES + 8];
    run_scene_site(scene, &(struct script){.step = 1});
    run_out(scene, NULL);
    assert_int_equal(scene->result, 0);
    (void)snprintf(runs, sizeof runs, "%s/runs", scene->home);
    assert_true(run_scene_file_exists(runs, orchestrator_run_id(scene->run)));
    const char *const files[] = {"run.db",     "job.yaml",      "report.json",      "report.html",
                                 "rounds.csv", "confusion.csv", "model.safetensors"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (!run_scene_file_exists(orchestrator_run_directory(scene->run), files[i]))
            fail_msg("%s is missing", files[i]);
}

static void test_run_out_new_directory_linked_from_runs(void **state)
{
    struct run_scene *scene = *state;
    struct orchestrator_run *again = NULL;
    char out[SCENE_PATH_BYTES];
    char link[2 * SCENE_PATH_BYTES];
    out_path(scene, out);
    run_scene_site(scene, &(struct script){.step = 1});
    run_out(scene, out);
    assert_int_equal(scene->result, 0);
    assert_true(run_scene_file_exists(out, "report.json"));
    (void)snprintf(link, sizeof link, "%s/runs/%s", scene->home, orchestrator_run_id(scene->run));
    assert_int_equal(orchestrator_run_load(link, &again, &scene->failure), 0);
    assert_string_equal(orchestrator_run_id(again), orchestrator_run_id(scene->run));
    orchestrator_run_free(again);
}

static void test_run_out_with_other_files_refused_and_kept(void **state)
{
    struct run_scene *scene = *state;
    char out[SCENE_PATH_BYTES];
    char path[SCENE_PATH_BYTES + 16];
    out_path(scene, out);
    (void)snprintf(path, sizeof path, "%s/report.json", out);
    assert_int_equal(mkdir(out, 0700), 0);
    struct error *err = file_write(path, "mine", 4, 0600);
    assert_null(err);
    run_scene_site(scene, &(struct script){.step = 1});
    run_out(scene, out);
    run_scene_expect_failure(scene, "conflict", "holds no run");
    assert_true(run_scene_file_exists(out, "report.json"));
    expect_untouched(scene);
}

static void test_run_out_with_finished_run_replaced(void **state)
{
    struct run_scene *scene = *state;
    char out[SCENE_PATH_BYTES];
    char runs[SCENE_PATH_BYTES + 8];
    char first[64];
    out_path(scene, out);
    (void)snprintf(runs, sizeof runs, "%s/runs", scene->home);
    run_scene_site(scene, &(struct script){.step = 1});
    run_out(scene, out);
    assert_int_equal(scene->result, 0);
    (void)snprintf(first, sizeof first, "%s", orchestrator_run_id(scene->run));
    run_out(scene, out);
    if (scene->result != 0)
        fail_msg("%s", scene->failure.sentence);
    assert_string_not_equal(first, orchestrator_run_id(scene->run));
    assert_true(run_scene_file_exists(out, "report.json"));
    assert_false(run_scene_file_exists(runs, first));
}

static void test_status_site_up_round_trip_and_site_down_reason(void **state)
{
    struct run_scene *scene = *state;
    struct orchestrator_site_status statuses[2];
    char line[256];
    run_scene_site(scene, &(struct script){.pending = 1000});
    run_scene_site(scene, &(struct script){.step = 1});
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(line, sizeof line, "datasite \"Site %c\" %s %s", (char)('A' + (int)i),
                       scripted_site_endpoint(scene->sites[i]), scripted_site_fingerprint(scene->sites[i]));
        assert_int_equal(orchestrator_site_add(scene->orchestrator, line, NULL, &scene->failure), 0);
    }
    (void)scripted_site_stop(scene->sites[1]);
    assert_int_equal(orchestrator_status(scene->orchestrator,
                                         "00000000000000000000000000000000000000000000000000000000000000aa",
                                         20000, statuses, &scene->failure),
                     0);
    assert_true(statuses[0].up);
    assert_true(statuses[0].round_trip_ms > 0);
    assert_string_equal(statuses[0].state, "pending");
    assert_false(statuses[1].up);
    assert_true(statuses[1].reason[0] != '\0');
}

#define SCENE_TEST(function) cmocka_unit_test_setup_teardown(function, run_scene_begin, run_scene_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_run_expired_job_refused_here),
        SCENE_TEST(test_run_fingerprint_other_than_listed_refused_here),
        SCENE_TEST(test_run_fingerprint_other_than_the_sites_key_never_connected),
        SCENE_TEST(test_run_no_job_file_not_found),
        SCENE_TEST(test_run_options_of_other_size_usage),
        SCENE_TEST(test_run_init_file_missing_usage),
        SCENE_TEST(test_run_default_place_below_runs),
        SCENE_TEST(test_run_out_new_directory_linked_from_runs),
        SCENE_TEST(test_run_out_with_other_files_refused_and_kept),
        SCENE_TEST(test_run_out_with_finished_run_replaced),
        SCENE_TEST(test_status_site_up_round_trip_and_site_down_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
