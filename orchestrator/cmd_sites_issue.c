#include "crypto/authority.h"
#include "orchestrator/commands.h"
#include "orchestrator/home.h"
#include "schemas/files.h"

#include <unistd.h>

extern const struct verb verb_sites_issue, verb_sites_revoke;

#define REQUEST_BYTES_MAX (64u * 1024u)

static struct {
    uint64_t days;
    const char *out;
} issue_given = {.days = IDENTITY_DAYS};

static const struct option *issue_options(void)
{
    static const struct option options[] = {
        {.name = "days",
         .kind = OPTION_COUNT,
         .target = &issue_given.days,
         .value = "N",
         .help = "how long it is valid; else 825",
         .minimum = 1,
         .maximum = IDENTITY_DAYS},
        {.name = "out",
         .kind = OPTION_TEXT,
         .target = &issue_given.out,
         .value = "FILE",
         .help = "where to write the certificate; else standard output"},
        {0},
    };
    return options;
}

static struct error *load_authority(const char *home_path, struct authority **ret_authority)
{
    struct error *err = NULL;
    struct home *home = NULL;
    TRY(home_open(home_path, &home));
    if (access(home->ca_path, F_OK) != 0)
        FAIL(ERROR_NOT_FOUND,
             "This orchestrator has no certificate authority; make one with: orchestrator --home %s "
             "init --ca",
             home_path);
    TRY(authority_load(home->ca_path, ret_authority));
done:
    home_free(home);
    return err;
}

static struct error *issue_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct authority *authority = NULL;
    uint8_t *request = NULL;
    size_t bytes = 0;
    char *pem = NULL;
    struct site_id id;
    char fingerprint[FINGERPRINT_BYTES];
    TRY(load_authority(invocation->home, &authority));
    TRY(file_read(invocation->arguments[0], REQUEST_BYTES_MAX, &request, &bytes));
    err = authority_issue(authority, (const char *)request, (int)issue_given.days, &id, &pem);
    if (err != NULL) {
        err = error_prefix(err, "%s", invocation->arguments[0]);
        goto done;
    }
    site_id_format(&id, fingerprint);
    if (issue_given.out != NULL)
        TRY(file_write(issue_given.out, pem, strlen(pem), 0644));
    else
        (void)fputs(pem, stdout);
    (void)fprintf(stderr,
                  "Issued for %s, valid for %llu days. Its owner takes it with: datasite trust install %s\n",
                  fingerprint, (unsigned long long)issue_given.days,
                  issue_given.out == NULL ? "FILE" : issue_given.out);
done:
    free(pem);
    free(request);
    authority_free(authority);
    return err;
}

static struct error *revoke_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct authority *authority = NULL;
    struct site_id id;
    TRY(site_id_parse(invocation->arguments[0], &id));
    TRY(load_authority(invocation->home, &authority));
    TRY(authority_revoke(authority, &id));
    (void)printf(
        "Revoked. Give every site the new %s/ca/ca.crl; until then they admit the old certificate.\n",
        invocation->home);
done:
    authority_free(authority);
    return err;
}

const struct verb verb_sites_issue = {
    .name = "sites issue",
    .summary = "Issue a certificate of the consortium's authority for a site's request",
    .arguments = "REQUEST.pem",
    .detail = "The owner makes the request with `datasite trust request`, and compares the fingerprint with "
              "you.\n\n"
              "Example:\n"
              "  orchestrator sites issue part-1.pem --out part-1.crt",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .options = issue_options,
    .run = issue_run,
};

const struct verb verb_sites_revoke = {
    .name = "sites revoke",
    .summary = "Revoke the certificates that were issued for a key",
    .arguments = "FINGERPRINT",
    .detail = "Writes the authority's revocation list anew.\n\n"
              "Example:\n"
              "  orchestrator sites revoke sha256:…",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .run = revoke_run,
};
