/* Runs of private jobs against scripted sites: what such a job lets out is used, and whatever else comes is refused by name. */
#include "crypto/privacy_plan.h"
#include "orchestrator/orchestrator_parts.h"
#include "schemas/files.h"
#include "schemas/wire.h"
#include "tests/unit/orchestrator/run_scene.h"

#include <math.h>

#define NOISY "mechanism: dp-sgd, clip: 1, noise_multiplier: 4, delta: 1e-5, sampling_rate: 0.1, steps: 3"
#define COUNTED NOISY ", metrics_noise: 2"

static void expect_finished(const struct run_scene *scene)
{
    if (scene->result != 0)
        fail_msg("%s", scene->failure.sentence);
    assert_string_equal(orchestrator_run_status(scene->run), "finished");
}

static const struct run_record *record_of(const struct run_scene *scene)
{
    return scene->run->run.record;
}

/* Two good sites: the first declares 100 examples, the second 200. */
static void two_sites(struct run_scene *scene)
{
    run_scene_site(scene, &(struct script){.step = 1, .private = PRIVATE_WELL, .examples = 100});
    run_scene_site(scene, &(struct script){.step = 4, .private = PRIVATE_WELL, .examples = 200});
}

static void test_private_weights_are_those_that_the_job_declares(void **state)
{
    struct run_scene *scene = *state;
    two_sites(scene);
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .privacy = NOISY});
    expect_finished(scene);
    assert_true(fabs(orchestrator_run_model(scene->run, 1)[0] - 3) < 1e-12);
    const struct site_round *part = &record_of(scene)->rounds[0].sites[1];
    assert_int_equal(part->examples, 200);
    assert_true(isnan(part->train_seconds) != 0);
    assert_true(isnan(part->train_accuracy) != 0);
    assert_null(part->confusion);
}

static void test_private_equal_weights_are_equal(void **state)
{
    struct run_scene *scene = *state;
    two_sites(scene);
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .privacy = NOISY, .weighting = "equal"});
    expect_finished(scene);
    assert_true(orchestrator_run_model(scene->run, 1)[0] == 2.5);
}

static void test_private_without_metrics_noise_no_evaluation_is_asked(void **state)
{
    struct run_scene *scene = *state;
    two_sites(scene);
    run_scene_run(scene, &(struct scene_job){.rounds = 2, .privacy = NOISY});
    expect_finished(scene);
    assert_int_equal(scripted_site_stop(scene->sites[0])->evaluates, 0);
    assert_null(record_of(scene)->rounds[1].pooled_noised);
}

static void test_private_counts_are_asked_for_in_the_last_round_alone(void **state)
{
    struct run_scene *scene = *state;
    two_sites(scene);
    run_scene_run(scene, &(struct scene_job){.rounds = 3, .privacy = COUNTED});
    expect_finished(scene);
    for (size_t s = 0; s < 2; s++) {
        const struct scripted_log *log = scripted_site_stop(scene->sites[s]);
        assert_int_equal(log->evaluates, 1);
        assert_int_equal(log->evaluated[0], 3);
    }
    assert_null(record_of(scene)->rounds[1].pooled_noised);
    const struct round_record *last = &record_of(scene)->rounds[2];
    assert_non_null(last->pooled_noised);
    assert_null(last->pooled_confusion);
    assert_true(last->pooled_noised[0] == 9 && last->pooled_noised[2] == -3);
    assert_int_equal(last->pooled_sites, 2);
    assert_true(fabs(last->pooled_noise - 2 * sqrt(2)) < 1e-6);
    assert_null(orchestrator_run_pooled_confusion(scene->run, 3));
    assert_true(isnan(orchestrator_run_pooled_accuracy(scene->run, 3)) != 0);
}

static void test_private_counts_of_all_rounds_are_asked_for_in_each(void **state)
{
    struct run_scene *scene = *state;
    two_sites(scene);
    run_scene_run(scene, &(struct scene_job){.rounds = 2, .privacy = COUNTED ", metrics_rounds: all"});
    expect_finished(scene);
    assert_int_equal(scripted_site_stop(scene->sites[0])->evaluates, 2);
    assert_non_null(record_of(scene)->rounds[0].pooled_noised);
    assert_non_null(record_of(scene)->rounds[1].pooled_noised);
}

