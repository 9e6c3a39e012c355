/* What a site tells of its datasets: their schema, and rows of mock datasets. */
#include "schemas/wire_parts.h"

#include "schemas/text.h"

#include <math.h>

/* A page is made for the lobby's limit; this much never fits. */
#define CATALOG_MAX_DATASETS 1024
#define CATALOG_MAX_TEXT 255

static struct error *check_name(const char *message, const char *field, const char *name)
{
    if (text_name(name, WIRE_NAME_BYTES))
        return NULL;
    return error_new(ERROR_INVALID, "%s: %s must be a name of at most %d characters A-Z a-z 0-9 - _ .",
                     message, field, WIRE_NAME_BYTES);
}

static struct error *check_kind(const char *message, const char *kind)
{
    if (strcmp(kind, WIRE_KIND_BYTES) == 0 || strcmp(kind, WIRE_KIND_NUMBERS) == 0)
        return NULL;
    return error_new(ERROR_INVALID, "%s: kind must be %s or %s.", message, WIRE_KIND_BYTES,
                     WIRE_KIND_NUMBERS);
}

struct error *wire_catalog_query_decode(const uint8_t *bytes, size_t count, Fds__CatalogQuery **ret_query)
{
    struct error *err = NULL;
    Fds__CatalogQuery *query = NULL;
    TRY(wire_unpack(&fds__catalog_query__descriptor, bytes, count, &query));
    if (query->after[0] != '\0')
        TRY(check_name("CatalogQuery", "after", query->after));
    *ret_query = query;
    query = NULL;
done:
    wire_catalog_query_free(query);
    return err;
}

void wire_catalog_query_free(Fds__CatalogQuery *query)
{
    wire_free((ProtobufCMessage *)query);
}

static struct error *check_texts(const char *field, char *const *texts, size_t count, uint64_t most)
{
    struct error *err = NULL;
    if (count > most)
        FAIL(ERROR_INVALID, "DatasetSchema: %s has more names than there can be.", field);
    for (size_t i = 0; i < count; i++)
        TRY(wire_check_text("DatasetSchema", field, texts[i], CATALOG_MAX_TEXT));
done:
    return err;
}

static struct error *check_image(const Fds__DatasetSchema *schema)
{
    bool image = strcmp(schema->kind, WIRE_KIND_BYTES) == 0;
    uint64_t pixels = (uint64_t)schema->image_rows * schema->image_columns;
    if (pixels == (image ? schema->features : 0) &&
        (image || schema->image_rows + schema->image_columns == 0))
        return NULL;
    return error_new(ERROR_INVALID,
                     "DatasetSchema: image_rows and image_columns do not agree with features.");
}

static struct error *check_schema(const Fds__DatasetSchema *schema)
{
    struct error *err = NULL;
    TRY(check_name("DatasetSchema", "name", schema->name));
    TRY(check_kind("DatasetSchema", schema->kind));
    TRY(wire_check_number("DatasetSchema", "features", schema->features, 1, WIRE_MAX_FEATURES));
    TRY(wire_check_number("DatasetSchema", "image_rows", schema->image_rows, 0, WIRE_MAX_FEATURES));
    TRY(wire_check_number("DatasetSchema", "image_columns", schema->image_columns, 0, WIRE_MAX_FEATURES));
    TRY(check_image(schema));
    TRY(wire_check_number("DatasetSchema", "classes", schema->classes, 2, WIRE_MAX_CLASSES));
    TRY(wire_check_count("DatasetSchema", "rows", schema->rows, 1));
    TRY(check_texts("columns", schema->columns, schema->n_columns, schema->features));
    TRY(check_texts("class_names", schema->class_names, schema->n_class_names, schema->classes));
    TRY(wire_check_number("DatasetSchema", "mock_rows", schema->mock_rows, 0, WIRE_MOCK_MAX_ROWS));
done:
    return err;
}

