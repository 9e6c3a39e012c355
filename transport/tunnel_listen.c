/* Connections that others make.
 *
 * Every accepted connection has its deadline from the start. Those beyond LIMIT_UNAUTHENTICATED in all, or
 * beyond LIMIT_UNAUTHENTICATED_PER_ADDRESS of one address, are parked: no byte of them is read until an older
 * one has authenticated or failed. Half of all connections are kept for peers that have authenticated.
 *
 * One address cannot keep others out: it has LIMIT_PARKED_PER_ADDRESS parked connections at most, and when
 * the half for strangers is full, a newcomer takes the place of the oldest parked one of the address that has
 * the most. (The bounds are those of struct tunnel_bounds.) */
#include "schemas/clock.h"
#include "transport/tunnel_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_BACKLOG 128
#define LISTEN_ACCEPTS_A_TURN 16
#define LISTEN_PAUSE_MS                                                                                      \
    200 /* without descriptors or memory, accept() fails at once and poll() reports it again */

static struct error *tunnel_listen_try(const struct addrinfo *address, const char *endpoint,
                                       int *ret_listener)
{
    struct error *err = NULL;
    const int yes = 1;
    const int no = 0;
    int listener = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0)
        TRY(error_errno(ERROR_IO, errno, "%s cannot be opened", endpoint));
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (address->ai_family == AF_INET6)
        (void)setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
    if (bind(listener, address->ai_addr, address->ai_addrlen) != 0 || listen(listener, LISTEN_BACKLOG) != 0)
        TRY(error_errno(ERROR_UNAVAILABLE, errno, "%s cannot be listened on", endpoint));
    *ret_listener = listener;
    listener = -1;
done:
    if (listener >= 0)
        (void)close(listener);
    return err;
}

static uint16_t tunnel_listen_port(int listener)
{
    struct sockaddr_storage bound;
    socklen_t size = sizeof(bound);
    if (getsockname(listener, (struct sockaddr *)&bound, &size) != 0)
        return 0;
    return ntohs(bound.ss_family == AF_INET ? ((const struct sockaddr_in *)&bound)->sin_port
                                            : ((const struct sockaddr_in6 *)&bound)->sin6_port);
}

struct error *tunnel_listen_open(const char *endpoint, int *ret_listener, uint16_t *ret_port)
{
    struct error *err = NULL;
    struct addrinfo *list = NULL;
    char host[TUNNEL_HOST_BYTES];
    char port[TUNNEL_PORT_BYTES];
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    TRY(tunnel_endpoint(endpoint, host, port));
    bool any = strcmp(host, "*") == 0;
    int failed = getaddrinfo(any ? NULL : host, port, &hints, &list);
    if (failed != 0)
        FAIL(ERROR_UNAVAILABLE, "%s cannot be listened on: %s.", endpoint, gai_strerror(failed));
    struct error *last = NULL;
    int listener = -1;
    /* "*" prefers the IPv6 socket, which takes IPv4 too; a machine without IPv6 falls back */
    for (int pass = any ? 0 : 1; pass < 2 && listener < 0; pass++)
        for (const struct addrinfo *at = list; at != NULL && listener < 0; at = at->ai_next) {
            if (pass == 0 && at->ai_family != AF_INET6)
                continue;
            error_clear(&last);
            last = tunnel_listen_try(at, endpoint, &listener);
        }
    TRY(last);
    *ret_listener = listener;
    *ret_port = tunnel_listen_port(listener);
done:
    if (list != NULL)
        freeaddrinfo(list);
    return err;
}

static bool tunnel_listen_unauthenticated(const struct tunnel_link *link)
{
    return !link->dialled && (link->state == LINK_PARKED || link->state == LINK_HANDSHAKE);
}

static bool tunnel_listen_is_full(const struct tunnel *tunnel)
{
    size_t strangers = 0;
    for (size_t i = 0; i < tunnel->link_count; i++)
        strangers +=
            tunnel_listen_unauthenticated(tunnel->links[i]) || tunnel->links[i]->state == LINK_DRAINING;
    return strangers >= (tunnel->connections_most + 1) / 2;
}

static bool tunnel_listen_same_address(const struct tunnel_link *a, const struct tunnel_link *b)
{
    return memcmp(&a->address_key, &b->address_key, sizeof(a->address_key)) == 0;
}

