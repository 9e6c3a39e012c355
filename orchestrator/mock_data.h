/* A mock dataset as a site gives it: collected page by page, checked against the site's digest, used or saved. Every
 * row of it is synthetic. */
#pragma once

#include "crypto/digest.h"
#include "schemas/wire.h"

#define MOCK_DATA_NAME_BYTES 65

struct mock_data {
    char dataset[MOCK_DATA_NAME_BYTES];
    bool numbers;
    uint64_t rows, features;
    uint32_t classes;
    struct digest digest; /* as the site says */
    uint64_t got;         /* rows that are here */
    uint8_t *data;        /* [rows][features] u8, or float64 little-endian */
    uint8_t *labels;      /* [rows] u16 little-endian */
};

/* Takes the next rows of `dataset`; the first page says what the whole is. ERROR_INVALID for a page of something else,
 * or one that does not follow on the last. */
MUST_USE struct error *mock_data_add(struct mock_data *mock, const char *dataset, const Fds__Mock *page);
bool mock_data_is_whole(const struct mock_data *mock);
/* ERROR_UNTRUSTED unless the rows that came have the digest. */
MUST_USE struct error *mock_data_check(const struct mock_data *mock);
void mock_data_clear(struct mock_data *mock); /* accepts a zeroed one */

/* Writes MOCK.csv (numbers: a line of names, the last one the label), or MOCK-images.idx3 and MOCK-labels.idx1 (bytes),
 * into `directory`, which is made. `schema` gives the columns and the size of an image. */
MUST_USE struct error *mock_data_save(const struct mock_data *mock, const Fds__DatasetSchema *schema,
                                      const char *directory);
