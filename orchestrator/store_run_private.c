/* Reads back what version 4 of run.db has more: costs of private jobs, noised counts, averaged models. */
#include "orchestrator/store_run.h"

#include "orchestrator/noised_counts.h"

#include <math.h>

struct error *query_doubles(struct query *query, int column, size_t count, const char *what,
                            double **ret_values)
{
    struct error *err = NULL;
    uint64_t *words = NULL;
    bool whole = true;
    _Static_assert(sizeof(double) == sizeof(uint64_t), "float64");
    TRY(query_words(query, column, count, 0, what, &words, &whole));
    double *values = (double *)(void *)words;
    for (size_t i = 0; values != NULL && i < count; i++)
        if (!isfinite(values[i]))
            TRY(run_store_damaged(query->database, what));
    *ret_values = values;
    words = NULL;
done:
    free(words);
    return err;
}

static bool impossible_epsilon(double epsilon)
{
    return !isnan(epsilon) && !(epsilon >= 0 && epsilon <= 1e6);
}

static struct error *run_store_read_costs(struct query *query, struct run_record *record)
{
    struct error *err = NULL;
    record->epsilon = query_known(query, 0);
    record->epsilon_rdp = query_known(query, 1);
    record->epsilon_worst = query_known(query, 2);
    if (impossible_epsilon(record->epsilon) || impossible_epsilon(record->epsilon_rdp) ||
        impossible_epsilon(record->epsilon_worst))
        TRY(run_store_damaged(query->database, "what its job costs is impossible"));
    TRY(query_doubles(query, 3, run_record_parameters(record), "its averaged model is damaged",
                      &record->averaged));
    if (record->averaged != NULL)
        query_blob_exact(query, 4, record->averaged_sha256.bytes, DIGEST_BYTES);
    TRY(query_confusion(query, 5, record, &record->averaged_confusion));
done:
    return err;
}

static struct error *run_store_load_costs(struct database *database, struct run_record *record)
{
    struct error *err = NULL;
    struct query query;
    query_start(
        &query, database,
        "SELECT epsilon, epsilon_rdp, epsilon_worst, averaged, averaged_sha256, averaged_confusion FROM run");
    if (query_step(&query))
        err = run_store_read_costs(&query, record);
    return query_close(&query, err);
}

static struct error *run_store_read_noised(struct query *query, struct run_record *record)
{
    struct error *err = NULL;
    struct round_record *round = run_store_find_round(record, query_int(query, 0));
    int64_t sites = query_int(query, 3);
    if (round == NULL || sites < 1 || (uint64_t)sites > record->job->site_count)
        TRY(run_store_damaged(query->database, "it holds counts of a round that there was not"));
    TRY(query_doubles(query, 1, store_run_counts(record), "noised counts are damaged",
                      &round->pooled_noised));
    round->pooled_noise = query_known(query, 2);
    round->pooled_sites = (uint32_t)sites;
    if (!(round->pooled_noise > 0))
        TRY(run_store_damaged(query->database, "noised counts have no noise"));
done:
    return err;
}

static struct error *run_store_load_noised(struct database *database, struct run_record *record)
{
    struct error *err = NULL;
    struct query query;
    query_start(
        &query, database,
        "SELECT round, pooled_noised, pooled_noise, pooled_sites FROM round WHERE pooled_noised IS NOT NULL"
        " ORDER BY round");
    while (err == NULL && query_step(&query))
        err = run_store_read_noised(&query, record);
    return query_close(&query, err);
}

static struct error *run_store_read_spent(struct query *query, struct run_record *record)
{
    struct round_record *round = run_store_find_round(record, query_int(query, 0));
    int64_t position = query_int(query, 1);
    double epsilon = query_known(query, 2);
    if (round == NULL || position < 0 || (uint64_t)position >= record->job->site_count ||
        impossible_epsilon(epsilon))
        return run_store_damaged(query->database, "what a site has spent is impossible");
    round->sites[position].epsilon_spent = epsilon;
    return NULL;
}

static struct error *run_store_load_spent(struct database *database, struct run_record *record)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, database,
                "SELECT round, position, epsilon_spent FROM site_round WHERE epsilon_spent IS NOT NULL"
                " ORDER BY round, position");
    while (err == NULL && query_step(&query))
        err = run_store_read_spent(&query, record);
    return query_close(&query, err);
}

struct error *run_store_load_private(struct database *database, struct run_record *record)
{
    struct error *err = NULL;
    record->epsilon = record->epsilon_rdp = record->epsilon_worst = NAN;
    if (database_applied(database) < 4)
        return NULL;
    TRY(run_store_load_costs(database, record));
    TRY(run_store_load_noised(database, record));
    TRY(run_store_load_spent(database, record));
done:
    return err;
}

/* ---- for lists ---- */

static struct error *run_store_last_noised(struct query *query, const struct run_record *record,
                                           struct run_outline *outline)
{
    struct error *err = NULL;
    double *counts = NULL;
    double noise = query_known(query, 1);
    TRY(query_doubles(query, 0, store_run_counts(record), "noised counts are damaged", &counts));
    if (counts == NULL)
        goto done;
    if (!(noise > 0))
        TRY(run_store_damaged(query->database, "noised counts have no noise"));
    noised_counts_accuracy(counts, noise, record->classes, &outline->noised, &outline->noised_deviation);
done:
    free(counts);
    return err;
}

static struct error *run_store_averaged_accuracy(struct database *database, const struct run_record *record,
                                                 struct run_outline *outline)
{
    struct error *err = NULL;
    struct query query;
    uint64_t *confusion = NULL;
    query_start(&query, database, "SELECT averaged_confusion FROM run");
    if (query_step(&query))
        err = query_confusion(&query, 0, record, &confusion);
    if (confusion != NULL)
        outline->accuracy = confusion_accuracy(confusion, record->classes);
    free(confusion);
    return query_close(&query, err);
}

struct error *run_store_load_private_outline(struct database *database, const struct run_record *record,
                                             struct run_outline *outline)
{
    struct error *err = NULL;
    struct query query;
    if (database_applied(database) < 4)
        return NULL;
    query_start(
        &query, database,
        "SELECT pooled_noised, pooled_noise FROM round WHERE model IS NOT NULL ORDER BY round DESC LIMIT 1");
    if (query_step(&query))
        err = run_store_last_noised(&query, record, outline);
    TRY(query_close(&query, err));
    TRY(run_store_averaged_accuracy(database, record, outline));
done:
    return err;
}
