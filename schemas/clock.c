#include "schemas/clock.h"

#include "schemas/number.h"

#define CLOCK_LAST 253402300799 /* 9999-12-31T23:59:59Z */
#define CLOCK_LONGEST (36500ull * 86400ull)

static int64_t clock_read_ms(clockid_t id)
{
    struct timespec now;
    (void)clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_now_ms(void)
{
    return clock_read_ms(CLOCK_REALTIME);
}

int64_t clock_monotonic_ms(void)
{
    return clock_read_ms(CLOCK_MONOTONIC);
}

void clock_format(int64_t unix_seconds, char ret_text[static CLOCK_TEXT_BYTES])
{
    /* What lies outside the years that have four digits is shown as the nearest time that has. */
    if (unix_seconds < 0)
        unix_seconds = 0;
    if (unix_seconds > CLOCK_LAST)
        unix_seconds = CLOCK_LAST;
    time_t seconds = (time_t)unix_seconds;
    struct tm utc;
    (void)gmtime_r(&seconds, &utc);
    (void)strftime(ret_text, CLOCK_TEXT_BYTES, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

void clock_local(int64_t unix_seconds, unsigned *ret_weekday, unsigned *ret_minute)
{
    time_t seconds = (time_t)unix_seconds;
    struct tm local = {0};
    (void)localtime_r(&seconds, &local);
    *ret_weekday = (unsigned)(local.tm_wday + 6) % 7; /* tm_wday begins on Sunday */
    *ret_minute = (unsigned)local.tm_hour * 60 + (unsigned)local.tm_min;
}

/* Whether `text` has the form of `pattern`, in which 0 stands for any digit. */
static bool clock_matches(const char *text, const char *pattern)
{
    if (strlen(text) != strlen(pattern))
        return false;
    for (; *pattern != '\0'; pattern++, text++) {
        bool fits = *pattern == '0' ? *text >= '0' && *text <= '9' : *text == *pattern;
        if (!fits)
            return false;
    }
    return true;
}

static int clock_digits(const char *text, size_t count)
{
    int value = 0;
    for (size_t i = 0; i < count; i++)
        value = value * 10 + (text[i] - '0');
    return value;
}

struct error *clock_parse(const char *text, int64_t *ret_unix_seconds)
{
    struct error *err = NULL;
    if (!clock_matches(text, "0000-00-00T00:00:00Z"))
        FAIL(ERROR_INVALID, "A time must be in UTC and look like 2027-01-31T00:00:00Z.");
    struct tm utc = {
        .tm_year = clock_digits(text, 4) - 1900,
        .tm_mon = clock_digits(text + 5, 2) - 1,
        .tm_mday = clock_digits(text + 8, 2),
        .tm_hour = clock_digits(text + 11, 2),
        .tm_min = clock_digits(text + 14, 2),
        .tm_sec = clock_digits(text + 17, 2),
    };
    /* timegm() turns 31 February into a day of March; the text that it gives back shows it. */
    int64_t seconds = (int64_t)timegm(&utc);
    char again[CLOCK_TEXT_BYTES];
    clock_format(seconds, again);
    if (strcmp(again, text) != 0)
        FAIL(ERROR_INVALID,
             "A time must exist and lie in the years 1970 to 9999, as 2027-01-31T00:00:00Z does.");
    *ret_unix_seconds = seconds;
done:
    return err;
}

static uint64_t clock_unit_seconds(char unit)
{
    static const struct {
        char unit;
        uint32_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (units[i].unit == unit)
            return units[i].seconds;
    }
    return 0;
}

struct error *clock_parse_duration(const char *text, int64_t *ret_seconds)
{
    struct error *err = NULL;
    char digits[8] = "";
    size_t length = strlen(text);
    uint64_t amount = 0;
    uint64_t unit = length >= 2 ? clock_unit_seconds(text[length - 1]) : 0;
    if (unit == 0 || length > sizeof(digits))
        FAIL(ERROR_INVALID, "A duration must be a number and s, m, h or d, like 60s, 5m, 24h or 30d.");
    memcpy(digits, text, length - 1);
    if (!number_count(digits, &amount))
        FAIL(ERROR_INVALID, "A duration must be a number and s, m, h or d, like 60s, 5m, 24h or 30d.");
    if (amount == 0 || amount * unit > CLOCK_LONGEST)
        FAIL(ERROR_INVALID, "A duration must be from 1s to 36500d.");
    *ret_seconds = (int64_t)(amount * unit);
done:
    return err;
}
