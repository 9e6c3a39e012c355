/* Data at rest: the key under which a site keeps its rows, and the ciphers that are made of it.
 *
 *     secret of the owner:  a key of 32 bytes --HKDF-SHA256--\
 *                           a passphrase      --scrypt-------+--> wrapping key
 *     data key (random)  --AES-256-GCM under the wrapping key-->  wrapped record, stored
 *     data key, salt     --HKDF-SHA256-->  key of one dataset  --AES-256-GCM-->  sealed pieces
 *
 * HKDF: RFC 5869; scrypt: RFC 7914; AES-GCM: NIST SP 800-38D, with 96-bit nonces and 128-bit tags. The wrapped record,
 * VAULT_WRAPPED_BYTES long, everything before the ciphertext being authenticated too:
 *
 *      0  8  "FDSVAULT"
 *      8  1  version, 1
 *      9  1  secret: 1 key, 2 passphrase
 *     10  1  scrypt: log2 of N     (0 for a key)
 *     11  1  scrypt: r             (0 for a key)
 *     12  1  scrypt: p             (0 for a key)
 *     13  3  zero
 *     16 32  salt
 *     48 12  nonce
 *     60 32  ciphertext of the data key
 *     92 16  tag
 *
 * A nonce is never used twice under one key, by construction: whoever seals gets a cipher with a salt, and so a key, of
 * its own, drawn inside vault_sealer_new, and the numbers of its pieces must grow. */
#pragma once

#include "schemas/error.h"

#include <stdint.h>

#define VAULT_KEY_BYTES 32
#define VAULT_KEY_TEXT_BYTES 66 /* a key as its file has it: 64 hexadecimal digits, a newline, and a NUL */
#define VAULT_SALT_BYTES 32
#define VAULT_NONCE_BYTES 12
#define VAULT_TAG_BYTES 16 /* what a sealed piece is longer than the plain one */
#define VAULT_WRAPPED_BYTES 108
#define VAULT_PASSPHRASE_MIN 12
#define VAULT_PASSPHRASE_MAX 1023

/* What opens a vault. On the caller's stack; vault_secret_wipe when done. */
enum vault_secret_kind { VAULT_KEY, VAULT_PASSPHRASE };
struct vault_secret {
    enum vault_secret_kind kind;
    size_t count; /* of bytes: VAULT_KEY_BYTES, or the passphrase's length */
    uint8_t bytes[VAULT_PASSPHRASE_MAX + 1];
};

/* A new random key. */
MUST_USE struct error *vault_secret_new(struct vault_secret *ret_secret);
/* A key as a file or standard input has it: 64 lower-case hexadecimal digits, also with a newline behind them, or 32
 * bytes. `where` names it in sentences. ERROR_INVALID for anything else. */
MUST_USE struct error *vault_secret_key(const char *where, const void *data, size_t bytes,
                                        struct vault_secret *ret_secret);
/* A passphrase of VAULT_PASSPHRASE_MIN to _MAX bytes: ERROR_INVALID otherwise. */
MUST_USE struct error *vault_secret_passphrase(const char *text, struct vault_secret *ret_secret);
/* What to write into a key's file; the caller wipes it. */
void vault_secret_text(const struct vault_secret *secret, char ret_text[static VAULT_KEY_TEXT_BYTES]);
void vault_secret_wipe(struct vault_secret *secret);

struct vault; /* the data key; wiped when freed */

/* A new data key. */
MUST_USE struct error *vault_create(struct vault **ret_vault);
void vault_free(struct vault *vault); /* accepts NULL */

/* The record from which vault_unwrap makes the same vault: another one at each call. With a passphrase it takes some
 * tenths of a second and 128 MiB, on purpose (scrypt with N = 2^17, r = 8, p = 1). */
MUST_USE struct error *vault_wrap(struct vault *vault, const struct vault_secret *secret,
                                  uint8_t ret_wrapped[static VAULT_WRAPPED_BYTES]);
/* ERROR_CORRUPT for bytes that are no record, or ask for more than 1 GiB of memory; ERROR_UNSUPPORTED for one of a
 * newer version; ERROR_UNTRUSTED for another secret than it was wrapped with, or a record that was changed. */
MUST_USE struct error *vault_unwrap(const uint8_t *wrapped, size_t bytes, const struct vault_secret *secret,
                                    struct vault **ret_vault);
/* Whether this is the record that the vault was last wrapped into, or unwrapped from. */
MUST_USE bool vault_is_of(const struct vault *vault, const uint8_t *wrapped, size_t bytes);

/* One direction under one salt: made once, used for every piece of a dataset, by one thread at a time. */
struct vault_cipher;
/* Draws the salt. */
MUST_USE struct error *vault_sealer_new(const struct vault *vault, uint8_t ret_salt[static VAULT_SALT_BYTES],
                                        struct vault_cipher **ret_cipher);
MUST_USE struct error *vault_opener_new(const struct vault *vault,
                                        const uint8_t salt[static VAULT_SALT_BYTES],
                                        struct vault_cipher **ret_cipher);
void vault_cipher_free(struct vault_cipher *cipher); /* wipes; accepts NULL */

/* Which piece: its number is its nonce and must be higher than that of the one sealed before; `about` is
 * authenticated with it. */
struct vault_piece {
    uint64_t number;
    const void *about;
    size_t about_bytes;
};
/* Writes bytes + VAULT_TAG_BYTES to ret_sealed. ERROR_INTERNAL for a number that is not higher, or an opener. */
MUST_USE struct error *vault_seal(struct vault_cipher *cipher, const struct vault_piece *piece,
                                  const void *plain, size_t bytes, uint8_t *ret_sealed);
/* Writes bytes - VAULT_TAG_BYTES to ret_plain; ERROR_UNTRUSTED, with nothing left in ret_plain, unless these bytes were
 * sealed under this vault and salt with this number and `about`. */
MUST_USE struct error *vault_open(struct vault_cipher *cipher, const struct vault_piece *piece,
                                  const uint8_t *sealed, size_t bytes, void *ret_plain);
