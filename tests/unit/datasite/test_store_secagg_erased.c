/* What is of no use any more is found nowhere on the disk: secrets of slots that were revealed, killed, or whose run ended, and
 * vectors that were agreed on. */
#include "crypto/secret.h"
#include "datasite/store_internal.h"
#include "tests/unit/datasite/slots.h"

#define VECTOR_BYTES 30000

/* Slots 0 to 3 have their shares. */
static struct slots *shared_slots(void **state)
{
    struct slots *slots = *state;
    slots_advertise(slots, 0, 4);
    slots_share(slots, 0, 4);
    return slots;
}

/* ---- nothing secret stays ---- */

static void expect_on_disk(struct slots *slots, uint32_t slot, bool expected)
{
    const struct secagg_secret *secret = &slots->secrets[slot];
    assert_int_equal(slots_on_disk(slots, secret->c, sizeof(secret->c)), expected);
    assert_int_equal(slots_on_disk(slots, secret->s, sizeof(secret->s)), expected);
    assert_int_equal(slots_on_disk(slots, secret->b, sizeof(secret->b)), expected);
    assert_int_equal(slots_on_disk(slots, slots->shares[slot].s, SHAMIR_SHARE_BYTES), expected);
    assert_int_equal(slots_on_disk(slots, slots->shares[slot].b, SHAMIR_SHARE_BYTES), expected);
}

static void test_store_secagg_revealed_slot_is_erased_on_the_disk(void **state)
{
    struct slots *slots = shared_slots(state);
    static uint8_t vector[VECTOR_BYTES];
    struct secagg_slot read;
    must(secret_random(vector, sizeof(vector)));
    must(slots_bind(slots, 1, 1, 0));
    must(slots_encode(slots, 1, vector, sizeof(vector)));
    expect_on_disk(slots, 1, true);
    assert_true(slots_on_disk(slots, vector + VECTOR_BYTES / 2, 32));
    must(slots_agree(slots, 1, 0, 0xaa));
    must(slots_reveal(slots, 1));
    expect_on_disk(slots, 1, true);
    must(store_secagg_wipe(slots->store)); /* the daemon's next second */
    for (size_t at = 0; at + 32 <= VECTOR_BYTES; at += 1000)
        assert_false(slots_on_disk(slots, vector + at, 32));
    expect_on_disk(slots, 1, false);
    expect_on_disk(slots, 0, true);
    must(store_secagg_slot(slots->store, slots->run, 1, &read));
    assert_int_equal(read.state, SECAGG_SLOT_REVEALED);
    assert_int_equal(read.revealed_bytes, 9);
    static const struct secagg_secret none;
    assert_memory_equal(&read.secret, &none, sizeof(none));
    secagg_slot_clear(&read);
}

/* Rounds that follow each other without a pause: the daemon's seconds may all find the log in use. */
static void test_store_secagg_step_empties_a_log_that_is_a_second_old(void **state)
{
    struct slots *slots = shared_slots(state);
    for (uint32_t slot = 1; slot <= 3; slot++) {
        must(slots_bind(slots, slot, slot, 0));
        must(slots_encode(slots, slot, (const uint8_t *)"vector", 6));
        must(slots_agree(slots, slot, 0, 0xaa));
        if (slot == 3)
            slots->store->secagg.unwiped_since -= SECAGG_WIPE_MS;
        must(slots_reveal(slots, slot));
    }
    for (uint32_t slot = 1; slot <= 3; slot++)
        expect_on_disk(slots, slot, false);
    expect_on_disk(slots, 0, true);
}

/* Where the shares are never asked for, the daemon's next second does it; where the daemon was killed, its next start. */
static void test_store_secagg_agreed_vector_is_erased_without_unmasking(void **state)
{
    struct slots *slots = *state;
    static uint8_t vectors[2][VECTOR_BYTES];
    struct store *other = NULL;
    uint32_t killed = 0;
    must(store_secagg_check_count(slots->store, slots->workspace->path, SLOTS_NOW, &killed));
    (void)shared_slots(state);
    must(secret_random(vectors, sizeof(vectors)));
    for (uint32_t round = 1; round <= 2; round++) {
        must(slots_bind(slots, round, round, 0));
        must(slots_encode(slots, round, vectors[round - 1], VECTOR_BYTES));
        must(slots_agree(slots, round, 0, 0xaa));
        if (round == 1) {
            must(store_secagg_wipe(slots->store));
        } else {
            must(store_open(slots->workspace->database, STORE_WRITE, &other));
            store_sign_with(other, slots->workspace->identity);
            must(store_secagg_check_count(other, slots->workspace->path, SLOTS_NOW, &killed));
            assert_int_equal(killed, 0); /* nothing was erased in this transaction */
        }
        for (size_t at = 0; at + 32 <= VECTOR_BYTES; at += 1000)
            assert_false(slots_on_disk(slots, vectors[round - 1] + at, 32));
    }
    store_close(other);
}

