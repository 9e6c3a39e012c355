/* Times as files and people have them: RFC 3339 in UTC, and durations like 60s, 5m, 24h, 30d. */
#pragma once

#include "schemas/error.h"

#include <stdint.h>

#define CLOCK_TEXT_BYTES 32

int64_t clock_now_ms(void);       /* Unix milliseconds, wall clock */
int64_t clock_monotonic_ms(void); /* for deadlines */

/* "2027-01-31T00:00:00Z" */
void clock_format(int64_t unix_seconds, char ret_text[static CLOCK_TEXT_BYTES]);
/* Day of the week (0 Monday to 6 Sunday) and minute of the day (0 to 1439) in this machine's local time. */
void clock_local(int64_t unix_seconds, unsigned *ret_weekday, unsigned *ret_minute);
MUST_USE struct error *clock_parse(const char *text, int64_t *ret_unix_seconds);
MUST_USE struct error *clock_parse_duration(const char *text, int64_t *ret_seconds);
