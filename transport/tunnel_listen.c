/* Connections that others make.
 *
 * Every accepted connection has its deadline from the start. Those beyond LIMIT_UNAUTHENTICATED in all, or
 * beyond LIMIT_UNAUTHENTICATED_PER_ADDRESS of one address, are parked: no byte of them is read until an older
 * one has authenticated or failed. Half of all connections are kept for peers that have authenticated. */
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

bool tunnel_listen_willing(const struct tunnel *tunnel, int64_t now)
{
    if (tunnel->listener < 0 || tunnel->listen_again > now || tunnel->link_count >= tunnel->connections_most)
        return false;
    size_t strangers = 0;
    for (size_t i = 0; i < tunnel->link_count; i++)
        strangers +=
            tunnel_listen_unauthenticated(tunnel->links[i]) || tunnel->links[i]->state == LINK_DRAINING;
    return strangers < (tunnel->connections_most + 1) / 2;
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
        if (!tunnel_add(tunnel, link))
            tunnel_link_free(link);
    }
}

/* Links are in the order of their arrival, so the oldest is first. */
void tunnel_listen_unpark(struct tunnel *tunnel)
{
    size_t busy = 0;
    for (size_t i = 0; i < tunnel->link_count; i++)
        busy += !tunnel->links[i]->dialled && tunnel->links[i]->state == LINK_HANDSHAKE;
    for (size_t i = 0; i < tunnel->link_count && busy < LIMIT_UNAUTHENTICATED; i++) {
        struct tunnel_link *link = tunnel->links[i];
        if (link->state != LINK_PARKED)
            continue;
        size_t same = 0;
        for (size_t j = 0; j < tunnel->link_count; j++)
            same +=
                !tunnel->links[j]->dialled && tunnel->links[j]->state == LINK_HANDSHAKE &&
                memcmp(&tunnel->links[j]->address_key, &link->address_key, sizeof(link->address_key)) == 0;
        if (same >= LIMIT_UNAUTHENTICATED_PER_ADDRESS)
            continue;
        tunnel_link_unpark(link);
        busy++;
    }
}
