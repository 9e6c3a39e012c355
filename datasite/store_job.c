/* Jobs and decisions: see the state machine in store.h. Every transition reads the present state inside its
 * own BEGIN IMMEDIATE, so that of two deciders one wins and the other is told what the job is now. */
#include "datasite/store.h"

#include "datasite/store_internal.h"

#include <inttypes.h>

#define STORE_JOBS_OF_REQUESTER 1000 /* all states: what one requester may make the site keep */
#define STORE_PREFIX_DIGITS 4

#define JOB_COLUMNS "job_id, bytes, requester, requester_name, received_at, expires, state"
#define DECISION_COLUMNS                                                                                     \
    "kind, job_id, rounds, runs, expires, dataset_digest, decided_at, decided_by, reason, statement, "       \
    "signature"

static const char *const job_state_words[] = {
    [JOB_STATE_PENDING] = "pending",   [JOB_STATE_APPROVED] = "approved", [JOB_STATE_RUNNING] = "running",
    [JOB_STATE_FINISHED] = "finished", [JOB_STATE_DENIED] = "denied",     [JOB_STATE_REVOKED] = "revoked",
    [JOB_STATE_EXPIRED] = "expired",
};
#define JOB_STATES (sizeof(job_state_words) / sizeof(job_state_words[0]))

static const char *const decision_words[] = {
    [DECISION_APPROVE] = "approve",
    [DECISION_DENY] = "deny",
    [DECISION_REVOKE] = "revoke",
};
#define DECISION_KINDS (sizeof(decision_words) / sizeof(decision_words[0]))

const char *job_state_word(enum job_state state)
{
    return (size_t)state < JOB_STATES ? job_state_words[state] : "unknown";
}

void job_record_clear(struct job_record *record)
{
    if (record == NULL)
        return;
    free(record->bytes);
    memset(record, 0, sizeof(*record));
}

/* Ends the query; the failure that was noticed first is the one to tell. */
static struct error *job_query_end(struct query *query, struct error *err)
{
    struct error *ended = query_end(query);
    if (err == NULL)
        return ended;
    error_free(ended);
    return err;
}

static struct error *job_state_parse(const char *word, enum job_state *ret_state)
{
    for (size_t i = 0; i < JOB_STATES; i++) {
        if (strcmp(word, job_state_words[i]) == 0) {
            *ret_state = (enum job_state)i;
            return NULL;
        }
    }
    return error_new(ERROR_CORRUPT,
                     "A job in the site's database has the state \"%.20s\", which does not exist.", word);
}

