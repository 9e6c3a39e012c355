#include "orchestrator/site_probe.h"

#include "schemas/clock.h"
#include "schemas/wire.h"

#include <math.h>

/* The wall has milliseconds, and a round trip on one machine takes less than one. */
static double now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static const char *state_word(Fds__JobState state)
{
    switch (state) {
    case FDS__JOB_STATE__JOB_PENDING:
        return "pending";
    case FDS__JOB_STATE__JOB_APPROVED:
        return "approved";
    case FDS__JOB_STATE__JOB_RUNNING:
        return "running";
    case FDS__JOB_STATE__JOB_FINISHED:
        return "finished";
    case FDS__JOB_STATE__JOB_DENIED:
        return "denied";
    case FDS__JOB_STATE__JOB_REVOKED:
        return "revoked";
    case FDS__JOB_STATE__JOB_EXPIRED:
        return "expired";
    case FDS__JOB_STATE__JOB_UNKNOWN:
    default: /* a number that a newer site may send */
        return "unknown";
    }
}

static struct site_probe *find(struct site_probe *probes, size_t count, const struct site_id *id)
{
    for (size_t i = 0; i < count; i++)
        if (site_id_equal(&probes[i].id, id))
            return &probes[i];
    return NULL;
}

static struct error *ask(struct session *session, const struct digest *job_id, struct site_probe *probe)
{
    struct error *err = NULL;
    struct digest id = {{0}};
    uint8_t *body = NULL;
    size_t bytes = 0;
    Fds__JobQuery query = FDS__JOB_QUERY__INIT;
    Fds__Witness witness;
    if (job_id != NULL)
        id = *job_id;
    query.job_id = (ProtobufCBinaryData){.len = DIGEST_BYTES, .data = id.bytes};
    if (probe->witness.sequence != 0) {
        receipt_witness(&probe->witness, &witness);
        query.witness = &witness;
    }
    TRY(wire_encode(&query.base, &body, &bytes));
    probe->asked_at = now_ms();
    TRY(session_request(session, &probe->id, FDS__MESSAGE_TYPE__MESSAGE_QUERY, body, bytes, &probe->number));
done:
    free(body);
    return err;
}

/* Any signed answer means that the site is there; only a JobStatus says more. */
static void take_answer(struct site_probe *probe, const struct session_event *event, bool with_job)
{
    Fds__JobStatus *status = NULL;
    probe->up = true;
    probe->settled = true;
    probe->round_trip_ms = now_ms() - probe->asked_at;
    probe->reason[0] = '\0';
    if (!with_job || event->type != FDS__MESSAGE_TYPE__MESSAGE_JOB_STATUS)
        return;
    struct error *err = wire_job_status_decode(event->body, event->body_bytes, &status);
    if (err == NULL)
        (void)snprintf(probe->state, sizeof probe->state, "%s", state_word(status->state));
    error_free(err);
    wire_job_status_free(status);
}

static struct error *take_event(struct session *session, const struct digest *job_id,
                                struct site_probe *probe, const struct session_event *event)
{
    struct error *err = NULL;
    switch (event->kind) {
    case SESSION_UP:
        (void)snprintf(probe->software, sizeof probe->software, "%s", event->peer_software);
        if (probe->number == 0)
            TRY(ask(session, job_id, probe));
        break;
    case SESSION_DOWN:
    case SESSION_REFUSED:
        (void)snprintf(probe->reason, sizeof probe->reason, "%s", event->sentence);
        probe->settled = true;
        break;
    case SESSION_MESSAGE:
        if (probe->number != 0 && event->answers == probe->number)
            take_answer(probe, event, job_id != NULL);
        break;
    case SESSION_NOTHING:
    case SESSION_WAKE:
        break;
    }
done:
    return err;
}

static struct error *start(struct session *session, struct site_probe *probe)
{
    struct error *err = NULL;
    TRY(site_id_parse(probe->site->fingerprint, &probe->id));
    probe->round_trip_ms = NAN;
    probe->settled = probe->in_run;
    if (probe->in_run)
        goto done;
    (void)snprintf(probe->reason, sizeof probe->reason, "%s",
                   probe->site->endpoint[0] == '\0' ? "It dials in, and has not by now."
                                                    : "It has not answered in time.");
    if (probe->site->endpoint[0] != '\0')
        TRY(session_dial(session, &probe->id, probe->site->endpoint));
done:
    return err;
}

struct error *site_probe_open(const struct session_options *options, struct session **ret_session)
{
    struct session_options without = *options;
    struct error *err = session_open(options, ret_session);
    if (err == NULL || err->code != ERROR_UNAVAILABLE || options->listen == NULL)
        return err;
    error_free(err);
    without.listen = NULL;
    return session_open(&without, ret_session);
}

static bool all_settled(const struct site_probe *probes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!probes[i].settled)
            return false;
    return true;
}

struct error *site_probe_all(struct session *session, const struct digest *job_id, int deadline_ms,
                             struct site_probe *probes, size_t count)
{
    struct error *err = NULL;
    struct session_event event = {0};
    int64_t until = clock_monotonic_ms() + deadline_ms;
    for (size_t i = 0; i < count; i++)
        TRY(start(session, &probes[i]));
    for (int64_t left = deadline_ms; left > 0 && !all_settled(probes, count);
         left = until - clock_monotonic_ms()) {
        TRY(session_next(session, (int)left, &event));
        struct site_probe *probe = find(probes, count, &event.peer);
        if (probe != NULL && !probe->in_run)
            TRY(take_event(session, job_id, probe, &event));
        session_event_clear(&event);
    }
done:
    session_event_clear(&event);
    for (size_t i = 0; i < count; i++) {
        struct error *undropped = session_drop(session, &probes[i].id);
        error_free(undropped);
    }
    return err;
}
