/* Rows of the ledger: read, and added in the transaction of what they record. */
#include "datasite/store_ledger.h"

#include "datasite/store_internal.h"
#include "datasite/store_job_parts.h"
#include "datasite/store_ledger_parts.h"

#include <inttypes.h>

static const struct {
    const char *word;
    enum event_kind event;
} ledger_kinds[] = {
    [LEDGER_JOIN] = {"join", EVENT_BUDGET_JOINED},   [LEDGER_MERGE] = {"merge", EVENT_BUDGET_MERGED},
    [LEDGER_SET] = {"set", EVENT_BUDGET_SET},        [LEDGER_RESERVE] = {"reserve", EVENT_BUDGET_RESERVED},
    [LEDGER_BEGIN] = {"begin", EVENT_BUDGET_BEGUN},  [LEDGER_SETTLE] = {"settle", EVENT_BUDGET_SETTLED},
    [LEDGER_CLOSE] = {"close", EVENT_BUDGET_CLOSED}, [LEDGER_CLEAR] = {"clear", EVENT_BUDGET_CLEAR},
};
#define LEDGER_KINDS (sizeof(ledger_kinds) / sizeof(ledger_kinds[0]))

const char *ledger_kind_word(enum ledger_kind kind)
{
    return ledger_kinds[kind].word;
}

enum event_kind ledger_event(enum ledger_kind kind)
{
    return ledger_kinds[kind].event;
}

/* ---- reading ---- */

static struct error *row_kind(struct query *query, int column, enum ledger_kind *ret_kind)
{
    const char *word = query_text(query, column);
    for (size_t i = 0; i < LEDGER_KINDS; i++) {
        if (strcmp(word, ledger_kinds[i].word) == 0) {
            *ret_kind = (enum ledger_kind)i;
            return NULL;
        }
    }
    return error_new(ERROR_CORRUPT,
                     "A row of the budget's ledger is of the kind \"%.20s\", which does not exist.", word);
}

static struct error *row_count(struct query *query, int column, uint32_t *ret_count)
{
    int64_t value = query_int(query, column);
    if (value < 0 || value > UINT32_MAX)
        return error_new(ERROR_UNTRUSTED, "Row %lld of the budget's ledger has a number out of range.",
                         (long long)query_int(query, 0));
    *ret_count = (uint32_t)value;
    return NULL;
}

struct error *ledger_read(struct query *query, struct ledger_row *ret_row)
{
    struct error *err = NULL;
    struct ledger_row row = {.id = query_int(query, 0),
                             .pool = query_int(query, 1),
                             .at = query_int(query, 2),
                             .shared = query_int(query, 9) != 0,
                             .noise_multiplier = query_real(query, 10),
                             .sampling_rate = query_real(query, 11),
                             .metrics_noise = query_real(query, 14),
                             .epsilon = query_real(query, 16),
                             .delta = query_real(query, 17),
                             .other = query_int(query, 19),
                             .event = (uint64_t)query_int(query, 24)};
    TRY(row_kind(query, 3, &row.kind));
    query_blob_exact(query, 4, row.job_id.bytes, DIGEST_BYTES);
    query_blob_exact(query, 5, row.run_id, STORE_RUN_ID_BYTES);
    TRY(row_count(query, 6, &row.round));
    TRY(row_count(query, 7, &row.use));
    TRY(row_count(query, 8, &row.mechanism));
    TRY(row_count(query, 12, &row.steps));
    TRY(row_count(query, 13, &row.rounds));
    TRY(row_count(query, 15, &row.evaluations));
    TRY(row_count(query, 18, &row.filter));
    query_blob_exact(query, 20, row.subject.bytes, DIGEST_BYTES);
    query_blob_exact(query, 21, row.content.bytes, DIGEST_BYTES);
    query_blob_exact(query, 22, row.signature, SIGNATURE_BYTES);
    query_blob_exact(query, 23, row.hash.bytes, DIGEST_BYTES);
    *ret_row = row;
done:
    return err;
}

/* The one row that the query finds. */
static struct error *row_take(struct query *query, struct ledger_row *ret_row, bool *ret_found)
{
    struct error *err = NULL;
    bool found = query_step(query);
    if (found)
        err = ledger_read(query, ret_row);
    TRY(job_query_end(query, err));
    *ret_found = found;
done:
    return err;
}

struct error *ledger_rows(struct store *store, int64_t pool,
                          struct error *(*visit)(void *context, const struct ledger_row *row), void *context)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, store->database,
                LEDGER_MEMBERS "SELECT " LEDGER_COLUMNS
                               " FROM budget WHERE pool IN (SELECT pool FROM members) ORDER BY id");
    query_bind_int(&query, pool);
    while (err == NULL && query_step(&query)) {
        struct ledger_row row;
        err = ledger_read(&query, &row);
        if (err == NULL)
            err = visit(context, &row);
    }
    return job_query_end(&query, err);
}

