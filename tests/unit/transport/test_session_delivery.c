/* Connections that are cut, slow, damaged, doubled or silent: nothing is lost but time, nothing is shown
 * twice. */
#include "tests/unit/transport/fault.h"
#include "tests/unit/transport/node.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#define ASK 32
#define ANSWER 34

/* a listens, b dials it through a forwarder; not turned yet. */
static struct fault *scene_through_fault(struct scene *scene)
{
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    node_open(scene, a, &(struct node_plan){.listens = true, .listed = &b->id, .listed_count = 1});
    node_open(scene, b, &(struct node_plan){.listed = &a->id, .listed_count = 1});
    struct fault *fault = fault_open(session_port(a->session));
    assert_non_null(fault);
    node_dial_port(b, a, fault->port);
    return fault;
}

static void wait_both_up(struct scene *scene)
{
    (void)node_wait(scene, &scene->nodes[1], SESSION_UP);
    (void)node_wait(scene, &scene->nodes[0], SESSION_UP);
}

static void test_session_delivery_cut_in_mid_message_shows_it_once(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    struct fault *fault = scene_through_fault(scene);
    size_t bytes = 8u << 20;
    uint64_t number = 0;
    uint8_t *body = malloc(bytes);
    assert_non_null(body);
    memset(body, 0x5a, bytes);
    wait_both_up(scene);
    atomic_store(&fault->rules.cut_at[0], 3 << 20);
    node_succeeds(session_request(b->session, &a->id, ASK, body, bytes, &number));
    (void)node_wait(scene, b, SESSION_DOWN);
    atomic_store(&fault->rules.cut_at[0], -1);
    struct session_event asked = node_wait(scene, a, SESSION_MESSAGE);
    assert_int_equal(asked.body_bytes, bytes);
    assert_memory_equal(asked.body, body, bytes);
    node_answer(a, b, asked.number, ANSWER, "whole");
    session_event_clear(&asked);
    struct session_event answered = node_wait(scene, b, SESSION_MESSAGE);
    assert_int_equal(answered.answers, number);
    session_event_clear(&answered);
    assert_int_equal(node_count(a, SESSION_MESSAGE), 0);
    free(body);
    fault_close(fault);
}

/* Work that outlasts its connection: its ticket is void, and the request comes again. */
static void test_session_delivery_request_being_worked_on_comes_again_after_reconnecting(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    struct fault *fault = scene_through_fault(scene);
    wait_both_up(scene);
    uint64_t number = node_ask(b, a, ASK, "slow work");
    struct session_event asked = node_wait(scene, a, SESSION_MESSAGE);
    atomic_store(&fault->rules.stalled[0], true);
    atomic_store(&fault->rules.cut_now, true);
    (void)node_wait(scene, a, SESSION_DOWN);
    node_expect_error(session_answer(a->session, &b->id, asked.number, ANSWER, "old", 3), ERROR_NOT_FOUND,
                      "has ended");
    session_event_clear(&asked);
    atomic_store(&fault->rules.stalled[0], false);
    asked = node_wait(scene, a, SESSION_MESSAGE);
    assert_memory_equal(asked.body, "slow work", asked.body_bytes);
    node_answer(a, b, asked.number, ANSWER, "done");
    session_event_clear(&asked);
    struct session_event answered = node_wait(scene, b, SESSION_MESSAGE);
    assert_int_equal(answered.answers, number);
    assert_memory_equal(answered.body, "done", answered.body_bytes);
    session_event_clear(&answered);
    assert_int_equal(node_count(a, SESSION_MESSAGE), 0);
    fault_close(fault);
}

/* An answer that the peer never got is not given out on its next connection: what was allowed may not be any
 * more. */
static void test_session_delivery_lost_answer_is_asked_of_the_program_again(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    struct fault *fault = scene_through_fault(scene);
    wait_both_up(scene);
    uint64_t number = node_ask(b, a, ASK, "question");
    struct session_event asked = node_wait(scene, a, SESSION_MESSAGE);
    atomic_store(&fault->rules.stalled[1], true);
    node_answer(a, b, asked.number, ANSWER, "allowed");
    session_event_clear(&asked);
    scene_turn(scene, 100);
    assert_int_equal(node_count(b, SESSION_MESSAGE), 0);
    atomic_store(&fault->rules.cut_now, true);
    (void)node_wait(scene, b, SESSION_DOWN);
    atomic_store(&fault->rules.stalled[1], false);
    asked = node_wait(scene, a, SESSION_MESSAGE);
    assert_int_equal(node_count(b, SESSION_MESSAGE), 0);
    node_answer(a, b, asked.number, ANSWER, "revoked");
    session_event_clear(&asked);
    struct session_event answered = node_wait(scene, b, SESSION_MESSAGE);
    assert_int_equal(answered.answers, number);
    assert_memory_equal(answered.body, "revoked", answered.body_bytes);
    session_event_clear(&answered);
    scene_turn(scene, 100);
    assert_int_equal(node_count(a, SESSION_MESSAGE), 0);
    assert_int_equal(node_count(b, SESSION_MESSAGE), 0);
    fault_close(fault);
}

