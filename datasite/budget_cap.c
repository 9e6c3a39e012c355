/* The owner's cap: what is signed, and which of two is stricter.
 *
 *     "FDS-BUDGET1" 0x00 || site_id || pool i64 || epsilon, delta f64 || filter u32 || at i64      (little-endian)
 */
#include "datasite/budget_parts.h"
#include "datasite/statement.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const char cap_magic[12] = "FDS-BUDGET1";

static void put_double(struct statement *statement, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    statement_number(statement, bits, sizeof(bits));
}

static struct statement cap_statement(const struct identity *identity, const struct ledger_row *row)
{
    struct statement statement = {.used = 0};
    statement_put(&statement, cap_magic, sizeof(cap_magic));
    statement_put(&statement, identity_id(identity)->digest.bytes, DIGEST_BYTES);
    statement_number(&statement, (uint64_t)row->pool, 8);
    put_double(&statement, row->epsilon);
    put_double(&statement, row->delta);
    statement_number(&statement, row->filter, 4);
    statement_number(&statement, (uint64_t)row->at, 8);
    return statement;
}

static struct error *cap_check(const struct budget_cap *cap)
{
    if (!(cap->epsilon > 0 && cap->epsilon <= PRIVACY_MAX_EPSILON))
        return error_new(ERROR_INVALID, "The epsilon of a budget is above 0, and at most %g.",
                         PRIVACY_MAX_EPSILON);
    if (cap->filter == BUDGET_RDP && cap->epsilon > BUDGET_RDP_MOST_EPSILON)
        return error_new(
            ERROR_INVALID,
            "With filter rdp the epsilon of a budget is at most %g: a promise beyond that would rest on "
            "more than the sampler of the noise keeps. A lower epsilon would do.",
            BUDGET_RDP_MOST_EPSILON);
    if (!(cap->delta >= PRIVACY_MIN_DELTA && cap->delta <= PRIVACY_MAX_DELTA))
        return error_new(ERROR_INVALID, "The delta of a budget is from %g to %g.", PRIVACY_MIN_DELTA,
                         PRIVACY_MAX_DELTA);
    return NULL;
}

struct error *budget_cap_put(struct store *store, const struct identity *identity, int64_t pool,
                             const struct budget_cap *cap, int64_t now)
{
    struct error *err = NULL;
    char detail[128];
    struct ledger_row row = {.pool = pool,
                             .at = now,
                             .kind = LEDGER_SET,
                             .epsilon = cap->epsilon,
                             .delta = cap->delta,
                             .filter = (uint32_t)cap->filter};
    TRY(cap_check(cap));
    struct statement statement = cap_statement(identity, &row);
    TRY(identity_sign(identity, statement.bytes, statement.used, row.signature));
    (void)snprintf(detail, sizeof(detail), "pool %" PRId64 ", epsilon %g, delta %g, filter %s", pool,
                   cap->epsilon, cap->delta, budget_filter_word(cap->filter));
    TRY(ledger_add(store, &row, detail));
done:
    return err;
}

static struct error *cap_verify(const struct identity *identity, const struct ledger_row *row)
{
    struct error *err = NULL;
    uint8_t key[PUBLIC_KEY_BYTES];
    struct statement statement = cap_statement(identity, row);
    identity_public_key(identity, key);
    err = signature_verify(key, statement.bytes, statement.used, row->signature);
    if (err != NULL && err->code == ERROR_UNTRUSTED) {
        error_free(err);
        FAIL(ERROR_UNTRUSTED, "The signature of the budget's cap does not hold: somebody changed site.db. "
                              "Nothing more is spent: "
                              "restore the file from a backup.");
    }
done:
    return err;
}

struct error *budget_cap_find(struct store *store, const struct identity *identity, int64_t pool,
                              struct budget_cap *ret_cap, int64_t *ret_at, bool *ret_found)
{
    struct error *err = NULL;
    struct ledger_row row;
    bool found = false;
    TRY(ledger_cap(store, pool, &row, &found));
    if (found) {
        TRY(ledger_check(store, &row));
        TRY(cap_verify(identity, &row));
        if (row.filter > BUDGET_RDP)
            FAIL(ERROR_UNSUPPORTED, "The budget's cap has a filter that this version does not know.");
        *ret_cap = (struct budget_cap){row.epsilon, row.delta, (enum budget_filter)row.filter};
        if (ret_at != NULL)
            *ret_at = row.at;
    }
    *ret_found = found;
done:
    return err;
}

struct error *budget_capped(struct store *store, const struct identity *identity, int64_t dataset_id,
                            bool *ret_capped)
{
    struct error *err = NULL;
    struct budget_cap cap;
    int64_t pool = 0;
    bool capped = false;
    TRY(pool_of_dataset(store, dataset_id, &pool));
    if (pool != 0)
        TRY(budget_cap_find(store, identity, pool, &cap, NULL, &capped));
    *ret_capped = capped;
done:
    return err;
}

struct error *budget_caps_join(struct store *store, const struct identity *identity, const int64_t *pools,
                               size_t count, struct budget_cap *ret_cap, bool *ret_found)
{
    struct error *err = NULL;
    struct budget_cap strict = {.epsilon = 0};
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        struct budget_cap cap;
        bool found = false;
        TRY(budget_cap_find(store, identity, pools[i], &cap, NULL, &found));
        if (!found)
            continue;
        if (any) {
            cap.filter = cap.filter == strict.filter ? cap.filter : BUDGET_SUM;
            cap.epsilon = fmin(cap.epsilon, strict.epsilon);
            cap.delta = fmin(cap.delta, strict.delta);
        }
        strict = cap;
        any = true;
    }
    if (any)
        *ret_cap = strict;
    *ret_found = any;
done:
    return err;
}

const char *budget_filter_word(enum budget_filter filter)
{
    switch (filter) {
    case BUDGET_SUM:
        return "sum";
    case BUDGET_RDP:
        return "rdp";
    }
    return "?";
}

bool budget_filter_parse(const char *word, enum budget_filter *ret_filter)
{
    for (int i = BUDGET_SUM; i <= BUDGET_RDP; i++) {
        if (strcmp(word, budget_filter_word((enum budget_filter)i)) != 0)
            continue;
        *ret_filter = (enum budget_filter)i;
        return true;
    }
    return false;
}
