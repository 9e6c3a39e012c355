#include "datasite/store_job_parts.h"
#include "datasite/store_secagg_parts.h"

#include <inttypes.h>

void secagg_batch_clear(struct secagg_batch *batch)
{
    free(batch->advert);
    free(batch->keyset);
    free(batch->shares);
    memset(batch, 0, sizeof(*batch));
}

static struct error *batch_read(struct query *query, struct secagg_batch *batch)
{
    struct error *err = NULL;
    batch->first_slot = (uint32_t)query_int(query, 0);
    batch->slots = (uint32_t)query_int(query, 1);
    TRY(secagg_take_blob(query, 2, &batch->advert, &batch->advert_bytes));
    TRY(secagg_take_blob(query, 3, &batch->keyset, &batch->keyset_bytes));
    TRY(secagg_take_blob(query, 4, &batch->shares, &batch->shares_bytes));
done:
    return err;
}

struct error *store_secagg_batch(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                 uint32_t slot, struct secagg_batch *ret_batch)
{
    struct error *err = NULL, *failed = NULL;
    struct secagg_batch batch = {.advert = NULL};
    struct query query;
    query_start(&query, store->database,
                "SELECT first_slot, slots, advert, keyset, shares FROM secagg_batch WHERE run_id = ? AND "
                "first_slot <= ? ORDER BY first_slot DESC LIMIT 1");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, slot);
    bool found = query_step(&query);
    if (found)
        failed = batch_read(&query, &batch);
    TRY(job_query_end(&query, failed));
    if (!found || slot - batch.first_slot >= batch.slots)
        FAIL(ERROR_NOT_FOUND, "This site advertised no key slot %" PRIu32 " in this run.", slot);
    *ret_batch = batch;
    memset(&batch, 0, sizeof(batch));
done:
    secagg_batch_clear(&batch);
    return err;
}

/* ---- step 'advertise' ---- */

static struct error *advertise_check(struct store *store, const uint8_t *run_id, uint32_t first_slot,
                                     size_t slots)
{
    struct error *err = NULL;
    struct query query;
    int64_t end = 0, ever = 0;
    query_start(
        &query, store->database,
        "SELECT coalesce(max(first_slot + slots), 0), coalesce(sum(slots), 0) FROM secagg_batch WHERE "
        "run_id = ?");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    if (query_step(&query)) {
        end = query_int(&query, 0);
        ever = query_int(&query, 1);
    }
    TRY(query_end(&query));
    if (slots < 1 || slots > SECAGG_MAX_BATCH)
        FAIL(ERROR_INVALID, "%zu key slots were asked for; a batch has 1 to %d.", slots, SECAGG_MAX_BATCH);
    if ((int64_t)first_slot < end)
        FAIL(ERROR_REFUSED,
             "Key slot %" PRIu32
             " is not above those that this site advertised before, the last of which is %" PRId64
             ": a slot is advertised once.",
             first_slot, end - 1);
    if (ever + (int64_t)slots > STORE_SECAGG_SLOTS || (int64_t)first_slot + (int64_t)slots > UINT32_MAX)
        FAIL(ERROR_LIMIT, "A run has at most %d key slots at this site.", STORE_SECAGG_SLOTS);
done:
    return err;
}

static struct error *batch_insert(struct store *store, const struct digest *job_id, const uint8_t *run_id,
                                  uint32_t first_slot, size_t slots, const uint8_t *advert,
                                  size_t advert_bytes)
{
    struct query query;
    query_start(
        &query, store->database,
        "INSERT INTO secagg_batch (run_id, job_id, first_slot, slots, advert) VALUES (?, ?, ?, ?, ?)");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    query_bind_int(&query, first_slot);
    query_bind_int(&query, (int64_t)slots);
    query_bind_blob(&query, advert, advert_bytes);
    return query_finish(&query);
}

