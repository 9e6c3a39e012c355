/* The frame walker: a table of byte strings, each whole, byte by byte, and cut in two at every place. */
#include "tests/unit/cmocka_all.h"
#include "transport/limits.h"
#include "transport/zmtp.h"

#define CAP 65536

static const uint8_t greeting[ZMTP_GREETING_BYTES] = {0xff, 0,    0, 0, 0,   0,   0,   0,
                                                      1,    0x7f, 3, 1, 'N', 'U', 'L', 'L'};
static const uint8_t ready[] = {4,   26,  5,   'R', 'E', 'A', 'D', 'Y', 11, 'S', 'o', 'c', 'k', 'e',
                                't', '-', 'T', 'y', 'p', 'e', 0,   0,   0,  6,   'D', 'E', 'A', 'L'};

/* A stream under construction. */
struct bytes {
    uint8_t bytes[400];
    size_t count;
};

static void put(struct bytes *to, const void *bytes, size_t count)
{
    assert_true(to->count + count <= sizeof(to->bytes));
    memcpy(to->bytes + to->count, bytes, count);
    to->count += count;
}

static struct bytes opened(void)
{
    struct bytes stream = {0};
    put(&stream, greeting, sizeof(greeting));
    put(&stream, ready, sizeof(ready));
    return stream;
}

/* Walks all of it in pieces of at most `piece` bytes. */
static struct error *walk(struct zmtp_walker *walker, const struct bytes *stream, size_t piece)
{
    size_t at = 0;
    while (at < stream->count) {
        size_t count = stream->count - at < piece ? stream->count - at : piece;
        size_t taken = 0;
        enum zmtp_mark mark = ZMTP_HUNGRY;
        bool was_announced = walker->stage == ZMTP_AT_ANNOUNCED;
        struct error *err = zmtp_walk(walker, stream->bytes + at, count, &taken, &mark);
        if (err != NULL)
            return err;
        assert_true(taken <= count);
        assert_true(taken > 0 || (mark == ZMTP_ANNOUNCED && !was_announced)); /* it always gets on */
        if (mark == ZMTP_HUNGRY)
            assert_int_equal(taken, count);
        at += taken;
    }
    return NULL;
}

static void expect_refused(const struct bytes *stream, enum error_code code, const char *words)
{
    for (size_t piece = 1; piece <= stream->count; piece++) {
        struct zmtp_walker walker;
        zmtp_init(&walker, CAP);
        struct error *err = walk(&walker, stream, piece);
        assert_non_null(err);
        assert_int_equal(err->code, code);
        if (strstr(err->sentence, words) == NULL)
            fail_msg("expected '%s', got: %s", words, err->sentence);
        error_free(err);
    }
}

static void expect_messages(const struct bytes *stream, uint64_t messages)
{
    for (size_t piece = 1; piece <= stream->count; piece++) {
        struct zmtp_walker walker;
        zmtp_init(&walker, CAP);
        struct error *err = walk(&walker, stream, piece);
        if (err != NULL)
            fail_msg("pieces of %zu: %s", piece, err->sentence);
        assert_int_equal(walker.messages, messages);
    }
}

static void test_zmtp_greeting_ready_and_messages_in_any_pieces_are_accepted(void **state)
{
    (void)state;
    struct bytes stream = opened();
    put(&stream, "\x00\x05hello", 7);
    put(&stream, "\x00\x00", 2);
    put(&stream, "\x02\0\0\0\0\0\0\0\x03xyz", 12);
    expect_messages(&stream, 3);
}

static void test_zmtp_announcement_stops_before_the_header_is_whole(void **state)
{
    (void)state;
    struct bytes stream = opened();
    struct zmtp_walker walker;
    size_t taken = 0;
    enum zmtp_mark mark = ZMTP_HUNGRY;
    size_t before = stream.count;
    put(&stream, "\x00\x05hello", 7);
    zmtp_init(&walker, CAP);
    assert_null(zmtp_walk(&walker, stream.bytes, stream.count, &taken, &mark));
    assert_int_equal(mark, ZMTP_ANNOUNCED);
    assert_int_equal(taken, before + 1);
    assert_int_equal(walker.left, 5);
    assert_null(zmtp_walk(&walker, stream.bytes + taken, stream.count - taken, &taken, &mark));
    assert_int_equal(mark, ZMTP_MESSAGE);
    assert_int_equal(taken, 6);
}

static void test_zmtp_message_at_the_cap_is_announced(void **state)
{
    (void)state;
    struct bytes stream = opened();
    put(&stream, "\x02\0\0\0\0\0\x01\0\0", 9);
    struct zmtp_walker walker;
    zmtp_init(&walker, CAP);
    assert_null(walk(&walker, &stream, stream.count));
    assert_int_equal(walker.left, CAP);
}

