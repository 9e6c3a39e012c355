/* The session's contract, between sessions in one process over loopback: up, ask, answer, both dial
 * directions. */
#include "tests/unit/transport/node.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ASK 32
#define ANSWER 34

static void test_session_dialled_listed_peer_comes_up(void **state)
{
    struct scene *scene = *state;
    scene_connect(scene);
    assert_true(session_is_up(scene->nodes[0].session, &scene->nodes[1].id));
    assert_true(session_is_up(scene->nodes[1].session, &scene->nodes[0].id));
}

static void test_session_up_says_what_the_peer_runs(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    node_open(scene, a, &(struct node_plan){.listens = true, .listed = &b->id, .listed_count = 1});
    node_open(scene, b, &(struct node_plan){0});
    node_dial(b, a);
    struct session_event up = node_wait(scene, a, SESSION_UP);
    assert_string_equal(up.peer_software, "datasite " DATASITE_VERSION);
    up = node_wait(scene, b, SESSION_UP);
    assert_string_equal(up.peer_software, "datasite " DATASITE_VERSION);
}

static void ask_and_answer(struct scene *scene, struct node *from, struct node *to)
{
    uint64_t number = node_ask(from, to, ASK, "question");
    struct session_event asked = node_wait(scene, to, SESSION_MESSAGE);
    assert_int_equal(asked.type, ASK);
    assert_int_equal(asked.answers, 0);
    assert_int_equal(asked.body_bytes, strlen("question"));
    assert_memory_equal(asked.body, "question", asked.body_bytes);
    assert_true(site_id_equal(&asked.peer, &from->id));
    assert_string_equal(asked.peer_name, from->name);
    node_answer(to, from, asked.number, ANSWER, "answer");
    session_event_clear(&asked);
    struct session_event answered = node_wait(scene, from, SESSION_MESSAGE);
    assert_int_equal(answered.type, ANSWER);
    assert_int_equal(answered.answers, number);
    assert_memory_equal(answered.body, "answer", answered.body_bytes);
    session_event_clear(&answered);
}

static void test_session_listener_asks_dialler_and_gets_the_answer(void **state)
{
    struct scene *scene = *state;
    scene_connect(scene);
    ask_and_answer(scene, &scene->nodes[0], &scene->nodes[1]);
}

static void test_session_dialler_asks_listener_and_gets_the_answer(void **state)
{
    struct scene *scene = *state;
    scene_connect(scene);
    ask_and_answer(scene, &scene->nodes[1], &scene->nodes[0]);
}

static void test_session_request_before_the_peer_is_up_waits_for_it(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    node_open(scene, a, &(struct node_plan){.listens = true, .listed = &b->id, .listed_count = 1});
    node_open(scene, b, &(struct node_plan){0});
    (void)node_ask(b, a, ASK, "early");
    node_dial(b, a);
    struct session_event asked = node_wait(scene, a, SESSION_MESSAGE);
    assert_memory_equal(asked.body, "early", asked.body_bytes);
    session_event_clear(&asked);
}

static void test_session_large_message_arrives_whole(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    scene_connect(scene);
    size_t bytes = 13u << 20;
    uint8_t *body = malloc(bytes);
    assert_non_null(body);
    for (size_t i = 0; i < bytes; i++)
        body[i] = (uint8_t)(i * 7 + i / 251);
    uint64_t number = 0;
    node_succeeds(session_request(a->session, &b->id, ASK, body, bytes, &number));
    struct session_event asked = node_wait(scene, b, SESSION_MESSAGE);
    assert_int_equal(asked.body_bytes, bytes);
    assert_memory_equal(asked.body, body, bytes);
    session_event_clear(&asked);
    free(body);
}

static void test_session_too_many_requests_are_busy(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    uint64_t number = 0;
    scene_connect(scene);
    for (int i = 0; i < LIMIT_OUTSTANDING; i++)
        (void)node_ask(a, &scene->nodes[1], ASK, "again");
    node_expect_error(session_request(a->session, &scene->nodes[1].id, ASK, "x", 1, &number), ERROR_BUSY,
                      "has not answered 8 requests");
}

static void test_session_second_large_request_is_busy(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    static const uint8_t body[LIMIT_LOBBY_MESSAGE];
    uint64_t number = 0;
    scene_connect(scene);
    node_succeeds(session_request(a->session, &scene->nodes[1].id, ASK, body, sizeof(body), &number));
    node_expect_error(session_request(a->session, &scene->nodes[1].id, ASK, body, sizeof(body), &number),
                      ERROR_BUSY, "large request");
    node_succeeds(session_request(a->session, &scene->nodes[1].id, ASK, body, 1, &number));
}

