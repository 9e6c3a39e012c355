/* Connections that this side makes.
 *
 *     WAITING (lookup NULL, link NULL) -- due, no live connection with the peer --> LOOKING UP (lookup)
 *     LOOKING UP -- addresses --> LINK (link), one address after the other
 *     LINK -- ended --> WAITING, at once for a next address, else after a random part of 0.5 s … 30 s (full
 * jitter, doubling with each failure in a row; a connection that lasted LIMIT_BACKOFF_MAX_MS starts again at
 * 0.5 s)
 *
 * getaddrinfo() can block for half a minute and cannot be cancelled, so it runs in a detached thread of its
 * own, at most one a dialled peer. It shares one counted object with the tunnel; whoever leaves last frees
 * it. */
#include "crypto/secret.h"
#include "schemas/clock.h"
#include "transport/tunnel_parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define DIAL_STACK_BYTES (256u * 1024u)
#define DIAL_COVERED_MS 1000 /* how often to look whether the peer's own connection is still there */

struct tunnel_lookup {
    atomic_int holders;
    atomic_bool ready;
    int wake_fd; /* its own duplicate */
    char host[TUNNEL_HOST_BYTES];
    char port[TUNNEL_PORT_BYTES];
    int failed; /* EAI_… */
    struct sockaddr_storage addresses[TUNNEL_ADDRESSES_MOST];
    size_t count;
};

/* ---- endpoints ---- */

static bool tunnel_dial_port_ok(const char *port)
{
    size_t length = strlen(port);
    return length >= 1 && length < TUNNEL_PORT_BYTES && strspn(port, "0123456789") == length &&
           strtol(port, NULL, 10) <= UINT16_MAX;
}

struct error *tunnel_endpoint(const char *endpoint, char ret_host[static TUNNEL_HOST_BYTES],
                              char ret_port[static TUNNEL_PORT_BYTES])
{
    struct error *err = NULL;
    const char *host = endpoint + strlen("tcp://");
    if (strncmp(endpoint, "tcp://", strlen("tcp://")) != 0)
        FAIL(ERROR_INVALID, "'%s' is not an endpoint; one looks like tcp://host.example.org:54879.",
             endpoint);
    const char *colon = strrchr(host, ':');
    if (colon == NULL || !tunnel_dial_port_ok(colon + 1))
        FAIL(ERROR_INVALID, "The endpoint '%s' needs a port from 0 to 65535 after a colon.", endpoint);
    size_t length = (size_t)(colon - host);
    bool bracketed = length >= 2 && host[0] == '[' && host[length - 1] == ']';
    if (bracketed) {
        host++;
        length -= 2;
    }
    if (length == 0 || length >= TUNNEL_HOST_BYTES || (!bracketed && memchr(host, ':', length) != NULL))
        FAIL(ERROR_INVALID, "The endpoint '%s' needs a host name or an address (IPv6 in square brackets).",
             endpoint);
    memcpy(ret_host, host, length);
    ret_host[length] = '\0';
    (void)snprintf(ret_port, TUNNEL_PORT_BYTES, "%s", colon + 1);
done:
    return err;
}

/* ---- looking up names ---- */

static void tunnel_lookup_release(struct tunnel_lookup *lookup)
{
    if (lookup == NULL || atomic_fetch_sub(&lookup->holders, 1) != 1)
        return;
    if (lookup->wake_fd >= 0)
        (void)close(lookup->wake_fd);
    free(lookup);
}

static void tunnel_lookup_run(struct tunnel_lookup *lookup, int flags)
{
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_flags = flags | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    lookup->failed = getaddrinfo(lookup->host, lookup->port, &hints, &list);
    for (const struct addrinfo *at = list; at != NULL && lookup->count < TUNNEL_ADDRESSES_MOST;
         at = at->ai_next)
        if (at->ai_addrlen <= sizeof(lookup->addresses[0]))
            memcpy(&lookup->addresses[lookup->count++], at->ai_addr, at->ai_addrlen);
    if (list != NULL)
        freeaddrinfo(list);
}

static void *tunnel_lookup_thread(void *argument)
{
    struct tunnel_lookup *lookup = argument;
    const uint64_t one = 1;
    tunnel_lookup_run(lookup, AI_ADDRCONFIG);
    atomic_store(&lookup->ready, true);
    (void)!write(lookup->wake_fd, &one, sizeof(one));
    tunnel_lookup_release(lookup);
    return NULL;
}

