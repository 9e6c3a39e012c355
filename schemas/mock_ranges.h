/* What values an owner allows in a mock dataset: the file of `datasite mock make --ranges FILE`.
 *
 *     default: {low: -3, high: 3, kind: real}      # of columns that are not named; this is what it is without the key
 *     columns:
 *       age: {low: 18, high: 90, kind: integer}    # both ends included
 *       income: {low: 0, high: 200000}             # kind: real
 *
 * Ranges come from the owner alone, never from the rows: a smallest and a largest value are two of them. */
#pragma once

#include "schemas/error.h"

#include <stdint.h>

#define MOCK_COLUMN_BYTES 256
#define MOCK_VALUE_MAX 1e15 /* whole numbers up to here are exact in a float64 */

enum mock_kind { MOCK_REAL, MOCK_INTEGER };

struct mock_range {
    double low, high; /* finite, low <= high; whole numbers when the kind is MOCK_INTEGER */
    enum mock_kind kind;
};

struct mock_column {
    char name[MOCK_COLUMN_BYTES];
    struct mock_range range;
};

struct mock_ranges {
    struct mock_range fallback;
    struct mock_column *columns;
    size_t column_count;
};

/* -3 to 3, real: where nearly all values of a column lie that was standardised. */
struct mock_range mock_range_default(void);

/* `path` NULL: the default for every column. */
MUST_USE struct error *mock_ranges_load(const char *path, struct mock_ranges **ret_ranges);
MUST_USE struct error *mock_ranges_parse(const char *text, size_t bytes, const char *where,
                                         struct mock_ranges **ret_ranges);
void mock_ranges_free(struct mock_ranges *ranges); /* accepts NULL */

/* The range of the column of that name. */
struct mock_range mock_ranges_find(const struct mock_ranges *ranges, const char *column);