/* Enough slots for many pages, long rows beside them, and every way to erase. */
static void test_store_secagg_many_slots_leave_nothing_on_the_disk(void **state)
{
    struct slots *slots = *state;
    static uint8_t vectors[8][VECTOR_BYTES];
    must(secret_random(vectors, sizeof(vectors)));
    for (uint32_t first = 0; first < SLOTS_MOST; first += 64) {
        slots_advertise(slots, first, 64);
        slots_share(slots, first, 64);
    }
    for (uint32_t round = 1; round <= 8; round++) {
        must(slots_encode(slots, round, vectors[round - 1], VECTOR_BYTES - 500 * round));
        must(slots_bind(slots, 30 * round, round, 0));
        must(slots_bind(slots, 30 * round + 1, round, 1));
        if (round % 2 == 0) {
            must(slots_agree(slots, round, 1, 0xaa));
            must(slots_reveal(slots, 30 * round + 1));
            must(store_secagg_wipe(slots->store));
            expect_on_disk(slots, 30 * round, false);
            expect_on_disk(slots, 30 * round + 1, false);
        }
        must(store_secagg_kill(slots->store, slots->run, 20 * round));
    }
    expect_on_disk(slots, SLOTS_MOST - 1, true);
    must(store_secagg_kill(slots->store, slots->run, UINT32_MAX));
    for (uint32_t slot = 0; slot < SLOTS_MOST; slot++)
        expect_on_disk(slots, slot, false);
    for (size_t i = 0; i < 8; i++)
        for (size_t at = 0; at + 5000 <= VECTOR_BYTES; at += 500)
            assert_false(slots_on_disk(slots, vectors[i] + at, 32));
    assert_int_equal(slots_count(slots, "SELECT count(*) FROM secagg_secret WHERE secret <> zeroblob(96)"),
                     0);
}

/* While another connection reads, the log cannot be emptied; later it is. */
static void test_store_secagg_log_is_emptied_once_nobody_reads(void **state)
{
    struct slots *slots = shared_slots(state);
    struct store *reader = NULL;
    struct digest none = {{0}};
    struct job_record record;
    must(store_open(slots->workspace->database, STORE_READ, &reader));
    must(store_snapshot(reader));
    refused(store_job_find(reader, &none, &record), ERROR_NOT_FOUND, "");
    must(store_secagg_kill(slots->store, slots->run, UINT32_MAX));
    expect_on_disk(slots, 0, true);
    must(store_secagg_wipe(slots->store));
    expect_on_disk(slots, 0, true);
    store_snapshot_end(reader);
    must(store_secagg_wipe(slots->store));
    for (uint32_t slot = 0; slot < 4; slot++)
        expect_on_disk(slots, slot, false);
    store_close(reader);
}

/* What the thread that trains has erased while the daemon's other one read, the daemon's next second empties the log of. */
static void test_store_secagg_log_is_emptied_of_what_another_store_erased(void **state)
{
    struct slots *slots = shared_slots(state);
    struct store *daemon = NULL;
    struct digest none = {{0}};
    struct job_record record;
    must(store_open(slots->workspace->database, STORE_WRITE, &daemon));
    must(store_secagg_wipe(daemon));
    must(store_snapshot(daemon));
    refused(store_job_find(daemon, &none, &record), ERROR_NOT_FOUND, "");
    must(store_secagg_kill(slots->store, slots->run, UINT32_MAX));
    store_snapshot_end(daemon);
    expect_on_disk(slots, 0, true);
    must(store_secagg_wipe(daemon));
    for (uint32_t slot = 0; slot < 4; slot++)
        expect_on_disk(slots, slot, false);
    store_close(daemon);
}

static void test_store_secagg_kill_spares_bound_slots_unless_the_run_is_over(void **state)
{
    struct slots *slots = shared_slots(state);
    must(slots_bind(slots, 0, 1, 0));
    must(store_secagg_kill(slots->store, slots->run, 3));
    assert_int_equal(slots_state(slots, 0), SECAGG_SLOT_BOUND);
    assert_int_equal(slots_state(slots, 1), SECAGG_SLOT_DEAD);
    assert_int_equal(slots_state(slots, 2), SECAGG_SLOT_DEAD);
    assert_int_equal(slots_state(slots, 3), SECAGG_SLOT_OPEN);
    must(store_secagg_kill(slots->store, slots->run, UINT32_MAX));
    assert_int_equal(slots_state(slots, 0), SECAGG_SLOT_DEAD);
    assert_int_equal(slots_state(slots, 3), SECAGG_SLOT_DEAD);
}

