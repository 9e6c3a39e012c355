/* The airlock of private jobs under secure aggregation: what did not go through the job's mechanism does not leave, and what
 * leaves has its noise, once. */
#include "tests/unit/datasite/release_scene.h"

#include "datasite/budget.h"

static void expect_wrong(struct release_scene *scene, const char *what)
{
    release_scene_refused(scene, ERROR_INTERNAL, what);
}

static void test_share_as_the_job_says_leaves_with_noise_on_every_word(void **state)
{
    struct release_scene *scene = *state;
    uint64_t words[SITE_PARAMETERS + MASKED_CELLS];
    assert_int_equal(scene->vector.words, SITE_PARAMETERS + MASKED_CELLS); /* no word for a weight */
    must(release_scene_let_out(scene));
    assert_true(masked_vector(scene->masked, 1, 1, words, scene->vector.words));
    for (size_t i = 0; i < scene->vector.words; i++) {
        int64_t plain =
            i < SITE_PARAMETERS
                ? scene->values[i]
                : (int64_t)(scene->confusion[i - SITE_PARAMETERS] * scene->vector.noised.counts_grid.bound);
        double noise = (double)((int64_t)words[i] - plain);
        assert_true(noise != 0.0); /* one in 2^27 draws is */
        assert_true(noise < 12 * noise_sigma(NOISE_SHARE) && noise > -12 * noise_sigma(NOISE_SHARE));
    }
}

static void test_share_of_a_further_attempt_has_the_noise_of_the_first(void **state)
{
    struct release_scene *scene = *state;
    uint64_t first[SITE_PARAMETERS + MASKED_CELLS], second[SITE_PARAMETERS + MASKED_CELLS];
    must(release_scene_let_out(scene));
    assert_true(masked_vector(scene->masked, 1, 1, first, scene->vector.words));
    release_scene_attempt(scene, 1, 1);
    release_scene_refused(scene, ERROR_CONFLICT, "computed already"); /* noise drawn anew */
    scene->given.again = true;
    scene->given.contribution = NULL;
    must(release_scene_let_out(scene));
    assert_true(masked_vector(scene->masked, 1, 1, second, scene->vector.words));
    assert_memory_equal(first, second, sizeof(first));
}

static void test_share_of_nothing_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->given.contribution = NULL;
    expect_wrong(scene, "another kind of privacy");
    memset(&scene->vector.noised, 0,
           sizeof(scene->vector.noised)); /* as if the vector were one without noise */
    scene->vector.plan = (struct fixed_point){
        .ring = MASK_RING_64, .clip = 1, .max_examples = 10000, .sites = 4, .weighted = true};
    must(fixed_point_plan(&scene->vector.plan));
    scene->vector.counts--;
    scene->confusion[0] += scene->confusion[MASKED_CELLS - 1];
    expect_wrong(scene, "another kind of privacy");
}

/* Each field of the record, one after the other, as it was left by a mechanism that is not the job's. */
static void test_share_that_was_made_otherwise_than_the_job_says_refused(void **state)
{
    struct release_scene *scene = *state;
    const struct release_contribution said = scene->contribution;
    const struct secagg_vector vector = scene->vector;
    scene->contribution.mechanism = JOB_DP_SGD;
    expect_wrong(scene, "another mechanism");
    scene->contribution = said;
    scene->contribution.sampling_rate = 0.75;
    expect_wrong(scene, "another sampling rate");
    scene->contribution = said;
    scene->contribution.grid.bound++;
    expect_wrong(scene, "another noise multiplier or clip");
    scene->contribution = said;
    scene->contribution.grid.clip *= 2;
    expect_wrong(scene, "another noise multiplier or clip");
    scene->contribution = said;
    scene->contribution.grid.level = NOISE_LOCAL;
    expect_wrong(scene, "another noise multiplier or clip");
    scene->contribution = said;
    scene->contribution.counts_grid.bound *= 2;
    expect_wrong(scene, "counts with another noise");
    scene->contribution = said;
    scene->vector.noised.grid.bound *= 2; /* a vector and a contribution that agree with each other */
    scene->contribution.grid.bound *= 2;
    expect_wrong(scene, "another vector");
    scene->contribution = said;
    scene->vector = vector;
    scene->confusion[0]++;
    expect_wrong(scene, "more counts");
    scene->confusion[0]--;
    must(release_scene_let_out(scene));
}

