#include "datasite/request_catalog.h"

#include "datasite/budget.h"
#include "schemas/text.h"
#include "schemas/wire.h"

/* A page fits the lobby's 64 KiB with room for the envelope. */
#define CATALOG_PAGE_BYTES (48u * 1024u)
#define CATALOG_COLUMN_BYTES (16u * 1024u)
#define CATALOG_CLASS_BYTES (8u * 1024u)
#define CATALOG_PAGE_DATASETS 64
#define CATALOG_NAME_BYTES 256

static bool list_allows(enum policy_list list, bool listed, bool has_mock)
{
    switch (list) {
    case POLICY_LIST_NOBODY:
        return false;
    case POLICY_LIST_MOCK:
        return listed && has_mock;
    case POLICY_LIST_PEERS:
        return listed;
    case POLICY_LIST_MEMBERS:
        return true;
    }
    return false;
}

struct error *request_may_know(const struct requests *requests, const struct request *request,
                               const struct dataset_info *info, struct mock_info *ret_mock,
                               bool *ret_has_mock, bool *ret_may_know)
{
    struct error *err = NULL;
    const struct policy_output *output = policy_gate_output(&requests->policy->gate, info->name);
    TRY(store_mock_of(requests->store, info, ret_mock, ret_has_mock));
    *ret_may_know = list_allows(output->list, request->listed, *ret_has_mock);
done:
    return err;
}

/* ---- one dataset ---- */

/* A dataset on a page; the message's texts are owned. */
struct entry {
    Fds__DatasetSchema message;
    char name[65];
};

static void texts_free(char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
}

static void entry_free(struct entry *entry)
{
    if (entry == NULL)
        return;
    texts_free(entry->message.columns, entry->message.n_columns);
    texts_free(entry->message.class_names, entry->message.n_class_names);
    free(entry);
}

