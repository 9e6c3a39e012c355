#include "console/terminal.h"
#include "console/verbs.h"
#include "datasite/desk.h"
#include "datasite/endorsement.h"
#include "schemas/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>

extern const struct verb verb_show;

#define SHOW_LABEL "%-11s"
#define SHOW_TEXT_BYTES 256

static struct {
    bool raw, json;
} show_given;

static const struct option *show_options(void)
{
    static const struct option options[] = {
        {.name = "raw",
         .kind = OPTION_FLAG,
         .target = &show_given.raw,
         .help = "the exact bytes of the job file, nothing else"},
        {.name = "json", .kind = OPTION_FLAG, .target = &show_given.json, .help = "for programs"},
        {0},
    };
    return options;
}

/* Everything that one screen needs besides the job. */
struct screen {
    const struct desk *desk;
    const char *program;
    bool listed;
    bool has_dataset;
    struct dataset_info dataset;
    bool has_decision;
    struct decision decision;
    uint32_t runs_used, last_round;
    size_t endorsed; /* owners who agree, of a pending job where the policy wants four eyes */
    bool four_eyes;
    struct decision endorsement; /* what they agree on */
};

/* Who has said yes so far, where two owners must. */
static struct error *screen_load_owners(const struct desk *desk, struct screen *screen)
{
    struct error *err = NULL;
    struct policy *policy = NULL;
    TRY(policy_load(desk->home->policy_path, &policy));
    screen->four_eyes = policy->gate.four_eyes;
    if (screen->four_eyes && desk->record.state == JOB_STATE_PENDING)
        TRY(endorsement_first(desk->store, &policy->gate, identity_id(desk->identity), &desk->record,
                              &screen->endorsement, &screen->endorsed));
done:
    policy_free(policy);
    return err;
}

static struct error *screen_load(const struct desk *desk, struct screen *ret_screen)
{
    struct error *err = NULL;
    struct screen screen = {.desk = desk};
    TRY(desk_is_listed(desk->store, &desk->record.requester, &screen.listed));
    TRY(store_runs_used(desk->store, &desk->record.id, &screen.runs_used, &screen.last_round));
    TRY(screen_load_owners(desk, &screen));
    err = store_dataset_find(desk->store, desk->job->dataset, &screen.dataset);
    screen.has_dataset = err == NULL;
    if (err != NULL && err->code != ERROR_NOT_FOUND)
        goto done;
    error_clear(&err);
    err = store_last_decision(desk->store, &desk->record.id, &screen.decision);
    screen.has_decision = err == NULL;
    if (err != NULL && err->code != ERROR_NOT_FOUND)
        goto done;
    error_clear(&err);
    *ret_screen = screen;
done:
    return err;
}

static uint64_t screen_coefficients(const struct screen *screen)
{
    return (screen->dataset.features + 1) * screen->dataset.classes;
}

/* ---- text ---- */

static void show_who(const struct screen *screen)
{
    const struct job_record *record = &screen->desk->record;
    char name[2 * sizeof(record->requester_name)], fingerprint[FINGERPRINT_BYTES], when[CLOCK_TEXT_BYTES];
    terminal_clean(record->requester_name, name, sizeof(name));
    site_id_format(&record->requester, fingerprint);
    clock_format(record->received_at, when);
    /* Labels give way where 80 columns would not hold the longest value. */
    (void)printf(SHOW_LABEL "%s\n", "Asked by", name);
    (void)printf("%-9s%s\n", "Key", fingerprint);
    (void)printf(SHOW_LABEL "%s; on %s\n", "",
                 screen->listed ? "in your list of trusted peers" : "known through your consortium only",
                 when);
}

static void show_optimizer(const struct job *job, char *ret_text, size_t text_bytes)
{
    switch (job->optimizer) {
    case JOB_LBFGS:
        (void)snprintf(ret_text, text_bytes, "L-BFGS, %" PRIu32 " iterations a round", job->local_iterations);
        break;
    case JOB_SGD:
        (void)snprintf(ret_text, text_bytes,
                       "SGD, %" PRIu32 " epochs a round, batches of %" PRIu32 ", learning rate %g",
                       job->local_epochs, job->batch_size, job->learning_rate);
        break;
    }
}

