/* What a policy asks of privacy: rules that match private jobs, bounds of rules and of output rules. */
#include "schemas/policy.h"
#include "tests/unit/schemas/refusal.h"

#include <math.h>

#define ASKS "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define RULE "rules: [{name: r1, action: approve, requesters: [\"" ASKS "\"], max_rounds: 9"

static struct job private_job(void)
{
    return (struct job){.dataset = "mnist",
                        .model = JOB_SOFTMAX_REGRESSION,
                        .optimizer = JOB_SGD,
                        .batch_size = 64,
                        .local_epochs = 1,
                        .metrics = JOB_METRICS_NONE,
                        .rounds = 5,
                        .min_sites = 2,
                        .site_count = 2,
                        .privacy = {.mechanism = JOB_DP_SGD,
                                    .clip = 1,
                                    .noise_multiplier = 2,
                                    .delta = 1e-5,
                                    .sampling_rate = 0.1,
                                    .steps = 40}};
}

static struct policy *parsed(const char *text)
{
    struct policy *policy = NULL;
    assert_done(policy_parse(text, strlen(text), "policy.yaml", &policy));
    return policy;
}

static void expect_decision(const char *text, const struct job *job, double epsilon,
                            enum policy_action action, const char *words)
{
    struct policy *policy = parsed(text);
    struct policy_facts facts = {.requester = ASKS, .requests_today = 1, .epsilon = epsilon};
    struct policy_decision decision;
    policy_decide(policy, job, &facts, &decision);
    if (decision.action != action || strstr(decision.reason, words) == NULL)
        fail_msg("%s: \"%s\" is not in \"%s\"", text, words, decision.reason);
    policy_free(policy);
}

static void test_policy_privacy_is_read_with_every_key(void **state)
{
    (void)state;
    struct policy *policy =
        parsed(RULE ", models: [feature-statistics], features: [raw, hog], privacy: {mechanisms: [dp-sgd, "
                    "site-level], max_epsilon: 3, max_delta: 1e-5, min_noise: 0.5}}]\n"
                    "output: {require: [privacy], privacy: {max_epsilon: 8, min_noise: 1}}\n"
                    "datasets: {open: {require: [], privacy: {max_epsilon: null}}}\n");
    const struct policy_rule *rule = &policy->rules[0];
    const struct policy_output *open = policy_gate_output(&policy->gate, "open");
    assert_int_equal(rule->models, 1u << JOB_FEATURE_STATISTICS);
    assert_int_equal(rule->features, 1u << JOB_FEATURES_RAW | 1u << JOB_FEATURES_HOG);
    assert_int_equal(rule->privacy.mechanisms, 1u << (JOB_DP_SGD - 1) | 1u << (JOB_SITE_LEVEL - 1));
    assert_true(rule->privacy.max_epsilon == 3 && rule->privacy.max_delta == 1e-5);
    assert_true(rule->privacy.min_noise == 0.5);
    assert_int_equal(policy->gate.output.require, POLICY_REQUIRE_PRIVACY);
    assert_true(policy->gate.output.privacy.max_epsilon == 8);
    assert_int_equal(open->require, 0); /* what a dataset does not say is as in `output` */
    assert_true(open->privacy.max_epsilon == 0 && open->privacy.min_noise == 1);
    policy_free(policy);
}

static void test_policy_privacy_wrong_values_are_refused(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {RULE ", privacy: {mechanisms: [none]}}]", "privacy.mechanisms[1] must be dp-sgd, distributed-dp or"},
        {RULE ", privacy: {mechanisms: []}}]", "privacy.mechanisms"},
        {RULE ", privacy: {max_epsilon: 0}}]", "privacy.max_epsilon must be above 0"},
        {RULE ", privacy: {epsilon: 3}}]", "privacy.epsilon is not a known key"},
        {RULE ", privacy: 3}]", "privacy must be a mapping"},
        {RULE ", features: [sift]}]", "features[1] must be raw, unit-norm, hog or standardize."},
        {"output: {privacy: {max_delta: 0.5}}", "output.privacy.max_delta must be"},
        {"output: {privacy: {min_noise: 0}}", "output.privacy.min_noise must be"},
        {"datasets: {mnist: {privacy: {min_noise: x}}}", "datasets.mnist.privacy.min_noise must be"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy *policy = NULL;
        assert_refused(policy_parse(rows[i][0], strlen(rows[i][0]), "policy.yaml", &policy), ERROR_INVALID,
                       rows[i][1]);
    }
}

static void test_policy_privacy_that_is_required_matches_private_jobs_alone(void **state)
{
    (void)state;
    struct job job = private_job();
    expect_decision(RULE ", require: [privacy]}]", &job, 3, POLICY_APPROVE, "r1 decides");
    job.privacy.mechanism = JOB_NO_PRIVACY;
    expect_decision(RULE ", require: [privacy]}]", &job, INFINITY, POLICY_ASK,
                    "r1 requires a privacy mechanism.");
}

