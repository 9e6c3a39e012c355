/* Whole runs against scripted sites: a receipt that does not hold spoils its answer and nothing else, what a site
 * has signed is presented to it again, and an answer that a person looks at first is waited for. */
#include "orchestrator/orchestrator_parts.h"
#include "orchestrator/witness.h"
#include "schemas/files.h"
#include "tests/unit/orchestrator/run_scene.h"

#include <unistd.h>

static void expect_finished(const struct run_scene *scene)
{
    if (scene->result != 0)
        fail_msg("%s", scene->failure.sentence);
}

static void expect_model(const struct run_scene *scene, size_t round, double value)
{
    const double *model = orchestrator_run_model(scene->run, round);
    assert_non_null(model);
    for (size_t i = 0; i < SCRIPTED_PARAMETERS; i++)
        assert_true(model[i] == value);
}

static const struct site_round *part_of(const struct run_scene *scene, size_t round, size_t site)
{
    return &scene->run->run.record->rounds[round - 1].sites[site];
}

/* ---- receipts that do not hold ---- */

/* Round 1: one good site and one with such a receipt; round 2: both good. */
static void spoil(struct run_scene *scene, enum scripted_answer how, const char *words)
{
    struct script bad = {.step = 1000, .examples = 300};
    bad.rounds[1] = how;
    run_scene_site(scene, &(struct script){.step = 1, .examples = 100});
    run_scene_site(scene, &bad);
    run_scene_run(scene, &(struct scene_job){.rounds = 2, .min_sites = 1});
    expect_finished(scene);
    expect_model(scene, 1, 1);
    run_scene_expect_site(scene, 1, 1, "failed", words);
    assert_null(part_of(scene, 1, 1)->update_receipt);
    run_scene_expect_site(scene, 2, 1, "ok", "");
    expect_model(scene, 2, 1 + 0.25 + 0.75 * 1000);
}

static void test_engine_receipt_of_other_round_update_not_used(void **state)
{
    struct run_scene *scene = *state;
    struct script bad = {.step = 1000};
    bad.rounds[2] = SCRIPTED_RECEIPT_OTHER_ROUND;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &bad);
    run_scene_run(scene, &(struct scene_job){.rounds = 2, .min_sites = 1});
    expect_finished(scene);
    run_scene_expect_site(scene, 2, 1, "failed", "receipt does not hold: The receipt is of another round");
    assert_true(orchestrator_run_model(scene->run, 2)[0] == orchestrator_run_model(scene->run, 1)[0] + 1);
}

static void test_engine_receipt_of_other_bytes_update_not_used(void **state)
{
    spoil(*state, SCRIPTED_RECEIPT_OTHER_BYTES, "other bytes");
}

static void test_engine_receipt_of_other_run_update_not_used(void **state)
{
    spoil(*state, SCRIPTED_RECEIPT_OTHER_RUN, "another job or run");
}

static void test_engine_receipt_of_other_key_update_not_used(void **state)
{
    spoil(*state, SCRIPTED_RECEIPT_OTHER_KEY, "another site");
}

static void test_engine_receipt_changed_after_signing_update_not_used(void **state)
{
    spoil(*state, SCRIPTED_RECEIPT_CHANGED, "signature of the receipt does not hold");
}

static void test_engine_receipt_missing_update_not_used(void **state)
{
    spoil(*state, SCRIPTED_EMPTY_RECEIPT, "receipt is missing");
}

static void test_engine_update_outside_of_a_release_not_used(void **state)
{
    spoil(*state, SCRIPTED_WITHOUT_RECEIPT, "another kind");
}

static void test_engine_release_of_other_kind_update_not_used(void **state)
{
    spoil(*state, SCRIPTED_RELEASE_OTHER_KIND, "another kind");
}

static void test_engine_evaluation_with_bad_receipt_not_pooled(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.step = 1, .bad_evaluate = true});
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    expect_finished(scene);
    assert_int_equal(orchestrator_run_pooled_confusion(scene->run, 1)[0], 4);
    assert_non_null(strstr(scene->told, "other bytes"));
    assert_null(part_of(scene, 1, 1)->evaluation_receipt);
    assert_non_null(part_of(scene, 1, 0)->evaluation_receipt);
}

/* ---- histories that contradict each other ---- */

/* Round 2 contradicts round 1: the update is not used, the site is out, and the proof is kept. */
static void contradict(struct run_scene *scene, enum scripted_answer how, const char *words)
{
    struct script bad = {.step = 1000};
    bad.rounds[2] = how;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &bad);
    run_scene_run(scene, &(struct scene_job){.rounds = 3, .min_sites = 1});
    expect_finished(scene);
    run_scene_expect_site(scene, 2, 1, "failed", words);
    run_scene_expect_site(scene, 3, 1, "refused", words);
    assert_non_null(part_of(scene, 2, 1)->update_receipt);
    assert_true(orchestrator_run_model(scene->run, 2)[0] == orchestrator_run_model(scene->run, 1)[0] + 1);
    assert_int_equal(scripted_site_stop(scene->sites[1])->trains, 2);
}

