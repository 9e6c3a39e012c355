/* Heads that requesters present and the chain lacks: noted once, open until the owner accepts, whatever the table of
 * them is edited to. */
#include "datasite/store_internal.h"
#include "tests/unit/datasite/walk.h"
#include "tests/unit/datasite/workspace.h"

#define NOW 1790000000

static const struct site_id ann = {{{0xa1}}}, bob = {{{0xb1}}};
static const struct chain_head ninth = {.sequence = 9, .hash = {{9}}},
                               tenth = {.sequence = 10, .hash = {{10}}};

static struct store *made(const struct workspace *workspace)
{
    struct store *store = workspace_store(workspace);
    must(store_event_add(store, EVENT_SITE_CREATED, NULL, NULL, 0, NOW, "made", NULL));
    return store;
}

static bool contradict(struct store *store, const struct site_id *requester, const struct chain_head *head)
{
    bool is_open = false;
    must(store_contradict(store, requester, head, NOW, &is_open));
    return is_open;
}

static bool open_at(struct store *store)
{
    bool is_open = false;
    must(store_contradiction_open(store, &is_open));
    return is_open;
}

static uint64_t events(struct store *store)
{
    uint64_t count = 0;
    must(store_event_count_ever(store, &count));
    return count;
}

static uint32_t accept(struct store *store)
{
    uint32_t accepted = 99;
    must(store_contradictions_accept(store, "restored the backup of Friday", NOW + 5, &accepted));
    return accepted;
}

static void test_store_contradiction_is_noted_once_and_open(void **state)
{
    const struct workspace *workspace = *state;
    struct store *store = made(workspace);
    struct contradiction *list = NULL;
    size_t count = 0;
    assert_false(open_at(store));
    assert_true(contradict(store, &ann, &ninth));
    assert_true(contradict(store, &ann, &ninth));
    assert_true(open_at(store));
    assert_int_equal(events(store), 2);
    must(store_contradictions(store, &list, &count));
    assert_int_equal(count, 1);
    assert_true(site_id_equal(&list[0].requester, &ann));
    assert_int_equal(list[0].sequence, 9);
    assert_true(digest_equal(&list[0].head, &ninth.hash));
    assert_int_equal(list[0].found_at, NOW);
    assert_int_equal(list[0].accepted_at, 0);
    free(list);
    assert_int_equal(walk_events(store, workspace->identity).first_bad, 0);
    store_close(store);
}

static void test_store_contradiction_accepted_stays_accepted(void **state)
{
    struct store *store = made(*state);
    struct contradiction *list = NULL;
    size_t count = 0;
    assert_true(contradict(store, &ann, &ninth));
    assert_true(contradict(store, &bob, &tenth));
    assert_int_equal(accept(store), 2);
    assert_int_equal(events(store), 4);
    assert_false(open_at(store));
    assert_false(contradict(store, &ann, &ninth));
    assert_false(contradict(store, &bob, &ninth));
    assert_false(open_at(store));
    assert_int_equal(events(store), 4);
    must(store_contradictions(store, &list, &count));
    assert_int_equal(count, 2);
    assert_int_equal(list[0].accepted_at, NOW + 5);
    assert_int_equal(list[1].accepted_at, NOW + 5);
    free(list);
    assert_int_equal(accept(store), 0);
    assert_int_equal(events(store), 4);
    store_close(store);
}

/* A requester with two old receipts presents them in turn: neither comes back, nor fills the chain. */
static void test_store_contradiction_presented_in_turn_changes_nothing(void **state)
{
    struct store *store = made(*state);
    assert_true(contradict(store, &ann, &ninth));
    assert_true(contradict(store, &ann, &tenth));
    assert_int_equal(accept(store), 2);
    uint64_t before = events(store);
    for (int i = 0; i < 4; i++)
        assert_false(contradict(store, &ann, i % 2 == 0 ? &ninth : &tenth));
    assert_false(open_at(store));
    assert_int_equal(events(store), before);
    store_close(store);
}

static void test_store_contradiction_another_after_acceptance_is_open(void **state)
{
    struct store *store = made(*state);
    assert_true(contradict(store, &ann, &tenth));
    assert_int_equal(accept(store), 1);
    assert_true(contradict(store, &ann, &ninth));
    assert_true(open_at(store));
    assert_int_equal(accept(store), 1);
    assert_false(open_at(store));
    store_close(store);
}

static void test_store_contradiction_edited_away_stays_open(void **state)
{
    static const char *const edits[] = {"DELETE FROM contradiction",
                                        "UPDATE contradiction SET accepted_at = 5",
                                        "UPDATE contradiction SET requester = zeroblob(32)"};
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        assert_int_equal(workspace_make(state), 0);
        struct store *store = made(*state);
        assert_true(contradict(store, &ann, &ninth));
        must(database_run(store->database, edits[i]));
        assert_true(open_at(store));
        assert_true(contradict(store, &ann, &ninth));
        assert_int_equal(accept(store), 1);
        assert_false(open_at(store));
        store_close(store);
        assert_int_equal(workspace_remove(state), 0);
    }
}

static void test_store_contradiction_beyond_any_number_is_invalid(void **state)
{
    struct store *store = made(*state);
    const struct chain_head beyond = {.sequence = (uint64_t)INT64_MAX + 1, .hash = {{1}}};
    bool is_open = false;
    refused(store_contradict(store, &ann, &beyond, NOW, &is_open), ERROR_INVALID, "beyond");
    assert_false(open_at(store));
    store_close(store);
}

/* Asked at every request, so it must not read all events. */
static void test_store_contradiction_open_is_found_by_index(void **state)
{
    struct store *store = made(*state);
    struct query query;
    query_start(&query, store->database,
                "EXPLAIN QUERY PLAN SELECT count(*) FROM event WHERE kind = 'chain-contradicted' AND id > 5");
    assert_true(query_step(&query));
    assert_non_null(strstr(query_text(&query, 3), "event_of_chain"));
    must(query_end(&query));
    store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, workspace_make, workspace_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_store_contradiction_is_noted_once_and_open),
        TEST(test_store_contradiction_accepted_stays_accepted),
        TEST(test_store_contradiction_presented_in_turn_changes_nothing),
        TEST(test_store_contradiction_another_after_acceptance_is_open),
        cmocka_unit_test(test_store_contradiction_edited_away_stays_open),
        TEST(test_store_contradiction_beyond_any_number_is_invalid),
        TEST(test_store_contradiction_open_is_found_by_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
