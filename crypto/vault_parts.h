/* The primitives under crypto/vault*.c, apart so that they are tested against published vectors. */
#pragma once

#include "crypto/vault.h"

#include <openssl/evp.h>

/* HKDF-SHA256 (RFC 5869): the first VAULT_KEY_BYTES of its output. */
struct vault_derivation {
    const void *key, *salt, *info;
    size_t key_bytes, salt_bytes, info_bytes;
};
MUST_USE struct error *vault_derive(const struct vault_derivation *from,
                                    uint8_t ret_key[static VAULT_KEY_BYTES]);

/* scrypt (RFC 7914) with N = 2^log2_n: the first VAULT_KEY_BYTES of its output. */
struct vault_cost {
    uint8_t log2_n, r, p;
};
MUST_USE struct error *vault_stretch(const void *passphrase, size_t passphrase_bytes, const void *salt,
                                     size_t salt_bytes, const struct vault_cost *cost,
                                     uint8_t ret_key[static VAULT_KEY_BYTES]);

/* AES-256-GCM (NIST SP 800-38D) under a key that was set once; nonces are the caller's to keep apart. */
MUST_USE struct error *vault_gcm_new(const uint8_t key[static VAULT_KEY_BYTES], bool seals,
                                     EVP_CIPHER_CTX **ret_gcm);
/* Ciphertext and then the tag: bytes + VAULT_TAG_BYTES. */
MUST_USE struct error *vault_gcm_seal(EVP_CIPHER_CTX *gcm, const uint8_t nonce[static VAULT_NONCE_BYTES],
                                      const void *about, size_t about_bytes, const void *plain, size_t bytes,
                                      uint8_t *ret_sealed);
/* ERROR_UNTRUSTED, and ret_plain wiped, when the tag does not hold. */
MUST_USE struct error *vault_gcm_open(EVP_CIPHER_CTX *gcm, const uint8_t nonce[static VAULT_NONCE_BYTES],
                                      const void *about, size_t about_bytes, const uint8_t *sealed,
                                      size_t bytes, void *ret_plain);

struct vault {
    uint8_t key[VAULT_KEY_BYTES];
    uint8_t wrapped[VAULT_WRAPPED_BYTES]; /* of the last vault_wrap or vault_unwrap; zero before */
};