static void test_engine_same_sequence_other_head_fork_is_named(void **state)
{
    contradict(*state, SCRIPTED_RECEIPT_FORKED, "Its records fork: it signed event 2 with the head 0202");
}

static void test_engine_same_event_for_two_releases_is_named(void **state)
{
    contradict(*state, SCRIPTED_RECEIPT_SAME_EVENT, "two receipts for its event 2");
}

static void test_engine_lower_sequence_than_before_is_named(void **state)
{
    contradict(*state, SCRIPTED_RECEIPT_OLDER, "Its records went back");
}

/* ---- witnesses ---- */

static struct receipt witness_of(const struct run_scene *scene, size_t site)
{
    struct home *home = NULL;
    struct site_id id;
    struct receipt receipt;
    assert_null(home_open(scene->home, &home));
    assert_null(site_id_parse(scripted_site_fingerprint(scene->sites[site]), &id));
    struct error *err = witness_read(home, &id, &receipt);
    if (err != NULL)
        fail_msg("%s", err->sentence);
    home_free(home);
    return receipt;
}

static void test_engine_latest_receipt_presented_with_every_request(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_run(scene, &(struct scene_job){.rounds = 2});
    expect_finished(scene);
    assert_int_equal(witness_of(scene, 0).sequence, 4);
    const struct scripted_log *log = scripted_site_stop(scene->sites[0]);
    assert_int_equal(log->submit_witness, 0);
    assert_int_equal(log->train_witness, 2);
    assert_int_equal(log->evaluate_witness, 3);
    assert_int_equal(log->end_witness, 4);
}

static void test_engine_witness_presented_by_a_later_program(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    expect_finished(scene);
    orchestrator_close(scene->orchestrator);
    scene->orchestrator = NULL;
    assert_int_equal(orchestrator_open(scene->home, &scene->orchestrator, NULL), 0);
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    expect_finished(scene);
    assert_int_equal(scripted_site_stop(scene->sites[0])->submit_witness, 2);
}

static void test_status_presents_the_witness_too(void **state)
{
    struct run_scene *scene = *state;
    struct orchestrator_site_status status;
    char line[256];
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    expect_finished(scene);
    (void)snprintf(line, sizeof line, "datasite \"Site A\" %s %s", scripted_site_endpoint(scene->sites[0]),
                   scripted_site_fingerprint(scene->sites[0]));
    assert_int_equal(orchestrator_site_add(scene->orchestrator, line, NULL, NULL), 0);
    assert_int_equal(orchestrator_status(scene->orchestrator, NULL, 20000, &status, NULL), 0);
    assert_int_equal(status.up, 1);
    assert_int_equal(scripted_site_stop(scene->sites[0])->query_witness, 2);
}

static void test_witness_set_aside_is_kept_and_not_presented(void **state)
{
    struct run_scene *scene = *state;
    struct home *home = NULL;
    struct site_id id;
    char *aside = NULL;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    expect_finished(scene);
    assert_null(home_open(scene->home, &home));
    assert_null(site_id_parse(scripted_site_fingerprint(scene->sites[0]), &id));
    assert_null(witness_set_aside(home, &id, &aside));
    assert_int_equal(access(aside, F_OK), 0);
    assert_int_equal(witness_of(scene, 0).sequence, 0);
    free(aside);
    struct error *err = witness_set_aside(home, &id, &aside);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_NOT_FOUND);
    error_free(err);
    home_free(home);
}

/* A program that was compiled before there was a bound for held answers. */
static void test_orchestrator_run_options_of_an_older_caller_taken(void **state)
{
    struct run_scene *scene = *state;
    struct orchestrator_run *run = NULL;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_job(scene, &(struct scene_job){.rounds = 1});
    struct orchestrator_run_options options = {.size =
                                                   offsetof(struct orchestrator_run_options, held_seconds),
                                               .job_path = scene->job_path,
                                               .cancel_fd = -1,
                                               .held_seconds = -1};
    assert_int_equal(orchestrator_run(scene->orchestrator, &options, &run, &scene->failure), 0);
    orchestrator_run_free(run);
    options.size = sizeof options;
    assert_int_equal(orchestrator_run(scene->orchestrator, &options, &run, &scene->failure), -1);
    assert_string_equal(scene->failure.word, "usage");
}

