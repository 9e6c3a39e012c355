/* One message out, and the DEALER of each connection.
 *
 * A DEALER serves one connection and is closed with it, so that no byte of an old connection can turn up in a
 * new one. libzmq binds its ipc:// endpoint; this thread connects to it and hands the socket to the tunnel.
 * High-water marks are 1 and nothing blocks: what cannot go now stays in the peer's lists. */
#include "schemas/datasite.pb-c.h"
#include "schemas/wire.h"
#include "transport/session_parts.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#define WIRE_SOFTWARE "datasite " DATASITE_VERSION
#define WIRE_PROTOCOL 1

static struct error *session_wire_zmq_error(const char *doing)
{
    return error_new(ERROR_INTERNAL, "libzmq failed while %s: %s.", doing, zmq_strerror(zmq_errno()));
}

/* ---- DEALERs ---- */

static struct error *session_wire_set_options(void *socket, bool lobby)
{
    const struct {
        int option;
        int value;
    } options[] = {{ZMQ_SNDHWM, 1}, {ZMQ_RCVHWM, 1}, {ZMQ_LINGER, 0}, {ZMQ_HEARTBEAT_IVL, 0}};
    int64_t largest = lobby ? LIMIT_LOBBY_MESSAGE : LIMIT_MESSAGE;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        if (zmq_setsockopt(socket, options[i].option, &options[i].value, sizeof(options[i].value)) != 0)
            return session_wire_zmq_error("setting up a socket");
    if (zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &largest, sizeof(largest)) != 0)
        return session_wire_zmq_error("setting up a socket");
    return NULL;
}

/* The endpoint's path: named by the site_id's first digits and the connection, as sun_path is short. */
static void session_wire_path(const struct session *session, const struct session_peer *peer,
                              char ret_path[static SESSION_PATH_BYTES])
{
    const uint8_t *id = peer->id.digest.bytes;
    (void)snprintf(ret_path, SESSION_PATH_BYTES, "%.70s/%02x%02x%02x%02x%02x%02x%02x%02x.%llu",
                   session->folder, id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7],
                   (unsigned long long)peer->link);
}

static struct error *session_wire_connect(const char *path, int *ret_local)
{
    struct error *err = NULL;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (local < 0)
        TRY(error_errno(ERROR_IO, errno, "A local socket cannot be opened"));
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (connect(local, (const struct sockaddr *)&address, sizeof(address)) != 0)
        TRY(error_errno(ERROR_IO, errno, "The local socket %s cannot be reached", path));
    (void)unlink(path); /* nobody else needs to find it */
    *ret_local = local;
    local = -1;
done:
    if (local >= 0)
        (void)close(local);
    return err;
}

struct error *session_wire_attach(struct session *session, struct session_peer *peer, bool lobby)
{
    struct error *err = NULL;
    int local = -1;
    char path[SESSION_PATH_BYTES];
    char endpoint[SESSION_PATH_BYTES + 8];
    void *socket = zmq_socket(session->zmq, ZMQ_DEALER);
    if (socket == NULL)
        TRY(session_wire_zmq_error("opening a socket"));
    TRY(session_wire_set_options(socket, lobby));
    session_wire_path(session, peer, path);
    (void)snprintf(endpoint, sizeof(endpoint), "ipc://%s", path);
    if (zmq_bind(socket, endpoint) != 0)
        TRY(session_wire_zmq_error("binding a local socket"));
    TRY(session_wire_connect(path, &local));
    TRY(tunnel_attach(session->tunnel, peer->link, local));
    peer->socket = socket;
    socket = NULL;
done:
    if (socket != NULL)
        (void)zmq_close(socket);
    return err;
}

void session_wire_detach(struct session_peer *peer)
{
    if (peer->socket != NULL)
        (void)zmq_close(peer->socket);
    peer->socket = NULL;
}

static bool session_wire_ready(const struct session_peer *peer, int what)
{
    int events = 0;
    size_t size = sizeof(events);
    return peer->socket != NULL && zmq_getsockopt(peer->socket, ZMQ_EVENTS, &events, &size) == 0 &&
           (events & what) != 0;
}

