/* Which datasets share records, and that nothing refills their budget. */
#include "datasite/privacy_terms.h"
#include "tests/unit/datasite/spender.h"

#define TRAINING BUDGET_TRAINING

static int64_t pool_of(struct spender *spender, const char *dataset)
{
    return spender_state(spender, dataset).pool;
}

/* Spends one run of the words; *ret_epsilon of it. */
static double spend(struct spender *spender, const char *dataset, uint8_t mark)
{
    struct spender_words words = {.dataset = dataset, .rounds = 2};
    struct approval approval = spender_approved(spender, &words, 1);
    must(spender_run(spender, &approval, mark));
    must(spender_begin(spender, &approval, mark, 1, TRAINING));
    spender_end(spender, &approval, mark);
    approval_clear(&approval);
    return spender_offer(spender, &words).epsilon;
}

static void test_pool_same_rows_under_another_name_are_one(void **state)
{
    struct spender *spender = *state;
    spender_import_range(spender, "again", 0, SPENDER_ROWS);
    assert_int_equal(pool_of(spender, "again"), pool_of(spender, "made"));
    struct budget_state both = spender_state(spender, "again");
    assert_int_equal(both.datasets, 2);
    assert_string_equal(both.names[0], "again");
    assert_string_equal(both.names[1], "made");
    assert_int_equal(spender_count(spender, "SELECT count(*) FROM budget_hash"), SPENDER_ROWS);
}

static void test_pool_same_rows_in_another_order_twice_or_a_part_are_one(void **state)
{
    struct spender *spender = *state;
    static const uint32_t backwards[] = {39, 5, 4, 3, 2, 1, 0}, twice[] = {7, 7, 8, 8},
                          part[] = {12, 1000, 1001};
    spender_import(spender, "backwards", backwards, 7);
    spender_import(spender, "twice", twice, 4);
    spender_import(spender, "part", part, 3);
    int64_t pool = pool_of(spender, "made");
    assert_int_equal(pool_of(spender, "backwards"), pool);
    assert_int_equal(pool_of(spender, "twice"), pool);
    assert_int_equal(pool_of(spender, "part"), pool);
    spender_import_range(spender, "added", 1000, 3); /* what was added counts too */
    assert_int_equal(pool_of(spender, "added"), pool);
}

static void test_pool_other_rows_are_another(void **state)
{
    struct spender *spender = *state;
    spender_import_range(spender, "others", 1000, 10);
    assert_int_not_equal(pool_of(spender, "others"), pool_of(spender, "made"));
    spender_set(spender, "made", 1, 1e-6, BUDGET_SUM);
    assert_false(spender_state(spender, "others").capped);
}

/* The same images as bytes and as a table of numbers; another value makes another record. */
static void test_pool_same_values_as_bytes_and_as_numbers_are_one(void **state)
{
    struct spender *spender = *state;
    static const uint8_t split_key[32] = {2, 7, 1};
    static const uint8_t bytes[2][4] = {{0, 1, 254, 255}, {9, 8, 7, 6}};
    static const double numbers[2][4] = {{-0.0, 1, 254, 255}, {9, 8, 7, 6.5}};
    static const uint32_t labels[2] = {0, 1}, other_labels[2] = {1, 0};
    for (int kind = 0; kind < 2; kind++) {
        struct dataset_info info = {.kind = kind == 0 ? DATASET_BYTES : DATASET_NUMBERS,
                                    .rows = 2,
                                    .features = 4,
                                    .image_rows = kind == 0 ? 2 : 0,
                                    .image_columns = kind == 0 ? 2 : 0,
                                    .classes = 2,
                                    .imported_at = SPENDER_NOW};
        struct dataset_writer *writer = NULL;
        (void)snprintf(info.name, sizeof(info.name), "%s", kind == 0 ? "bytes" : "numbers");
        must(dataset_writer_start(spender->store, &info, NULL, NULL, split_key, &writer));
        must(dataset_writer_add(writer, kind == 0 ? (const void *)bytes : (const void *)numbers,
                                kind == 0 ? labels : other_labels, 2));
        must(dataset_writer_finish(writer, NULL, &info));
        dataset_writer_free(writer);
    }
    assert_int_equal(pool_of(spender, "bytes"), pool_of(spender, "numbers"));
    assert_int_equal(spender_count(spender, "SELECT count(*) FROM budget_hash"), SPENDER_ROWS + 3);
}

static void test_pool_removed_and_imported_again_is_not_refilled(void **state)
{
    struct spender *spender = *state;
    double one = spender_offer(spender, &(struct spender_words){.rounds = 2}).epsilon;
    int64_t pool = pool_of(spender, "made");
    spender_set(spender, "made", one * 1.5, 1e-5, BUDGET_SUM);
    (void)spend(spender, "made", 1);
    must(store_dataset_remove(spender->store, "made"));
    struct budget_state *states = NULL;
    size_t count = 0;
    must(budget_list(spender->store, spender->workspace->identity, &states, &count));
    assert_int_equal(count, 1);
    assert_int_equal(states[0].datasets, 0);
    assert_true(states[0].spent_epsilon == one);
    free(states);
    spender_import_range(spender, "fresh", 3, SPENDER_ROWS);
    assert_int_equal(pool_of(spender, "fresh"), pool);
    assert_true(spender_state(spender, "fresh").spent_epsilon == one);
    assert_false(spender_offer(spender, &(struct spender_words){.dataset = "fresh", .rounds = 2}).fits);
}

