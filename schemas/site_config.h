/* site.yaml (a datasite's home) and orchestrator.yaml (an orchestrator's home): who this node is, where it
 * listens, whom it trusts, whom it dials. Written by `init` with comments; edited by people and by `trust
 * add`.
 *
 *     # site.yaml                                     # orchestrator.yaml
 *     name: MNIST Part 1                              name: researcher
 *     listen: "tcp://127.0.0.1:54879"   # or null     listen: null            # for sites that dial out to us
 *     advertise: "tcp://localhost:54879"              advertise: null         # what `invite` prints
 *     threads: 1
 *     trust:                                          trust: {ca: null, crl: null}
 *       ca: null                        # PEM file
 *       crl: null
 *     dial: []       # [{name, endpoint, fingerprint}]
 *
 * Fingerprints that a site trusts are kept in site.db (`datasite trust add|list|remove`), those of sites that
 * an orchestrator knows in its `sites` file; dial: lists orchestrators that a site dials out to. Relative
 * paths are relative to the file. */
#pragma once

#include "schemas/job.h"

struct node_config {
    char name[JOB_SITE_NAME_BYTES];
    char listen[JOB_ENDPOINT_BYTES];    /* "" when it does not listen */
    char advertise[JOB_ENDPOINT_BYTES]; /* "" : same as listen */
    uint32_t threads;                   /* 1 to 256; site.yaml only */
    char ca_file[JOB_PATH_BYTES];       /* absolute, "" for none */
    char crl_file[JOB_PATH_BYTES];
    struct job_site *dial; /* site.yaml only */
    size_t dial_count;
};

enum node_kind { NODE_DATASITE, NODE_ORCHESTRATOR };

/* Reads the file at `path`; errors name file, line, column and key. */
MUST_USE struct error *node_config_load(const char *path, enum node_kind kind,
                                        struct node_config **ret_config);
void node_config_free(struct node_config *config);

/* The commented text of a new file; *ret_text is malloc'ed. `listen` NULL gives null. */
MUST_USE struct error *node_config_text(enum node_kind kind, const char *name, const char *listen,
                                        const char *advertise, char **ret_text);

/* "tcp://HOST:PORT", PORT 1 to 65535 (0 allowed when `listening`), HOST a name, IPv4, [IPv6] or "*" when
 * listening. ERROR_INVALID says what would do. */
MUST_USE struct error *endpoint_check(const char *endpoint, bool listening);
