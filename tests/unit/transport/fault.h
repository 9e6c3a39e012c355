/* A TCP forwarder that does harm on request: for tests of what a lost, slow or damaged connection does. One
 * thread; the rules are atomics and may be changed while it runs. Directions: 0 from the dialler to the
 * target, 1 back. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAULT_RECORD_BYTES 65536

struct fault_rules {
    atomic_llong cut_at[2];  /* bytes of a connection after which it is cut; -1 never */
    atomic_llong flip_at[2]; /* this byte of a connection gets one bit changed, once; -1 never */
    atomic_bool one_byte;    /* forward single bytes */
    atomic_bool stalled[2];  /* forward nothing */
    atomic_bool cut_now;     /* cut every connection, once */
};

struct fault {
    struct fault_rules rules;
    atomic_llong passed[2]; /* bytes forwarded in all */
    struct fault_inside *inside;
    uint16_t port;
};

/* Listens on a free port of 127.0.0.1 and forwards to `target`. NULL when that is not possible. */
struct fault *fault_open(uint16_t target);
void fault_close(struct fault *fault);

/* The first bytes that the first connection sent to the target. */
size_t fault_record(struct fault *fault, uint8_t *bytes, size_t most);
