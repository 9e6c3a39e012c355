/* The memory of large messages that are arriving: who waits for room, who is ended for holding it. */
#include "tests/unit/transport/side.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* One listener, and up to three peers that it lists, each with both local ends. */
struct crowd {
    struct side at[3]; /* the listener's ends; one tunnel */
    struct side peers[3];
};

static void crowd_open(struct scene *scene, struct crowd *crowd)
{
    struct node *nodes = scene->nodes;
    const struct site_id listed[3] = {nodes[1].id, nodes[2].id, nodes[3].id};
    side_open(scene, &nodes[0], &(struct node_plan){.listens = true, .listed = listed, .listed_count = 3},
              &crowd->at[0]);
    crowd->at[1] = crowd->at[2] = crowd->at[0];
    for (size_t i = 0; i < 3; i++) {
        side_open(scene, &nodes[i + 1], &(struct node_plan){0}, &crowd->peers[i]);
        side_dial(&crowd->peers[i], &crowd->at[0], &nodes[0].id);
        side_attach(&crowd->peers[i]);
        side_attach(&crowd->at[i]);
        assert_int_equal(send(crowd->peers[i].local, opening, OPENING_BYTES, 0), OPENING_BYTES);
        expect_bytes(crowd->at[i].local, opening, OPENING_BYTES);
        assert_int_equal(send(crowd->at[i].local, opening, OPENING_BYTES, 0), OPENING_BYTES);
        expect_bytes(crowd->peers[i].local, opening, OPENING_BYTES);
    }
}

static void crowd_close(struct crowd *crowd)
{
    for (size_t i = 0; i < 3; i++) {
        (void)close(crowd->at[i].local);
        side_close(&crowd->peers[i]);
    }
    tunnel_close(crowd->at[0].tunnel);
}

/* Peer `i` announces a message of `bytes` bytes. */
static void crowd_announce(struct crowd *crowd, size_t i, uint64_t bytes)
{
    uint8_t header[9] = {2};
    for (size_t k = 0; k < 8; k++)
        header[8 - k] = (uint8_t)(bytes >> (8 * k));
    assert_int_equal(send(crowd->peers[i].local, header, sizeof(header), 0), sizeof(header));
}

/* Sends `count` bytes of peer `i` and takes what comes out at the listener, until `expected` bytes (header
 * and all) have come; returns how many did before nothing more came for `patience` ms. */
