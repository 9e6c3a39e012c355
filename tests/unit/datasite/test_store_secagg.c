/* The rules that site.db keeps for secure aggregation, each attacked through the functions, and where a trigger stands behind
 * them through SQL. */
#include "crypto/secret.h"
#include "datasite/store_internal.h"
#include "tests/unit/datasite/slots.h"

static void sql_refused(struct slots *slots, const char *sql, const char *words)
{
    refused(database_run(slots->store->database, sql), ERROR_CONFLICT, words);
}

/* Slots 0 to 3 have their shares. */
static struct slots *shared_slots(void **state)
{
    struct slots *slots = *state;
    slots_advertise(slots, 0, 4);
    slots_share(slots, 0, 4);
    return slots;
}

/* ---- batches ---- */

static void test_store_secagg_advertised_slot_again_refused(void **state)
{
    struct slots *slots = *state;
    struct secagg_secret secret = {{1}, {2}, {3}};
    slots_advertise(slots, 10, 4);
    for (uint32_t slot = 0; slot < 14; slot++)
        refused(store_secagg_advertise(slots->store, &slots->job, slots->run, slot, 1, &secret,
                                       (const uint8_t *)"x", 1),
                ERROR_REFUSED, "not above those");
    slots_advertise(slots, 14, 1);
}

static void test_store_secagg_advertise_beyond_the_bounds_refused(void **state)
{
    struct slots *slots = *state;
    static const struct secagg_secret secrets[SECAGG_MAX_BATCH + 1];
    refused(
        store_secagg_advertise(slots->store, &slots->job, slots->run, 0, 0, secrets, (const uint8_t *)"x", 1),
        ERROR_INVALID, "1 to 64");
    refused(store_secagg_advertise(slots->store, &slots->job, slots->run, 0, SECAGG_MAX_BATCH + 1, secrets,
                                   (const uint8_t *)"x", 1),
            ERROR_INVALID, "1 to 64");
    refused(store_secagg_advertise(slots->store, &slots->job, slots->run, UINT32_MAX, 1, secrets,
                                   (const uint8_t *)"x", 1),
            ERROR_LIMIT, "at most");
    for (uint32_t first = 0; first < STORE_SECAGG_SLOTS; first += SECAGG_MAX_BATCH)
        must(store_secagg_advertise(slots->store, &slots->job, slots->run, first, SECAGG_MAX_BATCH, secrets,
                                    (const uint8_t *)"x", 1));
    refused(store_secagg_advertise(slots->store, &slots->job, slots->run, STORE_SECAGG_SLOTS, 1, secrets,
                                   (const uint8_t *)"x", 1),
            ERROR_LIMIT, "at most 4096");
}

static void test_store_secagg_batch_is_given_back_as_it_was(void **state)
{
    struct slots *slots = shared_slots(state);
    struct secagg_batch batch;
    struct secagg_slot slot;
    must(store_secagg_batch(slots->store, slots->run, 3, &batch));
    assert_int_equal(batch.first_slot, 0);
    assert_int_equal(batch.slots, 4);
    assert_int_equal(batch.advert_bytes, 6);
    assert_memory_equal(batch.advert, "advert", 6);
    assert_memory_equal(batch.keyset, "keyset", 6);
    assert_memory_equal(batch.shares, "shares", 6);
    secagg_batch_clear(&batch);
    must(store_secagg_slot(slots->store, slots->run, 2, &slot));
    assert_memory_equal(&slot.secret, &slots->secrets[2], sizeof(slot.secret));
    assert_memory_equal(&slot.own, &slots->shares[2], sizeof(slot.own));
    assert_true(slot.shared);
    secagg_slot_clear(&slot);
    refused(store_secagg_batch(slots->store, slots->run, 4, &batch), ERROR_NOT_FOUND, "no key slot 4");
    refused(store_secagg_slot(slots->store, slots->run, 4, &slot), ERROR_NOT_FOUND, "no key slot 4");
}

static void test_store_secagg_shares_twice_refused(void **state)
{
    struct slots *slots = shared_slots(state);
    static const struct secagg_share others[4];
    refused(store_secagg_share(slots->store, slots->run, 0, others, (const uint8_t *)"other", 5,
                               (const uint8_t *)"other", 5),
            ERROR_REFUSED, "shares are made once");
    struct secagg_batch batch;
    must(store_secagg_batch(slots->store, slots->run, 0, &batch));
    assert_memory_equal(batch.keyset, "keyset", 6);
    secagg_batch_clear(&batch);
}

