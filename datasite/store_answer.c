/* What was answered in a run, and what the events say of it. Rows of `answer` and `run` can be edited by
 * whoever may write the file; events are kept by triggers, so both are asked. */
#include "datasite/store_answer_parts.h"

#include "datasite/store_job_parts.h"
#include "datasite/store_release.h"

#include <math.h>

static const char *const answer_states[] = {
    [ANSWER_RELEASED] = "released", [ANSWER_HELD] = "held", [ANSWER_REFUSED] = "refused"};

const char *answer_kind_word(enum answer_kind kind)
{
    switch (kind) {
    case ANSWER_UPDATE:
        return "update";
    case ANSWER_EVALUATION:
        return "evaluation";
    case ANSWER_MASKED_INPUT:
        return "masked-input";
    }
    return "";
}

enum receipt_kind answer_receipt_kind(enum answer_kind kind)
{
    switch (kind) {
    case ANSWER_UPDATE:
        return RECEIPT_UPDATE;
    case ANSWER_EVALUATION:
        return RECEIPT_EVALUATION;
    case ANSWER_MASKED_INPUT:
        return RECEIPT_MASKED_INPUT;
    }
    return RECEIPT_UPDATE;
}

const char *answer_state_word(enum answer_state state)
{
    return answer_states[state];
}

static struct error *answer_state_parse(const char *word, enum answer_state *ret_state)
{
    for (size_t i = 0; i < sizeof(answer_states) / sizeof(answer_states[0]); i++) {
        if (strcmp(word, answer_states[i]) == 0) {
            *ret_state = (enum answer_state)i;
            return NULL;
        }
    }
    return error_new(ERROR_CORRUPT, "An answer in the site's database is in an unknown state.");
}

static struct error *answer_kind_parse(const char *word, enum answer_kind *ret_kind)
{
    static const enum answer_kind kinds[] = {ANSWER_UPDATE, ANSWER_EVALUATION, ANSWER_MASKED_INPUT};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(word, answer_kind_word(kinds[i])) == 0) {
            *ret_kind = kinds[i];
            return NULL;
        }
    }
    return error_new(ERROR_CORRUPT, "An answer in the site's database is of an unknown kind.");
}

enum event_kind answer_event(enum answer_kind kind, bool refused)
{
    switch (kind) {
    case ANSWER_UPDATE:
        return refused ? EVENT_TRAIN_FAILED : EVENT_UPDATE_RELEASED;
    case ANSWER_EVALUATION:
        return refused ? EVENT_EVALUATE_FAILED : EVENT_EVALUATION_RELEASED;
    case ANSWER_MASKED_INPUT:
        return refused ? EVENT_INPUT_FAILED : EVENT_INPUT_RELEASED;
    }
    return EVENT_UPDATE_RELEASED;
}

const char *answer_held_word(enum answer_kind kind)
{
    switch (kind) {
    case ANSWER_UPDATE:
        return event_kind_word(EVENT_UPDATE_HELD);
    case ANSWER_EVALUATION:
        return event_kind_word(EVENT_EVALUATION_HELD);
    case ANSWER_MASKED_INPUT:
        break;
    }
    return "";
}

static enum event_kind answer_abandoned(enum answer_kind kind)
{
    switch (kind) {
    case ANSWER_UPDATE:
        return EVENT_TRAIN_ABANDONED;
    case ANSWER_EVALUATION:
        return EVENT_EVALUATE_ABANDONED;
    case ANSWER_MASKED_INPUT:
        return EVENT_INPUT_ABANDONED;
    }
    return EVENT_TRAIN_ABANDONED;
}

/* ---- reading ---- */

void answer_clear(struct answer *answer)
{
    free(answer->body);
    memset(answer, 0, sizeof(*answer));
}

void answers_free(struct answer *answers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        answer_clear(&answers[i]);
    free(answers);
}

/* Of a row and of the one event that vouches for it: of the same job, run and round, and of the kind that such a row
 * was written with. Without that event, "digest" is NULL. */
#define ANSWER_COLUMNS                                                                                       \
    "answer.kind, answer.run_id, run.job_id, answer.round, answer.model_digest, answer.refused, "            \
    "answer.state, "                                                                                         \
    "answer.receipt, answer.update_norm, answer.protections, answer.reason, answer.released_at, "            \
    "event.digest, answer.attempt"
#define ANSWER_TABLES                                                                                        \
    "answer JOIN run ON run.run_id = answer.run_id LEFT JOIN event ON event.id = answer.event_id AND "       \
    "event.job_id = run.job_id AND event.run_id = answer.run_id AND event.round = answer.round AND CASE "    \
    "WHEN answer.refused = 1 THEN event.kind = CASE answer.kind WHEN 'update' THEN 'train-failed' WHEN "     \
    "'evaluation' THEN 'evaluate-failed' ELSE 'input-failed' END WHEN answer.kind = 'masked-input' THEN "    \
    "answer.state = 'released' AND event.kind = 'input-released' "                                           \
    "WHEN answer.state = 'held' THEN event.kind = answer.kind || '-held' "                                   \
    "WHEN answer.state = 'refused' THEN event.kind = 'held-refused' "                                        \
    "ELSE event.kind IN (answer.kind || '-released', 'held-released') END"
