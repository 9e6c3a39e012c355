#include "crypto/agreement.h"
#include "crypto/openssl_error.h"
#include "crypto/secret.h"
#include "crypto/vault_parts.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

/* EVP counts in int. */
#define GCM_STEP_BYTES ((size_t)1 << 30)

/* The parameters only read what they point to; their type does not say so. */
static OSSL_PARAM octets(const char *name, const void *bytes, size_t count)
{
    return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)bytes, count);
}

struct error *vault_derive(const struct vault_derivation *from, uint8_t ret_key[static VAULT_KEY_BYTES])
{
    return agreement_expand(from->key, from->key_bytes, from->salt, from->salt_bytes, from->info,
                            from->info_bytes, ret_key, VAULT_KEY_BYTES);
}

struct error *vault_stretch(const void *passphrase, size_t passphrase_bytes, const void *salt,
                            size_t salt_bytes, const struct vault_cost *cost,
                            uint8_t ret_key[static VAULT_KEY_BYTES])
{
    struct error *err = NULL;
    uint64_t n = (uint64_t)1 << cost->log2_n;
    uint32_t r = cost->r, p = cost->p;
    /* OpenSSL counts the blocks of p and its own state beside the table of N. */
    uint64_t memory = 128 * r * (n + p + 2) + 65536;
    OSSL_PARAM parameters[] = {
        octets(OSSL_KDF_PARAM_PASSWORD, passphrase, passphrase_bytes),
        octets(OSSL_KDF_PARAM_SALT, salt, salt_bytes),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
    EVP_KDF_CTX *context = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
    if (context == NULL || EVP_KDF_derive(context, ret_key, VAULT_KEY_BYTES, parameters) != 1)
        err = openssl_error("deriving a key");
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return err;
}

struct error *vault_gcm_new(const uint8_t key[static VAULT_KEY_BYTES], bool seals, EVP_CIPHER_CTX **ret_gcm)
{
    struct error *err = NULL;
    EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
    if (gcm == NULL || EVP_CipherInit_ex(gcm, EVP_aes_256_gcm(), NULL, key, NULL, seals ? 1 : 0) != 1)
        TRY(openssl_error("starting AES-256-GCM"));
    *ret_gcm = gcm;
    gcm = NULL;
done:
    EVP_CIPHER_CTX_free(gcm);
    return err;
}

/* Everything but the tag; `ret_out` NULL: authenticated only. */
static bool gcm_update(EVP_CIPHER_CTX *gcm, const uint8_t *in, size_t bytes, uint8_t *ret_out)
{
    for (size_t at = 0; at < bytes;) {
        size_t step = bytes - at < GCM_STEP_BYTES ? bytes - at : GCM_STEP_BYTES;
        int made = 0;
        if (EVP_CipherUpdate(gcm, ret_out == NULL ? NULL : ret_out + at, &made, in + at, (int)step) != 1)
            return false;
        at += step;
    }
    return true;
}

struct error *vault_gcm_seal(EVP_CIPHER_CTX *gcm, const uint8_t nonce[static VAULT_NONCE_BYTES],
                             const void *about, size_t about_bytes, const void *plain, size_t bytes,
                             uint8_t *ret_sealed)
{
    int made = 0;
    if (EVP_CipherInit_ex(gcm, NULL, NULL, NULL, nonce, -1) != 1 ||
        !gcm_update(gcm, about, about_bytes, NULL) || !gcm_update(gcm, plain, bytes, ret_sealed) ||
        EVP_CipherFinal_ex(gcm, ret_sealed + bytes, &made) != 1 ||
        EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, VAULT_TAG_BYTES, ret_sealed + bytes) != 1)
        return openssl_error("sealing with AES-256-GCM");
    return NULL;
}

struct error *vault_gcm_open(EVP_CIPHER_CTX *gcm, const uint8_t nonce[static VAULT_NONCE_BYTES],
                             const void *about, size_t about_bytes, const uint8_t *sealed, size_t bytes,
                             void *ret_plain)
{
    struct error *err = NULL;
    uint8_t tag[VAULT_TAG_BYTES];
    size_t plain_bytes = bytes < VAULT_TAG_BYTES ? 0 : bytes - VAULT_TAG_BYTES;
    int made = 0;
    if (bytes < VAULT_TAG_BYTES)
        FAIL(ERROR_UNTRUSTED, "A sealed piece is shorter than its tag: it was cut off.");
    memcpy(tag, sealed + plain_bytes, sizeof(tag));
    if (EVP_CipherInit_ex(gcm, NULL, NULL, NULL, nonce, -1) != 1 ||
        !gcm_update(gcm, about, about_bytes, NULL) || !gcm_update(gcm, sealed, plain_bytes, ret_plain) ||
        EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) != 1)
        TRY(openssl_error("opening with AES-256-GCM"));
    if (EVP_CipherFinal_ex(gcm, tag, &made) != 1) {
        ERR_clear_error();
        FAIL(ERROR_UNTRUSTED, "A sealed piece does not open: the key is another, or the bytes were changed.");
    }
done:
    if (err != NULL)
        secret_wipe(ret_plain, plain_bytes);
    return err;
}