/* The row of JOB_COLUMNS that the query stands on. */
static struct error *job_read(struct query *query, struct job_record *ret_record)
{
    struct error *err = NULL;
    struct job_record record = {0};
    query_blob_exact(query, 0, record.id.bytes, DIGEST_BYTES);
    size_t count = 0;
    const uint8_t *bytes = query_blob(query, 1, &count);
    record.bytes = malloc(count + 1);
    if (record.bytes == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to read a job.");
    if (count > 0)
        memcpy(record.bytes, bytes, count);
    record.bytes[count] = '\0';
    record.byte_count = count;
    query_blob_exact(query, 2, record.requester.digest.bytes, DIGEST_BYTES);
    (void)snprintf(record.requester_name, sizeof(record.requester_name), "%s", query_text(query, 3));
    record.received_at = query_int(query, 4);
    record.expires = query_int(query, 5);
    TRY(job_state_parse(query_text(query, 6), &record.state));
    *ret_record = record;
    record.bytes = NULL;
done:
    job_record_clear(&record);
    return err;
}

struct error *store_job_find(struct store *store, const struct digest *id, struct job_record *ret_record)
{
    struct error *err = NULL;
    struct job_record record = {0};
    struct query query;
    query_start(&query, store->database, "SELECT " JOB_COLUMNS " FROM job WHERE job_id = ?");
    query_bind_blob(&query, id->bytes, DIGEST_BYTES);
    bool found = query_step(&query);
    if (found)
        err = job_read(&query, &record);
    TRY(job_query_end(&query, err));
    if (!found) {
        char hex[DIGEST_HEX_BYTES];
        digest_hex(id, hex);
        FAIL(ERROR_NOT_FOUND, "There is no job %.12s here.", hex);
    }
    *ret_record = record;
    memset(&record, 0, sizeof(record));
done:
    job_record_clear(&record);
    return err;
}

static bool job_prefix_ok(const char *prefix)
{
    size_t digits = strspn(prefix, "0123456789abcdef");
    return digits >= STORE_PREFIX_DIGITS && digits <= 2 * DIGEST_BYTES && prefix[digits] == '\0';
}

struct error *store_job_find_prefix(struct store *store, const char *prefix, struct job_record *ret_record)
{
    struct error *err = NULL;
    struct job_record record = {0};
    if (!job_prefix_ok(prefix))
        FAIL(ERROR_INVALID,
             "A job is named by the first %d or more hexadecimal digits (0-9, a-f) of its id; `datasite "
             "requests` "
             "lists them.",
             STORE_PREFIX_DIGITS);
    struct query query;
    query_start(&query, store->database,
                "SELECT " JOB_COLUMNS " FROM job WHERE substr(lower(hex(job_id)), 1, ?) = ? LIMIT 2");
    query_bind_int(&query, (int64_t)strlen(prefix));
    query_bind_text(&query, prefix);
    int found = 0;
    while (err == NULL && query_step(&query)) {
        if (found++ == 0)
            err = job_read(&query, &record);
    }
    TRY(job_query_end(&query, err));
    if (found == 0)
        FAIL(ERROR_NOT_FOUND,
             "There is no job whose id starts with %s; `datasite requests --all` lists them.", prefix);
    if (found > 1)
        FAIL(ERROR_CONFLICT, "Several jobs have ids that start with %s: give more digits.", prefix);
    *ret_record = record;
    memset(&record, 0, sizeof(record));
done:
    job_record_clear(&record);
    return err;
}

struct error *store_job_list(struct store *store, struct job_record **ret_records, size_t *ret_count)
{
    struct error *err = NULL;
    struct job_record *records = NULL;
    size_t count = 0;
    size_t room = 0;
    struct query query;
    query_start(&query, store->database, "SELECT " JOB_COLUMNS " FROM job ORDER BY received_at, job_id");
    while (err == NULL && query_step(&query)) {
        if (count == room) {
            room = room == 0 ? 16 : 2 * room;
            struct job_record *larger = realloc(records, room * sizeof(*records));
            if (larger == NULL) {
                err = error_new(ERROR_MEMORY, "There is not enough memory to list the jobs.");
                break;
            }
            records = larger;
        }
        err = job_read(&query, &records[count]);
        if (err == NULL)
            count++;
    }
    TRY(job_query_end(&query, err));
    *ret_records = records;
    *ret_count = count;
    records = NULL;
    count = 0;
done:
    for (size_t i = 0; i < count; i++)
        job_record_clear(&records[i]);
    free(records);
    return err;
}

/* How many jobs the requester has here, and how many of them wait. */
static struct error *job_count(struct store *store, const struct site_id *requester, int64_t *ret_all,
                               int64_t *ret_pending)
{
    struct query query;
    query_start(&query, store->database,
                "SELECT count(*), coalesce(sum(state = 'pending'), 0) FROM job WHERE requester = ?");
    query_bind_blob(&query, requester->digest.bytes, DIGEST_BYTES);
    if (query_step(&query)) {
        *ret_all = query_int(&query, 0);
        *ret_pending = query_int(&query, 1);
    }
    return query_end(&query);
}

static struct error *job_insert(struct store *store, const struct job_record *record)
{
    struct query query;
    query_start(&query, store->database,
                "INSERT INTO job (job_id, bytes, requester, requester_name, received_at, state, expires) "
                "VALUES (?, ?, ?, ?, ?, 'pending', ?)");
    query_bind_blob(&query, record->id.bytes, DIGEST_BYTES);
    query_bind_blob(&query, record->bytes, record->byte_count);
    query_bind_blob(&query, record->requester.digest.bytes, DIGEST_BYTES);
    query_bind_text(&query, record->requester_name);
    query_bind_int(&query, record->received_at);
    query_bind_int(&query, record->expires);
    return query_finish(&query);
}

/* The present state of a job; ERROR_NOT_FOUND. */
static struct error *job_state_read(struct store *store, const struct digest *id, enum job_state *ret_state)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, store->database, "SELECT state FROM job WHERE job_id = ?");
    query_bind_blob(&query, id->bytes, DIGEST_BYTES);
    bool found = query_step(&query);
    if (found)
        err = job_state_parse(query_text(&query, 0), ret_state);
    err = job_query_end(&query, err);
    if (err == NULL && !found)
        err = error_new(ERROR_NOT_FOUND, "There is no such job here.");
    return err;
}

