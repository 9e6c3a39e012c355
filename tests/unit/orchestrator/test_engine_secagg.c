/* Whole runs under secure aggregation, against scripted sites that do their part by crypto/ and go wrong at one step: sites
 * that drop out before each of them, lie, and come back; and that nothing of one site is in the record. */
#include "crypto/fixed_point.h"
#include "orchestrator/engine_secagg.h"
#include "orchestrator/orchestrator_parts.h"
#include "orchestrator/receipt_check.h"
#include "tests/unit/crypto/given_record.h"
#include "tests/unit/orchestrator/run_scene.h"

#include <math.h>
#include <pthread.h>

#define ADVERTISE FDS__MESSAGE_TYPE__MESSAGE_ADVERTISE
#define SHARE FDS__MESSAGE_TYPE__MESSAGE_SHARE
#define MASK FDS__MESSAGE_TYPE__MESSAGE_MASK
#define AGREE FDS__MESSAGE_TYPE__MESSAGE_AGREE
#define UNMASK FDS__MESSAGE_TYPE__MESSAGE_UNMASK

/* Site number i of a scene: its step and its examples differ from those of all others. */
static struct script script_of(size_t i)
{
    return (struct script){
        .secure = {.step = 0.5 + 0.25 * (double)i, .examples = 100 + 50 * i, .counts = {4 + i, 1, 2, 3}}};
}

static void add_sites(struct run_scene *scene, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct script script = script_of(i);
        run_scene_site(scene, &script);
    }
}

/* `count` sites, of which number `which` has these faults. */
static void add_sites_but(struct run_scene *scene, size_t count, size_t which,
                          const struct secure_fault *faults, size_t fault_count)
{
    for (size_t i = 0; i < count; i++) {
        struct script script = script_of(i);
        if (i == which)
            memcpy(script.faults, faults, fault_count * sizeof *faults);
        run_scene_site(scene, &script);
    }
}

static const struct run_record *record_of(const struct run_scene *scene)
{
    assert_non_null(scene->run);
    return scene->run->run.record;
}

static void expect_finished(const struct run_scene *scene)
{
    if (scene->result != 0)
        fail_msg("%s\n%s", scene->failure.sentence, scene->told);
    assert_string_equal(orchestrator_run_status(scene->run), "finished");
}

static const struct secure_log *log_of(struct run_scene *scene, size_t site)
{
    return &scripted_site_stop(scene->sites[site])->secure;
}

/* A site that was not scripted to lie found nothing wrong with what it was asked. */
static void expect_content(struct run_scene *scene)
{
    for (size_t i = 0; i < scene->site_count; i++)
        assert_string_equal(log_of(scene, i)->refused, "");
}

/* The model after each round is, bit for bit, that of the sum of the quantised inputs of the sites that were ok, and the
 * pooled counts are theirs in the round after. */
static void expect_sums(struct run_scene *scene)
{
    const struct run_record *record = record_of(scene);
    const struct job *job = record->job;
    double model[SCRIPTED_PARAMETERS] = {0};
    struct fixed_point plan = {.ring = (enum mask_ring)job->secure.ring,
                               .clip = job->secure.clip,
                               .max_examples = job->secure.max_examples,
                               .sites = job->site_count,
                               .weighted = job->weighting == JOB_WEIGHT_EXAMPLES};
    assert_null(fixed_point_plan(&plan));
    for (size_t r = 0; r < record->round_count; r++) {
        uint64_t sum[SECURE_WORDS] = {0};
        const struct round_record *round = &record->rounds[r];
        size_t contributors = 0;
        for (size_t s = 0; s < job->site_count; s++) {
            if (round->sites[s].masked_receipts[round->masking.attempts - 1] == NULL)
                continue;
            contributors++;
            mask_add_words(plan.ring, sum, log_of(scene, s)->encoded[round->round], SECURE_WORDS);
        }
        assert_int_equal(contributors, round->masking.contributors);
        assert_null(fixed_point_advance(&plan, contributors, sum, SCRIPTED_PARAMETERS, model));
        assert_non_null(round->model);
        assert_memory_equal(round->model, model, sizeof model);
        if (r > 0 && job->metrics == JOB_METRICS_POOLED)
            for (size_t i = 0; i < 4; i++)
                assert_true(record->rounds[r - 1].pooled_confusion[i] == sum[1 + SCRIPTED_PARAMETERS + i]);
    }
}

static const struct scene_job plain = {.rounds = 3, .deadline_s = 10, .secure = ""};
static const struct scene_job quick = {.rounds = 2, .deadline_s = 2, .secure = ""};

static void test_engine_secagg_all_sites_sums_of_quantised_inputs_bit_for_bit(void **state)
{
    struct run_scene *scene = *state;
    add_sites(scene, 4);
    run_scene_run(scene, &plain);
    expect_finished(scene);
    assert_int_equal(orchestrator_run_rounds(scene->run), 3);
    expect_sums(scene);
    expect_content(scene);
}

