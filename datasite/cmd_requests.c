#include "console/terminal.h"
#include "console/verbs.h"
#include "datasite/contradiction.h"
#include "datasite/desk.h"
#include "datasite/endorsement.h"
#include "datasite/store_wait.h"
#include "schemas/clock.h"

#include <errno.h>
#include <jansson.h>

extern const struct verb verb_requests;

#define REQUESTS_COLUMNS 7
#define REQUESTS_OF_ONE 5        /* pending jobs of one requester that are listed without --all */
#define REQUESTS_OF_STRANGERS 20 /* and of all requesters together whom the owner does not know */

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

/* What is listed: jobs of requesters whom the owner knows (listed, or dialled) come first, so that no crowd pushes
 * them out of sight. */
struct listing {
    const char *program;
    struct home *home;
    struct policy *policy;
    struct identity *identity;
    struct store *store;
    struct job_record *records;
    bool *known; /* [count] */
    size_t count;
};

static bool requests_shown(const struct job_record *record)
{
    return requests_given.all || record->state == JOB_STATE_PENDING || record->state == JOB_STATE_APPROVED ||
           record->state == JOB_STATE_RUNNING;
}

static bool listing_dials(const struct listing *listing, const struct site_id *requester)
{
    const struct node_config *config = listing->home->config;
    char fingerprint[FINGERPRINT_BYTES];
    site_id_format(requester, fingerprint);
    for (size_t i = 0; i < config->dial_count; i++) {
        if (strcmp(config->dial[i].fingerprint, fingerprint) == 0)
            return true;
    }
    return false;
}

