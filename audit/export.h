/* An export of a site's events: JSON Lines that anybody can check offline with nothing but the site's certificate.
 *
 *     {"export":1,"site":"sha256:…","name":"…","from":1,"to":812,"previous":"<hex of hash(from-1)>","unsigned":0}
 *     {"sequence":1,"at":"2026-11-22T09:00:00Z","kind":"site-created","detail":"…","hash":"…"}        one an event
 *     {"sequence":2,…,"job_id":"…","run_id":"…","round":3,"digest":"…","hash":"…"}     keys only where there is one
 *     {"head":812,"hash":"…","signature":"…"}
 *
 * "unsigned" counts events at the beginning that were written before the chain existed (they have no "hash" of their
 * own, and are covered by the hashes that follow). An export may begin later than the first event ("from"): then what
 * came before is covered by "previous", which is known only to whoever has the rest. "name" is the common name of the
 * site's certificate. Every line is written in one form only, so that no byte can be changed unnoticed. */
#pragma once

#include "audit/chain.h"
#include "audit/receipt.h"

#include <stdio.h>

#define EXPORT_LINE_BYTES (256 * 1024) /* longest line, with its end */
#define EXPORT_KIND_BYTES 65           /* of an event's kind, with its NUL */

struct export_summary {
    struct site_id site;
    char name[65];
    uint64_t from, to; /* sequences */
    uint64_t unsigned_events;
    struct digest head;
};

/* Reads an export from `stream`, line by line (ERROR_LIMIT for one over EXPORT_LINE_BYTES), recomputes the chain and verifies the head
 * with the key of the PEM certificate at `certificate_path`, whose fingerprint whoever calls compares with what the
 * site told them. `visit`, if given, gets each event as it is read (hash NULL: an unsigned one): before the head is
 * verified, which is at the end. ERROR_UNTRUSTED names the first event that does not hold; ERROR_INVALID names a line that is no event; both name
 * `where`. */
MUST_USE struct error *export_verify(FILE *stream, const char *where, const char *certificate_path,
                                     struct error *(*visit)(void *context, const struct chain_event *event,
                                                            const struct digest *hash),
                                     void *context, struct export_summary *ret_summary);

/* Writing, for the site: header, then events in order, then the head. */
MUST_USE struct error *export_write_header(FILE *stream, const struct export_summary *summary,
                                           const struct digest *previous);
MUST_USE struct error *export_write_event(FILE *stream, const struct chain_event *event,
                                          const struct digest *hash); /* hash NULL: an unsigned one */
MUST_USE struct error *export_write_head(FILE *stream, const struct chain_head *head,
                                         const uint8_t signature[static SIGNATURE_BYTES]);
