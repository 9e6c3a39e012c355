#include "audit/fields.h"

#include "crypto/identity.h"
#include "schemas/clock.h"
#include "schemas/text.h"

#include <errno.h>
#include <inttypes.h>

#define FIELD_HEX_LONGEST 64 /* bytes of the longest value in hexadecimal */

/* ---- reading ---- */

static int field_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return -1;
}

static bool field_read_hex(const char *text, uint8_t *ret_bytes, size_t bytes)
{
    if (text == NULL || strlen(text) != 2 * bytes)
        return false;
    for (size_t i = 0; i < bytes; i++) {
        int high = field_digit(text[2 * i]);
        int low = field_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret_bytes[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

static bool field_read_count(const json_t *value, const struct field *field)
{
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || (uint64_t)number < field->least ||
        (uint64_t)number > field->most)
        return false;
    *(uint64_t *)field->target = (uint64_t)number;
    return true;
}

static bool field_read_fingerprint(const char *text, uint8_t *ret_bytes)
{
    struct site_id id;
    struct error *err = text == NULL ? error_new(ERROR_INVALID, "no text") : site_id_parse(text, &id);
    bool fits = err == NULL;
    error_free(err);
    if (fits)
        memcpy(ret_bytes, id.digest.bytes, DIGEST_BYTES);
    return fits;
}

static bool field_read_time(const char *text, int64_t *ret_seconds)
{
    struct error *err = text == NULL ? error_new(ERROR_INVALID, "no text") : clock_parse(text, ret_seconds);
    bool fits = err == NULL;
    error_free(err);
    return fits;
}

static bool field_read_text(const char *text, const struct field *field)
{
    if (text == NULL || strlen(text) >= field->bytes)
        return false;
    if (field->kind == FIELD_LINE && !text_printable(text, strlen(text)))
        return false;
    memcpy(field->target, text, strlen(text) + 1);
    return true;
}

static bool field_read(const json_t *value, const struct field *field)
{
    switch (field->kind) {
    case FIELD_COUNT:
        return field_read_count(value, field);
    case FIELD_HEX:
        return field_read_hex(json_string_value(value), field->target, field->bytes);
    case FIELD_FINGERPRINT:
        return field_read_fingerprint(json_string_value(value), field->target);
    case FIELD_TIME:
        return field_read_time(json_string_value(value), field->target);
    case FIELD_LINE:
    case FIELD_TEXT:
        return field_read_text(json_string_value(value), field);
    }
    return false;
}

static struct error *field_refuse(const char *where, const struct field *field)
{
    switch (field->kind) {
    case FIELD_COUNT:
        return error_new(ERROR_INVALID, "%s: \"%s\" must be a whole number from %" PRIu64 " to %" PRIu64 ".",
                         where, field->key, field->least, field->most);
    case FIELD_HEX:
        return error_new(ERROR_INVALID, "%s: \"%s\" must be %zu lower-case hexadecimal digits.", where,
                         field->key, 2 * field->bytes);
    case FIELD_FINGERPRINT:
        return error_new(ERROR_INVALID,
                         "%s: \"%s\" must be \"sha256:\" and 64 lower-case hexadecimal digits.", where,
                         field->key);
    case FIELD_TIME:
        return error_new(ERROR_INVALID, "%s: \"%s\" must be a time in UTC like 2027-01-31T00:00:00Z.", where,
                         field->key);
    case FIELD_LINE:
        return error_new(ERROR_INVALID, "%s: \"%s\" must be printable text of at most %zu bytes.", where,
                         field->key, field->bytes - 1);
    case FIELD_TEXT:
        return error_new(ERROR_INVALID, "%s: \"%s\" must be text of at most %zu bytes.", where, field->key,
                         field->bytes - 1);
    }
    return error_new(ERROR_INTERNAL, "A field of an unknown kind.");
}

static struct error *fields_known(const json_t *object, const char *where, const struct field *fields,
                                  size_t count)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)object, key, value)
    {
        bool known = false;
        for (size_t i = 0; i < count && !known; i++)
            known = strcmp(key, fields[i].key) == 0;
        if (!known) {
            char shown[64];
            (void)snprintf(shown, sizeof(shown), "%s", key);
            text_make_printable(shown);
            return error_new(ERROR_INVALID, "%s: there is a key \"%s\" that does not belong there.", where,
                             shown);
        }
    }
    return NULL;
}

