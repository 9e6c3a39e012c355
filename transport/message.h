/* One signed message: an Envelope made or taken apart and verified. Pure; no sockets. See session.h for what
 * the signature covers. */
#pragma once

#include "crypto/identity.h"
#include "crypto/public_key.h"
#include "schemas/error.h"

#include <stddef.h>
#include <stdint.h>

#define MESSAGE_VERSION 1
#define MESSAGE_SESSION_BYTES 16
#define MESSAGE_OVERHEAD_BYTES 320 /* an envelope is at most this much longer than its body */

struct message {
    uint32_t type;
    struct site_id sender;
    struct site_id recipient;
    uint8_t session[MESSAGE_SESSION_BYTES];
    uint64_t number;
    uint64_t answers;
    int64_t sent_at;
    uint8_t *body; /* owned */
    size_t body_bytes;
};

/* Signs `message` (whose sender is set from the identity) and encodes it; *ret_wire is malloc'ed. */
MUST_USE struct error *message_encode(const struct message *message, const struct identity *identity,
                                      uint8_t **ret_wire, size_t *ret_bytes);

/* Decodes and checks: version, lengths, key belongs to sender, signature, recipient is `self`. The clock and
 * the number are the session's business. On success the caller frees with message_clear. */
MUST_USE struct error *message_decode(const uint8_t *wire, size_t bytes, const struct site_id *self,
                                      struct message *ret_message);

/* The same of one sender after the other: the key is read again only where it is another one than that of the message
 * before. *key is NULL at first; the caller frees it. */
MUST_USE struct error *message_decode_next(const uint8_t *wire, size_t bytes, const struct site_id *self,
                                           struct public_key **key, struct message *ret_message);

void message_clear(struct message *message);
