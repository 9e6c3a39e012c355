/* Signed messages to and from peers: what the programs use of this room.
 *
 *     program's thread               tunnel's thread         the network
 *     session_next, session_request  <- ipc:// (ZMTP) ->     TLS 1.3 <-> the peer's tunnel <-> its session
 *
 * A session object is all peers of one process, used by one thread. Peers are known by site_id, the SHA-256
 * of their public key; TLS proves the key on each hop, and every message carries an Ed25519 signature over
 *
 *     "FDS-MSG1" 0x00 || u32 version || u32 type || sender 32 || recipient 32 || session 16 ||
 *     u64 number || u64 answers || i64 sent_at (Unix milliseconds) || SHA-256(body) 32 (little-endian)
 *
 * so that it can be checked without the connection that carried it. The envelope on the wire is the Protocol
 * Buffers message Envelope of schemas/datasite.proto.
 *
 * Delivery is at least once: a request keeps its number until its answer arrives, and is sent again after a
 * lost connection. The receiver remembers requests and answers for as long as the connection lasts: a number
 * that comes twice on one connection gets the same answer without the program. When the connection ends, for
 * whatever reason, all of it is forgotten, answers not yet sent too: a request that is sent again after that
 * reaches the program again, as a new ticket. So nothing is given out on the strength of a permission that
 * held only for an earlier connection, and programs have to be idempotent and to answer the latest ticket of
 * a request. Numbers that the program sees of others' requests are tickets of this process, so that what a
 * former connection asked cannot be answered into the present one.
 *
 * A peer that asks and does not read is left unread itself: no more than LIMIT_OUTSTANDING requests and one
 * are ever unanswered, or answered and unsent.
 *
 * PING, HELLO, WELCOME and resending happen inside session_next; a program that does not call it for 45 s is
 * dead to its peers.
 *
 * Who may talk: peers whose fingerprint `trust` lists (limit 256 MiB a message), its members while a trusted
 * CA vouches for them (the same), and other peers with a certificate of a trusted CA that is not revoked (the
 * lobby: 64 KiB a message, event.lobby is true). All others are refused in the TLS handshake, and both ends
 * get a sentence.
 */
#pragma once

#include "crypto/identity.h"
#include "schemas/error.h"

#include <stddef.h>
#include <stdint.h>

#define SESSION_SENTENCE_BYTES 512
#define SESSION_SOFTWARE_BYTES 65

struct session;

/* Whom to accept; copied by session_open and session_reload. Fingerprints: any number, any order.
 *
 * `listed` (and dialled) peers are pinned: the owner named the key itself, so a self-signed certificate of
 * that key is enough, now and later. A CA that revokes a certificate of a pinned key keeps out that
 * certificate, not the key: one that the key signs itself is still admitted, until the owner takes the key
 * off the list. `members` were authorised by an approval while a CA vouched for them: they are admitted only
 * while a CA of ca_file vouches for the certificate they show and nothing revokes it, and then they are not
 * in the lobby. A key that is in both is pinned. */
struct session_trust {
    const struct site_id *listed;
    size_t listed_count;
    const char *ca_file;           /* PEM with one or more CA certificates, or NULL */
    const char *crl_file;          /* PEM with the CAs' revocation lists, or NULL */
    const struct site_id *members; /* NULL and 0: none */
    size_t member_count;
};

struct session_options {
    const struct identity *identity; /* borrowed until session_close or the next session_reload */
    const char *name;                /* what peers show for this node; at most 64 bytes */
    const char *directory;           /* private, created 0700; ipc sockets live in a fresh folder below it */
    const char *listen;              /* "tcp://ADDRESS:PORT" ("*" for every address), or NULL not to listen */
    struct session_trust trust;
    int wake_fd; /* readable = session_next returns SESSION_WAKE; -1 for none */
    /* Connections that have not authenticated; 0: what limits.h says. More sites behind one address than
     * these have to take turns, which their dialling again does. */
    size_t unauthenticated;             /* in their TLS handshake at a time */
    size_t unauthenticated_per_address; /* of them, of one address (IPv6: of one /64) */
    size_t parked_per_address;          /* waiting for their turn, of one address */
    int64_t (*clock)(void); /* Unix milliseconds; NULL: the system's clock (tests set their own). Also
                               judges certificates, so it is called in the tunnel's thread too */
};

