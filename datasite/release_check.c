#include "datasite/release_check.h"

#include "datasite/model_shape.h"
#include "datasite/store_secagg.h"
#include "schemas/wire.h"

#include <inttypes.h>
#include <math.h>

#define RELEASE_WORD_BYTES 32

struct error *release_check_chain(struct store *store)
{
    struct error *err = NULL;
    bool contradicted = true;
    TRY(store_contradiction_open(store, &contradicted));
    if (contradicted)
        FAIL(ERROR_REFUSED, RELEASE_CONTRADICTED);
done:
    return err;
}

struct error *release_check_approval(struct release_check *check)
{
    const struct release_context *context = check->context;
    struct error *err = approval_find(context->store, context->identity, context->gate, context->job_id, NULL,
                                      context->now, &check->approval);
    if (err == NULL)
        check->output = policy_gate_output(context->gate, check->approval.dataset.name);
    return err;
}

struct error *release_check_dataset(const struct release_check *check)
{
    const struct release_context *context = check->context;
    const struct decision *decision = &check->approval.decision;
    bool same = digest_equal(&context->dataset->digest, &decision->dataset_digest);
    bool grown = check->approval.grown && context->early_digest != NULL &&
                 digest_equal(&context->dataset->digest, &check->approval.dataset.digest) &&
                 context->early_rows == decision->dataset_rows &&
                 digest_equal(context->early_digest, &decision->dataset_digest);
    if (!same && !grown)
        return error_new(ERROR_REFUSED,
                         "The rows that were worked on are not those of the approved dataset.");
    return NULL;
}

struct error *release_check_growth(struct store *store, const struct approval *approval,
                                   const struct policy_output *output)
{
    struct error *err = NULL;
    const struct dataset_info *dataset = &approval->dataset;
    struct release_versions versions;
    if (!approval->grown || job_private(approval->job)) /* differences of noised answers tell of no row */
        goto done;
    TRY(store_release_versions(store, &approval->record.id, &dataset->digest, &versions));
    uint64_t most = approval->decision.dataset_rows;
    if (versions.most_rows > most)
        most = versions.most_rows;
    if (!versions.known && (dataset->rows <= most || dataset->rows - most < output->min_rows))
        FAIL(ERROR_REFUSED,
             "The dataset has changed by fewer than the %" PRIu64
             " added rows that this site's policy wants, "
             "since the owner approved the job or since an answer to it: the difference would tell of single "
             "rows.",
             output->min_rows);
done:
    return err;
}

struct error *release_check_run(struct release_check *check)
{
    struct error *err = NULL;
    const struct release_context *context = check->context;
    uint32_t used = 0;
    uint32_t last_round = 0;
    err = store_run_find(context->store, context->run_id, &check->run);
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_free(err);
        FAIL(ERROR_REFUSED, "This run never began at this site: its first message must be %s.",
             check->kind == ANSWER_MASKED_INPUT ? "an Advertise" : "a Train");
    }
    if (err != NULL)
        goto done;
    if (!digest_equal(&check->run.job_id, context->job_id))
        FAIL(ERROR_REFUSED, "The run id belongs to another job.");
    if (strcmp(check->run.status, "running") != 0)
        FAIL(ERROR_REFUSED, "The run has ended at this site: %s.", check->run.status);
    TRY(store_runs_used(context->store, context->job_id, &used, &last_round));
    if (used > check->approval.decision.runs)
        FAIL(ERROR_REFUSED, "%" PRIu32 " runs of this job began here, but the approval allows %" PRIu32 ".",
             used, check->approval.decision.runs);
done:
    return err;
}

/* Whether the run is past this round: a masked input may leave again while its round is the last one. */
static bool round_is_over(const struct release_check *check)
{
    switch (check->kind) {
    case ANSWER_UPDATE:
        return check->context->round <= check->run.last_round;
    case ANSWER_MASKED_INPUT:
        return check->context->round < check->run.last_round;
    case ANSWER_EVALUATION:
        return false;
    }
    return true;
}

struct error *release_check_round(const struct release_check *check)
{
    struct error *err = NULL;
    const struct release_context *context = check->context;
    struct answer answer = {.body = NULL};
    if (check->kind == ANSWER_MASKED_INPUT)
        TRY(release_check_secure_round(&check->approval, context->round));
    else if (context->round < 1 || context->round > check->approval.decision.rounds)
        FAIL(ERROR_REFUSED, "Round %" PRIu32 " is outside the %" PRIu32 " rounds that the owner approved.",
             context->round, check->approval.decision.rounds);
    if (round_is_over(check))
        FAIL(ERROR_REFUSED, "Round %" PRIu32 " of this run is over: its last round here was %" PRIu32 ".",
             context->round, check->run.last_round);
    TRY(store_answer(context->store, context->job_id, context->run_id, context->round, context->attempt,
                     check->kind, &answer));
    if (answer.body != NULL)
        FAIL(ERROR_REFUSED, "Round %" PRIu32 " of this run was answered already.", context->round);
done:
    answer_clear(&answer);
    return err;
}

