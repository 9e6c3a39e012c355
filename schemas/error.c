#include "schemas/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>

static const struct {
    const char *word;
    int exit_status;
} error_kinds[ERROR_CODES] = {
#define ERROR(name, word, exit_status) {word, exit_status},
#include "schemas/error.def"
#undef ERROR
};

static struct error error_no_memory = {.code = ERROR_MEMORY, .sentence = "There is not enough memory."};

/* Drops the last character of a full sentence if vsnprintf left only a part of it. */
static void error_trim(char *sentence)
{
    size_t length = strlen(sentence);
    if (length + 1 < ERROR_SENTENCE_BYTES)
        return;
    size_t first = length - 1;
    while (first > 0 && ((uint8_t)sentence[first] & 0xc0) == 0x80)
        first--;
    uint8_t lead = (uint8_t)sentence[first];
    size_t announced = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (length - first < announced)
        sentence[first] = '\0';
}

static struct error *error_format(enum error_code code, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

static struct error *error_format(enum error_code code, const char *format, va_list arguments)
{
    struct error *error = malloc(sizeof(*error));
    if (error == NULL)
        return &error_no_memory;
    error->code = code;
    error->position = 0;
    (void)vsnprintf(error->sentence, sizeof(error->sentence), format, arguments);
    error_trim(error->sentence);
    return error;
}

struct error *error_new(enum error_code code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    struct error *error = error_format(code, format, arguments);
    va_end(arguments);
    return error;
}

struct error *error_errno(enum error_code code, int saved_errno, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    struct error *error = error_format(code, format, arguments);
    va_end(arguments);
    if (error == &error_no_memory)
        return error;
    char text[128];
    const char *reason = strerror_r(saved_errno, text, sizeof(text));
    size_t length = strlen(error->sentence);
    (void)snprintf(error->sentence + length, sizeof(error->sentence) - length, ": %s.", reason);
    error_trim(error->sentence);
    return error;
}

struct error *error_prefix(struct error *error, const char *format, ...)
{
    if (error == NULL || error == &error_no_memory)
        return error;
    char text[ERROR_SENTENCE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    error_trim(text);
    struct error *longer =
        error_blame(error_new(error->code, "%s: %s", text, error->sentence), error->position);
    error_free(error);
    return longer;
}

struct error *error_blame(struct error *error, uint32_t position)
{
    if (error != NULL && error != &error_no_memory)
        error->position = position;
    return error;
}

void error_free(struct error *error)
{
    if (error != &error_no_memory)
        free(error);
}

void error_clear(struct error **error)
{
    error_free(*error);
    *error = NULL;
}

const char *error_word(enum error_code code)
{
    return (size_t)code < ERROR_CODES ? error_kinds[code].word : "unknown";
}

int error_exit_status(const struct error *error)
{
    return error == NULL ? 0 : error_kinds[error->code].exit_status;
}
