#include "audit/export.h"
#include "console/verbs.h"
#include "datasite/auditor.h"
#include "datasite/budget.h"
#include "datasite/contradiction.h"
#include "datasite/home.h"

#include <errno.h>
#include <inttypes.h>

extern const struct verb verb_audit_verify;

static struct {
    const char *receipts, *export_file, *certificate;
} audit_verify_given;

static const struct option *audit_verify_options(void)
{
    static const struct option options[] = {
        {.name = "receipts",
         .kind = OPTION_TEXT,
         .target = &audit_verify_given.receipts,
         .value = "DIR",
         .help = "receipts that a researcher handed over, one JSON file each"},
        {.name = "export",
         .kind = OPTION_TEXT,
         .target = &audit_verify_given.export_file,
         .value = "FILE",
         .help = "check an export instead; needs no site here"},
        {.name = "certificate",
         .kind = OPTION_TEXT,
         .target = &audit_verify_given.certificate,
         .value = "FILE",
         .help = "of the site that wrote the export (its keys/identity.crt)"},
        {0},
    };
    return options;
}

/* ---- an export, offline ---- */

static struct error *audit_verify_export(void)
{
    struct error *err = NULL;
    struct export_summary summary;
    char fingerprint[FINGERPRINT_BYTES], head[DIGEST_HEX_BYTES];
    const char *path = audit_verify_given.export_file;
    FILE *stream = fopen(path, "rbe");
    if (stream == NULL)
        TRY(error_errno(errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, errno, "%s cannot be read", path));
    TRY(export_verify(stream, path, audit_verify_given.certificate, NULL, NULL, &summary));
    site_id_format(&summary.site, fingerprint);
    digest_hex(&summary.head, head);
    (void)printf("Site      %s, %s\nEvents    %" PRIu64 " to %" PRIu64
                 ": none was edited, removed or reordered\nHead      %s\n",
                 summary.name, fingerprint, summary.from, summary.to, head);
    if (summary.unsigned_events > 0)
        (void)printf("Unsigned  the first %" PRIu64
                     ", from before events were signed; covered by the hashes that follow\n",
                     summary.unsigned_events);
    if (summary.from > 1)
        (void)printf("Before    events 1 to %" PRIu64 " are not in this file\n", summary.from - 1);
    (void)printf("Compare the fingerprint with the one that the site told you by another way.\n");
done:
    if (stream != NULL)
        (void)fclose(stream);
    return err;
}

/* ---- the site itself ---- */

static void audit_verify_print(const struct auditor_findings *findings)
{
    char head[DIGEST_HEX_BYTES];
    digest_hex(&findings->head, head);
    (void)printf("Events    1 to %" PRIu64 ": none was edited, removed, reordered or cut off\nHead      %s\n",
                 findings->events, head);
    if (findings->unsigned_events > 0)
        (void)printf("Unsigned  the first %" PRIu64
                     ", from before events were signed; covered by the hashes that follow\n",
                     findings->unsigned_events);
    (void)printf("Decisions %" PRIu64 ", and %" PRIu64
                 " endorsements, each as its event says; none is gone\n",
                 findings->decisions, findings->endorsements);
    (void)printf("Answers   %" PRIu64 ", each as its event says\n", findings->answers);
    (void)printf("Budgets   %" PRIu64 " rows of the ledger, each as its event says; none is gone\n",
                 findings->budget_rows);
    if (audit_verify_given.receipts != NULL)
        (void)printf("Receipts  %" PRIu64 " of this site, each in the chain; %" PRIu64
                     " of other sites, whose signatures hold\n",
                     findings->receipts, findings->other_receipts);
}

/* A head that a requester presented is kept: the file contradicts it until the owner has said that they know why. */
static struct error *audit_verify_open(struct store *store, const char *program)
{
    struct error *err = NULL;
    bool is_open = false;
    TRY(contradiction_banner(store, program, &is_open));
    if (is_open) {
        uint64_t count = 0;
        TRY(contradiction_list(store, &count));
        FAIL(ERROR_UNTRUSTED, "A receipt that was presented here contradicts this chain: site.db was rolled "
                              "back or used twice.");
    }
done:
    return err;
}

static struct error *audit_verify_site(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    struct progress progress;
    struct auditor_findings findings = {.events = 0};
    progress_start(&progress, "Checking events");
    TRY(home_open(invocation->home, &home));
    TRY(home_store(home, STORE_READ, &identity, &store));
    TRY(store_snapshot(store));
    struct auditor auditor = {store, identity, &progress};
    TRY(auditor_check_chain(&auditor, &findings));
    progress_end(&progress);
    TRY(auditor_check_vault(&auditor));
    TRY(auditor_check_decisions(&auditor, &findings));
    TRY(auditor_check_answers(&auditor, &findings));
    TRY(budget_verify(store, identity, &findings.budget_rows));
    if (audit_verify_given.receipts != NULL)
        TRY(auditor_check_receipts(&auditor, audit_verify_given.receipts, &findings));
    audit_verify_print(&findings);
    TRY(audit_verify_open(store, invocation->program));
done:
    progress_end(&progress);
    if (store != NULL)
        store_snapshot_end(store);
    store_close(store);
    identity_free(identity);
    home_free(home);
    return err;
}

static struct error *audit_verify_run(const struct invocation *invocation)
{
    bool offline = audit_verify_given.export_file != NULL;
    if (offline != (audit_verify_given.certificate != NULL))
        return error_new(ERROR_USAGE,
                         "--export and --certificate go together: the export, and the certificate "
                         "of the site that wrote it.");
    if (offline && audit_verify_given.receipts != NULL)
        return error_new(ERROR_USAGE, "--receipts are checked against the site's own events, not an export.");
    return offline ? audit_verify_export() : audit_verify_site(invocation);
}

static bool audit_verify_needs_home(const struct invocation *invocation)
{
    (void)invocation;
    return audit_verify_given.export_file == NULL;
}

const struct verb verb_audit_verify = {
    .name = "audit verify",
    .summary = "Check that no event was edited, removed, reordered or cut off",
    .arguments = "",
    .detail =
        "Recomputes every hash and verifies every signature, and that each decision, endorsement and stored\n"
        "answer is the one that its event names, and none is gone; also that rows are encrypted, or in "
        "clear,\n"
        "as events say. The first that does not hold is named. Receipts that researchers hold show\n"
        "whether site.db was rolled back to an earlier state. An export is checked with nothing but the\n"
        "site's certificate. SECURITY.md says what cannot be found in this way.\n\n"
        "Example:\n"
        "  datasite audit verify --receipts receipts\n"
        "  datasite audit verify --export events.jsonl --certificate identity.crt",
    .options = audit_verify_options,
    .run = audit_verify_run,
    .needs_home = audit_verify_needs_home,
};
