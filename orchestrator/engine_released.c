#include "orchestrator/engine_parts.h"

#include "learning/softmax.h"
#include "orchestrator/noised_counts.h"

#include <math.h>

struct error *engine_check_answer(const struct engine *engine, ProtobufCBinaryData job_id,
                                  ProtobufCBinaryData run_id, uint32_t round)
{
    struct error *err = NULL;
    char asked[RUN_EXCHANGE_NAME_BYTES];
    if (job_id.len != DIGEST_BYTES || memcmp(job_id.data, engine->record->job_id.bytes, DIGEST_BYTES) != 0)
        FAIL(ERROR_INVALID, "Its answer is about another job.");
    if (run_id.len != RUN_ID_BYTES || memcmp(run_id.data, engine->record->run_id, RUN_ID_BYTES) != 0)
        FAIL(ERROR_INVALID, "Its answer is about another run.");
    run_record_exchange_words(engine->record, engine->round->round, false, asked);
    if (round != engine->round->round)
        FAIL(ERROR_INVALID, "Its answer is about round %u instead of %s.", round, asked);
done:
    return err;
}

/* Whether what is released of a sum can be part of it: exactly it when nothing is withheld. */
static bool adds_up(uint64_t sum, uint64_t part, bool withheld)
{
    return sum == WIRE_WITHHELD || (withheld ? part <= sum : part == sum);
}

/* Counts beyond what anybody has as rows are no counts; their sums cannot overflow then. */
static struct error *check_confusion(const uint64_t *confusion, uint32_t classes)
{
    const uint64_t most = CONFUSION_MAX_ROWS;
    uint64_t sum = 0, diagonal = 0;
    size_t cells = (size_t)classes * classes;
    bool withheld = false, diagonal_withheld = false;
    for (size_t i = 0; i < cells; i++) {
        bool right = i % (classes + 1) == 0;
        if (confusion[i] == WIRE_WITHHELD) {
            withheld = true;
            diagonal_withheld |= right;
            continue;
        }
        if (confusion[i] > most - sum)
            return error_new(ERROR_INVALID, "Its confusion matrix counts more rows than there can be.");
        sum += confusion[i];
        diagonal += right ? confusion[i] : 0;
    }
    uint64_t rows = confusion[cells], right = confusion[cells + 1];
    bool possible = rows == WIRE_WITHHELD || (rows <= most && (right == WIRE_WITHHELD || right <= rows));
    if (!possible || !adds_up(rows, sum, withheld) || !adds_up(right, diagonal, diagonal_withheld))
        return error_new(
            ERROR_INVALID,
            "Its confusion matrix does not add up to its number of test rows and right answers.");
    return NULL;
}

/* *ret_confusion: the matrix with its two words. */
static struct error *take_confusion(const struct engine *engine, const uint64_t *counts, size_t count,
                                    uint64_t rows, uint64_t right, uint64_t **ret_confusion)
{
    struct error *err = NULL;
    uint32_t classes = engine->record->classes;
    uint64_t *confusion = NULL;
    if (count != (size_t)classes * classes)
        FAIL(ERROR_INVALID, "Its confusion matrix has %zu counts instead of %u by %u.", count, classes,
             classes);
    confusion = confusion_new(classes);
    if (confusion == NULL)
        FAIL(ERROR_MEMORY, "No memory for a confusion matrix.");
    memcpy(confusion, counts, count * sizeof *confusion);
    confusion[count] = rows;
    confusion[count + 1] = right;
    TRY(check_confusion(confusion, classes));
    *ret_confusion = confusion;
    confusion = NULL;
done:
    free(confusion);
    return err;
}

/* Without any counts, there is no matrix. */
static struct error *take_metrics(const struct engine *engine, const Fds__Metrics *metrics,
                                  struct site_round *part)
{
    struct error *err = NULL;
    if (metrics->n_confusion > 0)
        TRY(take_confusion(engine, metrics->confusion, metrics->n_confusion, metrics->test_rows,
                           metrics->correct, &part->confusion));
    if (metrics->train_accuracy != WIRE_WITHHELD_REAL)
        part->train_accuracy = metrics->train_accuracy;
done:
    return err;
}