static void test_store_secagg_shares_of_a_dead_slot_refused(void **state)
{
    struct slots *slots = *state;
    slots_advertise(slots, 0, 2);
    must(store_secagg_kill(slots->store, slots->run, 1));
    refused(store_secagg_share(slots->store, slots->run, 0, slots->shares, (const uint8_t *)"k", 1,
                               (const uint8_t *)"s", 1),
            ERROR_REFUSED, "not open any more");
    struct secagg_batch batch;
    must(store_secagg_batch(slots->store, slots->run, 0, &batch));
    assert_null(batch.keyset); /* nothing of what was refused stays */
    secagg_batch_clear(&batch);
}

/* ---- binding ---- */

static void test_store_secagg_bind_without_shares_refused(void **state)
{
    struct slots *slots = *state;
    slots_advertise(slots, 0, 1);
    refused(slots_bind(slots, 0, 1, 0), ERROR_REFUSED, "no shares yet");
}

static void test_store_secagg_bind_again_to_the_same_changes_nothing(void **state)
{
    struct slots *slots = shared_slots(state);
    must(slots_bind(slots, 0, 1, 0));
    int64_t changes = slots_count(slots, "SELECT changes FROM secagg_count");
    must(slots_bind(slots, 0, 1, 0));
    assert_int_equal(slots_count(slots, "SELECT changes FROM secagg_count"), changes);
}

static void test_store_secagg_second_binding_of_a_slot_refused(void **state)
{
    struct slots *slots = shared_slots(state);
    static const uint32_t positions[] = {1, 2, 3}, fewer[] = {1, 3};
    static const uint8_t sealed[8] = {7}, others[8] = {8};
    struct digest context = {{5}}, another = {{6}};
    struct secagg_set all = {positions, 3};
    must(store_secagg_bind(slots->store, slots->run, 0, 1, 0, &context, all, sealed, 8));
    const struct {
        uint32_t round, attempt;
        const struct digest *context;
        struct secagg_set sharers;
        const uint8_t *sealed;
        size_t bytes;
    } others_of[] = {
        {2, 0, &context, all, sealed, 8},
        {1, 1, &context, all, sealed, 8},
        {1, 0, &another, all, sealed, 8},
        {1, 0, &context, {fewer, 2}, sealed, 8},
        {1, 0, &context, {positions, 2}, sealed, 8},
        {1, 0, &context, all, others, 8},
        {1, 0, &context, all, sealed, 7},
    };
    for (size_t i = 0; i < sizeof(others_of) / sizeof(others_of[0]); i++)
        refused(store_secagg_bind(slots->store, slots->run, 0, others_of[i].round, others_of[i].attempt,
                                  others_of[i].context, others_of[i].sharers, others_of[i].sealed,
                                  others_of[i].bytes),
                ERROR_REFUSED, "a slot serves once");
}

static void test_store_secagg_two_slots_for_one_attempt_refused(void **state)
{
    struct slots *slots = shared_slots(state);
    must(slots_bind(slots, 0, 1, 0));
    refused(slots_bind(slots, 1, 1, 0), ERROR_REFUSED, "Another key slot serves");
    sql_refused(slots, "UPDATE secagg_slot SET round = 1, attempt = 0 WHERE slot = 1", "UNIQUE");
}

