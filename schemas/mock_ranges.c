#include "schemas/mock_ranges.h"

#include "schemas/document.h"
#include "schemas/files.h"

#define RANGES_MAX_BYTES (64u * 1024u)

static const char *const kind_words[] = {"real", "integer", NULL};

static const struct document_key range_keys[] = {
    {.key = "low",
     .type = DOCUMENT_REAL,
     .required = true,
     DOCUMENT_INTO(struct mock_range, low),
     .least = -MOCK_VALUE_MAX,
     .most = MOCK_VALUE_MAX},
    {.key = "high",
     .type = DOCUMENT_REAL,
     .required = true,
     DOCUMENT_INTO(struct mock_range, high),
     .least = -MOCK_VALUE_MAX,
     .most = MOCK_VALUE_MAX},
    {.key = "kind", .type = DOCUMENT_WORD, DOCUMENT_INTO(struct mock_range, kind), .words = kind_words},
    {0},
};

struct mock_range mock_range_default(void)
{
    return (struct mock_range){.low = -3, .high = 3, .kind = MOCK_REAL};
}

/* Of a number of at most MOCK_VALUE_MAX. */
static bool is_whole(double value)
{
    return (double)(int64_t)value == value;
}

static struct error *range_read(const struct document_value *value, void *ret_field)
{
    struct error *err = NULL;
    struct mock_range range = mock_range_default();
    TRY(document_read(value, range_keys, &range));
    if (range.low > range.high)
        TRY(document_error(value, ERROR_INVALID, "has a low that is above its high."));
    if (range.kind == MOCK_INTEGER && !(is_whole(range.low) && is_whole(range.high)))
        TRY(document_error(value, ERROR_INVALID,
                           "is of integers, so low and high have to be whole numbers."));
    *(struct mock_range *)ret_field = range;
done:
    return err;
}

static struct error *column_read(const struct document_value *columns, size_t index,
                                 struct mock_column *ret_column)
{
    struct document_value key, value;
    const char *name = document_pair(columns, index, &key, &value);
    if (strlen(name) >= MOCK_COLUMN_BYTES)
        return document_error(&key, ERROR_INVALID, "is longer than a column's name can be.");
    (void)snprintf(ret_column->name, sizeof(ret_column->name), "%s", name);
    return range_read(&value, &ret_column->range);
}

static struct error *columns_read(const struct document_value *value, void *ret_field)
{
    struct error *err = NULL;
    struct mock_ranges *ranges = ret_field;
    if (!document_is_mapping(value))
        TRY(document_error(value, ERROR_INVALID,
                           "must be columns with their ranges, as in age: {low: 18, high: 90}."));
    size_t count = document_pairs(value);
    ranges->columns = calloc(count + 1, sizeof(*ranges->columns));
    if (ranges->columns == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the ranges.");
    for (size_t i = 0; i < count; i++) {
        TRY(column_read(value, i, &ranges->columns[i]));
        ranges->column_count++;
    }
done:
    return err;
}

static const struct document_key ranges_keys[] = {
    {.key = "default",
     .type = DOCUMENT_READER,
     DOCUMENT_INTO(struct mock_ranges, fallback),
     .read = range_read},
    {.key = "columns",
     .type = DOCUMENT_READER,
     .offset = 0,
     .bytes = sizeof(struct mock_ranges),
     .read = columns_read},
    {0},
};

static struct error *ranges_new(struct mock_ranges **ret_ranges)
{
    struct mock_ranges *ranges = calloc(1, sizeof(*ranges));
    if (ranges == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for the ranges.");
    ranges->fallback = mock_range_default();
    *ret_ranges = ranges;
    return NULL;
}

struct error *mock_ranges_parse(const char *text, size_t bytes, const char *where,
                                struct mock_ranges **ret_ranges)
{
    struct error *err = NULL;
    struct mock_ranges *ranges = NULL;
    struct document *document = NULL;
    TRY(ranges_new(&ranges));
    TRY(document_parse(text, bytes, RANGES_MAX_BYTES, where, &document));
    struct document_value root = document_root(document);
    TRY(document_read(&root, ranges_keys, ranges));
    *ret_ranges = ranges;
    ranges = NULL;
done:
    document_free(document);
    mock_ranges_free(ranges);
    return err;
}

struct error *mock_ranges_load(const char *path, struct mock_ranges **ret_ranges)
{
    struct error *err = NULL;
    uint8_t *text = NULL;
    size_t bytes = 0;
    if (path == NULL)
        return ranges_new(ret_ranges);
    TRY(file_read(path, RANGES_MAX_BYTES, &text, &bytes));
    TRY(mock_ranges_parse((const char *)text, bytes, path, ret_ranges));
done:
    free(text);
    return err;
}

void mock_ranges_free(struct mock_ranges *ranges)
{
    if (ranges == NULL)
        return;
    free(ranges->columns);
    free(ranges);
}

struct mock_range mock_ranges_find(const struct mock_ranges *ranges, const char *column)
{
    for (size_t i = 0; i < ranges->column_count; i++)
        if (strcmp(ranges->columns[i].name, column) == 0)
            return ranges->columns[i].range;
    return ranges->fallback;
}