bool session_wire_has_news(const struct session_peer *peer)
{
    return !session_peer_is_behind(peer) && session_wire_ready(peer, ZMQ_POLLIN);
}

/* ---- out ---- */

static void session_wire_free(void *data, void *hint)
{
    (void)hint;
    free(data);
}

struct error *session_wire_send(struct session *session, struct session_peer *peer, struct message *message,
                                bool *ret_sent)
{
    struct error *err = NULL;
    uint8_t *wire = NULL;
    size_t bytes = 0;
    zmq_msg_t frame;
    *ret_sent = false;
    if (!session_wire_ready(peer, ZMQ_POLLOUT))
        return NULL;
    if (message->number == 0)
        message->number = ++peer->last_number;
    message->recipient = peer->id;
    memcpy(message->session, session->random, MESSAGE_SESSION_BYTES);
    message->sent_at = session->clock();
    TRY(message_encode(message, session->identity, &wire, &bytes));
    if (zmq_msg_init_data(&frame, wire, bytes, session_wire_free, NULL) != 0) {
        free(wire);
        FAIL(ERROR_MEMORY, "There is not enough memory to send a message.");
    }
    if (zmq_msg_send(&frame, peer->socket, ZMQ_DONTWAIT) >= 0) {
        *ret_sent = true;
        goto done;
    }
    int reason = zmq_errno();
    (void)zmq_msg_close(&frame);
    if (reason != EAGAIN)
        err = error_new(ERROR_INTERNAL, "libzmq failed while sending: %s.", zmq_strerror(reason));
done:
    return err;
}

static struct error *session_wire_send_greeting(struct session *session, struct session_peer *peer,
                                                bool *ret_sent)
{
    struct error *err = NULL;
    struct message message = {.type = peer->link_dialled ? HELLO : WELCOME,
                              .answers = peer->greeting_answers};
    Fds__Greeting greeting = FDS__GREETING__INIT;
    char software[] = WIRE_SOFTWARE;
    greeting.protocol = WIRE_PROTOCOL;
    greeting.name = session->name;
    greeting.software = software;
    greeting.accepts = peer->lobby ? LIMIT_LOBBY_MESSAGE : LIMIT_MESSAGE;
    TRY(wire_encode(&greeting.base, &message.body, &message.body_bytes));
    TRY(session_wire_send(session, peer, &message, ret_sent));
done:
    message_clear(&message);
    return err;
}

static struct error *session_wire_send_goodbye(struct session *session, struct session_peer *peer,
                                               bool *ret_sent)
{
    struct error *err = NULL;
    struct message message = {.type = GOODBYE};
    if (peer->goodbye != NULL)
        TRY(wire_refusal_encode(peer->goodbye, &message.body, &message.body_bytes));
    TRY(session_wire_send(session, peer, &message, ret_sent));
done:
    message_clear(&message);
    return err;
}

/* The transport's own messages; *ret_blocked when one had to stay. */
static struct error *session_wire_flush_own(struct session *session, struct session_peer *peer,
                                            bool *ret_blocked)
{
    struct error *err = NULL;
    bool sent = true;
    if (sent && peer->greeting_due && peer->state != PEER_PARTING) {
        TRY(session_wire_send_greeting(session, peer, &sent));
        peer->greeting_due = !sent;
    }
    if (sent && peer->goodbye_due) {
        TRY(session_wire_send_goodbye(session, peer, &sent));
        peer->goodbye_due = !sent;
    }
    if (sent && peer->state == PEER_UP && peer->pong_due) {
        struct message pong = {.type = PONG, .answers = peer->pong_answers};
        TRY(session_wire_send(session, peer, &pong, &sent));
        peer->pong_due = !sent;
    }
    if (sent && peer->state == PEER_UP && peer->ping_due) {
        struct message ping = {.type = PING};
        TRY(session_wire_send(session, peer, &ping, &sent));
        peer->ping_due = !sent;
    }
    *ret_blocked = !sent;
done:
    return err;
}