/* Of a private job: what the job itself says, and nothing else beside the parameters. */
static struct error *check_private_update(const struct engine *engine, const struct engine_site *site,
                                          const Fds__Update *update)
{
    struct error *err = NULL;
    uint64_t declared = site->job_site->examples;
    if (update->examples == WIRE_WITHHELD)
        FAIL(ERROR_INVALID,
             "Its update does not say the %llu examples that the job declares for it (sites: examples).",
             (unsigned long long)declared);
    if (update->examples != declared)
        FAIL(ERROR_INVALID,
             "Its update says other examples than the %llu that the job declares for it (sites: examples); "
             "of a "
             "private job no other number of rows may leave a site.",
             (unsigned long long)declared);
    if (update->metrics != NULL)
        FAIL(ERROR_INVALID,
             "Its update has metrics, and exact ones may not leave a site in a private job (%s).",
             job_mechanism_word(engine->job->privacy.mechanism));
    if (update->seconds != 0)
        FAIL(ERROR_INVALID,
             "Its update says how long it took, which may not leave a site in a private job (%s).",
             job_mechanism_word(engine->job->privacy.mechanism));
done:
    return err;
}

static struct error *check_update(const struct engine *engine, const struct engine_site *site,
                                  const Fds__Update *update)
{
    struct error *err = NULL;
    const struct run_record *record = engine->record;
    TRY(engine_check_answer(engine, update->job_id, update->run_id, update->round));
    if (engine->job->model == JOB_SOFTMAX_REGRESSION)
        TRY(wire_parameters_check(update->parameters.len, record->model_features, record->classes));
    if (update->parameters.len != 8 * engine->count)
        FAIL(ERROR_INVALID,
             "Its statistics have %zu bytes instead of %zu: the mean and the mean square of each of "
             "%llu features.",
             update->parameters.len, 8 * engine->count, (unsigned long long)record->features);
    if (job_private(engine->job))
        TRY(check_private_update(engine, site, update));
    else if (update->examples == WIRE_WITHHELD && engine->job->weighting == JOB_WEIGHT_EXAMPLES)
        FAIL(ERROR_INVALID,
             "Its owner does not tell its number of training rows, so its update cannot be weighted by it; "
             "`weighting: equal` in the job would do.");
done:
    return err;
}

static struct error *take_update(struct engine *engine, struct engine_site *site, const Fds__Update *update)
{
    struct error *err = NULL;
    struct site_round *part = engine_site_round(engine, site);
    double *parameters = NULL;
    bool private = job_private(engine->job);
    TRY(check_update(engine, site, update));
    parameters = calloc(engine->count, sizeof *parameters);
    if (parameters == NULL)
        FAIL(ERROR_MEMORY, "No memory for an update.");
    wire_parameters_read(update->parameters.data, engine->count, parameters);
    /* One site's huge numbers must be that site's failure, not the average's and so everybody's. */
    TRY(softmax_check_parameters(parameters, engine->count));
    if (engine->job->metrics == JOB_METRICS_PER_SITE && update->metrics != NULL)
        TRY(take_metrics(engine, update->metrics, part));
    site->update = parameters;
    parameters = NULL;
    site->turn = TURN_TRAINED;
    part->status = SITE_OK;
    part->has_examples = update->examples != WIRE_WITHHELD;
    part->examples = part->has_examples ? update->examples : 0;
    part->train_seconds = private ? (double)NAN : update->seconds;
    part->seconds = engine_round_seconds(engine);
done:
    free(parameters);
    return err;
}

