/* The airlock of private jobs under secure aggregation: what did not go through the job's mechanism does not leave, and what
 * leaves has its noise, once. */
#include "tests/unit/datasite/release_scene.h"

#include "crypto/privacy_plan.h"

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

static void test_share_of_another_mechanism_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->contribution.mechanism = JOB_DP_SGD;
    expect_wrong(scene, "another mechanism");
}

static void test_share_of_another_sample_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->contribution.sampling_rate = 0.75;
    expect_wrong(scene, "another sampling rate");
}

static void test_share_on_a_finer_grid_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->contribution.grid.bound++;
    expect_wrong(scene, "another noise multiplier or clip");
}

static void test_share_with_another_clip_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->contribution.grid.clip *= 2;
    expect_wrong(scene, "another noise multiplier or clip");
}

static void test_share_with_less_noise_on_counts_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->contribution.counts_grid.bound *= 2;
    expect_wrong(scene, "counts with another noise");
}

static void test_share_for_a_vector_with_another_grid_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->vector.noised.grid.bound *= 2;
    scene->contribution.grid.bound *= 2;
    expect_wrong(scene, "another vector");
}

static void test_share_of_more_counts_than_test_rows_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->confusion[0] += 1;
    expect_wrong(scene, "more counts");
}

static void test_share_with_fewer_declared_examples_than_the_owner_wants_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->site->policy.gate.output.min_rows = MASKED_EXAMPLES + 1;
    release_scene_refused(scene, ERROR_REFUSED, "declares fewer");
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

/* Whatever the true number is. */
static void test_share_of_few_true_rows_is_not_refused(void **state)
{
    struct release_scene *scene = *state;
    scene->site->policy.gate.output.min_rows = MASKED_EXAMPLES;
    scene->given.train_rows = 1;
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

/* With a threshold of t, n_c of whose sites tell their noise, what is left in the least sum is what the job says, and the
 * bound is rounded so that it is never less. */
static void test_share_least_sum_has_the_noise_of_the_job(void **state)
{
    struct release_scene *scene = *state;
    const struct job *job = scene->masked->job;
    uint32_t honest = job->secure.threshold - job->secure.tolerate_colluding;
    double left = noise_sigma(NOISE_SHARE) * noise_sigma(NOISE_SHARE) * (double)honest;
    double wanted = job->privacy.noise_multiplier * (double)scene->vector.noised.grid.bound;
    assert_int_equal(honest, privacy_plan_honest(job));
    assert_true(honest >= 2);
    assert_true(left >= wanted * wanted);
    assert_true(left < wanted * wanted * 1.0001);
}

int main(void)
{
#define NOISED(test) cmocka_unit_test_setup_teardown(test, release_scene_make_noised, release_scene_drop)
    const struct CMUnitTest tests[] = {
        NOISED(test_share_as_the_job_says_leaves_with_noise_on_every_word),
        NOISED(test_share_of_a_further_attempt_has_the_noise_of_the_first),
        NOISED(test_share_of_nothing_refused),
        NOISED(test_share_of_another_mechanism_refused),
        NOISED(test_share_of_another_sample_refused),
        NOISED(test_share_on_a_finer_grid_refused),
        NOISED(test_share_with_another_clip_refused),
        NOISED(test_share_with_less_noise_on_counts_refused),
        NOISED(test_share_for_a_vector_with_another_grid_refused),
        NOISED(test_share_of_more_counts_than_test_rows_refused),
        NOISED(test_share_with_fewer_declared_examples_than_the_owner_wants_refused),
        NOISED(test_share_with_less_privacy_than_the_owner_wants_refused),
        NOISED(test_share_of_few_true_rows_is_not_refused),
        cmocka_unit_test_setup_teardown(test_share_of_a_change_over_its_bound_refused,
                                        release_scene_make_site_level, release_scene_drop),
        cmocka_unit_test_setup_teardown(test_share_in_a_job_without_privacy_refused, release_scene_make,
                                        release_scene_drop),
        NOISED(test_share_least_sum_has_the_noise_of_the_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
