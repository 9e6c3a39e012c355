/* Who is told of which dataset, and what: listings, mock rows, and silence about everything else. */
#include "datasite/budget.h"
#include "datasite/mock.h"
#include "tests/unit/datasite/site.h"

static const struct site_id stranger = {{{9}}};

static void make_mock(struct site *site, uint64_t rows)
{
    struct mock_ranges *ranges = NULL;
    must(mock_ranges_load(NULL, &ranges));
    must(mock_make(site->store, "made", ranges, rows, 7, SITE_NOW));
    mock_ranges_free(ranges);
}

static Fds__Catalog *catalog(struct site *site, bool listed, const char *after)
{
    Fds__CatalogQuery query = FDS__CATALOG_QUERY__INIT;
    Fds__Catalog *read = NULL;
    query.after = (char *)(uintptr_t)after;
    struct reply reply = site_ask(site, listed ? &site->researcher : &stranger, listed,
                                  FDS__MESSAGE_TYPE__MESSAGE_CATALOG_QUERY, &query.base);
    assert_int_equal(reply.type, FDS__MESSAGE_TYPE__MESSAGE_CATALOG);
    assert_true(reply.body_bytes < 60 * 1024);
    must(wire_catalog_decode(reply.body, reply.body_bytes, &read));
    requests_reply_clear(&reply);
    return read;
}

static struct reply ask_mock(struct site *site, bool listed, const char *dataset, uint64_t first_row)
{
    Fds__MockQuery query = FDS__MOCK_QUERY__INIT;
    query.dataset = (char *)(uintptr_t)dataset;
    query.first_row = first_row;
    return site_ask(site, listed ? &site->researcher : &stranger, listed,
                    FDS__MESSAGE_TYPE__MESSAGE_MOCK_QUERY, &query.base);
}

static size_t told(struct site *site, bool listed)
{
    Fds__Catalog *read = catalog(site, listed, "");
    size_t count = read->n_datasets;
    wire_catalog_free(read);
    return count;
}

static bool gets_mock(struct site *site, bool listed)
{
    struct reply reply = ask_mock(site, listed, "made", 0);
    bool gets = reply.type == FDS__MESSAGE_TYPE__MESSAGE_MOCK;
    requests_reply_clear(&reply);
    return gets;
}

static void test_catalog_who_is_told_by_the_policy(void **state)
{
    static const struct {
        enum policy_list list;
        bool listed, told_without, told_with;
    } cases[] = {
        {POLICY_LIST_NOBODY, true, false, false}, {POLICY_LIST_NOBODY, false, false, false},
        {POLICY_LIST_MOCK, true, false, true},    {POLICY_LIST_MOCK, false, false, false},
        {POLICY_LIST_PEERS, true, true, true},    {POLICY_LIST_PEERS, false, false, false},
        {POLICY_LIST_MEMBERS, true, true, true},  {POLICY_LIST_MEMBERS, false, true, true},
    };
    struct site *site = *state;
    for (int with = 0; with < 2; with++) {
        if (with)
            make_mock(site, 20);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            site->policy.gate.output.list = cases[i].list;
            bool expected = with ? cases[i].told_with : cases[i].told_without;
            assert_int_equal(told(site, cases[i].listed), expected);
            assert_int_equal(gets_mock(site, cases[i].listed), expected && with);
        }
    }
}

/* A dataset of which a peer is not told is like one that is not here, to the letter. */
static void test_mock_unlisted_dataset_is_like_none(void **state)
{
    struct site *site = *state;
    make_mock(site, 20);
    site_expect_refusal(ask_mock(site, false, "made", 0), ERROR_NOT_FOUND,
                        "This site has no dataset \"made\" of which it tells you.");
    site_expect_refusal(ask_mock(site, false, "none", 0), ERROR_NOT_FOUND,
                        "This site has no dataset \"none\" of which it tells you.");
    site->policy.gate.output.list = POLICY_LIST_NOBODY;
    site_expect_refusal(ask_mock(site, true, "made", 0), ERROR_NOT_FOUND,
                        "This site has no dataset \"made\" of which it tells you.");
    site_expect_refusal(ask_mock(site, true, "made", 20), ERROR_NOT_FOUND,
                        "This site has no dataset \"made\" of which it tells you.");
}

static void test_mock_listed_without_one_names_the_owners_command(void **state)
{
    struct site *site = *state;
    site->policy.gate.output.list = POLICY_LIST_PEERS;
    site_expect_refusal(ask_mock(site, true, "made", 0), ERROR_NOT_FOUND, "datasite mock make made");
}

static void test_catalog_tells_the_schema_and_no_more(void **state)
{
    struct site *site = *state;
    make_mock(site, 20);
    Fds__Catalog *read = catalog(site, true, "");
    const Fds__DatasetSchema *schema = read->datasets[0];
    assert_int_equal(read->n_datasets, 1);
    assert_string_equal(schema->name, "made");
    assert_string_equal(schema->kind, "numbers");
    assert_int_equal(schema->features, SITE_FEATURES);
    assert_int_equal(schema->classes, SITE_CLASSES);
    assert_int_equal(schema->rows, SITE_ROWS);
    assert_int_equal(schema->mock_rows, 20);
    assert_int_equal(schema->n_columns, SITE_FEATURES);
    assert_string_equal(schema->columns[0], "w");
    assert_int_equal(schema->n_class_names, SITE_CLASSES);
    assert_string_equal(schema->class_names[2], "c");
    wire_catalog_free(read);
}

