/* What a `struct authority` is made of, for crypto/authority*.c only. */
#pragma once

#include "crypto/authority.h"
#include "crypto/certificate.h"

#include <sys/types.h>

#define AUTHORITY_KEY_FILE "ca.key"
#define AUTHORITY_CERTIFICATE_FILE "ca.crt"
#define AUTHORITY_LIST_FILE "ca.crl"
#define AUTHORITY_ISSUED_DIRECTORY "issued"
#define AUTHORITY_ISSUED_SUFFIX ".pem"
#define AUTHORITY_ISSUED_NAME_BYTES (CERTIFICATE_SERIAL_DIGITS + sizeof("/" AUTHORITY_ISSUED_SUFFIX))

struct authority {
    char *directory;
    EVP_PKEY *key;
    X509 *certificate;
};

/* Writes `name` in the authority's directory, whole or not at all. */
MUST_USE struct error *authority_write(const struct authority *authority, const char *name, const char *text,
                                       size_t bytes, mode_t mode);

/* Keeps two programs from each writing a list without the other's revocations. ERROR_BUSY at once when
 * another has the lock; the caller closes *ret_lock. */
MUST_USE struct error *authority_lock(const struct authority *authority, int *ret_lock);

/* Signs and writes ca.crl with the entries of `revoked` (NULL: none), after `previous` (NULL: the first
 * list). */
MUST_USE struct error *authority_write_list(const struct authority *authority, X509_CRL *previous,
                                            STACK_OF(X509_REVOKED) * revoked);

/* Signs ca.crl anew, with the same entries, if the date of its next issue has passed. */
MUST_USE struct error *authority_renew_list(const struct authority *authority);
