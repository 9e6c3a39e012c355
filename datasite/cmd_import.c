#include "console/interrupt.h"
#include "console/terminal.h"
#include "console/verbs.h"
#include "crypto/secret.h"
#include "datasite/home_vault.h"
#include "datasite/import.h"
#include "schemas/clock.h"
#include "schemas/csv.h"
#include "schemas/number.h"

extern const struct verb verb_import_idx, verb_import_csv;

#define IMPORT_ROWS_MAX ((uint64_t)1 << 31)

/* As given on the command line. */
static struct {
    const char *name, *rows, *digest, *partition, *part, *label, *classes;
    uint64_t size, seed, class_count;
} import_given;

#define OPTION_NAME                                                                                          \
    {                                                                                                        \
        .name = "name", .kind = OPTION_TEXT, .target = &import_given.name, .value = "NAME",                  \
        .help = "what job files call it (required)"                                                          \
    }
#define OPTION_ROWS                                                                                          \
    {                                                                                                        \
        .name = "rows", .kind = OPTION_TEXT, .target = &import_given.rows, .value = "A:B",                   \
        .help = "take rows A to B-1 of the file, counted from 0"                                             \
    }
#define OPTION_SIZE                                                                                          \
    {                                                                                                        \
        .name = "size", .kind = OPTION_COUNT, .target = &import_given.size, .value = "N", .minimum = 1,      \
        .maximum = IMPORT_ROWS_MAX, .help = "refuse unless exactly N rows come out"                          \
    }
#define OPTION_DIGEST                                                                                        \
    {                                                                                                        \
        .name = "digest", .kind = OPTION_TEXT, .target = &import_given.digest, .value = "sha256:HEX",        \
        .help = "refuse unless the dataset has this digest"                                                  \
    }

static const struct option *import_idx_options(void)
{
    static const struct option options[] = {
        OPTION_NAME,
        OPTION_ROWS,
        {.name = "partition",
         .kind = OPTION_TEXT,
         .target = &import_given.partition,
         .value = "KIND",
         .help = "iid, label-skew or dirichlet:ALPHA: divide the rows (for demonstrations)"},
        {.name = "part",
         .kind = OPTION_TEXT,
         .target = &import_given.part,
         .value = "K/N",
         .help = "with --partition: take part K of N, K from 1"},
        {.name = "seed",
         .kind = OPTION_COUNT,
         .target = &import_given.seed,
         .value = "N",
         .maximum = INT64_MAX,
         .help = "with --partition: the same at all sites; default 0"},
        {.name = "classes",
         .kind = OPTION_COUNT,
         .target = &import_given.class_count,
         .value = "N",
         .minimum = 2,
         .maximum = 256,
         .help = "number of classes; default: 1 + the highest label of the file"},
        OPTION_SIZE,
        OPTION_DIGEST,
        {0},
    };
    return options;
}

static const struct option *import_csv_options(void)
{
    static const struct option options[] = {
        OPTION_NAME,
        {.name = "label",
         .kind = OPTION_TEXT,
         .target = &import_given.label,
         .value = "COLUMN",
         .help = "the column with the classes (required)"},
        {.name = "classes",
         .kind = OPTION_TEXT,
         .target = &import_given.classes,
         .value = "A,B,C|N",
         .help = "names of the classes in order, or how many integers from 0"},
        OPTION_ROWS,
        OPTION_SIZE,
        OPTION_DIGEST,
        {0},
    };
    return options;
}

/* Two counts with `separator` between them. */
static bool import_pair(const char *text, char separator, uint64_t *ret_first, uint64_t *ret_second)
{
    char first[32];
    const char *place = strchr(text, separator);
    if (place == NULL || (size_t)(place - text) >= sizeof(first))
        return false;
    (void)snprintf(first, sizeof(first), "%.*s", (int)(place - text), text);
    return number_count(first, ret_first) && number_count(place + 1, ret_second);
}

static struct error *import_parse_rows(struct import_request *request)
{
    if (import_given.rows == NULL)
        return NULL;
    if (import_pair(import_given.rows, ':', &request->first_row, &request->end_row) &&
        request->first_row < request->end_row && request->end_row <= IMPORT_ROWS_MAX)
        return NULL;
    return error_new(ERROR_USAGE,
                     "--rows takes A:B with A below B, e.g. --rows 0:30000 for the first 30000 rows.");
}

