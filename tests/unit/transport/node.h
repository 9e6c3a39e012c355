/* Nodes for the transport's tests: identity, session and the events it has shown, all in this process over
 * loopback.
 *
 * A scene holds up to NODES_MOST nodes; node_wait turns every session of the scene until one of them has
 * shown the event that is waited for. Failures of the set-up end the test. */
#pragma once

#include "tests/unit/cmocka_all.h"
#include "transport/session_parts.h"

#define NODES_MOST 4
#define NODE_EVENTS_MOST 64
#define NODE_WAIT_MS 15000
#define NODE_PATH_BYTES 256

struct node {
    char keys[NODE_PATH_BYTES];
    char name[IDENTITY_NAME_BYTES];
    struct identity *identity;
    struct site_id id;
    struct session *session;
    struct session_event events[NODE_EVENTS_MOST]; /* shown and not yet taken, oldest first */
    size_t event_count;
};

struct scene {
    char folder[NODE_PATH_BYTES];
    struct node nodes[NODES_MOST];
    struct tunnel_times times;
    struct tunnel_bounds bounds;
};

/* What a node is opened with; all zero: does not listen, trusts nobody. */
struct node_plan {
    bool listens;
    const struct site_id *listed;
    size_t listed_count;
    const char *ca_file;
    const char *crl_file;
    const struct site_id *members;
    size_t member_count;
    int64_t (*clock)(void);
    int wake_fd; /* 0: none */
};

int scene_begin(void **state); /* cmocka's set-up: *state is the scene; every node has an identity */
int scene_end(void **state);

void node_open(struct scene *scene, struct node *node, const struct node_plan *plan);
void node_close(struct node *node);
void node_dial(struct node *from, const struct node *to);
void node_dial_port(struct node *from, const struct node *to, uint16_t port);
uint64_t node_ask(struct node *from, const struct node *to, uint32_t type, const char *text);
void node_answer(struct node *from, const struct node *to, uint64_t number, uint32_t type, const char *text);

/* Turns the scene until `node` shows an event of this kind, takes it out and returns it (the caller clears
 * it); ends the test after NODE_WAIT_MS. */
struct session_event node_wait(struct scene *scene, struct node *node, enum session_event_kind kind);

/* Turns the scene for this long; events are kept. */
void scene_turn(struct scene *scene, int ms);

/* How many events of a kind the node has shown and nobody has taken. */
size_t node_count(const struct node *node, enum session_event_kind kind);

/* Ends the test unless the error is of this kind and its sentence contains the words; frees it. */
void node_expect_error(struct error *err, enum error_code code, const char *words);
void node_succeeds(struct error *err);
void node_expect_sentence(const struct session_event *event, const char *words);

/* a listens, b dials a, they trust each other, and are up. */
void scene_connect(struct scene *scene);
