/* policy.yaml as tables of keys: what each may be, and what must agree with what. */
#include "schemas/document.h"
#include "schemas/files.h"
#include "schemas/policy_parts.h"
#include "schemas/text.h"

#define POLICY_MAX_RULES 100
#define POLICY_MAX_LIST 1000
#define POLICY_EXPIRES_S (30u * 86400u)
#define POLICY_DAY_MINUTES (24 * 60)
#define POLICY_MAX_COUNT (UINT64_C(1) << 53)

static const char *const policy_fallback_words[] = {"ask", "deny", NULL};
const char *const policy_model_words[] = {
    [JOB_SOFTMAX_REGRESSION] = "softmax-regression", [JOB_FEATURE_STATISTICS] = "feature-statistics", NULL};
const char *const policy_features_words[] = {[JOB_FEATURES_RAW] = "raw",
                                             [JOB_FEATURES_UNIT_NORM] = "unit-norm",
                                             [JOB_FEATURES_HOG] = "hog",
                                             [JOB_FEATURES_STANDARDIZE] = "standardize",
                                             NULL};
static const char *const policy_metrics_words[] = {
    [JOB_METRICS_PER_SITE] = "per-site", [JOB_METRICS_NONE] = "none", [JOB_METRICS_POOLED] = "pooled", NULL};

/* ---- values with a form of their own ---- */

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

