/* Jobs with a mechanism of privacy, in clear. What leaves is made here of what went through the mechanism: parameters whose
 * record says so, and numbers that get their noise in this file. No count of rows, no time, no metric of the site's own
 * model goes into a message, nor does a check or a sentence depend on one. */
#include "crypto/grid_clip.h"
#include "crypto/privacy_plan.h"
#include "crypto/secret.h"
#include "datasite/budget.h"
#include "datasite/declared.h"
#include "datasite/release_noised.h"
#include "datasite/release_parts.h"
#include "schemas/wire.h"

#include <math.h>

/* ---- noise ---- */

/* Steps of the grid and their noise, in units again. */
static struct error *steps_noise(const struct noise_grid *grid, int64_t *steps, size_t count)
{
    struct error *err = NULL;
    struct noise *noise = NULL;
    TRY(noise_open(&noise));
    TRY(noise_gaussian(noise, grid->level, steps, count));
done:
    noise_close(noise);
    return err;
}

static struct error *steps_room(size_t count, int64_t **ret_steps)
{
    *ret_steps = calloc(count + 1, sizeof(**ret_steps));
    return *ret_steps == NULL ? error_new(ERROR_MEMORY, "There is not enough memory for noise.") : NULL;
}

static void steps_free(int64_t *steps, size_t count)
{
    if (steps != NULL)
        secret_wipe(steps, count * sizeof(*steps));
    free(steps);
}

/* The counts on their grid: one row adds `bound` to one of them. */
static struct error *noised_counts(const struct job *job, const uint64_t *counts, size_t count,
                                   double *ret_noised)
{
    struct error *err = NULL;
    struct noise_grid grid;
    int64_t *steps = NULL;
    TRY(privacy_plan_counts_grid(job, &grid));
    TRY(steps_room(count, &steps));
    for (size_t i = 0; i < count; i++)
        steps[i] = (int64_t)(counts[i] * grid.bound);
    TRY(steps_noise(&grid, steps, count));
    for (size_t i = 0; i < count; i++)
        ret_noised[i] = (double)steps[i] / grid.scale;
done:
    steps_free(steps, count);
    return err;
}

