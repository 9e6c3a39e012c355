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
