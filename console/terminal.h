/* What a person sees: colour and progress only on a terminal (NO_COLOR and TERM=dumb are honoured), progress
 * on stderr, results on stdout, names and sentences from elsewhere with control characters made visible. */
#pragma once

#include "schemas/error.h"

#include <stdint.h>
#include <stdio.h>

enum terminal_style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_GOOD, STYLE_WARN, STYLE_BAD };

MUST_USE bool terminal_is_rich(FILE *stream); /* colour and cursor movement make sense */
int terminal_columns(void);                   /* 80 when unknown */

/* Escape sequence that starts a style on this stream, or ""; STYLE_PLAIN ends it. */
const char *terminal_style(FILE *stream, enum terminal_style style);

/* Copies text with control characters and invalid UTF-8 as '?': for everything that came from a file or a
 * peer. */
void terminal_clean(const char *text, char *ret_clean, size_t clean_bytes);

/* A progress line on stderr, redrawn at most ten times a second; nothing at all when stderr is not a
 * terminal. */
struct progress {
    const char *label;
    int64_t drawn_at;
    bool rich;
};
void progress_start(struct progress *progress, const char *label);
void progress_set(struct progress *progress, double fraction, const char *note); /* note may be NULL */
void progress_end(struct progress *progress); /* clears the line; safe to call twice */

/* A table with aligned columns: header row, then rows, printed at once. Cells are copied and cleaned. */
struct table;
MUST_USE struct error *table_new(const char *const *headers, size_t columns, struct table **ret_table);
/* `right`: bit 1 << column aligns to the right. */
void table_align(struct table *table, uint64_t right);
MUST_USE struct error *table_row(struct table *table, const char *const *cells);
void table_print(const struct table *table, FILE *stream);
void table_free(struct table *table);

/* A confusion matrix: rows true, columns predicted, right-aligned, with its total and accuracy underneath.
 * `title` is printed above. `counts` is [classes][classes], followed by two words: of how many rows it is, and how many
 * are right. A word that is WIRE_WITHHELD is a dash, and said to be withheld. */
void terminal_confusion(FILE *stream, const char *title, const uint64_t *counts, uint32_t classes);