/* Of the job, of all runs: one more than the rounds, the evaluation after them. */
static struct error *events_check_rounds(const struct release_check *check,
                                         const struct release_events *events)
{
    struct error *err = NULL;
    const struct release_context *context = check->context;
    uint64_t rounds = 0, most = check->approval.decision.rounds;
    if (events->of_job - events->of_round <= most)
        goto done;
    TRY(store_release_rounds(context->store, context->job_id, context->run_id, context->round, check->kind,
                             &rounds));
    if (rounds > most)
        FAIL(ERROR_REFUSED, "As many rounds of this job were answered as the owner approved.");
done:
    return err;
}

/* A round of secure aggregation is tried again, before anybody agreed to it, with the vector that it was tried with first;
 * without that vector it is spent: its step failed, or somebody removed it. */
static struct error *events_check_masked(const struct release_check *check,
                                         const struct release_events *events)
{
    struct error *err = NULL;
    const struct release_context *context = check->context;
    struct secagg_round round = {.encoded = NULL};
    err = store_secagg_round_alone(context->store, context->job_id, context->run_id, context->round, &round);
    bool found = err == NULL;
    if (err != NULL && err->code == ERROR_NOT_FOUND)
        error_clear(&err);
    if (err != NULL)
        goto done;
    if (found && round.agreed)
        FAIL(ERROR_REFUSED,
             "This site has agreed to who contributed to round %" PRIu32
             ", and signs one such statement a round: the round is not tried again.",
             context->round);
    if (events->of_round != events->rows || (events->of_round > 0 && !found))
        FAIL(ERROR_REFUSED, "Round %" PRIu32 " of this run was answered before, by this site's own events.",
             context->round);
    if (context->attempt >= STORE_SECAGG_ATTEMPTS || events->of_round >= STORE_SECAGG_ATTEMPTS)
        FAIL(ERROR_REFUSED, "Round %" PRIu32 " of this run was tried %d times, which is all.", context->round,
             STORE_SECAGG_ATTEMPTS);
    TRY(events_check_rounds(check, events));
done:
    secagg_round_clear(&round);
    return err;
}

struct error *release_check_events(const struct release_check *check)
{
    struct error *err = NULL;
    const struct release_context *context = check->context;
    const struct decision *decision = &check->approval.decision;
    struct release_events events;
    TRY(store_release_events(context->store, context->job_id, context->run_id, context->round, check->kind,
                             &events));
    if (check->kind == ANSWER_MASKED_INPUT) {
        err = events_check_masked(check, &events);
        goto done;
    }
    if (events.of_round > 0)
        FAIL(ERROR_REFUSED, "Round %" PRIu32 " of this run was answered before, by this site's own events.",
             context->round);
    if (events.of_job >= (uint64_t)decision->runs * decision->rounds)
        FAIL(ERROR_REFUSED, "As many rounds of this job were answered as the owner approved.");
done:
    return err;
}

struct error *release_check_metrics(const struct job *job)
{
    switch (job->metrics) {
    case JOB_METRICS_PER_SITE:
    case JOB_METRICS_POOLED:
        return NULL;
    case JOB_METRICS_NONE:
        return error_new(ERROR_REFUSED, "The job says `metrics: none`, so no counts leave this site.");
    }
    return error_new(ERROR_INTERNAL, "The job has unknown metrics.");
}

struct error *release_check_weighting(const struct policy_output *output, const struct job *job)
{
    if (job->weighting == JOB_WEIGHT_EXAMPLES && (output->metrics & POLICY_METRIC_EXAMPLES) == 0)
        return error_new(ERROR_REFUSED,
                         "This site's policy does not let the number of training rows out, by which the job "
                         "weights updates: a job with `weighting: equal` would do.");
    return NULL;
}

struct error *release_check_counts(const struct policy_output *output)
{
    if ((output->metrics & POLICY_METRIC_CONFUSION) == 0)
        return error_new(ERROR_REFUSED,
                         "This site's policy lets no counts of predictions out (`confusion` is not among the "
                         "metrics of its output rules).");
    return NULL;
}

