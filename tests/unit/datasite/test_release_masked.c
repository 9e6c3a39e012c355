/* The airlock of secure aggregation by itself: what it is handed by a trainer that means well, and every check attacked
 * once. After each refusal the slot is open as before, no vector is stored, and nothing has left. */
#include "tests/unit/datasite/freed.h"
#include "tests/unit/datasite/masked_sites.h"

#include "datasite/release.h"
#include "datasite/store_release.h"

#include <math.h>

static const uint32_t everybody[] = {1, 2, 3, 4};
static const uint32_t first_three[] = {1, 2, 3};

/* What a trainer at site 1 would hand in, for round 1 of a job that pools metrics. */
struct scene {
    struct masked_sites *masked;
    struct site *site;
    struct dataset_info dataset;
    struct digest model;
    struct secagg_vector vector;
    struct secagg_attempt attempt;
    double from[SITE_PARAMETERS], parameters[SITE_PARAMETERS];
    uint64_t confusion[MASKED_CELLS];
    uint8_t sealed[3 * SECAGG_SEALED_BYTES];
    struct release_context context;
    struct release_masked given;
};

static void scene_attempt(struct scene *scene, uint32_t attempt, uint32_t slot)
{
    must(secagg_vector_plan(scene->masked->job, SITE_FEATURES, SITE_CLASSES, 1, &scene->vector));
    must(secagg_attempt_make(scene->masked->keyset, slot, 1, attempt, (struct secagg_set){everybody, 4},
                             &scene->model, scene->vector.plan.ring, scene->vector.words, &scene->attempt));
    scene->context.attempt = attempt;
}

static void scene_fill(struct scene *scene)
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
    scene_attempt(scene, 0, 0);
}

static int make(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    void *masked = NULL;
    assert_non_null(scene);
    assert_int_equal(masked_make(&masked), 0);
    scene->masked = masked;
    masked_begin(scene->masked, &(struct masked_words){.metrics = "pooled"});
    scene->site = scene->masked->sites[0];
    scene->model = masked_zeros();
    must(store_dataset_find(scene->site->store, "made", &scene->dataset));
    scene_fill(scene);
    *state = scene;
    return 0;
}

static int drop(void **state)
{
    struct scene *scene = *state;
    void *masked = scene->masked;
    assert_int_equal(masked_remove(&masked), 0);
    free(scene);
    return 0;
}

static struct error *let_out(struct scene *scene)
{
    struct release_outcome outcome = {.body = NULL};
    struct error *err = release_masked_input(&scene->context, &scene->given, &outcome);
    free(outcome.body);
    return err;
}

/* Everything that one release changes. */
static int64_t scene_changes(struct scene *scene)
{
    return site_released(scene->site) + site_count(scene->site, "SELECT count(*) FROM secagg_round") +
           site_count(scene->site, "SELECT count(*) FROM secagg_vector") +
           site_count(scene->site, "SELECT count(*) FROM secagg_slot WHERE state <> 'open'");
}

static void expect_refused(struct scene *scene, enum error_code code, const char *words)
{
    int64_t before = scene_changes(scene);
    refused(let_out(scene), code, words);
    assert_int_equal(scene_changes(scene), before);
    assert_false(store_in_transaction(scene->site->store));
}

/* ---- what leaves ---- */

static void test_masked_input_leaves_with_a_receipt_of_its_kind(void **state)
{
    struct scene *scene = *state;
    struct release_outcome outcome;
    struct receipt receipt;
    Fds__Released *released = NULL;
    struct secagg_slot slot;
    must(release_masked_input(&scene->context, &scene->given, &outcome));
    must(wire_released_decode(outcome.body, outcome.bytes, &released));
    assert_int_equal(released->type, FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT);
    must(receipt_take(released->receipt, &receipt));
    must(receipt_verify_release(&receipt, identity_id(scene->site->identity), &scene->site->job_id,
                                scene->site->run, 1, RECEIPT_MASKED_INPUT, released->body.data,
                                released->body.len));
    assert_string_equal(receipt.protections, "secure-aggregation t 3 of 4; min-rows 100; min-cell 0");
    must(store_secagg_slot(scene->site->store, scene->site->run, 0, &slot));
    assert_int_equal(slot.state, SECAGG_SLOT_BOUND);
    assert_true(digest_equal(&slot.context, &scene->attempt.context));
    assert_int_equal(slot.sealed_bytes, sizeof(scene->sealed));
    assert_int_equal(site_count(scene->site, "SELECT last_round FROM run"), 1);
    secagg_slot_clear(&slot);
    wire_released_free(released);
    free(outcome.body);
}

