/* The bytes of one connection: network -> walker -> local end, and local end -> network. */
#include "schemas/clock.h"
#include "transport/tunnel_parts.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* One connection does at most this many buffers a turn, so that a fast one does not starve the others. */
#define RELAY_BUFFERS_A_TURN 4
/* Frames up to this size don't count against the budget: they are bounded by the number of connections, and a
 * peer that stalls in a large frame must not keep everybody's small ones out. */
#define RELAY_SMALL LIMIT_LOBBY_MESSAGE
#define RELAY_RECORD 16384 /* most bytes of a TLS record */

/* A buffer exists only while it has bytes in it; one empty one is kept for the next user. */
static bool tunnel_relay_borrow(struct tunnel_link *link, struct tunnel_buffer *buffer)
{
    if (buffer->bytes != NULL)
        return true;
    buffer->bytes = link->tunnel->spare != NULL ? link->tunnel->spare : malloc(TUNNEL_BUFFER_BYTES);
    link->tunnel->spare = NULL;
    buffer->start = buffer->walked = buffer->end = 0;
    if (buffer->bytes == NULL)
        tunnel_link_end(
            link, false,
            error_new(ERROR_MEMORY, "There is not enough memory for the connection with %s.", link->address));
    return buffer->bytes != NULL;
}

static void tunnel_relay_return(struct tunnel_link *link, struct tunnel_buffer *buffer)
{
    if (link->tunnel->spare == NULL)
        link->tunnel->spare = buffer->bytes;
    else
        free(buffer->bytes);
    *buffer = (struct tunnel_buffer){0};
}

void tunnel_relay_release(struct tunnel_link *link)
{
    tunnel_budget_release(link);
    link->starved = false;
    if (link->in.bytes != NULL)
        tunnel_relay_return(link, &link->in);
    if (link->out.bytes != NULL)
        tunnel_relay_return(link, &link->out);
}

void tunnel_relay_unwilling(struct tunnel_link *link, int64_t now)
{
    link->heard = link->window_since = now;
    link->window_bytes = 0;
}

/* How many of `count` bytes may be walked now: of a large message only as many as there is room for. */
static size_t tunnel_relay_allowed(struct tunnel_link *link, size_t count)
{
    uint64_t room = link->frame == 0 ? count : tunnel_budget_room(link);
    link->starved = room == 0;
    return room < count ? (size_t)room : count;
}

/* Walks what has come as far as the budget goes. */
static void tunnel_relay_walk(struct tunnel_link *link)
{
    while (link->in.walked < link->in.end) {
        size_t taken = 0;
        size_t allowed = tunnel_relay_allowed(link, link->in.end - link->in.walked);
        if (allowed == 0)
            return;
        enum zmtp_mark mark = ZMTP_HUNGRY;
        struct error *err =
            zmtp_walk(&link->walker, link->in.bytes + link->in.walked, allowed, &taken, &mark);
        if (err != NULL) {
            tunnel_link_end(link, true,
                            error_prefix(err, "The connection with %s was refused", link->address));
            return;
        }
        link->in.walked += taken;
        if (mark == ZMTP_MESSAGE)
            tunnel_budget_release(link);
        if (mark == ZMTP_ANNOUNCED && link->walker.left > RELAY_SMALL)
            tunnel_budget_announce(link, link->walker.left);
    }
}

/* How a relay's reading stopped. */
enum tunnel_relay_stop { RELAY_FULL, RELAY_WAITS, RELAY_ENDED };

/* Reads until the buffer is full or the network has no more. */
static enum tunnel_relay_stop tunnel_relay_read(struct tunnel_link *link, int64_t now)
{
    struct tunnel_buffer *in = &link->in;
    while (in->end < TUNNEL_BUFFER_BYTES) {
        size_t got = 0;
        enum tunnel_tls_result result =
            tunnel_tls_read(link, in->bytes + in->end, TUNNEL_BUFFER_BYTES - in->end, &got);
        if (result == TUNNEL_TLS_DONE) {
            in->end += got;
            link->window_bytes += got;
            link->heard = now;
            link->heard_any = true;
            continue;
        }
        if (result == TUNNEL_TLS_WAIT) {
            link->read_wants = link->tls_wants;
            return RELAY_WAITS;
        }
        if (result == TUNNEL_TLS_ENDED && link->failure == NULL)
            link->failure = error_new(ERROR_UNAVAILABLE, "%s closed the connection.", link->address);
        return RELAY_ENDED;
    }
    return RELAY_FULL;
}

