#include "schemas/files.h"
#include "schemas/policy.h"
#include "tests/unit/schemas/refusal.h"

#include <unistd.h>

#define A16 "aaaaaaaaaaaaaaaa"
#define B16 "bbbbbbbbbbbbbbbb"
#define FP_A "sha256:" A16 A16 A16 A16
#define FP_B "sha256:" B16 B16 B16 B16
#define APPROVE "{name: r1, action: approve, requesters: [\"" FP_A "\"], max_rounds: 5"

static struct policy *policy_parse_good(const char *text)
{
    struct policy *policy = NULL;
    assert_done(policy_parse(text, strlen(text), "policy.yaml", &policy));
    return policy;
}

/* What all decisions below are about: 5 rounds of 60 iterations of L-BFGS on mnist, two sites, metrics per
 * site. */
static struct job policy_job(void)
{
    struct job job = {.dataset = "mnist",
                      .model = JOB_SOFTMAX_REGRESSION,
                      .optimizer = JOB_LBFGS,
                      .local_iterations = 60,
                      .local_epochs = 1,
                      .metrics = JOB_METRICS_PER_SITE,
                      .rounds = 5,
                      .min_sites = 2,
                      .site_count = 2};
    return job;
}

static void test_policy_missing_file_asks_for_everything(void **state)
{
    (void)state;
    struct policy *policy = NULL;
    struct policy_decision decision;
    struct job job = policy_job();
    assert_done(policy_load("no-such-policy.yaml", &policy));
    policy_decide(policy, &job, &(struct policy_facts){.requester = FP_A, .requests_today = 1}, &decision);
    assert_int_equal(decision.action, POLICY_ASK);
    assert_null(decision.rule);
    assert_int_equal(policy->gate.output.min_rows, POLICY_MIN_ROWS);
    policy_free(policy);
}

static void test_policy_unreadable_file_is_refused(void **state)
{
    (void)state;
    struct policy *policy = NULL;
    assert_refused(policy_load(".", &policy), ERROR_IO, "is not a regular file.");
    assert_null(policy);
}

static void test_policy_example_asks_for_everything(void **state)
{
    (void)state;
    char *text = NULL;
    struct policy *policy = NULL;
    assert_done(policy_example(&text));
    assert_done(file_write("policy.yaml", text, strlen(text), 0600));
    assert_done(policy_load("policy.yaml", &policy));
    assert_int_equal(policy->fallback, POLICY_ASK);
    assert_int_equal(policy->rule_count, 0);
    assert_int_equal(policy->gate.output.min_rows, 100);
    assert_int_equal(policy->gate.output.max_update_bytes, 268435456);
    assert_int_equal(policy->gate.output.min_cell, POLICY_MIN_CELL);
    assert_int_equal(policy->gate.output.metrics, POLICY_METRICS_ALL);
    assert_int_equal(policy->gate.dataset_count, 0);
    assert_int_equal(policy->limits.max_pending, POLICY_MAX_PENDING);
    assert_int_equal(policy->limits.requests_per_minute, POLICY_REQUESTS_PER_MINUTE);
    assert_false(policy->gate.four_eyes);
    assert_int_equal(policy->gate.output.require, 0);
    assert_int_equal(policy->gate.secure.min_threshold, 3);
    assert_int_equal(policy->gate.secure.min_colluding, 1);
    assert_int_equal(policy->gate.secure.min_organisations, 2);
    assert_int_equal(policy->gate.partner_count, 0);
    policy_free(policy);
    free(text);
}

