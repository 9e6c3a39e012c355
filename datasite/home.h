/* A datasite's home directory (mode 0700):
 *
 *     site.yaml    who this site is, where it listens            schemas/site_config.h
 *     policy.yaml  what may be approved without asking           schemas/policy.h
 *     site.db      datasets, jobs, decisions, releases, events   schemas/sql/datasite_001.sql
 *     keys/        identity.key (0600), identity.crt, split.key (0600: key of the train/test split),
 *                  chain.start (0600: where the chain of events begins, signed)   datasite/chain_start.h
 *                  secagg.count (0600: how often key slots changed)               datasite/store_secagg.h
 *     lock         held by the daemon (flock)
 */
#pragma once

#include "crypto/identity.h"
#include "datasite/store.h"
#include "schemas/site_config.h"

#define SPLIT_KEY_BYTES 32

struct home {
    char *path, *config_path, *policy_path, *database_path, *keys_path, *lock_path;
    struct node_config *config;
};

/* Makes the directory, keys, site.yaml, policy.yaml (asks for everything) and site.db. ERROR_CONFLICT if
 * there is a site already. Leaves nothing behind when it fails half-way. */
MUST_USE struct error *home_create(const char *path, const char *name, const char *listen,
                                   const char *advertise, struct home **ret_home);

/* The same for a site whose data is encrypted from the start, under the vault of this record (home_vault.h). */
MUST_USE struct error *home_create_encrypted(const char *path, const char *name, const char *listen,
                                             const char *advertise, const struct vault_record *record,
                                             struct home **ret_home);

/* Opens what home_create made; ERROR_NOT_FOUND says to run `datasite init`. */
MUST_USE struct error *home_open(const char *path, struct home **ret_home);
void home_free(struct home *home); /* accepts NULL */

/* site.db with the key that signs its events, which begin as keys/chain.start says (chain_start_check): else
 * ERROR_UNTRUSTED. The store borrows the identity: close it first. */
MUST_USE struct error *home_store(const struct home *home, enum store_mode mode,
                                  struct identity **ret_identity, struct store **ret_store);

/* The key of the train/test split, made at init; the caller wipes it. */
MUST_USE struct error *home_split_key(const struct home *home, uint8_t ret_key[static SPLIT_KEY_BYTES]);

/* True, with one sentence, when the certificate is over or will be within 30 days (IDENTITY_WARN_SECONDS):
 * shown by invite, status and serve. */
MUST_USE bool home_certificate_warning(const struct identity *identity, int64_t now, char *ret_sentence,
                                       size_t sentence_bytes);

/* A file with certificates in PEM form (an authority's, or a chain that it issued), as text; ERROR_INVALID
 * for anything else, and above all for a private key. *ret_pem is malloc'ed. */
MUST_USE struct error *home_ca_read(const char *path, char **ret_pem);
/* Copies the authority's certificate to keys/ca.crt and rewrites the one line trust.ca of site.yaml.
 * *ret_edited is false when site.yaml is laid out in another way than init does; a person then writes the
 * line. */
MUST_USE struct error *home_ca_install(const struct home *home, const char *pem, bool *ret_edited);
