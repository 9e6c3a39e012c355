#include "datasite/store_secagg_parts.h"
#include "schemas/job.h"

#include "embedded/datasite_001_sql.h"
#include "embedded/datasite_002_sql.h"
#include "embedded/datasite_003_sql.h"
#include "embedded/datasite_004_sql.h"

#define STORE_APPLICATION_ID 0x44535431u /* "DST1" */

static const struct migration store_migrations[] = {
    {(const char *)datasite_001_sql},
    {(const char *)datasite_002_sql},
    {(const char *)datasite_003_sql},
    {(const char *)datasite_004_sql},
};
static const struct database_kind store_kind = {
    .what = "the site's database",
    .application_id = STORE_APPLICATION_ID,
    .migrations = store_migrations,
    .migration_count = sizeof(store_migrations) / sizeof(store_migrations[0]),
};
static const enum database_mode store_modes[] = {
    [STORE_CREATE] = DATABASE_CREATE, [STORE_WRITE] = DATABASE_OPEN, [STORE_READ] = DATABASE_READ_ONLY};

struct error *store_open(const char *path, enum store_mode mode, struct store **ret_store)
{
    struct error *err = NULL;
    struct store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to open %s.", path);
    store->secagg.fd = -1;
    TRY(store_heads_new(&store->heads));
    TRY(store_epsilons_new(&store->epsilons));
    TRY(database_open(path, &store_kind, store_modes[mode], &store->database));
    secagg_count_watch(store);
    *ret_store = store;
    store = NULL;
done:
    store_close(store);
    return err;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    secagg_count_close(store);
    store_heads_free(store->heads);
    store_epsilons_free(store->epsilons);
    for (size_t i = 0; i < STORE_JOBS; i++)
        job_free(store->jobs[i].job);
    database_close(store->database);
    free(store);
}

void store_sign_with(struct store *store, const struct identity *identity)
{
    store->identity = identity;
}

void store_share_heads(struct store *store, struct store *with)
{
    store_heads_free(store->heads);
    store->heads = store_heads_share(with->heads);
    store_epsilons_free(store->epsilons);
    store->epsilons = store_epsilons_share(with->epsilons);
}

bool store_in_transaction(const struct store *store)
{
    return database_in_transaction(store->database);
}

bool store_in_release(const struct store *store)
{
    return store->releasing && database_in_transaction(store->database);
}

bool store_signature_known(const struct store *store, const struct digest *of_all_three)
{
    size_t count = store->signature_count < STORE_SIGNATURES ? store->signature_count : STORE_SIGNATURES;
    for (size_t i = 0; i < count; i++)
        if (digest_equal(&store->signatures[i], of_all_three))
            return true;
    return false;
}

void store_signature_note(struct store *store, const struct digest *of_all_three)
{
    store->signatures[store->signature_count++ % STORE_SIGNATURES] = *of_all_three;
}

struct store_epsilons *store_epsilons(struct store *store)
{
    return store->epsilons;
}

struct job *store_job_parsed(const struct store *store, const struct digest *job_id)
{
    for (size_t i = 0; i < STORE_JOBS; i++)
        if (store->jobs[i].job != NULL && digest_equal(&store->jobs[i].id, job_id))
            return job_share(store->jobs[i].job);
    return NULL;
}

void store_job_note(struct store *store, const struct digest *job_id, struct job *job)
{
    size_t place = store->job_count++ % STORE_JOBS;
    job_free(store->jobs[place].job);
    store->jobs[place].id = *job_id;
    store->jobs[place].job = job_share(job);
}

struct error *store_version(struct store *store, uint64_t *ret_version)
{
    return database_version(store->database, ret_version);
}

struct error *store_snapshot(struct store *store)
{
    return database_run(store->database, "BEGIN");
}

void store_snapshot_end(struct store *store)
{
    database_rollback(store->database);
}

void store_map(struct store *store, bool mapped)
{
    database_map(store->database, mapped);
}
