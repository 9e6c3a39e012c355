/* Somebody has site.db and edits what was spent: every edit is refused, and named. And a file that was put back. */
#include "datasite/release.h"
#include "datasite/store_internal.h"
#include "datasite/store_secagg.h"
#include "schemas/files.h"
#include "tests/unit/datasite/site.h"
#include "tests/unit/datasite/spender.h"

#define TRAINING BUDGET_TRAINING

/* A cap, a run of two rounds that was settled, and events behind them. */
static int spent(void **state)
{
    if (spender_make(state) != 0)
        return -1;
    struct spender *spender = *state;
    struct approval approval = spender_approved(spender, &(struct spender_words){.rounds = 2}, 5);
    spender_set(spender, "made", 10, 1e-5, BUDGET_SUM);
    must(spender_run(spender, &approval, 1));
    for (uint32_t round = 1; round <= 2; round++) {
        must(spender_begin(spender, &approval, 1, round, TRAINING));
        must(spender_settle(spender, &approval, 1, round, TRAINING));
    }
    spender_end(spender, &approval, 1);
    approval_clear(&approval);
    return 0;
}

/* What every use of the ledger says after this edit; site.db is then as it was. */
static void expect_found(struct spender *spender, const char *edit, const char *words)
{
    struct budget_state state;
    struct run_record run;
    const struct identity *identity = spender->workspace->identity;
    const uint8_t run_id[STORE_RUN_ID_BYTES] = {9};
    struct budget_cap cap = {100, 1e-5, BUDGET_SUM};
    struct approval approval = spender_approved(spender, &(struct spender_words){.rounds = 1}, 1);
    spender_forge(spender, "SAVEPOINT before");
    spender_forge(spender, edit);
    refused(budget_state(spender->store, identity, approval.dataset.id, &state), ERROR_UNTRUSTED, words);
    refused(budget_run_begin(spender->store, identity, &approval, run_id, SPENDER_NOW, &run), ERROR_UNTRUSTED,
            words);
    refused(budget_set(spender->store, identity, "made", &cap, SPENDER_NOW), ERROR_UNTRUSTED, words);
    spender_forge(spender, "ROLLBACK TO before");
    spender_forge(spender, "RELEASE before");
    must(budget_state(spender->store, identity, approval.dataset.id, &state));
    approval_clear(&approval);
}

static void test_attack_budget_edited_cap_is_refused(void **state)
{
    struct spender *spender = *state;
    expect_found(spender, "UPDATE budget SET epsilon = 1000 WHERE kind = 'set'", "Row 2 of the ledger");
    expect_found(spender, "UPDATE budget SET delta = 0.1 WHERE kind = 'set'", "Row 2 of the ledger");
    expect_found(spender, "UPDATE budget SET filter = 1 WHERE kind = 'set'", "Row 2 of the ledger");
    expect_found(spender, "UPDATE budget SET pool = 7 WHERE kind = 'set'", "Row 2 of the ledger");
}

static void test_attack_budget_cap_of_another_key_is_refused(void **state)
{
    struct spender *spender = *state;
    struct budget_offer offer;
    struct job *job = spender_job(spender, &(struct spender_words){0});
    struct dataset_info dataset = spender_dataset(spender, "made");
    spender_forge(spender, "UPDATE budget SET signature = zeroblob(64) WHERE kind = 'set'");
    refused(budget_offer(spender->store, spender->workspace->identity, job, &dataset, BUDGET_SEARCH_WHOLE,
                         &offer),
            ERROR_UNTRUSTED, "signature of the budget's cap");
    job_free(job);
}

