#include "tests/unit/transport/node.h"

#include <dirent.h>
#include <ftw.h>
#include <unistd.h>

void node_succeeds(struct error *err)
{
    if (err != NULL)
        fail_msg("unexpected error: %s", err->sentence);
}

void node_expect_error(struct error *err, enum error_code code, const char *words)
{
    assert_non_null(err);
    if (err->code != code || strstr(err->sentence, words) == NULL)
        fail_msg("expected %s with '%s', got %s: %s", error_word(code), words, error_word(err->code),
                 err->sentence);
    error_free(err);
}

void node_expect_sentence(const struct session_event *event, const char *words)
{
    if (strstr(event->sentence, words) == NULL)
        fail_msg("expected a sentence with '%s', got: %s", words, event->sentence);
}

int scene_begin(void **state)
{
    static const char *const names[NODES_MOST] = {"Alpha", "Beta", "Gamma", "Delta"};
    struct scene *scene = calloc(1, sizeof(*scene));
    assert_non_null(scene);
    (void)snprintf(scene->folder, sizeof(scene->folder), "/tmp/transport-XXXXXX");
    assert_non_null(mkdtemp(scene->folder));
    scene->times = tunnel_times_default();
    scene->times.backoff_min = 20;
    scene->times.backoff_max = 200;
    scene->times.closing = 50; /* the nodes of a scene share a thread: the other one cannot answer */
    for (size_t i = 0; i < NODES_MOST; i++) {
        struct node *node = &scene->nodes[i];
        (void)snprintf(node->name, sizeof(node->name), "%s", names[i]);
        (void)snprintf(node->keys, sizeof(node->keys), "%.200s/%s", scene->folder, names[i]);
        node_succeeds(identity_create(node->keys, node->name, &node->identity));
        node->id = *identity_id(node->identity);
    }
    *state = scene;
    return 0;
}

static int scene_remove(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

int scene_end(void **state)
{
    struct scene *scene = *state;
    for (size_t i = 0; i < NODES_MOST; i++) {
        node_close(&scene->nodes[i]);
        identity_free(scene->nodes[i].identity);
    }
    (void)nftw(scene->folder, scene_remove, 8, FTW_DEPTH | FTW_PHYS);
    free(scene);
    return 0;
}

void node_open(struct scene *scene, struct node *node, const struct node_plan *plan)
{
    char sockets[NODE_PATH_BYTES];
    (void)snprintf(sockets, sizeof(sockets), "%.200s/s", scene->folder);
    const struct session_options options = {.identity = node->identity,
                                            .name = node->name,
                                            .directory = sockets,
                                            .listen = plan->listens ? "tcp://127.0.0.1:0" : NULL,
                                            .trust = {plan->listed, plan->listed_count, plan->ca_file,
                                                      plan->crl_file, plan->members, plan->member_count},
                                            .wake_fd = plan->wake_fd > 0 ? plan->wake_fd : -1,
                                            .clock = plan->clock};
    node_succeeds(session_open_timed(&options, &scene->times, &node->session));
}

void node_close(struct node *node)
{
    session_close(node->session);
    node->session = NULL;
    for (size_t i = 0; i < node->event_count; i++)
        session_event_clear(&node->events[i]);
    node->event_count = 0;
}

void node_dial_port(struct node *from, const struct node *to, uint16_t port)
{
    char endpoint[64];
    (void)snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%u", (unsigned)port);
    node_succeeds(session_dial(from->session, &to->id, endpoint));
}

void node_dial(struct node *from, const struct node *to)
{
    node_dial_port(from, to, session_port(to->session));
}

uint64_t node_ask(struct node *from, const struct node *to, uint32_t type, const char *text)
{
    uint64_t number = 0;
    node_succeeds(session_request(from->session, &to->id, type, text, strlen(text), &number));
    return number;
}

void node_answer(struct node *from, const struct node *to, uint64_t number, uint32_t type, const char *text)
{
    node_succeeds(session_answer(from->session, &to->id, number, type, text, strlen(text)));
}

static bool node_take(struct node *node, enum session_event_kind kind, struct session_event *ret_event)
{
    for (size_t i = 0; i < node->event_count; i++) {
        if (node->events[i].kind != kind)
            continue;
        *ret_event = node->events[i];
        node->event_count--;
        memmove(&node->events[i], &node->events[i + 1], (node->event_count - i) * sizeof(node->events[0]));
        return true;
    }
    return false;
}

static void scene_turn_once(struct scene *scene)
{
    for (size_t i = 0; i < NODES_MOST; i++) {
        struct node *node = &scene->nodes[i];
        if (node->session == NULL)
            continue;
        assert_true(node->event_count < NODE_EVENTS_MOST);
        node_succeeds(session_next(node->session, 2, &node->events[node->event_count]));
        if (node->events[node->event_count].kind != SESSION_NOTHING)
            node->event_count++;
    }
}

static void node_fail_waiting(const struct node *node, enum session_event_kind kind)
{
    for (size_t i = 0; i < node->event_count; i++)
        print_error("%s has shown kind %d: %s\n", node->name, (int)node->events[i].kind,
                    node->events[i].sentence);
    fail_msg("%s has not shown an event of kind %d", node->name, (int)kind);
}

struct session_event node_wait(struct scene *scene, struct node *node, enum session_event_kind kind)
{
    struct session_event event = {0};
    int64_t until = clock_monotonic_ms() + NODE_WAIT_MS;
    while (!node_take(node, kind, &event)) {
        if (clock_monotonic_ms() > until)
            node_fail_waiting(node, kind);
        scene_turn_once(scene);
    }
    return event;
}

void scene_turn(struct scene *scene, int ms)
{
    int64_t until = clock_monotonic_ms() + ms;
    while (clock_monotonic_ms() < until)
        scene_turn_once(scene);
}

size_t node_count(const struct node *node, enum session_event_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < node->event_count; i++)
        count += node->events[i].kind == kind;
    return count;
}

void scene_connect(struct scene *scene)
{
    struct node *a = &scene->nodes[0];
    struct node *b = &scene->nodes[1];
    node_open(scene, a, &(struct node_plan){.listens = true, .listed = &b->id, .listed_count = 1});
    node_open(scene, b, &(struct node_plan){.listed = &a->id, .listed_count = 1});
    node_dial(b, a);
    struct session_event up = node_wait(scene, a, SESSION_UP);
    assert_true(site_id_equal(&up.peer, &b->id));
    up = node_wait(scene, b, SESSION_UP);
    assert_true(site_id_equal(&up.peer, &a->id));
}
