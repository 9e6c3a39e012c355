#include "orchestrator/mock_data.h"

#include "orchestrator/report_parts.h"
#include "schemas/files.h"

#define IDX_IMAGES_MAGIC 0x00000803u
#define IDX_LABELS_MAGIC 0x00000801u
#define IDX_MAX_CLASSES 256

static size_t row_bytes(const struct mock_data *mock)
{
    return (size_t)mock->features * (mock->numbers ? sizeof(double) : 1);
}

static uint32_t label_at(const struct mock_data *mock, uint64_t row)
{
    return (uint32_t)(mock->labels[2 * row] | mock->labels[2 * row + 1] << 8);
}

void mock_data_clear(struct mock_data *mock)
{
    free(mock->data);
    free(mock->labels);
    *mock = (struct mock_data){0};
}

/* ---- collecting ---- */

static struct error *start(struct mock_data *mock, const char *dataset, const Fds__Mock *page)
{
    (void)snprintf(mock->dataset, sizeof mock->dataset, "%s", dataset);
    mock->numbers = strcmp(page->kind, WIRE_KIND_NUMBERS) == 0;
    mock->rows = page->rows;
    mock->features = page->features;
    mock->classes = page->classes;
    memcpy(mock->digest.bytes, page->digest.data, DIGEST_BYTES);
    mock->data = malloc((size_t)mock->rows * row_bytes(mock));
    mock->labels = malloc((size_t)mock->rows * 2);
    if (mock->data == NULL || mock->labels == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for a mock dataset.");
    return NULL;
}

static bool follows(const struct mock_data *mock, const Fds__Mock *page)
{
    return page->first_row == mock->got && page->rows == mock->rows && page->features == mock->features &&
           page->classes == mock->classes && (strcmp(page->kind, WIRE_KIND_NUMBERS) == 0) == mock->numbers &&
           memcmp(page->digest.data, mock->digest.bytes, DIGEST_BYTES) == 0;
}

struct error *mock_data_add(struct mock_data *mock, const char *dataset, const Fds__Mock *page)
{
    struct error *err = NULL;
    if (strcmp(page->dataset, dataset) != 0)
        FAIL(ERROR_INVALID, "The site sent rows of another dataset than \"%s\".", dataset);
    if (mock->rows == 0)
        TRY(start(mock, dataset, page));
    if (!follows(mock, page))
        FAIL(ERROR_INVALID, "The mock dataset of \"%s\" changed while it was fetched: fetch it again.",
             dataset);
    memcpy(mock->data + mock->got * row_bytes(mock), page->data.data, page->data.len);
    memcpy(mock->labels + mock->got * 2, page->labels.data, page->labels.len);
    mock->got += page->labels.len / 2;
done:
    return err;
}

bool mock_data_is_whole(const struct mock_data *mock)
{
    return mock->rows > 0 && mock->got == mock->rows;
}

static void put_u64(uint8_t *to, uint64_t word)
{
    for (size_t b = 0; b < 8; b++)
        to[b] = (uint8_t)(word >> (8 * b));
}

/* As datasites compute it: kind, rows, features, classes, then each row and its label. */
struct error *mock_data_check(const struct mock_data *mock)
{
    struct error *err = NULL;
    struct digest_stream *stream = NULL;
    struct digest digest;
    uint8_t header[32];
    put_u64(header, mock->numbers);
    put_u64(header + 8, mock->rows);
    put_u64(header + 16, mock->features);
    put_u64(header + 24, mock->classes);
    TRY(digest_stream_new(&stream));
    TRY(digest_stream_add(stream, header, sizeof header));
    for (uint64_t row = 0; row < mock->got; row++) {
        TRY(digest_stream_add(stream, mock->data + row * row_bytes(mock), row_bytes(mock)));
        TRY(digest_stream_add(stream, mock->labels + 2 * row, 2));
    }
    TRY(digest_stream_finish(stream, &digest));
    if (!digest_equal(&digest, &mock->digest))
        FAIL(ERROR_UNTRUSTED, "The mock rows of \"%s\" do not have the digest that the site gave.",
             mock->dataset);
done:
    digest_stream_free(stream);
    return err;
}

/* ---- saving ---- */

static bool is_column(const Fds__DatasetSchema *schema, const char *name)
{
    for (size_t i = 0; i < schema->n_columns; i++)
        if (strcmp(schema->columns[i], name) == 0)
            return true;
    return false;
}

static void put_name(FILE *stream, const char *name)
{
    (void)fputc('"', stream);
    for (; *name != '\0'; name++)
        (void)fputs(*name == '"' ? "\"\"" : (char[]){*name, '\0'}, stream);
    (void)fputc('"', stream);
}

/* Columns whose names did not fit are numbered; the label's name is one that no column has. */
static void put_names(FILE *stream, const struct mock_data *mock, const Fds__DatasetSchema *schema)
{
    const char *label = !is_column(schema, "label")   ? "label"
                        : !is_column(schema, "class") ? "class"
                                                      : "mock_label";
    for (uint64_t j = 0; j < mock->features; j++) {
        if (j < schema->n_columns)
            put_name(stream, schema->columns[j]);
        else
            (void)fprintf(stream, "value_%llu", (unsigned long long)j + 1);
        (void)fputc(',', stream);
    }
    (void)fprintf(stream, "%s\n", label);
}

static struct error *save_csv(const struct mock_data *mock, const Fds__DatasetSchema *schema,
                              const char *path)
{
    struct error *err = NULL;
    struct report_text text = {0};
    TRY(report_text_open(&text));
    put_names(text.stream, mock, schema);
    for (uint64_t row = 0; row < mock->rows; row++) {
        for (uint64_t j = 0; j < mock->features; j++) {
            char number[REPORT_NUMBER_BYTES];
            double value = 0;
            wire_parameters_read(mock->data + row * row_bytes(mock) + 8 * j, 1, &value);
            report_number(value, number);
            (void)fprintf(text.stream, "%s,", number);
        }
        (void)fprintf(text.stream, "%u\n", label_at(mock, row));
    }
    TRY(report_text_save(&text, path));
done:
    report_text_clear(&text);
    return err;
}

static void put_big(FILE *stream, uint64_t word)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        (void)fputc((int)(word >> shift & 0xff), stream);
}

