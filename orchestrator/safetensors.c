#include "orchestrator/safetensors.h"

#include "schemas/files.h"

#include <jansson.h>
#include <math.h>

/* ---- writing ---- */

static void put_u64(uint8_t *to, uint64_t word)
{
    for (size_t b = 0; b < 8; b++)
        to[b] = (uint8_t)(word >> (8 * b));
}

static uint64_t get_u64(const uint8_t *from)
{
    uint64_t word = 0;
    for (size_t b = 0; b < 8; b++)
        word |= (uint64_t)from[b] << (8 * b);
    return word;
}

static json_t *safetensors_notes(const struct safetensors_note *notes, size_t note_count)
{
    json_t *metadata = json_object();
    for (size_t i = 0; i < note_count; i++) {
        if (json_object_set_new(metadata, notes[i].key, json_string(notes[i].value)) != 0) {
            json_decref(metadata);
            return NULL;
        }
    }
    return metadata;
}

/* The header as text, or NULL without memory or with notes that are not UTF-8. */
static char *safetensors_header(uint64_t features, uint32_t classes, const struct safetensors_note *notes,
                                size_t note_count)
{
    json_int_t coef_end = (json_int_t)(features * classes * 8);
    json_int_t end = coef_end + (json_int_t)classes * 8;
    json_t *metadata = safetensors_notes(notes, note_count);
    if (metadata == NULL)
        return NULL;
    json_t *header = json_pack("{s:o, s:{s:s, s:[I, I], s:[I, I]}, s:{s:s, s:[I], s:[I, I]}}", "__metadata__",
                               metadata, "coef", "dtype", "F64", "shape", (json_int_t)classes,
                               (json_int_t)features, "data_offsets", (json_int_t)0, coef_end, "intercept",
                               "dtype", "F64", "shape", (json_int_t)classes, "data_offsets", coef_end, end);
    char *text = header == NULL ? NULL : json_dumps(header, JSON_COMPACT);
    json_decref(header);
    return text;
}