/* Rows of both make one pool of two: one ledger, and the stricter of the caps. */
static void test_pool_that_is_bridged_has_one_ledger_and_the_stricter_cap(void **state)
{
    struct spender *spender = *state;
    static const uint32_t bridge[] = {39, 1000};
    spender_import_range(spender, "others", 1000, 10);
    spender_set(spender, "made", 30, 1e-5, BUDGET_RDP);
    spender_set(spender, "others", 20, 2e-5, BUDGET_SUM);
    double one = spend(spender, "made", 1), two = spend(spender, "others", 2);
    spender_import(spender, "bridge", bridge, 2);
    struct budget_state joined = spender_state(spender, "bridge");
    assert_int_equal(pool_of(spender, "made"), joined.pool);
    assert_int_equal(pool_of(spender, "others"), joined.pool);
    assert_int_equal(joined.datasets, 3);
    assert_true(joined.spent_epsilon == one + two);
    assert_true(joined.cap.epsilon == 20 && joined.cap.delta == 1e-5 && joined.cap.filter == BUDGET_SUM);
    spender_import_range(spender, "more", 2000, 10);
    assert_int_not_equal(pool_of(spender, "more"), joined.pool);
}

static void test_pool_with_a_cap_caps_the_one_without_that_it_is_bridged_with(void **state)
{
    struct spender *spender = *state;
    static const uint32_t bridge[] = {39, 1000, 2000};
    spender_import_range(spender, "others", 1000, 10);
    spender_import_range(spender, "third", 2000, 10);
    spender_set(spender, "third", 20, 2e-5, BUDGET_RDP);
    spender_import(spender, "bridge", bridge, 3);
    struct budget_state joined = spender_state(spender, "made");
    assert_true(joined.capped && joined.cap.epsilon == 20 && joined.cap.filter == BUDGET_RDP);
    struct budget_state *states = NULL;
    size_t count = 0;
    must(budget_list(spender->store, spender->workspace->identity, &states, &count));
    assert_int_equal(count, 1);
    free(states);
}

/* What a run reserved before its records came to be of a pool that is spent is not theirs. */
static void test_pool_that_is_bridged_in_a_run_holds_for_its_next_round(void **state)
{
    struct spender *spender = *state;
    static const uint32_t bridge[] = {39, 1000};
    spender_import_range(spender, "others", 1000, 10);
    struct approval approval = spender_approved(spender, &(struct spender_words){.rounds = 3}, 1);
    must(spender_run(spender, &approval, 7));
    must(spender_begin(spender, &approval, 7, 1, BUDGET_TRAINING));
    double one = spend(spender, "others", 1);
    spender_set(spender, "others", one * 1.01, 1e-4, BUDGET_SUM);
    must(spender_begin(spender, &approval, 7, 2, BUDGET_TRAINING));
    spender_import(spender, "bridge", bridge, 2);
    refused(spender_begin(spender, &approval, 7, 3, BUDGET_TRAINING), ERROR_REFUSED, "no room");
    approval_clear(&approval);
}

/* An import that does not end leaves no hash, no pool and no event. */
static void test_pool_of_an_import_that_fails_is_none(void **state)
{
    struct spender *spender = *state;
    static const uint8_t split_key[32] = {2, 7, 1};
    struct dataset_info info = {.name = "half",
                                .kind = DATASET_NUMBERS,
                                .features = 1,
                                .rows = 2,
                                .classes = 2,
                                .imported_at = SPENDER_NOW};
    struct digest wrong = {{1}};
    struct dataset_writer *writer = NULL;
    double row[2] = {0.25, 0.5};
    uint32_t labels[2] = {0, 1};
    int64_t rows = spender_count(spender, "SELECT count(*) FROM budget");
    must(dataset_writer_start(spender->store, &info, NULL, NULL, split_key, &writer));
    must(dataset_writer_add(writer, row, labels, 2));
    refused(dataset_writer_finish(writer, &wrong, &info), ERROR_INVALID, "digest");
    dataset_writer_free(writer);
    assert_int_equal(spender_count(spender, "SELECT count(*) FROM budget"), rows);
    assert_int_equal(spender_count(spender, "SELECT count(*) FROM budget_hash"), SPENDER_ROWS);
}