static void test_engine_secagg_model_within_bound_of_weighted_average(void **state)
{
    struct run_scene *scene = *state;
    add_sites(scene, 4);
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .secure = ""});
    expect_finished(scene);
    for (size_t p = 0; p < SCRIPTED_PARAMETERS; p++) {
        double sum = 0;
        double weights = 0;
        for (size_t i = 0; i < 4; i++) {
            sum += (double)(100 + 50 * i) * (0.5 + 0.25 * (double)i) * (1 + 0.01 * (double)p);
            weights += (double)(100 + 50 * i);
        }
        assert_true(fabs(orchestrator_run_model(scene->run, 1)[p] - sum / weights) < 1e-9);
    }
}

static void test_engine_secagg_pooled_of_last_round_by_evaluation_alone(void **state)
{
    struct run_scene *scene = *state;
    add_sites(scene, 4);
    run_scene_run(scene, &plain);
    expect_finished(scene);
    for (size_t r = 1; r <= 3; r++) {
        const uint64_t *pooled = orchestrator_run_pooled_confusion(scene->run, r);
        assert_non_null(pooled);
        assert_int_equal(pooled[0], 4 + 5 + 6 + 7);
        assert_int_equal(pooled[3], 12);
    }
    assert_int_equal(record_of(scene)->evaluation.masking.contributors, 4);
}

/* The record and what people are told do not speak of a round that the job does not have. */
static void test_engine_secagg_evaluation_below_threshold_told_as_such_and_the_run_finished(void **state)
{
    struct run_scene *scene = *state;
    for (size_t i = 0; i < 4; i++) {
        struct script script = script_of(i);
        if (i < 2)
            script.faults[0] = (struct secure_fault){.type = MASK, .nth = 2, .how = SECURE_GONE};
        run_scene_site(scene, &script);
    }
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .deadline_s = 1, .secure = ""});
    expect_finished(scene);
    assert_non_null(strstr(scene->told, "The evaluation stopped"));
    assert_null(strstr(scene->told, "ound 2"));
    assert_null(orchestrator_run_pooled_confusion(scene->run, 1));
}

/* Of the sites of the job, not of those that were asked. */
static void test_engine_secagg_sum_told_with_all_sites_of_the_job(void **state)
{
    struct run_scene *scene = *state;
    add_sites_but(scene, 4, 2, &(struct secure_fault){.type = SHARE, .nth = 1, .how = SECURE_GONE}, 1);
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .deadline_s = 2, .metrics = "none", .secure = ""});
    expect_finished(scene);
    assert_int_equal(record_of(scene)->rounds[0].masking.sharers, 3);
    assert_non_null(strstr(scene->told, "sum of 3 of 4 in 1\n"));
}

static void test_engine_secagg_nothing_of_one_site_in_record(void **state)
{
    struct run_scene *scene = *state;
    add_sites(scene, 4);
    run_scene_run(scene, &plain);
    expect_finished(scene);
    for (size_t r = 0; r < 3; r++) {
        const struct round_record *round = &record_of(scene)->rounds[r];
        assert_int_equal(round->masking.attempts, 1);
        assert_int_equal(round->masking.sharers, 4);
        assert_true(round->masking.has_examples);
        assert_int_equal(round->masking.examples, 100 + 150 + 200 + 250);
        for (size_t s = 0; s < 4; s++) {
            const struct site_round *part = &round->sites[s];
            assert_false(part->has_examples);
            assert_null(part->confusion);
            assert_true(isnan(part->train_accuracy));
            assert_true(isnan(part->train_seconds));
            assert_null(part->update_receipt);
            assert_non_null(part->masked_receipts[0]);
            assert_null(part->masked_receipts[1]);
        }
    }
}

static void test_engine_secagg_record_read_back_the_same(void **state)
{
    struct run_scene *scene = *state;
    struct run_record *record = NULL;
    add_sites(scene, 4);
    run_scene_run(scene, &plain);
    expect_finished(scene);
    assert_null(run_store_load(orchestrator_run_directory(scene->run), &record));
    assert_int_equal(record->round_count, 3);
    assert_int_equal(record->evaluation.round, 4);
    assert_int_equal(record->evaluation.masking.contributors, 4);
    assert_non_null(record->evaluation.sites[2].masked_receipts[0]);
    for (size_t r = 0; r < 3; r++) {
        assert_int_equal(record->rounds[r].masking.contributors, 4);
        assert_int_equal(record->rounds[r].masking.examples, 700);
        assert_memory_equal(record->rounds[r].pooled_confusion,
                            orchestrator_run_pooled_confusion(scene->run, r + 1), 6 * sizeof(uint64_t));
    }
    run_record_free(record);
}

static void test_engine_secagg_metrics_none_no_counts_and_no_evaluation(void **state)
{
    struct run_scene *scene = *state;
    add_sites(scene, 4);
    run_scene_run(scene, &(struct scene_job){.rounds = 2, .metrics = "none", .secure = ""});
    expect_finished(scene);
    expect_sums(scene);
    assert_null(orchestrator_run_pooled_confusion(scene->run, 1));
    assert_null(orchestrator_run_pooled_confusion(scene->run, 2));
    assert_int_equal(log_of(scene, 0)->masks, 2);
}

static void test_engine_secagg_ring_32_equal_weights(void **state)
{
    struct run_scene *scene = *state;
    add_sites(scene, 5);
    run_scene_run(scene, &(struct scene_job){.rounds = 2,
                                             .weighting = "equal",
                                             .secure = ", ring: 32, clip: 4, max_examples: 1000"});
    expect_finished(scene);
    expect_sums(scene);
    expect_content(scene);
    assert_false(record_of(scene)->rounds[0].masking.has_examples);
}

