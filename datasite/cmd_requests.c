#include "console/terminal.h"
#include "console/verbs.h"
#include "datasite/contradiction.h"
#include "datasite/desk.h"
#include "schemas/clock.h"

#include <errno.h>
#include <jansson.h>

extern const struct verb verb_requests;

#define REQUESTS_COLUMNS 6

static struct {
    bool all, json;
} requests_given;

static const struct option *requests_options(void)
{
    static const struct option options[] = {
        {.name = "all",
         .letter = 'a',
         .kind = OPTION_FLAG,
         .target = &requests_given.all,
         .help = "also those that are finished, denied, revoked or expired"},
        {.name = "json", .kind = OPTION_FLAG, .target = &requests_given.json, .help = "for programs"},
        {0},
    };
    return options;
}

static bool requests_shown(const struct job_record *record)
{
    return requests_given.all || record->state == JOB_STATE_PENDING || record->state == JOB_STATE_APPROVED ||
           record->state == JOB_STATE_RUNNING;
}

/* The job's own name; one whose bytes no longer parse is listed without. */
static void requests_name(const struct job_record *record, char *ret_name, size_t name_bytes)
{
    struct job *job = NULL;
    struct error *err = job_parse((const char *)record->bytes, record->byte_count, "the stored job", &job);
    (void)snprintf(ret_name, name_bytes, "%s", err == NULL ? job->name : "?");
    error_free(err);
    job_free(job);
}

static struct error *requests_row(struct table *table, const struct job_record *record)
{
    char id[DESK_ID_BYTES], name[JOB_NAME_BYTES], received[CLOCK_TEXT_BYTES], expires[CLOCK_TEXT_BYTES];
    desk_id(&record->id, id);
    requests_name(record, name, sizeof(name));
    clock_format(record->received_at, received);
    clock_format(record->expires, expires);
    const char *const cells[REQUESTS_COLUMNS] = {
        id, name, record->requester_name, job_state_word(record->state), received, expires};
    return table_row(table, cells);
}

static struct error *requests_print(const struct invocation *invocation, const struct job_record *records,
                                    size_t count)
{
    struct error *err = NULL;
    static const char *const headers[REQUESTS_COLUMNS] = {"Job",   "Name",     "From",
                                                          "State", "Received", "Expires"};
    struct table *table = NULL;
    size_t shown = 0;
    TRY(table_new(headers, REQUESTS_COLUMNS, &table));
    for (size_t i = 0; i < count; i++) {
        if (!requests_shown(&records[i]))
            continue;
        TRY(requests_row(table, &records[i]));
        shown++;
    }
    if (shown > 0)
        table_print(table, stdout);
    else
        (void)printf("No job %s. `%s requests --all` lists those that are over too.\n",
                     requests_given.all ? "was ever submitted" : "waits or runs", invocation->program);
done:
    table_free(table);
    return err;
}

static struct error *requests_json_row(json_t *array, const struct job_record *record)
{
    char hex[DIGEST_HEX_BYTES], name[JOB_NAME_BYTES], received[CLOCK_TEXT_BYTES], expires[CLOCK_TEXT_BYTES];
    char requester[FINGERPRINT_BYTES], requester_name[2 * sizeof(record->requester_name)];
    digest_hex(&record->id, hex);
    requests_name(record, name, sizeof(name));
    clock_format(record->received_at, received);
    clock_format(record->expires, expires);
    site_id_format(&record->requester, requester);
    terminal_clean(record->requester_name, requester_name, sizeof(requester_name));
    json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "job_id", hex, "name", name, "requester",
                            requester, "requester_name", requester_name, "state",
                            job_state_word(record->state), "received_at", received, "expires", expires);
    if (row == NULL || json_array_append_new(array, row) != 0)
        return error_new(ERROR_MEMORY, "There is not enough memory for the list of jobs.");
    return NULL;
}

static struct error *requests_print_json(struct store *store, const struct job_record *records, size_t count)
{
    struct error *err = NULL;
    json_t *array = json_array();
    bool contradicted = false;
    json_t *document = NULL;
    TRY(store_contradiction_open(store, &contradicted));
    document = json_pack("{s:i, s:b, s:O}", "version", 1, "contradicted", contradicted, "requests", array);
    if (document == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the list of jobs.");
    for (size_t i = 0; i < count; i++) {
        if (requests_shown(&records[i]))
            TRY(requests_json_row(array, &records[i]));
    }
    if (json_dumpf(document, stdout, JSON_INDENT(2)) != 0 || putchar('\n') == EOF)
        err = error_errno(ERROR_IO, errno, "The list cannot be written");
done:
    json_decref(array);
    json_decref(document);
    return err;
}

static struct error *requests_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct store *store = NULL;
    struct job_record *records = NULL;
    size_t count = 0;
    TRY(home_open(invocation->home, &home));
    TRY(store_open(home->database_path, STORE_READ, &store));
    TRY(store_job_list(store, &records, &count));
    if (!requests_given.json)
        TRY(contradiction_banner(store, invocation->program, NULL));
    TRY(requests_given.json ? requests_print_json(store, records, count)
                            : requests_print(invocation, records, count));
done:
    for (size_t i = 0; i < count; i++)
        job_record_clear(&records[i]);
    free(records);
    store_close(store);
    home_free(home);
    return err;
}

const struct verb verb_requests = {
    .name = "requests",
    .summary = "List the jobs that wait for you or run",
    .arguments = "",
    .detail = "`datasite show JOB_ID` explains one.\n\n"
              "Example:\n"
              "  datasite requests --all",
    .options = requests_options,
    .run = requests_run,
};
