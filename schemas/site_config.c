#include "schemas/site_config.h"

#include "schemas/document.h"
#include "schemas/files.h"
#include "schemas/roster.h"
#include "schemas/text.h"

#include <libgen.h>

#define NODE_CONFIG_MAX_BYTES (256 * 1024)
#define NODE_CONFIG_MAX_DIAL 100

/* --- Reading --- */

static struct error *node_config_read_endpoint(const struct document_value *value, bool listening,
                                               void *ret_field)
{
    struct error *err = NULL;
    const char *text = NULL;
    TRY(document_text(value, &text));
    struct error *reason = endpoint_check(text, listening);
    if (reason != NULL)
        err = document_error(value, ERROR_INVALID, "is not an address. %s", reason->sentence);
    else
        memcpy(ret_field, text, strlen(text) + 1);
    error_clear(&reason);
done:
    return err;
}

static struct error *node_config_read_listen(const struct document_value *value, void *ret_field)
{
    return node_config_read_endpoint(value, true, ret_field);
}

static struct error *node_config_read_advertise(const struct document_value *value, void *ret_field)
{
    return node_config_read_endpoint(value, false, ret_field);
}

static struct error *node_config_read_dial(const struct document_value *value, void *ret_config)
{
    struct node_config *config = ret_config;
    return roster_read(value, 0, NODE_CONFIG_MAX_DIAL, true, &config->dial, &config->dial_count);
}

static const struct document_key node_config_trust_keys[] = {
    {.key = "ca", .type = DOCUMENT_TEXT, .nullable = true, DOCUMENT_INTO(struct node_config, ca_file)},
    {.key = "crl", .type = DOCUMENT_TEXT, .nullable = true, DOCUMENT_INTO(struct node_config, crl_file)},
    {0},
};

#define NODE_CONFIG_KEYS                                                                                     \
    {.key = "name", .type = DOCUMENT_TITLE, .required = true, DOCUMENT_INTO(struct node_config, name)},      \
        {.key = "listen",                                                                                    \
         .type = DOCUMENT_READER,                                                                            \
         .nullable = true,                                                                                   \
         .read = node_config_read_listen,                                                                    \
         DOCUMENT_INTO(struct node_config, listen)},                                                         \
        {.key = "advertise",                                                                                 \
         .type = DOCUMENT_READER,                                                                            \
         .nullable = true,                                                                                   \
         .read = node_config_read_advertise,                                                                 \
         DOCUMENT_INTO(struct node_config, advertise)},                                                      \
    {                                                                                                        \
        .key = "trust", .type = DOCUMENT_MAPPING, .nullable = true, .keys = node_config_trust_keys           \
    }

static const struct document_key node_config_orchestrator_keys[] = {
    NODE_CONFIG_KEYS,
    {0},
};

static const struct document_key node_config_datasite_keys[] = {
    NODE_CONFIG_KEYS,
    {.key = "threads",
     .type = DOCUMENT_COUNT,
     .first = 1,
     .last = 256,
     DOCUMENT_INTO(struct node_config, threads)},
    {.key = "dial",
     .type = DOCUMENT_READER,
     .nullable = true,
     .read = node_config_read_dial,
     .offset = 0,
     .bytes = sizeof(struct node_config)},
    {0},
};

static const struct document_key *node_config_keys(enum node_kind kind)
{
    switch (kind) {
    case NODE_DATASITE:
        return node_config_datasite_keys;
    case NODE_ORCHESTRATOR:
        return node_config_orchestrator_keys;
    }
    return node_config_datasite_keys;
}

/* Makes the path of a file that the configuration names independent of the working directory. */
static struct error *node_config_anchor(const char *directory, char path[static JOB_PATH_BYTES])
{
    struct error *err = NULL;
    char *joined = NULL;
    if (path[0] == '\0' || path[0] == '/')
        goto done;
    TRY(path_join(directory, path, &joined));
    if (strlen(joined) >= JOB_PATH_BYTES)
        FAIL(ERROR_LIMIT, "The path %s is longer than %d bytes.", joined, JOB_PATH_BYTES - 1);
    memcpy(path, joined, strlen(joined) + 1);
done:
    free(joined);
    return err;
}

