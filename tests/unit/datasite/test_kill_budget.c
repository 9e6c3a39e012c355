/* A site is killed at every moment of every step that spends: whenever something of site.db is brought to the disk, before and
 * after it. When it comes back, no less is counted than what left, no more than what was reserved, nothing is half there, and
 * the step that was killed can be done again. */
#include "datasite/store_internal.h"
#include "tests/unit/datasite/spender.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLS_MOST 20 /* moments of one step are far fewer */
#define TRAINING BUDGET_TRAINING
#define MARK 1

/* ---- the moment: these stand before the C library's, for SQLite too ---- */

static int sync_kill_at, sync_calls; /* 0: never */
static bool sync_kill_after;

static int sync_around(long call, int fd)
{
    if (sync_kill_at == 0)
        return 0;
    bool due = ++sync_calls == sync_kill_at;
    if (due && !sync_kill_after)
        (void)kill(getpid(), SIGKILL);
    int result = (int)syscall(call, fd);
    if (due)
        (void)kill(getpid(), SIGKILL);
    return result;
}

#define EXPORT __attribute__((visibility("default")))

EXPORT int fsync(int fd)
{
    return sync_around(SYS_fsync, fd);
}

EXPORT int fdatasync(int fd)
{
    return sync_around(SYS_fdatasync, fd);
}

/* ---- the steps of a run, in order ---- */

enum kill_step {
    KILL_IMPORT,
    KILL_SET,
    KILL_RUN,
    KILL_BEGIN,
    KILL_SETTLE,
    KILL_BEGIN_NEXT,
    KILL_END,
    KILL_STEPS
};

struct scene {
    struct spender *spender;
    struct approval approval;
    double one; /* what the whole run takes */
};

static struct error *step_do(struct scene *scene, enum kill_step step)
{
    struct spender *spender = scene->spender;
    uint8_t run_id[STORE_RUN_ID_BYTES];
    struct budget_cap cap = {scene->one * 1.5, 1e-5, BUDGET_SUM};
    switch (step) {
    case KILL_IMPORT:
        spender_import_range(spender, "part", 10, 40);
        return NULL;
    case KILL_SET:
        return budget_set(spender->store, spender->workspace->identity, "made", &cap, SPENDER_NOW);
    case KILL_RUN:
        return spender_run(spender, &scene->approval, MARK);
    case KILL_BEGIN:
        return spender_begin(spender, &scene->approval, MARK, 1, TRAINING);
    case KILL_SETTLE:
        return spender_settle(spender, &scene->approval, MARK, 1, TRAINING);
    case KILL_BEGIN_NEXT:
        return spender_begin(spender, &scene->approval, MARK, 2, TRAINING);
    case KILL_END:
        memset(run_id, MARK, sizeof(run_id));
        return store_run_end(spender->store, &scene->approval.record.id, run_id, "finished", 0, SPENDER_NOW);
    case KILL_STEPS:
        break;
    }
    return NULL;
}

/* What the step writes is there. */
static bool step_done(struct scene *scene, enum kill_step step)
{
    static const char *const there[KILL_STEPS] = {
        [KILL_IMPORT] = "SELECT count(*) FROM dataset WHERE name = 'part'",
        [KILL_SET] = "SELECT count(*) FROM budget WHERE kind = 'set'",
        [KILL_RUN] = "SELECT count(*) FROM budget WHERE kind = 'reserve'",
        [KILL_BEGIN] = "SELECT count(*) FROM budget WHERE kind = 'begin' AND round = 1",
        [KILL_SETTLE] = "SELECT count(*) FROM budget WHERE kind = 'settle'",
        [KILL_BEGIN_NEXT] = "SELECT count(*) FROM budget WHERE kind = 'begin' AND round = 2",
        [KILL_END] = "SELECT count(*) FROM budget WHERE kind = 'close'"};
    return spender_count(scene->spender, there[step]) > 0;
}

