#include "schemas/text.h"

#include <string.h>

/* The number of bytes that the first byte announces, and the bits of the code point that it holds; 0: none.
 */
static size_t text_announced(uint8_t first, uint32_t *ret_bits)
{
    if (first < 0x80) {
        *ret_bits = first;
        return 1;
    }
    if (first >= 0xc2 && first <= 0xdf) {
        *ret_bits = first & 0x1fu;
        return 2;
    }
    if (first >= 0xe0 && first <= 0xef) {
        *ret_bits = first & 0x0fu;
        return 3;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        *ret_bits = first & 0x07u;
        return 4;
    }
    return 0;
}

size_t text_character(const char *text, size_t bytes, uint32_t *ret_code_point)
{
    uint32_t point = 0;
    size_t length = text_announced((uint8_t)text[0], &point);
    if (length == 0 || length > bytes)
        return 0;
    for (size_t i = 1; i < length; i++) {
        uint8_t next = (uint8_t)text[i];
        if ((next & 0xc0) != 0x80)
            return 0;
        point = (point << 6) | (next & 0x3fu);
    }
    bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
    bool surrogate = point >= 0xd800 && point <= 0xdfff;
    if (overlong || surrogate || point > 0x10ffff)
        return 0;
    *ret_code_point = point;
    return length;
}

bool text_character_printable(uint32_t point)
{
    if (point < 0x20 || (point >= 0x7f && point < 0xa0))
        return false;
    if (point == 0x61c || point == 0x200e || point == 0x200f) /* direction marks */
        return false;
    if (point >= 0x2028 && point <= 0x202e) /* separators, embeddings, overrides */
        return false;
    if (point >= 0x2066 && point <= 0x2069) /* isolates */
        return false;
    return point != 0xfeff && point != 0xfffe && point != 0xffff;
}

bool text_printable(const char *text, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        uint32_t point = 0;
        size_t length = text_character(text + at, bytes - at, &point);
        if (length == 0 || !text_character_printable(point))
            return false;
        at += length;
    }
    return true;
}

void text_make_printable(char *text)
{
    size_t bytes = strlen(text);
    size_t to = 0;
    for (size_t at = 0; at < bytes;) {
        uint32_t point = 0;
        size_t length = text_character(text + at, bytes - at, &point);
        if (length == 0 || !text_character_printable(point)) {
            text[to++] = '?';
            at += length == 0 ? 1 : length;
            continue;
        }
        memmove(text + to, text + at, length);
        to += length;
        at += length;
    }
    text[to] = '\0';
}

bool text_name(const char *text, size_t limit)
{
    size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");
    return length >= 1 && length <= limit && text[length] == '\0';
}

bool text_title(const char *text, size_t limit)
{
    size_t length = strnlen(text, limit + 1);
    if (length == 0 || length > limit)
        return false;
    return text_printable(text, length) && text[0] != ' ' && text[length - 1] != ' ';
}

bool text_fingerprint(const char *text)
{
    if (strncmp(text, "sha256:", 7) != 0)
        return false;
    return strspn(text + 7, "0123456789abcdef") == 64 && text[7 + 64] == '\0';
}
