/* The part of identity.h that is about identifiers alone. */
#include "crypto/identity.h"

#define SITE_ID_PREFIX "sha256:"
#define SITE_ID_PREFIX_BYTES (sizeof(SITE_ID_PREFIX) - 1)

/* DER of every Ed25519 SubjectPublicKeyInfo up to the key itself (RFC 8410, section 4): SEQUENCE { SEQUENCE {
 * OID 1.3.101.112 }, BIT STRING }. Written out because every message needs it, and a general encoder takes 36
 * µs. */
static const uint8_t site_id_spki_prefix[12] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                                0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

struct error *site_id_of_key(const uint8_t public_key[static PUBLIC_KEY_BYTES], struct site_id *ret_id)
{
    uint8_t info[sizeof(site_id_spki_prefix) + PUBLIC_KEY_BYTES];
    memcpy(info, site_id_spki_prefix, sizeof(site_id_spki_prefix));
    memcpy(info + sizeof(site_id_spki_prefix), public_key, PUBLIC_KEY_BYTES);
    return digest_of(info, sizeof(info), &ret_id->digest);
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