/* How many parked connections the address of `link` has. */
static size_t tunnel_listen_parked(const struct tunnel *tunnel, const struct tunnel_link *link)
{
    size_t parked = 0;
    for (size_t i = 0; i < tunnel->link_count; i++)
        parked +=
            tunnel->links[i]->state == LINK_PARKED && tunnel_listen_same_address(tunnel->links[i], link);
    return parked;
}

/* The oldest parked connection of the address with the most of them, or SIZE_MAX. */
static size_t tunnel_listen_busiest(const struct tunnel *tunnel)
{
    size_t busiest = SIZE_MAX;
    size_t most = 0;
    for (size_t i = 0; i < tunnel->link_count; i++) {
        size_t parked =
            tunnel->links[i]->state == LINK_PARKED ? tunnel_listen_parked(tunnel, tunnel->links[i]) : 0;
        if (parked > most) {
            most = parked;
            busiest = i;
        }
    }
    return busiest;
}

/* A parked connection goes at once: nothing of it was read or said. */
static void tunnel_listen_evict(struct tunnel *tunnel, size_t at)
{
    tunnel_link_free(tunnel->links[at]);
    tunnel->link_count--;
    memmove(&tunnel->links[at], &tunnel->links[at + 1], (tunnel->link_count - at) * sizeof(tunnel->links[0]));
}

bool tunnel_listen_willing(const struct tunnel *tunnel, int64_t now)
{
    if (tunnel->listener < 0 || tunnel->listen_again > now)
        return false;
    bool full = tunnel->link_count >= tunnel->connections_most || tunnel_listen_is_full(tunnel);
    for (size_t i = 0; full && i < tunnel->link_count; i++)
        full = tunnel->links[i]->state != LINK_PARKED;
    return !full;
}

/* Parks a new connection if its address may have another one and there is room or can be made. */
static void tunnel_listen_park(struct tunnel *tunnel, struct tunnel_link *link)
{
    bool welcome = tunnel_listen_parked(tunnel, link) < tunnel->bounds.parked_per_address;
    if (welcome && (tunnel->link_count >= tunnel->connections_most || tunnel_listen_is_full(tunnel))) {
        size_t busiest = tunnel_listen_busiest(tunnel);
        if (busiest != SIZE_MAX)
            tunnel_listen_evict(tunnel, busiest);
    }
    if (!welcome || !tunnel_add(tunnel, link))
        tunnel_link_free(link);
}

void tunnel_listen_accept(struct tunnel *tunnel, int64_t now)
{
    for (int turn = 0; turn < LISTEN_ACCEPTS_A_TURN && tunnel_listen_willing(tunnel, now); turn++) {
        struct sockaddr_storage address = {0};
        socklen_t size = sizeof(address);
        int net = accept4(tunnel->listener, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (net < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ECONNABORTED)
                tunnel->listen_again = now + LISTEN_PAUSE_MS;
            return;
        }
        struct tunnel_link *link = NULL;
        struct error *err = tunnel_link_new(tunnel, net, &address, &link);
        if (err != NULL) {
            error_free(err);
            (void)close(net);
            return;
        }
        link->deadline = now + tunnel->times.handshake;
        tunnel_listen_park(tunnel, link);
    }
}

/* Whether a place among the handshakes of one address is taken. One that failed keeps it until it is gone. */
static bool tunnel_listen_takes_place(const struct tunnel_link *link)
{
    return !link->dialled &&
           (link->state == LINK_HANDSHAKE || (link->state == LINK_DRAINING && !link->announced));
}

/* Links are in the order of their arrival, so the oldest is first. */
void tunnel_listen_unpark(struct tunnel *tunnel)
{
    size_t busy = 0;
    for (size_t i = 0; i < tunnel->link_count; i++)
        busy += !tunnel->links[i]->dialled && tunnel->links[i]->state == LINK_HANDSHAKE;
    for (size_t i = 0; i < tunnel->link_count && busy < tunnel->bounds.unauthenticated; i++) {
        struct tunnel_link *link = tunnel->links[i];
        if (link->state != LINK_PARKED)
            continue;
        size_t same = 0;
        for (size_t j = 0; j < tunnel->link_count; j++)
            same += tunnel_listen_takes_place(tunnel->links[j]) &&
                    tunnel_listen_same_address(tunnel->links[j], link);
        if (same >= tunnel->bounds.unauthenticated_per_address)
            continue;
        tunnel_link_unpark(link);
        busy++;
    }
}
