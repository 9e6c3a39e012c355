/* A thread pool for tests of `struct parallel`: a fixed number of threads that draw task numbers from a
 * counter. */
#pragma once

#include "learning/parallel.h"

#define POOL_MAX_THREADS 8

struct pool {
    size_t threads; /* 1 to POOL_MAX_THREADS */
};

/* `pool` outlives the result. */
struct parallel pool_parallel(struct pool *pool);
