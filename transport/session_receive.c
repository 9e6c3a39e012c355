/* One message in: taken apart, checked against the connection that brought it, and acted on. */
#include "schemas/datasite.pb-c.h"
#include "schemas/wire.h"
#include "transport/session_parts.h"

#include <errno.h>
#include <zmq.h>

#define RECEIVE_FIRST_PROGRAM_TYPE 16 /* smaller ones are the transport's own */

static void session_receive_event(const struct session_peer *peer, enum session_event_kind kind,
                                  struct session_event *ret_event)
{
    *ret_event = (struct session_event){.kind = kind, .peer = peer->id, .lobby = peer->lobby};
    memcpy(ret_event->peer_name, peer->name, sizeof(ret_event->peer_name));
}

/* We refuse to go on with a peer: it is told why, and the program. Takes `reason`. */
static void session_receive_refuse(struct session *session, struct session_peer *peer, struct error *reason,
                                   struct session_event *ret_event)
{
    session_receive_event(peer, peer->state == PEER_UP ? SESSION_DOWN : SESSION_REFUSED, ret_event);
    tunnel_sentence(reason->sentence, ret_event->sentence);
    session_wire_part(session, peer, reason);
}

/* The oldest time a message may carry. One that waited its turn behind others was signed when the last but
 * one was on its way, so a long transfer does not count as a wrong clock. */
static struct error *session_receive_check_clock(struct session *session, struct session_peer *peer,
                                                 int64_t sent_at)
{
    int64_t now = session->clock();
    int64_t skew = (int64_t)LIMIT_CLOCK_SKEW_S * 1000;
    int64_t oldest = (peer->arrived[1] < now ? peer->arrived[1] : now) - skew;
    peer->arrived[1] = peer->arrived[0];
    peer->arrived[0] = now;
    if (sent_at >= oldest && sent_at <= now + skew)
        return NULL;
    char theirs[CLOCK_TEXT_BYTES];
    char ours[CLOCK_TEXT_BYTES];
    clock_format(sent_at / 1000, theirs);
    clock_format(now / 1000, ours);
    return error_new(ERROR_EXPIRED,
                     "The clock of '%s' says %s and the clock of '%s' says %s: they may differ by at "
                     "most %d s; one of them has to be set.",
                     peer->name, theirs, session->name, ours, LIMIT_CLOCK_SKEW_S);
}

static struct error *session_receive_check(struct session *session, struct session_peer *peer,
                                           const struct message *message)
{
    struct error *err = NULL;
    bool first = peer->state == PEER_GREETING;
    uint32_t greeting = peer->link_dialled ? WELCOME : HELLO;
    if (!site_id_equal(&message->sender, &peer->id))
        FAIL(ERROR_UNTRUSTED, "A message on the connection of '%s' names another sender.", peer->name);
    if (message->type != GOODBYE)
        TRY(session_receive_check_clock(session, peer, message->sent_at));
    if (first && message->type != greeting && message->type != GOODBYE)
        FAIL(ERROR_INVALID, "The first message of '%s' is of type %u instead of %s.", peer->name,
             message->type, peer->link_dialled ? "WELCOME" : "HELLO");
    if (!first && (message->type == HELLO || message->type == WELCOME))
        FAIL(ERROR_INVALID, "'%s' greeted twice on one connection.", peer->name);
    if (!first && memcmp(message->session, peer->remote, MESSAGE_SESSION_BYTES) != 0)
        FAIL(ERROR_INVALID, "'%s' changed its session within one connection.", peer->name);
    if (message->type < RECEIVE_FIRST_PROGRAM_TYPE && message->type > GOODBYE)
        FAIL(ERROR_UNSUPPORTED, "'%s' sent a message of type %u, which this version does not know.",
             peer->name, message->type);
done:
    return err;
}

static struct error *session_receive_greeted(struct session *session, struct session_peer *peer,
                                             const struct message *message, struct session_event *ret_event)
{
    struct error *err = NULL;
    Fds__Greeting *greeting = NULL;
    TRY(wire_greeting_decode(message->body, message->body_bytes, &greeting));
    memcpy(peer->remote, message->session, MESSAGE_SESSION_BYTES);
    peer->accepts = greeting->accepts;
    peer->state = PEER_UP;
    peer->ping_at = clock_monotonic_ms() + session->times.ping;
    if (!peer->link_dialled) {
        peer->greeting_due = true;
        peer->greeting_answers = message->number;
    }
    session_receive_event(peer, SESSION_UP, ret_event);
    (void)snprintf(ret_event->peer_software, sizeof(ret_event->peer_software), "%s", greeting->software);
done:
    wire_greeting_free(greeting);
    return err;
}