static void test_policy_every_value_is_stored(void **state)
{
    (void)state;
    struct policy *policy = policy_parse_good("default: deny\n"
                                              "rules:\n"
                                              "  - name: ours\n"
                                              "    action: approve\n"
                                              "    requesters: [\"" FP_A "\", \"" FP_B "\"]\n"
                                              "    datasets: [mnist, fashion-mnist]\n"
                                              "    models: [softmax-regression]\n"
                                              "    max_rounds: 7\n"
                                              "    max_runs: 3\n"
                                              "    max_jobs: 7\n"
                                              "    max_local_iterations: 200\n"
                                              "    metrics: [none]\n"
                                              "    require: [privacy]\n"
                                              "    min_sites: 4\n"
                                              "    expires: 7d\n"
                                              "output: {min_rows: 250, max_update_bytes: 1000}\n");
    const struct policy_rule *rule = &policy->rules[0];
    assert_int_equal(policy->fallback, POLICY_DENY);
    assert_int_equal(policy->rule_count, 1);
    assert_string_equal(rule->name, "ours");
    assert_int_equal(rule->action, POLICY_APPROVE);
    assert_false(rule->any_requester);
    assert_int_equal(rule->requester_count, 2);
    assert_string_equal(rule->requesters[1], FP_B);
    assert_int_equal(rule->dataset_count, 2);
    assert_string_equal(rule->datasets[1], "fashion-mnist");
    assert_int_equal(rule->models, 1u << JOB_SOFTMAX_REGRESSION);
    assert_int_equal(rule->max_rounds, 7);
    assert_int_equal(rule->max_runs, 3);
    assert_int_equal(rule->max_jobs, 7);
    assert_int_equal(rule->max_local_iterations, 200);
    assert_int_equal(rule->metrics, 1u << JOB_METRICS_NONE);
    assert_int_equal(rule->require, POLICY_REQUIRE_PRIVACY);
    assert_int_equal(rule->min_sites, 4);
    assert_int_equal(rule->expires_s, 7 * 86400);
    assert_int_equal(policy->gate.output.min_rows, 250);
    assert_int_equal(policy->gate.output.max_update_bytes, 1000);
    policy_free(policy);
}

static void test_policy_rule_gets_the_defaults(void **state)
{
    (void)state;
    struct policy *policy = policy_parse_good("rules: [" APPROVE "}]");
    assert_int_equal(policy->rules[0].max_runs, 1);
    assert_int_equal(policy->rules[0].max_jobs, 1);
    assert_int_equal(policy->rules[0].expires_s, 30 * 86400);
    assert_int_equal(policy->rules[0].require, 0);
    policy_free(policy);
}

