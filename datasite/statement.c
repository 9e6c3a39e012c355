#include "datasite/statement.h"

#include <string.h>

void statement_put(struct statement *statement, const void *bytes, size_t count)
{
    memcpy(statement->bytes + statement->used, bytes, count);
    statement->used += count;
}

void statement_number(struct statement *statement, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        statement->bytes[statement->used++] = (uint8_t)(value >> (8 * i));
}
