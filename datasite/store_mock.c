#include "datasite/store_mock.h"

#include "datasite/store_internal.h"
#include "datasite/store_job_parts.h"

#define MOCK_COLUMNS "SELECT dataset, source, kind, rows, features, classes, digest, made_at FROM mock "

/* The shape of the mock dataset, as the functions of datasets take it. */
static struct dataset_info mock_shape(const struct mock_info *info)
{
    return (struct dataset_info){
        .kind = info->kind, .rows = info->rows, .features = info->features, .classes = info->classes};
}

static struct error *mock_corrupt(struct store *store, const char *dataset)
{
    return error_new(
        ERROR_CORRUPT,
        "The mock dataset of \"%s\" in %s holds values that cannot be: make it again (datasite mock make "
        "%s).",
        dataset, database_path(store->database), dataset);
}

static bool mock_is_sound(struct query *query)
{
    const char *kind = query_text(query, 2);
    int64_t rows = query_int(query, 3), features = query_int(query, 4), classes = query_int(query, 5);
    return (strcmp(kind, "bytes") == 0 || strcmp(kind, "numbers") == 0) && rows > 0 &&
           rows <= (int64_t)STORE_MAX_ROWS && features > 0 && features <= (int64_t)STORE_MAX_FEATURES &&
           classes > 1 && classes <= STORE_MAX_CLASSES;
}

static struct error *mock_take(struct store *store, struct query *query, struct mock_info *ret_info)
{
    struct mock_info info = {
        .kind = strcmp(query_text(query, 2), "bytes") == 0 ? DATASET_BYTES : DATASET_NUMBERS,
        .rows = (uint64_t)query_int(query, 3),
        .features = (uint64_t)query_int(query, 4),
        .classes = (uint32_t)query_int(query, 5),
        .made_at = query_int(query, 7),
    };
    (void)snprintf(info.dataset, sizeof(info.dataset), "%s", query_text(query, 0));
    query_blob_exact(query, 1, info.source.bytes, DIGEST_BYTES);
    query_blob_exact(query, 6, info.digest.bytes, DIGEST_BYTES);
    if (!mock_is_sound(query))
        return mock_corrupt(store, info.dataset);
    *ret_info = info;
    return NULL;
}

/* Ends the query; the first failure is kept. */
static struct error *mock_end(struct query *query, struct error *err)
{
    struct error *ended = query_end(query);
    if (err == NULL)
        return ended;
    error_free(ended);
    return err;
}

/* ---- writing ---- */

static struct error *mock_digest(const struct mock_info *info, const uint8_t *data, const uint8_t *labels,
                                 struct digest *ret_digest)
{
    struct error *err = NULL;
    struct digest_stream *stream = NULL;
    struct dataset_info shape = mock_shape(info);
    struct chunk_view whole = {.rows = info->rows, .data = data, .labels = labels};
    TRY(dataset_digest_start(&shape, &stream));
    TRY(dataset_digest_add(stream, &shape, &whole));
    TRY(digest_stream_finish(stream, ret_digest));
done:
    digest_stream_free(stream);
    return err;
}

