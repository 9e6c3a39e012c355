/* Pools: which datasets share records. What is asked of the table of hashes is in one order, ascending, so that it is walked
 * through once. */
#include "datasite/budget_parts.h"
#include "datasite/store_internal.h"
#include "datasite/store_job_parts.h"
#include "datasite/store_ledger_parts.h"

#include <inttypes.h>

/* ---- which pool ---- */

/* The pool that this one was merged into, or itself: always the one of the lowest number. */
static struct error *pool_root(struct store *store, int64_t pool, int64_t *ret_root)
{
    struct query query;
    int64_t root = 0;
    query_start(&query, store->database,
                "WITH RECURSIVE up (pool) AS (VALUES (?1) UNION SELECT budget.pool FROM budget JOIN up ON "
                "budget.kind = 'merge' AND budget.other = up.pool) SELECT min(pool) FROM up");
    query_bind_int(&query, pool);
    if (query_step(&query))
        root = query_int(&query, 0);
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_root = root;
    return err;
}

struct error *pool_of_dataset(struct store *store, int64_t dataset_id, int64_t *ret_pool)
{
    struct error *err = NULL;
    struct query query;
    int64_t pool = 0;
    query_start(
        &query, store->database,
        "SELECT pool FROM budget JOIN dataset ON dataset.id = budget.other AND dataset.digest = "
        "budget.subject WHERE budget.kind = 'join' AND budget.other = ?1 ORDER BY budget.id DESC LIMIT 1");
    query_bind_int(&query, dataset_id);
    if (query_step(&query))
        pool = query_int(&query, 0);
    TRY(query_end(&query));
    if (pool > 0)
        TRY(pool_root(store, pool, &pool));
    *ret_pool = pool;
done:
    return err;
}

struct error *pool_traces(struct store *store, const struct dataset_info *dataset, bool *ret_joined,
                          bool *ret_capped)
{
    struct query query;
    bool joined = true, capped = true;
    query_start(&query, store->database,
                "SELECT EXISTS (SELECT 1 FROM budget WHERE kind = 'join' AND (other = ?1 OR subject = ?2)), "
                "EXISTS (SELECT 1 FROM budget WHERE kind = 'set')");
    query_bind_int(&query, dataset->id);
    query_bind_blob(&query, dataset->digest.bytes, DIGEST_BYTES);
    if (query_step(&query)) {
        joined = query_int(&query, 0) != 0;
        capped = query_int(&query, 1) != 0;
    }
    struct error *err = query_end(&query);
    if (err == NULL) {
        *ret_joined = joined;
        *ret_capped = capped;
    }
    return err;
}

struct error *pool_datasets(struct store *store, int64_t pool, char (*ret_names)[65], size_t room,
                            size_t *ret_count)
{
    struct query query;
    size_t count = 0;
    query_start(&query, store->database,
                LEDGER_MEMBERS "SELECT DISTINCT dataset.name FROM budget JOIN dataset ON dataset.id = "
                               "budget.other AND dataset.digest = budget.subject WHERE budget.kind = 'join' "
                               "AND budget.pool IN (SELECT pool FROM members) ORDER BY dataset.name");
    query_bind_int(&query, pool);
    while (query_step(&query)) {
        if (count < room)
            (void)snprintf(ret_names[count], sizeof(ret_names[count]), "%s", query_text(&query, 0));
        count++;
    }
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_count = count;
    return err;
}

struct error *pool_list(struct store *store, int64_t **ret_pools, size_t *ret_count)
{
    struct error *err = NULL;
    struct query query;
    int64_t *pools = NULL;
    size_t count = 0, room = 0;
    query_start(&query, store->database,
                "SELECT DISTINCT pool FROM budget WHERE kind = 'join' AND pool NOT IN (SELECT other FROM "
                "budget WHERE kind = 'merge') ORDER BY pool");
    while (err == NULL && query_step(&query)) {
        if (count == room) {
            room = room == 0 ? 16 : 2 * room;
            int64_t *more = reallocarray(pools, room, sizeof(*pools));
            if (more == NULL)
                err = error_new(ERROR_MEMORY, "There is not enough memory for the list of pools.");
            else
                pools = more;
        }
        if (err == NULL)
            pools[count++] = query_int(&query, 0);
    }
    TRY(job_query_end(&query, err));
    *ret_pools = pools;
    *ret_count = count;
    pools = NULL;
done:
    free(pools);
    return err;
}

