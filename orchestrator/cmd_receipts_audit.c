#include "audit/export.h"
#include "console/terminal.h"
#include "console/verbs.h"
#include "schemas/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>

extern const struct verb verb_receipts_audit;

static struct {
    const char *certificate;
    bool json;
} asked;

static const struct option *audit_options(void)
{
    static const struct option options[] = {
        {.name = "certificate",
         .kind = OPTION_TEXT,
         .target = &asked.certificate,
         .value = "FILE",
         .help = "the site's certificate, PEM"},
        {.name = "json", .kind = OPTION_FLAG, .target = &asked.json, .help = "print the result as JSON"},
        {0},
    };
    return options;
}

static struct error *print_result(const struct export_summary *summary)
{
    char fingerprint[FINGERPRINT_BYTES];
    char head[DIGEST_HEX_BYTES];
    char name[sizeof summary->name];
    site_id_format(&summary->site, fingerprint);
    digest_hex(&summary->head, head);
    terminal_clean(summary->name, name, sizeof name);
    if (!asked.json) {
        (void)printf("The events %" PRIu64 " to %" PRIu64
                     " of %s (%s) hold, and the site signed their head\n%s.\n",
                     summary->from, summary->to, name, fingerprint, head);
        if (summary->unsigned_events > 0)
            (void)printf("The first %" PRIu64 " were written before events were signed one by one.\n",
                         summary->unsigned_events);
        (void)printf("Compare the fingerprint with the one that you know the site by.\n");
        return NULL;
    }
    json_t *result = json_pack("{s:i, s:s, s:s, s:I, s:I, s:I, s:s}", "version", 1, "site", fingerprint,
                               "name", name, "from", (json_int_t)summary->from, "to", (json_int_t)summary->to,
                               "unsigned", (json_int_t)summary->unsigned_events, "head", head);
    if (result == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for the result.");
    (void)json_dumpf(result, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(result);
    return NULL;
}

static struct error *audit_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    const char *path = invocation->arguments[0];
    struct export_summary summary;
    FILE *stream = NULL;
    if (asked.certificate == NULL)
        FAIL(ERROR_USAGE, "Name the site's certificate with --certificate FILE; its owner has it in "
                          "keys/identity.crt of the site's home.");
    stream = fopen(path, "re");
    if (stream == NULL) {
        err = error_errno(ERROR_IO, errno, "%s cannot be read", path);
        goto done;
    }
    TRY(export_verify(stream, path, asked.certificate, NULL, NULL, &summary));
    TRY(print_result(&summary));
done:
    if (stream != NULL)
        (void)fclose(stream);
    return err;
}

const struct verb verb_receipts_audit = {
    .name = "receipts audit",
    .summary = "Check a site's audit export, with nothing but its certificate",
    .arguments = "FILE",
    .detail =
        "FILE is what `datasite audit export` wrote. The chain of its events and the signature under its "
        "head are\n"
        "computed again; the first event that does not hold is named. Nothing is asked over the network.\n\n"
        "Exit status: 0 it holds, 1 it does not.\n\n"
        "Example:\n"
        "  orchestrator receipts audit events.jsonl --certificate site.crt",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .options = audit_options,
    .run = audit_run,
    .needs_home = verbs_no_home,
};
