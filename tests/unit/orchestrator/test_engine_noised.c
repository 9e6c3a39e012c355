/* Whole runs of private jobs under secure aggregation, against scripted sites that compute the models themselves: the engine has
 * the same ones bit for bit, with momentum, through dropouts; the mean of the last ones; and the counts of the rounds that
 * the job pays for. */
#include "crypto/private_vector.h"
#include "learning/private_step.h"
#include "orchestrator/engine_secagg.h"
#include "orchestrator/orchestrator_parts.h"
#include "tests/unit/orchestrator/run_scene.h"

#include <math.h>

#define MASK FDS__MESSAGE_TYPE__MESSAGE_MASK
#define CLASSES 2
#define DISTRIBUTED                                                                                          \
    "mechanism: distributed-dp, clip: 2, noise_multiplier: 1.5, delta: 1e-5, sampling_rate: 0.25"
#define TRAINING "{optimizer: sgd, learning_rate: 0.125, momentum: 0.9, average_tail: 0.5}"

static void add_sites(struct run_scene *scene, size_t count, size_t which, const struct secure_fault *fault)
{
    for (size_t i = 0; i < count; i++) {
        struct script script = {.secure = {.step = 0.5 + 0.25 * (double)i, .counts = {40 + i, 10, 20, 30}}};
        if (i == which && fault != NULL)
            script.faults[0] = *fault;
        run_scene_site(scene, &script);
    }
}

static const struct run_record *finished(const struct run_scene *scene)
{
    if (scene->result != 0)
        fail_msg("%s\n%s", scene->failure.sentence, scene->told);
    assert_string_equal(orchestrator_run_status(scene->run), "finished");
    for (size_t i = 0; i < scene->site_count; i++)
        assert_string_equal(scripted_site_stop(scene->sites[i])->secure.refused, "");
    return scene->run->run.record;
}

/* What the sites that were ok encoded, added. */
static void sum_of(struct run_scene *scene, const struct round_record *round, size_t words, uint64_t *ret_sum)
{
    size_t contributors = 0;
    memset(ret_sum, 0, words * sizeof *ret_sum);
    for (size_t s = 0; s < scene->site_count; s++) {
        if (round->sites[s].masked_receipts[round->masking.attempts - 1] == NULL)
            continue;
        contributors++;
        mask_add_words(MASK_RING_64, ret_sum,
                       scripted_site_stop(scene->sites[s])->secure.encoded[round->round], words);
    }
    assert_int_equal(contributors, round->masking.contributors);
}

static struct private_step step_of(const struct job *job, const struct private_vector *vector)
{
    return (struct private_step){.learning_rate = job->learning_rate,
                                 .momentum = job->momentum,
                                 .l2 = job->l2,
                                 .sampling_rate = job->privacy.sampling_rate,
                                 .scale = vector->grid.scale,
                                 .examples = private_vector_examples(job)};
}

/* Every model, and the mean of the last half of them. */
static void expect_gradients(struct run_scene *scene, const struct run_record *record)
{
    double model[SCRIPTED_PARAMETERS] = {0}, velocity[SCRIPTED_PARAMETERS] = {0};
    double mean[SCRIPTED_PARAMETERS] = {0};
    uint64_t sum[SECURE_WORDS];
    uint32_t before = record->job->rounds - private_step_tail(record->job->rounds, 0.5);
    for (uint32_t r = 1; r <= record->job->rounds; r++) {
        struct private_vector vector;
        const struct round_record *round = &record->rounds[r - 1];
        assert_null(private_vector_plan(record->job, SCRIPTED_PARAMETERS, CLASSES, r, &vector));
        sum_of(scene, round, vector.words, sum);
        struct private_step step = step_of(record->job, &vector);
        assert_int_equal(step.examples, scene->site_count * SCENE_EXAMPLES); /* whoever dropped out */
        private_step_advance(&step, SCRIPTED_PARAMETERS / CLASSES - 1, CLASSES, (const int64_t *)sum,
                             velocity, model);
        assert_non_null(round->model);
        assert_memory_equal(round->model, model, sizeof model);
        assert_false(round->masking.has_examples);
        if (r > before)
            private_step_average(model, SCRIPTED_PARAMETERS, r - before, mean);
    }
    assert_non_null(record->averaged);
    assert_memory_equal(record->averaged, mean, sizeof mean);
    assert_memory_not_equal(record->averaged, model, sizeof model);
}

static void test_noised_engine_models_of_sites_and_their_mean_bit_for_bit(void **state)
{
    struct run_scene *scene = *state;
    add_sites(scene, 4, 0, NULL);
    run_scene_run(
        scene, &(struct scene_job){.rounds = 6, .secure = "", .training = TRAINING, .privacy = DISTRIBUTED});
    const struct run_record *record = finished(scene);
    expect_gradients(scene, record);
    assert_int_equal(record->evaluation.round, 0); /* metrics: none */
    assert_null(record->rounds[5].pooled_noised);
}

