/* A dataset in memory, as `learning/` wants it: one block of row-major values, labels, and which rows are
 * test rows. Bytes stay bytes (784 B a digit); numbers become float32. Loaded chunk by chunk; every chunk's
 * size is checked, and the digest of all rows and labels as they are read. */
#pragma once

#include "datasite/store.h"

struct dataset {
    struct dataset_info info;
    uint8_t *bytes;   /* [rows][features], or NULL */
    float *numbers;   /* [rows][features], or NULL */
    uint16_t *labels; /* [rows] */
    uint64_t *split;  /* [rows] */
    /* The digest of the first so many rows, as if they were the whole dataset (dataset_load_grown); 0: not known. */
    uint64_t early_rows;
    struct digest early_digest;
};

MUST_USE struct error *dataset_load(struct store *store, const char *name, struct dataset **ret_dataset);
/* The same, and notes in the same pass the digest of the first `early_rows` rows (at least 1; ERROR_REFUSED when there
 * are fewer): whether rows were only added behind them, with the same features and classes. */
MUST_USE struct error *dataset_load_grown(struct store *store, const char *name, uint64_t early_rows,
                                          struct dataset **ret_dataset);
void dataset_free(struct dataset *dataset);

/* Row numbers, ascending, of the training rows and the test rows: a row is a test row iff its keyed hash is
 * below test_fraction * 2^64, so the split is stable across rounds and jobs. Both malloc'ed. */
MUST_USE struct error *dataset_split(const struct dataset *dataset, double test_fraction,
                                     uint32_t **ret_train, size_t *ret_train_rows, uint32_t **ret_test,
                                     size_t *ret_test_rows);
