/* The part of identity.h that is about identifiers alone. */
#include "crypto/certificate.h"
#include "crypto/openssl_error.h"

#define SITE_ID_PREFIX "sha256:"
#define SITE_ID_PREFIX_BYTES (sizeof(SITE_ID_PREFIX) - 1)

struct error *site_id_of_key(const uint8_t public_key[static PUBLIC_KEY_BYTES], struct site_id *ret_id)
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, PUBLIC_KEY_BYTES);
    if (key == NULL)
        return openssl_error("reading a public key");
    struct error *err = certificate_key_id(key, ret_id);
    EVP_PKEY_free(key);
    return err;
}

void site_id_format(const struct site_id *id, char ret_fingerprint[static FINGERPRINT_BYTES])
{
    memcpy(ret_fingerprint, SITE_ID_PREFIX, SITE_ID_PREFIX_BYTES);
    digest_hex(&id->digest, ret_fingerprint + SITE_ID_PREFIX_BYTES);
}

struct error *site_id_parse(const char *text, struct site_id *ret_id)
{
    if (strncmp(text, SITE_ID_PREFIX, SITE_ID_PREFIX_BYTES) != 0 ||
        !digest_parse(text + SITE_ID_PREFIX_BYTES, &ret_id->digest))
        return error_new(
            ERROR_INVALID,
            "A fingerprint is \"sha256:\" and 64 digits of 0 to 9 and a to f; this text is not one.");
    return NULL;
}

bool site_id_equal(const struct site_id *a, const struct site_id *b)
{
    return digest_equal(&a->digest, &b->digest);
}

int site_id_compare(const struct site_id *a, const struct site_id *b)
{
    return memcmp(a->digest.bytes, b->digest.bytes, DIGEST_BYTES);
}
