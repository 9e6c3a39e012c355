/* What the owner sees of a pool. */
#include "datasite/budget_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double above_zero(double value)
{
    return value > 0 ? value : 0;
}

/* Without a cap nothing is left, and the filter is sum. */
static void state_costs(const struct budget_sum *sum, struct budget_state *state)
{
    double epsilon = 0, delta = 0;
    (void)budget_admits(&state->cap, &sum->spent, &state->spent_epsilon, &state->spent_delta);
    (void)budget_admits(&state->cap, &sum->together, &epsilon, &delta);
    state->reserved_epsilon = isinf(epsilon) ? epsilon : above_zero(epsilon - state->spent_epsilon);
    state->reserved_delta = above_zero(delta - state->spent_delta);
    if (!state->capped)
        return;
    state->left_epsilon = above_zero(state->cap.epsilon - epsilon);
    state->left_delta =
        state->cap.filter == BUDGET_RDP ? state->cap.delta : above_zero(state->cap.delta - delta);
}

static struct error *state_of_pool(struct store *store, const struct identity *identity, int64_t pool,
                                   struct budget_state *ret_state)
{
    struct error *err = NULL;
    struct budget_state state = {.pool = pool};
    struct budget_sum sum;
    TRY(pool_datasets(store, pool, state.names, BUDGET_POOL_DATASETS, &state.datasets));
    TRY(budget_cap_find(store, identity, pool, &state.cap, &state.set_at, &state.capped));
    TRY(budget_sum_of(store, pool, &sum));
    TRY(ledger_count(store, pool, &state.clear_answers, &state.entries));
    state_costs(&sum, &state);
    *ret_state = state;
done:
    return err;
}

struct error *budget_state(struct store *store, const struct identity *identity, int64_t dataset_id,
                           struct budget_state *ret_state)
{
    struct error *err = NULL;
    int64_t pool = 0;
    TRY(ledger_verify(store, identity));
    TRY(pool_of_dataset(store, dataset_id, &pool));
    if (pool == 0)
        FAIL(ERROR_NOT_FOUND, "The dataset was stored by an older version of this program, and nothing was "
                              "spent of its records: "
                              "start the site (datasite serve), or set a cap (datasite budget set).");
    TRY(state_of_pool(store, identity, pool, ret_state));
done:
    return err;
}

struct error *budget_list(struct store *store, const struct identity *identity,
                          struct budget_state **ret_states, size_t *ret_count)
{
    struct error *err = NULL;
    struct budget_state *states = NULL;
    int64_t *pools = NULL;
    size_t count = 0;
    TRY(ledger_verify(store, identity));
    TRY(pool_list(store, &pools, &count));
    states = calloc(count + 1, sizeof(*states));
    if (states == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the list of budgets.");
    for (size_t i = 0; i < count; i++)
        TRY(state_of_pool(store, identity, pools[i], &states[i]));
    *ret_states = states;
    *ret_count = count;
    states = NULL;
done:
    free(states);
    free(pools);
    return err;
}

struct error *budget_verify(struct store *store, const struct identity *identity, uint64_t *ret_entries)
{
    struct error *err = NULL;
    uint64_t entries = 0;
    TRY(ledger_verify(store, identity));
    TRY(pool_verify(store));
    TRY(ledger_count_all(store, &entries));
    *ret_entries = entries;
done:
    return err;
}

/* ---- entries ---- */

struct entries_visit {
    struct error *(*visit)(void *context, const struct budget_entry *entry);
    void *context;
};

static const char *entry_use(uint32_t use)
{
    static const char *const words[] = {
        [LEDGER_NO_USE] = "", [LEDGER_TRAINING] = "training", [LEDGER_EVALUATION] = "evaluation"};
    return use <= LEDGER_EVALUATION ? words[use] : "?";
}

static struct error *entries_row(void *context, const struct ledger_row *row)
{
    const struct entries_visit *visit = context;
    struct budget_entry entry = {.at = row->at,
                                 .job_id = row->job_id,
                                 .round = row->round,
                                 .noise_multiplier = row->noise_multiplier,
                                 .sampling_rate = row->sampling_rate,
                                 .metrics_noise = row->metrics_noise,
                                 .evaluations = row->evaluations,
                                 .epsilon = NAN,
                                 .delta = NAN,
                                 .event = row->event};
    memcpy(entry.run_id, row->run_id, STORE_RUN_ID_BYTES);
    (void)snprintf(entry.kind, sizeof(entry.kind), "%s", ledger_kind_word(row->kind));
    (void)snprintf(entry.use, sizeof(entry.use), "%s", entry_use(row->use));
    if (row->kind == LEDGER_RESERVE) {
        (void)snprintf(entry.mechanism, sizeof(entry.mechanism), "%s",
                       job_mechanism_word((enum job_mechanism)row->mechanism));
        entry.steps = (uint64_t)row->steps * row->rounds;
    }
    if (row->kind == LEDGER_RESERVE || row->kind == LEDGER_SET) {
        entry.epsilon = row->epsilon;
        entry.delta = row->delta;
    }
    return visit->visit(visit->context, &entry);
}

struct error *budget_entries(struct store *store, const struct identity *identity, int64_t pool,
                             struct error *(*visit)(void *context, const struct budget_entry *entry),
                             void *context)
{
    struct error *err = NULL;
    struct entries_visit entries = {visit, context};
    TRY(ledger_verify(store, identity));
    TRY(ledger_rows(store, pool, entries_row, &entries));
done:
    return err;
}
