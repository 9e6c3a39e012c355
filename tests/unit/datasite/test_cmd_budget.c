/* The owner's verbs about privacy budgets, as typed. */
#include "datasite/budget.h"
#include "datasite/store_internal.h"
#include "tests/unit/datasite/bench.h"

#include <jansson.h>

extern const struct verb verb_budget, verb_budget_set, verb_audit_verify;

static struct error *set_typed(const struct bench *bench, const char *epsilon, const char *delta,
                               const char *filter)
{
    bench_give(&verb_budget_set, "epsilon", epsilon);
    bench_give(&verb_budget_set, "delta", delta);
    bench_give(&verb_budget_set, "filter", filter);
    return bench_type(bench, &verb_budget_set, "made");
}

static json_t *listed(const struct bench *bench, const char *dataset)
{
    bench_give(&verb_budget, "json", "yes");
    must(bench_type(bench, &verb_budget, dataset));
    bench_give(&verb_budget, "json", NULL);
    char *text = bench_printed(bench);
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    free(text);
    return json;
}

static double number(json_t *json, const char *name)
{
    json_t *value = json_object_get(json, name);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void test_budget_of_a_new_site_has_no_cap(void **state)
{
    struct bench *bench = *state;
    json_t *json = listed(bench, NULL);
    json_t *pool = json_array_get(json_object_get(json, "pools"), 0);
    assert_true(json_is_null(json_object_get(pool, "cap")));
    assert_true(number(pool, "spent_epsilon") == 0 && number(pool, "clear_answers") == 0);
    assert_string_equal(json_string_value(json_array_get(json_object_get(pool, "datasets"), 0)), "made");
    json_decref(json);
    must(bench_type(bench, &verb_budget, NULL));
    bench_expect_printed(bench, "made");
    bench_expect_printed(bench, "none");
}

static void test_budget_set_says_what_follows_and_is_on_record(void **state)
{
    struct bench *bench = *state;
    must(set_typed(bench, "3", "1e-6", NULL));
    bench_expect_printed(bench, "epsilon 3 at delta 1e-06 (filter sum)");
    bench_expect_printed(bench, "jobs without privacy are refused");
    bench_expect_not_printed(bench, "Warning");
    must(set_typed(bench, "2.5", "1e-7", "rdp"));
    json_t *json = listed(bench, "made");
    json_t *pool = json_array_get(json_object_get(json, "pools"), 0), *cap = json_object_get(pool, "cap");
    assert_true(number(cap, "epsilon") == 2.5 && number(cap, "delta") == 1e-7);
    assert_string_equal(json_string_value(json_object_get(cap, "filter")), "rdp");
    assert_true(number(pool, "left_epsilon") == 2.5);
    assert_int_equal(json_array_size(json_object_get(pool, "entries")), 3); /* a join and two caps */
    json_decref(json);
    must(bench_type(bench, &verb_budget, "made"));
    bench_expect_printed(bench, "2.5 at delta 1e-07 (rdp)");
    bench_expect_printed(bench, "join");
    must(bench_type(bench, &verb_audit_verify, NULL));
    bench_expect_printed(bench, "3 rows of the ledger");
}

static void test_budget_set_warns_of_a_delta_of_one_row_or_more(void **state)
{
    struct bench *bench = *state;
    must(set_typed(bench, "3", "0.1", NULL));
    bench_expect_not_printed(bench, "Warning"); /* of two rows */
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    static const uint8_t split_key[32] = {1};
    struct dataset_info info = {.name = "ten",
                                .kind = DATASET_NUMBERS,
                                .features = 1,
                                .classes = 2,
                                .source = "made",
                                .imported_at = BENCH_NOW};
    struct dataset_writer *writer = NULL;
    bench_store(bench, &home, &identity, &store);
    must(dataset_writer_start(store, &info, NULL, NULL, split_key, &writer));
    for (uint32_t i = 0; i < 10; i++) {
        double value = 0.5 + i;
        uint32_t label = i % 2;
        must(dataset_writer_add(writer, &value, &label, 1));
    }
    must(dataset_writer_finish(writer, NULL, &info));
    dataset_writer_free(writer);
    bench_store_close(home, identity, store);
    must(bench_type(bench, &verb_budget_set, "ten"));
    bench_expect_printed(bench, "Warning: delta 0.1 is 1 / number of rows or more");
}

/* As if answers had left before. */
static void test_budget_set_warns_of_answers_without_privacy(void **state)
{
    struct bench *bench = *state;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    char text[] = "job: clear\ndataset: made\nmodel: {kind: softmax-regression}\nfederation: {rounds: 1, "
                  "min_sites: 1}\n"
                  "expires: 2100-01-01T00:00:00Z\nsites:\n  - {name: site, fingerprint: "
                  "\"sha256:4200000000000000000000000000000000000000000000000000000000000000\"}\n";
    struct approval approval = {.record = {.byte_count = 0}};
    const uint8_t run_id[STORE_RUN_ID_BYTES] = {1};
    bench_store(bench, &home, &identity, &store);
    must(job_parse(text, sizeof(text) - 1, "the job", &approval.job));
    must(store_dataset_find(store, "made", &approval.dataset));
    memset(approval.record.id.bytes, 7, DIGEST_BYTES);
    must(database_begin(store->database));
    must(budget_clear(store, identity, &approval, run_id, 1, BUDGET_TRAINING, BENCH_NOW));
    must(database_commit(store->database));
    job_free(approval.job);
    bench_store_close(home, identity, store);
    must(set_typed(bench, "3", "1e-6", NULL));
    bench_expect_printed(bench, "1 answer left without privacy before");
}

static void test_budget_set_wrongly_typed_changes_nothing(void **state)
{
    struct bench *bench = *state;
    refused(set_typed(bench, NULL, "1e-6", NULL), ERROR_USAGE, "--epsilon");
    refused(set_typed(bench, "3", NULL, NULL), ERROR_USAGE, "--delta");
    refused(set_typed(bench, "three", "1e-6", NULL), ERROR_USAGE, "--epsilon is a number");
    refused(set_typed(bench, "3", "1e-6", "pld"), ERROR_USAGE, "sum or rdp");
    refused(set_typed(bench, "0", "1e-6", NULL), ERROR_INVALID, "above 0");
    refused(set_typed(bench, "3", "0.5", NULL), ERROR_INVALID, "delta");
    json_t *json = listed(bench, "made");
    assert_true(json_is_null(json_object_get(json_array_get(json_object_get(json, "pools"), 0), "cap")));
    json_decref(json);
}

static void test_audit_verify_names_an_edited_budget(void **state)
{
    struct bench *bench = *state;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    must(set_typed(bench, "3", "1e-6", NULL));
    bench_store(bench, &home, &identity, &store);
    must(database_run(store->database, "DROP TRIGGER budget_no_update"));
    must(database_run(store->database, "DROP TRIGGER budget_hash_no_delete"));
    must(database_run(store->database, "UPDATE budget SET epsilon = 30 WHERE kind = 'set'"));
    refused(bench_type(bench, &verb_audit_verify, NULL), ERROR_UNTRUSTED, "Row 2 of the ledger");
    must(database_run(store->database, "UPDATE budget SET epsilon = 3 WHERE kind = 'set'"));
    must(bench_type(bench, &verb_audit_verify, NULL));
    must(database_run(store->database, "DELETE FROM budget_hash"));
    refused(bench_type(bench, &verb_audit_verify, NULL), ERROR_UNTRUSTED, "hashes of records");
    bench_store_close(home, identity, store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_make, bench_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_budget_of_a_new_site_has_no_cap),
        TEST(test_budget_set_says_what_follows_and_is_on_record),
        TEST(test_budget_set_warns_of_a_delta_of_one_row_or_more),
        TEST(test_budget_set_warns_of_answers_without_privacy),
        TEST(test_budget_set_wrongly_typed_changes_nothing),
        TEST(test_audit_verify_names_an_edited_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
