#include "datasite/policy_words.h"

#include <inttypes.h>
#include <stdio.h>

#define WORDS_DAY 86400
#define WORDS_LIST_BYTES 96

const char *policy_words_action(enum policy_action action)
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

void policy_words_bits(uint32_t bits, const char *const *words, char *ret_text, size_t text_bytes)
{
    size_t used = 0;
    ret_text[0] = '\0';
    for (size_t i = 0; words[i] != NULL && used < text_bytes; i++) {
        if ((bits & (UINT32_C(1) << i)) != 0)
            used +=
                (size_t)snprintf(ret_text + used, text_bytes - used, "%s%s", used == 0 ? "" : ", ", words[i]);
    }
    if (used == 0)
        (void)snprintf(ret_text, text_bytes, "nothing");
}

static void words_list(const char *before, const char *list, size_t stride, size_t count)
{
    (void)printf("     - %s", before);
    for (size_t i = 0; i < count; i++)
        (void)printf("%s%s", i == 0 ? " " : ", ", list + i * stride);
    (void)printf("\n");
}

static void words_requesters(const struct policy_rule *rule)
{
    if (rule->any_requester)
        (void)printf("     - anybody asks who may\n");
    else if (rule->requester_count == 0)
        (void)printf("     - nobody: its list of requesters is empty, so it never matches\n");
    else
        words_list("it is asked by", rule->requesters[0], sizeof(rule->requesters[0]), rule->requester_count);
}

static void words_choice(const char *before, uint32_t bits, const char *const *words)
{
    char list[WORDS_LIST_BYTES];
    policy_words_bits(bits, words, list, sizeof(list));
    (void)printf("     - %s %s\n", before, list);
}

/* Nothing where no bound is set. */
static void words_privacy(const char *before, const struct policy_privacy *privacy, const char *runs)
{
    char list[WORDS_LIST_BYTES];
    policy_words_bits(privacy->mechanisms, policy_mechanism_words, list, sizeof(list));
    if (privacy->mechanisms != 0)
        (void)printf("%sits privacy mechanism is one of: %s\n", before, list);
    if (privacy->max_epsilon > 0)
        (void)printf("%sit has a privacy mechanism, and its epsilon, %s, is at most %g\n", before, runs,
                     privacy->max_epsilon);
    if (privacy->max_delta > 0)
        (void)printf("%sit has a privacy mechanism, and its delta, %s, is at most %g\n", before, runs,
                     privacy->max_delta);
    if (privacy->min_noise > 0)
        (void)printf("%sit has a privacy mechanism, whose noise multipliers are at least %g\n", before,
                     privacy->min_noise);
}

static void words_lists(const struct policy_rule *rule)
{
    if (rule->dataset_count > 0)
        words_list("its dataset is", rule->datasets[0], sizeof(rule->datasets[0]), rule->dataset_count);
    if (rule->models != 0)
        words_choice("its model is", rule->models, policy_model_words);
    else
        (void)printf("     - its model is any, but exact feature-statistics (without privacy)\n");
    if (rule->features != 0)
        words_choice("its features are", rule->features, policy_features_words);
    if (rule->metrics != 0)
        (void)printf("     - its metrics are%s%s%s\n",
                     (rule->metrics & 1u << JOB_METRICS_PER_SITE) != 0 ? " per-site" : "",
                     (rule->metrics & 1u << JOB_METRICS_POOLED) != 0 ? " pooled" : "",
                     (rule->metrics & 1u << JOB_METRICS_NONE) != 0 ? " none" : "");
    if ((rule->require & POLICY_REQUIRE_SECURE_AGGREGATION) != 0)
        (void)printf("     - it uses secure aggregation\n");
    if ((rule->require & POLICY_REQUIRE_PRIVACY) != 0)
        (void)printf("     - it uses a privacy mechanism\n");
    words_privacy("     - ", &rule->privacy, "times the runs");
}

static void words_range(const char *name, const struct document_range *range)
{
    if (range->given)
        (void)printf("     - its %s is from %.6g to %.6g\n", name, range->low, range->high);
}