/* Somebody who may write the file would have the keys of one slot serve two contexts. */
static void test_store_secagg_slot_set_back_by_an_edit_refused(void **state)
{
    struct slots *slots = shared_slots(state);
    must(slots_bind(slots, 0, 1, 0));
    must(slots_bind(slots, 1, 1, 1));
    must(slots_encode(slots, 1, (const uint8_t *)"v", 1));
    must(slots_agree(slots, 1, 1, 0xaa));
    must(slots_reveal(slots, 1));
    must(slots_bind(slots, 2, 2, 0));
    assert_int_equal(slots_state(slots, 0), SECAGG_SLOT_DEAD);
    assert_int_equal(slots_state(slots, 1), SECAGG_SLOT_REVEALED);
    const char *const backwards[] = {
        "UPDATE secagg_slot SET state = 'open' WHERE slot = 0",
        "UPDATE secagg_slot SET state = 'bound' WHERE slot = 0",
        "UPDATE secagg_slot SET state = 'revealed' WHERE slot = 0",
        "UPDATE secagg_slot SET state = 'open' WHERE slot = 1",
        "UPDATE secagg_slot SET state = 'bound' WHERE slot = 1",
        "UPDATE secagg_slot SET state = 'dead' WHERE slot = 1",
        "UPDATE secagg_slot SET state = 'open' WHERE slot = 2",
        "UPDATE secagg_slot SET state = 'revealed' WHERE slot = 3",
        "UPDATE secagg_slot SET state = 'open', round = NULL, attempt = NULL, context = NULL, sharers = "
        "NULL, "
        "sealed = NULL WHERE slot = 2",
    };
    for (size_t i = 0; i < sizeof(backwards) / sizeof(backwards[0]); i++)
        sql_refused(slots, backwards[i], "a slot ");
    const char *const elsewhere[] = {
        "UPDATE secagg_slot SET round = 3 WHERE slot = 2",
        "UPDATE secagg_slot SET round = NULL WHERE slot = 2",
        "UPDATE secagg_slot SET attempt = 1 WHERE slot = 2",
        "UPDATE secagg_slot SET context = zeroblob(32) WHERE slot = 2",
        "UPDATE secagg_slot SET context = NULL WHERE slot = 2",
        "UPDATE secagg_slot SET sharers = x'01000000' WHERE slot = 2",
        "UPDATE secagg_slot SET sealed = x'01' WHERE slot = 2",
        "UPDATE secagg_slot SET slot = 9 WHERE slot = 2",
        "UPDATE secagg_slot SET shared = 0 WHERE slot = 2",
        "UPDATE secagg_slot SET revealed = NULL WHERE slot = 1",
    };
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
        sql_refused(slots, elsewhere[i], "a slot serves one context");
    sql_refused(slots, "DELETE FROM secagg_slot WHERE slot = 2", "never forgotten");
    sql_refused(
        slots,
        "INSERT OR REPLACE INTO secagg_slot (run_id, slot, state, shared) SELECT run_id, slot, 'open', 1 "
        "FROM secagg_slot WHERE slot = 2",
        "a slot begins once");
    slots_sql(slots, "UPDATE secagg_slot SET sealed = NULL WHERE slot = 2");
    assert_int_equal(slots_state(slots, 2), SECAGG_SLOT_BOUND);
    assert_int_equal(slots_state(slots, 3), SECAGG_SLOT_OPEN);
}

static void test_store_secagg_bind_goes_forward_only(void **state)
{
    struct slots *slots = shared_slots(state);
    must(slots_bind(slots, 0, 2, 3));
    refused(slots_bind(slots, 1, 1, 0), ERROR_REFUSED, "a later one");
    refused(slots_bind(slots, 1, 2, 2), ERROR_REFUSED, "a later one");
    must(slots_bind(slots, 1, 2, 4));
    refused(slots_bind(slots, 2, 2, STORE_SECAGG_ATTEMPTS), ERROR_REFUSED, "beyond the 8");
    must(slots_bind(slots, 2, 3, 0));
}

static void test_store_secagg_bind_of_an_agreed_round_refused(void **state)
{
    struct slots *slots = shared_slots(state);
    must(slots_bind(slots, 0, 1, 0));
    must(slots_encode(slots, 1, (const uint8_t *)"v", 1));
    must(slots_agree(slots, 1, 0, 0xaa));
    refused(slots_bind(slots, 1, 1, 1), ERROR_REFUSED, "joins no other attempt");
    must(slots_bind(slots, 0, 1, 0)); /* what was bound is asked for again */
}

static void test_store_secagg_bind_of_a_round_that_only_events_know_refused(void **state)
{
    struct slots *slots = shared_slots(state);
    must(store_event_add(slots->store, EVENT_ROUND_AGREED, &slots->job, slots->run, 1, SLOTS_NOW, "", NULL));
    refused(slots_bind(slots, 0, 1, 1), ERROR_REFUSED, "joins no other attempt");
    must(slots_bind(slots, 0, 2, 0));
}

