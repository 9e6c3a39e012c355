/* The one error type of the project.
 *
 * A function that can fail returns `struct error *`: NULL is success, anything else is owned by the caller,
 * who passes it up, prints it, or frees it. The sentence is written once, where the failure is noticed, for a
 * person: what, where, what would do. It never contains a data value, and no layer above rewrites it, except
 * that error_prefix() may say which of several things (a site, a file) it concerns.
 *
 *     MUST_USE struct error *thing_load(const char *path, struct thing **ret_thing)
 *     {
 *         struct error *err = NULL;
 *         struct thing *thing = NULL;
 *         TRY(file_read(path, &bytes));
 *         ...
 *         *ret_thing = thing;
 *         thing = NULL;
 *     done:
 *         thing_free(thing);
 *         return err;
 *     }
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

enum error_code {
#define ERROR(name, word, exit_status) ERROR_##name,
#include "schemas/error.def"
#undef ERROR
    ERROR_CODES /* how many there are */
};

/* Longer sentences are cut at a character boundary. */
#define ERROR_SENTENCE_BYTES 1024

struct error {
    enum error_code code;
    char sentence[ERROR_SENTENCE_BYTES];
    /* Under secure aggregation: the site of the roster whose contribution was found bad, by its position; 0: none. */
    uint32_t position;
};

/* A new error with a formatted sentence. Never NULL: without memory a static "no memory" error is returned.
 */
MUST_USE struct error *error_new(enum error_code code, const char *format, ...) PRINTF_LIKE(2, 3)
    __attribute__((returns_nonnull));

/* As error_new, with ": " and the text of `saved_errno` added. */
MUST_USE struct error *error_errno(enum error_code code, int saved_errno, const char *format, ...)
    PRINTF_LIKE(3, 4) __attribute__((returns_nonnull));

/* Puts "<text>: " in front of the sentence of `error` and returns it; NULL stays NULL. */
MUST_USE struct error *error_prefix(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);

/* Says whose contribution was found bad, and returns `error`; NULL stays NULL. */
MUST_USE struct error *error_blame(struct error *error, uint32_t position);

/* Frees an error; accepts NULL. */
void error_free(struct error *error);

/* Frees *error and sets it to NULL: for failures that are deliberately of no consequence. */
void error_clear(struct error **error);

/* "refused", "deadline", …: the stable word of a kind, for logs, JSON and the wire. */
const char *error_word(enum error_code code);

/* Exit status of a program that ends with this error; NULL gives 0. */
int error_exit_status(const struct error *error);

/* Passes a failure on to the label `done`; needs a local `struct error *err`. */
#define TRY(expression)                                                                                      \
    do {                                                                                                     \
        err = (expression);                                                                                  \
        if (err != NULL)                                                                                     \
            goto done;                                                                                       \
    } while (0)

/* Fails with a new error at the label `done`; needs a local `struct error *err`. */
#define FAIL(...)                                                                                            \
    do {                                                                                                     \
        err = error_new(__VA_ARGS__);                                                                        \
        goto done;                                                                                           \
    } while (0)
