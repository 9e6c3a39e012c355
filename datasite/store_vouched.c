/* Events on one side, rows on the other: whoever may write the file can edit or remove rows, and the chain of events
 * keeps what they were. */
#include "datasite/store_internal.h"

struct error *store_vouched(struct store *store, enum event_kind kind, const struct digest *job_id,
                            const char *detail, struct vouched *ret_vouched)
{
    struct query query;
    struct vouched vouched = {.sequence = 0};
    query_start(
        &query, store->database,
        "SELECT id, digest FROM event WHERE job_id = ?1 AND kind = ?2 AND (?3 IS NULL OR detail = ?3 OR "
        "detail GLOB ?3 || ' (salt *') ORDER BY id LIMIT 1");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    query_bind_text(&query, event_kind_word(kind));
    query_bind_text(&query, detail);
    if (query_step(&query)) {
        vouched.sequence = (uint64_t)query_int(&query, 0);
        vouched.has_digest = !query_is_null(&query, 1);
        if (vouched.has_digest)
            query_blob_exact(&query, 1, vouched.digest.bytes, DIGEST_BYTES);
    }
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_vouched = vouched;
    return err;
}

struct error *store_vouched_since(struct store *store, uint64_t *ret_sequence)
{
    struct query query;
    uint64_t sequence = 0;
    query_start(&query, store->database,
                "SELECT min(id) FROM event WHERE kind IN ('job-approved', 'job-denied', 'job-revoked', "
                "'job-endorsed') AND digest IS NOT NULL");
    if (query_step(&query))
        sequence = (uint64_t)query_int(&query, 0);
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_sequence = sequence;
    return err;
}

/* An answer points at the latest event about it; the one by which it was held came before. Of endorsements, one an
 * owner, there are as many as events. */
struct error *store_vouched_gone(struct store *store, uint64_t *ret_sequence,
                                 char ret_kind[static STORE_EVENT_WORD_BYTES], struct digest *ret_job_id)
{
    struct query query;
    uint64_t sequence = 0;
    query_start(
        &query, store->database,
        "SELECT id, kind, job_id FROM event WHERE "
        "kind IN ('job-approved', 'job-denied', 'job-revoked') AND NOT EXISTS (SELECT 1 FROM decision WHERE "
        "decision.job_id = event.job_id AND decision.kind = CASE event.kind WHEN 'job-approved' THEN "
        "'approve' "
        "WHEN 'job-denied' THEN 'deny' ELSE 'revoke' END) "
        "OR kind = 'job-endorsed' AND (SELECT count(*) FROM endorsement WHERE endorsement.job_id = "
        "event.job_id) < (SELECT count(*) FROM event AS other WHERE other.job_id = event.job_id AND "
        "other.kind = 'job-endorsed') "
        "OR kind IN ('update-released', 'evaluation-released', 'input-released', 'train-failed', "
        "'evaluate-failed', 'input-failed', 'held-released', 'held-refused') AND NOT EXISTS (SELECT 1 FROM "
        "answer WHERE answer.run_id = "
        "event.run_id AND answer.round = event.round AND answer.event_id = event.id) "
        "OR kind IN ('update-held', 'evaluation-held') AND NOT EXISTS (SELECT 1 FROM answer WHERE "
        "answer.run_id = event.run_id AND answer.round = event.round AND answer.kind || '-held' = "
        "event.kind) "
        "OR kind = 'round-agreed' AND NOT EXISTS (SELECT 1 FROM secagg_round WHERE secagg_round.run_id = "
        "event.run_id AND secagg_round.round = event.round AND agreement IS NOT NULL) "
        "OR kind = 'shares-revealed' AND NOT EXISTS (SELECT 1 FROM secagg_slot WHERE secagg_slot.run_id = "
        "event.run_id AND secagg_slot.round = event.round AND secagg_slot.state = 'revealed') "
        "ORDER BY id LIMIT 1");
    if (query_step(&query)) {
        sequence = (uint64_t)query_int(&query, 0);
        (void)snprintf(ret_kind, STORE_EVENT_WORD_BYTES, "%s", query_text(&query, 1));
        query_blob_exact(&query, 2, ret_job_id->bytes, DIGEST_BYTES);
    }
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_sequence = sequence;
    return err;
}