static struct error *policy_read_fingerprint(const struct document_value *list, size_t index,
                                             char ret_fingerprint[static JOB_FINGERPRINT_BYTES])
{
    struct error *err = NULL;
    struct document_value element = document_element(list, index);
    const char *text = NULL;
    TRY(document_text(&element, &text));
    if (!text_fingerprint(text)) {
        err = document_error(&element, ERROR_INVALID,
                             "must be a fingerprint: sha256: and 64 lower-case hex digits.");
        goto done;
    }
    memcpy(ret_fingerprint, text, strlen(text) + 1);
done:
    return err;
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
    for (size_t i = 0; i < count; i++)
        TRY(policy_read_fingerprint(value, i, rule->requesters[i]));
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

/* "HH:MM" as minutes of the day, 24:00 included; -1 for anything else. */
static int policy_minute(const char *text)
{
    static const char form[] = "dd:dd";
    for (size_t i = 0; i < sizeof(form) - 1; i++) {
        bool fits = form[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == form[i];
        if (!fits)
            return -1;
    }
    int hour = 10 * (text[0] - '0') + text[1] - '0';
    int minute = 10 * (text[3] - '0') + text[4] - '0';
    int total = 60 * hour + minute;
    return minute < 60 && total <= POLICY_DAY_MINUTES ? total : -1;
}

static struct error *policy_read_hours(const struct document_value *value, void *ret_rule)
{
    static const char form[] = "08:00-18:00";
    struct policy_rule *rule = ret_rule;
    const char *text = document_scalar(value, false);
    int from = -1;
    int to = -1;
    if (text != NULL && strlen(text) == sizeof(form) - 1 && text[5] == '-') {
        from = policy_minute(text);
        to = policy_minute(text + 6);
    }
    if (from < 0 || to < 0 || from == to || from == POLICY_DAY_MINUTES)
        return document_error(value, ERROR_INVALID,
                              "must be two different times of the day such as \"08:00-18:00\", or "
                              "\"22:00-06:00\" over midnight.");
    rule->has_hours = true;
    rule->from_minute = (uint16_t)from;
    rule->to_minute = (uint16_t)to;
    return NULL;
}

static struct error *policy_read_owners(const struct document_value *value, void *ret_policy)
{
    struct error *err = NULL;
    struct policy_gate *gate = &((struct policy *)ret_policy)->gate;
    size_t count = 0;
    TRY(document_list(value, 0, POLICY_MAX_OWNERS, &count));
    for (size_t i = 0; i < count; i++) {
        TRY(policy_read_fingerprint(value, i, gate->owners[i]));
        for (size_t k = 0; k < i; k++) {
            struct document_value element = document_element(value, i);
            if (strcmp(gate->owners[k], gate->owners[i]) != 0)
                continue;
            err = document_error(&element, ERROR_INVALID, "is the key of owners[%zu] again.", k + 1);
            goto done;
        }
    }
    gate->owner_count = count;
done:
    return err;
}

/* ---- rules ---- */

#define POLICY_WHOLE_RULE .offset = 0, .bytes = sizeof(struct policy_rule)
/* A range of values as job.yaml allows them. */
#define POLICY_RANGE(name, from, to)                                                                         \
    {                                                                                                        \
        .key = #name, .type = DOCUMENT_RANGE, .least = (from), .most = (to),                                 \
        DOCUMENT_INTO(struct policy_rule, name)                                                              \
    }

static const struct document_key policy_parameter_keys[] = {
    POLICY_RANGE(l2, 0, 1e6),
    POLICY_RANGE(learning_rate, 0, 100),
    POLICY_RANGE(momentum, 0, 1),
    POLICY_RANGE(batch_size, 1, 1000000),
    POLICY_RANGE(local_iterations, 1, 10000),
    POLICY_RANGE(local_epochs, 1, 1000),
    POLICY_RANGE(test_fraction, 0.01, 0.9),
    {0},
};

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
    {.key = "features",
     .type = DOCUMENT_WORDS,
     .first = 1,
     .words = policy_features_words,
     DOCUMENT_INTO(struct policy_rule, features)},
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
    {.key = "max_requests_per_day",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = 10000,
     DOCUMENT_INTO(struct policy_rule, max_requests_per_day)},
    {.key = "max_local_iterations",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = 10000,
     DOCUMENT_INTO(struct policy_rule, max_local_iterations)},
    {.key = "parameters", .type = DOCUMENT_MAPPING, .keys = policy_parameter_keys},
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
    {.key = "privacy",
     .type = DOCUMENT_READER,
     .read = policy_read_privacy,
     DOCUMENT_INTO(struct policy_rule, privacy)},
    {.key = "min_sites",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = JOB_MAX_SITES,
     DOCUMENT_INTO(struct policy_rule, min_sites)},
    {.key = "days",
     .type = DOCUMENT_WORDS,
     .first = 1,
     .words = policy_day_words,
     DOCUMENT_INTO(struct policy_rule, days)},
    {.key = "hours", .type = DOCUMENT_READER, .read = policy_read_hours, POLICY_WHOLE_RULE},
    {.key = "expires",
     .type = DOCUMENT_DURATION,
     .first = 1,
     .last = 3650u * 86400u,
     DOCUMENT_INTO(struct policy_rule, expires_s)},
    {.key = "hold",
     .type = DOCUMENT_WORD,
     .words = policy_hold_words,
     DOCUMENT_INTO(struct policy_rule, hold)},
    {.key = "allow_growth", .type = DOCUMENT_BOOLEAN, DOCUMENT_INTO(struct policy_rule, allow_growth)},
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

/* ---- output ---- */

static const struct document_key policy_output_keys[] = {
    {.key = "min_rows",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = POLICY_MAX_COUNT,
     DOCUMENT_INTO(struct policy_output, min_rows)},
    {.key = "min_cell",
     .type = DOCUMENT_COUNT,
     .first = 0,
     .last = POLICY_MAX_COUNT,
     DOCUMENT_INTO(struct policy_output, min_cell)},
    {.key = "max_update_norm",
     .type = DOCUMENT_REAL,
     .nullable = true,
     .null_clears = true,
     .least = 0,
     .least_open = true,
     .most = 1e300,
     DOCUMENT_INTO(struct policy_output, max_update_norm)},
    {.key = "metrics",
     .type = DOCUMENT_WORDS,
     .first = 0,
     .words = policy_output_metrics_words,
     DOCUMENT_INTO(struct policy_output, metrics)},
    {.key = "max_update_bytes",
     .type = DOCUMENT_COUNT,
     .first = 8,
     .last = POLICY_MAX_UPDATE_BYTES,
     DOCUMENT_INTO(struct policy_output, max_update_bytes)},
    {.key = "max_job_bytes",
     .type = DOCUMENT_COUNT,
     .nullable = true,
     .null_clears = true,
     .first = 8,
     .last = POLICY_MAX_COUNT,
     DOCUMENT_INTO(struct policy_output, max_job_bytes)},
    {.key = "require",
     .type = DOCUMENT_WORDS,
     .first = 0,
     .words = policy_require_words,
     DOCUMENT_INTO(struct policy_output, require)},
    {.key = "privacy",
     .type = DOCUMENT_READER,
     .read = policy_read_privacy,
     DOCUMENT_INTO(struct policy_output, privacy)},
    {.key = "list",
     .type = DOCUMENT_WORD,
     .words = policy_list_words,
     DOCUMENT_INTO(struct policy_output, list)},
    {0},
};

static struct error *policy_read_output(const struct document_value *value, void *ret_output)
{
    return document_read(value, policy_output_keys, ret_output);
}

/* What a dataset's keys leave open is as in `output`, wherever in the file that stands: read once it is known. */
static struct error *policy_read_outputs(const struct document_value *datasets, struct policy_gate *gate)
{
    struct error *err = NULL;
    size_t count = document_pairs(datasets);
    if (count > POLICY_MAX_DATASETS)
        return document_error(datasets, ERROR_INVALID, "must be at most %d datasets.", POLICY_MAX_DATASETS);
    for (size_t i = 0; i < count; i++) {
        struct document_value key;
        struct document_value value;
        const char *name = document_pair(datasets, i, &key, &value);
        if (!text_name(name, JOB_NAME_BYTES - 1)) {
            err = document_error(&key, ERROR_INVALID,
                                 "must be a dataset's name of 1 to %d of A-Z a-z 0-9 . - _.",
                                 JOB_NAME_BYTES - 1);
            goto done;
        }
        memcpy(gate->datasets[i].name, name, strlen(name) + 1);
        gate->datasets[i].output = gate->output;
        TRY(document_read(&value, policy_output_keys, &gate->datasets[i].output));
        gate->dataset_count = i + 1;
    }
done:
    return err;
}

/* Only the form; policy_read_outputs reads them. */
static struct error *policy_expect_datasets(const struct document_value *value, void *ret_policy)
{
    (void)ret_policy;
    if (!document_is_mapping(value))
        return document_error(value, ERROR_INVALID,
                              "must be a mapping of datasets' names to keys as in output.");
    return NULL;
}

/* ---- the file ---- */

#define POLICY_WHOLE .offset = 0, .bytes = sizeof(struct policy)
#define POLICY_LIMIT(name, to)                                                                               \
    {                                                                                                        \
        .key = #name, .type = DOCUMENT_COUNT, .first = 1, .last = (to),                                      \
        DOCUMENT_INTO(struct policy, limits.name)                                                            \
    }

static const struct document_key policy_limit_keys[] = {
    POLICY_LIMIT(max_pending, 10000),
    POLICY_LIMIT(max_jobs, 1000000),
    POLICY_LIMIT(submissions_per_day, 1000000),
    POLICY_LIMIT(requests_per_minute, 1000000),
    {0},
};

static const struct document_key policy_keys[] = {
    {.key = "default",
     .type = DOCUMENT_READER,
     .read = policy_read_fallback,
     DOCUMENT_INTO(struct policy, fallback)},
    {.key = "rules", .type = DOCUMENT_READER, .read = policy_read_rules, POLICY_WHOLE},
    {.key = "output",
     .type = DOCUMENT_READER,
     .read = policy_read_output,
     DOCUMENT_INTO(struct policy, gate.output)},
    {.key = "datasets", .type = DOCUMENT_READER, .read = policy_expect_datasets, POLICY_WHOLE},
    {.key = "limits", .type = DOCUMENT_MAPPING, .keys = policy_limit_keys},
    {.key = "secure_aggregation", .type = DOCUMENT_MAPPING, .keys = policy_secure_keys},
    {.key = "organisation",
     .type = DOCUMENT_NAME,
     .nullable = true,
     DOCUMENT_INTO(struct policy, organisations[POLICY_OWN_ORGANISATION])},
    {.key = "partners", .type = DOCUMENT_READER, .read = policy_expect_partners, POLICY_WHOLE},
    {.key = "four_eyes", .type = DOCUMENT_BOOLEAN, DOCUMENT_INTO(struct policy, gate.four_eyes)},
    {.key = "owners", .type = DOCUMENT_READER, .read = policy_read_owners, POLICY_WHOLE},
    {0},
};

/* Two owners must agree, so there must be two, and no rule can stand for both. */
static struct error *policy_check_four_eyes(const struct document_value *root, const struct policy *policy)
{
    struct document_value value;
    if (!policy->gate.four_eyes)
        return NULL;
    if (policy->gate.owner_count < 2) {
        (void)document_find(root, "four_eyes", &value);
        return document_error(
            &value, ERROR_INVALID,
            "is true and so needs owners, a list of at least 2 fingerprints of owners' keys "
            "(`datasite trust owner-key`).");
    }
    for (size_t i = 0; i < policy->rule_count; i++) {
        if (policy->rules[i].action != POLICY_APPROVE)
            continue;
        (void)document_find(root, "rules", &value);
        value = document_element(&value, i);
        return document_error(
            &value, ERROR_INVALID,
            "approves without asking, while four_eyes wants the keys of two owners for every "
            "approval: its action must be ask or deny, or four_eyes false.");
    }
    return NULL;
}

struct error *policy_parse(const char *text, size_t bytes, const char *where, struct policy **ret_policy)
{
    struct error *err = NULL;
    struct document *document = NULL;
    struct policy *policy = NULL;
    struct document_value datasets;
    struct document_value partners;
    TRY(document_parse(text, bytes, POLICY_MAX_BYTES, where, &document));
    TRY(policy_new(&policy));
    struct document_value root = document_root(document);
    TRY(document_read(&root, policy_keys, policy));
    if (document_find(&root, "datasets", &datasets))
        TRY(policy_read_outputs(&datasets, &policy->gate));
    if (document_find(&root, "partners", &partners))
        TRY(policy_read_partners(&partners, policy));
    TRY(policy_check_four_eyes(&root, policy));
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
