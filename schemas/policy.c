#include "schemas/policy_parts.h"

#include <inttypes.h>
#include <stdarg.h>

/* ---- words ---- */

const char *const policy_action_words[] = {
    [POLICY_ASK] = "ask", [POLICY_APPROVE] = "approve", [POLICY_DENY] = "deny", NULL};
const char *const policy_list_words[] = {[POLICY_LIST_NOBODY] = "nobody",
                                         [POLICY_LIST_MOCK] = "mock",
                                         [POLICY_LIST_PEERS] = "peers",
                                         [POLICY_LIST_MEMBERS] = "members",
                                         NULL};
const char *const policy_hold_words[] = {
    [HOLD_NEVER] = "never", [HOLD_FIRST] = "first", [HOLD_EVERY] = "every", [HOLD_FINAL] = "final", NULL};
const char *const policy_output_metrics_words[] = {"examples", "train-accuracy", "confusion", NULL};
/* Bits POLICY_REQUIRE_SECURE_AGGREGATION and POLICY_REQUIRE_PRIVACY, in this order. */
const char *const policy_require_words[] = {"secure-aggregation", "privacy", NULL};
const char *const policy_day_words[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun", NULL};

const char *policy_action_word(enum policy_action action)
{
    return policy_action_words[action];
}

const char *policy_list_word(enum policy_list list)
{
    return policy_list_words[list];
}

const char *hold_word(enum hold hold)
{
    return policy_hold_words[hold];
}

bool hold_parse(const char *word, enum hold *ret_hold)
{
    for (size_t i = 0; policy_hold_words[i] != NULL; i++) {
        if (strcmp(word, policy_hold_words[i]) == 0) {
            *ret_hold = (enum hold)i;
            return true;
        }
    }
    return false;
}

/* ---- the policy of an empty file ---- */

struct policy_output policy_output_default(void)
{
    return (struct policy_output){
        .min_rows = POLICY_MIN_ROWS,
        .min_cell = POLICY_MIN_CELL,
        .metrics = POLICY_METRICS_ALL,
        .max_update_bytes = POLICY_MAX_UPDATE_BYTES,
        .list = POLICY_LIST_MOCK,
    };
}

struct error *policy_new(struct policy **ret_policy)
{
    struct policy *policy = calloc(1, sizeof(*policy));
    if (policy == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for the policy.");
    policy->fallback = POLICY_ASK;
    policy->gate.output = policy_output_default();
    policy->gate.secure = policy_secure_default();
    policy->organisation_count = 1; /* this site's own, with or without a name */
    policy->limits = (struct policy_limits){.max_pending = POLICY_MAX_PENDING,
                                            .max_jobs = POLICY_MAX_JOBS,
                                            .submissions_per_day = POLICY_SUBMISSIONS_PER_DAY,
                                            .requests_per_minute = POLICY_REQUESTS_PER_MINUTE};
    *ret_policy = policy;
    return NULL;
}

void policy_free(struct policy *policy)
{
    if (policy == NULL)
        return;
    for (size_t i = 0; i < policy->rule_count; i++) {
        free(policy->rules[i].requesters);
        free(policy->rules[i].datasets);
    }
    free(policy->rules);
    free(policy);
}

const struct policy_output *policy_gate_output(const struct policy_gate *gate, const char *dataset)
{
    for (size_t i = 0; i < gate->dataset_count; i++) {
        if (strcmp(gate->datasets[i].name, dataset) == 0)
            return &gate->datasets[i].output;
    }
    return &gate->output;
}

/* ---- deciding ---- */

static bool policy_lists_requester(const struct policy_rule *rule, const char *requester)
{
    for (size_t i = 0; i < rule->requester_count; i++) {
        if (strcmp(rule->requesters[i], requester) == 0)
            return true;
    }
    return rule->any_requester;
}

static bool policy_lists_dataset(const struct policy_rule *rule, const char *dataset)
{
    for (size_t i = 0; i < rule->dataset_count; i++) {
        if (strcmp(rule->datasets[i], dataset) == 0)
            return true;
    }
    return rule->dataset_count == 0;
}

static bool policy_bit(uint32_t bits, unsigned place)
{
    return bits == 0 || (bits & (UINT32_C(1) << place)) != 0;
}

/* With a mechanism that draws its batches a round has steps, and no epochs or batches of a size. */
static bool policy_draws(const struct job *job)
{
    return job->privacy.mechanism == JOB_DP_SGD || job->privacy.mechanism == JOB_DISTRIBUTED_DP;
}

static uint32_t policy_local_work(const struct job *job)
{
    if (job->model == JOB_FEATURE_STATISTICS || policy_draws(job))
        return policy_draws(job) ? job->privacy.steps : 1;
    switch (job->optimizer) {
    case JOB_LBFGS:
        return job->local_iterations;
    case JOB_SGD:
        return job->local_epochs;
    }
    return UINT32_MAX;
}

/* The first part of a rule that does not fit writes why. */
static bool policy_unfit(char ret_why[static POLICY_WHY_BYTES], const char *format, ...) PRINTF_LIKE(2, 3);

static bool policy_unfit(char ret_why[static POLICY_WHY_BYTES], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(ret_why, POLICY_WHY_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

static bool policy_fits_lists(const struct policy_rule *rule, const struct job *job,
                              const struct policy_facts *facts, char ret_why[static POLICY_WHY_BYTES])
{
    if (!policy_lists_requester(rule, facts->requester))
        return policy_unfit(ret_why, "does not list the requester");
    if (!policy_lists_dataset(rule, job->dataset))
        return policy_unfit(ret_why, "does not list the dataset");
    if (!policy_bit(rule->models, (unsigned)job->model))
        return policy_unfit(ret_why, "does not list the model");
    if (rule->models == 0 && job->model == JOB_FEATURE_STATISTICS && !job_private(job))
        return policy_unfit(ret_why, "does not list the model: exact feature-statistics have to be named");
    if (!policy_bit(rule->features, (unsigned)job->features))
        return policy_unfit(ret_why, "does not list the kind of features");
    if (!policy_bit(rule->metrics, (unsigned)job->metrics))
        return policy_unfit(ret_why, "does not list these metrics");
    return true;
}

static bool policy_fits_bounds(const struct policy_rule *rule, const struct job *job,
                               char ret_why[static POLICY_WHY_BYTES])
{
    if (rule->max_rounds != 0 && job->rounds > rule->max_rounds)
        return policy_unfit(ret_why, "allows fewer rounds: at most %" PRIu32, rule->max_rounds);
    if (rule->max_local_iterations != 0 && policy_local_work(job) > rule->max_local_iterations)
        return policy_unfit(ret_why, "allows fewer local iterations: at most %" PRIu32,
                            rule->max_local_iterations);
    if ((rule->require & POLICY_REQUIRE_SECURE_AGGREGATION) != 0 && !job->secure.enabled)
        return policy_unfit(ret_why, "requires secure aggregation");
    if ((rule->require & POLICY_REQUIRE_PRIVACY) != 0 && !job_private(job))
        return policy_unfit(ret_why, "requires a privacy mechanism");
    if (job->min_sites < rule->min_sites)
        return policy_unfit(ret_why, "requires more sites: at least %" PRIu32, rule->min_sites);
    return true;
}

/* Of the optimiser and the model that the job has; others' keys are not looked at. */
static bool policy_fits_parameters(const struct policy_rule *rule, const struct job *job,
                                   char ret_why[static POLICY_WHY_BYTES])
{
    bool fits = job->model == JOB_SOFTMAX_REGRESSION;
    bool sgd = fits && job->optimizer == JOB_SGD;
    bool batches = sgd && !policy_draws(job);
    const struct {
        const char *name;
        const struct document_range *range;
        double value;
        bool looked_at;
    } rows[] = {
        {"l2", &rule->l2, job->l2, fits},
        {"test_fraction", &rule->test_fraction, job->test_fraction, true},
        {"local_iterations", &rule->local_iterations, job->local_iterations, fits && !sgd},
        {"learning_rate", &rule->learning_rate, job->learning_rate, sgd},
        {"momentum", &rule->momentum, job->momentum, sgd},
        {"batch_size", &rule->batch_size, job->batch_size, batches},
        {"local_epochs", &rule->local_epochs, job->local_epochs, batches},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct document_range *range = rows[i].range;
        bool inside = rows[i].value >= range->low && rows[i].value <= range->high;
        if (rows[i].looked_at && range->given && !inside)
            return policy_unfit(ret_why, "allows %s from %.6g to %.6g", rows[i].name, range->low,
                                range->high);
    }
    return true;
}

static bool policy_in_hours(const struct policy_rule *rule, unsigned minute)
{
    if (rule->from_minute < rule->to_minute)
        return minute >= rule->from_minute && minute < rule->to_minute;
    return minute >= rule->from_minute || minute < rule->to_minute;
}

/* Hours over midnight belong to the day on which they are: "fri" with 22:00-06:00 ends at midnight and has the first
 * six hours of Friday. */
static bool policy_fits_moment(const struct policy_rule *rule, const struct policy_facts *facts,
                               char ret_why[static POLICY_WHY_BYTES])
{
    if (!policy_bit(rule->days, facts->weekday))
        return policy_unfit(ret_why, "is not for this day of the week");
    if (rule->has_hours && !policy_in_hours(rule, facts->minute))
        return policy_unfit(ret_why, "is for %02u:%02u to %02u:%02u", rule->from_minute / 60u,
                            rule->from_minute % 60u, rule->to_minute / 60u, rule->to_minute % 60u);
    if (rule->max_requests_per_day != 0 && facts->requests_today > rule->max_requests_per_day)
        return policy_unfit(ret_why, "allows fewer requests in 24 hours: at most %" PRIu32,
                            rule->max_requests_per_day);
    return true;
}

bool policy_rule_matches(const struct policy_rule *rule, const struct job *job,
                         const struct policy_facts *facts, char ret_why[static POLICY_WHY_BYTES])
{
    return policy_fits_lists(rule, job, facts, ret_why) && policy_fits_bounds(rule, job, ret_why) &&
           policy_privacy_admits(&rule->privacy, job, facts->epsilon,
                                 job->secure.enabled ? 1 : rule->max_runs, ret_why) &&
           policy_fits_parameters(rule, job, ret_why) && policy_fits_moment(rule, facts, ret_why);
}

/* Adds to the reason; what does not fit is left away. */
static void policy_explain(struct policy_decision *decision, const char *format, ...) PRINTF_LIKE(2, 3);

static void policy_explain(struct policy_decision *decision, const char *format, ...)
{
    size_t at = strlen(decision->reason);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(decision->reason + at, sizeof(decision->reason) - at, format, arguments);
    va_end(arguments);
}

void policy_decide(const struct policy *policy, const struct job *job, const struct policy_facts *facts,
                   struct policy_decision *ret_decision)
{
    struct policy_decision decision = {.action = policy->fallback};
    char why[POLICY_WHY_BYTES];
    size_t at = 0;
    for (; at < policy->rule_count && decision.rule == NULL; at++) {
        if (policy_rule_matches(&policy->rules[at], job, facts, why))
            decision.rule = &policy->rules[at];
    }
    if (decision.rule != NULL) {
        decision.action = decision.rule->action;
        policy_explain(&decision, "Rule %s decides: %s.", decision.rule->name,
                       policy_action_words[decision.action]);
    } else {
        policy_explain(&decision, "No rule matches; the default decides: %s.",
                       policy_action_words[decision.action]);
    }
    for (size_t i = 0; i < at; i++) {
        if (!policy_rule_matches(&policy->rules[i], job, facts, why))
            policy_explain(&decision, " Rule %s %s.", policy->rules[i].name, why);
    }
    *ret_decision = decision;
}
