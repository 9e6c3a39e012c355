#include "console/interrupt.h"
#include "console/terminal.h"
#include "orchestrator/commands.h"

#include <inttypes.h>
#include <jansson.h>

extern const struct verb verb_sites_data;

#define CELL_BYTES 32
#define TEXT_BYTES 512

static struct {
    const char *site, *fetch;
    bool json;
} data_given;

static const struct option *data_options(void)
{
    static const struct option options[] = {
        {.name = "site",
         .kind = OPTION_TEXT,
         .target = &data_given.site,
         .value = "NAME",
         .help = "only this one"},
        {.name = "fetch",
         .kind = OPTION_TEXT,
         .target = &data_given.fetch,
         .value = "DIR",
         .help = "save the mock rows in DIR/<site>/<dataset>/"},
        {.name = "json", .kind = OPTION_FLAG, .target = &data_given.json, .help = "as JSON"},
        {0},
    };
    return options;
}

static int cancelled(void *context)
{
    (void)context;
    interrupt_drain();
    return interrupt_requested() != 0;
}

static json_t *json_of_texts(const char *const *texts, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(list, json_string(texts[i]));
    return list;
}

static json_t *json_of_dataset(const struct orchestrator_dataset *dataset)
{
    return json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:I, s:o, s:o, s:s?, s:s}", "site", dataset->site,
        "dataset", dataset->name, "kind", dataset->kind, "features", (json_int_t)dataset->features,
        "image_rows", (json_int_t)dataset->image_rows, "image_columns", (json_int_t)dataset->image_columns,
        "classes", (json_int_t)dataset->classes, "rows",
        dataset->rows == ORCHESTRATOR_WITHHELD ? json_null() : json_integer((json_int_t)dataset->rows),
        "mock_rows", (json_int_t)dataset->mock_rows, "columns",
        json_of_texts(dataset->columns, dataset->column_count), "class_names",
        json_of_texts(dataset->class_names, dataset->class_name_count), "saved", dataset->saved, "reason",
        dataset->reason);
}

