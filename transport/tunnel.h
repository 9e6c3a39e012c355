/* The TLS tunnel: one thread that owns every TCP connection of a process.
 *
 * It listens, dials, does TLS 1.3 with mutual authentication, decides who is admitted, and then copies bytes
 * between the TLS connection and a local stream socket that it is given (by session.c: a connection to an
 * ipc:// endpoint bound by libzmq; by tests: one end of a socketpair). It rewrites nothing; the bytes that
 * come from the network are walked by zmtp.h before they go on.
 *
 *     session                                    tunnel thread
 *     tunnel_next      <- READY, DOWN         <- TLS done and admitted; a connection or a dial ended
 *     tunnel_attach    -> (number, local fd)  -> copying starts
 *     tunnel_hang_up, tunnel_dial, tunnel_drop, tunnel_reload -> commands
 *
 * Events and commands are two queues under one mutex, each with an eventfd, not an inproc PAIR: the thread
 * has to poll() raw sockets anyway, it needs nothing of libzmq, and ThreadSanitizer can follow every
 * hand-over. Both queues are bounded: a connection causes at most one READY and one DOWN, and refusals of
 * strangers beyond TUNNEL_REFUSALS_QUEUED are only counted.
 *
 * One connection lives per certificate: the newest wins. All signals are blocked in the thread, so that a
 * write to a closed socket is an error, not a SIGPIPE. */
#pragma once

#include "crypto/identity.h"
#include "schemas/error.h"
#include "transport/session.h"

#include <stddef.h>
#include <stdint.h>

#define TUNNEL_SENTENCE_BYTES SESSION_SENTENCE_BYTES
#define TUNNEL_REFUSALS_QUEUED 64
#define TUNNEL_HOST_BYTES 256
#define TUNNEL_PORT_BYTES 6

/* Times of the transport in milliseconds; tests shorten them. */
struct tunnel_times {
    int64_t handshake;
    int64_t dead;
    int64_t recheck;
    int64_t backoff_min;
    int64_t backoff_max;
    int64_t ping;    /* the session's, kept here so that there is one set of times */
    int64_t closing; /* the session's: how long session_close waits for peers to hang up */
};

/* What limits.h says. */
struct tunnel_times tunnel_times_default(void);

/* What a process shows and whom it admits: the TLS context, the listed fingerprints, the CAs and their
 * revocation lists. Made by the session's thread, then owned by the tunnel. */
struct tunnel_trust;

/* ERROR_INVALID or ERROR_IO with a sentence that names the file when ca_file or crl_file cannot be used. */
MUST_USE struct error *tunnel_trust_new(const struct identity *identity, const struct session_trust *trust,
                                        struct tunnel_trust **ret_trust);
void tunnel_trust_free(struct tunnel_trust *trust); /* accepts NULL */

/* Bounds that a program may set; 0 everywhere: what limits.h says. */
struct tunnel_bounds {
    uint64_t reassembly; /* bytes */
    size_t unauthenticated;
    size_t unauthenticated_per_address;
    size_t parked_per_address;
};

struct tunnel_options {
    const char *listen; /* "tcp://ADDRESS:PORT" or NULL */
    int64_t (*clock)(
        void); /* Unix milliseconds for the validity of certificates; called in the tunnel's thread */
    struct tunnel_times times;
    struct tunnel_bounds bounds;
};

enum tunnel_event_kind {
    TUNNEL_READY, /* connection `number` with `peer` has done TLS and waits for tunnel_attach */
    TUNNEL_DOWN   /* connection `number` ended, or (number 0) never came to be */
};

struct tunnel_event {
    enum tunnel_event_kind kind;
    uint64_t number;
    struct site_id peer; /* all zero when it never identified itself and was not dialled */
    char name[IDENTITY_NAME_BYTES];
    bool lobby;
    bool dialled;
    bool refused; /* DOWN: one side said no, rather than the connection being lost */
    char sentence[TUNNEL_SENTENCE_BYTES];
};

struct tunnel;

/* Copies a sentence, cut at a character boundary if it is longer. */
void tunnel_sentence(const char *text, char ret_sentence[static TUNNEL_SENTENCE_BYTES]);

/* Binds `listen`, starts the thread. `trust` is the tunnel's when this succeeds. */
MUST_USE struct error *tunnel_open(const struct tunnel_options *options, struct tunnel_trust *trust,
                                   struct tunnel **ret_tunnel);

/* Ends every connection and joins the thread. Accepts NULL. */
void tunnel_close(struct tunnel *tunnel);

uint16_t tunnel_port(const struct tunnel *tunnel); /* bound, or 0 */
int tunnel_event_fd(const struct tunnel *tunnel);  /* readable while events wait */

/* Takes the oldest event; false when there is none. Fails when the thread had to give up. */
MUST_USE struct error *tunnel_next(struct tunnel *tunnel, bool *ret_any, struct tunnel_event *ret_event);

/* Gives connection `number` its local end; the tunnel closes `local` in every case. */
MUST_USE struct error *tunnel_attach(struct tunnel *tunnel, uint64_t number, int local);

/* Ends connection `number` after sending what its local end has already given; `sentence` becomes its DOWN's.
 */
MUST_USE struct error *tunnel_hang_up(struct tunnel *tunnel, uint64_t number, bool refused,
                                      const char *sentence);

/* Keeps a connection to `peer`; a second call for the same peer replaces the endpoint. */
MUST_USE struct error *tunnel_dial(struct tunnel *tunnel, const struct site_id *peer, const char *endpoint);
MUST_USE struct error *tunnel_drop(struct tunnel *tunnel, const struct site_id *peer); /* stops dialling */

/* Replaces what is shown and admitted; live connections are judged again at once. Takes `trust` in every
 * case. */
MUST_USE struct error *tunnel_reload(struct tunnel *tunnel, struct tunnel_trust *trust);

/* Takes "tcp://HOST:PORT" apart ("[::1]" and "*" are hosts too). ERROR_INVALID with the reason. */
MUST_USE struct error *tunnel_endpoint(const char *endpoint, char ret_host[static TUNNEL_HOST_BYTES],
                                       char ret_port[static TUNNEL_PORT_BYTES]);