static void test_engine_failed_run_leaves_its_witness(void **state)
{
    struct run_scene *scene = *state;
    struct script bad = {.step = 1};
    bad.rounds[2] = SCRIPTED_REFUSAL;
    run_scene_site(scene, &bad);
    run_scene_run(scene, &(struct scene_job){.rounds = 2});
    run_scene_expect_failure(scene, "unavailable", "Round 2 stopped");
    assert_int_equal(witness_of(scene, 0).sequence, 2);
}

static void test_engine_unreadable_witness_is_told_and_left_alone(void **state)
{
    struct run_scene *scene = *state;
    char path[2 * SCENE_PATH_BYTES];
    uint8_t *bytes = NULL;
    size_t count = 0;
    run_scene_site(scene, &(struct script){.step = 1});
    (void)snprintf(path, sizeof path, "%s/witness", scene->home);
    assert_null(directory_make(path, 0700));
    (void)snprintf(path, sizeof path, "%s/witness/%s.json", scene->home,
                   strchr(scripted_site_fingerprint(scene->sites[0]), ':') + 1);
    assert_null(file_write(path, "{}", 2, 0600));
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    expect_finished(scene);
    assert_non_null(strstr(scene->told, "the latest receipt of a site, cannot be used"));
    assert_null(file_read(path, 100, &bytes, &count));
    assert_int_equal(count, 2);
    free(bytes);
}

static struct receipt made_receipt(const struct identity *identity, uint64_t sequence, uint8_t head)
{
    struct receipt receipt = {.round = 1, .kind = RECEIPT_UPDATE, .body_bytes = 8, .sequence = sequence};
    struct chain_head signed_head = {.site = *identity_id(identity), .sequence = sequence};
    (void)memset(receipt.head.bytes, head, DIGEST_BYTES);
    signed_head.hash = receipt.head;
    assert_null(chain_head_sign(identity, &signed_head, receipt.head_signature));
    assert_null(receipt_sign(identity, &receipt));
    return receipt;
}

static void test_witness_keeps_the_later_and_names_a_fork(void **state)
{
    struct run_scene *scene = *state;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct receipt held;
    char keys[SCENE_PATH_BYTES + 8];
    (void)snprintf(keys, sizeof keys, "%s/keys", scene->folder);
    assert_null(identity_create(keys, "Site", &identity));
    assert_null(home_open(scene->home, &home));
    struct receipt ninth = made_receipt(identity, 9, 1);
    struct receipt eighth = made_receipt(identity, 8, 1);
    struct receipt forked = made_receipt(identity, 9, 2);
    assert_null(witness_keep(home, &ninth));
    assert_null(witness_keep(home, &eighth));
    struct error *err = witness_keep(home, &forked);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_UNTRUSTED);
    assert_non_null(strstr(err->sentence, "signed two histories: its event 9"));
    error_free(err);
    assert_null(witness_read(home, identity_id(identity), &held));
    assert_int_equal(held.sequence, 9);
    assert_int_equal(held.head.bytes[0], 1);
    identity_free(identity);
    home_free(home);
}

static void tell_nothing(const void *context, const char *sentence)
{
    (void)context;
    fail_msg("%s", sentence);
}

/* A process that was killed never wrote its witnesses; run.db has what it had seen, beside its log. */
static void test_witness_of_a_run_cut_off_recovered_from_its_record(void **state)
{
    struct run_scene *scene = *state;
    char path[2 * SCENE_PATH_BYTES];
    struct home *home = NULL;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_run(scene, &(struct scene_job){.rounds = 1});
    expect_finished(scene);
    (void)snprintf(path, sizeof path, "%s/witness/%s.json", scene->home,
                   strchr(scripted_site_fingerprint(scene->sites[0]), ':') + 1);
    assert_int_equal(unlink(path), 0);
    assert_null(home_open(scene->home, &home));
    witness_recover(home, tell_nothing, NULL);
    assert_int_equal(witness_of(scene, 0).sequence, 0);
    (void)snprintf(path, sizeof path, "%s/run.db-wal", orchestrator_run_directory(scene->run));
    assert_null(file_write(path, "", 0, 0600));
    witness_recover(home, tell_nothing, NULL);
    assert_int_equal(witness_of(scene, 0).sequence, 2);
    home_free(home);
}

/* ---- answers that a person looks at first ---- */

static void test_engine_held_update_waited_for_beyond_the_deadline(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.step = 3, .held = 1});
    run_scene_run(scene, &(struct scene_job){.rounds = 2, .deadline_s = 1});
    expect_finished(scene);
    run_scene_expect_site(scene, 1, 1, "ok", "");
    expect_model(scene, 1, 2);
    const char *told = strstr(scene->told, "10 Site B A person there looks at the numbers of round 1");
    assert_non_null(told);
    assert_null(strstr(strchr(told, '\n'), "A person there looks"));
}