/* The model that came in and the clipped change of it, whose weight is public, with all of the noise. */
static struct error *noised_change(const struct job *job, size_t site, const struct release_private *update,
                                   double *ret_parameters)
{
    struct error *err = NULL;
    struct noise_grid grid;
    int64_t *steps = NULL;
    double weight = privacy_plan_weight(job, site);
    double *change = calloc(update->count + 1, sizeof(*change));
    if (change == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a change of the model.");
    TRY(privacy_plan_grid(job, &grid));
    TRY(steps_room(update->count, &steps));
    for (size_t i = 0; i < update->count; i++)
        change[i] = update->parameters[i] - update->from[i];
    grid_clip_vector(&grid, weight, change, update->count, steps);
    TRY(steps_noise(&grid, steps, update->count));
    for (size_t i = 0; i < update->count; i++)
        ret_parameters[i] = update->from[i] + (double)steps[i] / (grid.scale * weight);
done:
    if (change != NULL)
        secret_wipe(change, update->count * sizeof(*change));
    free(change);
    steps_free(steps, update->count);
    return err;
}

/* ---- an update ---- */

/* What leaves: with the mechanism's noise, or with that of the airlock. */
static struct error *private_parameters(const struct job *job, size_t site,
                                        const struct release_private *update, double *ret_parameters)
{
    struct error *err = NULL;
    switch (job->privacy.mechanism) {
    case JOB_DP_SGD:
        TRY(release_check_mechanism(job, update->record, update->count));
        memcpy(ret_parameters, update->parameters, update->count * sizeof(*ret_parameters));
        break;
    case JOB_SITE_LEVEL:
        TRY(noised_change(job, site, update, ret_parameters));
        break;
    case JOB_DISTRIBUTED_DP:
        FAIL(ERROR_REFUSED, "What distributed-dp gives leaves under masks only.");
    case JOB_NO_PRIVACY:
        FAIL(ERROR_INTERNAL, "A job without a mechanism of privacy has no noised update.");
    }
done:
    return err;
}

/* Noise was added by what the caller calls the job: it says the same as the job that the store has. */
static struct error *private_check_job(const struct job *used, const struct job *stored)
{
    const struct job_privacy *a = &used->privacy, *b = &stored->privacy;
    bool same = a->mechanism == b->mechanism && a->clip == b->clip &&
                a->noise_multiplier == b->noise_multiplier && a->metrics_noise == b->metrics_noise &&
                used->weighting == stored->weighting && used->site_count == stored->site_count &&
                used->secure.enabled == stored->secure.enabled;
    for (size_t i = 0; same && i < used->site_count; i++)
        same = used->sites[i].examples == stored->sites[i].examples;
    return same ? NULL : error_new(ERROR_INTERNAL, "Noise was added as another job says: it does not leave.");
}

static struct error *private_admit(struct release_check *check, size_t *ret_site)
{
    struct error *err = NULL;
    TRY(release_admit(check));
    TRY(release_check_noised(check->approval.job, true));
    TRY(private_check_job(check->context->job, check->approval.job));
    TRY(declared_site(check->approval.job, identity_id(check->context->identity), ret_site));
done:
    return err;
}

static struct error *private_update_admit(struct release_check *check, const double *parameters,
                                          const struct release_private *update, size_t *ret_site,
                                          double *ret_norm)
{
    struct error *err = NULL;
    const struct release_update leaving = {
        .parameters = parameters, .from = update->from, .count = update->count};
    TRY(private_admit(check, ret_site));
    if (check->approval.job->privacy.mechanism == JOB_DP_SGD)
        TRY(release_check_mechanism(check->approval.job, update->record, update->count));
    TRY(release_check_shape(check, update->count));
    TRY(release_check_finite(parameters, update->count));
    TRY(declared_check_training(check->output, check->approval.job, *ret_site));
    TRY(release_check_norm(check, &leaving, ret_norm));
done:
    return err;
}

static struct error *private_update_encode(const struct release_check *check, const double *values,
                                           size_t count, size_t site, struct release_body *ret_body)
{
    struct error *err = NULL;
    const struct release_context *context = check->context;
    const struct job *job = check->approval.job;
    struct digest job_id = *context->job_id;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    Fds__Update message = FDS__UPDATE__INIT;
    uint8_t *parameters = malloc(count * sizeof(double));
    if (parameters == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to encode an update.");
    wire_parameters_write(values, count, parameters);
    memcpy(run_id, context->run_id, sizeof(run_id));
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, job_id.bytes};
    message.run_id = (ProtobufCBinaryData){sizeof(run_id), run_id};
    message.round = context->round;
    message.parameters = (ProtobufCBinaryData){count * sizeof(double), parameters};
    message.examples = declared_training_rows(job, site);
    TRY(wire_encode(&message.base, &ret_body->bytes, &ret_body->count));
    (void)snprintf(ret_body->leaves, sizeof(ret_body->leaves),
                   "%zu coefficients with the noise of %s, declared number of rows, %zu bytes", count,
                   job_mechanism_word(job->privacy.mechanism), ret_body->count);
done:
    free(parameters);
    return err;
}

/* The rules of the owner, and then the mechanism. */
static void private_protections(const struct release_check *check,
                                char ret_text[static RECEIPT_PROTECTIONS_BYTES])
{
    char words[PRIVACY_PLAN_WORDS];
    release_check_protections(check->output, ret_text);
    privacy_plan_describe(check->approval.job, words);
    size_t used = strlen(ret_text);
    (void)snprintf(ret_text + used, RECEIPT_PROTECTIONS_BYTES - used, "; privacy: %s", words);
}

/* In the transaction: the ledger, the event, the answer, the commit. */
static struct error *private_write(struct release_check *check, const struct release_body *body,
                                   enum budget_use use, double norm, struct release_outcome *ret_outcome)
{
    struct error *err = NULL;
    const struct release_context *context = check->context;
    char protections[RECEIPT_PROTECTIONS_BYTES];
    bool hold = true;
    TRY(release_check_hold(check, &hold));
    TRY(budget_settle(context->store, context->identity, &check->approval, context->run_id, context->round,
                      use, context->now));
    private_protections(check, protections);
    struct release_record record = release_record_of(check, body, hold, protections, body->leaves);
    record.update_norm = norm;
    TRY(release_write(check, &record, ret_outcome));
done:
    return err;
}

static struct error *private_update_release(struct release_check *check, const double *parameters,
                                            const struct release_private *update,
                                            struct release_outcome *ret_outcome)
{
    struct error *err = NULL;
    struct release_body body = {.bytes = NULL};
    size_t site = 0;
    double norm = 0;
    TRY(store_release_begin(check->context->store));
    TRY(private_update_admit(check, parameters, update, &site, &norm));
    TRY(private_update_encode(check, parameters, update->count, site, &body));
    TRY(private_write(check, &body, BUDGET_TRAINING, norm, ret_outcome));
done:
    if (err != NULL)
        store_release_rollback(check->context->store);
    free(body.bytes);
    return err;
}

struct error *release_private_update(const struct release_context *context,
                                     const struct release_private *update,
                                     struct release_outcome *ret_outcome)
{
    struct error *err = NULL;
    struct release_check check = {.context = context, .kind = ANSWER_UPDATE};
    size_t site = 0;
    double *parameters = NULL;
    TRY(release_check_noised(context->job, true));
    TRY(declared_site(context->job, identity_id(context->identity), &site));
    parameters = calloc(update->count + 1, sizeof(*parameters));
    if (parameters == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for an update.");
    TRY(private_parameters(context->job, site, update, parameters));
    TRY(private_update_release(&check, parameters, update, ret_outcome));
done:
    if (parameters != NULL) /* not told unless it left */
        secret_wipe(parameters, update->count * sizeof(*parameters));
    free(parameters);
    release_check_clear(&check);
    return err;
}

/* ---- an evaluation ---- */

static struct error *private_evaluation_admit(struct release_check *check)
{
    struct error *err = NULL;
    size_t site = 0;
    TRY(private_admit(check, &site));
    TRY(release_check_metrics(check->approval.job));
    TRY(release_check_counts(check->output));
    TRY(release_check_noised_round(&check->approval, check->context->round));
    TRY(declared_check_test(check->output, check->approval.job, site));
done:
    return err;
}

static struct error *private_evaluation_encode(const struct release_check *check, double *noised,
                                               size_t count, struct release_body *ret_body)
{
    struct error *err = NULL;
    const struct release_context *context = check->context;
    struct digest job_id = *context->job_id;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    Fds__Evaluation message = FDS__EVALUATION__INIT;
    memcpy(run_id, context->run_id, sizeof(run_id));
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, job_id.bytes};
    message.run_id = (ProtobufCBinaryData){sizeof(run_id), run_id};
    message.round = context->round;
    message.test_rows = WIRE_WITHHELD;
    message.correct = WIRE_WITHHELD;
    message.n_noised = count;
    message.noised = noised;
    TRY(wire_encode(&message.base, &ret_body->bytes, &ret_body->count));
    (void)snprintf(ret_body->leaves, sizeof(ret_body->leaves),
                   "of the global model, %zu counts with noise of standard deviation %g", count,
                   check->approval.job->privacy.metrics_noise);
done:
    return err;
}

static struct error *private_evaluation_release(struct release_check *check, double *noised, size_t count,
                                                struct release_outcome *ret_outcome)
{
    struct error *err = NULL;
    struct release_body body = {.bytes = NULL};
    TRY(store_release_begin(check->context->store));
    TRY(private_evaluation_admit(check));
    TRY(private_evaluation_encode(check, noised, count, &body));
    TRY(private_write(check, &body, BUDGET_EVALUATION, NAN, ret_outcome));
done:
    if (err != NULL)
        store_release_rollback(check->context->store);
    free(body.bytes);
    return err;
}

struct error *release_private_evaluation(const struct release_context *context, const uint64_t *counts,
                                         struct release_outcome *ret_outcome)
{
    struct error *err = NULL;
    struct release_check check = {.context = context, .kind = ANSWER_EVALUATION};
    size_t count = (size_t)context->dataset->classes * context->dataset->classes;
    double *noised = NULL;
    TRY(release_check_noised(context->job, true));
    noised = calloc(count, sizeof(*noised));
    if (noised == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to encode counts.");
    TRY(noised_counts(context->job, counts, count, noised));
    TRY(private_evaluation_release(&check, noised, count, ret_outcome));
done:
    if (noised != NULL)
        secret_wipe(noised, count * sizeof(*noised));
    free(noised);
    release_check_clear(&check);
    return err;
}
