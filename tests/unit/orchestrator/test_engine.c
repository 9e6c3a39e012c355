/* Whole runs against scripted sites: what a site does wrong becomes its status and reason in the record, and
 * never part of the average. */
#include "crypto/authority.h"
#include "orchestrator/engine_parts.h"
#include "tests/unit/orchestrator/run_scene.h"

#include <math.h>

static void expect_finished(const struct run_scene *scene)
{
    if (scene->result != 0)
        fail_msg("%s", scene->failure.sentence);
    assert_string_equal(orchestrator_run_status(scene->run), "finished");
    assert_string_equal(orchestrator_run_reason(scene->run), "");
}

/* Every parameter of the global model after a round. */
static void expect_model(const struct run_scene *scene, size_t round, double value)
{
    const double *model = orchestrator_run_model(scene->run, round);
    assert_non_null(model);
    for (size_t i = 0; i < SCRIPTED_PARAMETERS; i++)
        assert_true(model[i] == value);
}

static void test_engine_two_sites_approve_weighted_average_of_each_round(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1, .examples = 100});
    run_scene_site(scene, &(struct script){.step = 5, .examples = 300});
    run_scene_run(scene, &(struct scene_job){.rounds = 2});
    expect_finished(scene);
    assert_int_equal(orchestrator_run_rounds(scene->run), 2);
    expect_model(scene, 1, 4);
    expect_model(scene, 2, 8);
    run_scene_expect_site(scene, 2, 0, "ok", "");
    run_scene_expect_site(scene, 2, 1, "ok", "");
}

static void test_engine_equal_weighting_plain_average(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1, .examples = 100});
    run_scene_site(scene, &(struct script){.step = 5, .examples = 300});
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .weighting = "equal"});
    expect_finished(scene);
    expect_model(scene, 1, 3);
}

static void test_engine_per_site_metrics_recorded_and_pooled(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    expect_finished(scene);
    const uint64_t *pooled = orchestrator_run_pooled_confusion(scene->run, 1);
    assert_non_null(pooled);
    assert_int_equal(pooled[0], 8);
    assert_int_equal(pooled[1], 2);
    assert_int_equal(pooled[2], 4);
    assert_int_equal(pooled[3], 6);
    assert_true(orchestrator_run_pooled_accuracy(scene->run, 1) == 0.7);
    assert_true(orchestrator_run_site_train_accuracy(scene->run, 1, 1) == 0.75);
    assert_true(orchestrator_run_site_test_accuracy(scene->run, 1, 1) == 0.7);
}

static void test_engine_metrics_none_nothing_evaluated(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .metrics = "none"});
    expect_finished(scene);
    assert_null(orchestrator_run_pooled_confusion(scene->run, 1));
    assert_true(isnan(orchestrator_run_site_train_accuracy(scene->run, 1, 0)));
    assert_int_equal(scripted_site_stop(scene->sites[0])->evaluates, 0);
}

static void test_engine_first_round_starts_from_zeros_everywhere(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    expect_finished(scene);
    for (size_t s = 0; s < 2; s++) {
        const struct scripted_log *log = scripted_site_stop(scene->sites[s]);
        for (size_t i = 0; i < SCRIPTED_PARAMETERS; i++)
            assert_true(log->first_model[i] == 0);
    }
}

static void test_engine_end_of_run_told_to_sites(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    expect_finished(scene);
    const struct scripted_log *log = scripted_site_stop(scene->sites[0]);
    assert_int_equal(log->ends, 1);
    assert_string_equal(log->end_status, "finished");
}

static void test_engine_owner_takes_time_waiting_told_once(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1, .pending = 3});
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    expect_finished(scene);
    assert_int_equal(scene->waiting, 1);
    assert_non_null(strstr(scene->told, "Site A Its owner has to decide. datasite approve 1f2e3d4c5b6a"));
    assert_int_equal(scripted_site_stop(scene->sites[0])->queries, 3);
}

static void test_engine_owner_denies_stopped_with_sentence_and_no_training(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.deny = true});
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    run_scene_expect_failure(scene, "refused", "Site B: Denied by the owner: not for us.");
    assert_int_equal(scene->failure.exit_status, 1);
    assert_string_equal(orchestrator_run_status(scene->run), "stopped");
    assert_int_equal(scripted_site_stop(scene->sites[0])->trains, 0);
    assert_true(run_scene_file_exists(orchestrator_run_directory(scene->run), "report.json"));
}

static void test_engine_one_denies_above_quorum_goes_on_without_it(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.deny = true});
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .min_sites = 1});
    expect_finished(scene);
    run_scene_expect_site(scene, 1, 1, "refused", "Denied by the owner");
}

