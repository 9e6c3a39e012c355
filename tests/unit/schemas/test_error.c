#include "tests/unit/schemas/refusal.h"

#include "schemas/text.h"

#include <errno.h>

/* `before` ASCII letters and then a character again and again, longer than any sentence. */
static void fill(char text[static 2 * ERROR_SENTENCE_BYTES], size_t before, const char *character)
{
    size_t step = strlen(character);
    size_t at = before;
    memset(text, 'x', before);
    for (; at + step < 2 * ERROR_SENTENCE_BYTES; at += step)
        memcpy(text + at, character, step);
    text[at] = '\0';
}

static void assert_whole_characters(const struct error *error)
{
    size_t bytes = strlen(error->sentence);
    assert_in_range(bytes, ERROR_SENTENCE_BYTES - 4, ERROR_SENTENCE_BYTES - 1);
    assert_true(text_printable(error->sentence, bytes));
}

static void test_error_sentence_is_kept(void **state)
{
    (void)state;
    assert_refused(error_new(ERROR_LIMIT, "%s has %d bytes.", "a.bin", 7), ERROR_LIMIT, "a.bin has 7 bytes.");
}

static void test_error_errno_adds_its_text(void **state)
{
    (void)state;
    assert_refused(error_errno(ERROR_IO, ENOSPC, "disk.db cannot be written"), ERROR_IO,
                   "disk.db cannot be written: No space left on device.");
}

static void test_error_prefix_goes_in_front(void **state)
{
    (void)state;
    struct error *err = error_prefix(error_new(ERROR_BUSY, "Try later."), "site %d", 3);
    assert_refused(err, ERROR_BUSY, "site 3: Try later.");
}

static void test_error_prefix_of_success_is_success(void **state)
{
    (void)state;
    assert_null(error_prefix(NULL, "site"));
}

static void test_error_long_sentence_is_cut_at_a_character(void **state)
{
    (void)state;
    char text[2 * ERROR_SENTENCE_BYTES];
    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 3);
    struct error *err = error_new(ERROR_INVALID, "x%s", text);
    size_t length = strlen(err->sentence);
    assert_int_equal(length, ERROR_SENTENCE_BYTES - 1);
    assert_int_equal((unsigned char)err->sentence[length - 1], 0xa9);
    error_free(err);
    err = error_new(ERROR_INVALID, "%s", text);
    length = strlen(err->sentence);
    assert_true(length < ERROR_SENTENCE_BYTES);
    assert_int_equal((unsigned char)err->sentence[length - 1], 0xa9);
    error_free(err);
}

static void test_error_sentence_of_one_byte_too_many_is_cut_by_one(void **state)
{
    (void)state;
    char text[ERROR_SENTENCE_BYTES + 1];
    memset(text, 'x', sizeof(text));
    text[ERROR_SENTENCE_BYTES] = '\0';
    struct error *longer = error_new(ERROR_IO, "%s", text);
    struct error *fitting = error_new(ERROR_IO, "%s", text + 1);
    assert_string_equal(longer->sentence, text + 1);
    assert_string_equal(fitting->sentence, text + 1);
    error_free(longer);
    error_free(fitting);
}

static void test_error_cut_at_any_place_leaves_whole_characters(void **state)
{
    (void)state;
    static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8f\xa5"};
    char text[2 * ERROR_SENTENCE_BYTES];
    for (size_t i = 0; i < 3; i++) {
        for (size_t before = 0; before < 8; before++) {
            fill(text, before, characters[i]);
            struct error *sentence = error_new(ERROR_IO, "%s", text);
            struct error *reason = error_errno(ERROR_IO, EIO, "%s", text);
            struct error *prefixed = error_prefix(error_new(ERROR_IO, "Try again."), "%s", text);
            assert_whole_characters(sentence);
            assert_whole_characters(reason);
            assert_whole_characters(prefixed);
            assert_memory_equal(sentence->sentence, text, strlen(sentence->sentence));
            error_free(sentence);
            error_free(reason);
            error_free(prefixed);
        }
    }
}

/* What stands in a sentence already must not be read as a format again. */
static void test_error_prefix_keeps_percent_signs(void **state)
{
    (void)state;
    struct error *err = error_prefix(error_new(ERROR_INVALID, "%s", "100 %s %n of it."), "%s", "a%sb");
    assert_string_equal(err->sentence, "a%sb: 100 %s %n of it.");
    error_free(err);
}

static void test_error_clear_sets_null_and_accepts_it(void **state)
{
    (void)state;
    struct error *err = error_new(ERROR_IO, "Gone.");
    error_clear(&err);
    assert_null(err);
    error_clear(&err);
    error_free(NULL);
}

static void test_error_exit_status_of_every_kind_is_as_documented(void **state)
{
    (void)state;
    assert_int_equal(error_exit_status(NULL), 0);
    for (int code = 0; code < ERROR_CODES; code++) {
        struct error *err = error_new((enum error_code)code, "Sentence.");
        assert_int_equal(error_exit_status(err), code == ERROR_USAGE         ? 2
                                                 : code == ERROR_INTERRUPTED ? 130
                                                                             : 1);
        error_free(err);
    }
}

/* In the order of their numbers on the wire: append here when error.def grows, never reorder. */
static void test_error_word_and_number_of_every_kind_stay(void **state)
{
    (void)state;
    static const char *const words[] = {"usage",     "invalid", "refused",     "not-found", "conflict",
                                        "untrusted", "expired", "deadline",    "limit",     "unavailable",
                                        "busy",      "corrupt", "unsupported", "numeric",   "io",
                                        "memory",    "crypto",  "interrupted", "internal",  "held"};
    assert_int_equal(sizeof(words) / sizeof(words[0]), ERROR_CODES);
    for (int code = 0; code < ERROR_CODES; code++)
        assert_string_equal(error_word((enum error_code)code), words[code]);
}

static void test_error_word_of_unknown_kind_is_unknown(void **state)
{
    (void)state;
    assert_string_equal(error_word(ERROR_CODES), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_sentence_is_kept),
        cmocka_unit_test(test_error_errno_adds_its_text),
        cmocka_unit_test(test_error_prefix_goes_in_front),
        cmocka_unit_test(test_error_prefix_of_success_is_success),
        cmocka_unit_test(test_error_long_sentence_is_cut_at_a_character),
        cmocka_unit_test(test_error_sentence_of_one_byte_too_many_is_cut_by_one),
        cmocka_unit_test(test_error_cut_at_any_place_leaves_whole_characters),
        cmocka_unit_test(test_error_prefix_keeps_percent_signs),
        cmocka_unit_test(test_error_clear_sets_null_and_accepts_it),
        cmocka_unit_test(test_error_exit_status_of_every_kind_is_as_documented),
        cmocka_unit_test(test_error_word_and_number_of_every_kind_stay),
        cmocka_unit_test(test_error_word_of_unknown_kind_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
