/* One connection: its states (drawn in tunnel_parts.h), deadlines, and what it waits for. */
#include "schemas/clock.h"
#include "transport/tunnel_parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

void tunnel_link_format_address(const struct sockaddr_storage *address,
                                char ret_text[static TUNNEL_ADDRESS_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)address;
        (void)inet_ntop(AF_INET, &four->sin_addr, host, sizeof(host));
        (void)snprintf(ret_text, TUNNEL_ADDRESS_BYTES, "%s:%u", host, (unsigned)ntohs(four->sin_port));
        return;
    }
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
    (void)inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof(host));
    (void)snprintf(ret_text, TUNNEL_ADDRESS_BYTES,
                   IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) ? "%s:%u" : "[%s]:%u",
                   IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) ? host + strlen("::ffff:") : host,
                   (unsigned)ntohs(six->sin6_port));
}

/* One /64 is one address: a single host usually has all of it. */
static struct in6_addr tunnel_link_address_key(const struct sockaddr_storage *address)
{
    struct in6_addr key = {0};
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)address;
        key.s6_addr[10] = key.s6_addr[11] = 0xff;
        memcpy(key.s6_addr + 12, &four->sin_addr, 4);
        return key;
    }
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
    memcpy(&key, &six->sin6_addr, IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) ? 16 : 8);
    return key;
}

/* Best effort: a socket without one of these still has the deadlines of the tunnel. */
static void tunnel_link_tune(int net)
{
    const struct {
        int level;
        int option;
        int value;
    } options[] = {{IPPROTO_TCP, TCP_NODELAY, 1},
                   {SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, LIMIT_KEEPALIVE_IDLE_S},
                   {IPPROTO_TCP, TCP_KEEPINTVL, LIMIT_KEEPALIVE_INTERVAL_S},
                   {IPPROTO_TCP, TCP_KEEPCNT, LIMIT_KEEPALIVE_COUNT},
                   {IPPROTO_TCP, TCP_USER_TIMEOUT, LIMIT_TCP_USER_TIMEOUT_MS}};
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        (void)setsockopt(net, options[i].level, options[i].option, &options[i].value,
                         sizeof(options[i].value));
}

