#include "console/terminal.h"
#include "console/verbs.h"
#include "orchestrator/home.h"
#include "orchestrator/run_list.h"
#include "schemas/clock.h"
#include "schemas/text.h"

#include <jansson.h>
#include <math.h>

extern const struct verb verb_runs;

#define CELL_BYTES 96

static struct {
    bool json;
} asked;

static const struct option *runs_options(void)
{
    static const struct option options[] = {
        {.name = "json", .kind = OPTION_FLAG, .target = &asked.json, .help = "print the list as JSON"},
        {0},
    };
    return options;
}

static json_t *json_of_text(char *text)
{
    if (text == NULL)
        return json_null();
    text_make_printable(text);
    return json_string(text);
}

static json_t *json_of_real(double value)
{
    return isnan(value) ? json_null() : json_real(value);
}

static json_t *json_of_run(struct run_summary *run)
{
    char started[CLOCK_TEXT_BYTES];
    bool known = run->damage == NULL;
    clock_format(run->started_at / 1000, started);
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "run_id",
                     run->run_id, "directory", run->directory, "damage", json_of_text(run->damage),
                     "started_at", known ? json_string(started) : json_null(), "job_name",
                     known ? json_of_text(run->job_name) : json_null(), "status",
                     known ? json_string(run_status_word(run->status)) : json_null(), "reason",
                     known ? json_of_text(run->reason) : json_null(), "rounds",
                     known ? json_integer(run->rounds_done) : json_null(), "rounds_planned",
                     known ? json_integer(run->rounds_planned) : json_null(), "accuracy",
                     json_of_real(run->accuracy), "accuracy_noised", json_of_real(run->noised),
                     "accuracy_noised_standard_deviation", json_of_real(run->noised_deviation), "mock",
                     run->mock);
}

static struct error *print_json(const struct run_list *list)
{
    json_t *runs = json_array();
    int failed = 0;
    for (size_t i = 0; i < list->count; i++)
        failed |= json_array_append_new(runs, json_of_run(&list->runs[i]));
    json_t *all = json_pack("{s:i, s:o}", "version", 1, "runs", runs);
    if (failed == 0 && all != NULL)
        failed = json_dumpf(all, stdout, JSON_INDENT(2));
    json_decref(all);
    if (failed != 0 || all == NULL)
        return error_new(ERROR_MEMORY, "The list of runs could not be printed.");
    (void)putchar('\n');
    return NULL;
}

/* An exact figure where there is one. */
static void put_accuracy(const struct run_summary *run, char ret_cell[static CELL_BYTES])
{
    if (!isnan(run->accuracy))
        (void)snprintf(ret_cell, CELL_BYTES, "%.4f", run->accuracy);
    else if (!isnan(run->noised))
        (void)snprintf(ret_cell, CELL_BYTES, "%.4f ± %.4f, noised", run->noised, run->noised_deviation);
    else
        (void)snprintf(ret_cell, CELL_BYTES, "not released");
}

static struct error *add_row(struct table *table, const struct run_summary *run)
{
    char started[CLOCK_TEXT_BYTES] = "";
    char rounds[CELL_BYTES] = "";
    char accuracy[CELL_BYTES] = "";
    if (run->damage != NULL) {
        const char *cells[] = {run->run_id, "", "", "damaged", "", ""};
        return table_row(table, cells);
    }
    clock_format(run->started_at / 1000, started);
    (void)snprintf(rounds, sizeof rounds, "%u/%u", (unsigned)run->rounds_done, (unsigned)run->rounds_planned);
    put_accuracy(run, accuracy);
    char job[sizeof run->job_name + 8];
    (void)snprintf(job, sizeof job, "%s%s", run->mock ? "MOCK: " : "", run->job_name);
    const char *cells[] = {run->run_id, started, job, run_status_word(run->status), rounds, accuracy};
    return table_row(table, cells);
}

static void print_reasons(const struct run_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        char sentence[ERROR_SENTENCE_BYTES];
        if (list->runs[i].damage == NULL && list->runs[i].reason[0] == '\0')
            continue;
        terminal_clean(list->runs[i].damage != NULL ? list->runs[i].damage : list->runs[i].reason, sentence,
                       sizeof sentence);
        (void)printf("%.8s: %s\n", list->runs[i].run_id, sentence);
    }
}

static struct error *print_table(const struct run_list *list)
{
    static const char *const headers[] = {"run", "started", "job", "status", "rounds", "accuracy"};
    struct error *err = NULL;
    struct table *table = NULL;
    TRY(table_new(headers, 6, &table));
    table_align(table, 1u << 4 | 1u << 5);
    for (size_t i = 0; i < list->count; i++)
        TRY(add_row(table, &list->runs[i]));
    table_print(table, stdout);
    print_reasons(list);
done:
    table_free(table);
    return err;
}

static struct error *runs_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct run_list list = {0};
    TRY(home_check(invocation->home));
    TRY(run_list_read(invocation->home, &list));
    if (asked.json)
        TRY(print_json(&list));
    else if (list.count == 0)
        (void)printf("No runs yet in %s/runs.\n", invocation->home);
    else
        TRY(print_table(&list));
done:
    run_list_clear(&list);
    return err;
}

const struct verb verb_runs = {
    .name = "runs",
    .summary = "List the runs of this home, the latest last",
    .arguments = "",
    .detail = "Accuracy is that of the last shared model, or of the mean of the last ones where that is the "
              "result:\n"
              "pooled over the sites, else on the global test. A private job without a global test has an "
              "estimate\n"
              "with its standard deviation, from counts that left the sites with noise: \"noised\". A run "
              "whose record\n"
              "is damaged is listed with the reason.\n\n"
              "Example:\n"
              "  orchestrator runs --json",
    .options = runs_options,
    .run = runs_run,
};
