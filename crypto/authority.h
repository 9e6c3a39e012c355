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

/* Makes the directories, the key, the certificate (10 years, OU "Certificate authority", CN `name`) and an
 * empty list. ERROR_CONFLICT if there is a key already. */
MUST_USE struct error *authority_create(const char *ca_directory, const char *name,
                                        struct authority **ret_authority);

/* Loads key and certificate, and signs the list anew if its 30 days are over. ERROR_UNTRUSTED for a key file
 * with open permissions or files that do not belong together, ERROR_NOT_FOUND for a missing file, also the
 * list: without it revoked certificates would be accepted again; ERROR_CORRUPT for one that this authority
 * did not sign. An expired authority loads, and can still revoke. */
MUST_USE struct error *authority_load(const char *ca_directory, struct authority **ret_authority);
void authority_free(struct authority *authority); /* accepts NULL */

/* A PEM certificate signing request (PKCS#10) for the identity's key. *ret_pem is malloc'ed and NUL
 * terminated. */
MUST_USE struct error *identity_request(const struct identity *identity, char **ret_pem);

/* Verifies the request's own signature, and issues a leaf valid for `days` (1 to 825; at most as long as the
 * CA itself). *ret_pem holds the leaf and then the CA's certificate, malloc'ed; *ret_id is whose it is.
 * ERROR_INVALID for days out of range or text that is not a request; ERROR_UNTRUSTED for one that was
 * changed, is not for an Ed25519 key, or has not exactly one common name that identity_name_check accepts;
 * ERROR_EXPIRED when the CA is. */
MUST_USE struct error *authority_issue(struct authority *authority, const char *request_pem, int days,
                                       struct site_id *ret_id, char **ret_pem);

/* Revokes every certificate that was issued for `id` and writes ca.crl anew. ERROR_NOT_FOUND if there is
 * none; ERROR_BUSY while another program revokes; ERROR_CORRUPT if a file in issued/ cannot be read, because
 * it may be the one that has to be revoked. */
MUST_USE struct error *authority_revoke(struct authority *authority, const struct site_id *id);

/* Replaces keys/identity.crt by `chain_pem` (leaf first, each certificate followed by the one that signed it)
 * after checking that it is for the identity's key, that the next certificate in it signed the leaf, that it
 * may be used for both ends of TLS, and that it is valid now. The self-signed one is kept as
 * identity.self.crt. ERROR_UNTRUSTED, ERROR_EXPIRED (also: not valid yet), ERROR_CORRUPT for text that is not
 * certificates; nothing is changed then. */
MUST_USE struct error *identity_install(const char *keys_directory, const char *chain_pem);
