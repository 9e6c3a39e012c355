#include "schemas/document.h"

#include "schemas/document_scan.h"
#include "schemas/number.h"
#include "schemas/text.h"

#include <stdarg.h>
#include <yaml.h>

#define DOCUMENT_WHERE_BYTES 256

struct document {
    yaml_document_t yaml;
    bool loaded;
    char where[DOCUMENT_WHERE_BYTES];
};

static yaml_node_t *document_node(const struct document_value *value)
{
    /* The library's accessors want a document that they may write to, and do not write. */
    return yaml_document_get_node((yaml_document_t *)(uintptr_t)&value->document->yaml, value->node);
}

static const char *document_node_text(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

static struct document_value document_child(const struct document_value *parent, int node, const char *name)
{
    struct document_value child = {.document = parent->document, .node = node};
    const char *dot = parent->path[0] == '\0' || name[0] == '[' ? "" : ".";
    size_t at = 0;
    const char *parts[] = {parent->path, dot, name};
    for (size_t i = 0; i < 3; i++) {
        size_t length = strlen(parts[i]);
        if (at + length >= sizeof(child.path))
            break; /* a path too long for a sentence ends early */
        memcpy(child.path + at, parts[i], length);
        at += length;
    }
    child.path[at] = '\0';
    return child;
}

struct error *document_error(const struct document_value *value, enum error_code code, const char *format,
                             ...)
{
    char rest[ERROR_SENTENCE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(rest, sizeof(rest), format, arguments);
    va_end(arguments);
    const yaml_mark_t *mark = &document_node(value)->start_mark;
    return error_new(code, "%s:%zu:%zu: %s %s", value->document->where, mark->line + 1, mark->column + 1,
                     value->path[0] == '\0' ? "the file" : value->path, rest);
}

struct document_value document_root(const struct document *document)
{
    struct document_value root = {.document = document, .node = 1};
    return root;
}

size_t document_pairs(const struct document_value *mapping)
{
    const yaml_node_t *node = document_node(mapping);
    return (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
}

const char *document_pair(const struct document_value *mapping, size_t index, struct document_value *ret_key,
                          struct document_value *ret_value)
{
    const yaml_node_pair_t *pair = document_node(mapping)->data.mapping.pairs.start + index;
    struct document_value key = {.document = mapping->document, .node = pair->key};
    const char *name = document_node_text(document_node(&key));
    *ret_key = document_child(mapping, pair->key, name);
    *ret_value = document_child(mapping, pair->value, name);
    return name;
}

/* Keys must be texts and differ, so that which of two values holds is never a question. */
static struct error *document_check_mapping(const struct document_value *mapping)
{
    struct error *err = NULL;
    size_t count = document_pairs(mapping);
    const yaml_node_pair_t *pairs = document_node(mapping)->data.mapping.pairs.start;
    if (count > DOCUMENT_MAX_KEYS)
        return document_error(mapping, ERROR_INVALID, "has %zu keys here; at most %d are read.", count,
                              DOCUMENT_MAX_KEYS);
    for (size_t i = 0; i < count; i++) {
        struct document_value key = {.document = mapping->document, .node = pairs[i].key};
        const yaml_node_t *node = document_node(&key);
        if (node->type != YAML_SCALAR_NODE)
            return document_error(&key, ERROR_INVALID, "has a key here that is not a word.");
        for (size_t k = 0; k < i; k++) {
            struct document_value earlier = {.document = mapping->document, .node = pairs[k].key};
            const yaml_node_t *first = document_node(&earlier);
            if (strcmp(document_node_text(first), document_node_text(node)) == 0) {
                key = document_child(mapping, pairs[i].key, document_node_text(node));
                return document_error(&key, ERROR_INVALID, "is given twice; the first is in line %zu.",
                                      first->start_mark.line + 1);
            }
        }
    }
    return err;
}

static struct error *document_check(const struct document *document)
{
    struct error *err = NULL;
    int count = (int)(document->yaml.nodes.top - document->yaml.nodes.start);
    for (int i = 1; i <= count; i++) {
        struct document_value value = {.document = document, .node = i};
        if (document_node(&value)->type == YAML_MAPPING_NODE)
            TRY(document_check_mapping(&value));
    }
done:
    return err;
}

static struct error *document_load(struct document *document, const char *text, size_t bytes)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return error_new(ERROR_MEMORY, "There is not enough memory to read %s.", document->where);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, bytes);
    document->loaded = yaml_parser_load(&parser, &document->yaml) == 1;
    yaml_parser_delete(&parser);
    if (!document->loaded)
        return error_new(ERROR_MEMORY, "There is not enough memory to read %s.", document->where);
    return NULL;
}

struct error *document_parse(const char *text, size_t bytes, size_t limit, const char *where,
                             struct document **ret_document)
{
    struct error *err = NULL;
    struct document *document = NULL;
    if (bytes > limit)
        FAIL(ERROR_LIMIT, "%s has %zu bytes; at most %zu are allowed.", where, bytes, limit);
    /* libyaml would take it for the first character of a key. */
    if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        bytes -= 3;
    }
    TRY(document_scan(text, bytes, where));
    document = calloc(1, sizeof(*document));
    if (document == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to read %s.", where);
    (void)snprintf(document->where, sizeof(document->where), "%s", where);
    TRY(document_load(document, text, bytes));
    TRY(document_check(document));
    *ret_document = document;
    document = NULL;
done:
    document_free(document);
    return err;
}

void document_free(struct document *document)
{
    if (document == NULL)
        return;
    if (document->loaded)
        yaml_document_delete(&document->yaml);
    free(document);
}

static bool document_find_one(const struct document_value *mapping, const char *name, size_t length,
                              struct document_value *ret_value)
{
    if (!document_is_mapping(mapping))
        return false;
    for (size_t i = 0; i < document_pairs(mapping); i++) {
        struct document_value key;
        struct document_value value;
        const char *word = document_pair(mapping, i, &key, &value);
        if (strlen(word) == length && memcmp(word, name, length) == 0) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

bool document_find(const struct document_value *mapping, const char *path, struct document_value *ret_value)
{
    struct document_value at = *mapping;
    for (;;) {
        size_t length = strcspn(path, ".");
        if (!document_find_one(&at, path, length, &at))
            return false;
        if (path[length] == '\0')
            break;
        path += length + 1;
    }
    *ret_value = at;
    return true;
}

struct error *document_list(const struct document_value *value, size_t first, size_t last, size_t *ret_count)
{
    const yaml_node_t *node = document_node(value);
    if (node->type != YAML_SEQUENCE_NODE)
        return document_error(value, ERROR_INVALID, "must be a list.");
    size_t count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    if (count < first || count > last)
        return document_error(value, ERROR_INVALID, "must be a list of %zu to %zu elements; it has %zu.",
                              first, last, count);
    *ret_count = count;
    return NULL;
}

struct document_value document_element(const struct document_value *list, size_t index)
{
    char name[24];
    (void)snprintf(name, sizeof(name), "[%zu]", index + 1);
    return document_child(list, document_node(list)->data.sequence.items.start[index], name);
}

const char *document_scalar(const struct document_value *value, bool plain)
{
    const yaml_node_t *node = document_node(value);
    if (node->type != YAML_SCALAR_NODE)
        return NULL;
    if (plain && node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return NULL;
    return document_node_text(node);
}

struct document_place document_place(const struct document_value *value)
{
    const yaml_node_t *node = document_node(value);
    return (struct document_place){.from = node->start_mark.index,
                                   .to = node->end_mark.index,
                                   .column = node->start_mark.column,
                                   .flow = node->type == YAML_MAPPING_NODE &&
                                           node->data.mapping.style == YAML_FLOW_MAPPING_STYLE};
}

bool document_is_null(const struct document_value *value)
{
    const char *text = document_scalar(value, true);
    return text != NULL && (strcmp(text, "null") == 0 || strcmp(text, "~") == 0);
}

bool document_is_mapping(const struct document_value *value)
{
    return document_node(value)->type == YAML_MAPPING_NODE;
}

struct error *document_text(const struct document_value *value, const char **ret_text)
{
    static const char *const other[] = {"", "~", "null", "Null", "NULL", "true", "false"};
    const char *text = document_scalar(value, false);
    if (text == NULL)
        return document_error(value, ERROR_INVALID, "must be text.");
    if (document_scalar(value, true) != NULL) {
        bool is_other = number_form(text);
        for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
            is_other = is_other || strcmp(text, other[i]) == 0;
        if (is_other)
            return document_error(value, ERROR_INVALID,
                                  "must be text; put it in double quotes if it is meant so.");
    }
    *ret_text = text;
    return NULL;
}

struct error *document_boolean(const struct document_value *value, bool *ret_boolean)
{
    const char *text = document_scalar(value, true);
    if (text == NULL || (strcmp(text, "true") != 0 && strcmp(text, "false") != 0))
        return document_error(value, ERROR_INVALID, "must be true or false.");
    *ret_boolean = text[0] == 't';
    return NULL;
}
