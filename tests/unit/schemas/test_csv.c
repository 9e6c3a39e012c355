#include "schemas/csv.h"
#include "schemas/files.h"
#include "tests/unit/schemas/refusal.h"

#include <unistd.h>

#define CSV_PATH "test.csv"

static const char *const csv_classes[] = {"setosa", "virginica"};

static struct csv *csv_open_good(const char *text, size_t bytes)
{
    struct csv *csv = NULL;
    assert_done(file_write(CSV_PATH, text, bytes, 0600));
    assert_done(csv_open(CSV_PATH, "y", NULL, 0, &csv));
    return csv;
}

/* Reads the file to its end, or to the first error. */
static struct error *csv_read_all(const char *text, size_t bytes, const char *label, size_t class_count,
                                  size_t *ret_rows)
{
    struct error *err = NULL;
    struct csv *csv = NULL;
    double *values = NULL;
    uint32_t row_label = 0;
    bool more = true;
    *ret_rows = 0;
    assert_done(file_write(CSV_PATH, text, bytes, 0600));
    TRY(csv_open(CSV_PATH, label, class_count == 0 ? NULL : csv_classes, class_count, &csv));
    values = calloc(csv_features(csv), sizeof(*values));
    assert_non_null(values);
    while (more) {
        TRY(csv_next(csv, values, &row_label, &more));
        *ret_rows += more ? 1 : 0;
    }
done:
    free(values);
    csv_close(csv);
    return err;
}

static void assert_row(struct csv *csv, double first, double second, uint32_t label)
{
    double values[2] = {0, 0};
    uint32_t got = 99;
    bool more = false;
    assert_done(csv_next(csv, values, &got, &more));
    assert_true(more);
    assert_true(values[0] == first);
    assert_true(values[1] == second);
    assert_int_equal(got, label);
}

static void assert_end(struct csv *csv)
{
    double values[2] = {7, 7};
    uint32_t label = 9;
    bool more = true;
    assert_done(csv_next(csv, values, &label, &more));
    assert_false(more);
    assert_true(values[0] == 7 && values[1] == 7 && label == 9);
    assert_true(csv_progress(csv) == 1);
}

#define TWO_ROWS(text) csv_check_two_rows(text, sizeof(text) - 1)
static void csv_check_two_rows(const char *text, size_t bytes)
{
    struct csv *csv = csv_open_good(text, bytes);
    assert_int_equal(csv_features(csv), 2);
    assert_string_equal(csv_feature_name(csv, 0), "a");
    assert_string_equal(csv_feature_name(csv, 1), "b");
    assert_row(csv, 1, -0.5, 0);
    assert_row(csv, 1e-3, 4, 1);
    assert_end(csv);
    csv_close(csv);
}

static void test_csv_rows_are_read(void **state)
{
    (void)state;
    TWO_ROWS("a,b,y\n1,-0.5,0\n1e-3,4,1\n");
}

static void test_csv_label_may_be_any_column(void **state)
{
    (void)state;
    TWO_ROWS("y,a,b\n0,1,-0.5\n1,1e-3,4\n");
    TWO_ROWS("a,y,b\n1,0,-0.5\n1e-3,1,4\n");
}

static void test_csv_without_a_last_line_end_is_read(void **state)
{
    (void)state;
    TWO_ROWS("a,b,y\n1,-0.5,0\n1e-3,4,1");
}

static void test_csv_of_windows_is_read(void **state)
{
    (void)state;
    TWO_ROWS("\xef\xbb\xbf"
             "a,b,y\r\n1,-0.5,0\r\n1e-3,4,1\r\n");
}

static void test_csv_blanks_and_quotes_around_cells_do_not_count(void **state)
{
    (void)state;
    TWO_ROWS(" a , \"b\",y\n 1 ,\t-0.5,\"0\"\n\"1e-3\" , +4 , 1 \n");
}

