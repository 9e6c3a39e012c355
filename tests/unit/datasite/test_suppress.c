/* Small counts of a confusion matrix, and a reader who tries to compute them back: it knows the algorithm and the row
 * totals, and keeps every matrix for which the very same would have been published. */
#include "datasite/suppress.h"

#include "schemas/wire.h"
#include "tests/unit/cmocka_all.h"

#define CLASSES 3
#define CELLS (CLASSES * CLASSES)
#define MOST_TABLES 60000

struct table {
    uint64_t published[CELLS + 1]; /* and `correct` */
    uint64_t counts[CELLS];
};

static void table_make(struct table *table, uint64_t min_cell)
{
    struct suppression suppression;
    struct error *err = suppress_confusion(table->counts, CLASSES, min_cell, table->published, &suppression);
    assert_null(err);
    table->published[CELLS] = suppression.correct;
}

static int table_compare(const void *a, const void *b)
{
    const struct table *left = a, *right = b;
    return memcmp(left->published, right->published, sizeof(left->published));
}

/* All ways to divide `total` into CLASSES counts, number `index`; false beyond the last. */
static bool row_divide(uint64_t total, uint64_t index, uint64_t ret_counts[static CLASSES])
{
    for (uint64_t first = 0; first <= total; first++) {
        if (index <= total - first) {
            ret_counts[0] = first;
            ret_counts[1] = index;
            ret_counts[2] = total - first - index;
            return true;
        }
        index -= total - first + 1;
    }
    return false;
}

static size_t tables_make(const uint64_t totals[static CLASSES], uint64_t min_cell, struct table *ret_tables)
{
    size_t count = 0;
    struct table table;
    for (uint64_t a = 0; row_divide(totals[0], a, &table.counts[0]); a++)
        for (uint64_t b = 0; row_divide(totals[1], b, &table.counts[3]); b++)
            for (uint64_t c = 0; row_divide(totals[2], c, &table.counts[6]); c++) {
                assert_true(count < MOST_TABLES);
                ret_tables[count] = table;
                table_make(&ret_tables[count++], min_cell);
            }
    return count;
}

/* Tables that were published alike: whatever is small in one of them takes every small value in some. */
static void group_check(const struct table *tables, size_t count, const uint64_t *totals, uint64_t min_cell)
{
    for (size_t cell = 0; cell < CELLS; cell++) {
        uint64_t total = totals[cell / CLASSES], seen = 0;
        uint64_t most = total < min_cell - 1 ? total : min_cell - 1;
        for (size_t i = 0; i < count; i++) {
            if (tables[i].counts[cell] < min_cell)
                seen |= (uint64_t)1 << tables[i].counts[cell];
            else if (tables[i].published[cell] != WIRE_WITHHELD)
                assert_int_equal(tables[i].published[cell], tables[i].counts[cell]);
        }
        assert_true(seen == 0 || tables[0].published[cell] == WIRE_WITHHELD);
        assert_true(seen == 0 || seen == ((uint64_t)2 << most) - 1);
    }
}

/* Returns in how many of the tables `correct` is published. */
static size_t attack(uint64_t first, uint64_t second, uint64_t third, uint64_t min_cell)
{
    const uint64_t totals[CLASSES] = {first, second, third};
    struct table *tables = calloc(MOST_TABLES, sizeof(*tables));
    assert_non_null(tables);
    size_t count = tables_make(totals, min_cell, tables), published = 0;
    qsort(tables, count, sizeof(*tables), table_compare);
    for (size_t from = 0, to = 0; from < count; from = to) {
        while (to < count && table_compare(&tables[from], &tables[to]) == 0)
            published += tables[to++].published[CELLS] != WIRE_WITHHELD;
        group_check(&tables[from], to - from, totals, min_cell);
    }
    free(tables);
    return published;
}

static void test_suppress_reader_who_knows_all_but_the_counts_learns_no_small_one(void **state)
{
    (void)state;
    size_t published = 0;
    published += attack(6, 7, 8, 3);
    published += attack(4, 4, 4, 2);
    published += attack(5, 5, 5, 4);
    published += attack(3, 5, 14, 3);
    published += attack(12, 6, 3, 2);
    published += attack(8, 4, 7, 4);
    published += attack(9, 9, 3, 5);
    assert_true(published > 1000); /* it is no promise by withholding everything */
}

