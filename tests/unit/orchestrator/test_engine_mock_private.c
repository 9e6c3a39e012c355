/* Trials of private jobs on mock rows: the job's mechanism with its noise, nothing exact, and nothing spent. */
#include "orchestrator/orchestrator_parts.h"
#include "orchestrator/statistics.h"
#include "tests/unit/orchestrator/run_scene.h"

#include <math.h>

/* Little noise for 100 examples; the rows' class shows in their first value. */
#define SGD "mechanism: dp-sgd, clip: 1, noise_multiplier: 1, delta: 1e-3, sampling_rate: 0.5, steps: 40"

static void run_mock(struct run_scene *scene, const struct scene_job *job, size_t sites)
{
    while (scene->site_count < sites)
        run_scene_site(scene, &(struct script){.data = SCRIPTED_DATA_WELL});
    run_scene_run_with(
        scene, job,
        &(struct orchestrator_run_options){.connect_seconds = 20, .approval_seconds = 20, .mock = 1});
    if (scene->result != 0)
        fail_msg("%s", scene->failure.sentence);
}

static const struct run_record *record_of(const struct run_scene *scene)
{
    return scene->run->run.record;
}

static void expect_nothing_exact(const struct run_record *record)
{
    for (size_t r = 0; r < record->round_count; r++) {
        const struct round_record *round = &record->rounds[r];
        assert_null(round->pooled_confusion);
        for (size_t s = 0; s < record->job->site_count; s++) {
            assert_null(round->sites[s].confusion);
            assert_true(isnan(round->sites[s].train_accuracy) != 0);
            assert_true(isnan(round->sites[s].train_seconds) != 0);
            assert_true(isnan(round->sites[s].epsilon_spent) != 0);
        }
    }
}

/* Rows of class 1 have the larger first value. */
static void expect_learned(const double *model)
{
    assert_non_null(model);
    assert_true(model[SCRIPTED_FEATURES] - model[0] > 0.2);
}

static void test_mock_dp_sgd_learns_under_its_noise(void **state)
{
    struct run_scene *scene = *state;
    double first[SCRIPTED_PARAMETERS];
    struct scene_job job = {.rounds = 2, .privacy = SGD ", metrics_noise: 1"};
    run_mock(scene, &job, 2);
    const struct run_record *record = record_of(scene);
    expect_nothing_exact(record);
    expect_learned(orchestrator_run_model(scene->run, 2));
    assert_true(record->epsilon > 0);
    assert_int_equal(record->rounds[1].sites[1].examples, 200);
    assert_null(record->rounds[0].pooled_noised);
    assert_non_null(record->rounds[1].pooled_noised);
    assert_true(record->rounds[1].pooled_noised[0] != round(record->rounds[1].pooled_noised[0]));
    /* Noise comes from no seed: the same job gives another model. */
    memcpy(first, orchestrator_run_model(scene->run, 2), sizeof first);
    run_mock(scene, &job, 2);
    assert_memory_not_equal(first, orchestrator_run_model(scene->run, 2), sizeof first);
}

static void test_mock_distributed_dp_steps_once_a_round_and_averages_the_last_models(void **state)
{
    struct run_scene *scene = *state;
    run_mock(scene,
             &(struct scene_job){
                 .rounds = 40,
                 .secure = "",
                 .training = "{optimizer: sgd, learning_rate: 1, momentum: 0.5, average_tail: 0.5}",
                 .privacy = "mechanism: distributed-dp, clip: 1, noise_multiplier: 1, delta: 1e-3, "
                            "sampling_rate: 0.5"},
             3);
    const struct run_record *record = record_of(scene);
    expect_nothing_exact(record);
    assert_int_equal(record->round_count, 40);
    expect_learned(record->averaged);
    for (size_t p = 0; p < SCRIPTED_PARAMETERS; p++) {
        double mean = 0;
        for (size_t r = 20; r < 40; r++)
            mean += record->rounds[r].model[p] / 20;
        assert_true(fabs(mean - record->averaged[p]) < 1e-9);
    }
}

static void test_mock_site_level_adds_noise_to_changes(void **state)
{
    struct run_scene *scene = *state;
    double first[SCRIPTED_PARAMETERS];
    struct scene_job job = {.rounds = 1,
                            .privacy = "mechanism: site-level, clip: 2, noise_multiplier: 0.5, delta: 1e-3"};
    run_mock(scene, &job, 2);
    expect_nothing_exact(record_of(scene));
    memcpy(first, orchestrator_run_model(scene->run, 1), sizeof first);
    run_mock(scene, &job, 2);
    assert_memory_not_equal(first, orchestrator_run_model(scene->run, 1), sizeof first);
}

/* Of values (row * 7 + 3 * feature) % 11 / 11, the first with the class's 2 more. */
static void expect_statistics(const struct run_scene *scene, double within)
{
    struct statistics statistics;
    assert_null(statistics_of(record_of(scene), &statistics));
    assert_int_equal(statistics.features, SCRIPTED_FEATURES);
    assert_true(fabs(statistics.mean[1] - 5.0 / 11) < 0.05 + within);
    assert_true(fabs(statistics.mean[0] - (1 + 5.0 / 11)) < 0.15 + within);
    assert_true(fabs(statistics.deviation[1] - 0.29) < 0.05 + within);
    statistics_clear(&statistics);
}

static void test_mock_statistics_without_privacy_are_exact(void **state)
{
    struct run_scene *scene = *state;
    run_mock(scene, &(struct scene_job){.rounds = 1, .model = "feature-statistics"}, 2);
    expect_statistics(scene, 0);
}

/* The rows are 70 or so of the 100 that are declared: the mean is as much too small, and noise comes on top. */
static void test_mock_statistics_with_a_mechanism_have_noise(void **state)
{
    struct run_scene *scene = *state;
    run_mock(scene,
             &(struct scene_job){.rounds = 1,
                                 .model = "feature-statistics",
                                 .privacy =
                                     "mechanism: dp-sgd, clip: 10, noise_multiplier: 0.3, delta: 1e-3, "
                                     "sampling_rate: 1"},
             1);
    double mean = record_of(scene)->rounds[0].model[1];
    assert_true(mean > 0.15 && mean < 0.55);
    expect_nothing_exact(record_of(scene));
}

static void test_mock_features_are_what_the_model_sees(void **state)
{
    struct run_scene *scene = *state;
    run_mock(
        scene,
        &(struct scene_job){.rounds = 1,
                            .features = "kind: standardize, mean: [1.4, 0.45, 0.45], deviation: [1, 0.3, 0]"},
        2);
    const double *model = orchestrator_run_model(scene->run, 1);
    expect_learned(model);
    assert_true(model[2] == 0 && model[SCRIPTED_FEATURES + 2] == 0);
    assert_true(orchestrator_run_pooled_accuracy(scene->run, 1) > 0.9);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, run_scene_begin, run_scene_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_mock_dp_sgd_learns_under_its_noise),
        TEST(test_mock_distributed_dp_steps_once_a_round_and_averages_the_last_models),
        TEST(test_mock_site_level_adds_noise_to_changes),
        TEST(test_mock_statistics_without_privacy_are_exact),
        TEST(test_mock_statistics_with_a_mechanism_have_noise),
        TEST(test_mock_features_are_what_the_model_sees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
