/* Runs and what left in them. A run is begun and ended here; a release is added in the transaction that
 * release.c holds open. */
#include "datasite/store_release.h"

#include "datasite/budget.h"
#include "datasite/store_answer_parts.h"
#include "datasite/store_secagg_parts.h"

#include <inttypes.h>

static bool run_is_running(const struct run_record *run)
{
    return strcmp(run->status, "running") == 0;
}

/* Fills from "SELECT run_id, job_id, last_round, status"; *ret_found is false without a row. */
static struct error *run_read(struct query *query, struct run_record *ret_run, bool *ret_found)
{
    struct run_record run = {0};
    bool found = query_step(query);
    if (found) {
        query_blob_exact(query, 0, run.id, STORE_RUN_ID_BYTES);
        query_blob_exact(query, 1, run.job_id.bytes, DIGEST_BYTES);
        run.last_round = (uint32_t)query_int(query, 2);
        (void)snprintf(run.status, sizeof(run.status), "%s", query_text(query, 3));
    }
    struct error *err = query_end(query);
    if (err != NULL)
        return err;
    *ret_found = found;
    if (found)
        *ret_run = run;
    return NULL;
}

static struct error *run_lookup(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                struct run_record *ret_run, bool *ret_found)
{
    struct query query;
    query_start(&query, store->database,
                "SELECT run_id, job_id, last_round, status FROM run WHERE run_id = ?");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    return run_read(&query, ret_run, ret_found);
}

static struct error *run_in_progress(struct store *store, const struct digest *job_id,
                                     struct run_record *ret_run, bool *ret_found)
{
    struct query query;
    query_start(
        &query, store->database,
        "SELECT run_id, job_id, last_round, status FROM run WHERE job_id = ? AND status = 'running' LIMIT 1");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    return run_read(&query, ret_run, ret_found);
}

struct error *store_run_find(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                             struct run_record *ret_run)
{
    struct error *err = NULL;
    struct run_record run;
    bool found = false;
    TRY(run_lookup(store, run_id, &run, &found));
    if (!found)
        FAIL(ERROR_NOT_FOUND, "This run never began at this site.");
    *ret_run = run;
done:
    return err;
}

/* ---- the beginning and the end of a run ---- */

static struct error *run_count(struct store *store, const struct digest *job_id, uint32_t *ret_used)
{
    struct query query;
    query_start(&query, store->database, "SELECT count(*) FROM run WHERE job_id = ?");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    if (query_step(&query))
        *ret_used = (uint32_t)query_int(&query, 0);
    return query_end(&query);
}

static struct error *run_state(struct store *store, const struct digest *job_id, enum job_state *ret_state)
{
    struct error *err = NULL;
    struct job_record record = {0};
    TRY(store_job_find(store, job_id, &record));
    *ret_state = record.state;
    job_record_clear(&record);
done:
    return err;
}

static struct error *run_requester(struct store *store, const struct digest *job_id,
                                   struct site_id *ret_requester)
{
    struct error *err = NULL;
    struct job_record record = {0};
    TRY(store_job_find(store, job_id, &record));
    *ret_requester = record.requester;
    job_record_clear(&record);
done:
    return err;
}

static struct error *run_insert(struct store *store, const struct digest *job_id, const uint8_t *run_id,
                                int64_t now)
{
    struct error *err = NULL;
    struct query query;
    query_start(
        &query, store->database,
        "INSERT INTO run (run_id, job_id, started_at, last_round, status) VALUES (?, ?, ?, 0, 'running')");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    query_bind_int(&query, now);
    TRY(query_finish(&query));
    query_start(&query, store->database, "UPDATE job SET state = 'running' WHERE job_id = ?");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    TRY(query_finish(&query));
    TRY(store_event_add(store, EVENT_RUN_STARTED, job_id, run_id, 0, now, "first round asked for", NULL));
done:
    return err;
}

