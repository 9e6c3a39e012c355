#include "crypto/secret.h"
#include "datasite/store_job_parts.h"
#include "datasite/store_secagg_parts.h"

#include <inttypes.h>

static const char *const slot_states[] = {[SECAGG_SLOT_OPEN] = "open",
                                          [SECAGG_SLOT_BOUND] = "bound",
                                          [SECAGG_SLOT_REVEALED] = "revealed",
                                          [SECAGG_SLOT_DEAD] = "dead"};

void secagg_slot_clear(struct secagg_slot *slot)
{
    free(slot->sharers);
    free(slot->sealed);
    free(slot->revealed);
    secret_wipe(slot, sizeof(*slot));
}

/* ---- reading ---- */

static struct error *slot_state_parse(const char *word, enum secagg_slot_state *ret_state)
{
    for (size_t i = 0; i < sizeof(slot_states) / sizeof(slot_states[0]); i++) {
        if (strcmp(word, slot_states[i]) == 0) {
            *ret_state = (enum secagg_slot_state)i;
            return NULL;
        }
    }
    return error_new(ERROR_CORRUPT, "A key slot in the site's database is in an unknown state.");
}

static struct error *slot_read(struct query *query, struct secagg_slot *slot)
{
    struct error *err = NULL;
    TRY(slot_state_parse(query_text(query, 0), &slot->state));
    slot->shared = query_int(query, 1) != 0;
    slot->round = (uint32_t)query_int(query, 2);
    slot->attempt = (uint32_t)query_int(query, 3);
    if (!query_is_null(query, 4))
        query_blob_exact(query, 4, slot->context.bytes, DIGEST_BYTES);
    TRY(secagg_take_positions(query, 5, &slot->sharers, &slot->sharer_count));
    TRY(secagg_take_blob(query, 6, &slot->sealed, &slot->sealed_bytes));
    TRY(secagg_take_blob(query, 7, &slot->revealed, &slot->revealed_bytes));
    query_blob_exact(query, 8, &slot->secret, sizeof(slot->secret));
    query_blob_exact(query, 9, &slot->own, sizeof(slot->own));
done:
    return err;
}

struct error *store_secagg_slot(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                uint32_t slot, struct secagg_slot *ret_slot)
{
    struct error *err = NULL, *failed = NULL;
    struct secagg_slot read = {.sharers = NULL};
    struct query query;
    query_start(
        &query, store->database,
        "SELECT state, shared, round, attempt, context, sharers, sealed, revealed, secret, own_share FROM "
        "secagg_slot JOIN secagg_secret USING (run_id, slot) WHERE run_id = ? AND slot = ?");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, slot);
    bool found = query_step(&query);
    if (found)
        failed = slot_read(&query, &read);
    TRY(job_query_end(&query, failed));
    if (!found)
        FAIL(ERROR_NOT_FOUND, "This site advertised no key slot %" PRIu32 " in this run.", slot);
    *ret_slot = read;
    secret_wipe(&read, sizeof(read));
done:
    secagg_slot_clear(&read);
    return err;
}

struct error *store_secagg_served(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                  uint32_t round, uint32_t attempt, bool *ret_served)
{
    struct query query;
    query_start(&query, store->database,
                "SELECT 1 FROM secagg_slot WHERE run_id = ? AND round = ? AND attempt = ?");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, round);
    query_bind_int(&query, attempt);
    bool served = query_step(&query);
    struct error *err = query_end(&query);
    if (err == NULL)
        *ret_served = served;
    return err;
}

/* ---- binding ---- */

static bool slot_is_bound_so(const struct secagg_slot *slot, uint32_t round, uint32_t attempt,
                             const struct digest *context, struct secagg_set sharers, const uint8_t *sealed,
                             size_t sealed_bytes)
{
    if (slot->round != round || slot->attempt != attempt || !digest_equal(&slot->context, context) ||
        slot->sharer_count != sharers.count || slot->sealed_bytes != sealed_bytes)
        return false;
    return (sharers.count == 0 ||
            memcmp(slot->sharers, sharers.positions, sharers.count * sizeof(uint32_t)) == 0) &&
           (sealed_bytes == 0 || memcmp(slot->sealed, sealed, sealed_bytes) == 0);
}