static struct error *mock_insert(struct store *store, const struct mock_info *info,
                                 const struct digest *digest)
{
    struct query query;
    query_start(&query, store->database,
                "INSERT INTO mock (dataset, source, kind, rows, features, classes, digest, made_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    query_bind_text(&query, info->dataset);
    query_bind_blob(&query, info->source.bytes, DIGEST_BYTES);
    query_bind_text(&query, info->kind == DATASET_BYTES ? "bytes" : "numbers");
    query_bind_int(&query, (int64_t)info->rows);
    query_bind_int(&query, (int64_t)info->features);
    query_bind_int(&query, info->classes);
    query_bind_blob(&query, digest->bytes, DIGEST_BYTES);
    query_bind_int(&query, info->made_at);
    return query_finish(&query);
}

static struct error *mock_insert_pages(struct store *store, const struct mock_info *info, const uint8_t *data,
                                       const uint8_t *labels)
{
    struct error *err = NULL;
    struct dataset_info shape = mock_shape(info);
    size_t row_bytes = store_row_bytes(&shape);
    uint64_t page = STORE_MOCK_PAGE_BYTES / (row_bytes + sizeof(uint16_t));
    page = page == 0 ? 1 : page;
    for (uint64_t first = 0; first < info->rows; first += page) {
        uint64_t rows = info->rows - first < page ? info->rows - first : page;
        struct query query;
        query_start(&query, store->database,
                    "INSERT INTO mock_page (dataset, first_row, rows, data, labels) VALUES (?, ?, ?, ?, ?)");
        query_bind_text(&query, info->dataset);
        query_bind_int(&query, (int64_t)first);
        query_bind_int(&query, (int64_t)rows);
        query_bind_blob(&query, data + first * row_bytes, rows * row_bytes);
        query_bind_blob(&query, labels + first * sizeof(uint16_t), rows * sizeof(uint16_t));
        TRY(query_finish(&query));
    }
done:
    return err;
}

static struct error *mock_delete(struct store *store, const char *dataset)
{
    struct query query;
    query_start(&query, store->database, "DELETE FROM mock WHERE dataset = ?");
    query_bind_text(&query, dataset);
    return query_finish(&query);
}

static struct error *mock_check_source(struct store *store, const struct mock_info *info)
{
    struct error *err = NULL;
    struct dataset_info now;
    TRY(store_dataset_find(store, info->dataset, &now));
    if (!digest_equal(&now.digest, &info->source))
        FAIL(ERROR_CONFLICT, "The dataset \"%s\" was changed meanwhile: make its mock dataset again.",
             info->dataset);
done:
    return err;
}

struct error *store_mock_put(struct store *store, const struct mock_info *info, const uint8_t *data,
                             const uint8_t *labels)
{
    struct error *err = NULL;
    struct digest digest;
    char detail[160];
    TRY(mock_digest(info, data, labels, &digest));
    (void)snprintf(detail, sizeof(detail), "dataset %s, %llu synthetic rows", info->dataset,
                   (unsigned long long)info->rows);
    TRY(database_begin(store->database));
    TRY(mock_check_source(store, info));
    TRY(mock_delete(store, info->dataset));
    TRY(mock_insert(store, info, &digest));
    TRY(mock_insert_pages(store, info, data, labels));
    TRY(store_event_add(store, EVENT_MOCK_MADE, NULL, NULL, 0, info->made_at, detail, &digest));
    TRY(database_commit(store->database));
done:
    if (err != NULL)
        database_rollback(store->database);
    return err;
}

struct error *store_mock_remove(struct store *store, const char *dataset, int64_t now)
{
    struct error *err = NULL;
    struct mock_info info;
    char detail[160];
    TRY(database_begin(store->database));
    TRY(store_mock_find(store, dataset, &info));
    TRY(mock_delete(store, dataset));
    (void)snprintf(detail, sizeof(detail), "dataset %s, %llu synthetic rows", info.dataset,
                   (unsigned long long)info.rows);
    TRY(store_event_add(store, EVENT_MOCK_REMOVED, NULL, NULL, 0, now, detail, &info.digest));
    TRY(database_commit(store->database));
done:
    if (err != NULL)
        database_rollback(store->database);
    return err;
}

/* ---- reading ---- */

struct error *store_mock_find(struct store *store, const char *dataset, struct mock_info *ret_info)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, store->database, MOCK_COLUMNS "WHERE dataset = ?");
    query_bind_text(&query, dataset);
    bool found = query_step(&query);
    if (found)
        err = mock_take(store, &query, ret_info);
    err = mock_end(&query, err);
    if (err == NULL && !found)
        err = error_new(ERROR_NOT_FOUND, "There is no mock dataset of \"%.64s\": datasite mock make %.64s",
                        dataset, dataset);
    return err;
}

struct error *store_mock_of(struct store *store, const struct dataset_info *info, struct mock_info *ret_mock,
                            bool *ret_has)
{
    struct mock_info mock;
    struct error *err = store_mock_find(store, info->name, &mock);
    *ret_has = false;
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_free(err);
        return NULL;
    }
    if (err != NULL)
        return err;
    *ret_has = digest_equal(&mock.source, &info->digest);
    *ret_mock = mock;
    return NULL;
}

struct error *store_mock_list(struct store *store, struct mock_info **ret_infos, size_t *ret_count)
{
    struct error *err = NULL;
    struct mock_info *infos = NULL;
    size_t count = 0;
    struct query query;
    query_start(&query, store->database, MOCK_COLUMNS "ORDER BY dataset");
    while (err == NULL && query_step(&query)) {
        struct mock_info *more = reallocarray(infos, count + 1, sizeof(*infos));
        if (more == NULL) {
            err = error_new(ERROR_MEMORY, "There is not enough memory for the list of mock datasets.");
            break;
        }
        infos = more;
        err = mock_take(store, &query, &infos[count++]);
    }
    TRY(mock_end(&query, err));
    *ret_infos = infos;
    *ret_count = count;
    infos = NULL;
done:
    free(infos);
    return err;
}