static void show_what(const struct screen *screen)
{
    const struct job *job = screen->desk->job;
    char optimizer[SHOW_TEXT_BYTES];
    show_optimizer(job, optimizer, sizeof(optimizer));
    (void)printf(SHOW_LABEL "%s, l2 %g, start: %s\n", "Computes", job_model_word(job->model), job->l2,
                 job_init_word(job->init));
    (void)printf(SHOW_LABEL "%s\n", "", optimizer);
    (void)printf(SHOW_LABEL "trains on %.0f %% of your rows, tests on the other %.0f %%\n", "",
                 100 * (1 - job->test_fraction), 100 * job->test_fraction);
    (void)printf(SHOW_LABEL "%s\n", "Data", job->dataset);
    if (screen->has_dataset)
        (void)printf(SHOW_LABEL "%" PRIu64 " rows, %" PRIu64 " features, %" PRIu32 " classes\n", "",
                     screen->dataset.rows, screen->dataset.features, screen->dataset.classes);
    else
        (void)printf(SHOW_LABEL "this site does not hold it now\n", "");
}

static void show_leaves(const struct screen *screen)
{
    const struct job *job = screen->desk->job;
    uint32_t classes = screen->dataset.classes;
    if (screen->has_dataset)
        (void)printf(SHOW_LABEL "each round: %" PRIu64 " model coefficients, your number of training rows\n",
                     "Leaves", screen_coefficients(screen));
    else
        (void)printf(SHOW_LABEL "each round: all model coefficients, your number of training rows\n",
                     "Leaves");
    if (job->metrics == JOB_METRICS_PER_SITE)
        (void)printf(SHOW_LABEL "and the accuracy on your training rows and %" PRIu32 " x %" PRIu32
                                " counts (confusion\n" SHOW_LABEL
                                "matrix) of your test rows, for two models\n",
                     "", classes, classes, "");
    else
        (void)printf(SHOW_LABEL "no accuracy and no counts (metrics: none)\n", "");
    (void)printf(SHOW_LABEL "%" PRIu32 " rounds a run; one run unless you approve more\n", "How often",
                 job->rounds);
    (void)printf(SHOW_LABEL "the requester; it may pass the averaged model on to %zu site%s\n", "Seen by",
                 job->site_count, job->site_count == 1 ? "" : "s");
    (void)printf(SHOW_LABEL "none. Coefficients leave in clear: who receives them can test\n" SHOW_LABEL
                            "guesses about single records, the more rounds the better\n",
                 "Protection", "");
}

static enum terminal_style show_state_style(enum job_state state)
{
    switch (state) {
    case JOB_STATE_PENDING:
        return STYLE_WARN;
    case JOB_STATE_APPROVED:
    case JOB_STATE_RUNNING:
    case JOB_STATE_FINISHED:
        return STYLE_GOOD;
    case JOB_STATE_DENIED:
    case JOB_STATE_REVOKED:
    case JOB_STATE_EXPIRED:
        return STYLE_BAD;
    }
    return STYLE_PLAIN;
}

static void show_owners(const struct screen *screen)
{
    const struct decision *decision = &screen->endorsement;
    char until[CLOCK_TEXT_BYTES];
    if (!screen->four_eyes || screen->desk->record.state != JOB_STATE_PENDING)
        return;
    (void)printf("; %zu of %d owners approved", screen->endorsed, ENDORSEMENT_NEEDED);
    if (screen->endorsed == 0)
        return;
    clock_format(decision->expires, until);
    (void)printf("\n" SHOW_LABEL "%" PRIu32 " run%s of %" PRIu32 " rounds, until %s; hold: %s%s", "",
                 decision->runs, decision->runs == 1 ? "" : "s", decision->rounds, until,
                 hold_word(decision->hold), decision->allow_growth ? "; rows may be added" : "");
}