struct error *store_job_add(struct store *store, const struct job_record *record, uint32_t max_pending,
                            bool *ret_is_new)
{
    struct error *err = NULL;
    TRY(database_begin(store->database));
    enum job_state state;
    err = job_state_read(store, &record->id, &state);
    bool is_new = err != NULL && err->code == ERROR_NOT_FOUND;
    if (is_new)
        error_clear(&err);
    if (err != NULL)
        goto done;
    if (is_new) {
        int64_t all = 0;
        int64_t pending = 0;
        TRY(job_count(store, &record->requester, &all, &pending));
        if (pending >= (int64_t)max_pending)
            FAIL(ERROR_LIMIT,
                 "%" PRId64
                 " of your jobs wait for this site's owner already, which is the most it takes: wait for "
                 "decisions.",
                 pending);
        if (all >= STORE_JOBS_OF_REQUESTER)
            FAIL(ERROR_LIMIT, "This site keeps %d of your jobs already, which is the most it takes.",
                 STORE_JOBS_OF_REQUESTER);
        TRY(job_insert(store, record));
        TRY(store_event_add(store, EVENT_JOB_RECEIVED, &record->id, NULL, 0, record->received_at,
                            record->requester_name, NULL));
    }
    TRY(database_commit(store->database));
    *ret_is_new = is_new;
done:
    if (err != NULL)
        database_rollback(store->database);
    return err;
}

/* ---- decisions ---- */

static struct error *decision_kind_parse(const char *word, enum decision_kind *ret_kind)
{
    for (size_t i = 0; i < DECISION_KINDS; i++) {
        if (strcmp(word, decision_words[i]) == 0) {
            *ret_kind = (enum decision_kind)i;
            return NULL;
        }
    }
    return error_new(ERROR_CORRUPT,
                     "A decision in the site's database is of the kind \"%.20s\", which does not exist.",
                     word);
}

/* A column that must fit a count of 32 bits. */
static struct error *decision_count(struct query *query, int column, uint32_t *ret_count)
{
    int64_t value = query_int(query, column);
    if (value < 0 || value > UINT32_MAX)
        return error_new(ERROR_CORRUPT, "A decision in the site's database has a number out of range.");
    *ret_count = (uint32_t)value;
    return NULL;
}

static struct error *decision_text(struct query *query, int column, char *ret_text, size_t text_bytes)
{
    const char *text = query_text(query, column);
    if (strlen(text) >= text_bytes)
        return error_new(ERROR_CORRUPT, "A decision in the site's database has a text that is too long.");
    memcpy(ret_text, text, strlen(text) + 1);
    return NULL;
}

/* The row of DECISION_COLUMNS that the query stands on. */
static struct error *decision_read(struct query *query, struct decision *ret_decision)
{
    struct error *err = NULL;
    struct decision decision = {0};
    TRY(decision_kind_parse(query_text(query, 0), &decision.kind));
    query_blob_exact(query, 1, decision.job_id.bytes, DIGEST_BYTES);
    TRY(decision_count(query, 2, &decision.rounds));
    TRY(decision_count(query, 3, &decision.runs));
    decision.expires = query_int(query, 4);
    size_t digest_bytes = 0;
    (void)query_blob(query, 5, &digest_bytes);
    if (digest_bytes > 0)
        query_blob_exact(query, 5, decision.dataset_digest.bytes, DIGEST_BYTES);
    decision.decided_at = query_int(query, 6);
    TRY(decision_text(query, 7, decision.decided_by, sizeof(decision.decided_by)));
    TRY(decision_text(query, 8, decision.reason, sizeof(decision.reason)));
    const uint8_t *statement = query_blob(query, 9, &decision.statement_bytes);
    if (decision.statement_bytes > sizeof(decision.statement))
        FAIL(ERROR_CORRUPT, "A decision in the site's database has a statement that is too long.");
    if (decision.statement_bytes > 0)
        memcpy(decision.statement, statement, decision.statement_bytes);
    query_blob_exact(query, 10, decision.signature, SIGNATURE_BYTES);
    *ret_decision = decision;
done:
    return err;
}

