/* That policy.yaml changed is recorded: who can write it can loosen it, but not unseen. */
#include "crypto/digest.h"
#include "datasite/release_check.h"
#include "datasite/serve_parts.h"
#include "schemas/files.h"

#include <inttypes.h>
#include <sys/stat.h>

#define SERVE_POLICY_DETAIL_BYTES 2048
#define SERVE_POLICY_LOOK_MS 1000
#define SERVE_POLICY_SETTLE_MS 250
#define SERVE_NS INT64_C(1000000000)

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

/* ---- while the daemon runs ---- */

struct policy_stamp serve_policy_stamp(const char *path)
{
    struct stat stat_of;
    if (stat(path, &stat_of) != 0)
        return (struct policy_stamp){.inode = 0};
    return (struct policy_stamp){
        .device = (uint64_t)stat_of.st_dev,
        .inode = (uint64_t)stat_of.st_ino,
        .bytes = (uint64_t)stat_of.st_size,
        .modified_ns = stat_of.st_mtim.tv_sec * SERVE_NS + stat_of.st_mtim.tv_nsec,
        .changed_ns = stat_of.st_ctim.tv_sec * SERVE_NS + stat_of.st_ctim.tv_nsec,
    };
}

static bool stamp_same(const struct policy_stamp *a, const struct policy_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
           a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
}

/* In force once it is recorded, and for the step in hand too. */
static struct error *policy_take(struct serve *serve, struct policy **policy, const struct digest *digest)
{
    struct error *err = NULL;
    struct policy *before = serve->policy;
    TRY(serve_policy_note(serve, *policy, digest));
    serve->policy = *policy;
    *policy = before;
    serve->requests.policy = serve->policy;
    executor_set_policy(serve->executor, serve->policy);
    requests_recheck(&serve->requests, serve_peers_is_listed, serve);
done:
    return err;
}

/* A policy that can be read and not be recorded is tried again at the next look. */
static void policy_reload(struct serve *serve, const struct policy_stamp *stamp, int64_t now)
{
    struct policy *policy = NULL;
    struct digest digest;
    struct error *err = serve_policy_read(serve->home->policy_path, &policy, &digest);
    if (err != NULL) {
        serve->policy_read = *stamp;
        err = error_prefix(err, SERVE_POLICY_UNREAD);
        LOG(&serve->log, EVENT_RELOAD_FAILED, log_sentence(err->sentence));
    } else if ((err = policy_take(serve, &policy, &digest)) == NULL) {
        serve->policy_read = *stamp;
    } else if (log_repeats_first(&serve->repeats, EVENT_STORE_FAILED, identity_id(serve->identity), now)) {
        LOG(&serve->log, EVENT_STORE_FAILED, log_sentence(err->sentence));
    }
    error_free(err);
    policy_free(policy);
}

void serve_policy_watch(struct serve *serve, int64_t now)
{
    if (now < serve->policy_due)
        return;
    struct policy_stamp stamp = serve_policy_stamp(serve->home->policy_path);
    bool changed = !stamp_same(&stamp, &serve->policy_read);
    bool settled = stamp_same(&stamp, &serve->policy_found);
    serve->policy_found = stamp;
    serve->policy_due = now + (changed && !settled ? SERVE_POLICY_SETTLE_MS : SERVE_POLICY_LOOK_MS);
    if (changed && settled)
        policy_reload(serve, &stamp, now);
}
