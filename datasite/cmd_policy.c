#include "console/verbs.h"
#include "datasite/home.h"
#include "schemas/files.h"
#include "schemas/policy.h"

#include <inttypes.h>
#include <jansson.h>

extern const struct verb verb_policy, verb_policy_test;

#define SECONDS_A_DAY 86400

static struct {
    const char *requester;
    bool json;
} policy_given;

static const struct option *policy_options(void)
{
    static const struct option options[] = {
        {.name = "json", .kind = OPTION_FLAG, .target = &policy_given.json, .help = "as JSON"},
        {0},
    };
    return options;
}

static const struct option *policy_test_options(void)
{
    static const struct option options[] = {
        {.name = "requester",
         .kind = OPTION_TEXT,
         .target = &policy_given.requester,
         .value = "FINGERPRINT",
         .help = "who would ask: sha256:… (required)"},
        {0},
    };
    return options;
}

static const char *policy_action_text(enum policy_action action)
{
    switch (action) {
    case POLICY_ASK:
        return "waits for you";
    case POLICY_APPROVE:
        return "is approved without asking";
    case POLICY_DENY:
        return "is denied for good";
    }
    return "?";
}

static void policy_print_list(const char *before, const char *list, size_t stride, size_t count)
{
    (void)printf("     - %s", before);
    for (size_t i = 0; i < count; i++)
        (void)printf("%s%s", i == 0 ? " " : ", ", list + i * stride);
    (void)printf("\n");
}

static void policy_print_requesters(const struct policy_rule *rule)
{
    if (rule->any_requester)
        (void)printf("     - anybody asks who may\n");
    else if (rule->requester_count == 0)
        (void)printf("     - nobody: its list of requesters is empty, so it never matches\n");
    else
        policy_print_list("it is asked by", rule->requesters[0], sizeof(rule->requesters[0]),
                          rule->requester_count);
}

static void policy_print_bounds(const struct policy_rule *rule)
{
    if (rule->dataset_count > 0)
        policy_print_list("its dataset is", rule->datasets[0], sizeof(rule->datasets[0]),
                          rule->dataset_count);
    if (rule->models != 0)
        (void)printf("     - its model is%s\n", (rule->models & 1u << JOB_SOFTMAX_REGRESSION) != 0
                                                    ? " softmax-regression"
                                                    : " none that exists");
    if (rule->metrics != 0)
        (void)printf("     - its metrics are%s%s\n",
                     (rule->metrics & 1u << JOB_METRICS_PER_SITE) != 0 ? " per-site" : "",
                     (rule->metrics & 1u << JOB_METRICS_NONE) != 0 ? " none" : "");
    if (rule->max_rounds != 0)
        (void)printf("     - it has at most %" PRIu32 " rounds\n", rule->max_rounds);
    if (rule->max_local_iterations != 0)
        (void)printf("     - it has at most %" PRIu32 " local iterations or epochs\n",
                     rule->max_local_iterations);
    if (rule->min_sites > 1)
        (void)printf("     - at least %" PRIu32 " sites take part\n", rule->min_sites);
    if ((rule->require & POLICY_REQUIRE_SECURE_AGGREGATION) != 0)
        (void)printf("     - it uses secure aggregation\n");
    if ((rule->require & POLICY_REQUIRE_PRIVACY) != 0)
        (void)printf("     - it uses a privacy mechanism\n");
}

static void policy_print_rule(size_t number, const struct policy_rule *rule)
{
    (void)printf("%zu. \"%s\": a job %s when\n", number, rule->name, policy_action_text(rule->action));
    policy_print_requesters(rule);
    policy_print_bounds(rule);
    if (rule->action == POLICY_APPROVE)
        (void)printf("   The approval is for %" PRIu32 " run%s and ends after %g days, or with the job.\n",
                     rule->max_runs, rule->max_runs == 1 ? "" : "s", (double)rule->expires_s / SECONDS_A_DAY);
    if (rule->action == POLICY_APPROVE)
        (void)printf("   It approves %" PRIu32
                     " job%s of one requester in %d days; more of them wait for you.\n",
                     rule->max_jobs, rule->max_jobs == 1 ? "" : "s", POLICY_JOBS_DAYS);
}

static void policy_print_words(const struct policy *policy, const char *path)
{
    (void)printf("From %s; the first rule that matches decides.\n\n", path);
    for (size_t i = 0; i < policy->rule_count; i++)
        policy_print_rule(i + 1, &policy->rules[i]);
    (void)printf("%s job %s.\n\n", policy->rule_count == 0 ? "Every" : "Every other",
                 policy_action_text(policy->fallback));
    (void)printf("At every release, whatever was approved: at least %" PRIu64
                 " training rows, and test rows for counts;\n"
                 "at most %" PRIu64 " bytes.\n",
                 policy->gate.output.min_rows, policy->gate.output.max_update_bytes);
}

