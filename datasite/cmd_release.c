#include "console/verbs.h"
#include "datasite/desk.h"
#include "datasite/held.h"
#include "datasite/release.h"
#include "schemas/clock.h"
#include "schemas/policy.h"
#include "schemas/text.h"

#include <inttypes.h>

extern const struct verb verb_release;

#define RELEASE_MAX_ROUND 100000

static struct {
    bool refuse;
    const char *reason, *run, *kind;
} release_given;

static const struct option *release_options(void)
{
    static const struct option options[] = {
        {.name = "refuse",
         .kind = OPTION_FLAG,
         .target = &release_given.refuse,
         .help = "keep the numbers here for good"},
        {.name = "reason",
         .kind = OPTION_TEXT,
         .target = &release_given.reason,
         .value = "TEXT",
         .help = "with --refuse: told to the requester"},
        {.name = "kind",
         .kind = OPTION_TEXT,
         .target = &release_given.kind,
         .value = "KIND",
         .help = "update or evaluation, when both of that round are held"},
        {.name = "run",
         .kind = OPTION_TEXT,
         .target = &release_given.run,
         .value = "RUN",
         .help = "first digits of the run, else the one in progress"},
        {0},
    };
    return options;
}

static struct error *release_parse_round(const char *text, uint32_t *ret_round)
{
    char *end = NULL;
    unsigned long round = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || round < 1 || round > RELEASE_MAX_ROUND)
        return error_new(ERROR_USAGE,
                         "The round must be a number from 1 on; `datasite held` lists what waits.");
    *ret_round = (uint32_t)round;
    return NULL;
}

static struct error *release_check_words(void)
{
    if (release_given.kind != NULL && strcmp(release_given.kind, "update") != 0 &&
        strcmp(release_given.kind, "evaluation") != 0)
        return error_new(ERROR_USAGE, "--kind is update or evaluation.");
    if (release_given.reason != NULL && !release_given.refuse)
        return error_new(ERROR_USAGE, "--reason goes with --refuse.");
    if (release_given.reason != NULL && !text_printable(release_given.reason, strlen(release_given.reason)))
        return error_new(ERROR_USAGE, "--reason must be printable text in one line.");
    return NULL;
}

static bool release_matches(const struct answer *answer, uint32_t round)
{
    char run[HELD_RUN_BYTES];
    held_run_hex(answer->run_id, run);
    return answer->round == round &&
           (release_given.run == NULL || strncmp(run, release_given.run, strlen(release_given.run)) == 0) &&
           (release_given.kind == NULL || strcmp(held_kind_word(answer->kind), release_given.kind) == 0);
}

/* The one held answer that is meant. What came after the owner looked must not leave along with it, so one of several
 * has to be named. */
static struct error *release_choose(const struct desk *desk, uint32_t round, struct answer *ret_answer)
{
    struct error *err = NULL;
    struct answer *answers = NULL;
    size_t count = 0, matching = 0;
    TRY(store_held(desk->store, &desk->record.id, &answers, &count));
    for (size_t i = 0; i < count; i++) {
        if (!release_matches(&answers[i], round))
            continue;
        *ret_answer = answers[i];
        matching++;
    }
    if (matching > 1)
        FAIL(ERROR_CONFLICT,
             "An update and an evaluation of round %" PRIu32 " are held: name one with --kind.", round);
    if (matching == 0)
        FAIL(ERROR_NOT_FOUND,
             "Nothing of round %" PRIu32 " of job %s is held (any more): `datasite held` lists what waits.",
             round, desk->id);
done:
    answers_free(answers, count);
    return err;
}

static void release_tell(const struct desk *desk, const struct answer *answer)
{
    if (release_given.refuse)
        (void)printf("Refused: the %s of round %" PRIu32
                     " of job %s stays here for good; its requester is told.\n",
                     held_kind_word(answer->kind), answer->round, desk->id);
    else
        (void)printf("Released: the %s of round %" PRIu32
                     " of job %s leaves when its requester asks again.\n",
                     held_kind_word(answer->kind), answer->round, desk->id);
}

static struct error *release_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct desk desk = {.home = NULL};
    struct policy *policy = NULL;
    struct answer answer = {.body = NULL};
    uint32_t round = 0;
    TRY(release_check_words());
    TRY(release_parse_round(invocation->arguments[1], &round));
    TRY(desk_open(invocation, STORE_WRITE, &desk));
    TRY(policy_load(desk.home->policy_path, &policy));
    TRY(release_choose(&desk, round, &answer));
    struct release_held held = {.store = desk.store,
                                .identity = desk.identity,
                                .gate = &policy->gate,
                                .job_id = &desk.record.id,
                                .run_id = answer.run_id,
                                .round = round,
                                .kind = answer.kind,
                                .now = clock_now_ms() / 1000};
    if (release_given.refuse)
        TRY(release_held_refuse(&held, release_given.reason == NULL ? "" : release_given.reason));
    else
        TRY(release_held_out(&held));
    release_tell(&desk, &answer);
done:
    policy_free(policy);
    desk_close(&desk);
    return err;
}

const struct verb verb_release = {
    .name = "release",
    .summary = "Let held numbers of a round leave, or keep them",
    .arguments = "JOB_ID ROUND",
    .detail = "`datasite held` shows what waits for you, because you approved the job with --hold. What you "
              "release\n"
              "leaves with a signed receipt when its requester asks again; what you refuse never leaves.\n\n"
              "Example:\n"
              "  datasite release 1f2e3d4c5b6a 1",
    .minimum_arguments = 2,
    .maximum_arguments = 2,
    .options = release_options,
    .run = release_run,
};
