/* The airlock of secure aggregation by itself: what leaves, what it needs of the owner and the policy, and what it leaves in
 * memory. After each refusal the slot is open as before, no vector is stored, and nothing has left. */
#include "tests/unit/datasite/freed.h"
#include "tests/unit/datasite/release_scene.h"

#include "datasite/store_release.h"

static const uint32_t first_three[] = {1, 2, 3};

/* ---- what leaves ---- */

static void test_masked_input_leaves_with_a_receipt_of_its_kind(void **state)
{
    struct release_scene *scene = *state;
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
    struct release_scene *scene = *state;
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
    struct release_scene *scene = *state;
    uint64_t first[1 + SITE_PARAMETERS + MASKED_CELLS], second[1 + SITE_PARAMETERS + MASKED_CELLS];
    must(release_scene_let_out(scene));
    assert_true(masked_vector(scene->masked, 1, 1, first, scene->vector.words));
    release_scene_attempt(scene, 1, 1);
    release_scene_refused(scene, ERROR_CONFLICT, "computed already"); /* as if it were the first */
    scene->given.again = true;
    scene->given.parameters = NULL;
    scene->given.from = NULL;
    scene->given.confusion = NULL;
    must(release_scene_let_out(scene));
    assert_true(masked_vector(scene->masked, 1, 1, second, scene->vector.words));
    assert_memory_equal(first, second, sizeof(first));
}

/* ---- what the owner and the policy say ---- */

static void approve_otherwise(struct release_scene *scene, const struct approval_limits *limits)
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
    struct release_scene *scene = *state;
    struct release_context context = scene->context;
    approve_otherwise(scene, &(struct approval_limits){.hold = HOLD_FINAL});
    refused(release_foresee(&context, ANSWER_MASKED_INPUT), ERROR_REFUSED, "nothing to look at");
}

static void test_masked_input_of_an_approval_for_two_runs_refused(void **state)
{
    struct release_scene *scene = *state;
    struct release_context context = scene->context;
    approve_otherwise(scene, &(struct approval_limits){.runs = 2});
    refused(release_foresee(&context, ANSWER_MASKED_INPUT), ERROR_REFUSED, "2 runs");
}

static void test_masked_input_of_an_evaluation_when_not_all_rounds_are_approved_refused(void **state)
{
    struct release_scene *scene = *state;
    struct release_context context = scene->context;
    approve_otherwise(scene, &(struct approval_limits){.rounds = 2});
    context.round = 3;
    refused(release_foresee(&context, ANSWER_MASKED_INPUT), ERROR_REFUSED, "outside the 2 rounds");
    context.round = 4; /* the job's evaluation */
    refused(release_foresee(&context, ANSWER_MASKED_INPUT), ERROR_REFUSED, "outside the 2 rounds");
}

static void test_masked_input_with_small_cells_withheld_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->site->policy.gate.output.min_cell = 1;
    release_scene_refused(scene, ERROR_REFUSED, "min_cell");
}

static void test_masked_input_with_counts_that_may_not_leave_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->site->policy.gate.output.metrics = POLICY_METRIC_EXAMPLES;
    release_scene_refused(scene, ERROR_REFUSED, "no counts");
}

static void test_masked_input_weighted_by_rows_that_may_not_leave_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->site->policy.gate.output.metrics = POLICY_METRIC_CONFUSION;
    release_scene_refused(scene, ERROR_REFUSED, "weighting: equal");
}

static void test_masked_input_with_a_stranger_in_the_roster_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->site->policy.gate.partner_count--;
    release_scene_refused(scene, ERROR_REFUSED, "partner");
}

static void test_masked_input_below_the_threshold_of_the_policy_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->site->policy.gate.secure.min_threshold = 4;
    release_scene_refused(scene, ERROR_REFUSED, "threshold");
}

static void test_masked_input_of_outsize_weights_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->site->policy.gate.secure.max_examples = scene->masked->job->secure.max_examples - 1;
    release_scene_refused(scene, ERROR_REFUSED, "max_examples");
}

static void test_masked_input_of_a_job_without_checked_sums_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->site->policy.gate.secure.require_verify_sum = true;
    release_scene_refused(scene, ERROR_REFUSED, "require_verify_sum");
}

