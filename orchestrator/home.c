#include "orchestrator/home.h"

#include "crypto/authority.h"
#include "schemas/clock.h"
#include "schemas/files.h"

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_BYTES_MAX (64u * 1024u)

static const char SITES_TEXT[] =
    "# The datasites that this orchestrator knows, one line each, as `datasite invite` prints it.\n"
    "# Add one with: orchestrator sites add LINE\n";

void home_free(struct home *home)
{
    if (home == NULL)
        return;
    free(home->path);
    free(home->config_path);
    free(home->sites_path);
    free(home->keys_path);
    free(home->runs_path);
    free(home->ca_path);
    free(home->sockets_path);
    free(home->witness_path);
    node_config_free(home->config);
    free(home);
}

/* The paths of a home; nothing is read. */
static struct error *home_at(const char *path, struct home **ret_home)
{
    struct error *err = NULL;
    struct home *home = calloc(1, sizeof *home);
    if (home == NULL || (home->path = strdup(path)) == NULL)
        FAIL(ERROR_MEMORY, "No memory for the home directory's paths.");
    TRY(path_join(path, "orchestrator.yaml", &home->config_path));
    TRY(path_join(path, "sites", &home->sites_path));
    TRY(path_join(path, "keys", &home->keys_path));
    TRY(path_join(path, "runs", &home->runs_path));
    TRY(path_join(path, "ca", &home->ca_path));
    TRY(path_join(path, "sockets", &home->sockets_path));
    TRY(path_join(path, "witness", &home->witness_path));
    *ret_home = home;
    home = NULL;
done:
    home_free(home);
    return err;
}

