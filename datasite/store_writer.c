/* Numbers are stored as the machine has them; the format says little-endian. */
#include "datasite/budget.h"
#include "datasite/store_chunk.h"
#include "datasite/store_internal.h"

#include "crypto/digest.h"

#include <float.h>
#include <math.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "site.db is little-endian, and so must the machine be");

struct dataset_writer {
    struct store *store;
    struct dataset_info info; /* rows and classes as declared; 0 = not known before */
    const char *const *class_names, *const *column_names; /* borrowed */
    struct keyed_digest *keyed;
    struct pool_hasher *hasher;
    struct chunk_cipher *cipher; /* NULL: chunks are stored in clear */
    bool open;                   /* the transaction is */
    size_t row_bytes;
    uint8_t *keyed_row; /* one row and its label */
    uint8_t *data;      /* the chunk that is being filled */
    uint8_t labels[STORE_CHUNK_ROWS * sizeof(uint16_t)];
    uint8_t split[STORE_CHUNK_ROWS * sizeof(uint64_t)];
    size_t filled;
    uint64_t position, rows;
    uint32_t highest_label;
    uint64_t class_rows[STORE_MAX_CLASSES];
};

static bool name_is_fit(const char *name)
{
    size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");
    return length >= 1 && length <= 64 && name[length] == '\0';
}

static struct error *info_check(const struct dataset_info *info)
{
    if (!name_is_fit(info->name))
        return error_new(
            ERROR_INVALID,
            "A dataset's name has 1 to 64 of the characters A-Z a-z 0-9 - _ and \".\": choose another.");
    if (info->features == 0 || info->features > STORE_MAX_FEATURES)
        return error_new(ERROR_LIMIT, "A row has 1 to %llu values here, not %llu.",
                         (unsigned long long)STORE_MAX_FEATURES, (unsigned long long)info->features);
    if (info->rows > STORE_MAX_ROWS)
        return error_new(ERROR_LIMIT, "A dataset has at most %llu rows, not %llu.",
                         (unsigned long long)STORE_MAX_ROWS, (unsigned long long)info->rows);
    if (info->classes > STORE_MAX_CLASSES)
        return error_new(ERROR_LIMIT, "A dataset has at most %d classes, not %u.", STORE_MAX_CLASSES,
                         info->classes);
    return NULL;
}

static struct error *name_is_free(struct store *store, const char *name)
{
    struct error *err = NULL;
    struct query query;
    bool taken = false;
    query_start(&query, store->database, "SELECT 1 FROM dataset WHERE name = ?1");
    query_bind_text(&query, name);
    taken = query_step(&query);
    TRY(query_end(&query));
    if (taken)
        FAIL(ERROR_CONFLICT,
             "There is a dataset \"%s\" already. Choose another --name, or remove it first: datasite data "
             "remove %s",
             name, name);
done:
    return err;
}

/* The row of `dataset` comes first because chunks refer to it; what is not known yet is put right at the end.
 */
static struct error *dataset_insert(struct dataset_writer *writer)
{
    struct error *err = NULL;
    const struct dataset_info *info = &writer->info;
    const struct digest none = {{0}};
    struct query query;
    query_start(&query, writer->store->database,
                "INSERT INTO dataset (name, kind, rows, features, image_rows, image_columns, classes, "
                "digest, source, "
                "imported_at, salt) VALUES (?1, ?2, 1, ?3, ?4, ?5, 2, ?6, ?7, ?8, ?9)");
    query_bind_text(&query, info->name);
    query_bind_text(&query, info->kind == DATASET_BYTES ? "bytes" : "numbers");
    query_bind_int(&query, (int64_t)info->features);
    query_bind_int(&query, info->image_rows);
    query_bind_int(&query, info->image_columns);
    query_bind_blob(&query, none.bytes, sizeof(none.bytes));
    query_bind_text(&query, info->source);
    query_bind_int(&query, info->imported_at);
    if (info->sealed)
        query_bind_blob(&query, info->salt, sizeof(info->salt));
    else
        query_bind_null(&query);
    TRY(query_finish(&query));
    writer->info.id = database_last_id(writer->store->database);
done:
    return err;
}

