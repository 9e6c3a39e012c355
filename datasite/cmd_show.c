#include "console/verbs.h"
#include "datasite/show_parts.h"

#include <errno.h>

extern const struct verb verb_show;

static struct {
    bool all, raw, json;
    const char *diff;
} show_given;

static const struct option *show_options(void)
{
    static const struct option options[] = {
        {.name = "all",
         .letter = 'a',
         .kind = OPTION_FLAG,
         .target = &show_given.all,
         .help = "also what does not fit on a screen, of a job with privacy"},
        {.name = "raw",
         .kind = OPTION_FLAG,
         .target = &show_given.raw,
         .help = "the exact bytes of the job file, nothing else"},
        {.name = "diff",
         .kind = OPTION_TEXT,
         .target = &show_given.diff,
         .value = "OTHER",
         .help = "what differs from another job, key by key"},
        {.name = "json", .kind = OPTION_FLAG, .target = &show_given.json, .help = "for programs"},
        {0},
    };
    return options;
}

static struct error *show_print_raw(const struct desk *desk)
{
    if (fwrite(desk->record.bytes, 1, desk->record.byte_count, stdout) != desk->record.byte_count)
        return error_errno(ERROR_IO, errno, "The job cannot be written");
    return NULL;
}

static struct error *show_screen(const struct desk *desk, const char *program)
{
    struct error *err = NULL;
    struct screen screen = {.desk = NULL};
    TRY(screen_load(desk, &screen));
    screen.program = program;
    screen.all = show_given.all || show_given.json;
    if (show_given.json)
        TRY(show_print_json(&screen));
    else
        show_print(&screen);
done:
    screen_clear(&screen);
    return err;
}

static struct error *show_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct desk desk = {.home = NULL};
    if (show_given.raw && show_given.diff != NULL)
        FAIL(ERROR_USAGE, "--raw and --diff do not go together.");
    if (show_given.raw && show_given.json)
        FAIL(ERROR_USAGE, "--raw and --json do not go together.");
    TRY(desk_open(invocation, STORE_READ, &desk));
    if (show_given.raw)
        TRY(show_print_raw(&desk));
    else if (show_given.diff != NULL)
        TRY(show_print_diff(&desk, show_given.diff, show_given.json));
    else
        TRY(show_screen(&desk, invocation->program));
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
              "  datasite show 1f2e3d4c5b6a\n"
              "  datasite show 1f2e3d4c5b6a --all\n"
              "  datasite show 1f2e3d4c5b6a --diff 9a8b7c6d",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .options = show_options,
    .run = show_run,
};
