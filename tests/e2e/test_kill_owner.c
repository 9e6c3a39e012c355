/* The owner's commands are killed at every commit: a decision is there whole, with its event, or not at all; typing it
 * again does what is missing, or says what the job is. */
#include "datasite/approval.h"
#include "datasite/home.h"
#include "schemas/clock.h"
#include "schemas/files.h"
#include "tests/e2e/kill_scene.h"

#include <signal.h>
#include <unistd.h>

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

/* ---- what is held ---- */

/* An update of round 1 waits for the owner, and the daemon is down. */
static void hold_one(struct scene *scene)
{
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    struct job_record record = {.bytes = NULL};
    const struct approval_limits limits = {.hold = HOLD_EVERY};
    daemon_start(scene);
    client_connect(scene);
    assert_int_equal(client_submit(scene, SHORT_TRAINING), FDS__JOB_STATE__JOB_PENDING);
    must(home_open(scene->home, &home));
    must(home_store(home, STORE_WRITE, &identity, &store));
    must(store_job_find(store, &scene->job_id, &record));
    must(approval_give(store, identity, &record, &limits, "owner", "", clock_now_ms() / 1000));
    job_record_clear(&record);
    store_close(store);
    identity_free(identity);
    home_free(home);
    expect_refusal(client_await(scene, client_train(scene, 1)), ERROR_HELD, "looks at the numbers");
    assert_int_equal(daemon_stop(scene, SIGTERM), 0);
}

static int type_release(struct scene *scene)
{
    char hex[DIGEST_HEX_BYTES], log[PATH_ROOM + 16];
    (void)snprintf(log, sizeof(log), "%s.owner", scene->log);
    digest_hex(&scene->job_id, hex);
    return program_wait(program_start(scene, log, "release", hex, "1"));
}

static bool is_released(const struct scene *scene)
{
    int64_t events = count_rows(scene, "SELECT count(*) FROM event WHERE kind = 'held-released'");
    int64_t answers =
        count_rows(scene, "SELECT count(*) FROM answer WHERE state = 'released' AND receipt IS NOT "
                          "NULL AND (SELECT kind FROM event WHERE id = event_id) = 'held-released'");
    assert_int_equal(events, answers);
    return answers == 1;
}

/* The file as it was before, whatever the killed command left beside it. */
static void put_back(const struct scene *scene, const uint8_t *bytes, size_t count)
{
    static const char *const names[] = {"site.db-wal", "site.db-shm", "site.db"};
    char path[PATH_ROOM + 32];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", scene->home, names[i]);
        (void)unlink(path);
    }
    must(file_write(path, bytes, count, 0600));
}

static void kill_release(struct scene *scene, const uint8_t *bytes, size_t count, enum kill_when when)
{
    int at = 1;
    for (;; at++) {
        assert_true(at < KILLS_MOST);
        put_back(scene, bytes, count);
        kill_arm(scene, at, when);
        int status = type_release(scene);
        kill_disarm();
        kill_check(scene, 1);
        if (status == 0)
            break;
        assert_int_equal(status, 128 + SIGKILL);
        assert_int_equal(type_release(scene), is_released(scene) ? 1 : 0);
        assert_true(is_released(scene));
        kill_check(scene, 1);
    }
    assert_true(at > 1);
    print_message("release was killed at each of %d commits\n", at - 1);
}

static void test_kill_owner_at_every_commit_releases_whole_or_not(void **state)
{
    struct scene *scene = *state;
    char path[PATH_ROOM + 32];
    uint8_t *bytes = NULL;
    size_t count = 0;
    hold_one(scene);
    (void)snprintf(path, sizeof(path), "%s/site.db", scene->home);
    must(file_read(path, 1 << 26, &bytes, &count));
    kill_release(scene, bytes, count, KILL_BEFORE);
    kill_release(scene, bytes, count, KILL_AFTER);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kill_owner_at_every_commit_decides_whole_or_not, scene_make,
                                        scene_remove),
        cmocka_unit_test_setup_teardown(test_kill_owner_at_every_commit_releases_whole_or_not, scene_make,
                                        scene_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