static struct error *import_parse_digest(struct import_request *request, struct digest *ret_digest)
{
    if (import_given.digest == NULL)
        return NULL;
    if (strncmp(import_given.digest, "sha256:", 7) != 0 || !digest_parse(import_given.digest + 7, ret_digest))
        return error_new(ERROR_USAGE,
                         "--digest takes sha256: and 64 lower-case hexadecimal digits, as `datasite data` "
                         "shows them.");
    request->digest = ret_digest;
    return NULL;
}

static struct error *import_parse_kind(struct partition *partition)
{
    const char *kind = import_given.partition;
    partition->seed = import_given.seed;
    if (strcmp(kind, "iid") == 0) {
        partition->kind = PARTITION_IID;
        return NULL;
    }
    if (strcmp(kind, "label-skew") == 0) {
        partition->kind = PARTITION_LABEL_SKEW;
        return NULL;
    }
    partition->kind = PARTITION_DIRICHLET;
    if (strncmp(kind, "dirichlet:", 10) == 0 && number_real(kind + 10, &partition->alpha) &&
        partition->alpha >= 0.001 && partition->alpha <= 1e6)
        return NULL;
    return error_new(ERROR_USAGE,
                     "--partition takes iid, label-skew or dirichlet:ALPHA with ALPHA from 0.001 to 1e6.");
}

static struct error *import_parse_partition(struct import_request *request, struct partition *ret_partition)
{
    struct error *err = NULL;
    uint64_t part = 0, parts = 0;
    if (import_given.partition == NULL && import_given.part == NULL)
        return NULL;
    if (import_given.partition == NULL || import_given.part == NULL)
        FAIL(ERROR_USAGE, "--partition and --part belong together, e.g. --partition iid --part 1/2");
    TRY(import_parse_kind(ret_partition));
    if (!import_pair(import_given.part, '/', &part, &parts) || part < 1 || part > parts ||
        parts > PARTITION_MAX_PARTS)
        FAIL(ERROR_USAGE, "--part takes K/N with K from 1 to N, e.g. --part 1/2");
    ret_partition->parts = (uint32_t)parts;
    request->partition = ret_partition;
    request->part = (uint32_t)part - 1;
done:
    return err;
}

/* "a,b,c" in place into names; a single count leaves the names out. */
static struct error *import_parse_classes(char *text, const char **names, struct import_request *request,
                                          const char *const **ret_names)
{
    uint64_t count = 0;
    char *rest = text;
    if (number_count(text, &count)) {
        if (count < 2 || count > CSV_MAX_CLASSES)
            return error_new(ERROR_USAGE, "--classes takes 2 to %d classes.", CSV_MAX_CLASSES);
        request->classes = (uint32_t)count;
        return NULL;
    }
    while (rest != NULL && count < CSV_MAX_CLASSES)
        names[count++] = strsep(&rest, ",");
    if (rest != NULL || count < 2)
        return error_new(ERROR_USAGE,
                         "--classes takes 2 to %d names with commas between them, e.g. --classes healthy,ill",
                         CSV_MAX_CLASSES);
    request->classes = (uint32_t)count;
    *ret_names = names;
    return NULL;
}

struct import_watch {
    struct progress progress;
};

static struct error *import_step(void *context, double fraction)
{
    struct import_watch *watch = context;
    if (interrupt_requested() != 0)
        return error_new(ERROR_INTERRUPTED, "The import was interrupted: nothing was imported.");
    progress_set(&watch->progress, fraction, NULL);
    return NULL;
}

static void import_print(const struct invocation *invocation, const struct dataset_info *info)
{
    char hex[DIGEST_HEX_BYTES];
    digest_hex(&info->digest, hex);
    (void)printf("Imported \"%s\": %llu rows of %llu %s, %u classes.\n  Digest  sha256:%s\n", info->name,
                 (unsigned long long)info->rows, (unsigned long long)info->features,
                 info->kind == DATASET_BYTES ? "bytes" : "numbers", info->classes, hex);
    (void)printf("%s data %s shows how many rows each class has.\n", invocation->program, info->name);
}