static void test_policy_wrong_file_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *sentence;
    } rows[] = {
        {"default: approve", "policy.yaml:1:10: default must be ask or deny; only a rule can approve."},
        {"default: null", "policy.yaml:1:10: default must be ask or deny"},
        {"fallback: ask", "policy.yaml:1:1: fallback is not a known key. Known here: default, rules, output, "
                          "datasets, limits, "
                          "secure_aggregation, organisation, partners, four_eyes, owners."},
        {"rules: {}", "policy.yaml:1:8: rules must be a list."},
        {"rules: [ask]", "policy.yaml:1:9: rules[1] must be a mapping"},
        {"rules: [{action: ask}]", "policy.yaml:1:9: rules[1] lacks the key name"},
        {"rules: [{name: a}]",
         "policy.yaml:1:9: rules[1] lacks the key action, which must be ask, approve or deny."},
        {"rules: [{name: a, action: allow}]", "rules[1].action must be ask, approve or deny."},
        {"rules: [{name: a, action: approve, max_rounds: 5}]",
         "policy.yaml:1:9: rules[1] approves without asking and so needs requesters"},
        {"rules: [{name: a, action: approve, requesters: [\"" FP_A "\"]}]",
         "policy.yaml:1:9: rules[1] approves without asking and so needs max_rounds"},
        {"rules: [{name: a, action: ask}, {name: b, action: approve}]",
         "policy.yaml:1:33: rules[2] approves"},
        {"rules: [{name: a, action: deny, requesters: null}]", "rules[1].requesters must be a list."},
        {"rules: [{name: a, action: deny, requesters: [\"sha256:ab\"]}]",
         "rules[1].requesters[1] must be a fingerprint: sha256: and 64 lower-case hex digits."},
        {"rules: [{name: a, action: deny, requesters: \"" FP_A "\"}]", "rules[1].requesters must be a list."},
        {"rules: [{name: a, action: ask, datasets: []}]",
         "rules[1].datasets must be a list of 1 to 1000 elements"},
        {"rules: [{name: a, action: ask, datasets: [\"a/b\"]}]", "rules[1].datasets[1] must be a name"},
        {"rules: [{name: a, action: ask, models: []}]", "rules[1].models must be a list of 1 to 32 elements"},
        {"rules: [{name: a, action: ask, models: [mlp]}]",
         "rules[1].models[1] must be softmax-regression or feature-statistics."},
        {"rules: [{name: a, action: ask, metrics: []}]", "rules[1].metrics must be a list of 1"},
        {"rules: [{name: a, action: ask, metrics: [all]}]",
         "rules[1].metrics[1] must be per-site, none or pooled."},
        {"rules: [{name: a, action: ask, require: [tls]}]",
         "require[1] must be secure-aggregation or privacy."},
        {"rules: [{name: a, action: ask, max_rounds: 0}]",
         "max_rounds must be a whole number from 1 to 10000."},
        {"rules: [{name: a, action: ask, max_runs: 1001}]",
         "max_runs must be a whole number from 1 to 1000."},
        {"rules: [{name: a, action: ask, max_runs: 0}]", "max_runs must be a whole number from 1 to 1000."},
        {"rules: [{name: a, action: ask, max_local_iterations: -1}]",
         "max_local_iterations must be a whole number"},
        {"rules: [{name: a, action: ask, min_sites: 0}]", "min_sites must be a whole number from 1 to 1000."},
        {"rules: [{name: a, action: ask, expires: 30}]", "expires must be a duration"},
        {"rules: [{name: a, action: ask, max_round: 5}]", "did you mean max_rounds?"},
        {"output: {min_rows: 0}", "output.min_rows must be a whole number from 1"},
        {"output: {max_update_bytes: 268435457}",
         "output.max_update_bytes must be a whole number from 8 to 268435456."},
        {"- a", "policy.yaml:1:1: the file must be a mapping"},
        {"default: ask\n---\ndefault: deny", "policy.yaml:2:1: a second document begins here"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy *policy = NULL;
        struct error *err = policy_parse(rows[i].text, strlen(rows[i].text), "policy.yaml", &policy);
        assert_null(policy);
        assert_refused(err, ERROR_INVALID, rows[i].sentence);
    }
}

struct policy_row {
    const char *text;
    const char *requester;
    enum policy_action action;
    const char *reason;
};

static void policy_check_row(const struct policy_row *row, const struct job *job)
{
    struct policy *policy = policy_parse_good(row->text);
    struct policy_decision decision;
    policy_decide(policy, job, &(struct policy_facts){.requester = row->requester, .requests_today = 1},
                  &decision);
    if (decision.action != row->action || strstr(decision.reason, row->reason) == NULL)
        (void)fprintf(stderr, "%s\n-> %s\n", row->text, decision.reason);
    assert_int_equal(decision.action, row->action);
    assert_non_null(strstr(decision.reason, row->reason));
    policy_free(policy);
}

#define CHECK_ROWS(rows, job)                                                                                \
    for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++)                                            \
    policy_check_row(&(rows)[i], job)

