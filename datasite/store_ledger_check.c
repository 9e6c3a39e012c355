/* Whether the ledger is what this site wrote: the rows by their hashes, the hashes by the chain of signed events. */
#include "datasite/store_event_parts.h"
#include "datasite/store_internal.h"
#include "datasite/store_job_parts.h"
#include "datasite/store_ledger_parts.h"

#include "datasite/statement.h"

#include <inttypes.h>

static const char ledger_magic[12] = "FDS-LEDGER1";

static void put_double(struct statement *statement, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    statement_number(statement, bits, sizeof(bits));
}

struct error *ledger_hash(const struct digest *previous, const struct ledger_row *row,
                          struct digest *ret_hash)
{
    struct statement statement = {.used = 0};
    statement_put(&statement, ledger_magic, sizeof(ledger_magic));
    statement_put(&statement, previous->bytes, DIGEST_BYTES);
    statement_number(&statement, (uint64_t)row->id, 8);
    statement_number(&statement, (uint64_t)row->pool, 8);
    statement_number(&statement, (uint64_t)row->at, 8);
    statement_number(&statement, (uint64_t)row->kind, 4);
    statement_put(&statement, row->job_id.bytes, DIGEST_BYTES);
    statement_put(&statement, row->run_id, STORE_RUN_ID_BYTES);
    statement_number(&statement, row->round, 4);
    statement_number(&statement, row->use, 4);
    statement_number(&statement, row->mechanism, 4);
    statement_number(&statement, row->shared ? 1 : 0, 4);
    put_double(&statement, row->noise_multiplier);
    put_double(&statement, row->sampling_rate);
    statement_number(&statement, row->steps, 4);
    statement_number(&statement, row->rounds, 4);
    put_double(&statement, row->metrics_noise);
    statement_number(&statement, row->evaluations, 4);
    put_double(&statement, row->epsilon);
    put_double(&statement, row->delta);
    statement_number(&statement, row->filter, 4);
    statement_number(&statement, (uint64_t)row->other, 8);
    statement_put(&statement, row->subject.bytes, DIGEST_BYTES);
    statement_put(&statement, row->content.bytes, DIGEST_BYTES);
    return digest_of(statement.bytes, statement.used, ret_hash);
}

static struct error *ledger_changed(int64_t id)
{
    return error_new(ERROR_UNTRUSTED,
                     "Row %" PRId64
                     " of the ledger of privacy budgets is not what this site wrote: somebody changed "
                     "site.db. Nothing more is spent: restore the file from a backup.",
                     id);
}

static struct error *ledger_missing(int64_t id)
{
    return error_new(ERROR_UNTRUSTED,
                     "Row %" PRId64
                     " of the ledger of privacy budgets is missing: somebody changed site.db. Nothing more "
                     "is spent: restore the file from a backup.",
                     id);
}

static struct error *ledger_foreign(int64_t id)
{
    return error_new(ERROR_UNTRUSTED,
                     "Row %" PRId64
                     " of the ledger of privacy budgets was not written by this site, which has no event of "
                     "it: somebody changed site.db. Nothing more is spent: restore the file from a backup.",
                     id);
}

/* The row's event is of its kind and has its hash. */
static struct error *check_event(struct store *store, const struct ledger_row *row)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, store->database, "SELECT 1 FROM event WHERE id = ?1 AND kind = ?2 AND digest = ?3");
    query_bind_int(&query, (int64_t)row->event);
    query_bind_text(&query, event_kind_word(ledger_event(row->kind)));
    query_bind_blob(&query, row->hash.bytes, DIGEST_BYTES);
    bool has = query_step(&query);
    TRY(query_end(&query));
    if (!has)
        TRY(ledger_foreign(row->id));
done:
    return err;
}

static struct error *check_hash(const struct digest *previous, const struct ledger_row *row)
{
    struct error *err = NULL;
    struct digest hash;
    TRY(ledger_hash(previous, row, &hash));
    if (!digest_equal(&hash, &row->hash))
        TRY(ledger_changed(row->id));
done:
    return err;
}

struct error *ledger_check(struct store *store, const struct ledger_row *row)
{
    struct error *err = NULL;
    struct ledger_row before = {.id = 0};
    bool found = true;
    if (row->id > 1)
        TRY(ledger_find(store, row->id - 1, &before, &found));
    if (!found)
        TRY(ledger_missing(row->id - 1));
    TRY(check_hash(&before.hash, row));
    TRY(check_event(store, row));
done:
    return err;
}

struct error *ledger_event_last(struct store *store, uint64_t *ret_sequence)
{
    struct query query;
    uint64_t sequence = 0;
    query_start(&query, store->database, "SELECT id FROM event ORDER BY id DESC LIMIT 1");
    if (query_step(&query))
        sequence = (uint64_t)query_int(&query, 0);
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_sequence = sequence;
    return err;
}

