/* The tunnel without libzmq: two tunnels over loopback, their local ends plain socket pairs that speak just
 * enough ZMTP. Also what strangers may do. ThreadSanitizer can follow everything here. */
#include "tests/unit/transport/node.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* ZMTP greeting, READY, and a message "hello". */
static const uint8_t opening[] = "\xff\0\0\0\0\0\0\0\1\x7f\3\1NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                 "\4\6\5READY"
                                 "\0\5hello";
#define OPENING_BYTES (sizeof(opening) - 1)

struct side {
    struct tunnel *tunnel;
    int local; /* our end of the pair */
    uint64_t number;
};

static void side_open(struct scene *scene, struct node *node, const struct node_plan *plan, struct side *side)
{
    struct tunnel_trust *trust = NULL;
    const struct session_trust from = {plan->listed,   plan->listed_count, plan->ca_file,
                                       plan->crl_file, plan->members,      plan->member_count};
    const struct tunnel_options options = {
        .listen = plan->listens ? "tcp://127.0.0.1:0" : NULL, .clock = clock_now_ms, .times = scene->times};
    node_succeeds(tunnel_trust_new(node->identity, &from, &trust));
    node_succeeds(tunnel_open(&options, trust, &side->tunnel));
    side->local = -1;
}

static void side_close(struct side *side)
{
    tunnel_close(side->tunnel);
    if (side->local >= 0)
        (void)close(side->local);
}

static struct tunnel_event side_wait(struct side *side, enum tunnel_event_kind kind)
{
    struct tunnel_event event = {0};
    int64_t until = clock_monotonic_ms() + NODE_WAIT_MS;
    for (;;) {
        bool any = false;
        struct pollfd ready = {.fd = tunnel_event_fd(side->tunnel), .events = POLLIN};
        node_succeeds(tunnel_next(side->tunnel, &any, &event));
        if (any && event.kind == kind)
            return event;
        if (any)
            continue;
        if (clock_monotonic_ms() > until)
            fail_msg("no event of kind %d", (int)kind);
        (void)poll(&ready, 1, 100);
    }
}

static void side_attach(struct side *side)
{
    int pair[2];
    struct tunnel_event ready = side_wait(side, TUNNEL_READY);
    side->number = ready.number;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    side->local = pair[0];
    node_succeeds(tunnel_attach(side->tunnel, ready.number, pair[1]));
}

/* a listens, b dials; both have local ends. */
static void sides_connect(struct scene *scene, struct side *a, struct side *b)
{
    char endpoint[64];
    const struct node *nodes = scene->nodes;
    side_open(scene, &scene->nodes[0],
              &(struct node_plan){.listens = true, .listed = &nodes[1].id, .listed_count = 1}, a);
    side_open(scene, &scene->nodes[1], &(struct node_plan){0}, b);
    (void)snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%u", (unsigned)tunnel_port(a->tunnel));
    node_succeeds(tunnel_dial(b->tunnel, &nodes[0].id, endpoint));
    side_attach(b);
    side_attach(a);
}

static void expect_bytes(int from, const uint8_t *expected, size_t count)
{
    uint8_t bytes[256];
    size_t have = 0;
    assert_true(count <= sizeof(bytes));
    while (have < count) {
        struct pollfd ready = {.fd = from, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, NODE_WAIT_MS), 1);
        ssize_t got = recv(from, bytes + have, count - have, 0);
        assert_true(got > 0);
        have += (size_t)got;
    }
    assert_memory_equal(bytes, expected, count);
}

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

/* Two announced messages of 256 MiB fill the budget; a third peer's waits until one of them is gone. */
static void test_tunnel_message_beyond_the_budget_waits_for_room(void **state)
{
    struct scene *scene = *state;
    struct node *nodes = scene->nodes;
    const struct site_id listed[3] = {nodes[1].id, nodes[2].id, nodes[3].id};
    struct side a[3];
    struct side peers[3];
    char endpoint[64];
    side_open(scene, &nodes[0], &(struct node_plan){.listens = true, .listed = listed, .listed_count = 3},
              &a[0]);
    (void)snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%u", (unsigned)tunnel_port(a[0].tunnel));
    a[1] = a[2] = a[0];
    for (size_t i = 0; i < 3; i++) {
        side_open(scene, &nodes[i + 1], &(struct node_plan){0}, &peers[i]);
        node_succeeds(tunnel_dial(peers[i].tunnel, &nodes[0].id, endpoint));
        side_attach(&peers[i]);
        side_attach(&a[i]);
        assert_int_equal(send(peers[i].local, opening, OPENING_BYTES, 0), OPENING_BYTES);
        assert_int_equal(send(peers[i].local, "\2\0\0\0\0\x10\0\0\0beginning", 18, 0), 18);
        expect_bytes(a[i].local, opening, OPENING_BYTES);
        if (i < 2)
            expect_bytes(a[i].local, (const uint8_t *)"\2\0\0\0\0\x10\0\0\0beginning", 18);
        else
            expect_bytes(a[i].local, (const uint8_t *)"\2\0\0\0\0\x10\0\0",
                         8); /* all but the header's last byte */
    }
    uint8_t byte;
    struct pollfd ready = {.fd = a[2].local, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 300), 0);
    assert_int_equal(send(peers[2].local, "more", 4, 0), 4);
    assert_int_equal(poll(&ready, 1, 300), 0);
    (void)close(peers[0].local);
    peers[0].local = -1;
    expect_bytes(a[2].local, (const uint8_t *)"\0beginningmore", 14);
    assert_int_equal(recv(a[2].local, &byte, 1, MSG_DONTWAIT), -1);
    for (size_t i = 0; i < 3; i++) {
        (void)close(a[i].local);
        side_close(&peers[i]);
    }
    tunnel_close(a[0].tunnel);
}

