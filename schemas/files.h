/* Files of bounded size in, whole files out. */
#pragma once

#include "schemas/error.h"

#include <stdint.h>
#include <sys/types.h>

/* Reads at most `limit` bytes; ERROR_LIMIT beyond, ERROR_NOT_FOUND, ERROR_IO. A NUL follows the last byte.
 * *ret_data is malloc'ed. */
MUST_USE struct error *file_read(const char *path, size_t limit, uint8_t **ret_data, size_t *ret_bytes);

/* Writes to a temporary file beside it, syncs, renames: readers see the old file or the new one, never a
 * part. */
MUST_USE struct error *file_write(const char *path, const void *data, size_t bytes, mode_t mode);

/* Makes the directory and its parents with `mode`; one that exists is fine. */
MUST_USE struct error *directory_make(const char *path, mode_t mode);

/* "<a>/<b>", malloc'ed. */
MUST_USE struct error *path_join(const char *a, const char *b, char **ret_path);