static json_t *policy_json_list(const char *list, size_t stride, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(array, json_string(list + i * stride));
    return array;
}

/* 0 stands for "no bound", as in schemas/policy.h. */
static json_t *policy_json_rule(const struct policy_rule *rule)
{
    json_t *requesters = rule->any_requester
                             ? json_null()
                             : policy_json_list(rule->requester_count == 0 ? NULL : rule->requesters[0],
                                                sizeof(rule->requesters[0]), rule->requester_count);
    json_t *datasets = policy_json_list(rule->dataset_count == 0 ? NULL : rule->datasets[0],
                                        sizeof(rule->datasets[0]), rule->dataset_count);
    return json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I}", "name", rule->name, "action",
                     policy_action_word(rule->action), "requesters", requesters, "datasets", datasets,
                     "max_rounds", (json_int_t)rule->max_rounds, "max_runs", (json_int_t)rule->max_runs,
                     "max_jobs", (json_int_t)rule->max_jobs, "max_local_iterations",
                     (json_int_t)rule->max_local_iterations, "min_sites", (json_int_t)rule->min_sites,
                     "expires_seconds", (json_int_t)rule->expires_s);
}

static struct error *policy_print_json(const struct policy *policy)
{
    json_t *rules = json_array();
    for (size_t i = 0; i < policy->rule_count; i++)
        (void)json_array_append_new(rules, policy_json_rule(&policy->rules[i]));
    json_t *all = json_pack("{s:i, s:s, s:o, s:{s:I, s:I}}", "version", 1, "default",
                            policy_action_word(policy->fallback), "rules", rules, "output", "min_rows",
                            (json_int_t)policy->gate.output.min_rows, "max_update_bytes",
                            (json_int_t)policy->gate.output.max_update_bytes);
    if (all == NULL || json_array_size(rules) != policy->rule_count) {
        json_decref(all);
        return error_new(ERROR_MEMORY, "There is not enough memory for the policy.");
    }
    (void)json_dumpf(all, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(all);
    return NULL;
}

static struct error *policy_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct policy *policy = NULL;
    TRY(home_open(invocation->home, &home));
    TRY(policy_load(home->policy_path, &policy));
    if (policy_given.json)
        TRY(policy_print_json(policy));
    else
        policy_print_words(policy, home->policy_path);
done:
    policy_free(policy);
    home_free(home);
    return err;
}

static struct error *policy_test_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct policy *policy = NULL;
    struct job *job = NULL;
    uint8_t *bytes = NULL;
    size_t count = 0;
    struct site_id requester;
    struct policy_decision decision;
    const char *path = invocation->arguments[0];
    if (policy_given.requester == NULL)
        FAIL(ERROR_USAGE, "--requester is required: the fingerprint of who would ask, sha256:…");
    TRY(site_id_parse(policy_given.requester, &requester));
    TRY(home_open(invocation->home, &home));
    TRY(policy_load(home->policy_path, &policy));
    TRY(file_read(path, JOB_MAX_BYTES, &bytes, &count));
    TRY(job_parse((const char *)bytes, count, path, &job));
    struct policy_facts facts = {.requester = policy_given.requester, .requests_today = 1};
    policy_decide(policy, job, &facts, &decision);
    (void)printf("The job %s.\n%s\n", policy_action_text(decision.action), decision.reason);
    if (decision.action == POLICY_APPROVE)
        (void)printf("Unless the rule approved %" PRIu32
                     " job%s of this requester in the last %d days: then it "
                     "waits for you.\n",
                     decision.rule->max_jobs, decision.rule->max_jobs == 1 ? "" : "s", POLICY_JOBS_DAYS);
done:
    free(bytes);
    job_free(job);
    policy_free(policy);
    home_free(home);
    return err;
}

const struct verb verb_policy = {
    .name = "policy",
    .summary = "Say in words what is approved without asking",
    .arguments = "",
    .detail = "The rules are in policy.yaml of the site's home; `datasite serve` reads them at its start and "
              "on SIGHUP.\n\n"
              "Example:\n"
              "  datasite policy --json",
    .options = policy_options,
    .run = policy_run,
};

const struct verb verb_policy_test = {
    .name = "policy test",
    .summary = "Say what the policy would do with a job, and why",
    .arguments = "JOB.yaml",
    .detail = "Nothing is stored.\n\n"
              "Example:\n"
              "  datasite policy test job.yaml --requester sha256:…",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .options = policy_test_options,
    .run = policy_test_run,
};
