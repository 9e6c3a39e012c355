/* An Ed25519 public key, read once for many signatures: what OpenSSL does to read one is a twentieth of a verification.
 * Never changes once it is made, so that any thread may verify with it; counted, so that a table may let go of one that
 * another thread is verifying with. Who keeps one still compares all of its bytes with those that a signature is said to be
 * of (public_key_keep): a kept key is never taken for another one. */
#pragma once

#include "crypto/identity.h"

struct public_key;

/* Bytes that are no point of the curve make a key too; nothing verifies with it. */
MUST_USE struct error *public_key_new(const uint8_t bytes[static PUBLIC_KEY_BYTES],
                                      struct public_key **ret_key);
/* The same once more, to be freed as often. */
struct public_key *public_key_share(struct public_key *key);
void public_key_free(struct public_key *key); /* accepts NULL */

const uint8_t *public_key_bytes(const struct public_key *key); /* PUBLIC_KEY_BYTES of them */
/* Whether these are its bytes, all of them; not of NULL. */
MUST_USE bool public_key_is(const struct public_key *key, const uint8_t bytes[static PUBLIC_KEY_BYTES]);

/* *key is that of these bytes afterwards: as it was if it was that, else a new one, and the former one is freed. */
MUST_USE struct error *public_key_keep(struct public_key **key, const uint8_t bytes[static PUBLIC_KEY_BYTES]);

/* As signature_verify: ERROR_UNTRUSTED unless `signature` over the data was made with the private half. */
MUST_USE struct error *public_key_verify(const struct public_key *key, const void *data, size_t bytes,
                                         const uint8_t signature[static SIGNATURE_BYTES]);
