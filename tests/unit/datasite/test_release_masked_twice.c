/* The airlock of secure aggregation by itself: rows, numbers, attempts and slots, each attacked once; and the ways out that
 * are closed to a job with it. */
#include "tests/unit/datasite/release_scene.h"

#include <math.h>

static const uint32_t first_three[] = {1, 2, 3};

/* ---- rows and numbers ---- */

static void test_masked_input_of_too_few_rows_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->given.train_rows = 99;
    release_scene_refused(scene, ERROR_REFUSED, "training rows");
    scene->given.train_rows = 2000;
    scene->site->policy.gate.output.min_rows = 1000;
    release_scene_refused(scene, ERROR_REFUSED, "test rows");
}

static void test_masked_input_of_more_rows_than_the_job_has_room_for_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->given.train_rows = 1000001;
    release_scene_refused(scene, ERROR_INVALID, "");
}

static void test_masked_input_that_is_not_finite_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->parameters[3] = NAN;
    release_scene_refused(scene, ERROR_NUMERIC, "");
}

static void test_masked_input_over_the_norm_bound_refused_in_every_attempt(void **state)
{
    struct release_scene *scene = *state;
    scene->site->policy.gate.output.max_update_norm = 0.1;
    release_scene_refused(scene, ERROR_NUMERIC, "norm bound");
    scene->site->policy.gate.output.max_update_norm = 1;
    must(release_scene_let_out(scene));
    release_scene_attempt(scene, 1, 1);
    scene->given.again = true;
    scene->site->policy.gate.output.max_update_norm = 0.1;
    release_scene_refused(scene, ERROR_NUMERIC, "norm bound");
    scene->site->policy.gate.output.max_update_norm = 1;
    must(release_scene_let_out(scene));
}

static void test_masked_input_with_counts_of_other_rows_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->confusion[0]++;
    release_scene_refused(scene, ERROR_INTERNAL, "more rows");
    scene->confusion[0] -= 2;
    release_scene_refused(scene, ERROR_INTERNAL, "fewer rows");
}

static void test_masked_input_over_the_byte_caps_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->site->policy.gate.output.max_update_bytes = 100;
    release_scene_refused(scene, ERROR_LIMIT, "100 bytes");
    scene->site->policy.gate.output.max_update_bytes = 1 << 20;
    scene->site->policy.gate.output.max_job_bytes = 500;
    must(release_scene_let_out(scene));
    release_scene_attempt(scene, 1, 1);
    scene->given.again = true;
    release_scene_refused(scene, ERROR_LIMIT, "together"); /* attempts count each */
}

/* ---- attempts and slots ---- */

static void test_masked_input_from_a_slot_that_served_refused(void **state)
{
    struct release_scene *scene = *state;
    must(release_scene_let_out(scene));
    release_scene_attempt(scene, 1, 0);
    scene->given.again = true;
    release_scene_refused(scene, ERROR_REFUSED, "Slot 0 is not open");
}

static void test_masked_input_of_the_same_attempt_from_another_slot_refused(void **state)
{
    struct release_scene *scene = *state;
    must(release_scene_let_out(scene));
    release_scene_attempt(scene, 0, 1);
    scene->given.again = true;
    release_scene_refused(scene, ERROR_REFUSED, "answered already");
}

static void test_masked_input_about_something_else_than_it_was_masked_for_refused(void **state)
{
    struct release_scene *scene = *state;
    struct digest other = scene->model;
    scene->context.attempt = 1;
    release_scene_refused(scene, ERROR_INTERNAL, "something else");
    scene->context.attempt = 0;
    scene->context.round = 2;
    release_scene_refused(scene, ERROR_INTERNAL, "something else");
    scene->context.round = 1;
    other.bytes[0] ^= 1;
    scene->context.model_digest = &other;
    release_scene_refused(scene, ERROR_INTERNAL, "something else");
    scene->context.model_digest = &scene->model;
    scene->given.position = 2;
    release_scene_refused(scene, ERROR_INTERNAL, "other sites");
}

static void test_masked_input_again_of_another_model_refused(void **state)
{
    struct release_scene *scene = *state;
    must(release_scene_let_out(scene));
    scene->model.bytes[0] ^= 1;
    release_scene_attempt(scene, 1, 1);
    scene->given.again = true;
    release_scene_refused(scene, ERROR_REFUSED, "another model");
}

static void test_masked_input_after_the_agreement_refused(void **state)
{
    struct release_scene *scene = *state;
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES] = {1}, signature[SIGNATURE_BYTES] = {2};
    must(release_scene_let_out(scene));
    must(store_secagg_agree(scene->site->store, &scene->site->job_id, scene->site->run, 1, 0,
                            (struct secagg_set){first_three, 3}, body, signature, NULL, 0));
    release_scene_attempt(scene, 1, 1);
    release_scene_refused(scene, ERROR_REFUSED, "one such statement a round");
    scene->given.again = true; /* the vector is gone */
    refused(release_scene_let_out(scene), ERROR_REFUSED, "");
}

/* Somebody took the round out of the file to have another vector computed. */
static void test_masked_input_of_a_round_whose_vector_was_removed_refused(void **state)
{
    struct release_scene *scene = *state;
    must(release_scene_let_out(scene));
    site_sql(scene->site, "DELETE FROM secagg_vector");
    site_sql(scene->site, "DELETE FROM secagg_round");
    release_scene_attempt(scene, 1, 1);
    release_scene_refused(scene, ERROR_REFUSED, "by this site's own events");
    site_sql(scene->site, "DELETE FROM delivery");
    site_sql(scene->site, "DELETE FROM answer");
    release_scene_refused(scene, ERROR_REFUSED, "by this site's own events");
}

/* ---- the other ways out ---- */

static void test_update_and_evaluation_of_a_job_with_secure_aggregation_refused(void **state)
{
    struct release_scene *scene = *state;
    struct release_update update = {.parameters = scene->parameters,
                                    .from = scene->from,
                                    .count = SITE_PARAMETERS,
                                    .train_rows = 2000,
                                    .test_rows = 936,
                                    .stopped = "converged"};
    struct release_outcome outcome;
    int64_t before = release_scene_changes(scene);
    refused(release_update(&scene->context, &update, &outcome), ERROR_REFUSED, "never in clear");
    refused(release_evaluation(&scene->context, scene->confusion, &outcome), ERROR_REFUSED, "never in clear");
    refused(release_failure(&scene->context, ANSWER_UPDATE, "no", &outcome), ERROR_REFUSED, "never in clear");
    assert_int_equal(release_scene_changes(scene), before);
}

static void test_failure_of_a_masked_step_spends_its_round(void **state)
{
    struct release_scene *scene = *state;
    struct release_outcome outcome;
    must(release_failure(&scene->context, ANSWER_MASKED_INPUT, "no", &outcome));
    free(outcome.body);
    release_scene_refused(scene, ERROR_REFUSED, "answered already");
    release_scene_attempt(scene, 1, 1);
    release_scene_refused(scene, ERROR_REFUSED, "by this site's own events");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, release_scene_make, release_scene_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
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
        TEST(test_update_and_evaluation_of_a_job_with_secure_aggregation_refused),
        TEST(test_failure_of_a_masked_step_spends_its_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