void engine_tell_answered(const struct engine *engine, const struct engine_site *site)
{
    struct engine_event event = {.kind = ENGINE_SITE_ANSWERED,
                                 .site = site->job_site->name,
                                 .sentence = "",
                                 .command = "",
                                 .round = engine->round->round,
                                 .done = engine_count_turns(engine, TURN_TRAINED)};
    event.total = event.done + engine_count_turns(engine, TURN_TRAINING);
    if (engine->plan->on_event != NULL)
        engine->plan->on_event(engine->plan->context, &event);
}

static void short_hex(const struct digest *digest, char ret_text[static 13])
{
    char hex[DIGEST_HEX_BYTES];
    digest_hex(digest, hex);
    (void)snprintf(ret_text, 13, "%.12s", hex);
}

/* A site's receipts follow one chain: what comes later has a higher sequence, and one event is one release. The
 * same receipt again is the same answer again. */
static struct error *check_history(const struct receipt *held, const struct receipt *receipt)
{
    char ours[13];
    char theirs[13];
    if (held->sequence < receipt->sequence ||
        memcmp(held->signature, receipt->signature, SIGNATURE_BYTES) == 0)
        return NULL;
    short_hex(&held->head, ours);
    short_hex(&receipt->head, theirs);
    if (held->sequence == receipt->sequence && digest_equal(&held->head, &receipt->head))
        return error_new(ERROR_UNTRUSTED,
                         "It gave two receipts for its event %llu, which say different things; ask its owner "
                         "what happened.",
                         (unsigned long long)receipt->sequence);
    if (held->sequence == receipt->sequence)
        return error_new(
            ERROR_UNTRUSTED,
            "Its records fork: it signed event %llu with the head %s…, and now with %s…; ask its "
            "owner what happened.",
            (unsigned long long)receipt->sequence, ours, theirs);
    return error_new(
        ERROR_UNTRUSTED,
        "Its records went back: we hold its receipt of event %llu (head %s…), and the new one is of "
        "event %llu; ask its owner what happened, and then go on with: orchestrator receipts accept",
        (unsigned long long)held->sequence, ours, (unsigned long long)receipt->sequence);
}

/* A receipt that holds is evidence, also one that contradicts another, or whose answer is of no use. */
static struct error *keep_receipt(struct engine *engine, struct engine_site *site,
                                  const struct receipt *receipt, uint32_t attempt)
{
    struct site_round *part = engine_site_round(engine, site);
    struct site_receipt **place = site_round_receipt_place(part, receipt->kind, attempt);
    struct site_receipt *kept = calloc(1, sizeof *kept);
    if (kept == NULL)
        return error_new(ERROR_MEMORY, "No memory for a receipt.");
    kept->receipt = *receipt;
    kept->received = receipt->digest; /* verified to be that of the body */
    free(*place);
    *place = kept;
    return NULL;
}

static Fds__MessageType released_type(enum receipt_kind kind)
{
    switch (kind) {
    case RECEIPT_UPDATE:
        return FDS__MESSAGE_TYPE__MESSAGE_UPDATE;
    case RECEIPT_EVALUATION:
        return FDS__MESSAGE_TYPE__MESSAGE_EVALUATION;
    case RECEIPT_MASKED_INPUT:
        break;
    }
    return FDS__MESSAGE_TYPE__MESSAGE_MASKED_INPUT;
}

struct error *engine_open_released(struct engine *engine, struct engine_site *site,
                                   const struct session_event *event, enum receipt_kind kind,
                                   uint32_t attempt, Fds__Released **ret_released, bool *ret_forked)
{
    struct error *err = NULL;
    struct receipt receipt;
    Fds__Released *released = NULL;
    TRY(wire_released_decode(event->body, event->body_bytes, &released));
    if (released->type != released_type(kind))
        FAIL(ERROR_INVALID, "It releases something of another kind than it was asked for.");
    TRY(receipt_take(released->receipt, &receipt));
    TRY(error_prefix(receipt_verify_release(&receipt, &site->id, &engine->record->job_id,
                                            engine->record->run_id, engine->round->round, kind,
                                            released->body.data, released->body.len),
                     "Its answer is not used, because its receipt does not hold"));
    TRY(keep_receipt(engine, site, &receipt, attempt));
    err = check_history(site->witness, &receipt);
    if (err != NULL) {
        *ret_forked = true;
        goto done;
    }
    *site->witness = receipt;
    *ret_released = released;
    released = NULL;
done:
    wire_released_free(released);
    return err;
}