/* Round by round never less than before, and at the end the figure of the whole job. */
static void test_private_epsilon_grows_to_that_of_the_job(void **state)
{
    struct run_scene *scene = *state;
    two_sites(scene);
    run_scene_run(scene, &(struct scene_job){.rounds = 3, .privacy = COUNTED});
    expect_finished(scene);
    const struct run_record *record = record_of(scene);
    double job = 0, before = 0;
    assert_null(privacy_plan_epsilon(record->job, PRIVACY_PLD, 3, 1, &job));
    assert_true(job > 0 && record->epsilon == job);
    assert_true(record->epsilon_rdp >= job);
    assert_true(record->epsilon_worst == job);
    for (size_t r = 0; r < 3; r++) {
        for (size_t s = 0; s < 2; s++) {
            double spent = record->rounds[r].sites[s].epsilon_spent;
            assert_true(spent > before && spent <= job);
        }
        before = record->rounds[r].sites[0].epsilon_spent;
    }
    assert_true(before == job);
}

/* A site that gave nothing pays nothing. */
static void test_private_site_that_refuses_spends_nothing(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1, .private = PRIVATE_WELL, .examples = 100});
    run_scene_site(scene, &(struct script){.private = PRIVATE_WELL,
                                           .rounds = {[1] = SCRIPTED_REFUSAL, [2] = SCRIPTED_REFUSAL}});
    run_scene_run(scene, &(struct scene_job){.rounds = 2, .min_sites = 1, .privacy = NOISY});
    expect_finished(scene);
    const struct run_record *record = record_of(scene);
    assert_true(record->rounds[1].sites[0].epsilon_spent == record->epsilon);
    assert_true(record->rounds[1].sites[1].epsilon_spent == 0);
}

/* What left a site is spent, also when it was of no use here. */
static void test_private_answer_that_is_of_no_use_is_spent(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1, .private = PRIVATE_WELL, .examples = 100});
    run_scene_site(scene,
                   &(struct script){
                       .step = 1, .private = PRIVATE_WELL, .examples = 200, .rounds = {[1] = SCRIPTED_HUGE}});
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .min_sites = 1, .privacy = NOISY});
    expect_finished(scene);
    run_scene_expect_site(scene, 1, 1, "failed", "");
    assert_true(record_of(scene)->rounds[0].sites[1].epsilon_spent == record_of(scene)->epsilon);
}

static void test_private_record_is_read_back_as_it_was(void **state)
{
    struct run_scene *scene = *state;
    struct orchestrator_run *loaded = NULL;
    two_sites(scene);
    run_scene_run(scene, &(struct scene_job){.rounds = 2, .privacy = COUNTED});
    expect_finished(scene);
    assert_int_equal(orchestrator_run_load(orchestrator_run_directory(scene->run), &loaded, &scene->failure),
                     0);
    const struct run_record *was = record_of(scene), *is = loaded->run.record;
    assert_true(is->epsilon == was->epsilon && is->epsilon_rdp == was->epsilon_rdp);
    assert_true(is->rounds[0].sites[1].epsilon_spent == was->rounds[0].sites[1].epsilon_spent);
    assert_null(is->rounds[0].pooled_noised);
    assert_memory_equal(is->rounds[1].pooled_noised, was->rounds[1].pooled_noised, 4 * sizeof(double));
    assert_true(is->rounds[1].pooled_noise == was->rounds[1].pooled_noise);
    assert_int_equal(is->rounds[1].pooled_sites, 2);
    orchestrator_run_free(loaded);
}

/* ---- what is refused ---- */

/* The second site's update is wrong: the model is the first's alone. */
static void expect_refused_update(struct run_scene *scene, enum scripted_private how, const char *words)
{
    run_scene_site(scene, &(struct script){.step = 1, .private = PRIVATE_WELL, .examples = 100});
    run_scene_site(scene, &(struct script){.step = 4, .private = how, .examples = 200});
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .min_sites = 1, .privacy = NOISY});
    expect_finished(scene);
    run_scene_expect_site(scene, 1, 1, "failed", words);
    assert_true(orchestrator_run_model(scene->run, 1)[0] == 1);
}

