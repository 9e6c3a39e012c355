#include "crypto/agreement.h"

#include "crypto/openssl_error.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

/* The parameters only read what they point to; their type does not say so. */
static OSSL_PARAM octets(const char *name, const void *bytes, size_t count)
{
    return OSSL_PARAM_construct_octet_string(name, count == 0 ? "" : (void *)(uintptr_t)bytes, count);
}

struct error *agreement_public(const uint8_t secret[static AGREEMENT_KEY_BYTES],
                               uint8_t ret_public[static AGREEMENT_KEY_BYTES])
{
    struct error *err = NULL;
    size_t bytes = AGREEMENT_KEY_BYTES;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, AGREEMENT_KEY_BYTES);
    if (key == NULL || EVP_PKEY_get_raw_public_key(key, ret_public, &bytes) != 1)
        err = openssl_error("computing a public key of X25519");
    EVP_PKEY_free(key); /* wipes it */
    return err;
}

struct error *agreement_make(uint8_t ret_secret[static AGREEMENT_KEY_BYTES],
                             uint8_t ret_public[static AGREEMENT_KEY_BYTES])
{
    struct error *err = NULL;
    uint8_t secret[AGREEMENT_KEY_BYTES];
    TRY(secret_random(secret, sizeof(secret)));
    TRY(agreement_public(secret, ret_public));
    memcpy(ret_secret, secret, sizeof(secret));
done:
    secret_wipe(secret, sizeof(secret));
    return err;
}

/* The points of small order, on the curve and on its twist, as they can be written with bit 255 clear: 0, 1, two of
 * order 8, p - 1, p and p + 1 with p = 2^255 - 19 (D. J. Bernstein, https://cr.yp.to/ecdh.html#validate). A secret key
 * is a multiple of 8, so that these and no others give zero. */
static const uint8_t small_order[][AGREEMENT_KEY_BYTES] = {
    {0},
    {1},
    {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
     0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
    {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
     0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    {0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    {0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
};

struct error *agreement_check(const uint8_t public_key[static AGREEMENT_KEY_BYTES])
{
    if ((public_key[AGREEMENT_KEY_BYTES - 1] & 0x80) != 0)
        return error_new(ERROR_INVALID,
                         "A key of X25519 has its highest bit set: it is not in the one form that is "
                         "accepted.");
    for (size_t i = 0; i < sizeof(small_order) / sizeof(small_order[0]); i++)
        if (memcmp(public_key, small_order[i], AGREEMENT_KEY_BYTES) == 0)
            return error_new(ERROR_INVALID,
                             "A key of X25519 is a point of small order: what is agreed with it is "
                             "known to everybody.");
    return NULL;
}

struct agreement_key {
    EVP_PKEY *own;
    EVP_PKEY_CTX *context;
};

/* For agreeing only: the public half, which OpenSSL would otherwise compute at the price of a second agreement, is given as
 * zero. Agreeing does not read it. */
static struct error *key_load(const uint8_t secret[static AGREEMENT_KEY_BYTES], EVP_PKEY **ret_key)
{
    struct error *err = NULL;
    static const uint8_t unread[AGREEMENT_KEY_BYTES];
    OSSL_PARAM parameters[] = {
        octets(OSSL_PKEY_PARAM_PRIV_KEY, secret, AGREEMENT_KEY_BYTES),
        octets(OSSL_PKEY_PARAM_PUB_KEY, unread, AGREEMENT_KEY_BYTES),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL);
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, ret_key, EVP_PKEY_KEYPAIR, parameters) != 1)
        err = openssl_error("reading a secret key of X25519");
    EVP_PKEY_CTX_free(context);
    return err;
}

struct error *agreement_key_new(const uint8_t secret[static AGREEMENT_KEY_BYTES],
                                struct agreement_key **ret_key)
{
    struct error *err = NULL;
    struct agreement_key *key = calloc(1, sizeof(*key));
    if (key == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a key.");
    TRY(key_load(secret, &key->own));
    key->context = EVP_PKEY_CTX_new(key->own, NULL);
    if (key->context == NULL || EVP_PKEY_derive_init(key->context) != 1)
        TRY(openssl_error("reading a secret key of X25519"));
    *ret_key = key;
    key = NULL;
done:
    agreement_key_free(key);
    return err;
}

void agreement_key_free(struct agreement_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_CTX_free(key->context);
    EVP_PKEY_free(key->own); /* wipes it */
    free(key);
}

struct error *agreement_key_derive(struct agreement_key *key,
                                   const uint8_t public_key[static AGREEMENT_KEY_BYTES],
                                   uint8_t ret_shared[static AGREEMENT_KEY_BYTES])
{
    struct error *err = NULL;
    EVP_PKEY *other = NULL;
    size_t bytes = AGREEMENT_KEY_BYTES;
    uint8_t shared[AGREEMENT_KEY_BYTES];
    TRY(agreement_check(public_key)); /* of what gives zero, OpenSSL says only that it failed */
    other = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public_key, AGREEMENT_KEY_BYTES);
    if (other == NULL || EVP_PKEY_derive_set_peer_ex(key->context, other, 0) != 1 ||
        EVP_PKEY_derive(key->context, shared, &bytes) != 1 || bytes != sizeof(shared))
        TRY(openssl_error("agreeing on a secret by X25519"));
    memcpy(ret_shared, shared, sizeof(shared));
done:
    secret_wipe(shared, sizeof(shared));
    secret_wipe_stack(); /* OpenSSL's X25519 leaves parts of its result there */
    EVP_PKEY_free(other);
    return err;
}

struct error *agreement_derive(const uint8_t secret[static AGREEMENT_KEY_BYTES],
                               const uint8_t public_key[static AGREEMENT_KEY_BYTES],
                               uint8_t ret_shared[static AGREEMENT_KEY_BYTES])
{
    struct error *err = NULL;
    struct agreement_key *key = NULL;
    TRY(agreement_key_new(secret, &key));
    TRY(agreement_key_derive(key, public_key, ret_shared));
done:
    agreement_key_free(key);
    return err;
}

struct error *agreement_expand(const void *key, size_t key_bytes, const void *salt, size_t salt_bytes,
                               const void *info, size_t info_bytes, uint8_t *ret_bytes, size_t bytes)
{
    struct error *err = NULL;
    char sha256[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, sha256, 0),
        octets(OSSL_KDF_PARAM_KEY, key, key_bytes),
        octets(OSSL_KDF_PARAM_SALT, salt, salt_bytes),
        octets(OSSL_KDF_PARAM_INFO, info, info_bytes),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
    if (context == NULL || EVP_KDF_derive(context, ret_bytes, bytes, parameters) != 1)
        err = openssl_error("deriving a key");
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return err;
}
