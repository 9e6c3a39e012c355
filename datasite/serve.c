#include "datasite/serve.h"

#include "console/interrupt.h"
#include "crypto/secret.h"
#include "datasite/budget.h"
#include "datasite/chain_start.h"
#include "datasite/home_vault.h"
#include "datasite/lock.h"
#include "datasite/serve_parts.h"
#include "datasite/store_secagg.h"
#include "schemas/clock.h"
#include "schemas/datasite.pb-c.h"

#include <signal.h>
#include <unistd.h>

#define SERVE_ABANDON_MS 2500 /* for the step in hand; with the session's 2 s it stays below 5 s */
#define SERVE_FLUSH_MS 50

static void serve_answer(struct serve *serve, const struct site_id *peer, uint64_t number,
                         struct reply *reply)
{
    struct error *err = NULL;
    if (!reply->later && reply->type != 0)
        err = session_answer(serve->session, peer, number, reply->type, reply->body, reply->body_bytes);
    /* ERROR_NOT_FOUND: its connection has ended; it asks again on the next one and gets what is stored. */
    if (err != NULL && err->code != ERROR_NOT_FOUND)
        LOG(&serve->log, EVENT_PEER_REFUSED, log_peer(peer), log_sentence(err->sentence));
    error_free(err);
    requests_reply_clear(reply);
}

/* `request` is complete but for what may have changed since it came in. */
static void serve_request(struct serve *serve, struct request *request)
{
    struct reply reply;
    /* What the owner decided a moment ago holds for this message. A peer that has just become listed may
     * still speak through the lobby. */
    serve_look(serve, false);
    request->listed = serve_peers_is_listed(serve, &request->peer);
    requests_answer(&serve->requests, request, &reply);
    serve_answer(serve, &request->peer, request->number, &reply);
    if (request->type == FDS__MESSAGE_TYPE__MESSAGE_SUBMIT)
        serve_look(serve, true); /* the policy may have approved it, which lists its requester */
}

static void serve_message(struct serve *serve, const struct session_event *event)
{
    struct request request = {
        .peer = event->peer,
        .peer_name = event->peer_name,
        .type = event->type,
        .number = event->number,
        .body = event->body,
        .body_bytes = event->body_bytes,
    };
    if (event->answers == 0) /* a datasite asks nothing */
        serve_request(serve, &request);
}

/* Requests that were put aside until the privacy of their job was accounted. */
static void serve_accounted(struct serve *serve)
{
    struct parked_request parked;
    while (requests_accounted(&serve->requests, &parked)) {
        struct request request = {
            .peer = parked.peer,
            .peer_name = parked.peer_name,
            .type = parked.type,
            .number = parked.number,
            .body = parked.body,
            .body_bytes = parked.body_bytes,
            .accounted = true,
        };
        serve_request(serve, &request);
        free(parked.body);
    }
}

static void serve_event(struct serve *serve, const struct session_event *event)
{
    switch (event->kind) {
    case SESSION_NOTHING:
        break;
    case SESSION_UP:
        serve->peers_up++;
        LOG(&serve->log, EVENT_PEER_UP, log_peer(&event->peer), log_name(event->peer_name));
        break;
    case SESSION_DOWN:
        if (serve->peers_up > 0)
            serve->peers_up--;
        LOG(&serve->log, EVENT_PEER_DOWN, log_peer(&event->peer), log_name(event->peer_name),
            log_sentence(event->sentence));
        break;
    case SESSION_REFUSED:
        if (log_repeats_first(&serve->repeats, EVENT_PEER_REFUSED, &event->peer, clock_monotonic_ms()))
            LOG(&serve->log, EVENT_PEER_REFUSED, log_peer(&event->peer), log_name(event->peer_name),
                log_sentence(event->sentence));
        break;
    case SESSION_MESSAGE:
        serve_message(serve, event);
        break;
    case SESSION_WAKE:
        executor_drain(serve->executor);
        break;
    }
}

