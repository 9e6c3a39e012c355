/* The threads lent to learning/, and the lock of a home. */
#include "datasite/pool.h"

#include "datasite/lock.h"
#include "tests/unit/datasite/workspace.h"

#include <sys/wait.h>
#include <unistd.h>

#define TASKS 1000

static void count_one(void *argument, size_t index)
{
    uint32_t *counts = argument;
    counts[index]++;
}

static void run_all(uint32_t threads)
{
    uint32_t counts[TASKS] = {0};
    struct pool *pool = NULL;
    must(pool_open(threads, &pool));
    for (int repeat = 0; repeat < 20; repeat++)
        parallel_run(pool_parallel(pool), TASKS, count_one, counts);
    for (size_t i = 0; i < TASKS; i++)
        assert_int_equal(counts[i], 20);
    pool_close(pool);
}

static void test_pool_one_thread_runs_each_task_once(void **state)
{
    (void)state;
    run_all(1);
}

static void test_pool_many_threads_run_each_task_once(void **state)
{
    (void)state;
    run_all(4);
}

static void test_pool_no_threads_refused(void **state)
{
    struct pool *pool = NULL;
    (void)state;
    refused(pool_open(0, &pool), ERROR_INVALID, "1 to 256");
    assert_null(pool);
}

static void test_lock_held_by_another_process_refused_with_its_pid(void **state)
{
    const struct workspace *workspace = *state;
    char path[160], pid[32];
    int fd = -1, ready[2], leave[2];
    char byte = 0;
    pid_t holder = 0;
    (void)workspace_file(workspace, "lock", path);
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(leave), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(leave[1]);
        must(lock_take(path, &fd));
        bool told = write(ready[1], "x", 1) == 1;
        ssize_t got = read(leave[0], &byte, 1); /* until the parent closes its end */
        _exit(told && got == 0 ? 0 : 1);
    }
    (void)close(leave[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)snprintf(pid, sizeof(pid), "process %ld", (long)child);
    refused(lock_take(path, &fd), ERROR_CONFLICT, pid);
    must(lock_holder(path, &holder));
    assert_int_equal(holder, child);
    (void)close(leave[1]);
    (void)waitpid(child, NULL, 0);
    must(lock_holder(path, &holder));
    assert_int_equal(holder, 0);
    must(lock_take(path, &fd));
    (void)close(fd);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_one_thread_runs_each_task_once),
        cmocka_unit_test(test_pool_many_threads_run_each_task_once),
        cmocka_unit_test(test_pool_no_threads_refused),
        cmocka_unit_test_setup_teardown(test_lock_held_by_another_process_refused_with_its_pid,
                                        workspace_make, workspace_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