static struct error *node_config_anchor_all(const char *path, struct node_config *config)
{
    struct error *err = NULL;
    char *directory = NULL;
    char *copy = strdup(path);
    if (copy == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to read %s.", path);
    directory = realpath(dirname(copy), NULL);
    if (directory == NULL)
        FAIL(ERROR_IO, "The directory of %s cannot be found.", path);
    TRY(node_config_anchor(directory, config->ca_file));
    TRY(node_config_anchor(directory, config->crl_file));
done:
    free(directory);
    free(copy);
    return err;
}

static struct error *node_config_check(const struct document_value *root, const struct node_config *config)
{
    struct document_value value;
    if (config->crl_file[0] != '\0' && config->ca_file[0] == '\0' && document_find(root, "trust.crl", &value))
        return document_error(&value, ERROR_INVALID,
                              "needs trust.ca: a revocation list is that of an authority.");
    return NULL;
}

struct error *node_config_load(const char *path, enum node_kind kind, struct node_config **ret_config)
{
    struct error *err = NULL;
    uint8_t *text = NULL;
    size_t bytes = 0;
    struct document *document = NULL;
    struct node_config *config = NULL;
    TRY(file_read(path, NODE_CONFIG_MAX_BYTES, &text, &bytes));
    TRY(document_parse((const char *)text, bytes, NODE_CONFIG_MAX_BYTES, path, &document));
    config = calloc(1, sizeof(*config));
    if (config == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to read %s.", path);
    config->threads = 1;
    struct document_value root = document_root(document);
    TRY(document_read(&root, node_config_keys(kind), config));
    TRY(node_config_check(&root, config));
    TRY(node_config_anchor_all(path, config));
    *ret_config = config;
    config = NULL;
done:
    node_config_free(config);
    document_free(document);
    free(text);
    return err;
}

void node_config_free(struct node_config *config)
{
    if (config == NULL)
        return;
    free(config->dial);
    free(config);
}

/* --- Writing --- */

/* A double-quoted scalar; the text is printable, so only the quote and the backslash need an escape. */
static void node_config_quote(const char *text, char ret_quoted[static 2 * JOB_ENDPOINT_BYTES])
{
    size_t at = 0;
    ret_quoted[at++] = '"';
    for (; *text != '\0' && at < 2 * JOB_ENDPOINT_BYTES - 4; text++) {
        if (*text == '"' || *text == '\\')
            ret_quoted[at++] = '\\';
        ret_quoted[at++] = *text;
    }
    ret_quoted[at++] = '"';
    ret_quoted[at] = '\0';
}

static void node_config_quote_or_null(const char *text, char ret_quoted[static 2 * JOB_ENDPOINT_BYTES])
{
    if (text == NULL || text[0] == '\0')
        memcpy(ret_quoted, "null", sizeof("null"));
    else
        node_config_quote(text, ret_quoted);
}

static struct error *node_config_check_given(const char *name, const char *listen, const char *advertise)
{
    struct error *err = NULL;
    if (!text_title(name, JOB_SITE_NAME_BYTES - 1))
        FAIL(ERROR_INVALID,
             "A node's name must be 1 to %d bytes of printable text without blanks at its ends.",
             JOB_SITE_NAME_BYTES - 1);
    if (listen != NULL && listen[0] != '\0')
        TRY(endpoint_check(listen, true));
    if (advertise != NULL && advertise[0] != '\0')
        TRY(endpoint_check(advertise, false));
done:
    return err;
}

static const char node_config_datasite_rest[] =
    "\n"
    "# Processor threads for training.\n"
    "threads: 1\n"
    "\n"
    "# Nodes whose certificate this authority signed may connect; fingerprints are trusted one by one with\n"
    "# `datasite trust add LINE`. PEM files, relative to this file.\n"
    "trust:\n"
    "  ca: null\n"
    "  crl: null               # the authority's revocation list\n"
    "\n"
    "# Orchestrators to dial out to, when this site cannot be reached from outside:\n"
    "#   - {name: researcher, endpoint: \"tcp://host.example.org:54870\", fingerprint: \"sha256:...\"}\n"
    "dial: []\n";

static const char node_config_orchestrator_rest[] =
    "\n"
    "# Sites whose certificate this authority signed are accepted; others are known by `orchestrator sites "
    "add LINE`.\n"
    "# PEM files, relative to this file.\n"
    "trust:\n"
    "  ca: null\n"
    "  crl: null               # the authority's revocation list\n";

struct error *node_config_text(enum node_kind kind, const char *name, const char *listen,
                               const char *advertise, char **ret_text)
{
    struct error *err = NULL;
    char quoted_name[2 * JOB_ENDPOINT_BYTES];
    char quoted_listen[2 * JOB_ENDPOINT_BYTES];
    char quoted_advertise[2 * JOB_ENDPOINT_BYTES];
    bool site = kind == NODE_DATASITE;
    char *text = NULL;
    TRY(node_config_check_given(name, listen, advertise));
    node_config_quote(name, quoted_name);
    node_config_quote_or_null(listen, quoted_listen);
    node_config_quote_or_null(advertise, quoted_advertise);
    if (asprintf(&text,
                 "# %s: who this node is and whom it talks to. Read when the program starts and on SIGHUP.\n"
                 "name: %s\n"
                 "\n"
                 "# Where it listens: tcp://HOST:PORT, or null when it only dials out.\n"
                 "listen: %s\n"
                 "# The address that others are told (`%s invite`); null: the same as listen.\n"
                 "advertise: %s\n"
                 "%s",
                 site ? "site.yaml" : "orchestrator.yaml", quoted_name, quoted_listen,
                 site ? "datasite" : "orchestrator", quoted_advertise,
                 site ? node_config_datasite_rest : node_config_orchestrator_rest) < 0)
        FAIL(ERROR_MEMORY, "There is not enough memory for the configuration of a node.");
    *ret_text = text;
done:
    return err;
}