/* Somebody takes hashes away, so that the same rows look new, or moves them to another pool. */
static void test_attack_pool_hashes_edited_are_found_at_the_next_import(void **state)
{
    static const char *const edits[] = {
        "DELETE FROM budget_hash WHERE hash IN (SELECT hash FROM budget_hash LIMIT 1)",
        "DELETE FROM budget_hash",
        "UPDATE budget_hash SET hash = zeroblob(16) WHERE hash IN (SELECT hash FROM budget_hash LIMIT 1)",
        "UPDATE budget_hash SET row = (SELECT max(id) FROM budget WHERE kind = 'join')",
        "INSERT INTO budget_hash VALUES (zeroblob(16), 1)"};
    struct spender *spender = *state;
    spender_import_range(spender, "others", 1000, 10);
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        struct dataset_info info = spender_dataset(spender, "made");
        uint8_t hash[1][POOL_HASH_BYTES] = {{(uint8_t)(i + 1)}};
        spender_forge(spender, "SAVEPOINT before");
        spender_forge(spender, edits[i]);
        refused(budget_pool_rows(spender->store, &info, hash, 1, SPENDER_NOW), ERROR_UNTRUSTED, "hashes");
        spender_forge(spender, "ROLLBACK TO before");
        spender_forge(spender, "RELEASE before");
    }
}

/* Somebody gives a dataset another digest or id, so that no pool has it: nothing private is worked on without one. */
static void test_attack_pool_of_an_edited_dataset_reserves_nothing(void **state)
{
    struct spender *spender = *state;
    struct approval approval = spender_approved(spender, &(struct spender_words){0}, 1);
    spender_forge(spender, "UPDATE dataset SET digest = zeroblob(32)");
    refused(spender_run(spender, &approval, 1), ERROR_REFUSED, "has not looked yet");
    assert_int_equal(spender_count(spender, "SELECT count(*) FROM run"), 0);
    approval_clear(&approval);
}

/* A site of before there were pools. */
static void test_pool_of_datasets_from_before_is_made_of_the_stored_rows(void **state)
{
    struct spender *spender = *state;
    static const uint8_t split_key[32] = {2, 7, 1};
    bool pooled = false;
    spender_forge(spender, "UPDATE dataset SET digest = zeroblob(32)"); /* in no pool */
    must(budget_pooled(spender->store, &pooled));
    assert_false(pooled);
    must(budget_pool_all(spender->store, split_key, SPENDER_NOW));
    must(budget_pooled(spender->store, &pooled));
    assert_true(pooled);
    assert_int_equal(spender_count(spender, "SELECT count(*) FROM budget_hash"), SPENDER_ROWS);
    assert_int_equal(spender_count(spender, "SELECT count(DISTINCT pool) FROM budget"), 1);
}

/* Exact numbers about the same records under another name are no less exact. */
static void test_attack_pool_rule_for_one_name_binds_the_records(void **state)
{
    struct spender *spender = *state;
    struct policy_gate gate = {.output = policy_output_default(), .dataset_count = 1};
    struct job clear = {.rounds = 1}, noised = {.rounds = 1, .privacy = {.mechanism = JOB_DP_SGD}};
    spender_import_range(spender, "again", 39, 5);
    spender_import_range(spender, "others", 1000, 5);
    (void)snprintf(gate.datasets[0].name, sizeof(gate.datasets[0].name), "made");
    gate.datasets[0].output = policy_output_default();
    gate.datasets[0].output.require = POLICY_REQUIRE_PRIVACY;
    (void)snprintf(clear.dataset, sizeof(clear.dataset), "again");
    struct dataset_info again = spender_dataset(spender, "again"),
                        others = spender_dataset(spender, "others");
    refused(privacy_terms_check(spender->store, &gate, &clear, &again, 1, 1), ERROR_REFUSED,
            "records of \"again\"");
    must(privacy_terms_check(spender->store, &gate, &noised, &again, 1, 1));
    (void)snprintf(clear.dataset, sizeof(clear.dataset), "others");
    must(privacy_terms_check(spender->store, &gate, &clear, &others, 1, 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, spender_make, spender_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pool_same_rows_under_another_name_are_one),
        TEST(test_pool_same_rows_in_another_order_twice_or_a_part_are_one),
        TEST(test_pool_other_rows_are_another),
        TEST(test_pool_same_values_as_bytes_and_as_numbers_are_one),
        TEST(test_pool_removed_and_imported_again_is_not_refilled),
        TEST(test_pool_that_is_bridged_has_one_ledger_and_the_stricter_cap),
        TEST(test_attack_pool_rule_for_one_name_binds_the_records),
        TEST(test_pool_with_a_cap_caps_the_one_without_that_it_is_bridged_with),
        TEST(test_pool_that_is_bridged_in_a_run_holds_for_its_next_round),
        TEST(test_pool_of_an_import_that_fails_is_none),
        TEST(test_attack_pool_hashes_edited_are_found_at_the_next_import),
        TEST(test_attack_pool_of_an_edited_dataset_reserves_nothing),
        TEST(test_pool_of_datasets_from_before_is_made_of_the_stored_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