static void test_engine_held_update_that_the_owner_keeps_refused_with_the_reason(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.step = 3, .held = 1, .held_refused = true});
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .min_sites = 1, .deadline_s = 1});
    expect_finished(scene);
    run_scene_expect_site(scene, 1, 1, "refused", "The script says no.");
    expect_model(scene, 1, 1);
}

static void test_engine_nobody_decides_on_held_update_late_at_the_bound(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.step = 3, .held = 1000});
    run_scene_run_with(
        scene, &(struct scene_job){.rounds = 1, .min_sites = 1, .deadline_s = 10},
        &(struct orchestrator_run_options){.connect_seconds = 20, .approval_seconds = 20, .held_seconds = 1});
    expect_finished(scene);
    run_scene_expect_site(scene, 1, 1, "late", "has not decided in time");
    expect_model(scene, 1, 1);
}

static void test_engine_held_evaluation_waited_for_and_pooled(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1});
    run_scene_site(scene, &(struct script){.step = 1, .held_evaluate = 1});
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .deadline_s = 1});
    expect_finished(scene);
    assert_int_equal(orchestrator_run_pooled_confusion(scene->run, 1)[0], 8);
    assert_non_null(strstr(scene->told, "10 Site B A person there looks at the evaluation of round 1"));
}

static void test_engine_others_are_late_while_one_is_held(void **state)
{
    struct run_scene *scene = *state;
    struct script silent = {.step = 1000};
    silent.rounds[1] = SCRIPTED_SILENCE;
    run_scene_site(scene, &(struct script){.step = 1, .held = 1});
    run_scene_site(scene, &silent);
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .min_sites = 1, .deadline_s = 1});
    expect_finished(scene);
    run_scene_expect_site(scene, 1, 0, "ok", "");
    run_scene_expect_site(scene, 1, 1, "late", "within the round's 1 s");
    expect_model(scene, 1, 1);
}

static void test_engine_cancelled_while_held_exit_130(void **state)
{
    struct run_scene *scene = *state;
    run_scene_site(scene, &(struct script){.step = 1, .held = 1000});
    scene->cancel_in_round = 1;
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .deadline_s = 1});
    run_scene_expect_failure(scene, "interrupted", "cancelled");
}

#define SCENE_TEST(function) cmocka_unit_test_setup_teardown(function, run_scene_begin, run_scene_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_engine_receipt_of_other_round_update_not_used),
        SCENE_TEST(test_engine_receipt_of_other_bytes_update_not_used),
        SCENE_TEST(test_engine_receipt_of_other_run_update_not_used),
        SCENE_TEST(test_engine_receipt_of_other_key_update_not_used),
        SCENE_TEST(test_engine_receipt_changed_after_signing_update_not_used),
        SCENE_TEST(test_engine_receipt_missing_update_not_used),
        SCENE_TEST(test_engine_update_outside_of_a_release_not_used),
        SCENE_TEST(test_engine_release_of_other_kind_update_not_used),
        SCENE_TEST(test_engine_evaluation_with_bad_receipt_not_pooled),
        SCENE_TEST(test_engine_same_sequence_other_head_fork_is_named),
        SCENE_TEST(test_engine_same_event_for_two_releases_is_named),
        SCENE_TEST(test_engine_lower_sequence_than_before_is_named),
        SCENE_TEST(test_engine_latest_receipt_presented_with_every_request),
        SCENE_TEST(test_engine_witness_presented_by_a_later_program),
        SCENE_TEST(test_status_presents_the_witness_too),
        SCENE_TEST(test_witness_set_aside_is_kept_and_not_presented),
        SCENE_TEST(test_orchestrator_run_options_of_an_older_caller_taken),
        SCENE_TEST(test_engine_failed_run_leaves_its_witness),
        SCENE_TEST(test_engine_unreadable_witness_is_told_and_left_alone),
        SCENE_TEST(test_witness_keeps_the_later_and_names_a_fork),
        SCENE_TEST(test_witness_of_a_run_cut_off_recovered_from_its_record),
        SCENE_TEST(test_engine_held_update_waited_for_beyond_the_deadline),
        SCENE_TEST(test_engine_held_update_that_the_owner_keeps_refused_with_the_reason),
        SCENE_TEST(test_engine_nobody_decides_on_held_update_late_at_the_bound),
        SCENE_TEST(test_engine_held_evaluation_waited_for_and_pooled),
        SCENE_TEST(test_engine_others_are_late_while_one_is_held),
        SCENE_TEST(test_engine_cancelled_while_held_exit_130),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