static struct error *print_json(const struct orchestrator_data *data)
{
    struct orchestrator_dataset dataset;
    const char *site = NULL, *reason = NULL;
    json_t *datasets = json_array(), *silent = json_array();
    int failed = 0;
    for (size_t i = 0; orchestrator_data_at(data, i, &dataset) == 0; i++)
        failed |= json_array_append_new(datasets, json_of_dataset(&dataset));
    for (size_t i = 0; orchestrator_data_silent_at(data, i, &site, &reason) == 0; i++)
        failed |= json_array_append_new(silent, json_pack("{s:s, s:s}", "site", site, "reason", reason));
    json_t *all = json_pack("{s:i, s:o, s:o}", "version", 1, "datasets", datasets, "silent", silent);
    if (all == NULL || failed != 0) {
        json_decref(all);
        return error_new(ERROR_MEMORY, "There is not enough memory for the list of datasets.");
    }
    (void)json_dumpf(all, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(all);
    return NULL;
}

static struct error *add_row(struct table *table, const struct orchestrator_dataset *dataset)
{
    char features[CELL_BYTES], classes[CELL_BYTES], rows[CELL_BYTES] = "-", mock[CELL_BYTES] = "-";
    (void)snprintf(features, sizeof features, "%" PRIu64, dataset->features);
    (void)snprintf(classes, sizeof classes, "%u", dataset->classes);
    if (dataset->rows != ORCHESTRATOR_WITHHELD)
        (void)snprintf(rows, sizeof rows, "%" PRIu64, dataset->rows);
    if (dataset->mock_rows > 0)
        (void)snprintf(mock, sizeof mock, "%" PRIu64, dataset->mock_rows);
    const char *const cells[] = {dataset->site, dataset->name, dataset->kind, features, classes, rows, mock};
    return table_row(table, cells);
}

static void print_saved(const struct orchestrator_data *data)
{
    struct orchestrator_dataset dataset;
    char clean[TEXT_BYTES];
    for (size_t i = 0; orchestrator_data_at(data, i, &dataset) == 0; i++) {
        terminal_clean(dataset.reason, clean, sizeof clean);
        if (dataset.saved != NULL)
            (void)printf("MOCK rows of \"%s\" of %s: %s\n", dataset.name, dataset.site, dataset.saved);
        else if (clean[0] != '\0')
            (void)printf("No mock rows of \"%s\" of %s: %s\n", dataset.name, dataset.site, clean);
    }
}

static void print_silent(const struct orchestrator_data *data)
{
    const char *site = NULL, *reason = NULL;
    char clean[TEXT_BYTES];
    for (size_t i = 0; orchestrator_data_silent_at(data, i, &site, &reason) == 0; i++) {
        terminal_clean(reason, clean, sizeof clean);
        (void)printf("%s: %s\n", site, clean);
    }
}

static struct error *print_table(const struct orchestrator_data *data)
{
    static const char *const headers[] = {"Site",    "Dataset", "Kind",     "Features",
                                          "Classes", "Rows",    "Mock rows"};
    struct error *err = NULL;
    struct orchestrator_dataset dataset;
    const char *site = NULL, *reason = NULL;
    struct table *table = NULL;
    TRY(table_new(headers, 7, &table));
    table_align(table, 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6);
    for (size_t i = 0; orchestrator_data_at(data, i, &dataset) == 0; i++)
        TRY(add_row(table, &dataset));
    if (orchestrator_data_count(data) > 0)
        table_print(table, stdout);
    else if (orchestrator_data_answered(data) == 0 &&
             orchestrator_data_silent_at(data, 0, &site, &reason) == 0)
        (void)printf("No site was asked or answered, so nothing is known of any dataset:\n");
    else
        (void)printf("No site tells us of any dataset. An owner lets us know of one with: datasite mock make "
                     "DATASET\n");
    print_saved(data);
    print_silent(data);
done:
    table_free(table);
    return err;
}

/* The status of the program: whether everything came that was asked for. */
static struct error *check_fetched(const struct orchestrator_data *data)
{
    struct orchestrator_dataset dataset;
    size_t saved = 0;
    for (size_t i = 0; orchestrator_data_at(data, i, &dataset) == 0; i++) {
        if (dataset.reason[0] != '\0')
            return error_new(ERROR_UNAVAILABLE, "Not all mock rows could be fetched.");
        saved += dataset.saved != NULL;
    }
    if (data_given.fetch != NULL && saved == 0)
        return error_new(ERROR_UNAVAILABLE, "No mock rows were fetched.");
    return NULL;
}

static struct error *data_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct orchestrator *orchestrator = NULL;
    struct orchestrator_data *data = NULL;
    struct orchestrator_failure failure;
    struct orchestrator_data_options options = {.size = sizeof options,
                                                .site = data_given.site,
                                                .fetch_directory = data_given.fetch,
                                                .cancelled = cancelled};
    TRY(interrupt_install());
    if (orchestrator_open(invocation->home, &orchestrator, &failure) != 0) {
        err = command_failed(&failure);
        goto done;
    }
    command_warn(orchestrator);
    if (orchestrator_data(orchestrator, &options, &data, &failure) != 0) {
        err = command_failed(&failure);
        goto done;
    }
    TRY(data_given.json ? print_json(data) : print_table(data));
    TRY(check_fetched(data));
done:
    orchestrator_data_free(data);
    orchestrator_close(orchestrator);
    return err;
}

const struct verb verb_sites_data = {
    .name = "sites data",
    .summary = "List the datasets that the sites' owners let us know of, and fetch mock rows",
    .arguments = "",
    .detail =
        "Needs no job and no approval. Rows: how many the site has, - when it does not say. Mock rows are\n"
        "synthetic, in the same form; a job can be tried on them: orchestrator run JOB.yaml --mock. They "
        "are\n"
        "saved as MOCK.csv (numbers; the last column is the class), or as MOCK-images.idx3 and\n"
        "MOCK-labels.idx1. Sites of a run that goes on are not asked, which would disturb it.\n\n"
        "Exit status: 0 done, 1 also when --fetch fetched nothing, or not all.\n\n"
        "Example:\n"
        "  orchestrator sites data --fetch mock",
    .options = data_options,
    .run = data_run,
};
