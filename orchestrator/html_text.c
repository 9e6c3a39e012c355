#include "orchestrator/html.h"

#include "schemas/text.h"

#include <math.h>

static const char *html_entity(char character)
{
    switch (character) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void html_escape_bytes(FILE *stream, const char *text, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        uint32_t point = 0;
        size_t length = text_character(text + at, bytes - at, &point);
        const char *entity = html_entity(text[at]);
        if (entity != NULL)
            (void)fputs(entity, stream);
        else if (length > 0 && (point == '\n' || point == '\t' || text_character_printable(point)))
            (void)fwrite(text + at, 1, length, stream);
        else
            (void)fputc('?', stream);
        at += length == 0 ? 1 : length;
    }
}

void html_escape(FILE *stream, const char *text)
{
    html_escape_bytes(stream, text, strlen(text));
}

void html_escape_json(FILE *stream, const char *json, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (json[i] == '<' || json[i] == '>' || json[i] == '&')
            (void)fprintf(stream, "\\u%04x", (unsigned)json[i]);
        else
            (void)fputc(json[i], stream);
    }
}

void html_count(FILE *stream, uint64_t count)
{
    char digits[24];
    if (count == WIRE_WITHHELD) {
        (void)fputs("–", stream);
        return;
    }
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            (void)fputc(',', stream);
        (void)fputc(digits[i], stream);
    }
}

void html_parameters(FILE *stream, const struct run_record *record)
{
    if (record->features == 0)
        return;
    (void)fputs(" (", stream);
    html_count(stream, run_record_parameters(record));
    (void)fputs(" numbers)", stream);
}

void html_accuracy(FILE *stream, double accuracy)
{
    if (isnan(accuracy))
        (void)fputs("<span class=\"muted\">not released</span>", stream);
    else
        (void)fprintf(stream, "%.2f&nbsp;%%", 100 * accuracy);
}

void html_share(FILE *stream, uint64_t part, uint64_t whole)
{
    if (whole == 0 || whole == WIRE_WITHHELD || part == WIRE_WITHHELD)
        (void)fputs("–", stream);
    else
        (void)fprintf(stream, "%.1f %%", 100 * (double)part / (double)whole);
}
