#include "schemas/policy.h"

#include "schemas/document.h"
#include "schemas/files.h"
#include "schemas/text.h"

#include <stdarg.h>

#define POLICY_MAX_BYTES (256 * 1024)
#define POLICY_MAX_RULES 100
#define POLICY_MAX_LIST 1000
#define POLICY_MAX_UPDATE_BYTES 268435456
#define POLICY_EXPIRES_S (30u * 86400u)

static const char *const policy_action_words[] = {
    [POLICY_ASK] = "ask", [POLICY_APPROVE] = "approve", [POLICY_DENY] = "deny", NULL};
static const char *const policy_fallback_words[] = {"ask", "deny", NULL};
static const char *const policy_model_words[] = {[JOB_SOFTMAX_REGRESSION] = "softmax-regression", NULL};
static const char *const policy_metrics_words[] = {
    [JOB_METRICS_PER_SITE] = "per-site", [JOB_METRICS_NONE] = "none", NULL};
/* Bits POLICY_REQUIRE_SECURE_AGGREGATION and POLICY_REQUIRE_PRIVACY, in this order. */
static const char *const policy_require_words[] = {"secure-aggregation", "privacy", NULL};

/* --- Reading --- */

static struct error *policy_read_fallback(const struct document_value *value, void *ret_field)
{
    enum policy_action action = POLICY_ASK;
    const char *text = document_scalar(value, false);
    if (text != NULL && strcmp(text, policy_fallback_words[1]) == 0)
        action = POLICY_DENY;
    else if (text == NULL || strcmp(text, policy_fallback_words[0]) != 0)
        return document_error(value, ERROR_INVALID, "must be ask or deny; only a rule can approve.");
    memcpy(ret_field, &action, sizeof(action));
    return NULL;
}

