/* The daemon's log: one line an event, whatever is in the fields. */
#include "datasite/log.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_text_is_time_level_event_fields),
        cmocka_unit_test(test_log_json_is_one_object),
        cmocka_unit_test(test_log_line_break_in_a_sentence_stays_one_line),
        cmocka_unit_test(test_log_long_sentence_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
