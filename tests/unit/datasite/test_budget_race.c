/* Two processes want the last of a budget at the same moment: exactly one gets it. */
#include "tests/unit/datasite/spender.h"

#include <sys/wait.h>
#include <unistd.h>

#define RACERS 2
#define RACES 2
#define REFUSED 3 /* exit status of a process that was refused */

/* Waits until the pipe is closed, then begins a run. */
static void race(struct spender *spender, const struct approval *approval, uint8_t mark, int start)
{
    char byte;
    spender_resume(spender);
    while (read(start, &byte, 1) > 0)
        continue;
    struct error *err = spender_run(spender, approval, mark);
    int status = err == NULL ? 0 : err->code == ERROR_REFUSED ? REFUSED : 1;
    error_free(err);
    _exit(status);
}

/* How many began their run. */
static int race_all(struct spender *spender, const struct approval approvals[static RACERS], uint8_t mark)
{
    pid_t racers[RACERS];
    int start[2], won = 0;
    assert_int_equal(pipe(start), 0);
    spender_pause(spender);
    for (int i = 0; i < RACERS; i++) {
        racers[i] = fork();
        assert_true(racers[i] >= 0);
        if (racers[i] == 0) {
            (void)close(start[1]);
            race(spender, &approvals[i], (uint8_t)(mark + i), start[0]);
        }
    }
    (void)close(start[0]);
    (void)close(start[1]);
    for (int i = 0; i < RACERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(racers[i], &status, 0), racers[i]);
        assert_true(WIFEXITED(status));
        assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == REFUSED);
        won += WEXITSTATUS(status) == 0;
    }
    spender_resume(spender);
    return won;
}

static void test_budget_race_for_the_last_is_won_by_one(void **state)
{
    struct spender *spender = *state;
    for (uint32_t i = 0; i < RACES; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "race-%u", i);
        spender_import_range(spender, name, 1000 * (i + 1), 10);
        struct spender_words words = {.dataset = name, .rounds = 2};
        double one = spender_offer(spender, &words).epsilon;
        struct approval approvals[RACERS];
        for (int j = 0; j < RACERS; j++)
            approvals[j] = spender_approved(spender, &words, 1);
        spender_set(spender, name, one * 1.9, 1e-5, i % 2 == 0 ? BUDGET_SUM : BUDGET_RDP);
        if (i % 2 == 1) { /* divergences add up otherwise: a cap that one run fits into, and two do not */
            double low = one / 2;
            do
                spender_set(spender, name, low *= 1.05, 1e-5, BUDGET_RDP);
            while (!spender_offer(spender, &words).fits);
        }
        assert_int_equal(race_all(spender, approvals, (uint8_t)(10 * i + 1)), 1);
        struct budget_state left = spender_state(spender, name);
        assert_true(left.reserved_epsilon <= left.cap.epsilon);
        assert_false(spender_offer(spender, &words).fits);
        for (int j = 0; j < RACERS; j++)
            approval_clear(&approvals[j]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, spender_make, spender_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_budget_race_for_the_last_is_won_by_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
