#include "console/terminal.h"
#include "console/verbs.h"
#include "crypto/privacy.h"
#include "datasite/budget.h"
#include "datasite/desk.h"
#include "schemas/clock.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>

extern const struct verb verb_budget;

#define NAMES_BYTES 1100

static struct {
    bool json;
} budget_given;

static const struct option *budget_options(void)
{
    static const struct option options[] = {
        {.name = "json", .kind = OPTION_FLAG, .target = &budget_given.json, .help = "for programs"},
        {0},
    };
    return options;
}

/* What the verb works on. */
struct budget_desk {
    struct home *home;
    struct identity *identity;
    struct store *store;
};

static struct error *budget_open(const struct invocation *invocation, struct budget_desk *desk)
{
    struct error *err = NULL;
    TRY(home_open(invocation->home, &desk->home));
    TRY(home_store(desk->home, STORE_READ, &desk->identity, &desk->store));
    TRY(store_snapshot(desk->store));
done:
    return err;
}

static void budget_close(struct budget_desk *desk)
{
    if (desk->store != NULL)
        store_snapshot_end(desk->store);
    store_close(desk->store);
    identity_free(desk->identity);
    home_free(desk->home);
}

/* "mnist, more and 3 more" */
static void budget_names(const struct budget_state *state, char ret_names[static NAMES_BYTES])
{
    size_t used = 0;
    size_t shown = state->datasets < BUDGET_POOL_DATASETS ? state->datasets : BUDGET_POOL_DATASETS;
    (void)snprintf(ret_names, NAMES_BYTES, "%s", state->datasets == 0 ? "(removed)" : "");
    for (size_t i = 0; i < shown; i++)
        used += (size_t)snprintf(ret_names + used, NAMES_BYTES - used, "%s%s", i > 0 ? ", " : "",
                                 state->names[i]);
    if (state->datasets > shown)
        (void)snprintf(ret_names + used, NAMES_BYTES - used, " and %zu more", state->datasets - shown);
}

/* What is spent or reserved. */
static void budget_number(double value, char ret_text[static PRIVACY_BOUND_BYTES])
{
    if (isinf(value))
        (void)snprintf(ret_text, PRIVACY_BOUND_BYTES, "without bound");
    else
        privacy_bound(value, BUDGET_EPSILON_DIGITS, ret_text);
}

/* ---- as JSON ---- */