/* Each word is under a mask of its own: by chance alone one would stay with probability 2^-64. */
static void test_masked_input_has_no_word_of_the_vector(void **state)
{
    struct scene *scene = *state;
    struct release_outcome outcome;
    Fds__Released *released = NULL;
    Fds__MaskedInput *input = NULL;
    uint64_t vector[1 + SITE_PARAMETERS + MASKED_CELLS], masked[1 + SITE_PARAMETERS + MASKED_CELLS];
    must(release_masked_input(&scene->context, &scene->given, &outcome));
    must(wire_released_decode(outcome.body, outcome.bytes, &released));
    must(wire_masked_input_decode(released->body.data, released->body.len, &input));
    assert_true(masked_vector(scene->masked, 1, 1, vector, scene->vector.words));
    mask_read(MASK_RING_64, input->words.data, scene->vector.words, masked);
    assert_int_equal(vector[0], 2000);
    assert_memory_equal(vector + 1 + SITE_PARAMETERS, scene->confusion, sizeof(scene->confusion));
    for (size_t i = 0; i < scene->vector.words; i++)
        assert_true(vector[i] != masked[i]);
    wire_masked_input_free(input);
    wire_released_free(released);
    free(outcome.body);
}

static void test_masked_input_again_is_the_stored_vector(void **state)
{
    struct scene *scene = *state;
    uint64_t first[1 + SITE_PARAMETERS + MASKED_CELLS], second[1 + SITE_PARAMETERS + MASKED_CELLS];
    must(let_out(scene));
    assert_true(masked_vector(scene->masked, 1, 1, first, scene->vector.words));
    scene_attempt(scene, 1, 1);
    expect_refused(scene, ERROR_CONFLICT, "computed already"); /* as if it were the first */
    scene->given.again = true;
    scene->given.parameters = NULL;
    scene->given.from = NULL;
    scene->given.confusion = NULL;
    must(let_out(scene));
    assert_true(masked_vector(scene->masked, 1, 1, second, scene->vector.words));
    assert_memory_equal(first, second, sizeof(first));
}

/* ---- what the owner and the policy say ---- */

static void approve_otherwise(struct scene *scene, const struct approval_limits *limits)
{
    char text[SITE_JOB_BYTES];
    struct job_record record = {.bytes = NULL};
    struct run_record run;
    masked_text(scene->masked, &(struct masked_words){.name = "otherwise", .metrics = "pooled"}, text);
    site_expect_state(site_submit(scene->site, text), FDS__JOB_STATE__JOB_PENDING);
    must(store_job_find(scene->site->store, &scene->site->job_id, &record));
    must(approval_give(scene->site->store, scene->site->identity, &record, limits, "owner", "", SITE_NOW));
    job_record_clear(&record);
    scene->site->run[0] = 7;
    must(store_run_begin(scene->site->store, &scene->site->job_id, scene->site->run, SITE_NOW, &run));
}

static void test_masked_input_that_would_be_held_refused(void **state)
{
    struct scene *scene = *state;
    struct release_context context = scene->context;
    approve_otherwise(scene, &(struct approval_limits){.hold = HOLD_FINAL});
    refused(release_foresee(&context, ANSWER_MASKED_INPUT), ERROR_REFUSED, "nothing to look at");
}

static void test_masked_input_of_an_approval_for_two_runs_refused(void **state)
{
    struct scene *scene = *state;
    struct release_context context = scene->context;
    approve_otherwise(scene, &(struct approval_limits){.runs = 2});
    refused(release_foresee(&context, ANSWER_MASKED_INPUT), ERROR_REFUSED, "2 runs");
}

static void test_masked_input_of_an_evaluation_when_not_all_rounds_are_approved_refused(void **state)
{
    struct scene *scene = *state;
    struct release_context context = scene->context;
    approve_otherwise(scene, &(struct approval_limits){.rounds = 2});
    context.round = 3;
    refused(release_foresee(&context, ANSWER_MASKED_INPUT), ERROR_REFUSED, "outside the 2 rounds");
    context.round = 4; /* the job's evaluation */
    refused(release_foresee(&context, ANSWER_MASKED_INPUT), ERROR_REFUSED, "outside the 2 rounds");
}