struct error *tunnel_link_new(struct tunnel *tunnel, int net, const struct sockaddr_storage *address,
                              struct tunnel_link **ret_link)
{
    struct tunnel_link *link = calloc(1, sizeof(*link));
    if (link == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for a connection.");
    link->tunnel = tunnel;
    link->net = net;
    link->local = -1;
    link->state = LINK_PARKED;
    link->net_poll = link->local_poll = SIZE_MAX;
    tunnel_link_format_address(address, link->address);
    link->address_key = tunnel_link_address_key(address);
    tunnel_link_tune(net);
    *ret_link = link;
    return NULL;
}

static void tunnel_link_close_local(struct tunnel_link *link)
{
    if (link->local >= 0)
        (void)close(link->local);
    link->local = -1;
}

void tunnel_link_free(struct tunnel_link *link)
{
    if (link == NULL)
        return;
    tunnel_relay_release(link);
    tunnel_link_close_local(link);
    tunnel_tls_end(link);
    if (link->net >= 0)
        (void)close(link->net);
    error_free(link->failure);
    free(link);
}

/* Whether the end of this connection is news. A stranger that connects and leaves without a byte (a health
 * check of a load balancer) is not. */
static bool tunnel_link_is_news(struct tunnel_link *link, const char *sentence)
{
    struct tunnel *tunnel = link->tunnel;
    struct tunnel_dial *dial = link->dialled ? tunnel_dial_of(tunnel, &link->expected) : NULL;
    if (dial != NULL && dial->link == link) {
        dial->link = NULL;
        bool news = tunnel_dial_ended(tunnel, dial, link, sentence, clock_monotonic_ms());
        return news || link->announced;
    }
    return link->announced || link->heard_any || link->refused;
}

static void tunnel_link_tell_down(struct tunnel_link *link)
{
    struct tunnel_event event = {.kind = TUNNEL_DOWN,
                                 .number = link->announced ? link->number : 0,
                                 .peer = link->dialled ? link->expected : link->verdict.peer,
                                 .lobby = link->verdict.lobby,
                                 .dialled = link->dialled,
                                 .refused = link->refused};
    (void)snprintf(event.name, sizeof(event.name), "%s", link->verdict.name);
    tunnel_sentence(link->failure != NULL ? link->failure->sentence : "The connection ended.",
                    event.sentence);
    if (tunnel_link_is_news(link, event.sentence))
        tunnel_tell(link->tunnel, &event);
}

void tunnel_link_end(struct tunnel_link *link, bool refused, struct error *failure)
{
    if (link->state == LINK_DRAINING || link->state == LINK_ENDED) {
        error_free(failure);
        return;
    }
    if (failure != NULL && link->failure == NULL)
        link->failure = failure;
    else
        error_free(failure);
    link->refused = refused;
    link->state = LINK_DRAINING;
    link->deadline = clock_monotonic_ms() + LINK_DRAIN_MS;
    link->again = true;
    tunnel_relay_release(link);
    tunnel_link_close_local(link);
    tunnel_tls_end(link);
    if (shutdown(link->net, SHUT_WR) != 0)
        link->state = LINK_ENDED;
    tunnel_link_tell_down(link);
}

void tunnel_link_flush(struct tunnel_link *link, int64_t now)
{
    if (link->state == LINK_FLUSHING)
        return;
    if (link->state != LINK_RELAY) {
        tunnel_link_end(link, link->refused, NULL);
        return;
    }
    link->state = LINK_FLUSHING;
    link->deadline = now + LINK_FLUSH_MS;
    link->again = true;
}

void tunnel_link_unpark(struct tunnel_link *link)
{
    struct error *err = tunnel_tls_start(link);
    link->state = LINK_HANDSHAKE;
    link->tls_wants = POLLIN;
    link->again = true;
    if (err != NULL)
        tunnel_link_end(link, false, err);
}

void tunnel_link_attach(struct tunnel_link *link, int local, int64_t now)
{
    if (link->state != LINK_READY || fcntl(local, F_SETFL, fcntl(local, F_GETFL) | O_NONBLOCK) != 0) {
        (void)close(local);
        return;
    }
    link->local = local;
    link->state = LINK_RELAY;
    link->heard = link->relay_since = now;
    link->again = true;
    zmtp_init(&link->walker, link->verdict.lobby ? LIMIT_LOBBY_MESSAGE : LIMIT_MESSAGE);
}

/* ---- what it waits for ---- */

static size_t tunnel_link_poll_one(struct pollfd *polls, size_t *count, int fd, short events)
{
    if (events == 0)
        return SIZE_MAX; /* not in the set at all: a hang-up would be reported again and again */
    polls[*count] = (struct pollfd){.fd = fd, .events = events};
    return (*count)++;
}

static short tunnel_link_net_events(const struct tunnel_link *link)
{
    switch (link->state) {
    case LINK_CONNECTING:
        return POLLOUT;
    case LINK_HANDSHAKE:
        return link->tls_wants;
    case LINK_DRAINING:
        return POLLIN;
    case LINK_RELAY: {
        bool full = link->in.start < link->in.walked || link->starved;
        return (short)((full ? 0 : (link->read_wants == 0 ? POLLIN : link->read_wants)) | link->write_wants);
    }
    case LINK_FLUSHING:
        return link->write_wants;
    case LINK_PARKED:
    case LINK_READY:
    case LINK_ENDED:
        return 0;
    }
    return 0;
}

static short tunnel_link_local_events(const struct tunnel_link *link)
{
    if (link->state != LINK_RELAY)
        return 0;
    return (short)((link->in.start < link->in.walked ? POLLOUT : 0) | (link->out.bytes == NULL ? POLLIN : 0));
}

/* Connected, and not to be read from now: its silence is ours. */
static bool tunnel_link_is_unwilling(const struct tunnel_link *link)
{
    return link->state == LINK_RELAY && (tunnel_link_net_events(link) & POLLIN) == 0;
}

void tunnel_link_poll(struct tunnel_link *link, struct pollfd *polls, size_t *count, int64_t now)
{
    if (tunnel_link_is_unwilling(link))
        tunnel_relay_unwilling(link, now);
    link->net_poll = tunnel_link_poll_one(polls, count, link->net, tunnel_link_net_events(link));
    link->local_poll = tunnel_link_poll_one(polls, count, link->local, tunnel_link_local_events(link));
}

int64_t tunnel_link_due(const struct tunnel_link *link)
{
    uint64_t bytes = 0;
    if (link->state != LINK_RELAY || link->walker.messages == 0)
        return link->deadline;
    if (tunnel_link_is_unwilling(link))
        return INT64_MAX;
    int64_t silent = link->heard + link->tunnel->times.dead;
    int64_t slow = link->window_since + tunnel_budget_window(link, &bytes);
    return link->reserved > 0 && slow < silent ? slow : silent;
}

/* ---- what it does ---- */

static void tunnel_link_connected(struct tunnel_link *link)
{
    int reason = 0;
    socklen_t size = sizeof(reason);
    if (getsockopt(link->net, SOL_SOCKET, SO_ERROR, &reason, &size) != 0)
        reason = errno;
    if (reason != 0)
        tunnel_link_end(
            link, false,
            error_errno(ERROR_UNAVAILABLE, reason, "%s (%s) cannot be reached", link->host, link->address));
    else
        tunnel_link_unpark(link);
}

static void tunnel_link_shake(struct tunnel_link *link)
{
    /* A byte that came makes a stranger's failure worth telling; a health check sends none. */
    uint8_t byte;
    if (!link->heard_any)
        link->heard_any = recv(link->net, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
    switch (tunnel_tls_handshake(link)) {
    case TUNNEL_TLS_DONE:
        link->state = LINK_READY;
        tunnel_link_is_ready(link->tunnel, link);
        break;
    case TUNNEL_TLS_WAIT:
        break;
    case TUNNEL_TLS_ENDED:
    case TUNNEL_TLS_FAILED:
        tunnel_link_end(link, link->refused, NULL);
        break;
    }
}

static void tunnel_link_drain(struct tunnel_link *link)
{
    char bytes[4096];
    ssize_t got = 0;
    while (link->drained < LINK_DRAIN_BYTES_MOST) {
        got = recv(link->net, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (got <= 0)
            break;
        link->drained += (size_t)got;
    }
    if (got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        link->state = LINK_ENDED;
}

void tunnel_link_step(struct tunnel_link *link, int64_t now)
{
    link->again = false;
    if (tunnel_link_is_unwilling(link)) /* perhaps until now: poll() may have waited long */
        tunnel_relay_unwilling(link, now);
    switch (link->state) {
    case LINK_CONNECTING:
        tunnel_link_connected(link);
        break;
    case LINK_HANDSHAKE:
        tunnel_link_shake(link);
        break;
    case LINK_RELAY:
        tunnel_relay_out(link, now);
        if (link->state == LINK_RELAY)
            tunnel_relay_in(link, now);
        break;
    case LINK_FLUSHING:
        tunnel_relay_out(link, now);
        break;
    case LINK_DRAINING:
        tunnel_link_drain(link);
        break;
    case LINK_PARKED:
    case LINK_READY:
    case LINK_ENDED:
        break;
    }
}

static struct error *tunnel_link_late(const struct tunnel_link *link)
{
    long long seconds = (long long)link->tunnel->times.handshake / 1000;
    const char *where = link->dialled ? link->host : link->address;
    switch (link->state) {
    case LINK_CONNECTING:
        return error_new(ERROR_DEADLINE, "%s (%s) did not accept a connection in %lld s.", where,
                         link->address, seconds);
    case LINK_RELAY:
    case LINK_READY:
        return error_new(ERROR_DEADLINE, "%s sent no whole message in the %lld s after connecting.", where,
                         seconds);
    case LINK_PARKED:
    case LINK_HANDSHAKE:
    case LINK_FLUSHING:
    case LINK_DRAINING:
    case LINK_ENDED:
        break;
    }
    return error_new(ERROR_DEADLINE, "%s did not finish the TLS handshake in %lld s.", where, seconds);
}

/* A window of a large message is over. */
static void tunnel_link_judge_speed(struct tunnel_link *link, int64_t now)
{
    uint64_t bytes = 0;
    int64_t window = tunnel_budget_window(link, &bytes);
    if (link->window_bytes < bytes)
        tunnel_link_end(
            link, true,
            error_new(ERROR_DEADLINE, "%s sends a large message too slowly%s: %llu bytes in %lld s.",
                      link->address, link->tunnel->budget_pressed ? " while others wait for room" : "",
                      (unsigned long long)link->window_bytes, (long long)window / 1000));
    link->window_since = now;
    link->window_bytes = 0;
}

void tunnel_link_tick(struct tunnel_link *link, int64_t now)
{
    if (link->state == LINK_ENDED || tunnel_link_due(link) > now)
        return;
    if (link->state == LINK_DRAINING)
        link->state = LINK_ENDED;
    else if (link->state == LINK_FLUSHING)
        tunnel_link_end(link, link->refused, NULL);
    else if (link->state == LINK_RELAY && link->walker.messages > 0 &&
             link->heard + link->tunnel->times.dead > now)
        tunnel_link_judge_speed(link, now);
    else if (link->state == LINK_RELAY && link->walker.messages > 0)
        tunnel_link_end(link, false,
                        error_new(ERROR_DEADLINE, "Nothing was heard from %s for %lld s.", link->address,
                                  (long long)link->tunnel->times.dead / 1000));
    else
        tunnel_link_end(link, !link->dialled, tunnel_link_late(link));
}

void tunnel_link_recheck(struct tunnel_link *link)
{
    if (link->state != LINK_READY && link->state != LINK_RELAY)
        return;
    X509 *leaf = SSL_get0_peer_certificate(link->ssl);
    struct tunnel_verdict verdict;
    struct error *err = NULL;
    if (leaf == NULL)
        err = error_new(ERROR_INTERNAL, "The certificate of %s was lost.", link->address);
    else
        err = tunnel_trust_judge(link->tunnel->trust, leaf, SSL_get_peer_cert_chain(link->ssl),
                                 link->dialled ? &link->expected : NULL, tunnel_unix_seconds(link->tunnel),
                                 &verdict);
    if (err == NULL && verdict.lobby != link->verdict.lobby)
        err = error_new(ERROR_UNAVAILABLE, "The trust list changed for '%s'; it has to connect again.",
                        verdict.name);
    if (err != NULL)
        tunnel_link_end(link, true, err);
}
