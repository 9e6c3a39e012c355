/* That policy.yaml changed is recorded: who can write it can loosen it, but not unseen. */
#include "crypto/digest.h"
#include "datasite/release_check.h"
#include "datasite/serve_parts.h"
#include "schemas/files.h"

#include <inttypes.h>

#define SERVE_POLICY_DETAIL_BYTES 2048

struct error *serve_policy_read(const char *path, struct policy **ret_policy, struct digest *ret_digest)
{
    struct error *err = NULL;
    uint8_t *text = NULL;
    size_t bytes = 0;
    struct digest digest;
    struct policy *policy = NULL;
    err = file_read(path, POLICY_MAX_BYTES, &text, &bytes);
    bool absent = err != NULL && err->code == ERROR_NOT_FOUND;
    if (absent)
        error_clear(&err);
    if (err != NULL)
        goto done;
    TRY(digest_of(absent ? (const uint8_t *)"" : text, bytes, &digest));
    TRY(absent ? policy_load(path, &policy) : policy_parse((const char *)text, bytes, path, &policy));
    *ret_policy = policy;
    *ret_digest = digest;
done:
    free(text);
    return err;
}

static const char *policy_detail_require(const struct policy_output *output)
{
    return (output->require & POLICY_REQUIRE_SECURE_AGGREGATION) != 0 ? "masked sums alone; " : "";
}

/* Of all datasets, then of those with rules of their own: as many as fit. */
static void policy_detail_output(const struct policy_gate *gate, char *detail, size_t detail_bytes)
{
    char rules[RECEIPT_PROTECTIONS_BYTES];
    size_t used = strlen(detail);
    release_check_protections(&gate->output, rules);
    used += (size_t)snprintf(detail + used, detail_bytes - used, "; output: %s%s",
                             policy_detail_require(&gate->output), rules);
    for (size_t i = 0; i < gate->dataset_count; i++) {
        const char *masked = policy_detail_require(&gate->datasets[i].output);
        size_t left = detail_bytes - used;
        size_t wanted = strlen("; : ...") + JOB_NAME_BYTES + strlen(masked) + sizeof(rules);
        if (left <= wanted) {
            (void)snprintf(detail + used, left, "; ...");
            return;
        }
        release_check_protections(&gate->datasets[i].output, rules);
        used += (size_t)snprintf(detail + used, left, "; %s: %s%s", gate->datasets[i].name, masked, rules);
    }
}

/* What is asked of sums beside their sites. */
static void policy_detail_sums(const struct policy_secure_aggregation *secure, char *detail,
                               size_t detail_bytes)
{
    size_t used = strlen(detail);
    used += (size_t)snprintf(detail + used, detail_bytes - used, ", differences %s%s",
                             policy_differences_word(secure->differences),
                             secure->require_verify_sum ? ", sums verified" : "");
    if (secure->max_examples > 0)
        (void)snprintf(detail + used, detail_bytes - used, ", max_examples %" PRIu64, secure->max_examples);
}

/* With whom, and over how many, numbers are summed; nothing while nobody is. */
static void policy_detail_partners(const struct policy *policy, char *detail, size_t detail_bytes)
{
    const struct policy_secure_aggregation *secure = &policy->gate.secure;
    size_t used = strlen(detail);
    if (policy->gate.partner_count == 0)
        return;
    (void)snprintf(detail + used, detail_bytes - used,
                   "; %zu partner%s, sums over %" PRIu32 " sites of %" PRIu32 " organisations, %" PRIu32
                   " may collude",
                   policy->gate.partner_count, policy->gate.partner_count == 1 ? "" : "s",
                   secure->min_threshold, secure->min_organisations, secure->min_colluding);
    policy_detail_sums(secure, detail, detail_bytes);
}

/* What an auditor wants to know of a policy first. */
static void policy_detail(const struct policy *policy, char *ret_detail, size_t detail_bytes)
{
    size_t approving = 0;
    for (size_t i = 0; i < policy->rule_count; i++)
        approving += policy->rules[i].action == POLICY_APPROVE;
    (void)snprintf(ret_detail, detail_bytes,
                   "policy.yaml: default %s, %zu rules of which %zu approve, four_eyes %s, %zu owners",
                   policy_action_word(policy->fallback), policy->rule_count, approving,
                   policy->gate.four_eyes ? "true" : "false", policy->gate.owner_count);
    policy_detail_partners(policy, ret_detail, detail_bytes);
    policy_detail_output(&policy->gate, ret_detail, detail_bytes);
}

struct error *serve_policy_note(const struct serve *serve, const struct policy *policy,
                                const struct digest *digest)
{
    struct error *err = NULL;
    struct digest last;
    bool found = false;
    char detail[SERVE_POLICY_DETAIL_BYTES];
    TRY(store_policy_digest(serve->store, &last, &found));
    if (found && digest_equal(&last, digest))
        goto done;
    policy_detail(policy, detail, sizeof(detail));
    TRY(store_event_add(serve->store, EVENT_POLICY_CHANGED, NULL, NULL, 0, serve->requests.clock() / 1000,
                        detail, digest));
    LOG(&serve->log, EVENT_POLICY_CHANGED, log_sentence(detail));
done:
    return err;
}