static struct error *listing_know(struct listing *listing)
{
    struct error *err = NULL;
    struct peer *peers = NULL;
    size_t peer_count = 0;
    listing->known = calloc(listing->count + 1, sizeof(*listing->known));
    if (listing->known == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the list of jobs.");
    TRY(store_peer_list(listing->store, &peers, &peer_count));
    for (size_t i = 0; i < listing->count; i++) {
        const struct site_id *requester = &listing->records[i].requester;
        listing->known[i] = listing_dials(listing, requester);
        for (size_t k = 0; k < peer_count && !listing->known[i]; k++)
            listing->known[i] = site_id_equal(&peers[k].id, requester);
    }
done:
    free(peers);
    return err;
}

static struct error *listing_open(const struct invocation *invocation, struct listing *listing)
{
    struct error *err = NULL;
    listing->program = invocation->program;
    TRY(home_open(invocation->home, &listing->home));
    TRY(policy_load(listing->home->policy_path, &listing->policy));
    TRY(home_store(listing->home, STORE_READ, &listing->identity, &listing->store));
    TRY(store_job_list(listing->store, &listing->records, &listing->count));
    TRY(listing_know(listing));
done:
    return err;
}

static void listing_close(struct listing *listing)
{
    job_records_free(listing->records, listing->count);
    free(listing->known);
    store_close(listing->store);
    identity_free(listing->identity);
    policy_free(listing->policy);
    home_free(listing->home);
}

/* How many owners have approved a pending job, where two must; -1 where nobody asks. */
static struct error *listing_owners(const struct listing *listing, const struct job_record *record,
                                    int *ret_owners)
{
    struct error *err = NULL;
    struct decision decision;
    size_t owners = 0;
    *ret_owners = -1;
    if (!listing->policy->gate.four_eyes || record->state != JOB_STATE_PENDING)
        return NULL;
    TRY(endorsement_first(listing->store, &listing->policy->gate, identity_id(listing->identity), record,
                          &decision, &owners));
    *ret_owners = (int)owners;
done:
    return err;
}

/* How many pending jobs of the same requester stand before this one. */
static size_t listing_rank(const struct listing *listing, size_t place)
{
    size_t rank = 0;
    for (size_t i = 0; i < place; i++) {
        rank += listing->records[i].state == JOB_STATE_PENDING &&
                site_id_equal(&listing->records[i].requester, &listing->records[place].requester);
    }
    return rank;
}

/* The job's own name, and whether its numbers leave inside masked sums; "?" for one whose bytes no longer parse. */
static void requests_look(const struct job_record *record, char ret_name[static JOB_NAME_BYTES],
                          const char **ret_protection)
{
    struct job *job = NULL;
    struct error *err = job_parse((const char *)record->bytes, record->byte_count, "the stored job", &job);
    (void)snprintf(ret_name, JOB_NAME_BYTES, "%s", err == NULL ? job->name : "?");
    *ret_protection = err == NULL ? desk_protection(job) : NULL;
    error_free(err);
    job_free(job);
}

static const char *requests_leaves(const char *protection)
{
    if (protection == NULL)
        return "?";
    bool masked = strstr(protection, "secure-aggregation") != NULL;
    if (strstr(protection, "privacy") != NULL)
        return masked ? "masked, noised" : "noised";
    return masked ? "masked" : "in clear";
}

static struct error *requests_row(const struct listing *listing, struct table *table,
                                  const struct job_record *record)
{
    struct error *err = NULL;
    char id[DESK_ID_BYTES], name[JOB_NAME_BYTES], received[CLOCK_TEXT_BYTES], expires[CLOCK_TEXT_BYTES];
    char state[48];
    const char *protection = NULL;
    int owners = -1;
    desk_id(&record->id, id);
    requests_look(record, name, &protection);
    clock_format(record->received_at, received);
    clock_format(record->expires, expires);
    TRY(listing_owners(listing, record, &owners));
    (void)snprintf(state, sizeof(state), "%s", job_state_word(record->state));
    if (owners >= 0)
        (void)snprintf(state, sizeof(state), "pending, %d of %d owners", owners, ENDORSEMENT_NEEDED);
    const char *const cells[REQUESTS_COLUMNS] = {
        id, name, record->requester_name, state, requests_leaves(protection), received, expires};
    TRY(table_row(table, cells));
done:
    return err;
}

/* What a flood leaves out of the list. */
struct hidden {
    size_t of_strangers;
    size_t *of_known; /* [count]: at the place of the requester's first pending job */
};

static size_t listing_first(const struct listing *listing, size_t place)
{
    for (size_t i = 0; i < place; i++) {
        if (listing->records[i].state == JOB_STATE_PENDING &&
            site_id_equal(&listing->records[i].requester, &listing->records[place].requester))
            return i;
    }
    return place;
}

/* The rows of known requesters, or of the others; pending jobs beyond the bounds are counted in `hidden`. */
static struct error *requests_rows(const struct listing *listing, bool known, struct table *table,
                                   struct hidden *hidden, size_t *shown)
{
    struct error *err = NULL;
    size_t strangers = 0;
    for (size_t i = 0; i < listing->count; i++) {
        const struct job_record *record = &listing->records[i];
        if (listing->known[i] != known || !requests_shown(record))
            continue;
        bool bounded = !requests_given.all && record->state == JOB_STATE_PENDING;
        bool over = bounded && (listing_rank(listing, i) >= REQUESTS_OF_ONE ||
                                (!known && strangers >= REQUESTS_OF_STRANGERS));
        if (over) {
            *(known ? &hidden->of_known[listing_first(listing, i)] : &hidden->of_strangers) += 1;
            continue;
        }
        strangers += !known && bounded;
        TRY(requests_row(listing, table, record));
        *shown += 1;
    }
done:
    return err;
}

static void requests_print_hidden(const struct listing *listing, const struct hidden *hidden)
{
    for (size_t i = 0; i < listing->count; i++) {
        char name[2 * sizeof(listing->records[i].requester_name)];
        if (hidden->of_known[i] == 0)
            continue;
        terminal_clean(listing->records[i].requester_name, name, sizeof(name));
        (void)printf("and %zu more of %s (%s requests --all)\n", hidden->of_known[i], name, listing->program);
    }
    if (hidden->of_strangers > 0)
        (void)printf("and %zu more of requesters whom you do not know (%s requests --all)\n",
                     hidden->of_strangers, listing->program);
}

/* Pending jobs that a rule would have approved: what kept it from that. */
static struct error *requests_print_waits(const struct listing *listing)
{
    struct error *err = NULL;
    for (size_t i = 0; i < listing->count; i++) {
        const struct job_record *record = &listing->records[i];
        char id[DESK_ID_BYTES], why[ERROR_SENTENCE_BYTES] = "";
        bool told = false;
        if (record->state != JOB_STATE_PENDING || listing_rank(listing, i) >= REQUESTS_OF_ONE)
            continue;
        TRY(store_wait_find(listing->store, &record->id, &told, why));
        desk_id(&record->id, id);
        if (why[0] != '\0')
            (void)printf("Job %s waits although a rule of your policy matches: %s\n", id, why);
    }
done:
    return err;
}

static struct error *requests_print(const struct listing *listing)
{
    struct error *err = NULL;
    static const char *const headers[REQUESTS_COLUMNS] = {"Job",    "Name",     "From",   "State",
                                                          "Leaves", "Received", "Expires"};
    struct table *table = NULL;
    struct hidden hidden = {.of_known = calloc(listing->count + 1, sizeof(size_t))};
    size_t shown = 0;
    if (hidden.of_known == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the list of jobs.");
    TRY(table_new(headers, REQUESTS_COLUMNS, &table));
    TRY(requests_rows(listing, true, table, &hidden, &shown));
    TRY(requests_rows(listing, false, table, &hidden, &shown));
    if (shown > 0)
        table_print(table, stdout);
    else
        (void)printf("No job %s. `%s requests --all` lists those that are over too.\n",
                     requests_given.all ? "was ever submitted" : "waits or runs", listing->program);
    requests_print_hidden(listing, &hidden);
    TRY(requests_print_waits(listing));
done:
    free(hidden.of_known);
    table_free(table);
    return err;
}

static struct error *requests_json_row(const struct listing *listing, json_t *array, size_t place)
{
    struct error *err = NULL;
    const struct job_record *record = &listing->records[place];
    const char *protection = NULL;
    int owners = -1;
    bool told = false;
    char why[ERROR_SENTENCE_BYTES] = "";
    char hex[DIGEST_HEX_BYTES], name[JOB_NAME_BYTES], received[CLOCK_TEXT_BYTES], expires[CLOCK_TEXT_BYTES];
    char requester[FINGERPRINT_BYTES], requester_name[2 * sizeof(record->requester_name)];
    digest_hex(&record->id, hex);
    requests_look(record, name, &protection);
    clock_format(record->received_at, received);
    clock_format(record->expires, expires);
    site_id_format(&record->requester, requester);
    terminal_clean(record->requester_name, requester_name, sizeof(requester_name));
    TRY(listing_owners(listing, record, &owners));
    if (record->state == JOB_STATE_PENDING)
        TRY(store_wait_find(listing->store, &record->id, &told, why));
    json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:s?, s:s, s:s, s:o, s:s?}", "job_id", hex,
                            "name", name, "requester", requester, "requester_name", requester_name, "listed",
                            listing->known[place] ? 1 : 0, "state", job_state_word(record->state),
                            "protection", protection, "received_at", received, "expires", expires,
                            "owners_approved", owners < 0 ? json_null() : json_integer(owners),
                            "waits_because", why[0] == '\0' ? NULL : why);
    if (row == NULL || json_array_append_new(array, row) != 0)
        FAIL(ERROR_MEMORY, "There is not enough memory for the list of jobs.");
done:
    return err;
}

