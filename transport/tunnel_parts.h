/* What a `struct tunnel` is made of, for transport/tunnel*.c only. Everything below `lock`'s group belongs to
 * the tunnel's thread. */
#pragma once

#include "transport/limits.h"
#include "transport/tunnel.h"
#include "transport/zmtp.h"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>

#define TUNNEL_BUFFER_BYTES 65536u
#define TUNNEL_ADDRESS_BYTES 64 /* "[2001:db8::1]:54879" */
#define TUNNEL_ADDRESSES_MOST 8 /* of one dialled name */

struct tunnel_link;

/* ---- tunnel_trust.c: who is admitted ---- */

/* What is known of a presented certificate; filled as far as it was understood, also when it is refused. */
struct tunnel_verdict {
    struct site_id peer;
    bool peer_known;
    char name[IDENTITY_NAME_BYTES];
    bool lobby;
    int x509_error; /* X509_V_…: which alert the other side gets */
};

/* Decides on a certificate at `now` (Unix seconds). `dialled` is the only fingerprint that will do, or NULL.
 */
MUST_USE struct error *tunnel_trust_judge(const struct tunnel_trust *trust, X509 *leaf,
                                          STACK_OF(X509) * chain, const struct site_id *dialled, int64_t now,
                                          struct tunnel_verdict *verdict);
SSL_CTX *tunnel_trust_tls(const struct tunnel_trust *trust);
const char *tunnel_trust_self(const struct tunnel_trust *trust); /* "'name' (sha256:…)" of this node */

/* Reads the CA and revocation files again if they changed; a file that cannot be used leaves the old state.
 */
void tunnel_trust_refresh(struct tunnel_trust *trust);

/* ---- tunnel_tls.c: TLS over a non-blocking socket ---- */

enum tunnel_tls_result {
    TUNNEL_TLS_DONE,
    TUNNEL_TLS_WAIT, /* link->tls_wants says for what */
    TUNNEL_TLS_ENDED,
    TUNNEL_TLS_FAILED /* link->failure says why */
};

MUST_USE struct error *tunnel_tls_context(const struct identity *identity, SSL_CTX **ret_context);
MUST_USE struct error *tunnel_tls_start(struct tunnel_link *link);
enum tunnel_tls_result tunnel_tls_handshake(struct tunnel_link *link);
enum tunnel_tls_result tunnel_tls_read(struct tunnel_link *link, uint8_t *bytes, size_t count,
                                       size_t *ret_count);
enum tunnel_tls_result tunnel_tls_write(struct tunnel_link *link, const uint8_t *bytes, size_t count,
                                        size_t *ret_count);
/* Sends close_notify if that is possible without waiting, and frees the SSL object. */
void tunnel_tls_end(struct tunnel_link *link);

/* ---- tunnel_link.c: one connection ---- */

/* A connection:
 *
 *     accept     --> PARKED      -- a place is free               --> HANDSHAKE
 *     dial       --> CONNECTING  -- connected                     --> HANDSHAKE
 *     HANDSHAKE  -- TLS done, admitted: event READY, older links of the certificate end --> READY
 *     READY      -- tunnel_attach                                 --> RELAY
 *     RELAY      -- the local end closed, or tunnel_hang_up       --> FLUSHING
 *     any        -- tunnel_link_end: event DOWN                   --> DRAINING
 *     DRAINING   -- the other end closed, or a second is over     --> ENDED, and the tunnel frees it
 *
 * RELAY copies both ways; `deadline` holds until the first whole message. In FLUSHING the rest goes out and nothing
 * comes in. In DRAINING what comes is thrown away, so that our last bytes (an alert, a goodbye) are not destroyed by a
 * reset. */
enum tunnel_link_state {
    LINK_PARKED,
    LINK_CONNECTING,
    LINK_HANDSHAKE,
    LINK_READY,
    LINK_RELAY,
    LINK_FLUSHING,
    LINK_DRAINING,
    LINK_ENDED
};

#define LINK_FLUSH_MS 1000
#define LINK_DRAIN_MS 1000
#define LINK_DRAIN_BYTES_MOST (1u << 20)

/* Bytes on their way: [start, walked) may be written, [walked, end) are not looked at yet. `bytes` is NULL
 * while there are none, so that an idle connection has no buffers. */
