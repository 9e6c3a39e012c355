#include "orchestrator/orchestrator_parts.h"

#include "orchestrator/site_catalog.h"
#include "schemas/files.h"

#define CONNECT_SECONDS 10
#define FOLDER_BYTES (JOB_SITE_NAME_BYTES + 16)
#define FOLDER_DIGITS 8 /* of the site's fingerprint */

struct orchestrator_data {
    const struct orchestrator_data_options *options; /* while the sites are asked */
    struct job_site *sites;                          /* [site_count] */
    struct site_catalog *catalogs;                   /* [site_count] */
    size_t site_count;
    char **saved; /* [dataset number]; made as directories are */
    size_t saved_count;
};

void orchestrator_data_free(struct orchestrator_data *data)
{
    if (data == NULL)
        return;
    for (size_t i = 0; i < data->site_count; i++)
        site_catalog_clear(&data->catalogs[i]);
    for (size_t i = 0; i < data->saved_count; i++)
        free(data->saved[i]);
    free(data->saved);
    free(data->catalogs);
    free(data->sites);
    free(data);
}

/* Of a site: its name in letters that any file system takes, and the beginning of its fingerprint. */
static void folder_name(const struct job_site *site, char ret_name[static FOLDER_BYTES])
{
    const char *digits = strchr(site->fingerprint, ':');
    (void)snprintf(ret_name, FOLDER_BYTES, "%s", site->name);
    for (char *c = ret_name; *c != '\0'; c++)
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_", *c) == NULL)
            *c = '-';
    size_t used = strlen(ret_name);
    (void)snprintf(ret_name + used, FOLDER_BYTES - used, "-%.*s", FOLDER_DIGITS,
                   digits == NULL ? "" : digits + 1);
}

static struct error *folder_of(const struct orchestrator_data *data, const struct job_site *site,
                               const char *dataset, char **ret_folder)
{
    struct error *err = NULL;
    char name[FOLDER_BYTES];
    char *folder = NULL;
    if (dataset[0] == '.')
        FAIL(ERROR_INVALID, "A dataset whose name begins with a point is not saved.");
    folder_name(site, name);
    TRY(path_join(data->options->fetch_directory, name, &folder));
    TRY(path_join(folder, dataset, ret_folder));
done:
    free(folder);
    return err;
}

static struct error *save(void *context, struct site_catalog *catalog, const struct site_dataset *dataset,
                          struct mock_data *mock)
{
    struct error *err = NULL;
    struct orchestrator_data *data = context;
    char *folder = NULL;
    TRY(folder_of(data, catalog->site, dataset->schema->name, &folder));
    TRY(mock_data_save(mock, dataset->schema, folder));
done:
    free(folder);
    return err;
}

static bool stopped(void *context)
{
    const struct orchestrator_data *data = context;
    return data->options->cancelled != NULL && data->options->cancelled(data->options->context) != 0;
}

/* The sites that are to be asked, copied: the list may change while the caller reads. */
static struct error *choose_sites(struct orchestrator *orchestrator, struct orchestrator_data *data)
{
    struct error *err = NULL;
    const char *wanted = data->options->site;
    size_t count = site_list_count(orchestrator->sites);
    data->sites = calloc(count + 1, sizeof *data->sites);
    data->catalogs = calloc(count + 1, sizeof *data->catalogs);
    if (data->sites == NULL || data->catalogs == NULL)
        FAIL(ERROR_MEMORY, "No memory for the sites.");
    for (size_t i = 0; i < count; i++) {
        const struct job_site *site = site_list_at(orchestrator->sites, i, NULL);
        if (wanted != NULL && strcmp(site->name, wanted) != 0)
            continue;
        data->sites[data->site_count] = *site;
        data->catalogs[data->site_count].site = &data->sites[data->site_count];
        data->site_count++;
    }
    if (wanted != NULL && data->site_count == 0)
        FAIL(ERROR_NOT_FOUND, "No site is known by the name \"%s\"; orchestrator sites lists them.", wanted);
done:
    return err;
}

static struct error *leave_out(const struct orchestrator *orchestrator, struct orchestrator_data *data)
{
    struct error *err = NULL;
    struct site_probe *probes = calloc(data->site_count + 1, sizeof *probes);
    if (probes == NULL)
        FAIL(ERROR_MEMORY, "No memory for the sites.");
    for (size_t i = 0; i < data->site_count; i++)
        probes[i].site = &data->sites[i];
    TRY(orchestrator_mark_in_run(orchestrator, probes, data->site_count));
    for (size_t i = 0; i < data->site_count; i++) {
        data->catalogs[i].in_run = probes[i].in_run;
        (void)snprintf(data->catalogs[i].reason, sizeof data->catalogs[i].reason, "%s", probes[i].reason);
    }
done:
    free(probes);
    return err;
}

