/* Requests are made when they are sent: each carries the latest receipt that we hold of its site. */
#include "orchestrator/engine_secagg.h"

#include "schemas/clock.h"

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
    case REQUEST_ADVERTISE:
        return FDS__MESSAGE_TYPE__MESSAGE_ADVERTISE;
    case REQUEST_SHARE:
        return FDS__MESSAGE_TYPE__MESSAGE_SHARE;
    case REQUEST_SUM:
        return FDS__MESSAGE_TYPE__MESSAGE_SUM;
    case REQUEST_MASK:
        return FDS__MESSAGE_TYPE__MESSAGE_MASK;
    case REQUEST_AGREE:
        return FDS__MESSAGE_TYPE__MESSAGE_AGREE;
    case REQUEST_UNMASK:
        return FDS__MESSAGE_TYPE__MESSAGE_UNMASK;
    }
    return FDS__MESSAGE_TYPE__MESSAGE_UNSPECIFIED;
}

/* What requests point into, for as long as it takes to encode one. */
struct request_parts {
    ProtobufCBinaryData job, job_id, run_id, parameters;
    Fds__Witness witness;
    Fds__Witness *presented; /* NULL: nothing is held of the site */
    uint32_t round;
    uint8_t **bytes;
    size_t *count;
};

static struct error *make_submit(const struct request_parts *parts)
{
    Fds__Submit submit = FDS__SUBMIT__INIT;
    submit.job = parts->job;
    submit.witness = parts->presented;
    return wire_encode(&submit.base, parts->bytes, parts->count);
}

static struct error *make_query(const struct request_parts *parts)
{
    Fds__JobQuery query = FDS__JOB_QUERY__INIT;
    query.job_id = parts->job_id;
    query.witness = parts->presented;
    return wire_encode(&query.base, parts->bytes, parts->count);
}

static struct error *make_train(const struct request_parts *parts)
{
    Fds__Train train = FDS__TRAIN__INIT;
    train.job_id = parts->job_id;
    train.run_id = parts->run_id;
    train.round = parts->round;
    train.parameters = parts->parameters;
    train.witness = parts->presented;
    return wire_encode(&train.base, parts->bytes, parts->count);
}

static struct error *make_evaluate(const struct request_parts *parts)
{
    Fds__Evaluate evaluate = FDS__EVALUATE__INIT;
    evaluate.job_id = parts->job_id;
    evaluate.run_id = parts->run_id;
    evaluate.round = parts->round;
    evaluate.parameters = parts->parameters;
    evaluate.witness = parts->presented;
    return wire_encode(&evaluate.base, parts->bytes, parts->count);
}

static struct error *make_end(const struct request_parts *parts, enum run_status status)
{
    char word[32];
    Fds__EndRun end = FDS__END_RUN__INIT;
    (void)snprintf(word, sizeof word, "%s", run_status_word(status));
    end.job_id = parts->job_id;
    end.run_id = parts->run_id;
    end.status = word;
    end.witness = parts->presented;
    return wire_encode(&end.base, parts->bytes, parts->count);
}

static struct error *make_request(struct engine *engine, struct engine_site *site, enum request_kind kind,
                                  uint8_t **ret_bytes, size_t *ret_count)
{
    struct run_record *record = engine->record;
    struct request_parts parts = {
        .job = {.len = record->job_byte_count, .data = record->job_bytes},
        .job_id = {.len = DIGEST_BYTES, .data = record->job_id.bytes},
        .run_id = {.len = RUN_ID_BYTES, .data = record->run_id},
        .parameters = {.len = 8 * engine->count, .data = engine->model_bytes},
        .round = engine->round == NULL ? 0 : engine->round->round,
        .bytes = ret_bytes,
        .count = ret_count,
    };
    if (site->witness->sequence != 0) {
        receipt_witness(site->witness, &parts.witness);
        parts.presented = &parts.witness;
    }
    switch (kind) {
    case REQUEST_SUBMIT:
        return make_submit(&parts);
    case REQUEST_QUERY:
        return make_query(&parts);
    case REQUEST_TRAIN:
        return make_train(&parts);
    case REQUEST_EVALUATE:
        return make_evaluate(&parts);
    case REQUEST_END:
        return make_end(&parts, record->status);
    case REQUEST_ADVERTISE:
    case REQUEST_SHARE:
    case REQUEST_SUM:
    case REQUEST_MASK:
    case REQUEST_AGREE:
    case REQUEST_UNMASK:
        return engine_secagg_request(engine, site, kind, parts.presented, ret_bytes, ret_count);
    }
    return error_new(ERROR_INTERNAL, "There is no request of kind %d.", (int)kind);
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

struct error *engine_send(struct engine *engine, struct engine_site *site, enum request_kind kind,
                          uint64_t *ret_number)
{
    struct error *err = NULL;
    uint8_t *bytes = NULL;
    size_t count = 0;
    TRY(make_request(engine, site, kind, &bytes, &count));
    err = session_request_taking(engine->session, &site->id, message_type(kind), &bytes, count, ret_number);
done:
    free(bytes);
    return err;
}

/* A site is asked one thing at a time: whatever it still owes is given up. How much a site takes is its own
 * word, and may be another on its next connection: a request that is too long now is that site's delay, and
 * nobody else's. A goodbye is not worth the wait. */
struct error *engine_ask(struct engine *engine, struct engine_site *site, enum request_kind kind)
{
    engine_forget(engine, site);
    site->asked = kind;
    struct error *err = engine_send(engine, site, kind, &site->number);
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

void engine_await(struct engine_site *site, int64_t until)
{
    site->answer_by = until;
    site->held = false;
}

/* Longer than the job lives would be in vain: nothing of an expired job leaves a site. */
static int64_t held_until(const struct engine *engine)
{
    int64_t left = engine->job->expires * 1000 - clock_now_ms();
    return clock_monotonic_ms() + (left < engine->plan->held_ms ? left : engine->plan->held_ms);
}

void engine_held(struct engine *engine, struct engine_site *site, const struct error *said)
{
    char sentence[160];
    bool news = !site->held;
    engine_set_reason(site->put_off, sizeof site->put_off, said->sentence);
    engine_ask_later(site, site->asked, ENGINE_HELD_MS);
    if (!news)
        return;
    site->held = true;
    site->answer_by = held_until(engine);
    (void)snprintf(sentence, sizeof sentence, "A person there looks at %s round %u before %s.",
                   site->asked == REQUEST_TRAIN ? "the numbers of" : "the evaluation of",
                   engine->round->round, site->asked == REQUEST_TRAIN ? "they leave" : "it leaves");
    size_t done = engine_count_turns(engine, TURN_TRAINED);
    struct engine_event event = {.kind = ENGINE_SITE_HELD,
                                 .site = site->job_site->name,
                                 .sentence = sentence,
                                 .command = "",
                                 .round = engine->round->round,
                                 .done = done,
                                 .total = done + engine_count_turns(engine, TURN_TRAINING)};
    if (engine->plan->on_event != NULL)
        engine->plan->on_event(engine->plan->context, &event);
}
