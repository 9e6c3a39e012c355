/* Order matters here and is the same for both kinds: approval, dataset, run, round, numbers, encoding, size,
 * and only then the write: event, receipt, answer. What leaves is handed out after the commit has returned, never
 * before. */
#include "datasite/release.h"

#include "datasite/budget.h"
#include "datasite/privacy_terms.h"
#include "datasite/release_check.h"
#include "datasite/release_counts.h"
#include "datasite/release_noised.h"
#include "datasite/release_parts.h"
#include "schemas/wire.h"

#include <math.h>

struct error *release_admit(struct release_check *check)
{
    struct error *err = NULL;
    TRY(release_check_chain(check->context->store));
    TRY(release_check_approval(check));
    TRY(privacy_terms_admit(check->context->store, check->context->gate, &check->approval));
    if (check->kind == ANSWER_MASKED_INPUT)
        TRY(release_check_secure(&check->approval, check->output));
    else
        TRY(release_check_in_clear(check->approval.job, check->output));
    TRY(release_check_dataset(check));
    TRY(release_check_growth(check->context->store, &check->approval, check->output));
    TRY(release_check_run(check));
    TRY(release_check_round(check));
    TRY(release_check_events(check));
done:
    return err;
}

struct error *release_foresee(const struct release_context *context, enum answer_kind kind)
{
    struct release_check check = {.context = context, .kind = kind};
    struct error *err = release_admit(&check);
    release_check_clear(&check);
    return err;
}

static struct error *update_admit(struct release_check *check, const struct release_update *update,
                                  double *ret_norm)
{
    struct error *err = NULL;
    TRY(release_admit(check));
    TRY(release_check_noised(check->approval.job, false));
    TRY(release_check_weighting(check->output, check->approval.job));
    TRY(release_check_shape(check, update->count));
    TRY(release_check_finite(update->parameters, update->count));
    TRY(release_check_rows(check->output, update->train_rows, "training"));
    TRY(release_check_figures(update));
    TRY(release_check_norm(check, update, ret_norm));
    if (update->confusion != NULL) {
        TRY(release_check_metrics(check->approval.job));
        TRY(release_check_confusion(check, update->confusion, update->test_rows));
    }
done:
    return err;
}

static uint64_t confusion_total(const uint64_t *confusion, size_t classes)
{
    uint64_t total = 0;
    for (size_t i = 0; i < classes * classes; i++)
        total += confusion[i];
    return total;
}

static struct error *evaluation_admit(struct release_check *check, const uint64_t *confusion)
{
    struct error *err = NULL;
    TRY(release_admit(check));
    TRY(release_check_noised(check->approval.job, false));
    TRY(release_check_metrics(check->approval.job));
    TRY(release_check_counts(check->output));
    uint64_t test_rows = confusion_total(confusion, check->approval.dataset.classes);
    TRY(release_check_rows(check->output, test_rows, "test"));
    TRY(release_check_confusion(check, confusion, test_rows));
done:
    return err;
}

/* Points into `counts`. */
static Fds__Metrics update_metrics(struct release_counts *counts, char *stopped)
{
    Fds__Metrics metrics = FDS__METRICS__INIT;
    metrics.train_accuracy = counts->train_accuracy;
    metrics.n_confusion = counts->cell_count;
    metrics.confusion = counts->cells;
    metrics.stopped = stopped;
    metrics.test_rows = counts->test_rows;
    metrics.correct = counts->correct;
    return metrics;
}

static uint64_t update_examples(const struct release_check *check, const struct release_update *update)
{
    return (check->output->metrics & POLICY_METRIC_EXAMPLES) != 0 ? update->train_rows : WIRE_WITHHELD;
}

static struct error *update_counts(const struct release_check *check, const struct release_update *update,
                                   struct release_counts *ret_counts)
{
    struct error *err = NULL;
    TRY(release_counts_make(check->output, update->confusion, check->approval.dataset.classes,
                            update->test_rows, ret_counts));
    release_counts_train(ret_counts, check->output, update->train_correct, update->train_rows);
done:
    return err;
}

/* `counts` is NULL for a job without metrics. */
static void update_describe(const Fds__Update *message, const struct release_counts *counts,
                            struct release_body *body)
{
    (void)snprintf(body->leaves, sizeof(body->leaves), "%zu coefficients%s",
                   message->parameters.len / sizeof(double),
                   message->examples == WIRE_WITHHELD ? "" : ", number of training rows");
    if (counts != NULL)
        release_counts_describe(counts, sizeof(body->leaves), body->leaves);
    size_t used = strlen(body->leaves);
    (void)snprintf(body->leaves + used, sizeof(body->leaves) - used, ", %zu bytes", body->count);
}