/* Names rise, so that asking again after the last one comes to an end. */
struct error *wire_catalog_decode(const uint8_t *bytes, size_t count, Fds__Catalog **ret_catalog)
{
    struct error *err = NULL;
    Fds__Catalog *catalog = NULL;
    TRY(wire_unpack(&fds__catalog__descriptor, bytes, count, &catalog));
    TRY(wire_check_number("Catalog", "datasets", catalog->n_datasets, 0, CATALOG_MAX_DATASETS));
    for (size_t i = 0; i < catalog->n_datasets; i++) {
        TRY(check_schema(catalog->datasets[i]));
        if (i > 0 && strcmp(catalog->datasets[i - 1]->name, catalog->datasets[i]->name) >= 0)
            FAIL(ERROR_INVALID, "Catalog: datasets must be in the order of their names, each once.");
    }
    if (catalog->more && catalog->n_datasets == 0)
        FAIL(ERROR_INVALID, "Catalog: more cannot follow after nothing.");
    *ret_catalog = catalog;
    catalog = NULL;
done:
    wire_catalog_free(catalog);
    return err;
}

void wire_catalog_free(Fds__Catalog *catalog)
{
    wire_free((ProtobufCMessage *)catalog);
}

struct error *wire_mock_query_decode(const uint8_t *bytes, size_t count, Fds__MockQuery **ret_query)
{
    struct error *err = NULL;
    Fds__MockQuery *query = NULL;
    TRY(wire_unpack(&fds__mock_query__descriptor, bytes, count, &query));
    TRY(check_name("MockQuery", "dataset", query->dataset));
    TRY(wire_check_number("MockQuery", "first_row", query->first_row, 0, WIRE_MOCK_MAX_ROWS - 1));
    *ret_query = query;
    query = NULL;
done:
    wire_mock_query_free(query);
    return err;
}

void wire_mock_query_free(Fds__MockQuery *query)
{
    wire_free((ProtobufCMessage *)query);
}

static struct error *check_numbers(const ProtobufCBinaryData *data)
{
    for (size_t i = 0; i < data->len; i += 8) {
        double value = 0;
        wire_parameters_read(data->data + i, 1, &value);
        if (!isfinite(value))
            return error_new(ERROR_INVALID, "Mock: data holds a number that is not finite.");
    }
    return NULL;
}

/* The rows that came: whole, of classes that there are, within the dataset. */
static struct error *check_rows(const Fds__Mock *mock)
{
    struct error *err = NULL;
    bool numbers = strcmp(mock->kind, WIRE_KIND_NUMBERS) == 0;
    size_t row_bytes = (size_t)mock->features * (numbers ? sizeof(double) : 1);
    size_t rows = mock->data.len / row_bytes;
    if (mock->rows > WIRE_MOCK_MAX_BYTES / row_bytes)
        FAIL(ERROR_INVALID, "Mock: the dataset is larger than the %u MiB that one may have.",
             WIRE_MOCK_MAX_BYTES >> 20);
    if (rows == 0 || mock->data.len % row_bytes != 0 || rows > mock->rows - mock->first_row)
        FAIL(ERROR_INVALID, "Mock: data does not hold whole rows of the dataset.");
    TRY(wire_check_bytes("Mock", "labels", &mock->labels, 2 * rows));
    for (size_t i = 0; i < rows; i++) {
        if ((uint32_t)(mock->labels.data[2 * i] | mock->labels.data[2 * i + 1] << 8) >= mock->classes)
            FAIL(ERROR_INVALID, "Mock: labels names a class that there is not.");
    }
    if (numbers)
        TRY(check_numbers(&mock->data));
done:
    return err;
}

struct error *wire_mock_decode(const uint8_t *bytes, size_t count, Fds__Mock **ret_mock)
{
    struct error *err = NULL;
    Fds__Mock *mock = NULL;
    TRY(wire_unpack(&fds__mock__descriptor, bytes, count, &mock));
    TRY(check_name("Mock", "dataset", mock->dataset));
    TRY(check_kind("Mock", mock->kind));
    TRY(wire_check_number("Mock", "rows", mock->rows, 1, WIRE_MOCK_MAX_ROWS));
    TRY(wire_check_number("Mock", "features", mock->features, 1, WIRE_MAX_FEATURES));
    TRY(wire_check_number("Mock", "classes", mock->classes, 2, WIRE_MAX_CLASSES));
    TRY(wire_check_number("Mock", "first_row", mock->first_row, 0, mock->rows - 1));
    TRY(check_rows(mock));
    TRY(wire_check_bytes("Mock", "digest", &mock->digest, WIRE_DIGEST_BYTES));
    *ret_mock = mock;
    mock = NULL;
done:
    wire_mock_free(mock);
    return err;
}

void wire_mock_free(Fds__Mock *mock)
{
    wire_free((ProtobufCMessage *)mock);
}
