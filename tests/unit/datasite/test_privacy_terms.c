/* What output rules ask of privacy: said at approval, asked of every step, and in the airlock by itself. */
#include "crypto/privacy_plan.h"
#include "datasite/approval_terms.h"
#include "datasite/privacy_terms.h"
#include "datasite/release.h"
#include "tests/unit/datasite/site.h"

#include <math.h>

#define RULES "out with noise alone (`require: [privacy]` of its output rules)"

static struct job private_job(void)
{
    return (struct job){.dataset = "made",
                        .metrics = JOB_METRICS_NONE,
                        .rounds = 4,
                        .privacy = {.mechanism = JOB_DP_SGD,
                                    .clip = 1,
                                    .noise_multiplier = 2,
                                    .delta = 1e-5,
                                    .sampling_rate = 0.05,
                                    .steps = 10}};
}

static void test_privacy_terms_epsilon_is_that_of_the_plan(void **state)
{
    (void)state;
    struct job job = private_job();
    double epsilon = 0, planned = 0, site_level = 0;
    must(privacy_terms_epsilon(NULL, &job, 4, &epsilon));
    must(privacy_plan_epsilon(&job, PRIVACY_PLD, 4, 0, &planned));
    assert_true(epsilon == planned && epsilon > 0 && epsilon < 10);
    must(privacy_terms_epsilon(NULL, &job, 2, &planned));
    assert_true(planned < epsilon);
    /* One record may turn a site's change around: twice as far as leaving it out. */
    job.privacy = (struct job_privacy){.mechanism = JOB_SITE_LEVEL,
                                       .clip = 1,
                                       .noise_multiplier = 4,
                                       .delta = 1e-5,
                                       .sampling_rate = 1,
                                       .steps = 1};
    must(privacy_terms_epsilon(NULL, &job, 4, &site_level));
    job.privacy.noise_multiplier = 2;
    must(privacy_plan_epsilon(&job, PRIVACY_PLD, 4, 0, &planned));
    assert_true(site_level == planned);
}

static void test_privacy_terms_what_has_no_figure_is_infinite(void **state)
{
    (void)state;
    struct job job = private_job();
    double epsilon = 0;
    job.privacy.noise_multiplier = 0; /* only target_epsilon */
    must(privacy_terms_epsilon(NULL, &job, 4, &epsilon));
    assert_true(isinf(epsilon));
    job = private_job();
    job.privacy.mechanism = JOB_NO_PRIVACY;
    epsilon = 0;
    must(privacy_terms_epsilon(NULL, &job, 4, &epsilon));
    assert_true(isinf(epsilon));
    job = private_job();
    job.privacy.noise_multiplier = 0.05;
    job.privacy.sampling_rate = 1;
    epsilon = 0;
    must(privacy_terms_epsilon(NULL, &job, 10000, &epsilon));
    assert_true(isinf(epsilon));
}

static void test_privacy_terms_bound_is_of_all_approved_runs(void **state)
{
    (void)state;
    struct job job = private_job();
    struct policy_gate gate = {.output = policy_output_default()};
    double epsilon = 0;
    must(privacy_terms_epsilon(NULL, &job, 4, &epsilon));
    gate.output.privacy.max_epsilon = epsilon;
    must(privacy_terms_check(NULL, &gate, &job, NULL, 4, 1));
    refused(privacy_terms_check(NULL, &gate, &job, NULL, 4, 2), ERROR_REFUSED, "allows epsilon of at most");
    gate.output.privacy.max_epsilon = epsilon * 0.999;
    refused(privacy_terms_check(NULL, &gate, &job, NULL, 4, 1), ERROR_REFUSED,
            "This site's policy for \"made\" allows epsilon of at most");
    must(privacy_terms_check(NULL, &gate, &job, NULL, 3, 1)); /* fewer rounds would do */
}

static void test_privacy_terms_are_said_when_somebody_approves(void **state)
{
    (void)state;
    struct job job = private_job();
    struct policy_gate gate = {.output = policy_output_default()};
    struct approval_limits limits = {.hold = HOLD_NEVER};
    struct site_id own = {{{1}}};
    gate.output.require = POLICY_REQUIRE_PRIVACY;
    gate.output.privacy.max_epsilon = 1e-3;
    refused(approval_terms_check(NULL, &gate, &job, NULL, &own, &limits), ERROR_REFUSED,
            "allows epsilon of at most");
    gate.output.privacy.max_epsilon = 100;
    must(approval_terms_check(NULL, &gate, &job, NULL, &own, &limits));
    job.privacy.mechanism = JOB_NO_PRIVACY;
    refused(approval_terms_check(NULL, &gate, &job, NULL, &own, &limits), ERROR_REFUSED, RULES);
}

/* Counts have noise, and the number of rows that weights is in the job: rules about either do not stand in the way. */
static void test_privacy_terms_noised_counts_need_no_min_cell(void **state)
{
    (void)state;
    struct job job = private_job();
    struct policy_gate gate = {.output = policy_output_default()};
    gate.output.metrics = POLICY_METRIC_CONFUSION;
    gate.output.min_cell = 10;
    job.metrics = JOB_METRICS_PER_SITE;
    job.weighting = JOB_WEIGHT_EXAMPLES;
    job.privacy.metrics_noise = 3;
    must(approval_terms_check(NULL, &gate, &job, NULL, &(struct site_id){{{1}}},
                              &(struct approval_limits){.runs = 1}));
}

/* ---- the airlock ---- */

