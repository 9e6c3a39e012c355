#include "console/verbs.h"
#include "datasite/home.h"
#include "datasite/policy_words.h"

#include <inttypes.h>
#include <jansson.h>

extern const struct verb verb_policy;

static struct {
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

static void policy_print_gate(const struct policy_gate *gate)
{
    (void)printf("At every release, whatever was approved:\n");
    policy_words_output(&gate->output, 2);
    for (size_t i = 0; i < gate->dataset_count; i++) {
        (void)printf("For the dataset \"%s\":\n", gate->datasets[i].name);
        policy_words_output(&gate->datasets[i].output, 2);
    }
}

static void policy_print_limits(const struct policy_limits *limits)
{
    (void)printf("\nOne requester may have %" PRIu32 " jobs that wait for you and %" PRIu32
                 " in all, submit %" PRIu32 " in 24 hours,\nand send %" PRIu32 " messages a minute.\n",
                 limits->max_pending, limits->max_jobs, limits->submissions_per_day,
                 limits->requests_per_minute);
}

static void policy_print_owners(const struct policy_gate *gate)
{
    if (gate->four_eyes)
        (void)printf("\nEvery approval needs two of these owners' keys (approve --key):\n");
    else if (gate->owner_count > 0)
        (void)printf("\nOwners' keys, which nothing asks for while four_eyes is false:\n");
    for (size_t i = 0; i < gate->owner_count; i++)
        (void)printf("  %s\n", gate->owners[i]);
}

static void policy_print_words(const struct policy *policy, const char *path)
{
    (void)printf("From %s; the first rule that matches decides.\n\n", path);
    for (size_t i = 0; i < policy->rule_count; i++)
        policy_words_rule(i + 1, &policy->rules[i]);
    (void)printf("%s job %s.\n\n", policy->rule_count == 0 ? "Every" : "Every other",
                 policy_words_action(policy->fallback));
    policy_print_gate(&policy->gate);
    (void)putchar('\n');
    policy_words_partners(policy);
    policy_print_limits(&policy->limits);
    policy_print_owners(&policy->gate);
}

/* ---- JSON ---- */

static json_t *policy_json_list(const char *list, size_t stride, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(array, json_string(list + i * stride));
    return array;
}

static json_t *policy_json_bits(uint32_t bits, const char *const *words)
{
    json_t *array = json_array();
    for (size_t i = 0; words[i] != NULL; i++) {
        if ((bits & (UINT32_C(1) << i)) != 0)
            (void)json_array_append_new(array, json_string(words[i]));
    }
    return array;
}

static void policy_json_range(json_t *object, const char *key, const struct document_range *range)
{
    if (range->given)
        (void)json_object_set_new(object, key, json_pack("[f, f]", range->low, range->high));
}

static json_t *policy_json_parameters(const struct policy_rule *rule)
{
    json_t *object = json_object();
    policy_json_range(object, "l2", &rule->l2);
    policy_json_range(object, "learning_rate", &rule->learning_rate);
    policy_json_range(object, "momentum", &rule->momentum);
    policy_json_range(object, "batch_size", &rule->batch_size);
    policy_json_range(object, "local_iterations", &rule->local_iterations);
    policy_json_range(object, "local_epochs", &rule->local_epochs);
    policy_json_range(object, "test_fraction", &rule->test_fraction);
    return object;
}

static json_t *policy_json_hours(const struct policy_rule *rule)
{
    return rule->has_hours
               ? json_sprintf("%02u:%02u-%02u:%02u", rule->from_minute / 60u, rule->from_minute % 60u,
                              rule->to_minute / 60u, rule->to_minute % 60u)
               : json_null();
}

/* null: no bound. */
static json_t *policy_json_bound(double bound)
{
    return bound > 0 ? json_real(bound) : json_null();
}

static json_t *policy_json_privacy(const struct policy_privacy *privacy)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o}", "mechanisms", policy_json_bits(privacy->mechanisms, policy_mechanism_words),
        "max_epsilon", policy_json_bound(privacy->max_epsilon), "max_delta",
        policy_json_bound(privacy->max_delta), "min_noise", policy_json_bound(privacy->min_noise));
}

/* 0, or an empty list, stands for "no bound", as in schemas/policy.h. */
static json_t *policy_json_rule(const struct policy_rule *rule)
{
    json_t *requesters = rule->any_requester
                             ? json_null()
                             : policy_json_list(rule->requester_count == 0 ? NULL : rule->requesters[0],
                                                sizeof(rule->requesters[0]), rule->requester_count);
    json_t *datasets = policy_json_list(rule->dataset_count == 0 ? NULL : rule->datasets[0],
                                        sizeof(rule->datasets[0]), rule->dataset_count);
    return json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, "
        "s:o, s:s, s:b}",
        "name", rule->name, "action", policy_action_word(rule->action), "requesters", requesters, "datasets",
        datasets, "models", policy_json_bits(rule->models, policy_model_words), "features",
        policy_json_bits(rule->features, policy_features_words), "max_rounds", (json_int_t)rule->max_rounds,
        "max_runs", (json_int_t)rule->max_runs, "max_jobs", (json_int_t)rule->max_jobs,
        "max_requests_per_day", (json_int_t)rule->max_requests_per_day, "max_local_iterations",
        (json_int_t)rule->max_local_iterations, "min_sites", (json_int_t)rule->min_sites, "expires_seconds",
        (json_int_t)rule->expires_s, "require", policy_json_bits(rule->require, policy_require_words),
        "privacy", policy_json_privacy(&rule->privacy), "parameters", policy_json_parameters(rule), "days",
        policy_json_bits(rule->days, policy_day_words), "hours", policy_json_hours(rule), "hold",
        hold_word(rule->hold), "allow_growth", rule->allow_growth ? 1 : 0);
}

