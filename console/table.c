#include "console/terminal.h"

#define TABLE_MAX_COLUMNS 64
#define TABLE_MAX_ROWS 100000
#define TABLE_CELL_BYTES 1024

struct table {
    size_t columns, rows, capacity;
    uint64_t right;
    char **cells; /* [rows + 1][columns], the header first; owned */
};

/* Characters of a clean UTF-8 text. */
static int table_width(const char *text)
{
    int width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

struct error *table_row(struct table *table, const char *const *cells)
{
    struct error *err = NULL;
    if (table->rows == TABLE_MAX_ROWS)
        return error_new(ERROR_LIMIT, "A table has more than %d rows; use --json.", TABLE_MAX_ROWS);
    if (table->rows == table->capacity) {
        size_t capacity = table->capacity == 0 ? 16 : table->capacity * 2;
        char **larger = realloc(table->cells, capacity * table->columns * sizeof(*larger));
        if (larger == NULL)
            FAIL(ERROR_MEMORY, "There is not enough memory for a table.");
        table->cells = larger;
        table->capacity = capacity;
    }
    char **row = table->cells + table->rows * table->columns;
    for (size_t i = 0; i < table->columns; i++)
        row[i] = NULL;
    table->rows++;
    for (size_t i = 0; i < table->columns; i++) {
        char clean[TABLE_CELL_BYTES];
        terminal_clean(cells[i], clean, sizeof(clean));
        row[i] = strdup(clean);
        if (row[i] == NULL)
            FAIL(ERROR_MEMORY, "There is not enough memory for a table.");
    }
done:
    return err;
}

struct error *table_new(const char *const *headers, size_t columns, struct table **ret_table)
{
    struct error *err = NULL;
    struct table *table = NULL;
    if (columns == 0 || columns > TABLE_MAX_COLUMNS)
        FAIL(ERROR_INTERNAL, "A table has 1 to %d columns.", TABLE_MAX_COLUMNS);
    table = calloc(1, sizeof(*table));
    if (table == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for a table.");
    table->columns = columns;
    TRY(table_row(table, headers));
    *ret_table = table;
    table = NULL;
done:
    table_free(table);
    return err;
}

void table_align(struct table *table, uint64_t right)
{
    table->right = right;
}

static const char *table_cell(const struct table *table, size_t row, size_t column)
{
    const char *cell = table->cells[row * table->columns + column];
    return cell == NULL ? "" : cell;
}

static void table_print_row(const struct table *table, size_t row, const int *widths, FILE *stream)
{
    for (size_t column = 0; column < table->columns; column++) {
        const char *cell = table_cell(table, row, column);
        int padding = widths[column] - table_width(cell);
        bool is_right = (table->right >> column & 1u) != 0;
        bool is_last = column + 1 == table->columns;
        if (is_right)
            (void)fprintf(stream, "%*s%s", padding, "", cell);
        else
            (void)fprintf(stream, "%s%*s", cell, is_last ? 0 : padding, "");
        (void)fputs(is_last ? "\n" : "  ", stream);
    }
}

void table_print(const struct table *table, FILE *stream)
{
    int widths[TABLE_MAX_COLUMNS] = {0};
    for (size_t row = 0; row < table->rows; row++) {
        for (size_t column = 0; column < table->columns; column++) {
            int width = table_width(table_cell(table, row, column));
            widths[column] = width > widths[column] ? width : widths[column];
        }
    }
    (void)fputs(terminal_style(stream, STYLE_BOLD), stream);
    table_print_row(table, 0, widths, stream);
    (void)fputs(terminal_style(stream, STYLE_PLAIN), stream);
    for (size_t row = 1; row < table->rows; row++)
        table_print_row(table, row, widths, stream);
}

void table_free(struct table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < table->rows * table->columns; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}
