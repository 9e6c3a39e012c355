/* The tunnel without libzmq: two tunnels over loopback, their local ends plain socket pairs that speak just
 * enough ZMTP. Also what strangers may do. ThreadSanitizer can follow everything here. */
#include "tests/unit/transport/side.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_tunnel_bytes_arrive_unchanged_both_ways(void **state)
{
    struct side a;
    struct side b;
    sides_connect(*state, &a, &b);
    assert_int_equal(send(b.local, opening, OPENING_BYTES, 0), OPENING_BYTES);
    expect_bytes(a.local, opening, OPENING_BYTES);
    assert_int_equal(send(a.local, opening, OPENING_BYTES, 0), OPENING_BYTES);
    expect_bytes(b.local, opening, OPENING_BYTES);
    side_close(&b);
    side_close(&a);
}

static void expect_violation(void **state, const void *bytes, size_t count, const char *words)
{
    struct side a;
    struct side b;
    sides_connect(*state, &a, &b);
    assert_int_equal(send(b.local, opening, OPENING_BYTES, 0), OPENING_BYTES);
    assert_int_equal(send(b.local, bytes, count, MSG_NOSIGNAL), count);
    struct tunnel_event down = side_wait(&a, TUNNEL_DOWN);
    assert_true(down.refused);
    assert_int_equal(down.number, a.number);
    if (strstr(down.sentence, words) == NULL)
        fail_msg("expected '%s', got: %s", words, down.sentence);
    side_close(&b);
    side_close(&a);
}

static void test_tunnel_message_in_parts_ends_the_connection(void **state)
{
    expect_violation(state, "\1\1x\1\1x\1\1x", 9, "MORE");
}

static void test_tunnel_message_over_256_mib_ends_the_connection(void **state)
{
    expect_violation(state, "\2\0\0\0\0\x10\0\0\1", 9, "268435457");
}

static void test_tunnel_local_end_closed_ends_the_connection_after_sending_all(void **state)
{
    struct side a;
    struct side b;
    sides_connect(*state, &a, &b);
    assert_int_equal(send(b.local, opening, OPENING_BYTES, 0), OPENING_BYTES);
    (void)close(b.local);
    b.local = -1;
    expect_bytes(a.local, opening, OPENING_BYTES);
    (void)side_wait(&a, TUNNEL_DOWN);
    side_close(&b);
    side_close(&a);
}

static void test_tunnel_hang_up_sends_what_was_given_and_tells_the_sentence(void **state)
{
    struct side a;
    struct side b;
    sides_connect(*state, &a, &b);
    assert_int_equal(send(b.local, opening, OPENING_BYTES, 0), OPENING_BYTES);
    expect_bytes(a.local, opening, OPENING_BYTES);
    node_succeeds(tunnel_hang_up(b.tunnel, b.number, true, "Enough of this."));
    struct tunnel_event down = side_wait(&b, TUNNEL_DOWN);
    assert_string_equal(down.sentence, "Enough of this.");
    assert_true(down.refused);
    side_close(&b);
    side_close(&a);
}

/* ---- strangers ---- */

static void test_tunnel_plain_http_is_refused_by_name(void **state)
{
    struct scene *scene = *state;
    struct side a;
    side_open(scene, &scene->nodes[0], &(struct node_plan){.listens = true}, &a);
    int net = stranger(&a);
    assert_int_equal(send(net, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    struct tunnel_event down = side_wait(&a, TUNNEL_DOWN);
    assert_non_null(strstr(down.sentence, "HTTP"));
    assert_int_equal(down.number, 0);
    expect_end(net);
    side_close(&a);
}

static void test_tunnel_silent_strangers_are_closed_and_not_news(void **state)
{
    struct scene *scene = *state;
    struct side a;
    bool any = true;
    struct tunnel_event event;
    scene->times.handshake = 300;
    side_open(scene, &scene->nodes[0], &(struct node_plan){.listens = true}, &a);
    int net = stranger(&a);
    (void)close(net); /* what a health check does */
    net = stranger(&a);
    assert_int_equal(send(net, "x", 1, 0), 1);
    struct tunnel_event down = side_wait(&a, TUNNEL_DOWN);
    assert_non_null(strstr(down.sentence, "did not finish the TLS handshake"));
    node_succeeds(tunnel_next(a.tunnel, &any, &event));
    assert_false(any);
    expect_end(net);
    side_close(&a);
}

/* Far more refusals than the queue keeps: it stays bounded, and says how many it left out. */
static void test_tunnel_refusals_beyond_the_queue_are_counted(void **state)
{
    struct scene *scene = *state;
    struct side a;
    int64_t until = clock_monotonic_ms() + NODE_WAIT_MS;
    side_open(scene, &scene->nodes[0], &(struct node_plan){.listens = true}, &a);
    for (int i = 0; i < TUNNEL_REFUSALS_QUEUED + 20; i++) {
        int net = stranger(&a);
        (void)send(net, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL);
        expect_end(net);
    }
    size_t told = 0;
    bool counted = false;
    while (!counted && clock_monotonic_ms() < until) {
        bool any = false;
        struct tunnel_event event;
        node_succeeds(tunnel_next(a.tunnel, &any, &event));
        told += any;
        counted = any && strstr(event.sentence, "more were refused") != NULL;
    }
    assert_true(counted);
    assert_true(told <= TUNNEL_REFUSALS_QUEUED);
    side_close(&a);
}

static void test_tunnel_endpoint_is_taken_apart_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *endpoint;
        const char *host;
        const char *port;
    } good[] = {{"tcp://127.0.0.1:54879", "127.0.0.1", "54879"},
                {"tcp://[::1]:1", "::1", "1"},
                {"tcp://*:0", "*", "0"},
                {"tcp://site.example.org:65535", "site.example.org", "65535"}};
    static const char *const bad[] = {
        "127.0.0.1:1",     "tcp://:1",  "tcp://host", "tcp://host:",    "tcp://h:x", "tcp://h:65536",
        "tcp://::1:54879", "udp://h:1", "tcp://h:1x", "tcp://h:123456", "tcp://[]:1"};
    char host[TUNNEL_HOST_BYTES];
    char port[TUNNEL_PORT_BYTES];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        node_succeeds(tunnel_endpoint(good[i].endpoint, host, port));
        assert_string_equal(host, good[i].host);
        assert_string_equal(port, good[i].port);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        node_expect_error(tunnel_endpoint(bad[i], host, port), ERROR_INVALID, bad[i]);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, scene_begin, scene_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_tunnel_bytes_arrive_unchanged_both_ways),
        SCENE_TEST(test_tunnel_message_in_parts_ends_the_connection),
        SCENE_TEST(test_tunnel_message_over_256_mib_ends_the_connection),
        SCENE_TEST(test_tunnel_local_end_closed_ends_the_connection_after_sending_all),
        SCENE_TEST(test_tunnel_hang_up_sends_what_was_given_and_tells_the_sentence),
        SCENE_TEST(test_tunnel_plain_http_is_refused_by_name),
        SCENE_TEST(test_tunnel_silent_strangers_are_closed_and_not_news),
        SCENE_TEST(test_tunnel_refusals_beyond_the_queue_are_counted),
        cmocka_unit_test(test_tunnel_endpoint_is_taken_apart_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