#define LEDGER_RUN                                                                                           \
    "SELECT " LEDGER_COLUMNS                                                                                 \
    ", (SELECT count(*) FROM budget AS other WHERE other.run_id = budget.run_id AND other.use = 1 AND "      \
    "other.kind = 'begin'), "                                                                                \
    "(SELECT count(*) FROM budget AS other WHERE other.run_id = budget.run_id AND other.use = 2 AND "        \
    "other.kind = 'begin'), "                                                                                \
    "EXISTS (SELECT 1 FROM budget AS other WHERE other.run_id = budget.run_id AND other.kind = 'close') "    \
    "FROM budget WHERE kind = 'reserve' "

static struct error *run_read(struct query *query, struct ledger_run *ret_run)
{
    struct error *err = NULL;
    struct ledger_run run = {.closed = query_int(query, LEDGER_COLUMN_COUNT + 2) != 0};
    TRY(ledger_read(query, &run.reserved));
    TRY(row_count(query, LEDGER_COLUMN_COUNT, &run.rounds));
    TRY(row_count(query, LEDGER_COLUMN_COUNT + 1, &run.evaluations));
    *ret_run = run;
done:
    return err;
}

struct error *ledger_runs(struct store *store, int64_t pool,
                          struct error *(*visit)(void *context, const struct ledger_run *run), void *context)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, store->database,
                LEDGER_MEMBERS LEDGER_RUN "AND pool IN (SELECT pool FROM members) ORDER BY id");
    query_bind_int(&query, pool);
    while (err == NULL && query_step(&query)) {
        struct ledger_run run;
        err = run_read(&query, &run);
        if (err == NULL)
            err = visit(context, &run);
    }
    return job_query_end(&query, err);
}

struct error *ledger_run_find(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                              struct ledger_run *ret_run, bool *ret_found)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, store->database, LEDGER_RUN "AND run_id = ?1");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    bool found = query_step(&query);
    if (found)
        err = run_read(&query, ret_run);
    TRY(job_query_end(&query, err));
    *ret_found = found;
done:
    return err;
}

struct error *ledger_has(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                         enum ledger_kind kind, enum ledger_use use, uint32_t round, bool *ret_has)
{
    struct query query;
    /* The kind in words: a statement that an index of one kind would do for is planned anew for each that is bound. */
    query_start(&query, store->database,
                kind == LEDGER_BEGIN
                    ? "SELECT 1 FROM budget WHERE run_id = ?1 AND use = ?2 AND round = ?3 AND kind = 'begin'"
                    : "SELECT 1 FROM budget WHERE run_id = ?1 AND use = ?2 AND round = ?3 AND kind = "
                      "'settle'");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, use);
    query_bind_int(&query, round);
    bool has = query_step(&query);
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_has = has;
    return err;
}

struct error *ledger_cap(struct store *store, int64_t pool, struct ledger_row *ret_row, bool *ret_found)
{
    struct query query;
    query_start(&query, store->database,
                "SELECT " LEDGER_COLUMNS
                " FROM budget WHERE pool = ?1 AND kind = 'set' ORDER BY id DESC LIMIT 1");
    query_bind_int(&query, pool);
    return row_take(&query, ret_row, ret_found);
}

struct error *ledger_count(struct store *store, int64_t pool, uint64_t *ret_clear, uint64_t *ret_all)
{
    struct query query;
    uint64_t clear = 0, all = 0;
    query_start(&query, store->database,
                LEDGER_MEMBERS
                "SELECT count(*) FILTER (WHERE kind = 'clear'), count(*) FROM budget WHERE pool "
                "IN (SELECT pool FROM members)");
    query_bind_int(&query, pool);
    if (query_step(&query)) {
        clear = (uint64_t)query_int(&query, 0);
        all = (uint64_t)query_int(&query, 1);
    }
    struct error *err = query_end(&query);
    if (err == NULL) {
        *ret_clear = clear;
        *ret_all = all;
    }
    return err;
}

struct error *ledger_count_all(struct store *store, uint64_t *ret_count)
{
    struct query query;
    uint64_t count = 0;
    query_start(&query, store->database, "SELECT count(*) FROM budget");
    if (query_step(&query))
        count = (uint64_t)query_int(&query, 0);
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_count = count;
    return err;
}

struct error *ledger_last(struct store *store, struct ledger_row *ret_row, bool *ret_found)
{
    struct query query;
    query_start(&query, store->database, "SELECT " LEDGER_COLUMNS " FROM budget ORDER BY id DESC LIMIT 1");
    return row_take(&query, ret_row, ret_found);
}