static struct error *columns_insert(struct dataset_writer *writer)
{
    struct error *err = NULL;
    struct query query;
    for (uint64_t column = 0; writer->column_names != NULL && column < writer->info.features; column++) {
        query_start(&query, writer->store->database,
                    "INSERT INTO dataset_column (dataset_id, position, name) VALUES (?1, ?2, ?3)");
        query_bind_int(&query, writer->info.id);
        query_bind_int(&query, (int64_t)column);
        query_bind_text(&query, writer->column_names[column]);
        TRY(query_finish(&query));
    }
done:
    return err;
}

static struct error *writer_allocate(struct dataset_writer *writer, const uint8_t split_key[static 32])
{
    struct error *err = NULL;
    writer->row_bytes = store_row_bytes(&writer->info);
    writer->data = malloc(writer->row_bytes * STORE_CHUNK_ROWS);
    writer->keyed_row = malloc(writer->row_bytes + sizeof(uint16_t));
    if (writer->data == NULL || writer->keyed_row == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for %d rows of %llu values.", STORE_CHUNK_ROWS,
             (unsigned long long)writer->info.features);
    TRY(keyed_digest_new(split_key, 32, &writer->keyed));
    TRY(pool_hasher_new(split_key, &writer->info, &writer->hasher));
done:
    return err;
}

struct error *dataset_writer_start(struct store *store, const struct dataset_info *info,
                                   const char *const *class_names, const char *const *column_names,
                                   const uint8_t split_key[static 32], struct dataset_writer **ret_writer)
{
    struct error *err = NULL;
    struct dataset_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to import a dataset.");
    writer->store = store;
    writer->info = *info;
    writer->class_names = class_names;
    writer->column_names = column_names;
    TRY(info_check(info));
    TRY(writer_allocate(writer, split_key));
    TRY(database_begin(store->database));
    writer->open = true;
    TRY(name_is_free(store, info->name));
    TRY(chunk_sealer(store, &writer->info, &writer->cipher));
    TRY(dataset_insert(writer));
    TRY(columns_insert(writer));
    *ret_writer = writer;
    writer = NULL;
done:
    dataset_writer_free(writer);
    return err;
}

static struct error *writer_flush(struct dataset_writer *writer)
{
    struct error *err = NULL;
    struct query query;
    struct chunk_blobs stored, plain = {.position = writer->position,
                                        .rows = writer->filled,
                                        .blobs = {writer->data, writer->labels, writer->split}};
    if (writer->filled == 0)
        return NULL;
    chunk_plain_bytes(&writer->info, writer->filled, plain.bytes);
    TRY(chunk_seal(writer->cipher, &writer->info, &plain, &stored));
    query_start(&query, writer->store->database,
                "INSERT INTO chunk (dataset_id, position, rows, data, labels, split) VALUES (?1, ?2, ?3, ?4, "
                "?5, ?6)");
    query_bind_int(&query, writer->info.id);
    query_bind_int(&query, (int64_t)writer->position);
    query_bind_int(&query, (int64_t)writer->filled);
    for (int blob = 0; blob < 3; blob++)
        query_bind_blob(&query, stored.blobs[blob], stored.bytes[blob]);
    TRY(query_finish(&query));
    writer->position++;
    writer->filled = 0;
done:
    return err;
}

static struct error *label_check(const struct dataset_writer *writer, uint32_t label)
{
    uint32_t classes = writer->info.classes > 0 ? writer->info.classes : STORE_MAX_CLASSES;
    if (label < classes)
        return NULL;
    return error_new(
        ERROR_INVALID,
        "Row %llu of the rows to take has a label outside the %u classes (0 to %u): correct the labels, "
        "or say how many classes there are with --classes.",
        (unsigned long long)writer->rows + 1, classes, classes - 1);
}

