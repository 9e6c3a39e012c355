/* A thread pool that the program lends to this room.
 *
 * `run` calls task(argument, index) exactly once for every index in [0, tasks), on as many threads as it
 * likes and in any order, and returns when all have returned. Tasks given by this room write to disjoint
 * memory, never block, and never call `run` again. A NULL pool, or a NULL `run`, means: one after another on
 * the calling thread.
 *
 * Results never depend on the pool: work is cut into blocks by the shape of the data alone, and their results
 * are added in the order of the blocks. */
#pragma once

#include <stddef.h>

struct parallel {
    void (*run)(void *context, size_t tasks, void (*task)(void *argument, size_t index), void *argument);
    void *context;
};

/* Runs the tasks on `parallel`, or here when it is NULL. */
void parallel_run(const struct parallel *parallel, size_t tasks, void (*task)(void *argument, size_t index),
                  void *argument);
