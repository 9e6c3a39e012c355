#include "console/terminal.h"
#include "console/verbs.h"
#include "datasite/home_vault.h"
#include "datasite/store.h"
#include "schemas/clock.h"

#include <errno.h>
#include <jansson.h>

extern const struct verb verb_data, verb_data_remove;

#define CLASS_NAME_BYTES 256

static struct {
    bool json, check, yes;
} data_given;

static const struct option *data_options(void)
{
    static const struct option options[] = {
        {.name = "json", .kind = OPTION_FLAG, .target = &data_given.json, .help = "for programs"},
        {.name = "check",
         .kind = OPTION_FLAG,
         .target = &data_given.check,
         .help = "read every row and compare the digest"},
        {0},
    };
    return options;
}

static const struct option *data_remove_options(void)
{
    static const struct option options[] = {
        {.name = "yes", .kind = OPTION_FLAG, .target = &data_given.yes, .help = "really remove it"},
        {0},
    };
    return options;
}

static const char *data_kind_word(enum dataset_kind kind)
{
    switch (kind) {
    case DATASET_BYTES:
        return "bytes";
    case DATASET_NUMBERS:
        return "numbers";
    }
    return "?";
}

static struct error *data_check(struct store *store, const struct dataset_info *info)
{
    struct error *err = NULL;
    struct digest digest;
    TRY(store_dataset_digest(store, info, &digest));
    if (!digest_equal(&digest, &info->digest))
        FAIL(ERROR_CORRUPT,
             "The rows of \"%s\" do not have the digest that was recorded at the import: restore site.db "
             "from a "
             "backup, or remove the dataset and import it again.",
             info->name);
done:
    return err;
}

static struct error *data_classes_json(struct store *store, const struct dataset_info *info, json_t *array)
{
    struct error *err = NULL;
    for (uint32_t number = 0; number < info->classes; number++) {
        char name[CLASS_NAME_BYTES], clean[CLASS_NAME_BYTES];
        uint64_t rows = 0;
        TRY(store_dataset_class(store, info->id, number, name, sizeof(name), &rows));
        terminal_clean(name, clean, sizeof(clean));
        if (json_array_append_new(array, json_pack("{s:i,s:s,s:I}", "class", (int)number, "name", clean,
                                                   "rows", (json_int_t)rows)) != 0)
            FAIL(ERROR_MEMORY, "There is not enough memory for the list of classes.");
    }
done:
    return err;
}

