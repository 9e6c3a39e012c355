#include "schemas/document.h"
#include "schemas/text.h"

#define INSERT_BOM_BYTES 3

/* What stands where in the text; all in bytes from its start. */
struct insertion {
    size_t at;        /* the new text goes here */
    size_t indent;    /* of its line; in characters, all of them blanks */
    bool flow;        /* behind a comma, in no line of its own */
    bool ends_open;   /* the last line has no end: one goes in front */
    char line_end[3]; /* as the file has them */
};

/* The byte that character number `index` of the text begins with. */
static size_t insert_byte_of(const char *text, size_t bytes, size_t index)
{
    size_t at = bytes >= INSERT_BOM_BYTES && memcmp(text, "\xef\xbb\xbf", INSERT_BOM_BYTES) == 0
                    ? INSERT_BOM_BYTES
                    : 0;
    for (; index > 0 && at < bytes; index--) {
        uint32_t point = 0;
        size_t length = text_character(text + at, bytes - at, &point);
        at += length == 0 ? 1 : length;
    }
    return at;
}

static bool insert_breaks(char c)
{
    return c == '\n' || c == '\r';
}

/* The line end at `at`, which is one. */
static size_t insert_take_break(const char *text, size_t bytes, size_t at, char ret_end[static 3])
{
    size_t length = text[at] == '\r' && at + 1 < bytes && text[at + 1] == '\n' ? 2 : 1;
    memcpy(ret_end, text + at, length);
    ret_end[length] = '\0';
    return at + length;
}

/* Behind the line that the value ends in, whatever comment follows it there. */
static void insert_find_line(const char *text, size_t bytes, struct insertion *insertion)
{
    size_t at = insertion->at;
    while (at < bytes && !insert_breaks(text[at]))
        at++;
    insertion->ends_open = at == bytes;
    if (at < bytes) {
        insertion->at = insert_take_break(text, bytes, at, insertion->line_end);
        return;
    }
    insertion->at = bytes;
    (void)snprintf(insertion->line_end, sizeof insertion->line_end, "\n");
    for (size_t i = 0; i < bytes; i++)
        if (insert_breaks(text[i])) {
            (void)insert_take_break(text, bytes, i, insertion->line_end);
            break;
        }
}

static struct error *insert_plan(const char *text, size_t bytes, size_t limit, const char *where,
                                 const char *beside, struct insertion *ret_insertion)
{
    struct error *err = NULL;
    struct document *document = NULL;
    struct document_value value, mapping;
    char outer[DOCUMENT_PATH_BYTES];
    const char *dot = strrchr(beside, '.');
    TRY(document_parse(text, bytes, limit, where, &document));
    mapping = document_root(document);
    if (!document_find(&mapping, beside, &value) || document_scalar(&value, false) == NULL)
        FAIL(ERROR_INVALID, "%s has no value of %s.", where, beside);
    (void)snprintf(outer, sizeof outer, "%.*s", dot == NULL ? 0 : (int)(dot - beside), beside);
    if (dot != NULL)
        (void)document_find(&mapping, outer, &mapping);
    struct document_place inner = document_place(&value), around = document_place(&mapping);
    *ret_insertion = (struct insertion){
        .at = insert_byte_of(text, bytes, inner.to), .indent = around.column, .flow = around.flow};
    if (!around.flow)
        insert_find_line(text, bytes, ret_insertion);
done:
    document_free(document);
    return err;
}

static struct error *insert_write(const char *text, size_t bytes, const struct insertion *insertion,
                                  const char *key, const char *value, char **ret_text, size_t *ret_bytes)
{
    char *made = NULL;
    int indent = (int)insertion->indent, wrote = -1;
    int before = (int)insertion->at, after = (int)(bytes - insertion->at);
    if (insertion->flow)
        wrote = asprintf(&made, "%.*s, %s: %s%.*s", before, text, key, value, after, text + insertion->at);
    else
        wrote = asprintf(&made, "%.*s%s%*s%s: %s%s%.*s", before, text,
                         insertion->ends_open ? insertion->line_end : "", indent, "", key, value,
                         insertion->ends_open ? "" : insertion->line_end, after, text + insertion->at);
    if (wrote < 0)
        return error_new(ERROR_MEMORY, "There is not enough memory to add %s.", key);
    *ret_text = made;
    *ret_bytes = (size_t)wrote;
    return NULL;
}

/* A text that looks right and reads otherwise is worse than none. */
static struct error *insert_check(const char *text, size_t bytes, size_t limit, const char *where,
                                  const char *beside, const char *key, const char *value)
{
    struct error *err = NULL;
    struct document *document = NULL;
    struct document_value found;
    char path[2 * DOCUMENT_PATH_BYTES];
    const char *dot = strrchr(beside, '.');
    const char *said = NULL;
    (void)snprintf(path, sizeof path, "%.*s%s", dot == NULL ? 0 : (int)(dot - beside) + 1, beside, key);
    TRY(document_parse(text, bytes, limit, where, &document));
    struct document_value root = document_root(document);
    if (document_find(&root, path, &found))
        said = document_scalar(&found, true);
    if (said == NULL || strcmp(said, value) != 0)
        FAIL(ERROR_INVALID, "%s: it does not read as it should afterwards.", where);
done:
    document_free(document);
    return err;
}

struct error *document_insert(const char *text, size_t bytes, size_t limit, const char *where,
                              const char *beside, const char *key, const char *value, char **ret_text,
                              size_t *ret_bytes)
{
    struct error *err = NULL;
    struct insertion insertion;
    char *made = NULL;
    size_t count = 0;
    TRY(insert_plan(text, bytes, limit, where, beside, &insertion));
    TRY(insert_write(text, bytes, &insertion, key, value, &made, &count));
    err = insert_check(made, count, limit, where, beside, key, value);
    if (err != NULL) {
        struct error *said =
            error_new(err->code, "%s: %s: %s could not be added beside %s; add it there yourself. (%s)",
                      where, key, value, beside, err->sentence);
        error_free(err);
        err = said;
        goto done;
    }
    *ret_text = made;
    *ret_bytes = count;
    made = NULL;
done:
    free(made);
    return err;
}
