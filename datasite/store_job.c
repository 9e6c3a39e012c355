/* Jobs and decisions: see the state machine in store.h. Every transition reads the present state inside its
 * own BEGIN IMMEDIATE, so that of two deciders one wins and the other is told what the job is now. */
#include "datasite/store.h"

#include "datasite/store_internal.h"
#include "datasite/store_job_parts.h"

#include <inttypes.h>

#define STORE_PREFIX_DIGITS 4
#define STORE_SECONDS_A_DAY 86400

#define JOB_COLUMNS "job_id, bytes, requester, requester_name, received_at, expires, state"
static const char *const job_state_words[] = {
    [JOB_STATE_PENDING] = "pending",   [JOB_STATE_APPROVED] = "approved", [JOB_STATE_RUNNING] = "running",
    [JOB_STATE_FINISHED] = "finished", [JOB_STATE_DENIED] = "denied",     [JOB_STATE_REVOKED] = "revoked",
    [JOB_STATE_EXPIRED] = "expired",
};
#define JOB_STATES (sizeof(job_state_words) / sizeof(job_state_words[0]))

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

struct error *job_query_end(struct query *query, struct error *err)
{
    struct error *ended = query_end(query);
    if (err == NULL)
        return ended;
    error_free(ended);
    return err;
}

struct error *job_state_parse(const char *word, enum job_state *ret_state)
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

void job_records_free(struct job_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++)
        job_record_clear(&records[i]);
    free(records);
}

/* The rows that a query of JOB_COLUMNS gives; ends it. */
static struct error *job_read_all(struct query *query, struct job_record **ret_records, size_t *ret_count)
{
    struct error *err = NULL;
    struct job_record *records = NULL;
    size_t count = 0;
    size_t room = 0;
    while (err == NULL && query_step(query)) {
        if (count == room) {
            room = room == 0 ? 16 : 2 * room;
            struct job_record *larger = realloc(records, room * sizeof(*records));
            if (larger == NULL) {
                err = error_new(ERROR_MEMORY, "There is not enough memory to list the jobs.");
                break;
            }
            records = larger;
        }
        err = job_read(query, &records[count]);
        if (err == NULL)
            count++;
    }
    TRY(job_query_end(query, err));
    *ret_records = records;
    *ret_count = count;
    records = NULL;
    count = 0;
done:
    job_records_free(records, count);
    return err;
}

struct error *store_job_list(struct store *store, struct job_record **ret_records, size_t *ret_count)
{
    struct query query;
    query_start(&query, store->database, "SELECT " JOB_COLUMNS " FROM job ORDER BY received_at, job_id");
    return job_read_all(&query, ret_records, ret_count);
}

struct error *store_jobs_withheld(struct store *store, const struct site_id *requester, int64_t since,
                                  struct job_record **ret_records, size_t *ret_count)
{
    struct query query;
    query_start(&query, store->database,
                "SELECT " JOB_COLUMNS " FROM job WHERE requester = ? AND job_id IN "
                "(SELECT job_id FROM decision WHERE kind <> 'approve' AND decided_at >= ? AND "
                "decided_by NOT LIKE 'policy:%') ORDER BY received_at DESC, job_id LIMIT 1000");
    query_bind_blob(&query, requester->digest.bytes, DIGEST_BYTES);
    query_bind_int(&query, since);
    return job_read_all(&query, ret_records, ret_count);
}

/* ---- quotas ---- */

/* What a requester, or the lobby, has here. */
struct job_totals {
    int64_t all, pending, bytes;
};

static struct error *job_totals_read(struct query *query, struct job_totals *ret_totals)
{
    struct job_totals totals = {0};
    if (query_step(query))
        totals = (struct job_totals){query_int(query, 0), query_int(query, 1), query_int(query, 2)};
    struct error *err = query_end(query);
    if (err == NULL)
        *ret_totals = totals;
    return err;
}

#define JOB_TOTALS "count(*), coalesce(sum(state = 'pending'), 0), coalesce(sum(length(bytes)), 0)"

static struct error *job_totals_of(struct store *store, const struct site_id *requester,
                                   struct job_totals *ret_totals)
{
    struct query query;
    query_start(&query, store->database, "SELECT " JOB_TOTALS " FROM job WHERE requester = ?");
    query_bind_blob(&query, requester->digest.bytes, DIGEST_BYTES);
    return job_totals_read(&query, ret_totals);
}

