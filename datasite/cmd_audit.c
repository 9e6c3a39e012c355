#include "console/terminal.h"
#include "console/verbs.h"
#include "datasite/contradiction.h"
#include "datasite/desk.h"
#include "datasite/home.h"
#include "schemas/clock.h"
#include "schemas/text.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <unistd.h>

extern const struct verb verb_audit;

#define AUDIT_LIMIT 50
#define AUDIT_LIMIT_MOST 1000000
#define AUDIT_LINE_BYTES 1024

static struct {
    const char *since, *until, *job, *requester, *kind;
    uint64_t limit;
    bool json;
} audit_given = {.limit = AUDIT_LIMIT};

static const struct option *audit_options(void)
{
    static const struct option options[] = {
        {.name = "since",
         .kind = OPTION_TEXT,
         .target = &audit_given.since,
         .value = "TIME",
         .help = "not before: 24h, 30d, or 2027-01-31T00:00:00Z"},
        {.name = "until",
         .kind = OPTION_TEXT,
         .target = &audit_given.until,
         .value = "TIME",
         .help = "not after"},
        {.name = "job",
         .kind = OPTION_TEXT,
         .target = &audit_given.job,
         .value = "JOB_ID",
         .help = "about this job"},
        {.name = "requester",
         .kind = OPTION_TEXT,
         .target = &audit_given.requester,
         .value = "FINGERPRINT",
         .help = "about the jobs of this orchestrator"},
        {.name = "kind",
         .kind = OPTION_TEXT,
         .target = &audit_given.kind,
         .value = "WORD",
         .help = "of this kind, such as update-released"},
        {.name = "limit",
         .kind = OPTION_COUNT,
         .target = &audit_given.limit,
         .value = "N",
         .help = "the newest N (50); 0: all",
         .maximum = AUDIT_LIMIT_MOST},
        {.name = "json", .kind = OPTION_FLAG, .target = &audit_given.json, .help = "for programs"},
        {0},
    };
    return options;
}

/* ---- which ---- */

/* "24h" is a while ago, "2027-01-31T00:00:00Z" a time. */
static struct error *audit_time(const char *option, const char *text, int64_t *ret_seconds)
{
    int64_t ago = 0;
    if (text == NULL)
        return NULL;
    struct error *err = clock_parse(text, ret_seconds);
    if (err == NULL)
        return NULL;
    error_clear(&err);
    err = clock_parse_duration(text, &ago);
    if (err == NULL) {
        *ret_seconds = clock_now_ms() / 1000 - ago;
        return NULL;
    }
    error_free(err);
    return error_new(ERROR_USAGE,
                     "--%s takes a while ago, like 24h or 30d, or a time like 2027-01-31T00:00:00Z.", option);
}

static struct error *audit_kind(const char *kind)
{
    static const char *const words[] = {
#define EVENT(name, word, level, salt) word,
#include "schemas/event.def"
#undef EVENT
    };
    if (kind == NULL)
        return NULL;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i], kind) == 0)
            return NULL;
    }
    return error_new(ERROR_USAGE,
                     "There is no kind of event of that name; among them are job-received, job-approved, "
                     "update-released and evaluation-released.");
}

struct audit_filter {
    struct event_filter filter;
    struct digest job_id;
    struct site_id requester;
};

static struct error *audit_filter(struct store *store, struct audit_filter *filter)
{
    struct error *err = NULL;
    struct job_record record = {.bytes = NULL};
    TRY(audit_time("since", audit_given.since, &filter->filter.since));
    TRY(audit_time("until", audit_given.until, &filter->filter.until));
    TRY(audit_kind(audit_given.kind));
    filter->filter.kind = audit_given.kind;
    filter->filter.limit = audit_given.limit;
    if (audit_given.job != NULL) {
        TRY(store_job_find_prefix(store, audit_given.job, &record));
        filter->job_id = record.id;
        filter->filter.job_id = &filter->job_id;
    }
    if (audit_given.requester != NULL) {
        TRY(site_id_parse(audit_given.requester, &filter->requester));
        filter->filter.requester = &filter->requester;
    }
done:
    job_record_clear(&record);
    return err;
}

/* ---- for people ---- */

struct audit_list {
    uint64_t shown;
    size_t columns; /* of the terminal; 0: lines are as long as they are */
    json_t *row;
};

/* Cuts the line where the terminal ends, at a character. */
static void audit_cut(char *line, size_t columns)
{
    size_t at = 0, shown = 0;
    size_t bytes = strlen(line);
    while (at < bytes) {
        uint32_t code_point = 0;
        size_t length = text_character(line + at, bytes - at, &code_point);
        if (++shown > columns)
            break;
        at += length == 0 ? 1 : length;
    }
    line[at] = '\0';
}

