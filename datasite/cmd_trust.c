#include "console/terminal.h"
#include "console/verbs.h"
#include "crypto/authority.h"
#include "datasite/home.h"
#include "datasite/store.h"
#include "schemas/clock.h"
#include "schemas/invitation.h"

#include <errno.h>
#include <jansson.h>

extern const struct verb verb_trust_add, verb_trust_list, verb_trust_remove, verb_trust_request,
    verb_trust_install;

#define LINE_MAX_BYTES 4096

static struct {
    bool json;
    const char *ca;
} trust_given;

static const struct option *trust_list_options(void)
{
    static const struct option options[] = {
        {.name = "json", .kind = OPTION_FLAG, .target = &trust_given.json, .help = "for programs"},
        {0},
    };
    return options;
}

static const struct option *trust_install_options(void)
{
    static const struct option options[] = {
        {.name = "ca",
         .kind = OPTION_TEXT,
         .target = &trust_given.ca,
         .value = "CA.pem",
         .help = "trust every member of this authority from now on"},
        {0},
    };
    return options;
}

static struct error *line_from_stdin(char ret_line[static LINE_MAX_BYTES])
{
    size_t bytes = fread(ret_line, 1, LINE_MAX_BYTES - 1, stdin);
    ret_line[bytes] = '\0';
    if (ferror(stdin) != 0)
        return error_errno(ERROR_IO, errno, "The line cannot be read from standard input");
    if (bytes == LINE_MAX_BYTES - 1 || strlen(ret_line) != bytes)
        return error_new(ERROR_INVALID,
                         "Standard input is not one line of an invitation (`orchestrator invite`).");
    return NULL;
}

/* Adds `word`, in quotes (which the shell took away) when asked. */
static bool line_append(char *line, size_t *used, const char *word, bool quoted)
{
    if (*used > 0 && *used + 1 < LINE_MAX_BYTES)
        line[(*used)++] = ' ';
    for (const char *at = quoted ? "\"" : ""; *at != '\0' && *used + 1 < LINE_MAX_BYTES; at++)
        line[(*used)++] = *at;
    for (const char *at = word; *at != '\0' && *used + 3 < LINE_MAX_BYTES; at++) {
        if (quoted && (*at == '"' || *at == '\\'))
            line[(*used)++] = '\\';
        line[(*used)++] = *at;
    }
    if (quoted && *used + 1 < LINE_MAX_BYTES)
        line[(*used)++] = '"';
    line[*used] = '\0';
    return *used + 3 < LINE_MAX_BYTES;
}

static struct error *line_from_arguments(const struct invocation *invocation,
                                         char ret_line[static LINE_MAX_BYTES])
{
    size_t used = 0;
    bool unquoted = invocation->argument_count == 4 && invocation->arguments[1][0] != '"';
    ret_line[0] = '\0';
    for (int i = 0; i < invocation->argument_count; i++) {
        if (!line_append(ret_line, &used, invocation->arguments[i], unquoted && i == 1))
            return error_new(ERROR_INVALID,
                             "This is too long for an invitation (`orchestrator invite` prints it).");
    }
    return NULL;
}

static struct error *trust_line(const struct invocation *invocation, struct invitation *ret_invitation)
{
    struct error *err = NULL;
    char line[LINE_MAX_BYTES];
    if (invocation->argument_count == 1 && strcmp(invocation->arguments[0], "-") == 0)
        TRY(line_from_stdin(line));
    else
        TRY(line_from_arguments(invocation, line));
    if (line[strspn(line, " \t\r\n")] == '\0')
        FAIL(ERROR_INVALID,
             "The line is empty. Ask the researcher for the line that `orchestrator invite` prints.");
    TRY(invitation_parse(line, NODE_ORCHESTRATOR, ret_invitation));
done:
    return err;
}

static struct error *trust_open(const struct invocation *invocation, enum store_mode mode,
                                struct home **ret_home, struct identity **ret_identity,
                                struct store **ret_store)
{
    struct error *err = NULL;
    struct home *home = NULL;
    TRY(home_open(invocation->home, &home));
    TRY(home_store(home, mode, ret_identity, ret_store));
    *ret_home = home;
    home = NULL;
done:
    home_free(home);
    return err;
}

static struct error *trust_add_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    struct invitation invitation;
    struct site_id id;
    TRY(trust_line(invocation, &invitation));
    TRY(site_id_parse(invitation.node.fingerprint, &id));
    TRY(trust_open(invocation, STORE_WRITE, &home, &identity, &store));
    TRY(store_peer_add(store, &id, invitation.node.name, PEER_BY_INVITATION, clock_now_ms() / 1000));
    (void)printf(
        "\"%s\" is trusted: %s\nIts jobs are taken in; what runs is decided by you, or by policy.yaml.\n",
        invitation.node.name, invitation.node.fingerprint);