static void test_private_update_with_metrics_is_refused(void **state)
{
    expect_refused_update(*state, PRIVATE_METRICS, "has metrics");
}

static void test_private_update_with_seconds_is_refused(void **state)
{
    expect_refused_update(*state, PRIVATE_SECONDS, "how long it took");
}

static void test_private_update_with_other_examples_is_refused(void **state)
{
    expect_refused_update(*state, PRIVATE_OTHER_EXAMPLES, "other examples than the 200");
}

static void test_private_update_without_examples_is_refused(void **state)
{
    expect_refused_update(*state, PRIVATE_NO_EXAMPLES, "does not say the 200 examples");
}

/* One of the sentences, with | between them, was told: that of who decodes the message, or of who knows the job. */
static void expect_told_one(const struct run_scene *scene, const char *sentences)
{
    char one[128];
    for (const char *next = sentences; *next != '\0'; next += strspn(next, "|")) {
        size_t length = strcspn(next, "|");
        (void)snprintf(one, sizeof one, "%.*s", (int)length, next);
        if (strstr(scene->told, one) != NULL)
            return;
        next += length;
    }
    fail_msg("\"%s\" does not say \"%s\"", scene->told, sentences);
}

#define EXACT "has exact counts|must be withheld beside noised counts"

/* The second site's evaluation is wrong: the counts are the first's alone. */
static void expect_refused_evaluation(struct run_scene *scene, enum scripted_private how, const char *words)
{
    run_scene_site(scene, &(struct script){.step = 1, .private = PRIVATE_WELL, .examples = 100});
    run_scene_site(scene, &(struct script){.step = 4, .private = how, .examples = 200});
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .privacy = COUNTED});
    expect_finished(scene);
    expect_told_one(scene, words);
    const struct round_record *round = &record_of(scene)->rounds[0];
    assert_int_equal(round->pooled_sites, 1);
    assert_true(round->pooled_noised[0] == 4.5);
    assert_true(fabs(round->pooled_noise - 2) < 1e-6);
}

static void test_private_noised_counts_too_few_are_refused(void **state)
{
    expect_refused_evaluation(*state, PRIVATE_TOO_FEW_COUNTS, "noised counts");
}

static void test_private_noised_counts_too_many_are_refused(void **state)
{
    expect_refused_evaluation(*state, PRIVATE_TOO_MANY_COUNTS, "noised");
}

static void test_private_noised_counts_missing_are_refused(void **state)
{
    expect_refused_evaluation(*state, PRIVATE_NO_COUNTS, "noised counts");
}

static void test_private_noised_counts_not_a_number_are_refused(void **state)
{
    expect_refused_evaluation(*state, PRIVATE_NOT_A_NUMBER, "noised");
}

static void test_private_noised_counts_infinite_are_refused(void **state)
{
    expect_refused_evaluation(*state, PRIVATE_INFINITE, "noised");
}

static void test_private_noised_counts_beyond_any_count_are_refused(void **state)
{
    expect_refused_evaluation(*state, PRIVATE_HUGE, "noised");
}

static void test_private_exact_counts_are_refused(void **state)
{
    expect_refused_evaluation(*state, PRIVATE_EXACT_COUNTS, EXACT);
}

static void test_private_exact_rows_are_refused(void **state)
{
    expect_refused_evaluation(*state, PRIVATE_EXACT_ROWS, EXACT);
}

static void test_private_exact_right_answers_are_refused(void **state)
{
    expect_refused_evaluation(*state, PRIVATE_EXACT_CORRECT, EXACT);
}

