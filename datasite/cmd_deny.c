#include "console/verbs.h"
#include "datasite/approval.h"
#include "datasite/desk.h"
#include "schemas/clock.h"

extern const struct verb verb_deny;

static struct {
    const char *reason;
} deny_given;

static const struct option *deny_options(void)
{
    static const struct option options[] = {
        {.name = "reason",
         .kind = OPTION_TEXT,
         .target = &deny_given.reason,
         .value = "TEXT",
         .help = "told to the requester"},
        {0},
    };
    return options;
}

static struct error *deny_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct desk desk = {.home = NULL};
    TRY(desk_open(invocation, STORE_WRITE, &desk));
    TRY(approval_withhold(desk.store, desk.identity, &desk.record, DECISION_DENY, "owner",
                          deny_given.reason == NULL ? "" : deny_given.reason, clock_now_ms() / 1000));
    (void)printf("Denied job %s. This is final: the same job is refused however often it is submitted.\n",
                 desk.id);
done:
    desk_close(&desk);
    return err;
}

const struct verb verb_deny = {
    .name = "deny",
    .summary = "Refuse a pending job for good",
    .arguments = "JOB_ID",
    .detail = "JOB_ID: the first 4 or more digits of its id. A denial is final for exactly these bytes of "
              "the job.\n\n"
              "Example:\n"
              "  datasite deny 1f2e3d4c5b6a --reason \"Please ask for fewer rounds.\"",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .options = deny_options,
    .run = deny_run,
};