static struct error *decision_find(struct query *query, const struct digest *job_id,
                                   struct decision *ret_decision)
{
    struct error *err = NULL;
    struct decision decision;
    query_bind_blob(query, job_id->bytes, DIGEST_BYTES);
    bool found = query_step(query);
    if (found)
        err = decision_read(query, &decision);
    TRY(job_query_end(query, err));
    if (!found)
        FAIL(ERROR_NOT_FOUND, "Nothing has been decided about this job.");
    *ret_decision = decision;
done:
    return err;
}

struct error *store_approval(struct store *store, const struct digest *job_id, struct decision *ret_decision)
{
    struct query query;
    query_start(&query, store->database,
                "SELECT " DECISION_COLUMNS " FROM decision WHERE job_id = ? AND kind = 'approve'");
    return decision_find(&query, job_id, ret_decision);
}

struct error *store_last_decision(struct store *store, const struct digest *job_id,
                                  struct decision *ret_decision)
{
    struct query query;
    query_start(&query, store->database,
                "SELECT " DECISION_COLUMNS " FROM decision WHERE job_id = ? ORDER BY id DESC LIMIT 1");
    return decision_find(&query, job_id, ret_decision);
}

/* What a decision makes of a job, and ERROR_CONFLICT when its present state forbids that. */
static struct error *decision_transition(enum decision_kind kind, enum job_state state,
                                         enum job_state *ret_next)
{
    switch (kind) {
    case DECISION_APPROVE:
    case DECISION_DENY:
        if (state != JOB_STATE_PENDING)
            return error_new(ERROR_CONFLICT, "The job is %s; only a pending job can be %s.",
                             job_state_word(state), kind == DECISION_APPROVE ? "approved" : "denied");
        *ret_next = kind == DECISION_APPROVE ? JOB_STATE_APPROVED : JOB_STATE_DENIED;
        return NULL;
    case DECISION_REVOKE:
        if (state == JOB_STATE_PENDING)
            return error_new(ERROR_CONFLICT,
                             "The job is pending, so there is no approval to revoke: deny it.");
        if (state != JOB_STATE_APPROVED && state != JOB_STATE_RUNNING)
            return error_new(ERROR_CONFLICT, "The job is %s; only an approved or running job can be revoked.",
                             job_state_word(state));
        *ret_next = JOB_STATE_REVOKED;
        return NULL;
    }
    return error_new(ERROR_INTERNAL, "A decision of an unknown kind was given to the store.");
}

static struct error *decision_insert(struct store *store, const struct decision *decision)
{
    struct query query;
    query_start(&query, store->database,
                "INSERT INTO decision (" DECISION_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query_bind_text(&query, decision_words[decision->kind]);
    query_bind_blob(&query, decision->job_id.bytes, DIGEST_BYTES);
    query_bind_int(&query, decision->rounds);
    query_bind_int(&query, decision->runs);
    query_bind_int(&query, decision->expires);
    query_bind_blob(&query, decision->dataset_digest.bytes,
                    decision->kind == DECISION_APPROVE ? DIGEST_BYTES : 0);
    query_bind_int(&query, decision->decided_at);
    query_bind_text(&query, decision->decided_by);
    query_bind_text(&query, decision->reason);
    query_bind_blob(&query, decision->statement, decision->statement_bytes);
    query_bind_blob(&query, decision->signature, SIGNATURE_BYTES);
    return query_finish(&query);
}

static struct error *job_state_write(struct store *store, const struct digest *id, enum job_state state)
{
    struct query query;
    query_start(&query, store->database, "UPDATE job SET state = ? WHERE job_id = ?");
    query_bind_text(&query, job_state_word(state));
    query_bind_blob(&query, id->bytes, DIGEST_BYTES);
    return query_finish(&query);
}

/* A job that is over takes its run in progress with it. */
static struct error *job_run_stop(struct store *store, const struct digest *id, const char *status,
                                  int64_t at)
{
    struct query query;
    query_start(&query, store->database,
                "UPDATE run SET status = ?, ended_at = ? WHERE job_id = ? AND status = 'running'");
    query_bind_text(&query, status);
    query_bind_int(&query, at);
    query_bind_blob(&query, id->bytes, DIGEST_BYTES);
    return query_finish(&query);
}

/* Who had a job approved may take part from now on: a member of a consortium whom no list named becomes
 * listed. */
static struct error *job_requester_list(struct store *store, const struct decision *decision)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, store->database,
                "INSERT INTO peer (site_id, name, added_at, added_by) "
                "SELECT requester, requester_name, ?, 'approval' FROM job "
                "WHERE job_id = ? AND requester NOT IN (SELECT site_id FROM peer)");
    query_bind_int(&query, decision->decided_at);
    query_bind_blob(&query, decision->job_id.bytes, DIGEST_BYTES);
    TRY(query_finish(&query));
    if (database_changes(store->database) > 0)
        TRY(store_event_add(store, EVENT_PEER_ADDED, &decision->job_id, NULL, 0, decision->decided_at,
                            "listed with the approval of its job", NULL));