/* Also a site that is out keeps the status that the round gave it. */
void engine_answer_wrong(struct engine *engine, struct engine_site *site, const struct error *wrong,
                         bool forked)
{
    engine_not_granted(engine, site, SITE_FAILED, wrong->sentence);
    if (forked)
        engine_site_out(engine, site, wrong->sentence);
}

void engine_answer_update(struct engine *engine, struct engine_site *site, const struct session_event *event)
{
    Fds__Released *released = NULL;
    Fds__Update *update = NULL;
    bool forked = false;
    struct error *wrong = engine_open_released(engine, site, event, RECEIPT_UPDATE, 0, &released, &forked);
    if (wrong == NULL)
        wrong = wire_update_decode(released->body.data, released->body.len, &update);
    if (wrong == NULL)
        wrong = take_update(engine, site, update);
    if (wrong == NULL)
        engine_tell_answered(engine, site);
    else
        engine_answer_wrong(engine, site, wrong, forked);
    error_free(wrong);
    wire_update_free(update);
    wire_released_free(released);
}

static struct error *take_noised(const struct engine *engine, struct engine_site *site,
                                 const Fds__Evaluation *evaluation)
{
    struct error *err = NULL;
    uint32_t classes = engine->record->classes;
    if (evaluation->n_confusion != 0 || evaluation->test_rows != WIRE_WITHHELD ||
        evaluation->correct != WIRE_WITHHELD)
        FAIL(ERROR_INVALID,
             "Its evaluation has exact counts, which may not leave a site in a private job (%s).",
             job_mechanism_word(engine->job->privacy.mechanism));
    TRY(noised_counts_check(evaluation->noised, evaluation->n_noised, classes));
    site->noised = calloc((size_t)classes * classes, sizeof *site->noised);
    if (site->noised == NULL)
        FAIL(ERROR_MEMORY, "No memory for a confusion matrix.");
    memcpy(site->noised, evaluation->noised, evaluation->n_noised * sizeof *site->noised);
done:
    return err;
}

static struct error *take_evaluation(struct engine *engine, struct engine_site *site,
                                     const Fds__Evaluation *evaluation)
{
    struct error *err = NULL;
    TRY(engine_check_answer(engine, evaluation->job_id, evaluation->run_id, evaluation->round));
    if (job_private(engine->job)) {
        TRY(take_noised(engine, site, evaluation));
    } else {
        if (evaluation->n_noised != 0)
            FAIL(ERROR_INVALID,
                 "Its evaluation has noised counts, and the job has no privacy that they would be of.");
        TRY(take_confusion(engine, evaluation->confusion, evaluation->n_confusion, evaluation->test_rows,
                           evaluation->correct, &site->evaluation));
    }
    site->turn = TURN_EVALUATED;
done:
    return err;
}

void engine_answer_evaluation(struct engine *engine, struct engine_site *site,
                              const struct session_event *event)
{
    Fds__Released *released = NULL;
    Fds__Evaluation *evaluation = NULL;
    bool forked = false;
    struct error *wrong =
        engine_open_released(engine, site, event, RECEIPT_EVALUATION, 0, &released, &forked);
    if (wrong == NULL)
        wrong = wire_evaluation_decode(released->body.data, released->body.len, &evaluation);
    if (wrong == NULL)
        wrong = take_evaluation(engine, site, evaluation);
    if (wrong != NULL)
        engine_answer_wrong(engine, site, wrong, forked);
    error_free(wrong);
    wire_evaluation_free(evaluation);
    wire_released_free(released);
}