/* ---- dropouts ---- */

static void drop_out_at(struct run_scene *scene, uint32_t type, int nth, enum secure_how how,
                        size_t contributors, size_t last_contributors)
{
    const struct secure_fault fault = {.type = type, .nth = nth, .how = how};
    add_sites_but(scene, 4, 2, &fault, 1);
    run_scene_run(scene, &quick);
    expect_finished(scene);
    assert_int_equal(record_of(scene)->rounds[0].masking.attempts, 1);
    assert_int_equal(record_of(scene)->rounds[0].masking.contributors, contributors);
    assert_int_equal(record_of(scene)->rounds[1].masking.contributors, last_contributors);
    expect_sums(scene);
    expect_content(scene);
}

static void test_engine_secagg_gone_before_adverts_others_complete(void **state)
{
    drop_out_at(*state, ADVERTISE, 1, SECURE_GONE, 3, 3);
    run_scene_expect_site(*state, 1, 2, "dropped", "");
}

static void test_engine_secagg_gone_before_sharing_others_complete(void **state)
{
    drop_out_at(*state, SHARE, 1, SECURE_GONE, 3, 3);
    run_scene_expect_site(*state, 1, 2, "dropped", "");
}

static void test_engine_secagg_gone_after_sharing_others_complete(void **state)
{
    drop_out_at(*state, MASK, 1, SECURE_GONE, 3, 3);
    run_scene_expect_site(*state, 1, 2, "dropped", "");
}

static void test_engine_secagg_gone_after_masked_input_counts(void **state)
{
    drop_out_at(*state, AGREE, 1, SECURE_GONE, 4, 3);
    run_scene_expect_site(*state, 1, 2, "ok", "");
    run_scene_expect_site(*state, 2, 2, "dropped", "");
}

static void test_engine_secagg_gone_before_unmasking_counts(void **state)
{
    drop_out_at(*state, UNMASK, 1, SECURE_GONE, 4, 3);
    run_scene_expect_site(*state, 1, 2, "ok", "");
}

static void test_engine_secagg_silent_at_unmasking_not_waited_for(void **state)
{
    drop_out_at(*state, UNMASK, 1, SECURE_SILENT, 4, 4);
}

static void test_engine_secagg_late_site_is_left_out_of_the_round(void **state)
{
    struct run_scene *scene = *state;
    const struct secure_fault fault = {.type = MASK, .nth = 1, .how = SECURE_SLOW, .ms = 2600};
    add_sites_but(scene, 4, 1, &fault, 1);
    run_scene_run(scene, &quick);
    expect_finished(scene);
    run_scene_expect_site(scene, 1, 1, "late", "");
    assert_int_equal(record_of(scene)->rounds[0].masking.contributors, 3);
    expect_sums(scene);
}

static void test_engine_secagg_comes_back_within_the_round_and_counts(void **state)
{
    struct run_scene *scene = *state;
    const struct secure_fault fault = {.type = MASK, .nth = 1, .how = SECURE_LOST, .ms = 100};
    add_sites_but(scene, 4, 1, &fault, 1);
    run_scene_run(scene, &(struct scene_job){.rounds = 2, .deadline_s = 20, .secure = ""});
    expect_finished(scene);
    assert_int_equal(record_of(scene)->rounds[0].masking.contributors, 4);
    expect_sums(scene);
    expect_content(scene);
}

/* It needs the sums of the rounds that it missed. */
static void catching_up(struct run_scene *scene, const char *secure)
{
    const struct secure_fault faults[] = {{.type = MASK, .nth = 1, .how = SECURE_SILENT},
                                          {.type = MASK, .nth = 2, .how = SECURE_SILENT}};
    add_sites_but(scene, 4, 3, faults, 2);
    run_scene_run(scene, &(struct scene_job){.rounds = 4, .deadline_s = 1, .secure = secure});
    expect_finished(scene);
    assert_int_equal(record_of(scene)->rounds[1].masking.contributors, 3);
    assert_int_equal(record_of(scene)->rounds[2].masking.contributors, 4);
    expect_sums(scene);
    expect_content(scene);
    assert_int_equal(log_of(scene, 3)->sums, 4);
}

static void test_engine_secagg_site_that_missed_rounds_catches_up(void **state)
{
    catching_up(*state, ", verify_sum: true");
}

static void test_engine_secagg_site_that_missed_rounds_catches_up_without_transcripts(void **state)
{
    catching_up(*state, ", verify_sum: false");
}

/* Of the site that had no keys, and of another one: the round in which that one waits is not over before the keys are made. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool shared;
} late_keys = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

static void tell_shared(ProtobufCMessage *message, const struct identity *own)
{
    (void)message;
    (void)own;
    (void)pthread_mutex_lock(&late_keys.lock);
    late_keys.shared = true;
    (void)pthread_cond_signal(&late_keys.done);
    (void)pthread_mutex_unlock(&late_keys.lock);
}

static void await_shared(ProtobufCMessage *message, const struct identity *own)
{
    struct timespec until;
    int late = 0;
    (void)message;
    (void)own;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    (void)pthread_mutex_lock(&late_keys.lock);
    while (!late_keys.shared && late == 0)
        late = pthread_cond_timedwait(&late_keys.done, &late_keys.lock, &until);
    (void)pthread_mutex_unlock(&late_keys.lock);
}

/* It gets keys in the background, and with the sum the adverts that it has not seen. The deadline is not what is tested: a site
 * that is silent is waited for ENGINE_KEYS_MS at most. */
