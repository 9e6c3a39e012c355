#include "schemas/document_scan.h"

#include "schemas/document.h"
#include "schemas/text.h"

#include <yaml.h>

static struct error *document_scan_error(const char *where, size_t line, size_t column, const char *what)
{
    return error_new(ERROR_INVALID, "%s:%zu:%zu: %s", where, line + 1, column + 1, what);
}

static const char *document_scan_byte(const char *text, size_t at, size_t length, uint32_t point)
{
    if (length == 0)
        return at == 0 && (uint8_t)text[0] >= 0xfe ? "the file must be UTF-8 text; this looks like UTF-16."
                                                   : "the file must be UTF-8 text; this byte is not.";
    if (point == 0)
        return "the file must be text; a NUL byte is here.";
    return "a control or direction character is here; the file must show what it says.";
}

static struct error *document_scan_bytes(const char *text, size_t bytes, const char *where)
{
    size_t line = 0;
    size_t column = 0;
    size_t at = 0;
    while (at < bytes) {
        uint32_t point = 0;
        size_t length = text_character(text + at, bytes - at, &point);
        bool blank = length == 1 && (point == '\t' || point == '\n' || point == '\r');
        if (length == 0 || (!blank && !text_character_printable(point)))
            return document_scan_error(where, line, column, document_scan_byte(text, at, length, point));
        bool half_of_crlf = point == '\r' && at + 1 < bytes && text[at + 1] == '\n';
        if (point == '\n' || (point == '\r' && !half_of_crlf)) {
            line++;
            column = 0;
        } else {
            column++;
        }
        at += length;
    }
    return NULL;
}

/* Whether the character number `index` of the text is a tab. */
static bool document_scan_tab(const char *text, size_t bytes, size_t index)
{
    size_t at = 0;
    while (at < bytes && index > 0) {
        uint32_t point = 0;
        size_t length = text_character(text + at, bytes - at, &point);
        at += length == 0 ? 1 : length;
        index--;
    }
    return at < bytes && text[at] == '\t';
}

static struct error *document_scan_syntax(const yaml_parser_t *parser, const char *text, size_t bytes,
                                          const char *where)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return error_new(ERROR_MEMORY, "There is not enough memory to read %s.", where);
    const yaml_mark_t *mark = &parser->problem_mark;
    if (document_scan_tab(text, bytes, mark->index))
        return document_scan_error(where, mark->line, mark->column, "a tab cannot indent here; use spaces.");
    return error_new(ERROR_INVALID, "%s:%zu:%zu: this is not well-formed YAML: %s.", where, mark->line + 1,
                     mark->column + 1, parser->problem != NULL ? parser->problem : "it cannot be read");
}

struct document_scan {
    const char *where;
    size_t documents, depth, nodes;
};

static const char *document_scan_node(struct document_scan *scan, const yaml_char_t *anchor,
                                      const yaml_char_t *tag)
{
    if (++scan->nodes > DOCUMENT_MAX_NODES)
        return "the file holds too many values; at most 20000 are read.";
    if (anchor != NULL)
        return "anchors (&) are not read here; write the value out.";
    if (tag != NULL)
        return "tags (!) are not read here; leave them away.";
    return NULL;
}

static const char *document_scan_deeper(struct document_scan *scan)
{
    return ++scan->depth > DOCUMENT_MAX_DEPTH ? "the values are nested too deeply; at most 8 levels are read."
                                              : NULL;
}

static const char *document_scan_start(struct document_scan *scan, const yaml_event_t *event)
{
    if (++scan->documents > 1)
        return "a second document begins here; a file holds one.";
    bool tags =
        event->data.document_start.tag_directives.start != event->data.document_start.tag_directives.end;
    if (event->data.document_start.version_directive != NULL || tags)
        return "directives (%) are not read here; leave them away.";
    return NULL;
}

static const char *document_scan_scalar(struct document_scan *scan, const yaml_event_t *event)
{
    const char *what = document_scan_node(scan, event->data.scalar.anchor, event->data.scalar.tag);
    if (what != NULL)
        return what;
    if (!text_printable((const char *)event->data.scalar.value, event->data.scalar.length))
        return "this text holds a line end, a control or a direction character; none may be in a value.";
    return NULL;
}

/* The sentence's rest when the event is refused, else NULL. */
static const char *document_scan_event(struct document_scan *scan, const yaml_event_t *event)
{
    const char *what = NULL;
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return document_scan_start(scan, event);
    case YAML_ALIAS_EVENT:
        return "aliases (*) are not read here; write the value out.";
    case YAML_SCALAR_EVENT:
        return document_scan_scalar(scan, event);
    case YAML_SEQUENCE_START_EVENT:
        what = document_scan_node(scan, event->data.sequence_start.anchor, event->data.sequence_start.tag);
        return what != NULL ? what : document_scan_deeper(scan);
    case YAML_MAPPING_START_EVENT:
        what = document_scan_node(scan, event->data.mapping_start.anchor, event->data.mapping_start.tag);
        return what != NULL ? what : document_scan_deeper(scan);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        scan->depth--;
        return NULL;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return NULL;
    }
    return NULL;
}

static struct error *document_scan_events(yaml_parser_t *parser, const char *text, size_t bytes,
                                          const char *where)
{
    struct document_scan scan = {.where = where};
    for (bool more = true; more;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return document_scan_syntax(parser, text, bytes, where);
        const char *what = document_scan_event(&scan, &event);
        size_t line = event.start_mark.line;
        size_t column = event.start_mark.column;
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (what != NULL)
            return document_scan_error(where, line, column, what);
    }
    if (scan.documents == 0)
        return document_scan_error(where, 0, 0, "the file is empty.");
    return NULL;
}

struct error *document_scan(const char *text, size_t bytes, const char *where)
{
    struct error *err = document_scan_bytes(text, bytes, where);
    if (err != NULL)
        return err;
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return error_new(ERROR_MEMORY, "There is not enough memory to read %s.", where);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, bytes);
    err = document_scan_events(&parser, text, bytes, where);
    yaml_parser_delete(&parser);
    return err;
}
