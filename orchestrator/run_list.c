#include "orchestrator/run_list.h"

#include "orchestrator/run_store.h"
#include "schemas/files.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>

#define RUN_ID_DIGITS "0123456789abcdef"

void run_list_clear(struct run_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->runs[i].directory);
        free(list->runs[i].damage);
    }
    free(list->runs);
    *list = (struct run_list){0};
}

static bool is_run_id(const char *name)
{
    return strspn(name, RUN_ID_DIGITS) == RUN_ID_HEX_BYTES - 1 && name[RUN_ID_HEX_BYTES - 1] == '\0';
}

/* Adds a run by its name alone. */
static struct error *list_add(struct run_list *list, const char *runs, const char *run_id)
{
    struct error *err = NULL;
    if (list->count == RUN_LIST_MAX)
        return error_new(ERROR_LIMIT, "%s holds more than %d runs; move old ones to another folder.", runs,
                         RUN_LIST_MAX);
    struct run_summary *grown = realloc(list->runs, (list->count + 1) * sizeof *grown);
    if (grown == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for the list of runs.");
    list->runs = grown;
    struct run_summary *run = &grown[list->count];
    *run = (struct run_summary){.accuracy = NAN, .noised = NAN, .noised_deviation = NAN};
    memcpy(run->run_id, run_id, RUN_ID_HEX_BYTES);
    TRY(path_join(runs, run_id, &run->directory));
    list->count++;
done:
    return err;
}

/* Names only; a home that never had a run has no folder for them. */
static struct error *list_names(const char *home, struct run_list *list)
{
    struct error *err = NULL;
    char *runs = NULL;
    DIR *folder = NULL;
    TRY(path_join(home, "runs", &runs));
    folder = opendir(runs);
    if (folder == NULL && errno == ENOENT)
        goto done;
    if (folder == NULL) {
        err = error_errno(ERROR_IO, errno, "%s cannot be read", runs);
        goto done;
    }
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (is_run_id(entry->d_name))
            TRY(list_add(list, runs, entry->d_name));
    }
done:
    if (folder != NULL)
        (void)closedir(folder);
    free(runs);
    return err;
}

/* Fills in what is known of a run; a failure becomes a part of the summary. */
static void summary_read(struct run_summary *run)
{
    struct run_record *record = NULL;
    struct run_outline outline;
    struct error *err = run_store_load_outline(run->directory, &record, &outline);
    if (err != NULL) {
        run->damage = strdup(err->sentence);
        run->status = RUN_FAILED;
        error_free(err);
        return;
    }
    (void)snprintf(run->job_name, sizeof run->job_name, "%s", record->job->name);
    (void)snprintf(run->reason, sizeof run->reason, "%s", record->reason);
    run->mock = record->mock;
    run->status = record->status;
    run->started_at = record->started_at;
    run->rounds_done = outline.rounds;
    run->accuracy = outline.accuracy;
    run->noised = outline.noised;
    run->noised_deviation = outline.noised_deviation;
    run->rounds_planned = record->job->rounds;
    run_record_free(record);
}

static int summary_compare(const void *a, const void *b)
{
    const struct run_summary *left = a;
    const struct run_summary *right = b;
    if (left->started_at != right->started_at)
        return left->started_at < right->started_at ? -1 : 1;
    return strcmp(left->run_id, right->run_id);
}

struct error *run_list_read(const char *home, struct run_list *ret_list)
{
    struct error *err = NULL;
    struct run_list list = {0};
    TRY(list_names(home, &list));
    for (size_t i = 0; i < list.count; i++)
        summary_read(&list.runs[i]);
    if (list.count > 0)
        qsort(list.runs, list.count, sizeof *list.runs, summary_compare);
    *ret_list = list;
    list = (struct run_list){0};
done:
    run_list_clear(&list);
    return err;
}

static struct error *find_latest(const char *home, char **ret_directory)
{
    struct error *err = NULL;
    struct run_list list = {0};
    TRY(run_list_read(home, &list));
    if (list.count == 0)
        FAIL(ERROR_NOT_FOUND, "%s holds no run yet; orchestrator run makes one.", home);
    *ret_directory = list.runs[list.count - 1].directory;
    list.runs[list.count - 1].directory = NULL;
done:
    run_list_clear(&list);
    return err;
}

struct error *run_list_find(const char *home, const char *prefix, char **ret_directory)
{
    struct error *err = NULL;
    struct run_list list = {0};
    struct run_summary *found = NULL;
    if (prefix == NULL)
        return find_latest(home, ret_directory);
    if (prefix[0] == '\0' || strspn(prefix, RUN_ID_DIGITS) != strlen(prefix))
        FAIL(ERROR_USAGE,
             "A run is named by its id or its first digits, of 0-9 and a-f; orchestrator runs lists them.");
    TRY(list_names(home, &list));
    for (size_t i = 0; i < list.count; i++) {
        if (strncmp(list.runs[i].run_id, prefix, strlen(prefix)) != 0)
            continue;
        if (found != NULL)
            FAIL(ERROR_CONFLICT, "More than one run starts with %s; give more digits.", prefix);
        found = &list.runs[i];
    }
    if (found == NULL)
        FAIL(ERROR_NOT_FOUND, "No run in %s starts with %s; orchestrator runs lists them.", home, prefix);
    *ret_directory = found->directory;
    found->directory = NULL;
done:
    run_list_clear(&list);
    return err;
}
