#include "datasite/store_refusal.h"

#include "datasite/store_internal.h"

#define REFUSAL_DAY 86400

/* "sha256:…, name: sentence". The fingerprint comes first: it is what refusals of one requester are counted by. */
static void refusal_detail(const struct store_refusal *refusal, char ret_detail[static ERROR_SENTENCE_BYTES])
{
    char fingerprint[FINGERPRINT_BYTES];
    site_id_format(&refusal->requester, fingerprint);
    (void)snprintf(ret_detail, ERROR_SENTENCE_BYTES, "%s, %s: %s", fingerprint, refusal->requester_name,
                   refusal->sentence);
}

static struct error *refusal_has_room(struct store *store, const struct store_refusal *refusal, int64_t now,
                                      bool *ret_room)
{
    struct query query;
    char fingerprint[FINGERPRINT_BYTES];
    uint32_t all = 0, of_requester = 0;
    bool same = false;
    site_id_format(&refusal->requester, fingerprint);
    query_start(&query, store->database,
                "SELECT job_id, substr(detail, 1, ?) = ? FROM event WHERE kind = 'job-refused' AND at > ?");
    query_bind_int(&query, (int64_t)strlen(fingerprint));
    query_bind_text(&query, fingerprint);
    query_bind_int(&query, now - REFUSAL_DAY);
    while (query_step(&query)) {
        struct digest job_id = {{0}};
        query_blob_exact(&query, 0, job_id.bytes, DIGEST_BYTES);
        bool own = query_int(&query, 1) != 0;
        all++;
        of_requester += own;
        same = same || (own && digest_equal(&job_id, &refusal->job_id));
    }
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_room = !same && of_requester < REFUSALS_OF_REQUESTER && all < REFUSALS_A_DAY;
    return err;
}

struct error *store_refusal_add(struct store *store, const struct store_refusal *refusal, int64_t now,
                                bool *ret_added)
{
    struct error *err = NULL;
    char detail[ERROR_SENTENCE_BYTES];
    bool room = false;
    TRY(database_begin(store->database));
    TRY(refusal_has_room(store, refusal, now, &room));
    refusal_detail(refusal, detail);
    if (room)
        TRY(store_event_add(store, EVENT_JOB_REFUSED, &refusal->job_id, NULL, 0, now, detail, NULL));
    TRY(database_commit(store->database));
    *ret_added = room;
done:
    if (err != NULL)
        database_rollback(store->database);
    return err;
}