static void test_engine_earlier_run_cut_off_refused_before_training(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.cut_off = true});
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    run_scene_expect_failure(scene, "refused", "Site A: An earlier run of this job was not ended there");
    assert_int_equal(scripted_site_stop(scene->sites[0])->trains, 0);
}

static void test_engine_owner_never_decides_deadline(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.pending = 1000000});
    run_scene_run_with(scene, &(struct scene_job){.rounds = 1},
                       &(struct orchestrator_run_options){.connect_seconds = 1, .approval_seconds = 1});
    run_scene_expect_failure(scene, "deadline", "Site A");
    assert_string_equal(orchestrator_run_status(scene->run), "stopped");
}

static void test_engine_site_unreachable_unavailable(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.step = 1});
    (void)scripted_site_stop(scene->sites[1]);
    run_scene_run_with(scene, &(struct scene_job){.rounds = 1},
                       &(struct orchestrator_run_options){.connect_seconds = 1, .approval_seconds = 20});
    run_scene_expect_failure(scene, "unavailable", "Site B: ");
}

static void test_engine_site_never_answers_submit_unavailable(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.mute = true});
    run_scene_run_with(scene, &(struct scene_job){.rounds = 1},
                       &(struct orchestrator_run_options){.connect_seconds = 1, .approval_seconds = 20});
    run_scene_expect_failure(scene, "unavailable", "Site A: It has not answered.");
}

static void test_engine_data_of_other_shape_names_both_sites(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.features = 4});
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    run_scene_expect_failure(scene, "invalid", "Site A");
    run_scene_expect_failure(scene, "invalid", "Site B");
    assert_string_equal(orchestrator_run_status(scene->run), "failed");
}

static void test_engine_busy_site_asked_again(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1, .busy = 3});
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    expect_finished(scene);
    expect_model(scene, 1, 1);
}

static void test_engine_stopping_site_asked_again_until_it_is_back(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1, .stopping = 3});
    run_scene_run(scene, &(struct scene_job){.rounds = 2});
    expect_finished(scene);
    run_scene_expect_site(scene, 1, 0, "ok", "");
    expect_model(scene, 2, 2);
    assert_int_equal(scripted_site_stop(scene->sites[0])->evaluates, 2);
}

/* Its last word is the reason, not that it was late. */
static void test_engine_stopping_site_stays_away_round_goes_on_without_it(void **state)
{
    struct run_scene *scene = *state;
    struct script gone = {.step = 1000};
    gone.rounds[1] = SCRIPTED_UNAVAILABLE;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &gone);
    run_scene_run(scene, &(struct scene_job){.rounds = 2, .min_sites = 1, .deadline_s = 2});
    expect_finished(scene);
    expect_model(scene, 1, 1);
    run_scene_expect_site(scene, 1, 1, "late", "The script says no.");
    run_scene_expect_site(scene, 2, 1, "ok", "");
}

/* Round 1: one good site and one that does `how`; round 2: both good. The bad answer must not be in the
 * average, and the site takes part again. */
static void spoil(struct run_scene *scene, enum scripted_answer how, uint32_t deadline_s, const char *status,
                  const char *words)
{
    struct script bad = {.step = 1000, .examples = 300};
    bad.rounds[1] = how;
    run_scene_site(scene, &(struct script){.step = 1, .examples = 100});
    run_scene_site(scene, &bad);
    run_scene_run(scene, &(struct scene_job){.rounds = 2, .min_sites = 1, .deadline_s = deadline_s});
    expect_finished(scene);
    expect_model(scene, 1, 1);
    run_scene_expect_site(scene, 1, 0, "ok", "");
    run_scene_expect_site(scene, 1, 1, status, words);
    assert_true(isnan(orchestrator_run_site_train_accuracy(scene->run, 1, 1)));
    assert_true(isnan(orchestrator_run_site_test_accuracy(scene->run, 1, 1)));
}

static void expect_rejoined(const struct run_scene *scene)
{
    run_scene_expect_site(scene, 2, 1, "ok", "");
    expect_model(scene, 2, 1 + 0.25 + 0.75 * 1000);
}

static void test_engine_update_of_wrong_shape_failed_and_not_averaged(void **state)
{
    spoil(*state, SCRIPTED_WRONG_SHAPE, 0, "failed", "");
    expect_rejoined(*state);
}

static void test_engine_update_not_finite_failed_and_not_averaged(void **state)
{
    spoil(*state, SCRIPTED_NOT_FINITE, 0, "failed", "");
    expect_rejoined(*state);
}

