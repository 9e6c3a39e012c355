/* What one thread remembers of secure aggregation between messages: the keysets of the two batches that it used last, whose
 * adverts were checked, and signatures that held. Everything in it can be computed again from site.db. */
#pragma once

#include "crypto/secagg_keyset.h"
#include "datasite/store.h"

struct secagg_cache;
MUST_USE struct error *secagg_cache_open(struct secagg_cache **ret_cache);
/* One for another thread: what held for the one holds for both. */
MUST_USE struct error *secagg_cache_open_beside(struct secagg_cache *other, struct secagg_cache **ret_cache);
void secagg_cache_close(struct secagg_cache *cache); /* accepts NULL */
/* Borrowed; for secagg_verify and its like. */
struct secagg_memo *secagg_cache_memo(struct secagg_cache *cache);

/* The keyset of the batch that has this slot, as it is stored; borrowed until the next but one call. NULL when this site took
 * no part in it: it advertised no such slot, or was given no adverts for it. */
MUST_USE struct error *secagg_cache_keyset(struct secagg_cache *cache, struct store *store,
                                           const struct secagg_run *run, uint32_t slot,
                                           const struct secagg_keyset **ret_keyset);
