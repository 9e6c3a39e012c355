#include "console/interrupt.h"
#include "console/terminal.h"
#include "orchestrator/commands.h"
#include "schemas/clock.h"

#include <jansson.h>
#include <malloc.h>
#include <math.h>

extern const struct verb verb_run;

#define TEXT_BYTES 1024
#define REAL_DIGITS 15

/* Each round takes the memory again that the one before gave back: kept, it need not be cleared by the kernel each time,
 * which was a tenth of the processor's time. */
#define KEPT_BLOCK_BYTES (32 * 1024 * 1024)
#define KEPT_BYTES (256 * 1024 * 1024)

static struct {
    const char *out, *approval_timeout, *connect_timeout, *wait_held, *init_model;
    bool json, quiet, mock;
} run_given;

/* What the callbacks draw on. */
struct screen {
    struct progress progress;
    bool open; /* a progress line is there */
};

static const struct option *run_options(void)
{
    static const struct option options[] = {
        {.name = "out",
         .kind = OPTION_TEXT,
         .target = &run_given.out,
         .value = "DIR",
         .help = "copies of the run's files go there when it is over"},
        {.name = "approval-timeout",
         .kind = OPTION_TEXT,
         .target = &run_given.approval_timeout,
         .value = "TIME",
         .help = "how long to wait for the owners; else 10m"},
        {.name = "connect-timeout",
         .kind = OPTION_TEXT,
         .target = &run_given.connect_timeout,
         .value = "TIME",
         .help = "how long to wait for sites to be reachable; else 30s"},
        {.name = "wait-held",
         .kind = OPTION_TEXT,
         .target = &run_given.wait_held,
         .value = "TIME",
         .help = "how long owners may look at numbers before they leave; else 24h"},
        {.name = "init-model",
         .kind = OPTION_TEXT,
         .target = &run_given.init_model,
         .value = "FILE",
         .help = "the model that model.init of the job names by its SHA-256"},
        {.name = "mock",
         .kind = OPTION_FLAG,
         .target = &run_given.mock,
         .help = "a trial on the sites' mock data: no approval, no site does anything"},
        {.name = "json", .kind = OPTION_FLAG, .target = &run_given.json, .help = "only the result, as JSON"},
        {.name = "quiet",
         .letter = 'q',
         .kind = OPTION_FLAG,
         .target = &run_given.quiet,
         .help = "no rounds and no progress, only what is wrong"},
        {0},
    };
    return options;
}

static struct error *duration(const char *text, const char *option, int *ret_seconds)
{
    int64_t seconds = 0;
    if (text == NULL)
        return NULL;
    struct error *err = clock_parse_duration(text, &seconds);
    if (err != NULL) {
        struct error *usage = error_new(ERROR_USAGE, "--%s: %s", option, err->sentence);
        error_free(err);
        return usage;
    }
    if (seconds < 1 || seconds > 30 * 86400)
        return error_new(ERROR_USAGE, "--%s is from 1s to 30d.", option);
    *ret_seconds = (int)seconds;
    return NULL;
}

static void close_progress(struct screen *screen)
{
    if (screen->open)
        progress_end(&screen->progress);
    screen->open = false;
}

/* What the round in hand is at. */
static void progress_note(const struct orchestrator_event *event, char *note, size_t bytes)
{
    char round[64];
    if (event->round > event->rounds)
        (void)snprintf(round, sizeof round, "counting the last model's answers");
    else
        (void)snprintf(round, sizeof round, "round %u of %u", event->round, event->rounds);
    if (event->kind == ORCHESTRATOR_KEYS)
        (void)snprintf(note, bytes, "%s, %zu of %zu sites have exchanged keys", round, event->done,
                       event->total);
    else if (event->kind == ORCHESTRATOR_UNMASKED)
        (void)snprintf(note, bytes, "%s, the sum of %zu of %zu sites is there", round, event->done,
                       event->total);
    else
        (void)snprintf(note, bytes, "%s, %zu of %zu sites have %s%s", round, event->done, event->total,
                       event->round > event->rounds ? "answered" : "trained",
                       event->kind == ORCHESTRATOR_SITE_HELD ? "; a person looks at the numbers of one" : "");
}

