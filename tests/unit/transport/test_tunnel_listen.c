/* Crowds of strangers: none of them keeps a peer out. */
#include "tests/unit/transport/side.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CROWD_MOST 300

/* So many descriptors that half of all connections are fewer than CROWD_MOST. */
static void few_descriptors(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 1024 ? limit.rlim_max : 1024;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* A listener, and silent strangers from so many addresses that stay for longer than the test. */
static void listen_with_crowd(struct scene *scene, struct side *a, int crowd[static CROWD_MOST],
                              size_t addresses)
{
    few_descriptors();
    scene->times.handshake = 4 * NODE_WAIT_MS;
    side_open(scene, &scene->nodes[0],
              &(struct node_plan){.listens = true, .listed = &scene->nodes[1].id, .listed_count = 1}, a);
    for (size_t i = 0; i < CROWD_MOST; i++) {
        char from[32];
        (void)snprintf(from, sizeof(from), "127.0.0.%zu", 9 + i % addresses);
        crowd[i] = stranger_from(a, from);
    }
}

static void expect_peer_gets_in(struct scene *scene, struct side *a)
{
    struct side b;
    side_open(scene, &scene->nodes[1], &(struct node_plan){0}, &b);
    side_dial(&b, a, &scene->nodes[0].id);
    side_attach(&b);
    side_attach(a);
    side_close(&b);
}

static size_t count_closed(const int crowd[static CROWD_MOST])
{
    size_t closed = 0;
    for (size_t i = 0; i < CROWD_MOST; i++) {
        struct pollfd ready = {.fd = crowd[i], .events = POLLIN};
        closed += poll(&ready, 1, 0) == 1;
    }
    return closed;
}

static void close_crowd(const int crowd[static CROWD_MOST])
{
    for (size_t i = 0; i < CROWD_MOST; i++)
        (void)close(crowd[i]);
}

/* More strangers than are looked at at a time: those beyond are parked, and a listed peer still gets in. */
static void test_tunnel_listen_crowd_of_silent_strangers_does_not_keep_a_peer_out(void **state)
{
    struct scene *scene = *state;
    struct side a;
    struct side b;
    int crowd[3 * LIMIT_UNAUTHENTICATED_PER_ADDRESS];
    scene->times.handshake = 1500;
    side_open(scene, &scene->nodes[0],
              &(struct node_plan){.listens = true, .listed = &scene->nodes[1].id, .listed_count = 1}, &a);
    for (size_t i = 0; i < sizeof(crowd) / sizeof(crowd[0]); i++)
        crowd[i] = stranger(&a);
    side_open(scene, &scene->nodes[1], &(struct node_plan){0}, &b);
    side_dial(&b, &a, &scene->nodes[0].id);
    side_attach(&b);
    side_attach(&a);
    for (size_t i = 0; i < sizeof(crowd) / sizeof(crowd[0]); i++)
        (void)close(crowd[i]);
    side_close(&b);
    side_close(&a);
}

static void test_tunnel_listen_one_address_does_not_keep_the_others_out(void **state)
{
    struct scene *scene = *state;
    struct side a;
    int crowd[CROWD_MOST];
    listen_with_crowd(scene, &a, crowd, 1);
    expect_peer_gets_in(scene, &a);
    assert_true(count_closed(crowd) >=
                CROWD_MOST - LIMIT_PARKED_PER_ADDRESS - LIMIT_UNAUTHENTICATED_PER_ADDRESS);
    close_crowd(crowd);
    side_close(&a);
}

/* Each keeps its own bound, and together they fill the half for strangers. */
static void test_tunnel_listen_many_addresses_do_not_keep_another_out(void **state)
{
    struct scene *scene = *state;
    struct side a;
    int crowd[CROWD_MOST];
    scene->bounds.unauthenticated = 400; /* the handshakes are not what runs out here */
    listen_with_crowd(scene, &a, crowd, 10);
    expect_peer_gets_in(scene, &a);
    close_crowd(crowd);
    side_close(&a);
}

static void test_tunnel_listen_bounds_can_be_set(void **state)
{
    struct scene *scene = *state;
    struct side a;
    int crowd[CROWD_MOST];
    scene->bounds.unauthenticated_per_address = 2;
    scene->bounds.parked_per_address = 3;
    listen_with_crowd(scene, &a, crowd, 1);
    expect_peer_gets_in(scene, &a); /* so everything that came before it was looked at */
    assert_true(count_closed(crowd) >= CROWD_MOST - 5);
    close_crowd(crowd);
    side_close(&a);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, scene_begin, scene_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_tunnel_listen_crowd_of_silent_strangers_does_not_keep_a_peer_out),
        SCENE_TEST(test_tunnel_listen_one_address_does_not_keep_the_others_out),
        SCENE_TEST(test_tunnel_listen_many_addresses_do_not_keep_another_out),
        SCENE_TEST(test_tunnel_listen_bounds_can_be_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
