/* A consortium's certificate authority: made once by `orchestrator init --ca`, it issues certificates for the
 * requests of sites and keeps a revocation list.
 *
 * Files below `ca_directory` (0700): ca.key (0600), ca.crt, ca.crl (signed list, 30 days), issued/ (one PEM
 * file a serial number). Serial numbers are 128 random bits. Signing a request copies only its public key and
 * common name; extensions asked for are ignored.
 */
#pragma once

#include "crypto/identity.h"

struct authority;

MUST_USE struct error *authority_create(const char *ca_directory, const char *name,
                                        struct authority **ret_authority);
MUST_USE struct error *authority_load(const char *ca_directory, struct authority **ret_authority);
void authority_free(struct authority *authority);

/* A PEM certificate signing request (PKCS#10) for the identity's key. *ret_pem is malloc'ed and NUL
 * terminated. */
MUST_USE struct error *identity_request(const struct identity *identity, char **ret_pem);

/* Verifies the request's own signature, and issues a leaf valid for `days` (1 to 825). *ret_pem holds the
 * leaf and then the CA's certificate; *ret_id is whose it is. */
MUST_USE struct error *authority_issue(struct authority *authority, const char *request_pem, int days,
                                       struct site_id *ret_id, char **ret_pem);

/* Revokes every certificate that was issued for `id` and writes ca.crl anew. ERROR_NOT_FOUND if there is
 * none. */
MUST_USE struct error *authority_revoke(struct authority *authority, const struct site_id *id);

/* Replaces keys/identity.crt by `chain_pem` after checking that it is for the identity's key, that the next
 * certificate in it signed the leaf, and that it is valid now. The self-signed one is kept as
 * identity.self.crt. */
MUST_USE struct error *identity_install(const char *keys_directory, const char *chain_pem);
