/* What was answered in a run, and what the events say of it. Rows of `answer` and `run` can be edited by
 * whoever may write the file; events are kept by triggers, so both are asked. */
#include "datasite/store_release.h"

#include "datasite/store_internal.h"
#include "datasite/store_job_parts.h"

static const char *answer_word(enum answer_kind kind)
{
    switch (kind) {
    case ANSWER_UPDATE:
        return "update";
    case ANSWER_EVALUATION:
        return "evaluation";
    }
    return "";
}

static enum event_kind answer_event(enum answer_kind kind, bool refused)
{
    switch (kind) {
    case ANSWER_UPDATE:
        return refused ? EVENT_TRAIN_FAILED : EVENT_UPDATE_RELEASED;
    case ANSWER_EVALUATION:
        return refused ? EVENT_EVALUATE_FAILED : EVENT_EVALUATION_RELEASED;
    }
    return EVENT_UPDATE_RELEASED;
}

static enum event_kind answer_abandoned(enum answer_kind kind)
{
    switch (kind) {
    case ANSWER_UPDATE:
        return EVENT_TRAIN_ABANDONED;
    case ANSWER_EVALUATION:
        return EVENT_EVALUATE_ABANDONED;
    }
    return EVENT_TRAIN_ABANDONED;
}

/* ---- reading ---- */

void answer_clear(struct answer *answer)
{
    free(answer->body);
    memset(answer, 0, sizeof(*answer));
}

/* The row "model_digest, refused, body, digest of the event" that the query stands on. */
static struct error *answer_read(struct query *query, struct answer *ret_answer, struct digest *ret_vouched)
{
    struct answer answer = {.refused = query_int(query, 1) != 0};
    query_blob_exact(query, 0, answer.model_digest.bytes, DIGEST_BYTES);
    const uint8_t *stored = query_blob(query, 2, &answer.bytes);
    answer.body = malloc(answer.bytes + 1);
    if (answer.body == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory to read a stored answer.");
    if (answer.bytes > 0)
        memcpy(answer.body, stored, answer.bytes);
    size_t count = 0;
    const uint8_t *vouched = query_blob(query, 3, &count);
    if (count == DIGEST_BYTES)
        memcpy(ret_vouched->bytes, vouched, DIGEST_BYTES);
    *ret_answer = answer;
    return NULL;
}

static struct error *answer_check(const struct answer *answer, const struct digest *vouched)
{
    struct error *err = NULL;
    struct digest digest;
    TRY(digest_of(answer->body, answer->bytes, &digest));
    if (!digest_equal(&digest, vouched))
        FAIL(ERROR_UNTRUSTED,
             "The answer of this round in the site's database is not the one that was given.");
done:
    return err;
}

struct error *store_answer(struct store *store, const struct digest *job_id,
                           const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                           enum answer_kind kind, struct answer *ret_answer)
{
    struct error *err = NULL;
    struct answer answer = {.body = NULL};
    struct digest vouched = {{0}};
    struct query query;
    query_start(
        &query, store->database,
        "SELECT answer.model_digest, answer.refused, answer.body, event.digest FROM answer LEFT JOIN event "
        "ON event.id = answer.event_id AND event.job_id = ?1 AND event.run_id = ?2 AND event.round = ?3 "
        "AND event.kind = CASE answer.refused WHEN 0 THEN ?4 ELSE ?5 END "
        "WHERE answer.run_id = ?2 AND answer.round = ?3 AND answer.kind = ?6");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, round);
    query_bind_text(&query, event_kind_word(answer_event(kind, false)));
    query_bind_text(&query, event_kind_word(answer_event(kind, true)));
    query_bind_text(&query, answer_word(kind));
    if (query_step(&query))
        err = answer_read(&query, &answer, &vouched);
    TRY(job_query_end(&query, err));
    if (answer.body != NULL)
        TRY(answer_check(&answer, &vouched));
    *ret_answer = answer;
    answer.body = NULL;
done:
    answer_clear(&answer);
    return err;
}

