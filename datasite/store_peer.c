#include "datasite/store_internal.h"

/* A known name with another key is refused: a change of key must be somebody's decision. */
static struct error *peer_name_check(struct store *store, const struct site_id *id, const char *name)
{
    struct error *err = NULL;
    struct query query;
    bool taken = false;
    struct site_id other;
    query_start(&query, store->database,
                "SELECT site_id FROM peer WHERE name = ?1 AND site_id <> ?2 LIMIT 1");
    query_bind_text(&query, name);
    query_bind_blob(&query, id->digest.bytes, sizeof(id->digest.bytes));
    taken = query_step(&query);
    if (taken)
        query_blob_exact(&query, 0, other.digest.bytes, sizeof(other.digest.bytes));
    TRY(query_end(&query));
    if (taken) {
        char known[FINGERPRINT_BYTES];
        site_id_format(&other, known);
        FAIL(ERROR_CONFLICT,
             "\"%s\" is trusted already, with another key (%s). If its owner confirms over another channel "
             "that the "
             "key was changed, remove the old one first: datasite trust remove %s",
             name, known, known);
    }
done:
    return err;
}

static struct error *peer_event(struct store *store, enum event_kind kind, const struct site_id *id,
                                const char *name, int64_t at)
{
    char fingerprint[FINGERPRINT_BYTES], detail[256];
    site_id_format(id, fingerprint);
    (void)snprintf(detail, sizeof(detail), "%s %s", fingerprint, name);
    return store_event_add(store, kind, NULL, NULL, 0, at, detail, NULL);
}

static struct error *peer_welcome_again(struct store *store, const struct site_id *id)
{
    struct query query;
    query_start(&query, store->database, "DELETE FROM removed_peer WHERE site_id = ?1");
    query_bind_blob(&query, id->digest.bytes, sizeof(id->digest.bytes));
    return query_finish(&query);
}

static struct error *peer_remember_removal(struct store *store, const struct site_id *id, int64_t at)
{
    struct query query;
    query_start(&query, store->database,
                "INSERT OR REPLACE INTO removed_peer (site_id, removed_at) VALUES (?1, ?2)");
    query_bind_blob(&query, id->digest.bytes, sizeof(id->digest.bytes));
    query_bind_int(&query, at);
    return query_finish(&query);
}

struct error *store_peer_is_removed(struct store *store, const struct site_id *id, bool *ret_removed)
{
    struct query query;
    query_start(&query, store->database, "SELECT 1 FROM removed_peer WHERE site_id = ?1");
    query_bind_blob(&query, id->digest.bytes, sizeof(id->digest.bytes));
    bool removed = query_step(&query);
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_removed = removed;
    return err;
}

struct error *store_peer_add(struct store *store, const struct site_id *id, const char *name,
                             const char *added_by, int64_t at)
{
    struct error *err = NULL;
    struct query query;
    TRY(database_begin(store->database));
    TRY(peer_name_check(store, id, name));
    query_start(&query, store->database,
                "INSERT INTO peer (site_id, name, added_at, added_by) VALUES (?1, ?2, ?3, ?4) "
                "ON CONFLICT (site_id) DO UPDATE SET name = excluded.name, added_by = excluded.added_by");
    query_bind_blob(&query, id->digest.bytes, sizeof(id->digest.bytes));
    query_bind_text(&query, name);
    query_bind_int(&query, at);
    query_bind_text(&query, added_by);
    TRY(query_finish(&query));
    TRY(peer_welcome_again(store, id));
    TRY(peer_event(store, EVENT_PEER_ADDED, id, name, at));
    TRY(database_commit(store->database));
done:
    if (err != NULL)
        database_rollback(store->database);
    return err;
}

struct error *store_peer_remove(struct store *store, const struct site_id *id, int64_t at)
{
    struct error *err = NULL;
    struct query query;
    TRY(database_begin(store->database));
    query_start(&query, store->database, "DELETE FROM peer WHERE site_id = ?1");
    query_bind_blob(&query, id->digest.bytes, sizeof(id->digest.bytes));
    TRY(query_finish(&query));
    if (database_changes(store->database) == 0)
        FAIL(ERROR_NOT_FOUND,
             "No orchestrator with this fingerprint is trusted; datasite trust list shows who is.");
    TRY(peer_remember_removal(store, id, at));
    TRY(peer_event(store, EVENT_PEER_REMOVED, id, "", at));
    TRY(database_commit(store->database));
done:
    if (err != NULL)
        database_rollback(store->database);
    return err;
}

static void peer_take(struct query *query, struct peer *ret_peer)
{
    memset(ret_peer, 0, sizeof(*ret_peer));
    query_blob_exact(query, 0, ret_peer->id.digest.bytes, sizeof(ret_peer->id.digest.bytes));
    (void)snprintf(ret_peer->name, sizeof(ret_peer->name), "%s", query_text(query, 1));
    ret_peer->added_at = query_int(query, 2);
    (void)snprintf(ret_peer->added_by, sizeof(ret_peer->added_by), "%s", query_text(query, 3));
}

struct error *store_peer_list(struct store *store, struct peer **ret_peers, size_t *ret_count)
{
    struct error *err = NULL;
    struct peer *peers = NULL;
    size_t count = 0, room = 0;
    bool memory = true;
    struct query query;
    query_start(&query, store->database,
                "SELECT site_id, name, added_at, added_by FROM peer ORDER BY name, site_id");
    while (memory && query_step(&query)) {
        if (count == room) {
            room = room == 0 ? 8 : 2 * room;
            struct peer *more = reallocarray(peers, room, sizeof(*peers));
            memory = more != NULL;
            peers = memory ? more : peers;
        }
        if (memory)
            peer_take(&query, &peers[count++]);
    }
    TRY(query_end(&query));
    if (!memory)
        FAIL(ERROR_MEMORY, "There is not enough memory for the list of trusted orchestrators.");
    *ret_peers = peers;
    *ret_count = count;
    peers = NULL;
done:
    free(peers);
    return err;
}
