#include "datasite/store_chunk.h"
#include "datasite/store_internal.h"

#include "schemas/clock.h"

#define INFO_COLUMNS                                                                                         \
    "SELECT id, name, kind, rows, features, image_rows, image_columns, classes, digest, source, "            \
    "imported_at, salt "                                                                                     \
    "FROM dataset "

size_t store_row_bytes(const struct dataset_info *info)
{
    return info->features * (info->kind == DATASET_BYTES ? sizeof(uint8_t) : sizeof(double));
}

static bool info_is_sound(struct query *query)
{
    const char *kind = query_text(query, 2);
    int64_t rows = query_int(query, 3), features = query_int(query, 4), classes = query_int(query, 7);
    int64_t image_rows = query_int(query, 5), image_columns = query_int(query, 6);
    if (strcmp(kind, "bytes") != 0 && strcmp(kind, "numbers") != 0)
        return false;
    if (image_rows < 0 || image_rows > (int64_t)STORE_MAX_FEATURES || image_columns < 0 ||
        image_columns > (int64_t)STORE_MAX_FEATURES)
        return false;
    return rows > 0 && rows <= (int64_t)STORE_MAX_ROWS && features > 0 &&
           features <= (int64_t)STORE_MAX_FEATURES && classes > 1 && classes <= STORE_MAX_CLASSES;
}

/* The row that the query stands on; false if its values cannot be. */
static bool info_take(struct query *query, struct dataset_info *ret_info)
{
    if (!info_is_sound(query))
        return false;
    struct dataset_info info = {
        .id = query_int(query, 0),
        .kind = strcmp(query_text(query, 2), "bytes") == 0 ? DATASET_BYTES : DATASET_NUMBERS,
        .rows = (uint64_t)query_int(query, 3),
        .features = (uint64_t)query_int(query, 4),
        .image_rows = (uint32_t)query_int(query, 5),
        .image_columns = (uint32_t)query_int(query, 6),
        .classes = (uint32_t)query_int(query, 7),
        .imported_at = query_int(query, 10),
        .sealed = !query_is_null(query, 11),
    };
    if (info.sealed)
        query_blob_exact(query, 11, info.salt, sizeof(info.salt));
    (void)snprintf(info.name, sizeof(info.name), "%s", query_text(query, 1));
    (void)snprintf(info.source, sizeof(info.source), "%s", query_text(query, 9));
    query_blob_exact(query, 8, info.digest.bytes, sizeof(info.digest.bytes));
    *ret_info = info;
    return true;
}

static struct error *info_corrupt(struct store *store)
{
    return error_new(
        ERROR_CORRUPT,
        "The table of datasets in %s holds values that cannot be: restore the file from a backup, or "
        "make the site anew and import again.",
        database_path(store->database));
}

/* "mnist, fashion", cut when there are many; "none yet" without any. */
static struct error *dataset_names(struct store *store, char *ret_names, size_t names_bytes)
{
    struct error *err = NULL;
    struct query query;
    size_t used = 0;
    (void)snprintf(ret_names, names_bytes, "none yet");
    query_start(&query, store->database, "SELECT name FROM dataset ORDER BY name LIMIT 20");
    while (query_step(&query) && used + 1 < names_bytes) {
        int written = snprintf(ret_names + used, names_bytes - used, "%s%s", used > 0 ? ", " : "",
                               query_text(&query, 0));
        used += written > 0 ? (size_t)written : 0;
    }
    TRY(query_end(&query));
done:
    return err;
}

struct error *store_dataset_find(struct store *store, const char *name, struct dataset_info *ret_info)
{
    struct error *err = NULL;
    struct dataset_info info;
    struct query query;
    bool found = false, sound = true;
    query_start(&query, store->database, INFO_COLUMNS "WHERE name = ?1");
    query_bind_text(&query, name);
    if (query_step(&query)) {
        found = true;
        sound = info_take(&query, &info);
    }
    TRY(query_end(&query));
    if (!sound)
        TRY(info_corrupt(store));
    if (!found) {
        char names[512];
        TRY(dataset_names(store, names, sizeof(names)));
        FAIL(ERROR_NOT_FOUND, "There is no dataset \"%.64s\" here; the datasets of this site: %s.", name,
             names);
    }
    *ret_info = info;
done:
    return err;
}

