#include "schemas/roster.h"

#include "schemas/site_config.h"

static struct error *roster_read_endpoint(const struct document_value *value, void *ret_field)
{
    struct error *err = NULL;
    const char *text = NULL;
    TRY(document_text(value, &text));
    struct error *reason = endpoint_check(text, false);
    if (reason != NULL)
        err = document_error(value, ERROR_INVALID, "is not an address. %s", reason->sentence);
    else
        memcpy(ret_field, text, strlen(text) + 1);
    error_clear(&reason);
done:
    return err;
}

static const struct document_key roster_keys[] = {
    {.key = "name", .type = DOCUMENT_TITLE, .required = true, DOCUMENT_INTO(struct job_site, name)},
    {.key = "fingerprint",
     .type = DOCUMENT_FINGERPRINT,
     .required = true,
     DOCUMENT_INTO(struct job_site, fingerprint)},
    {.key = "endpoint",
     .type = DOCUMENT_READER,
     .nullable = true,
     .read = roster_read_endpoint,
     DOCUMENT_INTO(struct job_site, endpoint)},
    {.key = "examples",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = UINT64_C(1) << 40,
     DOCUMENT_INTO(struct job_site, examples)},
    {0},
};

/* The element of `list` in which `key` stands, for the sentence about a node that resembles an earlier one.
 */
static struct error *roster_twice(const struct document_value *element, const char *key, size_t earlier)
{
    struct document_value value = *element;
    (void)document_find(element, key, &value);
    return document_error(&value, ERROR_INVALID, "is that of element %zu as well; each must differ.",
                          earlier + 1);
}

static struct error *roster_check(const struct document_value *element, const struct job_site *nodes,
                                  size_t index, bool dialled)
{
    const struct job_site *node = &nodes[index];
    if (dialled && node->endpoint[0] == '\0')
        return document_error(element, ERROR_INVALID,
                              "lacks the key endpoint, which must be tcp://HOST:PORT.");
    if (dialled && node->examples != 0)
        return document_error(element, ERROR_INVALID,
                              "has the key examples, which belongs to the sites of a job.");
    for (size_t i = 0; i < index; i++) {
        if (strcmp(nodes[i].name, node->name) == 0)
            return roster_twice(element, "name", i);
        if (strcmp(nodes[i].fingerprint, node->fingerprint) == 0)
            return roster_twice(element, "fingerprint", i);
    }
    return NULL;
}

struct error *roster_read(const struct document_value *list, size_t first, size_t last, bool dialled,
                          struct job_site **ret_nodes, size_t *ret_count)
{
    struct error *err = NULL;
    struct job_site *nodes = NULL;
    size_t count = 0;
    TRY(document_list(list, first, last, &count));
    if (count > 0) {
        nodes = calloc(count, sizeof(*nodes));
        if (nodes == NULL)
            FAIL(ERROR_MEMORY, "There is not enough memory for a list of %zu nodes.", count);
    }
    for (size_t i = 0; i < count; i++) {
        struct document_value element = document_element(list, i);
        TRY(document_read(&element, roster_keys, &nodes[i]));
        TRY(roster_check(&element, nodes, i, dialled));
    }
    *ret_nodes = nodes;
    *ret_count = count;
    nodes = NULL;
done:
    free(nodes);
    return err;
}
