#include "tests/unit/transport/side.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* ZMTP greeting, READY, and a message "hello". */
const uint8_t opening[OPENING_BYTES + 1] = "\xff\0\0\0\0\0\0\0\1\x7f\3\1NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                           "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                           "\4\6\5READY"
                                           "\0\5hello";

void side_open(struct scene *scene, struct node *node, const struct node_plan *plan, struct side *side)
{
    struct tunnel_trust *trust = NULL;
    const struct session_trust from = {plan->listed,   plan->listed_count, plan->ca_file,
                                       plan->crl_file, plan->members,      plan->member_count};
    const struct tunnel_options options = {.listen = plan->listens ? "tcp://127.0.0.1:0" : NULL,
                                           .clock = clock_now_ms,
                                           .times = scene->times,
                                           .bounds = scene->bounds};
    node_succeeds(tunnel_trust_new(node->identity, &from, &trust));
    node_succeeds(tunnel_open(&options, trust, &side->tunnel));
    side->local = -1;
}

void side_close(struct side *side)
{
    tunnel_close(side->tunnel);
    if (side->local >= 0)
        (void)close(side->local);
}

struct tunnel_event side_wait(struct side *side, enum tunnel_event_kind kind)
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

void side_attach(struct side *side)
{
    int pair[2];
    struct tunnel_event ready = side_wait(side, TUNNEL_READY);
    side->number = ready.number;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    side->local = pair[0];
    node_succeeds(tunnel_attach(side->tunnel, ready.number, pair[1]));
}

void side_dial(struct side *from, const struct side *to, const struct site_id *id)
{
    char endpoint[64];
    (void)snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%u", (unsigned)tunnel_port(to->tunnel));
    node_succeeds(tunnel_dial(from->tunnel, id, endpoint));
}

void sides_connect(struct scene *scene, struct side *a, struct side *b)
{
    const struct node *nodes = scene->nodes;
    side_open(scene, &scene->nodes[0],
              &(struct node_plan){.listens = true, .listed = &nodes[1].id, .listed_count = 1}, a);
    side_open(scene, &scene->nodes[1], &(struct node_plan){0}, b);
    side_dial(b, a, &nodes[0].id);
    side_attach(b);
    side_attach(a);
}

void expect_bytes(int from, const uint8_t *expected, size_t count)
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

int stranger_from(const struct side *side, const char *from)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(tunnel_port(side->tunnel)),
                                        .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int net = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in own = {.sin_family = AF_INET};
    assert_true(net >= 0);
    assert_int_equal(inet_pton(AF_INET, from, &own.sin_addr), 1);
    assert_int_equal(bind(net, (const struct sockaddr *)&own, sizeof(own)), 0);
    assert_int_equal(connect(net, (const struct sockaddr *)&address, sizeof(address)), 0);
    return net;
}

int stranger(const struct side *side)
{
    return stranger_from(side, "127.0.0.1");
}

void expect_end(int net)
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