static void test_csv_quoted_names_may_hold_commas_and_quotes(void **state)
{
    (void)state;
    static const char text[] = "\"a,b\",\"say \"\"c\"\"\",y\n1,2,0\n";
    struct csv *csv = csv_open_good(text, sizeof(text) - 1);
    assert_string_equal(csv_feature_name(csv, 0), "a,b");
    assert_string_equal(csv_feature_name(csv, 1), "say \"c\"");
    assert_row(csv, 1, 2, 0);
    csv_close(csv);
}

static void test_csv_class_names_become_numbers(void **state)
{
    (void)state;
    struct csv *csv = NULL;
    double value = 0;
    uint32_t label = 0;
    bool more = false;
    assert_done(file_write(CSV_PATH, "a,y\n1,virginica\n", 16, 0600));
    assert_done(csv_open(CSV_PATH, "y", csv_classes, 2, &csv));
    assert_done(csv_next(csv, &value, &label, &more));
    assert_int_equal(label, 1);
    csv_close(csv);
}

struct csv_row {
    const char *text;
    const char *sentence;
};

static void csv_check_rows(const struct csv_row *rows, size_t count, const char *label, size_t class_count)
{
    for (size_t i = 0; i < count; i++) {
        size_t read = 0;
        struct error *err = csv_read_all(rows[i].text, strlen(rows[i].text), label, class_count, &read);
        assert_refused(err, ERROR_INVALID, rows[i].sentence);
    }
}
#define CHECK_ROWS(rows, label, classes)                                                                     \
    csv_check_rows(rows, sizeof(rows) / sizeof((rows)[0]), label, classes)

static void test_csv_wrong_cell_is_refused_by_row_and_column(void **state)
{
    (void)state;
    static const struct csv_row rows[] = {
        {"a,b,y\n1,2,0\n1,,0\n", "test.csv, row 3, column b: the cell is empty"},
        {"a,b,y\n1,\"\",0\n", "row 2, column b: the cell is empty"},
        {"a,b,y\n ,2,0\n", "row 2, column a: the cell is empty"},
        {"a,b,y\n1,x,0\n", "row 2, column b: the cell must hold a finite number"},
        {"a,b,y\n1,1x,0\n", "row 2, column b: the cell must hold a finite number"},
        {"a,b,y\n1,0x10,0\n", "row 2, column b: the cell must hold a finite number"},
        {"a,b,y\n1,1 2,0\n", "row 2, column b: the cell must hold a finite number"},
        {"a,b,y\ninf,2,0\n", "row 2, column a: the cell must hold a finite number"},
        {"a,b,y\n-Infinity,2,0\n", "row 2, column a: the cell must hold a finite number"},
        {"a,b,y\nNaN,2,0\n", "row 2, column a: the cell must hold a finite number"},
        {"a,b,y\n1e999,2,0\n", "row 2, column a: the number is too large"},
        {"a,b,y\n\"1\n\",2,0\n", "row 2, column a: the cell must hold a finite number"},
        {"a,b,y\n1,2,\n", "row 2, column y: the cell is empty; every row needs a label."},
    };
    CHECK_ROWS(rows, "y", 0);
}

static void test_csv_refusal_never_repeats_the_cell(void **state)
{
    (void)state;
    static const char *const texts[] = {"a,y\nsecret,0\n", "a,y\n1,secret\n", "a,y\n1,0,secret\n",
                                        "a,y\nsecret\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t read = 0;
        struct error *err = csv_read_all(texts[i], strlen(texts[i]), "y", i % 2 == 0 ? 0 : 2, &read);
        assert_non_null(err);
        assert_null(strstr(err->sentence, "secret"));
        error_free(err);
    }
}

