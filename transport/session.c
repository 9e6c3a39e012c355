/* The session: opening, closing, and the one loop in which everything happens (session_next). */
#include "transport/session_parts.h"

#include "crypto/secret.h"
#include "schemas/datasite.pb-c.h"
#include "schemas/wire.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <zmq.h>

#define SESSION_SOURCES 4

/* ---- opening ---- */

static struct error *session_check(const struct session_options *options)
{
    struct error *err = NULL;
    if (options->name == NULL || strlen(options->name) >= IDENTITY_NAME_BYTES)
        FAIL(ERROR_INVALID, "A node's name has to have 1 to %d bytes.", IDENTITY_NAME_BYTES - 1);
    if (options->directory == NULL)
        FAIL(ERROR_INVALID, "A directory for the local sockets is needed.");
    if (mkdir(options->directory, 0700) != 0 && errno != EEXIST)
        TRY(error_errno(ERROR_IO, errno, "The directory %s cannot be made", options->directory));
done:
    return err;
}

static struct error *session_start_zmq(struct session *session)
{
    session->zmq = zmq_ctx_new();
    if (session->zmq == NULL || zmq_ctx_set(session->zmq, ZMQ_MAX_SOCKETS, SESSION_PEERS_MOST) != 0 ||
        zmq_ctx_set(session->zmq, ZMQ_BLOCKY, 0) != 0)
        return error_new(ERROR_INTERNAL, "libzmq cannot be started: %s.", zmq_strerror(zmq_errno()));
    return NULL;
}