static void test_engine_secagg_site_without_keys_is_in_the_next_batch(void **state)
{
    struct run_scene *scene = *state;
    late_keys.shared = false;
    for (size_t i = 0; i < 4; i++) {
        struct script script = script_of(i);
        if (i == 0)
            script.faults[0] = (struct secure_fault){.type = MASK, .nth = 2, .change = await_shared};
        if (i == 3) {
            script.faults[0] = (struct secure_fault){.type = ADVERTISE, .nth = 1, .how = SECURE_SILENT};
            script.faults[1] = (struct secure_fault){.type = SHARE, .nth = 1, .change = tell_shared};
        }
        run_scene_site(scene, &script);
    }
    run_scene_run(scene, &(struct scene_job){.rounds = 5, .deadline_s = 30, .secure = ", verify_sum: true"});
    expect_finished(scene);
    run_scene_expect_site(scene, 1, 3, "late", "It did not exchange keys in time.");
    assert_int_equal(record_of(scene)->rounds[0].masking.contributors, 3);
    assert_int_equal(record_of(scene)->rounds[4].masking.contributors, 4);
    expect_sums(scene);
    expect_content(scene);
    assert_int_equal(log_of(scene, 0)->adverts, 2);
}

/* Its owner takes longer than those of the others: the run begins without it. */
static void test_engine_secagg_site_that_is_ready_later_takes_part(void **state)
{
    struct run_scene *scene = *state;
    for (size_t i = 0; i < 4; i++) {
        struct script script = script_of(i);
        script.pending = i == 3 ? 8 : 0;
        if (i == 0)
            script.faults[0] = (struct secure_fault){.type = MASK, .nth = 1, .how = SECURE_SLOW, .ms = 1500};
        run_scene_site(scene, &script);
    }
    run_scene_run_with(scene, &(struct scene_job){.rounds = 4, .secure = ", verify_sum: true"},
                       &(struct orchestrator_run_options){.connect_seconds = 1, .approval_seconds = 1});
    expect_finished(scene);
    run_scene_expect_site(scene, 1, 3, "dropped", "Its owner has not approved the job.");
    assert_int_equal(record_of(scene)->rounds[0].masking.contributors, 3);
    assert_int_equal(record_of(scene)->rounds[3].masking.contributors, 4);
    expect_sums(scene);
    expect_content(scene);
}

/* ---- attempts ---- */

static void test_engine_secagg_below_threshold_tried_again_with_fresh_slot(void **state)
{
    struct run_scene *scene = *state;
    for (size_t i = 0; i < 4; i++) {
        struct script script = script_of(i);
        if (i < 2)
            script.faults[0] = (struct secure_fault){.type = MASK, .nth = 1, .how = SECURE_SILENT};
        run_scene_site(scene, &script);
    }
    run_scene_run(scene, &quick);
    expect_finished(scene);
    const struct round_record *round = &record_of(scene)->rounds[0];
    assert_int_equal(round->masking.attempts, 2);
    assert_int_equal(round->masking.contributors, 4);
    assert_null(round->sites[0].masked_receipts[0]);
    assert_non_null(round->sites[3].masked_receipts[0]);
    assert_non_null(round->sites[3].masked_receipts[1]);
    assert_non_null(strstr(scene->told, "Round 1 is tried again with fresh keys (attempt 2)"));
    expect_sums(scene);
    expect_content(scene);
}

static void test_engine_secagg_below_threshold_for_good_stopped_and_nobody_asked_to_agree(void **state)
{
    struct run_scene *scene = *state;
    for (size_t i = 0; i < 4; i++) {
        struct script script = script_of(i);
        if (i < 2)
            script.faults[0] = (struct secure_fault){.type = MASK, .nth = 1, .how = SECURE_GONE};
        run_scene_site(scene, &script);
    }
    run_scene_run(scene, &(struct scene_job){.rounds = 2, .deadline_s = 1, .secure = ""});
    run_scene_expect_failure(scene, "unavailable", "Nothing of any site was revealed");
    run_scene_expect_failure(scene, "unavailable", "Site A (dropped)");
    assert_string_equal(orchestrator_run_status(scene->run), "stopped");
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(log_of(scene, i)->agreements, 0);
        assert_int_equal(log_of(scene, i)->unmaskings, 0);
    }
    assert_int_equal(record_of(scene)->rounds[0].masking.contributors, 0);
    assert_null(record_of(scene)->rounds[0].model);
}

static void test_engine_secagg_too_few_agree_stopped_and_never_tried_again(void **state)
{
    struct run_scene *scene = *state;
    for (size_t i = 0; i < 4; i++) {
        struct script script = script_of(i);
        if (i < 2)
            script.faults[0] = (struct secure_fault){.type = AGREE, .nth = 1, .how = SECURE_GONE};
        run_scene_site(scene, &script);
    }
    run_scene_run(scene, &(struct scene_job){.rounds = 2, .deadline_s = 1, .secure = ""});
    run_scene_expect_failure(scene, "unavailable", "never run again");
    assert_string_equal(orchestrator_run_status(scene->run), "stopped");
    assert_int_equal(record_of(scene)->rounds[0].masking.attempts, 1);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(log_of(scene, i)->masks, 1);
        assert_int_equal(log_of(scene, i)->unmaskings, 0);
    }
}

