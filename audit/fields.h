/* One JSON object of known keys, read strictly and written, through one table. For audit/ alone.
 *
 * Read: every key of the table that is not optional must be there, no other key may be, and each value has exactly
 * the type, length and range that the table says; nothing is converted. Written: the keys in the order of the table. */
#pragma once

#include "schemas/error.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

enum field_kind {
    FIELD_COUNT,       /* uint64_t: a whole number, least to most (at most 2^63-1) */
    FIELD_HEX,         /* uint8_t [bytes]: lower-case hexadecimal digits, two a byte */
    FIELD_FINGERPRINT, /* uint8_t [32]: "sha256:" and 64 digits */
    FIELD_TIME,        /* int64_t, Unix seconds: RFC 3339 in UTC, years 1970 to 9999 */
    FIELD_LINE,        /* char [bytes] with its NUL: printable text (schemas/text.h) */
    FIELD_TEXT,        /* the same, of any characters but NUL */
};

struct field {
    const char *key;
    enum field_kind kind;
    void *target;
    size_t bytes;
    uint64_t least, most;
    bool *present; /* not NULL: the key is optional, and this says whether it is there */
};

/* ERROR_INVALID: "<where>: …" names the key and what it must be. The targets are then undefined. */
MUST_USE struct error *fields_read(const json_t *object, const char *where, const struct field *fields,
                                   size_t count);
/* The targets are only read. ERROR_INVALID for a value that fields_read would refuse, a text that is not UTF-8 too. */
MUST_USE struct error *fields_write(const struct field *fields, size_t count, const char *where,
                                    json_t **ret_object);

/* The same on one line of text, as JSON Lines have them: written without a space and with a line end. What is read must
 * be, byte for byte, what would be written (`bytes` without the line end). */
MUST_USE struct error *fields_read_line(const char *line, size_t bytes, const char *where,
                                        const struct field *fields, size_t count);
MUST_USE struct error *fields_write_line(FILE *stream, const char *where, const struct field *fields,
                                         size_t count);