static size_t crowd_pump(struct crowd *crowd, size_t i, size_t count, size_t expected, int patience)
{
    static const uint8_t zeros[65536];
    uint8_t bytes[65536];
    size_t sent = 0;
    size_t got = 0;
    while (got < expected) {
        size_t chunk = count - sent < sizeof(zeros) ? count - sent : sizeof(zeros);
        struct pollfd ready[2] = {
            {.fd = crowd->at[i].local, .events = POLLIN},
            {.fd = crowd->peers[i].local, .events = chunk > 0 ? POLLOUT : 0},
        };
        if (poll(ready, 2, patience) == 0)
            break;
        ssize_t wrote =
            chunk > 0 ? send(crowd->peers[i].local, zeros, chunk, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
        sent += wrote > 0 ? (size_t)wrote : 0;
        ssize_t read = recv(crowd->at[i].local, bytes, sizeof(bytes), MSG_DONTWAIT);
        got += read > 0 ? (size_t)read : 0;
        if (read == 0)
            break;
    }
    return got;
}

/* A byte now and then keeps a connection, but not a part of the budget. */
static void test_tunnel_budget_message_that_drips_ends_the_connection(void **state)
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

/* Announcing costs nothing, so it must not take anything either. */
static void test_tunnel_budget_two_dripping_peers_do_not_keep_a_third_out(void **state)
{
    struct crowd crowd;
    crowd_open(*state, &crowd);
    for (size_t i = 0; i < 2; i++) {
        crowd_announce(&crowd, i, LIMIT_MESSAGE);
        assert_int_equal(crowd_pump(&crowd, i, 100, 109, NODE_WAIT_MS), 109);
    }
    crowd_announce(&crowd, 2, 4 * MIB);
    assert_int_equal(crowd_pump(&crowd, 2, 4 * MIB, 9 + 4 * MIB, NODE_WAIT_MS), 9 + 4 * MIB);
    crowd_close(&crowd);
}

/* A budget of 4 MiB: the first takes what it needs, the second the 2 MiB of all others, the third waits. */
static void test_tunnel_budget_message_beyond_it_waits_for_room(void **state)
{
    struct scene *scene = *state;
    struct crowd crowd;
    scene->bounds.reassembly = 4 * MIB;
    crowd_open(scene, &crowd);
    crowd_announce(&crowd, 0, 8 * MIB);
    assert_int_equal(crowd_pump(&crowd, 0, 5 * MIB, 9 + 5 * MIB, NODE_WAIT_MS), 9 + 5 * MIB);
    crowd_announce(&crowd, 1, 3 * MIB);
    assert_int_equal(crowd_pump(&crowd, 1, 3 * MIB, 9 + 3 * MIB, 300), 9 + 2 * MIB);
    crowd_announce(&crowd, 2, MIB);
    assert_int_equal(crowd_pump(&crowd, 2, 0, 9, 300), 8); /* all but the header's last byte */
    assert_int_equal(crowd_pump(&crowd, 0, 3 * MIB, 3 * MIB, NODE_WAIT_MS), 3 * MIB);
    assert_int_equal(crowd_pump(&crowd, 1, 0, MIB, NODE_WAIT_MS), MIB);
    assert_int_equal(crowd_pump(&crowd, 2, MIB, 1 + MIB, NODE_WAIT_MS), 1 + MIB);
    crowd_close(&crowd);
}

/* Two that hold all room and then drip, faster than what is enough while nobody waits. */
static void test_tunnel_budget_holders_that_drip_are_ended_when_another_waits(void **state)
{
    struct scene *scene = *state;
    struct crowd crowd;
    size_t got = 0;
    int64_t until = clock_monotonic_ms() + NODE_WAIT_MS;
    scene->times.handshake = 1500;
    scene->bounds.reassembly = 4 * MIB;
    crowd_open(scene, &crowd);
    for (size_t i = 0; i < 2; i++) {
        crowd_announce(&crowd, i, 8 * MIB);
        assert_int_equal(crowd_pump(&crowd, i, MIB + 1, 9 + MIB + 1, NODE_WAIT_MS), 9 + MIB + 1);
    }
    crowd_announce(&crowd, 2, MIB);
    while (got < 9 && clock_monotonic_ms() < until) {
        for (size_t i = 0; i < 2; i++)
            (void)send(crowd.peers[i].local, "drip", 4, MSG_NOSIGNAL);
        (void)crowd_pump(&crowd, 0, 0, 1, 20);
        (void)crowd_pump(&crowd, 1, 0, 1, 20);
        got += crowd_pump(&crowd, 2, 0, 9 - got, 0);
    }
    assert_int_equal(got, 9);
    struct tunnel_event down = side_wait(&crowd.at[0], TUNNEL_DOWN);
    if (strstr(down.sentence, "too slowly while others wait") == NULL)
        fail_msg("another reason: %s", down.sentence);
    assert_int_equal(crowd_pump(&crowd, 2, MIB, MIB, NODE_WAIT_MS), MIB);
    crowd_close(&crowd);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, scene_begin, scene_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_tunnel_budget_message_that_drips_ends_the_connection),
        SCENE_TEST(test_tunnel_budget_two_dripping_peers_do_not_keep_a_third_out),
        SCENE_TEST(test_tunnel_budget_message_beyond_it_waits_for_room),
        SCENE_TEST(test_tunnel_budget_holders_that_drip_are_ended_when_another_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