struct error *ledger_find(struct store *store, int64_t id, struct ledger_row *ret_row, bool *ret_found)
{
    struct query query;
    query_start(&query, store->database, "SELECT " LEDGER_COLUMNS " FROM budget WHERE id = ?1");
    query_bind_int(&query, id);
    return row_take(&query, ret_row, ret_found);
}

/* ---- adding ---- */

static void row_bind(struct query *query, const struct ledger_row *row)
{
    query_bind_int(query, row->id);
    query_bind_int(query, row->pool);
    query_bind_int(query, row->at);
    query_bind_text(query, ledger_kind_word(row->kind));
    query_bind_blob(query, row->job_id.bytes, DIGEST_BYTES);
    query_bind_blob(query, row->run_id, STORE_RUN_ID_BYTES);
    query_bind_int(query, row->round);
    query_bind_int(query, row->use);
    query_bind_int(query, row->mechanism);
    query_bind_int(query, row->shared ? 1 : 0);
    query_bind_real(query, row->noise_multiplier);
    query_bind_real(query, row->sampling_rate);
    query_bind_int(query, row->steps);
    query_bind_int(query, row->rounds);
    query_bind_real(query, row->metrics_noise);
    query_bind_int(query, row->evaluations);
    query_bind_real(query, row->epsilon);
    query_bind_real(query, row->delta);
    query_bind_int(query, row->filter);
    query_bind_int(query, row->other);
    query_bind_blob(query, row->subject.bytes, DIGEST_BYTES);
    query_bind_blob(query, row->content.bytes, DIGEST_BYTES);
    query_bind_blob(query, row->signature, SIGNATURE_BYTES);
    query_bind_blob(query, row->hash.bytes, DIGEST_BYTES);
    query_bind_int(query, (int64_t)row->event);
}

static struct error *row_insert(struct store *store, const struct ledger_row *row)
{
    struct query query;
    query_start(&query, store->database,
                "INSERT INTO budget (" LEDGER_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    row_bind(&query, row);
    return query_finish(&query);
}

/* An empty run id, or job id, is none: kinds that are about the owner's own doing have neither. */
static struct error *row_event(struct store *store, const struct ledger_row *row, const char *detail)
{
    static const uint8_t none[DIGEST_BYTES];
    bool of_job = memcmp(row->job_id.bytes, none, DIGEST_BYTES) != 0;
    return store_event_add(store, ledger_event(row->kind), of_job ? &row->job_id : NULL,
                           of_job ? row->run_id : NULL, row->round, row->at, detail, &row->hash);
}

struct error *ledger_add(struct store *store, struct ledger_row *row, const char *detail)
{
    struct error *err = NULL;
    struct ledger_row last = {.id = 0};
    struct digest previous = {{0}};
    bool found = false;
    if (!database_in_transaction(store->database))
        FAIL(ERROR_INTERNAL, "A row of the budget's ledger was to be added without a transaction.");
    TRY(ledger_last(store, &last, &found));
    TRY(ledger_check_end(store, found ? &last : NULL));
    if (found)
        previous = last.hash;
    row->id = last.id + 1;
    TRY(ledger_hash(&previous, row, &row->hash));
    TRY(row_event(store, row, detail));
    TRY(ledger_event_last(store, &row->event));
    TRY(row_insert(store, row));
done:
    return err;
}

struct error *ledger_begin(struct store *store, struct ledger_change *ret_change)
{
    struct error *err = NULL;
    struct ledger_change change = {.own = !database_in_transaction(store->database)};
    if (change.own)
        TRY(database_begin(store->database));
    *ret_change = change;
done:
    return err;
}

struct error *ledger_commit(struct store *store, const struct ledger_change *change)
{
    return change->own ? database_commit(store->database) : NULL;
}

void ledger_undo(struct store *store, const struct ledger_change *change)
{
    if (change->own)
        database_rollback(store->database);
}

/* ---- the end of a run ---- */

struct error *budget_run_over(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                              int64_t now)
{
    struct error *err = NULL;
    struct ledger_run run;
    bool found = false;
    char detail[96];
    TRY(ledger_run_find(store, run_id, &run, &found));
    if (!found || run.closed)
        goto done;
    struct ledger_row row = {.pool = run.reserved.pool,
                             .at = now,
                             .kind = LEDGER_CLOSE,
                             .job_id = run.reserved.job_id,
                             .rounds = run.rounds,
                             .evaluations = run.evaluations};
    memcpy(row.run_id, run_id, STORE_RUN_ID_BYTES);
    (void)snprintf(detail, sizeof(detail), "%" PRIu32 " rounds and %" PRIu32 " evaluations were begun",
                   run.rounds, run.evaluations);
    TRY(ledger_add(store, &row, detail));
done:
    return err;
}