static void test_csv_row_of_wrong_length_is_refused(void **state)
{
    (void)state;
    static const struct csv_row rows[] = {
        {"a,b,y\n1,2,0\n1,0\n", "row 3: there are 2 cells; the header names 3 columns."},
        {"a,b,y\n1,2,0,4\n", "row 2: there are 4 cells; the header names 3 columns."},
        {"a,b,y\n1,2,0,\n", "row 2: there are 4 cells"},
        {"a,b,y\n\n1,2,0\n", "row 2: there are 1 cells"},
        {"a,b,y\n1,2,0\n\n", "row 3: there are 1 cells"},
        {"a,b,y\n1;2;0\n", "row 2: there are 1 cells"},
    };
    CHECK_ROWS(rows, "y", 0);
}

static void test_csv_wrong_label_is_refused(void **state)
{
    (void)state;
    static const struct csv_row numbers[] = {
        {"a,y\n1,-1\n", "row 2, column y: the label must be a whole number from 0 to 1023; for class names, "
                        "list them in order with --classes."},
        {"a,y\n1,1024\n",
         "row 2, column y: the label must be a whole number from 0 to 1023; for class names, "
         "list them in order with --classes."},
        {"a,y\n1,1.0\n", "row 2, column y: the label must be a whole number"},
        {"a,y\n1,setosa\n", "row 2, column y: the label must be a whole number"},
    };
    static const struct csv_row names[] = {
        {"a,y\n1,setosa\n2,versicolor\n", "row 3, column y: the label is not one of the classes"},
        {"a,y\n1,0\n", "row 2, column y: the label is not one of the classes"},
    };
    CHECK_ROWS(numbers, "y", 0);
    CHECK_ROWS(names, "y", 2);
}

static void test_csv_wrong_header_is_refused(void **state)
{
    (void)state;
    static const struct csv_row rows[] = {
        {"", "test.csv is empty"},
        {"a,b,a,y\n", "row 1: two columns are named a; names must differ."},
        {"a,y,y\n", "row 1: two columns are named y"},
        {"a,b\n", "has no column named y"},
        {"y\n", "has no column besides the label"},
        {"a,,y\n", "row 1, column 2: a column needs a name"},
        {"a,b\x1b,y\n", "row 1, column 2: a column needs a name"},
        {"a,\"b\nc\",y\n", "row 1, column 2: a column needs a name"},
        {"a,b\xff,y\n", "row 1, column 2: a column needs a name"},
    };
    CHECK_ROWS(rows, "y", 0);
}

static void test_csv_wrong_quotes_are_refused(void **state)
{
    (void)state;
    static const struct csv_row rows[] = {
        {"a,y\n\"1,0\n2,0\n", "row 2: a quoted cell is not closed before the end of the file."},
        {"a,y\n1\"2\",0\n", "row 2: a quote is inside a cell"},
        {"a,y\n\"1\"2,0\n", "row 2: a quote is inside a cell"},
        {"a,y\n1,0\r2,0\n", "row 2: a carriage return is inside the row"},
    };
    CHECK_ROWS(rows, "y", 0);
}

static void test_csv_nul_byte_is_refused(void **state)
{
    (void)state;
    size_t read = 0;
    assert_refused(csv_read_all("a,y\n1\0002,0\n", 10, "y", 0, &read), ERROR_INVALID, "row 2: a NUL byte");
    assert_refused(csv_read_all("a,y\n\"1\0002\",0\n", 12, "y", 0, &read), ERROR_INVALID,
                   "row 2: a NUL byte");
}

static void test_csv_row_number_counts_lines_within_quotes(void **state)
{
    (void)state;
    static const struct csv_row rows[] = {{"a,y\n1,\"0\"\n1,\"\n\n0\"\nx,0\n", "row 3, column y"}};
    CHECK_ROWS(rows, "y", 0);
}