static void show_state(const struct screen *screen)
{
    const struct job_record *record = &screen->desk->record;
    const struct decision *decision = &screen->decision;
    char when[CLOCK_TEXT_BYTES], until[CLOCK_TEXT_BYTES];
    char by[2 * sizeof(decision->decided_by)], reason[70]; /* what a line holds */
    (void)printf(SHOW_LABEL "%s%s%s", "State", terminal_style(stdout, show_state_style(record->state)),
                 job_state_word(record->state), terminal_style(stdout, STYLE_PLAIN));
    show_owners(screen);
    if (screen->has_decision) {
        clock_format(decision->decided_at, when);
        terminal_clean(decision->decided_by, by, sizeof(by));
        (void)printf("; decided on %s\n%-9s%s", when, "By", by);
    }
    if (screen->has_decision && decision->reason[0] != '\0') {
        terminal_clean(decision->reason, reason, sizeof(reason));
        (void)printf("\n" SHOW_LABEL "%s", "Reason", reason);
    }
    clock_format(record->expires, until);
    if (screen->has_decision && decision->kind == DECISION_APPROVE) {
        clock_format(decision->expires, until);
        (void)printf("\n" SHOW_LABEL "%" PRIu32 " of %" PRIu32 " runs begun, %" PRIu32 " rounds each", "",
                     screen->runs_used, decision->runs, decision->rounds);
        if (record->state == JOB_STATE_RUNNING)
            (void)printf(", round %" PRIu32 " is done", screen->last_round);
    }
    (void)printf("\n" SHOW_LABEL "%s\n", "Ends", until);
}

static void show_commands(const struct screen *screen)
{
    const char *id = screen->desk->id;
    switch (screen->desk->record.state) {
    case JOB_STATE_PENDING:
        (void)printf(SHOW_LABEL "%s approve %s %s[--rounds N] [--runs N] [--expires 24h]\n", "To approve",
                     screen->program, id, screen->four_eyes ? "--key DIR " : "");
        (void)printf(SHOW_LABEL "%s deny %s [--reason TEXT]\n", "To deny", screen->program, id);
        break;
    case JOB_STATE_APPROVED:
    case JOB_STATE_RUNNING:
        (void)printf(SHOW_LABEL "%s revoke %s [--reason TEXT]\n", "To revoke", screen->program, id);
        break;
    case JOB_STATE_FINISHED:
    case JOB_STATE_DENIED:
    case JOB_STATE_REVOKED:
    case JOB_STATE_EXPIRED:
        break;
    }
}

static void show_print(const struct screen *screen)
{
    char hex[DIGEST_HEX_BYTES];
    digest_hex(&screen->desk->record.id, hex);
    (void)printf("%sJob \"%s\"%s\n", terminal_style(stdout, STYLE_BOLD), screen->desk->job->name,
                 terminal_style(stdout, STYLE_PLAIN));
    show_who(screen);
    show_what(screen);
    show_leaves(screen);
    show_state(screen);
    (void)printf(SHOW_LABEL "%s\n", "Job id", hex);
    show_commands(screen);
}

/* ---- JSON ---- */

static json_t *show_json_decision(const struct screen *screen)
{
    static const char *const kinds[] = {
        [DECISION_APPROVE] = "approve", [DECISION_DENY] = "deny", [DECISION_REVOKE] = "revoke"};
    const struct decision *decision = &screen->decision;
    char by[2 * sizeof(decision->decided_by)], reason[2 * sizeof(decision->reason)];
    char at[CLOCK_TEXT_BYTES], expires[CLOCK_TEXT_BYTES];
    if (!screen->has_decision)
        return json_null();
    terminal_clean(decision->decided_by, by, sizeof(by));
    terminal_clean(decision->reason, reason, sizeof(reason));
    clock_format(decision->decided_at, at);
    clock_format(decision->expires, expires);
    bool approved = decision->kind == DECISION_APPROVE;
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s?}", "kind", kinds[decision->kind], "by", by, "at",
                     at, "reason", reason, "rounds", (json_int_t)decision->rounds, "runs",
                     (json_int_t)decision->runs, "expires", approved ? expires : NULL);
}