static void test_attack_budget_edited_row_is_refused(void **state)
{
    struct spender *spender = *state;
    static const char *const columns[] = {"pool = 9",
                                          "at = 1",
                                          "round = 7",
                                          "use = 2",
                                          "mechanism = 3",
                                          "shared = 1",
                                          "steps = 9",
                                          "rounds = 1",
                                          "metrics_noise = 3",
                                          "evaluations = 1",
                                          "epsilon = 1e-9",
                                          "delta = 1e-9",
                                          "noise_multiplier = 100",
                                          "sampling_rate = 1e-9",
                                          "other = 3",
                                          "job_id = randomblob(32)",
                                          "run_id = randomblob(16)",
                                          "subject = randomblob(32)",
                                          "content = randomblob(32)",
                                          "kind = 'clear'"};
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        char sql[128];
        (void)snprintf(sql, sizeof(sql), "UPDATE budget SET %s WHERE kind = 'reserve'", columns[i]);
        char *kept = strdup(sql); /* a text of SQL outlives its statement */
        assert_non_null(kept);
        expect_found(spender, kept, "Row 3 of the ledger");
        free(kept);
    }
    expect_found(spender, "UPDATE budget SET hash = randomblob(32) WHERE kind = 'reserve'",
                 "Row 3 of the ledger");
    expect_found(spender, "UPDATE budget SET event = 1 WHERE kind = 'reserve'", "Row 3 of the ledger");
}

static void test_attack_budget_deleted_row_is_refused(void **state)
{
    struct spender *spender = *state;
    expect_found(spender, "DELETE FROM budget WHERE kind = 'reserve'", "Row 3 of the ledger");
    expect_found(spender, "DELETE FROM budget WHERE kind = 'begin' AND round = 2", "Row 6 of the ledger");
    expect_found(spender, "DELETE FROM budget WHERE kind = 'close'", "Row 8 of the ledger");
    expect_found(spender, "DELETE FROM budget", "Row 1 of the ledger");
    expect_found(spender, "DELETE FROM budget WHERE kind <> 'join'", "Row 2 of the ledger");
}

/* With the events of the rows: the next event does not follow. */
static void test_attack_budget_rows_deleted_with_their_events_are_refused(void **state)
{
    struct spender *spender = *state;
    expect_found(spender,
                 "DELETE FROM event WHERE kind IN ('budget-settled', 'budget-begun', 'budget-closed', "
                 "'budget-reserved')",
                 "ledger");
    expect_found(
        spender,
        "DELETE FROM event WHERE kind GLOB 'budget-*' AND id > (SELECT event FROM budget WHERE id = 2); "
        "DELETE FROM budget WHERE id > 2",
        "is not what it wrote");
}

/* An event without its hash would let the next one be anything. */
static void test_attack_budget_edited_event_behind_a_wiped_hash_is_refused(void **state)
{
    struct spender *spender = *state;
    expect_found(
        spender,
        "UPDATE event SET detail = 'of another' WHERE id = (SELECT max(event) FROM budget); "
        "UPDATE event SET hash = NULL, signature = NULL WHERE id = (SELECT max(event) - 1 FROM budget)",
        "not vouched for");
    expect_found(spender,
                 "UPDATE event SET detail = 'of another', hash = NULL, signature = NULL WHERE id = "
                 "(SELECT max(event) FROM budget)",
                 "not vouched for");
}

static void test_attack_budget_inserted_row_is_refused(void **state)
{
    struct spender *spender = *state;
    expect_found(
        spender,
        "INSERT INTO budget SELECT 9, pool, at, 'set', job_id, run_id, round, use, mechanism, shared, "
        "noise_multiplier, sampling_rate, steps, rounds, metrics_noise, evaluations, 1000, delta, filter, "
        "other, subject, content, signature, hash, event FROM budget WHERE kind = 'set'",
        "Row 9 of the ledger");
    expect_found(
        spender,
        "INSERT INTO budget SELECT 20, pool, at, kind, job_id, randomblob(16), round, use, mechanism, "
        "shared, noise_multiplier, sampling_rate, steps, rounds, metrics_noise, evaluations, epsilon, delta, "
        "filter, other, subject, content, signature, hash, event FROM budget WHERE kind = 'close'",
        "Row 9 of the ledger");
}

/* Between the beginning of a run and its rounds too. */
static void test_attack_budget_reservation_edited_in_a_run_begins_nothing(void **state)
{
    struct spender *spender = *state;
    struct approval approval = spender_approved(spender, &(struct spender_words){.rounds = 1}, 1);
    must(spender_run(spender, &approval, 2));
    must(spender_begin(spender, &approval, 2, 1, TRAINING));
    spender_forge(spender, "UPDATE budget SET rounds = 100 WHERE kind = 'reserve'");
    refused(spender_begin(spender, &approval, 2, 2, TRAINING), ERROR_UNTRUSTED, "Row 9 of the ledger");
    refused(spender_settle(spender, &approval, 2, 1, TRAINING), ERROR_UNTRUSTED, "Row 9 of the ledger");
    approval_clear(&approval);
}

