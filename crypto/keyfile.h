/* Files that hold a private key: read only when nobody else can read them, wiped when done with.
 *
 * Writing one is file_write() of schemas/files.h with mode 0600.
 */
#pragma once

#include "schemas/error.h"

#define KEYFILE_BYTES_MAX 65536 /* a key in PEM form has a few hundred */

/* Reads a regular file. *ret_pem has a NUL behind the last byte and is given back with keyfile_free.
 * ERROR_UNTRUSTED, with the chmod command to type, if group or others may read or write it; ERROR_NOT_FOUND,
 * ERROR_LIMIT, ERROR_IO. */
MUST_USE struct error *keyfile_read(const char *path, char **ret_pem, size_t *ret_bytes);

/* Wipes and frees what keyfile_read gave; accepts NULL. */
void keyfile_free(char *pem, size_t bytes);

/* Whether anything is at `path`, also a link that leads nowhere. */
MUST_USE bool keyfile_exists(const char *path);
