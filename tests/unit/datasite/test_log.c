/* The daemon's log: one line an event, whatever is in the fields. */
#include "datasite/log_repeats.h"

#include "tests/unit/datasite/workspace.h"

#include <jansson.h>

#define LINE_BYTES 8192

/* Writes one event and returns the line without its newline. */
static void line_of(enum log_format format, const char *sentence, char ret_line[static LINE_BYTES])
{
    const struct digest job = {{0x1f, 0x2e, 0x3d, 0x4c, 0x5b, 0x6a, 0x79}};
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    assert_non_null(stream);
    struct log log = {stream, format};
    LOG(&log, EVENT_UPDATE_RELEASED, log_job(&job), log_round(3), log_seconds(1.0625), log_progress(0.5),
        log_sentence(sentence));
    assert_int_equal(fclose(stream), 0);
    assert_true(bytes > 1 && bytes < LINE_BYTES);
    assert_int_equal(text[bytes - 1], '\n');
    assert_ptr_equal(strchr(text, '\n'), text + bytes - 1);
    memcpy(ret_line, text, bytes - 1);
    ret_line[bytes - 1] = '\0';
    free(text);
}

static void test_log_text_is_time_level_event_fields(void **state)
{
    char line[LINE_BYTES];
    (void)state;
    line_of(LOG_TEXT, "all is well", line);
    assert_int_equal(line[10], 'T');
    assert_string_equal(strchr(line, ' '),
                        " INFO update-released job=1f2e3d4c5b6a round=3 seconds=1.063 percent=50 "
                        "sentence=\"all is well\"");
}

static void test_log_json_is_one_object(void **state)
{
    char line[LINE_BYTES];
    (void)state;
    line_of(LOG_JSON, "say \"no\" \\ \n\x1b[31m", line);
    json_t *object = json_loads(line, 0, NULL);
    assert_non_null(object);
    assert_string_equal(json_string_value(json_object_get(object, "event")), "update-released");
    assert_int_equal(json_integer_value(json_object_get(object, "round")), 3);
    assert_string_equal(json_string_value(json_object_get(object, "sentence")), "say \"no\" \\ ??[31m");
    json_decref(object);
}

static void test_log_line_break_in_a_sentence_stays_one_line(void **state)
{
    char line[LINE_BYTES];
    (void)state;
    line_of(LOG_TEXT, "first\nsecond", line);
    assert_non_null(strstr(line, "first?second"));
}

static void test_log_long_sentence_is_cut(void **state)
{
    char line[LINE_BYTES], sentence[6000];
    (void)state;
    memset(sentence, 'x', sizeof(sentence) - 1);
    sentence[sizeof(sentence) - 1] = '\0';
    line_of(LOG_TEXT, sentence, line);
    assert_true(strlen(line) < 4096);
}

/* Lines that `count` refusals write: all about one peer, or each about another. */
static size_t lines_of_refusals(struct log_repeats *repeats, const struct log *log, size_t count,
                                bool many_peers, int64_t now)
{
    size_t lines = 0;
    for (size_t i = 0; i < count; i++) {
        struct site_id peer = {{{1}}};
        if (many_peers)
            memcpy(peer.digest.bytes, &i, sizeof(i));
        if (log_repeats_first(repeats, EVENT_PEER_REFUSED, &peer, now)) {
            LOG(log, EVENT_PEER_REFUSED, log_peer(&peer));
            lines++;
        }
    }
    return lines;
}

static void test_log_repeated_refusals_are_one_line_and_a_count_a_minute(void **state)
{
    (void)state;
    struct log_repeats repeats = {0};
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    assert_non_null(stream);
    struct log log = {stream, LOG_TEXT};
    assert_int_equal(lines_of_refusals(&repeats, &log, 1000, false, 0), 1);
    log_repeats_flush(&repeats, &log, LOG_REPEATS_MS - 1);
    assert_int_equal(lines_of_refusals(&repeats, &log, 1, false, LOG_REPEATS_MS - 1), 0);
    log_repeats_flush(&repeats, &log, LOG_REPEATS_MS);
    assert_int_equal(lines_of_refusals(&repeats, &log, 1, false, LOG_REPEATS_MS), 1);
    assert_int_equal(fclose(stream), 0);
    assert_non_null(strstr(text, "peer-refused peer=010000000000 repeated=1000\n"));
    free(text);
}

static void test_log_refusals_of_ever_new_peers_are_bounded(void **state)
{
    (void)state;
    struct log_repeats repeats = {0};
    struct log nowhere = {NULL, LOG_TEXT};
    assert_in_range(lines_of_refusals(&repeats, &nowhere, 100000, true, 0), 1, LOG_REPEATS_PLACES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_text_is_time_level_event_fields),
        cmocka_unit_test(test_log_json_is_one_object),
        cmocka_unit_test(test_log_line_break_in_a_sentence_stays_one_line),
        cmocka_unit_test(test_log_long_sentence_is_cut),
        cmocka_unit_test(test_log_repeated_refusals_are_one_line_and_a_count_a_minute),
        cmocka_unit_test(test_log_refusals_of_ever_new_peers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
