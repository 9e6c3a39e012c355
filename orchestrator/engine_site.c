#include "orchestrator/engine_parts.h"

#include "schemas/clock.h"
#include "schemas/text.h"

static uint32_t message_type(enum request_kind kind)
{
    switch (kind) {
    case REQUEST_SUBMIT:
        return FDS__MESSAGE_TYPE__MESSAGE_SUBMIT;
    case REQUEST_QUERY:
        return FDS__MESSAGE_TYPE__MESSAGE_QUERY;
    case REQUEST_TRAIN:
        return FDS__MESSAGE_TYPE__MESSAGE_TRAIN;
    case REQUEST_EVALUATE:
        return FDS__MESSAGE_TYPE__MESSAGE_EVALUATE;
    case REQUEST_END:
        return FDS__MESSAGE_TYPE__MESSAGE_END_RUN;
    case REQUEST_KINDS:
        break;
    }
    return FDS__MESSAGE_TYPE__MESSAGE_UNSPECIFIED;
}

void engine_ask_later(struct engine_site *site, enum request_kind kind, int64_t delay_ms)
{
    site->asked = kind;
    site->ask_at = clock_monotonic_ms() + delay_ms;
}

void engine_put_off(struct engine_site *site, const struct error *why)
{
    engine_set_reason(site->put_off, sizeof site->put_off, why->sentence);
    site->too_long = why->code == ERROR_LIMIT;
    engine_ask_later(site, site->asked, ENGINE_BUSY_MS);
}

void engine_forget(struct engine *engine, struct engine_site *site)
{
    if (site->number != 0)
        session_forget(engine->session, &site->id, site->number);
    site->number = 0;
    site->ask_at = 0;
}

/* A site is asked one thing at a time: whatever it still owes is given up. How much a site takes is its own
 * word, and may be another on its next connection: a request that is too long now is that site's delay, and
 * nobody else's. A goodbye is not worth the wait. */
struct error *engine_ask(struct engine *engine, struct engine_site *site, enum request_kind kind)
{
    const struct request_body *body = &engine->bodies[kind];
    engine_forget(engine, site);
    site->asked = kind;
    struct error *err = session_request(engine->session, &site->id, message_type(kind), body->bytes,
                                        body->count, &site->number);
    if (err != NULL && err->code == ERROR_BUSY) {
        error_clear(&err);
        engine_ask_later(site, kind, ENGINE_BUSY_MS);
    } else if (err != NULL && err->code == ERROR_LIMIT) {
        if (kind != REQUEST_END)
            engine_put_off(site, err);
        error_clear(&err);
    }
    return error_prefix(err, "%s", site->job_site->name);
}

void engine_set_reason(char *reason, size_t bytes, const char *sentence)
{
    size_t length = strlen(sentence);
    size_t kept = length < bytes ? length : bytes - 1;
    memmove(reason, sentence, kept);
    reason[kept] = '\0';
    text_make_printable(reason);
}

struct engine_site *engine_find(struct engine *engine, const struct site_id *peer)
{
    for (size_t i = 0; i < engine->job->site_count; i++)
        if (site_id_equal(&engine->sites[i].id, peer))
            return &engine->sites[i];
    return NULL;
}

void engine_site_out(struct engine *engine, struct engine_site *site, const char *reason)
{
    engine_forget(engine, site);
    site->phase = PHASE_OUT;
    engine_set_reason(site->reason, sizeof site->reason, reason);
    engine_tell(engine, ENGINE_SITE_OUT, site, site->reason);
}

/* The same sentence at every attempt to connect is told once. */
static void site_down(struct engine *engine, struct engine_site *site, const char *sentence)
{
    bool news = site->up || strcmp(site->reason, sentence) != 0;
    site->up = false;
    if (site->phase == PHASE_OUT)
        return;
    engine_set_reason(site->reason, sizeof site->reason, sentence);
    if (news)
        engine_tell(engine, ENGINE_SITE_DOWN, site, site->reason);
}

/* SESSION_UP, SESSION_DOWN and SESSION_REFUSED. Peers that are not of this job are none of our business, but
 * somebody who cannot get in should be seen: it may be a site of the job with a new key. */
void engine_connection(struct engine *engine, const struct session_event *event)
{
    struct engine_site *site = engine_find(engine, &event->peer);
    if (site == NULL) {
        if (event->kind == SESSION_REFUSED && !engine->leaving && engine->strangers++ < ENGINE_STRANGERS_TOLD)
            engine_tell(engine, ENGINE_WARNING, NULL, event->sentence);
    } else if (event->kind == SESSION_UP) {
        site->up = true;
        if (site->phase != PHASE_OUT)
            site->reason[0] = '\0';
        engine_tell(engine, ENGINE_SITE_UP, site, "");
    } else if (!engine->leaving) {
        site_down(engine, site, event->sentence);
    }
}

static struct error *set_body(struct engine *engine, enum request_kind kind, const ProtobufCMessage *message)
{
    struct error *err = NULL;
    struct request_body body = {0};
    TRY(wire_encode(message, &body.bytes, &body.count));
    free(engine->bodies[kind].bytes);
    engine->bodies[kind] = body;
done:
    return err;
}

struct error *engine_body_submit(struct engine *engine)
{
    struct error *err = NULL;
    struct run_record *record = engine->record;
    Fds__Submit submit = FDS__SUBMIT__INIT;
    Fds__JobQuery query = FDS__JOB_QUERY__INIT;
    submit.job = (ProtobufCBinaryData){.len = record->job_byte_count, .data = record->job_bytes};
    query.job_id = (ProtobufCBinaryData){.len = DIGEST_BYTES, .data = record->job_id.bytes};
    TRY(set_body(engine, REQUEST_SUBMIT, &submit.base));
    TRY(set_body(engine, REQUEST_QUERY, &query.base));
done:
    return err;
}

/* The global model, to be trained from or to be evaluated. */
struct error *engine_body_model(struct engine *engine, enum request_kind kind, uint32_t round)
{
    ProtobufCBinaryData job_id = {.len = DIGEST_BYTES, .data = engine->record->job_id.bytes};
    ProtobufCBinaryData run_id = {.len = RUN_ID_BYTES, .data = engine->record->run_id};
    ProtobufCBinaryData parameters = {.len = 8 * engine->count, .data = engine->model_bytes};
    wire_parameters_write(engine->model, engine->count, engine->model_bytes);
    if (kind == REQUEST_TRAIN) {
        Fds__Train train = FDS__TRAIN__INIT;
        train.job_id = job_id;
        train.run_id = run_id;
        train.round = round;
        train.parameters = parameters;
        return set_body(engine, kind, &train.base);
    }
    Fds__Evaluate evaluate = FDS__EVALUATE__INIT;
    evaluate.job_id = job_id;
    evaluate.run_id = run_id;
    evaluate.round = round;
    evaluate.parameters = parameters;
    return set_body(engine, kind, &evaluate.base);
}

struct error *engine_body_end(struct engine *engine, enum run_status status)
{
    struct error *err = NULL;
    char *word = strdup(run_status_word(status));
    Fds__EndRun end = FDS__END_RUN__INIT;
    if (word == NULL)
        FAIL(ERROR_MEMORY, "No memory for the end of the run.");
    end.job_id = (ProtobufCBinaryData){.len = DIGEST_BYTES, .data = engine->record->job_id.bytes};
    end.run_id = (ProtobufCBinaryData){.len = RUN_ID_BYTES, .data = engine->record->run_id};
    end.status = word;
    TRY(set_body(engine, REQUEST_END, &end.base));
done:
    free(word);
    return err;
}