/* The number of rows is an example count: the output rules hold for it too. */
static void test_catalog_rows_are_withheld_by_the_output_rules(void **state)
{
    struct site *site = *state;
    make_mock(site, 20);
    site->policy.gate.output.min_rows = SITE_ROWS + 1;
    Fds__Catalog *read = catalog(site, true, "");
    assert_true(read->datasets[0]->rows == WIRE_WITHHELD);
    wire_catalog_free(read);
    site->policy.gate.output.min_rows = 0;
    site->policy.gate.output.metrics = POLICY_METRICS_ALL & ~POLICY_METRIC_EXAMPLES;
    read = catalog(site, true, "");
    assert_true(read->datasets[0]->rows == WIRE_WITHHELD);
    wire_catalog_free(read);
}

/* One record more or less would be seen in it, beside whatever noise. */
static void test_catalog_rows_are_withheld_where_numbers_leave_with_noise(void **state)
{
    struct site *site = *state;
    struct budget_cap cap = {3, 1e-6, BUDGET_SUM};
    make_mock(site, 20);
    site->policy.gate.output.require = POLICY_REQUIRE_PRIVACY;
    Fds__Catalog *read = catalog(site, true, "");
    assert_true(read->datasets[0]->rows == WIRE_WITHHELD);
    wire_catalog_free(read);
    site->policy.gate.output.require = 0;
    read = catalog(site, true, "");
    assert_int_equal(read->datasets[0]->rows, SITE_ROWS);
    wire_catalog_free(read);
    must(budget_set(site->store, site->identity, "made", &cap, SITE_NOW));
    read = catalog(site, true, "");
    assert_true(read->datasets[0]->rows == WIRE_WITHHELD);
    wire_catalog_free(read);
}

static void test_catalog_many_datasets_come_in_pages(void **state)
{
    static const double row[SITE_FEATURES] = {0};
    static const uint32_t label = 0;
    static const uint8_t split_key[32] = {1};
    struct site *site = *state;
    char after[65] = "";
    size_t seen = 0, pages = 0;
    for (int i = 0; i < 70; i++) {
        struct dataset_info info = {.kind = DATASET_NUMBERS,
                                    .rows = 1,
                                    .features = SITE_FEATURES,
                                    .classes = 2,
                                    .imported_at = SITE_NOW};
        struct dataset_writer *writer = NULL;
        (void)snprintf(info.name, sizeof(info.name), "more-%02d", i);
        (void)snprintf(info.source, sizeof(info.source), "made for tests");
        must(dataset_writer_start(site->store, &info, NULL, NULL, split_key, &writer));
        must(dataset_writer_add(writer, row, &label, 1));
        must(dataset_writer_finish(writer, NULL, &info));
        dataset_writer_free(writer);
    }
    site->policy.gate.output.list = POLICY_LIST_MEMBERS;
    for (bool more = true; more; pages++) {
        Fds__Catalog *read = catalog(site, false, after);
        seen += read->n_datasets;
        (void)snprintf(after, sizeof(after), "%s", read->datasets[read->n_datasets - 1]->name);
        more = read->more;
        wire_catalog_free(read);
    }
    assert_int_equal(seen, 71);
    assert_int_equal(pages, 2);
}

/* All pages together are the rows of the digest; the lobby takes every one of them. */
static void test_mock_pages_hold_all_rows(void **state)
{
    struct site *site = *state;
    uint64_t row = 0;
    size_t pages = 0;
    make_mock(site, 3000);
    site->policy.gate.output.list = POLICY_LIST_MEMBERS;
    for (; row < 3000; pages++) {
        Fds__Mock *read = NULL;
        struct reply reply = ask_mock(site, false, "made", row);
        assert_int_equal(reply.type, FDS__MESSAGE_TYPE__MESSAGE_MOCK);
        assert_true(reply.body_bytes < 60 * 1024);
        must(wire_mock_decode(reply.body, reply.body_bytes, &read));
        assert_true(read->first_row == row && read->rows == 3000);
        row += read->labels.len / 2;
        wire_mock_free(read);
        requests_reply_clear(&reply);
    }
    assert_int_equal(row, 3000);
    assert_true(pages > 1);
    site_expect_refusal(ask_mock(site, true, "made", 3000), ERROR_INVALID, "has 3000 rows");
}

/* Nothing of it is computed, approved or released. */
static void test_mock_needs_no_job_and_makes_none(void **state)
{
    struct site *site = *state;
    make_mock(site, 20);
    assert_true(gets_mock(site, true));
    assert_int_equal(site_count(site, "SELECT (SELECT count(*) FROM job) + (SELECT count(*) FROM answer)"),
                     0);
}

static void test_mock_made_and_removed_are_events(void **state)
{
    struct site *site = *state;
    make_mock(site, 20);
    make_mock(site, 30);
    must(store_mock_remove(site->store, "made", SITE_NOW));
    assert_int_equal(site_count(site, "SELECT count(*) FROM event WHERE kind = 'mock-made'"), 2);
    assert_int_equal(site_count(site, "SELECT count(*) FROM event WHERE kind = 'mock-removed'"), 1);
    assert_int_equal(site_count(site, "SELECT count(*) FROM mock_page"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_catalog_who_is_told_by_the_policy),
        TEST(test_mock_unlisted_dataset_is_like_none),
        TEST(test_mock_listed_without_one_names_the_owners_command),
        TEST(test_catalog_tells_the_schema_and_no_more),
        TEST(test_catalog_rows_are_withheld_by_the_output_rules),
        TEST(test_catalog_rows_are_withheld_where_numbers_leave_with_noise),
        TEST(test_catalog_many_datasets_come_in_pages),
        TEST(test_mock_pages_hold_all_rows),
        TEST(test_mock_needs_no_job_and_makes_none),
        TEST(test_mock_made_and_removed_are_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
