/* X25519 (RFC 7748) and what secure aggregation derives from it: keys that were made for one slot, never for a person
 * or a site. */
#pragma once

#include "crypto/secret.h"
#include "schemas/error.h"

#define AGREEMENT_KEY_BYTES 32

/* A fresh pair. */
MUST_USE struct error *agreement_make(uint8_t ret_secret[static AGREEMENT_KEY_BYTES],
                                      uint8_t ret_public[static AGREEMENT_KEY_BYTES]);
/* The public key of a secret one. */
MUST_USE struct error *agreement_public(const uint8_t secret[static AGREEMENT_KEY_BYTES],
                                        uint8_t ret_public[static AGREEMENT_KEY_BYTES]);
/* ERROR_INVALID for a key with bit 255 set, or one that gives an all-zero shared secret with any other (the points of
 * small order). */
MUST_USE struct error *agreement_check(const uint8_t public_key[static AGREEMENT_KEY_BYTES]);
/* The shared secret, 32 bytes; ERROR_INVALID when it is all zero. The caller wipes it. */
MUST_USE struct error *agreement_derive(const uint8_t secret[static AGREEMENT_KEY_BYTES],
                                        const uint8_t public_key[static AGREEMENT_KEY_BYTES],
                                        uint8_t ret_shared[static AGREEMENT_KEY_BYTES]);
/* The same for many peers: the key is read once. Freed by agreement_key_free, which wipes it and accepts NULL. For one thread. */
struct agreement_key;
MUST_USE struct error *agreement_key_new(const uint8_t secret[static AGREEMENT_KEY_BYTES],
                                         struct agreement_key **ret_key);
MUST_USE struct error *agreement_key_derive(struct agreement_key *key,
                                            const uint8_t public_key[static AGREEMENT_KEY_BYTES],
                                            uint8_t ret_shared[static AGREEMENT_KEY_BYTES]);
void agreement_key_free(struct agreement_key *key);
/* HKDF-SHA256 (RFC 5869): `bytes` bytes (at most 255 * 32). The caller wipes them. */
MUST_USE struct error *agreement_expand(const void *key, size_t key_bytes, const void *salt,
                                        size_t salt_bytes, const void *info, size_t info_bytes,
                                        uint8_t *ret_bytes, size_t bytes);
