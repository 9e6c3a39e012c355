/* A fixed number of threads that the executor lends to learning/ (learning/parallel.h).
 *
 * The calling thread works along, so a pool of N has N - 1 threads of its own; a pool of one has none. Used
 * by one caller at a time. What is shared (the list of tasks, who is idle) is inside `struct pool`, under its
 * mutex. */
#pragma once

#include "learning/parallel.h"
#include "schemas/error.h"

#include <stdint.h>

#define POOL_MAX_THREADS 256

struct pool;

/* `threads` 1 to POOL_MAX_THREADS. */
MUST_USE struct error *pool_open(uint32_t threads, struct pool **ret_pool);
/* The pool as learning/ wants it; valid until pool_close. */
const struct parallel *pool_parallel(const struct pool *pool);
void pool_close(struct pool *pool); /* joins; accepts NULL */