static void words_bounds(const struct policy_rule *rule)
{
    if (rule->max_rounds != 0)
        (void)printf("     - it has at most %" PRIu32 " rounds\n", rule->max_rounds);
    if (rule->max_local_iterations != 0)
        (void)printf("     - it has at most %" PRIu32 " local iterations, epochs or steps\n",
                     rule->max_local_iterations);
    if (rule->min_sites > 1)
        (void)printf("     - at least %" PRIu32 " sites take part\n", rule->min_sites);
    words_range("l2", &rule->l2);
    words_range("test_fraction", &rule->test_fraction);
    words_range("local_iterations (lbfgs)", &rule->local_iterations);
    words_range("learning_rate (sgd)", &rule->learning_rate);
    words_range("momentum (sgd)", &rule->momentum);
    words_range("batch_size (sgd)", &rule->batch_size);
    words_range("local_epochs (sgd)", &rule->local_epochs);
}

static void words_moment(const struct policy_rule *rule)
{
    char days[WORDS_LIST_BYTES];
    if (rule->days != 0) {
        policy_words_bits(rule->days, policy_day_words, days, sizeof(days));
        (void)printf("     - it comes in on %s (local time)\n", days);
    }
    if (rule->has_hours)
        (void)printf("     - it comes in from %02u:%02u to %02u:%02u (local time)\n", rule->from_minute / 60u,
                     rule->from_minute % 60u, rule->to_minute / 60u, rule->to_minute % 60u);
    if (rule->max_requests_per_day != 0)
        (void)printf("     - its requester submitted at most %" PRIu32
                     " jobs in 24 hours, this one included\n",
                     rule->max_requests_per_day);
}

static const char *words_hold(enum hold hold)
{
    switch (hold) {
    case HOLD_NEVER:
        return "Its answers leave at once.";
    case HOLD_FIRST:
        return "The first answer of each run waits until you have looked at it.";
    case HOLD_EVERY:
        return "Every answer waits until you have looked at it.";
    case HOLD_FINAL:
        return "The answers of the last approved round alone wait until you have looked (who stops a round "
               "earlier\n   evades that: prefer every or first).";
    }
    return "";
}

static void words_approval(const struct policy_rule *rule)
{
    (void)printf("   The approval is for %" PRIu32 " run%s%s and ends after %g day%s, or with the job.\n",
                 rule->max_runs, rule->max_runs == 1 ? "" : "s",
                 rule->max_runs == 1 ? "" : " (one with secure aggregation)",
                 (double)rule->expires_s / WORDS_DAY, rule->expires_s == WORDS_DAY ? "" : "s");
    (void)printf("   It approves %" PRIu32 " job%s of one requester in %d days; more of them wait for you.\n",
                 rule->max_jobs, rule->max_jobs == 1 ? "" : "s", POLICY_JOBS_DAYS);
    (void)printf("   %s %s\n", words_hold(rule->hold),
                 rule->allow_growth
                     ? "Rows may be added to the dataset meanwhile, min_rows or more at a time."
                     : "It ends when the dataset changes.");
}

void policy_words_rule(size_t number, const struct policy_rule *rule)
{
    (void)printf("%zu. \"%s\": a job %s when\n", number, rule->name, policy_words_action(rule->action));
    words_requesters(rule);
    words_lists(rule);
    words_bounds(rule);
    words_moment(rule);
    if (rule->action == POLICY_APPROVE)
        words_approval(rule);
}

static const char *words_listing(enum policy_list list)
{
    switch (list) {
    case POLICY_LIST_NOBODY:
        return "nobody is told that the dataset exists";
    case POLICY_LIST_MOCK:
        return "trusted peers are told of the dataset once you have made a mock of it";
    case POLICY_LIST_PEERS:
        return "trusted peers are told of the dataset";
    case POLICY_LIST_MEMBERS:
        return "members of your consortium are told of the dataset";
    }
    return "";
}

static void words_output_privacy(const struct policy_privacy *privacy, int indent)
{
    char before[48];
    (void)snprintf(before, sizeof(before), "%*sof a job only if ", indent < 16 ? indent : 16, "");
    words_privacy(before, privacy, "of all runs that you approved");
}

