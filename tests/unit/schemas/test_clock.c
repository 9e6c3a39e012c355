#include "schemas/clock.h"
#include "tests/unit/schemas/refusal.h"

static const struct {
    const char *text;
    int64_t seconds;
} clock_times[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"2000-02-29T12:34:56Z", 951827696},
    {"2027-01-31T00:00:00Z", 1801353600},
    {"9999-12-31T23:59:59Z", 253402300799},
};

static void test_clock_times_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(clock_times) / sizeof(clock_times[0]); i++) {
        int64_t seconds = -1;
        assert_done(clock_parse(clock_times[i].text, &seconds));
        assert_int_equal(seconds, clock_times[i].seconds);
    }
}

static void test_clock_times_are_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(clock_times) / sizeof(clock_times[0]); i++) {
        char text[CLOCK_TEXT_BYTES];
        clock_format(clock_times[i].seconds, text);
        assert_string_equal(text, clock_times[i].text);
    }
}

static void test_clock_times_beyond_four_digits_are_shown_as_the_last(void **state)
{
    (void)state;
    char text[CLOCK_TEXT_BYTES];
    clock_format(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
    clock_format(INT64_MIN, text);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
}

static void test_clock_wrong_times_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "2027-01-31",
        "2027-01-31T00:00:00",
        "2027-01-31 00:00:00Z",
        "2027-01-31T00:00:00+00:00",
        "2027-01-31T00:00:00z",
        "2027-01-31T00:00:00Z ",
        "2027-1-31T00:00:00Z",
        "2027-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2027-00-10T00:00:00Z",
        "2027-13-10T00:00:00Z",
        "2027-04-31T00:00:00Z",
        "2027-01-00T00:00:00Z",
        "2027-01-31T24:00:00Z",
        "2027-01-31T00:60:00Z",
        "2027-01-31T00:00:60Z",
        "1969-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "20270-01-31T00:00:00Z",
        "-027-01-31T00:00:00Z",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t seconds = 42;
        assert_refused(clock_parse(rows[i], &seconds), ERROR_INVALID, "2027-01-31T00:00:00Z");
        assert_int_equal(seconds, 42);
    }
}

static void test_clock_durations_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
    } rows[] = {{"1s", 1},      {"60s", 60},      {"5m", 300},
                {"24h", 86400}, {"30d", 2592000}, {"36500d", 3153600000}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t seconds = 0;
        assert_done(clock_parse_duration(rows[i].text, &seconds));
        assert_int_equal(seconds, rows[i].seconds);
    }
}

static void test_clock_wrong_durations_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",    "s",     "60",     "0s",        "-1s",      "1.5h", "1 h", "1w",  "01s",
        "1hh", "1h30m", "36501d", "99999999s", "9999999d", "+1s",  " 1s", "1s ", "99999999999999999999s"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t seconds = 42;
        assert_refused(clock_parse_duration(rows[i], &seconds), ERROR_INVALID, "A duration must be");
        assert_int_equal(seconds, 42);
    }
}

static void test_clock_monotonic_time_does_not_go_back(void **state)
{
    (void)state;
    int64_t before = clock_monotonic_ms();
    assert_true(clock_monotonic_ms() >= before);
    assert_true(clock_now_ms() > INT64_C(1600000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock_times_are_read),
        cmocka_unit_test(test_clock_times_are_written),
        cmocka_unit_test(test_clock_times_beyond_four_digits_are_shown_as_the_last),
        cmocka_unit_test(test_clock_wrong_times_are_refused),
        cmocka_unit_test(test_clock_durations_are_read),
        cmocka_unit_test(test_clock_wrong_durations_are_refused),
        cmocka_unit_test(test_clock_monotonic_time_does_not_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
