/* What was enforced on an answer, as words: written when it is made, read again when an answer that was held is about to
 * leave, whose rules must not have become stricter meanwhile. */
#include "datasite/release_check.h"

#include <errno.h>
#include <inttypes.h>

static const struct {
    uint32_t bit;
    const char *word;
} protections_metrics[] = {{POLICY_METRIC_EXAMPLES, " examples"},
                           {POLICY_METRIC_TRAIN_ACCURACY, " train-accuracy"},
                           {POLICY_METRIC_CONFUSION, " confusion"}};

/* Appends as much as fits. */
static void protections_add(char text[static RECEIPT_PROTECTIONS_BYTES], const char *more)
{
    size_t used = strlen(text);
    (void)snprintf(text + used, RECEIPT_PROTECTIONS_BYTES - used, "%s", more);
}

void release_check_protections(const struct policy_output *output,
                               char ret_text[static RECEIPT_PROTECTIONS_BYTES])
{
    char norm[64];
    (void)snprintf(ret_text, RECEIPT_PROTECTIONS_BYTES, "min-rows %" PRIu64 "; min-cell %" PRIu64,
                   output->min_rows, output->min_cell);
    if (output->max_update_norm > 0) {
        (void)snprintf(norm, sizeof(norm), "; norm <= %g", output->max_update_norm);
        protections_add(ret_text, norm);
    }
    if ((output->metrics & POLICY_METRICS_ALL) == POLICY_METRICS_ALL)
        return;
    protections_add(ret_text, "; metrics");
    for (size_t i = 0; i < sizeof(protections_metrics) / sizeof(protections_metrics[0]); i++) {
        if ((output->metrics & protections_metrics[i].bit) != 0)
            protections_add(ret_text, protections_metrics[i].word);
    }
    if ((output->metrics & POLICY_METRICS_ALL) == 0)
        protections_add(ret_text, " none");
}

/* ---- reading them again ---- */

/* The number behind `name`; false unless there is one. */
static bool protections_number(const char *text, const char *name, uint64_t *ret_number)
{
    const char *at = strstr(text, name);
    char *end = NULL;
    if (at == NULL || at[strlen(name)] < '0' || at[strlen(name)] > '9')
        return false;
    errno = 0;
    unsigned long long number = strtoull(at + strlen(name), &end, 10);
    if (errno != 0 || (*end != ';' && *end != '\0'))
        return false;
    *ret_number = number;
    return true;
}

/* Nothing about metrics: all of them may leave. */
static uint32_t protections_read_metrics(const char *text)
{
    const char *at = strstr(text, "; metrics");
    uint32_t metrics = 0;
    if (at == NULL)
        return POLICY_METRICS_ALL;
    for (size_t i = 0; i < sizeof(protections_metrics) / sizeof(protections_metrics[0]); i++) {
        if (strstr(at, protections_metrics[i].word) != NULL)
            metrics |= protections_metrics[i].bit;
    }
    return metrics;
}

static struct error *protections_tightened(const struct policy_output *output, const char *then)
{
    char now[RECEIPT_PROTECTIONS_BYTES];
    release_check_protections(output, now);
    return error_new(
        ERROR_REFUSED,
        "The output rules of policy.yaml are stricter than those that these numbers were made "
        "under (now: %s; then: %s). Keep them with `datasite release --refuse`; what is computed "
        "from now on obeys the rules of now.",
        now, then);
}

static bool held_norm_allowed(const struct policy_output *output, const struct answer *answer)
{
    return answer->kind != ANSWER_UPDATE || output->max_update_norm <= 0 ||
           answer->update_norm <= output->max_update_norm;
}

struct error *release_check_held(struct store *store, const struct policy_output *output,
                                 const struct answer *answer)
{
    struct error *err = NULL;
    uint64_t rows = 0, cell = 0;
    const char *then = answer->protections;
    if (!protections_number(then, "min-rows ", &rows) || !protections_number(then, "min-cell ", &cell))
        FAIL(ERROR_UNTRUSTED, "The held answer does not say which output rules it was made under.");
    if (output->min_rows > rows || output->min_cell > cell ||
        (protections_read_metrics(then) & ~output->metrics) != 0)
        err = protections_tightened(output, then);
    if (err != NULL)
        goto done;
    if (!held_norm_allowed(output, answer))
        FAIL(ERROR_REFUSED, "The update is over the norm bound of this site's output rules.");
    if ((output->require & POLICY_REQUIRE_SECURE_AGGREGATION) != 0)
        FAIL(ERROR_REFUSED, "The output rules of policy.yaml ask for secure aggregation now (`require`), and "
                            "these numbers would "
                            "leave in clear. Keep them with `datasite release --refuse`.");
    TRY(release_check_answer_bytes(output, answer->bytes));
    TRY(release_check_job_bytes(store, &answer->job_id, output, 0)); /* its bytes are counted already */
done:
    return err;
}