static void test_session_forgotten_request_makes_room_and_its_late_answer_is_dropped(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    scene_connect(scene);
    uint64_t number = node_ask(a, b, ASK, "slow");
    struct session_event asked = node_wait(scene, b, SESSION_MESSAGE);
    session_forget(a->session, &b->id, number);
    node_answer(b, a, asked.number, ANSWER, "late");
    session_event_clear(&asked);
    ask_and_answer(scene, a, b); /* the late answer would have come before this one */
}

static void test_session_second_answer_to_a_request_is_refused(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    scene_connect(scene);
    (void)node_ask(a, b, ASK, "once");
    struct session_event asked = node_wait(scene, b, SESSION_MESSAGE);
    node_answer(b, a, asked.number, ANSWER, "one");
    node_expect_error(session_answer(b->session, &a->id, asked.number, ANSWER, "two", 3), ERROR_NOT_FOUND,
                      "answered");
    session_event_clear(&asked);
}

static void test_session_close_says_goodbye(void **state)
{
    struct scene *scene = *state;
    scene_connect(scene);
    node_close(&scene->nodes[0]);
    struct session_event down = node_wait(scene, &scene->nodes[1], SESSION_DOWN);
    node_expect_sentence(&down, "goodbye");
    assert_false(session_is_up(scene->nodes[1].session, &scene->nodes[0].id));
}

static void *turn_session(void *argument)
{
    struct node *node = argument;
    struct session_event event = {0};
    int64_t until = clock_monotonic_ms() + NODE_WAIT_MS;
    while (event.kind != SESSION_DOWN && clock_monotonic_ms() < until) {
        session_event_clear(&event);
        node_succeeds(session_next(node->session, 20, &event));
    }
    node->events[node->event_count++] = event;
    return NULL;
}

/* The peer hangs up as soon as it hears the goodbye, and nothing is waited for after that. */
static void test_session_close_waits_for_a_living_peer_only_until_it_hangs_up(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    pthread_t thread;
    scene->times.closing = 100 * NODE_WAIT_MS; /* this test would not end in time */
    scene_connect(scene);
    assert_int_equal(pthread_create(&thread, NULL, turn_session, a), 0);
    node_close(b);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(node_count(a, SESSION_DOWN), 1);
    assert_int_equal(node_count(a, SESSION_UP), 0); /* and the dialler has not come again */
}

static void test_session_drop_ends_the_connection_and_does_not_dial_again(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    scene_connect(scene);
    node_succeeds(session_drop(b->session, &a->id));
    struct session_event down = node_wait(scene, a, SESSION_DOWN);
    node_expect_sentence(&down, "goodbye");
    scene_turn(scene, 600); /* several times the longest back-off of this test */
    assert_int_equal(node_count(a, SESSION_UP), 0);
}

static void test_session_wake_fd_readable_shows_wake(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    const uint64_t one = 1;
    int wake = eventfd(0, EFD_NONBLOCK);
    node_open(scene, a, &(struct node_plan){.wake_fd = wake});
    assert_int_equal(write(wake, &one, sizeof(one)), sizeof(one));
    (void)node_wait(scene, a, SESSION_WAKE);
    node_close(a);
    (void)close(wake);
}

/* Readable all the time and never drained: messages still come through. */
static void test_session_wake_fd_always_readable_does_not_starve_messages(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    struct session_event event = {0};
    int64_t until = clock_monotonic_ms() + NODE_WAIT_MS;
    int wake = eventfd(1, EFD_NONBLOCK);
    node_open(scene, a,
              &(struct node_plan){.listens = true, .listed = &b->id, .listed_count = 1, .wake_fd = wake});
    node_open(scene, b, &(struct node_plan){0});
    node_dial(b, a);
    (void)node_ask(b, a, ASK, "through");
    while (event.kind != SESSION_MESSAGE && clock_monotonic_ms() < until) {
        session_event_clear(&event);
        node_succeeds(session_next(a->session, 2, &event));
        struct session_event other;
        node_succeeds(session_next(b->session, 2, &other));
        session_event_clear(&other);
    }
    assert_int_equal(event.kind, SESSION_MESSAGE);
    session_event_clear(&event);
    node_close(a);
    (void)close(wake);
}