static void test_policy_privacy_bounds_of_a_rule_are_kept(void **state)
{
    (void)state;
    struct job job = private_job();
    expect_decision(RULE ", privacy: {max_epsilon: 3}}]", &job, 3, POLICY_APPROVE, "r1 decides");
    expect_decision(RULE ", privacy: {max_epsilon: 3}}]", &job, 3.001, POLICY_ASK,
                    "r1 allows epsilon of at most 3, and the job comes to 3.001.");
    expect_decision(RULE ", privacy: {max_epsilon: 3}}]", &job, INFINITY, POLICY_ASK, "cannot be accounted");
    /* Of all runs that the rule would approve. */
    expect_decision(RULE ", max_runs: 2, privacy: {max_epsilon: 3}}]", &job, 1.6, POLICY_ASK,
                    "and the job comes to 3.2.");
    expect_decision(RULE ", max_runs: 2, privacy: {max_delta: 1e-5}}]", &job, 1, POLICY_ASK,
                    "r1 allows a delta of at most 1e-05, and the job comes to 2e-05.");
    expect_decision(RULE ", privacy: {mechanisms: [site-level, distributed-dp]}}]", &job, 1, POLICY_ASK,
                    "r1 requires the mechanism distributed-dp or site-level.");
    expect_decision(RULE ", privacy: {min_noise: 2}}]", &job, 1, POLICY_APPROVE, "r1 decides");
    expect_decision(RULE ", privacy: {min_noise: 2.1}}]", &job, 1, POLICY_ASK,
                    "r1 requires a noise_multiplier of at least 2.1.");
    job.metrics = JOB_METRICS_PER_SITE;
    job.privacy.metrics_noise = 1.9;
    expect_decision(RULE ", privacy: {min_noise: 2}}]", &job, 1, POLICY_ASK,
                    "r1 requires a metrics_noise of at least 2.");
}

/* A bound that somebody set is not kept by a job that has no figure to compare. */
static void test_policy_privacy_bounds_are_not_kept_by_jobs_without_a_mechanism(void **state)
{
    (void)state;
    static const char *const bounds[] = {"max_epsilon: 10000", "max_delta: 0.1", "min_noise: 0.05",
                                         "mechanisms: [dp-sgd, distributed-dp, site-level]"};
    struct job job = private_job();
    job.privacy = (struct job_privacy){.mechanism = JOB_NO_PRIVACY};
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        char text[512];
        (void)snprintf(text, sizeof(text), RULE ", privacy: {%s}}]", bounds[i]);
        expect_decision(text, &job, 0, POLICY_ASK, "r1 requires a privacy mechanism.");
    }
    expect_decision(RULE ", privacy: {}}]", &job, INFINITY, POLICY_APPROVE, "r1 decides");
}

static void test_policy_privacy_steps_are_local_iterations_and_batches_are_drawn(void **state)
{
    (void)state;
    struct job job = private_job();
    expect_decision(RULE ", max_local_iterations: 40}]", &job, 1, POLICY_APPROVE, "r1 decides");
    expect_decision(RULE ", max_local_iterations: 39}]", &job, 1, POLICY_ASK,
                    "r1 allows fewer local iterations: at most 39.");
    expect_decision(RULE ", parameters: {batch_size: [100, 200], local_epochs: [2, 3]}}]", &job, 1,
                    POLICY_APPROVE, "r1 decides");
    job.privacy.mechanism = JOB_SITE_LEVEL;
    expect_decision(RULE ", parameters: {batch_size: [100, 200]}}]", &job, 1, POLICY_ASK,
                    "r1 allows batch_size from 100 to 200.");
}

/* Rules from before there were other models mean the one that there was. */
static void test_policy_privacy_exact_statistics_have_to_be_named(void **state)
{
    (void)state;
    struct job job = private_job();
    job.model = JOB_FEATURE_STATISTICS;
    job.privacy.steps = 1;
    expect_decision(RULE "}]", &job, 1, POLICY_APPROVE, "r1 decides");
    job.privacy = (struct job_privacy){.mechanism = JOB_NO_PRIVACY};
    expect_decision(RULE "}]", &job, INFINITY, POLICY_ASK,
                    "r1 does not list the model: exact feature-statistics have to be named.");
    expect_decision(RULE ", models: [softmax-regression]}]", &job, INFINITY, POLICY_ASK,
                    "r1 does not list the model.");
    expect_decision(RULE ", models: [feature-statistics], parameters: {l2: [1, 2]}}]", &job, INFINITY,
                    POLICY_APPROVE, "r1 decides");
}

static void test_policy_privacy_kinds_of_features_are_listed(void **state)
{
    (void)state;
    struct job job = private_job();
    job.features = JOB_FEATURES_HOG;
    expect_decision(RULE ", features: [raw, hog]}]", &job, 1, POLICY_APPROVE, "r1 decides");
    expect_decision(RULE ", features: [raw]}]", &job, 1, POLICY_ASK,
                    "r1 does not list the kind of features.");
    expect_decision(RULE "}]", &job, 1, POLICY_APPROVE, "r1 decides");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_privacy_is_read_with_every_key),
        cmocka_unit_test(test_policy_privacy_wrong_values_are_refused),
        cmocka_unit_test(test_policy_privacy_that_is_required_matches_private_jobs_alone),
        cmocka_unit_test(test_policy_privacy_bounds_of_a_rule_are_kept),
        cmocka_unit_test(test_policy_privacy_bounds_are_not_kept_by_jobs_without_a_mechanism),
        cmocka_unit_test(test_policy_privacy_steps_are_local_iterations_and_batches_are_drawn),
        cmocka_unit_test(test_policy_privacy_exact_statistics_have_to_be_named),
        cmocka_unit_test(test_policy_privacy_kinds_of_features_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
