/* Files into site.db: one request, one transaction, all rows or none.
 *
 * Rows are taken in the order of the file. `first_row` and `end_row` are a half-open range of the file's
 * rows; a partition then divides what the range gives, and this site takes one part. The number of classes
 * always comes from the whole file (or is declared), so that sites that take different rows of one file agree
 * about it.
 */
#pragma once

#include "datasite/store.h"
#include "learning/partition.h"

struct import_request {
    const char *name;
    uint64_t first_row, end_row; /* end_row 0: to the end of the file */
    /* NULL: all rows of the range, else part `part` (from 0) of them; `classes` in it is filled in. IDX only.
     */
    const struct partition *partition;
    uint32_t part;
    uint64_t declared_rows;      /* another number of rows fails; 0: not declared */
    const struct digest *digest; /* another digest fails; NULL: not declared */
    uint32_t classes;            /* 0: one more than the highest label of the whole file */
    const uint8_t *split_key;    /* 32 bytes */
    int64_t now;                 /* Unix seconds */
    /* Called now and then with 0 to 1; its failure ends the import, with nothing left. NULL: not called. */
    struct error *(*step)(void *context, double fraction);
    void *context;
};

/* IDX files are read whole (they are far below memory); ERROR_LIMIT beyond this. */
#define IMPORT_IDX_MAX_BYTES ((size_t)8 << 30)

/* Images u8 [rows][rows * columns] and labels u8 [rows], schemas/idx.h. */
MUST_USE struct error *import_idx(struct store *store, const struct import_request *request,
                                  const char *images_path, const char *labels_path,
                                  struct dataset_info *ret_info);

/* Columns of numbers and the column `label`, schemas/csv.h; one row in memory at a time. `class_names` NULL:
 * the labels are integers; else request->classes names in the order of their numbers. */
MUST_USE struct error *import_csv(struct store *store, const struct import_request *request, const char *path,
                                  const char *label, const char *const *class_names,
                                  struct dataset_info *ret_info);