/* Marks the run as ended; the job becomes approved again, or finished when no run is left. */
static struct error *run_close(struct store *store, const struct run_record *run, const char *status,
                               int64_t now)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, store->database, "UPDATE run SET status = ?, ended_at = ? WHERE run_id = ?");
    query_bind_text(&query, status);
    query_bind_int(&query, now);
    query_bind_blob(&query, run->id, STORE_RUN_ID_BYTES);
    TRY(query_finish(&query));
    struct decision decision;
    uint32_t used = 0;
    TRY(store_approval(store, &run->job_id, &decision));
    TRY(run_count(store, &run->job_id, &used));
    bool over = used >= decision.runs;
    query_start(&query, store->database, "UPDATE job SET state = ? WHERE job_id = ? AND state = 'running'");
    query_bind_text(&query, job_state_word(over ? JOB_STATE_FINISHED : JOB_STATE_APPROVED));
    query_bind_blob(&query, run->job_id.bytes, DIGEST_BYTES);
    TRY(query_finish(&query));
    bool changed = database_changes(store->database) > 0;
    TRY(answers_unmade(store, &run->job_id, run->id, now));
    TRY(secagg_run_over(store, run->id));
    TRY(budget_run_over(store, run->id, now));
    TRY(store_event_add(store, EVENT_RUN_ENDED, &run->job_id, run->id, run->last_round, now, status, NULL));
    if (over && changed)
        TRY(store_event_add(store, EVENT_JOB_FINISHED, &run->job_id, run->id, run->last_round, now,
                            "all approved runs are used", NULL));
done:
    return err;
}

/* A run that began but was never ended (its orchestrator is gone, or its EndRun was lost) does not stand in the way of
 * the next one. It stays counted, and what still comes for it is refused. */
static struct error *run_make_way(struct store *store, const struct digest *job_id, uint32_t rounds,
                                  int64_t now)
{
    struct error *err = NULL;
    struct run_record other;
    bool found = false;
    TRY(run_in_progress(store, job_id, &other, &found));
    if (found)
        TRY(run_close(store, &other, other.last_round < rounds ? "stopped" : "finished", now));
done:
    return err;
}

static struct error *run_start(struct store *store, const struct digest *job_id, const uint8_t *run_id,
                               int64_t now)
{
    struct error *err = NULL;
    struct decision decision;
    uint32_t used = 0;
    TRY(store_approval(store, job_id, &decision));
    TRY(run_count(store, job_id, &used));
    if (used >= decision.runs)
        FAIL(ERROR_REFUSED,
             "The approval of this job allows %" PRIu32 " run%s, and %" PRIu32
             " began already: submit it again "
             "under another name to ask for more.",
             decision.runs, decision.runs == 1 ? "" : "s", used);
    TRY(run_make_way(store, job_id, decision.rounds, now));
    TRY(run_insert(store, job_id, run_id, now));
done:
    return err;
}

/* The run as it is, if it may go on. */
static struct error *run_continue(const struct run_record *run, const struct digest *job_id)
{
    if (!digest_equal(&run->job_id, job_id))
        return error_new(ERROR_REFUSED, "The run id belongs to another job.");
    if (!run_is_running(run))
        return error_new(ERROR_REFUSED, "The run has ended at this site: %s.", run->status);
    return NULL;
}

struct error *store_run_begin(struct store *store, const struct digest *job_id,
                              const uint8_t run_id[static STORE_RUN_ID_BYTES], int64_t now,
                              struct run_record *ret_run)
{
    struct error *err = NULL;
    struct run_record run;
    bool found = false;
    enum job_state state;
    bool own = !database_in_transaction(store->database);
    if (own)
        TRY(database_begin(store->database));
    TRY(run_state(store, job_id, &state));
    if (state != JOB_STATE_APPROVED && state != JOB_STATE_RUNNING)
        FAIL(ERROR_REFUSED, "The job is %s at this site.", job_state_word(state));
    TRY(run_lookup(store, run_id, &run, &found));
    if (found) {
        TRY(run_continue(&run, job_id));
    } else {
        TRY(run_start(store, job_id, run_id, now));
        TRY(run_lookup(store, run_id, &run, &found));
    }
    if (own)
        TRY(database_commit(store->database));
    *ret_run = run;
done:
    if (err != NULL && own)
        database_rollback(store->database);
    return err;
}

struct error *store_run_end(struct store *store, const struct digest *job_id,
                            const uint8_t run_id[static STORE_RUN_ID_BYTES], const char *status,
                            uint64_t arrived, int64_t now)
{
    struct error *err = NULL;
    struct run_record run;
    struct site_id requester;
    TRY(database_begin(store->database));
    TRY(store_run_find(store, run_id, &run));
    if (!digest_equal(&run.job_id, job_id))
        FAIL(ERROR_REFUSED, "The run id belongs to another job.");
    TRY(run_requester(store, job_id, &requester));
    if (arrived > 0)
        TRY(store_answers_made(store, &requester, arrived));
    if (run_is_running(&run))
        TRY(run_close(store, &run, status, now));
    TRY(database_commit(store->database));
done:
    if (err != NULL)
        database_rollback(store->database);
    return err;
}

struct error *store_runs_used(struct store *store, const struct digest *job_id, uint32_t *ret_used,
                              uint32_t *ret_last_round)
{
    struct error *err = NULL;
    uint32_t used = 0;
    struct run_record run;
    bool found = false;
    TRY(run_count(store, job_id, &used));
    TRY(run_in_progress(store, job_id, &run, &found));
    *ret_used = used;
    *ret_last_round = found ? run.last_round : 0;
done:
    return err;
}