struct error *store_dataset_list(struct store *store, struct dataset_info **ret_infos, size_t *ret_count)
{
    struct error *err = NULL;
    struct dataset_info *infos = NULL;
    size_t count = 0, room = 0;
    bool sound = true, memory = true;
    struct query query;
    query_start(&query, store->database, INFO_COLUMNS "ORDER BY name");
    while (sound && memory && query_step(&query)) {
        if (count == room) {
            room = room == 0 ? 8 : 2 * room;
            struct dataset_info *more = reallocarray(infos, room, sizeof(*infos));
            memory = more != NULL;
            infos = memory ? more : infos;
        }
        if (memory) {
            sound = info_take(&query, &infos[count]);
            count++;
        }
    }
    TRY(query_end(&query));
    if (!memory)
        FAIL(ERROR_MEMORY, "There is not enough memory for the list of datasets.");
    if (!sound)
        TRY(info_corrupt(store));
    *ret_infos = infos;
    *ret_count = count;
    infos = NULL;
done:
    free(infos);
    return err;
}

struct error *store_dataset_class(struct store *store, int64_t dataset_id, uint32_t class_number,
                                  char *ret_name, size_t name_bytes, uint64_t *ret_rows)
{
    struct error *err = NULL;
    struct query query;
    bool found = false;
    int64_t rows = 0;
    query_start(&query, store->database,
                "SELECT name, rows FROM dataset_class WHERE dataset_id = ?1 AND class = ?2");
    query_bind_int(&query, dataset_id);
    query_bind_int(&query, class_number);
    if (query_step(&query)) {
        found = true;
        (void)snprintf(ret_name, name_bytes, "%s", query_text(&query, 0));
        rows = query_int(&query, 1);
    }
    TRY(query_end(&query));
    if (!found || rows < 0)
        FAIL(ERROR_CORRUPT, "Class %u of a dataset is missing in %s: remove the dataset and import it again.",
             class_number, database_path(store->database));
    *ret_rows = (uint64_t)rows;
done:
    return err;
}

struct error *store_dataset_remove(struct store *store, const char *name)
{
    struct error *err = NULL;
    struct dataset_info info;
    struct query query;
    char detail[160];
    TRY(database_begin(store->database));
    TRY(store_dataset_find(store, name, &info));
    query_start(&query, store->database, "DELETE FROM dataset WHERE id = ?1");
    query_bind_int(&query, info.id);
    TRY(query_finish(&query));
    (void)snprintf(detail, sizeof(detail), "dataset %s, %llu rows", info.name, (unsigned long long)info.rows);
    TRY(store_event_add(store, EVENT_DATASET_REMOVED, NULL, NULL, 0, clock_now_ms() / 1000, detail, NULL));
    TRY(database_commit(store->database));
done:
    if (err != NULL)
        database_rollback(store->database);
    return err;
}

static struct error *chunk_corrupt(struct store *store, const struct dataset_info *info, uint64_t position)
{
    return error_new(
        ERROR_CORRUPT,
        "Chunk %llu of dataset \"%s\" in %s is missing or has the wrong size: restore the file from a "
        "backup, or remove the dataset (datasite data remove %s) and import it again.",
        (unsigned long long)position, info->name, database_path(store->database), info->name);
}

/* Rows that the chunk at `position` must have: all are full except the last. */
static uint64_t chunk_rows(const struct dataset_info *info, uint64_t position)
{
    uint64_t first = position * STORE_CHUNK_ROWS;
    uint64_t left = first < info->rows ? info->rows - first : 0;
    return left < STORE_CHUNK_ROWS ? left : STORE_CHUNK_ROWS;
}

/* The chunk that the query stands on; `cipher` keeps what ret_chunk points to. */
static struct error *chunk_take(struct query *query, const struct dataset_info *info, uint64_t position,
                                struct chunk_cipher *cipher, struct chunk_view *ret_chunk)
{
    struct error *err = NULL;
    struct chunk_blobs stored = {.position = position, .rows = chunk_rows(info, position)}, plain;
    if (stored.rows == 0 || query_int(query, 0) != (int64_t)position ||
        query_int(query, 1) != (int64_t)stored.rows)
        FAIL(ERROR_CORRUPT, "The chunk is another.");
    for (int blob = 0; blob < 3; blob++)
        stored.blobs[blob] = query_blob(query, 2 + blob, &stored.bytes[blob]);
    TRY(chunk_open(cipher, info, &stored, &plain));
    *ret_chunk = (struct chunk_view){.first_row = position * STORE_CHUNK_ROWS,
                                     .rows = (size_t)plain.rows,
                                     .data = plain.blobs[0],
                                     .labels = plain.blobs[1],
                                     .split = plain.blobs[2]};
done:
    return err;
}

