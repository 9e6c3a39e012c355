/* Jobs that were refused when they came in, because they do not fit into the privacy budget of their records, or have no privacy:
 * they are not stored, and who tries what is the owner's to know. An event of the chain (job-refused) tells of each: who asked, and
 * why.
 *
 * A peer can ask as often as it likes with a byte changed, and what the chain has it keeps. So in a day (86400 seconds before `now`)
 * the chain takes one event about the same bytes, REFUSALS_OF_REQUESTER of one requester and REFUSALS_A_DAY in all, lobby included;
 * what is beyond that is in the daemon's log alone (request-refused), which repeats nothing. */
#pragma once

#include "datasite/store.h"

#define REFUSALS_OF_REQUESTER 8
#define REFUSALS_A_DAY 64

struct store_refusal {
    struct digest job_id;
    struct site_id requester;
    const char *requester_name;
    const char *sentence; /* why, in full: a requester whom the owner has not listed is told less */
};

/* ret_added: false where the day has enough of them. */
MUST_USE struct error *store_refusal_add(struct store *store, const struct store_refusal *refusal,
                                         int64_t now, bool *ret_added);