#define ANSWER_COLUMN_DIGEST 12
#define ANSWER_COLUMN_BODY 14

static struct error *answer_read_receipt(struct query *query, struct answer *answer)
{
    size_t bytes = 0;
    const uint8_t *receipt = query_blob(query, 7, &bytes);
    if (bytes > sizeof(answer->receipt))
        return error_new(ERROR_CORRUPT, "A receipt in the site's database is longer than any.");
    if (bytes > 0)
        memcpy(answer->receipt, receipt, bytes);
    answer->receipt_bytes = bytes;
    return NULL;
}

/* The row of ANSWER_COLUMNS that the query stands on, without its body. */
static struct error *answer_read(struct query *query, struct answer *ret_answer)
{
    struct error *err = NULL;
    struct answer answer = {
        .round = (uint32_t)query_int(query, 3),
        .refused = query_int(query, 5) != 0,
        .update_norm = query_is_null(query, 8) ? (double)NAN : query_real(query, 8),
        .at = query_int(query, 11),
        .attempt = (uint32_t)query_int(query, 13),
    };
    TRY(answer_kind_parse(query_text(query, 0), &answer.kind));
    query_blob_exact(query, 1, answer.run_id, STORE_RUN_ID_BYTES);
    query_blob_exact(query, 2, answer.job_id.bytes, DIGEST_BYTES);
    query_blob_exact(query, 4, answer.model_digest.bytes, DIGEST_BYTES);
    TRY(answer_state_parse(query_text(query, 6), &answer.state));
    TRY(answer_read_receipt(query, &answer));
    (void)snprintf(answer.protections, sizeof(answer.protections), "%s", query_text(query, 9));
    (void)snprintf(answer.reason, sizeof(answer.reason), "%s", query_text(query, 10));
    *ret_answer = answer;
done:
    return err;
}

static struct error *answer_read_body(struct query *query, struct answer *answer)
{
    size_t bytes = 0, count = 0;
    const uint8_t *stored = query_blob(query, ANSWER_COLUMN_BODY, &bytes);
    answer->body = malloc(bytes + 1);
    if (answer->body == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory to read a stored answer.");
    if (bytes > 0)
        memcpy(answer->body, stored, bytes);
    answer->bytes = bytes;
    const uint8_t *vouched = query_blob(query, ANSWER_COLUMN_DIGEST, &count);
    if (count == DIGEST_BYTES)
        memcpy(answer->digest.bytes, vouched, DIGEST_BYTES);
    return NULL;
}

/* A masked input without its bytes: they are kept no more once an event says that the sum of its round was taken
 * (store_release_forget). The event of its release has their digest. */
static struct error *answer_over(struct store *store, const struct answer *answer, bool *ret_over)
{
    struct query query;
    bool over = false;
    if (answer->kind != ANSWER_MASKED_INPUT || answer->refused || answer->bytes > 0) {
        *ret_over = false;
        return NULL;
    }
    query_start(&query, store->database,
                "SELECT 1 FROM event AS taken JOIN event AS released ON released.job_id = taken.job_id AND "
                "released.kind = 'input-released' AND released.run_id = taken.run_id AND released.round = "
                "taken.round WHERE taken.job_id = ?1 AND taken.kind = 'sum-taken' AND taken.run_id = ?2 AND "
                "taken.round = ?3 AND released.digest = ?4");
    query_bind_blob(&query, answer->job_id.bytes, DIGEST_BYTES);
    query_bind_blob(&query, answer->run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, answer->round);
    query_bind_blob(&query, answer->digest.bytes, DIGEST_BYTES);
    over = query_step(&query);
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_over = over;
    return err;
}

static struct error *answer_check(struct store *store, struct answer *answer)
{
    struct error *err = NULL;
    struct digest digest;
    TRY(answer_over(store, answer, &answer->over));
    if (answer->over)
        goto done;
    TRY(digest_of(answer->body, answer->bytes, &digest));
    if (!digest_equal(&digest, &answer->digest))
        FAIL(ERROR_UNTRUSTED,
             "The answer of this round in the site's database is not the one that was given.");
done:
    return err;
}

/* Ends the query; *ret_answer has body NULL without a row. */
static struct error *answer_take(struct store *store, struct query *query, struct answer *ret_answer)
{
    struct error *err = NULL;
    struct answer answer = {.body = NULL};
    if (query_step(query)) {
        err = answer_read(query, &answer);
        if (err == NULL)
            err = answer_read_body(query, &answer);
    }
    TRY(job_query_end(query, err));
    if (answer.body != NULL)
        TRY(answer_check(store, &answer));
    *ret_answer = answer;
    answer.body = NULL;
done:
    answer_clear(&answer);
    return err;
}

struct error *store_answer(struct store *store, const struct digest *job_id,
                           const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round, uint32_t attempt,
                           enum answer_kind kind, struct answer *ret_answer)
{
    struct error *err = NULL;
    struct answer answer = {.body = NULL};
    struct query query;
    query_start(&query, store->database,
                "SELECT " ANSWER_COLUMNS ", answer.body FROM " ANSWER_TABLES
                " WHERE answer.run_id = ? AND answer.round = ? AND answer.kind = ? AND answer.attempt = ?");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, round);
    query_bind_text(&query, answer_kind_word(kind));
    query_bind_int(&query, attempt);
    TRY(answer_take(store, &query, &answer));
    if (answer.body != NULL && !digest_equal(&answer.job_id, job_id))
        FAIL(ERROR_UNTRUSTED, "The answer of this round in the site's database is of another job.");
    *ret_answer = answer;
    answer.body = NULL;
done:
    answer_clear(&answer);
    return err;
}