/* In memory numbers are float32, so a number that float32 does not have is refused here and not met in
 * training. */
static struct error *numbers_check(const struct dataset_writer *writer, const uint8_t *row)
{
    for (uint64_t column = 0; column < writer->info.features; column++) {
        double value;
        memcpy(&value, row + column * sizeof(value), sizeof(value));
        if (isfinite(value) && fabs(value) <= (double)FLT_MAX)
            continue;
        return error_new(
            ERROR_NUMERIC,
            "Row %llu of the rows to take has a number in column \"%s\" that is not finite or beyond "
            "3.4e38 in size: scale or correct the column.",
            (unsigned long long)writer->rows + 1,
            writer->column_names != NULL ? writer->column_names[column] : "?");
    }
    return NULL;
}

/* The keyed hash depends on the row and its label alone, so equal rows fall on the same side of the split. */
static struct error *row_split(struct dataset_writer *writer, const uint8_t *row,
                               const uint8_t label[static 2], uint8_t *ret_split)
{
    struct error *err = NULL;
    struct digest digest;
    memcpy(writer->keyed_row, row, writer->row_bytes);
    memcpy(writer->keyed_row + writer->row_bytes, label, 2);
    TRY(keyed_digest_of(writer->keyed, writer->keyed_row, writer->row_bytes + 2, &digest));
    memcpy(ret_split, digest.bytes, sizeof(uint64_t));
done:
    return err;
}

static struct error *writer_add_row(struct dataset_writer *writer, const uint8_t *row, uint32_t label)
{
    struct error *err = NULL;
    size_t place = writer->filled;
    const uint8_t label_bytes[2] = {(uint8_t)(label & 0xff), (uint8_t)(label >> 8)};
    TRY(label_check(writer, label));
    if (writer->info.kind == DATASET_NUMBERS)
        TRY(numbers_check(writer, row));
    if (writer->rows >= STORE_MAX_ROWS)
        FAIL(ERROR_LIMIT, "A dataset has at most %llu rows.", (unsigned long long)STORE_MAX_ROWS);
    memcpy(writer->data + place * writer->row_bytes, row, writer->row_bytes);
    memcpy(writer->labels + place * sizeof(label_bytes), label_bytes, sizeof(label_bytes));
    TRY(row_split(writer, row, label_bytes, writer->split + place * sizeof(uint64_t)));
    TRY(pool_hasher_add(writer->hasher, row));
    writer->class_rows[label]++;
    if (label > writer->highest_label)
        writer->highest_label = label;
    writer->rows++;
    writer->filled++;
    if (writer->filled == STORE_CHUNK_ROWS)
        TRY(writer_flush(writer));
done:
    return err;
}

struct error *dataset_writer_add(struct dataset_writer *writer, const void *data, const uint32_t *labels,
                                 size_t rows)
{
    struct error *err = NULL;
    const uint8_t *bytes = data;
    for (size_t row = 0; row < rows; row++)
        TRY(writer_add_row(writer, bytes + row * writer->row_bytes, labels[row]));
done:
    return err;
}

void dataset_writer_classes(struct dataset_writer *writer, uint32_t classes)
{
    if (classes > writer->highest_label + 1)
        writer->highest_label = classes - 1;
}

static struct error *writer_check_counts(struct dataset_writer *writer)
{
    struct dataset_info *info = &writer->info;
    if (writer->rows == 0)
        return error_new(ERROR_INVALID, "There is no row to import.");
    if (info->rows > 0 && info->rows != writer->rows)
        return error_new(
            ERROR_INVALID,
            "%llu rows were declared, but there are %llu to import: check the files and the row range.",
            (unsigned long long)info->rows, (unsigned long long)writer->rows);
    info->rows = writer->rows;
    if (info->classes == 0)
        info->classes = writer->highest_label + 1;
    if (info->classes < 2)
        return error_new(
            ERROR_INVALID,
            "All rows are of one class; learning to tell classes apart needs at least 2 (--classes says "
            "how many there are elsewhere).");
    return NULL;
}

