/* A process that has rows in memory leaves none of it behind when it dies. */
#include "datasite/core.h"
#include "tests/unit/cmocka_all.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORBIDDEN = 0, FAILED = 3, LIMIT_LEFT = 4, DUMPABLE = 5 };

static int child(void)
{
    const struct rlimit wanted = {RLIM_INFINITY, RLIM_INFINITY};
    struct rlimit limit = {1, 1};
    if (core_forbid() != NULL)
        return FAILED;
    if (getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur != 0 || limit.rlim_max != 0)
        return LIMIT_LEFT;
    /* Who may raise limits again is still not dumped. */
    (void)setrlimit(RLIMIT_CORE, &wanted);
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return DUMPABLE;
    (void)signal(SIGABRT, SIG_DFL);
    (void)raise(SIGABRT);
    return FAILED;
}

static void test_core_of_a_process_that_dies_is_not_written(void **state)
{
    (void)state;
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(child());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_false(WCOREDUMP(status));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_core_of_a_process_that_dies_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