done:
    return err;
}

static enum event_kind decision_event(enum decision_kind kind)
{
    switch (kind) {
    case DECISION_APPROVE:
        return EVENT_JOB_APPROVED;
    case DECISION_DENY:
        return EVENT_JOB_DENIED;
    case DECISION_REVOKE:
        return EVENT_JOB_REVOKED;
    }
    return EVENT_JOB_DENIED;
}

struct error *store_decide(struct store *store, const struct decision *decision)
{
    struct error *err = NULL;
    TRY(database_begin(store->database));
    enum job_state state;
    enum job_state next;
    TRY(job_state_read(store, &decision->job_id, &state));
    TRY(decision_transition(decision->kind, state, &next));
    TRY(decision_insert(store, decision));
    TRY(job_state_write(store, &decision->job_id, next));
    if (decision->kind == DECISION_REVOKE)
        TRY(job_run_stop(store, &decision->job_id, "cancelled", decision->decided_at));
    if (decision->kind == DECISION_APPROVE)
        TRY(job_requester_list(store, decision));
    TRY(store_event_add(store, decision_event(decision->kind), &decision->job_id, NULL, 0,
                        decision->decided_at, decision->decided_by, NULL));
    TRY(database_commit(store->database));
done:
    if (err != NULL)
        database_rollback(store->database);
    return err;
}

/* ---- time ---- */

/* One live job whose time, or whose approval's time, is over. */
static struct error *job_overdue(struct store *store, int64_t now, struct digest *ret_id, bool *ret_found)
{
    struct query query;
    query_start(&query, store->database,
                "SELECT job_id FROM job WHERE state IN ('pending', 'approved', 'running') AND (expires <= ? "
                "OR EXISTS "
                "(SELECT 1 FROM decision WHERE decision.job_id = job.job_id AND kind = 'approve' AND "
                "decision.expires <= ?)) ORDER BY job_id LIMIT 1");
    query_bind_int(&query, now);
    query_bind_int(&query, now);
    *ret_found = query_step(&query);
    if (*ret_found)
        query_blob_exact(&query, 0, ret_id->bytes, DIGEST_BYTES);
    return query_end(&query);
}

struct error *store_job_expire(struct store *store, int64_t now, uint32_t *ret_expired)
{
    struct error *err = NULL;
    uint32_t expired = 0;
    struct digest id;
    bool found = false;
    /* Looked at every second: nothing is locked until there is something to write. */
    TRY(job_overdue(store, now, &id, &found));
    if (found) {
        TRY(database_begin(store->database));
        TRY(job_overdue(store, now, &id, &found));
        while (found) {
            TRY(job_state_write(store, &id, JOB_STATE_EXPIRED));
            TRY(job_run_stop(store, &id, "stopped", now));
            TRY(store_event_add(store, EVENT_JOB_EXPIRED, &id, NULL, 0, now, "its time is over", NULL));
            expired++;
            TRY(job_overdue(store, now, &id, &found));
        }
        TRY(database_commit(store->database));
    }
    *ret_expired = expired;
done:
    if (err != NULL)
        database_rollback(store->database);
    return err;
}
