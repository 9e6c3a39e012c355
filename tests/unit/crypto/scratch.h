/* What the tests of this room share: a directory of their own, bytes from hexadecimal, and expected failures.
 */
#pragma once

#include "schemas/error.h"
#include "tests/unit/cmocka_all.h"

#include <sys/types.h>

#define SCRATCH_PATH_BYTES 512

/* cmocka set-up: makes an empty directory and puts its path (a char *) into *state. */
int scratch_set_up(void **state);
/* cmocka tear-down: removes it, and fails if OpenSSL's error queue was left with something in it. */
int scratch_tear_down(void **state);

#define SCRATCH_TEST(function) cmocka_unit_test_setup_teardown(function, scratch_set_up, scratch_tear_down)

/* "<directory>/<name>" in the caller's area. */
const char *scratch_path(const char *directory, const char *name, char ret_path[static SCRATCH_PATH_BYTES]);

void scratch_write(const char *path, const void *data, size_t bytes, mode_t mode);
/* The whole file with a NUL behind it; malloc'ed. */
char *scratch_read(const char *path, size_t *ret_bytes);
mode_t scratch_mode(const char *path);
/* How many files and directories are in a directory. */
size_t scratch_entries(const char *directory);

/* Bytes of a hexadecimal text into an area that is large enough; how many. */
size_t scratch_hex(const char *hex, uint8_t *ret_bytes);

void succeeds(struct error *err);
void fails(struct error *err, enum error_code code);
/* The same, and the sentence has `text` in it. */
void fails_saying(struct error *err, enum error_code code, const char *text);
