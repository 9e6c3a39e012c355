#include "console/terminal.h"
#include "console/verbs.h"
#include "crypto/secret.h"
#include "datasite/home_vault.h"
#include "datasite/mock.h"
#include "schemas/clock.h"

#include <errno.h>
#include <jansson.h>

extern const struct verb verb_mock_make, verb_mock_list, verb_mock_show, verb_mock_remove;

#define SHOW_ROWS 5
#define SHOW_VALUES 8 /* of a row */
#define TEXT_BYTES 256

static struct {
    uint64_t rows;
    const char *ranges;
    bool json;
} mock_given = {.rows = MOCK_ROWS};

static const struct option *mock_make_options(void)
{
    static const struct option options[] = {
        {.name = "rows",
         .kind = OPTION_COUNT,
         .target = &mock_given.rows,
         .value = "N",
         .help = "how many; else 1000",
         .minimum = 1,
         .maximum = MOCK_MAX_ROWS},
        {.name = "ranges",
         .kind = OPTION_TEXT,
         .target = &mock_given.ranges,
         .value = "FILE.yaml",
         .help = "what values the columns may have"},
        {.name = "json", .kind = OPTION_FLAG, .target = &mock_given.json, .help = "for programs"},
        {0},
    };
    return options;
}

static const struct option *mock_json_options(void)
{
    static const struct option options[] = {
        {.name = "json", .kind = OPTION_FLAG, .target = &mock_given.json, .help = "for programs"},
        {0},
    };
    return options;
}

/* What a verb works on. */
struct mock_desk {
    struct home *home;
    struct identity *identity;
    struct store *store;
    struct vault *vault; /* of an encrypted site, for a mock dataset that is made */
    struct policy *policy;
};

static struct error *mock_open(const struct invocation *invocation, enum store_mode mode,
                               struct mock_desk *desk)
{
    struct error *err = NULL;
    TRY(home_open(invocation->home, &desk->home));
    TRY(home_store(desk->home, mode, &desk->identity, &desk->store));
    TRY(policy_load(desk->home->policy_path, &desk->policy));
done:
    return err;
}

static void mock_close(struct mock_desk *desk)
{
    policy_free(desk->policy);
    store_close(desk->store);
    vault_free(desk->vault);
    identity_free(desk->identity);
    home_free(desk->home);
}

static const char *mock_kind_word(enum dataset_kind kind)
{
    switch (kind) {
    case DATASET_BYTES:
        return "bytes";
    case DATASET_NUMBERS:
        return "numbers";
    }
    return "?";
}

/* Who is told of it, by the policy. */
static const char *mock_audience(const struct mock_desk *desk, const char *dataset)
{
    switch (policy_gate_output(&desk->policy->gate, dataset)->list) {
    case POLICY_LIST_NOBODY:
        return "nobody";
    case POLICY_LIST_MOCK:
    case POLICY_LIST_PEERS:
        return "peers";
    case POLICY_LIST_MEMBERS:
        return "members";
    }
    return "?";
}

static void mock_print_audience(const char *audience, const char *dataset)
{
    if (strcmp(audience, "nobody") == 0) {
        (void)printf(
            "Nobody is told of \"%s\" and nobody gets these rows, as output.list of policy.yaml says.\n",
            dataset);
        return;
    }
    (void)printf("%s\nmay now learn that \"%s\" is here, its kind and shape, the names of its columns and\n"
                 "classes, and its number of rows (unless policy.yaml withholds it), and may fetch\n"
                 "these rows. output.list of policy.yaml decides: nobody, mock, peers or members.\n",
                 strcmp(audience, "members") == 0 ? "All members of your consortium"
                                                  : "The orchestrators that you trust (datasite trust list)",
                 dataset);
}

/* ---- list ---- */

static struct error *mock_is_current(const struct mock_desk *desk, const struct mock_info *mock,
                                     bool *ret_current)
{
    struct dataset_info info;
    struct error *err = store_dataset_find(desk->store, mock->dataset, &info);
    if (err != NULL && err->code == ERROR_NOT_FOUND) {
        error_free(err);
        *ret_current = false;
        return NULL;
    }
    if (err == NULL)
        *ret_current = digest_equal(&info.digest, &mock->source);
    return err;
}

