/* Who a node is: an Ed25519 key, the X.509 certificate for it, and the fingerprint that others pin.
 *
 *     site_id     = SHA-256(DER SubjectPublicKeyInfo)            32 bytes, sorts and compares
 *     fingerprint = "sha256:" + 64 lower-case hex digits of it   what people read and files contain
 *
 * A node starts with a self-signed certificate (peers pin the fingerprint). It may instead present a
 * certificate that a consortium's CA issued for its request: same key, same fingerprint. Leaf keys are
 * Ed25519; CA keys are Ed25519 too when made here, P-256 is accepted for CAs made elsewhere.
 *
 * Files (PEM): keys/identity.key (PKCS#8, mode 0600, refused when readable by group or others),
 * keys/identity.crt (leaf first, then intermediates). Written to a temporary file, synced, renamed.
 */
#pragma once

#include "crypto/digest.h"
#include "schemas/error.h"

#include <stdint.h>

#define FINGERPRINT_BYTES (7 + DIGEST_HEX_BYTES) /* with the final NUL */
#define PUBLIC_KEY_BYTES 32
#define SIGNATURE_BYTES 64
#define IDENTITY_DAYS 825             /* validity of a self-signed or issued leaf certificate */
#define IDENTITY_CA_DAYS 3650         /* validity of a CA certificate made here */
#define IDENTITY_WARN_SECONDS 2592000 /* expiry is warned about 30 days ahead */
#define IDENTITY_NAME_BYTES 65        /* a common name: 1 to 64 bytes of UTF-8 without control characters */

/* SHA-256 of a SubjectPublicKeyInfo. */
struct site_id {
    struct digest digest;
};

/* ERROR_INVALID unless `name` can be a common name: 1 to 64 bytes of printable UTF-8 (text_title of
 * schemas/text.h). */
MUST_USE struct error *identity_name_check(const char *name);

struct identity; /* a private key with its certificate chain; wiped when freed */

/* Makes a key and a self-signed certificate with common name `name`, and writes both below `keys_directory`
 * (created 0700). ERROR_CONFLICT if a key is there already. */
MUST_USE struct error *identity_create(const char *keys_directory, const char *name,
                                       struct identity **ret_identity);

/* Loads both files. ERROR_UNTRUSTED for a key file with open permissions (the sentence gives the chmod
 * command), a certificate that is for another key or was changed, or a key that is not Ed25519;
 * ERROR_NOT_FOUND for a missing file; ERROR_CORRUPT for one that is empty, cut off, encrypted or not PEM. An
 * expired certificate loads. */
MUST_USE struct error *identity_load(const char *keys_directory, struct identity **ret_identity);

/* Of whom a certificate file (PEM, leaf first) speaks: the raw key and the common name of its first certificate, whose
 * signature by itself or by the next one in the file holds. Who vouches for it, and its dates, are not judged: whoever
 * uses the key compares the fingerprint with what the site told them. ERROR_UNTRUSTED for a key that is not Ed25519,
 * ERROR_NOT_FOUND, ERROR_CORRUPT. */
MUST_USE struct error *identity_of_certificate(const char *path, uint8_t ret_key[static PUBLIC_KEY_BYTES],
                                               char ret_name[static IDENTITY_NAME_BYTES]);

void identity_free(struct identity *identity); /* accepts NULL */

const struct site_id *identity_id(const struct identity *identity);
const char *identity_name(const struct identity *identity);  /* common name of the certificate */
int64_t identity_not_after(const struct identity *identity); /* Unix seconds */
void identity_public_key(const struct identity *identity, uint8_t ret_key[static PUBLIC_KEY_BYTES]);

/* Opaque OpenSSL handles for transport/tunnel only: EVP_PKEY *, X509 * (leaf), STACK_OF(X509) * (the rest).
 * They stay owned by the identity. */
void *identity_openssl_key(const struct identity *identity);
void *identity_openssl_certificate(const struct identity *identity);
void *identity_openssl_chain(const struct identity *identity);

/* Ed25519 (RFC 8032) over `bytes` bytes. */
MUST_USE struct error *identity_sign(const struct identity *identity, const void *data, size_t bytes,
                                     uint8_t ret_signature[static SIGNATURE_BYTES]);

/* ERROR_UNTRUSTED unless `signature` over the data was made with the private half of `public_key`. */
MUST_USE struct error *signature_verify(const uint8_t public_key[static PUBLIC_KEY_BYTES], const void *data,
                                        size_t bytes, const uint8_t signature[static SIGNATURE_BYTES]);

/* The site_id of a raw Ed25519 public key. */
MUST_USE struct error *site_id_of_key(const uint8_t public_key[static PUBLIC_KEY_BYTES],
                                      struct site_id *ret_id);

void site_id_format(const struct site_id *id, char ret_fingerprint[static FINGERPRINT_BYTES]);
/* ERROR_INVALID unless `text` is "sha256:" and 64 lower-case hex digits. */
MUST_USE struct error *site_id_parse(const char *text, struct site_id *ret_id);
MUST_USE bool site_id_equal(const struct site_id *a, const struct site_id *b);
/* <0, 0, >0 as memcmp: roster order. */
int site_id_compare(const struct site_id *a, const struct site_id *b);