void policy_words_output(const struct policy_output *output, int indent)
{
    char metrics[WORDS_LIST_BYTES];
    policy_words_bits(output->metrics, policy_output_metrics_words, metrics, sizeof(metrics));
    (void)printf("%*sat least %" PRIu64 " training rows, and test rows for counts\n", indent, "",
                 output->min_rows);
    if (output->min_cell > 0)
        (void)printf("%*scounts below %" PRIu64 " leave as null\n", indent, "", output->min_cell);
    else
        (void)printf("%*severy count leaves as it is\n", indent, "");
    (void)printf("%*sbesides coefficients: %s\n", indent, "", metrics);
    if ((output->require & POLICY_REQUIRE_SECURE_AGGREGATION) != 0)
        (void)printf("%*sinside masked sums alone: nothing for a job without secure aggregation\n", indent,
                     "");
    if ((output->require & POLICY_REQUIRE_PRIVACY) != 0)
        (void)printf("%*swith noise alone: nothing for a job without a privacy mechanism\n", indent, "");
    words_output_privacy(&output->privacy, indent);
    if (output->max_update_norm > 0)
        (void)printf("%*sa norm of the update of at most %.6g\n", indent, "", output->max_update_norm);
    (void)printf("%*sat most %" PRIu64 " bytes an answer", indent, "", output->max_update_bytes);
    if (output->max_job_bytes > 0)
        (void)printf(", and %" PRIu64 " bytes a job", output->max_job_bytes);
    (void)printf("\n%*s%s\n", indent, "", words_listing(output->list));
}

/* The sites of one organisation; nothing for one without. */
static void words_organisation(const struct policy *policy, uint16_t number)
{
    const struct policy_gate *gate = &policy->gate;
    size_t sites = 0;
    for (size_t i = 0; i < gate->partner_count; i++)
        sites += gate->partners[i].organisation == number;
    if (sites == 0)
        return;
    (void)printf("    %s: %zu %ssite%s\n", policy->organisations[number], sites,
                 number == POLICY_OWN_ORGANISATION ? "other " : "", sites == 1 ? "" : "s");
    for (size_t i = 0; i < gate->partner_count; i++) {
        if (gate->partners[i].organisation == number)
            (void)printf("      %s\n", gate->partners[i].fingerprint);
    }
}

static void words_sums(const struct policy_secure_aggregation *secure)
{
    switch (secure->differences) {
    case POLICY_DIFFERENCES_ALLOW:
        (void)printf(
            "Sums of one job over nearly the same sites are agreed to: what two of them differ by can "
            "be one site's numbers\n(differences: refuse).\n");
        break;
    case POLICY_DIFFERENCES_REFUSE:
        (void)printf(
            "A sum over nearly the same sites as an earlier one of the job is not agreed to: its run "
            "ends when a site\ndrops out, or comes back, between rounds. Your numbers are protected as "
            "far as your partners refuse too.\n");
        break;
    }
    if (secure->require_verify_sum)
        (void)printf("The job's sites have to check each sum (verify_sum).\n");
    if (secure->max_examples > 0)
        (void)printf("A job that weights sites by their rows may not reckon with more than %" PRIu64
                     " rows of one (max_examples).\n",
                     secure->max_examples);
}

void policy_words_partners(const struct policy *policy)
{
    const struct policy_secure_aggregation *secure = &policy->gate.secure;
    if (policy->gate.partner_count == 0) {
        (void)printf("A job with secure aggregation is refused, because `partners` is empty: you would not "
                     "know with whom\nyour numbers are summed (datasite trust partner).\n");
        return;
    }
    (void)printf("A job with secure aggregation needs sums over at least %" PRIu32
                 " sites of at least %" PRIu32 " organisation%s, keeps them\nclosed to at least %" PRIu32
                 " site%s that collude%s with the requester, and has no sites but this one and\n",
                 secure->min_threshold, secure->min_organisations, secure->min_organisations == 1 ? "" : "s",
                 secure->min_colluding, secure->min_colluding == 1 ? "" : "s",
                 secure->min_colluding == 1 ? "s" : "");
    for (uint16_t i = 0; i < policy->organisation_count; i++)
        words_organisation(policy, i);
    words_sums(secure);
}
