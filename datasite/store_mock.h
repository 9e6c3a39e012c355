/* Mock datasets in site.db: written whole, read a page at a time, listed. What a row of one is: datasite/mock.h. */
#pragma once

#include "datasite/store.h"

#define STORE_MOCK_PAGE_BYTES (48u * 1024u) /* data and labels of a page, unless one row alone is longer */
#define STORE_COLUMN_BYTES 256

struct mock_info {
    char dataset[65];
    struct digest source; /* of the dataset with whose rows they were compared: they stand for no other */
    enum dataset_kind kind;
    uint64_t rows, features;
    uint32_t classes;
    struct digest digest; /* as a dataset's */
    int64_t made_at;
};

/* Puts the mock dataset in the place of an earlier one, with its event. data: rows * features u8 or float64
 * (little-endian), labels: rows * u16 (little-endian). info->digest is not read. ERROR_CONFLICT when the dataset's
 * digest is not info->source any more. */
MUST_USE struct error *store_mock_put(struct store *store, const struct mock_info *info, const uint8_t *data,
                                      const uint8_t *labels);
/* ERROR_NOT_FOUND. */
MUST_USE struct error *store_mock_find(struct store *store, const char *dataset, struct mock_info *ret_info);
/* The mock dataset of `info`, when it was made of these very rows; *ret_has is false otherwise. */
MUST_USE struct error *store_mock_of(struct store *store, const struct dataset_info *info,
                                     struct mock_info *ret_mock, bool *ret_has);
/* By name; malloc'ed. */
MUST_USE struct error *store_mock_list(struct store *store, struct mock_info **ret_infos, size_t *ret_count);
/* With its event; ERROR_NOT_FOUND. */
MUST_USE struct error *store_mock_remove(struct store *store, const char *dataset, int64_t now);

/* Rows from `first_row` on; cleared with mock_page_clear. */
struct mock_page {
    uint64_t first_row;
    size_t rows;
    uint8_t *data, *labels;
    size_t data_bytes, label_bytes;
};
/* first_row < info->rows. */
MUST_USE struct error *store_mock_page(struct store *store, const struct mock_info *info, uint64_t first_row,
                                       struct mock_page *ret_page);
void mock_page_clear(struct mock_page *page);

/* The names of the first features of a dataset, in their order, until one has none or the visitor has enough: one query,
 * as a dataset can have thousands. The name is valid during the visit. */
MUST_USE struct error *store_dataset_columns(struct store *store, int64_t dataset_id,
                                             struct error *(*visit)(void *context, const char *name,
                                                                    bool *ret_enough),
                                             void *context);
/* The name of a feature of a dataset of numbers; "" when it has none. */
MUST_USE struct error *store_dataset_column(struct store *store, int64_t dataset_id, uint64_t position,
                                            char ret_name[static STORE_COLUMN_BYTES]);