static void test_zmtp_message_over_the_cap_is_refused(void **state)
{
    (void)state;
    struct bytes stream = opened();
    put(&stream, "\x02\0\0\0\0\0\x01\0\x01", 9);
    expect_refused(&stream, ERROR_LIMIT, "65537 bytes");
}

static void test_zmtp_length_of_all_ones_is_refused(void **state)
{
    (void)state;
    struct bytes stream = opened();
    put(&stream, "\x02\xff\xff\xff\xff\xff\xff\xff\xff", 9);
    expect_refused(&stream, ERROR_LIMIT, "18446744073709551615");
}

static void test_zmtp_more_flag_is_refused(void **state)
{
    (void)state;
    struct bytes stream = opened();
    put(&stream, "\x01\x01x", 3);
    expect_refused(&stream, ERROR_INVALID, "MORE");
}

static void test_zmtp_reserved_flags_are_refused(void **state)
{
    (void)state;
    for (unsigned flag = 8; flag <= 128; flag *= 2) {
        struct bytes stream = opened();
        const uint8_t byte = (uint8_t)flag;
        put(&stream, &byte, 1);
        expect_refused(&stream, ERROR_INVALID, "reserved");
    }
}

static void test_zmtp_command_after_ready_is_refused(void **state)
{
    (void)state;
    struct bytes stream = opened();
    put(&stream, "\x04\x07\x04PING\0\0", 9);
    expect_refused(&stream, ERROR_INVALID, "after READY");
}

static void test_zmtp_first_command_other_than_ready_is_refused(void **state)
{
    (void)state;
    struct bytes stream = {0};
    put(&stream, greeting, sizeof(greeting));
    put(&stream, "\x04\x07\x05HELLO\0", 9);
    expect_refused(&stream, ERROR_INVALID, "not READY");
}

static void test_zmtp_long_command_is_refused(void **state)
{
    (void)state;
    struct bytes stream = {0};
    put(&stream, greeting, sizeof(greeting));
    put(&stream, "\x06\0\0\0\0\0\0\x01\x01", 9);
    expect_refused(&stream, ERROR_LIMIT, "command of 257 bytes");
}

static void test_zmtp_empty_command_is_refused(void **state)
{
    (void)state;
    struct bytes stream = {0};
    put(&stream, greeting, sizeof(greeting));
    put(&stream, "\x04\x00", 2);
    expect_refused(&stream, ERROR_INVALID, "too short");
}

static void test_zmtp_message_before_ready_is_refused(void **state)
{
    (void)state;
    struct bytes stream = {0};
    put(&stream, greeting, sizeof(greeting));
    put(&stream, "\x00\x01x", 3);
    expect_refused(&stream, ERROR_INVALID, "before the READY");
}

static void test_zmtp_each_wrong_greeting_byte_is_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t byte;
        const char *words;
    } cases[] = {{0, 0x01, "does not speak ZMTP"},
                 {9, 0x01, "does not speak ZMTP"},
                 {10, 2, "version 2"},
                 {10, 4, "version 4"},
                 {12, 'C', "mechanism"},
                 {16, 'X', "mechanism"},
                 {31, 1, "mechanism"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes stream = {0};
        put(&stream, greeting, sizeof(greeting));
        stream.bytes[cases[i].at] = cases[i].byte;
        expect_refused(&stream, ERROR_INVALID, cases[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zmtp_greeting_ready_and_messages_in_any_pieces_are_accepted),
        cmocka_unit_test(test_zmtp_announcement_stops_before_the_header_is_whole),
        cmocka_unit_test(test_zmtp_message_at_the_cap_is_announced),
        cmocka_unit_test(test_zmtp_message_over_the_cap_is_refused),
        cmocka_unit_test(test_zmtp_length_of_all_ones_is_refused),
        cmocka_unit_test(test_zmtp_more_flag_is_refused),
        cmocka_unit_test(test_zmtp_reserved_flags_are_refused),
        cmocka_unit_test(test_zmtp_command_after_ready_is_refused),
        cmocka_unit_test(test_zmtp_first_command_other_than_ready_is_refused),
        cmocka_unit_test(test_zmtp_long_command_is_refused),
        cmocka_unit_test(test_zmtp_empty_command_is_refused),
        cmocka_unit_test(test_zmtp_message_before_ready_is_refused),
        cmocka_unit_test(test_zmtp_each_wrong_greeting_byte_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
