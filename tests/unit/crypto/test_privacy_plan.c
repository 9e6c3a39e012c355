/* What of a job's delta is left for the accountant: the sampler's distance is charged as often as e^epsilon says. */
#include "crypto/privacy_plan.h"

#include "scratch.h"

#include <math.h>

static struct job plan_job(double noise, uint32_t rounds, bool shared)
{
    struct job job = {.rounds = rounds};
    job.privacy = (struct job_privacy){.mechanism = shared ? JOB_DISTRIBUTED_DP : JOB_DP_SGD,
                                       .clip = 1,
                                       .noise_multiplier = noise,
                                       .delta = 1e-5,
                                       .sampling_rate = 1,
                                       .steps = 1};
    job.secure.enabled = shared;
    return job;
}

static double bare_epsilon(enum privacy_accountant accountant, const struct job *job)
{
    struct privacy_event event = {job->privacy.noise_multiplier, 1, job->rounds};
    double epsilon = 0;
    succeeds(privacy_epsilon(accountant, &event, 1, job->privacy.delta, &epsilon));
    return epsilon;
}

static void test_privacy_plan_epsilon_is_hardly_above_the_accountants(void **state)
{
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        struct job job = plan_job(2, 10, shared == 1);
        double epsilon = 0, bare = bare_epsilon(PRIVACY_PLD, &job);
        succeeds(privacy_plan_epsilon(&job, PRIVACY_PLD, 10, 0, &epsilon));
        assert_true(epsilon > bare && epsilon < bare + 1e-4);
    }
}

/* A promise whose e^epsilon is more than the sampler is exact is none, whoever asks: also the quick accountant. */
static void test_attack_privacy_plan_epsilon_beyond_the_sampler_is_refused(void **state)
{
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        struct job job = plan_job(0.3, 10, shared == 1);
        double epsilon = 0;
        assert_true(bare_epsilon(PRIVACY_RDP, &job) > 60);
        fails_saying(privacy_plan_epsilon(&job, PRIVACY_PLD, 10, 0, &epsilon), ERROR_LIMIT, "More noise");
        fails_saying(privacy_plan_epsilon(&job, PRIVACY_RDP, 10, 0, &epsilon), ERROR_LIMIT, "More noise");
        assert_true(epsilon == 0);
        job.privacy.target_epsilon = 80;
        fails_saying(privacy_plan_calibrate(&job, &epsilon), ERROR_LIMIT, "More noise");
    }
}

/* Where a thousand sites' samplers count, less epsilon is promised than where one's does. */
static void test_attack_privacy_plan_many_samplers_count(void **state)
{
    (void)state;
    double epsilon = 0;
    struct job alone = plan_job(0.62, 10, false), together = plan_job(0.62, 10, true);
    double bound = bare_epsilon(PRIVACY_RDP, &alone);
    assert_true(bound > 30 && bound < 42);
    succeeds(privacy_plan_epsilon(&alone, PRIVACY_PLD, 10, 0, &epsilon));
    fails_saying(privacy_plan_epsilon(&together, PRIVACY_PLD, 10, 0, &epsilon), ERROR_LIMIT, "More noise");
}

/* Noise that was computed for a target holds it when it is checked, also where the bound on epsilon is above the target. */
static void test_privacy_plan_calibrated_noise_passes_the_check(void **state)
{
    (void)state;
    static const double targets[] = {2, 12};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        struct job job = plan_job(0, 20, i % 2 == 1);
        double noise = 0;
        job.privacy.target_epsilon = targets[i];
        succeeds(privacy_plan_calibrate(&job, &noise));
        job.privacy.noise_multiplier = noise;
        succeeds(privacy_plan_check(&job));
        job.privacy.noise_multiplier = noise * 0.999;
        fails_saying(privacy_plan_check(&job), ERROR_INVALID, "target_epsilon");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_privacy_plan_epsilon_is_hardly_above_the_accountants),
        cmocka_unit_test(test_attack_privacy_plan_epsilon_beyond_the_sampler_is_refused),
        cmocka_unit_test(test_attack_privacy_plan_many_samplers_count),
        cmocka_unit_test(test_privacy_plan_calibrated_noise_passes_the_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
