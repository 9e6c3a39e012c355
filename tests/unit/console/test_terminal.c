/* What reaches a person's terminal: cleaned text, aligned tables, the confusion matrix. */
#include "console/terminal.h"

#include "schemas/wire.h"
#include "tests/unit/cmocka_all.h"

static void expect_clean(const char *text, const char *expected)
{
    char clean[64];
    terminal_clean(text, clean, sizeof(clean));
    assert_string_equal(clean, expected);
}

static void test_terminal_plain_text_unchanged(void **state)
{
    (void)state;
    expect_clean("MNIST Part 1", "MNIST Part 1");
    expect_clean("Spital Zürich → ✓", "Spital Zürich → ✓");
}

static void test_terminal_control_characters_made_visible(void **state)
{
    (void)state;
    expect_clean("a\033[2Jb\r\n", "a?[2Jb??");
    expect_clean("\xc2\x9b"
                 "31m",
                 "??31m"); /* the one-character form of ESC [ */
    expect_clean("a\xe2\x80\xae"
                 "b",
                 "a???b");          /* right-to-left override */
    expect_clean("\xff\xc3", "??"); /* not UTF-8; cut off */
}

static void test_terminal_clean_never_overflows(void **state)
{
    (void)state;
    char clean[4] = {'x', 'x', 'x', 'x'};
    terminal_clean("ab\xc3\xa4z", clean, 4);
    assert_string_equal(clean, "ab");
    terminal_clean("abcdef", clean, 1);
    assert_string_equal(clean, "");
}

/* Everything that `print` writes, as a string. */
static char *printed(void (*print)(FILE *stream))
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    assert_non_null(stream);
    print(stream);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void print_table(FILE *stream)
{
    struct table *table = NULL;
    assert_null(table_new((const char *const[]){"site", "rows"}, 2, &table));
    table_align(table, 2);
    assert_null(table_row(table, (const char *const[]){"Zürich", "7"}));
    assert_null(table_row(table, (const char *const[]){"a\nb", "1234"}));
    table_print(table, stream);
    table_free(table);
}

static void test_table_columns_aligned_by_characters(void **state)
{
    (void)state;
    char *text = printed(print_table);
    assert_string_equal(text, "site    rows\nZürich     7\na?b     1234\n");
    free(text);
}

static void print_matrix(FILE *stream)
{
    const uint64_t counts[] = {5, 1, 0, 14, 20, 19};
    terminal_confusion(stream, "pooled", counts, 2);
}

static void print_withheld(FILE *stream)
{
    const uint64_t counts[] = {WIRE_WITHHELD, WIRE_WITHHELD, 30, 140, 200, WIRE_WITHHELD};
    terminal_confusion(stream, "pooled", counts, 2);
}

static void test_terminal_confusion_withheld_counts_are_dashes(void **state)
{
    (void)state;
    char *text = printed(print_withheld);
    assert_non_null(strstr(text, "   0    -   -\n"));
    assert_non_null(strstr(text, "   1   30 140\n"));
    assert_non_null(strstr(text, "withheld, as it or a count beside it"));
    assert_non_null(strstr(text, "200 rows; how many are right is withheld"));
    assert_null(strstr(text, "1844674"));
    free(text);
}

static void test_terminal_confusion_shows_counts_and_accuracy(void **state)
{
    (void)state;
    char *text = printed(print_matrix);
    assert_non_null(strstr(text, "pooled (rows: true class, columns: predicted)"));
    assert_non_null(strstr(text, "   0   5  1\n"));
    assert_non_null(strstr(text, "   1   0 14\n"));
    assert_non_null(strstr(text, "19 of 20 right: 0.9500"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terminal_plain_text_unchanged),
        cmocka_unit_test(test_terminal_control_characters_made_visible),
        cmocka_unit_test(test_terminal_clean_never_overflows),
        cmocka_unit_test(test_table_columns_aligned_by_characters),
        cmocka_unit_test(test_terminal_confusion_shows_counts_and_accuracy),
        cmocka_unit_test(test_terminal_confusion_withheld_counts_are_dashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
