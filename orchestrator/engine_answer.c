#include "orchestrator/engine_parts.h"

#include "learning/softmax.h"
#include "schemas/clock.h"
#include "schemas/text.h"

#include <math.h>

struct site_round *engine_site_round(struct engine *engine, const struct engine_site *site)
{
    return &engine->round->sites[site - engine->sites];
}

static double round_seconds(const struct engine *engine)
{
    return (double)(clock_monotonic_ms() - engine->round_started) / 1000.0;
}

void engine_missed(struct engine *engine, struct engine_site *site, enum site_status status,
                   const char *reason)
{
    struct site_round *part = engine_site_round(engine, site);
    engine_forget(engine, site);
    site->put_off[0] = '\0';
    site->too_long = false;
    site->turn = TURN_IDLE;
    free(part->confusion);
    part->confusion = NULL;
    part->train_accuracy = NAN;
    part->status = status;
    part->seconds = round_seconds(engine);
    engine_set_reason(part->reason, sizeof part->reason, reason);
    engine_tell(engine, ENGINE_SITE_MISSED, site, part->reason);
}

/* Whether a refusal means that somebody said no, rather than that something broke at the site. */
static enum site_status status_of(enum error_code code)
{
    switch (code) {
    case ERROR_USAGE:
    case ERROR_INVALID:
    case ERROR_REFUSED:
    case ERROR_NOT_FOUND:
    case ERROR_CONFLICT:
    case ERROR_UNTRUSTED:
    case ERROR_EXPIRED:
    case ERROR_LIMIT:
    case ERROR_BUSY:
    case ERROR_UNSUPPORTED:
    case ERROR_HELD:
        return SITE_REFUSED;
    case ERROR_DEADLINE:
    case ERROR_UNAVAILABLE:
    case ERROR_CORRUPT:
    case ERROR_NUMERIC:
    case ERROR_IO:
    case ERROR_MEMORY:
    case ERROR_CRYPTO:
    case ERROR_INTERRUPTED:
    case ERROR_INTERNAL:
    case ERROR_CODES:
        break;
    }
    return SITE_FAILED;
}

/* What a request that was not granted means depends on what was asked for. */
static void not_granted(struct engine *engine, struct engine_site *site, enum site_status status,
                        const char *reason)
{
    switch (site->asked) {
    case REQUEST_SUBMIT:
    case REQUEST_QUERY:
        engine_site_out(engine, site, reason);
        break;
    case REQUEST_TRAIN:
        engine_missed(engine, site, status, reason);
        break;
    case REQUEST_EVALUATE:
        engine_forget(engine, site);
        site->turn = TURN_IDLE;
        engine_tell(engine, ENGINE_WARNING, site, reason);
        break;
    case REQUEST_END:
    case REQUEST_KINDS:
        break;
    }
}

/* A site that is busy answers when it is not, and one that stops when it is back: the request waits for that
 * as long as the round does. A request that is too long may be one that was queued before the site said how
 * little it takes, which only asking again can tell from the site's own limits. */
static bool passes(const struct engine_site *site, enum error_code code)
{
    return code == ERROR_BUSY || code == ERROR_UNAVAILABLE || (code == ERROR_LIMIT && !site->too_long);
}

static void answer_refusal(struct engine *engine, struct engine_site *site, const struct session_event *event)
{
    Fds__Refusal *refusal = NULL;
    struct error *said = wire_refusal_decode(event->body, event->body_bytes, &refusal);
    if (said == NULL)
        said = wire_refusal_error(refusal);
    if (passes(site, said->code) && site->asked != REQUEST_END)
        engine_put_off(site, said);
    else
        not_granted(engine, site, status_of(said->code), said->sentence);
    error_free(said);
    wire_refusal_free(refusal);
}

/* The two sites that disagree are both named; before the first round nothing is lost by stopping. */
static struct error *check_shape(struct engine *engine, struct engine_site *site,
                                 const Fds__JobStatus *status, bool *ret_agrees)
{
    struct error *err = NULL;
    struct run_record *record = engine->record;
    bool agrees = true;
    if (engine->shape_site == NULL) {
        err = softmax_check_shape(status->features, status->classes);
        if (err != NULL) {
            err = error_prefix(err, "The data of %s", site->job_site->name);
            goto done;
        }
        engine->shape_site = site;
        record->features = status->features;
        record->classes = status->classes;
    } else if (status->features != record->features || status->classes != record->classes) {
        err = error_new(
            ERROR_INVALID,
            "The data of %s has %llu features and %u classes, but that of %s has %llu and %u; one model "
            "cannot fit both, so correct the job's dataset or its sites.",
            site->job_site->name, (unsigned long long)status->features, status->classes,
            engine->shape_site->job_site->name, (unsigned long long)record->features, record->classes);
        agrees = false;
    }
    *ret_agrees = agrees;
    if (err != NULL && engine->in_rounds) {
        engine_site_out(engine, site, err->sentence);
        error_clear(&err);
    }
done:
    return err;
}

static struct error *site_ready(struct engine *engine, struct engine_site *site, const Fds__JobStatus *status)
{
    struct error *err = NULL;
    bool agrees = false;
    char sentence[160];
    TRY(check_shape(engine, site, status, &agrees));
    if (!agrees)
        goto done;
    site->phase = PHASE_READY;
    site->reason[0] = '\0';
    engine_tell(engine, ENGINE_SITE_READY, site, "");
    if (status->state == FDS__JOB_STATE__JOB_APPROVED && status->rounds_left < engine->job->rounds) {
        (void)snprintf(sentence, sizeof sentence, "Its owner allows %u of the job's %u rounds.",
                       status->rounds_left, engine->job->rounds);
        engine_tell(engine, ENGINE_WARNING, site, sentence);
    }
done:
    return err;
}

