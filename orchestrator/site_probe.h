/* Asks known sites whether they are there: dials all of them at once, sends each one signed JobQuery as soon
 * as it is connected, and takes the time until its answer. Bounded by one deadline for all. */
#pragma once

#include "audit/receipt.h"
#include "crypto/identity.h"
#include "schemas/job.h"
#include "transport/session.h"

#define SITE_PROBE_STATE_BYTES 32

struct site_probe {
    const struct job_site *site;           /* in: borrowed */
    struct receipt witness;                /* in: the latest receipt that we hold of it; sequence 0: none */
    bool in_run;                           /* in: not to be asked, because a connection of ours is in use */
    bool up;                               /* it answered */
    double round_trip_ms;                  /* NAN when it did not */
    char reason[SESSION_SENTENCE_BYTES];   /* why it did not, "" when it did */
    char state[SITE_PROBE_STATE_BYTES];    /* of the job: "pending", …; "" when none was asked about, or no
                                              answer */
    char software[SESSION_SOFTWARE_BYTES]; /* what it says it runs; "" when it was not connected */
    struct site_id id;                     /* internal from here */
    uint64_t number;
    double asked_at;
    bool settled;
};

/* session_open for a short visit: when another process of this home has the port, sites that dial in are with that one,
 * and the others can be asked all the same. */
MUST_USE struct error *site_probe_open(const struct session_options *options, struct session **ret_session);

/* Fills probes[count], whose `site` is set, through an open session, and drops them again.
 * `job_id` NULL: no job. A site that cannot be reached is a result; an error means that nothing could be
 * asked at all. */
MUST_USE struct error *site_probe_all(struct session *session, const struct digest *job_id, int deadline_ms,
                                      struct site_probe *probes, size_t count);