/* Adds a text while there is room; *ret_full says that there is none. */
static struct error *text_add(char **texts, size_t *count, size_t *left, const char *text, bool *ret_full)
{
    size_t cost = strlen(text) + 4;
    *ret_full = cost > *left || text[0] == '\0';
    if (*ret_full)
        return NULL;
    texts[*count] = strdup(text);
    if (texts[*count] == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for the names of a dataset.");
    text_make_printable(texts[*count]);
    *count += 1;
    *left -= cost;
    return NULL;
}

struct entry_names {
    struct entry *entry;
    size_t left, most;
};

static struct error *entry_column(void *context, const char *name, bool *ret_enough)
{
    struct entry_names *names = context;
    Fds__DatasetSchema *message = &names->entry->message;
    *ret_enough = message->n_columns == names->most;
    if (*ret_enough)
        return NULL;
    return text_add(message->columns, &message->n_columns, &names->left, name, ret_enough);
}

static struct error *entry_columns(struct store *store, const struct dataset_info *info, struct entry *entry)
{
    struct error *err = NULL;
    struct entry_names names = {.entry = entry, .left = CATALOG_COLUMN_BYTES};
    names.most = info->features < names.left / 4 ? info->features : names.left / 4;
    entry->message.columns = calloc(names.most + 1, sizeof(char *));
    if (entry->message.columns == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the names of a dataset.");
    if (info->kind != DATASET_BYTES)
        TRY(store_dataset_columns(store, info->id, entry_column, &names));
done:
    return err;
}

/* The rows of a class are the owner's alone. */
static struct error *entry_classes(struct store *store, const struct dataset_info *info, struct entry *entry)
{
    struct error *err = NULL;
    size_t left = CATALOG_CLASS_BYTES;
    bool full = false;
    entry->message.class_names = calloc((size_t)info->classes + 1, sizeof(char *));
    if (entry->message.class_names == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the names of a dataset.");
    for (uint32_t i = 0; i < info->classes && !full; i++) {
        char name[CATALOG_NAME_BYTES];
        uint64_t rows = 0;
        TRY(store_dataset_class(store, info->id, i, name, sizeof(name), &rows));
        TRY(text_add(entry->message.class_names, &entry->message.n_class_names, &left, name, &full));
    }
done:
    return err;
}

/* Numbers about the dataset leave with noise alone; also where that cannot be found out. */
static bool rows_are_private(const struct requests *requests, const struct policy_output *output,
                             const struct dataset_info *info)
{
    bool capped = true;
    if ((output->require & POLICY_REQUIRE_PRIVACY) != 0)
        return true;
    error_free(budget_capped(requests->store, requests->identity, info->id, &capped));
    return capped;
}

/* As many as an update would say, or nothing. */
static uint64_t rows_to_tell(const struct requests *requests, const struct dataset_info *info)
{
    const struct policy_output *output = policy_gate_output(&requests->policy->gate, info->name);
    bool told = (output->metrics & POLICY_METRIC_EXAMPLES) != 0 && info->rows >= output->min_rows &&
                !rows_are_private(requests, output, info);
    return told ? info->rows : WIRE_WITHHELD;
}

static struct error *entry_make(const struct requests *requests, const struct dataset_info *info,
                                uint64_t mock_rows, struct entry **ret_entry)
{
    static char bytes[] = WIRE_KIND_BYTES, numbers[] = WIRE_KIND_NUMBERS;
    struct error *err = NULL;
    struct entry *entry = calloc(1, sizeof(*entry));
    if (entry == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to describe a dataset.");
    entry->message = (Fds__DatasetSchema)FDS__DATASET_SCHEMA__INIT;
    (void)snprintf(entry->name, sizeof(entry->name), "%s", info->name);
    entry->message.name = entry->name;
    entry->message.kind = info->kind == DATASET_BYTES ? bytes : numbers;
    entry->message.features = info->features;
    entry->message.image_rows = info->image_rows;
    entry->message.image_columns = info->image_columns;
    entry->message.classes = info->classes;
    entry->message.rows = rows_to_tell(requests, info);
    entry->message.mock_rows = mock_rows;
    TRY(entry_columns(requests->store, info, entry));
    TRY(entry_classes(requests->store, info, entry));
    *ret_entry = entry;
    entry = NULL;
done:
    entry_free(entry);
    return err;
}

/* ---- a page of them ---- */

struct page {
    Fds__DatasetSchema *datasets[CATALOG_PAGE_DATASETS];
    size_t count, bytes;
    bool more;
};

static void page_clear(struct page *page)
{
    for (size_t i = 0; i < page->count; i++)
        entry_free((struct entry *)(void *)page->datasets[i]);
}

_Static_assert(offsetof(struct entry, message) == 0, "a page points to the messages of its entries");

static struct error *page_add(const struct requests *requests, const struct request *request,
                              const struct dataset_info *info, struct page *page)
{
    struct error *err = NULL;
    struct mock_info mock;
    struct entry *entry = NULL;
    bool has_mock = false, may_know = false;
    TRY(request_may_know(requests, request, info, &mock, &has_mock, &may_know));
    if (!may_know)
        goto done;
    TRY(entry_make(requests, info, has_mock ? mock.rows : 0, &entry));
    size_t bytes = protobuf_c_message_get_packed_size(&entry->message.base) + 8;
    page->more = page->count == CATALOG_PAGE_DATASETS || page->bytes + bytes > CATALOG_PAGE_BYTES;
    if (page->more)
        goto done;
    page->bytes += bytes;
    page->datasets[page->count++] = &entry->message;
    entry = NULL;
done:
    entry_free(entry);
    return err;
}

static struct error *page_fill(const struct requests *requests, const struct request *request,
                               const char *after, struct page *page)
{
    struct error *err = NULL;
    struct dataset_info *infos = NULL;
    size_t count = 0;
    TRY(store_dataset_list(requests->store, &infos, &count));
    for (size_t i = 0; i < count && !page->more; i++)
        if (strcmp(infos[i].name, after) > 0)
            TRY(page_add(requests, request, &infos[i], page));
done:
    free(infos);
    return err;
}

struct error *request_catalog(const struct requests *requests, const struct request *request,
                              struct reply *ret_reply)
{
    struct error *err = NULL;
    Fds__CatalogQuery *query = NULL;
    Fds__Catalog catalog = FDS__CATALOG__INIT;
    struct page page = {.count = 0};
    TRY(wire_catalog_query_decode(request->body, request->body_bytes, &query));
    TRY(page_fill(requests, request, query->after, &page));
    catalog.datasets = page.datasets;
    catalog.n_datasets = page.count;
    catalog.more = page.more;
    TRY(wire_encode(&catalog.base, &ret_reply->body, &ret_reply->body_bytes));
    ret_reply->type = FDS__MESSAGE_TYPE__MESSAGE_CATALOG;
done:
    page_clear(&page);
    wire_catalog_query_free(query);
    return err;
}