static void test_noised_counts_of_a_job_without_privacy_are_refused(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.step = 1, .private = PRIVATE_COUNTS_IN_CLEAR});
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    expect_finished(scene);
    expect_told_one(scene, "has noised counts|must be withheld beside noised counts");
    assert_int_equal(orchestrator_run_pooled_confusion(scene->run, 1)[0], 4);
    assert_null(record_of(scene)->rounds[0].pooled_noised);
    assert_true(isnan(record_of(scene)->epsilon) != 0);
}

static void test_noised_counts_alone_of_a_job_without_privacy_are_refused(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.step = 1, .private = PRIVATE_COUNTS_ALONE});
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    expect_finished(scene);
    expect_told_one(scene, "has noised counts");
    assert_int_equal(orchestrator_run_pooled_confusion(scene->run, 1)[0], 4);
    assert_null(record_of(scene)->rounds[0].pooled_noised);
}

static void test_private_evaluation_as_without_privacy_is_refused(void **state)
{
    expect_refused_evaluation(*state, PRIVATE_EXACT_ALONE, "has exact counts");
}

/* ---- target_epsilon ---- */

static void test_target_epsilon_alone_is_submitted_with_its_noise(void **state)
{
    struct run_scene *scene = *state;
    char path[1200];
    uint8_t *bytes = NULL;
    size_t count = 0;
    two_sites(scene);
    run_scene_run(
        scene, &(struct scene_job){.rounds = 1,
                                   .privacy = "mechanism: dp-sgd, clip: 1, target_epsilon: 5, delta: 1e-5, "
                                              "sampling_rate: 0.1, steps: 3"});
    expect_finished(scene);
    assert_non_null(strstr(scene->told, "privacy.noise_multiplier: "));
    const struct run_record *record = record_of(scene);
    assert_true(record->epsilon <= 5 && record->epsilon > 4.99);
    /* The record's bytes are the submitted ones, with the number; the researcher's are without. */
    (void)snprintf(path, sizeof path, "%s/job.yaml", orchestrator_run_directory(scene->run));
    assert_null(file_read(path, 65536, &bytes, &count));
    assert_int_equal(count, record->job_byte_count);
    assert_memory_equal(bytes, record->job_bytes, count);
    assert_non_null(strstr((char *)bytes, "target_epsilon: 5, noise_multiplier: "));
    free(bytes);
    assert_null(file_read(scene->job_path, 65536, &bytes, &count));
    assert_null(strstr((char *)bytes, "noise_multiplier"));
    free(bytes);
}

static void test_delta_too_large_for_the_rows_is_warned_about(void **state)
{
    struct run_scene *scene = *state;
    two_sites(scene);
    run_scene_run(
        scene, &(struct scene_job){.rounds = 1,
                                   .privacy = "mechanism: dp-sgd, clip: 1, noise_multiplier: 4, delta: 0.02, "
                                              "sampling_rate: 0.1"});
    expect_finished(scene);
    assert_non_null(strstr(scene->told, "privacy.delta is 0.02"));
    assert_non_null(strstr(scene->told, "100 rows"));
}

/* ---- features and statistics ---- */

static void test_hog_of_rows_that_are_no_images_ends_the_run(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.features = 64});
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .features = "kind: hog", .metrics = "none"});
    run_scene_expect_failure(scene, "invalid", "not bytes");
}

static void test_hog_of_images_with_other_sides_ends_the_run(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.features = 192, .image_rows = 8, .image_columns = 24});
    run_scene_site(scene, &(struct script){.features = 192, .image_rows = 24, .image_columns = 8});
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .features = "kind: hog", .metrics = "none"});
    run_scene_expect_failure(scene, "invalid", "pixels, but those of");
}

static void test_statistics_of_other_rows_end_the_run(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_run(scene, &(struct scene_job){
                             .rounds = 1, .features = "kind: standardize, mean: [0, 1], deviation: [1, 1]"});
    run_scene_expect_failure(scene, "invalid", "features.mean of the job has 2 numbers");
}

static void test_features_of_the_same_number_train_as_ever(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .features = "kind: unit-norm"});
    expect_finished(scene);
    assert_int_equal(record_of(scene)->model_features, SCRIPTED_FEATURES);
}