static void test_policy_approves_only_within_every_bound(void **state)
{
    (void)state;
    static const struct policy_row rows[] = {
        {"rules: [" APPROVE "}]", FP_A, POLICY_APPROVE, "Rule r1 decides: approve."},
        {"rules: [" APPROVE "}]", FP_B, POLICY_ASK, "Rule r1 does not list the requester."},
        {"rules: [{name: r1, action: approve, requesters: [], max_rounds: 9}]", FP_A, POLICY_ASK,
         "No rule matches; the default decides: ask. Rule r1 does not list the requester."},
        {"rules: [" APPROVE ", datasets: [mnist]}]", FP_A, POLICY_APPROVE, "r1 decides"},
        {"rules: [" APPROVE ", datasets: [MNIST, mnist2]}]", FP_A, POLICY_ASK,
         "r1 does not list the dataset."},
        {"rules: [" APPROVE ", models: [softmax-regression]}]", FP_A, POLICY_APPROVE, "r1 decides"},
        {"rules: [" APPROVE ", metrics: [none, per-site]}]", FP_A, POLICY_APPROVE, "r1 decides"},
        {"rules: [" APPROVE ", metrics: [none]}]", FP_A, POLICY_ASK, "r1 does not list these metrics."},
        {"rules: [" APPROVE ", max_local_iterations: 60}]", FP_A, POLICY_APPROVE, "r1 decides"},
        {"rules: [" APPROVE ", max_local_iterations: 59}]", FP_A, POLICY_ASK,
         "r1 allows fewer local iterations: at most 59."},
        {"rules: [" APPROVE ", min_sites: 2}]", FP_A, POLICY_APPROVE, "r1 decides"},
        {"rules: [" APPROVE ", min_sites: 3}]", FP_A, POLICY_ASK, "r1 requires more sites: at least 3."},
        {"rules: [" APPROVE ", require: []}]", FP_A, POLICY_APPROVE, "r1 decides"},
        {"rules: [" APPROVE ", require: [secure-aggregation]}]", FP_A, POLICY_ASK,
         "r1 requires secure aggregation."},
        {"rules: [" APPROVE ", require: [privacy]}]", FP_A, POLICY_ASK, "r1 requires a privacy mechanism."},
        {"default: deny\nrules: [" APPROVE ", require: [privacy]}]", FP_A, POLICY_DENY,
         "the default decides: deny."},
        {"rules: [{name: r, action: approve, requesters: [\"" FP_A "\"], max_rounds: 4}]", FP_A, POLICY_ASK,
         "Rule r allows fewer rounds: at most 4."},
    };
    struct job job = policy_job();
    CHECK_ROWS(rows, &job);
}

static void test_policy_first_rule_that_matches_decides(void **state)
{
    (void)state;
    static const struct policy_row rows[] = {
        {"rules: [{name: no, action: deny}, " APPROVE "}]", FP_A, POLICY_DENY, "Rule no decides: deny."},
        {"rules: [" APPROVE "}, {name: no, action: deny}]", FP_A, POLICY_APPROVE,
         "Rule r1 decides: approve."},
        {"rules: [" APPROVE "}, {name: no, action: deny}]", FP_B, POLICY_DENY,
         "Rule no decides: deny. Rule r1 does not list the requester."},
        {"rules: [{name: ask-b, action: ask, requesters: [\"" FP_B "\"]}, " APPROVE "}]", FP_A,
         POLICY_APPROVE, "r1"},
        {"default: deny\nrules: [{name: ask-b, action: ask, requesters: [\"" FP_B "\"]}]", FP_B, POLICY_ASK,
         "Rule ask-b decides: ask."},
        {"default: deny", FP_A, POLICY_DENY, "No rule matches; the default decides: deny."},
    };
    struct job job = policy_job();
    CHECK_ROWS(rows, &job);
}

static void test_policy_bounds_epochs_of_sgd_as_local_iterations(void **state)
{
    (void)state;
    static const struct policy_row rows[] = {
        {"rules: [" APPROVE ", max_local_iterations: 10}]", FP_A, POLICY_APPROVE, "r1 decides"},
        {"rules: [" APPROVE ", max_local_iterations: 9}]", FP_A, POLICY_ASK, "allows fewer local iterations"},
    };
    struct job job = policy_job();
    job.optimizer = JOB_SGD;
    job.local_epochs = 10;
    CHECK_ROWS(rows, &job);
}

