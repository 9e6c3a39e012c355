/* The part of secagg_keyset.h that is about one site's advert. */
#include "crypto/secagg_keyset_parts.h"
#include "crypto/secagg_parts.h"

#define ADVERT_TYPE "advert"
#define ADVERT_HEAD_BYTES (DIGEST_BYTES + SECAGG_RUN_ID_BYTES + DIGEST_BYTES + 4 + 4 + 8 + DIGEST_BYTES)

void secagg_advert_clear(struct secagg_advert *advert)
{
    free(advert->entries);
    *advert = (struct secagg_advert){0};
}

/* ---- entries ---- */

void secagg_entries_write(const struct secagg_entry *entries, size_t count, uint8_t *ret_bytes)
{
    uint8_t *at = ret_bytes;
    for (size_t i = 0; i < count; i++) {
        at = secagg_put(at, entries[i].c, AGREEMENT_KEY_BYTES);
        at = secagg_put(at, entries[i].s, AGREEMENT_KEY_BYTES);
        at = secagg_put(at, entries[i].b.bytes, DIGEST_BYTES);
    }
}

struct error *secagg_entries_read(const uint8_t *bytes, size_t byte_count, struct secagg_entry **ret_entries,
                                  size_t *ret_count)
{
    struct error *err = NULL;
    size_t count = byte_count / SECAGG_ENTRY_BYTES;
    struct secagg_entry *entries = NULL;
    if (count == 0 || count > SECAGG_MAX_BATCH || byte_count % SECAGG_ENTRY_BYTES != 0)
        FAIL(ERROR_INVALID, "%zu bytes are not the keys of 1 to %d slots, %d bytes each.", byte_count,
             SECAGG_MAX_BATCH, SECAGG_ENTRY_BYTES);
    entries = calloc(count, sizeof(*entries));
    if (entries == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the keys of %zu slots.", count);
    for (size_t i = 0; i < count; i++, bytes += SECAGG_ENTRY_BYTES) {
        memcpy(entries[i].c, bytes, AGREEMENT_KEY_BYTES);
        memcpy(entries[i].s, bytes + AGREEMENT_KEY_BYTES, AGREEMENT_KEY_BYTES);
        memcpy(entries[i].b.bytes, bytes + 2 * AGREEMENT_KEY_BYTES, DIGEST_BYTES);
    }
    *ret_entries = entries;
    *ret_count = count;
done:
    return err;
}

/* ---- the signed body ---- */

static struct error *check_slots(const struct secagg_advert *advert)
{
    if (advert->count == 0 || advert->count > SECAGG_MAX_BATCH ||
        advert->count - 1 > UINT32_MAX - advert->first_slot)
        return error_new(ERROR_INVALID, "A batch has 1 to %d slots, numbered in 32 bits; this one has %zu.",
                         SECAGG_MAX_BATCH, advert->count);
    return NULL;
}

/* *ret_body is malloc'ed. */
static struct error *advert_body(const struct secagg_run *run, const struct secagg_advert *advert,
                                 uint8_t **ret_body, size_t *ret_bytes)
{
    struct error *err = NULL;
    uint8_t *body = NULL;
    TRY(check_slots(advert));
    size_t bytes = ADVERT_HEAD_BYTES + advert->count * SECAGG_ENTRY_BYTES;
    body = malloc(bytes);
    if (body == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the keys of %zu slots.", advert->count);
    uint8_t *at = secagg_put(body, run->job_hash.bytes, DIGEST_BYTES);
    at = secagg_put(at, run->run_id, SECAGG_RUN_ID_BYTES);
    at = secagg_put(at, advert->site.digest.bytes, DIGEST_BYTES);
    at = secagg_put_u32(at, advert->first_slot);
    at = secagg_put_u32(at, (uint32_t)advert->count);
    at = secagg_put_u64(at, advert->ledger_sequence);
    at = secagg_put(at, advert->ledger_head.bytes, DIGEST_BYTES);
    secagg_entries_write(advert->entries, advert->count, at);
    *ret_body = body;
    *ret_bytes = bytes;
    body = NULL;
done:
    free(body);
    return err;
}

struct error *secagg_advert_hash(const struct secagg_run *run, const struct secagg_advert *advert,
                                 struct digest *ret_hash)
{
    struct error *err = NULL;
    uint8_t *body = NULL;
    size_t bytes = 0;
    TRY(advert_body(run, advert, &body, &bytes));
    TRY(digest_of(body, bytes, ret_hash));
done:
    free(body);
    return err;
}

struct error *secagg_advert_sign(const struct identity *identity, const struct secagg_run *run,
                                 struct secagg_advert *advert)
{
    struct error *err = NULL;
    uint8_t *body = NULL;
    size_t bytes = 0;
    identity_public_key(identity, advert->public_key);
    advert->site = *identity_id(identity);
    TRY(advert_body(run, advert, &body, &bytes));
    TRY(secagg_sign(identity, ADVERT_TYPE, body, bytes, advert->signature));
done:
    free(body);
    return err;
}

static struct error *advert_verify(const struct secagg_run *run, const struct secagg_advert *advert,
                                   struct secagg_memo *memo)
{
    struct error *err = NULL;
    uint8_t *body = NULL;
    size_t bytes = 0;
    TRY(advert_body(run, advert, &body, &bytes));
    TRY(secagg_verify(memo, &advert->site, advert->public_key, ADVERT_TYPE, body, bytes, advert->signature));
done:
    free(body);
    return err;
}

/* ---- the checks of a batch ---- */

static struct error *check_keys(const struct secagg_advert *advert)
{
    struct error *err = NULL;
    for (size_t i = 0; i < advert->count; i++) {
        TRY(agreement_check(advert->entries[i].c));
        TRY(agreement_check(advert->entries[i].s));
    }
done:
    return err;
}

/* One of a batch, whose first is `first`, against the position `before` it. */
static struct error *check_one(const struct secagg_run *run, const struct secagg_advert *advert,
                               const struct secagg_advert *first, uint32_t *position,
                               struct secagg_memo *memo)
{
    struct error *err = NULL;
    char fingerprint[FINGERPRINT_BYTES];
    uint32_t own = secagg_position(run, &advert->site);
    if (own == 0) {
        site_id_format(&advert->site, fingerprint);
        FAIL(ERROR_UNTRUSTED, "Keys came from %s, which is not in the job's list of sites.", fingerprint);
    }
    if (own <= *position)
        FAIL(ERROR_INVALID,
             "The keys of site %" PRIu32 " of the roster come after those of site %" PRIu32
             "; each must be there once, in ascending order.",
             own, *position);
    if (advert->first_slot != first->first_slot || advert->count != first->count)
        FAIL(ERROR_INVALID, "Site %" PRIu32 " of the roster advertised other slots than the first site.",
             own);
    err = advert_verify(run, advert, memo);
    if (err == NULL)
        err = check_keys(advert);
    TRY(error_prefix(err, "The keys of site %" PRIu32 " of the roster", own));
    *position = own;
done:
    return err;
}

struct placed_key {
    uint8_t key[AGREEMENT_KEY_BYTES];
    uint32_t position;
};

static int placed_key_compare(const void *a, const void *b)
{
    return memcmp(((const struct placed_key *)a)->key, ((const struct placed_key *)b)->key,
                  AGREEMENT_KEY_BYTES);
}

static size_t place_keys(const struct secagg_run *run, const struct secagg_advert *advert,
                         struct placed_key *ret_keys)
{
    uint32_t position = secagg_position(run, &advert->site);
    for (size_t i = 0; i < advert->count; i++) {
        ret_keys[2 * i].position = ret_keys[2 * i + 1].position = position;
        memcpy(ret_keys[2 * i].key, advert->entries[i].c, AGREEMENT_KEY_BYTES);
        memcpy(ret_keys[2 * i + 1].key, advert->entries[i].s, AGREEMENT_KEY_BYTES);
    }
    return 2 * advert->count;
}

/* Sorted, because there may be 2^17 of them. */
static struct error *check_distinct(const struct secagg_run *run, const struct secagg_advert *adverts,
                                    size_t count)
{
    struct error *err = NULL;
    size_t placed = 0;
    struct placed_key *keys = calloc(count * adverts[0].count * 2, sizeof(*keys));
    if (keys == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to compare the keys of %zu sites.", count);
    for (size_t i = 0; i < count; i++)
        placed += place_keys(run, &adverts[i], keys + placed);
    qsort(keys, placed, sizeof(*keys), placed_key_compare);
    for (size_t i = 1; i < placed; i++)
        if (placed_key_compare(&keys[i - 1], &keys[i]) == 0)
            FAIL(ERROR_UNTRUSTED,
                 "The same key is there twice, of site %" PRIu32 " and of site %" PRIu32
                 " of the roster; every key of a slot must be fresh.",
                 keys[i - 1].position, keys[i].position);
done:
    free(keys);
    return err;
}

struct error *secagg_adverts_check(const struct secagg_run *run, const struct secagg_advert *adverts,
                                   size_t count, struct secagg_memo *memo)
{
    struct error *err = NULL;
    uint32_t position = 0;
    if (run->sites > SECAGG_MAX_SITES)
        FAIL(ERROR_INVALID, "The roster has %zu sites; secure aggregation takes up to %d.", run->sites,
             SECAGG_MAX_SITES);
    if (count == 0 || count < run->threshold)
        FAIL(ERROR_INVALID, "Keys of %zu sites came, and the job's threshold is %zu.", count, run->threshold);
    for (size_t i = 0; i < count; i++)
        TRY(check_one(run, &adverts[i], &adverts[0], &position, memo));
    TRY(check_distinct(run, adverts, count));
done:
    return err;
}