static void test_masked_input_with_small_cells_withheld_refused(void **state)
{
    struct scene *scene = *state;
    scene->site->policy.gate.output.min_cell = 1;
    expect_refused(scene, ERROR_REFUSED, "min_cell");
}

static void test_masked_input_with_counts_that_may_not_leave_refused(void **state)
{
    struct scene *scene = *state;
    scene->site->policy.gate.output.metrics = POLICY_METRIC_EXAMPLES;
    expect_refused(scene, ERROR_REFUSED, "no counts");
}

static void test_masked_input_weighted_by_rows_that_may_not_leave_refused(void **state)
{
    struct scene *scene = *state;
    scene->site->policy.gate.output.metrics = POLICY_METRIC_CONFUSION;
    expect_refused(scene, ERROR_REFUSED, "weighting: equal");
}

static void test_masked_input_with_a_stranger_in_the_roster_refused(void **state)
{
    struct scene *scene = *state;
    scene->site->policy.gate.partner_count--;
    expect_refused(scene, ERROR_REFUSED, "partner");
}

static void test_masked_input_below_the_threshold_of_the_policy_refused(void **state)
{
    struct scene *scene = *state;
    scene->site->policy.gate.secure.min_threshold = 4;
    expect_refused(scene, ERROR_REFUSED, "threshold");
}

static void test_masked_input_with_too_few_organisations_refused(void **state)
{
    struct scene *scene = *state;
    must(secagg_attempt_make(scene->masked->keyset, 0, 1, 0, (struct secagg_set){first_three, 3},
                             &scene->model, scene->vector.plan.ring, scene->vector.words, &scene->attempt));
    scene->site->policy.gate.secure.min_organisations = 4;
    expect_refused(scene, ERROR_REFUSED, "organisations");
}

static void test_masked_input_after_revocation_refused(void **state)
{
    struct scene *scene = *state;
    site_withhold(scene->site, DECISION_REVOKE);
    refused(let_out(scene), ERROR_REFUSED, "");
}

static void test_masked_input_after_the_run_refused(void **state)
{
    struct scene *scene = *state;
    must(store_run_end(scene->site->store, &scene->site->job_id, scene->site->run, "stopped", 0, SITE_NOW));
    refused(let_out(scene), ERROR_REFUSED, "");
}

/* ---- rows and numbers ---- */

static void test_masked_input_of_too_few_rows_refused(void **state)
{
    struct scene *scene = *state;
    scene->given.train_rows = 99;
    expect_refused(scene, ERROR_REFUSED, "training rows");
    scene->given.train_rows = 2000;
    scene->site->policy.gate.output.min_rows = 1000;
    expect_refused(scene, ERROR_REFUSED, "test rows");
}

static void test_masked_input_of_more_rows_than_the_job_has_room_for_refused(void **state)
{
    struct scene *scene = *state;
    scene->given.train_rows = 1000001;
    expect_refused(scene, ERROR_INVALID, "");
}

static void test_masked_input_that_is_not_finite_refused(void **state)
{
    struct scene *scene = *state;
    scene->parameters[3] = NAN;
    expect_refused(scene, ERROR_NUMERIC, "");
}

static void test_masked_input_over_the_norm_bound_refused_in_every_attempt(void **state)
{
    struct scene *scene = *state;
    scene->site->policy.gate.output.max_update_norm = 0.1;
    expect_refused(scene, ERROR_NUMERIC, "norm bound");
    scene->site->policy.gate.output.max_update_norm = 1;
    must(let_out(scene));
    scene_attempt(scene, 1, 1);
    scene->given.again = true;
    scene->site->policy.gate.output.max_update_norm = 0.1;
    expect_refused(scene, ERROR_REFUSED, "norm bound");
    scene->site->policy.gate.output.max_update_norm = 1;
    must(let_out(scene));
}

static void test_masked_input_with_counts_of_other_rows_refused(void **state)
{
    struct scene *scene = *state;
    scene->confusion[0]++;
    expect_refused(scene, ERROR_INTERNAL, "more rows");
    scene->confusion[0] -= 2;
    expect_refused(scene, ERROR_INTERNAL, "fewer rows");
}

static void test_masked_input_over_the_byte_caps_refused(void **state)
{
    struct scene *scene = *state;
    scene->site->policy.gate.output.max_update_bytes = 100;
    expect_refused(scene, ERROR_LIMIT, "100 bytes");
    scene->site->policy.gate.output.max_update_bytes = 1 << 20;
    scene->site->policy.gate.output.max_job_bytes = 500;
    must(let_out(scene));
    scene_attempt(scene, 1, 1);
    scene->given.again = true;
    expect_refused(scene, ERROR_LIMIT, "together"); /* attempts count each */
}