static struct error *update_encode(const struct release_check *check, const struct release_update *update,
                                   struct release_body *ret_body)
{
    struct error *err = NULL;
    const struct release_context *context = check->context;
    uint8_t *parameters = malloc(update->count * sizeof(double));
    struct release_counts counts = {.cells = NULL};
    char stopped[32];
    struct digest job_id = *context->job_id;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    Fds__Update message = FDS__UPDATE__INIT;
    Fds__Metrics metrics = FDS__METRICS__INIT;
    if (parameters == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to encode an update.");
    wire_parameters_write(update->parameters, update->count, parameters);
    memcpy(run_id, context->run_id, sizeof(run_id));
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, job_id.bytes};
    message.run_id = (ProtobufCBinaryData){sizeof(run_id), run_id};
    message.round = context->round;
    message.parameters = (ProtobufCBinaryData){update->count * sizeof(double), parameters};
    message.examples = update_examples(check, update);
    message.seconds = update->seconds;
    if (update->confusion != NULL) {
        TRY(update_counts(check, update, &counts));
        (void)snprintf(stopped, sizeof(stopped), "%s", update->stopped);
        metrics = update_metrics(&counts, stopped);
        message.metrics = &metrics;
    }
    TRY(wire_encode(&message.base, &ret_body->bytes, &ret_body->count));
    memcpy(ret_body->withheld, counts.withheld, sizeof(ret_body->withheld));
    update_describe(&message, message.metrics == NULL ? NULL : &counts, ret_body);
done:
    free(parameters);
    release_counts_clear(&counts);
    return err;
}

static struct error *evaluation_encode(const struct release_check *check, const uint64_t *confusion,
                                       struct release_body *ret_body)
{
    struct error *err = NULL;
    const struct release_context *context = check->context;
    size_t classes = check->approval.dataset.classes;
    struct digest job_id = *context->job_id;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    struct release_counts counts = {.cells = NULL};
    Fds__Evaluation message = FDS__EVALUATION__INIT;
    TRY(release_counts_make(check->output, confusion, classes, confusion_total(confusion, classes), &counts));
    memcpy(run_id, context->run_id, sizeof(run_id));
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, job_id.bytes};
    message.run_id = (ProtobufCBinaryData){sizeof(run_id), run_id};
    message.round = context->round;
    message.n_confusion = counts.cell_count;
    message.confusion = counts.cells;
    message.test_rows = counts.test_rows;
    message.correct = counts.correct;
    TRY(wire_encode(&message.base, &ret_body->bytes, &ret_body->count));
    memcpy(ret_body->withheld, counts.withheld, sizeof(ret_body->withheld));
    (void)snprintf(ret_body->leaves, sizeof(ret_body->leaves), "of the global model");
    release_counts_describe(&counts, sizeof(ret_body->leaves), ret_body->leaves);
done:
    release_counts_clear(&counts);
    return err;
}

/* An event of its own, in front of that of the release: what the output rules kept here. */
static struct error *release_note_withheld(const struct release_check *check, const struct release_body *body)
{
    const struct release_context *context = check->context;
    if (body->withheld[0] == '\0')
        return NULL;
    return store_event_add(context->store, EVENT_CELLS_SUPPRESSED, context->job_id, context->run_id,
                           context->round, context->now, body->withheld, NULL);
}

/* What leaves without privacy is on record, and does not leave where there is a budget; what leaves with it was settled. */
static struct error *release_counted(const struct approval *approval, const struct release_context *context,
                                     const struct release_record *record)
{
    enum budget_use use = record->kind == ANSWER_EVALUATION ? BUDGET_EVALUATION : BUDGET_TRAINING;
    if (job_private(approval->job))
        return budget_check_settled(context->store, context->run_id, context->round);
    return budget_clear(context->store, context->identity, approval, context->run_id, context->round, use,
                        context->now);
}

