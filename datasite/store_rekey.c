#include "datasite/store_chunk.h"
#include "datasite/store_internal.h"

/* One chunk, as it is stored, in clear, and as it will be stored; the query that holds the first is ended by the
 * caller. */
static struct error *chunk_reseal(struct query *query, const struct dataset_info *old,
                                  struct chunk_cipher *opener, struct chunk_cipher *sealer,
                                  struct chunk_blobs *ret_stored)
{
    struct error *err = NULL;
    struct chunk_blobs stored = {.position = (uint64_t)query_int(query, 0),
                                 .rows = (uint64_t)query_int(query, 1)};
    struct chunk_blobs plain;
    if (stored.rows == 0 || stored.rows > STORE_CHUNK_ROWS)
        FAIL(ERROR_CORRUPT, "It has the wrong size.");
    for (int blob = 0; blob < 3; blob++)
        stored.blobs[blob] = query_blob(query, 2 + blob, &stored.bytes[blob]);
    TRY(chunk_open(opener, old, &stored, &plain));
    TRY(chunk_seal(sealer, old, &plain, ret_stored));
done:
    return err;
}

static struct error *chunk_replace(struct store *store, int64_t dataset_id, const struct chunk_blobs *stored)
{
    struct query query;
    query_start(
        &query, store->database,
        "UPDATE chunk SET data = ?3, labels = ?4, split = ?5 WHERE dataset_id = ?1 AND position = ?2");
    query_bind_int(&query, dataset_id);
    query_bind_int(&query, (int64_t)stored->position);
    for (int blob = 0; blob < 3; blob++)
        query_bind_blob(&query, stored->blobs[blob], stored->bytes[blob]);
    return query_finish(&query);
}

/* The chunk at `position`; *ret_found is false behind the last one. */
static struct error *chunk_rekey(struct store *store, const struct dataset_info *old, uint64_t position,
                                 struct chunk_cipher *opener, struct chunk_cipher *sealer, bool *ret_found)
{
    struct error *err = NULL;
    struct query query;
    struct chunk_blobs stored;
    bool found = false;
    query_start(
        &query, store->database,
        "SELECT position, rows, data, labels, split FROM chunk WHERE dataset_id = ?1 AND position = ?2");
    query_bind_int(&query, old->id);
    query_bind_int(&query, (int64_t)position);
    found = query_step(&query);
    if (found)
        err = error_prefix(chunk_reseal(&query, old, opener, sealer, &stored),
                           "Chunk %llu of dataset \"%s\" (nothing was changed)", (unsigned long long)position,
                           old->name);
    struct error *ended = query_end(&query);
    if (err == NULL)
        err = ended;
    else
        error_free(ended);
    if (err == NULL && found)
        err = chunk_replace(store, old->id, &stored);
    if (err == NULL)
        *ret_found = found;
    return err;
}

static struct error *dataset_rekey(struct store *store, const struct dataset_info *old,
                                   const struct vault *vault)
{
    struct error *err = NULL;
    struct dataset_info info = *old;
    struct chunk_cipher *opener = NULL, *sealer = NULL;
    struct query query;
    bool found = true;
    TRY(chunk_opener(store, old, &opener));
    TRY(chunk_sealer_under(vault, &info, &sealer));
    for (uint64_t position = 0; found; position++)
        TRY(chunk_rekey(store, old, position, opener, sealer, &found));
    query_start(&query, store->database, "UPDATE dataset SET salt = ?2 WHERE id = ?1");
    query_bind_int(&query, info.id);
    query_bind_blob(&query, info.salt, sizeof(info.salt));
    TRY(query_finish(&query));
done:
    chunk_cipher_free(opener);
    chunk_cipher_free(sealer);
    return err;
}

/* What the database gives back under the new key is what was imported. */
static struct error *dataset_check(struct store *store, const char *name)
{
    struct error *err = NULL;
    struct dataset_info info;
    struct digest digest;
    TRY(store_dataset_find(store, name, &info));
    TRY(store_dataset_digest(store, &info, &digest));
    if (!digest_equal(&digest, &info.digest))
        FAIL(ERROR_CORRUPT,
             "The rows of \"%s\" do not have the digest that was recorded at the import, so nothing was "
             "changed: "
             "restore site.db from a backup, or remove the dataset and import it again.",
             name);
done:
    return err;
}

static struct error *rekey_all(struct store *store, const struct vault *vault,
                               const struct vault_record *record, int64_t now)
{
    struct error *err = NULL;
    struct dataset_info *infos = NULL;
    size_t count = 0;
    TRY(store_dataset_list(store, &infos, &count));
    for (size_t i = 0; i < count; i++)
        TRY(dataset_rekey(store, &infos[i], vault));
    TRY(store_vault_put(store, record));
    TRY(store_vault_event(store, EVENT_DATA_REKEYED, record, now,
                          store->vault == NULL ? "the data is encrypted from now on"
                                               : "all data has a new key"));
    store_unlock(store, vault);
    for (size_t i = 0; i < count; i++)
        TRY(dataset_check(store, infos[i].name));
done:
    free(infos);
    return err;
}

struct error *store_rekey(struct store *store, const struct vault *vault, const struct vault_record *record,
                          int64_t now)
{
    struct error *err = NULL;
    const struct vault *before = store->vault;
    TRY(database_begin(store->database));
    TRY(rekey_all(store, vault, record, now));
    TRY(database_commit(store->database));
    before = vault;
done:
    database_rollback(store->database);
    store_unlock(store, before);
    return err;
}

struct error *store_wipe_log(struct store *store)
{
    return database_truncate_log(store->database, STORE_WIPE_MS);
}