static void test_store_secagg_bind_of_a_dead_slot_refused(void **state)
{
    struct slots *slots = shared_slots(state);
    must(store_secagg_kill(slots->store, slots->run, 1));
    refused(slots_bind(slots, 0, 1, 0), ERROR_REFUSED, "is dead");
    must(slots_bind(slots, 1, 1, 0));
}

/* ---- agreeing ---- */

static void test_store_secagg_second_agreement_refused(void **state)
{
    struct slots *slots = shared_slots(state);
    must(slots_bind(slots, 0, 1, 0));
    must(slots_encode(slots, 1, (const uint8_t *)"v", 1));
    must(slots_bind(slots, 1, 1, 1));
    must(slots_agree(slots, 1, 0, 0xaa));
    must(slots_agree(slots, 1, 0, 0xaa));
    refused(slots_agree(slots, 1, 0, 0xbb), ERROR_REFUSED, "signs that once");
    refused(slots_agree(slots, 1, 1, 0xaa), ERROR_REFUSED, "signs that once");
    refused(slots_agree(slots, 1, 1, 0xbb), ERROR_REFUSED, "signs that once");
    sql_refused(slots, "UPDATE secagg_round SET agreement = zeroblob(128)", "one agreement a round");
    sql_refused(slots, "UPDATE secagg_round SET attempt = 1", "one agreement a round");
    sql_refused(slots, "UPDATE secagg_round SET contributors = zeroblob(8)", "one agreement a round");
    assert_int_equal(slots_state(slots, 1), SECAGG_SLOT_DEAD); /* the other attempt's is of no use any more */
    assert_int_equal(slots_state(slots, 0), SECAGG_SLOT_BOUND);
}

static void test_store_secagg_agreement_whose_row_was_removed_refused(void **state)
{
    struct slots *slots = shared_slots(state);
    must(slots_bind(slots, 0, 1, 0));
    must(slots_encode(slots, 1, (const uint8_t *)"v", 1));
    must(slots_agree(slots, 1, 0, 0xaa));
    must(store_event_add(slots->store, EVENT_ROUND_AGREED, &slots->job, slots->run, 1, SLOTS_NOW, "", NULL));
    slots_sql(slots, "DELETE FROM secagg_round");
    refused(slots_encode(slots, 1, (const uint8_t *)"v", 1), ERROR_CONFLICT, "computed already");
    slots_sql(slots,
              "INSERT INTO secagg_round (job_id, run_id, round, model_digest) SELECT job_id, run_id, 1, "
              "zeroblob(32) FROM run");
    refused(slots_agree(slots, 1, 0, 0xbb), ERROR_REFUSED, "signs that once");
}

static void test_store_secagg_agreement_without_a_bound_slot_refused(void **state)
{
    struct slots *slots = shared_slots(state);
    must(slots_encode(slots, 1, (const uint8_t *)"v", 1));
    refused(slots_agree(slots, 1, 0, 0xaa), ERROR_REFUSED, "signs nothing about it");
    must(slots_bind(slots, 0, 1, 0));
    refused(slots_agree(slots, 1, 1, 0xaa), ERROR_REFUSED, "signs nothing about it");
    refused(slots_agree(slots, 2, 0, 0xaa), ERROR_REFUSED, "signs nothing about it");
    must(slots_agree(slots, 1, 0, 0xaa));
}

static void test_store_secagg_agreement_without_a_vector_refused(void **state)
{
    struct slots *slots = shared_slots(state);
    must(slots_bind(slots, 0, 1, 0));
    refused(slots_agree(slots, 1, 0, 0xaa), ERROR_REFUSED, "contributed nothing");
}

static void test_store_secagg_vector_of_a_round_is_kept_once(void **state)
{
    struct slots *slots = shared_slots(state);
    struct secagg_round round;
    must(slots_encode(slots, 1, (const uint8_t *)"first", 5));
    refused(slots_encode(slots, 1, (const uint8_t *)"other", 5), ERROR_CONFLICT, "computed already");
    must(store_secagg_round(slots->store, &slots->job, slots->run, 1, &round));
    assert_int_equal(round.encoded_bytes, 5);
    assert_memory_equal(round.encoded, "first", 5);
    assert_false(round.agreed);
    secagg_round_clear(&round);
    must(slots_bind(slots, 0, 1, 0));
    must(slots_agree(slots, 1, 0, 0xaa));
    must(store_secagg_round(slots->store, &slots->job, slots->run, 1, &round));
    assert_null(round.encoded);
    assert_true(round.agreed);
    assert_int_equal(round.agreement[127], 0xaa);
    assert_int_equal(round.contributor_count, 2);
    assert_int_equal(round.contributors[1], 2);
    secagg_round_clear(&round);
    refused(slots_encode(slots, 1, (const uint8_t *)"other", 5), ERROR_CONFLICT, "computed already");
    refused(store_secagg_round(slots->store, &slots->job, slots->run, 2, &round), ERROR_NOT_FOUND, "nothing");
}

