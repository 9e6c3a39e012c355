#include "datasite/secagg_cache.h"

#include "crypto/secagg_wire.h"
#include "datasite/store_secagg.h"

#define CACHE_KEYSETS 2
#define CACHE_SIGNATURES 4096
#define CACHE_AGREED 1024 /* two batches of a job with thirty sites */

struct cache_entry {
    struct digest job_hash;
    uint8_t run_id[SECAGG_RUN_ID_BYTES];
    struct site_id *roster; /* that the keyset borrows */
    struct secagg_keyset *keyset;
};

struct secagg_cache {
    struct secagg_memo *memo;
    struct agreement_memory *agreed;
    struct cache_entry entries[CACHE_KEYSETS]; /* [0]: used last */
};

static void entry_clear(struct cache_entry *entry)
{
    secagg_keyset_free(entry->keyset);
    free(entry->roster);
    *entry = (struct cache_entry){.keyset = NULL};
}

struct error *secagg_cache_open_beside(struct secagg_cache *other, struct secagg_cache **ret_cache)
{
    struct error *err = NULL;
    struct secagg_cache *cache = calloc(1, sizeof(*cache));
    if (cache == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to start.");
    if (other != NULL) {
        cache->memo = secagg_memo_share(other->memo);
        cache->agreed = agreement_memory_share(other->agreed);
    } else {
        TRY(secagg_memo_new(CACHE_SIGNATURES, &cache->memo));
        TRY(agreement_memory_new(CACHE_AGREED, &cache->agreed));
    }
    *ret_cache = cache;
    cache = NULL;
done:
    secagg_cache_close(cache);
    return err;
}

struct error *secagg_cache_open(struct secagg_cache **ret_cache)
{
    return secagg_cache_open_beside(NULL, ret_cache);
}

void secagg_cache_close(struct secagg_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < CACHE_KEYSETS; i++)
        entry_clear(&cache->entries[i]);
    secagg_memo_free(cache->memo);
    agreement_memory_free(cache->agreed);
    free(cache);
}

struct secagg_memo *secagg_cache_memo(struct secagg_cache *cache)
{
    return cache->memo;
}

struct agreement_memory *secagg_cache_agreed(struct secagg_cache *cache)
{
    return cache->agreed;
}

void secagg_cache_age(struct secagg_cache *cache)
{
    agreement_memory_age(cache->agreed);
}

static bool entry_serves(const struct cache_entry *entry, const struct secagg_run *run, uint32_t slot)
{
    return entry->keyset != NULL && digest_equal(&entry->job_hash, &run->job_hash) &&
           memcmp(entry->run_id, run->run_id, SECAGG_RUN_ID_BYTES) == 0 &&
           entry->keyset->run.threshold == run->threshold && secagg_keyset_has_slot(entry->keyset, slot);
}

/* Checks every advert again, as when they came in: the file may have been edited. */
static struct error *entry_make(struct secagg_cache *cache, const struct secagg_run *run,
                                const struct secagg_batch *batch, struct cache_entry *ret_entry)
{
    struct error *err = NULL;
    struct cache_entry entry = {.job_hash = run->job_hash};
    struct secagg_run own = *run;
    memcpy(entry.run_id, run->run_id, SECAGG_RUN_ID_BYTES);
    entry.roster = calloc(run->sites, sizeof(*entry.roster));
    if (entry.roster == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the keys of a round.");
    memcpy(entry.roster, run->roster, run->sites * sizeof(*entry.roster));
    own.roster = entry.roster;
    TRY(secagg_wire_read_keyset(&own, batch->keyset, batch->keyset_bytes, cache->memo, &entry.keyset));
    *ret_entry = entry;
    entry = (struct cache_entry){.keyset = NULL};
done:
    entry_clear(&entry);
    return err;
}

/* To the front. */
static void cache_use(struct secagg_cache *cache, size_t place)
{
    struct cache_entry entry = cache->entries[place];
    memmove(cache->entries + 1, cache->entries, place * sizeof(cache->entries[0]));
    cache->entries[0] = entry;
}

static struct error *cache_load(struct secagg_cache *cache, struct store *store, const struct secagg_run *run,
                                uint32_t slot, bool *ret_found)
{
    struct error *err = NULL;
    struct secagg_batch batch = {.advert = NULL};
    struct cache_entry entry = {.keyset = NULL};
    err = store_secagg_batch(store, run->run_id, slot, &batch);
    if (err != NULL && err->code == ERROR_NOT_FOUND)
        error_clear(&err);
    if (err != NULL || batch.keyset == NULL)
        goto done;
    TRY(entry_make(cache, run, &batch, &entry));
    if (!secagg_keyset_has_slot(entry.keyset, slot)) {
        entry_clear(&entry);
        FAIL(ERROR_UNTRUSTED, "The keys of this slot in the site's database are of other slots.");
    }
    entry_clear(&cache->entries[CACHE_KEYSETS - 1]);
    cache->entries[CACHE_KEYSETS - 1] = entry;
    cache_use(cache, CACHE_KEYSETS - 1);
    *ret_found = true;
done:
    secagg_batch_clear(&batch);
    return err;
}

struct error *secagg_cache_keyset(struct secagg_cache *cache, struct store *store,
                                  const struct secagg_run *run, uint32_t slot,
                                  const struct secagg_keyset **ret_keyset)
{
    struct error *err = NULL;
    bool found = false;
    for (size_t i = 0; i < CACHE_KEYSETS && !found; i++) {
        found = entry_serves(&cache->entries[i], run, slot);
        if (found)
            cache_use(cache, i);
    }
    if (!found)
        TRY(cache_load(cache, store, run, slot, &found));
    *ret_keyset = found ? cache->entries[0].keyset : NULL;
done:
    return err;
}
