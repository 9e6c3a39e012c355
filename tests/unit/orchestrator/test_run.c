/* What is refused before any site is asked, and where a run's files go. */
#include "orchestrator/run_list.h"
#include "schemas/files.h"
#include "tests/unit/orchestrator/run_scene.h"

#include <signal.h>
#include <sys/resource.h>
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

static size_t count_runs(const struct run_scene *scene)
{
    struct run_list list = {0};
    struct error *err = run_list_read(scene->home, &list);
    assert_null(err);
    size_t count = list.count;
    run_list_clear(&list);
    return count;
}

static void expect_run_in(const char *directory, const char *run_id)
{
    struct orchestrator_run *run = NULL;
    struct orchestrator_failure failure;
    if (orchestrator_run_load(directory, &run, &failure) != 0)
        fail_msg("%s", failure.sentence);
    assert_string_equal(orchestrator_run_id(run), run_id);
    orchestrator_run_free(run);
}

static void test_run_out_new_directory_holds_copies_of_all_files(void **state)
{
    static const char *const files[] = {"run.db",     "job.yaml",      "report.json",      "report.html",
                                        "rounds.csv", "confusion.csv", "model.safetensors"};
    struct run_scene *scene = *state;
    struct stat status;
    char out[SCENE_PATH_BYTES];
    char record[2 * SCENE_PATH_BYTES];
    out_path(scene, out);
    run_scene_site(scene, &(struct script){.step = 1});
    run_out(scene, out);
    assert_int_equal(scene->result, 0);
    (void)snprintf(record, sizeof record, "%s/runs/%s", scene->home, orchestrator_run_id(scene->run));
    assert_int_equal(lstat(record, &status), 0);
    assert_true(S_ISDIR(status.st_mode));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (!run_scene_file_exists(out, files[i]) || !run_scene_file_exists(record, files[i]))
            fail_msg("%s is missing", files[i]);
    expect_run_in(out, orchestrator_run_id(scene->run));
    expect_run_in(record, orchestrator_run_id(scene->run));
    assert_non_null(strstr(orchestrator_run_reports(scene->run), "/out"));
    assert_non_null(strstr(orchestrator_run_directory(scene->run), "/home/runs/"));
}

/* The same job again is refused by its sites, or never reaches them: what was there before stays. */
static void test_run_out_with_finished_run_kept_by_run_without_model(void **state)
{
    struct run_scene *scene = *state;
    char out[SCENE_PATH_BYTES];
    char first[64];
    out_path(scene, out);
    run_scene_site(scene, &(struct script){.step = 1});
    run_out(scene, out);
    assert_int_equal(scene->result, 0);
    (void)snprintf(first, sizeof first, "%s", orchestrator_run_id(scene->run));
    (void)scripted_site_stop(scene->sites[0]);
    run_scene_run_with(scene, &(struct scene_job){.rounds = 1},
                       &(struct orchestrator_run_options){
                           .connect_seconds = 1, .approval_seconds = 5, .out_directory = out});
    run_scene_expect_failure(scene, "unavailable", "");
    expect_run_in(out, first);
    assert_true(run_scene_file_exists(out, "model.safetensors"));
    assert_non_null(strstr(scene->told, "was left as it is"));
    assert_non_null(strstr(scene->told, orchestrator_run_directory(scene->run)));
    assert_non_null(strstr(orchestrator_run_reports(scene->run), "/home/runs/"));
    assert_int_equal(count_runs(scene), 2);
}

static void test_run_out_new_directory_of_run_without_model_filled(void **state)
{
    struct run_scene *scene = *state;
    char out[SCENE_PATH_BYTES];
    out_path(scene, out);
    run_scene_site(scene, &(struct script){.deny = true});
    run_out(scene, out);
    run_scene_expect_failure(scene, "refused", "");
    assert_true(run_scene_file_exists(out, "report.json"));
    expect_run_in(out, orchestrator_run_id(scene->run));
}

static void test_run_out_cancelled_with_rounds_replaces(void **state)
{
    struct run_scene *scene = *state;
    char out[SCENE_PATH_BYTES];
    out_path(scene, out);
    run_scene_site(scene, &(struct script){.step = 1});
    run_out(scene, out);
    assert_int_equal(scene->result, 0);
    scene->cancel_in_round = 2;
    run_scene_run_with(scene, &(struct scene_job){.rounds = 3},
                       &(struct orchestrator_run_options){
                           .connect_seconds = 20, .approval_seconds = 20, .out_directory = out});
    run_scene_expect_failure(scene, "interrupted", "cancelled");
    expect_run_in(out, orchestrator_run_id(scene->run));
}