static void test_engine_secagg_too_few_shares_after_agreement_stopped(void **state)
{
    struct run_scene *scene = *state;
    for (size_t i = 0; i < 4; i++) {
        struct script script = script_of(i);
        if (i < 2)
            script.faults[0] = (struct secure_fault){.type = UNMASK, .nth = 1, .how = SECURE_REFUSED};
        run_scene_site(scene, &script);
    }
    run_scene_run(scene, &(struct scene_job){.rounds = 2, .deadline_s = 2, .secure = ""});
    run_scene_expect_failure(scene, "unavailable",
                             "fewer than the 3 sites that its sum needs gave their shares");
    assert_int_equal(log_of(scene, 3)->masks, 1);
}

static void test_engine_secagg_away_after_agreement_round_completed_with_it(void **state)
{
    struct run_scene *scene = *state;
    for (size_t i = 0; i < 4; i++) {
        struct script script = script_of(i);
        if (i < 2)
            script.faults[0] = (struct secure_fault){.type = UNMASK, .nth = 1, .how = SECURE_LOST, .ms = 200};
        run_scene_site(scene, &script);
    }
    run_scene_run(scene, &(struct scene_job){.rounds = 1, .deadline_s = 20, .secure = ""});
    expect_finished(scene);
    assert_int_equal(record_of(scene)->rounds[0].masking.contributors, 4);
    expect_sums(scene);
}

/* ---- receipts ---- */