static struct error *tunnel_lookup_spawn(struct tunnel_lookup *lookup)
{
    struct error *err = NULL;
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0)
        FAIL(ERROR_MEMORY, "There is not enough memory to look up %s.", lookup->host);
    (void)pthread_attr_setstacksize(&attributes, DIAL_STACK_BYTES);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    atomic_store(&lookup->holders, 2);
    int failed = pthread_create(&thread, &attributes, tunnel_lookup_thread, lookup);
    (void)pthread_attr_destroy(&attributes);
    if (failed != 0) {
        atomic_store(&lookup->holders, 1);
        TRY(error_errno(ERROR_MEMORY, failed, "%s cannot be looked up", lookup->host));
    }
done:
    return err;
}

/* An address needs no thread. */
static struct error *tunnel_lookup_start(const struct tunnel *tunnel, const struct tunnel_dial *dial,
                                         struct tunnel_lookup **ret_lookup)
{
    struct error *err = NULL;
    struct in6_addr address;
    struct tunnel_lookup *lookup = calloc(1, sizeof(*lookup));
    if (lookup == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to look up %s.", dial->host);
    atomic_store(&lookup->holders, 1);
    memcpy(lookup->host, dial->host, sizeof(lookup->host));
    memcpy(lookup->port, dial->port, sizeof(lookup->port));
    lookup->wake_fd = fcntl(tunnel->wake_fd, F_DUPFD_CLOEXEC, 0);
    if (lookup->wake_fd < 0)
        TRY(error_errno(ERROR_IO, errno, "%s cannot be looked up", dial->host));
    if (inet_pton(AF_INET, dial->host, &address) == 1 || strchr(dial->host, ':') != NULL) {
        tunnel_lookup_run(lookup, AI_NUMERICHOST);
        atomic_store(&lookup->ready, true);
    } else {
        TRY(tunnel_lookup_spawn(lookup));
    }
    *ret_lookup = lookup;
    lookup = NULL;
done:
    tunnel_lookup_release(lookup);
    return err;
}

/* ---- dialling ---- */

struct error *tunnel_dial_new(const struct site_id *peer, const char *endpoint, struct tunnel_dial **ret_dial)
{
    struct error *err = NULL;
    struct tunnel_dial *dial = calloc(1, sizeof(*dial));
    if (dial == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to dial %s.", endpoint);
    TRY(tunnel_endpoint(endpoint, dial->host, dial->port));
    if (strcmp(dial->host, "*") == 0 || strtol(dial->port, NULL, 10) == 0)
        FAIL(ERROR_INVALID, "'%s' can be listened on but not dialled: it needs a host and a port.", endpoint);
    dial->peer = *peer;
    *ret_dial = dial;
    dial = NULL;
done:
    tunnel_dial_free(dial);
    return err;
}

void tunnel_dial_free(struct tunnel_dial *dial)
{
    if (dial == NULL)
        return;
    tunnel_lookup_release(dial->lookup);
    free(dial);
}

struct tunnel_dial *tunnel_dial_of(struct tunnel *tunnel, const struct site_id *peer)
{
    for (struct tunnel_dial *dial = tunnel->dials; dial != NULL; dial = dial->next)
        if (site_id_equal(&dial->peer, peer))
            return dial;
    return NULL;
}

static void tunnel_dial_back_off(struct tunnel *tunnel, struct tunnel_dial *dial, int64_t now)
{
    int64_t ceiling = tunnel->times.backoff_min;
    for (unsigned i = 0; i < dial->failures && ceiling < tunnel->times.backoff_max; i++)
        ceiling *= 2;
    if (ceiling > tunnel->times.backoff_max)
        ceiling = tunnel->times.backoff_max;
    uint64_t random = 0;
    struct error *err = secret_random(&random, sizeof(random));
    error_clear(&err); /* no randomness only means no jitter */
    dial->due = now + 1 + (int64_t)(random % (uint64_t)ceiling);
    dial->failures++;
}

/* A reason is told once, and again when it changes. */
static bool tunnel_dial_is_new(struct tunnel_dial *dial, const char *sentence)
{
    bool news = strcmp(dial->told, sentence) != 0;
    tunnel_sentence(sentence, dial->told);
    return news;
}

bool tunnel_dial_ended(struct tunnel *tunnel, struct tunnel_dial *dial, const struct tunnel_link *link,
                       const char *sentence, int64_t now)
{
    bool lasted = link->relay_since != 0 && now - link->relay_since >= tunnel->times.backoff_max;
    bool connected = link->heard_any || link->announced;
    if (lasted)
        dial->failures = 0;
    if (!connected && dial->address_next < dial->address_count) {
        dial->due = now; /* the name has another address */
        return false;
    }
    dial->address_count = dial->address_next = 0;
    tunnel_dial_back_off(tunnel, dial, now);
    return tunnel_dial_is_new(dial, sentence);
}

/* It failed before there was a link. Takes `err`. */
static void tunnel_dial_failed(struct tunnel *tunnel, struct tunnel_dial *dial, struct error *err,
                               int64_t now)
{
    struct tunnel_event event = {.kind = TUNNEL_DOWN, .peer = dial->peer, .dialled = true};
    tunnel_sentence(err->sentence, event.sentence);
    error_free(err);
    dial->address_count = dial->address_next = 0;
    tunnel_dial_back_off(tunnel, dial, now);
    if (tunnel_dial_is_new(dial, event.sentence))
        tunnel_tell(tunnel, &event);
}

static struct error *tunnel_dial_connect(struct tunnel *tunnel, struct tunnel_dial *dial, int64_t now)
{
    struct error *err = NULL;
    struct tunnel_link *link = NULL;
    const struct sockaddr_storage *address = &dial->addresses[dial->address_next++];
    socklen_t size = address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    int net = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (net < 0)
        TRY(error_errno(ERROR_IO, errno, "%s cannot be dialled", dial->host));
    TRY(tunnel_link_new(tunnel, net, address, &link));
    net = -1;
    link->dialled = true;
    link->expected = dial->peer;
    memcpy(link->host, dial->host, sizeof(link->host));
    link->deadline = now + tunnel->times.handshake;
    link->state = LINK_CONNECTING;
    if (!tunnel_add(tunnel, link))
        FAIL(ERROR_LIMIT, "%s cannot be dialled: this process has as many connections as it may have.",
             dial->host);
    dial->link = link;
    struct tunnel_link *added = link;
    link = NULL;
    /* a failure here is noticed by the link, like one that comes later */
    if (connect(added->net, (const struct sockaddr *)address, size) != 0 && errno != EINPROGRESS) {
        char where[TUNNEL_ADDRESS_BYTES];
        int reason = errno;
        memcpy(where, added->address, sizeof(where));
        tunnel_link_end(
            added, false,
            error_errno(ERROR_UNAVAILABLE, reason, "%s (%s) cannot be reached", dial->host, where));
    }
done:
    tunnel_link_free(link);
    if (net >= 0)
        (void)close(net);
    return err;
}

/* Takes the addresses over; frees the lookup. */
static struct error *tunnel_dial_take(struct tunnel_dial *dial)
{
    struct error *err = NULL;
    struct tunnel_lookup *lookup = dial->lookup;
    dial->lookup = NULL;
    if (lookup->failed != 0 || lookup->count == 0)
        FAIL(ERROR_UNAVAILABLE, "%s cannot be dialled: the name was not found (%s).", dial->host,
             lookup->failed != 0 ? gai_strerror(lookup->failed) : "no address");
    memcpy(dial->addresses, lookup->addresses, sizeof(dial->addresses));
    dial->address_count = lookup->count;
    dial->address_next = 0;
done:
    tunnel_lookup_release(lookup);
    return err;
}

void tunnel_dial_tick(struct tunnel *tunnel, struct tunnel_dial *dial, int64_t now)
{
    struct error *err = NULL;
    if (dial->link != NULL)
        return;
    if (dial->lookup == NULL) {
        if (dial->due > now)
            return;
        if (tunnel_has_live(tunnel, &dial->peer, NULL)) {
            dial->due = now + DIAL_COVERED_MS; /* the peer dialled us */
            return;
        }
        if (dial->address_next >= dial->address_count)
            TRY(tunnel_lookup_start(tunnel, dial, &dial->lookup));
    }
    if (dial->lookup != NULL) {
        if (!atomic_load(&dial->lookup->ready))
            return;
        TRY(tunnel_dial_take(dial));
    }
    TRY(tunnel_dial_connect(tunnel, dial, now));
done:
    if (err != NULL)
        tunnel_dial_failed(tunnel, dial, err, now);
}