static void test_policy_matches_secure_aggregation_that_the_job_has(void **state)
{
    (void)state;
    static const struct policy_row rows[] = {
        {"rules: [" APPROVE ", require: [secure-aggregation]}]", FP_A, POLICY_APPROVE, "r1 decides"},
        {"rules: [" APPROVE ", metrics: [pooled]}]", FP_A, POLICY_APPROVE, "r1 decides"},
        {"rules: [" APPROVE ", metrics: [per-site, none]}]", FP_A, POLICY_ASK,
         "r1 does not list these metrics."},
        {"rules: [" APPROVE ", require: [secure-aggregation, privacy]}]", FP_A, POLICY_ASK,
         "r1 requires a privacy mechanism."},
    };
    struct job job = policy_job();
    job.secure.enabled = true;
    job.metrics = JOB_METRICS_POOLED;
    CHECK_ROWS(rows, &job);
}

/* A job may name many sites and yet complete a round with one. */
static void test_policy_counts_the_sites_a_round_needs(void **state)
{
    (void)state;
    static const struct policy_row rows[] = {
        {"rules: [" APPROVE ", min_sites: 2}]", FP_A, POLICY_ASK, "r1 requires more sites: at least 2."}};
    struct job job = policy_job();
    job.site_count = 10;
    job.min_sites = 1;
    CHECK_ROWS(rows, &job);
}

static void policy_expect(const char *text, const struct job *job, const struct policy_facts *facts,
                          enum policy_action action, const char *reason)
{
    struct policy *policy = policy_parse_good(text);
    struct policy_decision decision;
    policy_decide(policy, job, facts, &decision);
    if (decision.action != action || strstr(decision.reason, reason) == NULL)
        (void)fprintf(stderr, "%s\n-> %s\n", text, decision.reason);
    assert_int_equal(decision.action, action);
    assert_non_null(strstr(decision.reason, reason));
    policy_free(policy);
}

static void test_policy_parameter_outside_its_range_does_not_match(void **state)
{
    (void)state;
    static const struct {
        const char *range, *reason;
        enum policy_action lbfgs, sgd;
    } rows[] = {
        {"l2: [0.01, 1]", "decides", POLICY_APPROVE, POLICY_APPROVE},
        {"l2: [0, 0.009]", "Rule r1 allows l2 from 0 to 0.009.", POLICY_ASK, POLICY_ASK},
        {"l2: [0.011, 1]", "Rule r1 allows l2 from 0.011 to 1.", POLICY_ASK, POLICY_ASK},
        {"test_fraction: [0.3, 0.5]", "allows test_fraction from 0.3 to 0.5", POLICY_ASK, POLICY_ASK},
        {"local_iterations: [1, 59]", "", POLICY_ASK, POLICY_APPROVE},
        {"learning_rate: [0.2, 1]", "", POLICY_APPROVE, POLICY_ASK},
        {"momentum: [0, 0.5]", "", POLICY_APPROVE, POLICY_ASK},
        {"batch_size: [65, 100]", "", POLICY_APPROVE, POLICY_ASK},
        {"local_epochs: [2, 2]", "", POLICY_APPROVE, POLICY_ASK},
        {"local_epochs: [1, 1]", "r1 decides", POLICY_APPROVE, POLICY_APPROVE},
    };
    struct policy_facts facts = {.requester = FP_A, .requests_today = 1};
    struct job job = policy_job();
    job.l2 = 0.01;
    job.test_fraction = 0.2;
    job.learning_rate = 0.1;
    job.momentum = 0.9;
    job.batch_size = 64;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[512];
        (void)snprintf(text, sizeof(text), "rules: [" APPROVE ", parameters: {%s}}]", rows[i].range);
        job.optimizer = JOB_LBFGS;
        policy_expect(text, &job, &facts, rows[i].lbfgs, rows[i].reason);
        job.optimizer = JOB_SGD;
        policy_expect(text, &job, &facts, rows[i].sgd, rows[i].reason);
    }
}