/* An update in order, of a job without privacy whose run has begun. */
struct attempt {
    struct approval approval;
    struct digest model;
    double parameters[SITE_PARAMETERS], from[SITE_PARAMETERS];
    uint64_t confusion[SITE_CLASSES * SITE_CLASSES];
    struct release_context context;
    struct release_update update;
};

static void attempt_make(struct site *site, struct attempt *attempt)
{
    struct run_record run;
    memset(attempt, 0, sizeof(*attempt));
    site_approved(site, &(struct job_words){.rounds = 3}, 0, 1);
    must(store_run_begin(site->store, &site->job_id, site->run, SITE_NOW, &run));
    must(approval_find(site->store, site->identity, &site->policy.gate, &site->job_id, NULL, SITE_NOW,
                       &attempt->approval));
    attempt->confusion[0] = 300;
    attempt->context = (struct release_context){.store = site->store,
                                                .identity = site->identity,
                                                .gate = &site->policy.gate,
                                                .job_id = &site->job_id,
                                                .job = attempt->approval.job,
                                                .dataset = &attempt->approval.dataset,
                                                .run_id = site->run,
                                                .round = 1,
                                                .model_digest = &attempt->model,
                                                .now = SITE_NOW};
    attempt->update = (struct release_update){.parameters = attempt->parameters,
                                              .from = attempt->from,
                                              .count = SITE_PARAMETERS,
                                              .train_rows = 300,
                                              .test_rows = 300,
                                              .train_correct = 225,
                                              .confusion = attempt->confusion,
                                              .stopped = "converged"};
}

static void expect_nothing_leaves(struct site *site, struct attempt *attempt, const char *words)
{
    struct release_outcome outcome = {.body = NULL, .bytes = 77};
    int64_t before = site_released(site);
    refused(release_update(&attempt->context, &attempt->update, &outcome), ERROR_REFUSED, words);
    refused(release_evaluation(&attempt->context, attempt->confusion, &outcome), ERROR_REFUSED, words);
    assert_null(outcome.body);
    assert_int_equal(outcome.bytes, 77);
    assert_int_equal(site_released(site), before);
}

/* The owner tightened the policy after the approval, and after training: the airlock alone is left. */
static void test_privacy_terms_airlock_lets_nothing_out_without_noise(void **state)
{
    struct site *site = *state;
    struct policy_output *output = &site->policy.gate.output;
    struct attempt attempt;
    struct release_outcome outcome = {.body = NULL};
    attempt_make(site, &attempt);
    output->require = POLICY_REQUIRE_PRIVACY;
    expect_nothing_leaves(site, &attempt, RULES);
    output->require = 0;
    output->privacy.max_epsilon = 10000;
    expect_nothing_leaves(site, &attempt, "requires a privacy mechanism");
    output->privacy = (struct policy_privacy){.min_noise = 0.05};
    expect_nothing_leaves(site, &attempt, "requires a privacy mechanism");
    output->privacy = (struct policy_privacy){.min_noise = 0};
    must(release_update(&attempt.context, &attempt.update, &outcome));
    free(outcome.body);
    approval_clear(&attempt.approval);
}

static void test_privacy_terms_steps_are_refused_before_rows_are_read(void **state)
{
    struct site *site = *state;
    site_approved(site, &(struct job_words){0}, 0, 0);
    site->policy.gate.output.require = POLICY_REQUIRE_PRIVACY;
    executor_set_policy(site->executor, &site->policy);
    site_expect_refusal(site_train(site, 1, 0), ERROR_REFUSED, RULES);
    site_expect_refusal(site_evaluate(site, 1, 0), ERROR_REFUSED, RULES);
    assert_int_equal(site_count(site, "SELECT count(*) FROM run"), 0); /* nothing began */
}

static void test_privacy_terms_held_answers_stay_when_the_policy_wants_noise(void **state)
{
    struct site *site = *state;
    struct job_record record = {.bytes = NULL};
    struct approval_limits limits = {.hold = HOLD_EVERY, .runs = 1};
    char text[SITE_JOB_BYTES];
    site_job(site, &(struct job_words){.rounds = 2}, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
    must(store_job_find(site->store, &site->job_id, &record));
    must(approval_give(site->store, site->identity, &record, &limits, "owner", "", SITE_NOW));
    job_record_clear(&record);
    site_expect_refusal(site_train(site, 1, 0), ERROR_HELD, "looks");
    struct release_held held = {.store = site->store,
                                .identity = site->identity,
                                .gate = &site->policy.gate,
                                .job_id = &site->job_id,
                                .run_id = site->run,
                                .round = 1,
                                .kind = ANSWER_UPDATE,
                                .now = SITE_NOW};
    site->policy.gate.output.require = POLICY_REQUIRE_PRIVACY;
    refused(release_held_out(&held), ERROR_REFUSED, RULES);
    assert_int_equal(site_count(site, "SELECT count(*) FROM answer WHERE receipt IS NOT NULL"), 0);
    site->policy.gate.output.require = 0;
    must(release_held_out(&held));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_privacy_terms_epsilon_is_that_of_the_plan),
        cmocka_unit_test(test_privacy_terms_what_has_no_figure_is_infinite),
        cmocka_unit_test(test_privacy_terms_bound_is_of_all_approved_runs),
        cmocka_unit_test(test_privacy_terms_are_said_when_somebody_approves),
        cmocka_unit_test(test_privacy_terms_noised_counts_need_no_min_cell),
        TEST(test_privacy_terms_airlock_lets_nothing_out_without_noise),
        TEST(test_privacy_terms_steps_are_refused_before_rows_are_read),
        TEST(test_privacy_terms_held_answers_stay_when_the_policy_wants_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
