/* keys/chain.start (0600): where a site's chain of events begins, signed by the site and kept outside site.db
 * (chain_beginning_sign of audit/chain.h). Whoever can write site.db alone can wipe the hashes of its events, but cannot
 * make them look older than the chain: this file says how many are.
 *
 * A home is made with it, for 0 events. In a home of version 1, which had no chain, it is made by the first command
 * that writes: first the event "chain-started", behind the unsigned events and signed, then the file; a command that was
 * killed between the two is finished by the next. It is made again when it is missing and the first signed event
 * still proves it: a "site-created" that is event 1, or a "chain-started". Nothing is made, and the command fails,
 * when it is missing and event 1 is an unsigned "site-created": such a site never wrote an event without its hash.
 *
 * What it cannot show: whoever can write the whole home can delete it with the hashes, and let the site start anew; the
 * receipts that were given out contradict that. */
#pragma once

#include "datasite/store.h"

#define CHAIN_START_FILE "chain.start"

/* Whether the events of `store` begin as the file in `keys_path` says, and from then on an empty table of events is a
 * changed file to this store. Mode STORE_WRITE makes the file where that may be done, and so may add one event; not inside a
 * transaction. The store has its identity. ERROR_UNTRUSTED when site.db or the file was changed, with what to do;
 * ERROR_IO. */
MUST_USE struct error *chain_start_check(const char *keys_path, enum store_mode mode,
                                         const struct identity *identity, struct store *store);