/* Everything that both kinds of import have in common; `take` does the rest. */
static struct error *
import_run(const struct invocation *invocation, struct import_request *request,
           struct error *(*take)(const struct invocation *invocation, struct store *store,
                                 const struct import_request *request, struct dataset_info *ret_info))
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    struct vault *vault = NULL;
    struct import_watch watch = {{0}};
    struct dataset_info info;
    struct digest digest;
    uint8_t split_key[SPLIT_KEY_BYTES] = {0};
    if (import_given.name == NULL)
        FAIL(ERROR_USAGE, "--name is missing: it is what job files call the dataset.");
    TRY(import_parse_rows(request));
    TRY(import_parse_digest(request, &digest));
    TRY(interrupt_install());
    TRY(home_open(invocation->home, &home));
    TRY(home_split_key(home, split_key));
    TRY(home_store(home, STORE_WRITE, &identity, &store));
    TRY(home_unlock(store, &vault));
    request->name = import_given.name;
    request->declared_rows = import_given.size;
    request->split_key = split_key;
    request->now = clock_now_ms() / 1000;
    request->step = import_step;
    request->context = &watch;
    progress_start(&watch.progress, "Importing");
    TRY(take(invocation, store, request, &info));
    progress_end(&watch.progress);
    import_print(invocation, &info);
done:
    progress_end(&watch.progress);
    secret_wipe(split_key, sizeof(split_key));
    store_close(store);
    vault_free(vault);
    identity_free(identity);
    home_free(home);
    return err;
}

static struct error *import_idx_take(const struct invocation *invocation, struct store *store,
                                     const struct import_request *request, struct dataset_info *ret_info)
{
    return import_idx(store, request, invocation->arguments[0], invocation->arguments[1], ret_info);
}

static struct error *import_idx_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct partition partition = {.alpha = 1};
    struct import_request request = {.classes = (uint32_t)import_given.class_count};
    TRY(import_parse_partition(&request, &partition));
    TRY(import_run(invocation, &request, import_idx_take));
done:
    return err;
}

static struct error *import_csv_take(const struct invocation *invocation, struct store *store,
                                     const struct import_request *request, struct dataset_info *ret_info)
{
    struct error *err = NULL;
    struct import_request ours = *request;
    const char *const *class_names = NULL;
    const char **names = reallocarray(NULL, CSV_MAX_CLASSES, sizeof(*names));
    char *text = strdup(import_given.classes != NULL ? import_given.classes : "");
    if (names == NULL || text == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the names of the classes.");
    if (import_given.classes != NULL)
        TRY(import_parse_classes(text, names, &ours, &class_names));
    TRY(import_csv(store, &ours, invocation->arguments[0], import_given.label, class_names, ret_info));
done:
    free(text);
    free(names);
    return err;
}

static struct error *import_csv_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct import_request request = {0};
    if (import_given.label == NULL)
        FAIL(ERROR_USAGE, "--label is missing: it names the column with the classes.");
    TRY(import_run(invocation, &request, import_csv_take));
done:
    return err;
}

const struct verb verb_import_idx = {
    .name = "import idx",
    .summary = "Take in images and labels in the IDX format (MNIST)",
    .arguments = "IMAGES LABELS",
    .detail =
        "All rows or none: an import that fails or is interrupted leaves nothing. A row is a test row or a\n"
        "training row by a keyed hash of its bytes and label, so equal rows fall on the same side, at every\n"
        "import. --rows is applied before --partition.\n\n"
        "Example:\n"
        "  datasite import idx train-images-idx3-ubyte train-labels-idx1-ubyte --name mnist --rows 0:30000",
    .minimum_arguments = 2,
    .maximum_arguments = 2,
    .options = import_idx_options,
    .run = import_idx_run,
};

const struct verb verb_import_csv = {
    .name = "import csv",
    .summary = "Take in a table of numbers with a label column",
    .arguments = "FILE",
    .detail = "Columns of finite decimal numbers, a header line, commas. All rows or none: an import that "
              "fails or is\n"
              "interrupted leaves nothing. Give --classes at every site in the same order.\n\n"
              "Example:\n"
              "  datasite import csv patients.csv --name patients --label outcome --classes healthy,ill",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .options = import_csv_options,
    .run = import_csv_run,
};
