#include "console/verbs.h"
#include "crypto/privacy.h"
#include "crypto/secret.h"
#include "datasite/budget.h"
#include "datasite/home_vault.h"
#include "schemas/clock.h"
#include "schemas/number.h"

extern const struct verb verb_budget_set;

static struct {
    const char *epsilon, *delta, *filter;
} budget_given;

static const struct option *budget_set_options(void)
{
    static const struct option options[] = {
        {.name = "epsilon",
         .kind = OPTION_TEXT,
         .target = &budget_given.epsilon,
         .value = "E",
         .help = "what all jobs together may take, above 0"},
        {.name = "delta",
         .kind = OPTION_TEXT,
         .target = &budget_given.delta,
         .value = "D",
         .help = "below 1 / number of records, such as 1e-6"},
        {.name = "filter",
         .kind = OPTION_TEXT,
         .target = &budget_given.filter,
         .value = "sum|rdp",
         .help = "how it is counted; else sum"},
        {0},
    };
    return options;
}

static struct error *budget_number(const char *text, const char *name, double *ret_value)
{
    if (text == NULL)
        return error_new(ERROR_USAGE, "Say --epsilon and --delta, such as --epsilon 3 --delta 1e-6.");
    if (!number_real(text, ret_value))
        return error_new(ERROR_USAGE, "--%s is a number, such as %s.", name, name[0] == 'e' ? "3" : "1e-6");
    return NULL;
}

static struct error *budget_wanted(struct budget_cap *ret_cap)
{
    struct error *err = NULL;
    struct budget_cap cap = {.filter = BUDGET_SUM};
    TRY(budget_number(budget_given.epsilon, "epsilon", &cap.epsilon));
    TRY(budget_number(budget_given.delta, "delta", &cap.delta));
    if (budget_given.filter != NULL && !budget_filter_parse(budget_given.filter, &cap.filter))
        FAIL(ERROR_USAGE, "--filter is sum or rdp.");
    *ret_cap = cap;
done:
    return err;
}

/* Of a site that an older version made, rows are looked at first. */
static struct error *budget_pools(const struct home *home, struct store *store, struct vault **ret_vault)
{
    struct error *err = NULL;
    uint8_t split_key[SPLIT_KEY_BYTES] = {0};
    bool pooled = true;
    TRY(budget_pooled(store, &pooled));
    if (pooled)
        goto done;
    TRY(home_unlock(store, ret_vault));
    TRY(home_split_key(home, split_key));
    TRY(budget_pool_all(store, split_key, clock_now_ms() / 1000));
done:
    secret_wipe(split_key, sizeof(split_key));
    return err;
}

static void budget_warn(const struct dataset_info *info, const struct budget_state *state)
{
    if (state->cap.delta * (double)info->rows >= 1)
        (void)printf(
            "Warning: delta %g is 1 / number of rows or more (%llu rows): it allows to give away one "
            "whole record.\nAt most %.1g would do.\n",
            state->cap.delta, (unsigned long long)info->rows, 0.1 / (double)info->rows);
    if (state->clear_answers > 0)
        (void)printf(
            "Warning: %llu answer%s left without privacy before. What they told of a record is without "
            "bound, and no\nbudget takes it back: the cap is about what comes from now on.\n",
            (unsigned long long)state->clear_answers, state->clear_answers == 1 ? "" : "s");
    if (state->left_epsilon <= 0 || state->left_delta <= 0)
        (void)printf("More than that is spent or reserved already: no job fits from now on.\n");
}

static void budget_tell(const struct invocation *invocation, const struct dataset_info *info,
                        const struct budget_state *state)
{
    char spent[PRIVACY_BOUND_BYTES], reserved[PRIVACY_BOUND_BYTES], left[PRIVACY_BOUND_BYTES];
    (void)printf("The records of \"%s\" have a budget of epsilon %g at delta %g (filter %s).\n", info->name,
                 state->cap.epsilon, state->cap.delta, budget_filter_word(state->cap.filter));
    if (state->datasets > 1)
        (void)printf("It is shared by %zu datasets that have records in common (%s budget %s).\n",
                     state->datasets, invocation->program, info->name);
    privacy_bound(state->spent_epsilon, BUDGET_EPSILON_DIGITS, spent);
    privacy_bound(state->reserved_epsilon, BUDGET_EPSILON_DIGITS, reserved);
    privacy_left(state->left_epsilon, BUDGET_EPSILON_DIGITS, left);
    (void)printf("Spent: epsilon %s. Reserved: %s. Left: %s.\n"
                 "From now on jobs without privacy are refused there, and jobs that would take more than is "
                 "left.\n",
                 spent, reserved, left);
    budget_warn(info, state);
}

static struct error *budget_set_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    struct vault *vault = NULL;
    struct budget_cap cap;
    struct dataset_info info;
    struct budget_state state;
    TRY(budget_wanted(&cap));
    TRY(home_open(invocation->home, &home));
    TRY(home_store(home, STORE_WRITE, &identity, &store));
    TRY(store_dataset_find(store, invocation->arguments[0], &info));
    TRY(budget_pools(home, store, &vault));
    TRY(budget_set(store, identity, info.name, &cap, clock_now_ms() / 1000));
    TRY(budget_state(store, identity, info.id, &state));
    budget_tell(invocation, &info, &state);
done:
    store_close(store);
    vault_free(vault);
    identity_free(identity);
    home_free(home);
    return err;
}

const struct verb verb_budget_set = {
    .name = "budget set",
    .summary = "Say how much all jobs may learn about a record",
    .arguments = "DATASET",
    .detail =
        "Signs and records the cap on what all jobs together may learn about one record of the dataset, and "
        "of "
        "every\n"
        "dataset that shares records with it, under whatever name: one pool, one budget. Removing the data "
        "and "
        "importing\n"
        "it again refills nothing. Jobs without privacy are refused from then on. A later cap replaces this "
        "one "
        "and\n"
        "forgets nothing that was spent; a lower one stops a run in progress at its next round.\n\n"
        "--filter sum adds the epsilon and delta of the runs, and a run counts whole once one of its rounds "
        "began.\n"
        "--filter rdp adds Rényi divergences, which lets several jobs fit where sum lets one, and gives back "
        "the "
        "rounds\n"
        "that were never begun.\n\n"
        "Example:\n"
        "  datasite budget set mnist --epsilon 3 --delta 1e-6",
    .minimum_arguments = 1,
    .maximum_arguments = 1,
    .options = budget_set_options,
    .run = budget_set_run,
};