struct error *fields_read(const json_t *object, const char *where, const struct field *fields, size_t count)
{
    struct error *err = NULL;
    if (!json_is_object(object))
        FAIL(ERROR_INVALID, "%s: this is not a JSON object.", where);
    TRY(fields_known(object, where, fields, count));
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(object, fields[i].key);
        if (fields[i].present != NULL)
            *fields[i].present = value != NULL;
        if (value == NULL && fields[i].present != NULL)
            continue;
        if (value == NULL)
            FAIL(ERROR_INVALID, "%s: the key \"%s\" is missing.", where, fields[i].key);
        if (!field_read(value, &fields[i]))
            TRY(field_refuse(where, &fields[i]));
    }
done:
    return err;
}

/* ---- writing ---- */

static json_t *field_write_hex(const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * FIELD_HEX_LONGEST + 1];
    for (size_t i = 0; i < count; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    return json_stringn(text, 2 * count);
}

static json_t *field_write_fingerprint(const uint8_t *bytes)
{
    struct site_id id;
    char text[FINGERPRINT_BYTES];
    memcpy(id.digest.bytes, bytes, DIGEST_BYTES);
    site_id_format(&id, text);
    return json_string(text);
}

/* NULL for a time outside the years that the text form has. */
static json_t *field_write_time(int64_t seconds)
{
    char text[CLOCK_TEXT_BYTES];
    int64_t again = 0;
    clock_format(seconds, text);
    if (!field_read_time(text, &again) || again != seconds)
        return NULL;
    return json_string(text);
}

static json_t *field_write_count(const struct field *field)
{
    uint64_t count = *(const uint64_t *)field->target;
    if (count > INT64_MAX || count < field->least || count > field->most)
        return NULL;
    return json_integer((json_int_t)count);
}

static json_t *field_write_text(const struct field *field)
{
    const char *text = field->target;
    size_t bytes = strnlen(text, field->bytes);
    if (bytes >= field->bytes || (field->kind == FIELD_LINE && !text_printable(text, bytes)))
        return NULL;
    return json_stringn(text, bytes); /* NULL unless it is UTF-8 */
}

static json_t *field_write(const struct field *field)
{
    switch (field->kind) {
    case FIELD_COUNT:
        return field_write_count(field);
    case FIELD_HEX:
        return field_write_hex(field->target, field->bytes);
    case FIELD_FINGERPRINT:
        return field_write_fingerprint(field->target);
    case FIELD_TIME:
        return field_write_time(*(const int64_t *)field->target);
    case FIELD_LINE:
    case FIELD_TEXT:
        return field_write_text(field);
    }
    return NULL;
}

struct error *fields_write(const struct field *fields, size_t count, const char *where, json_t **ret_object)
{
    struct error *err = NULL;
    json_t *object = json_object();
    for (size_t i = 0; i < count; i++) {
        if (fields[i].present != NULL && !*fields[i].present)
            continue;
        json_t *value = field_write(&fields[i]);
        if (value == NULL)
            TRY(field_refuse(where, &fields[i]));
        if (json_object_set_new(object, fields[i].key, value) != 0)
            FAIL(ERROR_MEMORY, "There is not enough memory to write %s.", where);
    }
    *ret_object = object;
    object = NULL;
done:
    json_decref(object);
    return err;
}

/* ---- lines ---- */

static struct error *fields_text(const struct field *fields, size_t count, const char *where, char **ret_text)
{
    struct error *err = NULL;
    json_t *object = NULL;
    TRY(fields_write(fields, count, where, &object));
    *ret_text = json_dumps(object, JSON_COMPACT);
    if (*ret_text == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to write %s.", where);
done:
    json_decref(object);
    return err;
}

struct error *fields_read_line(const char *line, size_t bytes, const char *where, const struct field *fields,
                               size_t count)
{
    struct error *err = NULL;
    char *again = NULL;
    json_error_t problem;
    json_t *object = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, &problem);
    if (object == NULL)
        FAIL(ERROR_INVALID, "%s: this line is not one JSON object.", where);
    TRY(fields_read(object, where, fields, count));
    TRY(fields_text(fields, count, where, &again));
    if (strlen(again) != bytes || memcmp(again, line, bytes) != 0)
        FAIL(ERROR_INVALID, "%s: this line is not in the form in which it was written.", where);
done:
    free(again);
    json_decref(object);
    return err;
}

struct error *fields_write_line(FILE *stream, const char *where, const struct field *fields, size_t count)
{
    struct error *err = NULL;
    char *text = NULL;
    TRY(fields_text(fields, count, where, &text));
    if (fputs(text, stream) == EOF || putc('\n', stream) == EOF)
        TRY(error_errno(ERROR_IO, errno, "%s cannot be written", where));
done:
    free(text);
    return err;
}
