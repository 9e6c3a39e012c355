/* Runs against sites whose output gate withholds something: it is null in the record, never 0, and in no sum. */
#include "schemas/wire.h"
#include "tests/unit/orchestrator/run_scene.h"

#include <math.h>

static void expect_finished(const struct run_scene *scene)
{
    if (scene->result != 0)
        fail_msg("%s", scene->failure.sentence);
}

static void test_withheld_counts_of_one_site_are_withheld_in_the_pooled_matrix(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.step = 1, .withholds = true});
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    expect_finished(scene);
    const uint64_t *pooled = orchestrator_run_pooled_confusion(scene->run, 1);
    assert_non_null(pooled);
    assert_true(pooled[0] == ORCHESTRATOR_WITHHELD && pooled[1] == ORCHESTRATOR_WITHHELD);
    assert_int_equal(pooled[2], 4);
    assert_int_equal(pooled[3], 6);
    assert_true(isnan(orchestrator_run_pooled_accuracy(scene->run, 1)) != 0);
    assert_true(orchestrator_run_site_test_accuracy(scene->run, 1, 0) == 0.7);
    assert_true(isnan(orchestrator_run_site_test_accuracy(scene->run, 1, 1)) != 0);
    assert_true(isnan(orchestrator_run_site_train_accuracy(scene->run, 1, 1)) != 0);
}

/* What was kept in run.db is read back as it was. */
static void test_withheld_counts_are_read_back_from_the_record(void **state)
{
    struct run_scene *scene = *state;
    struct orchestrator_run *loaded = NULL;
    run_scene_site(scene, &(struct script){.step = 1, .withholds = true});
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    expect_finished(scene);
    assert_int_equal(orchestrator_run_load(orchestrator_run_directory(scene->run), &loaded, &scene->failure),
                     0);
    const uint64_t *pooled = orchestrator_run_pooled_confusion(loaded, 1);
    assert_true(pooled[0] == ORCHESTRATOR_WITHHELD);
    assert_int_equal(pooled[3], 3);
    assert_true(isnan(orchestrator_run_pooled_accuracy(loaded, 1)) != 0);
    orchestrator_run_free(loaded);
}

static void test_withheld_examples_cannot_be_weights(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.step = 5, .withholds_examples = true});
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .min_sites = 1});
    expect_finished(scene);
    run_scene_expect_site(scene, 1, 1, "failed", "`weighting: equal`");
    assert_true(orchestrator_run_model(scene->run, 1)[0] == 1);
}

static void test_withheld_examples_with_equal_weighting_are_averaged(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.step = 5, .withholds_examples = true});
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .weighting = "equal"});
    expect_finished(scene);
    assert_true(orchestrator_run_model(scene->run, 1)[0] == 3);
}

/* Counts that say one thing and sums that say another are of no use. */
static void test_evaluation_that_does_not_add_up_is_left_out(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.step = 1, .sums_wrong = true});
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    expect_finished(scene);
    assert_non_null(strstr(scene->told, "does not add up"));
    assert_int_equal(orchestrator_run_pooled_confusion(scene->run, 1)[0], 4);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, run_scene_begin, run_scene_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_withheld_counts_of_one_site_are_withheld_in_the_pooled_matrix),
        SCENE_TEST(test_withheld_counts_are_read_back_from_the_record),
        SCENE_TEST(test_withheld_examples_cannot_be_weights),
        SCENE_TEST(test_withheld_examples_with_equal_weighting_are_averaged),
        SCENE_TEST(test_evaluation_that_does_not_add_up_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
