#include "console/terminal.h"
#include "console/verbs.h"
#include "orchestrator/home.h"
#include "orchestrator/report_parts.h"
#include "orchestrator/report_privacy.h"
#include "orchestrator/run_list.h"
#include "orchestrator/run_out.h"
#include "orchestrator/run_store.h"

extern const struct verb verb_report;

static struct {
    const char *out;
    bool json;
    uint64_t confusion; /* 0: none */
} asked;

static const struct option *report_options(void)
{
    static const struct option options[] = {
        {.name = "out",
         .kind = OPTION_TEXT,
         .target = &asked.out,
         .value = "DIR",
         .help = "write the reports into DIR"},
        {.name = "json", .kind = OPTION_FLAG, .target = &asked.json, .help = "print report.json"},
        {.name = "confusion",
         .kind = OPTION_COUNT,
         .target = &asked.confusion,
         .value = "ROUND",
         .help = "print the confusion matrices of a round",
         .minimum = 1,
         .maximum = 10000},
        {0},
    };
    return options;
}

static struct error *print_json(const struct run_record *record)
{
    struct error *err = NULL;
    struct report_text text = {0};
    TRY(report_json_text(record, &text));
    (void)fwrite(text.bytes, 1, text.count, stdout);
done:
    report_text_clear(&text);
    return err;
}

static void print_one_confusion(const struct run_record *record, uint64_t round, const char *of,
                                const uint64_t *counts)
{
    char title[JOB_SITE_NAME_BYTES + 64];
    (void)snprintf(title, sizeof title, "%s%.*s, round %llu", record->mock ? "MOCK: " : "",
                   JOB_SITE_NAME_BYTES - 1, of, (unsigned long long)round);
    if (counts == NULL)
        (void)printf("  %s: not released\n", title);
    else
        terminal_confusion(stdout, title, counts, record->classes);
    (void)putchar('\n');
}

static struct error *print_confusions(const struct run_record *record, uint64_t number)
{
    const struct round_record *round = NULL;
    for (size_t i = 0; i < record->round_count; i++) {
        if (record->rounds[i].round == number)
            round = &record->rounds[i];
    }
    if (round == NULL)
        return error_new(ERROR_NOT_FOUND, "The run has no round %llu; it has %zu.",
                         (unsigned long long)number, record->round_count);
    report_print_mock(stdout, record);
    for (size_t i = 0; i < record->job->site_count; i++) {
        char name[JOB_SITE_NAME_BYTES * 2];
        terminal_clean(record->job->sites[i].name, name, sizeof name);
        print_one_confusion(record, number, name, round->sites[i].confusion);
    }
    if (report_private(record))
        report_privacy_print_counts(stdout, record, round);
    else
        print_one_confusion(record, number, "Pooled", round->pooled_confusion);
    if (record->job->global_test != JOB_GLOBAL_TEST_NONE)
        print_one_confusion(record, number, "Global test", round->global_confusion);
    return NULL;
}

/* Without a wish for the terminal the reports are written, beside the run or where --out says. */
static struct error *report_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    char *directory = NULL;
    struct run_record *record = NULL;
    const char *prefix = invocation->argument_count > 0 ? invocation->arguments[0] : NULL;
    TRY(home_check(invocation->home));
    TRY(run_list_find(invocation->home, prefix, &directory));
    TRY(run_store_load(directory, &record));
    const char *place = asked.out == NULL ? directory : asked.out;
    bool print_only = asked.json || asked.confusion != 0;
    if (asked.out != NULL)
        TRY(run_out_admit(asked.out, record));
    if (!print_only || asked.out != NULL)
        TRY(report_write(record, place));
    if (asked.json)
        TRY(print_json(record));
    if (asked.confusion != 0)
        TRY(print_confusions(record, asked.confusion));
    if (!print_only)
        report_print_summary(stdout, record, place);
done:
    run_record_free(record);
    free(directory);
    return err;
}

const struct verb verb_report = {
    .name = "report",
    .summary = "Write the reports of a run again, or print its figures",
    .arguments = "[RUN]",
    .detail =
        "RUN is the id of a run or its first digits; without it the latest run is taken. The reports "
        "(report.html,\n"
        "report.json, rounds.csv, confusion.csv, model.safetensors) are written beside the run, or into the\n"
        "directory of --out, and a table of all rounds is printed. With --json or --confusion the figures "
        "are\n"
        "printed instead, and files are written only with --out. The reports of another run in DIR are "
        "replaced only\n"
        "if this run made a model, and the record of another run never.\n\n"
        "Example:\n"
        "  orchestrator report 3f9a --out reports",
    .maximum_arguments = 1,
    .options = report_options,
    .run = report_run,
};
