/* What a `struct session` is made of, for transport/session*.c only (and tests that shorten the times). */
#pragma once

#include "schemas/clock.h"
#include "schemas/datasite.pb-c.h"
#include "transport/limits.h"
#include "transport/message.h"
#include "transport/session.h"
#include "transport/tunnel.h"

/* Answers of one connection that are kept to be repeated in it. A peer has at most LIMIT_OUTSTANDING requests
 * without an answer; twice that many cannot be missed by one that keeps the rules. */
#define SESSION_ANSWERS_KEPT (2 * LIMIT_OUTSTANDING)
/* Peers remembered, connected or not: beyond it the one that is down the longest is forgotten. */
#define SESSION_PEERS_MOST (LIMIT_CONNECTIONS + 256)
#define SESSION_PARTING_MS 1000
/* After a connection's end: how long libzmq may take to hand over what had come before it. */
#define SESSION_ENDING_MS 20
#define SESSION_PATH_BYTES 108 /* sun_path, with the NUL */

/* Types of the transport's own messages, and the answer that refuses a request. */
enum {
    HELLO = FDS__MESSAGE_TYPE__MESSAGE_HELLO,
    WELCOME = FDS__MESSAGE_TYPE__MESSAGE_WELCOME,
    PING = FDS__MESSAGE_TYPE__MESSAGE_PING,
    PONG = FDS__MESSAGE_TYPE__MESSAGE_PONG,
    GOODBYE = FDS__MESSAGE_TYPE__MESSAGE_GOODBYE,
    REFUSAL = FDS__MESSAGE_TYPE__MESSAGE_REFUSAL
};

/* A peer:
 *
 *     DOWN          -- TUNNEL_READY: a DEALER is bound and given to the tunnel --> GREETING
 *     GREETING      -- HELLO or WELCOME holds: event UP                        --> UP
 *     GREETING, UP  -- GOODBYE sent or received, or a breach: event if told    --> PARTING
 *     any           -- TUNNEL_DOWN: event DOWN unless told                     --> DOWN
 *
 * In GREETING the dialler sends HELLO and the listener waits. In UP requests go out (again), answers on demand. PARTING
 * has a second to close. In DOWN our requests are kept; theirs, and the answers to them, are forgotten. */
enum session_peer_state { PEER_DOWN, PEER_GREETING, PEER_UP, PEER_PARTING };

/* A request of ours without an answer. */
struct session_asked {
    struct session_asked *next; /* ascending numbers */
    uint64_t number;
    uint32_t type;
    uint8_t *body;
    size_t body_bytes;
    bool sent; /* on this connection */
};

/* A request of theirs on this connection: waiting for the program, or with the answer that is kept. */
struct session_served {
    struct session_served *next; /* oldest first */
    uint64_t ticket; /* the number that the program knows; unique in this process, so that a request of
                        a former connection cannot be answered into the present one */
    uint64_t asked;  /* the peer's number */
    bool answered;
    bool due; /* the answer has to be sent on this connection */
    uint64_t number;
    uint32_t type;
    uint8_t *body;
    size_t body_bytes;
};

struct session_peer {
    struct site_id id;
    char name[IDENTITY_NAME_BYTES];
    enum session_peer_state state;
    bool dialled; /* the program wants a connection */
    bool lobby;
    int64_t down_since;
    struct public_key *key; /* of the messages on its connections; NULL: none came yet */

    /* of this connection */
    uint64_t link; /* the tunnel's number */
    bool link_dialled;
    void *socket;
    uint64_t accepts; /* longest envelope that the peer takes; 0 = not said */
    bool greeting_due;
    bool ping_due;
    bool pong_due;
    bool goodbye_due;
    uint64_t greeting_answers;
    uint64_t pong_answers;
    struct error *goodbye; /* NULL: an empty one */
    int64_t ping_at;       /* monotonic */
    int64_t parting_until;
    int64_t arrived[2]; /* Unix milliseconds: the last message, the one before */

    uint64_t last_number; /* of ours to this peer, ever */
    struct session_asked *asked;
    size_t asked_count;
    size_t asked_large;

    /* of this connection too: another one may be another approval, another trust list or another process */
    uint8_t remote[MESSAGE_SESSION_BYTES];
    uint64_t served_most; /* highest request number on it */
    struct session_served *served;
    size_t pending_count;  /* without an answer */
    size_t answered_count; /* with one, due or sent */
    size_t answered_bytes;
    size_t due_count; /* of the answered: not sent yet */
};

struct session {
    const struct identity *identity;
    struct site_id self;
    char name[IDENTITY_NAME_BYTES];
    int64_t (*clock)(void);
    struct tunnel_times times;
    int wake_fd;
    uint8_t random[MESSAGE_SESSION_BYTES]; /* this process's session */
    void *zmq;
    struct tunnel *tunnel;
    char folder[SESSION_PATH_BYTES];
    int folder_lock; /* descriptor, or -1 */
    uint64_t last_ticket;
    struct session_peer **peers;
    size_t peer_count;
    size_t answered_bytes;      /* of all peers */
    struct tunnel_event ending; /* a DOWN that waits until the last messages of its connection are shown */
    bool ending_any;
    int64_t ending_until;
    size_t cursor; /* where receiving goes on, so that every peer has its turn */
    unsigned turn; /* which source of events is asked first */
};

