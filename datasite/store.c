#include "datasite/store_internal.h"

#include "embedded/datasite_001_sql.h"

#define STORE_APPLICATION_ID 0x44535431u /* "DST1" */

static const struct migration store_migrations[] = {{(const char *)datasite_001_sql}};
static const struct database_kind store_kind = {
    .what = "the site's database",
    .application_id = STORE_APPLICATION_ID,
    .migrations = store_migrations,
    .migration_count = sizeof(store_migrations) / sizeof(store_migrations[0]),
};
static const enum database_mode store_modes[] = {
    [STORE_CREATE] = DATABASE_CREATE, [STORE_WRITE] = DATABASE_OPEN, [STORE_READ] = DATABASE_READ_ONLY};

struct error *store_open(const char *path, enum store_mode mode, struct store **ret_store)
{
    struct error *err = NULL;
    struct store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to open %s.", path);
    TRY(database_open(path, &store_kind, store_modes[mode], &store->database));
    *ret_store = store;
    store = NULL;
done:
    store_close(store);
    return err;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    database_close(store->database);
    free(store);
}

struct error *store_version(struct store *store, uint64_t *ret_version)
{
    return database_version(store->database, ret_version);
}

struct error *store_snapshot(struct store *store)
{
    return database_run(store->database, "BEGIN");
}

void store_snapshot_end(struct store *store)
{
    database_rollback(store->database);
}

const char *event_kind_word(enum event_kind kind)
{
    static const char *const words[EVENT_KINDS] = {
#define EVENT(name, word, level) word,
#include "schemas/event.def"
#undef EVENT
    };
    return words[kind];
}

struct error *store_event_add(struct store *store, enum event_kind kind, const struct digest *job_id,
                              const uint8_t *run_id, uint32_t round, int64_t at, const char *detail,
                              const struct digest *digest)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, store->database,
                "INSERT INTO event (at, kind, job_id, run_id, round, detail, digest) "
                "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    query_bind_int(&query, at);
    query_bind_text(&query, event_kind_word(kind));
    if (job_id != NULL)
        query_bind_blob(&query, job_id->bytes, sizeof(job_id->bytes));
    else
        query_bind_null(&query);
    if (run_id != NULL)
        query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    else
        query_bind_null(&query);
    if (round > 0)
        query_bind_int(&query, round);
    else
        query_bind_null(&query);
    query_bind_text(&query, detail);
    if (digest != NULL)
        query_bind_blob(&query, digest->bytes, sizeof(digest->bytes));
    else
        query_bind_null(&query);
    TRY(query_finish(&query));
done:
    return err;
}