struct error *store_release_events(struct store *store, const struct digest *job_id,
                                   const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                   enum answer_kind kind, struct release_events *ret_events)
{
    struct release_events events = {0, 0};
    struct query query;
    query_start(&query, store->database,
                "SELECT count(*), coalesce(sum(run_id = ?2 AND round = ?3), 0) FROM event "
                "WHERE job_id = ?1 AND kind IN (?4, ?5)");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, round);
    query_bind_text(&query, event_kind_word(answer_event(kind, false)));
    query_bind_text(&query, event_kind_word(answer_event(kind, true)));
    if (query_step(&query)) {
        events.of_job = (uint64_t)query_int(&query, 0);
        events.of_round = (uint64_t)query_int(&query, 1);
    }
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_events = events;
    return err;
}

struct error *store_release_bytes(struct store *store, const struct digest *job_id, uint64_t *ret_bytes)
{
    uint64_t bytes = 0;
    struct query query;
    query_start(&query, store->database,
                "SELECT coalesce(sum(length(body)), 0) FROM answer JOIN run USING (run_id) "
                "WHERE run.job_id = ? AND answer.refused = 0 AND answer.state <> 'refused'");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    if (query_step(&query))
        bytes = (uint64_t)query_int(&query, 0);
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_bytes = bytes;
    return err;
}

/* ---- writing ---- */

struct error *store_step_abandoned(struct store *store, const struct digest *job_id,
                                   const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                   enum answer_kind kind, int64_t now, uint32_t *ret_times)
{
    struct error *err = NULL;
    struct query query;
    TRY(database_begin(store->database));
    TRY(store_event_add(store, answer_abandoned(kind), job_id, run_id, round, now,
                        "abandoned after rows were read", NULL));
    query_start(&query, store->database,
                "SELECT count(*) FROM event WHERE job_id = ? AND kind = ? AND run_id = ? AND round = ?");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    query_bind_text(&query, event_kind_word(answer_abandoned(kind)));
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, round);
    uint32_t times = query_step(&query) ? (uint32_t)query_int(&query, 0) : 0;
    TRY(query_end(&query));
    TRY(database_commit(store->database));
    *ret_times = times;
done:
    if (err != NULL)
        database_rollback(store->database);
    return err;
}

struct error *store_release_begin(struct store *store)
{
    return database_begin(store->database);
}

static struct error *release_count_round(struct store *store, const struct release_record *record)
{
    struct query query;
    query_start(&query, store->database, "UPDATE run SET last_round = ? WHERE run_id = ?");
    query_bind_int(&query, record->round);
    query_bind_blob(&query, record->run_id, STORE_RUN_ID_BYTES);
    return query_finish(&query);
}

struct error *store_release_add(struct store *store, const struct release_record *record)
{
    struct error *err = NULL;
    struct digest digest;
    struct query query;
    TRY(digest_of(record->body, record->body_bytes, &digest));
    TRY(store_event_add(store, answer_event(record->kind, record->refused), record->job_id, record->run_id,
                        record->round, record->now, record->detail, &digest));
    int64_t event_id = database_last_id(store->database);
    query_start(
        &query, store->database,
        "INSERT INTO answer (run_id, round, kind, model_digest, refused, body, event_id, released_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    query_bind_blob(&query, record->run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, record->round);
    query_bind_text(&query, answer_word(record->kind));
    query_bind_blob(&query, record->model_digest->bytes, DIGEST_BYTES);
    query_bind_int(&query, record->refused ? 1 : 0);
    query_bind_blob(&query, record->body, record->body_bytes);
    query_bind_int(&query, event_id);
    query_bind_int(&query, record->now);
    TRY(query_finish(&query));
    if (record->kind == ANSWER_UPDATE)
        TRY(release_count_round(store, record));
done:
    return err;
}

struct error *store_release_commit(struct store *store)
{
    return database_commit(store->database);
}

void store_release_rollback(struct store *store)
{
    database_rollback(store->database);
}