/* Within one connection: the number again, and the answer again, without the program. */
static void test_session_delivery_number_twice_on_one_connection_is_answered_from_memory(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    scene_connect(scene);
    uint64_t number = node_ask(b, a, ASK, "question");
    struct session_event asked = node_wait(scene, a, SESSION_MESSAGE);
    node_answer(a, b, asked.number, ANSWER, "answer");
    session_event_clear(&asked);
    struct session_event answered = node_wait(scene, b, SESSION_MESSAGE);
    session_event_clear(&answered);
    struct session_peer *peer = session_peer_of(b->session, &a->id);
    peer->last_number = number - 1; /* a peer that has forgotten that it asked */
    assert_int_equal(node_ask(b, a, ASK, "question"), number);
    answered = node_wait(scene, b, SESSION_MESSAGE);
    assert_int_equal(answered.answers, number);
    assert_memory_equal(answered.body, "answer", answered.body_bytes);
    session_event_clear(&answered);
    assert_int_equal(node_count(a, SESSION_MESSAGE), 0);
}

/* A reload may have taken the permission away, even while the connection is not ended yet. */
static void test_session_delivery_number_twice_around_a_reload_is_not_answered_from_memory(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    const struct session_trust same = {.listed = &b->id, .listed_count = 1};
    scene_connect(scene);
    uint64_t number = node_ask(b, a, ASK, "question");
    struct session_event asked = node_wait(scene, a, SESSION_MESSAGE);
    node_answer(a, b, asked.number, ANSWER, "answer");
    session_event_clear(&asked);
    struct session_event answered = node_wait(scene, b, SESSION_MESSAGE);
    session_event_clear(&answered);
    node_succeeds(session_reload(a->session, a->identity, &same));
    session_peer_of(b->session, &a->id)->last_number = number - 1;
    assert_int_equal(node_ask(b, a, ASK, "question"), number);
    answered = node_wait(scene, b, SESSION_MESSAGE);
    assert_int_equal(answered.type, REFUSAL);
    session_event_clear(&answered);
    assert_true(session_is_up(a->session, &b->id));
}

#define GREEDY_ASKS 40
#define GREEDY_ANSWER_BYTES ((size_t)1 << 20)

/* Answers whatever `a` has shown with a megabyte; returns how many. */
static size_t greedy_answer(struct node *a, const struct node *b)
{
    static const uint8_t body[GREEDY_ANSWER_BYTES];
    size_t answered = 0;
    for (size_t i = 0; i < a->event_count; i++) {
        if (a->events[i].kind == SESSION_MESSAGE) {
            node_succeeds(
                session_answer(a->session, &b->id, a->events[i].number, ANSWER, body, sizeof(body)));
            answered++;
        }
        session_event_clear(&a->events[i]);
    }
    a->event_count = 0;
    return answered;
}

/* A peer that asks on and on and reads nothing: what is kept for it stays bounded; it gets all when it reads.
 */
static void test_session_delivery_peer_that_asks_and_never_reads_is_left_unread(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    struct fault *fault = scene_through_fault(scene);
    size_t answered = 0;
    size_t got = 0;
    wait_both_up(scene);
    struct session_peer *greedy = session_peer_of(b->session, &a->id);
    const struct session_peer *kept = session_peer_of(a->session, &b->id);
    atomic_store(&fault->rules.stalled[1], true);
    for (size_t i = 0; i < GREEDY_ASKS; i++) {
        greedy->asked_count = 0; /* it does not keep the rule of eight */
        (void)node_ask(b, a, ASK, "more");
        scene_turn(scene, 20);
        answered += greedy_answer(a, b);
        assert_true(kept->due_count + kept->pending_count <= LIMIT_OUTSTANDING + 1);
        assert_true(kept->answered_count <= SESSION_ANSWERS_KEPT);
    }
    greedy->asked_count = GREEDY_ASKS;
    assert_true(session_peer_is_behind(kept));
    assert_true(answered < GREEDY_ASKS);
    atomic_store(&fault->rules.stalled[1], false);
    while (got < GREEDY_ASKS) {
        struct session_event answer = node_wait(scene, b, SESSION_MESSAGE);
        session_event_clear(&answer);
        got++;
        answered += greedy_answer(a, b);
    }
    assert_int_equal(answered, GREEDY_ASKS);
    fault_close(fault);
}

