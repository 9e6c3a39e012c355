/* Fixed-width statements that are signed: little-endian fields, appended one after the other. For audit/ alone. */
#pragma once

#include "crypto/digest.h"

#include <stddef.h>
#include <stdint.h>

#define STATEMENT_BYTES 320

struct statement {
    uint8_t bytes[STATEMENT_BYTES];
    size_t used;
};

/* The caller has the room: what is put is of fixed width. */
static inline void statement_put(struct statement *statement, const void *bytes, size_t count)
{
    memcpy(statement->bytes + statement->used, bytes, count);
    statement->used += count;
}

static inline void statement_number(struct statement *statement, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        statement->bytes[statement->used++] = (uint8_t)(value >> (8 * i));
}