static void serve_reports(struct serve *serve)
{
    struct executor_report report;
    while (executor_next(serve->executor, &report)) {
        struct reply reply = {.type = 0};
        switch (report.kind) {
        case EXECUTOR_STARTED:
            if (report.step == STEP_TRAIN || report.step == STEP_MASK)
                LOG(&serve->log, EVENT_TRAIN_STARTED, log_job(&report.job_id), log_run(report.run_id),
                    log_round(report.round));
            break;
        case EXECUTOR_DONE:
            requests_finish(&serve->requests, &report, &reply);
            serve_answer(serve, &report.peer, report.number, &reply);
            break;
        }
        executor_report_clear(&report);
    }
}

/* Milliseconds until site.db is to be looked at again. */
static int serve_wait(const struct serve *serve)
{
    int64_t left = serve->version_due - clock_monotonic_ms();
    return left < 1 ? 1 : left > SERVE_LOOK_MS ? SERVE_LOOK_MS : (int)left;
}

static struct error *serve_loop(struct serve *serve)
{
    struct error *err = NULL;
    while (interrupt_requested() == 0) {
        struct session_event event;
        TRY(session_next(serve->session, serve_wait(serve), &event));
        serve_event(serve, &event);
        session_event_clear(&event);
        serve_reports(serve);
        serve_accounted(serve);
        if (interrupt_reload())
            serve_reload(serve);
        serve_tick(serve);
    }
done:
    return err;
}

/* ---- start and stop ---- */

static struct error *serve_open_session(struct serve *serve)
{
    const struct node_config *config = serve->home->config;
    struct session_options options = {
        .identity = serve->certificate,
        .name = config->name,
        .directory = serve->home->path,
        .listen = config->listen[0] == '\0' ? NULL : config->listen,
        .trust = serve_peers_trust(&serve->peers, config),
        .wake_fd = executor_fd(serve->executor),
    };
    return session_open(&options, &serve->session);
}

static struct error *serve_open_executor(struct serve *serve)
{
    struct executor_options options = {
        .database_path = serve->home->database_path,
        .keys_path = serve->home->keys_path,
        .identity = serve->identity,
        .vault = serve->vault,
        .policy = serve->policy,
        .secagg = serve->secagg,
        .store = serve->store,
        .threads = serve->home->config->threads,
    };
    return executor_open(&options, &serve->executor);
}

static void serve_announce(struct serve *serve)
{
    const struct node_config *config = serve->home->config;
    serve->noted.pid = getpid();
    serve->noted.started_at = clock_now_ms() / 1000;
    (void)snprintf(serve->noted.listen, sizeof(serve->noted.listen), "%s", config->listen);
    serve_note(serve, true);
    LOG(&serve->log, EVENT_SERVE_STARTED, log_name(config->name), log_peer(identity_id(serve->identity)),
        log_count("port", session_port(serve->session)), log_count("peers", serve_peers_count(serve)));
}

/* Key slots that were begun before site.db was put back to an earlier state, or before the machine stopped, are given
 * up. Before the executor has a store of its own. */
static struct error *serve_open_secagg(struct serve *serve)
{
    struct error *err = NULL;
    uint32_t killed = 0;
    TRY(store_secagg_check_count(serve->store, serve->home->keys_path, clock_now_ms() / 1000, &killed));
    if (killed > 0)
        LOG(&serve->log, EVENT_SLOTS_KILLED, log_count("slots", killed));
    TRY(secagg_cache_open(&serve->secagg));
done:
    return err;
}

/* Datasets of before there were privacy budgets: which share records is found out before any is used. */
static struct error *serve_pool_records(struct serve *serve)
{
    struct error *err = NULL;
    uint8_t split_key[SPLIT_KEY_BYTES] = {0};
    bool pooled = true;
    TRY(budget_pooled(serve->store, &pooled));
    if (pooled)
        goto done;
    TRY(home_split_key(serve->home, split_key));
    TRY(budget_pool_all(serve->store, split_key, clock_now_ms() / 1000));
done:
    secret_wipe(split_key, sizeof(split_key));
    return err;
}

