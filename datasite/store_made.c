/* Whether what was released arrived. A requester who presents the receipt of an event has every answer up to there;
 * what nobody presented a receipt of when its run ends may have arrived or not, and an event says so. */
#include "datasite/store_answer_parts.h"

#include <inttypes.h>

#define MADE_LIST_BYTES 512
#define MADE_DETAIL_BYTES (MADE_LIST_BYTES + 96)

/* Of failed steps nothing but a refusal can arrive, which is no release. */
struct error *store_answers_made(struct store *store, const struct site_id *requester, uint64_t sequence)
{
    struct query query;
    query_start(&query, store->database,
                "UPDATE delivery SET made = 'made' WHERE made = 'open' AND event_id > 0 AND event_id <= ? "
                "AND run_id IN (SELECT run.run_id FROM run JOIN job ON job.job_id = run.job_id WHERE "
                "job.requester = ? AND run.status = 'running')");
    query_bind_int(&query, (int64_t)sequence);
    query_bind_blob(&query, requester->digest.bytes, DIGEST_BYTES);
    return query_finish(&query);
}

/* "update of round 3 (held, never left); evaluation of round 2": as many as fit. */
static void made_describe(char text[static MADE_LIST_BYTES], const char *kind, int64_t round, bool held)
{
    size_t used = strlen(text);
    if (MADE_LIST_BYTES - used < 64) {
        if (text[used - 1] != '.')
            (void)snprintf(text + used, MADE_LIST_BYTES - used, "; ...");
        return;
    }
    (void)snprintf(text + used, MADE_LIST_BYTES - used, "%s%s of round %" PRId64 "%s", used == 0 ? "" : "; ",
                   kind, round, held ? " (held, never left)" : "");
}

static struct error *made_open(struct store *store, const uint8_t *run_id,
                               char ret_text[static MADE_LIST_BYTES])
{
    struct query query;
    ret_text[0] = '\0';
    query_start(&query, store->database,
                "SELECT replace(kind, '-', ' '), round, event_id = 0 FROM delivery WHERE run_id = ? AND made "
                "= 'open' ORDER BY round, kind DESC, attempt");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    while (query_step(&query))
        made_describe(ret_text, query_text(&query, 0), query_int(&query, 1), query_int(&query, 2) != 0);
    return query_end(&query);
}

struct error *answers_unmade(struct store *store, const struct digest *job_id,
                             const uint8_t run_id[static STORE_RUN_ID_BYTES], int64_t now)
{
    struct error *err = NULL;
    struct query query;
    char text[MADE_LIST_BYTES], detail[MADE_DETAIL_BYTES];
    TRY(made_open(store, run_id, text));
    if (text[0] == '\0')
        goto done;
    /* A receipt may have come with a step that was abandoned, or be on its way: no claim that nothing arrived. */
    (void)snprintf(detail, sizeof(detail),
                   "no receipt came back before the run ended, so whether it arrived is not known: %s", text);
    TRY(store_event_add(store, EVENT_RELEASE_UNMADE, job_id, run_id, 0, now, detail, NULL));
    query_start(&query, store->database,
                "UPDATE delivery SET made = 'unmade' WHERE run_id = ? AND made = 'open'");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    TRY(query_finish(&query));
done:
    return err;
}