static void test_session_delivery_one_byte_segments_come_up_and_answer(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    struct fault *fault = scene_through_fault(scene);
    atomic_store(&fault->rules.one_byte, true);
    wait_both_up(scene);
    uint64_t number = node_ask(a, b, ASK, "drop by drop");
    struct session_event asked = node_wait(scene, b, SESSION_MESSAGE);
    node_answer(b, a, asked.number, ANSWER, "bit by bit");
    session_event_clear(&asked);
    struct session_event answered = node_wait(scene, a, SESSION_MESSAGE);
    assert_int_equal(answered.answers, number);
    session_event_clear(&answered);
    fault_close(fault);
}

static void test_session_delivery_flipped_bit_ends_the_connection_and_the_message_comes_again(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    struct fault *fault = scene_through_fault(scene);
    wait_both_up(scene);
    atomic_store(&fault->rules.flip_at[0], atomic_load(&fault->passed[0]) + 40);
    (void)node_ask(b, a, ASK, "fragile");
    struct session_event down = node_wait(scene, a, SESSION_DOWN);
    node_expect_sentence(&down, "TLS with");
    struct session_event asked = node_wait(scene, a, SESSION_MESSAGE);
    assert_memory_equal(asked.body, "fragile", asked.body_bytes);
    session_event_clear(&asked);
    fault_close(fault);
}

/* Every place in the handshakes and the greetings: TLS, ZMTP, HELLO, WELCOME. */
static void test_session_delivery_cut_anywhere_in_the_handshake_comes_up_afterwards(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    scene->times.backoff_max = 20;
    for (int direction = 0; direction < 2; direction++)
        for (long long at = 0; at < 1800; at += 150) {
            struct fault *fault = scene_through_fault(scene);
            atomic_store(&fault->rules.cut_at[direction], at);
            int64_t until = clock_monotonic_ms() + 5000;
            while (atomic_load(&fault->passed[direction]) < at && node_count(b, SESSION_UP) == 0 &&
                   clock_monotonic_ms() < until)
                scene_turn(scene, 5);
            atomic_store(&fault->rules.cut_at[direction], -1);
            (void)node_wait(scene, b, SESSION_UP);
            node_close(a);
            node_close(b);
            fault_close(fault);
        }
}

static void test_session_delivery_silent_connection_is_given_up(void **state)
{
    struct scene *scene = *state;
    scene->times.ping = 100;
    scene->times.dead = 1000;
    struct fault *fault = scene_through_fault(scene);
    wait_both_up(scene);
    atomic_store(&fault->rules.stalled[0], true);
    struct session_event down = node_wait(scene, &scene->nodes[0], SESSION_DOWN);
    node_expect_sentence(&down, "Nothing was heard");
    fault_close(fault);
}

static void test_session_delivery_quiet_peers_stay_up_by_pings(void **state)
{
    struct scene *scene = *state;
    scene->times.ping = 100;
    scene->times.dead = 1000;
    scene_connect(scene);
    scene_turn(scene, 2500);
    assert_int_equal(node_count(&scene->nodes[0], SESSION_DOWN), 0);
    assert_int_equal(node_count(&scene->nodes[1], SESSION_DOWN), 0);
    assert_true(session_is_up(scene->nodes[0].session, &scene->nodes[1].id));
}

static void test_session_delivery_peer_that_stops_taking_part_is_given_up(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    scene->times.ping = 100;
    scene->times.dead = 1000;
    scene_connect(scene);
    struct session *stopped = scene->nodes[1].session;
    scene->nodes[1].session = NULL; /* its session_next is not called any more */
    struct session_event down = node_wait(scene, a, SESSION_DOWN);
    node_expect_sentence(&down, "Nothing was heard");
    scene->nodes[1].session = stopped;
}