static struct error *slot_insert(struct store *store, const uint8_t *run_id, uint32_t slot,
                                 const struct secagg_secret *secret)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, store->database,
                "INSERT INTO secagg_slot (run_id, slot, state) VALUES (?, ?, 'open')");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, slot);
    TRY(query_finish(&query));
    query_start(&query, store->database,
                "INSERT INTO secagg_secret (run_id, slot, secret, own_share) VALUES (?, ?, ?, zeroblob(80))");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, slot);
    query_bind_blob(&query, secret, sizeof(*secret));
    TRY(query_finish(&query));
done:
    return err;
}

_Static_assert(sizeof(struct secagg_secret) == 96, "as schemas/sql/datasite_003.sql has it");
_Static_assert(sizeof(struct secagg_share) == 80, "as schemas/sql/datasite_003.sql has it");

struct error *store_secagg_advertise(struct store *store, const struct digest *job_id,
                                     const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t first_slot,
                                     size_t slots, const struct secagg_secret *secrets, const uint8_t *advert,
                                     size_t advert_bytes)
{
    struct error *err = NULL;
    struct secagg_change change = {false};
    TRY(secagg_change_begin(store, &change));
    TRY(advertise_check(store, run_id, first_slot, slots));
    TRY(secagg_count_trusts(store, job_id));
    TRY(secagg_count_raise(store, false));
    TRY(batch_insert(store, job_id, run_id, first_slot, slots, advert, advert_bytes));
    for (size_t i = 0; i < slots; i++)
        TRY(slot_insert(store, run_id, first_slot + (uint32_t)i, &secrets[i]));
    TRY(secagg_change_end(store, &change));
done:
    secagg_change_undo(store, &change, err);
    return err;
}

/* ---- step 'share' ---- */

static struct error *batch_share(struct store *store, const uint8_t *run_id, uint32_t first_slot,
                                 const uint8_t *keyset, size_t keyset_bytes, const uint8_t *shares,
                                 size_t shares_bytes)
{
    struct error *err = NULL;
    struct query query;
    query_start(
        &query, store->database,
        "UPDATE secagg_batch SET keyset = ?, shares = ? WHERE run_id = ? AND first_slot = ? AND keyset IS "
        "NULL");
    query_bind_blob(&query, keyset, keyset_bytes);
    query_bind_blob(&query, shares, shares_bytes);
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, first_slot);
    TRY(query_finish(&query));
    if (database_changes(store->database) != 1)
        FAIL(ERROR_REFUSED,
             "The batch of key slots that begins with %" PRIu32
             " is not here, or has its keyset already: shares are made once.",
             first_slot);
done:
    return err;
}

static struct error *slot_share(struct store *store, const uint8_t *run_id, uint32_t slot,
                                const struct secagg_share *own)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, store->database,
                "UPDATE secagg_slot SET shared = 1 WHERE run_id = ? AND slot = ? AND state = 'open'");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, slot);
    TRY(query_finish(&query));
    if (database_changes(store->database) != 1)
        FAIL(ERROR_REFUSED, "Key slot %" PRIu32 " is not open any more, so no shares of it are given.", slot);
    query_start(&query, store->database,
                "UPDATE secagg_secret SET own_share = ? WHERE run_id = ? AND slot = ?");
    query_bind_blob(&query, own, sizeof(*own));
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, slot);
    TRY(query_finish(&query));
done:
    return err;
}

struct error *store_secagg_share(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                 uint32_t first_slot, const struct secagg_share *own, const uint8_t *keyset,
                                 size_t keyset_bytes, const uint8_t *shares, size_t shares_bytes)
{
    struct error *err = NULL;
    struct secagg_change change = {false};
    struct secagg_batch batch = {.advert = NULL};
    TRY(secagg_change_begin(store, &change));
    TRY(store_secagg_batch(store, run_id, first_slot, &batch));
    TRY(secagg_count_raise(store, false));
    TRY(batch_share(store, run_id, first_slot, keyset, keyset_bytes, shares, shares_bytes));
    for (uint32_t i = 0; i < batch.slots; i++)
        TRY(slot_share(store, run_id, first_slot + i, &own[i]));
    TRY(secagg_change_end(store, &change));
done:
    secagg_batch_clear(&batch);
    secagg_change_undo(store, &change, err);
    return err;
}