/* A byte now and then keeps a connection, but not a part of the budget. */
static void test_tunnel_large_message_that_drips_ends_the_connection(void **state)
{
    struct scene *scene = *state;
    struct side a;
    struct side b;
    struct tunnel_event event = {0};
    bool any = false;
    int64_t until = clock_monotonic_ms() + NODE_WAIT_MS;
    scene->times.dead = 1000;
    sides_connect(scene, &a, &b);
    assert_int_equal(send(b.local, opening, OPENING_BYTES, 0), OPENING_BYTES);
    expect_bytes(a.local, opening, OPENING_BYTES);
    assert_int_equal(send(b.local, "\2\0\0\0\0\0\x10\0\0", 9, 0), 9);
    while (!any && clock_monotonic_ms() < until) {
        struct pollfd ready = {.fd = tunnel_event_fd(a.tunnel), .events = POLLIN};
        (void)send(b.local, "x", 1, MSG_NOSIGNAL);
        (void)poll(&ready, 1, 50);
        node_succeeds(tunnel_next(a.tunnel, &any, &event));
    }
    assert_true(any);
    assert_int_equal(event.kind, TUNNEL_DOWN);
    assert_non_null(strstr(event.sentence, "too slowly"));
    side_close(&b);
    side_close(&a);
}

/* ---- strangers ---- */

static int stranger(const struct side *side)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(tunnel_port(side->tunnel)),
                                        .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int net = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(net >= 0);
    assert_int_equal(connect(net, (const struct sockaddr *)&address, sizeof(address)), 0);
    return net;
}

static void expect_end(int net)
{
    uint8_t bytes[4096];
    ssize_t got = 1;
    while (got > 0) {
        struct pollfd ready = {.fd = net, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, NODE_WAIT_MS), 1);
        got = recv(net, bytes, sizeof(bytes), 0);
    }
    (void)close(net);
}

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

/* More strangers than are looked at at a time: those beyond are parked, and a listed peer still gets in. */
static void test_tunnel_crowd_of_silent_strangers_does_not_keep_a_peer_out(void **state)
{
    struct scene *scene = *state;
    struct side a;
    struct side b;
    int crowd[3 * LIMIT_UNAUTHENTICATED_PER_ADDRESS];
    char endpoint[64];
    scene->times.handshake = 1500;
    side_open(scene, &scene->nodes[0],
              &(struct node_plan){.listens = true, .listed = &scene->nodes[1].id, .listed_count = 1}, &a);
    for (size_t i = 0; i < sizeof(crowd) / sizeof(crowd[0]); i++)
        crowd[i] = stranger(&a);
    side_open(scene, &scene->nodes[1], &(struct node_plan){0}, &b);
    (void)snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%u", (unsigned)tunnel_port(a.tunnel));
    node_succeeds(tunnel_dial(b.tunnel, &scene->nodes[0].id, endpoint));
    side_attach(&b);
    side_attach(&a);
    for (size_t i = 0; i < sizeof(crowd) / sizeof(crowd[0]); i++)
        (void)close(crowd[i]);
    side_close(&b);
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
        SCENE_TEST(test_tunnel_message_beyond_the_budget_waits_for_room),
        SCENE_TEST(test_tunnel_large_message_that_drips_ends_the_connection),
        SCENE_TEST(test_tunnel_plain_http_is_refused_by_name),
        SCENE_TEST(test_tunnel_silent_strangers_are_closed_and_not_news),
        SCENE_TEST(test_tunnel_crowd_of_silent_strangers_does_not_keep_a_peer_out),
        SCENE_TEST(test_tunnel_refusals_beyond_the_queue_are_counted),
        cmocka_unit_test(test_tunnel_endpoint_is_taken_apart_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
