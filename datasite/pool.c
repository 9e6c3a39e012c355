#include "datasite/pool.h"

#include <pthread.h>
#include <signal.h>

struct pool {
    struct parallel parallel;
    pthread_mutex_t mutex;
    pthread_cond_t work; /* there are tasks, or the pool closes */
    pthread_cond_t done; /* the last task in hand has returned */
    pthread_t *threads;
    uint32_t thread_count;
    bool closing;
    /* The call of `run` in progress: */
    void (*task)(void *argument, size_t index);
    void *argument;
    size_t tasks;
    size_t next;     /* first task that nobody took */
    size_t finished; /* tasks that returned */
};

/* Takes and runs tasks until none is left; called and left with the mutex held. */
static void pool_help(struct pool *pool)
{
    while (pool->next < pool->tasks) {
        size_t index = pool->next++;
        (void)pthread_mutex_unlock(&pool->mutex);
        pool->task(pool->argument, index);
        (void)pthread_mutex_lock(&pool->mutex);
        if (++pool->finished == pool->tasks)
            (void)pthread_cond_signal(&pool->done);
    }
}

static void *pool_thread(void *argument)
{
    struct pool *pool = argument;
    (void)pthread_mutex_lock(&pool->mutex);
    while (!pool->closing) {
        pool_help(pool);
        if (!pool->closing)
            (void)pthread_cond_wait(&pool->work, &pool->mutex);
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

static void pool_run(void *context, size_t tasks, void (*task)(void *argument, size_t index), void *argument)
{
    struct pool *pool = context;
    (void)pthread_mutex_lock(&pool->mutex);
    pool->task = task;
    pool->argument = argument;
    pool->next = 0;
    pool->finished = 0;
    pool->tasks = tasks;
    (void)pthread_cond_broadcast(&pool->work);
    pool_help(pool);
    while (pool->finished < pool->tasks)
        (void)pthread_cond_wait(&pool->done, &pool->mutex);
    pool->tasks = 0;
    pool->next = 0;
    (void)pthread_mutex_unlock(&pool->mutex);
}

/* Signals are for the socket thread. */
static struct error *pool_start(struct pool *pool, uint32_t threads)
{
    struct error *err = NULL;
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool->thread_count + 1 < threads) {
        int failed = pthread_create(&pool->threads[pool->thread_count], NULL, pool_thread, pool);
        if (failed != 0) {
            err = error_errno(ERROR_IO, failed, "A thread for training could not be started");
            break;
        }
        pool->thread_count++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

struct error *pool_open(uint32_t threads, struct pool **ret_pool)
{
    struct error *err = NULL;
    struct pool *pool = NULL;
    if (threads < 1 || threads > POOL_MAX_THREADS)
        FAIL(ERROR_INVALID, "A pool has 1 to %d threads.", POOL_MAX_THREADS);
    pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the threads of training.");
    (void)pthread_mutex_init(&pool->mutex, NULL);
    (void)pthread_cond_init(&pool->work, NULL);
    (void)pthread_cond_init(&pool->done, NULL);
    pool->parallel = (struct parallel){.run = threads > 1 ? pool_run : NULL, .context = pool};
    pool->threads = calloc(threads, sizeof(*pool->threads));
    if (pool->threads == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the threads of training.");
    TRY(pool_start(pool, threads));
    *ret_pool = pool;
    pool = NULL;
done:
    pool_close(pool);
    return err;
}

const struct parallel *pool_parallel(const struct pool *pool)
{
    return &pool->parallel;
}

void pool_close(struct pool *pool)
{
    if (pool == NULL)
        return;
    (void)pthread_mutex_lock(&pool->mutex);
    pool->closing = true;
    (void)pthread_cond_broadcast(&pool->work);
    (void)pthread_mutex_unlock(&pool->mutex);
    for (uint32_t i = 0; i < pool->thread_count; i++)
        (void)pthread_join(pool->threads[i], NULL);
    (void)pthread_cond_destroy(&pool->done);
    (void)pthread_cond_destroy(&pool->work);
    (void)pthread_mutex_destroy(&pool->mutex);
    free(pool->threads);
    free(pool);
}
