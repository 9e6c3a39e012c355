#include "console/verbs.h"
#include "datasite/approval.h"
#include "datasite/desk.h"
#include "schemas/clock.h"

extern const struct verb verb_approve;

#define APPROVE_MAX_RUNS 1000

static struct {
    uint64_t rounds, runs;
    const char *expires;
} approve_given;

static const struct option *approve_options(void)
{
    static const struct option options[] = {
        {.name = "rounds",
         .kind = OPTION_COUNT,
         .target = &approve_given.rounds,
         .value = "N",
         .minimum = 1,
         .maximum = 10000,
         .help = "at most N rounds a run; else as many as the job asks for"},
        {.name = "runs",
         .kind = OPTION_COUNT,
         .target = &approve_given.runs,
         .value = "N",
         .minimum = 1,
         .maximum = APPROVE_MAX_RUNS,
         .help = "how often it may run; else once"},
        {.name = "expires",
         .kind = OPTION_TEXT,
         .target = &approve_given.expires,
         .value = "24h",
         .help = "the approval ends after this time; else with the job"},
        {0},
    };
    return options;
}

static struct error *approve_limits(int64_t now, struct approval_limits *ret_limits)
{
    struct error *err = NULL;
    int64_t seconds = 0;
    struct approval_limits limits = {.rounds = (uint32_t)approve_given.rounds,
                                     .runs = (uint32_t)approve_given.runs};
    if (approve_given.expires != NULL) {
        TRY(error_prefix(clock_parse_duration(approve_given.expires, &seconds), "--expires"));
        limits.expires = now + seconds;
    }
    *ret_limits = limits;
done:
    return err;
}

static struct error *approve_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct desk desk = {.home = NULL};
    struct approval_limits limits;
    struct decision decision;
    char until[CLOCK_TEXT_BYTES];
    bool removed = false;
    int64_t now = clock_now_ms() / 1000;
    TRY(approve_limits(now, &limits));
    TRY(desk_open(invocation, STORE_WRITE, &desk));
    TRY(store_peer_is_removed(desk.store, &desk.record.requester, &removed));
    TRY(approval_give(desk.store, desk.identity, &desk.record, &limits, "owner", "", now));
    TRY(store_approval(desk.store, &desk.record.id, &decision));
    clock_format(decision.expires, until);
    (void)printf("Approved job %s: %u run%s of at most %u round%s, until %s.\n"
                 "To take it back: %s revoke %s\n",
                 desk.id, decision.runs, decision.runs == 1 ? "" : "s", decision.rounds,
                 decision.rounds == 1 ? "" : "s", until, invocation->program, desk.id);
    if (removed)
        (void)printf("Its requester, whom you had removed with `trust remove`, may take part again.\n");
done:
    desk_close(&desk);
    return err;
}

const struct verb verb_approve = {
    .name = "approve",
    .summary = "Let a pending job run on your data",
    .arguments = "JOB_ID",
    .detail = "JOB_ID: the first 4 or more digits of its id. `datasite show JOB_ID` says what it computes "
              "and what\n"
              "leaves. The options narrow what the job asks for; nothing widens it. The approval is signed "
              "with the\n"
              "site's key and holds for exactly these bytes of the job, this requester and this dataset.\n\n"
              "Example:\n"
              "  datasite approve 1f2e3d4c5b6a --rounds 5 --expires 24h",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .options = approve_options,
    .run = approve_run,
};