static void test_csv_line_too_long_is_refused(void **state)
{
    (void)state;
    size_t bytes = CSV_MAX_LINE + 100;
    size_t read = 0;
    char *text = malloc(bytes);
    assert_non_null(text);
    memset(text, '1', bytes);
    memcpy(text, "a,y\n", 4);
    assert_refused(csv_read_all(text, bytes, "y", 0, &read), ERROR_LIMIT, "row 2: the row is longer than");
    free(text);
}

static void test_csv_too_many_columns_are_refused(void **state)
{
    (void)state;
    size_t bytes = 2 * (CSV_MAX_COLUMNS + 2);
    size_t read = 0;
    char *text = malloc(bytes);
    assert_non_null(text);
    for (size_t i = 0; i < bytes; i++)
        text[i] = i % 2 == 0 ? 'a' : ',';
    text[bytes - 1] = '\n';
    assert_refused(csv_read_all(text, bytes, "y", 0, &read), ERROR_LIMIT, "more than 65536 columns");
    free(text);
}

/* Longer than one buffer, so that line ends and quotes meet its edges at some row. */
static void test_csv_longer_than_a_buffer_is_read_whole(void **state)
{
    (void)state;
    size_t rows = 60000;
    size_t room = rows * 16 + 16;
    size_t read = 0;
    char *text = malloc(room);
    assert_non_null(text);
    size_t at = (size_t)snprintf(text, room, "a,y\r\n");
    for (size_t i = 0; i < rows; i++)
        at += (size_t)snprintf(text + at, room - at, i % 3 == 0 ? "\"%zu\",1\r\n" : "%zu,1\n", i);
    assert_done(csv_read_all(text, at, "y", 0, &read));
    assert_int_equal(read, rows);
    free(text);
}

static void test_csv_missing_file_is_not_found(void **state)
{
    (void)state;
    struct csv *csv = NULL;
    assert_refused(csv_open("missing.csv", "y", NULL, 0, &csv), ERROR_NOT_FOUND,
                   "missing.csv cannot be opened");
    assert_refused(csv_open(".", "y", NULL, 0, &csv), ERROR_IO, "is not a regular file.");
    assert_null(csv);
}

static void test_csv_truncated_at_every_byte_never_crashes(void **state)
{
    (void)state;
    static const char text[] = "a,\"b\",y\r\n1,-0.5,0\r\n\"1e-3\",4,1\r\n";
    for (size_t cut = 0; cut < sizeof(text) - 1; cut++) {
        size_t read = 0;
        error_free(csv_read_all(text, cut, "y", 0, &read));
        assert_true(read <= 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv_rows_are_read),
        cmocka_unit_test(test_csv_label_may_be_any_column),
        cmocka_unit_test(test_csv_without_a_last_line_end_is_read),
        cmocka_unit_test(test_csv_of_windows_is_read),
        cmocka_unit_test(test_csv_blanks_and_quotes_around_cells_do_not_count),
        cmocka_unit_test(test_csv_quoted_names_may_hold_commas_and_quotes),
        cmocka_unit_test(test_csv_class_names_become_numbers),
        cmocka_unit_test(test_csv_wrong_cell_is_refused_by_row_and_column),
        cmocka_unit_test(test_csv_refusal_never_repeats_the_cell),
        cmocka_unit_test(test_csv_row_of_wrong_length_is_refused),
        cmocka_unit_test(test_csv_wrong_label_is_refused),
        cmocka_unit_test(test_csv_wrong_header_is_refused),
        cmocka_unit_test(test_csv_wrong_quotes_are_refused),
        cmocka_unit_test(test_csv_nul_byte_is_refused),
        cmocka_unit_test(test_csv_row_number_counts_lines_within_quotes),
        cmocka_unit_test(test_csv_line_too_long_is_refused),
        cmocka_unit_test(test_csv_too_many_columns_are_refused),
        cmocka_unit_test(test_csv_longer_than_a_buffer_is_read_whole),
        cmocka_unit_test(test_csv_missing_file_is_not_found),
        cmocka_unit_test(test_csv_truncated_at_every_byte_never_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
