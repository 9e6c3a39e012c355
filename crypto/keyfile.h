/* Small files that must be whole or absent: keys, certificates, lists, and whatever else a program keeps that
 * a crash may not leave half written.
 *
 * Writing goes to a temporary file in the same directory ("PATH.XXXXXX", random), which is given its mode
 * before a byte is in it, synced, renamed over PATH, and the directory synced. After a crash PATH is the old
 * file or the new one. Sentences name the path and never the contents.
 */
#pragma once

#include "schemas/error.h"

#include <sys/types.h>

#define KEYFILE_BYTES_MAX                                                                                    \
    1048576 /* the longest file that keyfile_read takes: keys, chains and lists are far below */

/* Replaces `path` by `bytes` bytes of `data`; the file has exactly `mode` (whatever the umask). ERROR_IO. */
MUST_USE struct error *keyfile_write(const char *path, mode_t mode, const void *data, size_t bytes);

/* Reads a regular file of at most KEYFILE_BYTES_MAX bytes. *ret_data has a NUL behind the last byte and is
 * given back with keyfile_free. ERROR_NOT_FOUND if it is missing, ERROR_LIMIT if it is longer, ERROR_IO. */
MUST_USE struct error *keyfile_read(const char *path, char **ret_data, size_t *ret_bytes);

/* The same for a file with a secret: ERROR_UNTRUSTED, with the chmod command to type, if group or others may
 * read or write it. */
MUST_USE struct error *keyfile_read_private(const char *path, char **ret_data, size_t *ret_bytes);

/* Wipes and frees what was read; accepts NULL. */
void keyfile_free(char *data, size_t bytes);

/* Makes the directory `path` with mode 0700; one that is there already stays as it is. Its parent must exist.
 */
MUST_USE struct error *keyfile_directory(const char *path);

/* Whether something is at `path`. */
MUST_USE bool keyfile_exists(const char *path);

/* "<directory>/<name>", malloc'ed. */
MUST_USE struct error *keyfile_path(const char *directory, const char *name, char **ret_path);
