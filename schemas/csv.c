#include "schemas/csv.h"

#include "schemas/number.h"
#include "schemas/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CSV_BUFFER (256u * 1024u)
#define CSV_NAME_BYTES 256 /* of a column's name */
#define CSV_END (-1)
#define CSV_FAILED (-2)

struct csv {
    char *path;
    int fd;
    uint64_t size;     /* of the file when it was opened */
    uint64_t consumed; /* bytes taken from the file */
    uint8_t *buffer;
    size_t at, filled;
    int saved_errno;

    char *record; /* the cells of the record in hand, each ended by a NUL */
    size_t record_bytes, record_room;
    size_t *cells; /* where each begins */
    size_t cell_count, cell_room;
    uint64_t line;     /* in which reading stands, from 1 */
    uint64_t row_line; /* in which the record in hand began */

    char **names; /* of all columns, in order */
    size_t columns;
    size_t label_column;
    char **classes; /* NULL: integers */
    size_t class_count;
};

/* --- Bytes --- */

static bool csv_fill(struct csv *csv)
{
    ssize_t n;
    do {
        n = read(csv->fd, csv->buffer, CSV_BUFFER);
    } while (n < 0 && errno == EINTR);
    csv->saved_errno = n < 0 ? errno : 0;
    csv->at = 0;
    csv->filled = n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* The next byte without taking it; CSV_END or CSV_FAILED behind the last one. */
static int csv_peek(struct csv *csv)
{
    if (csv->at == csv->filled && !csv_fill(csv))
        return csv->saved_errno == 0 ? CSV_END : CSV_FAILED;
    return csv->buffer[csv->at];
}

static void csv_take(struct csv *csv)
{
    csv->at++;
    csv->consumed++;
}

/* --- Records --- */

static struct error *csv_refuse(const struct csv *csv, const char *what)
{
    return error_new(ERROR_INVALID, "%s, row %llu: %s", csv->path, (unsigned long long)csv->row_line, what);
}

static struct error *csv_refuse_cell(const struct csv *csv, size_t column, const char *what)
{
    return error_new(ERROR_INVALID, "%s, row %llu, column %s: %s", csv->path,
                     (unsigned long long)csv->row_line, csv->names[column], what);
}

static struct error *csv_grow(const struct csv *csv, void **array, size_t *room, size_t element)
{
    size_t wanted = *room == 0 ? 1024 : *room * 2;
    void *grown = reallocarray(*array, wanted, element);
    if (grown == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for a row of %s.", csv->path);
    *array = grown;
    *room = wanted;
    return NULL;
}

static struct error *csv_put(struct csv *csv, char byte)
{
    struct error *err = NULL;
    if (csv->record_bytes >= CSV_MAX_LINE)
        FAIL(ERROR_LIMIT, "%s, row %llu: the row is longer than %u bytes; is a closing quote missing?",
             csv->path, (unsigned long long)csv->row_line, CSV_MAX_LINE);
    if (csv->record_bytes == csv->record_room) {
        void *record = csv->record;
        TRY(csv_grow(csv, &record, &csv->record_room, 1));
        csv->record = record;
    }
    csv->record[csv->record_bytes++] = byte;
done:
    return err;
}

static struct error *csv_begin_cell(struct csv *csv)
{
    struct error *err = NULL;
    if (csv->cell_count > CSV_MAX_COLUMNS)
        FAIL(ERROR_LIMIT, "%s, row %llu: there are more than %d columns.", csv->path,
             (unsigned long long)csv->row_line, CSV_MAX_COLUMNS);
    if (csv->cell_count == csv->cell_room) {
        void *cells = csv->cells;
        TRY(csv_grow(csv, &cells, &csv->cell_room, sizeof(*csv->cells)));
        csv->cells = cells;
    }
    csv->cells[csv->cell_count++] = csv->record_bytes;
done:
    return err;
}

static struct error *csv_unreadable(const struct csv *csv)
{
    return error_errno(ERROR_IO, csv->saved_errno, "%s cannot be read", csv->path);
}

/* The inside of a quoted cell and its closing quote; a doubled quote stands for one. */
static struct error *csv_read_quoted(struct csv *csv)
{
    struct error *err = NULL;
    csv_take(csv);
    for (;;) {
        int byte = csv_peek(csv);
        if (byte == CSV_FAILED)
            return csv_unreadable(csv);
        if (byte == CSV_END)
            return csv_refuse(csv, "a quoted cell is not closed before the end of the file.");
        if (byte == '\0')
            return csv_refuse(csv, "a NUL byte is in the row; the file must be text.");
        csv_take(csv);
        if (byte == '\n')
            csv->line++;
        if (byte == '"') {
            if (csv_peek(csv) != '"')
                break;
            csv_take(csv);
        }
        TRY(csv_put(csv, (char)byte));
    }
done:
    return err;
}

static bool csv_blank(int byte)
{
    return byte == ' ' || byte == '\t';
}

/* One cell up to the separator, which stays. Blanks around a cell do not count; within quotes they do. */
static struct error *csv_read_cell(struct csv *csv)
{
    struct error *err = NULL;
    bool quoted = false;
    TRY(csv_begin_cell(csv));
    while (csv_blank(csv_peek(csv)))
        csv_take(csv);
    if (csv_peek(csv) == '"') {
        quoted = true;
        TRY(csv_read_quoted(csv));
    }
    size_t end = csv->record_bytes;
    for (;;) {
        int byte = csv_peek(csv);
        if (byte == CSV_FAILED)
            return csv_unreadable(csv);
        if (byte == ',' || byte == '\n' || byte == '\r' || byte == CSV_END)
            break;
        if (byte == '\0')
            return csv_refuse(csv, "a NUL byte is in the row; the file must be text.");
        if (byte == '"' || (quoted && !csv_blank(byte)))
            return csv_refuse(csv, "a quote is inside a cell; quote the whole cell and double the quote.");
        csv_take(csv);
        TRY(csv_put(csv, (char)byte));
        if (!csv_blank(byte))
            end = csv->record_bytes;
    }
    csv->record_bytes = end;
    TRY(csv_put(csv, '\0'));
done:
    return err;
}

/* Takes the end of a line; false when cells follow. */
static struct error *csv_end_of_row(struct csv *csv, bool *ret_ended)
{
    int byte = csv_peek(csv);
    *ret_ended = byte != ',';
    if (byte == CSV_END)
        return NULL;
    csv_take(csv);
    if (byte == '\r') {
        if (csv_peek(csv) != '\n')
            return csv_refuse(csv, "a carriage return is inside the row; lines must end in LF or CR LF.");
        csv_take(csv);
    }
    if (*ret_ended)
        csv->line++;
    return NULL;
}

static struct error *csv_read_row(struct csv *csv, bool *ret_more)
{
    struct error *err = NULL;
    csv->record_bytes = 0;
    csv->cell_count = 0;
    csv->row_line = csv->line;
    int byte = csv_peek(csv);
    if (byte == CSV_FAILED)
        return csv_unreadable(csv);
    *ret_more = byte != CSV_END;
    for (bool ended = !*ret_more; !ended;) {
        TRY(csv_read_cell(csv));
        TRY(csv_end_of_row(csv, &ended));
    }
done:
    return err;
}

static const char *csv_cell(const struct csv *csv, size_t column)
{
    return csv->record + csv->cells[column];
}

/* --- The header --- */

static int csv_compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct error *csv_check_duplicates(const struct csv *csv)
{
    struct error *err = NULL;
    const char **sorted = calloc(csv->columns, sizeof(*sorted));
    if (sorted == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for the columns of %s.", csv->path);
    for (size_t i = 0; i < csv->columns; i++)
        sorted[i] = csv->names[i];
    qsort(sorted, csv->columns, sizeof(*sorted), csv_compare_names);
    for (size_t i = 1; i < csv->columns && err == NULL; i++) {
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            err = error_new(ERROR_INVALID, "%s, row 1: two columns are named %s; names must differ.",
                            csv->path, sorted[i]);
    }
    free(sorted);
    return err;
}

static struct error *csv_take_names(struct csv *csv)
{
    struct error *err = NULL;
    csv->names = calloc(csv->cell_count, sizeof(*csv->names));
    if (csv->names == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the columns of %s.", csv->path);
    for (size_t i = 0; i < csv->cell_count; i++) {
        const char *name = csv_cell(csv, i);
        if (!text_title(name, CSV_NAME_BYTES - 1))
            FAIL(ERROR_INVALID, "%s, row 1, column %zu: a column needs a name of 1 to %d printable bytes.",
                 csv->path, i + 1, CSV_NAME_BYTES - 1);
        csv->names[i] = strdup(name);
        if (csv->names[i] == NULL)
            FAIL(ERROR_MEMORY, "There is not enough memory for the columns of %s.", csv->path);
        csv->columns = i + 1;
    }
done:
    return err;
}

static void csv_skip_byte_order_mark(struct csv *csv)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    if (csv_peek(csv) >= 0 && csv->filled >= sizeof(mark) && memcmp(csv->buffer, mark, sizeof(mark)) == 0) {
        csv->at = sizeof(mark);
        csv->consumed = sizeof(mark);
    }
}

static struct error *csv_read_header(struct csv *csv, const char *label)
{
    struct error *err = NULL;
    bool more = false;
    csv_skip_byte_order_mark(csv);
    TRY(csv_read_row(csv, &more));
    if (!more)
        FAIL(ERROR_INVALID, "%s is empty; a line with the names of the columns must come first.", csv->path);
    if (csv->cell_count > CSV_MAX_COLUMNS)
        FAIL(ERROR_LIMIT, "%s has more than %d columns.", csv->path, CSV_MAX_COLUMNS);
    TRY(csv_take_names(csv));
    TRY(csv_check_duplicates(csv));
    csv->label_column = csv->columns;
    for (size_t i = 0; i < csv->columns; i++) {
        if (strcmp(csv->names[i], label) == 0)
            csv->label_column = i;
    }
    if (csv->label_column == csv->columns)
        FAIL(ERROR_INVALID, "%s has no column named %s, which was given as the label.", csv->path, label);
    if (csv->columns < 2)
        FAIL(ERROR_INVALID, "%s has no column besides the label; at least one feature is needed.", csv->path);
done:
    return err;
}

/* --- Opening and closing --- */

static struct error *csv_open_file(struct csv *csv)
{
    struct error *err = NULL;
    struct stat status;
    csv->fd = open(csv->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (csv->fd < 0) {
        enum error_code code = errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO;
        err = error_errno(code, errno, "%s cannot be opened", csv->path);
        goto done;
    }
    if (fstat(csv->fd, &status) != 0 || !S_ISREG(status.st_mode))
        FAIL(ERROR_IO, "%s is not a regular file.", csv->path);
    csv->size = (uint64_t)status.st_size;
done:
    return err;
}

static struct error *csv_take_classes(struct csv *csv, const char *const *classes, size_t class_count)
{
    struct error *err = NULL;
    if (class_count > CSV_MAX_CLASSES)
        FAIL(ERROR_LIMIT, "%zu classes are too many; at most %d are possible.", class_count, CSV_MAX_CLASSES);
    csv->class_count = class_count;
    if (classes == NULL)
        goto done;
    csv->classes = calloc(class_count + 1, sizeof(*csv->classes));
    if (csv->classes == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the classes of %s.", csv->path);
    for (size_t i = 0; i < class_count; i++) {
        csv->classes[i] = strdup(classes[i]);
        if (csv->classes[i] == NULL)
            FAIL(ERROR_MEMORY, "There is not enough memory for the classes of %s.", csv->path);
    }
done:
    return err;
}

struct error *csv_open(const char *path, const char *label, const char *const *classes, size_t class_count,
                       struct csv **ret_csv)
{
    struct error *err = NULL;
    struct csv *csv = calloc(1, sizeof(*csv));
    if (csv == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to read %s.", path);
    csv->fd = -1;
    csv->line = 1;
    csv->path = strdup(path);
    csv->buffer = malloc(CSV_BUFFER);
    if (csv->path == NULL || csv->buffer == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to read %s.", path);
    TRY(csv_open_file(csv));
    TRY(csv_take_classes(csv, classes, class_count));
    TRY(csv_read_header(csv, label));
    *ret_csv = csv;
    csv = NULL;
done:
    csv_close(csv);
    return err;
}

void csv_close(struct csv *csv)
{
    if (csv == NULL)
        return;
    if (csv->fd >= 0)
        (void)close(csv->fd);
    for (size_t i = 0; i < csv->columns; i++)
        free(csv->names[i]);
    for (size_t i = 0; csv->classes != NULL && i < csv->class_count; i++)
        free(csv->classes[i]);
    free(csv->names);
    free(csv->classes);
    free(csv->cells);
    free(csv->record);
    free(csv->buffer);
    free(csv->path);
    free(csv);
}

size_t csv_features(const struct csv *csv)
{
    return csv->columns - 1;
}

const char *csv_feature_name(const struct csv *csv, size_t feature)
{
    return csv->names[feature < csv->label_column ? feature : feature + 1];
}

double csv_progress(const struct csv *csv)
{
    double share = csv->size == 0 ? 1 : (double)csv->consumed / (double)csv->size;
    return share > 1 ? 1 : share;
}

/* --- Values --- */

static struct error *csv_read_value(const struct csv *csv, size_t column, double *ret_value)
{
    const char *cell = csv_cell(csv, column);
    if (cell[0] == '\0')
        return csv_refuse_cell(csv, column, "the cell is empty; every cell must hold a number.");
    if (!number_form(cell))
        return csv_refuse_cell(csv, column, "the cell must hold a finite number such as 1, -0.5 or 1e-3.");
    if (!number_real(cell, ret_value))
        return csv_refuse_cell(csv, column, "the number is too large; it must be finite as a double.");
    return NULL;
}

static struct error *csv_read_label(const struct csv *csv, uint32_t *ret_label)
{
    const char *cell = csv_cell(csv, csv->label_column);
    uint64_t number = 0;
    if (cell[0] == '\0')
        return csv_refuse_cell(csv, csv->label_column, "the cell is empty; every row needs a label.");
    for (size_t i = 0; csv->classes != NULL && i < csv->class_count; i++) {
        if (strcmp(csv->classes[i], cell) == 0) {
            *ret_label = (uint32_t)i;
            return NULL;
        }
    }
    if (csv->classes != NULL)
        return csv_refuse_cell(csv, csv->label_column,
                               "the label is not one of the classes that were given.");
    uint64_t limit = csv->class_count == 0 ? CSV_MAX_CLASSES : csv->class_count;
    if (!number_count(cell, &number) || number >= limit)
        return error_new(
            ERROR_INVALID,
            "%s, row %llu, column %s: the label must be a whole number from 0 to %llu; for class names, "
            "list them in order with --classes.",
            csv->path, (unsigned long long)csv->row_line, csv->names[csv->label_column],
            (unsigned long long)limit - 1);
    *ret_label = (uint32_t)number;
    return NULL;
}

struct error *csv_next(struct csv *csv, double *ret_values, uint32_t *ret_label, bool *ret_more)
{
    struct error *err = NULL;
    bool more = false;
    TRY(csv_read_row(csv, &more));
    if (more && csv->cell_count != csv->columns)
        FAIL(ERROR_INVALID, "%s, row %llu: there are %zu cells; the header names %zu columns.", csv->path,
             (unsigned long long)csv->row_line, csv->cell_count, csv->columns);
    for (size_t column = 0; more && column < csv->columns; column++) {
        size_t feature = column < csv->label_column ? column : column - 1;
        if (column == csv->label_column)
            TRY(csv_read_label(csv, ret_label));
        else
            TRY(csv_read_value(csv, column, &ret_values[feature]));
    }
    *ret_more = more;
done:
    return err;
}
