/* The words of owners about a pending job: see datasite/endorsement.h for what is signed. */
#include "datasite/store_internal.h"
#include "datasite/store_job_parts.h"

#define ENDORSEMENT_COLUMNS                                                                                  \
    "job_id, owner, public_key, rounds, runs, expires, hold, allow_growth, dataset_digest, dataset_rows, "   \
    "endorsed_at, signature"

static struct error *endorsement_insert(struct store *store, const struct endorsement *endorsement)
{
    struct query query;
    query_start(&query, store->database,
                "INSERT INTO endorsement (" ENDORSEMENT_COLUMNS
                ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query_bind_blob(&query, endorsement->job_id.bytes, DIGEST_BYTES);
    query_bind_blob(&query, endorsement->owner.digest.bytes, DIGEST_BYTES);
    query_bind_blob(&query, endorsement->public_key, PUBLIC_KEY_BYTES);
    query_bind_int(&query, endorsement->rounds);
    query_bind_int(&query, endorsement->runs);
    query_bind_int(&query, endorsement->expires);
    query_bind_text(&query, hold_word(endorsement->hold));
    query_bind_int(&query, endorsement->allow_growth ? 1 : 0);
    query_bind_blob(&query, endorsement->dataset_digest.bytes, DIGEST_BYTES);
    query_bind_int(&query, (int64_t)endorsement->dataset_rows);
    query_bind_int(&query, endorsement->endorsed_at);
    query_bind_blob(&query, endorsement->signature, SIGNATURE_BYTES);
    return query_finish(&query);
}

/* The row of ENDORSEMENT_COLUMNS that the query stands on. */
static struct error *endorsement_read(struct query *query, struct endorsement *ret_endorsement)
{
    struct error *err = NULL;
    struct endorsement endorsement = {0};
    int64_t rounds = query_int(query, 3);
    int64_t runs = query_int(query, 4);
    if (rounds < 0 || rounds > UINT32_MAX || runs < 0 || runs > UINT32_MAX ||
        !hold_parse(query_text(query, 6), &endorsement.hold))
        FAIL(ERROR_CORRUPT, "An endorsement in the site's database has a value out of range.");
    query_blob_exact(query, 0, endorsement.job_id.bytes, DIGEST_BYTES);
    query_blob_exact(query, 1, endorsement.owner.digest.bytes, DIGEST_BYTES);
    query_blob_exact(query, 2, endorsement.public_key, PUBLIC_KEY_BYTES);
    endorsement.rounds = (uint32_t)rounds;
    endorsement.runs = (uint32_t)runs;
    endorsement.expires = query_int(query, 5);
    endorsement.allow_growth = query_int(query, 7) != 0;
    query_blob_exact(query, 8, endorsement.dataset_digest.bytes, DIGEST_BYTES);
    endorsement.dataset_rows = (uint64_t)query_int(query, 9);
    endorsement.endorsed_at = query_int(query, 10);
    query_blob_exact(query, 11, endorsement.signature, SIGNATURE_BYTES);
    *ret_endorsement = endorsement;
done:
    return err;
}

struct error *store_endorsements(struct store *store, const struct digest *job_id,
                                 struct endorsement ret_endorsements[static POLICY_MAX_OWNERS],
                                 size_t *ret_count)
{
    struct error *err = NULL;
    struct query query;
    size_t count = 0;
    query_start(&query, store->database,
                "SELECT " ENDORSEMENT_COLUMNS
                " FROM endorsement WHERE job_id = ? ORDER BY endorsed_at, rowid");
    query_bind_blob(&query, job_id->bytes, DIGEST_BYTES);
    while (err == NULL && count < POLICY_MAX_OWNERS && query_step(&query)) {
        err = endorsement_read(&query, &ret_endorsements[count]);
        count++;
    }
    err = job_query_end(&query, err);
    if (err == NULL)
        *ret_count = count;
    return err;
}

static struct error *endorsement_check_new(struct store *store, const struct endorsement *endorsement)
{
    struct error *err = NULL;
    struct endorsement endorsements[POLICY_MAX_OWNERS];
    size_t count = 0;
    enum job_state state;
    TRY(job_state_read(store, &endorsement->job_id, &state));
    if (state != JOB_STATE_PENDING)
        FAIL(ERROR_CONFLICT, "The job is %s; only a pending job can be endorsed.", job_state_word(state));
    TRY(store_endorsements(store, &endorsement->job_id, endorsements, &count));
    for (size_t i = 0; i < count; i++) {
        if (site_id_equal(&endorsements[i].owner, &endorsement->owner))
            FAIL(ERROR_CONFLICT, "This owner has endorsed the job already; another owner has to do so too.");
    }
    if (count == POLICY_MAX_OWNERS)
        FAIL(ERROR_LIMIT, "The job has %d endorsements already.", POLICY_MAX_OWNERS);
done:
    return err;
}

struct error *store_endorsements_all(struct store *store,
                                     struct error *(*visit)(void *context,
                                                            const struct endorsement *endorsement,
                                                            const struct site_id *requester),
                                     void *context)
{
    struct error *err = NULL;
    struct query query;
    query_start(
        &query, store->database,
        "SELECT " ENDORSEMENT_COLUMNS
        ", (SELECT requester FROM job WHERE job.job_id = endorsement.job_id) FROM endorsement ORDER BY "
        "rowid");
    while (err == NULL && query_step(&query)) {
        struct endorsement endorsement;
        struct site_id requester = {{{0}}};
        err = endorsement_read(&query, &endorsement);
        if (err == NULL && !query_is_null(&query, 12))
            query_blob_exact(&query, 12, requester.digest.bytes, DIGEST_BYTES);
        if (err == NULL)
            err = visit(context, &endorsement, &requester);
    }
    return job_query_end(&query, err);
}

struct error *store_endorse(struct store *store, const struct endorsement *endorsement,
                            const struct digest *statement)
{
    struct error *err = NULL;
    char owner[FINGERPRINT_BYTES];
    site_id_format(&endorsement->owner, owner);
    TRY(database_begin(store->database));
    TRY(endorsement_check_new(store, endorsement));
    TRY(endorsement_insert(store, endorsement));
    TRY(store_event_add(store, EVENT_JOB_ENDORSED, &endorsement->job_id, NULL, 0, endorsement->endorsed_at,
                        owner, statement));
    TRY(database_commit(store->database));
done:
    if (err != NULL)
        database_rollback(store->database);
    return err;
}
