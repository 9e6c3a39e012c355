#include "orchestrator/engine_secagg.h"

#include "schemas/clock.h"
#include "schemas/text.h"

#include <math.h>

struct site_round *engine_site_round(struct engine *engine, const struct engine_site *site)
{
    return &engine->round->sites[site - engine->sites];
}

double engine_round_seconds(const struct engine *engine)
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
    site->held = false;
    site->turn = TURN_IDLE;
    free(part->confusion);
    part->confusion = NULL;
    part->train_accuracy = NAN;
    part->status = status;
    part->seconds = engine_round_seconds(engine);
    engine_set_reason(part->reason, sizeof part->reason, reason);
    engine_tell(engine, ENGINE_SITE_MISSED, site, part->reason);
}

enum site_status engine_status_of(enum error_code code)
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
void engine_not_granted(struct engine *engine, struct engine_site *site, enum site_status status,
                        const char *reason)
{
    switch (site->asked) {
    case REQUEST_SUBMIT:
    case REQUEST_QUERY:
        engine_site_out(engine, site, reason);
        break;
    case REQUEST_TRAIN:
    case REQUEST_SUM:
    case REQUEST_MASK:
        engine_missed(engine, site, status, reason);
        break;
    case REQUEST_AGREE:
    case REQUEST_UNMASK:
        engine_unmask_refused(engine, site, reason);
        break;
    case REQUEST_EVALUATE:
        engine_forget(engine, site);
        site->turn = TURN_IDLE;
        engine_tell(engine, ENGINE_WARNING, site, reason);
        break;
    case REQUEST_ADVERTISE: /* of the other request that a site can have: engine_keys.c */
    case REQUEST_SHARE:
    case REQUEST_END:
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
    bool step = site->asked == REQUEST_TRAIN || site->asked == REQUEST_EVALUATE;
    if (said->code == ERROR_HELD && step) {
        engine_held(engine, site, said);
    } else if (passes(site, said->code) && site->asked != REQUEST_END) {
        engine_put_off(site, said);
    } else {
        if (site->asked == REQUEST_MASK)
            engine_seals_refused(engine, site, said);
        engine_not_granted(engine, site, engine_status_of(said->code), said->sentence);
    }
    error_free(said);
    wire_refusal_free(refusal);
}

static uint32_t expected_type(enum request_kind asked)
{
    switch (asked) {
    case REQUEST_TRAIN:
    case REQUEST_EVALUATE:
    case REQUEST_MASK:
        return FDS__MESSAGE_TYPE__MESSAGE_RELEASED;
    case REQUEST_ADVERTISE:
        return FDS__MESSAGE_TYPE__MESSAGE_ADVERT;
    case REQUEST_SHARE:
        return FDS__MESSAGE_TYPE__MESSAGE_SHARES;
    case REQUEST_AGREE:
        return FDS__MESSAGE_TYPE__MESSAGE_AGREEMENT;
    case REQUEST_UNMASK:
        return FDS__MESSAGE_TYPE__MESSAGE_UNMASKING;
    case REQUEST_SUBMIT:
    case REQUEST_QUERY:
    case REQUEST_SUM:
    case REQUEST_END:
        break;
    }
    return FDS__MESSAGE_TYPE__MESSAGE_JOB_STATUS;
}

static struct error *take_answer(struct engine *engine, struct engine_site *site,
                                 const struct session_event *event)
{
    switch (site->asked) {
    case REQUEST_SUBMIT:
    case REQUEST_QUERY:
        return engine_answer_status(engine, site, event);
    case REQUEST_TRAIN:
        engine_answer_update(engine, site, event);
        break;
    case REQUEST_EVALUATE:
        engine_answer_evaluation(engine, site, event);
        break;
    case REQUEST_SUM:
        return engine_answer_sum(engine, site, event);
    case REQUEST_MASK:
        engine_answer_masked(engine, site, event);
        break;
    case REQUEST_AGREE:
        return engine_answer_agreement(engine, site, event);
    case REQUEST_UNMASK:
        engine_answer_unmasking(engine, site, event);
        break;
    case REQUEST_ADVERTISE:
    case REQUEST_SHARE:
    case REQUEST_END:
        break;
    }
    return NULL;
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
        engine_not_granted(engine, site, SITE_FAILED, "It answers with a message of another kind.");
    } else {
        TRY(take_answer(engine, site, event));
    }
done:
    return err;
}