static void expect_receipts(const struct run_record *record, size_t held, const char *problem)
{
    struct receipt_check check = {0};
    assert_null(receipt_check_run(record, &check));
    assert_int_equal(check.held, held);
    assert_int_equal(check.problem_count, problem == NULL ? 0 : 1);
    if (problem != NULL && strstr(check.problems[0].sentence, problem) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", check.problems[0].sentence, problem);
    receipt_check_clear(&check);
}

static void test_engine_secagg_receipts_of_every_attempt_hold_and_are_needed(void **state)
{
    struct run_scene *scene = *state;
    struct run_record *record = NULL;
    struct receipt_check check = {0};
    for (size_t i = 0; i < 4; i++) {
        struct script script = script_of(i);
        if (i < 2)
            script.faults[0] = (struct secure_fault){.type = MASK, .nth = 1, .how = SECURE_SILENT};
        run_scene_site(scene, &script);
    }
    run_scene_run(scene, &quick);
    expect_finished(scene);
    assert_null(run_store_load(orchestrator_run_directory(scene->run), &record));
    expect_receipts(record, 14,
                    NULL); /* 2 in the first attempt, 4 in the second, in round 2, and of the evaluation */
    assert_null(receipt_check_run(record, &check));
    assert_null(receipt_check_files(record, orchestrator_run_directory(scene->run), &check));
    assert_int_equal(check.problem_count, 0);
    receipt_check_clear(&check);
    struct site_round *part = &record->rounds[0].sites[0];
    struct site_receipt *kept = part->masked_receipts[1];
    part->masked_receipts[1] = NULL;
    expect_receipts(record, 13, "Its masked input counted, and there is no receipt of it.");
    part->masked_receipts[1] = kept;
    kept->received.bytes[0] ^= 1;
    expect_receipts(record, 13, "The receipt of its masked-input does not hold");
    kept->received.bytes[0] ^= 1;
    kept = record->evaluation.sites[1].masked_receipts[0];
    record->evaluation.sites[1].masked_receipts[0] = NULL;
    expect_receipts(record, 13, "Its masked input counted");
    record->evaluation.sites[1].masked_receipts[0] = kept;
    assert_null(receipt_check_run(record, &check));
    assert_int_equal(check.wanted, 12);
    assert_int_equal(check.unused, 2); /* of the first attempt */
    receipt_check_clear(&check);
    record->rounds[1].masking.contributors = 0; /* as if no sum had come of it */
    assert_null(receipt_check_run(record, &check));
    assert_int_equal(check.wanted, 8);
    assert_int_equal(check.unused, 6);
    assert_int_equal(check.problem_count, 0);
    receipt_check_clear(&check);
    run_record_free(record);
}

/* ---- lies ---- */

static void lie(struct run_scene *scene, size_t sites, uint32_t type, enum secure_spoil spoil)
{
    const struct secure_fault fault = {.type = type, .nth = 1, .how = SECURE_SPOILED, .spoil = spoil};
    add_sites_but(scene, sites, 1, &fault, 1);
    run_scene_run(scene, &quick);
    expect_finished(scene);
}

static void test_engine_secagg_badly_signed_advert_site_failed_others_go_on(void **state)
{
    lie(*state, 4, ADVERTISE, SECURE_BAD_SIGNATURE);
    run_scene_expect_site(*state, 1, 1, "failed", "");
    assert_int_equal(record_of(*state)->rounds[0].masking.contributors, 3);
}

static void test_engine_secagg_repeated_key_in_advert_site_failed_others_go_on(void **state)
{
    lie(*state, 4, ADVERTISE, SECURE_COPIED_KEY);
    run_scene_expect_site(*state, 1, 1, "failed", "");
}

static void test_engine_secagg_missing_shares_site_failed_others_go_on(void **state)
{
    lie(*state, 4, SHARE, SECURE_BAD_LENGTH);
    run_scene_expect_site(*state, 1, 1, "failed", "");
    assert_int_equal(record_of(*state)->rounds[0].masking.contributors, 3);
}

static void test_engine_secagg_badly_signed_input_not_in_sum(void **state)
{
    lie(*state, 4, MASK, SECURE_BAD_SIGNATURE);
    run_scene_expect_site(*state, 1, 1, "failed", "");
    assert_int_equal(record_of(*state)->rounds[0].masking.contributors, 3);
    assert_int_equal(record_of(*state)->rounds[1].masking.contributors, 4);
}

static void test_engine_secagg_short_input_not_in_sum(void **state)
{
    lie(*state, 4, MASK, SECURE_BAD_LENGTH);
    run_scene_expect_site(*state, 1, 1, "failed", "bytes instead of");
}

static void test_engine_secagg_badly_signed_agreement_not_shown_to_others(void **state)
{
    lie(*state, 4, AGREE, SECURE_BAD_SIGNATURE);
    assert_int_equal(record_of(*state)->rounds[0].masking.contributors, 4);
    assert_int_equal(log_of(*state, 1)->unmaskings, 2); /* of round 2, and of the evaluation */
    expect_sums(*state);
    expect_content(*state);
}

static void test_engine_secagg_wrong_share_corrected_and_named(void **state)
{
    struct run_scene *scene = *state;
    size_t liars = 0;
    for (size_t i = 0; i < 6; i++) {
        struct script script = script_of(i);
        script.faults[0] =
            (struct secure_fault){.type = UNMASK, .nth = 1, .how = SECURE_SPOILED, .spoil = SECURE_BAD_SHARE};
        run_scene_site(scene, &script);
    }
    run_scene_run(scene, &quick);
    expect_finished(scene);
    for (size_t i = 0; i < 6; i++) {
        const struct site_round *part = &record_of(scene)->rounds[0].sites[i];
        liars += part->status == SITE_FAILED && strstr(part->reason, "It gave a wrong share") != NULL;
        run_scene_expect_site(scene, 2, i, "ok", "");
    }
    assert_int_equal(liars, 1);
    assert_int_equal(record_of(scene)->rounds[0].masking.contributors, 6);
    expect_sums(scene);
    expect_content(scene);
}

static void test_engine_secagg_wrong_share_and_none_to_correct_it_stopped(void **state)
{
    struct run_scene *scene = *state;
    for (size_t i = 0; i < 4; i++) {
        struct script script = script_of(i);
        script.faults[0] =
            (struct secure_fault){.type = UNMASK, .nth = 1, .how = SECURE_SPOILED, .spoil = SECURE_BAD_SHARE};
        run_scene_site(scene, &script);
    }
    run_scene_run(scene, &quick);
    run_scene_expect_failure(scene, "untrusted", "its sum cannot be unmasked");
    assert_string_equal(orchestrator_run_status(scene->run), "stopped");
}

/* ---- whose word stands against whose ---- */

static size_t count_sites(struct run_scene *scene, uint32_t round, enum site_status status, const char *text)
{
    size_t count = 0;
    for (size_t i = 0; i < scene->site_count; i++) {
        const struct site_round *part = &record_of(scene)->rounds[round - 1].sites[i];
        count += part->status == status && strstr(part->reason, text) != NULL;
    }
    return count;
}

/* Who sealed badly is left out, not those who say so. */
static void test_engine_secagg_seals_that_do_not_open_dealer_left_out_and_others_go_on(void **state)
{
    struct run_scene *scene = *state;
    const struct secure_fault fault = {
        .type = SHARE, .nth = 1, .how = SECURE_SPOILED, .spoil = SECURE_BAD_SEAL};
    add_sites_but(scene, 4, 1, &fault, 1);
    run_scene_run(scene, &quick);
    expect_finished(scene);
    run_scene_expect_site(scene, 1, 1, "failed", "The shares that it sealed for others do not open");
    assert_int_equal(count_sites(scene, 1, SITE_OK, ""), 3);
    assert_int_equal(record_of(scene)->rounds[0].masking.attempts, 2);
    assert_int_equal(record_of(scene)->rounds[1].masking.attempts,
                     1); /* it is not asked with these keys again */
    expect_sums(scene);
}

/* Site number 1 says that another's shares do not open, which is not true. */
static void accuse_falsely(struct run_scene *scene, size_t sites, size_t silent)
{
    for (size_t i = 0; i < sites; i++) {
        struct script script = script_of(i);
        script.faults[0] = (struct secure_fault){.type = MASK, .nth = 1};
        if (i == 1)
            script.faults[0].how = SECURE_ACCUSED;
        else if (i >= sites - silent)
            script.faults[0].how = SECURE_SILENT;
        run_scene_site(scene, &script);
    }
    run_scene_run(scene, &quick);
    expect_finished(scene);
    expect_sums(scene);
}

static void test_engine_secagg_one_accuser_both_left_out_of_the_next_attempt(void **state)
{
    struct run_scene *scene = *state;
    accuse_falsely(scene, 6, 2);
    assert_int_equal(record_of(scene)->rounds[0].masking.attempts, 2);
    assert_int_equal(record_of(scene)->rounds[0].masking.contributors, 4);
    run_scene_expect_site(scene, 1, 1, "refused", "The script says no.");
    assert_int_equal(count_sites(scene, 1, SITE_FAILED, "1 site says that the shares"), 1);
    assert_int_equal(record_of(scene)->rounds[1].masking.contributors, 6);
}

static void test_engine_secagg_one_accuser_that_is_needed_is_asked_again(void **state)
{
    struct run_scene *scene = *state;
    accuse_falsely(scene, 5, 1);
    assert_int_equal(record_of(scene)->rounds[0].masking.attempts, 2);
    assert_int_equal(record_of(scene)->rounds[0].masking.contributors, 4);
    run_scene_expect_site(scene, 1, 1, "ok", "");
    assert_int_equal(count_sites(scene, 1, SITE_FAILED, "1 site says that the shares"), 1);
}

static void test_engine_secagg_one_accuser_changes_nothing_when_enough_contribute(void **state)
{
    struct run_scene *scene = *state;
    accuse_falsely(scene, 6, 0);
    assert_int_equal(record_of(scene)->rounds[0].masking.attempts, 1);
    assert_int_equal(record_of(scene)->rounds[0].masking.contributors, 5);
    assert_int_equal(count_sites(scene, 1, SITE_FAILED, ""), 0);
}

/* The site that passes on what it was given is not the one to blame, as far as anybody knows. */
static void test_engine_secagg_share_dealt_wrong_told_of_both_and_nobody_failed(void **state)
{
    struct run_scene *scene = *state;
    const struct secure_fault fault = {
        .type = SHARE, .nth = 1, .how = SECURE_SPOILED, .spoil = SECURE_BAD_DEAL};
    add_sites_but(scene, 6, 2, &fault, 1);
    run_scene_run(scene, &quick);
    expect_finished(scene);
    assert_int_equal(count_sites(scene, 1, SITE_OK, ""), 6);
    assert_non_null(strstr(scene->told, "The share of Site C's secret that"));
    assert_non_null(strstr(scene->told, "one of the two is wrong"));
    expect_sums(scene);
    expect_content(scene);
}

/* ---- keys ---- */

static void test_engine_secagg_key_of_two_sites_second_left_out_and_others_go_on(void **state)
{
    struct run_scene *scene = *state;
    for (size_t i = 0; i < 5; i++) {
        struct script script = script_of(i);
        if (i < 2)
            script.faults[0] = (struct secure_fault){
                .type = ADVERTISE, .nth = 1, .how = SECURE_SPOILED, .spoil = SECURE_KNOWN_KEY};
        run_scene_site(scene, &script);
    }
    run_scene_run(scene, &quick);
    expect_finished(scene);
    assert_int_equal(count_sites(scene, 1, SITE_FAILED, "The same key is there twice"), 1);
    assert_int_equal(record_of(scene)->rounds[0].masking.contributors, 4);
    expect_sums(scene);
    expect_content(scene);
}

static void test_engine_secagg_chain_of_events_put_back_that_site_left_out(void **state)
{
    struct run_scene *scene = *state;
    const struct secure_fault fault = {
        .type = ADVERTISE, .nth = 2, .how = SECURE_SPOILED, .spoil = SECURE_OLD_LEDGER};
    add_sites_but(scene, 4, 3, &fault, 1);
    run_scene_run(scene, &(struct scene_job){.rounds = 2, .deadline_s = 5, .secure = ", key_batch: 1"});
    expect_finished(scene);
    assert_int_equal(record_of(scene)->rounds[0].masking.contributors, 4);
    run_scene_expect_site(scene, 2, 3, "failed", "its database was put back");
    assert_int_equal(record_of(scene)->rounds[1].masking.contributors, 3);
    expect_sums(scene);
    expect_content(scene);
}

static void test_engine_secagg_batches_of_one_slot_made_ahead(void **state)
{
    struct run_scene *scene = *state;
    add_sites(scene, 4);
    run_scene_run(scene, &(struct scene_job){.rounds = 4, .secure = ", key_batch: 1"});
    expect_finished(scene);
    expect_sums(scene);
    expect_content(scene);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(log_of(scene, i)->adverts, 5);
        assert_int_equal(log_of(scene, i)->slots, 5);
    }
}

