/* The owner's commands are killed at every commit: a decision is there whole, with its event, or not at all; typing it
 * again does what is missing, or says what the job is. */
#include "datasite/approval.h"
#include "datasite/home.h"
#include "schemas/clock.h"
#include "tests/e2e/kill_scene.h"

#include <signal.h>

#define KILLS_MOST 20

struct typed {
    const char *verb, *event;
    bool of_approved; /* the job is approved before */
    const char *done; /* its state afterwards */
};

static void must_add_job(struct scene *scene, struct store *store, const struct identity *identity,
                         int number, bool approved)
{
    char training[80], text[JOB_ROOM];
    bool is_new = false;
    int64_t now = clock_now_ms() / 1000;
    struct approval_limits limits = {0};
    const struct policy_limits many = {1000, 1000, 1000, 100000};
    (void)snprintf(training, sizeof(training), "{optimizer: lbfgs, local_iterations: %d}", number);
    client_job(scene, training, text);
    struct job_record record = {.id = scene->job_id,
                                .bytes = (uint8_t *)text,
                                .byte_count = strlen(text),
                                .requester = *identity_id(scene->identity),
                                .requester_name = "researcher",
                                .received_at = now,
                                .expires = now + 1000000000};
    must(store_job_add(store, &record, &(struct job_quota){.limits = &many}, &is_new));
    assert_true(is_new);
    if (approved)
        must(approval_give(store, identity, &record, &limits, "owner", "", now));
}

static void add_job(struct scene *scene, int number, bool approved)
{
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    must(home_open(scene->home, &home));
    must(home_store(home, STORE_WRITE, &identity, &store));
    must_add_job(scene, store, identity, number, approved);
    store_close(store);
    identity_free(identity);
    home_free(home);
}

static int type(struct scene *scene, const char *verb)
{
    char hex[DIGEST_HEX_BYTES], log[PATH_ROOM + 16];
    (void)snprintf(log, sizeof(log), "%s.owner", scene->log);
    digest_hex(&scene->job_id, hex);
    return program_wait(program_start(scene, log, verb, hex, NULL));
}

/* Whether the decision about the job typed last is there. */
static bool is_done(const struct scene *scene, const struct typed *typed)
{
    char sql[512], hex[DIGEST_HEX_BYTES];
    digest_hex(&scene->job_id, hex);
    (void)snprintf(
        sql, sizeof(sql),
        "SELECT count(*) FROM job JOIN event USING (job_id) WHERE hex(job.job_id) = upper('%s') AND "
        "job.state = '%s' AND event.kind = '%s'",
        hex, typed->done, typed->event);
    return count_rows(scene, sql) == 1;
}

static void kill_everywhere(struct scene *scene, const struct typed *typed, enum kill_when when, int *number)
{
    int at = 1;
    for (;; at++) {
        assert_true(at < KILLS_MOST);
        add_job(scene, ++*number, typed->of_approved);
        kill_arm(scene, at, when);
        int status = type(scene, typed->verb);
        kill_disarm();
        kill_check(scene, 0);
        if (status == 0)
            break;
        assert_int_equal(status, 128 + SIGKILL);
        bool done = is_done(scene, typed);
        assert_int_equal(type(scene, typed->verb), done ? 1 : 0);
        assert_true(is_done(scene, typed));
        kill_check(scene, 0);
    }
    assert_true(at > 1);
    print_message("%s was killed at each of %d commits\n", typed->verb, at - 1);
}

static void test_kill_owner_at_every_commit_decides_whole_or_not(void **state)
{
    static const struct typed decisions[] = {
        {"approve", "job-approved", false, "approved"},
        {"deny", "job-denied", false, "denied"},
        {"revoke", "job-revoked", true, "revoked"},
    };
    int number = 0;
    for (size_t i = 0; i < sizeof(decisions) / sizeof(decisions[0]); i++) {
        kill_everywhere(*state, &decisions[i], KILL_BEFORE, &number);
        kill_everywhere(*state, &decisions[i], KILL_AFTER, &number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kill_owner_at_every_commit_decides_whole_or_not, scene_make,
                                        scene_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
