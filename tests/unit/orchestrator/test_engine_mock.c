/* Runs on mock data: what they need of the sites, what they leave the sites alone with, and what becomes of sites whose
 * data is missing, broken or not what it says. */
#include "tests/unit/orchestrator/run_scene.h"

#include <math.h>

static void add_site(struct run_scene *scene, enum scripted_data data)
{
    run_scene_site(scene, &(struct script){.step = 1, .data = data});
}

static void run_mock(struct run_scene *scene, const struct scene_job *job)
{
    run_scene_run_with(
        scene, job,
        &(struct orchestrator_run_options){.connect_seconds = 20, .approval_seconds = 20, .mock = 1});
}

/* No site was submitted a job, asked for a step, or told of an end. */
static void expect_sites_left_alone(struct run_scene *scene)
{
    for (size_t i = 0; i < scene->site_count; i++) {
        const struct scripted_log *log = scripted_site_stop(scene->sites[i]);
        assert_int_equal(log->submits + log->queries + log->trains + log->evaluates + log->ends, 0);
    }
}

static void test_engine_mock_run_asks_the_sites_for_nothing_but_their_mock_rows(void **state)
{
    struct run_scene *scene = *state;
    add_site(scene, SCRIPTED_DATA_WELL);
    add_site(scene, SCRIPTED_DATA_WELL);
    run_mock(scene, &(struct scene_job){.rounds = 2});
    assert_int_equal(scene->result, 0);
    assert_true(orchestrator_run_is_mock(scene->run));
    assert_string_equal(orchestrator_run_status(scene->run), "finished");
    assert_int_equal(orchestrator_run_rounds(scene->run), 2);
    assert_int_equal(orchestrator_run_features(scene->run), SCRIPTED_FEATURES);
    assert_true(orchestrator_run_pooled_accuracy(scene->run, 2) > 0.9);
    run_scene_expect_site(scene, 1, 0, "ok", "");
    expect_sites_left_alone(scene);
}

static void test_engine_mock_same_job_same_model(void **state)
{
    struct run_scene *scene = *state;
    double first[SCRIPTED_PARAMETERS];
    add_site(scene, SCRIPTED_DATA_WELL);
    add_site(scene, SCRIPTED_DATA_WELL);
    run_mock(scene, &(struct scene_job){.rounds = 2});
    assert_int_equal(scene->result, 0);
    memcpy(first, orchestrator_run_model(scene->run, 2), sizeof first);
    run_mock(scene, &(struct scene_job){.rounds = 2});
    assert_int_equal(scene->result, 0);
    assert_memory_equal(first, orchestrator_run_model(scene->run, 2), sizeof first);
}

static void test_engine_mock_job_without_metrics_has_none(void **state)
{
    struct run_scene *scene = *state;
    add_site(scene, SCRIPTED_DATA_WELL);
    run_mock(scene, &(struct scene_job){.rounds = 1, .metrics = "none"});
    assert_int_equal(scene->result, 0);
    assert_true(isnan(orchestrator_run_pooled_accuracy(scene->run, 1)));
    assert_true(isnan(orchestrator_run_site_train_accuracy(scene->run, 1, 0)));
}

static void test_engine_mock_busy_site_is_asked_again(void **state)
{
    struct run_scene *scene = *state;
    add_site(scene, SCRIPTED_DATA_BUSY);
    run_mock(scene, &(struct scene_job){.rounds = 1});
    assert_int_equal(scene->result, 0);
}

static void test_engine_mock_goes_on_without_a_site_as_the_job_allows(void **state)
{
    struct run_scene *scene = *state;
    add_site(scene, SCRIPTED_DATA_WELL);
    add_site(scene, SCRIPTED_DATA_NO_MOCK);
    run_mock(scene, &(struct scene_job){.rounds = 1, .min_sites = 1});
    assert_int_equal(scene->result, 0);
    run_scene_expect_site(scene, 1, 1, "dropped", "datasite mock make numbers");
    assert_non_null(strstr(scene->told, "datasite mock make numbers"));
}