struct tunnel_buffer {
    uint8_t *bytes;
    size_t start;
    size_t walked;
    size_t end;
};

struct tunnel_link {
    struct tunnel *tunnel;
    uint64_t number;
    enum tunnel_link_state state;
    bool dialled;
    struct site_id expected;            /* of a dialled link */
    char host[TUNNEL_HOST_BYTES];       /* of a dialled link, for SNI and sentences */
    char address[TUNNEL_ADDRESS_BYTES]; /* the other end, numeric, with port */
    struct in6_addr address_key;        /* without port; IPv4 mapped */
    int net;
    int local;
    SSL *ssl;
    short tls_wants;  /* POLLIN, POLLOUT or 0: what an unfinished handshake, read or write waits for */
    short read_wants; /* the same of the last read, which a key update may make wait for POLLOUT */
    short write_wants;
    struct tunnel_verdict verdict;
    struct zmtp_walker walker;
    struct tunnel_buffer in;
    struct tunnel_buffer out;
    uint64_t frame;       /* bytes of the large message in hand, 0 for none */
    uint64_t frame_order; /* which large message was announced first */
    uint64_t reserved;    /* of the process-wide budget: that many of its bytes may come */
    bool starved;         /* waits for the budget */
    bool again;           /* has work without waiting for poll */
    bool heard_any;       /* a byte came from the network */
    bool announced;       /* READY was told */
    bool refused;         /* the reason in `failure` is a refusal */
    struct error *failure;
    int64_t deadline; /* absolute, until the first message; while flushing until given up */
    int64_t heard;    /* when the last byte came, or when it was last unwilling to read */
    int64_t relay_since;
    size_t drained;
    int64_t window_since; /* of a frame that holds budget: what came in this window of `dead` ms */
    uint64_t window_bytes;
    size_t net_poll; /* places in the poll set of this turn, SIZE_MAX if none */
    size_t local_poll;
};

MUST_USE struct error *tunnel_link_new(struct tunnel *tunnel, int net, const struct sockaddr_storage *address,
                                       struct tunnel_link **ret_link);
void tunnel_link_free(struct tunnel_link *link);
void tunnel_link_format_address(const struct sockaddr_storage *address,
                                char ret_text[static TUNNEL_ADDRESS_BYTES]);

void tunnel_link_unpark(struct tunnel_link *link);
void tunnel_link_attach(struct tunnel_link *link, int local, int64_t now);
void tunnel_link_poll(struct tunnel_link *link, struct pollfd *polls, size_t *count, int64_t now);
int64_t tunnel_link_due(const struct tunnel_link *link);
void tunnel_link_step(struct tunnel_link *link, int64_t now); /* does what can be done without waiting */
void tunnel_link_tick(struct tunnel_link *link, int64_t now); /* deadlines */
void tunnel_link_recheck(struct tunnel_link *link);
void tunnel_link_flush(struct tunnel_link *link,
                       int64_t now); /* no more from the network; send the rest, then end */

/* Ends a link with a reason (takes `failure`; NULL keeps an earlier one). */
void tunnel_link_end(struct tunnel_link *link, bool refused, struct error *failure);

/* ---- tunnel_relay.c: the bytes of one connection ---- */

void tunnel_relay_in(struct tunnel_link *link, int64_t now);
void tunnel_relay_unwilling(struct tunnel_link *link, int64_t now); /* its silence does not count */
void tunnel_relay_out(struct tunnel_link *link, int64_t now);
void tunnel_relay_release(struct tunnel_link *link); /* gives back budget and buffers */

/* ---- tunnel_budget.c: the memory of messages that are arriving ---- */

void tunnel_budget_announce(struct tunnel_link *link, uint64_t bytes); /* a large message begins */
uint64_t tunnel_budget_room(struct tunnel_link *link);                 /* bytes of it that may come now */
void tunnel_budget_release(struct tunnel_link *link); /* it is over; also when there is none */
/* How many milliseconds a large message may take for how many bytes. */
int64_t tunnel_budget_window(const struct tunnel_link *link, uint64_t *ret_bytes);

/* ---- tunnel_dial.c: connections that this side makes ---- */

struct tunnel_lookup;