/* Means and mean squares of 0.25 and 0.75, weighted equally: 0.5 both, a variance of 0.25. */
static void test_statistics_are_averaged_and_written_for_the_next_job(void **state)
{
    struct run_scene *scene = *state;
    char path[1200];
    uint8_t *bytes = NULL;
    size_t count = 0;
    run_scene_site(scene, &(struct script){.step = 0.25, .parameters = 6, .examples = 100});
    run_scene_site(scene, &(struct script){.step = 0.75, .parameters = 6, .examples = 100});
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .model = "feature-statistics"});
    expect_finished(scene);
    assert_true(orchestrator_run_model(scene->run, 1)[5] == 0.5);
    (void)snprintf(path, sizeof path, "%s/statistics.yaml", orchestrator_run_directory(scene->run));
    assert_null(file_read(path, 65536, &bytes, &count));
    assert_non_null(strstr((char *)bytes, "  mean: [0.5, 0.5, 0.5]\n  deviation: [0.5, 0.5, 0.5]\n"));
    assert_false(run_scene_file_exists(orchestrator_run_directory(scene->run), "model.safetensors"));
    free(bytes);
}

static void test_statistics_of_the_wrong_size_are_refused(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1, .parameters = 6});
    run_scene_site(scene, &(struct script){.step = 1, .parameters = 5});
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .min_sites = 1, .model = "feature-statistics"});
    expect_finished(scene);
    run_scene_expect_site(scene, 1, 1, "failed", "Its statistics have 40 bytes instead of 48");
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, run_scene_begin, run_scene_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_private_weights_are_those_that_the_job_declares),
        SCENE_TEST(test_private_equal_weights_are_equal),
        SCENE_TEST(test_private_without_metrics_noise_no_evaluation_is_asked),
        SCENE_TEST(test_private_counts_are_asked_for_in_the_last_round_alone),
        SCENE_TEST(test_private_counts_of_all_rounds_are_asked_for_in_each),
        SCENE_TEST(test_private_epsilon_grows_to_that_of_the_job),
        SCENE_TEST(test_private_site_that_refuses_spends_nothing),
        SCENE_TEST(test_private_answer_that_is_of_no_use_is_spent),
        SCENE_TEST(test_private_record_is_read_back_as_it_was),
        SCENE_TEST(test_private_update_with_metrics_is_refused),
        SCENE_TEST(test_private_update_with_seconds_is_refused),
        SCENE_TEST(test_private_update_with_other_examples_is_refused),
        SCENE_TEST(test_private_update_without_examples_is_refused),
        SCENE_TEST(test_private_noised_counts_too_few_are_refused),
        SCENE_TEST(test_private_noised_counts_too_many_are_refused),
        SCENE_TEST(test_private_noised_counts_missing_are_refused),
        SCENE_TEST(test_private_noised_counts_not_a_number_are_refused),
        SCENE_TEST(test_private_noised_counts_infinite_are_refused),
        SCENE_TEST(test_private_noised_counts_beyond_any_count_are_refused),
        SCENE_TEST(test_private_exact_counts_are_refused),
        SCENE_TEST(test_private_exact_rows_are_refused),
        SCENE_TEST(test_private_exact_right_answers_are_refused),
        SCENE_TEST(test_noised_counts_of_a_job_without_privacy_are_refused),
        SCENE_TEST(test_noised_counts_alone_of_a_job_without_privacy_are_refused),
        SCENE_TEST(test_private_evaluation_as_without_privacy_is_refused),
        SCENE_TEST(test_target_epsilon_alone_is_submitted_with_its_noise),
        SCENE_TEST(test_delta_too_large_for_the_rows_is_warned_about),
        SCENE_TEST(test_hog_of_rows_that_are_no_images_ends_the_run),
        SCENE_TEST(test_hog_of_images_with_other_sides_ends_the_run),
        SCENE_TEST(test_statistics_of_other_rows_end_the_run),
        SCENE_TEST(test_features_of_the_same_number_train_as_ever),
        SCENE_TEST(test_statistics_are_averaged_and_written_for_the_next_job),
        SCENE_TEST(test_statistics_of_the_wrong_size_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