static struct error *save_images(const struct mock_data *mock, const Fds__DatasetSchema *schema,
                                 const char *path)
{
    struct error *err = NULL;
    struct report_text text = {0};
    TRY(report_text_open(&text));
    put_big(text.stream, IDX_IMAGES_MAGIC);
    put_big(text.stream, mock->rows);
    put_big(text.stream, schema->image_rows);
    put_big(text.stream, schema->image_columns);
    (void)fwrite(mock->data, row_bytes(mock), mock->rows, text.stream);
    TRY(report_text_save(&text, path));
done:
    report_text_clear(&text);
    return err;
}

static struct error *save_labels(const struct mock_data *mock, const char *path)
{
    struct error *err = NULL;
    struct report_text text = {0};
    if (mock->classes > IDX_MAX_CLASSES)
        return error_new(ERROR_UNSUPPORTED, "\"%s\" has %u classes, and IDX files hold at most %d.",
                         mock->dataset, mock->classes, IDX_MAX_CLASSES);
    TRY(report_text_open(&text));
    put_big(text.stream, IDX_LABELS_MAGIC);
    put_big(text.stream, mock->rows);
    for (uint64_t row = 0; row < mock->rows; row++)
        (void)fputc((int)label_at(mock, row), text.stream);
    TRY(report_text_save(&text, path));
done:
    report_text_clear(&text);
    return err;
}

struct error *mock_data_save(const struct mock_data *mock, const Fds__DatasetSchema *schema,
                             const char *directory)
{
    struct error *err = NULL;
    char *data = NULL;
    char *labels = NULL;
    if (schema->features != mock->features || (schema->image_rows == 0) != mock->numbers)
        FAIL(ERROR_INVALID, "The site's mock rows of \"%s\" do not have the form that it says.",
             mock->dataset);
    TRY(path_join(directory, mock->numbers ? "MOCK.csv" : "MOCK-images.idx3", &data));
    TRY(path_join(directory, "MOCK-labels.idx1", &labels));
    TRY(directory_make(directory, 0700));
    if (mock->numbers)
        TRY(save_csv(mock, schema, data));
    else
        TRY(save_labels(mock, labels));
    if (!mock->numbers)
        TRY(save_images(mock, schema, data));
done:
    free(data);
    free(labels);
    return err;
}