static json_t *show_json_leaves(const struct screen *screen)
{
    const struct job *job = screen->desk->job;
    json_t *coefficients =
        screen->has_dataset ? json_integer((json_int_t)screen_coefficients(screen)) : json_null();
    bool counts = job->metrics == JOB_METRICS_PER_SITE;
    return json_pack("{s:o, s:b, s:b, s:b, s:s}", "coefficients", coefficients, "training_rows", 1,
                     "train_accuracy", counts ? 1 : 0, "confusion", counts ? 1 : 0, "protection", "none");
}

static struct error *show_print_json(const struct screen *screen)
{
    struct error *err = NULL;
    const struct desk *desk = screen->desk;
    const struct job *job = desk->job;
    char hex[DIGEST_HEX_BYTES], requester[FINGERPRINT_BYTES], name[2 * sizeof(desk->record.requester_name)];
    char received[CLOCK_TEXT_BYTES], expires[CLOCK_TEXT_BYTES];
    digest_hex(&desk->record.id, hex);
    site_id_format(&desk->record.requester, requester);
    terminal_clean(desk->record.requester_name, name, sizeof(name));
    clock_format(desk->record.received_at, received);
    clock_format(desk->record.expires, expires);
    bool running = desk->record.state == JOB_STATE_RUNNING; /* last_round is of the run in progress */
    json_t *document = json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:I, s:o, s:o}",
        "version", 1, "job_id", hex, "name", job->name, "requester", requester, "requester_name", name,
        "listed", screen->listed ? 1 : 0, "state", job_state_word(desk->record.state), "received_at",
        received, "expires", expires, "dataset", job->dataset, "model", job_model_word(job->model),
        "optimizer", job_optimizer_word(job->optimizer), "rounds", (json_int_t)job->rounds, "sites",
        (json_int_t)job->site_count, "leaves", show_json_leaves(screen), "decision",
        show_json_decision(screen), "runs_used", (json_int_t)screen->runs_used, "last_round",
        running ? json_integer((json_int_t)screen->last_round) : json_null(), "owners_approved",
        screen->four_eyes ? json_integer((json_int_t)screen->endorsed) : json_null());
    if (document == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to describe the job.");
    if (json_dumpf(document, stdout, JSON_INDENT(2)) != 0 || putchar('\n') == EOF)
        err = error_errno(ERROR_IO, errno, "The job cannot be written");
done:
    json_decref(document);
    return err;
}

static struct error *show_print_raw(const struct desk *desk)
{
    if (fwrite(desk->record.bytes, 1, desk->record.byte_count, stdout) != desk->record.byte_count)
        return error_errno(ERROR_IO, errno, "The job cannot be written");
    return NULL;
}

static struct error *show_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct desk desk = {.home = NULL};
    struct screen screen;
    TRY(desk_open(invocation, STORE_READ, &desk));
    if (show_given.raw) {
        TRY(show_print_raw(&desk));
        goto done;
    }
    TRY(screen_load(&desk, &screen));
    screen.program = invocation->program;
    if (show_given.json)
        TRY(show_print_json(&screen));
    else
        show_print(&screen);
done:
    desk_close(&desk);
    return err;
}

const struct verb verb_show = {
    .name = "show",
    .summary = "Explain one job: who asks, what is computed, what leaves",
    .arguments = "JOB_ID",
    .detail = "JOB_ID: the first 4 or more digits of its id, as `datasite requests` lists them.\n\n"
              "Example:\n"
              "  datasite show 1f2e3d4c5b6a",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .options = show_options,
    .run = show_run,
};
