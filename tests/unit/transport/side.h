/* Tunnels for tests without libzmq: their local ends are plain socket pairs that speak just enough ZMTP. */
#pragma once

#include "tests/unit/transport/node.h"

/* ZMTP greeting, READY, and a message "hello". */
#define OPENING_BYTES 79
extern const uint8_t opening[OPENING_BYTES + 1];

struct side {
    struct tunnel *tunnel;
    int local; /* our end of the pair */
    uint64_t number;
};

/* With the times and bounds of the scene. */
void side_open(struct scene *scene, struct node *node, const struct node_plan *plan, struct side *side);
void side_close(struct side *side);

/* Takes events until one of this kind comes; ends the test after NODE_WAIT_MS. */
struct tunnel_event side_wait(struct side *side, enum tunnel_event_kind kind);

/* Waits for READY and gives the connection one end of a socket pair. */
void side_attach(struct side *side);

void side_dial(struct side *from, const struct side *to, const struct site_id *id);

/* a listens, b dials; both have local ends. */
void sides_connect(struct scene *scene, struct side *a, struct side *b);

/* Ends the test unless exactly these bytes come. */
void expect_bytes(int from, const uint8_t *expected, size_t count);

/* A plain TCP connection to the side's listener, from an address of the loopback. */
int stranger_from(const struct side *side, const char *from);
int stranger(const struct side *side);

/* Reads until the other end closes, and closes. */
void expect_end(int net);
