/* A strict reader of YAML: one document of mappings, sequences and scalars, read through tables of keys.
 *
 * People write these files and owners decide by them, so nothing is guessed. Refused, with the exact line and
 * column: a second document, directives, anchors, aliases, tags, duplicate keys, unknown keys (the known ones
 * and the nearest spelling are named), a text where a number is needed or the other way round, numbers
 * outside their range, "nan", "1e999", "0.1x", octal and hexadecimal, yes|no|on|off for true|false, bytes
 * that are not UTF-8, control characters and bidirectional controls (a file must read to its owner as it
 * reads to the program), more than DOCUMENT_MAX_DEPTH levels or DOCUMENT_MAX_NODES values.
 *
 * A sentence has the form
 *     job.yaml:12:13: training.momentum must be at least 0 and below 1.
 * with the line and column, counted from 1 in characters, of the value; or of the key, where the key is the
 * problem; or of the mapping, where a key is missing. Elements of a list are counted from 1: sites[2].name.
 *
 * Reading fills a structure of the caller, which holds the defaults beforehand:
 *
 *     static const struct document_key training_keys[] = {
 *         {.key = "momentum", .type = DOCUMENT_REAL, DOCUMENT_INTO(struct job, momentum), .least = 0, .most =
 * 1, .most_open = true}, {0},
 *     };
 */
#pragma once

#include "schemas/error.h"

#include <stdint.h>

#define DOCUMENT_MAX_DEPTH 8
#define DOCUMENT_MAX_NODES 20000
#define DOCUMENT_MAX_KEYS 64 /* of one mapping */
#define DOCUMENT_PATH_BYTES 128

struct document; /* the tree of one file; immutable */

/* A value in a document: valid as long as the document, passed by copy. */
struct document_value {
    const struct document *document;
    int node;                       /* number in the tree */
    char path[DOCUMENT_PATH_BYTES]; /* "training.momentum", "sites[2].name"; "" for the whole document */
};

enum document_type {
    DOCUMENT_MAPPING,     /* nested keys, of the table `keys`, into the same structure */
    DOCUMENT_COUNT,       /* uint32_t or uint64_t, `first` to `last` */
    DOCUMENT_REAL,        /* double, `least` to `most`, each end open if so marked */
    DOCUMENT_RANGE,       /* struct document_range: a list of two such numbers, [low, high] */
    DOCUMENT_BOOLEAN,     /* bool: true or false, unquoted */
    DOCUMENT_WORD,        /* an enum: the place of the word in `words` */
    DOCUMENT_WORDS,       /* uint32_t: a list of words as bits 1 << place; at least `first` of them */
    DOCUMENT_NAME,        /* char[]: A-Z a-z 0-9 - _ . */
    DOCUMENT_TITLE,       /* char[]: a name for people, printable UTF-8 */
    DOCUMENT_TEXT,        /* char[]: printable UTF-8, not empty (paths) */
    DOCUMENT_FINGERPRINT, /* char[]: sha256: and 64 hex digits */
    DOCUMENT_DURATION,    /* uint32_t seconds, `first` to `last` */
    DOCUMENT_TIME,        /* int64_t Unix seconds */
    DOCUMENT_READER,      /* whatever `read` makes of it */
};

/* What values a number may have; both ends included. */
struct document_range {
    bool given; /* false: the file says nothing, every value will do */
    double low, high;
};

/* Reads a value of a form of its own into `field`. */
typedef struct error *document_reader(const struct document_value *value, void *ret_field);

/* One row of a table; a row without a key ends the table. */
struct document_key {
    const char *key;
    enum document_type type;
    bool required;
    bool nullable;    /* null leaves the default */
    bool null_clears; /* with `nullable`: null sets the field to zero bytes instead */
    size_t offset;    /* where it goes */
    size_t bytes;     /* size of the field */
    uint64_t first, last;
    double least, most;
    bool least_open, most_open;
    const char *const *words; /* ends with NULL */
    const struct document_key *keys;
    document_reader *read;
};

#define DOCUMENT_INTO(type, member) .offset = offsetof(type, member), .bytes = sizeof(((type *)0)->member)

/* Parses at most `limit` bytes; `where` names them in sentences. Free with document_free. */
MUST_USE struct error *document_parse(const char *text, size_t bytes, size_t limit, const char *where,
                                      struct document **ret_document);
void document_free(struct document *document); /* accepts NULL */

struct document_value document_root(const struct document *document);

/* Reads a mapping through its table into the structure at `ret_target`. */
MUST_USE struct error *document_read(const struct document_value *mapping, const struct document_key *keys,
                                     void *ret_target);

/* Whether the keys of `path` ("training.momentum") lead from `mapping` to a value. */
bool document_find(const struct document_value *mapping, const char *path, struct document_value *ret_value);

/* The number of elements of a list, refused unless it is a list of `first` to `last` elements; and its
 * element `index`, from 0. */
MUST_USE struct error *document_list(const struct document_value *value, size_t first, size_t last,
                                     size_t *ret_count);
struct document_value document_element(const struct document_value *list, size_t index);

/* The number of keys of a mapping, and its pair `index`, from 0: the key (with the path of the value, for
 * sentences about the key) and the value. */
size_t document_pairs(const struct document_value *mapping);
const char *document_pair(const struct document_value *mapping, size_t index, struct document_value *ret_key,
                          struct document_value *ret_value);

bool document_is_null(const struct document_value *value);
bool document_is_mapping(const struct document_value *value);

/* The text of a scalar that is not a number, boolean or null (unless quoted); owned by the document. */
MUST_USE struct error *document_text(const struct document_value *value, const char **ret_text);

/* true or false, unquoted. */
MUST_USE struct error *document_boolean(const struct document_value *value, bool *ret_boolean);

/* The characters of a scalar as written, for readers that decide by form; NULL when it is none, or is quoted
 * and `plain` asks for one that is not. */
const char *document_scalar(const struct document_value *value, bool plain);

/* Where a scalar or a mapping stands: in characters from the first one behind a byte order mark (a line end of two bytes is
 * two), and in which column, from 0. */
struct document_place {
    size_t from, to; /* its first character, and the one behind its last: of a scalar alone */
    size_t column;
    bool flow; /* a mapping in braces */
};
struct document_place document_place(const struct document_value *value);

/* The text with one key more in the mapping that the path `beside` ("privacy.target_epsilon") lies in: right behind that
 * one, in a line of its own (`key: value`, as far in as the others), or in braces behind a comma. Everything else
 * stays as it is, comments, order and line ends too. `value` is a plain scalar. ERROR_INVALID when the text is none that
 * document_parse reads, has no such path, or would not have the new value at the new path afterwards: then nothing was added.
 * *ret_text is malloc'ed, with a NUL behind it. */
MUST_USE struct error *document_insert(const char *text, size_t bytes, size_t limit, const char *where,
                                       const char *beside, const char *key, const char *value,
                                       char **ret_text, size_t *ret_bytes);

/* "<where>:<line>:<column>: <path> <the sentence's rest>" */
MUST_USE struct error *document_error(const struct document_value *value, enum error_code code,
                                      const char *format, ...) PRINTF_LIKE(3, 4);
