/* The transaction of a release, which release*.c hold open: events, answers, what the owner says of held ones. */
#include "datasite/store_release.h"

#include "datasite/store_answer_parts.h"

#include <math.h>

struct error *store_release_begin(struct store *store)
{
    struct error *err = database_begin(store->database);
    if (err == NULL)
        store->releasing = true;
    return err;
}

struct error *store_release_commit(struct store *store)
{
    struct error *err = database_commit(store->database);
    if (err == NULL)
        store->releasing = false;
    return err;
}

void store_release_rollback(struct store *store)
{
    database_rollback(store->database);
    store->releasing = false;
}

/* The event that was just added, over these bytes, and its head. */
static struct error *release_head(struct store *store, const struct digest *digest,
                                  struct release_event *ret_event)
{
    struct query query;
    struct release_event event = {.digest = *digest, .head = {.site = *identity_id(store->identity)}};
    event.head.sequence = (uint64_t)database_last_id(store->database);
    query_start(&query, store->database, "SELECT hash, signature FROM event WHERE id = ?");
    query_bind_int(&query, (int64_t)event.head.sequence);
    bool found = query_step(&query);
    if (found) {
        query_blob_exact(&query, 0, event.head.hash.bytes, DIGEST_BYTES);
        query_blob_exact(&query, 1, event.signature, SIGNATURE_BYTES);
    }
    struct error *err = query_end(&query);
    if (err == NULL && !found)
        err = error_new(ERROR_INTERNAL, "The event of a release was not added.");
    if (err == NULL)
        *ret_event = event;
    return err;
}

/* Nobody can look at what is under masks: a masked input is never held. */
static struct error *release_event_kind(const struct release_record *record, enum event_kind *ret_kind)
{
    if (record->refused || record->state == ANSWER_RELEASED) {
        *ret_kind = answer_event(record->kind, record->refused);
        return NULL;
    }
    if (record->state == ANSWER_HELD && record->kind != ANSWER_MASKED_INPUT) {
        *ret_kind = record->kind == ANSWER_UPDATE ? EVENT_UPDATE_HELD : EVENT_EVALUATION_HELD;
        return NULL;
    }
    return error_new(ERROR_INTERNAL, "An answer was to be stored in a state that it is never made in.");
}

struct error *store_release_event(struct store *store, const struct release_record *record,
                                  struct release_event *ret_event)
{
    struct error *err = NULL;
    struct digest digest;
    enum event_kind kind = EVENT_UPDATE_RELEASED;
    TRY(release_event_kind(record, &kind));
    TRY(digest_of(record->body, record->body_bytes, &digest));
    TRY(store_event_add(store, kind, record->job_id, record->run_id, record->round, record->now,
                        record->detail, &digest));
    TRY(release_head(store, &digest, ret_event));
done:
    return err;
}

static struct error *release_count_round(struct store *store, const struct release_record *record)
{
    struct query query;
    query_start(&query, store->database, "UPDATE run SET last_round = ? WHERE run_id = ?");
    query_bind_int(&query, record->round);
    query_bind_blob(&query, record->run_id, STORE_RUN_ID_BYTES);
    return query_finish(&query);
}

static void answer_bind_receipt(struct query *query, const uint8_t *receipt, size_t bytes)
{
    if (receipt == NULL)
        query_bind_null(query);
    else
        query_bind_blob(query, receipt, bytes);
}