/* ---- attempts and slots ---- */

static void test_masked_input_from_a_slot_that_served_refused(void **state)
{
    struct scene *scene = *state;
    must(let_out(scene));
    scene_attempt(scene, 1, 0);
    scene->given.again = true;
    expect_refused(scene, ERROR_REFUSED, "Slot 0 is not open");
}

static void test_masked_input_of_the_same_attempt_from_another_slot_refused(void **state)
{
    struct scene *scene = *state;
    must(let_out(scene));
    scene_attempt(scene, 0, 1);
    scene->given.again = true;
    expect_refused(scene, ERROR_REFUSED, "answered already");
}

static void test_masked_input_about_something_else_than_it_was_masked_for_refused(void **state)
{
    struct scene *scene = *state;
    struct digest other = scene->model;
    scene->context.attempt = 1;
    expect_refused(scene, ERROR_INTERNAL, "something else");
    scene->context.attempt = 0;
    scene->context.round = 2;
    expect_refused(scene, ERROR_INTERNAL, "something else");
    scene->context.round = 1;
    other.bytes[0] ^= 1;
    scene->context.model_digest = &other;
    expect_refused(scene, ERROR_INTERNAL, "something else");
    scene->context.model_digest = &scene->model;
    scene->given.position = 2;
    expect_refused(scene, ERROR_INTERNAL, "other sites");
}

static void test_masked_input_again_of_another_model_refused(void **state)
{
    struct scene *scene = *state;
    must(let_out(scene));
    scene->model.bytes[0] ^= 1;
    scene_attempt(scene, 1, 1);
    scene->given.again = true;
    expect_refused(scene, ERROR_REFUSED, "another model");
}

static void test_masked_input_after_the_agreement_refused(void **state)
{
    struct scene *scene = *state;
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES] = {1}, signature[SIGNATURE_BYTES] = {2};
    must(let_out(scene));
    must(store_secagg_agree(scene->site->store, &scene->site->job_id, scene->site->run, 1, 0,
                            (struct secagg_set){first_three, 3}, body, signature));
    scene_attempt(scene, 1, 1);
    expect_refused(scene, ERROR_REFUSED, "one such statement a round");
    scene->given.again = true; /* the vector is gone */
    refused(let_out(scene), ERROR_REFUSED, "");
}

/* Somebody took the round out of the file to have another vector computed. */
static void test_masked_input_of_a_round_whose_vector_was_removed_refused(void **state)
{
    struct scene *scene = *state;
    must(let_out(scene));
    site_sql(scene->site, "DELETE FROM secagg_vector");
    site_sql(scene->site, "DELETE FROM secagg_round");
    scene_attempt(scene, 1, 1);
    expect_refused(scene, ERROR_REFUSED, "by this site's own events");
    site_sql(scene->site, "DELETE FROM delivery");
    site_sql(scene->site, "DELETE FROM answer");
    expect_refused(scene, ERROR_REFUSED, "by this site's own events");
}

/* ---- what is left in memory ---- */

/* The keys of a slot, and the words of the change: counts are small numbers, which are everywhere. */
static void look_for_secrets(struct scene *scene, uint32_t slot)
{
    uint64_t words[1 + SITE_PARAMETERS + MASKED_CELLS];
    must(secagg_vector_encode(&scene->vector, scene->from, scene->parameters, scene->confusion, 2000, words));
    freed_reset();
    freed_look_for(&scene->masked->secrets[0][slot], sizeof(scene->masked->secrets[0][slot]));
    freed_look_for(words + 1, SITE_PARAMETERS * sizeof(*words));
}

static void test_masked_input_leaves_no_secret_in_freed_memory(void **state)
{
    struct scene *scene = *state;
    struct secagg_slot *careless = calloc(1, sizeof(*careless));
    assert_non_null(careless);
    look_for_secrets(scene, 0);
    careless->secret = scene->masked->secrets[0][0];
    free(careless);
    assert_int_equal(freed_found(), 1); /* it would be seen */
    look_for_secrets(scene, 0);
    must(let_out(scene));
    assert_int_equal(freed_found(), 0);
    scene_attempt(scene, 1, 1);
    scene->given.again = true;
    look_for_secrets(scene, 1);
    must(let_out(scene));
    assert_int_equal(freed_found(), 0);
}

