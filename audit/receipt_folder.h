/* Receipts in files: one JSON object a file (receipt_to_json), and a folder of them, such as the `receipts/` of a run.
 *
 * Both sides check such a folder: the researcher after a run, and the owner when the researcher hands it over. */
#pragma once

#include "audit/receipt.h"

#define RECEIPT_FILE_BYTES 8192       /* longest file that is read */
#define RECEIPT_FOLDER_FILES 200000   /* most receipts of one folder */
#define RECEIPT_FOLDER_SUFFIX ".json" /* other files of the folder, and hidden ones, are not looked at */

/* Reads and checks the form, and no signature. ERROR_NOT_FOUND, ERROR_LIMIT, ERROR_INVALID name the file. */
MUST_USE struct error *receipt_file_read(const char *path, struct receipt *ret_receipt);
/* Mode 0644; a file that is there is replaced as a whole. */
MUST_USE struct error *receipt_file_write(const char *path, const struct receipt *receipt);

/* Reads every receipt of the folder, in the order of the files' names, verifies both its signatures (receipt_verify)
 * and gives it to `visit`, which may be NULL. The first failure ends it; ERROR_UNTRUSTED and ERROR_INVALID name the
 * file. ERROR_NOT_FOUND without the folder; none in it: *ret_count is 0. `path` is valid during the visit. */
MUST_USE struct error *receipt_folder_verify(const char *directory,
                                             struct error *(*visit)(void *context, const char *path,
                                                                    const struct receipt *receipt),
                                             void *context, uint64_t *ret_count);