static void test_engine_update_of_huge_numbers_failed_and_not_averaged(void **state)
{
    spoil(*state, SCRIPTED_HUGE, 0, "failed", "single precision");
    expect_rejoined(*state);
}

static void test_engine_update_of_other_job_failed_and_not_averaged(void **state)
{
    spoil(*state, SCRIPTED_OTHER_JOB, 0, "failed", "another job");
    expect_rejoined(*state);
}

static void test_engine_update_of_other_run_failed_and_not_averaged(void **state)
{
    spoil(*state, SCRIPTED_OTHER_RUN, 0, "failed", "another run");
    expect_rejoined(*state);
}

static void test_engine_update_of_other_round_failed_and_not_averaged(void **state)
{
    spoil(*state, SCRIPTED_OTHER_ROUND, 0, "failed", "round 2 instead of round 1");
    expect_rejoined(*state);
}

static void test_engine_answer_of_other_kind_failed(void **state)
{
    spoil(*state, SCRIPTED_WRONG_KIND, 0, "failed", "another kind");
    expect_rejoined(*state);
}

static void test_engine_confusion_of_wrong_size_failed(void **state)
{
    spoil(*state, SCRIPTED_WRONG_CONFUSION, 0, "failed", "confusion matrix");
    expect_rejoined(*state);
}

static void test_engine_update_garbled_failed(void **state)
{
    spoil(*state, SCRIPTED_GARBAGE, 0, "failed", "");
    expect_rejoined(*state);
}

static void test_engine_site_refuses_round_refused_with_its_sentence(void **state)
{
    spoil(*state, SCRIPTED_REFUSAL, 0, "refused", "The script says no.");
    expect_rejoined(*state);
}

static void test_engine_site_silent_late_and_rejoins(void **state)
{
    spoil(*state, SCRIPTED_SILENCE, 2, "late", "within the round's 2 s");
    expect_rejoined(*state);
}

static void test_engine_connection_lost_dropped_and_goes_on(void **state)
{
    struct run_scene *scene = *state;
    spoil(scene, SCRIPTED_DROP, 2, "dropped", "");
    run_scene_expect_site(scene, 2, 1, "dropped", "");
    expect_model(scene, 2, 2);
}

static void test_engine_below_quorum_stops_at_once_and_says_why(void **state)
{
    struct run_scene *scene = *state;
    struct script bad = {.step = 1};
    bad.rounds[2] = SCRIPTED_REFUSAL;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &bad);
    run_scene_run(scene, &(struct scene_job){.rounds = 3, .deadline_s = 600});
    run_scene_expect_failure(scene, "unavailable", "Round 2 stopped");
    run_scene_expect_failure(scene, "unavailable", "Site B (refused): The script says no.");
    assert_int_equal(scene->failure.exit_status, 1);
    assert_string_equal(orchestrator_run_status(scene->run), "stopped");
    assert_int_equal(orchestrator_run_rounds(scene->run), 2);
    assert_null(orchestrator_run_model(scene->run, 2));
    run_scene_expect_site(scene, 2, 1, "refused", "The script says no.");
    assert_string_equal(scripted_site_stop(scene->sites[0])->end_status, "stopped");
    assert_true(run_scene_file_exists(orchestrator_run_directory(scene->run), "report.json"));
}

static void test_engine_below_quorum_waits_for_nobody(void **state)
{
    struct run_scene *scene = *state;
    struct script slow = {.step = 1};
    struct script bad = {.step = 1};
    slow.rounds[1] = SCRIPTED_SILENCE;
    bad.rounds[1] = SCRIPTED_REFUSAL;
    run_scene_site(scene, &slow);
    run_scene_site(scene, &bad);
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .deadline_s = 600});
    run_scene_expect_failure(scene, "unavailable", "Round 1 stopped");
    run_scene_expect_site(scene, 1, 0, "dropped", "still training when the round was given up");
    assert_null(strstr(scene->failure.sentence, "did not answer within"));
}

static void test_engine_evaluation_missing_pooled_over_the_others(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.step = 1, .silent_evaluate = true});
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .deadline_s = 2});
    expect_finished(scene);
    run_scene_expect_site(scene, 1, 1, "ok", "");
    assert_int_equal(orchestrator_run_pooled_confusion(scene->run, 1)[0], 4);
    assert_non_null(strstr(scene->told, "Site B It did not evaluate"));
}

