/* Kinds of messages in tables, and what is tested of all of them alike. A sample is a test's struct of one valid message of
 * each kind, which a row of its table points into. */
#pragma once

#include "schemas/wire.h"

#include <stddef.h>
#include <string.h>

/* Its decoder and its release, without their types. */
struct wire_kind {
    const char *name; /* that a refusal begins with, or one of a message inside it */
    size_t offset;    /* in the sample */
    struct error *(*decode)(const uint8_t *bytes, size_t count, void *ret_message);
    void (*release)(void *message);
};

#define WIRE_KIND(lower, Upper)                                                                              \
    static struct error *decode_##lower(const uint8_t *bytes, size_t count, void *ret_message)               \
    {                                                                                                        \
        Fds__##Upper *message = NULL;                                                                        \
        struct error *err = wire_##lower##_decode(bytes, count, &message);                                   \
        memcpy(ret_message, &message, sizeof(message));                                                      \
        return err;                                                                                          \
    }                                                                                                        \
    static void free_##lower(void *message)                                                                  \
    {                                                                                                        \
        wire_##lower##_free(message);                                                                        \
    }
#define WIRE_KIND_ROW(name, sample, field, lower)                                                            \
    {                                                                                                        \
        name, offsetof(sample, field), decode_##lower, free_##lower                                          \
    }

void wire_kind_pack(const struct wire_kind *kind, const void *sample, uint8_t **ret_bytes, size_t *ret_count);
/* Decodes, encodes what came out, and expects the same bytes. */
void wire_kind_check_again(const struct wire_kind *kind, const uint8_t *bytes, size_t count);

/* For all kinds of a table: read as written; cut at every byte, and with every bit flipped, refused with the name of a message
 * or taken as one that keeps every rule. */
void wire_kinds_check_again(const struct wire_kind *kinds, size_t kind_count, const void *sample);
void wire_kinds_check_truncated(const struct wire_kind *kinds, size_t kind_count, const void *sample);
void wire_kinds_check_flipped(const struct wire_kind *kinds, size_t kind_count, const void *sample);
/* ERROR_INVALID with this sentence for `message`, which is in the sample. */
void wire_kinds_check_refused(const struct wire_kind *kinds, size_t kind_count, const void *sample,
                              const void *message, const char *sentence);
