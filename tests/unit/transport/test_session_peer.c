/* The bookkeeping of requests and kept answers, without a network. */
#include "tests/unit/transport/node.h"

#define ASK 32

static int table_begin(void **state)
{
    struct session *session = calloc(1, sizeof(*session));
    assert_non_null(session);
    session->peers = calloc(SESSION_PEERS_MOST, sizeof(struct session_peer *));
    assert_non_null(session->peers);
    *state = session;
    return 0;
}

static int table_end(void **state)
{
    struct session *session = *state;
    for (size_t i = 0; i < session->peer_count; i++)
        session_peer_free(session, session->peers[i]);
    free(session->peers);
    free(session);
    return 0;
}

static struct site_id id_of(uint32_t number)
{
    struct site_id id = {0};
    memcpy(id.digest.bytes, &number, sizeof(number));
    return id;
}

static struct session_peer *need(struct session *session, uint32_t number)
{
    const struct site_id id = id_of(number);
    struct session_peer *peer = NULL;
    node_succeeds(session_peer_need(session, &id, &peer));
    return peer;
}

static enum session_peer_verdict serve(struct session *session, struct session_peer *peer, uint64_t number,
                                       uint64_t *ret_ticket)
{
    enum session_peer_verdict verdict = REQUEST_NEW;
    node_succeeds(session_peer_serve(session, peer, number, &verdict, ret_ticket));
    return verdict;
}

static void test_session_peer_request_seen_before_is_not_new(void **state)
{
    struct session_peer *peer = need(*state, 1);
    uint64_t ticket = 0;
    assert_int_equal(serve(*state, peer, 5, &ticket), REQUEST_NEW);
    assert_int_equal(serve(*state, peer, 5, &ticket), REQUEST_KNOWN);
    assert_int_equal(peer->pending_count, 1);
}

static void test_session_peer_answered_request_seen_again_is_due(void **state)
{
    struct session_peer *peer = need(*state, 1);
    uint64_t ticket = 0;
    (void)serve(*state, peer, 5, &ticket);
    node_succeeds(session_peer_answer(*state, peer, ticket, ASK, "x", 1));
    assert_false(peer->served->due); /* it is down: nothing to send it on */
    assert_int_equal(serve(*state, peer, 5, &ticket), REQUEST_KNOWN);
    assert_true(peer->served->due);
}

static void test_session_peer_ninth_waiting_request_is_too_many(void **state)
{
    struct session_peer *peer = need(*state, 1);
    uint64_t ticket = 0;
    for (uint64_t number = 1; number <= LIMIT_OUTSTANDING; number++)
        assert_int_equal(serve(*state, peer, number, &ticket), REQUEST_NEW);
    assert_int_equal(serve(*state, peer, LIMIT_OUTSTANDING + 1, &ticket), REQUEST_TOO_MANY);
}

static void test_session_peer_answers_kept_are_bounded_and_older_ones_stale(void **state)
{
    struct session *session = *state;
    struct session_peer *peer = need(session, 1);
    uint64_t ticket = 0;
    for (uint64_t number = 1; number <= SESSION_ANSWERS_KEPT + 3; number++) {
        assert_int_equal(serve(session, peer, number, &ticket), REQUEST_NEW);
        node_succeeds(session_peer_answer(session, peer, ticket, ASK, "xyz", 3));
    }
    assert_int_equal(peer->answered_count, SESSION_ANSWERS_KEPT);
    assert_int_equal(peer->answered_bytes, 3 * SESSION_ANSWERS_KEPT);
    assert_int_equal(session->answered_bytes, peer->answered_bytes);
    assert_int_equal(serve(session, peer, 3, &ticket), REQUEST_STALE);
    assert_int_equal(serve(session, peer, 4, &ticket), REQUEST_KNOWN);
}

static void test_session_peer_answers_of_all_peers_are_bounded_in_bytes(void **state)
{
    struct session *session = *state;
    struct session_peer *first = need(session, 1);
    struct session_peer *second = need(session, 2);
    uint64_t ticket = 0;
    (void)serve(session, first, 1, &ticket);
    node_succeeds(session_peer_answer(session, first, ticket, ASK, "old", 3));
    session->answered_bytes += LIMIT_REASSEMBLY; /* as if many others had theirs */
    (void)serve(session, second, 1, &ticket);
    node_succeeds(session_peer_answer(session, second, ticket, ASK, "new", 3));
    assert_int_equal(first->answered_count, 0);
    assert_int_equal(second->answered_count, 1); /* the newest is always kept */
    session->answered_bytes -= LIMIT_REASSEMBLY;
}