static struct error *mock_json(const struct mock_desk *desk, const struct mock_info *mock, json_t **ret_json)
{
    struct error *err = NULL;
    char hex[DIGEST_HEX_BYTES], digest[8 + DIGEST_HEX_BYTES], when[CLOCK_TEXT_BYTES];
    bool current = false;
    TRY(mock_is_current(desk, mock, &current));
    digest_hex(&mock->digest, hex);
    (void)snprintf(digest, sizeof(digest), "sha256:%s", hex);
    clock_format(mock->made_at, when);
    json_t *json = json_pack(
        "{s:s,s:s,s:I,s:I,s:i,s:s,s:s,s:b,s:s}", "dataset", mock->dataset, "kind", mock_kind_word(mock->kind),
        "rows", (json_int_t)mock->rows, "features", (json_int_t)mock->features, "classes", (int)mock->classes,
        "digest", digest, "made_at", when, "current", current, "told_to", mock_audience(desk, mock->dataset));
    if (json == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to describe a mock dataset.");
    *ret_json = json;
done:
    return err;
}

/* Takes `document`. */
static struct error *mock_dump(json_t *document)
{
    struct error *err = NULL;
    if (document == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for the mock datasets.");
    if (json_dumpf(document, stdout, JSON_INDENT(2)) != 0 || putchar('\n') == EOF)
        err = error_errno(ERROR_IO, errno, "The mock datasets cannot be written");
    json_decref(document);
    return err;
}

static struct error *mock_list_json(const struct mock_desk *desk, const struct mock_info *mocks, size_t count)
{
    struct error *err = NULL;
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *json = NULL;
        TRY(mock_json(desk, &mocks[i], &json));
        (void)json_array_append_new(array, json);
    }
    TRY(mock_dump(json_pack("{s:i,s:O}", "version", 1, "mocks", array)));
done:
    json_decref(array);
    return err;
}

static struct error *mock_list_row(const struct mock_desk *desk, const struct mock_info *mock,
                                   struct table *table)
{
    struct error *err = NULL;
    char rows[24], features[24], classes[24], when[CLOCK_TEXT_BYTES];
    bool current = false;
    TRY(mock_is_current(desk, mock, &current));
    (void)snprintf(rows, sizeof(rows), "%llu", (unsigned long long)mock->rows);
    (void)snprintf(features, sizeof(features), "%llu", (unsigned long long)mock->features);
    (void)snprintf(classes, sizeof(classes), "%u", mock->classes);
    clock_format(mock->made_at, when);
    const char *const cells[] = {mock->dataset,
                                 mock_kind_word(mock->kind),
                                 rows,
                                 features,
                                 classes,
                                 when,
                                 current ? mock_audience(desk, mock->dataset)
                                         : "nobody: the dataset changed"};
    TRY(table_row(table, cells));
done:
    return err;
}

static struct error *mock_list_run(const struct invocation *invocation)
{
    static const char *const headers[] = {"Dataset", "Kind", "Rows", "Values", "Classes", "Made", "Given to"};
    struct error *err = NULL;
    struct mock_desk desk = {.home = NULL};
    struct mock_info *mocks = NULL;
    struct table *table = NULL;
    size_t count = 0;
    TRY(mock_open(invocation, STORE_READ, &desk));
    TRY(store_mock_list(desk.store, &mocks, &count));
    if (mock_given.json) {
        TRY(mock_list_json(&desk, mocks, count));
        goto done;
    }
    if (count == 0) {
        (void)printf("This site has no mock datasets: %s mock make --help\n", invocation->program);
        goto done;
    }
    TRY(table_new(headers, 7, &table));
    table_align(table, 1u << 2 | 1u << 3 | 1u << 4);
    for (size_t i = 0; i < count; i++)
        TRY(mock_list_row(&desk, &mocks[i], table));
    table_print(table, stdout);
done:
    table_free(table);
    free(mocks);
    mock_close(&desk);
    return err;
}

/* ---- make ---- */

static struct error *mock_make_ranges(const struct mock_desk *desk, const char *dataset,
                                      struct mock_ranges **ret_ranges)
{
    struct error *err = NULL;
    struct dataset_info info;
    TRY(store_dataset_find(desk->store, dataset, &info));
    if (mock_given.ranges != NULL && info.kind == DATASET_BYTES)
        FAIL(ERROR_USAGE, "\"%s\" holds bytes, whose range is 0 to 255: --ranges is for datasets of numbers.",
             dataset);
    TRY(mock_ranges_load(mock_given.ranges, ret_ranges));
done:
    return err;
}

static struct error *mock_make_tell(const struct mock_desk *desk, const struct mock_info *mock)
{
    struct error *err = NULL;
    struct dataset_info info;
    json_t *json = NULL;
    if (mock_given.json) {
        TRY(mock_json(desk, mock, &json));
        return mock_dump(json_pack("{s:i,s:o}", "version", 1, "mock", json));
    }
    TRY(store_dataset_find(desk->store, mock->dataset, &info));
    (void)printf(
        "Made %llu synthetic rows in the form of \"%s\".\nNone of its %llu private rows is among them.\n",
        (unsigned long long)mock->rows, mock->dataset, (unsigned long long)info.rows);
    mock_print_audience(mock_audience(desk, mock->dataset), mock->dataset);
done:
    return err;
}

static struct error *mock_make_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct mock_desk desk = {.home = NULL};
    struct mock_ranges *ranges = NULL;
    struct mock_info mock;
    uint64_t seed = 0;
    const char *dataset = invocation->arguments[0];
    TRY(mock_open(invocation, STORE_WRITE, &desk));
    TRY(home_unlock(desk.store, &desk.vault));
    TRY(mock_make_ranges(&desk, dataset, &ranges));
    TRY(secret_random(&seed, sizeof(seed)));
    TRY(mock_make(desk.store, dataset, ranges, mock_given.rows, seed, clock_now_ms() / 1000));
    TRY(store_mock_find(desk.store, dataset, &mock));
    TRY(mock_make_tell(&desk, &mock));
done:
    mock_ranges_free(ranges);
    mock_close(&desk);
    return err;
}

