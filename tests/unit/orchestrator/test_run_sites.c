/* Which runs of a home keep a job from being run: those that go on, at the same sites, on private rows. */
#include "made_run.h"

#include "orchestrator/run_sites.h"
#include "orchestrator/run_store.h"

#include <sys/wait.h>
#include <unistd.h>

static struct run_store *begin_run(const char *home, const struct run_record *record)
{
    char *directory = made_path(home, "runs/a0a1a2a3a4a5a6a7a8a9aaabacadaeaf");
    struct run_store *store = NULL;
    made_fine(run_store_create(directory, record, &store));
    free(directory);
    return store;
}

static struct error *check(char *home_path, const struct job *job)
{
    const struct home home = {.path = home_path};
    return run_sites_check(&home, job);
}

static void test_run_sites_run_goes_on_job_refused_until_its_end(void **state)
{
    static const char *const others[] = {"East", "South"};
    struct run_record *record = made_run(2);
    struct run_record *other = made_run_of(1, others, 2, "metrics: none", MADE_FEATURES, MADE_CLASSES);
    made_fine(check(*state, record->job));
    struct run_store *store = begin_run(*state, record);
    made_refusal(check(*state, record->job), ERROR_CONFLICT, "Run a0a1a2a3a4a5 of this home goes on with");
    /* One site in common is enough; none is none. */
    for (size_t i = 0; i < 2; i++)
        (void)snprintf(other->job->sites[i].fingerprint, sizeof other->job->sites[i].fingerprint, "%s",
                       i == 0 ? "sha256:none" : record->job->sites[0].fingerprint);
    made_refusal(check(*state, other->job), ERROR_CONFLICT, "'South'");
    (void)snprintf(other->job->sites[1].fingerprint, sizeof other->job->sites[1].fingerprint, "sha256:other");
    made_fine(check(*state, other->job));
    made_fine(run_store_end(store, record));
    made_fine(check(*state, record->job));
    run_store_close(store);
    run_record_free(record);
    run_record_free(other);
}

static void test_run_sites_run_was_killed_keeps_nobody(void **state)
{
    struct run_record *record = made_run(2);
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)begin_run(*state, record);
        _exit(7); /* as if killed: no end is written, nothing is closed */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    made_fine(check(*state, record->job));
    run_record_free(record);
}

static void test_run_sites_run_on_mock_data_keeps_nobody(void **state)
{
    struct run_record *record = made_run(2);
    record->mock = true;
    struct run_store *store = begin_run(*state, record);
    made_fine(check(*state, record->job));
    run_store_close(store);
    run_record_free(record);
}

/* Two that look at the same time would both find nobody: the second one looks when the first is recorded. */
static void test_run_sites_lock_second_waits_for_first(void **state)
{
    char *runs = made_path(*state, "runs");
    const struct home home = {.path = *state, .runs_path = runs};
    int first = -1, second = -1, gate[2], status = 0;
    char byte = 0;
    assert_int_equal(pipe(gate), 0);
    made_fine(run_sites_lock(&home, &first));
    assert_true(first >= 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(first);
        struct error *err = run_sites_lock(&home, &second);
        _exit(err == NULL && second >= 0 && write(gate[1], "x", 1) == 1 ? 0 : 1);
    }
    (void)usleep(100000);
    assert_int_equal(write(gate[1], "1", 1), 1);
    (void)close(first);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(read(gate[0], &byte, 1), 1);
    assert_int_equal(byte, '1');
    (void)close(gate[0]);
    (void)close(gate[1]);
    free(runs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MADE_TEST(test_run_sites_run_goes_on_job_refused_until_its_end),
        MADE_TEST(test_run_sites_run_was_killed_keeps_nobody),
        MADE_TEST(test_run_sites_run_on_mock_data_keeps_nobody),
        MADE_TEST(test_run_sites_lock_second_waits_for_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