/* ---- revealing ---- */

static void test_store_secagg_reveal_without_an_agreement_refused(void **state)
{
    struct slots *slots = shared_slots(state);
    refused(slots_reveal(slots, 0), ERROR_REFUSED, "no share of it is given");
    must(slots_bind(slots, 0, 1, 0));
    must(slots_encode(slots, 1, (const uint8_t *)"v", 1));
    refused(slots_reveal(slots, 0), ERROR_REFUSED, "no share of it is given");
    must(slots_bind(slots, 1, 1, 1));
    must(slots_agree(slots, 1, 1, 0xaa));
    refused(slots_reveal(slots, 0), ERROR_REFUSED, "no share of it is given");
    must(slots_reveal(slots, 1));
    assert_int_equal(slots_count(slots, "SELECT count(*) FROM secagg_given"), 3);
}

static void test_store_secagg_other_kind_of_share_refused(void **state)
{
    struct slots *slots = shared_slots(state);
    must(slots_bind(slots, 0, 1, 0));
    must(slots_encode(slots, 1, (const uint8_t *)"v", 1));
    must(slots_agree(slots, 1, 0, 0xaa));
    const struct secagg_revealed twice[] = {{.position = 4, .kind = SECAGG_REVEAL_B},
                                            {.position = 4, .kind = SECAGG_REVEAL_S}};
    refused(store_secagg_reveal(slots->store, slots->run, 0, twice, 2, (const uint8_t *)"a", 1),
            ERROR_REFUSED, "of no site both kinds leave");
    assert_int_equal(slots_count(slots, "SELECT count(*) FROM secagg_given"), 0);
    assert_int_equal(slots_state(slots, 0), SECAGG_SLOT_BOUND);
    must(slots_reveal(slots, 0));
    refused(slots_reveal(slots, 0), ERROR_REFUSED, "or is over");
    /* Somebody who may write the file makes it look as if nothing was revealed. */
    must(database_run(slots->store->database,
                      "DROP TRIGGER secagg_slot_forward; DROP TRIGGER secagg_slot_once"));
    slots_sql(slots, "UPDATE secagg_slot SET state = 'bound', revealed = NULL WHERE slot = 0");
    refused(slots_reveal(slots, 0), ERROR_REFUSED, "given for key slot 0 already");
    sql_refused(slots, "UPDATE secagg_given SET kind = 3 - kind", "never another");
    sql_refused(slots, "DELETE FROM secagg_given", "never forgotten");
}

/* ---- the model, and others' ledgers ---- */

/* Of a round that went on without this site. */
static void test_store_secagg_model_erases_vectors_of_the_rounds_before(void **state)
{
    struct slots *slots = shared_slots(state);
    struct secagg_model model = {.round = 1, .parameters = (uint8_t *)"parameters", .bytes = 10};
    struct secagg_round round;
    uint8_t vector[64];
    must(secret_random(vector, sizeof(vector)));
    must(store_secagg_set_model(slots->store, slots->run, &model));
    must(slots_encode(slots, 1, vector, sizeof(vector)));
    must(slots_encode(slots, 2, (const uint8_t *)"next", 4));
    assert_true(slots_on_disk(slots, vector, sizeof(vector)));
    model.round = 2;
    must(store_secagg_set_model(slots->store, slots->run, &model));
    assert_false(slots_on_disk(slots, vector, sizeof(vector)));
    must(store_secagg_round(slots->store, &slots->job, slots->run, 1, &round));
    assert_null(round.encoded);
    secagg_round_clear(&round);
    must(store_secagg_round(slots->store, &slots->job, slots->run, 2, &round));
    assert_int_equal(round.encoded_bytes, 4);
    secagg_round_clear(&round);
}

