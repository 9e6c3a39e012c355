/* X.509 certificates as this project makes and reads them (RFC 5280, RFC 8410), in OpenSSL's types. For the
 * files of crypto/ and the TLS tunnel; everybody else sees `struct identity`.
 *
 *     leaf        keyUsage digitalSignature, basicConstraints CA:FALSE (both critical), extendedKeyUsage
 *                 clientAuth and serverAuth, subjectAltName URI "urn:fds:<fingerprint>", subject CN = the name
 *     authority   keyUsage keyCertSign and cRLSign, basicConstraints CA:TRUE pathlen:0 (both critical),
 *                 subject OU = "Certificate authority", CN = the name, so that it never equals a leaf's
 *     both        version 3, a serial number of 128 random bits, subjectKeyIdentifier, authorityKeyIdentifier
 *                 when issued by another, valid from one hour ago because clocks differ
 *
 * Outputs are owned by the caller and freed with OpenSSL's functions.
 */
#pragma once

#include "crypto/identity.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#define CERTIFICATE_CHAIN_MAX 8 /* certificates in one file: a leaf, its issuers, and room to spare */
#define CERTIFICATE_TEXT_BYTES_MAX 65536 /* PEM text of a chain or a request that is looked at */
#define CERTIFICATE_SERIAL_BYTES 16      /* random, big-endian */
#define CERTIFICATE_SERIAL_DIGITS 32     /* the same in hexadecimal */
#define CERTIFICATE_BACKDATE_SECONDS 3600

enum certificate_kind {
    CERTIFICATE_LEAF,
    CERTIFICATE_AUTHORITY,
};

/* What to issue. `issuer` NULL: self-signed, and issuer_key is the private half of `key`. */
struct certificate_plan {
    enum certificate_kind kind;
    const char *name; /* checked with identity_name_check */
    EVP_PKEY *key;    /* whose public half the certificate is for */
    X509 *issuer;
    EVP_PKEY *issuer_key;
    int days; /* from now; cut at the end of the issuer's own validity */
};

MUST_USE struct error *certificate_issue(const struct certificate_plan *plan, X509 **ret_certificate);

/* A new Ed25519 key. */
MUST_USE struct error *certificate_key_new(EVP_PKEY **ret_key);

/* PKCS#8 PEM text, unencrypted: keyfile_free wipes it. */
MUST_USE struct error *certificate_key_write(EVP_PKEY *key, char **ret_pem, size_t *ret_bytes);

/* The private key in PEM text; `where` names it in sentences. ERROR_CORRUPT for anything else, also an
 * encrypted key: nobody is there to type a password. */
MUST_USE struct error *certificate_key_read(const char *where, const char *pem, size_t bytes,
                                            EVP_PKEY **ret_key);

/* The same for a file that nobody else may read (keyfile_read). */
MUST_USE struct error *certificate_key_load(const char *path, EVP_PKEY **ret_key);

/* Reads every certificate of a PEM text: the first to *ret_leaf, the others in order to *ret_rest (may be
 * empty, never NULL). ERROR_CORRUPT for none, a damaged one, or text over CERTIFICATE_TEXT_BYTES_MAX;
 * ERROR_LIMIT for more than CERTIFICATE_CHAIN_MAX. */
MUST_USE struct error *certificate_chain_read(const char *where, const char *pem, size_t bytes,
                                              X509 **ret_leaf, STACK_OF(X509) * *ret_rest);

MUST_USE struct error *certificate_chain_load(const char *path, X509 **ret_leaf, STACK_OF(X509) * *ret_rest);

/* PEM text of the leaf and the rest (which may be NULL); malloc'ed, NUL terminated. */
MUST_USE struct error *certificate_chain_write(X509 *leaf, STACK_OF(X509) * rest, char **ret_pem);

/* Checks that each certificate was signed by the next; a last one that names itself as its issuer must have
 * signed itself. Dates and extensions are not looked at. ERROR_UNTRUSTED. */
MUST_USE struct error *certificate_chain_links(const char *where, X509 *leaf, STACK_OF(X509) * rest);

/* The one common name in a subject. ERROR_UNTRUSTED if there is none, more than one, or identity_name_check
 * says no. */
MUST_USE struct error *certificate_common_name(const char *where, X509_NAME *subject,
                                               char ret_name[static IDENTITY_NAME_BYTES]);

/* Unix seconds of a time in a certificate or a revocation list. */
MUST_USE struct error *certificate_time(const ASN1_TIME *time, int64_t *ret_seconds);

/* The serial number as lower-case hex digits. ERROR_UNTRUSTED if it is longer than those that are given out
 * here. */
MUST_USE struct error *certificate_serial(X509 *certificate,
                                          char ret_hex[static CERTIFICATE_SERIAL_DIGITS + 1]);

/* SHA-256 of the key's SubjectPublicKeyInfo, of any kind of key. */
MUST_USE struct error *certificate_key_id(EVP_PKEY *key, struct site_id *ret_id);

MUST_USE bool certificate_key_is_ed25519(const EVP_PKEY *key);
MUST_USE bool certificate_key_may_issue(const EVP_PKEY *key); /* Ed25519 or P-256 */

/* What X509_sign and its relatives take: NULL for Ed25519, which hashes by itself, SHA-256 for the others. */
const EVP_MD *certificate_signing_digest(const EVP_PKEY *key);

/* The text in a memory BIO, malloc'ed, with a NUL behind it. */
MUST_USE struct error *certificate_text(BIO *memory, char **ret_text, size_t *ret_bytes);
