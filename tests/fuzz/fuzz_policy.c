/* Any bytes as a policy: refused with a sentence, or a policy that approves only for a listed requester, with
 * a bound on the rounds. */
#include "schemas/policy.h"

#define FUZZ_REQUESTER "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
    if (!holds)
        abort();
}

static void expect_decision(const struct policy *policy, const char *requester)
{
    struct job job = {
        .dataset = "mnist", .rounds = 5, .local_iterations = 60, .min_sites = 2, .site_count = 2};
    struct policy_decision decision;
    struct policy_facts facts = {.requester = requester, .requests_today = 1, .weekday = 2, .minute = 600};
    policy_decide(policy, &job, &facts, &decision);
    expect(decision.reason[0] != '\0');
    if (decision.action != POLICY_APPROVE)
        return;
    expect(!policy->gate.four_eyes);
    expect(decision.rule != NULL && !decision.rule->any_requester && decision.rule->requester_count > 0);
    expect(decision.rule->max_rounds >= job.rounds && decision.rule->max_runs >= 1);
    expect(strcmp(requester, FUZZ_REQUESTER) == 0);
}

static void expect_gate(const struct policy_gate *gate)
{
    expect(gate->dataset_count <= POLICY_MAX_DATASETS && gate->owner_count <= POLICY_MAX_OWNERS);
    expect(!gate->four_eyes || gate->owner_count >= 2);
    expect(gate->secure.min_threshold >= 3 && gate->secure.min_colluding >= 1);
    expect(gate->secure.min_organisations >= 1 && gate->partner_count <= POLICY_MAX_PARTNERS);
    expect(gate->secure.max_examples <= POLICY_MAX_EXAMPLES);
    expect(policy_differences_word(gate->secure.differences) != NULL);
    for (size_t i = 0; i < gate->partner_count; i++)
        expect(gate->partners[i].organisation < POLICY_MAX_ORGANISATIONS &&
               policy_gate_partner(gate, gate->partners[i].fingerprint) == &gate->partners[i]);
    for (size_t i = 0; i < gate->dataset_count; i++) {
        const struct policy_output *output = &gate->datasets[i].output;
        expect(policy_gate_output(gate, gate->datasets[i].name) == output);
        expect(output->min_rows >= 1 && output->max_update_bytes >= 8 && output->max_update_norm >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy *policy = NULL;
    struct error *err = policy_parse((const char *)data, size, "policy.yaml", &policy);
    if (err != NULL) {
        expect(policy == NULL && err->sentence[0] != '\0');
        error_free(err);
        return 0;
    }
    expect(policy->fallback != POLICY_APPROVE && policy->gate.output.min_rows >= 1);
    expect_gate(&policy->gate);
    expect(policy->limits.max_pending >= 1 && policy->limits.requests_per_minute >= 1);
    expect_decision(policy, FUZZ_REQUESTER);
    expect_decision(policy, "nobody");
    policy_free(policy);
    return 0;
}
