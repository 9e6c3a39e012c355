#include "console/terminal.h"
#include "orchestrator/commands.h"
#include "schemas/invitation.h"

#include <errno.h>
#include <jansson.h>

extern const struct verb verb_sites, verb_sites_list, verb_sites_add, verb_sites_remove;

#define LINE_BYTES_MAX 2048

static bool sites_as_json;

static const struct option *list_options(void)
{
    static const struct option options[] = {
        {.name = "json", .kind = OPTION_FLAG, .target = &sites_as_json, .help = "as JSON"},
        {0},
    };
    return options;
}

static struct error *print_json(const struct orchestrator *orchestrator)
{
    struct error *err = NULL;
    struct orchestrator_site site;
    json_t *all = NULL;
    json_t *list = json_array();
    for (size_t i = 0; orchestrator_site_at(orchestrator, i, &site) == 0; i++) {
        json_t *entry =
            json_pack("{s:s, s:s*, s:s}", "name", site.name, "endpoint",
                      site.endpoint[0] == '\0' ? NULL : site.endpoint, "fingerprint", site.fingerprint);
        if (entry == NULL || json_array_append_new(list, entry) != 0)
            FAIL(ERROR_MEMORY, "There is not enough memory for the list of sites.");
    }
    all = json_pack("{s:i, s:O}", "version", 1, "sites", list);
    if (all == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the list of sites.");
    (void)json_dumpf(all, stdout, JSON_INDENT(2));
    (void)putchar('\n');
done:
    json_decref(all);
    json_decref(list);
    return err;
}

static struct error *print_table(const struct orchestrator *orchestrator)
{
    struct error *err = NULL;
    struct orchestrator_site site;
    struct table *table = NULL;
    static const char *const headers[] = {"Name", "Endpoint", "Fingerprint"};
    if (orchestrator_site_count(orchestrator) == 0) {
        (void)printf("No sites are known. Add one with: orchestrator sites add LINE\n");
        goto done;
    }
    TRY(table_new(headers, 3, &table));
    for (size_t i = 0; orchestrator_site_at(orchestrator, i, &site) == 0; i++) {
        const char *const cells[] = {site.name, site.endpoint[0] == '\0' ? "(dials in)" : site.endpoint,
                                     site.fingerprint};
        TRY(table_row(table, cells));
    }
    table_print(table, stdout);
done:
    table_free(table);
    return err;
}

static struct error *list_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct orchestrator *orchestrator = NULL;
    struct orchestrator_failure failure;
    if (orchestrator_open(invocation->home, &orchestrator, &failure) != 0)
        return command_failed(&failure);
    err = sites_as_json ? print_json(orchestrator) : print_table(orchestrator);
    orchestrator_close(orchestrator);
    return err;
}

static struct error *read_line(char **ret_line)
{
    char line[LINE_BYTES_MAX];
    if (fgets(line, sizeof line, stdin) == NULL)
        return error_new(ERROR_USAGE,
                         "Nothing was read from standard input; it wants the line that `datasite "
                         "invite` prints.");
    *ret_line = strdup(line);
    return *ret_line == NULL ? error_new(ERROR_MEMORY, "There is not enough memory.") : NULL;
}

/* The shell took the quotes away: four words of which the second is the name. */
static struct error *quote_again(const char *const *words, char **ret_line)
{
    struct invitation invitation = {.kind = NODE_DATASITE};
    const char *endpoint = strcmp(words[2], "-") == 0 ? "" : words[2];
    if (strlen(words[1]) >= sizeof invitation.node.name ||
        strlen(endpoint) >= sizeof invitation.node.endpoint ||
        strlen(words[3]) >= sizeof invitation.node.fingerprint || strcmp(words[0], "datasite") != 0)
        return error_new(ERROR_INVALID,
                         "These four words are not the line that `datasite invite` prints; give it "
                         "in single quotes.");
    (void)snprintf(invitation.node.name, sizeof invitation.node.name, "%s", words[1]);
    (void)snprintf(invitation.node.endpoint, sizeof invitation.node.endpoint, "%s", endpoint);
    (void)snprintf(invitation.node.fingerprint, sizeof invitation.node.fingerprint, "%s", words[3]);
    return invitation_format(&invitation, ret_line);
}