void mock_page_clear(struct mock_page *page)
{
    free(page->data);
    free(page->labels);
    *page = (struct mock_page){0};
}

/* Of the page that the query stands on, from `first_row` on. */
static struct error *page_take(struct store *store, struct query *query, const struct mock_info *info,
                               uint64_t first_row, struct mock_page *ret_page)
{
    struct dataset_info shape = mock_shape(info);
    size_t row_bytes = store_row_bytes(&shape), data_bytes = 0, label_bytes = 0;
    uint64_t first = (uint64_t)query_int(query, 0), rows = (uint64_t)query_int(query, 1);
    const uint8_t *data = query_blob(query, 2, &data_bytes);
    const uint8_t *labels = query_blob(query, 3, &label_bytes);
    if (rows == 0 || rows > info->rows || first > info->rows - rows || first_row < first ||
        first_row - first >= rows || data_bytes != rows * row_bytes || label_bytes != rows * sizeof(uint16_t))
        return mock_corrupt(store, info->dataset);
    size_t skip = (size_t)(first_row - first), left = (size_t)rows - skip;
    struct mock_page page = {.first_row = first_row,
                             .rows = left,
                             .data = malloc(left * row_bytes),
                             .labels = malloc(left * sizeof(uint16_t)),
                             .data_bytes = left * row_bytes,
                             .label_bytes = left * sizeof(uint16_t)};
    if (page.data == NULL || page.labels == NULL) {
        mock_page_clear(&page);
        return error_new(ERROR_MEMORY, "There is not enough memory for rows of a mock dataset.");
    }
    memcpy(page.data, data + skip * row_bytes, page.data_bytes);
    memcpy(page.labels, labels + skip * sizeof(uint16_t), page.label_bytes);
    *ret_page = page;
    return NULL;
}

struct error *store_mock_page(struct store *store, const struct mock_info *info, uint64_t first_row,
                              struct mock_page *ret_page)
{
    struct error *err = NULL;
    struct query query;
    struct mock_page page = {0};
    query_start(&query, store->database,
                "SELECT first_row, rows, data, labels FROM mock_page WHERE dataset = ? AND first_row <= ?"
                " ORDER BY first_row DESC LIMIT 1");
    query_bind_text(&query, info->dataset);
    query_bind_int(&query, (int64_t)first_row);
    err = query_step(&query) ? page_take(store, &query, info, first_row, &page)
                             : mock_corrupt(store, info->dataset);
    TRY(mock_end(&query, err));
    *ret_page = page;
    page = (struct mock_page){0};
done:
    mock_page_clear(&page);
    return err;
}

struct error *store_dataset_columns(struct store *store, int64_t dataset_id,
                                    struct error *(*visit)(void *context, const char *name, bool *ret_enough),
                                    void *context)
{
    struct error *err = NULL;
    struct query query;
    bool enough = false;
    int64_t next = 0;
    query_start(&query, store->database,
                "SELECT position, name FROM dataset_column WHERE dataset_id = ? ORDER BY position");
    query_bind_int(&query, dataset_id);
    while (err == NULL && !enough && query_step(&query)) {
        enough = query_int(&query, 0) != next++;
        if (!enough)
            err = visit(context, query_text(&query, 1), &enough);
    }
    return job_query_end(&query, err);
}

struct error *store_dataset_column(struct store *store, int64_t dataset_id, uint64_t position,
                                   char ret_name[static STORE_COLUMN_BYTES])
{
    struct query query;
    char name[STORE_COLUMN_BYTES] = "";
    query_start(&query, store->database,
                "SELECT name FROM dataset_column WHERE dataset_id = ? AND position = ?");
    query_bind_int(&query, dataset_id);
    query_bind_int(&query, (int64_t)position);
    if (query_step(&query))
        (void)snprintf(name, sizeof(name), "%s", query_text(&query, 0));
    struct error *err = query_end(&query);
    if (err == NULL)
        memcpy(ret_name, name, sizeof(name));
    return err;
}
