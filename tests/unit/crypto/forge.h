/* Keys and certificates as nobody at this project makes them: expired, for the wrong key, of the wrong kind.
 * Made with OpenSSL alone, so that the tests don't rest on what they test. */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>

enum forge_kind {
    FORGE_LEAF,
    FORGE_LEAF_FOR_SERVERS, /* extendedKeyUsage serverAuth only */
    FORGE_CA,
};

struct forge_plan {
    enum forge_kind kind;
    const char *name; /* NULL: no common name */
    EVP_PKEY *key;
    X509 *issuer; /* NULL: self-signed */
    EVP_PKEY *issuer_key;
    int64_t not_before; /* Unix seconds */
    int64_t not_after;
};

EVP_PKEY *forge_key(const char *kind);                   /* "ED25519", "P-256", "P-384" or "RSA" */
EVP_PKEY *forge_key_of(const uint8_t secret[static 32]); /* Ed25519 */
X509 *forge_certificate(const struct forge_plan *plan);

/* A self-signed leaf called "site", valid a day each way. */
X509 *forge_plain(EVP_PKEY *key);

/* PEM text of up to two certificates, malloc'ed. */
char *forge_pem(X509 *first, X509 *second);

/* Writes identity.key (0600) and identity.crt into `directory`. */
void forge_identity(const char *directory, EVP_PKEY *key, X509 *certificate);

/* Reads PEM files. */
EVP_PKEY *forge_read_key(const char *path);
X509 *forge_read_certificate(const char *path);
X509 *forge_read_certificate_text(const char *pem);
X509_CRL *forge_read_list(const char *path);

/* The result of verifying `leaf` against the authority and its list (NULL: none): an X509_V_ number. */
int forge_verify(X509 *leaf, X509 *authority, X509_CRL *list);
