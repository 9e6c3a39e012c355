#include "datasite/store_daemon.h"

#include "datasite/store_internal.h"

struct error *store_daemon_set(struct store *store, const struct daemon_record *record)
{
    struct query query;
    query_start(
        &query, store->database,
        "INSERT OR REPLACE INTO daemon (one, pid, started_at, listen, peers_up, job_id, round, progress, "
        "updated_at) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)");
    query_bind_int(&query, record->pid);
    query_bind_int(&query, record->started_at);
    query_bind_text(&query, record->listen);
    query_bind_int(&query, record->peers_up);
    if (record->busy) {
        query_bind_blob(&query, record->job_id.bytes, DIGEST_BYTES);
        query_bind_int(&query, record->round);
        query_bind_real(&query, record->progress);
    } else {
        query_bind_null(&query);
        query_bind_null(&query);
        query_bind_null(&query);
    }
    query_bind_int(&query, record->updated_at);
    return query_finish(&query);
}

struct error *store_daemon_clear(struct store *store)
{
    return database_run(store->database, "DELETE FROM daemon");
}

struct error *store_daemon_find(struct store *store, struct daemon_record *ret_record)
{
    struct error *err = NULL;
    struct daemon_record record = {0};
    struct query query;
    query_start(&query, store->database,
                "SELECT pid, started_at, listen, peers_up, job_id, round, progress, updated_at FROM daemon");
    bool found = query_step(&query);
    if (found) {
        record.pid = query_int(&query, 0);
        record.started_at = query_int(&query, 1);
        (void)snprintf(record.listen, sizeof(record.listen), "%s", query_text(&query, 2));
        record.peers_up = (uint32_t)query_int(&query, 3);
        record.busy = !query_is_null(&query, 4);
        if (record.busy)
            query_blob_exact(&query, 4, record.job_id.bytes, DIGEST_BYTES);
        record.round = (uint32_t)query_int(&query, 5);
        record.progress = query_real(&query, 6);
        record.updated_at = query_int(&query, 7);
    }
    TRY(query_end(&query));
    if (!found)
        FAIL(ERROR_NOT_FOUND, "No daemon has noted itself in the site's database.");
    *ret_record = record;
done:
    return err;
}

struct error *store_policy_digest(struct store *store, struct digest *ret_digest, bool *ret_found)
{
    struct query query;
    struct digest digest;
    query_start(
        &query, store->database,
        "SELECT digest FROM event WHERE kind = 'policy-changed' AND digest IS NOT NULL ORDER BY id DESC "
        "LIMIT 1");
    bool found = query_step(&query);
    if (found)
        query_blob_exact(&query, 0, digest.bytes, DIGEST_BYTES);
    struct error *err = query_end(&query);
    if (err == NULL) {
        *ret_found = found;
        if (found)
            *ret_digest = digest;
    }
    return err;
}

static enum event_kind decision_event_kind(const char *word)
{
    static const struct {
        const char *word;
        enum event_kind kind;
    } kinds[] = {{"job-approved", EVENT_JOB_APPROVED},
                 {"job-denied", EVENT_JOB_DENIED},
                 {"job-revoked", EVENT_JOB_REVOKED},
                 {"peer-added", EVENT_PEER_ADDED},
                 {"peer-removed", EVENT_PEER_REMOVED}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(word, kinds[i].word) == 0)
            return kinds[i].kind;
    }
    return EVENT_KINDS;
}

struct error *store_decision_next(struct store *store, int64_t after, struct decision_event *ret_event,
                                  bool *ret_found)
{
    struct error *err = NULL;
    struct decision_event event = {0};
    struct query query;
    query_start(&query, store->database,
                "SELECT id, kind, job_id, detail FROM event WHERE id > ? AND kind IN ('job-approved', "
                "'job-denied', 'job-revoked', 'peer-added', 'peer-removed') ORDER BY id LIMIT 1");
    query_bind_int(&query, after);
    bool found = query_step(&query);
    if (found) {
        event.id = query_int(&query, 0);
        event.kind = decision_event_kind(query_text(&query, 1));
        event.has_job = !query_is_null(&query, 2);
        if (event.has_job)
            query_blob_exact(&query, 2, event.job_id.bytes, DIGEST_BYTES);
        const char *detail = query_text(&query, 3);
        (void)snprintf(event.detail, sizeof(event.detail), "%.*s", (int)chain_detail_bytes(detail), detail);
    }
    TRY(query_end(&query));
    *ret_event = event;
    *ret_found = found;
done:
    return err;
}

struct error *store_event_last(struct store *store, int64_t *ret_id)
{
    struct query query;
    query_start(&query, store->database, "SELECT coalesce(max(id), 0) FROM event");
    int64_t id = query_step(&query) ? query_int(&query, 0) : 0;
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_id = id;
    return err;
}