/* A peer that does not keep the rule of eight. */
static void test_session_peer_with_too_many_requests_is_refused(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    scene_connect(scene);
    struct session_peer *peer = session_peer_of(b->session, &a->id);
    for (int i = 0; i <= LIMIT_OUTSTANDING; i++) {
        peer->asked_count = 0;
        (void)node_ask(b, a, ASK, "more");
    }
    struct session_event down = node_wait(scene, a, SESSION_DOWN);
    node_expect_sentence(&down, "more than 8 requests");
    for (int i = 0; i < LIMIT_OUTSTANDING; i++) {
        struct session_event asked = node_wait(scene, a, SESSION_MESSAGE);
        session_event_clear(&asked);
    }
    assert_int_equal(node_count(a, SESSION_MESSAGE), 0);
    peer->asked_count = LIMIT_OUTSTANDING + 1;
}

static void test_session_port_taken_is_unavailable(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    node_open(scene, a, &(struct node_plan){.listens = true});
    char endpoint[64];
    (void)snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%u", (unsigned)session_port(a->session));
    const struct session_options options = {.identity = scene->nodes[1].identity,
                                            .name = "Beta",
                                            .directory = scene->folder,
                                            .listen = endpoint,
                                            .wake_fd = -1};
    struct session *session = NULL;
    node_expect_error(session_open(&options, &session), ERROR_UNAVAILABLE, "in use");
    assert_null(session);
}

static void test_session_long_directory_still_opens(void **state)
{
    struct scene *scene = *state;
    char directory[NODE_PATH_BYTES];
    (void)snprintf(directory, sizeof(directory), "%.100s/%0120d", scene->folder, 7);
    const struct session_options options = {
        .identity = scene->nodes[0].identity, .name = "Alpha", .directory = directory, .wake_fd = -1};
    node_succeeds(session_open(&options, &scene->nodes[0].session));
}

static void test_session_dial_of_itself_is_refused(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    node_open(scene, a, &(struct node_plan){0});
    node_expect_error(session_dial(a->session, &a->id, "tcp://127.0.0.1:9"), ERROR_INVALID, "itself");
}

static void test_session_unreachable_peer_is_told_once(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    node_open(scene, a, &(struct node_plan){0});
    node_dial_port(a, &scene->nodes[1], 9);
    struct session_event down = node_wait(scene, a, SESSION_DOWN);
    node_expect_sentence(&down, "cannot be reached");
    assert_true(site_id_equal(&down.peer, &scene->nodes[1].id));
    scene_turn(scene, 600);
    assert_int_equal(node_count(a, SESSION_DOWN), 0);
}

static void test_session_localhost_by_name_comes_up(void **state)
{
    struct scene *scene = *state;
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    char endpoint[64];
    node_open(scene, a, &(struct node_plan){.listens = true, .listed = &b->id, .listed_count = 1});
    node_open(scene, b, &(struct node_plan){0});
    (void)snprintf(endpoint, sizeof(endpoint), "tcp://localhost:%u", (unsigned)session_port(a->session));
    node_succeeds(session_dial(b->session, &a->id, endpoint));
    (void)node_wait(scene, b, SESSION_UP);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, scene_begin, scene_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_session_dialled_listed_peer_comes_up),
        SCENE_TEST(test_session_up_says_what_the_peer_runs),
        SCENE_TEST(test_session_listener_asks_dialler_and_gets_the_answer),
        SCENE_TEST(test_session_dialler_asks_listener_and_gets_the_answer),
        SCENE_TEST(test_session_request_before_the_peer_is_up_waits_for_it),
        SCENE_TEST(test_session_large_message_arrives_whole),
        SCENE_TEST(test_session_too_many_requests_are_busy),
        SCENE_TEST(test_session_second_large_request_is_busy),
        SCENE_TEST(test_session_forgotten_request_makes_room_and_its_late_answer_is_dropped),
        SCENE_TEST(test_session_second_answer_to_a_request_is_refused),
        SCENE_TEST(test_session_close_says_goodbye),
        SCENE_TEST(test_session_close_waits_for_a_living_peer_only_until_it_hangs_up),
        SCENE_TEST(test_session_drop_ends_the_connection_and_does_not_dial_again),
        SCENE_TEST(test_session_wake_fd_readable_shows_wake),
        SCENE_TEST(test_session_wake_fd_always_readable_does_not_starve_messages),
        SCENE_TEST(test_session_peer_with_too_many_requests_is_refused),
        SCENE_TEST(test_session_port_taken_is_unavailable),
        SCENE_TEST(test_session_long_directory_still_opens),
        SCENE_TEST(test_session_dial_of_itself_is_refused),
        SCENE_TEST(test_session_unreachable_peer_is_told_once),
        SCENE_TEST(test_session_localhost_by_name_comes_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