static void test_masked_input_that_is_refused_leaves_no_secret_in_freed_memory(void **state)
{
    struct scene *scene = *state;
    struct policy_output *output = &scene->site->policy.gate.output;
    look_for_secrets(scene, 0);
    output->max_update_norm = 1e-3;
    expect_refused(scene, ERROR_NUMERIC, "norm bound");
    output->max_update_norm = 0;
    output->max_update_bytes = 10; /* the last check before the write */
    expect_refused(scene, ERROR_LIMIT, "10 bytes");
    output->max_update_bytes = 1 << 20;
    scene->given.position = 5; /* the masks fail */
    refused(let_out(scene), ERROR_INVALID, "");
    scene->given.position = 1;
    assert_int_equal(freed_found(), 0);
    must(let_out(scene));
    scene_attempt(scene, 1, 0);
    scene->given.again = true;
    expect_refused(scene, ERROR_REFUSED, "not open");
    assert_int_equal(freed_found(), 0);
}

/* ---- the other ways out ---- */

static void test_update_and_evaluation_of_a_job_with_secure_aggregation_refused(void **state)
{
    struct scene *scene = *state;
    struct release_update update = {.parameters = scene->parameters,
                                    .from = scene->from,
                                    .count = SITE_PARAMETERS,
                                    .train_rows = 2000,
                                    .test_rows = 936,
                                    .stopped = "converged"};
    struct release_outcome outcome;
    int64_t before = scene_changes(scene);
    refused(release_update(&scene->context, &update, &outcome), ERROR_REFUSED, "never in clear");
    refused(release_evaluation(&scene->context, scene->confusion, &outcome), ERROR_REFUSED, "never in clear");
    refused(release_failure(&scene->context, ANSWER_UPDATE, "no", &outcome), ERROR_REFUSED, "never in clear");
    assert_int_equal(scene_changes(scene), before);
}

static void test_failure_of_a_masked_step_spends_its_round(void **state)
{
    struct scene *scene = *state;
    struct release_outcome outcome;
    must(release_failure(&scene->context, ANSWER_MASKED_INPUT, "no", &outcome));
    free(outcome.body);
    expect_refused(scene, ERROR_REFUSED, "answered already");
    scene_attempt(scene, 1, 1);
    expect_refused(scene, ERROR_REFUSED, "by this site's own events");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_masked_input_leaves_with_a_receipt_of_its_kind),
        TEST(test_masked_input_has_no_word_of_the_vector),
        TEST(test_masked_input_again_is_the_stored_vector),
        TEST(test_masked_input_that_would_be_held_refused),
        TEST(test_masked_input_of_an_approval_for_two_runs_refused),
        TEST(test_masked_input_of_an_evaluation_when_not_all_rounds_are_approved_refused),
        TEST(test_masked_input_with_small_cells_withheld_refused),
        TEST(test_masked_input_with_counts_that_may_not_leave_refused),
        TEST(test_masked_input_weighted_by_rows_that_may_not_leave_refused),
        TEST(test_masked_input_with_a_stranger_in_the_roster_refused),
        TEST(test_masked_input_below_the_threshold_of_the_policy_refused),
        TEST(test_masked_input_with_too_few_organisations_refused),
        TEST(test_masked_input_after_revocation_refused),
        TEST(test_masked_input_after_the_run_refused),
        TEST(test_masked_input_of_too_few_rows_refused),
        TEST(test_masked_input_of_more_rows_than_the_job_has_room_for_refused),
        TEST(test_masked_input_that_is_not_finite_refused),
        TEST(test_masked_input_over_the_norm_bound_refused_in_every_attempt),
        TEST(test_masked_input_with_counts_of_other_rows_refused),
        TEST(test_masked_input_over_the_byte_caps_refused),
        TEST(test_masked_input_from_a_slot_that_served_refused),
        TEST(test_masked_input_of_the_same_attempt_from_another_slot_refused),
        TEST(test_masked_input_about_something_else_than_it_was_masked_for_refused),
        TEST(test_masked_input_again_of_another_model_refused),
        TEST(test_masked_input_after_the_agreement_refused),
        TEST(test_masked_input_of_a_round_whose_vector_was_removed_refused),
        TEST(test_masked_input_leaves_no_secret_in_freed_memory),
        TEST(test_masked_input_that_is_refused_leaves_no_secret_in_freed_memory),
        TEST(test_update_and_evaluation_of_a_job_with_secure_aggregation_refused),
        TEST(test_failure_of_a_masked_step_spends_its_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
