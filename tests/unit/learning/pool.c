#include "tests/unit/learning/pool.h"

#include <pthread.h>
#include <stdatomic.h>

struct pool_work {
    atomic_size_t next;
    size_t tasks;
    void (*task)(void *argument, size_t index);
    void *argument;
};

static void *pool_thread(void *argument)
{
    struct pool_work *work = argument;
    for (;;) {
        size_t index = atomic_fetch_add(&work->next, 1);
        if (index >= work->tasks)
            return NULL;
        work->task(work->argument, index);
    }
}

static void pool_run(void *context, size_t tasks, void (*task)(void *argument, size_t index), void *argument)
{
    const struct pool *pool = context;
    struct pool_work work = {.tasks = tasks, .task = task, .argument = argument};
    pthread_t thread[POOL_MAX_THREADS];
    for (size_t i = 0; i < pool->threads; i++)
        if (pthread_create(&thread[i], NULL, pool_thread, &work) != 0)
            abort();
    for (size_t i = 0; i < pool->threads; i++)
        (void)pthread_join(thread[i], NULL);
}

struct parallel pool_parallel(struct pool *pool)
{
    return (struct parallel){.run = pool_run, .context = pool};
}