struct error *store_last_released(struct store *store, const struct digest *job_id, enum answer_kind kind,
                                  struct answer *ret_answer)
{
    struct error *err = NULL;
    struct answer answer = {.body = NULL};
    struct query query;
    query_start(
        &query, store->database,
        "SELECT " ANSWER_COLUMNS ", answer.body FROM " ANSWER_TABLES
        " WHERE run.job_id = ? AND answer.kind = ? AND answer.state = 'released' AND answer.refused = 0 "
        "ORDER BY answer.event_id DESC LIMIT 1");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    query_bind_text(&query, answer_kind_word(kind));
    TRY(answer_take(store, &query, &answer));
    if (answer.body == NULL)
        FAIL(ERROR_NOT_FOUND, "Nothing of this job left the site so far.");
    *ret_answer = answer;
    answer.body = NULL;
done:
    answer_clear(&answer);
    return err;
}

/* ---- all of them, for the auditor ---- */

static struct error *answers_visit(struct store *store, struct query *query,
                                   struct error *(*visit)(void *context, const struct answer *answer),
                                   void *context)
{
    struct error *err = NULL;
    struct answer answer = {.body = NULL};
    char job[DIGEST_HEX_BYTES];
    TRY(answer_read(query, &answer));
    TRY(answer_read_body(query, &answer));
    digest_hex(&answer.job_id, job);
    err = error_prefix(answer_check(store, &answer), "Job %.12s, round %u, %s", job, answer.round,
                       answer_kind_word(answer.kind));
    if (err == NULL)
        TRY(visit(context, &answer));
done:
    answer_clear(&answer);
    return err;
}

struct error *store_answers(struct store *store,
                            struct error *(*visit)(void *context, const struct answer *answer), void *context)
{
    struct error *err = NULL;
    struct query query;
    bool astray = false;
    query_start(&query, store->database,
                "SELECT 1 FROM answer WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.run_id = answer.run_id)");
    astray = query_step(&query);
    TRY(query_end(&query));
    if (astray)
        FAIL(ERROR_UNTRUSTED, "An answer in the site's database belongs to no run.");
    query_start(&query, store->database,
                "SELECT " ANSWER_COLUMNS ", answer.body FROM " ANSWER_TABLES " ORDER BY answer.event_id");
    while (err == NULL && query_step(&query))
        err = answers_visit(store, &query, visit, context);
    TRY(job_query_end(&query, err));
done:
    return err;
}

/* ---- what waits for the owner ---- */

struct answer_list {
    struct answer *answers;
    size_t count, room;
};

static struct error *answer_list_add(struct answer_list *list, struct query *query)
{
    if (list->count == list->room) {
        size_t room = list->room == 0 ? 8 : 2 * list->room;
        struct answer *larger = reallocarray(list->answers, room, sizeof(*larger));
        if (larger == NULL)
            return error_new(ERROR_MEMORY, "There is not enough memory to list what is held.");
        list->answers = larger;
        list->room = room;
    }
    struct error *err = answer_read(query, &list->answers[list->count]);
    if (err == NULL)
        list->count++;
    return err;
}

struct error *store_held(struct store *store, const struct digest *job_id, struct answer **ret_answers,
                         size_t *ret_count)
{
    struct error *err = NULL;
    struct answer_list list = {NULL, 0, 0};
    struct query query;
    query_start(&query, store->database,
                "SELECT " ANSWER_COLUMNS " FROM " ANSWER_TABLES
                " WHERE answer.state = 'held' AND run.status = 'running' AND (?1 IS NULL OR run.job_id = ?1) "
                "ORDER BY answer.event_id");
    if (job_id == NULL)
        query_bind_null(&query);
    else
        query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    while (err == NULL && query_step(&query))
        err = answer_list_add(&list, &query);
    TRY(job_query_end(&query, err));
    *ret_answers = list.answers;
    *ret_count = list.count;
    list = (struct answer_list){NULL, 0, 0};
done:
    answers_free(list.answers, list.count);
    return err;
}

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
