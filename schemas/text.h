/* Text that people will read: valid UTF-8 without characters that move a cursor or reorder a line.
 *
 * A name or a sentence from another machine ends up on a terminal and on the screen by which an owner
 * decides. So control characters (C0, DEL, C1), line and paragraph separators and the bidirectional controls
 * (by which a line can be made to read as another one) are not printable here. Tabs and line ends are not
 * printable either. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the UTF-8 character at `text` (of `bytes` bytes, at least one): 1 to 4, with its code point; 0
 * when the bytes are not UTF-8 (cut off, overlong, a surrogate, beyond U+10FFFF). */
size_t text_character(const char *text, size_t bytes, uint32_t *ret_code_point);

/* Whether one character may be shown. */
bool text_character_printable(uint32_t code_point);

/* Whether all `bytes` bytes are UTF-8 made of printable characters. No bytes at all are printable. */
bool text_printable(const char *text, size_t bytes);

/* Replaces what is not printable by '?', in place; the length does not grow. */
void text_make_printable(char *text);

/* Whether `text` is a name of 1 to `limit` bytes of A-Z a-z 0-9 - _ . */
bool text_name(const char *text, size_t limit);

/* Whether `text` is a title for people: 1 to `limit` bytes, printable, no space at either end. */
bool text_title(const char *text, size_t limit);

/* Whether `text` is "sha256:" and 64 lower-case hex digits. */
bool text_fingerprint(const char *text);
