/* What a `struct identity` is made of, for crypto/identity*.c only. */
#pragma once

#include "crypto/certificate.h"

#define IDENTITY_KEY_FILE "identity.key"
#define IDENTITY_CERTIFICATE_FILE "identity.crt"
#define IDENTITY_SELF_FILE                                                                                   \
    "identity.self.crt" /* what identity.crt was before a CA's certificate was installed */

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
    STACK_OF(X509) * chain; /* issuers, nearest first; empty for a self-signed certificate */
    struct site_id id;
    char name[IDENTITY_NAME_BYTES];
    int64_t not_after;
    uint8_t public_key[PUBLIC_KEY_BYTES];
};

/* Puts an identity together; key, certificate and chain belong to it afterwards, and are freed if it fails.
 * ERROR_UNTRUSTED if the key is not Ed25519, the certificate is for another key, or the chain does not hold.
 * `where` names the certificate in sentences. */
MUST_USE struct error *identity_of_parts(const char *where, EVP_PKEY *key, X509 *certificate,
                                         STACK_OF(X509) * chain, struct identity **ret_identity);
