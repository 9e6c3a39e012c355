#include "tests/unit/schemas/refusal.h"

#include <errno.h>

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

static void test_error_exit_status_follows_the_kind(void **state)
{
    (void)state;
    struct error *usage = error_new(ERROR_USAGE, "wrong");
    struct error *interrupted = error_new(ERROR_INTERRUPTED, "stopped");
    assert_int_equal(error_exit_status(NULL), 0);
    assert_int_equal(error_exit_status(usage), 2);
    assert_int_equal(error_exit_status(interrupted), 130);
    error_free(usage);
    error_free(interrupted);
}

static void test_error_word_of_unknown_kind_is_unknown(void **state)
{
    (void)state;
    assert_string_equal(error_word(ERROR_REFUSED), "refused");
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
        cmocka_unit_test(test_error_exit_status_follows_the_kind),
        cmocka_unit_test(test_error_word_of_unknown_kind_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
