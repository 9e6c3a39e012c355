/* Decisions and the transitions of a job: see the state machine in store.h. Every transition reads the
 * present state inside its own BEGIN IMMEDIATE, so that of two deciders one wins and the other is told what
 * the job is now. */
#include "datasite/store.h"

#include "datasite/budget.h"
#include "datasite/store_answer_parts.h"
#include "datasite/store_internal.h"
#include "datasite/store_job_parts.h"
#include "datasite/store_secagg_parts.h"

#define DECISION_COLUMNS                                                                                     \
    "kind, job_id, rounds, runs, expires, dataset_digest, decided_at, decided_by, reason, statement, "       \
    "signature, version, hold, allow_growth, dataset_rows"

static const char *const decision_words[] = {
    [DECISION_APPROVE] = "approve",
    [DECISION_DENY] = "deny",
    [DECISION_REVOKE] = "revoke",
};
#define DECISION_KINDS (sizeof(decision_words) / sizeof(decision_words[0]))

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
    TRY(decision_count(query, 11, &decision.version));
    if (!hold_parse(query_text(query, 12), &decision.hold))
        FAIL(ERROR_CORRUPT, "A decision in the site's database holds answers in a way that does not exist.");
    decision.allow_growth = query_int(query, 13) != 0;
    decision.dataset_rows = (uint64_t)query_int(query, 14);
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

struct error *store_withheld(struct store *store, const struct digest *job_id, bool *ret_withheld)
{
    struct query query;
    query_start(&query, store->database,
                "SELECT 1 FROM decision WHERE job_id = ? AND kind <> 'approve' UNION ALL "
                "SELECT 1 FROM event WHERE job_id = ? AND kind IN ('job-revoked', 'job-denied') LIMIT 1");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    bool withheld = query_step(&query);
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_withheld = withheld;
    return err;
}

struct error *store_approvals_by(struct store *store, const struct site_id *requester, const char *decided_by,
                                 int64_t since, uint32_t *ret_count)
{
    struct query query;
    uint32_t count = UINT32_MAX;
    query_start(&query, store->database,
                "SELECT count(*) FROM decision JOIN job USING (job_id) WHERE kind = 'approve' AND "
                "requester = ? AND decided_by = ? AND decided_at >= ?");
    query_bind_blob(&query, requester->digest.bytes, DIGEST_BYTES);
    query_bind_text(&query, decided_by);
    query_bind_int(&query, since);
    if (query_step(&query))
        count = (uint32_t)query_int(&query, 0);
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_count = count;
    return err;
}

struct error *store_last_decision(struct store *store, const struct digest *job_id,
                                  struct decision *ret_decision)
{
    struct query query;
    query_start(&query, store->database,
                "SELECT " DECISION_COLUMNS " FROM decision WHERE job_id = ? ORDER BY id DESC LIMIT 1");
    return decision_find(&query, job_id, ret_decision);
}

struct error *store_decisions(struct store *store,
                              struct error *(*visit)(void *context, const struct decision *decision,
                                                     const struct site_id *requester),
                              void *context)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, store->database,
                "SELECT " DECISION_COLUMNS ", (SELECT requester FROM job WHERE job.job_id = decision.job_id) "
                "FROM decision ORDER BY id");
    while (err == NULL && query_step(&query)) {
        struct decision decision;
        struct site_id requester = {{{0}}};
        err = decision_read(&query, &decision);
        if (err == NULL && !query_is_null(&query, 15))
            query_blob_exact(&query, 15, requester.digest.bytes, DIGEST_BYTES);
        if (err == NULL)
            err = visit(context, &decision, &requester);
    }
    return job_query_end(&query, err);
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
                "INSERT INTO decision (" DECISION_COLUMNS
                ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
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
    query_bind_int(&query, decision->version);
    query_bind_text(&query, hold_word(decision->hold));
    query_bind_int(&query, decision->allow_growth ? 1 : 0);
    query_bind_int(&query, (int64_t)decision->dataset_rows);
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

