/* A text of fixed width that is signed: numbers are little-endian, so that there is one way to write it and one to
 * read it. The caller keeps the total within STATEMENT_MAX_BYTES. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define STATEMENT_MAX_BYTES 320

struct statement {
    uint8_t bytes[STATEMENT_MAX_BYTES];
    size_t used;
};

void statement_put(struct statement *statement, const void *bytes, size_t count);
/* The lowest `bytes` bytes of `value`, 1 to 8. */
void statement_number(struct statement *statement, uint64_t value, size_t bytes);