static struct error *policy_read_requesters(const struct document_value *value, void *ret_rule)
{
    struct error *err = NULL;
    struct policy_rule *rule = ret_rule;
    size_t count = 0;
    TRY(document_list(value, 0, POLICY_MAX_LIST, &count));
    rule->any_requester = false;
    if (count == 0)
        goto done;
    rule->requesters = calloc(count, sizeof(*rule->requesters));
    if (rule->requesters == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the policy.");
    for (size_t i = 0; i < count; i++) {
        struct document_value element = document_element(value, i);
        const char *text = NULL;
        TRY(document_text(&element, &text));
        if (!text_fingerprint(text)) {
            err = document_error(&element, ERROR_INVALID,
                                 "must be a fingerprint: sha256: and 64 lower-case hex digits.");
            goto done;
        }
        memcpy(rule->requesters[i], text, strlen(text) + 1);
    }
    rule->requester_count = count;
done:
    return err;
}

static struct error *policy_read_datasets(const struct document_value *value, void *ret_rule)
{
    struct error *err = NULL;
    struct policy_rule *rule = ret_rule;
    size_t count = 0;
    TRY(document_list(value, 1, POLICY_MAX_LIST, &count));
    rule->datasets = calloc(count, sizeof(*rule->datasets));
    if (rule->datasets == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the policy.");
    for (size_t i = 0; i < count; i++) {
        struct document_value element = document_element(value, i);
        const char *text = NULL;
        TRY(document_text(&element, &text));
        if (!text_name(text, JOB_NAME_BYTES - 1)) {
            err = document_error(&element, ERROR_INVALID, "must be a name of 1 to %d of A-Z a-z 0-9 . - _.",
                                 JOB_NAME_BYTES - 1);
            goto done;
        }
        memcpy(rule->datasets[i], text, strlen(text) + 1);
    }
    rule->dataset_count = count;
done:
    return err;
}

#define POLICY_WHOLE_RULE .offset = 0, .bytes = sizeof(struct policy_rule)

static const struct document_key policy_rule_keys[] = {
    {.key = "name", .type = DOCUMENT_NAME, .required = true, DOCUMENT_INTO(struct policy_rule, name)},
    {.key = "action",
     .type = DOCUMENT_WORD,
     .required = true,
     .words = policy_action_words,
     DOCUMENT_INTO(struct policy_rule, action)},
    {.key = "requesters", .type = DOCUMENT_READER, .read = policy_read_requesters, POLICY_WHOLE_RULE},
    {.key = "datasets", .type = DOCUMENT_READER, .read = policy_read_datasets, POLICY_WHOLE_RULE},
    {.key = "models",
     .type = DOCUMENT_WORDS,
     .first = 1,
     .words = policy_model_words,
     DOCUMENT_INTO(struct policy_rule, models)},
    {.key = "max_rounds",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = 10000,
     DOCUMENT_INTO(struct policy_rule, max_rounds)},
    {.key = "max_runs",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = 1000,
     DOCUMENT_INTO(struct policy_rule, max_runs)},
    {.key = "max_jobs",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = 10000,
     DOCUMENT_INTO(struct policy_rule, max_jobs)},
    {.key = "max_local_iterations",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = 10000,
     DOCUMENT_INTO(struct policy_rule, max_local_iterations)},
    {.key = "metrics",
     .type = DOCUMENT_WORDS,
     .first = 1,
     .words = policy_metrics_words,
     DOCUMENT_INTO(struct policy_rule, metrics)},
    {.key = "require",
     .type = DOCUMENT_WORDS,
     .first = 0,
     .words = policy_require_words,
     DOCUMENT_INTO(struct policy_rule, require)},
    {.key = "min_sites",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = JOB_MAX_SITES,
     DOCUMENT_INTO(struct policy_rule, min_sites)},
    {.key = "expires",
     .type = DOCUMENT_DURATION,
     .first = 1,
     .last = 3650u * 86400u,
     DOCUMENT_INTO(struct policy_rule, expires_s)},
    {0},
};

/* What is approved without asking must be bounded in who and how much. */
static struct error *policy_check_rule(const struct document_value *element, const struct policy_rule *rule)
{
    if (rule->action != POLICY_APPROVE)
        return NULL;
    if (rule->any_requester)
        return document_error(element, ERROR_INVALID,
                              "approves without asking and so needs requesters, a list of fingerprints.");
    if (rule->max_rounds == 0)
        return document_error(
            element, ERROR_INVALID,
            "approves without asking and so needs max_rounds, a whole number from 1 to 10000.");
    return NULL;
}

static struct error *policy_read_rules(const struct document_value *value, void *ret_policy)
{
    struct error *err = NULL;
    struct policy *policy = ret_policy;
    size_t count = 0;
    TRY(document_list(value, 0, POLICY_MAX_RULES, &count));
    if (count == 0)
        goto done;
    policy->rules = calloc(count, sizeof(*policy->rules));
    if (policy->rules == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the policy.");
    policy->rule_count = count;
    for (size_t i = 0; i < count; i++) {
        struct policy_rule *rule = &policy->rules[i];
        struct document_value element = document_element(value, i);
        rule->any_requester = true;
        rule->max_runs = 1;
        rule->max_jobs = 1;
        rule->expires_s = POLICY_EXPIRES_S;
        TRY(document_read(&element, policy_rule_keys, rule));
        TRY(policy_check_rule(&element, rule));
    }
done:
    return err;
}

static const struct document_key policy_output_keys[] = {
    {.key = "min_rows",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = UINT64_C(1) << 53,
     DOCUMENT_INTO(struct policy, gate.output.min_rows)},
    {.key = "max_update_bytes",
     .type = DOCUMENT_COUNT,
     .first = 8,
     .last = POLICY_MAX_UPDATE_BYTES,
     DOCUMENT_INTO(struct policy, gate.output.max_update_bytes)},
    {0},
};

static const struct document_key policy_keys[] = {
    {.key = "default",
     .type = DOCUMENT_READER,
     .read = policy_read_fallback,
     DOCUMENT_INTO(struct policy, fallback)},
    {.key = "rules",
     .type = DOCUMENT_READER,
     .read = policy_read_rules,
     .offset = 0,
     .bytes = sizeof(struct policy)},
    {.key = "output", .type = DOCUMENT_MAPPING, .keys = policy_output_keys},
    {0},
};

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

const struct policy_output *policy_gate_output(const struct policy_gate *gate, const char *dataset)
{
    for (size_t i = 0; i < gate->dataset_count; i++) {
        if (strcmp(gate->datasets[i].name, dataset) == 0)
            return &gate->datasets[i].output;
    }
    return &gate->output;
}

static const char *const hold_words[] = {
    [HOLD_NEVER] = "never", [HOLD_FIRST] = "first", [HOLD_EVERY] = "every", [HOLD_FINAL] = "final", NULL};

const char *hold_word(enum hold hold)
{
    return hold_words[hold];
}

bool hold_parse(const char *word, enum hold *ret_hold)
{
    for (size_t i = 0; hold_words[i] != NULL; i++) {
        if (strcmp(word, hold_words[i]) == 0) {
            *ret_hold = (enum hold)i;
            return true;
        }
    }
    return false;
}

static struct error *policy_new(struct policy **ret_policy)
{
    struct policy *policy = calloc(1, sizeof(*policy));
    if (policy == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for the policy.");
    policy->fallback = POLICY_ASK;
    policy->gate.output = policy_output_default();
    policy->limits = (struct policy_limits){16, 1000, 200, 600};
    *ret_policy = policy;
    return NULL;
}

struct error *policy_parse(const char *text, size_t bytes, const char *where, struct policy **ret_policy)
{
    struct error *err = NULL;
    struct document *document = NULL;
    struct policy *policy = NULL;
    TRY(document_parse(text, bytes, POLICY_MAX_BYTES, where, &document));
    TRY(policy_new(&policy));
    struct document_value root = document_root(document);
    TRY(document_read(&root, policy_keys, policy));
    *ret_policy = policy;
    policy = NULL;
done:
    policy_free(policy);
    document_free(document);
    return err;
}

struct error *policy_load(const char *path, struct policy **ret_policy)
{
    struct error *err = NULL;
    uint8_t *text = NULL;
    size_t bytes = 0;
    err = file_read(path, POLICY_MAX_BYTES, &text, &bytes);
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_clear(&err);
        return policy_new(ret_policy);
    }
    if (err == NULL)
        err = policy_parse((const char *)text, bytes, path, ret_policy);
    free(text);
    return err;
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

/* --- Deciding --- */

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

static uint32_t policy_local_work(const struct job *job)
{
    switch (job->optimizer) {
    case JOB_LBFGS:
        return job->local_iterations;
    case JOB_SGD:
        return job->local_epochs;
    }
    return UINT32_MAX;
}

/* The first bound of the rule that the job does not keep, as the rest of a sentence; NULL: the rule matches.
 */
static const char *policy_mismatch(const struct policy_rule *rule, const struct job *job,
                                   const struct policy_facts *facts)
{
    if (!policy_lists_requester(rule, facts->requester))
        return "does not list the requester";
    if (!policy_lists_dataset(rule, job->dataset))
        return "does not list the dataset";
    if (!policy_bit(rule->models, (unsigned)job->model))
        return "does not list the model";
    if (!policy_bit(rule->metrics, (unsigned)job->metrics))
        return "does not list these metrics";
    if (rule->max_rounds != 0 && job->rounds > rule->max_rounds)
        return "allows fewer rounds";
    if (rule->max_local_iterations != 0 && policy_local_work(job) > rule->max_local_iterations)
        return "allows fewer local iterations";
    /* No job of this version has a protection that a rule can require. */
    if ((rule->require & POLICY_REQUIRE_SECURE_AGGREGATION) != 0)
        return "requires secure aggregation";
    if ((rule->require & POLICY_REQUIRE_PRIVACY) != 0)
        return "requires a privacy mechanism";
    if (job->min_sites < rule->min_sites)
        return "requires more sites";
    return NULL;
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
    size_t at = 0;
    const char *mismatch = NULL;
    for (; at < policy->rule_count && decision.rule == NULL; at++) {
        if (policy_mismatch(&policy->rules[at], job, facts) == NULL)
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
        mismatch = policy_mismatch(&policy->rules[i], job, facts);
        if (mismatch != NULL)
            policy_explain(&decision, " Rule %s %s.", policy->rules[i].name, mismatch);
    }
    *ret_decision = decision;
}

struct error *policy_example(char **ret_text)
{
    static const char text[] =
        "# policy.yaml: what may be approved without asking. Read when the program starts and on SIGHUP.\n"
        "# Without a rule that matches, the default decides: ask (everything waits for the owner) or deny.\n"
        "default: ask\n"
        "\n"
        "# The first rule that matches decides. A rule that approves needs requesters and max_rounds:\n"
        "#   - name: our-researcher\n"
        "#     action: approve             # approve | deny | ask\n"
        "#     requesters: [\"sha256:...\"]  # fingerprints; `datasite trust list` prints those you know\n"
        "#     datasets: [mnist]           # absent: any\n"
        "#     models: [softmax-regression]\n"
        "#     max_rounds: 5               # a job with more rounds does not match\n"
        "#     max_runs: 1                 # runs that the approval allows, 1 to 1000\n"
        "#     max_jobs: 1                 # jobs it approves of one requester in 30 days, then it asks you\n"
        "#     max_local_iterations: 200   # iterations of lbfgs, or local epochs of sgd\n"
        "#     metrics: [per-site, none]   # absent: any\n"
        "#     require: []                 # secure-aggregation, privacy: protections that the job must "
        "have\n"
        "#     min_sites: 2                # participants without whom no round is completed\n"
        "#     expires: 30d                # the approval ends this long after it is given\n"
        "rules: []\n"
        "\n"
        "# Enforced at every release, whatever was approved.\n"
        "output:\n"
        "  min_rows: 100                   # training rows, and test rows for a confusion matrix\n"
        "  max_update_bytes: 268435456\n";
    char *copy = strdup(text);
    if (copy == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for the policy.");
    *ret_text = copy;
    return NULL;
}