static void test_store_secagg_end_of_the_run_kills_its_slots(void **state)
{
    struct slots *slots = shared_slots(state);
    must(slots_bind(slots, 0, 1, 0));
    must(slots_encode(slots, 1, (const uint8_t *)"v", 1));
    slots_sql(slots, "INSERT INTO decision (job_id, kind, rounds, runs, expires, dataset_digest, decided_at, "
                     "decided_by, reason, statement, signature) SELECT job_id, 'approve', 3, 1, 1800000000, "
                     "zeroblob(32), 5, 'owner', '', x'00', zeroblob(64) FROM job");
    must(store_run_end(slots->store, &slots->job, slots->run, "stopped", 0, SLOTS_NOW));
    for (uint32_t slot = 0; slot < 4; slot++) {
        assert_int_equal(slots_state(slots, slot), SECAGG_SLOT_DEAD);
        expect_on_disk(slots, slot, false);
    }
    assert_int_equal(slots_count(slots, "SELECT count(*) FROM secagg_vector"), 0);
}

/* What came with the list is asked for until the shares are given, by nobody once the run is over, and never another. */
static void test_store_secagg_inputs_of_a_list_are_kept_as_long_as_the_run(void **state)
{
    static const uint8_t inputs[] = "digests and signatures";
    uint8_t body[SECAGG_AGREEMENT_BODY_BYTES] = {0xaa}, signature[SIGNATURE_BYTES] = {0xbb};
    uint32_t positions[] = {1, 2, 3}, expired = 0;
    struct slots *slots = shared_slots(state);
    must(slots_bind(slots, 0, 1, 0));
    must(slots_encode(slots, 1, (const uint8_t *)"v", 1));
    must(store_secagg_agree(slots->store, &slots->job, slots->run, 1, 0, (struct secagg_set){positions, 3},
                            body, signature, inputs, sizeof(inputs)));
    assert_int_equal(slots_count(slots, "SELECT length(inputs) FROM secagg_round"), sizeof(inputs));
    refused(database_run(slots->store->database, "UPDATE secagg_round SET inputs = x'00'"), ERROR_CONFLICT,
            "one agreement a round");
    must(store_job_expire(slots->store, 1800000001, &expired));
    assert_int_equal(slots_count(slots, "SELECT count(*) FROM secagg_round WHERE inputs IS NOT NULL"), 0);
    refused(database_run(slots->store->database, "UPDATE secagg_round SET inputs = x'00'"), ERROR_CONFLICT,
            "one agreement a round");
}

static void test_store_secagg_expiry_of_the_job_kills_its_slots(void **state)
{
    struct slots *slots = shared_slots(state);
    uint32_t expired = 0;
    must(store_job_expire(slots->store, 1800000001, &expired));
    assert_int_equal(expired, 1);
    for (uint32_t slot = 0; slot < 4; slot++)
        assert_int_equal(slots_state(slots, slot), SECAGG_SLOT_DEAD);
}

static void test_store_secagg_contradiction_kills_every_slot(void **state)
{
    struct slots *slots = shared_slots(state);
    struct site_id requester = {{{9}}};
    struct chain_head head = {.sequence = 1000, .hash = {{1}}};
    uint32_t accepted = 0;
    bool is_open = false;
    must(store_contradict(slots->store, &requester, &head, SLOTS_NOW, &is_open));
    for (uint32_t slot = 0; slot < 4; slot++)
        assert_int_equal(slots_state(slots, slot), SECAGG_SLOT_DEAD);
    assert_int_equal(slots_count(slots, "SELECT count(*) FROM event WHERE kind = 'slots-killed'"), 1);
    must(store_contradictions_accept(slots->store, "restored by me", SLOTS_NOW, &accepted));
    refused(store_secagg_advertise(slots->store, &slots->job, slots->run, 4, 1, slots->secrets,
                                   (const uint8_t *)"x", 1),
            ERROR_REFUSED, "another name");
    must(store_event_add(slots->store, EVENT_JOB_APPROVED, &slots->job, NULL, 0, SLOTS_NOW, "", NULL));
    slots_advertise(slots, 4, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, slots_make, slots_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_store_secagg_revealed_slot_is_erased_on_the_disk),
        TEST(test_store_secagg_step_empties_a_log_that_is_a_second_old),
        TEST(test_store_secagg_agreed_vector_is_erased_without_unmasking),
        TEST(test_store_secagg_many_slots_leave_nothing_on_the_disk),
        TEST(test_store_secagg_log_is_emptied_once_nobody_reads),
        TEST(test_store_secagg_log_is_emptied_of_what_another_store_erased),
        TEST(test_store_secagg_kill_spares_bound_slots_unless_the_run_is_over),
        TEST(test_store_secagg_end_of_the_run_kills_its_slots),
        TEST(test_store_secagg_inputs_of_a_list_are_kept_as_long_as_the_run),
        TEST(test_store_secagg_expiry_of_the_job_kills_its_slots),
        TEST(test_store_secagg_contradiction_kills_every_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