static void
test_share_with_fewer_declared_examples_than_the_owner_wants_refused_whatever_is_true(void **state)
{
    struct release_scene *scene = *state;
    scene->site->policy.gate.output.min_rows = MASKED_EXAMPLES + 1;
    release_scene_refused(scene, ERROR_REFUSED, "declares fewer");
    scene->site->policy.gate.output.min_rows = MASKED_EXAMPLES; /* of however few true ones */
    scene->given.train_rows = 1;
    must(release_scene_let_out(scene));
}

/* The owner tightened the policy when everything was computed. */
static void test_share_with_less_privacy_than_the_owner_wants_refused(void **state)
{
    struct release_scene *scene = *state;
    struct policy_privacy *privacy = &scene->site->policy.gate.output.privacy;
    privacy->max_epsilon = 1e-6;
    release_scene_refused(scene, ERROR_REFUSED, "allows epsilon of at most 1e-06");
    *privacy = (struct policy_privacy){.min_noise = 1e6};
    release_scene_refused(scene, ERROR_REFUSED, "requires a noise_multiplier of at least 1e+06");
    *privacy = (struct policy_privacy){.max_delta = 1e-15};
    release_scene_refused(scene, ERROR_REFUSED, "allows a delta of at most 1e-15");
    *privacy = (struct policy_privacy){.mechanisms = 1u << (JOB_DP_SGD - 1)};
    release_scene_refused(scene, ERROR_REFUSED, "requires the mechanism dp-sgd");
    *privacy = (struct policy_privacy){.mechanisms = 1u << (JOB_DISTRIBUTED_DP - 1)};
    must(release_scene_let_out(scene));
}

static void test_share_of_a_change_over_its_bound_refused(void **state)
{
    struct release_scene *scene = *state;
    int64_t bound = (int64_t)scene->vector.noised.grid.bound;
    memset(scene->values, 0, sizeof(scene->values));
    scene->values[0] = bound;
    scene->values[1] = 1;
    expect_wrong(scene, "beyond its bound");
    scene->values[0] = INT64_MIN;
    expect_wrong(scene, "beyond its bound");
    scene->values[0] = -bound;
    scene->values[1] = 0;
    must(release_scene_let_out(scene));
}

static void test_share_in_a_job_without_privacy_refused(void **state)
{
    struct release_scene *scene = *state;
    int64_t values[1 + SITE_PARAMETERS + MASKED_CELLS] = {0};
    struct noise *noise = NULL;
    must(noise_open(&noise));
    scene->contribution =
        (struct release_contribution){.values = values, .confusion = scene->confusion, .noise = noise};
    scene->given.contribution = &scene->contribution;
    expect_wrong(scene, "another kind of privacy");
    noise_close(noise);
}

/* What was not counted before the rows were read does not leave: training and counts, each by itself. */
static void test_share_that_the_ledger_does_not_have_refused(void **state)
{
    struct release_scene *scene = *state;
    struct approval approval;
    release_scene_refused(scene, ERROR_REFUSED, "not begun");
    masked_approval(scene->masked, 1, &approval);
    must(budget_begin(scene->site->store, scene->site->identity, &approval, scene->site->run, 1,
                      BUDGET_TRAINING, SITE_NOW));
    release_scene_refused(scene, ERROR_REFUSED, "not begun");
    must(budget_begin(scene->site->store, scene->site->identity, &approval, scene->site->run, 1,
                      BUDGET_EVALUATION, SITE_NOW));
    approval_clear(&approval);
    must(release_scene_let_out(scene));
}

int main(void)
{
#define NOISED(test) cmocka_unit_test_setup_teardown(test, release_scene_make_noised, release_scene_drop)
    const struct CMUnitTest tests[] = {
        NOISED(test_share_as_the_job_says_leaves_with_noise_on_every_word),
        NOISED(test_share_of_a_further_attempt_has_the_noise_of_the_first),
        NOISED(test_share_of_nothing_refused),
        NOISED(test_share_that_was_made_otherwise_than_the_job_says_refused),
        NOISED(test_share_with_fewer_declared_examples_than_the_owner_wants_refused_whatever_is_true),
        NOISED(test_share_with_less_privacy_than_the_owner_wants_refused),
        cmocka_unit_test_setup_teardown(test_share_of_a_change_over_its_bound_refused,
                                        release_scene_make_site_level, release_scene_drop),
        cmocka_unit_test_setup_teardown(test_share_in_a_job_without_privacy_refused, release_scene_make,
                                        release_scene_drop),
        cmocka_unit_test_setup_teardown(test_share_that_the_ledger_does_not_have_refused,
                                        release_scene_make_unspent, release_scene_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
