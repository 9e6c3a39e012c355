#include "datasite/serve_parts.h"
#include "datasite/store_secagg.h"
#include "schemas/clock.h"

#define TICK_SECOND_MS 1000
#define TICK_CERTIFICATE_MS (24 * 3600 * 1000)
#define TICK_QUARTER 0.25
#define TICK_SENTENCE_BYTES 512

static void tick_failed(struct serve *serve, struct error *err)
{
    if (err != NULL)
        LOG(&serve->log, EVENT_STORE_FAILED, log_sentence(err->sentence));
    error_free(err);
}

/* Logs what owners decided in other processes, and the policy in this one. Events that are no decisions are passed over
 * once. */
static struct error *tick_decisions(struct serve *serve)
{
    struct error *err = NULL;
    struct decision_event event;
    bool found = false;
    int64_t last = 0;
    TRY(store_event_last(serve->store, &last));
    TRY(store_decision_next(serve->store, serve->event_seen, &event, &found));
    while (found) {
        serve->event_seen = event.id;
        if (event.has_job)
            LOG(&serve->log, event.kind, log_job(&event.job_id), log_by(event.detail));
        else
            LOG(&serve->log, event.kind, log_name(event.detail));
        TRY(store_decision_next(serve->store, serve->event_seen, &event, &found));
    }
    if (serve->event_seen < last)
        serve->event_seen = last;
done:
    return err;
}

/* Gives changed lists to the session, whose CA files may be unreadable at the moment: then again every second. Until
 * then connections stay as they are, but what peers ask is already judged by the new lists. */
static void tick_trust(struct serve *serve)
{
    int64_t now = clock_monotonic_ms();
    if (!serve->trust_changed || now < serve->trust_due)
        return;
    struct session_trust trust = serve_peers_trust(&serve->peers, serve->home->config);
    struct error *err = session_reload(serve->session, serve->certificate, &trust);
    serve->trust_due = now + TICK_SECOND_MS;
    serve->trust_changed = err != NULL;
    if (err == NULL)
        LOG(&serve->log, EVENT_CONFIG_RELOADED, log_count("peers", serve_peers_count(serve)));
    else if (log_repeats_first(&serve->repeats, EVENT_RELOAD_FAILED, identity_id(serve->identity), now))
        LOG(&serve->log, EVENT_RELOAD_FAILED, log_sentence(err->sentence));
    error_free(err);
}

/* Another connection has committed: a decision, a trusted peer, a release. Our own commits do not change the
 * version. */
void serve_look(struct serve *serve, bool own_commit)
{
    struct error *err = NULL;
    uint64_t version = 0;
    struct serve_peers peers = {.listed = NULL};
    TRY(store_version(serve->store, &version));
    if (version == serve->store_version && !own_commit)
        goto done;
    TRY(tick_decisions(serve));
    TRY(serve_peers_read(serve->store, serve->home->config, &peers));
    if (!serve_peers_same(&peers, &serve->peers)) {
        struct serve_peers before = serve->peers;
        serve->peers = peers;
        peers = before;
        serve->trust_changed = true;
        serve->trust_due = 0;
    }
    requests_recheck(&serve->requests, serve_peers_is_listed, serve);
    serve->store_version = version;
    tick_trust(serve);
done:
    serve_peers_clear(&peers);
    tick_failed(serve, err);
}

static void tick_expire(struct serve *serve)
{
    uint32_t expired = 0;
    struct error *err = store_job_expire(serve->store, serve->requests.clock() / 1000, &expired);
    if (err == NULL && expired > 0) {
        LOG(&serve->log, EVENT_JOB_EXPIRED, log_count("jobs", expired));
        requests_recheck(&serve->requests, serve_peers_is_listed, serve);
    }
    tick_failed(serve, err);
}

static void tick_certificate(struct serve *serve)
{
    char sentence[TICK_SENTENCE_BYTES];
    if (home_certificate_warning(serve->certificate, serve->requests.clock() / 1000, sentence,
                                 sizeof(sentence)))
        LOG(&serve->log, EVENT_CERTIFICATE_EXPIRING, log_sentence(sentence));
}

/* A line when training has come a quarter further, or a second has passed and it has come further at all. */
static void tick_progress(struct serve *serve, const struct executor_item *item, int64_t now)
{
    if (item->step != STEP_TRAIN && item->step != STEP_MASK)
        return;
    if (!digest_equal(&item->job_id, &serve->shown_job) || item->round != serve->shown_round) {
        serve->shown_job = item->job_id;
        serve->shown_round = item->round;
        serve->shown_progress = 0;
        serve->shown_at = now;
    }
    double further = item->progress - serve->shown_progress;
    if (further < TICK_QUARTER && (further <= 0 || now - serve->shown_at < TICK_SECOND_MS))
        return;
    serve->shown_progress = item->progress;
    serve->shown_at = now;
    LOG(&serve->log, EVENT_TRAIN_PROGRESS, log_job(&item->job_id), log_round(item->round),
        log_progress(item->progress));
}

static bool note_same(const struct daemon_record *a, const struct daemon_record *b)
{
    return a->peers_up == b->peers_up && a->busy == b->busy && digest_equal(&a->job_id, &b->job_id) &&
           a->round == b->round && a->progress == b->progress;
}

void serve_note(struct serve *serve, bool now)
{
    struct executor_item items[EXECUTOR_WAITING + 1];
    struct daemon_record record = serve->noted;
    size_t count = executor_items(serve->executor, items);
    record.peers_up = serve->peers_up;
    record.busy = count > 0 && items[0].in_hand;
    if (record.busy) {
        record.job_id = items[0].job_id;
        record.round = items[0].round;
        record.progress = items[0].progress;
    }
    if (!now && note_same(&record, &serve->noted))
        return;
    record.updated_at = serve->requests.clock() / 1000;
    struct error *err = store_daemon_set(serve->store, &record);
    if (err == NULL)
        serve->noted = record;
    tick_failed(serve, err);
}

void serve_tick(struct serve *serve)
{
    struct executor_item items[EXECUTOR_WAITING + 1];
    int64_t now = clock_monotonic_ms();
    if (executor_items(serve->executor, items) > 0 && items[0].in_hand)
        tick_progress(serve, &items[0], now);
    if (now >= serve->version_due) {
        serve_look(serve, false);
        serve->version_due = now + SERVE_LOOK_MS;
    }
    tick_trust(serve);
    serve_policy_watch(serve, now);
    if (now >= serve->second_due) {
        tick_expire(serve);
        tick_failed(serve, store_secagg_wipe(serve->store));
        log_repeats_flush(&serve->repeats, &serve->log, now);
        serve_note(serve, false);
        serve->second_due = now + TICK_SECOND_MS;
    }
    if (now >= serve->agreed_due) {
        secagg_cache_age(serve->secagg);
        serve->agreed_due = now + SECAGG_CACHE_AGE_MS;
    }
    if (now >= serve->certificate_due) {
        tick_certificate(serve);
        serve->certificate_due = now + TICK_CERTIFICATE_MS;
    }
}