/* The run of the job that is in progress, if there is one. */
static struct error *job_run_find(struct store *store, const struct digest *id,
                                  uint8_t ret_run_id[static STORE_RUN_ID_BYTES], bool *ret_found)
{
    struct query query;
    query_start(&query, store->database,
                "SELECT run_id FROM run WHERE job_id = ? AND status = 'running' LIMIT 1");
    query_bind_blob(&query, id->bytes, DIGEST_BYTES);
    *ret_found = query_step(&query);
    if (*ret_found)
        query_blob_exact(&query, 0, ret_run_id, STORE_RUN_ID_BYTES);
    return query_end(&query);
}

/* A job that is over takes its run in progress with it. */
static struct error *job_run_stop(struct store *store, const struct digest *id, const char *status,
                                  int64_t at)
{
    struct error *err = NULL;
    struct query query;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    bool found = false;
    TRY(job_run_find(store, id, run_id, &found));
    if (!found)
        goto done;
    TRY(answers_unmade(store, id, run_id, at));
    TRY(secagg_run_over(store, run_id));
    TRY(budget_run_over(store, run_id, at));
    query_start(&query, store->database,
                "UPDATE run SET status = ?, ended_at = ? WHERE job_id = ? AND status = 'running'");
    query_bind_text(&query, status);
    query_bind_int(&query, at);
    query_bind_blob(&query, id->bytes, DIGEST_BYTES);
    TRY(query_finish(&query));
done:
    return err;
}

/* Of a decision that the owner took, and no rule of the policy in the owner's place. */
static bool decision_is_owners(const struct decision *decision)
{
    return strncmp(decision->decided_by, "policy:", 7) != 0;
}

/* What the owner removed stays removed until the owner approves a job of it. */
static struct error *job_requester_welcome(struct store *store, const struct decision *decision)
{
    struct query query;
    query_start(&query, store->database,
                "DELETE FROM removed_peer WHERE site_id = (SELECT requester FROM job WHERE job_id = ?)");
    query_bind_blob(&query, decision->job_id.bytes, DIGEST_BYTES);
    return query_finish(&query);
}

/* Who had a job approved may take part from now on: a member of a consortium whom no list named becomes
 * listed. */
static struct error *job_requester_list(struct store *store, const struct decision *decision)
{
    struct error *err = NULL;
    struct query query;
    if (decision_is_owners(decision))
        TRY(job_requester_welcome(store, decision));
    query_start(
        &query, store->database,
        "INSERT INTO peer (site_id, name, added_at, added_by) "
        "SELECT requester, requester_name, ?, 'approval' FROM job WHERE job_id = ? AND requester NOT IN "
        "(SELECT site_id FROM peer UNION SELECT site_id FROM removed_peer)");
    query_bind_int(&query, decision->decided_at);
    query_bind_blob(&query, decision->job_id.bytes, DIGEST_BYTES);
    TRY(query_finish(&query));
    if (database_changes(store->database) > 0)
        TRY(store_event_add(store, EVENT_PEER_ADDED, &decision->job_id, NULL, 0, decision->decided_at,
                            "listed with the approval of its job", NULL));
done:
    return err;
}

enum event_kind decision_event(enum decision_kind kind)
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
    struct digest digest;
    TRY(digest_of(decision->statement, decision->statement_bytes, &digest));
    TRY(job_state_read(store, &decision->job_id, &state));
    TRY(decision_transition(decision->kind, state, &next));
    TRY(decision_insert(store, decision));
    TRY(job_state_write(store, &decision->job_id, next));
    if (decision->kind == DECISION_REVOKE)
        TRY(job_run_stop(store, &decision->job_id, "cancelled", decision->decided_at));
    if (decision->kind == DECISION_APPROVE)
        TRY(job_requester_list(store, decision));
    TRY(store_event_add(store, decision_event(decision->kind), &decision->job_id, NULL, 0,
                        decision->decided_at, decision->decided_by, &digest));
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
