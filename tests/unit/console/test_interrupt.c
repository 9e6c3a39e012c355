/* Signals as a flag and a descriptor. */
#include "console/interrupt.h"
#include "tests/unit/cmocka_all.h"

#include <poll.h>
#include <signal.h>

static bool is_readable(void)
{
    struct pollfd waiting = {.fd = interrupt_fd(), .events = POLLIN};
    return poll(&waiting, 1, 0) == 1;
}

static void test_interrupt_hangup_asks_for_reload_once(void **state)
{
    (void)state;
    assert_null(interrupt_install());
    assert_false(is_readable());
    assert_int_equal(raise(SIGHUP), 0);
    assert_true(is_readable());
    interrupt_drain();
    assert_false(is_readable());
    assert_true(interrupt_reload());
    assert_false(interrupt_reload());
    assert_int_equal(interrupt_requested(), 0);
}

static void test_interrupt_termination_is_remembered(void **state)
{
    (void)state;
    assert_null(interrupt_install());
    assert_int_equal(raise(SIGPIPE), 0); /* ignored: we are still here */
    assert_int_equal(raise(SIGTERM), 0);
    assert_true(is_readable());
    assert_int_equal(interrupt_requested(), SIGTERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interrupt_hangup_asks_for_reload_once),
        cmocka_unit_test(test_interrupt_termination_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
