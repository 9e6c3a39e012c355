#include "schemas/text.h"
#include "tests/unit/schemas/refusal.h"

static void test_text_bytes_that_are_not_utf8_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80",
                                      "\xc3",
                                      "\xc0\xaf",
                                      "\xe0\x80\xaf",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xe2\x82",
                                      "\xff"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint32_t point = 0;
        assert_int_equal(text_character(bad[i], strlen(bad[i]), &point), 0);
    }
}

static void test_text_characters_of_every_length_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t point;
    } good[] = {{"a", 'a'}, {"\xc3\xa9", 0xe9}, {"\xe2\x82\xac", 0x20ac}, {"\xf0\x9f\x98\x80", 0x1f600}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint32_t point = 0;
        assert_int_equal(text_character(good[i].text, strlen(good[i].text), &point), strlen(good[i].text));
        assert_int_equal(point, good[i].point);
    }
}

static void test_text_control_and_direction_characters_are_not_printable(void **state)
{
    (void)state;
    static const uint32_t points[] = {0,      '\t',   '\n',   0x1b,   0x7f,   0x80,   0x85,   0x9b,
                                      0x200f, 0x2028, 0x202a, 0x202e, 0x2066, 0x2069, 0xfeff, 0x61c};
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
        assert_false(text_character_printable(points[i]));
}

static void test_text_made_printable_keeps_the_rest(void **state)
{
    (void)state;
    char text[] = "a\x1b[2Jb\xff"
                  "c\xe2\x80\xae\xc3\xa9\n";
    text_make_printable(text);
    assert_string_equal(text, "a?[2Jb?c?\xc3\xa9?");
}

static void test_text_name_takes_only_its_alphabet(void **state)
{
    (void)state;
    assert_true(text_name("a-Z_0.9", 64));
    assert_false(text_name("", 64));
    assert_false(text_name("a/b", 64));
    assert_false(text_name("a b", 64));
    assert_true(text_name("abcd", 4));
    assert_false(text_name("abcde", 4));
}

static void test_text_title_has_no_blank_at_its_ends(void **state)
{
    (void)state;
    assert_true(text_title("MNIST Part 1", 64));
    assert_false(text_title(" a", 64));
    assert_false(text_title("a ", 64));
    assert_false(text_title("", 64));
    assert_false(text_title("abcde", 4));
    assert_false(text_title("a\nb", 64));
}

static void test_text_fingerprint_is_64_lower_case_digits(void **state)
{
    (void)state;
    char good[] = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    assert_true(text_fingerprint(good));
    good[70] = 'F';
    assert_false(text_fingerprint(good));
    good[70] = '\0';
    assert_false(text_fingerprint(good));
    assert_false(
        text_fingerprint("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0"));
    assert_false(text_fingerprint("sha1:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_bytes_that_are_not_utf8_are_refused),
        cmocka_unit_test(test_text_characters_of_every_length_are_read),
        cmocka_unit_test(test_text_control_and_direction_characters_are_not_printable),
        cmocka_unit_test(test_text_made_printable_keeps_the_rest),
        cmocka_unit_test(test_text_name_takes_only_its_alphabet),
        cmocka_unit_test(test_text_title_has_no_blank_at_its_ends),
        cmocka_unit_test(test_text_fingerprint_is_64_lower_case_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
