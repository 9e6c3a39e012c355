#include "console/verbs.h"
#include "datasite/contradiction.h"
#include "datasite/home.h"
#include "schemas/clock.h"
#include "schemas/text.h"

#include <inttypes.h>

extern const struct verb verb_audit_accept;

#define AUDIT_REASON_BYTES 500

static struct {
    const char *reason;
} audit_accept_given;

static const struct option *audit_accept_options(void)
{
    static const struct option options[] = {
        {.name = "reason",
         .kind = OPTION_TEXT,
         .target = &audit_accept_given.reason,
         .value = "TEXT",
         .help = "why the file lacks what it signed; becomes an event"},
        {0},
    };
    return options;
}

static struct error *audit_accept_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    bool is_open = false;
    uint64_t listed = 0;
    uint32_t accepted = 0;
    TRY(home_open(invocation->home, &home));
    TRY(home_store(home, STORE_WRITE, &identity, &store));
    TRY(store_contradiction_open(store, &is_open));
    if (!is_open)
        FAIL(ERROR_CONFLICT, "Nothing is open: no receipt that was presented here contradicts the chain.");
    TRY(contradiction_list(store, &listed));
    (void)fflush(stdout);
    if (audit_accept_given.reason == NULL || !text_title(audit_accept_given.reason, AUDIT_REASON_BYTES))
        FAIL(ERROR_USAGE,
             "Say why, in one line of at most %d bytes, for whoever reads the events later: %s audit accept "
             "--reason \"restored from the backup of Sunday\"",
             AUDIT_REASON_BYTES, invocation->program);
    TRY(store_contradictions_accept(store, audit_accept_given.reason, clock_now_ms() / 1000, &accepted));
    (void)printf("Accepted %" PRIu32 ". What was decided after the lost events, above all a denial or a "
                 "revocation, may be lost\nwith them: %s requests --all shows what is in force now.\n",
                 accepted, invocation->program);
done:
    store_close(store);
    identity_free(identity);
    home_free(home);
    return err;
}

const struct verb verb_audit_accept = {
    .name = "audit accept",
    .summary = "Go on after a receipt contradicted the chain of events",
    .arguments = "",
    .detail =
        "A requester presented a receipt that this site signed, and site.db lacks its event: the file was\n"
        "rolled back or used twice. Until you accept that, nothing is computed and nothing leaves. Lists\n"
        "what contradicts; the acceptance is an event with your reason, which\n"
        "`audit verify --receipts` tells beside what stays contradicted.\n\n"
        "Example:\n"
        "  datasite audit accept --reason \"restored from the backup of Sunday\"",
    .options = audit_accept_options,
    .run = audit_accept_run,
};
