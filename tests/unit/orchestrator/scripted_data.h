/* What a scripted site tells of its data: the catalog and the mock rows of one dataset, "numbers", well or badly. */
#pragma once

#include "schemas/error.h"

#include <stdint.h>

#define SCRIPTED_MOCK_ROWS 90
#define SCRIPTED_MOCK_PAGE 40

enum scripted_data {
    SCRIPTED_DATA_UNKNOWN, /* a site of an older version: it does not know the question */
    SCRIPTED_DATA_WELL,
    SCRIPTED_DATA_NONE,     /* no dataset of which it tells */
    SCRIPTED_DATA_NO_MOCK,  /* the dataset, without mock rows */
    SCRIPTED_DATA_CIRCLE,   /* a list that starts anew for ever */
    SCRIPTED_DATA_REFUSED,  /* mock rows are announced, and refused */
    SCRIPTED_DATA_BUSY,     /* refused twice as busy, and then given */
    SCRIPTED_DATA_CHANGED,  /* one value is other than in the digest */
    SCRIPTED_DATA_REPEATED, /* the first page again and again */
    SCRIPTED_DATA_OTHER_SHAPE
};

/* The answer to a CatalogQuery. *ret_body is malloc'ed. */
MUST_USE struct error *scripted_data_catalog(enum scripted_data how, uint8_t **ret_body, size_t *ret_count);
/* The answer to a MockQuery from row `first_row` on. */
MUST_USE struct error *scripted_data_mock(enum scripted_data how, uint64_t first_row, uint8_t **ret_body,
                                          size_t *ret_count);
