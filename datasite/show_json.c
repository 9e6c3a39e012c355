#include "datasite/show_parts.h"

#include "console/terminal.h"
#include "schemas/clock.h"

#include <errno.h>

static json_t *show_json_decision(const struct screen *screen)
{
    static const char *const kinds[] = {
        [DECISION_APPROVE] = "approve", [DECISION_DENY] = "deny", [DECISION_REVOKE] = "revoke"};
    const struct decision *decision = &screen->decision;
    char by[2 * sizeof(decision->decided_by)], reason[2 * sizeof(decision->reason)];
    char at[CLOCK_TEXT_BYTES], expires[CLOCK_TEXT_BYTES];
    if (!screen->has_decision)
        return json_null();
    terminal_clean(decision->decided_by, by, sizeof(by));
    terminal_clean(decision->reason, reason, sizeof(reason));
    clock_format(decision->decided_at, at);
    clock_format(decision->expires, expires);
    bool approved = decision->kind == DECISION_APPROVE;
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s?, s:s, s:b}", "kind", kinds[decision->kind], "by",
                     by, "at", at, "reason", reason, "rounds", (json_int_t)decision->rounds, "runs",
                     (json_int_t)decision->runs, "expires", approved ? expires : NULL, "hold",
                     hold_word(decision->hold), "allow_growth", decision->allow_growth ? 1 : 0);
}

static json_t *show_json_leaves(const struct screen *screen)
{
    const struct job *job = screen->desk->job;
    json_t *coefficients =
        screen->has_dataset ? json_integer((json_int_t)screen_coefficients(screen)) : json_null();
    uint32_t metrics = policy_gate_output(&screen->policy->gate, job->dataset)->metrics;
    if (job->metrics == JOB_METRICS_NONE)
        metrics &= POLICY_METRIC_EXAMPLES;
    /* Inside a sum there is no accuracy, but the counts and the number that the job asks for. */
    bool masked = job->secure.enabled, noised = job_private(job);
    bool rows =
        !noised && (masked ? job->weighting == JOB_WEIGHT_EXAMPLES : (metrics & POLICY_METRIC_EXAMPLES) != 0);
    bool accuracy = !masked && !noised && (metrics & POLICY_METRIC_TRAIN_ACCURACY) != 0;
    bool confusion = masked ? job->metrics == JOB_METRICS_POOLED : (metrics & POLICY_METRIC_CONFUSION) != 0;
    return json_pack("{s:o, s:b, s:b, s:b, s:b, s:s}", "coefficients", coefficients, "training_rows", rows,
                     "train_accuracy", accuracy, "confusion", confusion, "noised", noised, "protection",
                     desk_protection(job));
}

static json_t *show_json_likeness(const struct screen *screen)
{
    if (!screen->has_likeness)
        return json_null();
    return json_pack("{s:s, s:s, s:I}", "job", screen->likeness, "was", screen->likeness_word, "changes",
                     (json_int_t)screen->likeness_changes);
}

struct error *show_print_json(const struct screen *screen)
{
    struct error *err = NULL;
    const struct desk *desk = screen->desk;
    const struct job *job = desk->job;
    char hex[DIGEST_HEX_BYTES], requester[FINGERPRINT_BYTES], name[2 * sizeof(desk->record.requester_name)];
    char received[CLOCK_TEXT_BYTES], expires[CLOCK_TEXT_BYTES], summary[SHOW_SUMMARY_BYTES];
    show_summary(screen, summary);
    digest_hex(&desk->record.id, hex);
    site_id_format(&desk->record.requester, requester);
    terminal_clean(desk->record.requester_name, name, sizeof(name));
    clock_format(desk->record.received_at, received);
    clock_format(desk->record.expires, expires);
    bool four_eyes = screen->policy->gate.four_eyes;
    bool running = desk->record.state == JOB_STATE_RUNNING; /* last_round is of the run in progress */
    json_t *document = json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:I, s:o, s:o, "
        "s:s, s:o, s:o, s:s, s:o, s:o, s:s?, s:s?}",
        "version", 1, "job_id", hex, "name", job->name, "requester", requester, "requester_name", name,
        "listed", screen->listed ? 1 : 0, "state", job_state_word(desk->record.state), "received_at",
        received, "expires", expires, "dataset", job->dataset, "model", job_model_word(job->model),
        "optimizer", job_optimizer_word(job->optimizer), "rounds", (json_int_t)job->rounds, "sites",
        (json_int_t)job->site_count, "leaves", show_json_leaves(screen), "decision",
        show_json_decision(screen), "runs_used", (json_int_t)screen->runs_used, "last_round",
        running ? json_integer((json_int_t)screen->last_round) : json_null(), "owners_approved",
        four_eyes ? json_integer((json_int_t)screen->owners) : json_null(), "summary", summary, "like",
        show_json_likeness(screen), "secure_aggregation", show_secure_json(screen), "features",
        job_features_word(job->features), "privacy", show_privacy_json(screen), "budget",
        show_privacy_budget_json(screen), "obstacle", screen->obstacle[0] == '\0' ? NULL : screen->obstacle,
        "waits_because", screen->waits[0] == '\0' ? NULL : screen->waits);
    if (document == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to describe the job.");
    if (json_dumpf(document, stdout, JSON_INDENT(2)) != 0 || putchar('\n') == EOF)
        err = error_errno(ERROR_IO, errno, "The job cannot be written");
done:
    json_decref(document);
    return err;
}