/* Rounds and attempts go forward only, and no further than the one statement that was signed. */
static struct error *bind_check_order(struct store *store, const uint8_t *run_id, uint32_t round,
                                      uint32_t attempt)
{
    struct error *err = NULL;
    struct query query;
    int64_t later = 0;
    bool agreed = true;
    if (attempt >= STORE_SECAGG_ATTEMPTS)
        FAIL(ERROR_REFUSED, "Attempt %" PRIu32 " of round %" PRIu32 " is beyond the %d that a round has.",
             attempt + 1, round, STORE_SECAGG_ATTEMPTS);
    TRY(secagg_round_agreed(store, run_id, round, &agreed));
    if (agreed)
        FAIL(ERROR_REFUSED,
             "This site has signed who contributed to round %" PRIu32 ", so it joins no other attempt of it.",
             round);
    query_start(
        &query, store->database,
        "SELECT EXISTS (SELECT 1 FROM secagg_slot WHERE run_id = ?1 AND round IS NOT NULL AND (round, "
        "attempt) >= (?2, ?3))");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, round);
    query_bind_int(&query, attempt);
    if (query_step(&query))
        later = query_int(&query, 0);
    TRY(query_end(&query));
    if (later > 0)
        FAIL(ERROR_REFUSED,
             "Another key slot serves attempt %" PRIu32 " of round %" PRIu32 ", or a later one, already.",
             attempt + 1, round);
done:
    return err;
}

static struct error *bind_write(struct store *store, const uint8_t *run_id, uint32_t slot, uint32_t round,
                                uint32_t attempt, const struct digest *context, struct secagg_set sharers,
                                const uint8_t *sealed, size_t sealed_bytes)
{
    struct error *err = NULL;
    struct query query;
    uint8_t *positions = NULL;
    size_t bytes = 0;
    TRY(secagg_put_positions(sharers, &positions, &bytes));
    query_start(
        &query, store->database,
        "UPDATE secagg_slot SET state = 'bound', round = ?, attempt = ?, context = ?, sharers = ?, sealed = "
        "? WHERE run_id = ? AND slot = ? AND state = 'open'");
    query_bind_int(&query, round);
    query_bind_int(&query, attempt);
    query_bind_blob(&query, context->bytes, DIGEST_BYTES);
    query_bind_blob(&query, positions, bytes);
    query_bind_blob(&query, sealed, sealed_bytes);
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, slot);
    TRY(query_finish(&query));
done:
    free(positions);
    return err;
}

static struct error *bind_refuse(const struct secagg_slot *slot, uint32_t number)
{
    switch (slot->state) {
    case SECAGG_SLOT_OPEN:
        break;
    case SECAGG_SLOT_BOUND:
    case SECAGG_SLOT_REVEALED:
        return error_new(ERROR_REFUSED,
                         "Key slot %" PRIu32 " serves attempt %" PRIu32 " of round %" PRIu32
                         " with other sites, shares or another model: a slot serves once.",
                         number, slot->attempt + 1, slot->round);
    case SECAGG_SLOT_DEAD:
        return error_new(ERROR_REFUSED, "Key slot %" PRIu32 " is dead at this site: another one would do.",
                         number);
    }
    if (!slot->shared)
        return error_new(ERROR_REFUSED, "Key slot %" PRIu32 " has no shares yet, so it serves no round.",
                         number);
    return NULL;
}

struct error *store_secagg_bind(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                uint32_t slot, uint32_t round, uint32_t attempt, const struct digest *context,
                                struct secagg_set sharers, const uint8_t *sealed, size_t sealed_bytes)
{
    struct error *err = NULL;
    struct secagg_change change = {false};
    struct secagg_slot present = {.sharers = NULL};
    TRY(secagg_change_begin(store, &change));
    TRY(store_secagg_slot(store, run_id, slot, &present));
    bool again = (present.state == SECAGG_SLOT_BOUND || present.state == SECAGG_SLOT_REVEALED) &&
                 slot_is_bound_so(&present, round, attempt, context, sharers, sealed, sealed_bytes);
    if (!again) {
        TRY(bind_refuse(&present, slot));
        TRY(bind_check_order(store, run_id, round, attempt));
        TRY(secagg_count_raise(store, false));
        TRY(bind_write(store, run_id, slot, round, attempt, context, sharers, sealed, sealed_bytes));
    }
    TRY(secagg_change_end(store, &change));
done:
    secagg_slot_clear(&present);
    secagg_change_undo(store, &change, err);
    return err;
}

/* ---- revealing ---- */