/* The peer ends the connection, perhaps with a reason. */
static void session_receive_farewell(struct session *session, struct session_peer *peer,
                                     const struct message *message, struct session_event *ret_event)
{
    Fds__Refusal *refusal = NULL;
    struct error *err = NULL;
    enum session_event_kind kind = peer->state == PEER_UP ? SESSION_DOWN : SESSION_REFUSED;
    session_receive_event(peer, kind, ret_event);
    if (message->body_bytes > 0)
        err = wire_refusal_decode(message->body, message->body_bytes, &refusal);
    if (err == NULL && refusal != NULL && refusal->sentence[0] != '\0')
        (void)snprintf(ret_event->sentence, sizeof(ret_event->sentence), "'%s' ended the connection: %.400s",
                       peer->name, refusal->sentence);
    else
        (void)snprintf(ret_event->sentence, sizeof(ret_event->sentence), "'%s' said goodbye.", peer->name);
    error_clear(&err);
    wire_refusal_free(refusal);
    peer->goodbye_due = false;
    peer->state = PEER_PARTING;
    peer->parting_until = clock_monotonic_ms() + SESSION_PARTING_MS;
    err = tunnel_hang_up(session->tunnel, peer->link, false, ret_event->sentence);
    error_clear(&err);
}

/* A request whose answer is not kept any more is answered so. */
static struct error *session_receive_stale(struct session *session, struct session_peer *peer,
                                           uint64_t number)
{
    struct error *err = NULL;
    struct message message = {.type = REFUSAL, .answers = number};
    bool sent = false;
    struct error *reason = error_new(ERROR_CONFLICT,
                                     "Request %llu was answered before, and the answer is not kept "
                                     "any more.",
                                     (unsigned long long)number);
    TRY(wire_refusal_encode(reason, &message.body, &message.body_bytes));
    TRY(session_wire_send(session, peer, &message,
                          &sent)); /* not sent: the peer asks again when it reconnects */
done:
    error_free(reason);
    message_clear(&message);
    return err;
}

/* Hands the message's body to the event. */
static void session_receive_show(const struct session_peer *peer, struct message *message, uint64_t ticket,
                                 struct session_event *ret_event)
{
    session_receive_event(peer, SESSION_MESSAGE, ret_event);
    ret_event->type = message->type;
    ret_event->number = ticket;
    ret_event->answers = message->answers;
    ret_event->sent_at = message->sent_at;
    ret_event->body = message->body;
    ret_event->body_bytes = message->body_bytes;
    message->body = NULL;
}

static struct error *session_receive_requested(struct session *session, struct session_peer *peer,
                                               struct message *message, struct session_event *ret_event)
{
    struct error *err = NULL;
    enum session_peer_verdict verdict = REQUEST_KNOWN;
    uint64_t ticket = 0;
    TRY(session_peer_serve(session, peer, message->number, &verdict, &ticket));
    switch (verdict) {
    case REQUEST_NEW:
        session_receive_show(peer, message, ticket, ret_event);
        break;
    case REQUEST_KNOWN:
        break;
    case REQUEST_STALE:
        TRY(session_receive_stale(session, peer, message->number));
        break;
    case REQUEST_TOO_MANY:
        FAIL(ERROR_LIMIT, "'%s' sent more than %d requests without waiting for an answer.", peer->name,
             LIMIT_OUTSTANDING);
    }
done:
    return err;
}

static struct error *session_receive_handle(struct session *session, struct session_peer *peer,
                                            struct message *message, struct session_event *ret_event)
{
    struct error *err = NULL;
    TRY(session_receive_check(session, peer, message));
    switch (message->type) {
    case HELLO:
    case WELCOME:
        TRY(session_receive_greeted(session, peer, message, ret_event));
        break;
    case PING:
        peer->pong_due = true;
        peer->pong_answers = message->number;
        break;
    case PONG:
        break;
    case GOODBYE:
        session_receive_farewell(session, peer, message, ret_event);
        break;
    default:
        if (message->answers == 0) {
            TRY(session_receive_requested(session, peer, message, ret_event));
        } else if (session_peer_asked(peer, message->answers)) {
            session_peer_forget(peer, message->answers);
            session_receive_show(peer, message, 0, ret_event);
        }
    }
done:
    return err;
}

struct error *session_receive(struct session *session, struct session_peer *peer, bool *ret_any,
                              struct session_event *ret_event)
{
    struct error *err = NULL;
    struct message message = {0};
    zmq_msg_t frame;
    *ret_any = false;
    if (!session_wire_has_news(peer))
        return NULL;
    (void)zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, peer->socket, ZMQ_DONTWAIT) < 0) {
        if (zmq_errno() != EAGAIN)
            err = error_new(ERROR_INTERNAL, "libzmq failed while receiving: %s.", zmq_strerror(zmq_errno()));
        goto done;
    }
    *ret_any = true;
    if (peer->state == PEER_PARTING)
        goto done; /* it is over; what still comes is not looked at */
    struct error *fault = zmq_msg_more(&frame)
                              ? error_new(ERROR_INVALID, "'%s' sent a message in parts.", peer->name)
                              : message_decode_next(zmq_msg_data(&frame), zmq_msg_size(&frame),
                                                    &session->self, &peer->key, &message);
    if (fault == NULL)
        fault = session_receive_handle(session, peer, &message, ret_event);
    if (fault != NULL)
        session_receive_refuse(session, peer, fault, ret_event);
    else
        TRY(session_wire_flush(session, peer));
done:
    (void)zmq_msg_close(&frame);
    message_clear(&message);
    return err;
}
