#include "datasite/import.h"

#include "schemas/files.h"
#include "schemas/idx.h"

/* Both files, and which of their rows are taken. */
struct idx_import {
    const struct import_request *request;
    uint8_t *images_data, *labels_data;
    struct idx images, labels;
    uint32_t classes;
    uint64_t first_row;  /* of the range */
    uint32_t *selection; /* row numbers within the range, ascending; NULL: all */
    uint64_t rows;       /* how many are taken */
};

static struct error *idx_import_read(struct idx_import *import, const char *images_path,
                                     const char *labels_path)
{
    struct error *err = NULL;
    size_t bytes = 0;
    TRY(file_read(images_path, IMPORT_IDX_MAX_BYTES, &import->images_data, &bytes));
    TRY(idx_parse(import->images_data, bytes, IDX_IMAGES, images_path, &import->images));
    TRY(file_read(labels_path, IMPORT_IDX_MAX_BYTES, &import->labels_data, &bytes));
    TRY(idx_parse(import->labels_data, bytes, IDX_LABELS, labels_path, &import->labels));
    if (import->images.count != import->labels.count)
        FAIL(ERROR_INVALID, "%s has %llu images and %s %llu labels: they do not belong together.",
             images_path, (unsigned long long)import->images.count, labels_path,
             (unsigned long long)import->labels.count);
done:
    return err;
}

/* The class count is that of the whole file, so that all sites that cut it agree. */
static struct error *idx_import_classes(struct idx_import *import, const char *labels_path)
{
    uint32_t highest = 0;
    uint64_t where = 0;
    for (uint64_t row = 0; row < import->labels.count; row++) {
        if (import->labels.items[row] > highest) {
            highest = import->labels.items[row];
            where = row;
        }
    }
    import->classes = import->request->classes > 0 ? import->request->classes : highest + 1;
    if (highest < import->classes)
        return NULL;
    return error_new(
        ERROR_INVALID,
        "%s has a label outside the %u classes (0 to %u), for example in row %llu: correct the labels or "
        "--classes.",
        labels_path, import->classes, import->classes - 1, (unsigned long long)where);
}

static struct error *idx_import_range(struct idx_import *import)
{
    const struct import_request *request = import->request;
    uint64_t end = request->end_row > 0 ? request->end_row : import->labels.count;
    if (end > import->labels.count || request->first_row >= end)
        return error_new(
            ERROR_INVALID,
            "The files have %llu rows, so --rows %llu:%llu is not a range of them (the first row is 0, "
            "the end is not taken).",
            (unsigned long long)import->labels.count, (unsigned long long)request->first_row,
            (unsigned long long)end);
    import->first_row = request->first_row;
    import->rows = end - request->first_row;
    return NULL;
}

static struct error *idx_import_partition(struct idx_import *import)
{
    struct error *err = NULL;
    const struct import_request *request = import->request;
    uint16_t *labels = NULL;
    size_t count = 0;
    if (request->partition == NULL)
        return NULL;
    struct partition partition = *request->partition;
    partition.classes = import->classes;
    labels = reallocarray(NULL, import->rows, sizeof(*labels));
    import->selection = reallocarray(NULL, import->rows, sizeof(*import->selection));
    if (labels == NULL || import->selection == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to divide %llu rows.",
             (unsigned long long)import->rows);
    for (uint64_t row = 0; row < import->rows; row++)
        labels[row] = import->labels.items[import->first_row + row];
    TRY(partition_rows(&partition, labels, import->rows, request->part, import->selection, &count));
    if (count == 0)
        FAIL(ERROR_INVALID, "Part %u of %u has no rows: use another --seed, fewer parts or a larger alpha.",
             request->part + 1, partition.parts);
    import->rows = count;
done:
    free(labels);
    return err;
}

static const char *partition_word(enum partition_kind kind)
{
    switch (kind) {
    case PARTITION_IID:
        return "iid";
    case PARTITION_LABEL_SKEW:
        return "label-skew";
    case PARTITION_DIRICHLET:
        return "dirichlet";
    }
    return "?";
}

/* What the owner will read: which files and which of their rows. */
static void idx_import_source(const struct idx_import *import, const char *images_path,
                              const char *labels_path, char *ret_source, size_t source_bytes)
{
    const struct import_request *request = import->request;
    int used = snprintf(ret_source, source_bytes, "%.400s and %.400s", images_path, labels_path);
    size_t place = used > 0 ? (size_t)used : 0;
    if (request->end_row > 0)
        used = snprintf(ret_source + place, source_bytes - place, ", rows %llu:%llu",
                        (unsigned long long)request->first_row, (unsigned long long)request->end_row);
    else
        used = 0;
    place += used > 0 ? (size_t)used : 0;
    if (request->partition != NULL)
        (void)snprintf(ret_source + place, source_bytes - place, ", part %u/%u (%s, seed %llu)",
                       request->part + 1, request->partition->parts, partition_word(request->partition->kind),
                       (unsigned long long)request->partition->seed);
}

static struct error *idx_import_rows(const struct idx_import *import, struct dataset_writer *writer)
{
    struct error *err = NULL;
    const struct import_request *request = import->request;
    for (uint64_t i = 0; i < import->rows; i++) {
        uint64_t row = import->first_row + (import->selection != NULL ? import->selection[i] : i);
        uint32_t label = import->labels.items[row];
        TRY(dataset_writer_add(writer, import->images.items + row * import->images.item_bytes, &label, 1));
        if (request->step != NULL && i % STORE_CHUNK_ROWS == 0)
            TRY(request->step(request->context, (double)i / (double)import->rows));
    }
done:
    return err;
}

static void idx_import_info(const struct idx_import *import, struct dataset_info *ret_info)
{
    const struct import_request *request = import->request;
    *ret_info = (struct dataset_info){
        .kind = DATASET_BYTES,
        .rows = request->declared_rows > 0 ? request->declared_rows : import->rows,
        .features = import->images.item_bytes,
        .image_rows = import->images.rows,
        .image_columns = import->images.columns,
        .classes = import->classes,
        .imported_at = request->now,
    };
    (void)snprintf(ret_info->name, sizeof(ret_info->name), "%s", request->name);
}

struct error *import_idx(struct store *store, const struct import_request *request, const char *images_path,
                         const char *labels_path, struct dataset_info *ret_info)
{
    struct error *err = NULL;
    struct idx_import import = {.request = request};
    struct dataset_writer *writer = NULL;
    struct dataset_info info;
    TRY(idx_import_read(&import, images_path, labels_path));
    TRY(idx_import_classes(&import, labels_path));
    TRY(idx_import_range(&import));
    TRY(idx_import_partition(&import));
    idx_import_info(&import, &info);
    idx_import_source(&import, images_path, labels_path, info.source, sizeof(info.source));
    TRY(dataset_writer_start(store, &info, NULL, NULL, request->split_key, &writer));
    TRY(idx_import_rows(&import, writer));
    TRY(dataset_writer_finish(writer, request->digest, ret_info));
done:
    dataset_writer_free(writer);
    free(import.selection);
    free(import.labels_data);
    free(import.images_data);
    return err;
}