/* Rows, events, runs and pools belong together, and what is counted is between what left and what was reserved. */
static void expect_whole(struct scene *scene)
{
    struct spender *spender = scene->spender;
    must(database_check(spender->store->database));
    struct budget_state state = spender_state(spender, "made"); /* every row and its event */
    bool left = step_done(scene, KILL_SETTLE), begun = step_done(scene, KILL_BEGIN);
    bool reserved = step_done(scene, KILL_RUN), over = step_done(scene, KILL_END);
    assert_true(state.spent_epsilon == (begun ? scene->one : 0));
    assert_true(!left || begun);
    assert_true(state.reserved_epsilon == (reserved && !begun && !over ? scene->one : 0));
    assert_int_equal(spender_count(spender,
                                   "SELECT (SELECT count(*) FROM budget) - (SELECT count(*) FROM event "
                                   "WHERE kind GLOB 'budget-*')"),
                     0);
    assert_int_equal(spender_count(spender,
                                   "SELECT (SELECT count(*) FROM budget WHERE kind = 'reserve') - (SELECT "
                                   "count(*) FROM run)"),
                     0);
    assert_int_equal(spender_count(spender,
                                   "SELECT (SELECT count(*) FROM budget WHERE kind = 'close') - (SELECT "
                                   "count(*) FROM run WHERE status = 'finished')"),
                     0);
    assert_int_equal(spender_count(spender,
                                   "SELECT (SELECT count(*) FROM budget WHERE kind = 'join') - (SELECT "
                                   "count(*) FROM dataset)"),
                     0);
    assert_int_equal(spender_count(spender, "SELECT count(*) FROM budget_hash"),
                     step_done(scene, KILL_IMPORT) ? SPENDER_ROWS + 10 : SPENDER_ROWS);
}

/* In a process of its own; whether it was killed. */
static bool step_killed(struct scene *scene, enum kill_step step, int at, bool after)
{
    int status = 0;
    spender_pause(scene->spender);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        spender_resume(scene->spender);
        sync_kill_after = after;
        sync_kill_at = at;
        struct error *err = step_do(scene, step);
        _exit(err == NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    spender_resume(scene->spender);
    if (WIFSIGNALED(status))
        assert_int_equal(WTERMSIG(status), SIGKILL);
    else
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFSIGNALED(status);
}

/* The file as it was before the step, so that it can be killed again. */
static void file_copy(struct scene *scene, bool back)
{
    char copy[160], buffer[65536];
    spender_pause(scene->spender); /* the last to close leaves no log */
    (void)workspace_file(scene->spender->workspace, "copy.db", copy);
    FILE *in = fopen(back ? copy : scene->spender->workspace->database, "rb");
    FILE *out = fopen(back ? scene->spender->workspace->database : copy, "wb");
    assert_true(in != NULL && out != NULL);
    for (size_t got; (got = fread(buffer, 1, sizeof(buffer), in)) > 0;)
        assert_int_equal(fwrite(buffer, 1, got, out), got);
    (void)fclose(in);
    assert_int_equal(fclose(out), 0);
    spender_resume(scene->spender);
}

/* At its n-th moment for every n, until it comes through. */
static void step_kill_everywhere(struct scene *scene, enum kill_step step, bool after)
{
    int at = 1;
    file_copy(scene, false);
    while (at < KILLS_MOST && step_killed(scene, step, at, after)) {
        expect_whole(scene);
        if (!step_done(scene, step))
            must(step_do(scene, step));
        assert_true(step_done(scene, step));
        expect_whole(scene);
        file_copy(scene, true);
        at++;
    }
    assert_in_range(at, 2, KILLS_MOST - 1);
    print_message("step %d: killed at each of %d moments\n", (int)step, at - 1);
    expect_whole(scene);
    assert_true(step_done(scene, step));
}

static void run_killed(struct spender *spender, bool after)
{
    struct spender_words words = {.rounds = 2};
    struct scene scene = {.spender = spender, .one = spender_offer(spender, &words).epsilon};
    scene.approval = spender_approved(spender, &words, 1);
    for (enum kill_step step = 0; step < KILL_STEPS; step++)
        step_kill_everywhere(&scene, step, after);
    struct budget_state state = spender_state(spender, "part");
    assert_true(state.spent_epsilon == scene.one && state.left_epsilon < scene.one);
    assert_int_equal(state.datasets, 2);
    approval_clear(&scene.approval);
}

static void test_kill_budget_before_every_write_counts_right(void **state)
{
    run_killed(*state, false);
}

static void test_kill_budget_after_every_write_counts_right(void **state)
{
    run_killed(*state, true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, spender_make, spender_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_kill_budget_before_every_write_counts_right),
        TEST(test_kill_budget_after_every_write_counts_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