static void test_run_out_record_of_a_run_refused(void **state)
{
    struct run_scene *scene = *state;
    char record[2 * SCENE_PATH_BYTES];
    run_scene_site(scene, &(struct script){.step = 1});
    run_out(scene, NULL);
    assert_int_equal(scene->result, 0);
    (void)snprintf(record, sizeof record, "%s/runs/%s", scene->home, orchestrator_run_id(scene->run));
    run_out(scene, record);
    run_scene_expect_failure(scene, "conflict", "is the record of run");
    assert_int_equal(scripted_site_stop(scene->sites[0])->submits, 1);
    assert_int_equal(count_runs(scene), 1);
}

static void test_run_out_filled_by_others_meanwhile_left_alone(void **state)
{
    struct run_scene *scene = *state;
    char out[SCENE_PATH_BYTES];
    out_path(scene, out);
    (void)snprintf(scene->block_reports, sizeof scene->block_reports, "%s", out);
    run_scene_site(scene, &(struct script){.step = 1});
    run_out(scene, out);
    run_scene_expect_failure(scene, "conflict", "holds no run");
    run_scene_expect_failure(scene, "conflict", orchestrator_run_directory(scene->run));
    assert_false(run_scene_file_exists(out, "run.db"));
    assert_true(run_scene_file_exists(orchestrator_run_directory(scene->run), "report.json"));
    assert_string_equal(orchestrator_run_status(scene->run), "finished");
}

static void test_run_reports_not_written_not_named(void **state)
{
    struct run_scene *scene = *state;
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    assert_non_null(stream);
    (void)snprintf(scene->block_reports, sizeof scene->block_reports, "record");
    run_scene_site(scene, &(struct script){.step = 1});
    run_out(scene, NULL);
    run_scene_expect_failure(scene, "io", "No reports could be written: ");
    run_scene_expect_failure(scene, "io", "orchestrator --home ");
    run_scene_expect_failure(scene, "io", " --out DIR");
    assert_null(orchestrator_run_reports(scene->run));
    orchestrator_run_print_summary(scene->run, stream);
    assert_int_equal(fclose(stream), 0);
    assert_non_null(strstr(text, "All epochs"));
    assert_null(strstr(text, "Reports:"));
    free(text);
}

/* Files may not grow beyond what the job takes: the database cannot be made. */
static void test_run_record_that_cannot_be_made_leaves_nothing(void **state)
{
    struct run_scene *scene = *state;
    struct rlimit limit;
    char out[SCENE_PATH_BYTES];
    char runs[SCENE_PATH_BYTES + 8];
    out_path(scene, out);
    (void)snprintf(runs, sizeof runs, "%s/runs", scene->home);
    run_scene_site(scene, &(struct script){.step = 1});
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    struct rlimit small = {.rlim_cur = 5000, .rlim_max = limit.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    run_out(scene, out);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(scene->result, -1);
    expect_untouched(scene);
    assert_false(run_scene_file_exists(out, ""));
    assert_int_equal(count_runs(scene), 0);
    assert_int_equal(rmdir(runs), 0); /* nothing else is in it */
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
    char first[64];
    out_path(scene, out);
    run_scene_site(scene, &(struct script){.step = 1});
    run_out(scene, out);
    assert_int_equal(scene->result, 0);
    (void)snprintf(first, sizeof first, "%s", orchestrator_run_id(scene->run));
    run_out(scene, out);
    if (scene->result != 0)
        fail_msg("%s", scene->failure.sentence);
    assert_string_not_equal(first, orchestrator_run_id(scene->run));
    expect_run_in(out, orchestrator_run_id(scene->run));
    assert_int_equal(count_runs(scene), 2);
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
    assert_string_equal(statuses[0].software, "datasite " DATASITE_VERSION);
    assert_false(statuses[1].up);
    assert_string_equal(statuses[1].software, "");
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
        SCENE_TEST(test_run_out_new_directory_holds_copies_of_all_files),
        SCENE_TEST(test_run_out_with_finished_run_kept_by_run_without_model),
        SCENE_TEST(test_run_out_new_directory_of_run_without_model_filled),
        SCENE_TEST(test_run_out_cancelled_with_rounds_replaces),
        SCENE_TEST(test_run_out_record_of_a_run_refused),
        SCENE_TEST(test_run_out_filled_by_others_meanwhile_left_alone),
        SCENE_TEST(test_run_reports_not_written_not_named),
        SCENE_TEST(test_run_record_that_cannot_be_made_leaves_nothing),
        SCENE_TEST(test_run_out_with_other_files_refused_and_kept),
        SCENE_TEST(test_run_out_with_finished_run_replaced),
        SCENE_TEST(test_status_site_up_round_trip_and_site_down_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
