/* Events: added in the transaction of what they record, chained and signed (audit/chain.h). */
#include "datasite/store_internal.h"

#define EVENT_COLUMNS                                                                                        \
    "event.id, event.at, event.kind, event.job_id, event.run_id, event.round, event.detail, event.digest"

const char *event_kind_word(enum event_kind kind)
{
    static const char *const words[EVENT_KINDS] = {
#define EVENT(name, word, level) word,
#include "schemas/event.def"
#undef EVENT
    };
    return words[kind];
}

/* The row that the query stands on, of EVENT_COLUMNS. Texts and blobs are valid until the next step; `ret_digests`
 * has room for the job id and the digest. */
static struct error *event_read(struct query *query, struct digest ret_digests[static 2],
                                uint8_t ret_run_id[static STORE_RUN_ID_BYTES], struct chain_event *ret_event)
{
    struct chain_event event = {
        .sequence = (uint64_t)query_int(query, 0),
        .at = query_int(query, 1),
        .kind = query_text(query, 2),
        .round = (uint32_t)query_int(query, 5),
        .detail = query_text(query, 6),
    };
    if (!query_is_null(query, 3)) {
        query_blob_exact(query, 3, ret_digests[0].bytes, DIGEST_BYTES);
        event.job_id = &ret_digests[0];
    }
    if (!query_is_null(query, 4)) {
        query_blob_exact(query, 4, ret_run_id, STORE_RUN_ID_BYTES);
        event.run_id = ret_run_id;
    }
    if (!query_is_null(query, 7)) {
        query_blob_exact(query, 7, ret_digests[1].bytes, DIGEST_BYTES);
        event.digest = &ret_digests[1];
    }
    *ret_event = event;
    return NULL;
}

/* hash(n) over events that were written before the chain existed: they have none of their own. */
static struct error *event_chain_unsigned(struct store *store, uint64_t *ret_sequence,
                                          struct digest *ret_hash)
{
    struct error *err = NULL;
    struct query query;
    struct digest digests[2];
    uint8_t run_id[STORE_RUN_ID_BYTES];
    struct chain_event event = {.sequence = 0};
    TRY(chain_start(identity_id(store->identity), ret_hash));
    query_start(&query, store->database, "SELECT " EVENT_COLUMNS " FROM event ORDER BY id");
    while (err == NULL && query_step(&query)) {
        err = event_read(&query, digests, run_id, &event);
        if (err == NULL)
            err = chain_next(ret_hash, &event, ret_hash);
    }
    struct error *ended = query_end(&query);
    if (err == NULL)
        err = ended;
    else
        error_free(ended);
    *ret_sequence = event.sequence;
done:
    return err;
}

/* The last event's number and hash; 0 and hash(0) before the first. */
static struct error *event_last(struct store *store, uint64_t *ret_sequence, struct digest *ret_hash)
{
    struct error *err = NULL;
    struct query query;
    bool found = false;
    query_start(&query, store->database, "SELECT id, hash FROM event ORDER BY id DESC LIMIT 1");
    if (query_step(&query) && !query_is_null(&query, 1)) {
        found = true;
        *ret_sequence = (uint64_t)query_int(&query, 0);
        query_blob_exact(&query, 1, ret_hash->bytes, DIGEST_BYTES);
    }
    TRY(query_end(&query));
    if (!found)
        TRY(event_chain_unsigned(store, ret_sequence, ret_hash));
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

struct error *store_event_add(struct store *store, enum event_kind kind, const struct digest *job_id,
                              const uint8_t *run_id, uint32_t round, int64_t at, const char *detail,
                              const struct digest *digest)
{
    struct error *err = NULL;
    struct chain_event event = {.at = at,
                                .kind = event_kind_word(kind),
                                .job_id = job_id,
                                .run_id = run_id,
                                .round = round,
                                .detail = detail,
                                .digest = digest};
    struct chain_head head;
    struct digest previous;
    uint8_t signature[SIGNATURE_BYTES];
    if (store->identity == NULL)
        FAIL(ERROR_INTERNAL, "An event was to be recorded without the site's key.");
    TRY(event_last(store, &event.sequence, &previous));
    event.sequence++;
    head = (struct chain_head){.site = *identity_id(store->identity), .sequence = event.sequence};
    TRY(chain_next(&previous, &event, &head.hash));
    TRY(chain_head_sign(store->identity, &head, signature));
    TRY(event_insert(store, &event, &head.hash, signature));
done:
    return err;
}