static void test_store_secagg_model_goes_from_round_to_round(void **state)
{
    struct slots *slots = shared_slots(state);
    struct secagg_model model = {.round = 2, .parameters = (uint8_t *)"parameters", .bytes = 10}, read;
    refused(store_secagg_model(slots->store, slots->run, &read), ERROR_NOT_FOUND, "no model");
    refused(store_secagg_set_model(slots->store, slots->run, &model), ERROR_CONFLICT, "cannot follow");
    model.round = 1;
    must(store_secagg_set_model(slots->store, slots->run, &model));
    refused(store_secagg_set_model(slots->store, slots->run, &model), ERROR_CONFLICT, "cannot follow");
    must(slots_bind(slots, 0, 1, 0));
    must(slots_bind(slots, 1, 2, 0));
    model.round = 2;
    must(digest_of(model.parameters, model.bytes, &model.digest));
    must(store_secagg_set_model(slots->store, slots->run, &model));
    refused(store_secagg_model(slots->store, slots->run, &read), ERROR_UNTRUSTED, "somebody edited it");
    must(store_event_add(slots->store, EVENT_SUM_TAKEN, &slots->job, slots->run, 1, SLOTS_NOW, "of 3 sites",
                         &model.digest));
    assert_int_equal(slots_state(slots, 0), SECAGG_SLOT_DEAD); /* the sum of its round is known */
    assert_int_equal(slots_state(slots, 1), SECAGG_SLOT_BOUND);
    must(store_secagg_model(slots->store, slots->run, &read));
    assert_int_equal(read.round, 2);
    assert_int_equal(read.bytes, 10);
    assert_memory_equal(read.parameters, "parameters", 10);
    secagg_model_clear(&read);
    must(store_secagg_kill(slots->store, slots->run, UINT32_MAX));
    refused(store_secagg_model(slots->store, slots->run, &read), ERROR_NOT_FOUND, "no model");
}

/* What site 4 is seen to sign in a run, which the first byte of its id tells from others. */
static struct error *see_head(struct slots *slots, uint8_t run, uint32_t first_slot, uint64_t sequence,
                              uint8_t mark)
{
    struct secagg_head head = {
        .site = {{{4}}}, .first_slot = first_slot, .sequence = sequence, .hash = {{mark}}};
    memcpy(head.run_id, slots->run, STORE_RUN_ID_BYTES);
    head.run_id[0] = run;
    return store_secagg_ledger(slots->store, &head);
}

static void test_store_secagg_lower_ledger_of_a_run_refused(void **state)
{
    struct slots *slots = *state;
    struct site_id site = {{{4}}};
    char fingerprint[FINGERPRINT_BYTES];
    site_id_format(&site, fingerprint);
    must(see_head(slots, 0x22, 16, 10, 10));
    refused(see_head(slots, 0x22, 32, 9, 9), ERROR_REFUSED, fingerprint);
    refused(see_head(slots, 0x22, 32, 10, 10), ERROR_REFUSED, "earlier event"); /* to advertise is an event */
    refused(see_head(slots, 0x22, 0, 11, 11), ERROR_REFUSED, "earlier event");
    refused(see_head(slots, 0x22, 32, 10, 1), ERROR_REFUSED, "another event");
    must(see_head(slots, 0x22, 0, 9, 9)); /* slots are shared in any order */
    must(see_head(slots, 0x22, 32, 11, 11));
    refused(see_head(slots, 0x22, 48, 10, 12), ERROR_REFUSED, "earlier event");
    refused(see_head(slots, 0x22, 48, UINT64_MAX, 1), ERROR_INVALID, "beyond");
}

static void begin_run(struct slots *slots, uint8_t run, int64_t at)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO run SELECT x'%02x222222222222222222222222222222', job_id, %d, NULL, 0, "
                   "'running' FROM job",
                   run, (int)at);
    slots_sql(slots, sql);
}

