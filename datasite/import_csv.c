#include "datasite/import.h"

#include "schemas/csv.h"

#define STEP_ROWS 256

/* What is in hand while a file is read. */
struct csv_import {
    const struct import_request *request;
    struct csv *csv;
    const char **columns;
    double *values;
    uint32_t highest_label; /* of the whole file, not only of the rows to take */
    uint64_t rows_seen;
};

static struct error *csv_import_start(struct csv_import *import)
{
    struct error *err = NULL;
    size_t features = csv_features(import->csv);
    if (features == 0)
        FAIL(ERROR_INVALID, "The file has no column beside the labels: there is nothing to learn from.");
    import->columns = reallocarray(NULL, features, sizeof(*import->columns));
    import->values = reallocarray(NULL, features, sizeof(*import->values));
    if (import->columns == NULL || import->values == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a row of %zu numbers.", features);
    for (size_t feature = 0; feature < features; feature++)
        import->columns[feature] = csv_feature_name(import->csv, feature);
done:
    return err;
}

/* Rows outside the range are read too: they have their say in the number of classes, and they must be sound.
 */
static struct error *csv_import_rows(struct csv_import *import, struct dataset_writer *writer)
{
    struct error *err = NULL;
    const struct import_request *request = import->request;
    uint64_t end = request->end_row > 0 ? request->end_row : UINT64_MAX;
    for (;;) {
        bool more = false;
        uint32_t label = 0;
        TRY(csv_next(import->csv, import->values, &label, &more));
        if (!more)
            break;
        if (label > import->highest_label)
            import->highest_label = label;
        if (import->rows_seen >= request->first_row && import->rows_seen < end)
            TRY(dataset_writer_add(writer, import->values, &label, 1));
        import->rows_seen++;
        if (request->step != NULL && import->rows_seen % STEP_ROWS == 0)
            TRY(request->step(request->context, csv_progress(import->csv)));
    }
    if (request->end_row > import->rows_seen || request->first_row >= import->rows_seen)
        FAIL(ERROR_INVALID, "The file has %llu rows, so --rows %llu:%llu reaches beyond its end.",
             (unsigned long long)import->rows_seen, (unsigned long long)request->first_row,
             (unsigned long long)request->end_row);
done:
    return err;
}

static void csv_import_info(const struct csv_import *import, const char *path, struct dataset_info *ret_info)
{
    const struct import_request *request = import->request;
    struct dataset_info info = {.kind = DATASET_NUMBERS, .imported_at = request->now};
    info.rows = request->declared_rows;
    info.classes = request->classes;
    info.features = csv_features(import->csv);
    (void)snprintf(info.name, sizeof(info.name), "%s", request->name);
    if (request->end_row > 0)
        (void)snprintf(info.source, sizeof(info.source), "%.900s, rows %llu:%llu", path,
                       (unsigned long long)request->first_row, (unsigned long long)request->end_row);
    else
        (void)snprintf(info.source, sizeof(info.source), "%.900s", path);
    *ret_info = info;
}

struct error *import_csv(struct store *store, const struct import_request *request, const char *path,
                         const char *label, const char *const *class_names, struct dataset_info *ret_info)
{
    struct error *err = NULL;
    struct csv_import import = {.request = request};
    struct dataset_writer *writer = NULL;
    struct dataset_info info;
    TRY(csv_open(path, label, class_names, class_names != NULL ? request->classes : 0, &import.csv));
    TRY(csv_import_start(&import));
    csv_import_info(&import, path, &info);
    TRY(dataset_writer_start(store, &info, class_names, import.columns, request->split_key, &writer));
    TRY(csv_import_rows(&import, writer));
    dataset_writer_classes(writer, import.highest_label + 1);
    TRY(dataset_writer_finish(writer, request->digest, ret_info));
done:
    dataset_writer_free(writer);
    free(import.columns);
    free(import.values);
    csv_close(import.csv);
    return err;
}