/* ---- session.c ---- */

/* session_open with other times than those of limits.h. */
MUST_USE struct error *session_open_timed(const struct session_options *options,
                                          const struct tunnel_times *times, struct session **ret_session);

/* ---- session_folder.c: where the local sockets live ---- */

/* A fresh folder, 0700, locked: below `directory`, or, as the path of a local socket may have 107 bytes only,
 * below the user's run-time directory or /tmp. Empty ones of killed processes there are removed. */
MUST_USE struct error *session_folder_make(const char *directory, char ret_folder[static SESSION_PATH_BYTES],
                                           int *ret_lock);
void session_folder_remove(const char *folder, int lock); /* accepts "" and -1 */

/* ---- session_peer.c: what is known of a peer; no sockets ---- */

struct session_peer *session_peer_of(const struct session *session, const struct site_id *id); /* or NULL */
struct session_peer *session_peer_of_link(const struct session *session, uint64_t link);       /* or NULL */
MUST_USE struct error *session_peer_need(struct session *session, const struct site_id *id,
                                         struct session_peer **ret_peer);
void session_peer_free(struct session *session, struct session_peer *peer);

MUST_USE struct error *session_peer_copy(const void *body, size_t body_bytes, uint8_t **ret_copy);
/* Takes over *body, and then sets it to NULL. */
MUST_USE struct error *session_peer_ask(struct session_peer *peer, uint32_t type, uint8_t **body,
                                        size_t body_bytes, uint64_t *ret_number);
void session_peer_forget(struct session_peer *peer, uint64_t number);
void session_peer_forget_all(struct session_peer *peer);
bool session_peer_asked(const struct session_peer *peer, uint64_t number);

/* What to do with a request that arrived. */
enum session_peer_verdict {
    REQUEST_NEW,     /* to the program, with *ret_ticket */
    REQUEST_KNOWN,   /* nothing: the program has it, or its answer was made due again */
    REQUEST_STALE,   /* answered once, but the answer is not kept any more */
    REQUEST_TOO_MANY /* more than LIMIT_OUTSTANDING without an answer */
};
/* Whether a peer asked for more than LIMIT_OUTSTANDING answers and leaves some unread: its messages are left
 * unread too until those are sent, so that what is kept for it is bounded. A peer that keeps the rules never
 * is. */
MUST_USE bool session_peer_is_behind(const struct session_peer *peer);

MUST_USE struct error *session_peer_serve(struct session *session, struct session_peer *peer, uint64_t number,
                                          enum session_peer_verdict *ret_verdict, uint64_t *ret_ticket);
/* Keeps the answer to a ticket and makes it due. ERROR_NOT_FOUND for a ticket that is not waiting. */
MUST_USE struct error *session_peer_answer(struct session *session, struct session_peer *peer,
                                           uint64_t ticket, uint32_t type, const void *body,
                                           size_t body_bytes);
/* The answer is on its way: not due any more. */
void session_peer_sent(struct session_peer *peer, struct session_served *served);
/* Drops what the peer asked and every answer to it, sent or not: a request that comes again reaches the
 * program. */
void session_peer_forget_served(struct session *session, struct session_peer *peer);
/* Drops the answers that were sent: what was allowed when they were made may not be any more. */
void session_peer_forget_sent(struct session *session, struct session_peer *peer);
/* A connection ended or begins: our requests are to be sent again, the peer's are forgotten, nothing is due.
 */
void session_peer_reset(struct session *session, struct session_peer *peer);

/* ---- session_wire.c: one message out; the DEALERs ---- */

MUST_USE struct error *session_wire_attach(struct session *session, struct session_peer *peer, bool lobby);
void session_wire_detach(struct session_peer *peer);
/* A message can be received, and may be: the peer is not behind. */
MUST_USE bool session_wire_has_news(const struct session_peer *peer);
MUST_USE bool session_wire_has_due(const struct session_peer *peer);
MUST_USE struct error *session_wire_flush(struct session *session, struct session_peer *peer);
/* Signs and sends; *ret_sent is false when the peer is not reading. `message.number` 0 means a new one. */
MUST_USE struct error *session_wire_send(struct session *session, struct session_peer *peer,
                                         struct message *message, bool *ret_sent);
/* Ends a connection with a GOODBYE that says why (takes `reason`; NULL: an empty one). */
void session_wire_part(struct session *session, struct session_peer *peer, struct error *reason);
/* Waits at most `wait_ms` for anything; *ret_wake when wake_fd is readable. */
MUST_USE struct error *session_wire_wait(struct session *session, int wait_ms, bool *ret_wake);

/* ---- session_receive.c: one message in ---- */

/* One message of a peer; *ret_any when there was one, *ret_event filled when the program should see
 * something. */
MUST_USE struct error *session_receive(struct session *session, struct session_peer *peer, bool *ret_any,
                                       struct session_event *ret_event);
