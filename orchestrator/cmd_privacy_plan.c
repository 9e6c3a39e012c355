#include "console/terminal.h"
#include "orchestrator/commands.h"
#include "orchestrator/privacy_settings.h"

#include <jansson.h>
#include <math.h>

extern const struct verb verb_privacy_plan;

#define CELL_BYTES 32

#define REAL_DIGITS 15

static struct {
    const char *epsilon, *delta, *accountant;
    struct option_texts events;
    uint64_t examples;
    bool json;
} asked;

struct budget {
    enum privacy_accountant accountant;
    double epsilon, delta;
    struct privacy_event spent[PRIVACY_MAX_EVENTS];
    size_t spent_count;
};

/* Expected batches, up to all records, and how often a record is taken on average. */
static const uint64_t plan_batches[] = {64, 512, 4096, UINT64_MAX};
static const uint64_t plan_epochs[] = {5, 20, 60};
#define PLAN_BATCHES (sizeof plan_batches / sizeof plan_batches[0])
#define PLAN_EPOCHS (sizeof plan_epochs / sizeof plan_epochs[0])

struct plan_row {
    uint64_t batch, epochs;
    struct privacy_event event;
    double noise; /* in the mean of a batch, in clip norms */
};

static const struct option *plan_options(void)
{
    static const struct option options[] = {
        {.name = "epsilon",
         .kind = OPTION_TEXT,
         .target = &asked.epsilon,
         .value = "E",
         .help = "the budget"},
        {.name = "delta", .kind = OPTION_TEXT, .target = &asked.delta, .value = "D", .help = "its delta"},
        {.name = "examples",
         .kind = OPTION_COUNT,
         .target = &asked.examples,
         .value = "N",
         .help = "how many records are trained on",
         .minimum = 1,
         .maximum = PRIVACY_MAX_EXAMPLES},
        {.name = "event",
         .kind = OPTION_TEXTS,
         .target = &asked.events,
         .value = "SIGMA:RATE:STEPS",
         .help = "what was spent of it already; may be given several times"},
        {.name = "accountant",
         .kind = OPTION_TEXT,
         .target = &asked.accountant,
         .value = "WORD",
         .help = "pld or rdp, which is quicker; else pld"},
        {.name = "json", .kind = OPTION_FLAG, .target = &asked.json, .help = "as JSON"},
        {0},
    };
    return options;
}

static struct error *budget_read(struct budget *ret_budget)
{
    struct error *err = NULL;
    struct budget budget = {0};
    char warning[PRIVACY_WARNING_BYTES];
    TRY(privacy_settings_number("epsilon", asked.epsilon, &budget.epsilon));
    TRY(privacy_settings_number("delta", asked.delta, &budget.delta));
    TRY(privacy_settings_accountant(asked.accountant, &budget.accountant));
    if (asked.examples == 0)
        FAIL(ERROR_USAGE, "--examples is missing.");
    if (budget.accountant == PRIVACY_GAUSSIAN)
        FAIL(ERROR_USAGE, "--accountant is pld or rdp here: \"gaussian\" has nothing for sampling.");
    for (size_t i = 0; i < asked.events.count; i++)
        TRY(privacy_settings_event(asked.events.texts[i], &budget.spent[budget.spent_count++]));
    privacy_settings_warning(budget.delta, asked.examples, warning);
    if (warning[0] != '\0')
        (void)fprintf(stderr, "%s\n", warning);
    *ret_budget = budget;
done:
    return err;
}

static struct error *plan_row(const struct budget *budget, uint64_t batch, uint64_t epochs,
                              struct plan_row *ret_row)
{
    struct error *err = NULL;
    double rate = (double)batch / (double)asked.examples;
    struct plan_row row = {
        .batch = batch, .epochs = epochs, .event = {0, rate, (uint64_t)ceil((double)epochs / rate)}};
    TRY(privacy_settings_usage(privacy_calibrate(budget->accountant, row.event, budget->spent,
                                                 budget->spent_count, budget->epsilon, budget->delta,
                                                 &row.event.noise_multiplier)));
    row.noise = row.event.noise_multiplier / (double)batch;
    *ret_row = row;
done:
    return err;
}

/* One row for each batch that there are records for, and each number of epochs that can be accounted for. */
static struct error *plan_rows(const struct budget *budget,
                               struct plan_row ret_rows[static PLAN_BATCHES * PLAN_EPOCHS], size_t *ret_count)
{
    struct error *err = NULL;
    struct progress progress;
    size_t count = 0, done = 0;
    progress_start(&progress, "Computing noise");
    for (size_t b = 0; b < PLAN_BATCHES; b++) {
        bool whole = plan_batches[b] == UINT64_MAX;
        for (size_t e = 0; e < PLAN_EPOCHS; e++) {
            uint64_t batch = whole ? asked.examples : plan_batches[b];
            progress_set(&progress, (double)done++ / (double)(PLAN_BATCHES * PLAN_EPOCHS), NULL);
            if ((!whole && batch >= asked.examples) ||
                (double)plan_epochs[e] * (double)asked.examples / (double)batch > (double)PRIVACY_MAX_STEPS)
                continue;
            TRY(plan_row(budget, batch, plan_epochs[e], &ret_rows[count]));
            count++;
        }
    }
    *ret_count = count;
done:
    progress_end(&progress);
    return err;
}