static struct error *given_insert(struct store *store, const uint8_t *run_id, uint32_t slot,
                                  const struct secagg_revealed *revealed)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, store->database,
                "INSERT INTO secagg_given VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, slot);
    query_bind_int(&query, revealed->position);
    query_bind_int(&query, revealed->kind);
    TRY(query_finish(&query));
    if (database_changes(store->database) != 1)
        FAIL(ERROR_REFUSED,
             "A share of a secret of site %" PRIu32 " was given for key slot %" PRIu32
             " already: of no site both kinds leave.",
             revealed->position, slot);
done:
    return err;
}

static struct error *reveal_check(struct store *store, const uint8_t *run_id, uint32_t slot)
{
    struct error *err = NULL;
    struct query query;
    query_start(&query, store->database,
                "SELECT 1 FROM secagg_slot JOIN secagg_round USING (run_id, round, attempt) WHERE run_id = ? "
                "AND slot "
                "= ? AND state = 'bound' AND agreement IS NOT NULL");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, slot);
    bool agreed = query_step(&query);
    TRY(query_end(&query));
    if (!agreed)
        FAIL(ERROR_REFUSED,
             "Key slot %" PRIu32
             " does not serve an attempt that this site signed, or is over: no share of it is given.",
             slot);
done:
    return err;
}

static struct error *reveal_write(struct store *store, const uint8_t *run_id, uint32_t slot,
                                  const uint8_t *answer, size_t answer_bytes)
{
    struct query query;
    query_start(&query, store->database,
                "UPDATE secagg_slot SET state = 'revealed', revealed = ? WHERE run_id = ? AND slot = ?");
    query_bind_blob(&query, answer, answer_bytes);
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, slot);
    return query_finish(&query);
}

/* Zeros over the secrets of every slot of the run that has no use for them any more. */
static struct error *secrets_erase(struct store *store, const uint8_t *run_id)
{
    struct query query;
    secagg_erased(store);
    query_start(&query, store->database,
                "UPDATE secagg_secret SET secret = zeroblob(96), own_share = zeroblob(80) WHERE run_id = ?1 "
                "AND (secret "
                "<> zeroblob(96) OR own_share <> zeroblob(80)) AND (SELECT state FROM secagg_slot WHERE "
                "secagg_slot.run_id = secagg_secret.run_id AND secagg_slot.slot = secagg_secret.slot) IN "
                "('revealed', "
                "'dead')");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    return query_finish(&query);
}

struct error *store_secagg_reveal(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                  uint32_t slot, const struct secagg_revealed *revealed, size_t count,
                                  const uint8_t *answer, size_t answer_bytes)
{
    struct error *err = NULL;
    struct secagg_change change = {false};
    TRY(secagg_change_begin(store, &change));
    TRY(reveal_check(store, run_id, slot));
    TRY(secagg_count_raise(store, false));
    for (size_t i = 0; i < count; i++)
        TRY(given_insert(store, run_id, slot, &revealed[i]));
    TRY(reveal_write(store, run_id, slot, answer, answer_bytes));
    TRY(secrets_erase(store, run_id));
    secagg_erased_patiently(store);
    TRY(secagg_change_end(store, &change));
done:
    secagg_change_undo(store, &change, err);
    return err;
}

/* ---- killing ---- */

/* Ends `query`, which made slots dead. */
static struct error *kill_finish(struct store *store, const uint8_t *run_id, struct query *query)
{
    struct error *err = NULL;
    TRY(query_finish(query));
    if (database_changes(store->database) == 0)
        goto done;
    TRY(secagg_count_raise(store, true));
    TRY(secrets_erase(store, run_id));
done:
    return err;
}

/* Each state by itself, in the words of its index. */
static struct error *open_kill(struct store *store, const uint8_t *run_id, uint32_t below)
{
    struct query query;
    query_start(&query, store->database,
                "UPDATE secagg_slot SET state = 'dead' WHERE run_id = ?1 AND slot <= ?2 AND state = 'open'");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, (int64_t)below - 1);
    return kill_finish(store, run_id, &query);
}

static struct error *bound_kill(struct store *store, const uint8_t *run_id, uint32_t below)
{
    struct query query;
    query_start(&query, store->database,
                "UPDATE secagg_slot SET state = 'dead' WHERE run_id = ?1 AND slot <= ?2 AND state = 'bound'");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, (int64_t)below - 1);
    return kill_finish(store, run_id, &query);
}

