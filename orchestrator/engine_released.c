#include "orchestrator/engine_parts.h"

#include "learning/softmax.h"

/* An answer has to be about this job, this run and this round. */
static struct error *check_answer(const struct engine *engine, ProtobufCBinaryData job_id,
                                  ProtobufCBinaryData run_id, uint32_t round)
{
    struct error *err = NULL;
    if (job_id.len != DIGEST_BYTES || memcmp(job_id.data, engine->record->job_id.bytes, DIGEST_BYTES) != 0)
        FAIL(ERROR_INVALID, "Its answer is about another job.");
    if (run_id.len != RUN_ID_BYTES || memcmp(run_id.data, engine->record->run_id, RUN_ID_BYTES) != 0)
        FAIL(ERROR_INVALID, "Its answer is about another run.");
    if (round != engine->round->round)
        FAIL(ERROR_INVALID, "Its answer is about round %u instead of round %u.", round, engine->round->round);
done:
    return err;
}

/* *ret_counts: a copy of [classes][classes] counts. */
static struct error *take_confusion(const struct engine *engine, const uint64_t *counts, size_t count,
                                    uint64_t **ret_counts)
{
    struct error *err = NULL;
    size_t classes = engine->record->classes;
    if (count != classes * classes)
        FAIL(ERROR_INVALID, "Its confusion matrix has %zu counts instead of %zu by %zu.", count, classes,
             classes);
    uint64_t *copy = calloc(count, sizeof *copy);
    if (copy == NULL)
        FAIL(ERROR_MEMORY, "No memory for a confusion matrix.");
    memcpy(copy, counts, count * sizeof *copy);
    *ret_counts = copy;
done:
    return err;
}

static struct error *take_update(struct engine *engine, struct engine_site *site, const Fds__Update *update)
{
    struct error *err = NULL;
    struct run_record *record = engine->record;
    struct site_round *part = engine_site_round(engine, site);
    double *parameters = NULL;
    TRY(check_answer(engine, update->job_id, update->run_id, update->round));
    TRY(wire_parameters_check(update->parameters.len, record->features, record->classes));
    parameters = calloc(engine->count, sizeof *parameters);
    if (parameters == NULL)
        FAIL(ERROR_MEMORY, "No memory for an update.");
    wire_parameters_read(update->parameters.data, engine->count, parameters);
    /* One site's huge numbers must be that site's failure, not the average's and so everybody's. */
    TRY(softmax_check_parameters(parameters, engine->count));
    if (engine->job->metrics == JOB_METRICS_PER_SITE && update->metrics != NULL) {
        TRY(take_confusion(engine, update->metrics->confusion, update->metrics->n_confusion,
                           &part->confusion));
        part->train_accuracy = update->metrics->train_accuracy;
    }
    site->update = parameters;
    parameters = NULL;
    site->turn = TURN_TRAINED;
    part->status = SITE_OK;
    part->has_examples = true;
    part->examples = update->examples;
    part->train_seconds = update->seconds;
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
                                  const struct receipt *receipt)
{
    struct site_round *part = engine_site_round(engine, site);
    struct site_receipt **place =
        receipt->kind == RECEIPT_UPDATE ? &part->update_receipt : &part->evaluation_receipt;
    struct site_receipt *kept = calloc(1, sizeof *kept);
    if (kept == NULL)
        return error_new(ERROR_MEMORY, "No memory for a receipt.");
    kept->receipt = *receipt;
    kept->received = receipt->digest; /* verified to be that of the body */
    free(*place);
    *place = kept;
    return NULL;
}

/* Nothing inside a Released is looked at before its receipt holds for this site, job, run, round, kind and these
 * bytes. *ret_forked: the site's receipts contradict each other. */
static struct error *open_released(struct engine *engine, struct engine_site *site,
                                   const struct session_event *event, enum receipt_kind kind,
                                   Fds__Released **ret_released, bool *ret_forked)
{
    struct error *err = NULL;
    struct receipt receipt;
    Fds__Released *released = NULL;
    Fds__MessageType type =
        kind == RECEIPT_UPDATE ? FDS__MESSAGE_TYPE__MESSAGE_UPDATE : FDS__MESSAGE_TYPE__MESSAGE_EVALUATION;
    TRY(wire_released_decode(event->body, event->body_bytes, &released));
    if (released->type != type)
        FAIL(ERROR_INVALID, "It releases something of another kind than it was asked for.");
    TRY(receipt_take(released->receipt, &receipt));
    TRY(error_prefix(receipt_verify_release(&receipt, &site->id, &engine->record->job_id,
                                            engine->record->run_id, engine->round->round, kind,
                                            released->body.data, released->body.len),
                     "Its answer is not used, because its receipt does not hold"));
    TRY(keep_receipt(engine, site, &receipt));
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
static void answer_wrong(struct engine *engine, struct engine_site *site, const struct error *wrong,
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
    struct error *wrong = open_released(engine, site, event, RECEIPT_UPDATE, &released, &forked);
    if (wrong == NULL)
        wrong = wire_update_decode(released->body.data, released->body.len, &update);
    if (wrong == NULL)
        wrong = take_update(engine, site, update);
    if (wrong == NULL)
        engine_tell_answered(engine, site);
    else
        answer_wrong(engine, site, wrong, forked);
    error_free(wrong);
    wire_update_free(update);
    wire_released_free(released);
}

static struct error *take_evaluation(struct engine *engine, struct engine_site *site,
                                     const Fds__Evaluation *evaluation)
{
    struct error *err = NULL;
    TRY(check_answer(engine, evaluation->job_id, evaluation->run_id, evaluation->round));
    TRY(take_confusion(engine, evaluation->confusion, evaluation->n_confusion, &site->evaluation));
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
    struct error *wrong = open_released(engine, site, event, RECEIPT_EVALUATION, &released, &forked);
    if (wrong == NULL)
        wrong = wire_evaluation_decode(released->body.data, released->body.len, &evaluation);
    if (wrong == NULL)
        wrong = take_evaluation(engine, site, evaluation);
    if (wrong != NULL)
        answer_wrong(engine, site, wrong, forked);
    error_free(wrong);
    wire_evaluation_free(evaluation);
    wire_released_free(released);
}