static struct error *print_table(const struct budget *budget, const struct plan_row *rows, size_t count)
{
    static const char *const headers[] = {"Batch", "Sampling rate",    "Epochs",
                                          "Steps", "Noise multiplier", "Noise in a batch's mean"};
    struct error *err = NULL;
    struct table *table = NULL;
    TRY(table_new(headers, sizeof headers / sizeof headers[0], &table));
    table_align(table, 63);
    for (size_t i = 0; i < count; i++) {
        char cells[6][CELL_BYTES];
        (void)snprintf(cells[0], CELL_BYTES, "%llu", (unsigned long long)rows[i].batch);
        (void)snprintf(cells[1], CELL_BYTES, "%.6g", rows[i].event.sampling_rate);
        (void)snprintf(cells[2], CELL_BYTES, "%llu", (unsigned long long)rows[i].epochs);
        (void)snprintf(cells[3], CELL_BYTES, "%llu", (unsigned long long)rows[i].event.steps);
        (void)snprintf(cells[4], CELL_BYTES, "%.4f", ceil(rows[i].event.noise_multiplier * 1e4) / 1e4);
        (void)snprintf(cells[5], CELL_BYTES, "%.6f", rows[i].noise);
        const char *const row[] = {cells[0], cells[1], cells[2], cells[3], cells[4], cells[5]};
        TRY(table_row(table, row));
    }
    (void)printf("What epsilon %g at delta %g buys with %llu record%s (%s):\n\n", budget->epsilon,
                 budget->delta, (unsigned long long)asked.examples, asked.examples == 1 ? "" : "s",
                 privacy_accountant_word(budget->accountant));
    table_print(table, stdout);
    (void)printf("\nThe noise is that of one step, in clip norms.\n");
done:
    table_free(table);
    return err;
}

static struct error *print_json(const struct budget *budget, const struct plan_row *rows, size_t count)
{
    struct error *err = NULL;
    json_t *list = json_array(), *all = NULL;
    for (size_t i = 0; i < count; i++) {
        json_t *row =
            json_pack("{s:I, s:f, s:I, s:I, s:f, s:f}", "batch", (json_int_t)rows[i].batch, "sampling_rate",
                      rows[i].event.sampling_rate, "epochs", (json_int_t)rows[i].epochs, "steps",
                      (json_int_t)rows[i].event.steps, "noise_multiplier", rows[i].event.noise_multiplier,
                      "noise_in_mean", rows[i].noise);
        if (row == NULL || json_array_append_new(list, row) != 0)
            FAIL(ERROR_MEMORY, "There is not enough memory to print the plan.");
    }
    all = json_pack("{s:i, s:f, s:f, s:I, s:s, s:O}", "version", 1, "epsilon", budget->epsilon, "delta",
                    budget->delta, "examples", (json_int_t)asked.examples, "accountant",
                    privacy_accountant_word(budget->accountant), "rows", list);
    if (all == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to print the plan.");
    (void)json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(REAL_DIGITS));
    (void)putchar('\n');
done:
    json_decref(all);
    json_decref(list);
    return err;
}

static struct error *plan_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct budget budget;
    struct plan_row rows[PLAN_BATCHES * PLAN_EPOCHS];
    size_t count = 0;
    if (invocation->argument_count > 0) {
        if (asked.epsilon != NULL || asked.delta != NULL || asked.accountant != NULL || asked.examples != 0)
            FAIL(ERROR_USAGE, "With a job file only --event and --json are taken: the rest is in the file.");
        return privacy_job_print(invocation->arguments[0], &asked.events, asked.json);
    }
    TRY(budget_read(&budget));
    TRY(plan_rows(&budget, rows, &count));
    TRY(asked.json ? print_json(&budget, rows, count) : print_table(&budget, rows, count));
done:
    return err;
}

const struct verb verb_privacy_plan = {
    .name = "privacy plan",
    .summary = "What a budget buys, or what a job costs",
    .arguments = "[JOB.yaml]",
    .detail = "For an epsilon at a delta and so many records: the noise that training has in each step, for "
              "batches\n"
              "and epochs to choose from. --event takes off what was spent before.\n\n"
              "Of a job file: its epsilon by every accountant, after a quarter, a half, three quarters and "
              "all of its\n"
              "rounds, together with the events of --event, and if all other sites colluded.\n\n"
              "Examples:\n"
              "  orchestrator privacy plan --epsilon 3 --delta 1e-5 --examples 60000\n"
              "  orchestrator privacy plan job.yaml --event 1.1:0.0043:14063",
    .maximum_arguments = 1,
    .options = plan_options,
    .run = plan_run,
    .needs_home = verbs_no_home,
};