struct error *safetensors_write(const char *path, const double *parameters, uint64_t features,
                                uint32_t classes, const struct safetensors_note *notes, size_t note_count)
{
    struct error *err = NULL;
    char *header = NULL;
    uint8_t *file = NULL;
    if (features < 1 || features > SAFETENSORS_MAX_FEATURES || classes < 1 ||
        classes > SAFETENSORS_MAX_CLASSES)
        FAIL(ERROR_INTERNAL, "The shape of the model for %s is impossible.", path);
    header = safetensors_header(features, classes, notes, note_count);
    if (header == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to write %s.", path);
    size_t length = strlen(header);
    size_t padded = (length + 7) / 8 * 8;
    size_t count = ((size_t)features + 1) * classes;
    file = malloc(8 + padded + count * 8);
    if (file == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to write %s.", path);
    put_u64(file, padded);
    memset(file + 8, ' ', padded);
    memcpy(file + 8, header, length);
    for (size_t i = 0; i < count; i++) {
        uint64_t word = 0;
        memcpy(&word, &parameters[i], sizeof word);
        put_u64(file + 8 + padded + i * 8, word);
    }
    err = file_write(path, file, 8 + padded + count * 8, 0600);
done:
    free(header);
    free(file);
    return err;
}

/* ---- reading ---- */

/* One entry of the header: F64, `dimensions` sizes, two offsets; nothing else. */
static bool tensor_entry(const json_t *header, const char *name, size_t dimensions, uint64_t ret_shape[2],
                         uint64_t ret_offsets[2])
{
    const json_t *entry = json_object_get(header, name);
    const json_t *type = json_object_get(entry, "dtype");
    const json_t *shape = json_object_get(entry, "shape");
    const json_t *offsets = json_object_get(entry, "data_offsets");
    if (json_object_size(entry) != 3 || !json_is_string(type) || strcmp(json_string_value(type), "F64") != 0)
        return false;
    if (!json_is_array(shape) || json_array_size(shape) != dimensions || json_array_size(offsets) != 2)
        return false;
    for (size_t i = 0; i < dimensions; i++) {
        json_int_t size = json_integer_value(json_array_get(shape, i));
        if (size < 1 || size > (json_int_t)SAFETENSORS_MAX_FEATURES)
            return false;
        ret_shape[i] = (uint64_t)size;
    }
    for (size_t i = 0; i < 2; i++) {
        const json_t *offset = json_array_get(offsets, i);
        if (!json_is_integer(offset) || json_integer_value(offset) < 0)
            return false;
        ret_offsets[i] = (uint64_t)json_integer_value(offset);
    }
    return true;
}

/* Only coef and intercept, and notes that are texts. */
static bool header_members(const json_t *header)
{
    const char *key = NULL;
    const char *note = NULL;
    json_t *value = NULL;
    json_t *text = NULL;
    json_object_foreach((json_t *)header, key, value)
    {
        if (strcmp(key, "coef") == 0 || strcmp(key, "intercept") == 0)
            continue;
        if (strcmp(key, "__metadata__") != 0 || !json_is_object(value))
            return false;
        json_object_foreach(value, note, text)
        {
            if (!json_is_string(text))
                return false;
        }
    }
    return true;
}

static struct error *header_check(const json_t *header, const char *where, uint64_t data_bytes,
                                  struct safetensors *model)
{
    uint64_t coef[2];
    uint64_t intercept[2];
    uint64_t coef_at[2];
    uint64_t intercept_at[2];
    if (!json_is_object(header) || !header_members(header) ||
        !tensor_entry(header, "coef", 2, coef, coef_at) ||
        !tensor_entry(header, "intercept", 1, intercept, intercept_at))
        return error_new(
            ERROR_INVALID,
            "%s does not hold a softmax regression: the F64 tensors coef [classes, features] and "
            "intercept [classes], and nothing else, are wanted.",
            where);
    if (coef[0] > SAFETENSORS_MAX_CLASSES || coef[0] != intercept[0])
        return error_new(
            ERROR_INVALID, "%s: coef has %llu classes and intercept %llu; both need the same, at most %d.",
            where, (unsigned long long)coef[0], (unsigned long long)intercept[0], SAFETENSORS_MAX_CLASSES);
    uint64_t coef_bytes = coef[0] * coef[1] * 8;
    uint64_t all = coef_bytes + coef[0] * 8;
    if (coef_at[0] != 0 || coef_at[1] != coef_bytes || intercept_at[0] != coef_bytes ||
        intercept_at[1] != all)
        return error_new(ERROR_INVALID, "%s: the offsets of its tensors do not agree with their shapes.",
                         where);
    if (all != data_bytes)
        return error_new(ERROR_INVALID, "%s is %s: its tensors take %llu bytes, and %llu are there.", where,
                         data_bytes < all ? "truncated" : "too long", (unsigned long long)all,
                         (unsigned long long)data_bytes);
    model->features = coef[1];
    model->classes = (uint32_t)coef[0];
    return NULL;
}

static struct error *parameters_read(const uint8_t *data, const char *where, struct safetensors *model)
{
    size_t count = ((size_t)model->features + 1) * model->classes;
    model->parameters = malloc(count * sizeof *model->parameters);
    if (model->parameters == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for the model in %s.", where);
    for (size_t i = 0; i < count; i++) {
        uint64_t word = get_u64(data + 8 * i);
        memcpy(&model->parameters[i], &word, sizeof word);
        if (!isfinite(model->parameters[i]))
            return error_new(ERROR_NUMERIC,
                             "%s holds a number that is not finite; such a model cannot be used.", where);
    }
    return digest_of(data, count * 8, &model->parameters_sha256);
}

struct error *safetensors_parse(const uint8_t *data, size_t bytes, const char *where,
                                struct safetensors *ret_model)
{
    struct error *err = NULL;
    struct safetensors model = {0};
    json_t *header = NULL;
    json_error_t failure;
    if (bytes < 8)
        FAIL(ERROR_INVALID, "%s is truncated: a safetensors file has at least 8 bytes.", where);
    uint64_t length = get_u64(data);
    if (length > SAFETENSORS_HEADER_BYTES)
        FAIL(ERROR_INVALID,
             "%s is not a safetensors file that can be used here: its header would have more than %d bytes.",
             where, SAFETENSORS_HEADER_BYTES);
    if (length > bytes - 8)
        FAIL(ERROR_INVALID, "%s is truncated in its header.", where);
    header = json_loadb((const char *)data + 8, (size_t)length, JSON_REJECT_DUPLICATES, &failure);
    if (header == NULL)
        FAIL(ERROR_INVALID, "%s is not a safetensors file: its header is not JSON.", where);
    TRY(header_check(header, where, bytes - 8 - length, &model));
    TRY(parameters_read(data + 8 + length, where, &model));
    TRY(digest_of(data, bytes, &model.file_sha256));
    *ret_model = model;
    model = (struct safetensors){0};
done:
    json_decref(header);
    safetensors_clear(&model);
    return err;
}

struct error *safetensors_read(const char *path, struct safetensors *ret_model)
{
    struct error *err = NULL;
    uint8_t *data = NULL;
    size_t bytes = 0;
    TRY(file_read(path, SAFETENSORS_MAX_BYTES, &data, &bytes));
    err = safetensors_parse(data, bytes, path, ret_model);
done:
    free(data);
    return err;
}

void safetensors_clear(struct safetensors *model)
{
    free(model->parameters);
    *model = (struct safetensors){0};
}
