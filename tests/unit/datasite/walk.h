/* An auditor's walk along the events of a site, with audit/chain.h and the site's public key alone. */
#pragma once

#include "datasite/store.h"

struct walk {
    uint64_t events, unsigned_events;
    uint64_t first_bad; /* the number of the first event that does not hold: 0 when all do */
};

/* Recomputes the chain from its beginning; also bad: a number that is left out, an event without hash behind one that
 * has it, a signature that does not hold, a number that was given and is not there at the end. */
struct walk walk_events(struct store *store, const struct identity *identity);