static struct error *release_insert(struct store *store, const struct release_record *record,
                                    const struct release_event *event, const uint8_t *receipt,
                                    size_t receipt_bytes)
{
    struct query query;
    query_start(&query, store->database,
                "INSERT INTO answer (run_id, round, kind, attempt, model_digest, refused, body, event_id, "
                "released_at, "
                "state, receipt, update_norm, protections) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query_bind_blob(&query, record->run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, record->round);
    query_bind_text(&query, answer_kind_word(record->kind));
    query_bind_int(&query, record->attempt);
    query_bind_blob(&query, record->model_digest->bytes, DIGEST_BYTES);
    query_bind_int(&query, record->refused ? 1 : 0);
    query_bind_blob(&query, record->body, record->body_bytes);
    query_bind_int(&query, (int64_t)event->head.sequence);
    query_bind_int(&query, record->now);
    query_bind_text(&query, answer_state_word(record->state));
    answer_bind_receipt(&query, receipt, receipt_bytes);
    if (isnan(record->update_norm))
        query_bind_null(&query);
    else
        query_bind_real(&query, record->update_norm);
    query_bind_text(&query, record->protections);
    return query_finish(&query);
}

static struct error *delivery_insert(struct store *store, const struct release_record *record,
                                     const struct release_event *event)
{
    struct query query;
    bool held = record->state == ANSWER_HELD;
    query_start(&query, store->database, "INSERT INTO delivery VALUES (?, ?, ?, ?, ?, ?, 'open', ?, ?)");
    query_bind_blob(&query, record->run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, record->round);
    query_bind_text(&query, answer_kind_word(record->kind));
    query_bind_int(&query, record->attempt);
    query_bind_int(&query, held ? 0 : (int64_t)event->head.sequence);
    query_bind_int(&query, (int64_t)record->body_bytes);
    query_bind_int(&query, (int64_t)record->dataset->rows);
    query_bind_blob(&query, record->dataset->digest.bytes, DIGEST_BYTES);
    return query_finish(&query);
}

struct error *store_release_answer(struct store *store, const struct release_record *record,
                                   const struct release_event *event, const uint8_t *receipt,
                                   size_t receipt_bytes)
{
    struct error *err = NULL;
    TRY(release_insert(store, record, event, receipt, receipt_bytes));
    if (!record->refused)
        TRY(delivery_insert(store, record, event));
    if (record->kind != ANSWER_EVALUATION)
        TRY(release_count_round(store, record));
done:
    return err;
}

struct error *store_release_forget(struct store *store, const struct digest *job_id,
                                   const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round)
{
    struct query query;
    query_start(
        &query, store->database,
        "UPDATE answer SET body = x'' WHERE run_id = ?1 AND round < ?2 AND kind = 'masked-input' AND "
        "length(body) > 0 AND refused = 0 AND EXISTS (SELECT 1 FROM event WHERE event.job_id = ?3 AND "
        "event.kind = 'sum-taken' AND event.run_id = ?1 AND event.round = answer.round)");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, round);
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    return query_finish(&query);
}

/* ---- what the owner says of held ones ---- */

struct error *store_held_event(struct store *store, const struct held_decision *decision,
                               struct release_event *ret_event)
{
    struct error *err = NULL;
    const struct answer *answer = decision->answer;
    enum event_kind kind = decision->state == ANSWER_RELEASED ? EVENT_HELD_RELEASED : EVENT_HELD_REFUSED;
    struct digest digest;
    TRY(digest_of(answer->body, answer->bytes, &digest));
    TRY(store_event_add(store, kind, &answer->job_id, answer->run_id, answer->round, decision->now,
                        decision->detail, &digest));
    TRY(release_head(store, &digest, ret_event));
done:
    return err;
}

/* What the owner lets out is under way; what the owner refused never is. */
static struct error *delivery_decide(struct store *store, const struct held_decision *decision,
                                     const struct release_event *event)
{
    const struct answer *answer = decision->answer;
    struct query query;
    if (decision->state == ANSWER_RELEASED) {
        query_start(&query, store->database,
                    "UPDATE delivery SET event_id = ? WHERE run_id = ? AND round = ? AND kind = ?");
        query_bind_int(&query, (int64_t)event->head.sequence);
    } else {
        query_start(&query, store->database,
                    "DELETE FROM delivery WHERE run_id = ? AND round = ? AND kind = ?");
    }
    query_bind_blob(&query, answer->run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, answer->round);
    query_bind_text(&query, answer_kind_word(answer->kind));
    return query_finish(&query);
}

struct error *store_held_decide(struct store *store, const struct held_decision *decision,
                                const struct release_event *event)
{
    const struct answer *answer = decision->answer;
    struct query query;
    query_start(&query, store->database,
                "UPDATE answer SET state = ?, receipt = ?, event_id = ?, protections = ?, reason = ?, "
                "released_at = ? "
                "WHERE run_id = ? AND round = ? AND kind = ? AND state = 'held'");
    query_bind_text(&query, answer_state_word(decision->state));
    answer_bind_receipt(&query, decision->receipt, decision->receipt_bytes);
    query_bind_int(&query, (int64_t)event->head.sequence);
    query_bind_text(&query, decision->protections);
    query_bind_text(&query, decision->reason);
    query_bind_int(&query, decision->now);
    query_bind_blob(&query, answer->run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, answer->round);
    query_bind_text(&query, answer_kind_word(answer->kind));
    struct error *err = query_finish(&query);
    if (err == NULL && database_changes(store->database) != 1)
        err = error_new(ERROR_CONFLICT, "The answer of round %u is not held any more.", answer->round);
    if (err == NULL)
        err = delivery_decide(store, decision, event);
    return err;
}