static struct error *ask(struct orchestrator *orchestrator, struct orchestrator_data *data)
{
    struct error *err = NULL;
    struct session *session = NULL;
    struct site_id *ids = NULL;
    struct session_trust trust = {0};
    bool fetches = data->options->fetch_directory != NULL;
    int connect = data->options->connect_seconds == 0 ? CONNECT_SECONDS : data->options->connect_seconds;
    struct site_catalog_plan plan = {.connect_ms = connect * 1000,
                                     .deadline_ms =
                                         2 * connect * 1000 + (fetches ? SITE_CATALOG_FETCH_MS : 0),
                                     .on_mock = fetches ? save : NULL,
                                     .stop = stopped,
                                     .context = data};
    TRY(orchestrator_whom_to_trust(orchestrator, NULL, &ids, &trust));
    TRY(orchestrator_open_for_probe(orchestrator, &trust, &session));
    TRY(site_catalog_all(session, &plan, data->catalogs, data->site_count));
done:
    session_close(session);
    free(ids);
    return err;
}

/* The dataset of that number, over all sites that answered. */
static const struct site_dataset *dataset_at(const struct orchestrator_data *data, size_t number,
                                             const struct site_catalog **ret_catalog)
{
    for (size_t i = 0; i < data->site_count; i++) {
        const struct site_catalog *catalog = &data->catalogs[i];
        if (!catalog->answered)
            continue;
        if (number < catalog->dataset_count) {
            *ret_catalog = catalog;
            return &catalog->datasets[number];
        }
        number -= catalog->dataset_count;
    }
    return NULL;
}

static struct error *note_saved(struct orchestrator_data *data)
{
    struct error *err = NULL;
    const struct site_catalog *catalog = NULL;
    size_t count = orchestrator_data_count(data);
    data->saved = calloc(count + 1, sizeof *data->saved);
    if (data->saved == NULL)
        FAIL(ERROR_MEMORY, "No memory for the datasets of the sites.");
    data->saved_count = count;
    for (size_t i = 0; i < count; i++) {
        const struct site_dataset *dataset = dataset_at(data, i, &catalog);
        if (dataset->fetched)
            TRY(folder_of(data, catalog->site, dataset->schema->name, &data->saved[i]));
    }
done:
    return err;
}

int orchestrator_data(struct orchestrator *orchestrator, const struct orchestrator_data_options *options,
                      struct orchestrator_data **ret_data, struct orchestrator_failure *failure)
{
    struct error *err = NULL;
    struct orchestrator_data *data = NULL;
    if (options->size != sizeof *options || options->connect_seconds < 0 || options->connect_seconds > 3600)
        FAIL(ERROR_USAGE, "Asking for data wants the size of its options, and at most an hour to connect.");
    data = calloc(1, sizeof *data);
    if (data == NULL)
        FAIL(ERROR_MEMORY, "No memory for the datasets of the sites.");
    data->options = options;
    TRY(choose_sites(orchestrator, data));
    TRY(leave_out(orchestrator, data));
    TRY(ask(orchestrator, data));
    TRY(note_saved(data));
    data->options = NULL;
    *ret_data = data;
    data = NULL;
done:
    orchestrator_data_free(data);
    return orchestrator_report(err, failure);
}

size_t orchestrator_data_count(const struct orchestrator_data *data)
{
    size_t count = 0;
    for (size_t i = 0; i < data->site_count; i++)
        count += data->catalogs[i].answered ? data->catalogs[i].dataset_count : 0;
    return count;
}

size_t orchestrator_data_answered(const struct orchestrator_data *data)
{
    size_t count = 0;
    for (size_t i = 0; i < data->site_count; i++)
        count += data->catalogs[i].answered ? 1 : 0;
    return count;
}

int orchestrator_data_at(const struct orchestrator_data *data, size_t number,
                         struct orchestrator_dataset *ret_dataset)
{
    const struct site_catalog *catalog = NULL;
    const struct site_dataset *dataset = dataset_at(data, number, &catalog);
    if (dataset == NULL)
        return -1;
    const Fds__DatasetSchema *schema = dataset->schema;
    *ret_dataset = (struct orchestrator_dataset){
        .site = catalog->site->name,
        .name = schema->name,
        .kind = schema->kind,
        .features = schema->features,
        .image_rows = schema->image_rows,
        .image_columns = schema->image_columns,
        .classes = schema->classes,
        .rows = schema->rows,
        .mock_rows = schema->mock_rows,
        .columns = (const char *const *)schema->columns,
        .column_count = schema->n_columns,
        .class_names = (const char *const *)schema->class_names,
        .class_name_count = schema->n_class_names,
        .saved = data->saved[number],
        .reason = dataset->reason,
    };
    return 0;
}

int orchestrator_data_silent_at(const struct orchestrator_data *data, size_t number, const char **ret_site,
                                const char **ret_reason)
{
    for (size_t i = 0; i < data->site_count; i++) {
        if (data->catalogs[i].answered || number-- > 0)
            continue;
        *ret_site = data->sites[i].name;
        *ret_reason = data->catalogs[i].reason;
        return 0;
    }
    return -1;
}