/* All of them: a program has no screen that overflows. */
static struct error *requests_print_json(const struct listing *listing)
{
    struct error *err = NULL;
    json_t *array = json_array();
    bool contradicted = false;
    json_t *document = NULL;
    TRY(store_contradiction_open(listing->store, &contradicted));
    document = json_pack("{s:i, s:b, s:O}", "version", 1, "contradicted", contradicted, "requests", array);
    if (document == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the list of jobs.");
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < listing->count; i++) {
            if (listing->known[i] == (pass == 0) && requests_shown(&listing->records[i]))
                TRY(requests_json_row(listing, array, i));
        }
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
    struct listing listing = {.home = NULL};
    TRY(listing_open(invocation, &listing));
    if (!requests_given.json)
        TRY(contradiction_banner(listing.store, invocation->program, NULL));
    TRY(requests_given.json ? requests_print_json(&listing) : requests_print(&listing));
done:
    listing_close(&listing);
    return err;
}

const struct verb verb_requests = {
    .name = "requests",
    .summary = "List the jobs that wait for you or run",
    .arguments = "",
    .detail = "`datasite show JOB_ID` explains one. Jobs of requesters whom you know come first; of one "
              "requester's pending\n"
              "jobs, the first 5 are listed without --all.\n\n"
              "Example:\n"
              "  datasite requests --all",
    .options = requests_options,
    .run = requests_run,
};
