/* SHA-256 and HMAC-SHA-256 (FIPS 180-4, RFC 2104), and the hexadecimal form in which people read them. */
#pragma once

#include "schemas/error.h"

#include <stdint.h>

#define DIGEST_BYTES 32
#define DIGEST_HEX_BYTES (2 * DIGEST_BYTES + 1) /* with the final NUL */

struct digest {
    uint8_t bytes[DIGEST_BYTES];
};

/* SHA-256 of one area. */
MUST_USE struct error *digest_of(const void *data, size_t bytes, struct digest *ret_digest);

/* SHA-256 of pieces that arrive one after the other. Nothing can be added once it is finished
 * (ERROR_INTERNAL). digest_stream_free accepts NULL. */
struct digest_stream;
MUST_USE struct error *digest_stream_new(struct digest_stream **ret_stream);
MUST_USE struct error *digest_stream_add(struct digest_stream *stream, const void *data, size_t bytes);
MUST_USE struct error *digest_stream_finish(struct digest_stream *stream, struct digest *ret_digest);
void digest_stream_free(struct digest_stream *stream);

/* HMAC-SHA-256 under one key of many areas: made once, used per row, by one thread at a time. The key, of at
 * least one byte (ERROR_INVALID), is copied. */
struct keyed_digest;
MUST_USE struct error *keyed_digest_new(const void *key, size_t key_bytes, struct keyed_digest **ret_keyed);
MUST_USE struct error *keyed_digest_of(struct keyed_digest *keyed, const void *data, size_t bytes,
                                       struct digest *ret_digest);
void keyed_digest_free(struct keyed_digest *keyed); /* wipes; accepts NULL */

/* 64 lower-case hexadecimal digits and a NUL. */
void digest_hex(const struct digest *digest, char ret_hex[static DIGEST_HEX_BYTES]);

/* Exactly 64 lower-case hexadecimal digits and nothing else; false otherwise, *ret_digest untouched. */
MUST_USE bool digest_parse(const char *hex, struct digest *ret_digest);

MUST_USE bool digest_equal(const struct digest *a, const struct digest *b); /* constant time */