/* Whom the owner has listed since is no stranger any more. */
static struct error *job_totals_of_lobby(struct store *store, struct job_totals *ret_totals)
{
    struct query query;
    query_start(&query, store->database,
                "SELECT " JOB_TOTALS
                " FROM job WHERE lobby = 1 AND requester NOT IN (SELECT site_id FROM peer)");
    return job_totals_read(&query, ret_totals);
}

struct error *store_jobs_since(struct store *store, const struct site_id *requester, int64_t since,
                               uint32_t *ret_count)
{
    struct query query;
    uint32_t count = UINT32_MAX;
    query_start(&query, store->database, "SELECT count(*) FROM job WHERE requester = ? AND received_at >= ?");
    query_bind_blob(&query, requester->digest.bytes, DIGEST_BYTES);
    query_bind_int(&query, since);
    if (query_step(&query))
        count = (uint32_t)query_int(&query, 0);
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_count = count;
    return err;
}

static struct error *job_check_requester(struct store *store, const struct job_record *record,
                                         const struct policy_limits *limits)
{
    struct error *err = NULL;
    struct job_totals totals;
    uint32_t today = 0;
    TRY(job_totals_of(store, &record->requester, &totals));
    TRY(store_jobs_since(store, &record->requester, record->received_at - STORE_SECONDS_A_DAY + 1, &today));
    if (totals.pending >= limits->max_pending)
        FAIL(ERROR_LIMIT,
             "%" PRId64
             " of your jobs wait for this site's owner already, which is the most it takes: wait for "
             "decisions.",
             totals.pending);
    if (totals.all >= limits->max_jobs)
        FAIL(ERROR_LIMIT, "This site keeps %" PRIu32 " of your jobs already, which is the most it takes.",
             limits->max_jobs);
    if (totals.bytes + (int64_t)record->byte_count > (int64_t)limits->max_jobs * STORE_JOB_BYTES)
        FAIL(ERROR_LIMIT,
             "This site keeps %" PRId64 " bytes of your jobs already: it takes no more than %" PRId64 ".",
             totals.bytes, (int64_t)limits->max_jobs * STORE_JOB_BYTES);
    if (today >= limits->submissions_per_day)
        FAIL(ERROR_LIMIT,
             "You submitted %" PRIu32 " jobs to this site within 24 hours, which is the most it takes.",
             today);
done:
    return err;
}

/* Numbers would tell about others. */
static struct error *job_check_lobby(struct store *store, const struct job_record *record)
{
    struct error *err = NULL;
    struct job_totals totals;
    TRY(job_totals_of_lobby(store, &totals));
    if (totals.pending >= STORE_LOBBY_PENDING || totals.all >= STORE_LOBBY_JOBS ||
        totals.bytes + (int64_t)record->byte_count > (int64_t)STORE_LOBBY_JOBS * STORE_JOB_BYTES)
        FAIL(ERROR_LIMIT,
             "This site takes no more jobs at present from members whom its owner does not know: ask "
             "the owner to trust you (`orchestrator invite`), or try again later.");
done:
    return err;
}

static struct error *job_insert(struct store *store, const struct job_record *record, bool lobby)
{
    struct query query;
    query_start(
        &query, store->database,
        "INSERT INTO job (job_id, bytes, requester, requester_name, received_at, state, expires, lobby) "
        "VALUES (?, ?, ?, ?, ?, 'pending', ?, ?)");
    query_bind_blob(&query, record->id.bytes, DIGEST_BYTES);
    query_bind_blob(&query, record->bytes, record->byte_count);
    query_bind_blob(&query, record->requester.digest.bytes, DIGEST_BYTES);
    query_bind_text(&query, record->requester_name);
    query_bind_int(&query, record->received_at);
    query_bind_int(&query, record->expires);
    query_bind_int(&query, lobby ? 1 : 0);
    return query_finish(&query);
}

struct error *job_state_read(struct store *store, const struct digest *id, enum job_state *ret_state)
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

struct error *store_job_add(struct store *store, const struct job_record *record,
                            const struct job_quota *quota, bool *ret_is_new)
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
        TRY(job_check_requester(store, record, quota->limits));
        if (quota->lobby)
            TRY(job_check_lobby(store, record));
        TRY(job_insert(store, record, quota->lobby));
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