static void test_session_delivery_replayed_bytes_do_not_disturb(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    struct fault *fault = scene_through_fault(scene);
    static uint8_t record[FAULT_RECORD_BYTES];
    wait_both_up(scene);
    (void)node_ask(b, a, ASK, "once");
    struct session_event asked = node_wait(scene, a, SESSION_MESSAGE);
    session_event_clear(&asked);
    size_t count = fault_record(fault, record, sizeof(record));
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(session_port(a->session)),
                                        .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int again = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(again, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(send(again, record, count, MSG_NOSIGNAL), count);
    (void)node_wait(scene, a, SESSION_REFUSED);
    assert_true(session_is_up(a->session, &b->id));
    assert_int_equal(node_count(a, SESSION_MESSAGE), 0);
    (void)close(again);
    fault_close(fault);
}

static void test_session_delivery_newest_connection_of_a_certificate_wins(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    struct node *twin = &scene->nodes[2];
    scene_connect(scene);
    identity_free(twin->identity);
    node_succeeds(identity_load(b->keys, &twin->identity));
    twin->id = b->id;
    node_open(scene, twin, &(struct node_plan){0});
    node_dial(twin, a);
    struct session_event down = node_wait(scene, a, SESSION_DOWN);
    node_expect_sentence(&down, "newer connection");
    (void)node_wait(scene, twin, SESSION_UP);
}

/* A peer's former life asked; the answer must not reach its present one. */
static void test_session_delivery_answer_for_a_former_life_is_refused(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    scene_connect(scene);
    (void)node_ask(b, a, ASK, "before");
    struct session_event asked = node_wait(scene, a, SESSION_MESSAGE);
    node_close(b);
    (void)node_wait(scene, a, SESSION_DOWN);
    node_open(scene, b, &(struct node_plan){0});
    node_dial(b, a);
    (void)node_wait(scene, a, SESSION_UP);
    node_expect_error(session_answer(a->session, &b->id, asked.number, ANSWER, "x", 1), ERROR_NOT_FOUND,
                      "has ended");
    session_event_clear(&asked);
}

static void test_session_delivery_both_dialling_each_other_settle_on_one_connection(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    node_open(scene, a, &(struct node_plan){.listens = true});
    node_open(scene, b, &(struct node_plan){.listens = true, .listed = &a->id, .listed_count = 1});
    node_close(a);
    node_open(scene, a, &(struct node_plan){.listens = true, .listed = &b->id, .listed_count = 1});
    node_dial(a, b);
    node_dial(b, a);
    (void)node_wait(scene, a, SESSION_UP);
    scene_turn(scene, 1500);
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < scene->nodes[i].event_count; j++)
            session_event_clear(&scene->nodes[i].events[j]);
    a->event_count = b->event_count = 0;
    scene_turn(scene, 500);
    assert_true(session_is_up(a->session, &b->id));
    assert_true(session_is_up(b->session, &a->id));
    assert_int_equal(node_count(a, SESSION_DOWN), 0);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, scene_begin, scene_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_session_delivery_cut_in_mid_message_shows_it_once),
        SCENE_TEST(test_session_delivery_request_being_worked_on_comes_again_after_reconnecting),
        SCENE_TEST(test_session_delivery_lost_answer_is_asked_of_the_program_again),
        SCENE_TEST(test_session_delivery_number_twice_on_one_connection_is_answered_from_memory),
        SCENE_TEST(test_session_delivery_number_twice_around_a_reload_is_not_answered_from_memory),
        SCENE_TEST(test_session_delivery_peer_that_asks_and_never_reads_is_left_unread),
        SCENE_TEST(test_session_delivery_one_byte_segments_come_up_and_answer),
        SCENE_TEST(test_session_delivery_flipped_bit_ends_the_connection_and_the_message_comes_again),
        SCENE_TEST(test_session_delivery_cut_anywhere_in_the_handshake_comes_up_afterwards),
        SCENE_TEST(test_session_delivery_silent_connection_is_given_up),
        SCENE_TEST(test_session_delivery_quiet_peers_stay_up_by_pings),
        SCENE_TEST(test_session_delivery_peer_that_stops_taking_part_is_given_up),
        SCENE_TEST(test_session_delivery_replayed_bytes_do_not_disturb),
        SCENE_TEST(test_session_delivery_newest_connection_of_a_certificate_wins),
        SCENE_TEST(test_session_delivery_answer_for_a_former_life_is_refused),
        SCENE_TEST(test_session_delivery_both_dialling_each_other_settle_on_one_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