static void test_session_peer_request_of_an_ended_connection_is_new_and_another_ticket(void **state)
{
    struct session *session = *state;
    struct session_peer *peer = need(session, 1);
    uint64_t old = 0;
    uint64_t ticket = 0;
    (void)serve(session, peer, 1, &old);
    session_peer_reset(session, peer);
    assert_int_equal(serve(session, peer, 1, &ticket), REQUEST_NEW);
    assert_int_not_equal(ticket, old);
    node_expect_error(session_peer_answer(session, peer, old, ASK, "x", 1), ERROR_NOT_FOUND, "has ended");
    node_succeeds(session_peer_answer(session, peer, ticket, ASK, "x", 1));
}

static void test_session_peer_answers_sent_and_unsent_are_dropped_with_the_connection(void **state)
{
    struct session *session = *state;
    struct session_peer *peer = need(session, 1);
    uint64_t ticket = 0;
    peer->state = PEER_UP;
    for (uint64_t number = 1; number <= 2; number++) {
        (void)serve(session, peer, number, &ticket);
        node_succeeds(session_peer_answer(session, peer, ticket, ASK, "secret", 6));
    }
    session_peer_sent(peer, peer->served);
    session_peer_reset(session, peer);
    assert_null(peer->served);
    assert_int_equal(peer->answered_count + peer->due_count + peer->pending_count, 0);
    assert_int_equal(session->answered_bytes, 0);
    assert_int_equal(serve(session, peer, 1, &ticket), REQUEST_NEW);
    assert_int_equal(serve(session, peer, 2, &ticket), REQUEST_NEW);
}

static void test_session_peer_with_nine_unsent_answers_is_behind_until_one_is_sent(void **state)
{
    struct session_peer *peer = need(*state, 1);
    uint64_t ticket = 0;
    peer->state = PEER_UP;
    for (uint64_t number = 1; number <= LIMIT_OUTSTANDING + 1; number++) {
        assert_false(session_peer_is_behind(peer));
        assert_int_equal(serve(*state, peer, number, &ticket), REQUEST_NEW);
        node_succeeds(session_peer_answer(*state, peer, ticket, ASK, "x", 1));
    }
    assert_true(session_peer_is_behind(peer));
    session_peer_sent(peer, peer->served);
    assert_false(session_peer_is_behind(peer));
    assert_int_equal(serve(*state, peer, 1, &ticket), REQUEST_KNOWN); /* asking for one again counts too */
    assert_true(session_peer_is_behind(peer));
}

static void test_session_peer_beyond_the_bound_replaces_the_one_down_longest(void **state)
{
    struct session *session = *state;
    uint64_t number = 0;
    uint8_t *body = NULL;
    for (uint32_t i = 0; i < SESSION_PEERS_MOST; i++)
        need(session, i)->down_since = 100 + (int64_t)i;
    node_succeeds(session_peer_copy("x", 1, &body));
    node_succeeds(
        session_peer_ask(need(session, 0), ASK, &body, 1, &number)); /* somebody waits for this one */
    assert_null(body);
    need(session, 1)->dialled = true;
    need(session, 2)->state = PEER_UP;
    (void)need(session, SESSION_PEERS_MOST);
    assert_int_equal(session->peer_count, SESSION_PEERS_MOST);
    const struct site_id gone = id_of(3);
    assert_null(session_peer_of(session, &gone));
    for (uint32_t i = 0; i < 3; i++) {
        const struct site_id kept = id_of(i);
        assert_non_null(session_peer_of(session, &kept));
    }
}

#define TABLE_TEST(name) cmocka_unit_test_setup_teardown(name, table_begin, table_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(test_session_peer_request_seen_before_is_not_new),
        TABLE_TEST(test_session_peer_answered_request_seen_again_is_due),
        TABLE_TEST(test_session_peer_ninth_waiting_request_is_too_many),
        TABLE_TEST(test_session_peer_answers_kept_are_bounded_and_older_ones_stale),
        TABLE_TEST(test_session_peer_answers_of_all_peers_are_bounded_in_bytes),
        TABLE_TEST(test_session_peer_request_of_an_ended_connection_is_new_and_another_ticket),
        TABLE_TEST(test_session_peer_answers_sent_and_unsent_are_dropped_with_the_connection),
        TABLE_TEST(test_session_peer_with_nine_unsent_answers_is_behind_until_one_is_sent),
        TABLE_TEST(test_session_peer_beyond_the_bound_replaces_the_one_down_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
