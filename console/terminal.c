#include "console/terminal.h"

#include "schemas/clock.h"
#include "schemas/wire.h"

#include <sys/ioctl.h>
#include <unistd.h>

#define PROGRESS_REDRAW_MS 100
#define PROGRESS_BAR_CELLS 28

bool terminal_is_rich(FILE *stream)
{
    const char *term = getenv("TERM");
    const char *no_colour = getenv("NO_COLOR");
    if (no_colour != NULL && no_colour[0] != '\0')
        return false;
    return isatty(fileno(stream)) == 1 && term != NULL && strcmp(term, "dumb") != 0;
}

int terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

const char *terminal_style(FILE *stream, enum terminal_style style)
{
    if (!terminal_is_rich(stream))
        return "";
    switch (style) {
    case STYLE_PLAIN:
        return "\033[0m";
    case STYLE_BOLD:
        return "\033[1m";
    case STYLE_DIM:
        return "\033[2m";
    case STYLE_GOOD:
        return "\033[32m";
    case STYLE_WARN:
        return "\033[33m";
    case STYLE_BAD:
        return "\033[31m";
    }
    return "";
}

/* Length of the valid, printable UTF-8 character at `text`, or 0. C1 controls and the marks that change the
 * direction of text count as invalid: they can make a terminal show something else than what is written. */
static size_t terminal_character(const unsigned char *text)
{
    if (text[0] >= 0x20 && text[0] < 0x7f)
        return 1;
    if (text[0] >= 0xc3 && text[0] <= 0xdf && (text[1] & 0xc0) == 0x80)
        return 2;
    if (text[0] == 0xc2 && text[1] >= 0xa0 && text[1] <= 0xbf)
        return 2;
    if ((text[0] & 0xf0) == 0xe0 && (text[1] & 0xc0) == 0x80 && (text[2] & 0xc0) == 0x80) {
        unsigned code = ((text[0] & 0x0fu) << 12) | ((text[1] & 0x3fu) << 6) | (text[2] & 0x3fu);
        bool turns = (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
                     (code >= 0x2066 && code <= 0x2069);
        bool is_valid = code >= 0x800 && (code < 0xd800 || code > 0xdfff);
        return is_valid && !turns ? 3 : 0;
    }
    if (text[0] >= 0xf0 && text[0] <= 0xf4 && (text[1] & 0xc0) == 0x80 && (text[2] & 0xc0) == 0x80 &&
        (text[3] & 0xc0) == 0x80)
        return 4;
    return 0;
}

void terminal_clean(const char *text, char *ret_clean, size_t clean_bytes)
{
    size_t used = 0;
    const unsigned char *next = (const unsigned char *)text;
    while (*next != '\0' && clean_bytes > 0) {
        size_t length = terminal_character(next);
        size_t copied = length == 0 ? 1 : length;
        if (used + copied + 1 > clean_bytes)
            break;
        if (length == 0)
            ret_clean[used] = '?';
        else
            memcpy(ret_clean + used, next, length);
        used += copied;
        next += copied;
    }
    if (clean_bytes > 0)
        ret_clean[used] = '\0';
}

void progress_start(struct progress *progress, const char *label)
{
    progress->label = label;
    progress->drawn_at = 0;
    progress->rich = terminal_is_rich(stderr);
}

void progress_set(struct progress *progress, double fraction, const char *note)
{
    int64_t now = clock_monotonic_ms();
    if (!progress->rich || (now - progress->drawn_at < PROGRESS_REDRAW_MS && fraction < 1.0))
        return;
    progress->drawn_at = now;
    double within = fraction < 0.0 ? 0.0 : fraction > 1.0 ? 1.0 : fraction;
    int filled = (int)(within * PROGRESS_BAR_CELLS);
    char bar[PROGRESS_BAR_CELLS + 1];
    for (int i = 0; i < PROGRESS_BAR_CELLS; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[PROGRESS_BAR_CELLS] = '\0';
    char clean[256];
    terminal_clean(note == NULL ? "" : note, clean, sizeof(clean));
    (void)fprintf(stderr, "\r\033[K%s [%s] %3d %% %s", progress->label, bar, (int)(within * 100.0), clean);
    (void)fflush(stderr);
}

void progress_end(struct progress *progress)
{
    if (progress->rich && progress->drawn_at != 0)
        (void)fprintf(stderr, "\r\033[K");
    progress->drawn_at = 0;
}

static int terminal_digits(uint64_t value)
{
    int digits = 1;
    while (value >= 10) {
        value /= 10;
        digits++;
    }
    return digits;
}

static int confusion_width(const uint64_t *counts, uint32_t classes)
{
    uint64_t largest = classes > 0 ? classes - 1 : 0;
    for (size_t i = 0; i < (size_t)classes * classes; i++)
        largest = counts[i] != WIRE_WITHHELD && counts[i] > largest ? counts[i] : largest;
    return terminal_digits(largest) + 1;
}

static void confusion_rows(FILE *stream, const uint64_t *counts, uint32_t classes, int width)
{
    for (uint32_t row = 0; row < classes; row++) {
        (void)fprintf(stream, "  %s%4u%s ", terminal_style(stream, STYLE_DIM), row,
                      terminal_style(stream, STYLE_PLAIN));
        for (uint32_t column = 0; column < classes; column++) {
            uint64_t count = counts[(size_t)row * classes + column];
            const char *start = terminal_style(stream, row == column ? STYLE_GOOD : STYLE_PLAIN);
            if (count == WIRE_WITHHELD)
                (void)fprintf(stream, "%s%*s%s", start, width, "-", terminal_style(stream, STYLE_PLAIN));
            else
                (void)fprintf(stream, "%s%*llu%s", start, width, (unsigned long long)count,
                              terminal_style(stream, STYLE_PLAIN));
        }
        (void)fputc('\n', stream);
    }
}

static void confusion_sums(FILE *stream, const uint64_t *counts, uint32_t classes)
{
    size_t cells = (size_t)classes * classes, withheld = 0;
    uint64_t total = counts[cells], correct = counts[cells + 1];
    for (size_t i = 0; i < cells; i++)
        withheld += counts[i] == WIRE_WITHHELD;
    if (withheld > 0)
        (void)fprintf(stream, "  -: withheld, as it or a count beside it is below a site's minimum\n");
    if (total == WIRE_WITHHELD)
        (void)fprintf(stream, "  How many rows these are is withheld.\n");
    else if (correct == WIRE_WITHHELD)
        (void)fprintf(stream, "  %llu rows; how many are right is withheld\n", (unsigned long long)total);
    else if (total > 0)
        (void)fprintf(stream, "  %llu of %llu right: %.4f\n", (unsigned long long)correct,
                      (unsigned long long)total, (double)correct / (double)total);
}

void terminal_confusion(FILE *stream, const char *title, const uint64_t *counts, uint32_t classes)
{
    int width = confusion_width(counts, classes);
    char clean[128];
    terminal_clean(title, clean, sizeof(clean));
    (void)fprintf(stream, "  %s (rows: true class, columns: predicted)\n       ", clean);
    for (uint32_t column = 0; column < classes; column++)
        (void)fprintf(stream, "%s%*u%s", terminal_style(stream, STYLE_DIM), width, column,
                      terminal_style(stream, STYLE_PLAIN));
    (void)fputc('\n', stream);
    confusion_rows(stream, counts, classes, width);
    confusion_sums(stream, counts, classes);
}