/* ---- whether hashes are those that were brought ---- */

struct pool_join {
    int64_t row;
    struct digest content;
    struct digest_stream *stream;
};
struct pool_joins {
    struct pool_join *joins; /* ascending by row */
    size_t count, room;
};

static void joins_clear(struct pool_joins *joins)
{
    for (size_t i = 0; i < joins->count; i++)
        digest_stream_free(joins->joins[i].stream);
    free(joins->joins);
}

static struct error *joins_add(struct pool_joins *joins, struct query *query)
{
    struct error *err = NULL;
    if (joins->count == joins->room) {
        size_t room = joins->room == 0 ? 16 : 2 * joins->room;
        struct pool_join *more = reallocarray(joins->joins, room, sizeof(*more));
        if (more == NULL)
            FAIL(ERROR_MEMORY, "There is not enough memory to check the pools of records.");
        joins->joins = more;
        joins->room = room;
    }
    struct pool_join join = {.row = query_int(query, 0)};
    query_blob_exact(query, 1, join.content.bytes, DIGEST_BYTES);
    TRY(digest_stream_new(&join.stream));
    joins->joins[joins->count++] = join;
done:
    return err;
}

static struct error *joins_read(struct store *store, struct pool_joins *joins)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, store->database, "SELECT id, content FROM budget WHERE kind = 'join' ORDER BY id");
    while (err == NULL && query_step(&query))
        err = joins_add(joins, &query);
    return job_query_end(&query, err);
}

static int join_order(const void *key, const void *join)
{
    int64_t row = *(const int64_t *)key, other = ((const struct pool_join *)join)->row;
    return row < other ? -1 : row > other;
}

static struct error *pool_changed(void)
{
    return error_new(ERROR_UNTRUSTED,
                     "The hashes of records that privacy budgets are kept by are not those that this site "
                     "wrote: somebody changed site.db. Restore the file from a backup.");
}

static struct error *joins_hash(struct pool_joins *joins, struct query *query)
{
    struct error *err = NULL;
    int64_t row = query_int(query, 0);
    size_t bytes = 0;
    const uint8_t *hash = query_blob(query, 1, &bytes);
    struct pool_join *join =
        joins->count == 0 ? NULL
                          : bsearch(&row, joins->joins, joins->count, sizeof(*joins->joins), join_order);
    if (join == NULL || bytes != POOL_HASH_BYTES)
        TRY(pool_changed());
    TRY(digest_stream_add(join->stream, hash, bytes));
done:
    return err;
}

struct error *pool_verify(struct store *store)
{
    struct error *err = NULL;
    struct pool_joins joins = {.joins = NULL};
    struct query query;
    TRY(joins_read(store, &joins));
    query_start(&query, store->database, "SELECT row, hash FROM budget_hash ORDER BY hash");
    while (err == NULL && query_step(&query))
        err = joins_hash(&joins, &query);
    TRY(job_query_end(&query, err));
    for (size_t i = 0; i < joins.count; i++) {
        struct digest digest;
        TRY(digest_stream_finish(joins.joins[i].stream, &digest));
        if (!digest_equal(&digest, &joins.joins[i].content))
            TRY(pool_changed());
    }
done:
    joins_clear(&joins);
    return err;
}

/* ---- rows that are stored ---- */

/* What becomes of the rows of one dataset. */
struct pool_rows {
    struct store *store;
    const struct dataset_info *info;
    uint8_t (*hashes)[POOL_HASH_BYTES]; /* ascending; new ones are moved to the front */
    size_t count, fresh;
    int64_t roots[POOL_MOST_MERGED]; /* of the pools that have one of them, ascending */
    size_t root_count;
    int64_t now;
};

static struct error *roots_note(struct pool_rows *rows, int64_t root)
{
    size_t at = 0;
    while (at < rows->root_count && rows->roots[at] < root)
        at++;
    if (at < rows->root_count && rows->roots[at] == root)
        return NULL;
    if (rows->root_count == POOL_MOST_MERGED)
        return error_new(ERROR_LIMIT,
                         "These rows are of more than %d pools of records: import fewer at once.",
                         POOL_MOST_MERGED);
    memmove(rows->roots + at + 1, rows->roots + at, (rows->root_count - at) * sizeof(rows->roots[0]));
    rows->roots[at] = root;
    rows->root_count++;
    return NULL;
}

