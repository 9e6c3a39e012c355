#include "learning/parallel.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/learning/pool.h"

#define TASKS 100

static void mark(void *argument, size_t index)
{
    ((int *)argument)[index]++;
}

static void each_once(const struct parallel *parallel)
{
    int seen[TASKS] = {0};
    parallel_run(parallel, TASKS, mark, seen);
    for (size_t i = 0; i < TASKS; i++)
        assert_int_equal(seen[i], 1);
}

static void test_parallel_without_pool_runs_each_task_once(void **state)
{
    (void)state;
    each_once(NULL);
    struct parallel empty = {0};
    each_once(&empty);
}

static void test_parallel_with_pool_runs_each_task_once(void **state)
{
    (void)state;
    struct pool pool = {.threads = 3};
    struct parallel parallel = pool_parallel(&pool);
    each_once(&parallel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parallel_without_pool_runs_each_task_once),
        cmocka_unit_test(test_parallel_with_pool_runs_each_task_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