struct error *release_write(const struct release_check *check, struct release_record *record,
                            struct release_outcome *ret_outcome)
{
    struct error *err = NULL;
    const struct release_context *context = check->context;
    struct release_event event;
    struct release_outcome outcome = {.held = record->state == ANSWER_HELD};
    uint8_t *receipt = NULL;
    size_t receipt_bytes = 0;
    TRY(release_check_size(check, record->body_bytes));
    if (!record->refused && !outcome.held)
        TRY(release_counted(&check->approval, context, record));
    TRY(store_release_event(context->store, record, &event));
    if (!record->refused && !outcome.held) {
        struct release_receipt about = {context->identity,   &check->approval.decision,
                                        context->job_id,     context->run_id,
                                        context->round,      check->kind,
                                        record->body_bytes,  &event,
                                        record->protections, context->now};
        TRY(release_receipt_make(&about, &receipt, &receipt_bytes));
        TRY(release_wrap(check->kind, record->body, record->body_bytes, receipt, receipt_bytes, &outcome));
    }
    TRY(store_release_answer(context->store, record, &event, receipt, receipt_bytes));
    if (context->arrived > 0)
        TRY(store_answers_made(context->store, &check->approval.record.requester, context->arrived));
    TRY(store_release_commit(context->store));
    *ret_outcome = outcome;
    outcome.body = NULL;
done:
    free(receipt);
    free(outcome.body);
    return err;
}

struct release_record release_record_of(const struct release_check *check, const struct release_body *body,
                                        bool hold, const char *protections, const char *detail)
{
    const struct release_context *context = check->context;
    return (struct release_record){
        .run_id = context->run_id,
        .job_id = context->job_id,
        .round = context->round,
        .attempt = context->attempt,
        .kind = check->kind,
        .state = hold ? ANSWER_HELD : ANSWER_RELEASED,
        .model_digest = context->model_digest,
        .dataset = context->dataset,
        .update_norm = NAN,
        .protections = protections,
        .body = body->bytes,
        .body_bytes = body->count,
        .now = context->now,
        .detail = detail,
    };
}

struct error *release_update(const struct release_context *context, const struct release_update *update,
                             struct release_outcome *ret_outcome)
{
    struct error *err = NULL;
    struct release_check check = {.context = context, .kind = ANSWER_UPDATE};
    struct release_body body = {.bytes = NULL};
    char protections[RECEIPT_PROTECTIONS_BYTES];
    bool hold = true;
    double norm = 0;
    TRY(store_release_begin(context->store));
    TRY(update_admit(&check, update, &norm));
    TRY(release_check_hold(&check, &hold));
    TRY(update_encode(&check, update, &body));
    TRY(release_note_withheld(&check, &body));
    release_check_protections(check.output, protections);
    struct release_record record = release_record_of(&check, &body, hold, protections, body.leaves);
    record.update_norm = norm;
    TRY(release_write(&check, &record, ret_outcome));
    memcpy(ret_outcome->withheld, body.withheld, sizeof(ret_outcome->withheld));
done:
    if (err != NULL)
        store_release_rollback(context->store);
    free(body.bytes);
    release_check_clear(&check);
    return err;
}

struct error *release_evaluation(const struct release_context *context, const uint64_t *confusion,
                                 struct release_outcome *ret_outcome)
{
    struct error *err = NULL;
    struct release_check check = {.context = context, .kind = ANSWER_EVALUATION};
    struct release_body body = {.bytes = NULL};
    char protections[RECEIPT_PROTECTIONS_BYTES];
    bool hold = true;
    TRY(store_release_begin(context->store));
    TRY(evaluation_admit(&check, confusion));
    TRY(release_check_hold(&check, &hold));
    TRY(evaluation_encode(&check, confusion, &body));
    TRY(release_note_withheld(&check, &body));
    release_check_protections(check.output, protections);
    struct release_record record = release_record_of(&check, &body, hold, protections, body.leaves);
    TRY(release_write(&check, &record, ret_outcome));
    memcpy(ret_outcome->withheld, body.withheld, sizeof(ret_outcome->withheld));
done:
    if (err != NULL)
        store_release_rollback(context->store);
    free(body.bytes);
    release_check_clear(&check);
    return err;
}

struct error *release_failure(const struct release_context *context, enum answer_kind kind, const char *why,
                              struct release_outcome *ret_outcome)
{
    struct error *err = NULL;
    struct release_check check = {.context = context, .kind = kind};
    struct release_body body = {.bytes = NULL};
    struct error *told = error_new(ERROR_NUMERIC, RELEASE_FAILED);
    TRY(store_release_begin(context->store));
    TRY(release_admit(&check));
    TRY(wire_refusal_encode(told, &body.bytes, &body.count));
    struct release_record record = release_record_of(&check, &body, false, "", why);
    record.refused = true;
    struct release_outcome outcome;
    TRY(release_write(&check, &record, &outcome));
    *ret_outcome = (struct release_outcome){.body = body.bytes, .bytes = body.count};
    body.bytes = NULL;
done:
    if (err != NULL)
        store_release_rollback(context->store);
    error_free(told);
    free(body.bytes);
    release_check_clear(&check);
    return err;
}
