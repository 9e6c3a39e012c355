/* A certificate authority's revocation list (RFC 5280, section 5), version 2: signed by the authority, with a
 * number that grows, good for 30 days. Pure functions over OpenSSL's types; authority.c keeps the file.
 */
#pragma once

#include "schemas/error.h"

#include <openssl/x509.h>

#define REVOCATION_DAYS 30
#define REVOCATION_TEXT_BYTES_MAX 16777216 /* about 200000 revoked certificates */

/* Adds what is revoked at `moment` to *revoked, unless it is there already. */
MUST_USE struct error *revocation_add(STACK_OF(X509_REVOKED) * revoked, const ASN1_INTEGER *serial,
                                      time_t moment);

/* A list of `revoked`, valid from one hour ago, numbered one above `previous` (NULL: the first list, number
 * 1). The caller keeps `revoked`. */
MUST_USE struct error *revocation_sign(X509 *issuer, EVP_PKEY *issuer_key, X509_CRL *previous,
                                       STACK_OF(X509_REVOKED) * revoked, X509_CRL **ret_list);

/* Reads a list in PEM form and checks that `issuer` signed it: ERROR_CORRUPT otherwise. */
MUST_USE struct error *revocation_read(const char *where, const char *pem, size_t bytes, X509 *issuer,
                                       X509_CRL **ret_list);

/* PEM text, malloc'ed, NUL terminated. */
MUST_USE struct error *revocation_write(X509_CRL *list, char **ret_pem);

/* What a list revokes, as an own copy. */
MUST_USE struct error *revocation_entries(X509_CRL *list, STACK_OF(X509_REVOKED) * *ret_revoked);

/* Whether the date of its next issue has passed. */
MUST_USE bool revocation_is_old(X509_CRL *list);