done:
    store_close(store);
    identity_free(identity);
    home_free(home);
    return err;
}

static struct error *trust_print_json(const struct peer *peers, size_t count)
{
    struct error *err = NULL;
    json_t *array = json_array();
    json_t *document = json_pack("{s:i,s:O}", "version", 1, "trusted", array);
    if (document == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the list.");
    for (size_t i = 0; i < count; i++) {
        char fingerprint[FINGERPRINT_BYTES], name[128], when[CLOCK_TEXT_BYTES];
        site_id_format(&peers[i].id, fingerprint);
        terminal_clean(peers[i].name, name, sizeof(name));
        clock_format(peers[i].added_at, when);
        if (json_array_append_new(array,
                                  json_pack("{s:s,s:s,s:s,s:s}", "name", name, "fingerprint", fingerprint,
                                            "added_at", when, "added_by", peers[i].added_by)) != 0)
            FAIL(ERROR_MEMORY, "There is not enough memory for the list.");
    }
    if (json_dumpf(document, stdout, JSON_INDENT(2)) != 0 || putchar('\n') == EOF)
        err = error_errno(ERROR_IO, errno, "The list cannot be written");
done:
    json_decref(array);
    json_decref(document);
    return err;
}

static struct error *trust_print(const struct invocation *invocation, const struct peer *peers, size_t count)
{
    struct error *err = NULL;
    static const char *const headers[] = {"Name", "Fingerprint", "Added", "By"};
    struct table *table = NULL;
    if (count == 0) {
        (void)printf("No orchestrator is trusted by its fingerprint yet: %s trust add LINE\n",
                     invocation->program);
        return NULL;
    }
    TRY(table_new(headers, 4, &table));
    for (size_t i = 0; i < count; i++) {
        char fingerprint[FINGERPRINT_BYTES], when[CLOCK_TEXT_BYTES];
        site_id_format(&peers[i].id, fingerprint);
        clock_format(peers[i].added_at, when);
        const char *const cells[] = {peers[i].name, fingerprint, when, peers[i].added_by};
        TRY(table_row(table, cells));
    }
    table_print(table, stdout);
done:
    table_free(table);
    return err;
}

static struct error *trust_list_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    struct peer *peers = NULL;
    size_t count = 0;
    TRY(trust_open(invocation, STORE_READ, &home, &identity, &store));
    TRY(store_peer_list(store, &peers, &count));
    TRY(trust_given.json ? trust_print_json(peers, count) : trust_print(invocation, peers, count));
    if (!trust_given.json && home->config->ca_file[0] != '\0')
        (void)printf("Members of the authority in %s are trusted too.\n", home->config->ca_file);
done:
    free(peers);
    store_close(store);
    identity_free(identity);
    home_free(home);
    return err;
}

/* A fingerprint, or the name of exactly one trusted orchestrator. */
static struct error *trust_find(struct store *store, const char *who, struct site_id *ret_id)
{
    struct error *err = NULL;
    struct peer *peers = NULL;
    size_t count = 0, found = 0;
    if (strncmp(who, "sha256:", 7) == 0)
        return site_id_parse(who, ret_id);
    TRY(store_peer_list(store, &peers, &count));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(peers[i].name, who) == 0) {
            *ret_id = peers[i].id;
            found++;
        }
    }
    if (found == 0)
        FAIL(ERROR_NOT_FOUND, "No orchestrator of this name is trusted; `datasite trust list` shows who is.");
    if (found > 1)
        FAIL(ERROR_CONFLICT,
             "Several orchestrators have this name; give the fingerprint (`datasite trust list`).");
done:
    free(peers);
    return err;
}

/* A removal takes no approval back: the owner is told which ones there are. */
static struct error *trust_print_approvals(const struct invocation *invocation, struct store *store,
                                           const struct site_id *id)
{
    struct error *err = NULL;
    struct job_record *records = NULL;
    size_t count = 0;
    TRY(store_job_list(store, &records, &count));
    for (size_t i = 0; i < count; i++) {
        const struct job_record *record = &records[i];
        char hex[DIGEST_HEX_BYTES];
        digest_hex(&record->id, hex);
        if (site_id_equal(&record->requester, id) &&
            (record->state == JOB_STATE_APPROVED || record->state == JOB_STATE_RUNNING))
            (void)printf("Its job %.12s is %s and stays so; to take the approval back: %s revoke %.12s\n",
                         hex, job_state_word(record->state), invocation->program, hex);
    }
done:
    for (size_t i = 0; i < count; i++)
        job_record_clear(&records[i]);
    free(records);
    return err;
}