static void test_masked_input_with_too_few_organisations_refused(void **state)
{
    struct release_scene *scene = *state;
    must(secagg_attempt_make(scene->masked->keyset, 0, 1, 0, (struct secagg_set){first_three, 3},
                             &scene->model, scene->vector.plan.ring, scene->vector.words, &scene->attempt));
    scene->site->policy.gate.secure.min_organisations = 4;
    release_scene_refused(scene, ERROR_REFUSED, "organisations");
}

static void test_masked_input_after_revocation_refused(void **state)
{
    struct release_scene *scene = *state;
    site_withhold(scene->site, DECISION_REVOKE);
    refused(release_scene_let_out(scene), ERROR_REFUSED, "");
}

static void test_masked_input_after_the_run_refused(void **state)
{
    struct release_scene *scene = *state;
    must(store_run_end(scene->site->store, &scene->site->job_id, scene->site->run, "stopped", 0, SITE_NOW));
    refused(release_scene_let_out(scene), ERROR_REFUSED, "");
}

/* ---- what is left in memory ---- */

/* The keys of a slot, and the words of the change: counts are small numbers, which are everywhere. */
static void look_for_secrets(struct release_scene *scene, uint32_t slot)
{
    uint64_t words[1 + SITE_PARAMETERS + MASKED_CELLS];
    must(secagg_vector_encode(&scene->vector, scene->from, scene->parameters, scene->confusion, 2000, words));
    freed_reset();
    freed_look_for(&scene->masked->secrets[0][slot], sizeof(scene->masked->secrets[0][slot]));
    freed_look_for(words + 1, SITE_PARAMETERS * sizeof(*words));
}

static void test_masked_input_leaves_no_secret_in_freed_memory(void **state)
{
    struct release_scene *scene = *state;
    struct secagg_slot *careless = calloc(1, sizeof(*careless));
    assert_non_null(careless);
    look_for_secrets(scene, 0);
    careless->secret = scene->masked->secrets[0][0];
    __asm__ volatile("" : : "r"(careless) : "memory"); /* so that the compiler writes what nobody reads */
    free(careless);
    assert_int_equal(freed_found(), 1); /* it would be seen */
    look_for_secrets(scene, 0);
    must(release_scene_let_out(scene));
    assert_int_equal(freed_found(), 0);
    release_scene_attempt(scene, 1, 1);
    scene->given.again = true;
    look_for_secrets(scene, 1);
    must(release_scene_let_out(scene));
    assert_int_equal(freed_found(), 0);
}

static void test_masked_input_that_is_refused_leaves_no_secret_in_freed_memory(void **state)
{
    struct release_scene *scene = *state;
    struct policy_output *output = &scene->site->policy.gate.output;
    look_for_secrets(scene, 0);
    output->max_update_norm = 1e-3;
    release_scene_refused(scene, ERROR_NUMERIC, "norm bound");
    output->max_update_norm = 0;
    output->max_update_bytes = 10; /* the last check before the write */
    release_scene_refused(scene, ERROR_LIMIT, "10 bytes");
    output->max_update_bytes = 1 << 20;
    scene->given.position = 5; /* the masks fail */
    refused(release_scene_let_out(scene), ERROR_INVALID, "");
    scene->given.position = 1;
    assert_int_equal(freed_found(), 0);
    must(release_scene_let_out(scene));
    release_scene_attempt(scene, 1, 0);
    scene->given.again = true;
    release_scene_refused(scene, ERROR_REFUSED, "not open");
    assert_int_equal(freed_found(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, release_scene_make, release_scene_drop)

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
        TEST(test_masked_input_of_outsize_weights_refused),
        cmocka_unit_test_setup_teardown(test_masked_input_of_a_job_without_checked_sums_refused,
                                        release_scene_make_unchecked, release_scene_drop),
        TEST(test_masked_input_with_too_few_organisations_refused),
        TEST(test_masked_input_after_revocation_refused),
        TEST(test_masked_input_after_the_run_refused),
        TEST(test_masked_input_leaves_no_secret_in_freed_memory),
        TEST(test_masked_input_that_is_refused_leaves_no_secret_in_freed_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