/* Every way to give no rows is told with the site's name; nothing else is asked of it. */
static void test_engine_mock_site_that_gives_no_rows_is_named(void **state)
{
    static const struct {
        enum scripted_data data;
        const char *says;
    } cases[] = {
        {SCRIPTED_DATA_UNKNOWN, "Site B: The script says no."},
        {SCRIPTED_DATA_NONE, "Site B: It tells us of no dataset \"numbers\""},
        {SCRIPTED_DATA_NO_MOCK, "Site B: It has no mock dataset of \"numbers\""},
        {SCRIPTED_DATA_CIRCLE, "Site B: Its list of datasets goes round in a circle."},
        {SCRIPTED_DATA_REFUSED, "Site B: The script says no."},
        {SCRIPTED_DATA_CHANGED, "do not have the digest"},
        {SCRIPTED_DATA_REPEATED, "changed while it was fetched"},
        {SCRIPTED_DATA_OTHER_SHAPE, "Site B: Its mock dataset has 4 features"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        void *made = NULL;
        assert_int_equal(run_scene_begin(&made), 0);
        struct run_scene *scene = made;
        add_site(scene, SCRIPTED_DATA_WELL);
        add_site(scene, cases[i].data);
        run_mock(scene, &(struct scene_job){.rounds = 1});
        run_scene_expect_failure(scene, "unavailable", cases[i].says);
        assert_string_equal(orchestrator_run_status(scene->run), "stopped");
        expect_sites_left_alone(scene);
        assert_int_equal(run_scene_end(&made), 0);
    }
}

static void test_engine_mock_cancelled_ends_in_order(void **state)
{
    struct run_scene *scene = *state;
    add_site(scene, SCRIPTED_DATA_WELL);
    scene->cancel_in_round = 1;
    run_mock(scene, &(struct scene_job){.rounds = 2});
    run_scene_expect_failure(scene, "interrupted", "cancelled");
    assert_string_equal(orchestrator_run_status(scene->run), "cancelled");
}

static void test_orchestrator_data_lists_what_sites_tell_and_who_is_silent(void **state)
{
    struct run_scene *scene = *state;
    struct orchestrator_data *data = NULL;
    struct orchestrator_dataset dataset;
    struct orchestrator_data_options options = {.size = sizeof options, .fetch_directory = scene->folder};
    const char *site = NULL, *reason = NULL;
    add_site(scene, SCRIPTED_DATA_WELL);
    add_site(scene, SCRIPTED_DATA_CIRCLE);
    run_scene_job(scene, &(struct scene_job){0});
    for (size_t i = 0; i < scene->site_count; i++) {
        char line[256];
        (void)snprintf(line, sizeof line, "datasite \"Site %c\" %s %s", (char)('A' + i),
                       scripted_site_endpoint(scene->sites[i]), scripted_site_fingerprint(scene->sites[i]));
        assert_int_equal(orchestrator_site_add(scene->orchestrator, line, NULL, &scene->failure), 0);
    }
    if (orchestrator_data(scene->orchestrator, &options, &data, &scene->failure) != 0)
        fail_msg("%s", scene->failure.sentence);
    assert_int_equal(orchestrator_data_count(data), 1);
    assert_int_equal(orchestrator_data_at(data, 0, &dataset), 0);
    assert_string_equal(dataset.site, "Site A");
    assert_string_equal(dataset.name, "numbers");
    assert_true(dataset.rows == ORCHESTRATOR_WITHHELD);
    assert_int_equal(dataset.mock_rows, SCRIPTED_MOCK_ROWS);
    assert_string_equal(dataset.reason, "");
    assert_true(run_scene_file_exists(dataset.saved, "MOCK.csv"));
    assert_int_equal(orchestrator_data_at(data, 1, &dataset), -1);
    assert_int_equal(orchestrator_data_silent_at(data, 0, &site, &reason), 0);
    assert_string_equal(site, "Site B");
    assert_non_null(strstr(reason, "circle"));
    assert_int_equal(orchestrator_data_silent_at(data, 1, &site, &reason), -1);
    orchestrator_data_free(data);
    options.site = "Site C";
    assert_int_equal(orchestrator_data(scene->orchestrator, &options, &data, &scene->failure), -1);
    assert_non_null(strstr(scene->failure.sentence, "Site C"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, run_scene_begin, run_scene_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_engine_mock_run_asks_the_sites_for_nothing_but_their_mock_rows),
        TEST(test_engine_mock_same_job_same_model),
        TEST(test_engine_mock_job_without_metrics_has_none),
        TEST(test_engine_mock_busy_site_is_asked_again),
        TEST(test_engine_mock_goes_on_without_a_site_as_the_job_allows),
        cmocka_unit_test(test_engine_mock_site_that_gives_no_rows_is_named),
        TEST(test_engine_mock_cancelled_ends_in_order),
        TEST(test_orchestrator_data_lists_what_sites_tell_and_who_is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