/* ---- what the events say ---- */

/* The one number that `query` gives; ends it. */
static struct error *count_read(struct query *query, uint64_t *ret_count)
{
    uint64_t count = 0;
    if (query_step(query))
        count = (uint64_t)query_int(query, 0);
    struct error *err = query_end(query);
    if (err == NULL)
        *ret_count = count;
    return err;
}

struct error *store_release_events(struct store *store, const struct digest *job_id,
                                   const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                   enum answer_kind kind, struct release_events *ret_events)
{
    struct release_events events = {0};
    struct query query;
    query_start(
        &query, store->database,
        "SELECT (SELECT count(*) FROM event WHERE job_id = ?1 AND kind IN (?4, ?5, ?6)), "
        "(SELECT count(*) FROM event WHERE job_id = ?1 AND kind IN (?4, ?5, ?6) AND run_id = ?2 AND round = "
        "?3), "
        "(SELECT count(*) FROM answer WHERE answer.run_id = ?2 AND answer.round = ?3 AND answer.kind = ?7)");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, round);
    query_bind_text(&query, event_kind_word(answer_event(kind, false)));
    query_bind_text(&query, event_kind_word(answer_event(kind, true)));
    query_bind_text(&query, answer_held_word(kind));
    query_bind_text(&query, answer_kind_word(kind));
    if (query_step(&query)) {
        events.of_job = (uint64_t)query_int(&query, 0);
        events.of_round = (uint64_t)query_int(&query, 1);
        events.rows = (uint64_t)query_int(&query, 2);
    }
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_events = events;
    return err;
}

struct error *store_release_left(struct store *store, const struct digest *job_id,
                                 const uint8_t run_id[static STORE_RUN_ID_BYTES], enum answer_kind kind,
                                 uint64_t *ret_left)
{
    struct query query;
    /* An event that lets a held answer out names no kind: the one that held it, with the same digest, does. */
    query_start(
        &query, store->database,
        "SELECT (SELECT count(*) FROM event WHERE job_id = ?1 AND kind = ?3 AND run_id = ?2) + (SELECT "
        "count(*) FROM event WHERE job_id = ?1 AND kind = ?4 AND run_id = ?2 AND EXISTS (SELECT 1 FROM event "
        "AS later WHERE later.job_id = ?1 AND later.kind = 'held-released' AND later.run_id = ?2 AND "
        "later.round = event.round AND later.digest = event.digest))");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_text(&query, event_kind_word(answer_event(kind, false)));
    query_bind_text(&query, answer_held_word(kind));
    return count_read(&query, ret_left);
}

struct error *store_release_rounds(struct store *store, const struct digest *job_id,
                                   const uint8_t run_id[static STORE_RUN_ID_BYTES], uint32_t round,
                                   enum answer_kind kind, uint64_t *ret_rounds)
{
    struct query query;
    query_start(
        &query, store->database,
        "SELECT count(*) FROM (SELECT DISTINCT run_id, round FROM event WHERE job_id = ?1 AND kind IN "
        "(?4, ?5, ?6) AND NOT (run_id = ?2 AND round = ?3))");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, round);
    query_bind_text(&query, event_kind_word(answer_event(kind, false)));
    query_bind_text(&query, event_kind_word(answer_event(kind, true)));
    query_bind_text(&query, answer_held_word(kind));
    return count_read(&query, ret_rounds);
}

struct error *store_release_bytes(struct store *store, const struct digest *job_id, uint64_t *ret_bytes)
{
    struct query query;
    query_start(&query, store->database,
                "SELECT coalesce(sum(bytes), 0) FROM delivery JOIN run USING (run_id) WHERE run.job_id = ?");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    return count_read(&query, ret_bytes);
}

struct error *store_release_versions(struct store *store, const struct digest *job_id,
                                     const struct digest *digest, struct release_versions *ret_versions)
{
    struct release_versions versions = {0, false};
    struct query query;
    query_start(&query, store->database,
                "SELECT coalesce(max(dataset_rows), 0), coalesce(sum(dataset_digest IS ?2), 0) FROM delivery "
                "JOIN run USING (run_id) WHERE run.job_id = ?1");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    query_bind_blob(&query, digest->bytes, DIGEST_BYTES);
    if (query_step(&query)) {
        versions.most_rows = (uint64_t)query_int(&query, 0);
        versions.known = query_int(&query, 1) > 0;
    }
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_versions = versions;
    return err;
}
