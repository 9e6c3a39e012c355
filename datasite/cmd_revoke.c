#include "console/verbs.h"
#include "datasite/approval.h"
#include "datasite/desk.h"
#include "schemas/clock.h"

extern const struct verb verb_revoke;

static struct {
    const char *reason;
} revoke_given;

static const struct option *revoke_options(void)
{
    static const struct option options[] = {
        {.name = "reason",
         .kind = OPTION_TEXT,
         .target = &revoke_given.reason,
         .value = "TEXT",
         .help = "told to the requester"},
        {0},
    };
    return options;
}

static struct error *revoke_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct desk desk = {.home = NULL};
    TRY(desk_open(invocation, STORE_WRITE, &desk));
    TRY(approval_withhold(desk.store, desk.identity, &desk.record, DECISION_REVOKE, "owner",
                          revoke_given.reason == NULL ? "" : revoke_given.reason, clock_now_ms() / 1000));
    (void)printf("Revoked job %s: nothing of it is released from now on. What was released before is out.\n",
                 desk.id);
done:
    desk_close(&desk);
    return err;
}

const struct verb verb_revoke = {
    .name = "revoke",
    .summary = "Take an approval back, in mid-run too",
    .arguments = "JOB_ID",
    .detail =
        "JOB_ID: the first 4 or more digits of its id. A step in hand is abandoned and nothing of it is\n"
        "released.\n\n"
        "Example:\n"
        "  datasite revoke 1f2e3d4c5b6a --reason \"The agreement has ended.\"",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .options = revoke_options,
    .run = revoke_run,
};