static json_t *policy_json_output(const struct policy_output *output)
{
    json_t *norm = policy_json_bound(output->max_update_norm);
    json_t *job_bytes =
        output->max_job_bytes > 0 ? json_integer((json_int_t)output->max_job_bytes) : json_null();
    return json_pack("{s:I, s:I, s:o, s:o, s:I, s:o, s:o, s:o, s:s}", "min_rows",
                     (json_int_t)output->min_rows, "min_cell", (json_int_t)output->min_cell,
                     "max_update_norm", norm, "metrics",
                     policy_json_bits(output->metrics, policy_output_metrics_words), "max_update_bytes",
                     (json_int_t)output->max_update_bytes, "max_job_bytes", job_bytes, "require",
                     policy_json_bits(output->require, policy_require_words), "privacy",
                     policy_json_privacy(&output->privacy), "list", policy_list_word(output->list));
}

static json_t *policy_json_datasets(const struct policy_gate *gate)
{
    json_t *object = json_object();
    for (size_t i = 0; i < gate->dataset_count; i++)
        (void)json_object_set_new(object, gate->datasets[i].name,
                                  policy_json_output(&gate->datasets[i].output));
    return object;
}

static json_t *policy_json_partners(const struct policy *policy)
{
    const struct policy_gate *gate = &policy->gate;
    json_t *array = json_array();
    for (size_t i = 0; i < gate->partner_count; i++)
        (void)json_array_append_new(array, json_pack("{s:s, s:s}", "fingerprint",
                                                     gate->partners[i].fingerprint, "organisation",
                                                     policy->organisations[gate->partners[i].organisation]));
    return array;
}

static json_t *policy_json_secure(const struct policy_secure_aggregation *secure)
{
    json_t *examples =
        secure->max_examples > 0 ? json_integer((json_int_t)secure->max_examples) : json_null();
    return json_pack("{s:I, s:I, s:I, s:s, s:b, s:o}", "min_threshold", (json_int_t)secure->min_threshold,
                     "min_colluding", (json_int_t)secure->min_colluding, "min_organisations",
                     (json_int_t)secure->min_organisations, "differences",
                     policy_differences_word(secure->differences), "require_verify_sum",
                     secure->require_verify_sum ? 1 : 0, "max_examples", examples);
}

static struct error *policy_print_json(const struct policy *policy)
{
    const struct policy_gate *gate = &policy->gate;
    const struct policy_limits *limits = &policy->limits;
    const char *own = policy->organisations[POLICY_OWN_ORGANISATION];
    json_t *rules = json_array();
    for (size_t i = 0; i < policy->rule_count; i++)
        (void)json_array_append_new(rules, policy_json_rule(&policy->rules[i]));
    bool whole = json_array_size(rules) == policy->rule_count;
    json_t *all =
        json_pack("{s:i, s:s, s:o, s:o, s:o, s:{s:I, s:I, s:I, s:I}, s:o, s:s?, s:o, s:b, s:o}", "version", 1,
                  "default", policy_action_word(policy->fallback), "rules", rules, "output",
                  policy_json_output(&gate->output), "datasets", policy_json_datasets(gate), "limits",
                  "max_pending", (json_int_t)limits->max_pending, "max_jobs", (json_int_t)limits->max_jobs,
                  "submissions_per_day", (json_int_t)limits->submissions_per_day, "requests_per_minute",
                  (json_int_t)limits->requests_per_minute, "secure_aggregation",
                  policy_json_secure(&gate->secure), "organisation", own[0] == '\0' ? NULL : own, "partners",
                  policy_json_partners(policy), "four_eyes", gate->four_eyes ? 1 : 0, "owners",
                  policy_json_list(gate->owners[0], sizeof(gate->owners[0]), gate->owner_count));
    if (all == NULL || !whole) {
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

const struct verb verb_policy = {
    .name = "policy",
    .summary = "Say in words what is approved without asking, and what is asked of every release",
    .arguments = "",
    .detail = "The rules are in policy.yaml of the site's home; `datasite serve` reads them at its start, "
              "within two\n"
              "seconds of a change and on SIGHUP, and records that they changed. A file that cannot be read "
              "leaves the rules of\n"
              "before in force, and the log says so.\n\n"
              "Example:\n"
              "  datasite policy --json",
    .options = policy_options,
    .run = policy_run,
};
