/* Where the chain of events begins: with the site, or behind events from before events were signed (audit/chain.h). */
#include "datasite/store_event_parts.h"
#include "datasite/store_internal.h"
#include "datasite/store_job_parts.h"

#include <inttypes.h>

/* The row of EVENT_COLUMNS, hash and signature that the query stands on; ret_beginning->computed is that of the event before. */
static struct error *beginning_read(struct query *query, struct event_beginning *ret_beginning)
{
    struct error *err = NULL;
    struct digest digests[2] = {{{0}}};
    uint8_t run_id[STORE_RUN_ID_BYTES] = {0};
    const uint8_t *bytes = NULL;
    struct chain_event event;
    TRY(event_read(query, digests, run_id, &event));
    ret_beginning->created = strcmp(event.kind, event_kind_word(EVENT_SITE_CREATED)) == 0;
    ret_beginning->started =
        strcmp(event.kind, event_kind_word(EVENT_CHAIN_STARTED)) == 0 && event.digest != NULL;
    ret_beginning->digest = digests[1];
    if (event.sequence == 1)
        ret_beginning->made_with_chain = ret_beginning->created;
    ret_beginning->events = event.sequence;
    ret_beginning->head.sequence = event.sequence;
    ret_beginning->previous = ret_beginning->computed;
    TRY(chain_next(&ret_beginning->previous, &event, &ret_beginning->computed));
    TRY(event_blob(query, 8, DIGEST_BYTES, ret_beginning->head.hash.bytes, &bytes));
    ret_beginning->found = bytes != NULL;
    TRY(event_blob(query, 9, SIGNATURE_BYTES, ret_beginning->signature, &bytes));
    ret_beginning->has_signature = bytes != NULL;
done:
    return err;
}

struct error *store_chain_beginning(struct store *store, struct event_beginning *ret_beginning)
{
    struct error *err = NULL;
    struct query query;
    struct event_beginning beginning = {.found = false};
    if (store->identity == NULL)
        FAIL(ERROR_INTERNAL, "The beginning of the chain was asked for without the site's key.");
    beginning.head.site = *identity_id(store->identity);
    TRY(chain_start(&beginning.head.site, &beginning.computed));
    query_start(&query, store->database,
                "SELECT " EVENT_COLUMNS ", event.hash, event.signature FROM event ORDER BY id");
    while (err == NULL && !beginning.found && query_step(&query))
        err = beginning_read(&query, &beginning);
    TRY(job_query_end(&query, err));
    *ret_beginning = beginning;
done:
    return err;
}

static struct error *chain_adopt(struct store *store, int64_t at)
{
    struct error *err = NULL;
    char detail[80];
    uint64_t ever = 0;
    struct event_beginning beginning;
    struct chain_event event = {.at = at,
                                .kind = event_kind_word(EVENT_CHAIN_STARTED),
                                .detail = detail,
                                .digest = &beginning.computed};
    TRY(store_chain_beginning(store, &beginning));
    if (beginning.found)
        return NULL;
    (void)snprintf(detail, sizeof(detail), "over %" PRIu64 " events from before events were signed",
                   beginning.events);
    TRY(store_event_count_ever(store, &ever));
    event.sequence = (beginning.events > ever ? beginning.events : ever) + 1;
    TRY(event_sign(store, &event, &beginning.computed));
done:
    return err;
}

struct error *store_chain_adopt(struct store *store, int64_t at)
{
    struct error *err = NULL;
    TRY(database_begin(store->database));
    TRY(chain_adopt(store, at));
    TRY(database_commit(store->database));
done:
    if (err != NULL)
        database_rollback(store->database);
    return err;
}

void store_chain_begun(struct store *store)
{
    store->begun = true;
}
