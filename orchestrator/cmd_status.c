#include "console/terminal.h"
#include "orchestrator/commands.h"
#include "orchestrator/run_list.h"
#include "orchestrator/run_store.h"

#include <jansson.h>
#include <math.h>

extern const struct verb verb_status;

#define DEADLINE_MS 5000
#define REAL_DIGITS 9 /* of milliseconds with three decimals */

static bool status_as_json;

/* What is printed: the sites as they answered, and our latest job, if there was one. */
struct overview {
    struct orchestrator_site_status *sites;
    size_t site_count;
    struct run_record *latest; /* or NULL */
    struct run_outline done;
    char job_id[DIGEST_HEX_BYTES];
};

static const struct option *status_options(void)
{
    static const struct option options[] = {
        {.name = "json", .kind = OPTION_FLAG, .target = &status_as_json, .help = "as JSON"},
        {0},
    };
    return options;
}

/* The latest run whose record can be read; of runs on mock data the sites know nothing. */
static struct error *find_latest(const char *home, struct overview *overview)
{
    struct error *err = NULL;
    struct run_list list = {0};
    TRY(run_list_read(home, &list));
    for (size_t i = list.count; i > 0 && overview->latest == NULL; i--)
        if (list.runs[i - 1].damage == NULL && !list.runs[i - 1].mock)
            TRY(run_store_load_outline(list.runs[i - 1].directory, &overview->latest, &overview->done));
    if (overview->latest != NULL)
        digest_hex(&overview->latest->job_id, overview->job_id);
done:
    run_list_clear(&list);
    return err;
}

static json_t *json_of_site(const struct orchestrator_site_status *site)
{
    return json_pack("{s:s, s:s*, s:b, s:o, s:s, s:s*, s:s*}", "name", site->name, "endpoint",
                     site->endpoint[0] == '\0' ? NULL : site->endpoint, "up", site->up, "round_trip_ms",
                     isnan(site->round_trip_ms) ? json_null()
                                                : json_real(round(site->round_trip_ms * 1e3) / 1e3),
                     "reason", site->reason, "job_state", site->state[0] == '\0' ? NULL : site->state,
                     "software", site->software[0] == '\0' ? NULL : site->software);
}

static json_t *json_of_job(const struct overview *overview)
{
    if (overview->latest == NULL)
        return json_null();
    return json_pack("{s:s, s:s, s:s, s:I, s:I}", "job", overview->latest->job->name, "job_id",
                     overview->job_id, "status", run_status_word(overview->latest->status), "rounds",
                     (json_int_t)overview->done.rounds, "rounds_planned",
                     (json_int_t)overview->latest->job->rounds);
}

static struct error *print_json(const struct overview *overview)
{
    json_t *sites = json_array();
    int failed = 0;
    for (size_t i = 0; i < overview->site_count; i++)
        failed |= json_array_append_new(sites, json_of_site(&overview->sites[i]));
    json_t *all =
        json_pack("{s:i, s:o, s:o}", "version", 1, "sites", sites, "latest_run", json_of_job(overview));
    if (all == NULL || failed != 0) {
        json_decref(all);
        return error_new(ERROR_MEMORY, "There is not enough memory for the status.");
    }
    (void)json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(REAL_DIGITS));
    (void)putchar('\n');
    json_decref(all);
    return NULL;
}

static struct error *add_row(struct table *table, const struct orchestrator_site_status *site)
{
    char round_trip[32] = "";
    bool in_run = strcmp(site->state, ORCHESTRATOR_STATE_IN_RUN) == 0;
    if (site->up)
        (void)snprintf(round_trip, sizeof round_trip, "%.1f ms", site->round_trip_ms);
    const char *const cells[] = {site->name,
                                 site->endpoint[0] == '\0' ? "(dials in)" : site->endpoint,
                                 in_run     ? ORCHESTRATOR_STATE_IN_RUN
                                 : site->up ? "up"
                                            : "down",
                                 round_trip,
                                 site->software,
                                 in_run ? "" : site->state};
    return table_row(table, cells);
}

static void print_reasons(const struct overview *overview)
{
    char clean[sizeof overview->sites->reason];
    for (size_t i = 0; i < overview->site_count; i++) {
        terminal_clean(overview->sites[i].reason, clean, sizeof clean);
        if (!overview->sites[i].up)
            (void)printf("%s: %s\n", overview->sites[i].name, clean);
    }
}

static struct error *print_table(const struct overview *overview)
{
    struct error *err = NULL;
    struct table *table = NULL;
    static const char *const headers[] = {"Name",       "Endpoint", "State",
                                          "Round trip", "Version",  "Latest job there"};
    if (overview->site_count == 0)
        (void)printf("No sites are known. Add one with: orchestrator sites add LINE\n");
    TRY(table_new(headers, 6, &table));
    table_align(table, 1u << 3);
    for (size_t i = 0; i < overview->site_count; i++)
        TRY(add_row(table, &overview->sites[i]));
    if (overview->site_count > 0)
        table_print(table, stdout);
    print_reasons(overview);
    if (overview->latest != NULL)
        (void)printf("\nLatest job: %s (%.12s), its run %s after %u of %u rounds\n",
                     overview->latest->job->name, overview->job_id, run_status_word(overview->latest->status),
                     overview->done.rounds, overview->latest->job->rounds);
done:
    table_free(table);
    return err;
}

static struct error *status_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct overview overview = {0};
    struct orchestrator *orchestrator = NULL;
    struct orchestrator_failure failure;
    if (orchestrator_open(invocation->home, &orchestrator, &failure) != 0)
        return command_failed(&failure);
    command_warn(orchestrator);
    overview.site_count = orchestrator_site_count(orchestrator);
    overview.sites = calloc(overview.site_count + 1, sizeof *overview.sites);
    if (overview.sites == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the sites.");
    TRY(find_latest(invocation->home, &overview));
    if (overview.site_count > 0 &&
        orchestrator_status(orchestrator, overview.latest == NULL ? NULL : overview.job_id, DEADLINE_MS,
                            overview.sites, &failure) != 0) {
        err = command_failed(&failure);
        goto done;
    }
    err = status_as_json ? print_json(&overview) : print_table(&overview);
done:
    run_record_free(overview.latest);
    free(overview.sites);
    orchestrator_close(orchestrator);
    return err;
}

const struct verb verb_status = {
    .name = "status",
    .summary = "Show which sites can be reached, and how the latest job stands there",
    .arguments = "",
    .detail =
        "Connects to every known site and asks it a signed question; takes 5 seconds at most. Sites of a "
        "run\nthat goes on are not asked, which would disturb it: they are shown as in a run.\n\n"
        "Example:\n"
        "  orchestrator status --json",
    .options = status_options,
    .run = status_run,
};