/* JSON has no infinite numbers, and none where there is nothing: null. */
static json_t *number_json(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static struct error *state_json(const struct budget_state *state, json_t **ret_json)
{
    json_t *names = json_array();
    size_t shown = state->datasets < BUDGET_POOL_DATASETS ? state->datasets : BUDGET_POOL_DATASETS;
    for (size_t i = 0; i < shown; i++)
        (void)json_array_append_new(names, json_string(state->names[i]));
    json_t *json = json_pack(
        "{s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:I,s:I}", "pool", (json_int_t)state->pool, "dataset_count",
        (json_int_t)state->datasets, "datasets", names, "cap", json_null(), "spent_epsilon",
        number_json(state->spent_epsilon), "spent_delta", number_json(state->spent_delta), "reserved_epsilon",
        number_json(state->reserved_epsilon), "reserved_delta", number_json(state->reserved_delta),
        "clear_answers", (json_int_t)state->clear_answers, "entry_count", (json_int_t)state->entries);
    if (json == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory to describe a budget.");
    if (state->capped) {
        char when[CLOCK_TEXT_BYTES];
        clock_format(state->set_at, when);
        (void)json_object_set_new(json, "cap",
                                  json_pack("{s:f,s:f,s:s,s:s}", "epsilon", state->cap.epsilon, "delta",
                                            state->cap.delta, "filter", budget_filter_word(state->cap.filter),
                                            "set_at", when));
        (void)json_object_set_new(json, "left_epsilon", number_json(state->left_epsilon));
        (void)json_object_set_new(json, "left_delta", number_json(state->left_delta));
    }
    *ret_json = json;
    return NULL;
}

static struct error *entry_json(void *context, const struct budget_entry *entry)
{
    char job[DIGEST_HEX_BYTES], when[CLOCK_TEXT_BYTES];
    json_t *entries = context;
    digest_hex(&entry->job_id, job);
    clock_format(entry->at, when);
    bool of_job = strspn(job, "0") != 2 * DIGEST_BYTES;
    json_t *json = json_pack("{s:s,s:s,s:I,s:o}", "at", when, "kind", entry->kind, "event",
                             (json_int_t)entry->event, "job", of_job ? json_string(job) : json_null());
    if (json != NULL && entry->round > 0)
        (void)json_object_set_new(json, "round", json_integer(entry->round));
    if (json != NULL && entry->use[0] != '\0')
        (void)json_object_set_new(json, "use", json_string(entry->use));
    if (json != NULL && entry->mechanism[0] != '\0') {
        (void)json_object_set_new(json, "mechanism", json_string(entry->mechanism));
        (void)json_object_set_new(json, "noise_multiplier", number_json(entry->noise_multiplier));
        (void)json_object_set_new(json, "sampling_rate", number_json(entry->sampling_rate));
        (void)json_object_set_new(json, "steps", json_integer((json_int_t)entry->steps));
        (void)json_object_set_new(json, "metrics_noise", number_json(entry->metrics_noise));
        (void)json_object_set_new(json, "evaluations", json_integer(entry->evaluations));
    }
    if (json != NULL && !isnan(entry->epsilon)) {
        (void)json_object_set_new(json, "epsilon", number_json(entry->epsilon));
        (void)json_object_set_new(json, "delta", number_json(entry->delta));
    }
    if (json_array_append_new(entries, json) != 0)
        return error_new(ERROR_MEMORY, "There is not enough memory for the entries of a budget.");
    return NULL;
}

/* Takes `document`. */
static struct error *budget_dump(json_t *document)
{
    struct error *err = NULL;
    if (document == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for the budgets.");
    if (json_dumpf(document, stdout, JSON_INDENT(2)) != 0 || putchar('\n') == EOF)
        err = error_errno(ERROR_IO, errno, "The budgets cannot be written");
    json_decref(document);
    return err;
}

static struct error *budget_print_json(const struct budget_desk *desk, const struct budget_state *states,
                                       size_t count, bool entries)
{
    struct error *err = NULL;
    json_t *pools = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *pool = NULL;
        TRY(state_json(&states[i], &pool));
        (void)json_array_append_new(pools, pool);
        if (!entries)
            continue;
        json_t *list = json_array();
        (void)json_object_set_new(pool, "entries", list);
        TRY(budget_entries(desk->store, desk->identity, states[i].pool, entry_json, list));
    }
    TRY(budget_dump(json_pack("{s:i,s:O}", "version", 1, "pools", pools)));
done:
    json_decref(pools);
    return err;
}

/* ---- for a person ---- */

static struct error *state_row(struct table *table, const struct budget_state *state)
{
    char names[NAMES_BYTES], cap[96] = "none", spent[PRIVACY_BOUND_BYTES], reserved[PRIVACY_BOUND_BYTES],
                             left[PRIVACY_BOUND_BYTES] = "-", clear[24];
    budget_names(state, names);
    if (state->capped) {
        (void)snprintf(cap, sizeof(cap), "%g at delta %g (%s)", state->cap.epsilon, state->cap.delta,
                       budget_filter_word(state->cap.filter));
        privacy_left(state->left_epsilon, BUDGET_EPSILON_DIGITS, left);
    }
    budget_number(state->spent_epsilon, spent);
    budget_number(state->reserved_epsilon, reserved);
    (void)snprintf(clear, sizeof(clear), "%llu", (unsigned long long)state->clear_answers);
    const char *const cells[] = {names, cap, spent, reserved, left, clear};
    return table_row(table, cells);
}

static struct error *budget_print_states(const struct budget_state *states, size_t count)
{
    static const char *const headers[] = {"Records of", "Epsilon may be", "Spent",
                                          "Reserved",   "Left",           "Answers without privacy"};
    struct error *err = NULL;
    struct table *table = NULL;
    TRY(table_new(headers, 6, &table));
    table_align(table, 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5);
    for (size_t i = 0; i < count; i++)
        TRY(state_row(table, &states[i]));
    table_print(table, stdout);
done:
    table_free(table);
    return err;
}

static struct error *entry_row(void *context, const struct budget_entry *entry)
{
    char when[CLOCK_TEXT_BYTES], job[DESK_ID_BYTES],
        round[16] = "", what[160] = "", epsilon[PRIVACY_BOUND_BYTES] = "", delta[PRIVACY_BOUND_BYTES] = "",
        event[24];
    clock_format(entry->at, when);
    desk_id(&entry->job_id, job);
    if (strspn(job, "0") == DESK_DIGITS)
        job[0] = '\0';
    if (entry->round > 0)
        (void)snprintf(round, sizeof(round), "%u", entry->round);
    if (entry->mechanism[0] != '\0')
        (void)snprintf(what, sizeof(what), "%s, noise %g, rate %g, %llu steps, %u evaluations",
                       entry->mechanism, entry->noise_multiplier, entry->sampling_rate,
                       (unsigned long long)entry->steps, entry->evaluations);
    else
        (void)snprintf(what, sizeof(what), "%s", entry->use);
    if (!isnan(entry->epsilon)) {
        budget_number(entry->epsilon, epsilon);
        (void)snprintf(delta, sizeof(delta), "%g", entry->delta);
    }
    (void)snprintf(event, sizeof(event), "%llu", (unsigned long long)entry->event);
    const char *const cells[] = {when, entry->kind, job, round, what, epsilon, delta, event};
    return table_row(context, cells);
}

static struct error *budget_print_entries(const struct budget_desk *desk, int64_t pool)
{
    static const char *const headers[] = {"At", "Entry", "Job", "Round", "What", "Epsilon", "Delta", "Event"};
    struct error *err = NULL;
    struct table *table = NULL;
    TRY(table_new(headers, 8, &table));
    table_align(table, 1u << 3 | 1u << 5 | 1u << 6 | 1u << 7);
    TRY(budget_entries(desk->store, desk->identity, pool, entry_row, table));
    (void)putchar('\n');
    table_print(table, stdout);
done:
    table_free(table);
    return err;
}

/* ---- the verb ---- */

static struct error *budget_named(const struct budget_desk *desk, const char *name)
{
    struct error *err = NULL;
    struct dataset_info info;
    struct budget_state state;
    TRY(store_dataset_find(desk->store, name, &info));
    TRY(budget_state(desk->store, desk->identity, info.id, &state));
    if (budget_given.json) {
        TRY(budget_print_json(desk, &state, 1, true));
        goto done;
    }
    TRY(budget_print_states(&state, 1));
    TRY(budget_print_entries(desk, state.pool));
done:
    return err;
}

static struct error *budget_all(const struct invocation *invocation, const struct budget_desk *desk)
{
    struct error *err = NULL;
    struct budget_state *states = NULL;
    size_t count = 0;
    TRY(budget_list(desk->store, desk->identity, &states, &count));
    if (budget_given.json)
        TRY(budget_print_json(desk, states, count, false));
    else if (count == 0)
        (void)printf("This site has no data yet: %s import --help\n", invocation->program);
    else
        TRY(budget_print_states(states, count));
done:
    free(states);
    return err;
}

static struct error *budget_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct budget_desk desk = {.home = NULL};
    TRY(budget_open(invocation, &desk));
    TRY(invocation->argument_count > 0 ? budget_named(&desk, invocation->arguments[0])
                                       : budget_all(invocation, &desk));
done:
    budget_close(&desk);
    return err;
}

const struct verb verb_budget = {
    .name = "budget",
    .summary = "Show what jobs have learnt about your records, and what is left",
    .arguments = "[DATASET]",
    .detail =
        "Datasets that share records have one budget: one line each. With a dataset, also every entry of the "
        "ledger:\n"
        "join and merge (whose rows it is about), set (a cap), reserve (a run may take so much), begin (a "
        "round "
        "counts\n"
        "as spent from here on), settle (its answer left), close (the run is over), clear (an answer left "
        "without\n"
        "privacy). Each has its event in the site's chain. An edited ledger is refused.\n\n"
        "Epsilon is about one record, in the data or not; a person with several rows is outside it. A "
        "site-level "
        "job\n"
        "is counted with half of its noise multiplier, since one record may change all of a site's "
        "update.\n\n"
        "Example:\n"
        "  datasite budget mnist",
    .maximum_arguments = 1,
    .options = budget_options,
    .run = budget_run,
};
