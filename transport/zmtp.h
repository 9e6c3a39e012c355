/* A read-only walk over the ZMTP 3 bytes of one direction of one connection
 * (https://rfc.zeromq.org/spec/23/).
 *
 * Why: libzmq enforces its limits per socket and per frame. A peer can pass them with endless multipart
 * messages (libzmq keeps the parts of an unfinished message without bound) or with announced lengths. So the
 * tunnel looks at every frame before libzmq does, changes nothing, and ends the connection at the first
 * violation.
 *
 *     greeting   64 bytes: FF ........ 7F | major 3 | minor | "NULL" padded to 20 | as-server | filler 31
 *     frame      flags (1) | length (1, or 8 big-endian with the LONG flag) | body
 *     order      greeting, one READY command, then only message frames
 *
 * Refused: another major version or mechanism; the MORE flag; reserved flags; commands over LIMIT_COMMAND; a
 * message before READY; any command after it (libzmq 4.3.4 can be made to abort by heartbeat commands, issues
 * 4364 and 4767); a message longer than the connection's cap.
 *
 * Pure: no sockets, no clock, no allocation except of an error. */
#pragma once

#include "schemas/error.h"

#include <stddef.h>
#include <stdint.h>

#define ZMTP_GREETING_BYTES 64
#define ZMTP_HEADER_BYTES 9
#define ZMTP_NAME_BYTES 6 /* "\5READY" */

enum zmtp_stage { ZMTP_AT_GREETING, ZMTP_AT_HEADER, ZMTP_AT_ANNOUNCED, ZMTP_AT_BODY };

struct zmtp_walker {
    enum zmtp_stage stage;
    size_t have; /* bytes seen of the greeting or of the header */
    uint8_t header[ZMTP_HEADER_BYTES];
    uint8_t name[ZMTP_NAME_BYTES]; /* first bytes of a command's body */
    size_t name_have;
    uint64_t cap;      /* longest message */
    uint64_t left;     /* bytes of the frame in hand that are still to come */
    uint64_t messages; /* whole message frames so far */
    bool command;      /* the frame in hand is a command */
    bool ready;        /* READY was seen */
};

enum zmtp_mark {
    ZMTP_HUNGRY,    /* every byte was taken; nothing ended */
    ZMTP_ANNOUNCED, /* a message of walker.left bytes is announced. `taken` ends one byte before the end of
                       its header, so that a reader of the bytes so far cannot know of it; walk again when
                       there is room */
    ZMTP_MESSAGE    /* a message ended with the last byte taken */
};

void zmtp_init(struct zmtp_walker *walker, uint64_t cap);

/* Takes up to `count` bytes and stops at the first mark. ERROR_LIMIT for a length over its cap, ERROR_INVALID
 * for every other violation; the walker must not be used after an error. */
MUST_USE struct error *zmtp_walk(struct zmtp_walker *walker, const uint8_t *bytes, size_t count,
                                 size_t *ret_taken, enum zmtp_mark *ret_mark);