enum session_event_kind {
    SESSION_NOTHING, /* the time ran out */
    SESSION_UP,      /* a peer is connected, verified and welcomed */
    SESSION_DOWN,    /* a peer's connection ended, or a dial did not get through (told once for each reason);
                        `sentence` says why. Dialled peers are dialled again */
    SESSION_REFUSED, /* a connection was refused, by us or by them; `sentence` says what was found and
                        expected. `peer` is all zero when it never identified itself */
    SESSION_MESSAGE, /* a verified message from `peer` */
    SESSION_WAKE     /* wake_fd is readable; the program drains it */
};

struct session_event {
    enum session_event_kind kind;
    struct site_id peer;
    char peer_name[IDENTITY_NAME_BYTES]; /* common name in its certificate; "" when unknown */
    bool lobby;
    char peer_software[SESSION_SOFTWARE_BYTES]; /* SESSION_UP: what it says it runs; printable, perhaps "" */
    char sentence[SESSION_SENTENCE_BYTES];
    /* SESSION_MESSAGE only: */
    uint32_t type;    /* enum MessageType of the schema, never one of the transport's own */
    uint64_t number;  /* to be given to session_answer */
    uint64_t answers; /* number of our request that this answers, 0 for a request */
    int64_t sent_at;
    uint8_t *body; /* owned by the event; session_event_clear frees it */
    size_t body_bytes;
};

/* Starts the tunnel thread; when it returns, `listen` is bound. ERROR_UNAVAILABLE when the port is taken. */
MUST_USE struct error *session_open(const struct session_options *options, struct session **ret_session);

/* Tells peers goodbye, joins the tunnel thread, removes the sockets' folder; within 2 s. Accepts NULL. */
void session_close(struct session *session);

/* Keeps a connection to `peer` at "tcp://HOST:PORT", dialling again with back-off until session_drop. HOST
 * may be a name or an address. Being listed in `trust` is not required of a dialled peer: its fingerprint
 * must be `peer`. */
MUST_USE struct error *session_dial(struct session *session, const struct site_id *peer,
                                    const char *endpoint);

/* Ends the connection to a peer and stops dialling it; unanswered requests and kept answers, its and ours,
 * are forgotten. */
MUST_USE struct error *session_drop(struct session *session, const struct site_id *peer);

/* New certificate, trust lists or revocation list: live connections that they no longer admit are closed, and
 * answers that were sent are not repeated on those that stay. */
MUST_USE struct error *session_reload(struct session *session, const struct identity *identity,
                                      const struct session_trust *trust);

/* Queues a request. Not connected: it goes out when the peer is up. ERROR_BUSY with LIMIT_OUTSTANDING
 * unanswered requests, or a second large one. `body` is copied. */
MUST_USE struct error *session_request(struct session *session, const struct site_id *peer, uint32_t type,
                                       const void *body, size_t body_bytes, uint64_t *ret_number);
/* The same of a malloc'ed body that is taken over, and then set to NULL: it may be large. */
MUST_USE struct error *session_request_taking(struct session *session, const struct site_id *peer,
                                              uint32_t type, uint8_t **body, size_t body_bytes,
                                              uint64_t *ret_number);

/* Answers request `number` of `peer`, once. ERROR_NOT_FOUND when nobody waits for it any more: it was
 * answered, or the connection that it came on has ended; the peer asks again on its next one, and that is
 * another ticket. */
MUST_USE struct error *session_answer(struct session *session, const struct site_id *peer, uint64_t number,
                                      uint32_t type, const void *body, size_t body_bytes);

/* Gives up waiting for the answer to a request: it is not sent again, and a late answer is dropped. */
void session_forget(struct session *session, const struct site_id *peer, uint64_t number);

MUST_USE bool session_is_up(const struct session *session, const struct site_id *peer);

/* The next event, or SESSION_NOTHING after `timeout_ms` (0 or more). Fails only when the tunnel is broken. */
MUST_USE struct error *session_next(struct session *session, int timeout_ms, struct session_event *ret_event);

/* Frees what the event owns and zeroes it. */
void session_event_clear(struct session_event *event);

/* The port that `listen` was bound to (for "tcp://127.0.0.1:0"), or 0. */
uint16_t session_port(const struct session *session);
