/* CSV of numbers with a label column (RFC 4180, UTF-8, a header line, comma), one row at a time.
 *
 * Feature cells are finite decimal numbers ("1", "-0.5", "1e-3"; surrounding blanks allowed). The label
 * column holds class names, or integers 0 to K-1. A missing, non-numeric or infinite cell, a row with too few
 * or too many cells, a duplicate column name: ERROR_INVALID naming file, row (line of the file) and column;
 * never the cell's content. */
#pragma once

#include "schemas/error.h"

#include <stdint.h>

#define CSV_MAX_COLUMNS 65536
#define CSV_MAX_LINE (4u * 1024u * 1024u)
#define CSV_MAX_CLASSES 1024

struct csv; /* a reader over a file */

/* Opens the file, reads the header. `label` names the label column. `classes`: names in the order of their
 * numbers, or NULL for integers 0 to K-1. */
MUST_USE struct error *csv_open(const char *path, const char *label, const char *const *classes,
                                size_t class_count, struct csv **ret_csv);
void csv_close(struct csv *csv); /* accepts NULL */

size_t csv_features(const struct csv *csv);
const char *csv_feature_name(const struct csv *csv, size_t feature);
double csv_progress(const struct csv *csv); /* 0 to 1, by bytes */

/* Fills `features` values and the label's number; *ret_more is false at the end of the file (nothing filled).
 */
MUST_USE struct error *csv_next(struct csv *csv, double *ret_values, uint32_t *ret_label, bool *ret_more);
