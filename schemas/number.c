#include "schemas/number.h"

#include <locale.h>
#include <math.h>
#include <string.h>

#define NUMBER_DIGITS "0123456789"

bool number_form(const char *text)
{
    if (*text == '+' || *text == '-')
        text++;
    size_t before = strspn(text, NUMBER_DIGITS);
    text += before;
    size_t after = 0;
    if (*text == '.') {
        after = strspn(text + 1, NUMBER_DIGITS);
        text += 1 + after;
    }
    if (before == 0 && after == 0)
        return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        if (*text == '+' || *text == '-')
            text++;
        size_t exponent = strspn(text, NUMBER_DIGITS);
        if (exponent == 0)
            return false;
        text += exponent;
    }
    return *text == '\0';
}

bool number_real(const char *text, double *ret_value)
{
    /* Most cells of most tables are counts, which a double holds exactly; taking them apart saves most of the
     * time. */
    uint64_t count = 0;
    if (number_count(text, &count) && count <= UINT64_C(1) << 53) {
        *ret_value = (double)count;
        return true;
    }
    if (!number_form(text))
        return false;
    /* Costs next to nothing: the C library keeps this locale as a constant. */
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c_locale == (locale_t)0)
        return false;
    double value = strtod_l(text, NULL, c_locale);
    freelocale(c_locale);
    if (!isfinite(value))
        return false;
    *ret_value = value;
    return true;
}

bool number_count(const char *text, uint64_t *ret_value)
{
    size_t digits = strspn(text, NUMBER_DIGITS);
    if (digits == 0 || text[digits] != '\0' || (text[0] == '0' && digits > 1))
        return false;
    uint64_t value = 0;
    for (; *text != '\0'; text++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return false;
    }
    *ret_value = value;
    return true;
}
