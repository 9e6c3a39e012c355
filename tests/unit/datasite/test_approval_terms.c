/* Terms of an approval that the airlock would refuse: said when somebody approves. */
#include "datasite/approval_terms.h"
#include "tests/unit/schemas/refusal.h"

#define SITES 4

/* A job of four sites with secure aggregation that may be approved as it is; this site is the first. */
struct scene {
    struct job job;
    struct job_site sites[SITES];
    struct policy_gate gate;
    struct site_id own;
    const struct dataset_info *dataset; /* NULL: none */
    struct approval_limits limits;
};

static int scene_make(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    if (scene == NULL)
        return -1;
    scene->job = (struct job){.dataset = "made",
                              .sites = scene->sites,
                              .site_count = SITES,
                              .rounds = 5,
                              .min_sites = 3,
                              .metrics = JOB_METRICS_POOLED,
                              .weighting = JOB_WEIGHT_EXAMPLES,
                              .expires = 5000};
    scene->job.secure =
        (struct job_secure_aggregation){.enabled = true, .tolerate_colluding = 1, .threshold = 3};
    scene->gate.output = policy_output_default();
    scene->gate.output.min_cell = 0;
    scene->gate.secure =
        (struct policy_secure_aggregation){.min_threshold = 3, .min_colluding = 1, .min_organisations = 2};
    for (unsigned i = 0; i < SITES; i++) {
        (void)snprintf(scene->sites[i].fingerprint, JOB_FINGERPRINT_BYTES, "sha256:%064x", i + 1);
        if (i == 0)
            continue;
        scene->gate.partners[i - 1].organisation = (uint16_t)i;
        memcpy(scene->gate.partners[i - 1].fingerprint, scene->sites[i].fingerprint, JOB_FINGERPRINT_BYTES);
    }
    scene->gate.partner_count = SITES - 1;
    assert_done(site_id_parse(scene->sites[0].fingerprint, &scene->own));
    *state = scene;
    return 0;
}

static int scene_remove(void **state)
{
    free(*state);
    return 0;
}

static struct error *check(const struct scene *scene)
{
    return approval_terms_check(NULL, &scene->gate, &scene->job, scene->dataset, &scene->own, &scene->limits);
}

static void test_approval_terms_that_can_be_kept_are_taken(void **state)
{
    struct scene *scene = *state;
    assert_done(check(scene));
    scene->limits = (struct approval_limits){.rounds = 2, .runs = 1, .expires = 9, .allow_growth = true};
    assert_done(check(scene));
}

static void test_approval_terms_stranger_is_refused_by_name(void **state)
{
    struct scene *scene = *state;
    (void)snprintf(scene->sites[3].fingerprint, JOB_FINGERPRINT_BYTES, "sha256:%064x", 0xabc);
    assert_refused(check(scene), ERROR_REFUSED, "0abc. Once their owners have confirmed the fingerprints");
}

static void test_approval_terms_held_answers_are_refused(void **state)
{
    struct scene *scene = *state;
    static const enum hold holds[] = {HOLD_FIRST, HOLD_EVERY, HOLD_FINAL};
    for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++) {
        scene->limits.hold = holds[i];
        assert_refused(check(scene), ERROR_REFUSED, "cannot be held");
    }
    scene->job.secure.enabled = false;
    assert_done(check(scene));
}

static void test_approval_terms_second_run_is_refused(void **state)
{
    struct scene *scene = *state;
    scene->limits.runs = 2;
    assert_refused(check(scene), ERROR_REFUSED, "has one run");
    scene->job.secure.enabled = false;
    assert_done(check(scene));
}

static void test_approval_terms_counts_with_small_cells_are_refused(void **state)
{
    struct scene *scene = *state;
    scene->gate.output.min_cell = 10;
    assert_refused(
        check(scene), ERROR_REFUSED,
        "withholds counts below 10 (min_cell), which nobody can do inside a masked sum: a job with "
        "`metrics: none` would do, or `min_cell: 0` for the dataset \"made\".");
    scene->job.metrics = JOB_METRICS_NONE;
    assert_done(check(scene));
    /* What counts is the dataset's own rule. */
    scene->job.metrics = JOB_METRICS_POOLED;
    scene->gate.datasets[0].output = scene->gate.output;
    scene->gate.datasets[0].output.min_cell = 0;
    memcpy(scene->gate.datasets[0].name, "made", sizeof("made"));
    scene->gate.dataset_count = 1;
    assert_done(check(scene));
}

static void test_approval_terms_counts_that_may_not_leave_are_refused(void **state)
{
    struct scene *scene = *state;
    scene->gate.output.metrics = POLICY_METRIC_EXAMPLES;
    assert_refused(check(scene), ERROR_REFUSED, "lets no counts of predictions out");
    scene->job.metrics = JOB_METRICS_NONE;
    assert_done(check(scene));
}

static void test_approval_terms_weights_that_may_not_leave_are_refused(void **state)
{
    struct scene *scene = *state;
    scene->gate.output.metrics = POLICY_METRIC_CONFUSION;
    assert_refused(check(scene), ERROR_REFUSED, "`weighting: equal` would do");
    scene->job.weighting = JOB_WEIGHT_EQUAL;
    assert_done(check(scene));
}

static void test_approval_terms_job_in_clear_is_refused_where_sums_are_required(void **state)
{
    struct scene *scene = *state;
    scene->gate.output.require = POLICY_REQUIRE_SECURE_AGGREGATION;
    assert_done(check(scene));
    scene->job.secure.enabled = false;
    assert_refused(check(scene), ERROR_REFUSED, "out inside masked sums alone");
    scene->gate.output.require = 0;
    assert_done(check(scene));
}

static void test_approval_terms_of_a_rule_are_one_run_of_a_sum(void **state)
{
    struct scene *scene = *state;
    struct policy_rule rule = {.max_runs = 3, .expires_s = 100, .hold = HOLD_FIRST, .allow_growth = true};
    struct approval_limits limits = approval_terms_of_rule(&rule, &scene->job, 1000);
    assert_int_equal(limits.runs, 1);
    assert_int_equal(limits.rounds, 5);
    assert_int_equal(limits.expires, 1100);
    assert_int_equal(limits.hold, HOLD_FIRST);
    assert_true(limits.allow_growth);
    scene->job.secure.enabled = false;
    limits = approval_terms_of_rule(&rule, &scene->job, 4950);
    assert_int_equal(limits.runs, 3);
    assert_int_equal(limits.expires, 5000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_approval_terms_that_can_be_kept_are_taken),
        TEST(test_approval_terms_stranger_is_refused_by_name),
        TEST(test_approval_terms_held_answers_are_refused),
        TEST(test_approval_terms_second_run_is_refused),
        TEST(test_approval_terms_counts_with_small_cells_are_refused),
        TEST(test_approval_terms_counts_that_may_not_leave_are_refused),
        TEST(test_approval_terms_weights_that_may_not_leave_are_refused),
        TEST(test_approval_terms_job_in_clear_is_refused_where_sums_are_required),
        TEST(test_approval_terms_of_a_rule_are_one_run_of_a_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