static struct error *classes_insert(struct dataset_writer *writer)
{
    struct error *err = NULL;
    struct query query;
    for (uint32_t number = 0; number < writer->info.classes; number++) {
        char plain[16];
        (void)snprintf(plain, sizeof(plain), "%u", number);
        query_start(&query, writer->store->database,
                    "INSERT INTO dataset_class (dataset_id, class, name, rows) VALUES (?1, ?2, ?3, ?4)");
        query_bind_int(&query, writer->info.id);
        query_bind_int(&query, number);
        query_bind_text(&query, writer->class_names != NULL ? writer->class_names[number] : plain);
        query_bind_int(&query, (int64_t)writer->class_rows[number]);
        TRY(query_finish(&query));
    }
done:
    return err;
}

/* The digest is of what the database gives back, not of what was handed in. */
static struct error *digest_settle(struct dataset_writer *writer, const struct digest *expected)
{
    struct error *err = NULL;
    struct dataset_info *info = &writer->info;
    TRY(store_dataset_digest(writer->store, info, &info->digest));
    if (expected != NULL && !digest_equal(expected, &info->digest)) {
        char hex[DIGEST_HEX_BYTES];
        digest_hex(&info->digest, hex);
        FAIL(ERROR_INVALID,
             "The dataset's digest is sha256:%s, which is not the one declared: these are other files, rows "
             "or "
             "classes than meant. Nothing was imported.",
             hex);
    }
done:
    return err;
}

static struct error *dataset_settle(struct dataset_writer *writer)
{
    struct error *err = NULL;
    const struct dataset_info *info = &writer->info;
    struct query query;
    char detail[160];
    query_start(&query, writer->store->database,
                "UPDATE dataset SET rows = ?2, classes = ?3, digest = ?4 WHERE id = ?1");
    query_bind_int(&query, info->id);
    query_bind_int(&query, (int64_t)info->rows);
    query_bind_int(&query, info->classes);
    query_bind_blob(&query, info->digest.bytes, sizeof(info->digest.bytes));
    TRY(query_finish(&query));
    (void)snprintf(detail, sizeof(detail), "dataset %s, %llu rows of %llu values, %u classes", info->name,
                   (unsigned long long)info->rows, (unsigned long long)info->features, info->classes);
    TRY(store_event_add(writer->store, EVENT_DATASET_IMPORTED, NULL, NULL, 0, info->imported_at, detail,
                        NULL));
done:
    return err;
}

/* Datasets that share a record have one privacy budget. */
static struct error *dataset_pool(struct dataset_writer *writer)
{
    uint8_t(*hashes)[POOL_HASH_BYTES] = NULL;
    size_t count = pool_hasher_take(writer->hasher, &hashes);
    return budget_pool_rows(writer->store, &writer->info, hashes, count, writer->info.imported_at);
}

struct error *dataset_writer_finish(struct dataset_writer *writer, const struct digest *expected,
                                    struct dataset_info *ret_info)
{
    struct error *err = NULL;
    TRY(writer_flush(writer));
    TRY(writer_check_counts(writer));
    TRY(classes_insert(writer));
    TRY(digest_settle(writer, expected));
    TRY(dataset_settle(writer));
    TRY(dataset_pool(writer));
    TRY(database_commit(writer->store->database));
    writer->open = false;
    *ret_info = writer->info;
done:
    return err;
}

void dataset_writer_free(struct dataset_writer *writer)
{
    if (writer == NULL)
        return;
    if (writer->open)
        database_rollback(writer->store->database);
    keyed_digest_free(writer->keyed);
    pool_hasher_free(writer->hasher);
    chunk_cipher_free(writer->cipher);
    free(writer->keyed_row);
    free(writer->data);
    free(writer);
}
