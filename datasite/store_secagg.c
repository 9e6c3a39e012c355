/* What changes of the tables of secure aggregation have in common. */
#include "datasite/store_secagg.h"

#include "crypto/secret.h"
#include "datasite/store_secagg_parts.h"

struct error *store_secagg_begin(struct store *store)
{
    return database_begin(store->database);
}

struct error *store_secagg_commit(struct store *store)
{
    return database_commit(store->database);
}

void store_secagg_rollback(struct store *store)
{
    database_rollback(store->database);
}

struct error *secagg_change_begin(struct store *store, struct secagg_change *ret_change)
{
    bool own = !database_in_transaction(store->database);
    struct error *err = own ? database_begin(store->database) : NULL;
    if (err == NULL)
        ret_change->own = own;
    return err;
}

struct error *secagg_change_end(struct store *store, struct secagg_change *change)
{
    struct error *err = change->own ? database_commit(store->database) : NULL;
    if (err == NULL)
        change->own = false;
    return err;
}

void secagg_change_undo(struct store *store, const struct secagg_change *change, const struct error *err)
{
    if (err != NULL && change->own)
        database_rollback(store->database);
}

/* ---- blobs ---- */

struct error *secagg_take_blob(struct query *query, int column, uint8_t **ret_bytes, size_t *ret_count)
{
    size_t count = 0;
    if (query_is_null(query, column)) {
        *ret_bytes = NULL;
        *ret_count = 0;
        return NULL;
    }
    const uint8_t *stored = query_blob(query, column, &count);
    uint8_t *bytes = malloc(count + 1);
    if (bytes == NULL)
        return error_new(ERROR_MEMORY,
                         "There is not enough memory for what is stored of secure aggregation.");
    if (count > 0)
        memcpy(bytes, stored, count);
    *ret_bytes = bytes;
    *ret_count = count;
    return NULL;
}

void secagg_bind_blob(struct query *query, const void *bytes, size_t count)
{
    if (bytes == NULL)
        query_bind_null(query);
    else
        query_bind_blob(query, bytes, count);
}

struct error *secagg_take_positions(struct query *query, int column, uint32_t **ret_positions,
                                    size_t *ret_count)
{
    size_t bytes = 0;
    const uint8_t *stored = query_blob(query, column, &bytes);
    size_t count = bytes / 4;
    uint32_t *positions = calloc(count + 1, sizeof(*positions));
    if (positions == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for a list of sites.");
    for (size_t i = 0; i < count; i++)
        for (size_t byte = 0; byte < 4; byte++)
            positions[i] |= (uint32_t)stored[4 * i + byte] << (8 * byte);
    *ret_positions = positions;
    *ret_count = count;
    return NULL;
}

struct error *secagg_put_positions(struct secagg_set set, uint8_t **ret_bytes, size_t *ret_count)
{
    uint8_t *bytes = malloc(set.count * 4 + 1);
    if (bytes == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for a list of sites.");
    for (size_t i = 0; i < set.count; i++)
        for (size_t byte = 0; byte < 4; byte++)
            bytes[4 * i + byte] = (uint8_t)(set.positions[i] >> (8 * byte));
    *ret_bytes = bytes;
    *ret_count = set.count * 4;
    return NULL;
}

void secagg_drop(uint8_t *bytes, size_t count)
{
    if (bytes != NULL)
        secret_wipe(bytes, count);
    free(bytes);
}

/* ---- other sites' ledgers ---- */

static struct error *ledger_refused(const struct site_id *site, const char *how)
{
    char fingerprint[FINGERPRINT_BYTES];
    site_id_format(site, fingerprint);
    return error_new(
        ERROR_REFUSED,
        "Site %s advertises %s: its database was rolled back or copied, and keys of it may be used "
        "twice. Its owner would look into it, and this site takes part without it.",
        fingerprint, how);
}

/* How the head contradicts those that were seen before; NULL: not at all. */
static struct error *ledger_compare(struct store *store, const struct secagg_head *head, const char **ret_how)
{
    const char *how = NULL;
    struct query query;
    query_start(
        &query, store->database,
        "SELECT max(sequence = ?3 AND head <> ?4), max(CASE WHEN run_id = ?2 THEN (first_slot < ?5 AND "
        "sequence >= ?3) OR (first_slot > ?5 AND sequence <= ?3) ELSE sequence >= ?3 AND EXISTS (SELECT 1 "
        "FROM run AS past, run AS now WHERE past.run_id = secagg_ledger.run_id AND now.run_id = ?2 AND "
        "past.ended_at < now.started_at) END) FROM secagg_ledger WHERE site = ?1");
    query_bind_blob(&query, head->site.digest.bytes, DIGEST_BYTES);
    query_bind_blob(&query, head->run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, (int64_t)head->sequence);
    query_bind_blob(&query, head->hash.bytes, DIGEST_BYTES);
    query_bind_int(&query, head->first_slot);
    if (query_step(&query)) {
        if (query_int(&query, 0) != 0)
            how = "another event under the same number as before";
        else if (query_int(&query, 1) != 0)
            how = "an earlier event than it did before";
    }
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_how = how;
    return err;
}

static struct error *ledger_write(struct store *store, const struct secagg_head *head)
{
    struct error *err = NULL;
    struct query query;
    TRY(secagg_count_raise(store, false));
    query_start(&query, store->database,
                "INSERT INTO secagg_ledger VALUES (?, ?, ?, ?, ?) ON CONFLICT (site, run_id) DO UPDATE SET "
                "first_slot = excluded.first_slot, sequence = excluded.sequence, head = excluded.head WHERE "
                "excluded.first_slot > first_slot");
    query_bind_blob(&query, head->site.digest.bytes, DIGEST_BYTES);
    query_bind_blob(&query, head->run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, head->first_slot);
    query_bind_int(&query, (int64_t)head->sequence);
    query_bind_blob(&query, head->hash.bytes, DIGEST_BYTES);
    TRY(query_finish(&query));
done:
    return err;
}

struct error *store_secagg_ledger(struct store *store, const struct secagg_head *head)
{
    struct error *err = NULL;
    struct secagg_change change = {false};
    const char *how = NULL;
    if (head->sequence > INT64_MAX)
        FAIL(ERROR_INVALID, "The number of a site's last event is beyond what there can be.");
    TRY(secagg_change_begin(store, &change));
    TRY(ledger_compare(store, head, &how));
    if (how != NULL)
        TRY(ledger_refused(&head->site, how));
    TRY(ledger_write(store, head));
    TRY(secagg_change_end(store, &change));
done:
    secagg_change_undo(store, &change, err);
    return err;
}
