/* What one thread remembers of secure aggregation between messages: the keysets of the two batches that it used last, whose
 * adverts were checked, signatures that held, and what this site's keys agreed on with others'. Everything in it can be
 * computed again from site.db. */
#pragma once

#include "crypto/agreement_memory.h"
#include "crypto/secagg_keyset.h"
#include "datasite/store.h"

struct secagg_cache;
MUST_USE struct error *secagg_cache_open(struct secagg_cache **ret_cache);
/* One for another thread: what held for the one holds for both. */
MUST_USE struct error *secagg_cache_open_beside(struct secagg_cache *other, struct secagg_cache **ret_cache);
void secagg_cache_close(struct secagg_cache *cache); /* accepts NULL */
/* Borrowed; for secagg_verify and its like. */
struct secagg_memo *secagg_cache_memo(struct secagg_cache *cache);

/* Borrowed; for secagg_share.h. What is of slots up to one that was unmasked is forgotten with it, by whoever did that; what
 * no unmasking came to, because the round or the run ended otherwise, is forgotten after at most two calls of
 * secagg_cache_age, whose caller sees to SECAGG_CACHE_AGE_MS between two. */
struct agreement_memory *secagg_cache_agreed(struct secagg_cache *cache);
#define SECAGG_CACHE_AGE_MS 30000
void secagg_cache_age(struct secagg_cache *cache);

/* The keyset of the batch that has this slot, as it is stored; borrowed until the next but one call. NULL when this site took
 * no part in it: it advertised no such slot, or was given no adverts for it. */
MUST_USE struct error *secagg_cache_keyset(struct secagg_cache *cache, struct store *store,
                                           const struct secagg_run *run, uint32_t slot,
                                           const struct secagg_keyset **ret_keyset);