static void test_budget_rows_are_guarded_by_the_file_itself(void **state)
{
    struct spender *spender = *state;
    refused(database_run(spender->store->database, "UPDATE budget SET epsilon = 0"), ERROR_CONFLICT, "");
    refused(database_run(spender->store->database, "DELETE FROM budget"), ERROR_CONFLICT, "");
    refused(database_run(spender->store->database, "DELETE FROM budget_hash"), ERROR_CONFLICT, "");
}

/* ---- a file that was put back ---- */

static uint8_t *file_of(struct site *site, size_t *ret_count)
{
    uint8_t *bytes = NULL;
    site_pause(site);
    must(file_read(site->workspace->database, 1 << 26, &bytes, ret_count));
    site_resume(site);
    return bytes;
}

static void put_back(struct site *site, uint8_t *bytes, size_t count)
{
    site_pause(site);
    workspace_write(site->workspace->database, bytes, count);
    free(bytes);
    site_resume(site);
}

/* What it forgot to have spent shows by the receipt of what left. */
static void test_attack_budget_put_back_is_caught_by_receipts(void **state)
{
    struct site *site = *state;
    size_t count = 0;
    site_approved(site, &(struct job_words){0}, 0, 0);
    uint8_t *bytes = file_of(site, &count);
    site->receipt = site_receipt(site_train(site, 1, 0));
    assert_int_equal(site_count(site, "SELECT count(*) FROM budget WHERE kind = 'clear'"), 1);
    put_back(site, bytes, count);
    assert_int_equal(site_count(site, "SELECT count(*) FROM budget WHERE kind = 'clear'"), 0);
    site->presents = true;
    site_expect_refusal(site_train(site, 1, 0.5), ERROR_REFUSED, "lack a release whose receipt exists");
    site->presents = false;
    site_expect_refusal(site_train(site, 2, 0.5), ERROR_REFUSED, "lack a release whose receipt exists");
}

/* And to the other sites, by the head in its adverts: they keep the highest they saw. */
static void test_attack_budget_put_back_is_caught_by_adverts(void **state)
{
    struct site *site = *state;
    size_t count = 0;
    struct chain_head later, earlier;
    uint8_t signature[SIGNATURE_BYTES];
    site_approved(site, &(struct job_words){0}, 0, 0);
    uint8_t *bytes = file_of(site, &count);
    site_expect_type(site_train(site, 1, 0), FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
    must(store_head(site->store, &later, signature));
    put_back(site, bytes, count);
    must(store_head(site->store, &earlier, signature));
    assert_true(earlier.sequence < later.sequence);
    struct secagg_head seen = {.site = *identity_id(site->identity),
                               .run_id = {5},
                               .first_slot = 0,
                               .sequence = later.sequence,
                               .hash = later.hash};
    struct secagg_head now = seen;
    now.first_slot = 8;
    now.sequence = earlier.sequence;
    now.hash = earlier.hash;
    must(store_secagg_ledger(site->store, &seen));
    refused(store_secagg_ledger(site->store, &now), ERROR_REFUSED, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, spent, spender_remove)
#define TEST_SITE(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_attack_budget_edited_cap_is_refused),
        TEST(test_attack_budget_cap_of_another_key_is_refused),
        TEST(test_attack_budget_edited_row_is_refused),
        TEST(test_attack_budget_deleted_row_is_refused),
        TEST(test_attack_budget_rows_deleted_with_their_events_are_refused),
        TEST(test_attack_budget_edited_event_behind_a_wiped_hash_is_refused),
        TEST(test_attack_budget_inserted_row_is_refused),
        TEST(test_attack_budget_reservation_edited_in_a_run_begins_nothing),
        TEST(test_budget_rows_are_guarded_by_the_file_itself),
        TEST_SITE(test_attack_budget_put_back_is_caught_by_receipts),
        TEST_SITE(test_attack_budget_put_back_is_caught_by_adverts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