static void draw_progress(struct screen *screen, const struct orchestrator_event *event)
{
    char note[160];
    if (run_given.quiet || run_given.json || event->rounds == 0)
        return;
    if (!screen->open)
        progress_start(&screen->progress, "Training");
    screen->open = true;
    double within = event->total == 0 || event->kind == ORCHESTRATOR_KEYS
                        ? 0
                        : (double)event->done / (double)event->total;
    double done = ((double)event->round - 1 + within) / event->rounds;
    progress_note(event, note, sizeof note);
    progress_set(&screen->progress, event->round == 0 ? 0 : done > 1 ? 1 : done, note);
}

/* What comes from a site is cleaned before it reaches the terminal. */
static void tell(struct screen *screen, const struct orchestrator_event *event, const char *text)
{
    char site[TEXT_BYTES];
    char clean[TEXT_BYTES];
    close_progress(screen);
    terminal_clean(event->site == NULL ? "" : event->site, site, sizeof site);
    terminal_clean(text, clean, sizeof clean);
    (void)fprintf(stderr, "%s%s%s\n", site, event->site == NULL ? "" : ": ", clean);
}

static void tell_waiting(struct screen *screen, const struct orchestrator_event *event)
{
    char site[TEXT_BYTES];
    char command[TEXT_BYTES];
    close_progress(screen);
    terminal_clean(event->site, site, sizeof site);
    terminal_clean(event->command, command, sizeof command);
    (void)fprintf(stderr, "Waiting for approval at %s: its owner would type: %s\n", site, command);
}

static void on_event(void *context, const struct orchestrator_event *event)
{
    struct screen *screen = context;
    switch ((enum orchestrator_event_kind)event->kind) {
    case ORCHESTRATOR_SITE_UP:
    case ORCHESTRATOR_SITE_READY:
        break;
    case ORCHESTRATOR_SITE_WAITING:
        tell_waiting(screen, event);
        break;
    case ORCHESTRATOR_SITE_DOWN:
    case ORCHESTRATOR_SITE_OUT:
    case ORCHESTRATOR_WARNING:
        tell(screen, event, event->sentence);
        break;
    case ORCHESTRATOR_NOTE:
        if (!run_given.quiet && !run_given.json)
            tell(screen, event, event->sentence);
        break;
    case ORCHESTRATOR_SITE_HELD:
        tell(screen, event, event->sentence);
        draw_progress(screen, event);
        break;
    case ORCHESTRATOR_SITE_MISSED: /* the round's own lines say it too */
        if (run_given.quiet || run_given.json)
            tell(screen, event, event->sentence);
        break;
    case ORCHESTRATOR_ROUND_STARTED:
    case ORCHESTRATOR_SITE_ANSWERED:
    case ORCHESTRATOR_KEYS:
    case ORCHESTRATOR_UNMASKED:
        draw_progress(screen, event);
        break;
    case ORCHESTRATOR_ATTEMPT:
        tell(screen, event, event->sentence);
        draw_progress(screen, event);
        break;
    case ORCHESTRATOR_EVALUATED:
        close_progress(screen);
        if (!run_given.quiet && !run_given.json)
            orchestrator_run_print_evaluation(event->run, stdout);
        break;
    case ORCHESTRATOR_ROUND_ENDED:
        close_progress(screen);
        if (run_given.quiet || run_given.json)
            break;
        orchestrator_run_print_round(event->run, stdout);
        (void)fflush(stdout);
        break;
    }
}

static int cancelled(void *context)
{
    (void)context;
    interrupt_drain();
    return interrupt_requested() != 0;
}

static json_t *json_of_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *json_of_privacy(const struct orchestrator_run *run)
{
    struct orchestrator_privacy privacy;
    if (orchestrator_run_privacy(run, &privacy) != 0)
        return json_null();
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:s}", "mechanism", privacy.mechanism, "noise_multiplier",
                     json_of_real(privacy.noise_multiplier), "target_epsilon",
                     json_of_real(privacy.target_epsilon), "epsilon", json_of_real(privacy.epsilon), "delta",
                     json_of_real(privacy.delta), "accountant", "pld");
}