/* The join that brought the hash; 0: none did. */
static struct error *hash_find(struct pool_rows *rows, const uint8_t hash[static POOL_HASH_BYTES],
                               int64_t *ret_pool)
{
    struct query query;
    int64_t pool = 0;
    query_start(&query, rows->store->database,
                "SELECT budget.pool FROM budget_hash JOIN budget ON budget.id = budget_hash.row WHERE "
                "budget_hash.hash = ?1");
    query_bind_blob(&query, hash, POOL_HASH_BYTES);
    if (query_step(&query))
        pool = query_int(&query, 0);
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_pool = pool;
    return err;
}

static struct error *rows_look(struct pool_rows *rows)
{
    struct error *err = NULL;
    int64_t last = 0, pool = 0, root = 0;
    for (size_t i = 0; i < rows->count; i++) {
        TRY(hash_find(rows, rows->hashes[i], &pool));
        if (pool == 0) {
            memmove(rows->hashes[rows->fresh++], rows->hashes[i], POOL_HASH_BYTES);
        } else if (pool != last) {
            TRY(pool_root(rows->store, pool, &root));
            TRY(roots_note(rows, root));
            last = pool;
        }
    }
done:
    return err;
}

static struct error *pool_new(struct store *store, int64_t *ret_pool)
{
    struct query query;
    int64_t pool = 0;
    query_start(&query, store->database, "SELECT coalesce(max(pool), 0) + 1 FROM budget");
    if (query_step(&query))
        pool = query_int(&query, 0);
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_pool = pool;
    return err;
}

/* All of the others become the first, which takes over the stricter of their caps. */
static struct error *rows_merge(struct pool_rows *rows)
{
    struct error *err = NULL;
    char detail[96];
    struct budget_cap cap;
    bool capped = false;
    TRY(budget_caps_join(rows->store, rows->store->identity, rows->roots, rows->root_count, &cap, &capped));
    for (size_t i = 1; i < rows->root_count; i++) {
        struct ledger_row row = {
            .pool = rows->roots[0], .at = rows->now, .kind = LEDGER_MERGE, .other = rows->roots[i]};
        (void)snprintf(detail, sizeof(detail), "pool %" PRId64 " is of pool %" PRId64 ", for rows of both",
                       rows->roots[i], rows->roots[0]);
        TRY(ledger_add(rows->store, &row, detail));
    }
    if (capped)
        TRY(budget_cap_put(rows->store, rows->store->identity, rows->roots[0], &cap, rows->now));
done:
    return err;
}

static struct error *rows_insert(struct pool_rows *rows, int64_t join)
{
    struct error *err = NULL;
    struct query query;
    for (size_t i = 0; i < rows->fresh; i++) {
        query_start(&query, rows->store->database, "INSERT INTO budget_hash (hash, row) VALUES (?1, ?2)");
        query_bind_blob(&query, rows->hashes[i], POOL_HASH_BYTES);
        query_bind_int(&query, join);
        TRY(query_finish(&query));
    }
done:
    return err;
}

static struct error *rows_join(struct pool_rows *rows)
{
    struct error *err = NULL;
    char detail[160];
    struct ledger_row row = {
        .at = rows->now, .kind = LEDGER_JOIN, .other = rows->info->id, .subject = rows->info->digest};
    if (rows->root_count == 0)
        TRY(pool_new(rows->store, &row.pool));
    else
        row.pool = rows->roots[0];
    TRY(digest_of(rows->hashes, rows->fresh * POOL_HASH_BYTES, &row.content));
    (void)snprintf(detail, sizeof(detail), "dataset %s is of pool %" PRId64 ", %zu of %zu rows are new",
                   rows->info->name, row.pool, rows->fresh, rows->count);
    TRY(ledger_add(rows->store, &row, detail));
    TRY(rows_insert(rows, row.id));
done:
    return err;
}

struct error *budget_pool_rows(struct store *store, const struct dataset_info *info,
                               uint8_t (*hashes)[POOL_HASH_BYTES], size_t count, int64_t now)
{
    struct error *err = NULL;
    struct pool_rows rows = {.store = store, .info = info, .hashes = hashes, .count = count, .now = now};
    if (store->identity == NULL)
        FAIL(ERROR_INTERNAL, "Rows were to be pooled without the site's key.");
    TRY(ledger_verify(store, store->identity));
    TRY(pool_verify(store));
    TRY(rows_look(&rows));
    if (rows.root_count > 1)
        TRY(rows_merge(&rows));
    TRY(rows_join(&rows));
done:
    return err;
}
