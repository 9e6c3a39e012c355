/* What the steps of secure aggregation that the socket thread answers have in common: Advertise, Share
 * (request_keys.c), Agree and Unmask (request_agree.c). What each writes is one transaction of site.db:
 *
 *     request_secagg_open     the receipt that came along, then BEGIN IMMEDIATE: the chain is not contradicted, the
 *                             approval holds, the policy of now admits the roster, the run is going on
 *       … the checks of crypto/secagg_*.h, what is computed, store_secagg_*, the event …
 *     request_secagg_reply    commits; only then is there anything to send
 *     request_secagg_close    rolls back what was not committed
 *
 * Share computes for long, and lets others write meanwhile, between request_secagg_pause and request_secagg_resume.
 *
 * What was answered before is answered again with the stored bytes, and nothing is written. */
#pragma once

#include "datasite/request_parts.h"
#include "datasite/secagg_cache.h"
#include "datasite/secagg_roster.h"
#include "datasite/store_secagg.h"

struct secagg_request {
    const struct requests *requests;
    const struct request *request;
    struct approval approval;
    struct secagg_roster roster;
    struct secagg_run run;
    struct digest job_id;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    uint64_t arrived; /* sequence of the receipt that came along; 0: none */
    int64_t now;
};

/* `begins`: the run may begin with this message. */
MUST_USE struct error *request_secagg_open(const struct requests *requests, const struct request *request,
                                           const ProtobufCBinaryData *job_id,
                                           const ProtobufCBinaryData *run_id, const Fds__Witness *witness,
                                           bool begins, struct secagg_request *ret_open);
/* Ends the transaction, in which nothing was written, and begins another one in which all that was admitted is looked at again; the
 * roster and the run follow from the job, and stay. */
void request_secagg_pause(struct secagg_request *open);
MUST_USE struct error *request_secagg_resume(struct secagg_request *open);
void request_secagg_close(struct secagg_request *open);

/* Adds the event of a step, about the bytes that leave or were signed. */
MUST_USE struct error *request_secagg_event(const struct secagg_request *open, enum event_kind kind,
                                            uint32_t round, const char *detail, const void *bytes,
                                            size_t count);
/* Commits, logs, and hands `body` out, which it takes over when it succeeds. `again`: nothing was written. */
MUST_USE struct error *request_secagg_reply(struct secagg_request *open, enum event_kind kind, uint32_t round,
                                            bool again, uint32_t type, uint8_t **body, size_t body_bytes,
                                            struct reply *ret_reply);
/* A copy of stored bytes, to hand out. */
MUST_USE struct error *request_secagg_copy(const uint8_t *bytes, size_t count, uint8_t **ret_bytes);