static struct error *print_json(const struct orchestrator_run *run)
{
    json_t *result =
        json_pack("{s:i, s:b, s:s, s:s, s:s, s:s, s:I, s:s, s:s?, s:o}", "version", 1, "mock",
                  orchestrator_run_is_mock(run), "run_id", orchestrator_run_id(run), "job_id",
                  orchestrator_run_job_id(run), "status", orchestrator_run_status(run), "reason",
                  orchestrator_run_reason(run), "rounds", (json_int_t)orchestrator_run_rounds(run),
                  "directory", orchestrator_run_directory(run), "reports", orchestrator_run_reports(run),
                  "privacy", json_of_privacy(run));
    if (result == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for the result.");
    (void)json_dumpf(result, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(REAL_DIGITS));
    (void)putchar('\n');
    json_decref(result);
    return NULL;
}

static struct error *print_result(const struct orchestrator_run *run)
{
    if (run_given.json)
        return print_json(run);
    if (!run_given.quiet)
        orchestrator_run_print_summary(run, stdout);
    return NULL;
}

static struct error *run_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct screen screen = {0};
    struct orchestrator *orchestrator = NULL;
    struct orchestrator_run *run = NULL;
    struct orchestrator_failure failure;
    struct orchestrator_run_options options = {.size = sizeof options,
                                               .job_path = invocation->arguments[0],
                                               .out_directory = run_given.out,
                                               .mock = run_given.mock,
                                               .initial_model = run_given.init_model,
                                               .cancelled = cancelled,
                                               .on_event = on_event,
                                               .context = &screen};
    (void)mallopt(M_MMAP_THRESHOLD, KEPT_BLOCK_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    TRY(duration(run_given.approval_timeout, "approval-timeout", &options.approval_seconds));
    TRY(duration(run_given.connect_timeout, "connect-timeout", &options.connect_seconds));
    TRY(duration(run_given.wait_held, "wait-held", &options.held_seconds));
    TRY(interrupt_install());
    options.cancel_fd = interrupt_fd();
    if (orchestrator_open(invocation->home, &orchestrator, &failure) != 0) {
        err = command_failed(&failure);
        goto done;
    }
    command_warn(orchestrator);
    if (orchestrator_run(orchestrator, &options, &run, &failure) != 0)
        err = command_failed(&failure);
    close_progress(&screen);
    if (run != NULL) {
        struct error *unprinted = print_result(run);
        if (err == NULL)
            err = unprinted;
        else
            error_free(unprinted);
    }
done:
    orchestrator_run_free(run);
    orchestrator_close(orchestrator);
    return err;
}

const struct verb verb_run = {
    .name = "run",
    .summary = "Have the sites of a job train a model, and write the reports",
    .arguments = "JOB.yaml",
    .detail =
        "Submits the job's exact bytes to its sites, waits until their owners have decided, then does the "
        "rounds.\n"
        "A round goes on without a site that fails, refuses or is late as long as federation.min_sites have\n"
        "answered, and stops the run below that. Where an owner looks at the numbers before they leave, the\n"
        "run waits for that (--wait-held, at most until the job expires) and keeps what the others "
        "answered.\n"
        "A job with privacy.target_epsilon and no noise_multiplier is submitted with the noise_multiplier "
        "that "
        "all of\n"
        "it needs to stay within that epsilon: a line more in its bytes, which the run keeps as job.yaml. "
        "JOB.yaml\n"
        "itself stays as it is. --json has under \"privacy\" the noise_multiplier and the epsilon of the "
        "whole job.\n"
        "Ctrl-C ends the run in order. Reports of what there is are always written. While a run goes on, the "
        "home\n"
        "begins no other with the same sites.\n\n"
        "Every run is recorded in runs/<run-id>/ of the home. DIR of --out gets copies of its files; it has "
        "to be\n"
        "new or empty, or hold the files of an earlier run, which only a run that made a model replaces.\n\n"
        "With --mock the job is tried on the synthetic rows that the sites have made for its dataset "
        "(datasite\n"
        "mock make): they are fetched, and all rounds are done here. Nothing is submitted and nobody has to "
        "approve;\n"
        "everything that comes out is marked MOCK, and says nothing of the private rows. A job with secure\n"
        "aggregation is averaged in clear then, and shows of single sites as little as the real run will. In "
        "a\n"
        "trial of a private job sums are divided by the rows that the job declares, as they will be: with "
        "fewer\n"
        "mock rows each step is that much smaller, and its noise weighs more than it will.\n\n"
        "Exit status: 0 all rounds are done, 1 refused, stopped or failed, 2 wrong usage, 130 "
        "interrupted.\n\n"
        "Example:\n"
        "  orchestrator run job.yaml --mock\n"
        "  orchestrator run job.yaml --out results",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .options = run_options,
    .run = run_run,
};