static struct error *data_json(struct store *store, const struct dataset_info *info, json_t **ret_json)
{
    struct error *err = NULL;
    char hex[DIGEST_HEX_BYTES], digest[8 + DIGEST_HEX_BYTES], when[CLOCK_TEXT_BYTES], source[1024];
    json_t *classes = json_array();
    json_t *json = NULL;
    TRY(data_classes_json(store, info, classes));
    digest_hex(&info->digest, hex);
    (void)snprintf(digest, sizeof(digest), "sha256:%s", hex);
    clock_format(info->imported_at, when);
    terminal_clean(info->source, source, sizeof(source));
    json = json_pack("{s:s,s:s,s:I,s:I,s:i,s:i,s:O,s:s,s:s,s:s,s:b}", "name", info->name, "kind",
                     data_kind_word(info->kind), "rows", (json_int_t)info->rows, "features",
                     (json_int_t)info->features, "image_rows", (int)info->image_rows, "image_columns",
                     (int)info->image_columns, "classes", classes, "digest", digest, "source", source,
                     "imported_at", when, "encrypted", info->sealed);
    if (json == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to describe a dataset.");
    *ret_json = json;
done:
    json_decref(classes);
    return err;
}

static struct error *data_print_json(struct store *store, const struct dataset_info *infos, size_t count)
{
    struct error *err = NULL;
    json_t *array = json_array();
    json_t *document = json_pack("{s:i,s:O}", "version", 1, "datasets", array);
    if (document == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the list of datasets.");
    for (size_t i = 0; i < count; i++) {
        json_t *json = NULL;
        TRY(data_json(store, &infos[i], &json));
        if (json_array_append_new(array, json) != 0)
            FAIL(ERROR_MEMORY, "There is not enough memory for the list of datasets.");
    }
    if (json_dumpf(document, stdout, JSON_INDENT(2)) != 0 || putchar('\n') == EOF)
        err = error_errno(ERROR_IO, errno, "The list cannot be written");
done:
    json_decref(array);
    json_decref(document);
    return err;
}

static struct error *data_print_list(const struct invocation *invocation, const struct dataset_info *infos,
                                     size_t count)
{
    struct error *err = NULL;
    static const char *const headers[] = {"Name", "Kind", "Rows", "Values", "Classes", "Imported", "Digest"};
    struct table *table = NULL;
    if (count == 0) {
        (void)printf("This site holds no data yet: %s import --help\n", invocation->program);
        return NULL;
    }
    TRY(table_new(headers, 7, &table));
    table_align(table, 1u << 2 | 1u << 3 | 1u << 4);
    for (size_t i = 0; i < count; i++) {
        char rows[24], features[24], classes[24], when[CLOCK_TEXT_BYTES], hex[DIGEST_HEX_BYTES], digest[24];
        (void)snprintf(rows, sizeof(rows), "%llu", (unsigned long long)infos[i].rows);
        (void)snprintf(features, sizeof(features), "%llu", (unsigned long long)infos[i].features);
        (void)snprintf(classes, sizeof(classes), "%u", infos[i].classes);
        clock_format(infos[i].imported_at, when);
        digest_hex(&infos[i].digest, hex);
        (void)snprintf(digest, sizeof(digest), "sha256:%.12s…", hex);
        const char *const cells[] = {
            infos[i].name, data_kind_word(infos[i].kind), rows, features, classes, when, digest};
        TRY(table_row(table, cells));
    }
    table_print(table, stdout);
done:
    table_free(table);
    return err;
}

static struct error *data_print_classes(struct store *store, const struct dataset_info *info)
{
    struct error *err = NULL;
    static const char *const headers[] = {"Class", "Name", "Rows"};
    struct table *table = NULL;
    TRY(table_new(headers, 3, &table));
    table_align(table, 1u << 0 | 1u << 2);
    for (uint32_t number = 0; number < info->classes; number++) {
        char name[CLASS_NAME_BYTES], class_number[16], count[24];
        uint64_t rows = 0;
        TRY(store_dataset_class(store, info->id, number, name, sizeof(name), &rows));
        (void)snprintf(class_number, sizeof(class_number), "%u", number);
        (void)snprintf(count, sizeof(count), "%llu", (unsigned long long)rows);
        const char *const cells[] = {class_number, name, count};
        TRY(table_row(table, cells));
    }
    table_print(table, stdout);
done:
    table_free(table);
    return err;
}

static struct error *data_print_one(struct store *store, const struct dataset_info *info)
{
    char hex[DIGEST_HEX_BYTES], when[CLOCK_TEXT_BYTES], source[1024];
    digest_hex(&info->digest, hex);
    clock_format(info->imported_at, when);
    terminal_clean(info->source, source, sizeof(source));
    (void)printf("Dataset   %s\n", info->name);
    if (info->kind == DATASET_BYTES)
        (void)printf("Rows      %llu images of %u x %u bytes\n", (unsigned long long)info->rows,
                     info->image_rows, info->image_columns);
    else
        (void)printf("Rows      %llu of %llu numbers\n", (unsigned long long)info->rows,
                     (unsigned long long)info->features);
    (void)printf("Digest    sha256:%s%s\n", hex, data_given.check ? " (checked)" : "");
    (void)printf("Source    %s\nImported  %s\nStored    %s\n\n", source, when,
                 info->sealed ? "encrypted, AES-256-GCM" : "in clear");
    return data_print_classes(store, info);
}

static struct error *data_named(struct store *store, const char *name)
{
    struct error *err = NULL;
    struct dataset_info info;
    TRY(store_dataset_find(store, name, &info));
    if (data_given.check)
        TRY(data_check(store, &info));
    TRY(data_given.json ? data_print_json(store, &info, 1) : data_print_one(store, &info));
done:
    return err;
}

static struct error *data_all(const struct invocation *invocation, struct store *store)
{
    struct error *err = NULL;
    struct dataset_info *infos = NULL;
    size_t count = 0;
    TRY(store_dataset_list(store, &infos, &count));
    for (size_t i = 0; data_given.check && i < count; i++)
        TRY(data_check(store, &infos[i]));
    TRY(data_given.json ? data_print_json(store, infos, count) : data_print_list(invocation, infos, count));
    if (data_given.check && !data_given.json && count > 0)
        (void)printf("Checked: every row agrees with its dataset's digest.\n");
done:
    free(infos);
    return err;
}

static struct error *data_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct store *store = NULL;
    struct vault *vault = NULL;
    TRY(home_open(invocation->home, &home));
    TRY(store_open(home->database_path, STORE_READ, &store));
    if (data_given.check)
        TRY(home_unlock(store, &vault));
    TRY(invocation->argument_count > 0 ? data_named(store, invocation->arguments[0])
                                       : data_all(invocation, store));
done:
    store_close(store);
    vault_free(vault);
    home_free(home);
    return err;
}

static struct error *data_remove_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    struct dataset_info info;
    TRY(home_open(invocation->home, &home));
    TRY(home_store(home, STORE_WRITE, &identity, &store));
    TRY(store_dataset_find(store, invocation->arguments[0], &info));
    if (!data_given.yes)
        FAIL(ERROR_REFUSED,
             "This removes the %llu rows of \"%s\" for good. Jobs approved for them cannot run until the "
             "same rows are "
             "imported again under that name; more may follow behind them where the approval allows growth. "
             "To "
             "do it: "
             "%s data remove %s --yes",
             (unsigned long long)info.rows, info.name, invocation->program, info.name);
    TRY(store_dataset_remove(store, info.name));
    (void)printf("Removed \"%s\".\n", info.name);
done:
    store_close(store);
    identity_free(identity);
    home_free(home);
    return err;
}

const struct verb verb_data = {
    .name = "data",
    .summary = "Show what data is held: rows, classes, digest",
    .arguments = "[NAME]",
    .detail = "Without a name, the list; with one, also the rows of each class and where it came from. Only "
              "for the\n"
              "owner: none of it is sent to anybody.\n\n"
              "Example:\n"
              "  datasite data mnist",
    .maximum_arguments = 1,
    .options = data_options,
    .run = data_run,
};

const struct verb verb_data_remove = {
    .name = "data remove",
    .summary = "Remove a dataset for good",
    .arguments = "NAME",
    .detail = "The bytes are overwritten in site.db. The files it was imported from are not touched.\n\n"
              "Example:\n"
              "  datasite data remove mnist --yes",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .options = data_remove_options,
    .run = data_remove_run,
};