struct error *secagg_slots_kill(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                uint32_t below, bool bound)
{
    struct error *err = open_kill(store, run_id, below);
    return err == NULL && bound ? bound_kill(store, run_id, below) : err;
}

struct error *secagg_slots_settle(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                  uint32_t round, uint32_t attempt)
{
    struct query query;
    query_start(
        &query, store->database,
        "UPDATE secagg_slot SET state = 'dead' WHERE run_id = ?1 AND state = 'bound' AND round <= ?2 AND "
        "(?3 IS NULL OR round = ?2 AND attempt <> ?3)");
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    query_bind_int(&query, round);
    if (attempt == UINT32_MAX)
        query_bind_null(&query);
    else
        query_bind_int(&query, attempt);
    return kill_finish(store, run_id, &query);
}

static struct error *run_delete(struct store *store, const uint8_t *run_id, const char *sql)
{
    struct query query;
    query_start(&query, store->database, sql);
    query_bind_blob(&query, run_id, STORE_RUN_ID_BYTES);
    return query_finish(&query);
}

static struct error *run_erase(struct store *store, const uint8_t *run_id)
{
    struct error *err = NULL;
    TRY(run_delete(store, run_id, "DELETE FROM secagg_vector WHERE run_id = ?"));
    if (database_changes(store->database) > 0)
        secagg_erased(store);
    TRY(run_delete(store, run_id, "DELETE FROM secagg_model WHERE run_id = ?"));
done:
    return err;
}

struct error *store_secagg_kill(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES],
                                uint32_t slot)
{
    struct error *err = NULL;
    struct secagg_change change = {false};
    bool over = slot == UINT32_MAX;
    TRY(secagg_change_begin(store, &change));
    TRY(secagg_slots_kill(store, run_id, slot, over));
    if (over)
        TRY(run_erase(store, run_id));
    TRY(secagg_change_end(store, &change));
done:
    secagg_change_undo(store, &change, err);
    return err;
}

/* What came in and is long is of no use any more. What left of this site's keys and shares stays, as the events do. */
struct error *secagg_run_over(struct store *store, const uint8_t run_id[static STORE_RUN_ID_BYTES])
{
    struct error *err = NULL;
    TRY(store_secagg_kill(store, run_id, UINT32_MAX));
    TRY(run_delete(
        store, run_id,
        "UPDATE secagg_batch SET keyset = NULL, shares = NULL WHERE run_id = ? AND keyset IS NOT NULL"));
    TRY(run_delete(store, run_id,
                   "UPDATE secagg_slot SET sealed = NULL WHERE run_id = ? AND sealed IS NOT NULL"));
    TRY(run_delete(store, run_id,
                   "UPDATE secagg_round SET inputs = NULL WHERE run_id = ? AND inputs IS NOT NULL"));
done:
    return err;
}

static struct error *slots_alive(struct store *store, uint32_t *ret_slots, bool *ret_vectors)
{
    struct query query;
    query_start(
        &query, store->database,
        "SELECT count(*), EXISTS (SELECT 1 FROM secagg_vector) FROM secagg_slot WHERE state IN ('open', "
        "'bound')");
    if (query_step(&query)) {
        *ret_slots = (uint32_t)query_int(&query, 0);
        *ret_vectors = query_int(&query, 1) != 0;
    }
    return query_end(&query);
}

static struct error *slots_kill_all(struct store *store)
{
    struct error *err = NULL;
    TRY(secagg_count_raise(store, true));
    secagg_erased(store);
    TRY(database_run(store->database,
                     "UPDATE secagg_slot SET state = 'dead' WHERE state IN ('open', 'bound');"
                     "UPDATE secagg_secret SET secret = zeroblob(96), own_share = zeroblob(80);"
                     "DELETE FROM secagg_vector;"));
done:
    return err;
}

struct error *store_secagg_kill_all(struct store *store, uint32_t *ret_killed)
{
    struct error *err = NULL;
    struct secagg_change change = {false};
    uint32_t alive = 0;
    bool vectors = false;
    TRY(secagg_change_begin(store, &change));
    TRY(slots_alive(store, &alive, &vectors));
    if (alive > 0 || vectors)
        TRY(slots_kill_all(store));
    TRY(secagg_change_end(store, &change));
    *ret_killed = alive;
done:
    secagg_change_undo(store, &change, err);
    return err;
}