static struct error *trust_remove_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    struct site_id id;
    char fingerprint[FINGERPRINT_BYTES];
    TRY(trust_open(invocation, STORE_WRITE, &home, &identity, &store));
    TRY(trust_find(store, invocation->arguments[0], &id));
    TRY(store_peer_remove(store, &id, clock_now_ms() / 1000));
    site_id_format(&id, fingerprint);
    (void)printf("No longer trusted by its fingerprint: %s\n"
                 "No policy lists it again; `%s trust add`, or approving a job of it, does.\n",
                 fingerprint, invocation->program);
    TRY(trust_print_approvals(invocation, store, &id));
    if (home->config->ca_file[0] != '\0')
        (void)printf("If the authority in %s issued a certificate for it, the authority must revoke that.\n",
                     home->config->ca_file);
done:
    store_close(store);
    identity_free(identity);
    home_free(home);
    return err;
}

static struct error *trust_request_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct identity *identity = NULL;
    char *pem = NULL;
    TRY(home_open(invocation->home, &home));
    TRY(identity_load(home->keys_path, &identity));
    TRY(identity_request(identity, &pem));
    (void)fputs(pem, stdout);
done:
    free(pem);
    identity_free(identity);
    home_free(home);
    return err;
}

static void trust_install_print(const struct invocation *invocation, bool edited)
{
    (void)printf("The certificate is installed in keys/identity.crt; key and fingerprint stay the same.\n");
    if (trust_given.ca == NULL)
        (void)printf("To trust all members of the authority too: %s trust install CHAIN.pem --ca CA.pem\n",
                     invocation->program);
    else if (edited)
        (void)printf("Members of the authority are trusted (trust.ca in site.yaml is keys/ca.crt).\n");
    else
        (void)printf("The authority's certificate is in keys/ca.crt. site.yaml has a layout of its own, so "
                     "write there\n"
                     "by hand, under trust:  ca: \"keys/ca.crt\"\n");
    (void)printf("A datasite that is running takes this over on SIGHUP.\n");
}

static struct error *trust_install_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    char *chain = NULL, *ca = NULL;
    bool edited = false;
    TRY(home_open(invocation->home, &home));
    TRY(home_ca_read(invocation->arguments[0], &chain));
    if (trust_given.ca != NULL)
        TRY(home_ca_read(trust_given.ca, &ca));
    TRY(identity_install(home->keys_path, chain));
    if (ca != NULL)
        TRY(home_ca_install(home, ca, &edited));
    trust_install_print(invocation, edited);
done:
    free(ca);
    free(chain);
    home_free(home);
    return err;
}

const struct verb verb_trust_add = {
    .name = "trust add",
    .summary = "Trust the orchestrator whose invitation is LINE",
    .arguments = "LINE",
    .detail = "LINE is what `orchestrator invite` prints; \"-\" reads it from standard input. Compare the "
              "fingerprint with\n"
              "the researcher over another channel. Trusting somebody lets jobs arrive; nothing runs "
              "unapproved.\n\n"
              "Example:\n"
              "  datasite trust add 'orchestrator \"researcher\" - sha256:…'\n"
              "  orchestrator invite | datasite trust add -",
    .minimum_arguments = 1,
    .maximum_arguments = -1,
    .run = trust_add_run,
};

const struct verb verb_trust_list = {
    .name = "trust list",
    .summary = "List the orchestrators that are trusted",
    .arguments = "",
    .detail = "Example:\n  datasite trust list",
    .options = trust_list_options,
    .run = trust_list_run,
};

const struct verb verb_trust_remove = {
    .name = "trust remove",
    .summary = "No longer trust an orchestrator",
    .arguments = "FINGERPRINT|NAME",
    .detail = "Example:\n  datasite trust remove researcher",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .run = trust_remove_run,
};

const struct verb verb_trust_request = {
    .name = "trust request",
    .summary = "Print a certificate signing request for a consortium's authority",
    .arguments = "",
    .detail = "The authority answers with a chain of certificates, which `datasite trust install` takes.\n\n"
              "Example:\n  datasite trust request > our-site.csr",
    .run = trust_request_run,
};

const struct verb verb_trust_install = {
    .name = "trust install",
    .summary = "Install the certificate that a consortium's authority issued",
    .arguments = "CHAIN.pem",
    .detail = "Checks that the certificate is for this site's key and replaces the present one; the "
              "fingerprint stays\n"
              "the same. With --ca, every member of the authority may from then on connect and ask.\n\n"
              "Example:\n  datasite trust install our-site.pem --ca ca.pem",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .options = trust_install_options,
    .run = trust_install_run,
};