static struct error *session_wire_flush_answers(struct session *session, struct session_peer *peer,
                                                bool *ret_blocked)
{
    struct error *err = NULL;
    for (struct session_served *served = peer->served; served != NULL; served = served->next) {
        bool sent = false;
        struct message message = {.type = served->type,
                                  .number = served->number,
                                  .answers = served->asked,
                                  .body = served->body,
                                  .body_bytes = served->body_bytes};
        if (!served->due)
            continue;
        TRY(session_wire_send(session, peer, &message, &sent));
        if (!sent) {
            *ret_blocked = true;
            break;
        }
        session_peer_sent(peer, served);
    }
done:
    return err;
}

static bool session_wire_fits(const struct session_peer *peer, size_t body_bytes)
{
    return peer->accepts == 0 || body_bytes + MESSAGE_OVERHEAD_BYTES <= peer->accepts;
}

static struct error *session_wire_flush_requests(struct session *session, struct session_peer *peer)
{
    struct error *err = NULL;
    for (struct session_asked *asked = peer->asked; asked != NULL; asked = asked->next) {
        bool sent = false;
        struct message message = {.type = asked->type,
                                  .number = asked->number,
                                  .body = asked->body,
                                  .body_bytes = asked->body_bytes};
        if (asked->sent || !session_wire_fits(peer, asked->body_bytes))
            continue;
        TRY(session_wire_send(session, peer, &message, &sent));
        asked->sent = sent;
        if (!sent)
            break;
    }
done:
    return err;
}

struct error *session_wire_flush(struct session *session, struct session_peer *peer)
{
    struct error *err = NULL;
    bool blocked = false;
    if (peer->socket == NULL)
        return NULL;
    TRY(session_wire_flush_own(session, peer, &blocked));
    if (!blocked && peer->state == PEER_UP)
        TRY(session_wire_flush_answers(session, peer, &blocked));
    if (!blocked && peer->state == PEER_UP)
        TRY(session_wire_flush_requests(session, peer));
done:
    return err;
}

bool session_wire_has_due(const struct session_peer *peer)
{
    if (peer->socket == NULL)
        return false;
    if ((peer->greeting_due && peer->state != PEER_PARTING) || peer->goodbye_due)
        return true;
    if (peer->state != PEER_UP)
        return false;
    if (peer->ping_due || peer->pong_due)
        return true;
    for (const struct session_served *served = peer->served; served != NULL; served = served->next)
        if (served->due)
            return true;
    for (const struct session_asked *asked = peer->asked; asked != NULL; asked = asked->next)
        if (!asked->sent && session_wire_fits(peer, asked->body_bytes))
            return true;
    return false;
}

void session_wire_part(struct session *session, struct session_peer *peer, struct error *reason)
{
    error_free(peer->goodbye);
    peer->goodbye = reason;
    peer->goodbye_due = true;
    peer->state = PEER_PARTING;
    peer->parting_until = clock_monotonic_ms() + SESSION_PARTING_MS;
    struct error *err = session_wire_flush(session, peer);
    error_clear(&err); /* it is over in any case; the peer then sees a closed connection */
}

/* ---- waiting ---- */

struct error *session_wire_wait(struct session *session, int wait_ms, bool *ret_wake)
{
    struct error *err = NULL;
    size_t count = 0;
    zmq_pollitem_t *items = calloc(session->peer_count + 2, sizeof(*items));
    if (items == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to wait for messages.");
    items[count++] = (zmq_pollitem_t){.fd = tunnel_event_fd(session->tunnel),
                                      .events = session->ending_any ? 0 : ZMQ_POLLIN};
    if (session->wake_fd >= 0)
        items[count++] = (zmq_pollitem_t){.fd = session->wake_fd, .events = ZMQ_POLLIN};
    for (size_t i = 0; i < session->peer_count; i++) {
        struct session_peer *peer = session->peers[i];
        short events = (short)((session_peer_is_behind(peer) ? 0 : ZMQ_POLLIN) |
                               (session_wire_has_due(peer) ? ZMQ_POLLOUT : 0));
        if (peer->socket != NULL)
            items[count++] = (zmq_pollitem_t){.socket = peer->socket, .events = events};
    }
    if (zmq_poll(items, (int)count, wait_ms) < 0 && zmq_errno() != EINTR)
        TRY(session_wire_zmq_error("waiting"));
    *ret_wake = session->wake_fd >= 0 && (items[1].revents & ZMQ_POLLIN) != 0;
done:
    free(items);
    return err;
}
