/* An orchestrator's home directory (mode 0700):
 *
 *     orchestrator.yaml  who this node is, where it listens, which CA it trusts   schemas/site_config.h
 *     sites              the datasites that it knows, one invitation a line       orchestrator/site_list.h
 *     keys/              identity.key (0600), identity.crt
 *     runs/              one folder a run                                         orchestrator/run_store.h
 *     ca/                only after `init --ca`: a consortium's authority         crypto/authority.h
 *     witness/           of each site the latest receipt that it gave                orchestrator/witness.h
 *     sockets/           local sockets of running programs
 */
#pragma once

#include "crypto/identity.h"
#include "schemas/site_config.h"

struct home {
    char *path, *config_path, *sites_path, *keys_path, *runs_path, *ca_path, *sockets_path, *witness_path;
    struct node_config *config;
};

/* Makes all of it, under a temporary name first, so that nothing is left behind when it fails half-way.
 * `listen` NULL: it dials only. With `with_ca` it makes an authority too, presents a certificate issued by
 * it, and trusts the sites that it vouches for. ERROR_CONFLICT if something is there already. */
MUST_USE struct error *home_create(const char *path, const char *name, const char *listen, bool with_ca,
                                   struct home **ret_home);

/* Whether there is a home; ERROR_NOT_FOUND says to run `orchestrator init`. Nothing is read. */
MUST_USE struct error *home_check(const char *path);

/* As home_check, and reads the configuration. */
MUST_USE struct error *home_open(const char *path, struct home **ret_home);
void home_free(struct home *home); /* accepts NULL */

/* Gives an existing home its authority; ERROR_CONFLICT if it has one, or if orchestrator.yaml names another.
 */
MUST_USE struct error *home_add_authority(struct home *home);

/* Sets *ret_warning (malloc'ed) to a sentence when the certificate expires within 30 days or has expired,
 * else to NULL. */
MUST_USE struct error *home_expiry_warning(const struct identity *identity, int64_t now_seconds,
                                           char **ret_warning);