/* Two requesters at once: which run's adverts come first says nothing of the sites. */
static void test_store_secagg_ledgers_of_runs_side_by_side_come_in_any_order(void **state)
{
    struct slots *slots = *state;
    begin_run(slots, 0x33, 6);
    must(see_head(slots, 0x22, 0, 10, 10));
    must(see_head(slots, 0x33, 0, 8, 8));
    must(see_head(slots, 0x22, 16, 13, 13));
    must(see_head(slots, 0x33, 16, 12, 12));
    refused(see_head(slots, 0x33, 32, 13, 1), ERROR_REFUSED, "another event"); /* a fork, in whichever run */
    slots_sql(slots, "UPDATE run SET ended_at = 100, status = 'finished' WHERE started_at = 5");
    must(see_head(slots, 0x33, 32, 12 + 1, 13)); /* 0x33 began before 0x22 ended */
}

static void test_store_secagg_ledger_below_that_of_a_run_before_refused(void **state)
{
    struct slots *slots = *state;
    must(see_head(slots, 0x22, 0, 10, 10));
    slots_sql(slots, "UPDATE run SET ended_at = 100, status = 'finished' WHERE started_at = 5");
    begin_run(slots, 0x33, 101);
    begin_run(slots, 0x44, 100); /* in the same second: not known which was first */
    refused(see_head(slots, 0x33, 0, 9, 9), ERROR_REFUSED, "earlier event");
    refused(see_head(slots, 0x33, 0, 10, 10), ERROR_REFUSED, "earlier event");
    must(see_head(slots, 0x44, 0, 9, 9));
    must(see_head(slots, 0x33, 0, 11, 11));
}

/* ---- one transaction of several ---- */

static void test_store_secagg_rollback_leaves_nothing(void **state)
{
    struct slots *slots = shared_slots(state);
    int64_t changes = slots_count(slots, "SELECT changes FROM secagg_count");
    must(store_secagg_begin(slots->store));
    must(slots_bind(slots, 0, 1, 0));
    must(slots_encode(slots, 1, (const uint8_t *)"v", 1));
    store_secagg_rollback(slots->store);
    assert_int_equal(slots_state(slots, 0), SECAGG_SLOT_OPEN);
    assert_int_equal(slots_count(slots, "SELECT changes FROM secagg_count"), changes);
    must(store_secagg_begin(slots->store));
    must(slots_bind(slots, 0, 1, 0));
    must(slots_encode(slots, 1, (const uint8_t *)"v", 1));
    must(store_secagg_commit(slots->store));
    assert_int_equal(slots_count(slots, "SELECT changes FROM secagg_count"), changes + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, slots_make, slots_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_store_secagg_advertised_slot_again_refused),
        TEST(test_store_secagg_advertise_beyond_the_bounds_refused),
        TEST(test_store_secagg_batch_is_given_back_as_it_was),
        TEST(test_store_secagg_shares_twice_refused),
        TEST(test_store_secagg_shares_of_a_dead_slot_refused),
        TEST(test_store_secagg_bind_without_shares_refused),
        TEST(test_store_secagg_bind_again_to_the_same_changes_nothing),
        TEST(test_store_secagg_second_binding_of_a_slot_refused),
        TEST(test_store_secagg_two_slots_for_one_attempt_refused),
        TEST(test_store_secagg_slot_set_back_by_an_edit_refused),
        TEST(test_store_secagg_bind_goes_forward_only),
        TEST(test_store_secagg_bind_of_an_agreed_round_refused),
        TEST(test_store_secagg_bind_of_a_round_that_only_events_know_refused),
        TEST(test_store_secagg_bind_of_a_dead_slot_refused),
        TEST(test_store_secagg_second_agreement_refused),
        TEST(test_store_secagg_agreement_whose_row_was_removed_refused),
        TEST(test_store_secagg_agreement_without_a_bound_slot_refused),
        TEST(test_store_secagg_agreement_without_a_vector_refused),
        TEST(test_store_secagg_vector_of_a_round_is_kept_once),
        TEST(test_store_secagg_reveal_without_an_agreement_refused),
        TEST(test_store_secagg_other_kind_of_share_refused),
        TEST(test_store_secagg_model_erases_vectors_of_the_rounds_before),
        TEST(test_store_secagg_model_goes_from_round_to_round),
        TEST(test_store_secagg_lower_ledger_of_a_run_refused),
        TEST(test_store_secagg_ledgers_of_runs_side_by_side_come_in_any_order),
        TEST(test_store_secagg_ledger_below_that_of_a_run_before_refused),
        TEST(test_store_secagg_rollback_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