static struct error *audit_print(void *context, const struct event_record *record)
{
    struct audit_list *list = context;
    const struct chain_event *event = &record->event;
    char line[AUDIT_LINE_BYTES], shown[AUDIT_LINE_BYTES / 2], detail[AUDIT_LINE_BYTES / 2],
        when[CLOCK_TEXT_BYTES], kind[64], job[24] = "", round[24] = "";
    clock_format(event->at, when);
    (void)snprintf(shown, sizeof(shown), "%.*s", (int)chain_detail_bytes(event->detail), event->detail);
    terminal_clean(shown, detail, sizeof(detail));
    terminal_clean(event->kind, kind, sizeof(kind));
    if (event->job_id != NULL) {
        char id[DESK_ID_BYTES];
        desk_id(event->job_id, id);
        (void)snprintf(job, sizeof(job), " %.8s", id);
    }
    if (event->round > 0)
        (void)snprintf(round, sizeof(round), " round %" PRIu32, event->round);
    (void)snprintf(line, sizeof(line), "%6" PRIu64 "  %.10s %.5s  %-17s%s%s%s%s", event->sequence, when,
                   when + 11, kind, job, round, detail[0] == '\0' ? "" : "  ", detail);
    if (list->columns > 0)
        audit_cut(line, list->columns);
    (void)printf("%s\n", line);
    list->shown++;
    return NULL;
}

/* ---- for programs ---- */

static void audit_hex(const uint8_t *bytes, size_t count, char *ret_text)
{
    for (size_t i = 0; i < count; i++)
        (void)snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
}

static struct error *audit_json_row(const struct event_record *record, json_t **ret_row)
{
    const struct chain_event *event = &record->event;
    char when[CLOCK_TEXT_BYTES], detail[AUDIT_LINE_BYTES], kind[64], job[DIGEST_HEX_BYTES],
        digest[DIGEST_HEX_BYTES], hash[DIGEST_HEX_BYTES], run[2 * CHAIN_RUN_ID_BYTES + 1],
        requester[FINGERPRINT_BYTES];
    clock_format(event->at, when);
    terminal_clean(event->detail, detail, sizeof(detail));
    terminal_clean(event->kind, kind, sizeof(kind));
    digest_hex(&record->hash, hash);
    if (event->job_id != NULL)
        digest_hex(event->job_id, job);
    if (event->digest != NULL)
        digest_hex(event->digest, digest);
    if (event->run_id != NULL)
        audit_hex(event->run_id, CHAIN_RUN_ID_BYTES, run);
    if (record->has_requester)
        site_id_format(&record->requester, requester);
    *ret_row = json_pack(
        "{s:I, s:s, s:s, s:s?, s:s?, s:s?, s:I, s:s, s:s?, s:s?}", "sequence", (json_int_t)event->sequence,
        "at", when, "kind", kind, "job_id", event->job_id == NULL ? NULL : job, "requester",
        record->has_requester ? requester : NULL, "run_id", event->run_id == NULL ? NULL : run, "round",
        (json_int_t)event->round, "detail", detail, "digest", event->digest == NULL ? NULL : digest, "hash",
        record->is_signed ? hash : NULL);
    return *ret_row == NULL ? error_new(ERROR_MEMORY, "There is not enough memory to describe an event.")
                            : NULL;
}

/* One at a time, so that memory does not grow with the list. */
static struct error *audit_print_json(void *context, const struct event_record *record)
{
    struct error *err = NULL;
    struct audit_list *list = context;
    json_t *row = NULL;
    TRY(audit_json_row(record, &row));
    (void)fputs(list->shown == 0 ? "\n    " : ",\n    ", stdout);
    if (json_dumpf(row, stdout, 0) != 0)
        err = error_errno(ERROR_IO, errno, "The list cannot be written");
    list->shown++;
done:
    json_decref(row);
    return err;
}

static struct error *audit_all_json(struct store *store, const struct event_filter *filter)
{
    struct error *err = NULL;
    struct audit_list list = {.shown = 0};
    (void)fputs("{\n  \"version\": 1,\n  \"events\": [", stdout);
    TRY(store_events(store, filter, audit_print_json, &list));
    (void)fputs(list.shown == 0 ? "]\n}\n" : "\n  ]\n}\n", stdout);
done:
    return err;
}

static struct error *audit_all(struct store *store, const struct event_filter *filter, const char *program)
{
    struct error *err = NULL;
    struct audit_list list = {.columns = isatty(STDOUT_FILENO) ? (size_t)terminal_columns() : 0};
    TRY(contradiction_banner(store, program, NULL));
    TRY(store_events(store, filter, audit_print, &list));
    if (list.shown == 0)
        (void)printf("No event fits.\n");
    else if (list.shown == filter->limit)
        (void)printf("These are the newest %" PRIu64 "; --limit N shows more.\n", list.shown);
done:
    return err;
}

static struct error *audit_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct store *store = NULL;
    struct audit_filter filter = {.filter = {.limit = 0}};
    TRY(home_open(invocation->home, &home));
    TRY(store_open(home->database_path, STORE_READ, &store));
    TRY(store_snapshot(store));
    TRY(audit_filter(store, &filter));
    TRY(audit_given.json ? audit_all_json(store, &filter.filter)
                         : audit_all(store, &filter.filter, invocation->program));
done:
    if (store != NULL)
        store_snapshot_end(store);
    store_close(store);
    home_free(home);
    return err;
}

const struct verb verb_audit = {
    .name = "audit",
    .summary = "List what happened here: every decision, every release",
    .arguments = "",
    .detail =
        "The newest last: number, time (UTC), kind, job, round, and a sentence. Nobody can change them\n"
        "unnoticed: `datasite audit verify` checks them all.\n\n"
        "Example:\n"
        "  datasite audit --since 24h --kind update-released",
    .options = audit_options,
    .run = audit_run,
};