static void test_engine_cancelled_in_round_sites_told_and_exit_130(void **state)
{
    struct run_scene *scene = *state;
    struct script slow = {.step = 1};
    slow.rounds[2] = SCRIPTED_SILENCE;
    scene->cancel_in_round = 2;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &slow);
    run_scene_run(scene, &(struct scene_job){.rounds = 3, .deadline_s = 600});
    run_scene_expect_failure(scene, "interrupted", "cancelled");
    assert_int_equal(scene->failure.exit_status, 130);
    assert_string_equal(orchestrator_run_status(scene->run), "cancelled");
    assert_int_equal(orchestrator_run_rounds(scene->run), 1);
    assert_string_equal(scripted_site_stop(scene->sites[1])->end_status, "cancelled");
    assert_true(run_scene_file_exists(orchestrator_run_directory(scene->run), "report.json"));
}

/* Gives the scene's orchestrator a certificate of a new authority in `folder`. */
static void enrol(struct run_scene *scene, const char *folder)
{
    char keys[SCENE_PATH_BYTES + 8];
    struct authority *authority = NULL;
    struct identity *identity = NULL;
    struct site_id id;
    char *request = NULL;
    char *chain = NULL;
    (void)snprintf(keys, sizeof keys, "%s/keys", scene->home);
    assert_null(authority_create(folder, "Consortium", &authority));
    assert_null(identity_load(keys, &identity));
    assert_null(identity_request(identity, &request));
    assert_null(authority_issue(authority, request, 30, &id, &chain));
    assert_null(identity_install(keys, chain));
    free(request);
    free(chain);
    identity_free(identity);
    authority_free(authority);
    orchestrator_close(scene->orchestrator);
    scene->orchestrator = NULL;
    assert_int_equal(orchestrator_open(scene->home, &scene->orchestrator, NULL), 0);
}

/* A model for 5000 features is longer than the 64 KiB that a site takes in its lobby. */
static void test_engine_model_too_long_for_site_refused_at_deadline(void **state)
{
    struct run_scene *scene = *state;
    char folder[SCENE_PATH_BYTES + 16];
    (void)snprintf(folder, sizeof folder, "%s/authority", scene->folder);
    enrol(scene, folder);
    run_scene_site(scene, &(struct script){.features = 5000, .authority = folder});
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .deadline_s = 1});
    run_scene_expect_failure(scene, "unavailable", "Round 1 stopped");
    assert_string_equal(orchestrator_run_status(scene->run), "stopped");
    run_scene_expect_site(scene, 1, 0, "refused", "is too long for 'Site A'");
    assert_int_equal(scripted_site_stop(scene->sites[0])->trains, 0);
}

/* What `orchestrator status` of another process does. */
static void ask_status(struct run_scene *scene, uint32_t round)
{
    struct orchestrator *other = NULL;
    struct orchestrator_site_status status;
    char line[256];
    (void)round;
    (void)snprintf(line, sizeof line, "datasite \"Site A\" %s %s", scripted_site_endpoint(scene->sites[0]),
                   scripted_site_fingerprint(scene->sites[0]));
    assert_int_equal(orchestrator_open(scene->home, &other, NULL), 0);
    assert_int_equal(orchestrator_site_add(other, line, NULL, NULL), 0);
    assert_int_equal(orchestrator_status(other, NULL, 5000, &status, NULL), 0);
    assert_string_equal(status.state, ORCHESTRATOR_STATE_IN_RUN);
    assert_int_equal(status.up, 0);
    assert_non_null(strstr(status.reason, "of this home goes on with it"));
    orchestrator_close(other);
}

static void test_engine_status_asked_in_mid_run_sites_left_alone(void **state)
{
    struct run_scene *scene = *state;
    struct orchestrator_site_status status;
    scene->in_round = ask_status;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_run(scene, &(struct scene_job){.rounds = 2});
    expect_finished(scene);
    assert_null(strstr(scene->told, "\n1 Site A"));
    orchestrator_close(scene->orchestrator);
    scene->orchestrator = NULL;
    assert_int_equal(orchestrator_open(scene->home, &scene->orchestrator, NULL), 0);
    assert_int_equal(orchestrator_status(scene->orchestrator, NULL, 20000, &status, NULL), 0);
    assert_int_equal(status.up, 1);
}

/* What `orchestrator run` of another process does with the same job. */
static void begin_second(struct run_scene *scene, uint32_t round)
{
    struct orchestrator *other = NULL;
    struct orchestrator_run *run = NULL;
    struct orchestrator_failure failure;
    struct orchestrator_run_options options = {
        .size = sizeof options, .job_path = scene->job_path, .connect_seconds = 2, .cancel_fd = -1};
    if (round != 2)
        return;
    assert_int_equal(orchestrator_open(scene->home, &other, NULL), 0);
    assert_int_equal(orchestrator_run(other, &options, &run, &failure), -1);
    assert_null(run);
    assert_string_equal(failure.word, "conflict");
    assert_int_equal(failure.exit_status, 1);
    assert_non_null(strstr(failure.sentence, "of this home goes on with 'Site A'"));
    orchestrator_close(other);
}

