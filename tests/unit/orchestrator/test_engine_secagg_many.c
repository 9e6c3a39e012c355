/* A whole run with more sites than are all neighbours of each other, over loopback: some drop out before each step, and the
 * model is that of the sum of the integers. And sites that are slow together. */
#include "crypto/fixed_point.h"
#include "orchestrator/engine_secagg.h"
#include "orchestrator/orchestrator_parts.h"
#include "tests/unit/orchestrator/run_scene.h"

#include <sys/resource.h>

#define MANY 132
#define DESCRIPTORS 8192 /* each site is a session of its own */
#define ROUNDS 2
#define TOLD_BYTES 3500
#define CHECKING 10 /* sites that check the others' signatures */

/* Number i of the scene leaves for good when it is asked for the first time. */
static const struct {
    size_t site;
    uint32_t type;
} gone[] = {{3, FDS__MESSAGE_TYPE__MESSAGE_ADVERTISE}, {20, FDS__MESSAGE_TYPE__MESSAGE_SHARE},
            {40, FDS__MESSAGE_TYPE__MESSAGE_MASK},     {41, FDS__MESSAGE_TYPE__MESSAGE_MASK},
            {60, FDS__MESSAGE_TYPE__MESSAGE_AGREE},    {80, FDS__MESSAGE_TYPE__MESSAGE_UNMASK}};
#define GONE (sizeof gone / sizeof *gone)

static int many_begin(void **state)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < DESCRIPTORS) {
        limit.rlim_cur = DESCRIPTORS < limit.rlim_max ? DESCRIPTORS : limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    }
    return run_scene_begin(state);
}

static void add_sites(struct run_scene *scene)
{
    for (size_t i = 0; i < MANY; i++) {
        struct script script = {
            .secure = {.step = 0.5 + 0.01 * (double)i, .examples = 100 + i, .trusts = i >= CHECKING}};
        for (size_t k = 0; k < GONE; k++)
            if (gone[k].site == i)
                script.faults[0] = (struct secure_fault){.type = gone[k].type, .nth = 1, .how = SECURE_GONE};
        run_scene_site(scene, &script);
    }
}

static const struct secure_log *log_of(struct run_scene *scene, size_t site)
{
    return &scripted_site_stop(scene->sites[site])->secure;
}

/* As much as a message of cmocka has room for. */
static const char *last_told(const struct run_scene *scene)
{
    size_t length = strlen(scene->told);
    return scene->told + (length > TOLD_BYTES ? length - TOLD_BYTES : 0);
}

/* The model of the round, bit for bit, from what its contributors encoded, in clear. */
static void expect_round(struct run_scene *scene, const struct fixed_point *plan,
                         const struct round_record *round, size_t contributors, double *model)
{
    uint64_t sum[SECURE_WORDS] = {0};
    size_t counted = 0;
    if (round->masking.attempts != 1)
        fail_msg("Round %u took %u attempts. %s", round->round, round->masking.attempts, last_told(scene));
    assert_int_equal(round->masking.contributors, contributors);
    for (size_t i = 0; i < MANY; i++) {
        if (round->sites[i].masked_receipts[0] == NULL)
            continue;
        counted++;
        mask_add_words(plan->ring, sum, log_of(scene, i)->encoded[round->round], SECURE_WORDS);
    }
    assert_int_equal(counted, contributors);
    assert_null(fixed_point_advance(plan, contributors, sum, SCRIPTED_PARAMETERS, model));
    assert_memory_equal(round->model, model, SCRIPTED_PARAMETERS * sizeof *model);
}

static void test_engine_secagg_many_dropouts_at_every_step_sum_of_the_integers(void **state)
{
    struct run_scene *scene = *state;
    double model[SCRIPTED_PARAMETERS] = {0};
    const struct orchestrator_run_options options = {.connect_seconds = 60, .approval_seconds = 60};
    add_sites(scene);
    run_scene_run_with(scene,
                       &(struct scene_job){
                           .rounds = ROUNDS, .deadline_s = 80, .metrics = "none", .secure = ", key_batch: 2"},
                       &options);
    if (scene->result != 0)
        fail_msg("%s\n%s", scene->failure.sentence, scene->told);
    assert_string_equal(orchestrator_run_status(scene->run), "finished");
    const struct run_record *record = scene->run->run.record;
    struct fixed_point plan = {.ring = MASK_RING_64,
                               .clip = record->job->secure.clip,
                               .max_examples = record->job->secure.max_examples,
                               .sites = MANY,
                               .weighted = true};
    assert_null(fixed_point_plan(&plan));
    assert_int_equal(record->round_count, ROUNDS);
    assert_int_equal(record->rounds[0].masking.sharers, MANY - 2);
    expect_round(scene, &plan, &record->rounds[0], MANY - 4, model);
    expect_round(scene, &plan, &record->rounds[1], MANY - GONE, model);
    for (size_t i = 0; i < MANY; i++)
        assert_string_equal(log_of(scene, i)->refused, "");
}

/* Three of four, who are enough, take longer than others are waited for from the beginning of the step; the fourth, slower
 * by a little, has its keys in the batch all the same. */
static void test_engine_secagg_many_slow_sites_last_one_is_waited_for(void **state)
{
    struct run_scene *scene = *state;
    for (size_t i = 0; i < 4; i++) {
        struct script script = {.secure = {.step = 0.5}};
        script.faults[0] = (struct secure_fault){.type = FDS__MESSAGE_TYPE__MESSAGE_SHARE,
                                                 .nth = 1,
                                                 .how = SECURE_SLOW,
                                                 .ms = ENGINE_KEYS_MS + (i == 3 ? 1200 : 200)};
        run_scene_site(scene, &script);
    }
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .deadline_s = 60, .metrics = "none", .secure = ""});
    if (scene->result != 0)
        fail_msg("%s", scene->failure.sentence);
    assert_int_equal(scene->run->run.record->rounds[0].masking.sharers, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_engine_secagg_many_dropouts_at_every_step_sum_of_the_integers,
                                        many_begin, run_scene_end),
        cmocka_unit_test_setup_teardown(test_engine_secagg_many_slow_sites_last_one_is_waited_for,
                                        run_scene_begin, run_scene_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