static void test_noised_engine_goes_on_without_a_site_and_divides_by_all(void **state)
{
    struct run_scene *scene = *state;
    add_sites(scene, 4, 2, &(struct secure_fault){.type = MASK, .nth = 2, .how = SECURE_GONE});
    run_scene_run(
        scene, &(struct scene_job){
                   .rounds = 4, .deadline_s = 2, .secure = "", .training = TRAINING, .privacy = DISTRIBUTED});
    const struct run_record *record = finished(scene);
    assert_int_equal(record->rounds[1].masking.contributors, 3);
    expect_gradients(scene, record);
}

/* Of two rounds and the evaluation: the counts leave once, of the last model. */
static void test_noised_engine_counts_of_the_last_model_alone(void **state)
{
    struct run_scene *scene = *state;
    struct private_vector vector;
    uint64_t sum[SECURE_WORDS];
    double counts[CLASSES * CLASSES];
    add_sites(scene, 3, 0, NULL);
    run_scene_run(scene, &(struct scene_job){.rounds = 2,
                                             .secure = "",
                                             .metrics = "pooled",
                                             .training = TRAINING,
                                             .privacy = DISTRIBUTED ", metrics_noise: 3"});
    const struct run_record *record = finished(scene);
    assert_int_equal(record->evaluation.round, 3);
    assert_null(record->rounds[0].pooled_noised);
    assert_non_null(record->rounds[1].pooled_noised);
    assert_null(record->rounds[1].pooled_confusion);
    assert_null(private_vector_plan(record->job, SCRIPTED_PARAMETERS, CLASSES, 3, &vector));
    assert_int_equal(vector.words, CLASSES * CLASSES);
    sum_of(scene, &record->evaluation, vector.words, sum);
    private_vector_decode_counts(&vector, sum, counts);
    assert_memory_equal(record->rounds[1].pooled_noised, counts, sizeof counts);
    assert_true(fabs(counts[0] - (40 + 41 + 42)) < 0.5); /* the script's noise is small */
    assert_int_equal(record->rounds[1].pooled_sites, 3);
    /* Three shares where the guarantee rests on threshold - 1 = 2 of them. */
    assert_true(fabs(record->rounds[1].pooled_noise - 3 * sqrt(1.5)) < 1e-3);
}

static void test_noised_engine_counts_of_every_model_where_the_job_pays_for_them(void **state)
{
    struct run_scene *scene = *state;
    add_sites(scene, 3, 0, NULL);
    run_scene_run(scene,
                  &(struct scene_job){.rounds = 3,
                                      .secure = "",
                                      .metrics = "pooled",
                                      .training = TRAINING,
                                      .privacy = DISTRIBUTED ", metrics_noise: 3, metrics_rounds: all"});
    const struct run_record *record = finished(scene);
    for (size_t r = 0; r < 3; r++) {
        assert_non_null(record->rounds[r].pooled_noised);
        assert_true(fabs(record->rounds[r].pooled_noised[3] - 90) < 0.5);
    }
    expect_gradients(scene, record);
}

static void test_noised_engine_adds_clipped_changes_over_fixed_weights(void **state)
{
    struct run_scene *scene = *state;
    double model[SCRIPTED_PARAMETERS] = {0};
    uint64_t sum[SECURE_WORDS];
    add_sites(scene, 4, 1, &(struct secure_fault){.type = MASK, .nth = 1, .how = SECURE_GONE});
    run_scene_run(scene, &(struct scene_job){
                             .rounds = 2,
                             .deadline_s = 2,
                             .secure = "",
                             .privacy = "mechanism: site-level, clip: 1, noise_multiplier: 2, delta: 1e-5"});
    const struct run_record *record = finished(scene);
    for (uint32_t r = 1; r <= 2; r++) {
        struct private_vector vector;
        assert_null(private_vector_plan(record->job, SCRIPTED_PARAMETERS, CLASSES, r, &vector));
        sum_of(scene, &record->rounds[r - 1], vector.words, sum);
        private_vector_add(&vector, 4.0, sum, model); /* of all four sites, also without one */
        assert_memory_equal(record->rounds[r - 1].model, model, sizeof model);
    }
    assert_null(record->averaged);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, run_scene_begin, run_scene_end)
    const struct CMUnitTest tests[] = {
        TEST(test_noised_engine_models_of_sites_and_their_mean_bit_for_bit),
        TEST(test_noised_engine_goes_on_without_a_site_and_divides_by_all),
        TEST(test_noised_engine_counts_of_the_last_model_alone),
        TEST(test_noised_engine_counts_of_every_model_where_the_job_pays_for_them),
        TEST(test_noised_engine_adds_clipped_changes_over_fixed_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