static void test_engine_second_run_with_same_sites_refused_and_first_undisturbed(void **state)
{
    struct run_scene *scene = *state;
    scene->in_round = begin_second;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_run(scene, &(struct scene_job){.rounds = 3});
    expect_finished(scene);
    assert_null(strstr(scene->told, "\n1 Site"));
    assert_int_equal(scripted_site_stop(scene->sites[0])->submits, 1);
}

static void test_engine_last_round_failed_newest_model_kept(void **state)
{
    (void)state;
    struct round_record rounds[3] = {0};
    struct run_record record = {.rounds = rounds, .round_count = 3};
    rounds[0].model = calloc(1, sizeof(double));
    rounds[1].model = calloc(1, sizeof(double));
    assert_non_null(rounds[0].model);
    assert_non_null(rounds[1].model);
    engine_forget_models(&record, 1);
    assert_null(rounds[0].model);
    assert_non_null(rounds[1].model);
    free(rounds[1].model);
}

#define SCENE_TEST(function) cmocka_unit_test_setup_teardown(function, run_scene_begin, run_scene_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_engine_two_sites_approve_weighted_average_of_each_round),
        SCENE_TEST(test_engine_equal_weighting_plain_average),
        SCENE_TEST(test_engine_per_site_metrics_recorded_and_pooled),
        SCENE_TEST(test_engine_metrics_none_nothing_evaluated),
        SCENE_TEST(test_engine_first_round_starts_from_zeros_everywhere),
        SCENE_TEST(test_engine_end_of_run_told_to_sites),
        SCENE_TEST(test_engine_owner_takes_time_waiting_told_once),
        SCENE_TEST(test_engine_owner_denies_stopped_with_sentence_and_no_training),
        SCENE_TEST(test_engine_one_denies_above_quorum_goes_on_without_it),
        SCENE_TEST(test_engine_earlier_run_cut_off_refused_before_training),
        SCENE_TEST(test_engine_owner_never_decides_deadline),
        SCENE_TEST(test_engine_site_unreachable_unavailable),
        SCENE_TEST(test_engine_site_never_answers_submit_unavailable),
        SCENE_TEST(test_engine_data_of_other_shape_names_both_sites),
        SCENE_TEST(test_engine_busy_site_asked_again),
        SCENE_TEST(test_engine_stopping_site_asked_again_until_it_is_back),
        SCENE_TEST(test_engine_stopping_site_stays_away_round_goes_on_without_it),
        SCENE_TEST(test_engine_update_of_wrong_shape_failed_and_not_averaged),
        SCENE_TEST(test_engine_update_not_finite_failed_and_not_averaged),
        SCENE_TEST(test_engine_update_of_huge_numbers_failed_and_not_averaged),
        SCENE_TEST(test_engine_update_of_other_job_failed_and_not_averaged),
        SCENE_TEST(test_engine_update_of_other_run_failed_and_not_averaged),
        SCENE_TEST(test_engine_update_of_other_round_failed_and_not_averaged),
        SCENE_TEST(test_engine_answer_of_other_kind_failed),
        SCENE_TEST(test_engine_confusion_of_wrong_size_failed),
        SCENE_TEST(test_engine_update_garbled_failed),
        SCENE_TEST(test_engine_site_refuses_round_refused_with_its_sentence),
        SCENE_TEST(test_engine_site_silent_late_and_rejoins),
        SCENE_TEST(test_engine_connection_lost_dropped_and_goes_on),
        SCENE_TEST(test_engine_below_quorum_stops_at_once_and_says_why),
        SCENE_TEST(test_engine_below_quorum_waits_for_nobody),
        SCENE_TEST(test_engine_evaluation_missing_pooled_over_the_others),
        SCENE_TEST(test_engine_model_too_long_for_site_refused_at_deadline),
        SCENE_TEST(test_engine_status_asked_in_mid_run_sites_left_alone),
        SCENE_TEST(test_engine_second_run_with_same_sites_refused_and_first_undisturbed),
        cmocka_unit_test(test_engine_last_round_failed_newest_model_kept),
        SCENE_TEST(test_engine_cancelled_in_round_sites_told_and_exit_130),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