static void test_suppress_classes_with_few_or_no_rows_learns_no_more_than_the_total(void **state)
{
    (void)state;
    (void)attack(1, 9, 9, 3);
    (void)attack(0, 6, 8, 3);
    (void)attack(0, 0, 9, 3);
    (void)attack(1, 1, 16, 4);
    (void)attack(2, 15, 3, 5);
}

/* ---- single matrices ---- */

static struct suppression suppress(const uint64_t *counts, uint64_t min_cell, uint64_t *ret_counts)
{
    struct suppression suppression;
    assert_null(suppress_confusion(counts, CLASSES, min_cell, ret_counts, &suppression));
    return suppression;
}

static void test_suppress_zero_and_the_largest_small_count_are_published_alike(void **state)
{
    (void)state;
    const uint64_t none[CELLS] = {80, 0, 20, 30, 90, 25, 40, 22, 95};
    const uint64_t nine[CELLS] = {71, 9, 20, 30, 90, 25, 40, 22, 95};
    uint64_t left[CELLS], right[CELLS];
    struct suppression suppression = suppress(none, 10, left);
    (void)suppress(nine, 10, right);
    assert_memory_equal(left, right, sizeof(left));
    assert_true(left[0] == WIRE_WITHHELD && left[1] == WIRE_WITHHELD);
    assert_int_equal(left[2], 20);
    assert_int_equal(suppression.cells, 2);
    assert_int_equal(suppression.complementary, 1);
    assert_int_equal(suppression.test_rows, 402);
}

/* One row's diagonal would be the difference to the others: the number of right answers stays here. */
static void test_suppress_correct_that_gives_one_cell_away_withheld(void **state)
{
    (void)state;
    const uint64_t counts[CELLS] = {80, 3, 20, 30, 90, 25, 40, 22, 95};
    uint64_t published[CELLS];
    struct suppression suppression = suppress(counts, 10, published);
    assert_true(suppression.correct == WIRE_WITHHELD);
}

static void test_suppress_correct_that_gives_nothing_away_published(void **state)
{
    (void)state;
    const uint64_t counts[CELLS] = {180, 3, 7, 6, 190, 8, 4, 2, 195};
    uint64_t published[CELLS];
    struct suppression suppression = suppress(counts, 10, published);
    assert_int_equal(suppression.correct, 565);
    assert_int_equal(suppression.cells, CELLS);
}

static void test_suppress_few_wrong_or_few_right_answers_withheld(void **state)
{
    (void)state;
    const uint64_t few_wrong[CELLS] = {180, 3, 0, 1, 190, 0, 4, 0, 195};
    const uint64_t few_right[CELLS] = {3, 90, 90, 90, 2, 90, 90, 90, 4};
    uint64_t published[CELLS];
    assert_true(suppress(few_wrong, 10, published).correct == WIRE_WITHHELD);
    assert_true(suppress(few_right, 10, published).correct == WIRE_WITHHELD);
}

static void test_suppress_no_minimum_publishes_everything(void **state)
{
    (void)state;
    const uint64_t counts[CELLS] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    uint64_t published[CELLS];
    for (uint64_t min_cell = 0; min_cell < 2; min_cell++) {
        struct suppression suppression = suppress(counts, min_cell, published);
        assert_memory_equal(published, counts, sizeof(counts));
        assert_int_equal(suppression.correct, 12);
        assert_int_equal(suppression.cells, 0);
    }
}

static void test_suppress_minimum_beyond_all_counts_publishes_none(void **state)
{
    (void)state;
    const uint64_t counts[CELLS] = {(uint64_t)1 << 50, 1, 2, 3, (uint64_t)1 << 52, 5, 6, 7, 8};
    uint64_t published[CELLS];
    struct suppression suppression = suppress(counts, UINT64_MAX, published);
    for (size_t i = 0; i < CELLS; i++)
        assert_true(published[i] == WIRE_WITHHELD);
    assert_true(suppression.correct == WIRE_WITHHELD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suppress_reader_who_knows_all_but_the_counts_learns_no_small_one),
        cmocka_unit_test(test_suppress_classes_with_few_or_no_rows_learns_no_more_than_the_total),
        cmocka_unit_test(test_suppress_zero_and_the_largest_small_count_are_published_alike),
        cmocka_unit_test(test_suppress_correct_that_gives_one_cell_away_withheld),
        cmocka_unit_test(test_suppress_correct_that_gives_nothing_away_published),
        cmocka_unit_test(test_suppress_few_wrong_or_few_right_answers_withheld),
        cmocka_unit_test(test_suppress_no_minimum_publishes_everything),
        cmocka_unit_test(test_suppress_minimum_beyond_all_counts_publishes_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