struct error *home_check(const char *path)
{
    struct error *err = NULL;
    char *config = NULL;
    TRY(path_join(path, "orchestrator.yaml", &config));
    if (access(config, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
        FAIL(ERROR_NOT_FOUND, "There is no orchestrator at %s; make one with: orchestrator --home %s init",
             path, path);
done:
    free(config);
    return err;
}

struct error *home_open(const char *path, struct home **ret_home)
{
    struct error *err = NULL;
    struct home *home = NULL;
    TRY(home_check(path));
    TRY(home_at(path, &home));
    TRY(node_config_load(home->config_path, NODE_ORCHESTRATOR, &home->config));
    *ret_home = home;
    home = NULL;
done:
    home_free(home);
    return err;
}

/* In orchestrator.yaml as `init` wrote it, `from` becomes `to`. */
static struct error *replace_once(char **text, const char *from, const char *to)
{
    struct error *err = NULL;
    char *changed = NULL;
    const char *found = strstr(*text, from);
    if (found == NULL)
        FAIL(ERROR_CONFLICT, "It does not say \"%s\" any more; put \"%s\" there by hand.", from, to);
    if (asprintf(&changed, "%.*s%s%s", (int)(found - *text), *text, to, found + strlen(from)) < 0) {
        changed = NULL;
        FAIL(ERROR_MEMORY, "No memory for the configuration.");
    }
    free(*text);
    *text = changed;
done:
    return err;
}

static struct error *trust_authority(const struct home *home)
{
    struct error *err = NULL;
    uint8_t *data = NULL;
    char *text = NULL;
    size_t bytes = 0;
    TRY(file_read(home->config_path, CONFIG_BYTES_MAX, &data, &bytes));
    text = (char *)data;
    data = NULL;
    err = replace_once(&text, "ca: null", "ca: ca/ca.crt");
    if (err == NULL)
        err = replace_once(&text, "crl: null", "crl: ca/ca.crl");
    if (err != NULL) {
        err = error_prefix(err, "%s", home->config_path);
        goto done;
    }
    TRY(file_write(home->config_path, text, strlen(text), 0600));
done:
    free(text);
    free(data);
    return err;
}

/* The orchestrator's own certificate comes from its authority, so that sites which trust the authority admit
 * it. */
static struct error *issue_own(const struct home *home, struct authority *authority)
{
    struct error *err = NULL;
    struct identity *identity = NULL;
    char *request = NULL;
    char *chain = NULL;
    struct site_id id;
    TRY(identity_load(home->keys_path, &identity));
    TRY(identity_request(identity, &request));
    TRY(authority_issue(authority, request, IDENTITY_DAYS, &id, &chain));
    TRY(identity_install(home->keys_path, chain));
done:
    free(chain);
    free(request);
    identity_free(identity);
    return err;
}

static struct error *make_authority(const struct home *home, const char *name)
{
    struct error *err = NULL;
    struct authority *authority = NULL;
    TRY(authority_create(home->ca_path, name, &authority));
    TRY(issue_own(home, authority));
    TRY(trust_authority(home));
done:
    authority_free(authority);
    return err;
}

struct error *home_add_authority(struct home *home)
{
    struct error *err = NULL;
    struct node_config *config = NULL;
    if (home->config->ca_file[0] != '\0')
        FAIL(ERROR_CONFLICT, "%s trusts the authority %s already.", home->config_path, home->config->ca_file);
    TRY(make_authority(home, home->config->name));
    TRY(node_config_load(home->config_path, NODE_ORCHESTRATOR, &config));
    node_config_free(home->config);
    home->config = config;
done:
    return err;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    (void)remove(path);
    return 0;
}

static void remove_tree(const char *path)
{
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Everything of a new home, below its temporary name. */
static struct error *fill(const struct home *home, const char *name, const char *listen, bool with_ca)
{
    struct error *err = NULL;
    struct identity *identity = NULL;
    char *text = NULL;
    TRY(node_config_text(NODE_ORCHESTRATOR, name, listen, NULL, &text));
    TRY(file_write(home->config_path, text, strlen(text), 0600));
    TRY(file_write(home->sites_path, SITES_TEXT, strlen(SITES_TEXT), 0600));
    TRY(directory_make(home->runs_path, 0700));
    TRY(identity_create(home->keys_path, name, &identity));
    if (with_ca)
        TRY(make_authority(home, name));
done:
    identity_free(identity);
    free(text);
    return err;
}

/* An empty directory, or none, can become a home. */
static struct error *check_free(const char *path)
{
    struct error *err = NULL;
    char *config = NULL;
    TRY(path_join(path, "orchestrator.yaml", &config));
    if (access(config, F_OK) == 0)
        FAIL(ERROR_CONFLICT,
             "There is an orchestrator at %s already; see it with: orchestrator --home %s invite", path,
             path);
    if (access(path, F_OK) == 0 && rmdir(path) != 0)
        FAIL(ERROR_CONFLICT, "%s exists and is not an empty directory; choose another with --home.", path);
done:
    free(config);
    return err;
}

/* The temporary name is beside the final one, so that the last step is one rename. */
static struct error *stage(const char *path, char **ret_staged)
{
    struct error *err = NULL;
    char *parent = NULL;
    char *staged = NULL;
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash[1] == '\0')
        FAIL(ERROR_INVALID, "The home directory \"%s\" has to be a path that does not end in /.", path);
    parent = strndup(path, (size_t)(slash - path) + 1);
    if (asprintf(&staged, "%s.new-XXXXXX", path) < 0)
        staged = NULL;
    if (parent == NULL || staged == NULL)
        FAIL(ERROR_MEMORY, "No memory for the home directory's paths.");
    TRY(directory_make(parent, 0700));
    if (mkdtemp(staged) == NULL)
        FAIL(ERROR_IO, "Cannot make a directory beside %s: %s", path, strerror(errno));
    *ret_staged = staged;
    staged = NULL;
done:
    free(staged);
    free(parent);
    return err;
}

/* "DIR" becomes "./DIR", and a slash at the end goes: so that there is a parent to name. */
static struct error *tidy(const char *path, char **ret_path)
{
    struct error *err = NULL;
    char *tidied = NULL;
    if (asprintf(&tidied, "%s%s", strchr(path, '/') == NULL ? "./" : "", path) < 0)
        FAIL(ERROR_MEMORY, "No memory for the home directory's paths.");
    for (size_t end = strlen(tidied); end > 1 && tidied[end - 1] == '/'; end--)
        tidied[end - 1] = '\0';
    *ret_path = tidied;
done:
    return err;
}

struct error *home_create(const char *path, const char *name, const char *listen, bool with_ca,
                          struct home **ret_home)
{
    struct error *err = NULL;
    struct home *staged_home = NULL;
    struct home *home = NULL;
    char *tidied = NULL;
    char *staged = NULL;
    TRY(identity_name_check(name));
    if (listen != NULL)
        TRY(endpoint_check(listen, true));
    TRY(tidy(path, &tidied));
    TRY(check_free(tidied));
    TRY(stage(tidied, &staged));
    TRY(home_at(staged, &staged_home));
    TRY(fill(staged_home, name, listen, with_ca));
    if (rename(staged, tidied) != 0)
        FAIL(ERROR_IO, "Cannot put the new home at %s: %s", tidied, strerror(errno));
    free(staged);
    staged = NULL;
    TRY(home_open(tidied, &home));
    *ret_home = home;
done:
    if (staged != NULL)
        remove_tree(staged);
    free(staged);
    free(tidied);
    home_free(staged_home);
    return err;
}

struct error *home_expiry_warning(const struct identity *identity, int64_t now_seconds, char **ret_warning)
{
    struct error *err = NULL;
    char *warning = NULL;
    int64_t left = identity_not_after(identity) - now_seconds;
    char when[CLOCK_TEXT_BYTES];
    clock_format(identity_not_after(identity), when);
    int written = 0;
    if (left < 0)
        written = asprintf(&warning,
                           "This orchestrator's certificate expired at %s; sites will refuse it until it "
                           "has a new one.",
                           when);
    else if (left < IDENTITY_WARN_SECONDS)
        written =
            asprintf(&warning, "This orchestrator's certificate expires at %s; get a new one in time.", when);
    if (written < 0)
        FAIL(ERROR_MEMORY, "No memory for a warning.");
    *ret_warning = warning;
done:
    return err;
}