static void test_engine_secagg_one_batch_for_all_rounds_when_it_is_large_enough(void **state)
{
    struct run_scene *scene = *state;
    add_sites(scene, 4);
    run_scene_run(scene, &(struct scene_job){.rounds = 4, .secure = ", key_batch: 5"});
    expect_finished(scene);
    assert_int_equal(log_of(scene, 0)->adverts, 1);
}

static void test_engine_secagg_too_few_keys_run_stopped_with_reasons(void **state)
{
    struct run_scene *scene = *state;
    for (size_t i = 0; i < 4; i++) {
        struct script script = script_of(i);
        if (i < 2)
            script.faults[0] = (struct secure_fault){.type = ADVERTISE, .nth = 1, .how = SECURE_REFUSED};
        run_scene_site(scene, &script);
    }
    run_scene_run(scene, &quick);
    run_scene_expect_failure(scene, "unavailable", "Too few of the 4 sites exchanged keys");
    run_scene_expect_failure(scene, "unavailable", "Site A: The script says no.");
    assert_string_equal(orchestrator_run_status(scene->run), "stopped");
}

static void test_engine_secagg_cancelled_sites_told(void **state)
{
    struct run_scene *scene = *state;
    add_sites(scene, 4);
    scene->cancel_in_round = 2;
    run_scene_run(scene, &plain);
    assert_int_equal(scene->result, -1);
    assert_string_equal(orchestrator_run_status(scene->run), "cancelled");
    assert_string_equal(scripted_site_stop(scene->sites[0])->end_status, "cancelled");
}