/* Takes `failure` of chunk_take; in its place a sentence that names the chunk. */
static struct error *chunk_failure(struct error *failure, struct store *store,
                                   const struct dataset_info *info, uint64_t position)
{
    enum error_code code = failure->code;
    if (code != ERROR_CORRUPT && code != ERROR_UNTRUSTED)
        return failure;
    error_free(failure);
    if (code == ERROR_CORRUPT)
        return chunk_corrupt(store, info, position);
    return error_new(ERROR_CORRUPT,
                     "Chunk %llu of dataset \"%s\" in %s does not open with this site's key: its bytes were "
                     "changed, moved "
                     "or cut off. Restore the file from a backup, or remove the dataset (datasite data "
                     "remove %s) and import "
                     "it again.",
                     (unsigned long long)position, info->name, database_path(store->database), info->name);
}

static struct error *chunks_visit(struct store *store, const struct dataset_info *info,
                                  struct chunk_cipher *cipher,
                                  struct error *(*visit)(void *context, const struct chunk_view *chunk),
                                  void *context)
{
    struct error *err = NULL;
    struct query query;
    uint64_t position = 0;
    query_start(
        &query, store->database,
        "SELECT position, rows, data, labels, split FROM chunk WHERE dataset_id = ?1 ORDER BY position");
    query_bind_int(&query, info->id);
    while (err == NULL && query_step(&query)) {
        struct chunk_view chunk;
        err = chunk_take(&query, info, position, cipher, &chunk);
        err = err == NULL ? visit(context, &chunk) : chunk_failure(err, store, info, position);
        position++;
    }
    struct error *ended = query_end(&query);
    if (err == NULL)
        err = ended;
    else
        error_free(ended);
    if (err == NULL && chunk_rows(info, position) > 0)
        err = chunk_corrupt(store, info, position);
    return err;
}

struct error *store_dataset_read(struct store *store, const struct dataset_info *info,
                                 struct error *(*visit)(void *context, const struct chunk_view *chunk),
                                 void *context)
{
    struct error *err = NULL;
    struct chunk_cipher *cipher = NULL;
    TRY(chunk_opener(store, info, &cipher));
    TRY(chunks_visit(store, info, cipher, visit, context));
done:
    chunk_cipher_free(cipher);
    return err;
}

static void header_put(uint8_t *bytes, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

struct error *dataset_digest_start(const struct dataset_info *info, struct digest_stream **ret_stream)
{
    struct error *err = NULL;
    struct digest_stream *stream = NULL;
    uint8_t header[32];
    header_put(header, info->kind == DATASET_BYTES ? 0 : 1);
    header_put(header + 8, info->rows);
    header_put(header + 16, info->features);
    header_put(header + 24, info->classes);
    TRY(digest_stream_new(&stream));
    TRY(digest_stream_add(stream, header, sizeof(header)));
    *ret_stream = stream;
    stream = NULL;
done:
    digest_stream_free(stream);
    return err;
}

struct error *dataset_digest_add(struct digest_stream *stream, const struct dataset_info *info,
                                 const struct chunk_view *chunk)
{
    struct error *err = NULL;
    size_t row_bytes = store_row_bytes(info);
    for (size_t row = 0; row < chunk->rows; row++) {
        TRY(digest_stream_add(stream, chunk->data + row * row_bytes, row_bytes));
        TRY(digest_stream_add(stream, chunk->labels + row * sizeof(uint16_t), sizeof(uint16_t)));
    }
done:
    return err;
}

struct digest_visit {
    struct digest_stream *stream;
    const struct dataset_info *info;
};

static struct error *digest_visit_chunk(void *context, const struct chunk_view *chunk)
{
    const struct digest_visit *visit = context;
    return dataset_digest_add(visit->stream, visit->info, chunk);
}

struct error *store_dataset_digest(struct store *store, const struct dataset_info *info,
                                   struct digest *ret_digest)
{
    struct error *err = NULL;
    struct digest_visit visit = {.info = info};
    TRY(dataset_digest_start(info, &visit.stream));
    TRY(store_dataset_read(store, info, digest_visit_chunk, &visit));
    TRY(digest_stream_finish(visit.stream, ret_digest));
done:
    digest_stream_free(visit.stream);
    return err;
}