/* ---- show ---- */

static void mock_show_value(const struct mock_info *mock, const struct mock_page *page, size_t at,
                            char ret_text[static TEXT_BYTES])
{
    double value = 0;
    if (mock->kind == DATASET_BYTES) {
        (void)snprintf(ret_text, TEXT_BYTES, "%u", page->data[at]);
        return;
    }
    memcpy(&value, page->data + at * sizeof(value), sizeof(value));
    (void)snprintf(ret_text, TEXT_BYTES, "%.6g", value);
}

static struct error *mock_show_headers(const struct mock_desk *desk, const struct dataset_info *info,
                                       size_t columns, char ret_headers[SHOW_VALUES + 1][TEXT_BYTES])
{
    struct error *err = NULL;
    for (size_t j = 0; j < columns; j++) {
        char name[STORE_COLUMN_BYTES];
        TRY(store_dataset_column(desk->store, info->id, j, name));
        if (name[0] == '\0')
            (void)snprintf(ret_headers[j], TEXT_BYTES, "value %zu", j + 1);
        else
            (void)snprintf(ret_headers[j], TEXT_BYTES, "%s", name);
    }
    (void)snprintf(ret_headers[columns], TEXT_BYTES, "Class");
done:
    return err;
}

static struct error *mock_show_rows(const struct mock_desk *desk, const struct dataset_info *info,
                                    const struct mock_info *mock)
{
    struct error *err = NULL;
    struct table *table = NULL;
    struct mock_page page = {0};
    char texts[SHOW_VALUES + 1][TEXT_BYTES];
    const char *cells[SHOW_VALUES + 1];
    size_t columns = mock->features < SHOW_VALUES ? (size_t)mock->features : SHOW_VALUES;
    for (size_t j = 0; j <= columns; j++)
        cells[j] = texts[j];
    TRY(mock_show_headers(desk, info, columns, texts));
    TRY(table_new(cells, columns + 1, &table));
    table_align(table, ~UINT64_C(0));
    TRY(store_mock_page(desk->store, mock, 0, &page));
    for (size_t row = 0; row < page.rows && row < SHOW_ROWS; row++) {
        uint16_t label = 0;
        for (size_t j = 0; j < columns; j++)
            mock_show_value(mock, &page, row * mock->features + j, texts[j]);
        memcpy(&label, page.labels + row * sizeof(label), sizeof(label));
        (void)snprintf(texts[columns], TEXT_BYTES, "%u", label);
        TRY(table_row(table, cells));
    }
    table_print(table, stdout);
    if (columns < mock->features)
        (void)printf("(the first %zu of %llu values of a row)\n", columns,
                     (unsigned long long)mock->features);
done:
    mock_page_clear(&page);
    table_free(table);
    return err;
}