/* The number of the last event of a row; 0: there is none. */
static struct error *event_of_budget(struct store *store, uint64_t *ret_sequence)
{
    struct query query;
    uint64_t sequence = 0;
    query_start(&query, store->database,
                "SELECT id FROM event WHERE kind >= 'budget-' AND kind < 'budget.' ORDER BY id DESC LIMIT 1");
    if (query_step(&query))
        sequence = (uint64_t)query_int(&query, 0);
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_sequence = sequence;
    return err;
}

struct error *ledger_check_end(struct store *store, const struct ledger_row *last)
{
    struct error *err = NULL;
    uint64_t sequence = 0;
    TRY(event_of_budget(store, &sequence));
    if (last == NULL ? sequence > 0 : sequence > last->event)
        TRY(ledger_missing(last == NULL ? 1 : last->id + 1));
    if (last != NULL)
        TRY(ledger_check(store, last));
done:
    return err;
}

/* ---- all of it ---- */

static struct error *verify_rows(struct store *store, struct ledger_row *ret_last)
{
    struct error *err = NULL;
    struct query query;
    struct ledger_row last = {.id = 0};
    query_start(&query, store->database, "SELECT " LEDGER_COLUMNS " FROM budget ORDER BY id");
    while (err == NULL && query_step(&query)) {
        struct ledger_row row;
        err = ledger_read(&query, &row);
        if (err == NULL && row.id != last.id + 1)
            err = ledger_missing(last.id + 1);
        if (err == NULL)
            err = check_hash(&last.hash, &row);
        if (err == NULL)
            err = check_event(store, &row);
        if (err == NULL)
            last = row;
    }
    TRY(job_query_end(&query, err));
    *ret_last = last;
done:
    return err;
}

/* Events from one on, up to the signed head. */
struct verify_walk {
    bool begun; /* with an event of the chain: all behind it are */
    struct chain_head head;
    uint8_t signature[SIGNATURE_BYTES];
};

static struct error *walk_event(void *context, const struct event_record *record)
{
    struct error *err = NULL;
    struct verify_walk *walk = context;
    struct digest hash = record->hash;
    if (!record->is_signed && !walk->begun)
        return NULL;
    if (walk->begun)
        TRY(chain_next(&walk->head.hash, &record->event, &hash));
    if (!record->is_signed || !digest_equal(&hash, &record->hash))
        FAIL(ERROR_UNTRUSTED,
             "Event %" PRIu64
             " of this site is not what it wrote, or one before it is missing, so that the ledger of privacy "
             "budgets is not vouched for: somebody changed site.db. See datasite audit verify, and restore "
             "the "
             "file from a backup.",
             record->event.sequence);
    walk->begun = true;
    walk->head.sequence = record->event.sequence;
    walk->head.hash = hash;
    memcpy(walk->signature, record->signature, SIGNATURE_BYTES);
done:
    return err;
}

/* The event that stands before that of a row, which the row's event is verified by: the chain began before there were rows,
 * so it has a hash. */
static struct error *event_before(struct store *store, uint64_t sequence, struct verify_walk *walk)
{
    struct error *err = NULL;
    struct query query;
    const uint8_t *hash = NULL;
    query_start(&query, store->database, "SELECT id, hash FROM event WHERE id < ?1 ORDER BY id DESC LIMIT 1");
    query_bind_int(&query, (int64_t)sequence);
    if (query_step(&query)) {
        walk->head.sequence = (uint64_t)query_int(&query, 0);
        err = event_blob(&query, 1, DIGEST_BYTES, walk->head.hash.bytes, &hash);
    }
    TRY(job_query_end(&query, err));
    if (hash == NULL)
        FAIL(ERROR_UNTRUSTED,
             "The event before event %" PRIu64
             " of this site has no hash or is missing, so that the ledger of privacy budgets is not vouched "
             "for: somebody changed site.db. See datasite audit verify, and restore the file from a backup.",
             sequence);
    walk->begun = true;
done:
    return err;
}

static struct error *verify_events(struct store *store, const struct identity *identity,
                                   const struct ledger_row *last)
{
    struct error *err = NULL;
    struct verify_walk walk = {.head.site = *identity_id(identity)};
    struct event_filter filter = {.first_sequence = last->event};
    uint8_t key[PUBLIC_KEY_BYTES];
    if (last->id > 0)
        TRY(event_before(store, last->event, &walk));
    TRY(store_events(store, &filter, walk_event, &walk));
    if (!walk.begun)
        goto done;
    identity_public_key(identity, key);
    TRY(error_prefix(chain_head_verify(key, &walk.head, walk.signature),
                     "The ledger of privacy budgets is not vouched for"));
done:
    return err;
}

struct error *ledger_verify(struct store *store, const struct identity *identity)
{
    struct error *err = NULL;
    struct ledger_row last;
    TRY(verify_rows(store, &last));
    TRY(ledger_check_end(store, last.id > 0 ? &last : NULL));
    TRY(verify_events(store, identity, &last));
done:
    return err;
}