struct error *release_check_shape(const struct release_check *check, size_t count)
{
    return model_shape_check(check->approval.job, &check->approval.dataset, count * sizeof(double));
}

struct error *release_check_finite(const double *parameters, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(parameters[i]))
            return error_new(
                ERROR_NUMERIC,
                "Local training diverged: a coefficient is not finite. A smaller learning rate would do.");
    }
    return NULL;
}

struct error *release_check_rows(const struct policy_output *output, uint64_t rows, const char *what)
{
    if (rows < output->min_rows)
        return error_new(ERROR_REFUSED,
                         "This site has fewer than the %" PRIu64
                         " %s rows that its policy wants behind a release.",
                         output->min_rows, what);
    return NULL;
}

struct error *release_check_confusion(const struct release_check *check, const uint64_t *confusion,
                                      uint64_t test_rows)
{
    size_t classes = check->approval.dataset.classes;
    uint64_t total = 0;
    for (size_t i = 0; i < classes * classes; i++) {
        if (confusion[i] > test_rows - total)
            return error_new(ERROR_INTERNAL, "The confusion matrix counts more rows than were tested.");
        total += confusion[i];
    }
    if (total != test_rows)
        return error_new(ERROR_INTERNAL, "The confusion matrix counts fewer rows than were tested.");
    return NULL;
}

struct error *release_check_figures(const struct release_update *update)
{
    if (!isfinite(update->seconds) || update->seconds < 0)
        return error_new(ERROR_INTERNAL, "The time of training is not a time.");
    if (update->confusion == NULL)
        return NULL;
    if (update->train_correct > update->train_rows)
        return error_new(ERROR_INTERNAL, "The training accuracy counts more rows than were trained on.");
    size_t letters = strspn(update->stopped, "abcdefghijklmnopqrstuvwxyz-");
    if (letters == 0 || letters >= RELEASE_WORD_BYTES || update->stopped[letters] != '\0')
        return error_new(ERROR_INTERNAL, "How training ended is not one word.");
    return NULL;
}

struct error *release_check_norm(const struct release_check *check, const struct release_update *update,
                                 double *ret_norm)
{
    double most = check->output->max_update_norm, sum = 0;
    for (size_t i = 0; i < update->count; i++) {
        double moved = update->parameters[i] - update->from[i];
        sum += moved * moved;
    }
    *ret_norm = sqrt(sum);
    if (most > 0 && !(sqrt(sum) <= most))
        return error_new(ERROR_NUMERIC, "The update is over the norm bound of this site's output rules.");
    return NULL;
}

struct error *release_check_job_bytes(struct store *store, const struct digest *job_id,
                                      const struct policy_output *output, size_t body_bytes)
{
    struct error *err = NULL;
    uint64_t cap = output->max_job_bytes, before = 0;
    if (cap == 0)
        goto done;
    TRY(store_release_bytes(store, job_id, &before));
    if (before > cap || body_bytes > cap - before)
        FAIL(ERROR_LIMIT,
             "The answers of this job would be %" PRIu64 " bytes together; this site's policy lets %" PRIu64
             " out.",
             before + body_bytes, cap);
done:
    return err;
}

struct error *release_check_answer_bytes(const struct policy_output *output, size_t body_bytes)
{
    uint64_t cap = output->max_update_bytes;
    if (body_bytes > cap)
        return error_new(ERROR_LIMIT,
                         "The answer of %zu bytes is over the %" PRIu64
                         " bytes that this site's policy lets out.",
                         body_bytes, cap);
    return NULL;
}

struct error *release_check_size(const struct release_check *check, size_t body_bytes)
{
    struct error *err = release_check_answer_bytes(check->output, body_bytes);
    if (err != NULL)
        return err;
    return release_check_job_bytes(check->context->store, check->context->job_id, check->output, body_bytes);
}

struct error *release_check_hold(const struct release_check *check, bool *ret_hold)
{
    struct error *err = NULL;
    const struct release_context *context = check->context;
    uint64_t left = 0;
    switch (check->approval.decision.hold) {
    case HOLD_NEVER:
        *ret_hold = false;
        break;
    case HOLD_FIRST:
        TRY(store_release_left(context->store, context->job_id, context->run_id, check->kind, &left));
        *ret_hold = left == 0;
        break;
    case HOLD_EVERY:
        *ret_hold = true;
        break;
    case HOLD_FINAL:
        *ret_hold = context->round == check->approval.decision.rounds;
        break;
    }
done:
    return err;
}

void release_check_clear(struct release_check *check)
{
    approval_clear(&check->approval);
}
