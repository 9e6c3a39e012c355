/* What a test expects of a refusal: its kind, and that its sentence contains a text. Frees the error. */
#pragma once

#include "schemas/error.h"
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>

static inline void assert_refused(struct error *err, enum error_code code, const char *part)
{
    bool as_expected = err != NULL && err->code == code && strstr(err->sentence, part) != NULL;
    if (!as_expected)
        (void)fprintf(stderr, "expected %s: \"%s\"\nbut got  %s: \"%s\"\n", error_word(code), part,
                      err == NULL ? "success" : error_word(err->code), err == NULL ? "" : err->sentence);
    error_free(err);
    assert_true(as_expected);
}

static inline void assert_done(struct error *err)
{
    bool done = err == NULL;
    if (!done)
        (void)fprintf(stderr, "expected success but got %s: \"%s\"\n", error_word(err->code), err->sentence);
    error_free(err);
    assert_true(done);
}