static void site_pending(struct engine *engine, struct engine_site *site, const Fds__JobStatus *status)
{
    site->phase = PHASE_PENDING;
    engine_ask_later(site, REQUEST_QUERY, ENGINE_POLL_MS);
    if (site->announced)
        return;
    site->announced = true;
    struct engine_event event = {.kind = ENGINE_SITE_WAITING,
                                 .site = site->job_site->name,
                                 .sentence = status->sentence,
                                 .command = status->owner_command};
    text_make_printable(status->sentence);
    text_make_printable(status->owner_command);
    if (engine->plan->on_event != NULL)
        engine->plan->on_event(engine->plan->context, &event);
}

/* The site's own sentence, or ours when it gives none. */
static void site_says_no(struct engine *engine, struct engine_site *site, const Fds__JobStatus *status,
                         const char *otherwise)
{
    engine_site_out(engine, site, status->sentence[0] == '\0' ? otherwise : status->sentence);
}

static struct error *job_state(struct engine *engine, struct engine_site *site, const Fds__JobStatus *status)
{
    struct error *err = NULL;
    switch (status->state) {
    case FDS__JOB_STATE__JOB_PENDING:
        site_pending(engine, site, status);
        break;
    case FDS__JOB_STATE__JOB_RUNNING: /* another run than ours, which has not reached this site yet */
        if (status->runs_left > 0)
            err = site_ready(engine, site, status);
        else
            engine_site_out(engine, site,
                            "An earlier run of this job was not ended there, and no further run is approved; "
                            "submit the job under another name.");
        break;
    case FDS__JOB_STATE__JOB_APPROVED:
        err = site_ready(engine, site, status);
        break;
    case FDS__JOB_STATE__JOB_UNKNOWN:
        site->phase = PHASE_JOINING;
        engine_ask_later(site, REQUEST_SUBMIT, ENGINE_POLL_MS);
        break;
    case FDS__JOB_STATE__JOB_FINISHED:
        site_says_no(engine, site, status,
                     "All approved runs of this job are used up; its owner can approve more.");
        break;
    case FDS__JOB_STATE__JOB_DENIED:
        site_says_no(engine, site, status,
                     "Its owner denied the job; a denial is final for these bytes of the job.");
        break;
    case FDS__JOB_STATE__JOB_REVOKED:
        site_says_no(engine, site, status, "Its owner took the approval back.");
        break;
    case FDS__JOB_STATE__JOB_EXPIRED:
        site_says_no(engine, site, status, "The job, or its approval, has expired.");
        break;
    default: /* a number that a newer site may send */
        site_says_no(engine, site, status, "It gives the job a state that this version does not know.");
        break;
    }
    return err;
}

static struct error *answer_job_status(struct engine *engine, struct engine_site *site,
                                       const struct session_event *event)
{
    struct error *err = NULL;
    Fds__JobStatus *status = NULL;
    struct error *wrong = wire_job_status_decode(event->body, event->body_bytes, &status);
    if (wrong == NULL && memcmp(status->job_id.data, engine->record->job_id.bytes, DIGEST_BYTES) != 0)
        wrong = error_new(ERROR_INVALID, "Its answer is about another job.");
    if (wrong != NULL)
        not_granted(engine, site, SITE_FAILED, wrong->sentence);
    else
        TRY(job_state(engine, site, status));
done:
    error_free(wrong);
    wire_job_status_free(status);
    return err;
}

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
    part->seconds = round_seconds(engine);
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

static void answer_update(struct engine *engine, struct engine_site *site, const struct session_event *event)
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

static void answer_evaluation(struct engine *engine, struct engine_site *site,
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
        not_granted(engine, site, SITE_FAILED, wrong->sentence);
    error_free(wrong);
    wire_evaluation_free(evaluation);
}

static uint32_t expected_type(enum request_kind asked)
{
    switch (asked) {
    case REQUEST_TRAIN:
        return FDS__MESSAGE_TYPE__MESSAGE_UPDATE;
    case REQUEST_EVALUATE:
        return FDS__MESSAGE_TYPE__MESSAGE_EVALUATION;
    case REQUEST_SUBMIT:
    case REQUEST_QUERY:
    case REQUEST_END:
    case REQUEST_KINDS:
        break;
    }
    return FDS__MESSAGE_TYPE__MESSAGE_JOB_STATUS;
}

struct error *engine_answer(struct engine *engine, struct engine_site *site,
                            const struct session_event *event)
{
    struct error *err = NULL;
    site->number = 0;
    if (event->type == FDS__MESSAGE_TYPE__MESSAGE_REFUSAL) {
        answer_refusal(engine, site, event);
        return NULL;
    }
    site->put_off[0] = '\0';
    site->too_long = false;
    if (event->type != expected_type(site->asked)) {
        not_granted(engine, site, SITE_FAILED, "It answers with a message of another kind.");
    } else {
        switch (site->asked) {
        case REQUEST_SUBMIT:
        case REQUEST_QUERY:
            TRY(answer_job_status(engine, site, event));
            break;
        case REQUEST_TRAIN:
            answer_update(engine, site, event);
            break;
        case REQUEST_EVALUATE:
            answer_evaluation(engine, site, event);
            break;
        case REQUEST_END:
        case REQUEST_KINDS:
            break;
        }
    }
done:
    return err;
}