static struct error *join(const struct invocation *invocation, char **ret_line)
{
    char line[LINE_BYTES_MAX];
    size_t used = 0;
    for (int i = 0; i < invocation->argument_count; i++) {
        int wrote =
            snprintf(line + used, sizeof line - used, "%s%s", i == 0 ? "" : " ", invocation->arguments[i]);
        if (wrote < 0 || (size_t)wrote >= sizeof line - used)
            return error_new(ERROR_INVALID, "The line is longer than any that `datasite invite` prints.");
        used += (size_t)wrote;
    }
    *ret_line = strdup(line);
    return *ret_line == NULL ? error_new(ERROR_MEMORY, "There is not enough memory.") : NULL;
}

static struct error *given_line(const struct invocation *invocation, char **ret_line)
{
    if (invocation->argument_count == 1 && strcmp(invocation->arguments[0], "-") == 0)
        return read_line(ret_line);
    if (invocation->argument_count == 4 && invocation->arguments[1][0] != '"')
        return quote_again(invocation->arguments, ret_line);
    return join(invocation, ret_line);
}

static struct error *add_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct orchestrator *orchestrator = NULL;
    struct orchestrator_failure failure;
    const char *change = "";
    char *line = NULL;
    TRY(given_line(invocation, &line));
    if (orchestrator_open(invocation->home, &orchestrator, &failure) != 0 ||
        orchestrator_site_add(orchestrator, line, &change, &failure) != 0) {
        err = command_failed(&failure);
        goto done;
    }
    (void)printf("%s\n", strcmp(change, "added") == 0 ? "The site is added. Its owner also has to trust this "
                                                        "orchestrator: datasite trust add LINE"
                         : strcmp(change, "moved") == 0 ? "The site is known; its endpoint is changed."
                                                        : "The site is known already; nothing is changed.");
done:
    orchestrator_close(orchestrator);
    free(line);
    return err;
}

static struct error *remove_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct orchestrator *orchestrator = NULL;
    struct orchestrator_failure failure;
    if (orchestrator_open(invocation->home, &orchestrator, &failure) != 0 ||
        orchestrator_site_remove(orchestrator, invocation->arguments[0], &failure) != 0)
        err = command_failed(&failure);
    else
        (void)printf("The site is removed. Runs that it took part in are kept.\n");
    orchestrator_close(orchestrator);
    return err;
}

const struct verb verb_sites = {
    .name = "sites",
    .summary = "List the datasites that this orchestrator knows",
    .arguments = "",
    .detail = "The list is the file `sites` in the home; comments in it are kept.\n\nExample:\n  "
              "orchestrator sites",
    .options = list_options,
    .run = list_run,
};

const struct verb verb_sites_list = {
    .name = "sites list",
    .summary = "The same",
    .arguments = "",
    .detail = "Example:\n  orchestrator sites list --json",
    .options = list_options,
    .run = list_run,
};

const struct verb verb_sites_add = {
    .name = "sites add",
    .summary = "Take the line that a site's owner got from `datasite invite`",
    .arguments = "LINE",
    .detail = "LINE in single quotes, or - to read it from standard input. A site that comes back with "
              "another key\n"
              "is refused until a person has removed the old entry.\n\n"
              "Example:\n"
              "  orchestrator sites add 'datasite \"MNIST Part 1\" tcp://localhost:54879 sha256:…'",
    .minimum_arguments = 1,
    .maximum_arguments = -1,
    .run = add_run,
};

const struct verb verb_sites_remove = {
    .name = "sites remove",
    .summary = "Forget a site",
    .arguments = "NAME",
    .detail = "Example:\n  orchestrator sites remove \"MNIST Part 1\"",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .run = remove_run,
};