int main(void)
{
#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, run_scene_begin, run_scene_end)
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_engine_secagg_all_sites_sums_of_quantised_inputs_bit_for_bit),
        SCENE_TEST(test_engine_secagg_model_within_bound_of_weighted_average),
        SCENE_TEST(test_engine_secagg_pooled_of_last_round_by_evaluation_alone),
        SCENE_TEST(test_engine_secagg_evaluation_below_threshold_told_as_such_and_the_run_finished),
        SCENE_TEST(test_engine_secagg_sum_told_with_all_sites_of_the_job),
        SCENE_TEST(test_engine_secagg_nothing_of_one_site_in_record),
        SCENE_TEST(test_engine_secagg_record_read_back_the_same),
        SCENE_TEST(test_engine_secagg_metrics_none_no_counts_and_no_evaluation),
        SCENE_TEST(test_engine_secagg_ring_32_equal_weights),
        SCENE_TEST(test_engine_secagg_gone_before_adverts_others_complete),
        SCENE_TEST(test_engine_secagg_gone_before_sharing_others_complete),
        SCENE_TEST(test_engine_secagg_gone_after_sharing_others_complete),
        SCENE_TEST(test_engine_secagg_gone_after_masked_input_counts),
        SCENE_TEST(test_engine_secagg_gone_before_unmasking_counts),
        SCENE_TEST(test_engine_secagg_silent_at_unmasking_not_waited_for),
        SCENE_TEST(test_engine_secagg_late_site_is_left_out_of_the_round),
        SCENE_TEST(test_engine_secagg_comes_back_within_the_round_and_counts),
        SCENE_TEST(test_engine_secagg_site_that_missed_rounds_catches_up),
        SCENE_TEST(test_engine_secagg_site_that_missed_rounds_catches_up_without_transcripts),
        SCENE_TEST(test_engine_secagg_site_without_keys_is_in_the_next_batch),
        SCENE_TEST(test_engine_secagg_site_that_is_ready_later_takes_part),
        SCENE_TEST(test_engine_secagg_below_threshold_tried_again_with_fresh_slot),
        SCENE_TEST(test_engine_secagg_below_threshold_for_good_stopped_and_nobody_asked_to_agree),
        SCENE_TEST(test_engine_secagg_too_few_agree_stopped_and_never_tried_again),
        SCENE_TEST(test_engine_secagg_too_few_shares_after_agreement_stopped),
        SCENE_TEST(test_engine_secagg_away_after_agreement_round_completed_with_it),
        SCENE_TEST(test_engine_secagg_receipts_of_every_attempt_hold_and_are_needed),
        SCENE_TEST(test_engine_secagg_badly_signed_advert_site_failed_others_go_on),
        SCENE_TEST(test_engine_secagg_repeated_key_in_advert_site_failed_others_go_on),
        SCENE_TEST(test_engine_secagg_missing_shares_site_failed_others_go_on),
        SCENE_TEST(test_engine_secagg_badly_signed_input_not_in_sum),
        SCENE_TEST(test_engine_secagg_short_input_not_in_sum),
        SCENE_TEST(test_engine_secagg_badly_signed_agreement_not_shown_to_others),
        SCENE_TEST(test_engine_secagg_wrong_share_corrected_and_named),
        SCENE_TEST(test_engine_secagg_wrong_share_and_none_to_correct_it_stopped),
        SCENE_TEST(test_engine_secagg_seals_that_do_not_open_dealer_left_out_and_others_go_on),
        SCENE_TEST(test_engine_secagg_one_accuser_both_left_out_of_the_next_attempt),
        SCENE_TEST(test_engine_secagg_one_accuser_that_is_needed_is_asked_again),
        SCENE_TEST(test_engine_secagg_one_accuser_changes_nothing_when_enough_contribute),
        SCENE_TEST(test_engine_secagg_share_dealt_wrong_told_of_both_and_nobody_failed),
        SCENE_TEST(test_engine_secagg_key_of_two_sites_second_left_out_and_others_go_on),
        SCENE_TEST(test_engine_secagg_chain_of_events_put_back_that_site_left_out),
        SCENE_TEST(test_engine_secagg_batches_of_one_slot_made_ahead),
        SCENE_TEST(test_engine_secagg_one_batch_for_all_rounds_when_it_is_large_enough),
        SCENE_TEST(test_engine_secagg_too_few_keys_run_stopped_with_reasons),
        SCENE_TEST(test_engine_secagg_cancelled_sites_told),
    };
    return cmocka_run_group_tests(tests, NULL, given_record_tear_down);
}