static struct error *mock_show_classes(const struct mock_desk *desk, const struct dataset_info *info)
{
    struct error *err = NULL;
    (void)printf("Classes   %u:", info->classes);
    for (uint32_t i = 0; i < info->classes; i++) {
        char name[TEXT_BYTES], clean[TEXT_BYTES];
        uint64_t rows = 0;
        TRY(store_dataset_class(desk->store, info->id, i, name, sizeof(name), &rows));
        terminal_clean(name, clean, sizeof(clean));
        (void)printf("%s %s", i == 0 ? "" : ",", clean);
    }
    (void)printf("\n");
done:
    return err;
}

static struct error *mock_show_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct mock_desk desk = {.home = NULL};
    struct dataset_info info;
    struct mock_info mock;
    json_t *json = NULL;
    bool has = false;
    TRY(mock_open(invocation, STORE_READ, &desk));
    TRY(store_dataset_find(desk.store, invocation->arguments[0], &info));
    TRY(store_mock_find(desk.store, info.name, &mock));
    TRY(store_mock_of(desk.store, &info, &mock, &has));
    if (mock_given.json) {
        TRY(mock_json(&desk, &mock, &json));
        TRY(mock_dump(json_pack("{s:i,s:o}", "version", 1, "mock", json)));
        goto done;
    }
    (void)printf("MOCK of   %s\nRows      %llu synthetic rows of %llu %s\n", info.name,
                 (unsigned long long)mock.rows, (unsigned long long)mock.features, mock_kind_word(mock.kind));
    TRY(mock_show_classes(&desk, &info));
    (void)printf("Given to  %s\n\n",
                 has ? mock_audience(&desk, info.name) : "nobody: the dataset changed; make it again");
    TRY(mock_show_rows(&desk, &info, &mock));
done:
    mock_close(&desk);
    return err;
}

/* ---- remove ---- */

static struct error *mock_remove_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct mock_desk desk = {.home = NULL};
    const char *dataset = invocation->arguments[0];
    TRY(mock_open(invocation, STORE_WRITE, &desk));
    TRY(store_mock_remove(desk.store, dataset, clock_now_ms() / 1000));
    (void)printf("Removed the mock dataset of \"%s\". Whoever has fetched it keeps it.\n", dataset);
done:
    mock_close(&desk);
    return err;
}

const struct verb verb_mock_make = {
    .name = "mock make",
    .summary = "Make synthetic rows in the form of a dataset, for researchers to try jobs on",
    .arguments = "DATASET",
    .detail = "Columns, types and classes are those of the dataset; the values are random, within ranges "
              "that you give,\n"
              "and nothing is learned from the private rows: none of them is among the synthetic ones. Bytes "
              "are 0 to\n"
              "255; numbers are -3 to 3, unless FILE.yaml says otherwise:\n\n"
              "  default: {low: 0, high: 1}\n"
              "  columns:\n"
              "    age: {low: 18, high: 90, kind: integer}\n\n"
              "With it you consent that those whom output.list of policy.yaml names learn that the dataset "
              "exists.\n"
              "A mock dataset that is there already is replaced; when the dataset changes, it has to be made "
              "again.\n\n"
              "Example:\n"
              "  datasite mock make mnist --rows 2000",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .options = mock_make_options,
    .run = mock_make_run,
};

const struct verb verb_mock_list = {
    .name = "mock list",
    .summary = "List the mock datasets and who gets them",
    .arguments = "",
    .detail = "Example:\n"
              "  datasite mock list --json",
    .options = mock_json_options,
    .run = mock_list_run,
};

const struct verb verb_mock_show = {
    .name = "mock show",
    .summary = "Show what a researcher sees of a mock dataset",
    .arguments = "DATASET",
    .detail = "Its shape, classes and first rows.\n\n"
              "Example:\n"
              "  datasite mock show mnist",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .options = mock_json_options,
    .run = mock_show_run,
};

const struct verb verb_mock_remove = {
    .name = "mock remove",
    .summary = "Remove a mock dataset",
    .arguments = "DATASET",
    .detail = "Nobody can fetch it any more, and those whom output.list of policy.yaml tells of datasets "
              "with mock rows\n"
              "alone are not told of the dataset any more.\n\n"
              "Example:\n"
              "  datasite mock remove mnist",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .run = mock_remove_run,
};