struct tunnel_dial {
    struct tunnel_dial *next;
    struct site_id peer;
    char host[TUNNEL_HOST_BYTES];
    char port[TUNNEL_PORT_BYTES];
    int64_t due;       /* monotonic; when to try next, while there is no link */
    unsigned failures; /* in a row */
    struct tunnel_lookup *lookup;
    struct sockaddr_storage addresses[TUNNEL_ADDRESSES_MOST];
    size_t address_count;
    size_t address_next;
    struct tunnel_link *link;
    char told[TUNNEL_SENTENCE_BYTES]; /* the last reason told, so that it is told once */
};

MUST_USE struct error *tunnel_dial_new(const struct site_id *peer, const char *endpoint,
                                       struct tunnel_dial **ret_dial);
void tunnel_dial_free(struct tunnel_dial *dial);
void tunnel_dial_tick(struct tunnel *tunnel, struct tunnel_dial *dial, int64_t now);
/* Its link ended: when to try next, and whether the reason is worth telling (not the same again). */
MUST_USE bool tunnel_dial_ended(struct tunnel *tunnel, struct tunnel_dial *dial,
                                const struct tunnel_link *link, const char *sentence, int64_t now);
struct tunnel_dial *tunnel_dial_of(struct tunnel *tunnel, const struct site_id *peer);

/* ---- tunnel_listen.c: connections that others make ---- */

MUST_USE struct error *tunnel_listen_open(const char *endpoint, int *ret_listener, uint16_t *ret_port);
void tunnel_listen_accept(struct tunnel *tunnel, int64_t now);
void tunnel_listen_unpark(struct tunnel *tunnel);
MUST_USE bool tunnel_listen_willing(const struct tunnel *tunnel, int64_t now);

/* ---- tunnel.c and tunnel_queue.c ---- */

enum tunnel_command_kind { COMMAND_ATTACH, COMMAND_HANG_UP, COMMAND_DIAL, COMMAND_DROP, COMMAND_RELOAD };

struct tunnel_command {
    struct tunnel_command *next;
    enum tunnel_command_kind kind;
    uint64_t number;
    int local;
    bool refused;
    struct site_id peer;
    struct tunnel_dial *dial;
    struct tunnel_trust *trust;
    char sentence[TUNNEL_SENTENCE_BYTES];
};

struct tunnel_note {
    struct tunnel_note *next;
    struct tunnel_event event;
};

struct tunnel {
    pthread_t thread;
    int wake_fd;  /* the session woke the thread */
    int event_fd; /* the thread has events */
    uint16_t port;
    struct tunnel_times times;
    struct tunnel_bounds bounds;
    int64_t (*clock)(void);

    pthread_mutex_t lock; /* guards this group */
    struct tunnel_command *commands;
    struct tunnel_command **commands_end;
    struct tunnel_note *notes;
    struct tunnel_note **notes_end;
    size_t strangers;         /* refusals of strangers among the notes */
    size_t strangers_dropped; /* not told since */
    bool stop;
    struct error *broken;

    struct tunnel_trust *trust;
    int listener;
    int64_t listen_again; /* after EMFILE: not before */
    size_t connections_most;
    struct tunnel_link *links[LIMIT_CONNECTIONS];
    size_t link_count;
    uint64_t next_number;
    struct tunnel_dial *dials;
    uint64_t budget_used;
    bool budget_freed;
    bool budget_pressed; /* a connection waits for room */
    uint64_t frames;     /* large messages announced so far */
    int64_t recheck_due;
    uint8_t *spare; /* one buffer that was just emptied */
    struct pollfd polls[2 + 2 * LIMIT_CONNECTIONS];
};

/* Tells the session; a lost event for want of memory breaks the tunnel. */
void tunnel_tell(struct tunnel *tunnel, const struct tunnel_event *event);
/* Whether a connection with `peer` other than `except` has done TLS and is not ending. */
MUST_USE bool tunnel_has_live(const struct tunnel *tunnel, const struct site_id *peer,
                              const struct tunnel_link *except);
/* Adds a link; false (and the caller keeps it) when there is no room. */
MUST_USE bool tunnel_add(struct tunnel *tunnel, struct tunnel_link *link);
/* TLS is done: older connections of the same certificate end, the session is told. */
void tunnel_link_is_ready(struct tunnel *tunnel, struct tunnel_link *link);
int64_t tunnel_unix_seconds(const struct tunnel *tunnel);
