#include "tests/unit/datasite/release_scene.h"

#include "datasite/budget.h"
#include "datasite/store_release.h"

static const uint32_t everybody[] = {1, 2, 3, 4};

void release_scene_attempt(struct release_scene *scene, uint32_t attempt, uint32_t slot)
{
    must(secagg_vector_plan(scene->masked->job, &site_shape, 1, &scene->vector));
    must(secagg_attempt_make(scene->masked->keyset, slot, 1, attempt, (struct secagg_set){everybody, 4},
                             &scene->model, scene->vector.plan.ring, scene->vector.words, &scene->attempt));
    scene->context.attempt = attempt;
}

static void scene_fill(struct release_scene *scene)
{
    struct site *site = scene->site;
    for (size_t i = 0; i < SITE_PARAMETERS; i++)
        scene->parameters[i] = 0.01 * (double)(i + 1);
    for (size_t i = 0; i < MASKED_CELLS; i++)
        scene->confusion[i] = 100 + i;
    scene->given = (struct release_masked){.attempt = &scene->attempt,
                                           .vector = &scene->vector,
                                           .position = 1,
                                           .sealed = scene->sealed,
                                           .sealed_bytes = sizeof(scene->sealed),
                                           .train_rows = 2000,
                                           .test_rows = 936,
                                           .from = scene->from,
                                           .parameters = scene->parameters,
                                           .confusion = scene->confusion};
    scene->context = (struct release_context){.store = site->store,
                                              .identity = site->identity,
                                              .gate = &site->policy.gate,
                                              .job_id = &site->job_id,
                                              .job = scene->masked->job,
                                              .dataset = &scene->dataset,
                                              .run_id = site->run,
                                              .round = 1,
                                              .model_digest = &scene->model,
                                              .now = SITE_NOW};
    release_scene_attempt(scene, 0, 0);
}

/* Small numbers, as of a sample of few rows. */
static void scene_noise(struct release_scene *scene)
{
    const struct job_privacy *privacy = &scene->masked->job->privacy;
    must(noise_open(&scene->noise));
    for (size_t i = 0; i < SITE_PARAMETERS; i++)
        scene->values[i] = (int64_t)(1000 * (i + 1));
    scene->contribution = (struct release_contribution){
        .mechanism = privacy->mechanism,
        .sampling_rate = privacy->mechanism == JOB_SITE_LEVEL ? 1.0 : privacy->sampling_rate,
        .grid = scene->vector.noised.grid,
        .counts_grid = scene->vector.noised.counts_grid,
        .values = scene->values,
        .confusion = scene->confusion,
        .noise = scene->noise,
    };
    scene->given.contribution = &scene->contribution;
}

/* As the trainer does before it reads rows. */
static void scene_spend(struct release_scene *scene)
{
    struct approval approval;
    masked_approval(scene->masked, 1, &approval);
    must(budget_begin(scene->site->store, scene->site->identity, &approval, scene->site->run, 1,
                      BUDGET_TRAINING, SITE_NOW));
    must(budget_begin(scene->site->store, scene->site->identity, &approval, scene->site->run, 1,
                      BUDGET_EVALUATION, SITE_NOW));
    approval_clear(&approval);
}

static int scene_make(void **state, const struct masked_words *words, bool spend)
{
    struct release_scene *scene = calloc(1, sizeof(*scene));
    void *masked = NULL;
    assert_non_null(scene);
    assert_int_equal(masked_make(&masked), 0);
    scene->masked = masked;
    masked_begin(scene->masked, words);
    scene->site = scene->masked->sites[0];
    scene->model = masked_zeros();
    must(store_dataset_find(scene->site->store, "made", &scene->dataset));
    scene_fill(scene);
    if (words->privacy != NULL)
        scene_noise(scene);
    if (words->privacy != NULL && spend)
        scene_spend(scene);
    *state = scene;
    return 0;
}

int release_scene_make(void **state)
{
    return scene_make(state, &(struct masked_words){.metrics = "pooled"}, true);
}

int release_scene_make_unchecked(void **state)
{
    return scene_make(state, &(struct masked_words){.metrics = "pooled", .secure = ", verify_sum: false"},
                      true);
}

#define SCENE_COUNTS ", metrics_noise: 32, metrics_rounds: all"

static const struct masked_words scene_noised = {.metrics = "pooled",
                                                 .training = "{optimizer: sgd}",
                                                 .privacy = "mechanism: distributed-dp, clip: 0.5, "
                                                            "noise_multiplier: 64, delta: 1e-5, "
                                                            "sampling_rate: 0.5" SCENE_COUNTS};

int release_scene_make_noised(void **state)
{
    return scene_make(state, &scene_noised, true);
}

int release_scene_make_unspent(void **state)
{
    return scene_make(state, &scene_noised, false);
}

int release_scene_make_site_level(void **state)
{
    return scene_make(state,
                      &(struct masked_words){.metrics = "pooled",
                                             .privacy = "mechanism: site-level, clip: 0.5, "
                                                        "noise_multiplier: 1, delta: 1e-5" SCENE_COUNTS},
                      true);
}

int release_scene_drop(void **state)
{
    struct release_scene *scene = *state;
    void *masked = scene->masked;
    assert_int_equal(masked_remove(&masked), 0);
    noise_close(scene->noise);
    free(scene);
    return 0;
}

struct error *release_scene_let_out(struct release_scene *scene)
{
    struct release_outcome outcome = {.body = NULL};
    struct error *err = release_masked_input(&scene->context, &scene->given, &outcome);
    free(outcome.body);
    return err;
}

int64_t release_scene_changes(struct release_scene *scene)
{
    return site_released(scene->site) + site_count(scene->site, "SELECT count(*) FROM secagg_round") +
           site_count(scene->site, "SELECT count(*) FROM secagg_vector") +
           site_count(scene->site, "SELECT count(*) FROM secagg_slot WHERE state <> 'open'");
}

void release_scene_refused(struct release_scene *scene, enum error_code code, const char *words)
{
    int64_t before = release_scene_changes(scene);
    refused(release_scene_let_out(scene), code, words);
    assert_int_equal(release_scene_changes(scene), before);
    assert_false(store_in_transaction(scene->site->store));
}
