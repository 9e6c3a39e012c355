#include "console/verbs.h"
#include "datasite/approval_terms.h"
#include "datasite/desk.h"
#include "datasite/endorsement.h"
#include "schemas/clock.h"

#include <inttypes.h>

extern const struct verb verb_approve;

#define APPROVE_MAX_RUNS 1000

static struct {
    uint64_t rounds, runs;
    const char *expires, *hold, *key;
    bool allow_growth;
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
        {.name = "hold",
         .kind = OPTION_TEXT,
         .target = &approve_given.hold,
         .value = "WHICH",
         .help = "never, first, every or final: which answers of a run wait until you release them"},
        {.name = "allow-growth",
         .kind = OPTION_FLAG,
         .target = &approve_given.allow_growth,
         .help = "rows may be added to the dataset behind those of now, min_rows or more at a time"},
        {.name = "key",
         .kind = OPTION_TEXT,
         .target = &approve_given.key,
         .value = "DIR",
         .help = "your own key as one of several owners (four_eyes in policy.yaml)"},
        {0},
    };
    return options;
}

static struct error *approve_limits(int64_t now, struct approval_limits *ret_limits)
{
    struct error *err = NULL;
    int64_t seconds = 0;
    struct approval_limits limits = {.rounds = (uint32_t)approve_given.rounds,
                                     .runs = (uint32_t)approve_given.runs,
                                     .allow_growth = approve_given.allow_growth};
    if (approve_given.hold != NULL && !hold_parse(approve_given.hold, &limits.hold))
        FAIL(ERROR_USAGE, "--hold is never, first, every or final.");
    if (approve_given.expires != NULL) {
        TRY(error_prefix(clock_parse_duration(approve_given.expires, &seconds), "--expires"));
        limits.expires = now + seconds;
    }
    *ret_limits = limits;
done:
    return err;
}

/* What the owner has to do later, if anything. */
static void approve_tell_hold(const struct invocation *invocation, const struct desk *desk,
                              const struct decision *decision)
{
    static const char *const which[] = {
        [HOLD_NEVER] = NULL,
        [HOLD_FIRST] = "The first answer of each kind in a run waits",
        [HOLD_EVERY] = "Every answer waits",
        [HOLD_FINAL] = "The answers of the last approved round alone wait",
    };
    if (which[decision->hold] != NULL)
        (void)printf("%s until you have looked: %s held %s\n", which[decision->hold], invocation->program,
                     desk->id);
    if (decision->hold == HOLD_FINAL)
        (void)printf("A requester who stops a round earlier has all others, and you have looked at none.\n");
    if (decision->allow_growth)
        (void)printf(
            "It holds on when min_rows rows or more are added behind those of now, and not when one of "
            "them\nchanges.\n");
}

/* With four eyes each owner says so with an own key; *ret_count is how many have. */
static struct error *approve_as_owner(const struct desk *desk, const struct policy_gate *gate,
                                      const struct approval_limits *limits, int64_t now, size_t *ret_count)
{
    struct error *err = NULL;
    struct identity *owner = NULL;
    if (approve_given.key == NULL)
        FAIL(ERROR_REFUSED, "policy.yaml wants four eyes: each of two owners approves with --key DIR, the "
                            "directory of an own "
                            "key (`datasite trust owner-key`).");
    TRY(error_prefix(identity_load(approve_given.key, &owner), "--key"));
    TRY(endorsement_give(desk->store, desk->identity, owner, gate, &desk->record, limits, now, ret_count));
done:
    identity_free(owner);
    return err;
}

static struct error *approve_give(const struct desk *desk, const struct approval_limits *limits, int64_t now,
                                  bool *ret_approved)
{
    struct error *err = NULL;
    struct policy *policy = NULL;
    struct dataset_info dataset;
    size_t owners = ENDORSEMENT_NEEDED;
    TRY(policy_load(desk->home->policy_path, &policy));
    TRY(store_dataset_find(desk->store, desk->job->dataset, &dataset));
    TRY(approval_terms_check(desk->store, &policy->gate, desk->job, &dataset, identity_id(desk->identity),
                             limits));
    if (policy->gate.four_eyes)
        TRY(approve_as_owner(desk, &policy->gate, limits, now, &owners));
    else if (approve_given.key != NULL)
        FAIL(ERROR_USAGE, "--key is for sites whose policy.yaml says four_eyes: true; this one does not.");
    else
        TRY(approval_give(desk->store, desk->identity, &desk->record, limits, "owner", "", now));
    *ret_approved = owners >= ENDORSEMENT_NEEDED;
done:
    policy_free(policy);
    return err;
}

static struct error *approve_print(const struct invocation *invocation, const struct desk *desk)
{
    struct error *err = NULL;
    struct decision decision;
    struct dataset_info dataset;
    char until[CLOCK_TEXT_BYTES];
    TRY(store_approval(desk->store, &desk->record.id, &decision));
    clock_format(decision.expires, until);
    (void)printf("Approved job %s: %u run%s of at most %u round%s, until %s.\n"
                 "To take it back: %s revoke %s\n",
                 desk->id, decision.runs, decision.runs == 1 ? "" : "s", decision.rounds,
                 decision.rounds == 1 ? "" : "s", until, invocation->program, desk->id);
    approve_tell_hold(invocation, desk, &decision);
    TRY(store_dataset_find(desk->store, desk->job->dataset, &dataset));
    uint64_t rows = approval_terms_excess(desk->job, &dataset);
    if (rows > 0)
        (void)printf("Round 1 would fail here: this site has about %" PRIu64
                     " training rows, and the job's max_examples is %" PRIu64
                     ". Tell its requester that a job with more would do.\n",
                     rows, desk->job->secure.max_examples);
done:
    return err;
}

static struct error *approve_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct desk desk = {.home = NULL};
    struct approval_limits limits;
    bool removed = false;
    bool approved = false;
    int64_t now = clock_now_ms() / 1000;
    TRY(approve_limits(now, &limits));
    TRY(desk_open(invocation, STORE_WRITE, &desk));
    TRY(store_peer_is_removed(desk.store, &desk.record.requester, &removed));
    TRY(approve_give(&desk, &limits, now, &approved));
    if (!approved) {
        (void)printf(
            "Your word is recorded: 1 of %d owners. Job %s waits for another owner, who takes the same "
            "limits with\n  %s approve %s --key DIR\n",
            ENDORSEMENT_NEEDED, desk.id, invocation->program, desk.id);
        goto done;
    }
    TRY(approve_print(invocation, &desk));
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
    .detail =
        "JOB_ID: the first 4 or more digits of its id. `datasite show JOB_ID` says what it computes "
        "and what\n"
        "leaves. The options narrow what the job asks for; nothing widens it. The approval is signed "
        "with the\n"
        "site's key and holds for exactly these bytes of the job, this requester and this dataset. With "
        "four_eyes\n"
        "in policy.yaml it takes two owners, each with --key.\n\n"
        "A job with secure aggregation is approved for one run, without --hold, and when every site of it "
        "is among\n"
        "`partners` of policy.yaml (`datasite trust partner`).\n\n"
        "Prefer --hold every or --hold first. --hold final waits in the last approved round "
        "alone: a\n"
        "requester who stops a round earlier leaves with all others, and nobody has looked.\n\n"
        "Example:\n"
        "  datasite approve 1f2e3d4c5b6a --rounds 5 --expires 24h",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .options = approve_options,
    .run = approve_run,
};
