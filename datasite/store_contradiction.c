/* Heads that requesters hold and this chain lacks. Each is noted once, with its event, so that whoever presents the
 * same ones in turn neither fills the chain nor takes back what the owner accepted. Whether one is open is what the
 * events say: a row of the table can be edited without a trace. */
#include "datasite/store_internal.h"
#include "datasite/store_job_parts.h"
#include "datasite/store_secagg.h"

#include <inttypes.h>

#define CONTRADICTION_COLUMNS "requester, sequence, head, found_at, accepted_at"

static struct contradiction contradiction_read(struct query *query)
{
    struct contradiction contradiction = {.sequence = (uint64_t)query_int(query, 1),
                                          .found_at = query_int(query, 3),
                                          .accepted_at = query_int(query, 4)};
    query_blob_exact(query, 0, contradiction.requester.digest.bytes, DIGEST_BYTES);
    query_blob_exact(query, 2, contradiction.head.bytes, DIGEST_BYTES);
    return contradiction;
}

/* The event that tells of this head; 0: none does. */
static struct error *contradiction_told(struct store *store, const struct digest *head, int64_t *ret_event)
{
    struct query query;
    query_start(&query, store->database,
                "SELECT coalesce(max(id), 0) FROM event WHERE kind = 'chain-contradicted' AND digest = ?");
    query_bind_blob(&query, head->bytes, DIGEST_BYTES);
    if (query_step(&query))
        *ret_event = query_int(&query, 0);
    return query_end(&query);
}

/* The last event by which the owner accepted; 0: none. */
static struct error *contradiction_accepted(struct store *store, int64_t *ret_event)
{
    struct query query;
    query_start(&query, store->database,
                "SELECT coalesce(max(id), 0) FROM event WHERE kind = 'chain-accepted'");
    if (query_step(&query))
        *ret_event = query_int(&query, 0);
    return query_end(&query);
}

/* How many were noted since. */
static struct error *contradiction_count(struct store *store, int64_t accepted, uint32_t *ret_count)
{
    struct query query;
    query_start(&query, store->database,
                "SELECT count(*) FROM event WHERE kind = 'chain-contradicted' AND id > ?");
    query_bind_int(&query, accepted);
    if (query_step(&query))
        *ret_count = (uint32_t)query_int(&query, 0);
    return query_end(&query);
}

static struct error *contradiction_insert(struct store *store, const struct site_id *requester,
                                          const struct chain_head *head, int64_t now)
{
    struct error *err = NULL;
    struct query query;
    char fingerprint[FINGERPRINT_BYTES], detail[192];
    query_start(&query, store->database,
                "INSERT INTO contradiction (" CONTRADICTION_COLUMNS ") VALUES (?, ?, ?, ?, NULL) "
                "ON CONFLICT (requester) DO UPDATE SET sequence = excluded.sequence, head = excluded.head, "
                "found_at = excluded.found_at, accepted_at = NULL");
    query_bind_blob(&query, requester->digest.bytes, DIGEST_BYTES);
    query_bind_int(&query, (int64_t)head->sequence);
    query_bind_blob(&query, head->hash.bytes, DIGEST_BYTES);
    query_bind_int(&query, now);
    TRY(query_finish(&query));
    site_id_format(requester, fingerprint);
    (void)snprintf(detail, sizeof(detail),
                   "%s holds a receipt of event %" PRIu64 ", which is not in the chain", fingerprint,
                   head->sequence);
    TRY(store_event_add(store, EVENT_CHAIN_CONTRADICTED, NULL, NULL, 0, now, detail, &head->hash));
done:
    return err;
}

/* What other copies of this site did is not known: no key slot is used any more. */
static struct error *contradiction_kill(struct store *store, int64_t now)
{
    struct error *err = NULL;
    uint32_t killed = 0;
    TRY(store_secagg_kill_all(store, &killed));
    if (killed > 0)
        TRY(store_event_add(store, EVENT_SLOTS_KILLED, NULL, NULL, 0, now, "a receipt contradicts the chain",
                            NULL));
done:
    return err;
}

/* In a transaction. */
static struct error *contradiction_note(struct store *store, const struct site_id *requester,
                                        const struct chain_head *head, int64_t now, bool *ret_open)
{
    struct error *err = NULL;
    int64_t told = 0, accepted = 0;
    TRY(contradiction_told(store, &head->hash, &told));
    TRY(contradiction_accepted(store, &accepted));
    if (told == 0) {
        TRY(contradiction_insert(store, requester, head, now));
        TRY(contradiction_kill(store, now));
    }
    *ret_open = told == 0 || told > accepted;
done:
    return err;
}

struct error *store_contradict(struct store *store, const struct site_id *requester,
                               const struct chain_head *head, int64_t now, bool *ret_open)
{
    struct error *err = NULL;
    bool is_open = true;
    if (head->sequence > INT64_MAX)
        FAIL(ERROR_INVALID, "The number of the event is beyond what there can be.");
    TRY(database_begin(store->database));
    TRY(contradiction_note(store, requester, head, now, &is_open));
    TRY(database_commit(store->database));
    *ret_open = is_open;
done:
    if (err != NULL)
        database_rollback(store->database);
    return err;
}

struct error *store_contradictions(struct store *store, struct contradiction **ret_contradictions,
                                   size_t *ret_count)
{
    struct error *err = NULL;
    struct contradiction *list = NULL;
    size_t count = 0, room = 0;
    bool memory = true;
    struct query query;
    query_start(&query, store->database,
                "SELECT " CONTRADICTION_COLUMNS " FROM contradiction ORDER BY found_at, requester");
    while (memory && query_step(&query)) {
        if (count == room) {
            room = room == 0 ? 8 : 2 * room;
            struct contradiction *more = reallocarray(list, room, sizeof(*list));
            memory = more != NULL;
            list = memory ? more : list;
        }
        if (memory)
            list[count++] = contradiction_read(&query);
    }
    TRY(query_end(&query));
    if (!memory)
        FAIL(ERROR_MEMORY, "There is not enough memory for the list of receipts that contradict the chain.");
    *ret_contradictions = list;
    *ret_count = count;
    list = NULL;
done:
    free(list);
    return err;
}

struct error *store_contradiction_open(struct store *store, bool *ret_open)
{
    struct error *err = NULL;
    int64_t accepted = 0;
    uint32_t count = 0;
    TRY(contradiction_accepted(store, &accepted));
    TRY(contradiction_count(store, accepted, &count));
    *ret_open = count > 0;
done:
    return err;
}

static struct error *contradiction_close(struct store *store, const char *reason, int64_t now)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, store->database,
                "UPDATE contradiction SET accepted_at = ? WHERE accepted_at IS NULL");
    query_bind_int(&query, now);
    TRY(query_finish(&query));
    TRY(contradiction_kill(store, now));
    TRY(store_event_add(store, EVENT_CHAIN_ACCEPTED, NULL, NULL, 0, now, reason, NULL));
done:
    return err;
}

struct error *store_contradictions_accept(struct store *store, const char *reason, int64_t now,
                                          uint32_t *ret_accepted)
{
    struct error *err = NULL;
    int64_t accepted = 0;
    uint32_t count = 0;
    TRY(database_begin(store->database));
    TRY(contradiction_accepted(store, &accepted));
    TRY(contradiction_count(store, accepted, &count));
    if (count > 0)
        TRY(contradiction_close(store, reason, now));
    TRY(database_commit(store->database));
    *ret_accepted = count;
done:
    if (err != NULL)
        database_rollback(store->database);
    return err;
}
