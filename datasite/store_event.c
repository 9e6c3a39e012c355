/* Events: added in the transaction of what they record, chained and signed (audit/chain.h); and read. */
#include "crypto/secret.h"
#include "datasite/store_event_parts.h"
#include "datasite/store_internal.h"
#include "datasite/store_job_parts.h"

#include <inttypes.h>

const char *event_kind_word(enum event_kind kind)
{
    static const char *const words[EVENT_KINDS] = {
#define EVENT(name, word, level, salt) word,
#include "schemas/event.def"
#undef EVENT
    };
    return words[kind];
}

#define EVENT_PLAIN false
#define EVENT_SALTED true

static bool event_is_salted(enum event_kind kind)
{
    static const bool salted[EVENT_KINDS] = {
#define EVENT(name, word, level, salt) EVENT_##salt,
#include "schemas/event.def"
#undef EVENT
    };
    return salted[kind];
}

/* The detail with a salt of its own behind it, or NULL: the detail as it is, for a kind that has none. */
static struct error *event_salt(enum event_kind kind, const char *detail, char **ret_salted)
{
    struct error *err = NULL;
    uint8_t salt[CHAIN_SALT_BYTES];
    size_t bytes = strlen(detail);
    char *salted = NULL;
    if (!event_is_salted(kind))
        goto done;
    TRY(secret_random(salt, sizeof(salt)));
    salted = malloc(bytes + CHAIN_SALT_TEXT_BYTES);
    if (salted == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for an event.");
    memcpy(salted, detail, bytes);
    chain_salt_format(salt, salted + bytes);
    *ret_salted = salted;
done:
    return err;
}

/* A text without a NUL inside: what stands behind one would be neither hashed nor shown. */
static struct error *event_text(struct query *query, int column, const char **ret_text)
{
    size_t bytes = 0;
    (void)query_blob(query, column, &bytes);
    const char *text = query_text(query, column);
    if (strlen(text) != bytes)
        return error_new(ERROR_CORRUPT, "A text of event %lld in the site's database is no text.",
                         (long long)query_int(query, 0));
    *ret_text = text;
    return NULL;
}

struct error *event_blob(struct query *query, int column, size_t count, uint8_t *place,
                         const uint8_t **ret_bytes)
{
    size_t bytes = 0;
    const uint8_t *blob = query_blob(query, column, &bytes);
    if (query_is_null(query, column)) {
        *ret_bytes = NULL;
        return NULL;
    }
    if (bytes != count)
        return error_new(ERROR_CORRUPT, "A value of event %lld in the site's database has a wrong length.",
                         (long long)query_int(query, 0));
    memcpy(place, blob, count);
    *ret_bytes = place;
    return NULL;
}

struct error *event_read(struct query *query, struct digest ret_digests[static 2],
                         uint8_t ret_run_id[static STORE_RUN_ID_BYTES], struct chain_event *ret_event)
{
    struct error *err = NULL;
    int64_t round = query_int(query, 5);
    const uint8_t *bytes = NULL;
    struct chain_event event = {.sequence = (uint64_t)query_int(query, 0), .at = query_int(query, 1)};
    if (round < 0 || round > UINT32_MAX)
        FAIL(ERROR_CORRUPT, "The round of event %" PRIu64 " in the site's database cannot be.",
             event.sequence);
    event.round = (uint32_t)round;
    TRY(event_text(query, 2, &event.kind));
    TRY(event_text(query, 6, &event.detail));
    TRY(event_blob(query, 3, DIGEST_BYTES, ret_digests[0].bytes, &bytes));
    event.job_id = bytes == NULL ? NULL : &ret_digests[0];
    TRY(event_blob(query, 4, STORE_RUN_ID_BYTES, ret_run_id, &event.run_id));
    TRY(event_blob(query, 7, DIGEST_BYTES, ret_digests[1].bytes, &bytes));
    event.digest = bytes == NULL ? NULL : &ret_digests[1];
    *ret_event = event;
done:
    return err;
}

/* ---- adding ---- */

/* What the next event is built on must be this site's own: else its signature would vouch for a hash that somebody
 * else put there. */
static struct error *event_check_last(struct store *store, const struct chain_head *head,
                                      const uint8_t signature[static SIGNATURE_BYTES])
{
    struct error *err = NULL;
    uint8_t key[PUBLIC_KEY_BYTES];
    if (store_heads_has(store->heads, head))
        return NULL;
    identity_public_key(store->identity, key);
    err = chain_head_verify(key, head, signature);
    if (err != NULL && err->code == ERROR_UNTRUSTED) {
        error_free(err);
        FAIL(ERROR_UNTRUSTED,
             "Event %" PRIu64
             ", the last in the site's database, is not signed with this site's key: somebody "
             "changed the file. Nothing is recorded, and so nothing is done: see datasite audit verify, and "
             "restore the file from a backup.",
             head->sequence);
    }
    if (err == NULL)
        store_heads_put(store->heads, head);
done:
    return err;
}

/* Hashes that were wiped look like events from before the chain: those are taken over once, by store_chain_adopt. */
static struct error *event_unsigned(uint64_t sequence)
{
    if (sequence == 0)
        return error_new(ERROR_UNTRUSTED,
                         "There are no events any more in the site's database: somebody changed "
                         "the file. Nothing is recorded, and so nothing is done: restore the "
                         "file from a backup.");
    return error_new(
        ERROR_UNTRUSTED,
        "Event %" PRIu64
        ", the last in the site's database, has no hash: somebody changed the file. Nothing is "
        "recorded, and so nothing is done: see datasite audit verify, and restore the file from a "
        "backup.",
        sequence);
}

/* Number and hash of the last event; 0 and hash(0) before the first. The number is the highest that the file ever
 * gave: where events at the end were removed, a gap stays that shows it. */
static struct error *event_last(struct store *store, uint64_t *ret_sequence, struct digest *ret_hash)
{
    struct error *err = NULL;
    struct query query;
    struct chain_head head = {.site = *identity_id(store->identity)};
    uint8_t signature[SIGNATURE_BYTES];
    uint64_t ever = 0;
    bool found = false, has_hash = false;
    TRY(store_event_count_ever(store, &ever));
    query_start(&query, store->database, "SELECT id, hash, signature FROM event ORDER BY id DESC LIMIT 1");
    if (query_step(&query)) {
        found = true;
        head.sequence = (uint64_t)query_int(&query, 0);
        has_hash = !query_is_null(&query, 1);
        if (has_hash) {
            query_blob_exact(&query, 1, head.hash.bytes, DIGEST_BYTES);
            query_blob_exact(&query, 2, signature, SIGNATURE_BYTES);
        }
    }
    TRY(query_end(&query));
    if (found ? !has_hash : store->begun)
        TRY(event_unsigned(head.sequence));
    if (found)
        TRY(event_check_last(store, &head, signature));
    else
        TRY(chain_start(identity_id(store->identity), &head.hash));
    *ret_sequence = head.sequence > ever ? head.sequence : ever;
    *ret_hash = head.hash;
done:
    return err;
}

static void event_bind(struct query *query, const void *bytes, size_t count)
{
    if (bytes != NULL)
        query_bind_blob(query, bytes, count);
    else
        query_bind_null(query);
}

static struct error *event_insert(struct store *store, const struct chain_event *event,
                                  const struct digest *hash, const uint8_t signature[static SIGNATURE_BYTES])
{
    struct query query;
    query_start(&query, store->database,
                "INSERT INTO event (id, at, kind, job_id, run_id, round, detail, digest, hash, signature) "
                "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    query_bind_int(&query, (int64_t)event->sequence);
    query_bind_int(&query, event->at);
    query_bind_text(&query, event->kind);
    event_bind(&query, event->job_id == NULL ? NULL : event->job_id->bytes, DIGEST_BYTES);
    event_bind(&query, event->run_id, STORE_RUN_ID_BYTES);
    if (event->round > 0)
        query_bind_int(&query, event->round);
    else
        query_bind_null(&query);
    query_bind_text(&query, event->detail);
    event_bind(&query, event->digest == NULL ? NULL : event->digest->bytes, DIGEST_BYTES);
    query_bind_blob(&query, hash->bytes, DIGEST_BYTES);
    query_bind_blob(&query, signature, SIGNATURE_BYTES);
    return query_finish(&query);
}

struct error *event_sign(struct store *store, const struct chain_event *event, const struct digest *previous)
{
    struct error *err = NULL;
    struct chain_head head = {.site = *identity_id(store->identity), .sequence = event->sequence};
    uint8_t signature[SIGNATURE_BYTES];
    TRY(chain_next(previous, event, &head.hash));
    TRY(chain_head_sign(store->identity, &head, signature));
    TRY(event_insert(store, event, &head.hash, signature));
    store_heads_put(store->heads, &head);
done:
    return err;
}

/* The next in the chain, in the transaction that is open. */
static struct error *event_append(struct store *store, struct chain_event *event)
{
    struct error *err = NULL;
    struct digest previous;
    TRY(event_last(store, &event->sequence, &previous));
    event->sequence++;
    TRY(event_sign(store, event, &previous));
done:
    return err;
}

struct error *store_event_add(struct store *store, enum event_kind kind, const struct digest *job_id,
                              const uint8_t *run_id, uint32_t round, int64_t at, const char *detail,
                              const struct digest *digest)
{
    struct error *err = NULL;
    bool own = false;
    char *salted = NULL;
    struct chain_event event = {.at = at,
                                .kind = event_kind_word(kind),
                                .job_id = job_id,
                                .run_id = run_id,
                                .round = round,
                                .detail = detail,
                                .digest = digest};
    if (store->identity == NULL)
        FAIL(ERROR_INTERNAL, "An event was to be recorded without the site's key.");
    TRY(event_salt(kind, detail, &salted));
    if (salted != NULL)
        event.detail = salted;
    /* Between reading the last event and adding the next, nobody else may add one. */
    own = !database_in_transaction(store->database);
    if (own)
        TRY(database_begin(store->database));
    TRY(event_append(store, &event));
    if (own)
        TRY(database_commit(store->database));
done:
    if (err != NULL && own)
        database_rollback(store->database);
    free(salted);
    return err;
}

/* ---- reading ---- */

/* Parameters 1 to 6: first sequence, since, until, job, requester, kind; zero and NULL match everything. */
#define EVENT_FROM_WHERE                                                                                     \
    " FROM event LEFT JOIN job ON job.job_id = event.job_id WHERE event.id >= ?1 "                           \
    "AND (?2 = 0 OR event.at >= ?2) AND (?3 = 0 OR event.at <= ?3) AND (?4 IS NULL OR event.job_id = ?4) "   \
    "AND (?5 IS NULL OR job.requester = ?5) AND (?6 IS NULL OR event.kind = ?6) "

static void event_filter_bind(struct query *query, const struct event_filter *filter, int64_t first)
{
    query_bind_int(query, first);
    query_bind_int(query, filter->since);
    query_bind_int(query, filter->until);
    event_bind(query, filter->job_id == NULL ? NULL : filter->job_id->bytes, DIGEST_BYTES);
    event_bind(query, filter->requester == NULL ? NULL : filter->requester->digest.bytes, DIGEST_BYTES);
    query_bind_text(query, filter->kind);
}

/* The sequence from which on the filter matches its newest `limit` events. */
static struct error *event_first(struct store *store, const struct event_filter *filter, int64_t *ret_first)
{
    struct query query;
    int64_t first = filter->first_sequence > INT64_MAX ? INT64_MAX : (int64_t)filter->first_sequence;
    if (filter->limit == 0 || filter->limit > INT64_MAX) {
        *ret_first = first == 0 ? INT64_MIN : first;
        return NULL;
    }
    query_start(&query, store->database,
                "SELECT min(id) FROM (SELECT event.id AS id" EVENT_FROM_WHERE
                "ORDER BY event.id DESC LIMIT ?7)");
    event_filter_bind(&query, filter, first);
    query_bind_int(&query, (int64_t)filter->limit);
    if (query_step(&query) && !query_is_null(&query, 0))
        first = query_int(&query, 0);
    *ret_first = first;
    return query_end(&query);
}

/* The row of EVENT_COLUMNS, hash, signature and requester that the query stands on. */
static struct error *event_visit(struct query *query,
                                 struct error *(*visit)(void *context, const struct event_record *record),
                                 void *context)
{
    struct error *err = NULL;
    struct digest digests[2] = {{{0}}};
    uint8_t run_id[STORE_RUN_ID_BYTES] = {0};
    const uint8_t *bytes = NULL;
    struct event_record record = {.is_signed = !query_is_null(query, 8) && !query_is_null(query, 9),
                                  .has_requester = !query_is_null(query, 10)};
    TRY(event_read(query, digests, run_id, &record.event));
    TRY(event_blob(query, 8, DIGEST_BYTES, record.hash.bytes, &bytes));
    TRY(event_blob(query, 9, SIGNATURE_BYTES, record.signature, &bytes));
    TRY(event_blob(query, 10, DIGEST_BYTES, record.requester.digest.bytes, &bytes));
    TRY(visit(context, &record));
done:
    return err;
}

struct error *store_events(struct store *store, const struct event_filter *filter,
                           struct error *(*visit)(void *context, const struct event_record *record),
                           void *context)
{
    struct error *err = NULL;
    struct query query;
    int64_t first = 0;
    TRY(event_first(store, filter, &first));
    query_start(&query, store->database,
                "SELECT " EVENT_COLUMNS ", event.hash, event.signature, job.requester" EVENT_FROM_WHERE
                "ORDER BY event.id");
    event_filter_bind(&query, filter, first);
    while (err == NULL && query_step(&query))
        err = event_visit(&query, visit, context);
    TRY(job_query_end(&query, err));
done:
    return err;
}

struct error *store_head(struct store *store, struct chain_head *ret_head,
                         uint8_t ret_signature[static SIGNATURE_BYTES])
{
    struct error *err = NULL;
    struct query query;
    struct chain_head head;
    uint8_t signature[SIGNATURE_BYTES];
    bool found = false;
    if (store->identity == NULL)
        FAIL(ERROR_INTERNAL, "The head of the chain was asked for without the site's key.");
    head.site = *identity_id(store->identity);
    query_start(&query, store->database, "SELECT id, hash, signature FROM event ORDER BY id DESC LIMIT 1");
    if (query_step(&query) && !query_is_null(&query, 1)) {
        found = true;
        head.sequence = (uint64_t)query_int(&query, 0);
        query_blob_exact(&query, 1, head.hash.bytes, DIGEST_BYTES);
        query_blob_exact(&query, 2, signature, SIGNATURE_BYTES);
    }
    TRY(query_end(&query));
    if (!found)
        FAIL(ERROR_NOT_FOUND, "No signed event is in the site's database yet.");
    *ret_head = head;
    memcpy(ret_signature, signature, SIGNATURE_BYTES);
done:
    return err;
}

struct error *store_has_signed(struct store *store, const struct chain_head *head,
                               const uint8_t signature[static SIGNATURE_BYTES], bool *ret_has, bool *ret_same)
{
    struct query query;
    bool has = false, same = false;
    if (head->sequence <= INT64_MAX) {
        query_start(&query, store->database, "SELECT signature = ?3 FROM event WHERE id = ?1 AND hash = ?2");
        query_bind_int(&query, (int64_t)head->sequence);
        query_bind_blob(&query, head->hash.bytes, DIGEST_BYTES);
        query_bind_blob(&query, signature, SIGNATURE_BYTES);
        has = query_step(&query);
        same = has && query_int(&query, 0) != 0;
        struct error *err = query_end(&query);
        if (err != NULL)
            return err;
    }
    *ret_has = has;
    *ret_same = same;
    return NULL;
}

struct error *store_has_head(struct store *store, const struct chain_head *head, bool *ret_has)
{
    static const uint8_t none[SIGNATURE_BYTES];
    bool same = false;
    return store_has_signed(store, head, none, ret_has, &same);
}

struct error *store_event_count_ever(struct store *store, uint64_t *ret_count)
{
    struct query query;
    int64_t count = 0;
    query_start(&query, store->database, "SELECT seq FROM sqlite_sequence WHERE name = 'event'");
    if (query_step(&query))
        count = query_int(&query, 0);
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_count = count < 0 ? 0 : (uint64_t)count;
    return err;
}