static void test_policy_counts_requests_of_the_day(void **state)
{
    (void)state;
    static const char text[] = "rules: [" APPROVE ", max_requests_per_day: 3}]";
    struct job job = policy_job();
    struct policy_facts facts = {.requester = FP_A, .requests_today = 3};
    policy_expect(text, &job, &facts, POLICY_APPROVE, "r1 decides");
    facts.requests_today = 4;
    policy_expect(text, &job, &facts, POLICY_ASK, "Rule r1 allows fewer requests in 24 hours: at most 3.");
}

static void test_policy_rule_holds_in_its_days_and_hours(void **state)
{
    (void)state;
    static const struct {
        const char *bound;
        unsigned weekday, minute;
        enum policy_action action;
    } rows[] = {
        {"days: [mon]", 0, 0, POLICY_APPROVE},
        {"days: [mon]", 1, 0, POLICY_ASK},
        {"days: [sat, sun]", 6, 1439, POLICY_APPROVE},
        {"days: [sat, sun]", 4, 1439, POLICY_ASK},
        {"hours: \"08:00-18:00\"", 2, 479, POLICY_ASK},
        {"hours: \"08:00-18:00\"", 2, 480, POLICY_APPROVE},
        {"hours: \"08:00-18:00\"", 2, 1079, POLICY_APPROVE},
        {"hours: \"08:00-18:00\"", 2, 1080, POLICY_ASK},
        {"hours: \"22:00-06:00\"", 2, 1320, POLICY_APPROVE},
        {"hours: \"22:00-06:00\"", 2, 0, POLICY_APPROVE},
        {"hours: \"22:00-06:00\"", 2, 360, POLICY_ASK},
        {"hours: \"22:00-06:00\"", 2, 1319, POLICY_ASK},
        {"hours: \"18:00-24:00\"", 2, 1439, POLICY_APPROVE},
        {"days: [tue], hours: \"08:00-18:00\"", 2, 600, POLICY_ASK},
    };
    struct job job = policy_job();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[512];
        struct policy_facts facts = {.requester = FP_A, .weekday = rows[i].weekday, .minute = rows[i].minute};
        (void)snprintf(text, sizeof(text), "rules: [" APPROVE ", %s}]", rows[i].bound);
        policy_expect(text, &job, &facts, rows[i].action, "");
    }
}

static void test_policy_long_reason_is_cut(void **state)
{
    (void)state;
    char text[8192] = "rules:\n";
    struct policy_decision decision;
    struct job job = policy_job();
    size_t at = strlen(text);
    for (int i = 0; i < 60; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at,
                               "- {name: rule-%d, action: deny, min_sites: 9}\n", i);
    struct policy *policy = policy_parse_good(text);
    policy_decide(policy, &job, &(struct policy_facts){.requester = FP_A, .requests_today = 1}, &decision);
    assert_int_equal(decision.action, POLICY_ASK);
    assert_int_equal(strlen(decision.reason), sizeof(decision.reason) - 1);
    policy_free(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_missing_file_asks_for_everything),
        cmocka_unit_test(test_policy_unreadable_file_is_refused),
        cmocka_unit_test(test_policy_example_asks_for_everything),
        cmocka_unit_test(test_policy_every_value_is_stored),
        cmocka_unit_test(test_policy_rule_gets_the_defaults),
        cmocka_unit_test(test_policy_wrong_file_is_refused),
        cmocka_unit_test(test_policy_approves_only_within_every_bound),
        cmocka_unit_test(test_policy_first_rule_that_matches_decides),
        cmocka_unit_test(test_policy_bounds_epochs_of_sgd_as_local_iterations),
        cmocka_unit_test(test_policy_matches_secure_aggregation_that_the_job_has),
        cmocka_unit_test(test_policy_counts_the_sites_a_round_needs),
        cmocka_unit_test(test_policy_parameter_outside_its_range_does_not_match),
        cmocka_unit_test(test_policy_counts_requests_of_the_day),
        cmocka_unit_test(test_policy_rule_holds_in_its_days_and_hours),
        cmocka_unit_test(test_policy_long_reason_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
