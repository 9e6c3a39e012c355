#include "crypto/public_key.h"

#include "crypto/openssl_error.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdatomic.h>

struct public_key {
    atomic_uint holders;
    uint8_t bytes[PUBLIC_KEY_BYTES];
    EVP_PKEY *key;
};

struct error *public_key_new(const uint8_t bytes[static PUBLIC_KEY_BYTES], struct public_key **ret_key)
{
    struct error *err = NULL;
    struct public_key *key = calloc(1, sizeof *key);
    if (key == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for a public key.");
    atomic_init(&key->holders, 1);
    memcpy(key->bytes, bytes, sizeof key->bytes);
    key->key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, PUBLIC_KEY_BYTES);
    if (key->key == NULL)
        TRY(openssl_error("reading a public key"));
    *ret_key = key;
    key = NULL;
done:
    public_key_free(key);
    return err;
}

struct public_key *public_key_share(struct public_key *key)
{
    (void)atomic_fetch_add(&key->holders, 1);
    return key;
}

void public_key_free(struct public_key *key)
{
    if (key == NULL || atomic_fetch_sub(&key->holders, 1) != 1)
        return;
    EVP_PKEY_free(key->key);
    free(key);
}

const uint8_t *public_key_bytes(const struct public_key *key)
{
    return key->bytes;
}

bool public_key_is(const struct public_key *key, const uint8_t bytes[static PUBLIC_KEY_BYTES])
{
    return key != NULL && memcmp(key->bytes, bytes, PUBLIC_KEY_BYTES) == 0;
}

struct error *public_key_keep(struct public_key **key, const uint8_t bytes[static PUBLIC_KEY_BYTES])
{
    struct error *err = NULL;
    struct public_key *fresh = NULL;
    if (public_key_is(*key, bytes))
        return NULL;
    TRY(public_key_new(bytes, &fresh));
    public_key_free(*key);
    *key = fresh;
done:
    return err;
}

struct error *public_key_verify(const struct public_key *key, const void *data, size_t bytes,
                                const uint8_t signature[static SIGNATURE_BYTES])
{
    struct error *err = NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL || EVP_DigestVerifyInit(context, NULL, NULL, NULL, key->key) != 1)
        TRY(openssl_error("preparing to verify a signature"));
    /* Anything but 1 is a refusal: 0 for a wrong signature, a negative number for one that cannot be one. */
    if (EVP_DigestVerify(context, signature, SIGNATURE_BYTES, data, bytes) != 1) {
        ERR_clear_error();
        FAIL(ERROR_UNTRUSTED, "The signature was not made over these bytes with the key it claims.");
    }
done:
    EVP_MD_CTX_free(context);
    return err;
}

struct error *signature_verify(const uint8_t public_key[static PUBLIC_KEY_BYTES], const void *data,
                               size_t bytes, const uint8_t signature[static SIGNATURE_BYTES])
{
    struct error *err = NULL;
    struct public_key *key = NULL;
    TRY(public_key_new(public_key, &key));
    TRY(public_key_verify(key, data, bytes, signature));
done:
    public_key_free(key);
    return err;
}
