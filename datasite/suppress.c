/* Every decision below is a function of what the reader sees in the end. `row_is_ambiguous` and `correct_leaves` are the
 * two that need the reasoning of the header. */
#include "datasite/suppress.h"

#include "schemas/wire.h"

/* Counts are at most 2^53 together, so k (m - 1) for at most 2^10 cells fits an int64. */
#define SUPPRESS_MAX_CELL ((int64_t)1 << 52)

enum row_state { ROW_OPEN, ROW_PART, ROW_WHOLE };

/* One true class. `cells` and `sum` are what a reader sees of it: how many cells off the diagonal are withheld, and what
 * the withheld cells add up to, the diagonal included. */
struct suppress_row {
    enum row_state state;
    int64_t total, diagonal;
    int64_t cells, sum;
    int64_t errors; /* withheld, off the diagonal: sum less the diagonal */
};

struct suppress {
    size_t classes;
    int64_t min_cell; /* 0, or 2 or more */
    const uint64_t *counts;
    struct suppress_row *rows;
};

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- rows ---- */

/* Of the sum of the primaries and the diagonal: whether each of them can be 0 and m - 1 and all between. */
static bool row_is_ambiguous(int64_t cells, int64_t sum, int64_t most)
{
    return (sum >= most && sum <= cells * most) || sum > (cells + 1) * most;
}

static struct suppress_row row_judge(const struct suppress *suppress, size_t r)
{
    struct suppress_row row = {.state = ROW_OPEN};
    for (size_t j = 0; j < suppress->classes; j++) {
        int64_t count = (int64_t)suppress->counts[r * suppress->classes + j];
        row.total += count;
        if (j == r) {
            row.diagonal = count;
        } else if (count < suppress->min_cell) {
            row.cells++;
            row.errors += count;
        }
    }
    row.sum = row.errors + row.diagonal;
    if (row.cells == 0 && row.diagonal >= suppress->min_cell)
        return row;
    row.state = ROW_PART;
    if (row_is_ambiguous(row.cells, row.sum, suppress->min_cell - 1))
        return row;
    row.state = ROW_WHOLE;
    row.cells = (int64_t)suppress->classes - 1;
    row.sum = row.total;
    row.errors = row.total - row.diagonal;
    return row;
}

static bool cell_is_withheld(const struct suppress *suppress, size_t r, size_t j)
{
    switch (suppress->rows[r].state) {
    case ROW_OPEN:
        return false;
    case ROW_PART:
        return j == r || (int64_t)suppress->counts[r * suppress->classes + j] < suppress->min_cell;
    case ROW_WHOLE:
        break;
    }
    return true;
}

/* ---- the number of right answers ---- */

/* Whether the row can be what it is, and anything else that it may be taken for, beside `errors` withheld wrong answers
 * in all; *ret_capacity is how many of them it can hold. */
static bool row_bears(const struct suppress *suppress, const struct suppress_row *row, int64_t errors,
                      int64_t *ret_capacity)
{
    int64_t m = suppress->min_cell, most = row->cells * (m - 1);
    if (row->sum <= errors) {
        *ret_capacity = at_most(row->sum, most);
        return true;
    }
    *ret_capacity = at_most(row->sum - m, most);
    return row->diagonal >= m && row->sum >= 2 * m - 1;
}

static bool correct_leaves(const struct suppress *suppress)
{
    int64_t errors = 0, capacity = 0, own = 0;
    bool any = false;
    for (size_t r = 0; r < suppress->classes; r++) {
        any |= suppress->rows[r].state != ROW_OPEN;
        errors += suppress->rows[r].state == ROW_OPEN ? 0 : suppress->rows[r].errors;
    }
    for (size_t r = 0; r < suppress->classes; r++) {
        if (suppress->rows[r].state == ROW_OPEN)
            continue;
        if (!row_bears(suppress, &suppress->rows[r], errors, &own))
            return false;
        capacity += own;
    }
    return !any || (errors >= suppress->min_cell && errors <= capacity - suppress->min_cell);
}

/* ---- the result ---- */

static void suppress_publish(const struct suppress *suppress, uint64_t *ret_counts,
                             struct suppression *ret_suppression)
{
    size_t classes = suppress->classes;
    struct suppression result = {.correct = 0};
    for (size_t r = 0; r < classes; r++) {
        result.test_rows += (uint64_t)suppress->rows[r].total;
        result.correct += (uint64_t)suppress->rows[r].diagonal;
        for (size_t j = 0; j < classes; j++) {
            uint64_t count = suppress->counts[r * classes + j];
            bool withheld = cell_is_withheld(suppress, r, j);
            result.cells += withheld;
            result.complementary += withheld && (int64_t)count >= suppress->min_cell;
            ret_counts[r * classes + j] = withheld ? WIRE_WITHHELD : count;
        }
    }
    if (!correct_leaves(suppress))
        result.correct = WIRE_WITHHELD;
    *ret_suppression = result;
}

struct error *suppress_confusion(const uint64_t *counts, size_t classes, uint64_t min_cell,
                                 uint64_t *ret_counts, struct suppression *ret_suppression)
{
    struct error *err = NULL;
    struct suppress suppress = {.classes = classes, .min_cell = SUPPRESS_MAX_CELL, .counts = counts};
    suppress.rows = calloc(classes, sizeof(*suppress.rows));
    if (suppress.rows == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to look for small counts.");
    if (min_cell < (uint64_t)SUPPRESS_MAX_CELL)
        suppress.min_cell = min_cell == 1 ? 0 : (int64_t)min_cell;
    for (size_t r = 0; r < classes; r++)
        suppress.rows[r] = row_judge(&suppress, r);
    suppress_publish(&suppress, ret_counts, ret_suppression);
done:
    free(suppress.rows);
    return err;
}