static struct error *serve_open(struct serve *serve, const char *home)
{
    struct error *err = NULL;
    struct digest policy_digest;
    TRY(home_open(home, &serve->home));
    TRY(lock_take(serve->home->lock_path, &serve->lock_fd));
    TRY(identity_load(serve->home->keys_path, &serve->identity));
    TRY(identity_load(serve->home->keys_path, &serve->certificate));
    serve->policy_read = serve_policy_stamp(serve->home->policy_path);
    TRY(serve_policy_read(serve->home->policy_path, &serve->policy, &policy_digest));
    TRY(store_open(serve->home->database_path, STORE_WRITE, &serve->store));
    store_sign_with(serve->store, serve->identity);
    TRY(chain_start_check(serve->home->keys_path, STORE_WRITE, serve->identity, serve->store));
    TRY(home_unlock(serve->store, &serve->vault));
    TRY(serve_open_secagg(serve));
    TRY(serve_pool_records(serve));
    TRY(store_version(serve->store, &serve->store_version));
    TRY(store_event_last(serve->store, &serve->event_seen));
    TRY(serve_peers_read(serve->store, serve->home->config, &serve->peers));
    TRY(serve_open_executor(serve));
    TRY(accountant_open(store_epsilons(serve->store), executor_fd(serve->executor), &serve->accountant));
    serve->requests = (struct requests){serve->store,  serve->identity,  serve->policy, serve->executor,
                                        &serve->log,   &serve->repeats,  clock_now_ms,  &serve->rate,
                                        serve->secagg, serve->accountant};
    TRY(serve_open_session(serve));
    TRY(serve_peers_dial(serve, NULL));
    TRY(serve_policy_note(serve, serve->policy, &policy_digest));
    TRY(store_event_add(serve->store, EVENT_SERVE_STARTED, NULL, NULL, 0, clock_now_ms() / 1000, "", NULL));
    serve_announce(serve);
done:
    return err;
}

/* Abandons the step in hand and tells its requester. A step that does not end in time cannot lose anything
 * either: what was not committed was not released. */
static void serve_stop(struct serve *serve)
{
    bool stopped = executor_stop(serve->executor, SERVE_ABANDON_MS);
    struct session_event event;
    serve_reports(serve);
    struct error *err = session_next(serve->session, SERVE_FLUSH_MS, &event);
    if (err == NULL)
        session_event_clear(&event);
    error_clear(&err);
    err = store_event_add(serve->store, EVENT_SERVE_STOPPED, NULL, NULL, 0, clock_now_ms() / 1000, "", NULL);
    if (err == NULL)
        err = store_daemon_clear(serve->store);
    if (err != NULL)
        LOG(&serve->log, EVENT_STORE_FAILED, log_sentence(err->sentence));
    error_free(err);
    log_repeats_flush(&serve->repeats, &serve->log, INT64_MAX); /* what was counted and not yet told */
    LOG(&serve->log, EVENT_SERVE_STOPPED, log_name(serve->home->config->name));
    if (!stopped) {
        session_close(serve->session);
        _exit(interrupt_requested() == SIGINT ? 130 : 0);
    }
}

static void serve_close(struct serve *serve)
{
    session_close(serve->session);
    accountant_close(serve->accountant);
    executor_close(serve->executor);
    secagg_cache_close(serve->secagg);
    store_close(serve->store);
    vault_free(serve->vault);
    policy_free(serve->policy);
    identity_free(serve->certificate);
    identity_free(serve->identity);
    home_free(serve->home);
    serve_peers_clear(&serve->peers);
    if (serve->lock_fd >= 0)
        (void)close(serve->lock_fd);
}

struct error *serve(const struct serve_options *options)
{
    struct error *err = NULL;
    struct serve state = {.log = {stderr, options->log_format}, .lock_fd = -1};
    TRY(interrupt_install());
    TRY(serve_open(&state, options->home));
    err = serve_loop(&state);
    serve_stop(&state);
    if (err == NULL && interrupt_requested() == SIGINT)
        err = error_new(ERROR_INTERRUPTED, "Stopped by Ctrl-C.");
done:
    serve_close(&state);
    return err;
}
