#include "tests/unit/schemas/wire_kind.h"

#include "tests/unit/schemas/refusal.h"

void wire_kind_pack(const struct wire_kind *kind, const void *sample, uint8_t **ret_bytes, size_t *ret_count)
{
    assert_done(wire_encode((const ProtobufCMessage *)(const void *)((const char *)sample + kind->offset),
                            ret_bytes, ret_count));
}

void wire_kind_check_again(const struct wire_kind *kind, const uint8_t *bytes, size_t count)
{
    ProtobufCMessage *message = NULL;
    uint8_t *again = NULL;
    size_t again_count = 0;
    assert_done(kind->decode(bytes, count, &message));
    assert_done(wire_encode(message, &again, &again_count));
    assert_int_equal(again_count, count);
    assert_memory_equal(again, bytes, count);
    kind->release(message);
    free(again);
}

void wire_kinds_check_again(const struct wire_kind *kinds, size_t kind_count, const void *sample)
{
    for (size_t i = 0; i < kind_count; i++) {
        uint8_t *bytes = NULL;
        size_t count = 0;
        wire_kind_pack(&kinds[i], sample, &bytes, &count);
        wire_kind_check_again(&kinds[i], bytes, count);
        free(bytes);
    }
}

/* Its own, or that of a message inside it, which is another kind of the table. */
static void check_name(const struct wire_kind *kinds, size_t kind_count, const char *sentence)
{
    bool named = false;
    for (size_t i = 0; i < kind_count; i++) {
        size_t length = strlen(kinds[i].name);
        named = named || (strncmp(sentence, kinds[i].name, length) == 0 &&
                          (sentence[length] == ':' || sentence[length] == ' '));
    }
    if (!named)
        fail_msg("No message is named in: %s", sentence);
}

/* A part is refused with the name of a message, or is a message that keeps every rule when it is read again. */
static void check_part(const struct wire_kind *kinds, size_t kind_count, const struct wire_kind *kind,
                       const uint8_t *bytes, size_t count)
{
    ProtobufCMessage *message = NULL;
    uint8_t *part = malloc(count == 0 ? 1 : count); /* of exact size, so that a read beyond it is noticed */
    assert_non_null(part);
    memcpy(part, bytes, count);
    struct error *err = kind->decode(part, count, &message);
    free(part);
    if (err != NULL) {
        assert_null(message);
        assert_int_equal(err->code, ERROR_INVALID);
        check_name(kinds, kind_count, err->sentence);
        error_free(err);
        return;
    }
    uint8_t *again = NULL;
    size_t again_count = 0;
    ProtobufCMessage *second = NULL;
    assert_done(wire_encode(message, &again, &again_count));
    assert_done(kind->decode(again, again_count, &second));
    kind->release(second);
    kind->release(message);
    free(again);
}

void wire_kinds_check_truncated(const struct wire_kind *kinds, size_t kind_count, const void *sample)
{
    for (size_t i = 0; i < kind_count; i++) {
        uint8_t *bytes = NULL;
        size_t count = 0;
        wire_kind_pack(&kinds[i], sample, &bytes, &count);
        for (size_t cut = 0; cut < count; cut++)
            check_part(kinds, kind_count, &kinds[i], bytes, cut);
        free(bytes);
    }
}

void wire_kinds_check_flipped(const struct wire_kind *kinds, size_t kind_count, const void *sample)
{
    for (size_t i = 0; i < kind_count; i++) {
        uint8_t *bytes = NULL;
        size_t count = 0;
        wire_kind_pack(&kinds[i], sample, &bytes, &count);
        for (size_t bit = 0; bit < 8 * count; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            check_part(kinds, kind_count, &kinds[i], bytes, count);
            bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        free(bytes);
    }
}

void wire_kinds_check_refused(const struct wire_kind *kinds, size_t kind_count, const void *sample,
                              const void *message, const char *sentence)
{
    size_t offset = (size_t)((const char *)message - (const char *)sample), at = 0;
    uint8_t *bytes = NULL;
    size_t count = 0;
    ProtobufCMessage *decoded = NULL;
    while (at < kind_count && kinds[at].offset != offset)
        at++;
    assert_true(at < kind_count);
    wire_kind_pack(&kinds[at], sample, &bytes, &count);
    struct error *err = kinds[at].decode(bytes, count, &decoded);
    free(bytes);
    assert_null(decoded);
    assert_refused(err, ERROR_INVALID, sentence);
}
