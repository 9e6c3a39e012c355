/* Decimal numbers as files have them, read the same under every locale.
 *
 * A real number is [+-] digits [. digits] [e [+-] digits] with a digit on at least one side of the point; no
 * hexadecimal, no "nan", no "inf", no "0.1x", and a result beyond the range of a double ("1e999") is refused.
 * One too small for a double becomes 0 or the nearest subnormal. A count is digits alone, without a leading
 * zero. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* False when `text` is not such a number; *ret_value is then untouched. */
bool number_real(const char *text, double *ret_value);

/* Whether `text` has the form of a real number, whatever its size: "1e999" has. */
bool number_form(const char *text);

/* False when `text` is not a count, or is beyond 2^64-1. */
bool number_count(const char *text, uint64_t *ret_value);
