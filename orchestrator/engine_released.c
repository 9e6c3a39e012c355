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

static void tell_answered(const struct engine *engine, const struct engine_site *site)
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

void engine_answer_update(struct engine *engine, struct engine_site *site, const struct session_event *event)
{
    Fds__Update *update = NULL;
    struct error *wrong = wire_update_decode(event->body, event->body_bytes, &update);
    if (wrong == NULL)
        wrong = take_update(engine, site, update);
    if (wrong == NULL)
        tell_answered(engine, site);
    else
        engine_missed(engine, site, SITE_FAILED, wrong->sentence);
    error_free(wrong);
    wire_update_free(update);
}

void engine_answer_evaluation(struct engine *engine, struct engine_site *site,
                              const struct session_event *event)
{
    Fds__Evaluation *evaluation = NULL;
    struct error *wrong = wire_evaluation_decode(event->body, event->body_bytes, &evaluation);
    if (wrong == NULL)
        wrong = check_answer(engine, evaluation->job_id, evaluation->run_id, evaluation->round);
    if (wrong == NULL)
        wrong = take_confusion(engine, evaluation->confusion, evaluation->n_confusion, &site->evaluation);
    if (wrong == NULL)
        site->turn = TURN_EVALUATED;
    else
        engine_not_granted(engine, site, SITE_FAILED, wrong->sentence);
    error_free(wrong);
    wire_evaluation_free(evaluation);
}
