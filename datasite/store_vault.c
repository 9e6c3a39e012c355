#include "datasite/store_internal.h"

static const char *const source_words[] = {
    [VAULT_FROM_FILE] = "file", [VAULT_FROM_PASSPHRASE] = "passphrase", [VAULT_FROM_STDIN] = "stdin"};

/* False for a word that is none. */
static bool source_of_word(const char *word, enum vault_source *ret_source)
{
    for (size_t i = 0; i < sizeof(source_words) / sizeof(source_words[0]); i++) {
        if (strcmp(word, source_words[i]) == 0) {
            *ret_source = (enum vault_source)i;
            return true;
        }
    }
    return false;
}

/* What an event of the chain says of a record: everything in it that decides who can open the rows. */
static struct error *record_digest(const struct vault_record *record, struct digest *ret_digest)
{
    static const char magic[] = "FDS-VAULT1";
    uint8_t bytes[sizeof(magic) + sizeof(record->wrapped) + 1 + STORE_KEY_PATH_BYTES];
    size_t used = 0, path = strlen(record->key_path);
    memcpy(bytes, magic, sizeof(magic));
    used += sizeof(magic);
    memcpy(bytes + used, record->wrapped, sizeof(record->wrapped));
    used += sizeof(record->wrapped);
    bytes[used++] = (uint8_t)record->source;
    memcpy(bytes + used, record->key_path, path);
    return digest_of(bytes, used + path, ret_digest);
}

struct error *store_vault_event(struct store *store, enum event_kind kind, const struct vault_record *record,
                                int64_t at, const char *detail)
{
    struct error *err = NULL;
    struct digest digest;
    TRY(record_digest(record, &digest));
    TRY(store_event_add(store, kind, NULL, NULL, 0, at, detail, &digest));
done:
    return err;
}

/* What the latest event about a key says; *ret_sequence 0: the rows were always in clear. */
static struct error *record_vouched(struct store *store, int64_t *ret_sequence, struct digest *ret_digest)
{
    struct query query;
    int64_t sequence = 0;
    struct digest digest = {{0}};
    query_start(
        &query, store->database,
        "SELECT id, digest FROM event WHERE kind IN ('data-encrypted', 'data-rekeyed') ORDER BY id DESC "
        "LIMIT 1");
    if (query_step(&query)) {
        sequence = query_int(&query, 0);
        if (!query_is_null(&query, 1))
            query_blob_exact(&query, 1, digest.bytes, DIGEST_BYTES);
    }
    struct error *err = query_end(&query);
    if (err == NULL) {
        *ret_sequence = sequence;
        *ret_digest = digest;
    }
    return err;
}

/* `record` is NULL where there is none. */
static struct error *record_check(struct store *store, const struct vault_record *record)
{
    struct error *err = NULL;
    struct digest vouched, digest;
    int64_t sequence = 0;
    const char *path = database_path(store->database);
    TRY(record_vouched(store, &sequence, &vouched));
    if (record == NULL && sequence != 0)
        FAIL(ERROR_UNTRUSTED,
             "The rows of this site are encrypted, as event %lld says, but the record of their key is gone "
             "from "
             "%s: somebody changed the file. Nothing is read or stored in clear: restore %s from a backup.",
             (long long)sequence, path, path);
    if (record == NULL)
        goto done;
    if (sequence == 0)
        FAIL(ERROR_UNTRUSTED,
             "%s holds the record of a key, but no event says that this site's rows were ever encrypted: "
             "somebody changed the file. Restore it from a backup.",
             path);
    TRY(record_digest(record, &digest));
    if (!digest_equal(&digest, &vouched))
        FAIL(ERROR_UNTRUSTED,
             "The record of the key in %s is not the one that event %lld was signed with: somebody put "
             "another "
             "key, or another place to look for it, into the file. Restore the file from a backup.",
             path, (long long)sequence);
done:
    return err;
}

struct error *store_vault_find(struct store *store, struct vault_record *ret_record, bool *ret_found)
{
    struct error *err = NULL;
    struct query query;
    struct vault_record record;
    bool found = false, sound = true;
    query_start(&query, store->database, "SELECT wrapped, source, key_path, made_at FROM vault");
    if (query_step(&query)) {
        found = true;
        query_blob_exact(&query, 0, record.wrapped, sizeof(record.wrapped));
        sound = source_of_word(query_text(&query, 1), &record.source) &&
                strlen(query_text(&query, 2)) < sizeof(record.key_path);
        (void)snprintf(record.key_path, sizeof(record.key_path), "%s", query_text(&query, 2));
        record.made_at = query_int(&query, 3);
    }
    TRY(query_end(&query));
    if (!sound)
        FAIL(ERROR_CORRUPT, "The record of the key in %s is damaged: restore the file from a backup.",
             database_path(store->database));
    TRY(record_check(store, found ? &record : NULL));
    if (found)
        *ret_record = record;
    *ret_found = found;
done:
    return err;
}

struct error *store_vault_put(struct store *store, const struct vault_record *record)
{
    struct query query;
    query_start(&query, store->database,
                "INSERT INTO vault (one, wrapped, source, key_path, made_at) VALUES (1, ?1, ?2, ?3, ?4) "
                "ON CONFLICT (one) DO UPDATE SET wrapped = excluded.wrapped, source = excluded.source, "
                "key_path = excluded.key_path, made_at = excluded.made_at");
    query_bind_blob(&query, record->wrapped, sizeof(record->wrapped));
    query_bind_text(&query, source_words[record->source]);
    query_bind_text(&query, record->key_path);
    query_bind_int(&query, record->made_at);
    return query_finish(&query);
}

struct error *store_vault_add(struct store *store, const struct vault_record *record)
{
    struct error *err = NULL;
    struct vault_record before;
    struct query query;
    bool found = false, holds_data = false;
    TRY(database_begin(store->database));
    TRY(store_vault_find(store, &before, &found));
    query_start(&query, store->database, "SELECT 1 FROM dataset LIMIT 1");
    holds_data = query_step(&query);
    TRY(query_end(&query));
    if (found || holds_data)
        FAIL(ERROR_CONFLICT, "This site %s already: datasite data rekey gives its data a new key.",
             found ? "is encrypted" : "holds data");
    TRY(store_vault_put(store, record));
    TRY(store_vault_event(store, EVENT_DATA_ENCRYPTED, record, record->made_at, "the data is encrypted"));
    TRY(database_commit(store->database));
done:
    if (err != NULL)
        database_rollback(store->database);
    return err;
}

void store_unlock(struct store *store, const struct vault *vault)
{
    store->vault = vault;
}