/* Writes what was walked; false when the local end is full or gone. */
static bool tunnel_relay_write_local(struct tunnel_link *link, int64_t now)
{
    struct tunnel_buffer *in = &link->in;
    while (in->start < in->walked) {
        ssize_t wrote = send(link->local, in->bytes + in->start, in->walked - in->start, MSG_NOSIGNAL);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            tunnel_relay_unwilling(link, now);
            return false;
        }
        if (wrote < 0) {
            tunnel_link_flush(link, now);
            return false;
        }
        in->start += (size_t)wrote;
    }
    return true;
}

/* Moves what is left to the front, or gives an empty buffer back. */
static void tunnel_relay_tidy(struct tunnel_link *link)
{
    struct tunnel_buffer *in = &link->in;
    if (in->start == in->end) {
        tunnel_relay_return(link, in);
    } else if (in->start > 0) {
        memmove(in->bytes, in->bytes + in->start, in->end - in->start);
        in->end -= in->start;
        in->walked -= in->start;
        in->start = 0;
    }
}

void tunnel_relay_in(struct tunnel_link *link, int64_t now)
{
    link->read_wants = 0;
    for (int turn = 0; turn < RELAY_BUFFERS_A_TURN; turn++) {
        if (!tunnel_relay_borrow(link, &link->in))
            return;
        bool was_starved = link->starved;
        enum tunnel_relay_stop stop = was_starved ? RELAY_WAITS : tunnel_relay_read(link, now);
        tunnel_relay_walk(link);
        if (link->state != LINK_RELAY)
            return;
        bool written = tunnel_relay_write_local(link, now);
        if (stop == RELAY_ENDED) /* what came before the end was still passed on: it may hold the reason */
            tunnel_link_end(link, link->refused, NULL);
        if (link->state != LINK_RELAY)
            return;
        tunnel_relay_tidy(link);
        if (link->starved)
            tunnel_relay_unwilling(link, now);
        /* Nothing was read while there was no room, and what TLS has read ahead wakes no poll(). */
        if (was_starved && !link->starved)
            link->again = true;
        if (!written || stop != RELAY_FULL)
            return;
    }
    link->again = true;
}

/* Fills an empty out buffer from the local end; false when there is nothing or it ended. */
static bool tunnel_relay_read_local(struct tunnel_link *link, int64_t now)
{
    struct tunnel_buffer *out = &link->out;
    if (link->state != LINK_RELAY && link->state != LINK_FLUSHING)
        return false;
    if (!tunnel_relay_borrow(link, out))
        return false;
    ssize_t got = recv(link->local, out->bytes, TUNNEL_BUFFER_BYTES, MSG_DONTWAIT);
    if (got > 0) {
        out->end = (size_t)got;
        return true;
    }
    bool waits = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    tunnel_relay_return(link, out);
    if (link->state == LINK_FLUSHING)
        tunnel_link_end(link, link->refused, NULL); /* all that was to be sent is sent */
    else if (!waits)
        tunnel_link_flush(link, now);
    return false;
}

/* Holds what is written until there is a full segment, or lets all of it go. Best effort, as it only spares work. */
static void tunnel_relay_hold(const struct tunnel_link *link, int held)
{
    if (link->net >= 0)
        (void)setsockopt(link->net, IPPROTO_TCP, TCP_CORK, &held, sizeof(held));
}

/* TLS writes one record at a time: unless they are held, a message of four wakes the other end four times. */
static void tunnel_relay_write(struct tunnel_link *link, int64_t now, bool *held)
{
    struct tunnel_buffer *out = &link->out;
    for (int turn = 0; turn < RELAY_BUFFERS_A_TURN; turn++) {
        if (out->bytes == NULL && !tunnel_relay_read_local(link, now))
            return;
        if (!*held && out->end - out->start > RELAY_RECORD) {
            tunnel_relay_hold(link, 1);
            *held = true;
        }
        while (out->start < out->end) {
            size_t wrote = 0;
            enum tunnel_tls_result result =
                tunnel_tls_write(link, out->bytes + out->start, out->end - out->start, &wrote);
            if (result == TUNNEL_TLS_WAIT) {
                link->write_wants = link->tls_wants;
                return;
            }
            if (result != TUNNEL_TLS_DONE) {
                tunnel_link_end(link, link->refused, NULL);
                return;
            }
            out->start += wrote;
        }
        tunnel_relay_return(link, out);
    }
    link->again = true;
}

void tunnel_relay_out(struct tunnel_link *link, int64_t now)
{
    bool held = false;
    link->write_wants = 0;
    tunnel_relay_write(link, now, &held);
    if (held)
        tunnel_relay_hold(link, 0);
}
