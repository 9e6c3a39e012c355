/* In which order the engine asks for the steps of secure aggregation: keys ahead of need, beside training; two round trips
 * behind the last input; and every step of all sites at once. */
#include "orchestrator/orchestrator_parts.h"
#include "tests/unit/orchestrator/run_scene.h"

#define SITES 4

#define ADVERTISE FDS__MESSAGE_TYPE__MESSAGE_ADVERTISE
#define SHARE FDS__MESSAGE_TYPE__MESSAGE_SHARE
#define MASK FDS__MESSAGE_TYPE__MESSAGE_MASK
#define AGREE FDS__MESSAGE_TYPE__MESSAGE_AGREE
#define UNMASK FDS__MESSAGE_TYPE__MESSAGE_UNMASK

static void run_all(struct run_scene *scene, const struct scene_job *job, int mask_after_shares,
                    struct script_meeting *meeting)
{
    for (size_t i = 0; i < SITES; i++) {
        const struct script script = {.secure = {.step = 0.5, .examples = 100, .counts = {1, 2, 3, 4}},
                                      .mask_after_shares = mask_after_shares,
                                      .meeting = meeting};
        run_scene_site(scene, &script);
    }
    run_scene_run(scene, job);
    if (scene->result != 0)
        fail_msg("%s\n%s", scene->failure.sentence, scene->told);
    for (size_t r = 0; r < job->rounds; r++) {
        assert_int_equal(scene->run->run.record->rounds[r].masking.contributors, SITES);
        assert_int_equal(scene->run->run.record->rounds[r].masking.attempts, 1);
    }
}

static void expect_order(struct run_scene *scene, const uint8_t *order, size_t count)
{
    for (size_t i = 0; i < SITES; i++) {
        const struct scripted_log *log = scripted_site_stop(scene->sites[i]);
        assert_string_equal(log->secure.refused, "");
        assert_int_equal(log->ordered, count);
        assert_memory_equal(log->order, order, count);
    }
}

/* Nobody answers a Mask before the keys of the next round are there: an engine that asked for them later would wait for ever. */
static void test_engine_secagg_keys_of_next_round_made_while_sites_train(void **state)
{
    static const uint8_t order[] = {ADVERTISE, SHARE, MASK,  ADVERTISE, SHARE, AGREE, UNMASK, MASK,
                                    ADVERTISE, SHARE, AGREE, UNMASK,    MASK,  AGREE, UNMASK};
    run_all(*state,
            &(struct scene_job){.rounds = 3, .deadline_s = 3, .metrics = "none", .secure = ", key_batch: 1"},
            3, NULL);
    expect_order(*state, order, sizeof order);
}

/* The second batch is asked for while a slot of the first is left. */
static void test_engine_secagg_keys_in_batches_of_two_made_a_round_before_need(void **state)
{
    static const uint8_t order[] = {ADVERTISE, SHARE, MASK,   ADVERTISE, SHARE, AGREE, UNMASK,
                                    MASK,      AGREE, UNMASK, MASK,      AGREE, UNMASK};
    run_all(*state,
            &(struct scene_job){.rounds = 3, .deadline_s = 3, .metrics = "none", .secure = ", key_batch: 2"},
            2, NULL);
    expect_order(*state, order, sizeof order);
}

static void test_engine_secagg_steady_round_two_requests_behind_the_last_input(void **state)
{
    static const uint8_t order[] = {ADVERTISE, SHARE,  MASK, AGREE, UNMASK, MASK,
                                    AGREE,     UNMASK, MASK, AGREE, UNMASK};
    run_all(*state,
            &(struct scene_job){.rounds = 3, .deadline_s = 3, .metrics = "none", .secure = ", key_batch: 5"},
            0, NULL);
    expect_order(*state, order, sizeof order);
}

static void test_engine_secagg_every_step_asked_of_all_sites_before_any_answers(void **state)
{
    static struct script_meeting meeting = {.sites = SITES};
    run_all(*state,
            &(struct scene_job){.rounds = 2, .deadline_s = 20, .metrics = "none", .secure = ", key_batch: 5"},
            0, &meeting);
    assert_int_equal(atomic_load(&meeting.missed), 0);
    assert_int_equal(atomic_load(&meeting.asked[ADVERTISE]), SITES);
    assert_int_equal(atomic_load(&meeting.asked[SHARE]), SITES);
    assert_int_equal(atomic_load(&meeting.asked[MASK]), 2 * SITES);
    assert_int_equal(atomic_load(&meeting.asked[AGREE]), 2 * SITES);
    assert_int_equal(atomic_load(&meeting.asked[UNMASK]), 2 * SITES);
}

int main(void)
{
#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, run_scene_begin, run_scene_end)
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_engine_secagg_keys_of_next_round_made_while_sites_train),
        SCENE_TEST(test_engine_secagg_keys_in_batches_of_two_made_a_round_before_need),
        SCENE_TEST(test_engine_secagg_steady_round_two_requests_behind_the_last_input),
        SCENE_TEST(test_engine_secagg_every_step_asked_of_all_sites_before_any_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