struct error *session_open_timed(const struct session_options *options, const struct tunnel_times *times,
                                 struct session **ret_session)
{
    struct error *err = NULL;
    struct tunnel_trust *trust = NULL;
    struct session *session = calloc(1, sizeof(*session));
    if (session == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for connections.");
    session->folder_lock = -1;
    TRY(session_check(options));
    session->peers = calloc(SESSION_PEERS_MOST, sizeof(struct session_peer *));
    if (session->peers == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for connections.");
    session->identity = options->identity;
    session->self = *identity_id(options->identity);
    (void)snprintf(session->name, sizeof(session->name), "%s", options->name);
    session->clock = options->clock != NULL ? options->clock : clock_now_ms;
    session->times = *times;
    session->wake_fd = options->wake_fd;
    TRY(secret_random(session->random, sizeof(session->random)));
    TRY(session_folder_make(options->directory, session->folder, &session->folder_lock));
    TRY(session_start_zmq(session));
    TRY(tunnel_trust_new(options->identity, &options->trust, &trust));
    const struct tunnel_options tunnel = {
        .listen = options->listen,
        .clock = session->clock,
        .times = *times,
        .bounds = {.unauthenticated = options->unauthenticated,
                   .unauthenticated_per_address = options->unauthenticated_per_address,
                   .parked_per_address = options->parked_per_address}};
    TRY(tunnel_open(&tunnel, trust, &session->tunnel));
    trust = NULL;
    *ret_session = session;
    session = NULL;
done:
    tunnel_trust_free(trust);
    session_close(session);
    return err;
}

struct error *session_open(const struct session_options *options, struct session **ret_session)
{
    const struct tunnel_times times = tunnel_times_default();
    return session_open_timed(options, &times, ret_session);
}

uint16_t session_port(const struct session *session)
{
    return tunnel_port(session->tunnel);
}

/* ---- the program's wishes ---- */

struct error *session_dial(struct session *session, const struct site_id *peer_id, const char *endpoint)
{
    struct error *err = NULL;
    struct session_peer *peer = NULL;
    size_t dialled = 0;
    for (size_t i = 0; i < session->peer_count; i++)
        dialled += session->peers[i]->dialled;
    if (dialled >= LIMIT_CONNECTIONS)
        FAIL(ERROR_LIMIT, "%d peers are dialled already, which is the most.", LIMIT_CONNECTIONS);
    if (site_id_equal(peer_id, &session->self))
        FAIL(ERROR_INVALID, "%s has this node's own fingerprint; a node cannot dial itself.", endpoint);
    TRY(session_peer_need(session, peer_id, &peer));
    TRY(tunnel_dial(session->tunnel, peer_id, endpoint));
    peer->dialled = true;
done:
    return err;
}

struct error *session_drop(struct session *session, const struct site_id *peer_id)
{
    struct error *err = NULL;
    struct session_peer *peer = session_peer_of(session, peer_id);
    if (peer == NULL)
        return NULL;
    TRY(tunnel_drop(session->tunnel, peer_id));
    peer->dialled = false;
    session_peer_forget_all(peer);
    session_peer_forget_served(session, peer);
    if (peer->state == PEER_GREETING || peer->state == PEER_UP)
        session_wire_part(session, peer, NULL);
done:
    return err;
}

struct error *session_reload(struct session *session, const struct identity *identity,
                             const struct session_trust *trust_options)
{
    struct error *err = NULL;
    struct tunnel_trust *trust = NULL;
    if (!site_id_equal(identity_id(identity), &session->self))
        FAIL(ERROR_CONFLICT,
             "The certificate is for another key than before; start the program again to use it.");
    TRY(tunnel_trust_new(identity, trust_options, &trust));
    TRY(tunnel_reload(session->tunnel, trust));
    session->identity = identity;
    /* until the tunnel has judged the connections again, nothing old may be repeated on them */
    for (size_t i = 0; i < session->peer_count; i++)
        session_peer_forget_sent(session, session->peers[i]);
done:
    return err;
}

static struct error *session_check_size(const struct session_peer *peer, size_t body_bytes)
{
    uint64_t most = peer->state == PEER_UP && peer->accepts != 0 ? peer->accepts : LIMIT_MESSAGE;
    if (body_bytes <= LIMIT_MESSAGE && body_bytes + MESSAGE_OVERHEAD_BYTES <= most)
        return NULL;
    return error_new(ERROR_LIMIT, "A message of %zu bytes is too long for '%s', which takes at most %llu%s.",
                     body_bytes, peer->name, (unsigned long long)most,
                     most == LIMIT_LOBBY_MESSAGE ? " from nodes that are not in its trust list" : "");
}

static struct error *session_check_type(uint32_t type)
{
    if (type >= REFUSAL && type <= UINT16_MAX)
        return NULL;
    return error_new(ERROR_INTERNAL, "A program cannot send a message of type %u.", type);
}

struct error *session_request_taking(struct session *session, const struct site_id *peer_id, uint32_t type,
                                     uint8_t **body, size_t body_bytes, uint64_t *ret_number)
{
    struct error *err = NULL;
    struct session_peer *peer = NULL;
    TRY(session_check_type(type));
    TRY(session_peer_need(session, peer_id, &peer));
    TRY(session_check_size(peer, body_bytes));
    TRY(session_peer_ask(peer, type, body, body_bytes, ret_number));
    TRY(session_wire_flush(session, peer));
done:
    return err;
}

struct error *session_request(struct session *session, const struct site_id *peer_id, uint32_t type,
                              const void *body, size_t body_bytes, uint64_t *ret_number)
{
    struct error *err = NULL;
    uint8_t *copy = NULL;
    TRY(session_peer_copy(body, body_bytes, &copy));
    TRY(session_request_taking(session, peer_id, type, &copy, body_bytes, ret_number));
done:
    free(copy);
    return err;
}

struct error *session_answer(struct session *session, const struct site_id *peer_id, uint64_t number,
                             uint32_t type, const void *body, size_t body_bytes)
{
    struct error *err = NULL;
    struct session_peer *peer = session_peer_of(session, peer_id);
    if (peer == NULL)
        FAIL(ERROR_NOT_FOUND, "The peer that asked is not known any more.");
    TRY(session_check_type(type));
    TRY(session_check_size(peer, body_bytes));
    TRY(session_peer_answer(session, peer, number, type, body, body_bytes));
    TRY(session_wire_flush(session, peer));
done:
    return err;
}

void session_forget(struct session *session, const struct site_id *peer_id, uint64_t number)
{
    struct session_peer *peer = session_peer_of(session, peer_id);
    if (peer != NULL)
        session_peer_forget(peer, number);
}

bool session_is_up(const struct session *session, const struct site_id *peer_id)
{
    const struct session_peer *peer = session_peer_of(session, peer_id);
    return peer != NULL && peer->state == PEER_UP;
}

/* ---- what the tunnel tells ---- */

static void session_peer_is_down(struct session *session, struct session_peer *peer)
{
    session_wire_detach(peer);
    session_peer_reset(session, peer);
    peer->state = PEER_DOWN;
    peer->down_since = clock_monotonic_ms();
}

static void session_tell_end(const struct tunnel_event *from, enum session_event_kind kind,
                             struct session_event *ret_event)
{
    *ret_event = (struct session_event){.kind = kind, .peer = from->peer, .lobby = from->lobby};
    memcpy(ret_event->peer_name, from->name, sizeof(ret_event->peer_name));
    memcpy(ret_event->sentence, from->sentence, sizeof(ret_event->sentence));
}

static struct error *session_tunnel_ready(struct session *session, const struct tunnel_event *from,
                                          struct session_event *ret_event)
{
    struct session_peer *peer = NULL;
    struct error *fault = session_peer_need(session, &from->peer, &peer);
    if (fault == NULL) {
        if (peer->state != PEER_DOWN)
            session_peer_is_down(session, peer);
        memcpy(peer->name, from->name, sizeof(peer->name));
        peer->lobby = from->lobby;
        peer->link = from->number;
        peer->link_dialled = from->dialled;
        session_peer_reset(session, peer);
        peer->arrived[0] = peer->arrived[1] = session->clock();
        fault = session_wire_attach(session, peer, from->lobby);
    }
    if (fault == NULL) {
        peer->state = PEER_GREETING;
        peer->greeting_due = from->dialled;
        peer->greeting_answers = 0;
        return NULL;
    }
    session_tell_end(from, SESSION_REFUSED, ret_event);
    tunnel_sentence(fault->sentence, ret_event->sentence);
    error_free(fault);
    return tunnel_hang_up(session->tunnel, from->number, true, ret_event->sentence);
}

static void session_tunnel_down(struct session *session, const struct tunnel_event *from,
                                struct session_event *ret_event)
{
    struct session_peer *peer = from->number == 0 ? NULL : session_peer_of_link(session, from->number);
    enum session_event_kind kind = from->refused || !from->dialled ? SESSION_REFUSED : SESSION_DOWN;
    if (peer == NULL) {
        if (from->number == 0)
            session_tell_end(from, kind, ret_event);
        return;
    }
    bool told = peer->state == PEER_PARTING;
    if (peer->state == PEER_UP)
        kind = SESSION_DOWN;
    session_peer_is_down(session, peer);
    if (!told)
        session_tell_end(from, kind, ret_event);
}

/* ---- the sources of events; each fills at most one event, *ret_any says whether anything was done ---- */

/* A connection that ended before a word was said may have brought its reason as its last message: that is
 * shown first. Later events wait meanwhile, so that they stay in order. */
static void session_from_ending(struct session *session, bool *ret_any, struct session_event *ret_event)
{
    const struct session_peer *peer = session_peer_of_link(session, session->ending.number);
    bool open = peer != NULL && peer->state != PEER_PARTING && !session->ending.refused;
    if (open && (session_wire_has_news(peer) || clock_monotonic_ms() < session->ending_until))
        return;
    session->ending_any = false;
    *ret_any = true;
    session_tunnel_down(session, &session->ending, ret_event);
}

static struct error *session_from_tunnel(struct session *session, bool *ret_any,
                                         struct session_event *ret_event)
{
    struct error *err = NULL;
    struct tunnel_event from;
    if (session->ending_any) {
        session_from_ending(session, ret_any, ret_event);
        return NULL;
    }
    TRY(tunnel_next(session->tunnel, ret_any, &from));
    if (!*ret_any)
        goto done;
    switch (from.kind) {
    case TUNNEL_READY:
        TRY(session_tunnel_ready(session, &from, ret_event));
        break;
    case TUNNEL_DOWN:
        session->ending = from;
        session->ending_any = true;
        session->ending_until = clock_monotonic_ms() + SESSION_ENDING_MS;
        session_from_ending(session, ret_any, ret_event);
        break;
    }
done:
    return err;
}

/* One message of one peer, starting behind the peer that had the last turn. */
static struct error *session_from_peers(struct session *session, bool *ret_any,
                                        struct session_event *ret_event)
{
    struct error *err = NULL;
    for (size_t i = 0; i < session->peer_count && !*ret_any; i++) {
        session->cursor = (session->cursor + 1) % session->peer_count;
        TRY(session_receive(session, session->peers[session->cursor], ret_any, ret_event));
    }
done:
    return err;
}

static struct error *session_from_wake(struct session *session, bool *ret_any,
                                       struct session_event *ret_event)
{
    struct pollfd wake = {.fd = session->wake_fd, .events = POLLIN};
    if (session->wake_fd >= 0 && poll(&wake, 1, 0) == 1) {
        *ret_event = (struct session_event){.kind = SESSION_WAKE};
        *ret_any = true;
    }
    return NULL;
}

/* A request that was queued before the peer said how little it takes is refused here, in the peer's place. */
static struct error *session_from_oversized(struct session *session, bool *ret_any,
                                            struct session_event *ret_event)
{
    struct error *err = NULL;
    for (size_t i = 0; i < session->peer_count; i++) {
        struct session_peer *peer = session->peers[i];
        for (struct session_asked *asked = peer->asked; asked != NULL && peer->state == PEER_UP;
             asked = asked->next) {
            struct error *reason = session_check_size(peer, asked->body_bytes);
            if (reason == NULL)
                continue;
            struct session_event event = {.kind = SESSION_MESSAGE,
                                          .peer = peer->id,
                                          .type = REFUSAL,
                                          .answers = asked->number,
                                          .sent_at = session->clock()};
            memcpy(event.peer_name, peer->name, sizeof(event.peer_name));
            session_peer_forget(peer, asked->number);
            err = wire_refusal_encode(reason, &event.body, &event.body_bytes);
            error_free(reason);
            if (err == NULL) {
                *ret_event = event;
                *ret_any = true;
            }
            return err;
        }
    }
    return NULL;
}

/* Asks the sources in turn until one has an event; *ret_any says whether one did anything at all. */
static struct error *session_poll_sources(struct session *session, bool *ret_any,
                                          struct session_event *ret_event)
{
    struct error *err = NULL;
    struct error *(*const sources[SESSION_SOURCES])(struct session *, bool *, struct session_event *) = {
        session_from_tunnel, session_from_peers, session_from_wake, session_from_oversized};
    for (size_t i = 0; i < SESSION_SOURCES && ret_event->kind == SESSION_NOTHING; i++) {
        bool any = false;
        TRY(sources[session->turn](session, &any, ret_event));
        session->turn = (session->turn + 1) % SESSION_SOURCES;
        *ret_any = *ret_any || any;
    }
done:
    return err;
}

/* PINGs, partings that took too long, and what could not be sent before. *ret_due: when to look again. */
static struct error *session_tick(struct session *session, int64_t now, int64_t *ret_due)
{
    struct error *err = NULL;
    for (size_t i = 0; i < session->peer_count; i++) {
        struct session_peer *peer = session->peers[i];
        if (peer->state == PEER_UP && peer->ping_at <= now) {
            /* behind other messages a PING says nothing that they don't */
            peer->ping_due = !session_wire_has_due(peer);
            peer->ping_at = now + session->times.ping;
        }
        if (peer->state == PEER_PARTING && peer->parting_until <= now) {
            peer->parting_until = now + SESSION_PARTING_MS;
            TRY(tunnel_hang_up(session->tunnel, peer->link, false, "The connection ended."));
        }
        if (peer->state == PEER_UP && peer->ping_at < *ret_due)
            *ret_due = peer->ping_at;
        if (peer->state == PEER_PARTING && peer->parting_until < *ret_due)
            *ret_due = peer->parting_until;
        TRY(session_wire_flush(session, peer));
    }
    if (session->ending_any && session->ending_until < *ret_due)
        *ret_due = session->ending_until;
done:
    return err;
}

struct error *session_next(struct session *session, int timeout_ms, struct session_event *ret_event)
{
    struct error *err = NULL;
    struct session_event event = {.kind = SESSION_NOTHING};
    int64_t now = clock_monotonic_ms();
    int64_t until = now + (timeout_ms > 0 ? timeout_ms : 0);
    for (;;) {
        bool any = false;
        bool wake = false;
        int64_t due = until;
        TRY(session_tick(session, now, &due));
        TRY(session_poll_sources(session, &any, &event));
        now = clock_monotonic_ms();
        if (event.kind != SESSION_NOTHING || now >= until)
            break;
        if (!any)
            TRY(session_wire_wait(session, due > now ? (int)(due - now) : 0, &wake));
        now = clock_monotonic_ms();
    }
    *ret_event = event;
done:
    return err;
}

void session_event_clear(struct session_event *event)
{
    free(event->body);
    *event = (struct session_event){0};
}
